"""The leads go from one running server to another, and whoever serves them follows.

Invariant: at any moment one server takes submissions and hands out deliveries, or none does. What a kill leaves:

    copying   All goes on at the old server, where a note says that a move has begun; the new one fills up, and its
              forms are closed. After a kill all goes on: the same move begins its copy anew, or `take_back` clears it.
    holding   No worker gets a new slot; what is in flight is waited for. After a kill they go on within 10 s.
    changing  Nobody is let in to the old server: connections are cut, new ones refused; visitors are taken by the
              spool. The last of what was written is copied, and both hold the same. After a kill everybody is let in
              again within 10 s, and it is as while copying.
    done      The note says so: one step, refused if anybody may have been let in meanwhile. Whoever connects to the
              old server goes on at the new one, whose forms are opened next. A kill between the two is made good by
              the next `leads move`.

One process at a time moves the leads away from a server: it holds `leads:mover` there, and stops when it could not
renew that.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from redis.exceptions import ResponseError

from service.backup.restore import BATCH, RESTORED, compare, put
from service.backup.route import Route, clear, closed_by, open_forms
from service.backup.snapshot import Snapshot
from service.lib.errors import CannotStart
from service.store.keys import FORMS, base_of
from service.store.server.cluster import Cluster
from service.store.server.ending import end_all
from service.store.server.forwarding import CONNECTION, MOVE, MOVER, MOVING, Note
from service.store.server.health import FAILURES, verdict
from service.store.server.server import Server

RUNS_OUT_MS: Final = 10_000
RENEW_EVERY_S: Final = 2.0
GREETED_WITHIN_S: Final = 2.0
_BUSY: Final = "Another `leads move` runs, or was broken off less than ten seconds ago. Try again."
_LOST: Final = "The old server was out of reach for too long. Nothing has changed there; give the same command again."
_NO_FORM: Final = "Nothing is kept on this server yet: set LEADS_REDIS_URL to the new address, and restart everything."
_SAME: Final = "Both addresses lead to the same server."
_NEW_FORM: Final = "The form {} was served for the first time while the leads were copied. Give the same command again."
_NOT_ALLOWED: Final = "To move the leads, the old server's user must be allowed CLIENT LIST and CLIENT KILL."
_WOULD_NOT_FOLLOW: Final = (
    "A process of an earlier version is connected to the old server, from {}, and would not follow: update it first."
)
_FROM_A_CLUSTER: Final = (
    "What is kept in a cluster is not moved from there while all goes on: stop the web part, then `leads backup` there "
    "and `leads restore` at the other server."
)
_IN_FLIGHT: Final = (
    "Deliveries are still in flight after {:.0f} s. All goes on where it was; give the same command again."
)


async def move(route: Route, say: Callable[[str], None]) -> dict[str, dict[str, int]]:
    """Move the leads; returns what each form holds, here and there. `say` hears what comes next.

    Raises CannotStart, with nothing changed for anybody but that the new server is not empty.
    """
    source, target, note = route.source, route.target, route.note
    if isinstance(source.client, Cluster):
        raise CannotStart(_FROM_A_CLUSTER)
    async with _moving(source) as mover:
        await _see_that_all_follow(source)
        await source.client.set(MOVE, msgspec.json.encode(note))
        if await target.client.get(MOVE) == msgspec.json.encode(note).decode():
            await source.client.delete(MOVE)
            raise CannotStart(_SAME)
        try:
            await clear(target, note.id)
        except CannotStart:
            await source.client.delete(MOVE)  # Nothing has begun: another server may be named next.
            raise
        snapshot = Snapshot(source, f"move {mover.token}")
        try:
            say("Copying, while all goes on.")
            await _begin(snapshot, target, note.id)
            await mover.carry(snapshot.standing(), target)
            await mover.carry(snapshot.noted(), target)
            say("Waiting for the deliveries in flight.")
            await _hold(route, mover, snapshot)
            say("Changing over.")
            await _see_that_all_follow(source)
            await _cut(source, mover.token)
            held = await mover.carry(snapshot.ending(), target)
            await _arrive(route, snapshot, held)
            await _leave(route, mover.token)
        except BaseException:
            await _let_go(route, mover.token, snapshot)
            raise
        await open_forms(target, note.id)
        return held


async def take_back(source: Server, target: Server, note: Note) -> bool:
    """Give up a move that is not done; False: what was copied stays, as the new server is away or not ours alone."""
    async with _moving(source):
        try:
            await clear(target, note.id)
            closed = await closed_by(target, note.id)
            await target.client.delete(*(f"{base_of(form)}copy" for form in closed), FORMS)
        except (CannotStart, *FAILURES):
            is_cleared = False
        else:
            is_cleared = True
        await source.client.delete(MOVE)
    return is_cleared


@dataclass(slots=True)
class _Mover:
    """The right to move: until `till` (monotonic seconds) nobody else has it."""

    token: str
    till: float

    async def carry(self, records: AsyncIterator[str], target: Server) -> dict[str, dict[str, int]]:
        """Write records at the new server; returns what forms are to hold, as far as these say."""
        held: dict[str, dict[str, int]] = {}
        batch: list[bytes] = []
        async for record in records:
            batch.append(record.encode())
            if len(batch) == BATCH:
                held |= await self._put(target, batch)
                batch = []
        return held | await self._put(target, batch)

    async def _put(self, target: Server, batch: list[bytes]) -> dict[str, dict[str, int]]:
        if time.monotonic() > self.till:  # Another one may have begun since, and write there.
            raise CannotStart(_LOST)
        return await put(target, batch)


@contextlib.asynccontextmanager
async def _moving(source: Server) -> AsyncIterator[_Mover]:
    token = secrets.token_hex(8)
    if not await source.client.set(MOVER, token, nx=True, px=RUNS_OUT_MS):
        raise CannotStart(_BUSY)
    mover = _Mover(token, time.monotonic() + RUNS_OUT_MS / 1000)
    task = asyncio.create_task(_keep(source, mover))
    try:
        yield mover
    finally:
        await end_all([task])
        with contextlib.suppress(*FAILURES):
            if await source.client.get(MOVER) == token:
                await source.client.delete(MOVER)


async def _keep(source: Server, mover: _Mover) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        asked = time.monotonic()
        with contextlib.suppress(*FAILURES):
            if not await source.run("renew", "leads:", mover.token, RUNS_OUT_MS):
                mover.till = 0.0
                return
            mover.till = asked + RUNS_OUT_MS / 1000


async def _begin(snapshot: Snapshot, target: Server, id: str) -> None:  # noqa: A002 -- what a note calls it
    """Have what is written noted, and the forms of the new server closed."""
    await snapshot.begin()
    if not snapshot.forms:
        raise CannotStart(_NO_FORM)
    await target.client.sadd(FORMS, *snapshot.forms)
    for form in snapshot.forms:
        await target.client.set(f"{base_of(form)}copy", f"closed {id}")


async def _hold(route: Route, mover: _Mover, snapshot: Snapshot) -> None:
    """Let nobody begin a delivery, and wait until none is in flight, while what is written goes along."""
    source, give_up_at = route.source, time.monotonic() + route.patience_s
    while True:
        in_flight = 0
        for base in await _gates(route):
            await source.client.set(f"{base}hold", mover.token, px=RUNS_OUT_MS)
            in_flight += await source.client.zcount(f"{base}slots", f"({source.now()}", "+inf")
        await mover.carry(snapshot.noted(), route.target)
        if not in_flight:
            return
        if time.monotonic() > give_up_at:
            raise CannotStart(_IN_FLIGHT.format(route.patience_s))
        await asyncio.sleep(0.2)


async def _gates(route: Route) -> set[str]:
    found = {f"leads:{{destination:{name}}}:" for name in route.destinations}
    async for key in route.source.client.scan_iter("leads:{destination:*}:slots", count=1_000):
        found.add(str(key).removesuffix("slots"))
    return found


async def _see_that_all_follow(source: Server) -> None:
    """Raise CannotStart while a process is connected that has no name, as those of version 0.1.0."""
    give_up_at = time.monotonic() + GREETED_WITHIN_S
    db = str(source.client.connection_pool.connection_kwargs.get("db", 0))
    while True:
        unnamed = [
            connection["addr"] or "a socket"
            for connection in await _connections(source)
            if (connection["name"], connection.get("lib-name"), connection["db"]) == ("", "redis-py", db)
        ]
        if not unnamed:
            return
        if time.monotonic() > give_up_at:
            raise CannotStart(_WOULD_NOT_FOLLOW.format(unnamed[0]))
        await asyncio.sleep(0.1)


async def _cut(source: Server, token: str) -> None:
    """Let nobody in any more, and cut the connections of whoever is."""
    await source.client.set(MOVING, token, px=RUNS_OUT_MS)
    for connection in await _connections(source):
        if connection["name"] == CONNECTION:
            await source.client.client_kill_filter(_id=connection["id"])


async def _connections(source: Server) -> Sequence[Mapping[str, str]]:
    try:
        return await source.client.client_list()
    except ResponseError:
        raise CannotStart(_NOT_ALLOWED) from None


async def _arrive(route: Route, snapshot: Snapshot, held: Mapping[str, Mapping[str, int]]) -> None:
    """See that the new server holds what the old one does, as durably as it must."""
    if snapshot.missed:
        raise CannotStart(_NEW_FORM.format(min(snapshot.missed)))
    await compare(route.target, held)
    await route.target.client.set(RESTORED, route.note.id)
    is_fit, why = verdict(await route.target.inspect(replicas=route.replicas), takes_risk=route.takes_risk)
    if not is_fit:
        raise CannotStart(why)


async def _leave(route: Route, token: str) -> None:
    done = msgspec.json.encode(msgspec.structs.replace(route.note, is_done=True))
    if not await route.source.run("leave", "leads:", token, done, replicas=route.replicas):
        raise CannotStart(_LOST)


async def _let_go(route: Route, token: str, snapshot: Snapshot) -> None:
    """Let everybody go on at the old server at once; what cannot be said there now runs out by itself."""
    with contextlib.suppress(*FAILURES):
        if await route.source.client.get(MOVING) == token:
            await route.source.client.delete(MOVING)
        for base in await _gates(route):
            await route.source.client.delete(f"{base}hold")
        await snapshot.abandon()
