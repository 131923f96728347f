"""How a moment is written. A moment is milliseconds since 1970-01-01 UTC."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

UTC: Final = ZoneInfo("UTC")


def timestamp(moment: int) -> str:
    """Return a time in ms as ISO 8601 in UTC with milliseconds: `2026-11-22T10:42:07.120Z`."""
    second = datetime.fromtimestamp(moment // 1000, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03d}Z"


def at(ms: int, zone: ZoneInfo = UTC) -> str:
    """Write a time of a time zone, to the second."""
    return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
