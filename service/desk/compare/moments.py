"""The times of an export, as CRMs write them: from when to when its rows are.

Invariant: pure. Whether `03/04/2026` is a day in March or in April is decided by the whole column: the order that more
of its cells can be read in, and where both read all of them, the order that is usual in the form's country.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import timezone as offset
from typing import Final, Literal
from zoneinfo import ZoneInfo

from service.lib.times import UTC

Order = Literal["day first", "month first"]

MONTH_FIRST: Final = frozenset({"US", "PH", "FM", "PW", "MH"})
"""Countries that write the month before the day (CLDR, the short dates)."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK: Final = (
    r"(?:(?:,|\s+at)?[\sT]\s*(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|(?:GMT|UTC)?[+-]\d\d:?\d\d)?)?"
)
_SHAPES: Final = tuple(
    re.compile(rf"(?:[A-Za-z]{{3,9}},?\s+)?{day}{_CLOCK}")
    for day in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
        r"(?P<one>\d{1,2})[-/.](?P<two>\d{1,2})[-/.](?P<year>\d{4}|\d\d)",
        r"(?P<day>\d{1,2})[\s-](?P<month>[A-Za-z]{3,9})\.?,?[\s-](?P<year>\d{4}|\d\d)",
        r"(?P<month>[A-Za-z]{3,9})\.?\s(?P<day>\d{1,2}),?\s(?P<year>\d{4})",
    )
)
_UNIX: Final = re.compile(r"1\d{9}(?:\d{3})?")
_LONGEST: Final = 64


def read_moment(text: str, order: Order, zone: ZoneInfo) -> int | None:
    """Return a moment in ms; one that names no zone is one of `zone`. None: it cannot be read."""
    said = text.strip()
    if _UNIX.fullmatch(said):
        return int(said) * (1000 if len(said) == 10 else 1)  # noqa: PLR2004 -- seconds have ten digits, until 2286
    if len(said) > _LONGEST:
        return None
    for shape in _SHAPES:
        if found := shape.fullmatch(said):
            return _moment(found.groupdict(), order, zone)
    return None


def _moment(parts: dict[str, str | None], order: Order, zone: ZoneInfo) -> int | None:
    def said(name: str) -> str:
        return parts.get(name) or ""

    day, month = ("one", "two") if order == "day first" else ("two", "one")
    month = said("month") or said(month)
    year = int(said("year"))
    try:
        when = datetime(
            year + 2000 if year < 100 else year,  # noqa: PLR2004 -- two digits of a year
            int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1,
            int(said("day") or said(day)),
            _hour(int(said("hour") or 0), said("half").lower()),
            int(said("minute") or 0),
            int(said("second") or 0),
            tzinfo=_zone(parts["zone"], zone),
        )
        return int(when.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _hour(hour: int, half: str) -> int:
    return hour % 12 + 12 * half.startswith("p") if half else hour


def _zone(said: str | None, usual: ZoneInfo) -> ZoneInfo | offset:
    if said is None:
        return usual
    digits = re.sub(r"\D", "", said)
    if not digits:
        return UTC
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return offset(-ahead if "-" in said else ahead)


@dataclass(slots=True)
class _Seen:
    first: int | None = None
    last: int | None = None
    unread: int = 0

    def add(self, moment: int | None) -> None:
        if moment is None:
            self.unread += 1
            return
        self.first = moment if self.first is None else min(self.first, moment)
        self.last = moment if self.last is None else max(self.last, moment)


@dataclass(slots=True)
class Moments:
    """The first and the last moment of a column that is read cell by cell."""

    zone: ZoneInfo
    usual: Order
    _seen: dict[Order, _Seen] = field(default_factory=lambda: {"day first": _Seen(), "month first": _Seen()})

    def add(self, text: str) -> None:
        """Take the next cell; an empty one says nothing."""
        if text.strip():
            for order, seen in self._seen.items():
                seen.add(read_moment(text, order, self.zone))

    @property
    def order(self) -> Order:
        """The order of day and month in this column."""
        by_day, by_month = self._seen["day first"].unread, self._seen["month first"].unread
        return self.usual if by_day == by_month else "day first" if by_day < by_month else "month first"

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last moment (ms), None if no cell could be read."""
        seen = self._seen[self.order]
        return None if seen.first is None or seen.last is None else (seen.first, seen.last)

    @property
    def unread(self) -> int:
        """How many cells could not be read."""
        return self._seen[self.order].unread

    def day_of(self, moment: int) -> int:
        """Return when the day of a moment began."""
        day = datetime.fromtimestamp(moment / 1000, self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return int(day.timestamp() * 1000)
