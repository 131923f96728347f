"""Field types: one row each, complete; dates and several choices; whatever a type reads, it reads the same again."""

from typing import get_args

import msgspec
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.destinations.envelope import envelope, flat
from service.fields import dates
from service.fields.choices import choices_of
from service.fields.types import TYPES, Given, shown
from service.lib.secret import Secret
from service.model import languages
from service.model.form import Field, FieldType, Form
from service.model.lead import Answer, Delivery, Lead
from service.model.problem import Problem
from service.replies import wording
from service.submission import body
from service.submission.check import Checked, check
from service.submission.facts import content_of, facts
from service.submission.form_data import Posted, gather

PARTS = ("Knee", "Shoulder, left", "Shoulder", "Back")
FORM = Form(
    "a",
    {
        "phone": Field("phone", "phone"),
        "parts": Field("parts", "choices", choices=PARTS, aliases=("where",)),
        "day": Field("day", "date"),
    },
    (),
)


def said(form: Form = FORM, **fields: str) -> dict[str, object]:
    checked = check(form, gather(fields.items()))
    assert isinstance(checked, Checked), checked
    return {name: answer.value for name, answer in checked.content.fields.items()}


def told(form: Form = FORM, **fields: str) -> list[str]:
    problems = check(form, gather(fields.items()))
    assert not isinstance(problems, Checked)
    return [str(problem.code) for problem in problems.items]


LABELLED = Form(
    "a",
    {
        "phone": Field("phone", "phone"),
        "part": Field("part", "choice", choices=("knee", "arm"), choice_labels={"arm": {"": "Arm", "kn": "ತೋಳು"}}),
    },
    (),
)


@pytest.mark.parametrize("sent", ["arm", "Arm", " ARM ", "ತೋಳು"])
def test_a_choice_is_known_by_its_labels_and_kept_by_its_value(sent: str) -> None:
    assert said(LABELLED, phone="8951047001", part=sent)["part"] == "arm"


def test_what_is_no_choice_is_answered_with_the_choices_as_the_visitor_sees_them() -> None:
    problems = check(LABELLED, gather([("phone", "8951047001"), ("part", "nose")]))
    assert not isinstance(problems, Checked)
    shown = {code: wording.sentence(problems.items[0], languages.load(code)) for code in ("en", "kn", "te")}
    assert "knee, Arm" in shown["en"]
    assert "knee, ತೋಳು" in shown["kn"]
    assert "knee, Arm" in shown["te"]


def test_every_type_has_a_row_and_every_row_is_a_type() -> None:
    assert set(TYPES) == set(get_args(FieldType))


@pytest.mark.parametrize("name", TYPES)
def test_the_example_of_a_type_is_read_as_itself(name: FieldType) -> None:
    field = Field("a", name, choices=PARTS)
    example = TYPES[name].example(field)
    text = example.phone.raw if example.phone else example.text
    read = TYPES[name].read(Given(FORM, field, "a", text))
    assert isinstance(read, Answer)
    assert read.value == example.value


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_of_a_type_is_json(name: FieldType) -> None:
    assert b"type" in msgspec.json.encode(TYPES[name].schema(Field("a", name, choices=PARTS)))


@pytest.mark.parametrize(
    ("country", "text", "day"),
    [
        ("IN", "2026-11-27", "2026-11-27"),
        ("IN", "2026-1-7", "2026-01-07"),
        ("IN", "27/11/2026", "2026-11-27"),
        ("IN", "7/1/2026", "2026-01-07"),
        ("IN", "27-11-2026", "2026-11-27"),
        ("DE", "27.11.2026", "2026-11-27"),
        ("GB", "01/02/2026", "2026-02-01"),
        ("US", "11/27/2026", "2026-11-27"),
        ("US", "02/01/2026", "2026-02-01"),
        ("IN", "२७/११/२०२६", "2026-11-27"),
        ("IN", "２０２６-１１-２７", "2026-11-27"),  # noqa: RUF001 -- full-width digits are what is tried
        ("IN", "29/02/2024", "2024-02-29"),
        ("IN", "29/02/2026", None),
        ("IN", "11/27/2026", None),
        ("US", "27/11/2026", None),
        ("JP", "27/11/2026", None),
        ("JP", "2026-11-27", "2026-11-27"),
        ("JP", "2026/1/7", "2026-01-07"),
        ("SE", "2026.11.27", "2026-11-27"),
        ("IN", "2026/11/27", None),
        ("JP", "2026/11-27", None),
        ("IN", "27/11/26", None),
        ("IN", "27/11-2026", None),
        ("IN", "2026-13-01", None),
        ("IN", "0000-01-01", None),
        ("IN", "tomorrow", None),
        ("IN", "20261127", None),
        ("ZZ", "27/11/2026", None),
    ],
)
def test_a_date_is_iso_8601_or_as_the_forms_country_writes_it(country: str, text: str, day: str | None) -> None:
    found = dates.read(text, country)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_date_that_a_problem_shows_is_one_wherever_a_form_may_be(country: str) -> None:
    assert dates.read(dates.example(country), country) is not None


