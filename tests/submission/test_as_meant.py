"""Whatever a real page sends is taken as it was meant: whose number it is, and nothing lost or turned round."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from service.fields.phone_country import region_of
from service.lib.secret import Secret
from service.model.form import Agreement, Field, Form
from service.model.lead import Content
from service.model.problem import Problems
from service.submission import body
from service.submission.check import Checked, check
from service.submission.form_data import Posted
from service.submission.person import identities, person_hash

FORM_TYPE = "application/x-www-form-urlencoded"
SECRET = Secret("a secret of the tests, 32 and more")
FORM = Form(
    "clinic",
    {
        "name": Field("name"),
        "phone": Field("phone", "phone", aliases=("mobile", "phone number")),
        "email": Field("email", "email"),
        "branch": Field("branch", "choice", choices=("Bangalore", "Hyderabad")),
        "ok": Field("ok", "boolean"),
    },
    (),
)


def read(raw: str, form: Form = FORM, kind: str = FORM_TYPE) -> Checked | Problems:
    posted = body.read(kind, raw.encode(), form)
    return check(form, posted) if isinstance(posted, Posted) else posted


def said(raw: str, form: Form = FORM, kind: str = FORM_TYPE) -> Content:
    checked = read(raw, form, kind)
    assert isinstance(checked, Checked), [str(problem.code) for problem in checked.items]
    return checked.content


def told(raw: str, form: Form = FORM) -> list[tuple[str, str]]:
    problems = read(raw, form)
    assert isinstance(problems, Problems)
    return [(problem.field, str(problem.code)) for problem in problems.items]


# --- whose number is it


@pytest.mark.parametrize(
    "beside",
    [
        "country_code=%2B44", "countryCode=44", "dial_code=0044", "phone_country=gb", "country=GB", "country=UK",
        "country=United+Kingdom", "phone%5Bcountry%5D=GB", "mobile_country=GB", "isd=%2B+44", "phone-dial-code=%2B44",
        "country=United+Kingdom+(%2B44)", "countryPhone=GB", "intl_phone=%2B447911234567", "full=%2B44+7911+234567",
        "anything=%2B447911234567", "phone_full=%2B447911234567", "phone_full=447911234567",
        "phone_e164=%2B447911234567",
        "callingCode=44", "phone-cc=%2B44", "ISD+code=0044", "mobile_prefix=%2B44", "prefix=%2B44",
        "phoneCountryIso=gb",
        "country=GBR", "country=England", "country_code=%F0%9F%87%AC%F0%9F%87%A7", "country_code=44%7CGB",
        "country=U.K.", "country=United+Kingdom+44",
    ],
)  # fmt: skip
def test_a_number_belongs_to_what_stands_beside_it(beside: str) -> None:
    for number in ("07911+234567", "7911234567"):
        assert said(f"phone={number}&{beside}").fields["phone"].value == "+447911234567"


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("phone=%2B44&phone=7911234567", "+447911234567"),
        ("phone=7911234567&phone=%2B44", "+447911234567"),
        ("phone%5Bcountry%5D=GB&phone%5Bnumber%5D=07911234567", "+447911234567"),
        ("phone=089510+47001&country=Nowhere", "+918951047001"),
        ("phone=%2B918951047001&country=GB", "+918951047001"),
        ("phone=8951047001&phone=8951047001", "+918951047001"),
        ("phone=+91+89510+47001", "+918951047001"),
        ("phone=+447911234567", "+447911234567"),
        ("phone=+8951047001", "+918951047001"),
        ("phone=89510+47001&full=%2B919845012345", "+918951047001"),
        ("phone=89510+47001&phone_full=%2B919845012345", "+918951047001"),
        ("phone=06+20+123+4567&phone_full=%2B36201234567", "+36201234567"),
        ("phone=89510+47001&prefix=Mr", "+918951047001"),
        ("phone=89510+47001&country_id=44&phone_id=44", "+918951047001"),
        ("phone=2423591234&dial_code=%2B1242", "+12423591234"),
    ],
)
def test_a_number_is_read_as_it_was_meant(raw: str, e164: str) -> None:
    assert said(raw).fields["phone"].value == e164


def test_a_full_number_is_kept_as_it_came() -> None:
    for full in ("%2B918951047001", "918951047001"):
        phone = said(f"phone=89510+47001&phone_full={full}").fields["phone"].phone
        assert phone is not None
        assert phone.raw == "+918951047001"


@pytest.mark.parametrize(
    "raw", ["phone=98450+12345&country=GB", "phone=4155552671&country_code=%2B44", "phone=12345&country=IN"]
)
def test_a_number_is_never_valid_against_what_the_visitor_said(raw: str) -> None:
    [(field, code)] = told(raw)
    assert field == "phone"
    assert code.startswith("PHONE_")


def test_a_country_beside_one_number_says_nothing_of_another() -> None:
    form = replace(FORM, fields={**FORM.fields, "whatsapp": Field("whatsapp", "phone")})
    fields = said("phone=8951047001&whatsapp=7911234567&whatsapp_country=GB", form).fields
    assert (fields["phone"].value, fields["whatsapp"].value) == ("+918951047001", "+447911234567")


def test_json_of_a_widget_is_a_number_and_its_country() -> None:
    raw = '{"phone": {"countryCode": "GB", "number": "07911 234567"}}'
    assert said(raw, kind="application/json").fields["phone"].value == "+447911234567"


@pytest.mark.parametrize(
    "raw",
    [
        '{"phone": {"number": "07911 234567", "country": {"name": "United Kingdom", "iso2": "gb"}}}',
        '{"phone": {"nationalNumber": "07911 234567", "e164Number": "+447911234567", "countryCode": "GB"}}',
        '{"phone": "07911 234567", "selectedCountry": {"name": "United Kingdom", "dialCode": "44"}}',
        '{"phone": "07911 234567", "country": {"code": "GB", "label": "United Kingdom", "phone": "44"}}',
    ],
)
def test_a_country_may_be_an_object(raw: str) -> None:
    assert said(raw, kind="application/json").fields["phone"].value == "+447911234567"


def test_what_served_to_read_a_number_is_no_unknown_field() -> None:
    strict = replace(FORM, allow_extra=False)
    assert said("phone=07911234567&country_code=%2B44&_subject=Hello", strict).fields["phone"].value == "+447911234567"
    assert told("phone=8951047001&colour=red", strict) == [("colour", "UNKNOWN_FIELD")]


@pytest.mark.parametrize(
    ("text", "region"),
    [("USA", "US"), ("U.S.A.", "US"), ("UAE", "AE"), ("भारत", "IN"), ("India (भारत)", "IN"), ("Deutschland", "DE"),
     ("Turkey", "TR"), ("Korea, Republic of", "KR"), ("Iran, Islamic Republic of", "IR"), ("The Netherlands", "NL"),
     ("Egypt (\u202bمصر\u202c\u200e)", "EG"), ("+1-242", "BS"), ("1876", "JM"), ("+44-GB", "GB"), ("🇮🇳 +91", "IN"),
     ("IN_91", "IN"), ("101", None), ("GB", "GB"), ("in", "IN"),
     ("uk", "GB"), ("+1", "US"), ("0091", "IN"), ("India", "IN"), ("india (+91)", "IN"),
     ("India (IN)", "IN"), ("", None), ("x", None), ("ZZ", None), ("+999", None), ("12345", None), ("a" * 99, None)],
)  # fmt: skip
def test_a_country_is_named_in_many_ways(text: str, region: str | None) -> None:
    assert region_of(text) == region


# --- which name is which field


@pytest.mark.parametrize(
    "names",
    [
        "form_fields[{}]", "lead[{}]", "Lead.{}", "fields[{}][value]", "wpforms[fields][{}]", "ctl00$Main${}",
        "form-0-{}", "data__{}", "field:{}", "{}*", "{}:", "\u200b{}\u200e",
    ],
)  # fmt: skip
def test_a_name_is_known_inside_a_wrapper_and_with_its_signs(names: str) -> None:
    pairs = {"phone": "8951047001", "email": "a@example.com", "branch": "Bangalore"}
    content = said(urlencode({names.format(name): text for name, text in pairs.items()} | {"page[name]": "Contact"}))
    assert {name: answer.value for name, answer in content.fields.items()} == pairs | {"phone": "+918951047001"}
    assert content.extra == {"page[name]": "Contact"}


def test_a_wrapper_counts_only_where_nothing_stands_outside_and_if_it_holds_a_person() -> None:
    assert said("phone=8951047001&product[name]=Brace&emergency[email]=b%40example.com").extra == {
        "product[name]": "Brace", "emergency[email]": "b@example.com",
    }  # fmt: skip
    content = said("emergency[phone]=9845012345&lead[phone]=07911+234567&lead[country]=GB&lead[name]=A")
    assert content.fields["phone"].value == "+447911234567"
    assert content.extra == {"emergency[phone]": "9845012345", "lead[country]": "GB"}
    assert told("lead[phone]=895") == [("lead[phone]", "PHONE_TOO_SHORT")]


@pytest.mark.parametrize(
    "raw",
    [
        '{"lead": {"phone": "8951047001", "name": "A"}, "authenticity_token": "x1"}',
        '{"touched": {"phone": true, "name": true}, "values": {"phone": 8951047001, "name": "A"}, "errors": {}}',
        '{"fields": [{"name": "name", "value": "A"}, {"name": "phone", "value": "8951047001"}], "context": {"id": 7}}',
        '{"data": {"x": 1, "list": [{"label": "Phone", "value": 8951047001}, {"key": "name", "value": "A"}]}}',
        '{"data": {"type": "lead", "attributes": {"name": "A", "phone": "8951047001"}}}',
    ],
)
def test_json_is_taken_apart_where_a_number_or_an_address_is_inside(raw: str) -> None:
    fields = said(raw, kind="application/json").fields
    assert {name: answer.value for name, answer in fields.items()} == {"name": "A", "phone": "+918951047001"}


def test_a_name_that_its_client_split_is_put_together() -> None:
    fields = {**FORM.fields, "name": Field("name", aliases=("full name",))}
    raw = '{"phone": {"number": "8951047001"}, "Full": {"Name": "A"}, "Report": {"Name": "B"}}'
    content = said(raw, replace(FORM, fields=fields), "application/json")
    assert (content.fields["name"].value, content.extra) == ("A", {"Report": '{"Name": "B"}'})


def test_pairs_may_spell_a_list_of_names_and_values() -> None:
    raw = "data[0][name]=phone&data[0][value]=8951047001&data[1][name]=name&data[1][value]=A&action=send"
    content = said(raw)
    assert (content.fields["name"].value, content.extra) == ("A", {"action": "send"})


def test_a_select_of_objects_says_their_values() -> None:
    form = replace(FORM, fields={**FORM.fields, "parts": Field("parts", "choices", choices=("Knee", "Back"))})
    for parts in ('[{"value": "Knee", "label": "The knee"}]', '{"Knee": true, "Back": false}'):
        raw = f'{{"phone": "8951047001", "branch": {{"value": "Bangalore", "label": "B"}}, "parts": {parts}}}'
        fields = said(raw, form, "application/json").fields
        assert (fields["branch"].value, fields["parts"].value) == ("Bangalore", ("Knee",))


def test_numbered_names_are_several_values_of_one() -> None:
    form = replace(FORM, fields={**FORM.fields, "parts": Field("parts", "choices", choices=("Knee", "Back"))})
    assert said("phone=8951047001&parts[0]=Knee&parts[1]=Back", form).fields["parts"].value == ("Knee", "Back")


# --- nothing said is lost


def test_a_second_value_is_kept_under_its_own_name_and_finds_its_person() -> None:
    content = said("phone=8951047001&mobile=98450+12345&email=a%40example.com&Email=b%40example.com")
    assert content.extra == {"mobile": "98450 12345", "Email": "b@example.com"}
    found = identities(SECRET, FORM, content)
    assert person_hash(SECRET, "clinic", "phone", "+919845012345") in found
    assert person_hash(SECRET, "clinic", "email", "b@example.com") in found


@pytest.mark.parametrize(
    "raw", ["phone=8951047001&mobile=%2B91+89510-47001", "name=A&Name=a&phone=8951047001", "phone=8951047001&mobile="]
)
def test_the_same_value_twice_is_one(raw: str) -> None:
    assert said(raw).extra == {}


@pytest.mark.parametrize(
    ("values", "is_ticked"),
    [
        ("Y", True),
        ("I agree to the terms", True),
        ("accepted", True),
        ("हाँ", True),
        ("on,", True),
        ("N", False),
        ("I do not agree", False),
        ("true,false", True),
        ("false,true", True),
        ("0,1", True),
        ("on", True),
        ("no", False),
        ("false,false", False),
    ],
)
def test_a_box_is_ticked_if_any_of_its_values_says_so(values: str, is_ticked: bool) -> None:
    raw = "&".join(f"ok={value}" for value in values.split(","))
    assert said(f"phone=8951047001&{raw.replace('ok=', 'ok[]=')}").fields["ok"].value is is_ticked
    assert said(f"phone=8951047001&{raw}").fields["ok"].value is is_ticked


def test_a_box_is_ticked_under_any_of_its_names_and_a_mark_of_spring_ticks_none() -> None:
    form = replace(FORM, fields={**FORM.fields, "ok": Field("ok", "boolean", aliases=("agree",))})
    content = said("phone=8951047001&ok=0&agree=yes", form)
    assert (content.fields["ok"].value, content.extra) == (True, {})
    content = said("phone=8951047001&_ok=on&_captcha=false", form)
    assert ("ok" in content.fields, content.extra) == (False, {})
    assert told("phone=8951047001&ok=maybe") == [("ok", "NOT_A_CHOICE")]


@pytest.mark.parametrize("raw", ["", "&ok=", "&ok=false", "&ok=no&ok=no"])
def test_a_required_consent_that_is_not_given_is_called_so(raw: str) -> None:
    fields = {**FORM.fields, "ok": Field("ok", "boolean", required=True)}
    form = replace(FORM, fields=fields, consent=Agreement("ok", "1", "I agree"))
    assert told(f"phone=8951047001{raw}", form) == [("ok", "CONSENT_REQUIRED")]


def test_replyto_is_the_address_where_there_is_none() -> None:
    assert said("phone=8951047001&_replyto=a%40example.com").fields["email"].value == "a@example.com"
    content = said("phone=8951047001&email=b%40example.com&_replyto=a%40example.com")
    assert (content.fields["email"].value, content.extra) == ("b@example.com", {"_replyto": "a@example.com"})
    assert told("phone=8951047001&_replyto=nobody")[0] == ("_replyto", "TYPE_EMAIL")


def test_names_that_carry_words_are_kept_and_those_of_programs_are_not() -> None:
    raw = "phone=8951047001&_subject=Website+enquiry&_wpnonce=a8f5f167f4&_charset_=utf-8&_time=1732"
    assert said(raw).extra == {"_subject": "Website enquiry"}


@pytest.mark.parametrize(
    "nothing",
    [
        "na",
        "N/A",
        "-",
        "none",
        "None",
        "no email",
        "nil",
        "NA.",
        "—",
        "Not Applicable",
        "don't have",
        "no mail id",
        "नहीं",
    ],
)
def test_a_word_for_none_is_none(nothing: str) -> None:
    assert "email" not in said(f"phone=8951047001&email={nothing}").fields
    assert "phone" not in said(f"email=a%40example.com&phone={nothing}").fields
    required = replace(FORM, fields={**FORM.fields, "email": Field("email", "email", required=True)})
    assert told(f"phone=8951047001&email={nothing}", required)[0][0] == "email"


@pytest.mark.parametrize("nothing", ["null", "undefined", "NaN", "[object Object]"])
def test_what_a_script_sends_for_nothing_is_none_but_may_be_a_text(nothing: str) -> None:
    fields = {**FORM.fields, "age": Field("age", "number"), "day": Field("day", "date")}
    raw = "&".join(f"{name}={nothing}" for name in ("email", "branch", "ok", "age", "day", "name"))
    given = said(f"phone=8951047001&{raw}", replace(FORM, fields=fields)).fields
    assert {name: answer.value for name, answer in given.items()} == {"phone": "+918951047001", "name": nothing}


@pytest.mark.parametrize("empty", ["%2B91", "91", "%2B", "(___)+___-____", "%2B91+"])
def test_the_code_of_a_widget_that_was_left_empty_is_no_number(empty: str) -> None:
    assert "phone" not in said(f"email=a%40example.com&phone={empty}").fields
    required = replace(FORM, fields={**FORM.fields, "phone": Field("phone", "phone", required=True)})
    assert told(f"email=a%40example.com&phone={empty}", required)[0][0] == "phone"


def test_a_choice_may_be_called_none() -> None:
    branch = Field("branch", "choice", choices=("None", "Bangalore"))
    assert (
        said("phone=8951047001&branch=none", replace(FORM, fields={**FORM.fields, "branch": branch}))
        .fields["branch"]
        .value
        == "None"
    )


def test_a_field_may_keep_what_is_wrong_and_a_choice_what_is_other() -> None:
    fields = {
        **FORM.fields,
        "email": Field("email", "email", invalid="flag"),
        "branch": Field("branch", "choice", choices=("Bangalore",), other=True),
        "parts": Field("parts", "choices", choices=("Knee", "Back"), other=True),
    }
    content = said(
        "phone=8951047001&email=a%40b%40c&branch=Mysore&parts=knee&parts=Elbow", replace(FORM, fields=fields)
    )
    assert {name: (answer.value, answer.flags) for name, answer in content.fields.items() if name != "phone"} == {
        "email": ("a@b@c", ("TYPE_EMAIL",)),
        "branch": ("Mysore", ("NOT_A_CHOICE",)),
        "parts": (("Knee", "Elbow"), ("NOT_A_CHOICE",)),
    }


def test_signs_that_nobody_sees_are_taken_out() -> None:
    raw = (
        "phone=8951047001&email=\u202aasha\u00ad@example.com\u202c&branch=\u200bBanga\u00adlore\u200e&col\u200bour=red"
    )
    content = said(raw)
    assert content.fields["email"].value == "asha@example.com"
    assert content.fields["branch"].value == "Bangalore"
    assert content.extra == {"colour": "red"}


def test_a_blank_inside_an_address_was_a_plus() -> None:
    email = said("phone=8951047001&email=ravi+physio%40example.in").fields["email"]
    assert (email.value, email.flags) == ("ravi+physio@example.in", ("repaired",))
    assert isinstance(
        read('{"phone": "8951047001", "email": "ravi physio@example.in"}', kind="application/json"), Problems
    )


@pytest.mark.parametrize("slip", ["gmial.com", "gmail.con", "yahooo.com", "hotmial.com", "gnail.com"])
def test_a_slip_of_a_valid_address_is_taken_and_is_not_disposable(slip: str) -> None:
    checked = read(f"phone=8951047001&email=asha%40{slip}")
    assert isinstance(checked, Checked)
    assert checked.content.fields["email"].flags == ("typo",)
    assert "disposable" not in checked.signals


def test_of_several_blanks_in_an_address_nobody_knows_the_mailbox() -> None:
    problems = read("phone=8951047001&email=a+b+c%40example.com")
    assert isinstance(problems, Problems)
    assert [problem.suggestion for problem in problems.items] == [None]
