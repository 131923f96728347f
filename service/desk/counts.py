"""What became of submissions over time: read from the counts that the deciding scripts write, never from leads.

Invariant: only reads, a hash a form and day, and adds up nothing that was not counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from service.desk.words import Times
from service.store.keys import base_of
from service.store.server.server import Server

DAY_MS: Final = 86_400_000
QUARTER_MS: Final = 900_000
WEEKS: Final = 8
"""So many earlier weeks say what is usual."""
FEWEST_WEEKS: Final = 2
LEADS: Final = ("created", "updated")


@dataclass(frozen=True, slots=True)
class Count:
    """How many submissions of one form came to one end in a quarter of an hour, which begins at `at` (ms)."""

    at: int
    form: str
    name: str
    number: int


async def read_counts(server: Server, forms: Iterable[str], first: int, last: int) -> list[Count]:
    """Return what was counted of these forms from the day of one moment to the day of another (ms)."""
    wanted = [(form, day) for form in forms for day in range(first // DAY_MS, last // DAY_MS + 1)]
    pipe = server.client.pipeline(transaction=False)
    for form, day in wanted:
        pipe.hgetall(f"{base_of(form)}day:{day}")
    found = []
    for (form, day), kept in zip(wanted, await pipe.execute(), strict=True):
        for key, number in kept.items():
            quarter, _, name = str(key).partition(":")
            if name:  # "n" alone says how often the others changed
                found.append(Count(day * DAY_MS + int(quarter) * QUARTER_MS, form, name, int(number)))
    return found


def by_day(counts: Iterable[Count], times: Times, days: int) -> list[tuple[date, Counter[str]]]:
    """Return the last so many days, today last, each with how many came to which end."""
    today = times.local(times.now).date()
    found = {today - timedelta(days=back): Counter[str]() for back in range(days - 1, -1, -1)}
    for count in counts:
        if (day := times.local(count.at).date()) in found:
            found[day][count.name] += count.number
    return list(found.items())


def by_hour(counts: Iterable[Count], times: Times) -> list[int]:
    """Return how many leads came in each hour of the day."""
    hours = Counter(times.local(count.at).hour for count in counts for _ in range(count.number) if count.name in LEADS)
    return [hours[hour] for hour in range(24)]


def usual_by_now(counts: Iterable[Count], times: Times) -> float | None:
    """Return how many leads had usually come by this time of this weekday; None if too few weeks were counted."""
    now = times.local(times.now)
    listed = [count for count in counts if count.name in LEADS]
    first = min((times.local(count.at).date() for count in listed), default=now.date())
    weeks = min(WEEKS, (now.date() - first).days // 7)
    if weeks < FEWEST_WEEKS:
        return None
    days = {now.date() - timedelta(weeks=back) for back in range(1, weeks + 1)}
    moments = ((times.local(count.at), count.number) for count in listed)
    return sum(number for then, number in moments if then.date() in days and then.time() <= now.time()) / weeks
