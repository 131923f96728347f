"""Tells what is wrong to whoever is to be told, a round at a time; one worker does so for all.

Invariant: what is to be told is decided in `alarms`; what was told is kept before the next thing is, so that a kill
repeats one notice at most, as the same mail.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from service.delivery.attempt import Sends, converse
from service.destinations.destination import Destination
from service.destinations.outcome import Delivered, Outcome
from service.notices.alarms import follow, is_settled, not_told, owed, told, worded
from service.notices.notice import Notice, announcing
from service.store.accounts import Accounts
from service.store.alarms import Alarm, Part, keep_alarms, read_alarms, tells
from service.store.server.server import Server


@dataclass(frozen=True, slots=True)
class Told:
    """What became of telling a channel something: the beginning or the end of an alarm, or a digest.

    `about` is what the alarm is about, or the period of the digest, whose `code` is "".
    """

    code: str
    about: str
    channel: str
    part: Literal["begun", "ended", "digest"]
    outcome: Outcome


class Teller:
    """Tells on behalf of one worker. `channels` come with what carries them; `read` says how all stands now."""

    def __init__(
        self,
        server: Server,
        worker: str,
        channels: Sequence[tuple[Destination, Sends]],
        *,
        read: Callable[[], Awaitable[Accounts]],
        desk: str | None,
    ) -> None:
        """`desk` is the origin under which the desk is opened."""
        self._server = server
        self._worker = worker
        self._channels = channels
        self._read = read
        self._desk = desk

    async def tell(self) -> AsyncIterator[Told]:
        """Look at what is wrong, and tell what is owed now; yield what became of it."""
        if not await tells(self._server, self._worker):
            return
        kept = await read_alarms(self._server)
        alarms = follow(kept, (await self._read()).trouble, self._server.now())
        await self._keep(kept, alarms)
        for key in [*alarms]:
            for destination, carrier in self._channels:
                part = owed(alarms[key], destination.name, self._server.now())
                if part is None:
                    continue
                outcome = await self._announce(alarms[key], part, destination, carrier)
                before, alarms[key] = alarms[key], self._after(alarms[key], destination.name, part, outcome)
                await self._keep({key: before}, {key: alarms[key]})
                yield Told(before.code, before.about, destination.name, part, outcome)

    async def _announce(self, alarm: Alarm, part: Part, destination: Destination, carrier: Sends) -> Outcome:
        return await announce(worded(alarm, part, self._desk), destination, carrier, self._server)

    def _after(self, alarm: Alarm, channel: str, part: Part, outcome: Outcome) -> Alarm:
        if isinstance(outcome, Delivered):
            return told(alarm, channel, part)
        return not_told(alarm, channel, outcome.reason, self._server.now())

    async def _keep(self, before: Mapping[str, Alarm], alarms: Mapping[str, Alarm]) -> None:
        """Write the alarms, but those that nobody waits to hear the end of."""
        names = [destination.name for destination, _ in self._channels]
        await keep_alarms(
            self._server, before, {key: alarm for key, alarm in alarms.items() if not is_settled(alarm, names)}
        )


async def announce(notice: Notice, destination: Destination, carrier: Sends, server: Server) -> Outcome:
    """Bring a notice to a channel and say what came of it."""
    return await converse(destination, carrier, partial(announcing, destination, notice, server.clock))
