"""The token of a destination, fetched by one worker for all.

Invariant: a try fetches at most one. What is asked and what an answer means is said by `destinations.oauth`; a fetch
that is under way longer than its try may last is taken for dead, and another worker begins one.
"""

import asyncio
import secrets
from typing import Final

import httpx

from service.delivery.attempt import Sends, judge_unanswered
from service.delivery.courier import insist
from service.destinations.oauth import Token, TokenAsk, TokenHeld, TokenServer
from service.destinations.outcome import Retry
from service.destinations.rules import Response
from service.lib.secret import Secret
from service.lib.times import length
from service.store.server.health import FAILURES
from service.store.server.server import Server
from service.store.tokens import KeptToken, TokenStore, Turn

LOOK_AGAIN_S: Final = 0.1
LONGEST_MARGIN_MS: Final = 60_000
"""A token is used no longer than until so long before it ends, or a tenth of its life."""


class Tokens:
    """Gives conversations with `destination` their token; a fetch may take `lease` ms. `told` has the last in words."""

    def __init__(self, server: Server, destination: str, lease: int) -> None:
        self._server = server
        self._destination = destination
        self._lease = lease
        self.told = ""

    async def answer(self, ask: TokenAsk, sender: Sends, within_s: float) -> TokenHeld | Retry:
        """Return a token, or why there is none, in what is left of the time."""
        store, fetcher = TokenStore(self._server, self._destination, ask.server.key), secrets.token_urlsafe(9)
        ends_at = asyncio.get_running_loop().time() + within_s
        try:
            while not (taken := await store.take(ask.refused, fetcher, self._lease)):
                if ends_at - asyncio.get_running_loop().time() < LOOK_AGAIN_S:
                    return Retry(f"another worker fetches a token from {ask.server.host}, and has none yet")
                await asyncio.sleep(LOOK_AGAIN_S)
            if isinstance(taken, TokenHeld):
                self.told = f"A token of {ask.server.host} was kept, and is used."
                return taken
            left_s = max(0.0, ends_at - asyncio.get_running_loop().time())
            return await self._fetch(ask.server, taken, sender, left_s)
        except FAILURES:
            return Retry("Redis, where its token is kept, did not answer", scope="fault")

    async def _fetch(self, server: TokenServer, turn: Turn, sender: Sends, within_s: float) -> TokenHeld | Retry:
        last = Secret(turn.last.refresh) if turn.last and turn.last.refresh else None
        answer = await sender.send(server.request(last), within_s=within_s)
        if isinstance(answer, Response):
            got = server.judge(answer, last or server.refresh_token, self._server.clock())
        else:
            got = _away(server, answer)
        if isinstance(got, Retry):
            await insist(turn.give_up)
            return got
        refresh = got.refresh or last
        kept = KeptToken(got.access.reveal(), refresh.reveal() if refresh else "")
        # A refresh token that is lost here would have to be made anew by hand.
        await insist(lambda: turn.keep(kept, _till(got, self._server.now())))
        lives = f"it is good for {length(got.lifetime)}" if got.lifetime else "it did not say for how long it is good"
        self.told = f"A token was fetched from {server.host}; {lives}."
        return TokenHeld(got.access, turn.fetcher, is_new=True)


def _till(token: Token, now: int) -> int:
    if token.lifetime is None:
        return 0
    return now + token.lifetime - min(LONGEST_MARGIN_MS, token.lifetime // 10)


def _away(server: TokenServer, error: httpx.RequestError | TimeoutError) -> Retry:
    """Return what a request for a token that got no answer means: what it would mean of the CRM."""
    failure = judge_unanswered(error)
    reason = failure.reason.replace("the CRM's", "its").replace("the CRM", "it")
    return Retry(f"no token came from {server.host}: {reason}", failure.after, failure.scope)
