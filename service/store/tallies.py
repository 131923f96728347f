"""What is counted of a form's submissions by day, beside its account: campaigns, choices, codes, names, times.

Invariant: days are those of the desk's time zone, since 1970. What `shared/tally.lua` lists is written and read here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from service.lib.times import day_of
from service.model.lead import Delivery
from service.store.keys import base_of
from service.store.records import SLACK_MS
from service.store.server.server import Server


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


async def note_arrivals(
    server: Server, form: str, report: str, looked: int, *, at: int, day: int, fields: Mapping[str, int],
    names: Sequence[Name],
) -> None:  # fmt: skip
    """Count how many of the `looked` submissions had each configured field, and under which names things came.

    `report`, made at `at` (ms) on `day`, is an id under which they are counted once.
    """
    said = msgspec.json.encode({"looked": looked, "fields": fields, "names": names})
    await server.run("arrive", base_of(form), report, at, SLACK_MS, day, said)
