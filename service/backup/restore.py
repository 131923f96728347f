"""A backup goes into an empty server of any kind; visitors and workers find it when all of it is there.

Invariant: writes only what the file says. A form is closed before its first record is written: every script refuses
it, so visitors are taken by the spool and workers wait. It is opened when what it holds is what the file says it must.
A restore that was broken off is begun again with the same file: each record written twice stands as it stood.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby, islice
from typing import IO, Final

import msgspec

from service.backup.file import Contents, End, read_lines
from service.lib.errors import CannotStart
from service.store.keys import base_of
from service.store.server.server import Server

BATCH: Final = 100
_NOT_EMPTY: Final = (
    "This server is not empty: it holds submissions to the form {}. A backup is restored into an empty one."
)
_OTHER: Final = (
    "The form {} now holds something else than what was copied; it stays closed. Empty the server, begin again."
)
RESTORED: Final = "leads:restored"
"""The id of the backup that is restored here, whole: all that is left to do is to open its forms."""


class _Place(msgspec.Struct, frozen=True):
    """Where a record belongs; `holds` stands only in a line that is none."""

    of: str
    key: str = ""
    holds: dict[str, int] | None = None

    @property
    def base(self) -> str:
        """The base of its key, which is the key itself where it has no tag."""
        return base_of(self.of) if self.of else f"leads:{self.key}"


async def restore(server: Server, file: IO[bytes], key: bytes | None, contents: Contents) -> None:
    """Write the backup in `file`, of which `check` returned `contents`.

    Raises CannotStart if the server is not empty.
    """
    if await server.client.get(RESTORED) != contents.head.id:
        await _close(server, contents)
        await _write(server, file, key)
        await compare(server, contents.forms)
        await server.client.set(RESTORED, contents.head.id)
    for form in contents.forms:
        if await server.client.get(f"{base_of(form)}copy") == f"closed {contents.head.id}":
            await server.client.delete(f"{base_of(form)}copy")


async def _write(server: Server, file: IO[bytes], key: bytes | None) -> None:
    lines = (line for line in read_lines(file, key) if not isinstance(line, End))
    while batch := list(islice(lines, BATCH)):
        await put(server, batch)


async def put(server: Server, lines: Iterable[bytes]) -> dict[str, dict[str, int]]:
    """Write records over what is there; return what forms are to hold, as far as these lines say."""
    held = {}
    for base, records in groupby(
        ((msgspec.json.decode(line, type=_Place), line) for line in lines), lambda pair: pair[0].base
    ):
        written = []
        for place, line in records:
            if place.holds is None:
                written.append(line)
            else:
                held[place.of] = place.holds
        if written:
            await server.run("put", base, *written)
    return held


async def compare(server: Server, forms: Mapping[str, Mapping[str, int]]) -> None:
    """Raise CannotStart unless each form holds what it is to."""
    for form, expected in forms.items():
        held: dict[str, int] = msgspec.json.decode(await server.run("holdings", base_of(form)))
        if held != expected:
            raise CannotStart(_OTHER.format(form))


async def _close(server: Server, contents: Contents) -> None:
    async for key in server.client.scan_iter("leads:{*}:count", count=1_000):
        form = str(key).split("{")[1].split("}")[0]
        if form not in contents.forms:
            raise CannotStart(_NOT_EMPTY.format(form))
    closed: list[str] = []
    for form in contents.forms:
        if not await server.run("close", base_of(form), contents.head.id):
            for tag in closed:
                await server.client.delete(f"{base_of(tag)}copy")
            raise CannotStart(_NOT_EMPTY.format(form))
        closed.append(form)
