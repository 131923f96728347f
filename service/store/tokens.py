"""The token of a destination, as all workers share it: `leads:{destination:NAME}:token`, a hash.

Of it: sealed (token and refresh token), name, till (until when it is good, ms; 0: nobody knows, 1: no longer), fetcher
and fetched_by, who fetches another one and until when.

Invariant: what is kept is sealed with a key of the secret that it came from, never as it is; nothing here fetches.
"""

from dataclasses import dataclass

import msgspec

from service.destinations.oauth import TokenHeld
from service.lib.secret import Secret, unshown
from service.store.cipher import Cipher, UnreadableError
from service.store.server.server import Server


class KeptToken(msgspec.Struct, frozen=True):
    """A token and the refresh token that came last, "" where the one of the file is the last."""

    access: str
    refresh: str = ""

    __repr__ = unshown


class TokenStore:
    """The token of one destination. `key` seals it; what another key sealed is as if it were not there."""

    def __init__(self, server: Server, destination: str, key: bytes) -> None:
        """Share it on `server`."""
        self.server = server
        self.base = f"leads:{{destination:{destination}}}:"
        self._cipher = Cipher((key,))

    async def take(self, refused: str, fetcher: str, within: int) -> "TokenHeld | Turn | None":
        """Take the token, but not one by the name `refused`; None: another worker fetches one.

        Whose turn it is to fetch one, `fetcher`, has `within` ms for it.
        """
        what, *more = await self.server.run("take_token", self.base, self.server.now(), refused, fetcher, within)
        kept = self._opened(more[0]) if more else None
        if what == "fetch":
            return Turn(self, fetcher, kept)
        if what == "token":
            name = str(more[1])
            return TokenHeld(Secret(kept.access), name) if kept else await self.take(name, fetcher, within)
        return None

    def seal(self, token: KeptToken) -> str:
        """Return a token for keeping."""
        return self._cipher.seal(msgspec.json.encode(token).decode(), self.base)

    def _opened(self, sealed: str) -> KeptToken | None:
        try:
            return msgspec.json.decode(self._cipher.open(sealed, self.base), type=KeptToken) if sealed else None
        except (UnreadableError, msgspec.DecodeError):
            return None


@dataclass(frozen=True, slots=True)
class Turn:
    """One worker's turn to fetch a token; either method ends it. `last` is what was kept of the last one."""

    store: TokenStore
    fetcher: str
    last: KeptToken | None

    async def keep(self, token: KeptToken, till: int) -> None:
        """Keep what was fetched, under the name of who did; `till` (ms) is until when it is good, 0: nobody knows."""
        await self._end(self.store.seal(token), till)

    async def give_up(self) -> None:
        """Let others fetch."""
        await self._end("", 0)

    async def _end(self, sealed: str, till: int) -> None:
        await self.store.server.run("keep_token", self.store.base, self.fetcher, sealed, till)
