"""How a command or a process gets at the server: connected to, waited for, closed; or a sentence why it cannot be had.

Invariant: apart from `wiring`, which those need who ask no server: the client of Redis takes long to import.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.wiring import clock, say
from service.store.cipher import UnreadableError
from service.store.server.connection import connect
from service.store.server.health import FAILURES, sentence_of
from service.store.server.server import Server

T = TypeVar("T")

WAIT_FOR_REDIS_S = 10.0


def connect_server(url: Secret, secrets: Sequence[Secret], *, follows: bool = True) -> Server:
    """Return the server at a URL, or where the leads have moved from there, on this machine's clock.

    `secrets`: those of LEADS_SECRET. `follows` False: the server at that URL, whatever has moved.
    """
    return Server(connect(url.reveal()), clock=clock, secrets=secrets, follows=follows)


async def open_server(
    url: Secret, secrets: Sequence[Secret], *,
    wait_s: float, say_findings: bool = True, may_be_away: bool = False, replicas: int = 0,
) -> Server:  # fmt: skip
    """Connect to Redis, waiting up to `wait_s` for it. Raises CannotStart if it stays away or can never be used.

    `may_be_away`: there is a spool, so nothing need be waited for.
    """
    server = connect_server(url, secrets)
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            findings = await server.open(replicas=replicas)
        except CannotStart:
            await server.close()
            raise
        away = next((finding for finding in findings if finding.level == "away"), None)
        if away is None or may_be_away:
            break
        if time.monotonic() > give_up_at:
            await server.close()
            raise CannotStart(away.sentence)
        await asyncio.sleep(0.2)
    if say_findings:
        for finding in findings:
            say(f"warning: {finding.sentence}")
    return server


def with_server(url: Secret, secrets: Sequence[Secret], work: Callable[[Server], Awaitable[T]]) -> T:
    """Run `work` with the server at `url`, or where the leads have moved from there, and close it."""

    async def run() -> T:
        server = await open_server(url, secrets, wait_s=0, say_findings=False)
        try:
            return await work(server)
        except FAILURES as error:
            raise CannotStart(sentence_of(error)) from None
        except UnreadableError as error:
            raise CannotStart(str(error)) from None
        finally:
            await server.close()

    return asyncio.run(run())
