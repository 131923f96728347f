"""What was posted becomes a content, or every reason why it cannot."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lib.text import clean, normalise
from service.model.form import Field, Form
from service.model.lead import Answer, Content, Phone, Value
from service.model.problem import Code, Problem, Problems, refuse
from service.submission import body
from service.submission.check import Checked, check
from service.submission.form_data import Posted, gather

FIELDS = (
    Field("name", required=True, max_length=120, aliases=("full name", "your name")),
    Field("phone", "phone", required=True, aliases=("mobile", "phone number")),
    Field("email", "email"),
    Field("branch", "choice", choices=("Bangalore", "Hyderabad", "New Delhi")),
    Field("visits", "number"),
    Field("again", "boolean"),
    Field("message", multiline=True),
)
FORM = Form("get-in-touch", {field.name: field for field in FIELDS}, ("crm",))
GOOD = {"name": "Asha Rao", "phone": "089510 47001"}


def form_of(*fields: Field) -> Form:
    return replace(FORM, fields={field.name: field for field in fields})


def checked(sent: dict[str, str], form: Form = FORM, *, lenient: bool = False) -> Checked:
    found = check(form, gather(sent.items()), lenient=lenient)
    assert isinstance(found, Checked), found
    return found


def content_of(sent: dict[str, str], form: Form = FORM) -> Content:
    return checked(sent, form).content


def answer_of(field: Field, text: str) -> Answer | None:
    return content_of({field.name: text, "extra": "x"}, form_of(field)).fields.get(field.name)


def problems_of(sent: dict[str, str], form: Form = FORM) -> list[tuple[str, Code]]:
    found = check(form, gather(sent.items()))
    assert isinstance(found, Problems), found
    return [(each.field, each.code) for each in found.items]


def problem_of(field: Field, text: str) -> Problem:
    found = check(form_of(field), gather([(field.name, text)]))
    assert isinstance(found, Problems), found
    return found.items[0]


@given(st.text(max_size=400) | st.text(alphabet=" \u200b\ufeff\n\x00a\u0301\u0316\u0344\u0f73\u0958", max_size=400))
def test_marks_and_blanks_of_any_number_are_clean_once_they_are(text: str) -> None:
    for multiline in (True, False):
        once = clean(text, multiline=multiline)
        assert clean(once, multiline=multiline) == once


@given(st.text(max_size=400))
def test_a_text_is_normalised_as_unicode_has_it(text: str) -> None:
    assert normalise("NFC", text) == unicodedata.normalize("NFC", text)
    assert normalise("NFKC", text) == unicodedata.normalize("NFKC", text)


def test_of_the_marks_on_one_sign_thirty_are_kept() -> None:
    assert normalise("NFC", "a" * 200 + "\u0316" * 500 + "b") == "a" * 200 + "\u0316" * 30 + "b"


def test_a_good_submission_is_kept_by_configured_names() -> None:
    content = content_of({"Your-Name": " Asha\tRao ", "phone number": "089510 47001", "E_Mail": "Asha@Example.com"})
    assert {name: answer.value for name, answer in content.fields.items()} == {
        "name": "Asha Rao",
        "phone": "+918951047001",
        "email": "Asha@example.com",
    }
    assert content.extra == {}


@pytest.mark.parametrize(
    "name",
    [
        "phone",
        "PHONE",
        "Phone-Number",
        "phone number",
        "phone_number",
        "phone[number]",
        " Mobile ",
        "phone ",
        "\uff50\uff48one",
    ],
)
def test_a_name_is_matched_without_case_blanks_and_signs(name: str) -> None:
    assert content_of({"name": "A", name: "8951047001"}).fields["phone"].value == "+918951047001"


@pytest.mark.parametrize("hidden", ["phone_full", "full_phone", "phone[full]", "mobile_full", "Full-Phone-Number"])
def test_a_hidden_full_number_counts_before_the_visible_one(hidden: str) -> None:
    sent = {"name": "A", "mobile": "415 555 2671", hidden: "+1 415 555 2671"}
    assert content_of(sent).fields["phone"].value == "+14155552671"
    assert content_of(dict(reversed(sent.items()))).fields["phone"].value == "+14155552671"
    assert content_of({"name": "A", "phone": "8951047001", hidden: " "}).fields["phone"].value == "+918951047001"


def test_a_wrong_hidden_number_is_told_at_the_visible_field() -> None:
    assert problems_of({"name": "A", "Mobile": "895", "phone_full": "+91895"}) == [("Mobile", Code.PHONE_TOO_SHORT)]
    assert problems_of({"name": "A", "phone_full": "+91895"}) == [("phone_full", Code.PHONE_TOO_SHORT)]


@pytest.mark.parametrize(
    ("visible", "under_an_alias", "read"),
    [
        ("07400 123456", "+447400123456", "+447400123456"),
        ("(415) 555-2671", "+1 415-555-2671", "+14155552671"),
        ("०७४०० १२३४५६", "+447400123456", "+447400123456"),
        ("089510 47001", "+447400123456", "+918951047001"),
        ("+91 89510 47001", "+918951047001", "+918951047001"),
        ("089510 47001", "9886012345", "+918951047001"),
    ],
)
def test_a_number_written_in_full_under_an_alias_wins_over_the_same_one_as_typed(
    visible: str, under_an_alias: str, read: str
) -> None:
    content = content_of({"name": "A", "phone": visible, "mobile": under_an_alias})
    assert content.fields["phone"].value == read


@pytest.mark.parametrize("hidden", ["callback_full", "full_callback", "callback[full]", "phone_full"])
def test_a_phone_field_of_another_name_has_hidden_numbers_too(hidden: str) -> None:
    form = form_of(Field("callback", "phone"))
    assert content_of({"callback": "1", hidden: "+918951047001"}, form).fields["callback"].value == "+918951047001"


def test_a_field_named_like_a_hidden_number_is_itself() -> None:
    form = form_of(Field("phone", "phone"), Field("phone_full"))
    assert content_of({"phone": "8951047001", "phone_full": "x"}, form).fields["phone_full"].value == "x"


def test_of_several_names_of_a_field_the_first_that_is_not_empty_counts() -> None:
    sent = {"full name": " ", "your name": "Asha", "name": "Other", "phone": "8951047001"}
    assert content_of(sent).fields["name"].value == "Asha"


def test_every_problem_is_told_at_once_in_the_form_s_order_by_the_sent_names() -> None:
    sent = {
        "Branch": "Pune",
        "E-Mail": "x",
        "visits": "many",
        "Full Name": "  ",
        "again": "maybe",
        "message": "m" * 5_001,
    }
    assert problems_of(sent) == [
        ("Full Name", Code.REQUIRED_FIELD_EMPTY),
        ("phone", Code.REQUIRED_FIELD_MISSING),
        ("E-Mail", Code.TYPE_EMAIL),
        ("Branch", Code.NOT_A_CHOICE),
        ("visits", Code.TYPE_NUMERIC),
        ("again", Code.NOT_A_CHOICE),
        ("message", Code.TOO_LONG),
    ]


def test_a_file_is_told_beside_every_other_problem() -> None:
    posted = replace(gather({"name": "Asha", "phone": "895"}.items()), files=("cv", "photo"))
    found = check(FORM, posted)
    assert isinstance(found, Problems)
    assert [(each.field, each.code) for each in found.items] == [
        ("phone", Code.PHONE_TOO_SHORT),
        ("cv", Code.NO_FILE_UPLOADS),
        ("photo", Code.NO_FILE_UPLOADS),
    ]


def test_a_file_alone_is_no_empty_form() -> None:
    found = check(form_of(Field("email", "email")), replace(gather([]), files=("cv",)))
    assert found == refuse(Code.NO_FILE_UPLOADS, "cv")


def test_nothing_at_all_is_empty() -> None:
    assert problems_of({}) == [("", Code.EMPTY)]
    assert problems_of({"_gotcha": "x", "_next": "/"}) == [("", Code.EMPTY)]
    assert problems_of({"email": " ", "zip": ""}, form_of(Field("email", "email"))) == [("", Code.EMPTY)]
    assert problems_of({"zip": ""}) == [
        ("name", Code.REQUIRED_FIELD_MISSING),
        ("phone", Code.REQUIRED_FIELD_MISSING),
    ]


def test_a_form_without_required_fields_takes_an_extra_alone() -> None:
    assert content_of({"zip": "560001"}, form_of(Field("email", "email"))).extra == {"zip": "560001"}


@pytest.mark.parametrize("text", ["", "  ", "\t\r\n", "\u200b", "\x00\x01", "\u2060 \ufeff", "\u200d"])
def test_what_shows_nothing_is_empty(text: str) -> None:
    assert problems_of({**GOOD, "name": text}) == [("name", Code.REQUIRED_FIELD_EMPTY)]
    assert "message" not in content_of({**GOOD, "message": text}).fields


@pytest.mark.parametrize(
    ("text", "one_line", "several_lines"),
    [
        (" a ", "a", "a"),
        ("a\r\nb\rc\nd", "a b c d", "a\nb\nc\nd"),
        ("a\tb", "a b", "a b"),
        ("a\x00b\x1b[0mc\x7f", "ab[0mc", "ab[0mc"),
        ("a\x85b\u2028c", "a b c", "a\nb\nc"),
        ("e\u0301", "é", "é"),
        ("e\x00\u0301", "é", "é"),
        ("\ufeffa\u200b", "a", "a"),
        ("മലയാളം ന്\u200d", "മലയാളം ന്\u200d", "മലയാളം ന്\u200d"),
        ("👩\u200d⚕️", "👩\u200d⚕️", "👩\u200d⚕️"),
        ("\xa0a\u3000", "a", "a"),
    ],
)
def test_text_is_cleaned(text: str, one_line: str, several_lines: str) -> None:
    assert clean(text, multiline=False) == one_line
    assert clean(text, multiline=True) == several_lines


def test_length_is_counted_after_cleaning() -> None:
    assert content_of({**GOOD, "name": " " + "x\x00" * 120 + " "}).fields["name"].value == "x" * 120
    assert problem_of(Field("name", max_length=3), "abcd").values == {"n": "3"}
    assert content_of({**GOOD, "message": "e\u0301" * 5_000}).fields["message"].value == "é" * 5_000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("7.0", 7),
        ("7.50", 7.5),
        (".5", 0.5),
        ("1e3", 1000),
        ("-0.0", 0),
        ("0", 0),
        ("999999999999999", 999999999999999),
        ("0.1", 0.1),
        ("१२", 12),
    ],
)
def test_a_number_is_exact(text: str, number: float) -> None:
    answer = answer_of(Field("n", "number"), text)
    assert answer is not None
    assert (answer.value, type(answer.value)) == (number, type(number))


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "Infinity",
        "-inf",
        "1e999",
        "1e-999",
        "1" * 16,
        "0.1234567890123456",
        "1,5",
        "1 000",
        "7x",
        "0x7",
        "1_0",
        "--1",
    ],
)
def test_what_is_no_exact_number_is_refused(text: str) -> None:
    assert problem_of(Field("n", "number", required=True), text).code is Code.TYPE_NUMERIC


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True),
        ("TRUE", True),
        ("1", True),
        ("Yes", True),
        ("off", False),
        ("False", False),
        ("0", False),
        ("no", False),
    ],
)
def test_a_boolean_is_yes_or_no(text: str, value: Value) -> None:
    assert answer_of(Field("b", "boolean"), text) == Answer(value)


def test_of_a_hidden_no_before_a_checkbox_the_last_word_counts() -> None:
    found = check(form_of(Field("b", "boolean")), gather([("b", "0"), ("b", "1")]))
    assert isinstance(found, Checked)
    assert found.content.fields["b"].value is True


def test_a_boolean_that_is_neither_names_the_choices() -> None:
    problem = problem_of(Field("b", "boolean"), "perhaps")
    assert (problem.code, problem.values) == (Code.NOT_A_CHOICE, {"choices": "yes, no"})


@pytest.mark.parametrize("text", ["New Delhi", "new delhi", " NEW   DELHI ", "new\tdelhi"])
def test_a_choice_is_kept_in_the_configured_spelling(text: str) -> None:
    assert answer_of(FIELDS[3], text) == Answer("New Delhi")


def test_what_is_no_choice_is_told_the_choices() -> None:
    assert problem_of(FIELDS[3], "Pune").values == {"choices": "Bangalore, Hyderabad, New Delhi"}


def test_a_json_boolean_is_no_text() -> None:
    found = check(form_of(Field("name"), Field("ok", "boolean")), body_of(b'{"name": true, "ok": true}'))
    assert isinstance(found, Problems)
    assert [(each.field, each.code) for each in found.items] == [("name", Code.TYPE_TEXT)]


def body_of(raw: bytes) -> Posted:
    found = body.read("application/json", raw)
    assert isinstance(found, Posted)
    return found


def test_a_mistyped_address_is_accepted_and_flagged_and_a_wrong_one_gets_a_suggestion() -> None:
    answer = answer_of(FIELDS[2], "asha@gmial.com")
    assert answer == Answer("asha@gmial.com", ("typo",))
    problem = problem_of(FIELDS[2], "asha@gmail")
    assert (problem.code, problem.suggestion) == (Code.TYPE_EMAIL, "asha@gmail.com")


@pytest.mark.parametrize("raw", [b"8951047001", b"8951047001.0", b'"8951047001.0"', b'"+91 89510\\t47001"'])
def test_a_json_number_is_a_phone_number(raw: bytes) -> None:
    found = check(FORM, body_of(b'{"name": "A", "phone": ' + raw + b"}"))
    assert isinstance(found, Checked)
    assert found.content.fields["phone"].value == "+918951047001"


def test_a_doubtful_number_is_accepted_when_it_is_sent_again() -> None:
    sent = {"name": "A", "phone": "+1 992 345 6781"}  # no area code of North America begins with 99
    assert problems_of(sent) == [("phone", Code.PHONE_INVALID_BUT_POSSIBLE)]
    assert problems_of({**sent, "_confirm": "+1"}) == [("phone", Code.PHONE_INVALID_BUT_POSSIBLE)]
    answer = content_of({**sent, "_confirm": "+1 992 345 6781"}).fields["phone"]
    assert answer.flags == ("unverified",)


def test_a_junk_number_goes_the_way_the_form_says() -> None:
    sent = {"name": "A", "phone": "9999999999"}
    assert checked(sent).quarantine == ()
    assert checked(sent).content.fields["phone"].flags == ("junk",)
    assert checked(sent, replace(FORM, junk="quarantine")).quarantine == ("junk_phone",)
    assert problems_of(sent, replace(FORM, junk="reject")) == [("phone", Code.PHONE_UNSUPPORTED_TYPE)]


def test_a_filled_honeypot_is_quarantined() -> None:
    assert checked({**GOOD, "_gotcha": "http://spam.example"}).quarantine == ("honeypot",)
    assert checked({**GOOD, "_gotcha": " "}).quarantine == ()


def test_extras_are_kept_clean_and_empty_ones_left_out() -> None:
    sent = {**GOOD, "utm_source": " google ", "note": "a\r\nb\x00", "blank": " ", "Colour": "red", "colour ": "blue"}
    extra = content_of(sent).extra
    assert extra == {"utm_source": "google", "note": "a\nb", "Colour": "red", "colour": "blue"}
    assert content_of({**GOOD, "a\x00": "1", "a": "2"}).extra == {"a": "1, 2"}


def test_extras_are_limited() -> None:
    assert problems_of({**GOOD, "zip": "x" * 5_001}) == [("zip", Code.TOO_LONG)]
    assert problems_of({**GOOD, "z" * 201: "x"}) == [("z" * 200, Code.TOO_LONG)]


def test_extras_are_refused_where_the_form_says_so() -> None:
    form = replace(FORM, allow_extra=False)
    assert problems_of({**GOOD, "zip": "1", "fax": "2", "blank": ""}, form) == [
        ("zip", Code.UNKNOWN_FIELD),
        ("fax", Code.UNKNOWN_FIELD),
    ]


def test_for_a_visitor_who_was_thanked_nothing_is_refused() -> None:
    sent = {
        "phone": " 12 ",
        "email": "x",
        "branch": "Pune",
        "visits": "many",
        "message": "m" * 6_000,
        "zip": "z" * 6_000,
    }
    found = checked(sent, lenient=True)
    assert found.content.fields == {
        "phone": Answer("12", ("PHONE_TOO_SHORT",), Phone(raw="12", flags=("PHONE_TOO_SHORT",))),
        "email": Answer("x", ("TYPE_EMAIL",)),
        "branch": Answer("Pune", ("NOT_A_CHOICE",)),
        "visits": Answer("many", ("TYPE_NUMERIC",)),
        "message": Answer("m" * 5_000, ("TOO_LONG",)),
    }
    assert (found.content.extra, found.content.flags) == ({"zip": "z" * 5_000}, ("TOO_LONG",))
    strict = checked(sent, replace(FORM, allow_extra=False), lenient=True)
    assert strict.content.fields == found.content.fields
    assert (strict.content.extra, strict.content.flags) == ({}, ("UNKNOWN_FIELD",))
    assert checked({}, lenient=True).content == Content({}, {})
    assert checked(GOOD, lenient=True) == checked(GOOD)


NAMES = st.sampled_from(["name", "Phone", "phone_full", "e mail", "branch", "visits", "again", "message"]) | st.text(
    max_size=8
)
TEXTS = st.text(max_size=40) | st.sampled_from(["8951047001", "a@b.in", "Bangalore", "1", "on", "x" * 5_001])


@given(st.dictionaries(NAMES, TEXTS, max_size=8), st.booleans())
def test_what_is_accepted_is_clean_and_within_limits(sent: dict[str, str], lenient: bool) -> None:
    found = check(FORM, gather(sent.items()), lenient=lenient)
    if isinstance(found, Problems):
        assert not lenient
        return
    for name, answer in found.content.fields.items():
        assert is_clean(str(answer.value), FORM.fields[name].max_length, multiline=FORM.fields[name].multiline)
    for name, text in found.content.extra.items():
        assert is_clean(name, 200)
        assert is_clean(text, 5_000, multiline=True)


def is_clean(text: str, longest: int, *, multiline: bool = False) -> bool:
    controls = {sign for sign in text if unicodedata.category(sign) == "Cc"} - ({"\n"} if multiline else set())
    is_trim = text == text.strip() != ""
    return not controls and is_trim and unicodedata.is_normalized("NFC", text) and len(text) <= longest


@given(st.text(max_size=50), st.booleans())
def test_cleaning_what_is_clean_changes_nothing(text: str, multiline: bool) -> None:
    once = clean(text, multiline=multiline)
    assert clean(once, multiline=multiline) == once
