"""What came of a form's submissions beside what usually does: a silence, a jump of refusals.

Invariant: pure. What is usual is learned from whole weeks of the form's own counts, by the hour of the weekday; of less
than two weeks nothing is said.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from service.lib.times import length
from service.store.accounts import Trouble
from service.store.tallies import QUARTER_MS, Count

WEEK_MS: Final = 604_800_000
HOUR_MS: Final = 3_600_000
WEEKS: Final = 8
FEWEST_WEEKS: Final = 2
LONGEST_SILENCE_MS: Final = 4 * WEEK_MS
SHORTEST_SILENCE_MS: Final = 2 * HOUR_MS
BY_CHANCE_ONCE_IN_DAYS: Final = 730
"""So rarely a silence may be told though all is well: of leads that come by chance, one gap in so many days."""
FEWEST_MISSED: Final = 5
REFUSED_WITHIN_MS: Final = 2 * HOUR_MS
FEWEST_REFUSED: Final = 10
FEWEST_KNOWN: Final = 50
TIMES_THE_USUAL: Final = 3
DEVIATIONS: Final = 5
_TAKEN: Final = ("created", "updated", "repeated")


def unusual(form: str, counts: Sequence[Count], now: int, zone: ZoneInfo) -> Iterator[Trouble]:
    """Yield what is unusual at a form. `counts` are those of twelve weeks; hours are those of `zone`."""
    yield from _silence(form, counts, now, zone)
    yield from _refusals(form, counts, now)


def _silence(form: str, counts: Sequence[Count], now: int, zone: ZoneInfo) -> Iterator[Trouble]:
    taken = [count for count in counts if count.name in _TAKEN and count.at <= now]
    last = max((count.at for count in taken), default=0) + QUARTER_MS
    weeks = min(WEEKS, (last - min((count.at for count in taken), default=last)) // WEEK_MS)
    if weeks < FEWEST_WEEKS or not SHORTEST_SILENCE_MS <= now - last <= LONGEST_SILENCE_MS:
        return
    usual = _by_hour((count for count in taken if count.at >= last - weeks * WEEK_MS), zone)
    came = sum(usual[_hour(at, zone)] for at in range(last, now, QUARTER_MS)) / 4
    a_day = sum(usual.values()) / weeks / 7
    # What came in so many weeks says how improbable it is that nothing comes in one more, the less the fewer they are.
    if came * math.log1p(1 / weeks) >= max(FEWEST_MISSED, math.log(a_day * BY_CHANCE_ONCE_IN_DAYS)):
        yield Trouble(
            "SILENT",
            f"No lead came to {form} for {length(now - last)}, in which {came / weeks:.0f} usually come.",
            "Send the form from its page. If nothing arrives, the page has changed, or does not reach the service.",
            form,
        )


def _by_hour(counts: Iterator[Count], zone: ZoneInfo) -> Counter[tuple[int, int]]:
    """Return how many came in which hour of which weekday."""
    hours = Counter[tuple[int, int]]()
    for count in counts:
        hours[_hour(count.at, zone)] += count.number
    return hours


def _hour(at: int, zone: ZoneInfo) -> tuple[int, int]:
    then = datetime.fromtimestamp(at / 1000, zone)
    return then.weekday(), then.hour


def _refusals(form: str, counts: Sequence[Count], now: int) -> Iterator[Trouble]:
    begin = now - REFUSED_WITHIN_MS
    refused, taken = _ends(count for count in counts if count.at >= begin)
    refused_before, taken_before = _ends(count for count in counts if count.at < begin)
    known = refused_before + taken_before
    first = min((count.at for count in counts), default=now)
    if refused < FEWEST_REFUSED or known < FEWEST_KNOWN or now - first < FEWEST_WEEKS * WEEK_MS:
        return
    share, total = (refused_before + 1) / (known + 2), refused + taken
    spread = math.sqrt(total * share * (1 - share))
    odds, usual_odds = refused / (taken + 0.5), share / (1 - share)
    if odds >= TIMES_THE_USUAL * usual_odds and refused - total * share >= DEVIATIONS * spread:
        yield Trouble(
            "REFUSALS_JUMP",
            f"{form} refused {refused} of {total} submissions in the last {length(REFUSED_WITHIN_MS)}; "
            f"usually it is {share:.0%} of them.",
            "The log says for which codes (`submission`), and so does the desk. Has the page changed?",
            form,
        )


def _ends(counts: Iterator[Count]) -> tuple[int, int]:
    """Return how many were refused and how many taken."""
    ends = Counter[str]()
    for count in counts:
        ends[count.name] += count.number
    return ends["rejected"], sum(ends[name] for name in _TAKEN)
