"""How a moment is written. A moment is milliseconds since 1970-01-01 UTC."""

from datetime import UTC, datetime


def timestamp(moment: int) -> str:
    """Return a time in ms as ISO 8601 in UTC with milliseconds: `2026-11-22T10:42:07.120Z`."""
    second = datetime.fromtimestamp(moment // 1000, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03d}Z"


def at(ms: int) -> str:
    """Write a time in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
