"""A silence and a jump of refusals are told where they are unusual for this form at this time, and else not."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.delivery.unusual import HOUR_MS, WEEK_MS, unusual
from service.store.tallies import QUARTER_MS, Count

ZONE = ZoneInfo("Asia/Kolkata")
MONDAY = datetime(2026, 11, 23, tzinfo=ZONE)
START = int(MONDAY.timestamp() * 1000) - 8 * WEEK_MS
NIGHT = range(8)


def at(day: int, hour: float) -> int:
    """Return a moment of the week after the eight that were counted, ms."""
    return int((MONDAY + timedelta(days=day, hours=hour)).timestamp() * 1000)


def leads(until: int, *, a_day: float, refused: float = 0.05, weeks: int = 8, seed: int = 7) -> list[Count]:
    """Make up weeks of a form whose leads come by chance from 8 to 20 o'clock, on Sundays none."""
    chance = random.Random(seed)
    return [count for moment in _quarters(until, weeks) for count in _quarter(moment, a_day / 48, refused, chance)]


def _quarters(until: int, weeks: int) -> Iterator[int]:
    for moment in range(START + (8 - weeks) * WEEK_MS, until, QUARTER_MS):
        then = datetime.fromtimestamp(moment / 1000, ZONE)
        if 8 <= then.hour < 20 and then.weekday() < 6:
            yield moment


def _quarter(moment: int, usual: float, refused: float, chance: random.Random) -> Iterator[Count]:
    number = sum(chance.random() < usual / 20 for _ in range(20))
    if number:
        yield Count(moment, "contact", "created", number)
    if no := sum(chance.random() < refused for _ in range(number)):
        yield Count(moment, "contact", "rejected", no)


def codes(counts: list[Count], now: int) -> list[str]:
    return [trouble.code for trouble in unusual("contact", counts, now, ZONE)]


@pytest.mark.parametrize(
    ("a_day", "until", "now", "is_told"),
    [
        (100, at(0, 12), at(0, 13), False),  # an hour
        (100, at(0, 12), at(0, 14.5), True),
        (100, at(0, 20), at(1, 8.25), False),  # a night
        (100, at(5, 20), at(7, 8.25), False),  # a Sunday
        (100, at(5, 20), at(7, 12), True),
        (10, at(0, 12), at(0, 18), False),
        (10, at(0, 12), at(1, 12), True),
        (1, at(0, 12), at(3, 12), False),
        (1, at(0, 12), at(11, 12), True),
        (0.2, at(0, 12), at(7, 12), False),
    ],
)
def test_a_silence_is_told_by_what_is_usual_at_its_time(a_day: float, until: int, now: int, is_told: bool) -> None:
    counts = leads(until, a_day=a_day)
    assert ("SILENT" in codes(counts, now)) == is_told


def test_of_less_than_two_weeks_nothing_is_said() -> None:
    counts = leads(at(0, 12), a_day=100, weeks=1)
    assert codes(counts, at(2, 12)) == []
    assert codes([], at(2, 12)) == []


def test_a_form_that_is_well_is_hardly_ever_told() -> None:
    for a_day in (2, 20, 200):
        counts = leads(at(7, 0), a_day=a_day)
        checks = range(START + 3 * WEEK_MS, at(7, 0), 6 * HOUR_MS)
        told = [now for now in checks if codes([count for count in counts if count.at < now], now)]
        assert told == []


@pytest.mark.parametrize(
    ("usual", "refused", "taken", "is_told"),
    [
        (0.05, 3, 10, False),
        (0.05, 12, 10, True),
        (0.05, 12, 200, False),
        (0.4, 12, 18, False),
        (0.4, 40, 2, True),
        (0.0, 10, 0, True),
    ],
)
def test_a_jump_of_refusals_is_told_by_what_is_usual(usual: float, refused: int, taken: int, is_told: bool) -> None:
    now = at(0, 12)
    counts = leads(now - 3 * HOUR_MS, a_day=50, refused=usual)
    counts += [Count(now - HOUR_MS, "contact", "rejected", refused), Count(now - HOUR_MS, "contact", "created", taken)]
    assert codes(counts, now) == (["REFUSALS_JUMP"] if is_told else [])


def test_it_says_for_how_long_and_how_many_are_missing() -> None:
    [trouble] = unusual("contact", leads(at(0, 12), a_day=100), at(0, 16), ZONE)
    assert trouble.about == "contact"
    assert trouble.message.startswith("No lead came to contact for 4 h, in which 3")
