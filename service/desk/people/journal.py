"""What members did: seen, exported, changed. It is kept for a year, and has no word of any person in it.

Invariant: an entry is written before what it tells of is shown or done.

`leads:{desk}:journal`    sorted set: `Entry`, JSON ► when, ms; older than a year it goes with the next entry
"""

import secrets
from dataclasses import dataclass
from typing import Final

import msgspec

from service.desk.people.members import BASE
from service.store.server.server import Server

KEPT_MS: Final = 366 * 86_400_000
_KEY: Final = f"{BASE}journal"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was done: when (ms), by whom, what; `form` and `lead` where it was about one.

    `id` tells it from another of the same moment and words.
    """

    at: int
    who: str
    what: str
    form: str = ""
    lead: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal on one server."""

    server: Server

    async def note(self, who: str, what: str, form: str = "", lead: str = "") -> None:
        """Write down that somebody did something."""
        now = self.server.now()
        entry = Entry(now, who, what, form, lead, secrets.token_urlsafe(6))
        async with self.server.client.pipeline(transaction=True) as pipe:
            pipe.zadd(_KEY, {msgspec.json.encode(entry).decode(): now})
            pipe.zremrangebyscore(_KEY, "-inf", now - KEPT_MS)
            await pipe.execute()

    async def latest(self, number: int, behind: int = 0) -> list[Entry]:
        """Return the latest entries, but for the first so many."""
        kept = await self.server.client.zrevrange(_KEY, behind, behind + number - 1)
        return [msgspec.json.decode(str(raw), type=Entry) for raw in kept]
