"""A CRM's rows beside the leads that were sent there: what is missing, twice and foreign is named, and nothing else."""

from dataclasses import dataclass, field
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.desk.compare.columns import Row, recognise
from service.desk.compare.matching import Comparison
from service.desk.compare.moments import Moments, read_moment
from service.fields import phone
from service.lib.times import UTC
from service.model.form import Field, Form
from service.store.sent import Sent, Standing

DAY_MS = 86_400_000
NOON = 1_795_348_800_000  # 2026-11-22 12:00 UTC
FORM = Form("get-in-touch", {"phone": Field("phone", "phone"), "email": Field("email", "email")}, ("crm",))


def lead(number: int, standing: Standing = "delivered", *, email: str = "", tel: str = "", at: int = NOON) -> Sent:
    reach = [("phone", tel), ("email", email)]
    return Sent(f"lead_{number:020x}", FORM.name, standing, at, frozenset(said for said in reach if said[1]))


ASHA = lead(1, tel="+918951047001", email="asha@example.com")
RAVI = lead(2, email="ravi@example.com", at=NOON + 1000)
SAME = lead(7, tel="+918951047001")
MINA = lead(3, tel="+919845098453", email="asha@example.com", at=NOON + 2000)


def compared(
    leads: list[Sent], *rows: Row, first: int | None = 0, last: int | None = NOON + DAY_MS
) -> dict[str, object]:
    """Return what is in a report, by what is not empty."""
    comparison = Comparison([FORM], UTC)
    comparison.add_leads(leads)
    for row in rows:
        comparison.add_row(row)
    report = comparison.report(first, last)
    found: dict[str, object] = {
        "missing": [each.id for each in report.missing], "waiting": [each.id for each in report.waiting],
        "dead": [each.id for each in report.dead], "renumbered": [each.id for each in report.renumbered],
        "twice": [each.rows for each in report.twice], "foreign": [each.number for each in report.strangers],
        "erased": list(report.erased), "unreadable": report.unreadable, "beyond": report.beyond,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([Row(2, id=ASHA.id)], {}),
        ([Row(2, id=f"{ASHA.id}.3")], {}),
        ([Row(2, id="00Q5g000001", phones=("089510 47001",))], {}),
        ([Row(2, phones=("918951047001.0",))], {}),
        ([Row(2, phones=("p:+918951047001",))], {}),
        ([Row(2, phones=("'+91 89510-47001",))], {}),
        ([Row(2, phones=("022 1", "8951047001"))], {}),
        ([Row(2, emails=(" Asha@Example.com",))], {}),
        ([], {"missing": [ASHA.id]}),
        ([Row(2, phones=("8951047002",))], {"missing": [ASHA.id], "foreign": [2]}),
        ([Row(2, phones=("8951047002",), emails=("asha@example.com",))], {"renumbered": [ASHA.id]}),
        ([Row(2, name="Asha")], {"missing": [ASHA.id], "unreadable": 1}),
        ([Row(2, id=ASHA.id), Row(9, id=f"{ASHA.id}.2")], {"twice": [(2, 9)]}),
        ([Row(2, id=ASHA.id), Row(9, phones=("8951047001",))], {"twice": [(2, 9)]}),
        ([Row(2, phones=("8951047001",)), Row(3, phones=("+918951047001",))], {"twice": [(2, 3)]}),
        ([Row(2, id="lead_00000000000000000099")], {"missing": [ASHA.id], "foreign": [2]}),
    ],
)  # fmt: skip
def test_a_row_is_known_by_id_number_or_address(rows: list[Row], found: dict[str, object]) -> None:
    assert compared([ASHA], *rows) == found


