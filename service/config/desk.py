"""`[desk]` ► the pages for whoever owns the leads.

Invariant: pure; every mistake goes to the table's report.
"""

import contextlib
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from service.config.table import Table, Wrong, flag, guess, say, what, wrong
from service.config.validators import page_origin

UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Desk:
    """`[desk]`: `public_url` is the origin under which it is opened, None: as its request says.

    Days and hours are those of `timezone`. `masked`: readers see phone numbers and addresses covered.
    """

    public_url: str | None = None
    timezone: ZoneInfo = UTC
    masked: bool = True


def read_desk(keys: Table) -> Desk:
    """Return the desk at `keys`."""
    no_url: str | None = None
    desk = Desk(
        public_url=keys.read("public_url", page_origin, no_url),
        timezone=keys.read("timezone", _timezone, UTC),
        masked=keys.read("masked", flag, True),  # noqa: FBT003 -- the default of a setting
    )
    keys.finish()
    return desk


def _timezone(value: object) -> ZoneInfo | Wrong:
    allowed = 'the name of a time zone such as "Asia/Kolkata" or "Europe/London"'
    if not isinstance(value, str):
        return wrong(f"must be {allowed}, not {what(value)}")
    with contextlib.suppress(KeyError, OSError, ValueError):  # nothing of that name, a folder, a path
        return ZoneInfo(value)
    return wrong(f"{say(value)} is no time zone: it must be {allowed}.{guess(value, available_timezones())}")
