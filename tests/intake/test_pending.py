"""What waits in a web process's memory to be counted: bounded, clean, and nobody's."""

import pytest

from service.intake.pending import LONGEST_NAME, MOST_NAMES, Arrived, Pending, Refused
from service.model.form import Field, Form
from service.submission.field_match import Matched, match
from service.submission.form_data import gather

FORM = Form("f", {"phone": Field("phone", "phone"), "branch": Field("branch")}, ())


def matched(**sent: str) -> Matched:
    return match(FORM, gather(sent.items()))


def test_every_field_of_the_form_is_counted_and_under_which_name_it_came() -> None:
    arrived = Arrived()
    arrived.add(FORM, matched(phone="8951047001", colour="red"))
    arrived.add(FORM, matched(Phone="8951047001", _secret="x", utm_source="x", GCLID="x"))
    arrived.add(FORM, matched(colour="red"))  # has no field of the form
    assert arrived.looked == 2
    assert arrived.fields == {"phone": 2, "branch": 0}
    assert arrived.shown() == {("phone", "phone"): 1, ("phone", "Phone"): 1, ("", "colour"): 2}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  Your\tbranch\u202e ", "Your branch"), ("asha@example.com", ""), ("call 98450-12345", ""), ("\u200b", ""),
        ("a" * 500, "a" * LONGEST_NAME), ("\ud800x", "?x"), ("<script>", "<script>"), ("field 12345", "field 12345"),
    ],
)  # fmt: skip
def test_a_name_is_shown_clean_and_says_nothing_of_a_person(sent: str, shown: str) -> None:
    arrived = Arrived()
    arrived.add(FORM, Matched({}, {sent: "x"}))
    assert list(arrived.shown()) == [("", shown)]


def test_so_many_names_wait_and_no_more() -> None:
    arrived = Arrived()
    for number in range(3 * MOST_NAMES):
        arrived.add(FORM, Matched({}, {f"name {number}": "x"}))
    assert len(arrived.names) == MOST_NAMES + 1
    assert arrived.names["", ""] == 2 * MOST_NAMES


def test_a_report_under_way_stays_as_it_is_and_goes_first() -> None:
    pending: Pending[str, Refused] = Pending(Refused)
    pending.of("f").add(["phone EMPTY", "phone EMPTY"])
    [(_, first)] = pending.reports(1)
    pending.of("f").add([])
    assert pending.reports(2) == [("f", first)]
    assert (first.counted.number, first.counted.codes) == (1, {"phone EMPTY": 1})
    pending.forget("f")
    [(_, second)] = pending.reports(3)
    assert (second.at, second.counted.number) == (3, 1)
    assert second.id != first.id
