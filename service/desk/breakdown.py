"""Leads a day by form, by campaign or by what was chosen; why submissions were refused; how long deliveries took.

Invariant: only reads counts, and opens no lead. What strangers named goes out as text that a page escapes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from typing import Final
from urllib.parse import urlencode

from service.desk.counts import MOST_KNOWN, Calendar
from service.desk.filters import SOMETHING_ELSE
from service.intake.counted import LABEL, campaign_in, choice_hash
from service.lib.secret import Secret
from service.model.form import Form
from service.store.cipher import Cipher, UnreadableError
from service.store.server.server import Server
from service.store.tallies import Kind, end_of_octave, named_in, read_moves, read_tallies

SHOWN: Final = 5
"""So many are drawn each in a colour of its own; all others together."""
_NONE: Final = "-"
_OTHERS: Final = "+"
_UNNAMED: Final = "="
_DAY_ONE: Final = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class Series:
    """One part of the leads: its name, what a list of leads is asked for to show them, how many on each date."""

    name: str
    asked: Mapping[str, str] | None = None
    by_date: Counter[date] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many there are in all."""
        return self.by_date.total()

    def address(self, **more: str) -> str:
        """Return the address of the leads that are counted here, "" where no list shows just those."""
        return f"/leads?{urlencode({**self.asked, **more})}" if self.asked is not None else ""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Reads what is counted by day, with what is needed to know its names."""

    server: Server
    cipher: Cipher
    secrets: Sequence[Secret]
    calendar: Calendar
    _known: dict[tuple[str, Kind, int], tuple[int, dict[str, int]]] = field(default_factory=dict)

    async def _read(self, form: str, kind: Kind, days: Sequence[date]) -> dict[date, dict[str, int]]:
        """Return what was counted on each of these dates; one of which nothing changed is not read again.

        A campaign stands there by its name, behind a `=`.
        """
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        moves = await read_moves(self.server, form)
        # A date has a part of up to three days of UTC.
        moved = {day: sum(moves.get(day + by, 0) for by in (-1, 0, 1)) for day in map(number_of, days)}
        stale = [day for day, move in moved.items() if self._known.get((form, kind, day), (-1, {}))[0] != move]
        tallies = await read_tallies(self.server, form, kind, stale) if stale else {}
        for day in stale:
            self._known[form, kind, day] = moved[day], self._named(form, kind, tallies.get(day, {}))
        return {date_of(day): self._known[form, kind, day][1] for day in moved}

    def _named(self, form: str, kind: Kind, kept: Mapping[str, str]) -> dict[str, int]:
        if kind != "campaigns":
            return {name: int(number) for name, number in kept.items()}
        found = Counter({name: int(kept[name]) for name in (_NONE, _OTHERS) if name in kept})
        for named in named_in(kept):
            found[f"={campaign_in(self.opened(form, named.label))}"] += named.number
        return found

    async def by_form(self, forms: Sequence[Form], days: Sequence[date]) -> list[Series]:
        """Return the leads of each form."""
        ends = await self.calendar.read([form.name for form in forms], days[0], days[-1])
        found = [Series(form.title or form.name, {"form": form.name}) for form in forms]
        for series, form in zip(found, forms, strict=True):
            series.by_date.update({day: ends[form.name].leads(day) for day in days})
        return largest_first(found)

    async def by_campaign(self, forms: Sequence[Form], days: Sequence[date]) -> list[Series]:
        """Return the leads of each campaign, spelled in any case."""
        none, others = Series("No campaign"), Series("Other campaigns")
        found, folded = {_NONE: none, _OTHERS: others, _UNNAMED: others}, dict[str, Series]()
        only = {"form": forms[0].name} if len(forms) == 1 else {}
        for form in forms:
            tallies = await self._read(form.name, "campaigns", days)
            for day, kept in tallies.items():
                for name, number in kept.items():
                    label = name[1:]
                    if name not in found:
                        found[name] = folded.setdefault(name.casefold(), Series(label, {**only, "campaign": label}))
                    found[name].by_date[day] += number
        return largest_first([*folded.values(), none, others])

    async def by_choice(self, form: Form, name: str, days: Sequence[date]) -> list[Series]:
        """Return the leads of each choice of a field; a lead may have made several."""
        choices = form.fields[name]
        shown = {choice: choices.label_of(choice) for choice in choices.choices} | {"": SOMETHING_ELSE}
        asked = {choice: {"form": form.name, "choice": f"{name}={choice}"} for choice in shown}
        found = {choice: Series(label, asked[choice]) for choice, label in shown.items()}
        hashes = {choice_hash(secret, form.name, name, choice): choice for secret in self.secrets for choice in found}
        tallies = await self._read(form.name, "choices", days)
        for day, kept in tallies.items():
            for hash_, number in kept.items():
                if hash_ in hashes:
                    found[hashes[hash_]].by_date[day] += number
        return largest_first(list(found.values()))

    async def refusals(self, forms: Sequence[Form], days: Sequence[date]) -> dict[tuple[str, str, str], Counter[date]]:
        """Return for each form, field ("" for the whole) and code how many were refused for it on each date."""
        found: dict[tuple[str, str, str], Counter[date]] = {}
        for form in forms:
            tallies = await self._read(form.name, "codes", days)
            for day, kept in tallies.items():
                for text, number in kept.items():
                    name, _, code = text.rpartition(" ")
                    found.setdefault((form.name, name, code), Counter())[day] += number
        return found

    async def times(self, forms: Sequence[Form], days: Sequence[date]) -> tuple[float, float] | None:
        """Return within how many ms half, and 95 of 100, of the deliveries of these days arrived; None of none."""
        octaves = Counter[int]()
        for form in forms:
            tallies = await read_tallies(self.server, form.name, "took", [*map(number_of, days)])
            for kept in tallies.values():
                octaves.update({int(octave): int(number) for octave, number in kept.items()})
        return (_within(octaves, 0.5), _within(octaves, 0.95)) if octaves else None

    def opened(self, form: str, label: str) -> str:
        """Return what strangers called something, "" if no key opens it."""
        try:
            return self.cipher.open(label, form, LABEL)
        except UnreadableError:
            return ""


def largest_first(found: Sequence[Series]) -> list[Series]:
    """Return those of which there is any, the largest first."""
    return sorted((series for series in found if series.total), key=lambda series: -series.total)


def _within(octaves: Counter[int], share: float) -> float:
    wanted = share * octaves.total()
    together = zip(sorted(octaves), accumulate(octaves[octave] for octave in sorted(octaves)), strict=True)
    return end_of_octave(next(octave for octave, number in together if number >= wanted))


def gathered(found: Sequence[Series]) -> list[Series]:
    """Return the largest, and all others as one."""
    if len(found) <= SHOWN + 1:
        return list(found)
    others = Series("All others")
    for series in found[SHOWN:]:
        others.by_date.update(series.by_date)
    return [*found[:SHOWN], others]


def dates(last: date, number: int) -> list[date]:
    """Return so many dates, the last one last."""
    return [last - timedelta(days=back) for back in range(number - 1, -1, -1)]


def number_of(day: date) -> int:
    """Return a date as counts name it: in days since 1970."""
    return day.toordinal() - _DAY_ONE


def date_of(number: int) -> date:
    """Return the date of so many days since 1970."""
    return date.fromordinal(number + _DAY_ONE)