@pytest.mark.parametrize(
    ("leads", "rows", "found"),
    [
        ([RAVI], [Row(2, phones=("8951047009",), emails=("ravi@example.com",))], {}),  # it has no number of its own
        ([ASHA, MINA], [Row(2, phones=("8951047001",), emails=("asha@example.com",))], {"missing": [MINA.id]}),
        ([lead(1, "waiting", tel="+918951047001")], [], {"waiting": [lead(1).id]}),
        ([lead(1, "dead", tel="+918951047001")], [], {"dead": [lead(1).id]}),
        ([lead(1, "dead", tel="+918951047001")], [Row(2, phones=("8951047001",))], {}),
        ([Sent("lead_gone", FORM.name, "erased")], [Row(2, id="lead_gone")], {"erased": [2]}),
        ([ASHA, SAME], [Row(2, phones=("8951047001",))], {}),  # one record for both enquiries
        ([ASHA, SAME], [Row(n, phones=("8951047001",)) for n in (2, 3)], {}),
        ([ASHA, SAME], [Row(n, phones=("8951047001",)) for n in (2, 3, 4)], {"twice": [(2, 3, 4)]}),
        ([ASHA, SAME], [Row(n, id=ASHA.id) for n in (2, 3)], {"missing": [SAME.id], "twice": [(2, 3)]}),
        ([lead(1, tel="+918951047001", at=-1)], [], {"beyond": 1}),
    ],
)  # fmt: skip
def test_a_lead_stands_under_one_heading(leads: list[Sent], rows: list[Row], found: dict[str, object]) -> None:
    assert compared(leads, *rows) == found


def test_the_days_are_those_of_the_times_in_the_file_or_of_the_leads_that_it_has() -> None:
    late, early = lead(5, tel="+918951047005", at=NOON + DAY_MS), lead(6, tel="+918951047006", at=NOON - 9 * 3_600_000)
    leads = [ASHA, RAVI, late, early]
    row = Row(2, id=ASHA.id)
    assert compared(leads, row, first=None, last=None) == {"missing": [early.id], "beyond": 2}
    timed = Row(2, id=ASHA.id, time="22/11/2026 23:59")
    assert compared(leads, timed, first=None, last=None) == {"missing": [early.id, RAVI.id], "beyond": 1}
    assert compared(leads, row, first=NOON, last=None) == {"beyond": 3}
    assert compared(leads, first=None, last=None) == {"beyond": 4}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-22 12:00:00", NOON), ("2026-11-22T12:00:00Z", NOON), ("2026-11-22T17:30:00.000+05:30", NOON),
        ("22/11/2026 12:00", NOON), ("22.11.26, 12:00", NOON), ("22-11-2026 12:00:00 PM", NOON),
        ("Nov 22, 2026 12:00 PM", NOON), ("22 November 2026 at 12:00", NOON), ("Sun, 22 Nov 2026 12:00:00 GMT", NOON),
        ("1795348800", NOON), ("1795348800000", NOON), ("2026-11-22", NOON - DAY_MS // 2),
        ("yesterday", None), ("", None),
        ("31/02/2026", None), ("22/22/2026", None), ("9" * 500, None), ("x 22, 2026", None),
    ],
)  # fmt: skip
def test_a_moment_is_read_as_crms_write_it(text: str, said: int | None) -> None:
    assert read_moment(text, "day first", UTC) == said


@pytest.mark.parametrize(
    ("cells", "usual", "order"),
    [
        (["03/04/2026", "13/04/2026"], "month first", "day first"),
        (["03/04/2026", "04/13/2026"], "day first", "month first"),
        (["03/04/2026"], "day first", "day first"), (["03/04/2026"], "month first", "month first"),
    ],
)  # fmt: skip
def test_the_whole_column_says_whether_the_day_comes_first(cells: list[str], usual: str, order: str) -> None:
    moments = Moments(ZoneInfo("Asia/Kolkata"), "month first" if usual == "month first" else "day first")
    for cell in cells:
        moments.add(cell)
    assert moments.order == order


@pytest.mark.parametrize(
    ("name", "cells", "role"),
    [
        ("Phone", ["8951047001"], "phone"), ("Mobile No.", ["+91-8951047001", ""], "phone"), ("Telefon", [], "phone"),
        ("Column", ["+918951047001", "+14155550123"], "phone"), ("Lead Id", ["00Q5g1", "00Q5g2"], ""),
        ("Lead Id", ["lead_af663f1aadc14c42972b"], "id"), ("webhook_id", [], "id"),
        ("External", ["", "lead_af663f1aadc14c42972b.1"], "id"), ("E-Mail", ["a@example.com"], "email"),
        ("Contact", ["a@example.com"], "email"), ("Full Name", ["Asha"], "name"), ("Campaign Name", ["Spring"], ""),
        ("Created Time", ["2026-11-22 10:00"], "time"), ("Create Date", ["soon"], ""), ("Phone Calls", ["yes"], ""),
        ("Amount", ["120000000"], ""), ("", ["x"], ""),
    ],
)  # fmt: skip
def test_a_column_is_recognised_by_its_name_and_what_stands_in_it(name: str, cells: list[str], role: str) -> None:
    assert recognise([name], [[cell] for cell in cells])[0].role == role


