"""An export held beside what is kept: every lead of the destination is read, then every row.

Invariant: only reads, in slices, so that others who wait for this process wait a moment.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from service.config.config import Config
from service.desk.compare.columns import Layout
from service.desk.compare.matching import Comparison
from service.desk.compare.table import Table
from service.fields import phone
from service.lib.times import UTC
from service.model.form import Form
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.sent import Sent, sent_to
from service.store.server.server import Server

ROWS_AT_ONCE: Final = 50

OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where leads are kept, and what reads them."""

    config: Config
    server: Server
    cipher: Cipher

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of days, and of times that name none."""
        return self.config.desk.timezone if self.config.desk else UTC


async def compare(table: Table, layout: Layout, kept: Kept, destination: str, tell: OnProgress) -> Comparison:
    """Hold a table beside the leads of a destination; `tell` is told how far it is.

    Raises UnreadableError for a lead that no key opens, and NoTableError for a row that cannot be read.
    """
    forms = await _forms_to(kept, destination)
    phone.warm(country for form in forms for country in (form.country, *form.countries))
    comparison = Comparison(forms, kept.zone)
    for form in forms:
        async for leads in sent_to(kept.server, kept.cipher, form, destination):
            comparison.add_leads(leads)
            tell(f"{comparison.leads:,} leads read")
    for number, cells in table.read():
        comparison.add_row(layout.read(number, cells))
        if comparison.rows % ROWS_AT_ONCE == 0:
            tell(f"{comparison.rows:,} of {table.rows:,} rows compared")
            await asyncio.sleep(0)
    return comparison


async def _forms_to(kept: Kept, destination: str) -> list[Form]:
    """Return the forms that a destination has or had leads of."""
    store = Store(kept.server)
    return [
        form
        for name, form in kept.config.forms.items()
        if destination in (await store.account(name, form.deliver, {})).destinations
    ]


async def send_again(kept: Kept, destination: str, missing: Iterable[Sent]) -> int:
    """Send what is missing again, as `leads replay` does; returns how many are due now."""
    store = Store(kept.server)
    sent = [await store.replay(lead.form, destination, lead.id, what="any") for lead in missing]
    return sum(version > 0 for version in sent)


def bounds(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """Return the first and the last moment (ms) of the days from one to another, None for a bound that is not set."""
    first = None if since is None else _midnight(since, zone)
    return first, None if until is None else _midnight(until + timedelta(days=1), zone) - 1


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
