"""Takes out of Redis what must not be kept any longer: a person, what is too old, receipts of what is gone.

Invariant: `erase.lua`, `expire.lua` and `sweep.lua` decide and delete; this module only asks them, slice by slice.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from service.store.keys import base_of
from service.store.records import SLACK_MS
from service.store.server.server import Server

if TYPE_CHECKING:
    from redis.asyncio import Redis

SLICE: Final = 100
REWRITTEN: Final = "leads:rewritten"
REWRITE_EVERY_S: Final = 86_400
REWRITE_WITHIN_S: Final = 60.0


class ErasedLead(NamedTuple):
    """A lead that is gone: the destinations that are told its id, and those that may have it and cannot be told."""

    form: str
    lead: str
    told: tuple[str, ...]
    untold: tuple[str, ...]


class Erased(NamedTuple):
    """What was erased of a person at one form."""

    leads: tuple[ErasedLead, ...]
    quarantined: int


class Expired(NamedTuple):
    """What became too old at one form."""

    form: str
    leads: int
    quarantined: int


class Eraser:
    """Deletes what is kept on `server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def find(self, form: str, hashes: Iterable[str]) -> list[str]:
        """Return what is held under these person hashes: lead ids, and "?id" of quarantined submissions."""
        found: dict[str, None] = {}
        for hash_ in hashes:
            held = await self._server.client.hget(f"{base_of(form)}index", hash_)
            found |= dict.fromkeys(str(held or "").split())
        return list(found)

    async def erase(self, form: str, hashes: Iterable[str], understands: Iterable[str]) -> Erased:
        """Erase whoever has these person hashes, and what of them may still be on its way.

        `understands` are the destinations to which an erasure can be told.
        """
        leads, quarantined = await self._server.run(
            "erase", base_of(form), self._server.now(), SLACK_MS, msgspec.json.encode(list(understands)), *hashes
        )
        gone = tuple(ErasedLead(form, lead, tuple(told), tuple(untold)) for lead, told, untold in leads)
        return Erased(gone, int(quarantined))

    async def expire(self, form: str, before: int) -> Expired:
        """Delete what is settled and older than `before` (ms)."""
        leads = quarantined = start = 0
        while True:
            gone, dropped, stayed = await self._server.run(
                "expire", base_of(form), self._server.now(), before, start, SLICE
            )
            leads, quarantined, start = leads + gone, quarantined + dropped, start + stayed
            if gone + stayed < SLICE and dropped < SLICE:
                return Expired(form, leads, quarantined)

    async def sweep(self, form: str) -> int:
        """Remove the receipts of what is no longer kept; returns how many."""
        cursor: str | bytes = "0"
        total = 0
        while True:
            cursor, removed = await self._server.run("sweep", base_of(form), cursor, SLICE)
            total += int(removed)
            if str(cursor) == "0":
                return total

    async def rewrite(self) -> bool:
        """Have the append-only file written anew, without what was deleted; False: the server does not do that.

        Waits until it is done, for a minute at most. A rewrite that was under way had begun before: another follows it.
        """
        return all([await self._rewrite(node) for node in (await self._server.nodes()).values()])

    async def _rewrite(self, node: "Redis") -> bool:
        try:
            async with asyncio.timeout(REWRITE_WITHIN_S):
                await _until_rewritten(node)
                await node.bgrewriteaof()
                await _until_rewritten(node)
        except (ResponseError, TimeoutError):
            return False
        info = await node.info("persistence")
        return bool(info.get("aof_last_bgrewrite_status") == "ok" and info.get("aof_enabled"))

    async def rewrite_once_a_day(self) -> None:
        """Ask for a rewrite, unless that was done within a day."""
        if await self._server.client.set(REWRITTEN, 1, nx=True, ex=REWRITE_EVERY_S):
            await self.rewrite()


async def _until_rewritten(node: "Redis") -> None:
    while True:
        info = await node.info("persistence")
        if not (info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled")):
            return
        await asyncio.sleep(0.05)