def test_of_several_columns_with_times_the_one_of_making_counts() -> None:
    names = ["Modified Date", "Created Date", "Phone", "Mobile"]
    roles = [column.role for column in recognise(names, [["2026-11-23", "2026-11-22", "8951047001", "8951047002"]])]
    assert roles == ["", "time", "phone", "phone"]


@dataclass(slots=True)
class Exported:
    """What a CRM with these leads would export, and what is wrong with it."""

    rows: list[Row] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    twice: set[tuple[int, ...]] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)


def export(leads: list[Sent], fates: list[tuple[str, str]]) -> Exported:
    made = Exported()

    def add(known: Sent | None, way: str, number: int) -> int:
        tel = f"+9198{number:08d}" if known is None else next(said for type_, said in known.reach if type_ == "phone")
        address = f"{'stranger' if known is None else 'person'}{number}@example.com"
        spelled = {
            "id": Row(0, id=f"{known.id}.1" if known else f"lead_{number:020x}x", phones=("",)),
            "phone": Row(0, phones=(f"0{tel[3:8]} {tel[8:]}",), name="Somebody"),
            "email": Row(0, emails=(address.upper(),)),
        }[way]
        made.rows.append(Row(len(made.rows) + 2, spelled.id, spelled.phones, spelled.emails, spelled.name))
        return made.rows[-1].number

    for number, (known, (fate, way)) in enumerate(zip(leads, fates, strict=True)):
        if fate == "dropped":
            made.missing.add(known.id)
            continue
        rows = [add(known, way, number)]
        if fate == "doubled":
            made.twice.add((rows[0], add(known, way, number)))
        if fate == "beside a stranger":
            made.foreign.add(add(None, way, number + 50_000_000))
    return made


FATES = st.tuples(
    st.sampled_from(["there", "dropped", "doubled", "beside a stranger"]), st.sampled_from(["id", "phone", "email"])
)


@given(st.lists(FATES, max_size=30), st.randoms(use_true_random=False))
def test_whatever_was_dropped_doubled_or_added_is_named_exactly(fates: list[tuple[str, str]], chance: object) -> None:
    leads = [lead(n, tel=f"+9198{n:08d}", email=f"person{n}@example.com", at=NOON + n) for n in range(len(fates))]
    made = export(leads, fates)
    chance.shuffle(leads)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    comparison = Comparison([FORM], UTC)
    comparison.add_leads(leads)
    for row in made.rows:
        comparison.add_row(row)
    report = comparison.report(0, NOON + DAY_MS)
    assert {each.id for each in report.missing} == made.missing
    assert {each.rows for each in report.twice} == made.twice
    assert {each.number for each in report.strangers} == made.foreign
    assert report.there == len(leads) - len(made.missing)


@pytest.mark.long
def test_a_hundred_thousand_rows_beside_as_many_leads_take_seconds() -> None:
    phone.warm(["IN", "US", "GB", "AE"])
    began = process_time()
    comparison = Comparison([FORM], UTC)
    comparison.add_leads(
        lead(n, tel=f"+9198{n:08d}", email=f"person{n}@example.com", at=NOON + n) for n in range(100_000)
    )
    for n in range(100_000):
        comparison.add_row(
            Row(n + 2, phones=(f"098{n:08d}",), emails=(f"person{n}@example.com",), time="22/11/2026 10:42")
        )
    report = comparison.report()
    took = process_time() - began
    assert (report.there, report.missing, report.foreign) == (100_000, (), 0)
    assert took < 120, "of CPU: some 10 s on a machine that nothing else uses"
