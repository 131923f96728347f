"""A day or a week in a few lines: what came to each form, what is usual, what waits for somebody now.

Invariant: pure; times are passed in. Nothing of any visitor's is in it. Days are those of the desk's time zone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from service.config.config import Every
from service.lib.text import many, one_line
from service.notices.notice import Notice
from service.store.accounts import Accounts
from service.store.tallies import Count

HOUR: Final = time(7)
"""When it is told, the next morning, or on Monday morning."""
WEEKS: Final = 8
FEWEST_WEEKS: Final = 2
DRAWN_DAYS: Final = 14
LONGEST_BAR: Final = 20
_LEADS: Final = ("created", "updated")
_ENDS: Final = {
    "created": ("new lead", "new leads"), "updated": ("update", "updates"), "repeated": ("repeat", "repeats"),
    "quarantined": ("held back", "held back"), "rejected": ("refused", "refused"),
    "unavailable": ("turned away by a fault of ours", "turned away by a fault of ours"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """Something that is held back: when it came (ms), to which form, and where it can be let through."""

    at: int
    form: str
    link: str


@dataclass(frozen=True, slots=True)
class Period:
    """The days that a digest is about, both counted, and when it is due (ms)."""

    first: date
    last: date
    due: int

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.first}.{self.last}"


def latest(every: Every, now: int, zone: ZoneInfo) -> Period:
    """Return the last period that is due at `now` (ms)."""
    then = datetime.fromtimestamp(now / 1000, zone)
    day = then.date() if then.time() >= HOUR else then.date() - timedelta(days=1)
    if every == "weekly":
        day -= timedelta(days=day.weekday())
    length = timedelta(days=7 if every == "weekly" else 1)
    due = datetime.combine(day, HOUR, zone).timestamp()
    return Period(day - length, day - timedelta(days=1), int(due * 1000))


def worded(
    period: Period,
    counts: Sequence[Count],
    accounts: Accounts,
    zone: ZoneInfo,
    desk: str | None,
    *,
    held: Sequence[Held] = (),
) -> Notice:
    """Return what is told of a period. `counts` reach back eight weeks before it, `accounts` are of now.

    `held` are some of those that are held back.
    """
    of_form = {name: _by_day((count for count in counts if count.form == name), zone) for name in accounts.forms}
    told = [_of_form(name, days, period) for name, days in of_form.items()]
    number = sum(_leads(days, period) for days in of_form.values())
    subject = f"{many(number, 'lead')}, {_span(period)}"
    text = "\n".join([*told, "", *_chart(of_form, period), "", *_standing(accounts, held, zone, desk)])
    return Notice(f"digest.{period.name}", subject, text, period.due)


def _by_day(counts: Iterator[Count], zone: ZoneInfo) -> dict[date, Counter[str]]:
    days: dict[date, Counter[str]] = {}
    for count in counts:
        day = datetime.fromtimestamp(count.at / 1000, zone).date()
        days.setdefault(day, Counter())[count.name] += count.number
    return days


def _ends(days: Mapping[date, Counter[str]], period: Period, weeks_before: int = 0) -> Counter[str]:
    """Return what came in a period, or in the same days so many weeks before."""
    length = (period.last - period.first).days + 1
    first = period.first - timedelta(weeks=weeks_before)
    wanted = (first + timedelta(days=number) for number in range(length))
    return sum((days[day] for day in wanted if day in days), Counter())


def _leads(days: Mapping[date, Counter[str]], period: Period, weeks_before: int = 0) -> int:
    ends = _ends(days, period, weeks_before)
    return sum(ends[end] for end in _LEADS)


def _of_form(name: str, days: Mapping[date, Counter[str]], period: Period) -> str:
    ends = _ends(days, period)
    said = [f"{ends[end]} {words[ends[end] > 1]}" for end, words in _ENDS.items() if ends[end]]
    weeks = min(WEEKS, (period.first - min(days, default=period.first)).days // 7)
    usual = sum(_leads(days, period, week) for week in range(1, weeks + 1)) / max(1, weeks)
    beside = f" (usually {usual:.0f} leads)" if weeks >= FEWEST_WEEKS else ""
    return f"{name}: {', '.join(said) or 'nothing came'}{beside}"


def _span(period: Period) -> str:
    first = f"{period.first:%A}, {period.first.day} {period.first:%B}"
    return first if period.first == period.last else f"{first} to {period.last.day} {period.last:%B}"


def _chart(of_form: Mapping[str, Mapping[date, Counter[str]]], period: Period) -> Iterator[str]:
    """Yield a bar for each of the last days, of letters: no mail program shows an SVG, and a chat no table."""
    days = [period.last - timedelta(days=back) for back in range(DRAWN_DAYS - 1, -1, -1)]
    leads = {day: sum(ends[day][end] for ends in of_form.values() if day in ends for end in _LEADS) for day in days}
    most = max(leads.values())
    if not most:
        return
    yield "Leads a day:"
    for day, number in leads.items():
        bar = "\u2588" * -(-number * LONGEST_BAR // most)
        yield f"{day:%a} {day.day:>2} {number:>{len(str(most))}} {bar}".rstrip()


def _standing(accounts: Accounts, listed: Sequence[Held], zone: ZoneInfo, desk: str | None) -> Iterator[str]:
    owed = [account for form in accounts.forms.values() for account in form.destinations.values()]
    held = sum(form.quarantined for form in accounts.forms.values())
    yield f"Waiting now: {sum(account.waiting for account in owed)}; dead: {sum(account.dead for account in owed)}"
    yield f"Held back as likely spam: {held}" + (f", {desk}/held" if held and desk else "")
    for one in listed:
        then = datetime.fromtimestamp(one.at / 1000, zone)
        yield f"- of {then.day} {then:%B}, {then:%H:%M}, {one.form}: {one.link}"
    for trouble in accounts.trouble:
        yield f"{trouble.code}: {one_line(trouble.message)}"
    if desk:
        yield f"{desk}/"
