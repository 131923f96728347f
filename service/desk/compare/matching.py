"""A CRM's rows held beside the leads that were sent there: what it lacks, what it has twice, what never came from here.

Invariant: pure; rows are taken one by one, and of each no more is kept than its number and, of the first so many that
never came from here, who they are. Every lead is under exactly one heading of the report, and so is every row.

A row is a lead's by the id that we sent; else by a phone number, read as the lead's form reads it; else by an e-mail
address, if it has no number or the lead has none. So submissions are recognised, too (`submission.person`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal
from zoneinfo import ZoneInfo

from service.desk.compare.columns import Row
from service.desk.compare.moments import MONTH_FIRST, Moments
from service.fields import email, phone
from service.lib.text import cut
from service.model.form import Form
from service.store.sent import Sent, Standing

MOST_NAMED: Final = 1_000
"""So many rows that never came from here are named; all are counted."""
LONGEST_WHO: Final = 80


@dataclass(frozen=True, slots=True)
class Span:
    """The time in which leads are missed: its first and last moment (ms), and what says so.

    "asked": whoever compares; "times": those of the rows; "leads": those leads of ours that are among the rows.
    """

    first: int
    last: int
    source: Literal["asked", "times", "leads"]


@dataclass(frozen=True, slots=True)
class Stranger:
    """A row that is about no lead of ours: its number, and who it says it is about."""

    number: int
    who: str


@dataclass(frozen=True, slots=True)
class Twice:
    """Rows that are about one lead, or about fewer leads than there are rows."""

    lead: Sent
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison came to.

    `missing` were delivered and are not there; `waiting` and `dead` are not there and were not to be. `renumbered` are
    there by their address, under another phone number. Before and after `span` nothing is looked for: `beyond` are so
    many leads that are not there. `erased` are rows about leads that were erased here. `unreadable` rows say nothing
    that anybody could be recognised by.
    """

    rows: int
    span: Span | None
    there: int
    missing: tuple[Sent, ...]
    waiting: tuple[Sent, ...]
    dead: tuple[Sent, ...]
    renumbered: tuple[Sent, ...]
    beyond: int
    twice: tuple[Twice, ...]
    erased: tuple[int, ...]
    strangers: tuple[Stranger, ...]
    foreign: int
    unreadable: int


