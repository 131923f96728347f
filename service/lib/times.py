"""How a moment is written, and how long something lasts. A moment is milliseconds since 1970-01-01 UTC."""

from datetime import UTC as PLAIN_UTC
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

UTC: Final = ZoneInfo("UTC")
_DAY_ONE: Final = date(1970, 1, 1).toordinal()


def timestamp(moment: int) -> str:
    """Return a time in ms as ISO 8601 in UTC with milliseconds: `2026-11-22T10:42:07.120Z`."""
    second = datetime.fromtimestamp(moment // 1000, PLAIN_UTC)
    return f"{second.isoformat().removesuffix('+00:00')}.{moment % 1000:03d}Z"


def length(ms: float) -> str:
    """Write how long something took: `340 ms`, `4.2 s`, `42 s`, `5 min`, `3 h`, `2 days`."""
    seconds = max(0.0, ms / 1000)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 -- below, a tenth still says something
        return f"{seconds:.1f} s"
    for unit, size, until in (("s", 1, 90), ("min", 60, 5_400), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86_400)} days"


def at(ms: int, zone: ZoneInfo = UTC) -> str:
    """Write a time of a time zone, to the second."""
    return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def day_of(ms: int, zone: ZoneInfo) -> int:
    """Return the date that a moment has in a time zone, in days since 1970-01-01."""
    return datetime.fromtimestamp(ms / 1000, zone).toordinal() - _DAY_ONE
