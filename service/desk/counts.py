"""What became of submissions over time: read from the counts that the deciding scripts write, never from leads.

Invariant: only reads, and adds up nothing that was not counted. A day that did not change is not read again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from service.desk.words import Times
from service.store.records import DAY_MS
from service.store.server.server import Server
from service.store.tallies import Count, days_of, read_days, read_moves

WEEKS: Final = 8
"""So many earlier weeks say what is usual."""
FEWEST_WEEKS: Final = 2
LEADS: Final = ("created", "updated")
MOST_KNOWN: Final = 20_000


@dataclass(frozen=True, slots=True)
class Ends:
    """How many submissions came to which end on each date, and how many leads came in each of its hours."""

    by_date: Mapping[date, Counter[str]]
    hours: Mapping[date, Counter[int]]

    def leads(self, day: date) -> int:
        """Return how many leads came on a date: new ones and updates."""
        return sum(self.by_date[day][end] for end in LEADS) if day in self.by_date else 0


@dataclass(slots=True)
class Calendar:
    """The ends of submissions by date in one time zone; remembers each day of UTC until its counter has moved."""

    server: Server
    zone: ZoneInfo
    _known: dict[tuple[str, int], tuple[int, Ends]] = field(default_factory=dict)

    async def read(self, forms: Iterable[str], first: date, last: date) -> dict[str, Ends]:
        """Return for each form what came from one date to another, both counted."""
        begin, end = (midnight(day, self.zone) for day in (first, last + timedelta(days=1)))
        wanted = [(form, day) for form in forms for day in days_of(begin, end)]
        await self._refresh(wanted)
        found = {form: Ends(defaultdict(Counter), defaultdict(Counter)) for form, _ in wanted}
        for form, day in wanted:
            known = self._known[form, day][1]
            for then in known.by_date:
                if first <= then <= last:
                    found[form].by_date[then].update(known.by_date[then])
                    found[form].hours[then].update(known.hours[then])
        return found

    async def _refresh(self, wanted: Sequence[tuple[str, int]]) -> None:
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        moved = {form: await read_moves(self.server, form) for form in {form for form, _ in wanted}}
        stale = [
            (form, day)
            for form, day in wanted
            if self._known.get((form, day), (-1, None))[0] != moved[form].get(day, 0)
        ]
        of_day: dict[tuple[str, int], list[Count]] = {place: [] for place in stale}
        for count in await read_days(self.server, stale) if stale else ():
            of_day[count.form, count.at // DAY_MS].append(count)
        for (form, day), counts in of_day.items():
            self._known[form, day] = moved[form].get(day, 0), self._ends_of(counts)

    def _ends_of(self, counts: Iterable[Count]) -> Ends:
        ends = Ends(defaultdict(Counter), defaultdict(Counter))
        for count in counts:
            then = datetime.fromtimestamp(count.at / 1000, self.zone)
            ends.by_date[then.date()][count.name] += count.number
            if count.name in LEADS:
                ends.hours[then.date()][then.hour] += count.number
        return ends


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return when a date begins in a time zone (ms)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


async def usual_by_now(server: Server, forms: Sequence[str], times: Times, first: date) -> float | None:
    """Return how many leads had usually come by this time of this weekday; None if too few weeks were counted.

    `first` is the date on which the first was counted.
    """
    now = times.local(times.now)
    weeks = min(WEEKS, (now.date() - first).days // 7)
    if weeks < FEWEST_WEEKS:
        return None
    days = {now.date() - timedelta(weeks=back) for back in range(1, weeks + 1)}
    counts = await read_days(server, [(form, day) for form in forms for day in _touched(days, times.zone)])
    moments = ((times.local(count.at), count.number) for count in counts if count.name in LEADS)
    return sum(number for then, number in moments if then.date() in days and then.time() <= now.time()) / weeks


def _touched(days: Iterable[date], zone: ZoneInfo) -> list[int]:
    """Return the days of UTC that these dates of a time zone have a part of."""
    begins = [midnight(day, zone) for day in days]
    return sorted({day for begin in begins for day in days_of(begin, begin + DAY_MS)})
