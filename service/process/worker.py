"""The worker: a dispatcher for each destination, woken by submissions, and the repair beside them.

Invariant: wires what others decide. Several workers may run; they share nothing but Redis.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis.exceptions import TimeoutError as RedisTimeoutError

from service import __version__
from service.config.config import Config
from service.delivery import heartbeat, upkeep
from service.delivery.attempt import LEASE_BEYOND_TIMEOUT
from service.delivery.carrier import carrier_to
from service.delivery.courier import Attempted, Courier
from service.delivery.dispatcher import LOOK_AGAIN_S, Dispatcher
from service.delivery.heartbeat import BEAT_EVERY_S
from service.delivery.renewal import renewing
from service.delivery.tokens import Tokens
from service.delivery.trouble import read_troubles
from service.delivery.upkeep import walk
from service.destinations.destination import Destination
from service.lib.secret import Secret
from service.notices.canary import Canaries
from service.notices.digests import Digests
from service.notices.teller import Teller
from service.process.log import (
    Log,
    log_attempt,
    log_canary,
    log_clocks,
    log_expired,
    log_mended,
    log_promoted,
    log_told,
)
from service.store.accounts import Accounts
from service.store.breaker import Gate, Pace
from service.store.cipher import PLAIN, Cipher
from service.store.keys import WAKE
from service.store.leads import Store
from service.store.overview import read_accounts
from service.store.server.connection import ANSWER_WITHIN_S
from service.store.server.ending import end_all
from service.store.server.health import FAILURES, Failure, sentence_of
from service.store.server.server import Server

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

FINISH_WITHIN_S: Final = 20.0
REPAIR_EVERY_S: Final = 600.0
REPAIR_FIRST_S: Final = 60.0
REPAIR_PAUSE_S: Final = 0.1
PROMOTE_EVERY_S: Final = 5.0
TELL_EVERY_S: Final = 60.0
EXPIRE_EVERY_S: Final = 60.0
ASK_WHEN_SILENT_FOR_S: Final = 5.0


async def _heard(wakes: "PubSub") -> dict[str, Any]:
    """Return what is heard next; raises RedisTimeoutError if not even a question is answered.

    Whoever only listens would not notice that a NAT or a balancer has forgotten the connection.
    """
    heard: dict[str, Any] | None = await wakes.get_message(timeout=ASK_WHEN_SILENT_FOR_S)
    if heard is None:
        await wakes.ping()
        heard = await wakes.get_message(timeout=ANSWER_WITHIN_S)
    if heard is None:
        raise RedisTimeoutError
    return heard


def gate_of(server: Server, destination: Destination) -> Gate:
    """Make the gate of a destination as its configuration has it."""
    gap = destination.rate.per / destination.rate.requests if destination.rate else 0.0
    pace = Pace(destination.concurrency, gap, destination.timeout + LEASE_BEYOND_TIMEOUT)
    return Gate(server, destination.name, pace)


class Worker:
    """Delivers for every destination of a configuration."""

    def __init__(
        self, config: Config, server: Server, *, secret: Secret, cipher: Cipher = PLAIN, log: Log,
        jitter: Callable[[], float], on_attempt: Callable[[Attempted], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`secret` signs links; `jitter` gives numbers in [0, 1); `on_attempt` gets every attempt, after the log."""
        self._config = config
        self._server = server
        self._store = Store(server, cipher=cipher, zone=config.zone)
        self._log = log
        self._secret = secret
        self._jitter = jitter
        self._on_attempt = on_attempt
        self._troubles: set[str] = set()
        self._name = secrets.token_urlsafe(9)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; then finish what is in flight, for 20 s at most: the rest is decided by its lease."""
        async with AsyncExitStack() as stack:
            dispatchers = {
                name: await self._dispatcher(renewing(self._config, destination), stack)
                for name, destination in self._config.destinations.items()
            }
            background = [
                *await self._telling(stack),
                asyncio.create_task(self._listen(dispatchers)),
                asyncio.create_task(self._server.keep_time(partial(log_clocks, self._log), self._trouble)),
                asyncio.create_task(self._keep_at(BEAT_EVERY_S, self._beat)),
                asyncio.create_task(self._keep_at(REPAIR_EVERY_S, self._repair, first_s=REPAIR_FIRST_S)),
                asyncio.create_task(self._keep_at(self._promote_every_s, self._promote)),
                *self._flying(),
                *self._expiring(),
            ]
            work = [asyncio.create_task(dispatcher.run(stop)) for dispatcher in dispatchers.values()]
            await stop.wait()
            for dispatcher in dispatchers.values():
                dispatcher.wake()
            if work:
                await asyncio.wait(work, timeout=FINISH_WITHIN_S)
            await end_all((*work, *background))
            with contextlib.suppress(*FAILURES):
                await heartbeat.leave(self._server, self._name)

    async def _telling(self, stack: AsyncExitStack) -> list[asyncio.Task[None]]:
        """Return what tells what is wrong, to whoever is to be told."""
        notify = self._config.notify
        if notify is None or not (notify.tells_of_trouble or notify.digest):
            return []
        carriers = [await stack.enter_async_context(carrier_to(each, self._config)) for each in notify.channels]
        desk = self._config.desk.public_url if self._config.desk else None
        channels = list(zip(notify.channels, carriers, strict=True))
        tellers: list[Teller | Digests] = []
        if notify.tells_of_trouble:
            tellers.append(Teller(self._server, self._name, channels, read=self._standing, desk=desk))
        if notify.digest:
            told = partial(Digests, self._server, self._name, channels, notify.digest, self._config.zone)
            tellers.append(told(read=self._standing, desk=desk, secret=self._secret))
        return [asyncio.create_task(self._keep_at(TELL_EVERY_S, partial(self._tell, teller))) for teller in tellers]

    async def _fly(self) -> None:
        async for form, flight in Canaries(self._server, self._name, self._config).send():
            log_canary(self._log, form, flight)

    async def _tell(self, teller: Teller | Digests) -> None:
        async for told in teller.tell():
            log_told(self._log, told)

    async def _standing(self) -> Accounts:
        """Return how everything stands, with what is wrong."""
        accounts = await read_accounts(self._server, self._config)
        trouble = (await read_troubles(self._server, self._config, accounts, None))[1]
        return msgspec.structs.replace(accounts, trouble=trouble)

    async def _beat(self) -> None:
        await heartbeat.beat(self._server, self._name, socket.gethostname(), __version__)

    async def _dispatcher(self, destination: Destination, stack: AsyncExitStack) -> Dispatcher:
        sender = await stack.enter_async_context(carrier_to(destination, self._config))
        gate = gate_of(self._server, destination)
        return Dispatcher(
            destination, self._config.forms,
            store=self._store, gate=gate, on_attempt=self._note, on_trouble=self._trouble,
            courier=Courier(
                destination, store=self._store, gate=gate, sender=sender, jitter=self._jitter,
                token=Tokens(self._server, destination.name, destination.timeout + LEASE_BEYOND_TIMEOUT).answer,
            ),
            look_again_s=max(LOOK_AGAIN_S, 1.5 * len(self._config.destinations)),
        )  # fmt: skip

    async def _listen(self, dispatchers: Mapping[str, Dispatcher]) -> None:
        while True:
            try:
                async with self._server.client.pubsub() as wakes:
                    await wakes.subscribe(WAKE)
                    for dispatcher in dispatchers.values():
                        dispatcher.wake()
                    while True:
                        message = await _heard(wakes)
                        if message["data"] in dispatchers:
                            dispatchers[message["data"]].wake()
            except Exception as error:  # noqa: BLE001 -- without it every delivery would wait for the next look
                self._trouble(error)
            await asyncio.sleep(1)

    @property
    def _promote_every_s(self) -> float:
        """A limit of a person that was taken out of the configuration may have left something behind: look rarely."""
        is_limited = any(form.limits.person for form in self._config.forms.values())
        return PROMOTE_EVERY_S if is_limited else REPAIR_EVERY_S

    def _flying(self) -> list[asyncio.Task[None]]:
        is_asked = any(form.canary for form in self._config.forms.values())
        return [asyncio.create_task(self._keep_at(TELL_EVERY_S, self._fly))] if is_asked else []

    def _expiring(self) -> list[asyncio.Task[None]]:
        retention = self._config.service.retention
        if retention is None:
            return []
        seconds = min(EXPIRE_EVERY_S, max(1.0, retention / 10_000))
        return [asyncio.create_task(self._keep_at(seconds, lambda: self._expire(retention)))]

    async def _keep_at(self, seconds: float, work: Callable[[], Awaitable[None]], *, first_s: float = 0.0) -> None:
        await asyncio.sleep(first_s)
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- one failing lead must not stop this background job
                self._trouble(error)
            await asyncio.sleep(seconds)

    async def _repair(self) -> None:
        async for mend in walk(self._store, self._config.forms, pause_s=REPAIR_PAUSE_S):
            log_mended(self._log, mend)

    async def _promote(self) -> None:
        async for promotion in upkeep.promote(self._store, self._config.forms.values()):
            log_promoted(self._log, promotion)

    async def _expire(self, retention: int) -> None:
        async for expired in upkeep.expire(self._store, self._config.forms, retention):
            log_expired(self._log, expired)

    def _note(self, attempted: Attempted) -> None:
        if self._troubles:
            self._log.info("redis is back")
            self._troubles.clear()
        log_attempt(self._log, attempted)
        self._on_attempt(attempted)

    def _trouble(self, error: Failure | Exception) -> None:
        sentence = sentence_of(error) if isinstance(error, FAILURES) else f"unexpected error ({type(error).__name__})"
        if sentence not in self._troubles:
            self._troubles.add(sentence)
            self._log.warning("trouble", reason=sentence)