class Comparison:
    """All leads of one destination, and what was found of them in its rows so far."""

    def __init__(self, forms: Sequence[Form], zone: ZoneInfo) -> None:
        """Compare leads of these forms; times of rows that name no zone are those of `zone`."""
        self._places = list(dict.fromkeys((form.country, form.countries) for form in forms))
        usual = all(form.country in MONTH_FIRST for form in forms)
        self._times = Moments(zone, "month first" if usual else "day first")
        self._leads: list[Sent] = []
        self._by_id: dict[str, int] = {}
        self._by_reach: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._rows_by_id: dict[int, list[int]] = defaultdict(list)
        self._rows_by_reach: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._renumbered: set[int] = set()
        self._erased: list[int] = []
        self._strangers: list[Stranger] = []
        self.rows = self._foreign = self._unreadable = 0

    def add_leads(self, leads: Iterable[Sent]) -> None:
        """Take leads; all of them come before the first row."""
        for lead in leads:
            place = self._by_id[lead.id] = len(self._leads)
            self._leads.append(lead)
            for said in lead.reach:
                self._by_reach[said].append(place)

    @property
    def leads(self) -> int:
        """How many leads were taken."""
        return len(self._leads)

    def add_row(self, row: Row) -> None:
        """Take a row."""
        self.rows += 1
        self._times.add(row.time)
        named = self._by_id.get(row.id.strip().partition(".")[0]) if row.id else None
        if named is not None and self._leads[named].standing == "erased":
            self._erased.append(row.number)
        elif named is not None:
            self._rows_by_id[named].append(row.number)
        elif not self._found_by_reach(row):
            self._add_stranger(row)

    def _found_by_reach(self, row: Row) -> bool:
        numbers = list(chain.from_iterable(map(self._numbers, row.phones)))
        for said in numbers:
            if said in self._by_reach:
                self._rows_by_reach[said].append(row.number)
                return True
        for said in map(self._address, row.emails):
            leads = self._by_reach.get(said, [])
            if leads and (not numbers or not all(map(self._has_number, leads))):
                self._rows_by_reach[said].append(row.number)
                return True
            if leads:
                self._renumbered.update(leads)
                return True
        return False

    def _numbers(self, text: str) -> list[tuple[str, str]]:
        said = text.removeprefix("p:").lstrip("'")  # so a lead of Facebook's reads, and a cell of our own CSV
        read = [phone.read(said, country=country, countries=all_, confirm=said).phone for country, all_ in self._places]
        return [("phone", number.e164) for number in read if number and number.e164]

    def _address(self, text: str) -> tuple[str, str]:
        said = ("email", email.key_of(text.strip()))
        if said in self._by_reach or text.isascii():
            return said
        address = email.read(text)  # a domain in another script
        return ("email", address.key) if address else said

    def _has_number(self, place: int) -> bool:
        return any(type_ == "phone" for type_, _ in self._leads[place].reach)

    def _add_stranger(self, row: Row) -> None:
        said = [row.name, *row.phones, *row.emails, row.id]
        if not any((row.phones, row.emails, row.id)):
            self._unreadable += 1
            return
        self._foreign += 1
        if len(self._strangers) < MOST_NAMED:
            self._strangers.append(Stranger(row.number, cut(" ".join(filter(None, said)), LONGEST_WHO)))

    def report(self, first: int | None = None, last: int | None = None) -> Report:
        """Say what was found; `first` and `last` (ms) bound the time in which leads are missed, else the rows do."""
        there = {*self._rows_by_id}.union(*(self._by_reach[said] for said in self._rows_by_reach))
        span = self._span(there, first, last)
        lacking = [self._leads[place] for place in sorted({*range(len(self._leads))} - there - self._renumbered)]
        owed = [lead for lead in lacking if lead.standing != "erased"]
        within = sorted((lead for lead in owed if span and span.first <= lead.at <= span.last), key=_by_time)
        return Report(
            rows=self.rows, span=span, there=len(there), missing=_standing(within, "delivered"),
            waiting=_standing(within, "waiting"), dead=_standing(within, "dead"),
            renumbered=tuple(self._leads[place] for place in sorted(self._renumbered - there)),
            beyond=len(owed) - len(within), twice=tuple(self._twice()), erased=tuple(self._erased),
            strangers=tuple(self._strangers), foreign=self._foreign, unreadable=self._unreadable,
        )  # fmt: skip

    def _span(self, there: set[int], first: int | None, last: int | None) -> Span | None:
        """Return what is compared: what was asked for, else what the times of the rows, else the leads in it, cover."""
        if first is not None and last is not None:
            return Span(first, last, "asked")
        times = [self._leads[place].at for place in there]
        covered = self._times.span or ((min(times), max(times)) if times else None)
        if covered is None:
            return None
        begin = self._times.day_of(covered[0]) if first is None else first
        return Span(begin, covered[1] if last is None else last, "times" if self._times.span else "leads")

    def _twice(self) -> list[Twice]:
        found: dict[tuple[int, ...], Twice] = {}
        for said, rows in self._rows_by_reach.items():
            leads = [place for place in self._by_reach[said] if self._leads[place].standing != "erased"]
            all_rows = sorted({*rows, *chain.from_iterable(self._rows_by_id.get(place, ()) for place in leads)})
            if len(all_rows) > len(leads):
                found[tuple(all_rows)] = Twice(self._leads[leads[0]], tuple(all_rows))
        told = {row for rows in found for row in rows}
        for place, by_id in self._rows_by_id.items():
            if len(by_id) > 1 and not told.issuperset(by_id):
                found[tuple(by_id)] = Twice(self._leads[place], tuple(by_id))
        return sorted(found.values(), key=lambda twice: twice.rows)


def _standing(leads: Iterable[Sent], standing: Standing) -> tuple[Sent, ...]:
    return tuple(lead for lead in leads if lead.standing == standing)


def _by_time(lead: Sent) -> tuple[int, str]:
    return lead.at, lead.id
