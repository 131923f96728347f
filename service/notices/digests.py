"""Tells what came, every morning or on Mondays, to whoever is to be told; one worker does so for all.

Invariant: of what was missed only the latest is told. What was told is kept, so that a kill repeats one digest at most,
as the same mail.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from service.config.config import Every
from service.delivery.attempt import Sends
from service.destinations.destination import Destination
from service.destinations.outcome import Delivered
from service.lib.secret import Secret
from service.notices.alarms import failed_again
from service.notices.digest import WEEKS, Held, Period, latest, worded
from service.notices.links import GOOD_FOR_MS, held_link
from service.notices.notice import Notice
from service.notices.teller import Told, announce
from service.store.accounts import Accounts
from service.store.alarms import Digested, keep_digested, read_digested, tells
from service.store.overview import read_held
from service.store.records import DAY_MS
from service.store.server.server import Server
from service.store.tallies import read_counts

MOST_HELD: Final = 10
_READ_DAYS: Final = (WEEKS + 1) * 7 + 2


class Digests:
    """Tells on behalf of one worker. `channels` come with what carries them; `read` says how all stands now."""

    def __init__(
        self, server: Server, worker: str, channels: Sequence[tuple[Destination, Sends]], every: Every, zone: ZoneInfo,
        *, read: Callable[[], Awaitable[Accounts]], desk: str | None, secret: Secret,
    ) -> None:  # fmt: skip
        """`desk` is the origin under which the desk is opened, `zone` whose mornings count; `secret` signs links."""
        self._server = server
        self._worker = worker
        self._channels = channels
        self._every = every
        self._zone = zone
        self._read = read
        self._desk = desk
        self._secret = secret

    async def tell(self) -> AsyncIterator[Told]:
        """Tell each channel the latest digest if it lacks that; yield what became of it."""
        if not await tells(self._server, self._worker):
            return
        now = self._server.now()
        period = latest(self._every, now, self._zone)
        notice: Notice | None = None
        for destination, carrier in self._channels:
            before = await read_digested(self._server, destination.name)
            if before.period == period.name or (before.failing and before.failing.due > now):
                continue
            notice = notice or await self._worded(period)
            outcome = await announce(notice, destination, carrier, self._server)
            after = Digested(period.name)
            if not isinstance(outcome, Delivered):
                failing = failed_again(before.failing, outcome.reason, self._server.now())
                after = Digested(before.period, failing)
            await keep_digested(self._server, destination.name, after)
            yield Told("", period.name, destination.name, "digest", outcome)

    async def _worded(self, period: Period) -> Notice:
        accounts = await self._read()
        counts = await read_counts(self._server, accounts.forms, period.due - _READ_DAYS * DAY_MS, period.due)
        return worded(period, counts, accounts, self._zone, self._desk, held=await self._held(period, accounts.forms))

    async def _held(self, period: Period, forms: Iterable[str]) -> list[Held]:
        if self._desk is None:
            return []
        held, until = await read_held(self._server, forms, MOST_HELD), period.due + GOOD_FOR_MS
        return [Held(at, form, self._desk + held_link(self._secret, form, id_, until)) for at, form, id_ in held]