def test_a_wrong_date_is_a_problem_with_an_example() -> None:
    problems = check(FORM, gather([("phone", "8951047001"), ("day", "soon")]))
    assert not isinstance(problems, Checked)
    assert [(str(each.code), each.values) for each in problems.items] == [("TYPE_DATE", {"example": "31/01/2000"})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Knee", ("Knee",)),
        ("knee,  BACK", ("Knee", "Back")),
        ("Knee; Back\nKnee", ("Knee", "Back")),
        ("Shoulder, left", ("Shoulder, left",)),
        ("Shoulder, Shoulder, left, Back", ("Shoulder", "Shoulder, left", "Back")),
        ("Knee, ", ("Knee",)),
    ],
)
def test_several_choices_in_one_text_are_told_apart(text: str, value: tuple[str, ...]) -> None:
    assert said(parts=text)["parts"] == value


def test_several_values_of_one_name_are_several_choices() -> None:
    pairs = [("parts", "Back"), ("parts", "Shoulder, left"), ("parts", "back"), ("parts", "")]
    checked = check(FORM, gather(pairs))
    assert isinstance(checked, Checked)
    assert checked.content.fields["parts"].value == ("Back", "Shoulder, left")


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/json", b'{"where": ["Knee", "Shoulder, left"]}'),
        ("application/x-www-form-urlencoded", b"where=Knee&where=Shoulder%2C+left"),
        ("application/x-www-form-urlencoded", b"where%5B%5D=Knee&where%5B%5D=Shoulder%2C+left"),
    ],
)
def test_choices_come_as_every_kind_of_body_has_them(kind: str, raw: bytes) -> None:
    posted = body.read(kind, raw)
    assert isinstance(posted, Posted)
    checked = check(FORM, posted)
    assert isinstance(checked, Checked)
    assert checked.content.fields["parts"].value == ("Knee", "Shoulder, left")


@pytest.mark.parametrize("text", ["Elbow", "Knee, Elbow", "Kne"])
def test_one_unknown_choice_is_a_problem(text: str) -> None:
    assert told(parts=text) == ["NOT_A_CHOICE"]


def test_nothing_ticked_is_not_given_unless_it_is_required() -> None:
    assert "parts" not in said(phone="8951047001", parts="")
    required = Form("a", {**FORM.fields, "parts": Field("parts", "choices", required=True, choices=PARTS)}, ())
    assert told(required, phone="8951047001") == ["REQUIRED_FIELD_MISSING"]


def test_the_order_of_choices_is_no_news() -> None:
    compared = TYPES["choices"].compared
    assert compared(Answer(("Back", "Knee"))) == compared(Answer(("Knee", "Back")))
    assert compared(Answer(("Back",))) != compared(Answer(("Knee", "Back")))


@given(st.lists(st.sampled_from(PARTS), min_size=1, unique=True), st.sampled_from([", ", ",", "; ", "\n"]))
def test_whatever_is_chosen_is_found_again_in_one_text(parts: list[str], between: str) -> None:
    found = [choice for _, choice in choices_of(FORM.fields["parts"], [between.join(parts)])]
    merged = {"Shoulder", "Shoulder, left"} <= set(parts)
    assert merged or found == parts


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_by_every_type(text: str) -> None:
    for name, kind in TYPES.items():
        field = Field("a", name, choices=PARTS)
        assert isinstance(kind.read(Given(FORM, field, "a", text, (text,))), Answer | Problem)
        shown(FORM, field, text)


def test_choices_and_dates_are_kept_and_read_back_as_they_were() -> None:
    content = check(FORM, gather([("phone", "8951047001"), ("parts", "Back"), ("parts", "Knee"), ("day", "1/2/2026")]))
    assert isinstance(content, Checked)
    secret = Secret("a secret of the tests, 32 and more")
    kept = {name: value for name, (_, value) in facts(secret, FORM, content.content).items()}
    read = content_of(FORM, kept)
    assert read.fields["parts"].value == ("Back", "Knee")
    lead = Lead("lead_1", "a", 1, read, 0, 0, 0, 1)
    delivery = Delivery(lead, "lead.created")
    assert msgspec.json.decode(msgspec.json.encode(envelope(delivery)))["data"]["fields"] == {
        "phone": "+918951047001",
        "parts": ["Back", "Knee"],
        "day": "2026-02-01",
    }
    assert flat(delivery)["parts"] == "Back, Knee"
