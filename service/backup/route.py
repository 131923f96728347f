"""The two ends of a move: where the leads are, found by following the notes, and the server that they are to go to.

Invariant: of the new server only what a move has brought, or what has moved away from there, is ever taken away.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from service.backup.restore import BATCH, RESTORED
from service.lib.errors import CannotStart
from service.store.cipher import Cipher
from service.store.keys import FORMS, base_of
from service.store.server.forwarding import MOVE, Note, read_note, url_in
from service.store.server.server import SCHEMA_KEY, Server

_NOT_EMPTY: Final = "The new server is not empty: it holds {}. Only an empty one is moved into."


@dataclass(frozen=True, slots=True)
class End:
    """A server by its URL, with the note that it keeps."""

    url: str
    server: Server
    note: Note | None


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, and what the new server must be like.

    `destinations` are those that owe it that nothing is in flight at the change; that is waited for, for `patience_s`.
    """

    source: Server
    target: Server
    note: Note
    destinations: Iterable[str] = ()
    patience_s: float = 60.0
    replicas: int = 0
    takes_risk: bool = False


async def follow(url: str, open_at: Callable[[str], Server], sealer: Cipher) -> list[End]:
    """Return the servers from `url` on to where the leads are, and make good a move whose last step is missing."""
    ends: list[End] = []
    while True:
        server = open_at(url)
        if ends and (before := ends[-1].note):
            await open_forms(server, before.id)
        note = read_note(await server.client.get(MOVE))
        ends.append(End(url, server, note))
        if note is None or not note.is_done:
            return ends
        url = url_in(note, sealer)


async def open_forms(target: Server, id: str) -> bool:  # noqa: A002 -- what a note calls it
    """Open what the move `id` has brought, if it is all there and still closed; with that the leads are here."""
    closed = await closed_by(target, id)
    if not closed or await target.client.get(RESTORED) != id:
        return False
    await target.client.delete(*(f"{base_of(form)}copy" for form in closed), MOVE)
    return True


async def forms_on(server: Server) -> list[str]:
    """Return the forms that something was ever submitted to."""
    keys = [str(key) async for key in server.client.scan_iter("leads:{*}:count", count=1_000)]
    return sorted(key.split("{")[1].split("}")[0] for key in keys)


async def closed_by(target: Server, id: str) -> list[str]:  # noqa: A002 -- what a note calls it
    """Return the forms that the move `id` has closed."""
    forms = [str(form) for form in await target.client.smembers(FORMS)]
    return [form for form in forms if await target.client.get(f"{base_of(form)}copy") == f"closed {id}"]


async def clear(target: Server, id: str) -> None:  # noqa: A002 -- what a note calls it
    """Take away what an earlier try left, or what was moved away from there; raises CannotStart for anything else."""
    kept = await target.client.get(MOVE)
    if not (kept and msgspec.json.decode(kept, type=Note).is_done):
        for form in await forms_on(target):
            if await target.client.get(f"{base_of(form)}copy") != f"closed {id}":
                raise CannotStart(_NOT_EMPTY.format(f"submissions to the form {form}"))
        if await target.client.exists("leads:{desk}:members") and not await closed_by(target, id):
            raise CannotStart(_NOT_EMPTY.format("a desk that somebody may enter"))
    batch: list[str] = []
    async for key in target.client.scan_iter("leads:*", count=1_000):
        is_ours = key in {SCHEMA_KEY, MOVE, FORMS} or str(key).endswith("}:copy")
        batch += [] if is_ours else [str(key)]
        if len(batch) >= BATCH:
            await target.client.unlink(*batch)
            batch = []
    if batch:
        await target.client.unlink(*batch)
