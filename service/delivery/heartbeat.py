"""Which workers are alive: each says so every few seconds, with its host and version.

`leads:workers`   hash: id of a worker ► `Beat`, JSON; one that stops in order takes itself out
"""

from typing import Final

import msgspec

from service.store.records import DAY_MS
from service.store.server.server import Server

WORKERS: Final = "leads:workers"
BEAT_EVERY_S: Final = 5.0
ALIVE_FOR_MS: Final = 30_000
"""Whoever was not heard of for so long is taken for dead."""


class Beat(msgspec.Struct, frozen=True):
    """What a worker says of itself, and when (ms)."""

    host: str
    version: str
    at: int


async def beat(server: Server, worker: str, host: str, version: str) -> None:
    """Say that a worker is alive."""
    said = Beat(host, version, server.now())
    await server.run("beat", WORKERS, worker, msgspec.json.encode(said))


async def leave(server: Server, worker: str) -> None:
    """Say that a worker stops in order."""
    await server.client.hdel(WORKERS, worker)


async def read_beats(server: Server) -> list[Beat]:
    """Return what was heard of each worker within a day, the latest first; older ones are forgotten."""
    kept = await server.client.hgetall(WORKERS)
    beats = {worker: msgspec.json.decode(said, type=Beat) for worker, said in kept.items()}
    if old := [worker for worker, said in beats.items() if server.now() - said.at > DAY_MS]:
        await server.client.hdel(WORKERS, *old)
    return sorted((said for worker, said in beats.items() if worker not in old), key=lambda said: -said.at)
