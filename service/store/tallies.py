"""What is counted of a form's submissions by day, beside its account: campaigns, choices, codes, names, times.

Invariant: days are those of the desk's time zone, since 1970. What `shared/tally.lua` lists is written and read here.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from service.lib.times import day_of
from service.model.lead import Delivery
from service.store.keys import base_of
from service.store.records import DAY_MS, SLACK_MS
from service.store.server.server import Server

QUARTER_MS: Final = 900_000


class Name(NamedTuple):
    """Something that strangers named: its hash, what it is called, sealed, and how often it came."""

    hash: str
    label: str
    number: int


def octave_of(ms: int) -> int:
    """Return in which quarter of an octave a time is: all of one quarter are the same to within a fifth."""
    return int(4 * math.log2(max(1, ms)))


def end_of_octave(number: int) -> float:
    """Return the time in ms that is longer than all of a quarter of an octave."""
    return math.exp2((number + 1) / 4)


def timing_of(delivery: Delivery, now: int, zone: ZoneInfo) -> tuple[int | str, int]:
    """Return the day on which its submission came and how long it took from there; "" of what says an erasure."""
    received_at = delivery.lead.received_at
    if delivery.type == "lead.erased" or not received_at:
        return "", 0
    return day_of(received_at, zone), octave_of(now - received_at)


@dataclass(frozen=True, slots=True)
class Count:
    """How many submissions of one form came to one end in a quarter of an hour, which begins at `at` (ms)."""

    at: int
    form: str
    name: str
    number: int


async def read_counts(server: Server, forms: Iterable[str], first: int, last: int) -> list[Count]:
    """Return what was counted of these forms from the day of one moment to the day of another (ms)."""
    return await read_days(server, [(form, day) for form in forms for day in days_of(first, last)])


def days_of(first: int, last: int) -> range:
    """Return the days of UTC from that of one moment to that of another (ms)."""
    return range(first // DAY_MS, last // DAY_MS + 1)


async def read_days(server: Server, wanted: Sequence[tuple[str, int]]) -> list[Count]:
    """Return what was counted of these forms on these days."""
    pipe = server.client.pipeline(transaction=False)
    for form, day in wanted:
        pipe.hgetall(_key(form, day))
    found = []
    for (form, day), kept in zip(wanted, await pipe.execute(), strict=True):
        for key, number in kept.items():
            quarter, name = str(key).split(":", 1)
            found.append(Count(day * DAY_MS + int(quarter) * QUARTER_MS, form, name, int(number)))
    return found


def _key(form: str, day: int) -> str:
    return f"{base_of(form)}day:{day}"


async def note_arrivals(
    server: Server, form: str, report: str, looked: int, *, at: int, day: int, fields: Mapping[str, int],
    names: Sequence[Name],
) -> None:  # fmt: skip
    """Count how many of the `looked` submissions had each configured field, and under which names things came.

    `report`, made at `at` (ms) on `day`, is an id under which they are counted once.
    """
    said = msgspec.json.encode({"looked": looked, "fields": fields, "names": names})
    await server.run("arrive", base_of(form), report, at, SLACK_MS, day, said)


Kind = Literal["campaigns", "choices", "codes", "names", "took"]


async def read_tallies(server: Server, form: str, kind: Kind, days: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return what was counted of a form on each of these days, as it stands; a day without anything is left out."""
    pipe = server.client.pipeline(transaction=False)
    for day in days:
        pipe.hgetall(f"{base_of(form)}day:{day}:{kind}")
    return {day: kept for day, kept in zip(days, await pipe.execute(), strict=True) if kept}


async def read_moves(server: Server, form: str) -> dict[int, int]:
    """Return for each day of UTC a number that grows whenever what was counted of its submissions changes."""
    return {int(day): int(number) for day, number in (await server.client.hgetall(f"{base_of(form)}days")).items()}


class Named(NamedTuple):
    """What strangers named, sealed as it is kept: since when that day (ms), and how often it came."""

    label: str
    since: int
    number: int


def named_in(kept: Mapping[str, str]) -> Iterator[Named]:
    """Yield everything that has a name of its own in what was counted of a day."""
    for name, text in kept.items():
        if name.startswith("=") and name[1:] in kept:
            since, _, label = text.partition(" ")
            yield Named(label, int(since), int(kept[name[1:]]))


async def read_arrivals(server: Server, form: str) -> dict[str, tuple[int, int]]:
    """Return for each field that ever came when it last did (ms), and how many submissions came without it since."""
    stored = await server.client.hgetall(f"{base_of(form)}fields")
    kept = {str(name): str(text) for name, text in stored.items()}
    came = {name[3:]: int(at) for name, at in kept.items() if name.startswith("at ")}
    return {name: (at, int(kept.get(f"since {name}", 0))) for name, at in came.items()}
