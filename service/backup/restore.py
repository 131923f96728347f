"""A backup goes into an empty server of any kind; visitors and workers find it when all of it is there.

Invariant: writes only what the file says. A form is closed before its first record is written: every script refuses
it, so visitors are taken by the spool and workers wait. It is opened when what it holds is what the file says it must.
A restore that was broken off is begun again with the same file: each record written twice stands as it stood.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, TYPE_CHECKING, Final

import msgspec

from service.backup.file import Contents, End, Record, read_records
from service.lib.errors import CannotStart
from service.store.keys import base_of
from service.store.server import Server

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

BATCH: Final = 100
_NOT_EMPTY: Final = (
    "This server is not empty: it holds submissions to the form {}. A backup is restored into an empty one."
)
_OTHER: Final = (
    "The form {} now holds something else than the backup says; it stays closed. Empty the server, begin again."
)
RESTORED: Final = "leads:restored"
"""The id of the backup that is restored here, whole: all that is left to do is to open its forms."""


async def restore(server: Server, file: IO[bytes], key: bytes | None, contents: Contents) -> None:
    """Write the backup in `file`, of which `check` returned `contents`.

    Raises CannotStart if the server is not empty.
    """
    if await server.client.get(RESTORED) != contents.head.id:
        await _close(server, contents)
        await _write(server, file, key)
        await _compare(server, contents)
        await server.client.set(RESTORED, contents.head.id)
    for form in contents.forms:
        if await server.client.get(f"{base_of(form)}copy") == f"closed {contents.head.id}":
            await server.client.delete(f"{base_of(form)}copy")


async def _write(server: Server, file: IO[bytes], key: bytes | None) -> None:
    records = read_records(file, key)
    while batch := list(islice(records, BATCH)):
        pipe = server.client.pipeline(transaction=False)
        for record in batch:
            if not isinstance(record, End):
                add(pipe, record)
        await pipe.execute()


async def _compare(server: Server, contents: Contents) -> None:
    for form, expected in contents.forms.items():
        held: Mapping[str, int] = msgspec.json.decode(await server.run("holdings", base_of(form)))
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
            for each in closed:
                await server.client.delete(f"{base_of(each)}copy")
            raise CannotStart(_NOT_EMPTY.format(form))
        closed.append(form)


def add(pipe: "Pipeline", record: Record) -> None:
    """Add the commands after which a key is what the record says."""
    if record.holds is not None:
        return
    key = (base_of(record.of) if record.of else "leads:") + record.key
    for command in _commands(key, record):
        pipe.execute_command(*command)
    if record.until is not None:
        pipe.execute_command("PEXPIREAT", key, record.until)


def _commands(key: str, record: Record) -> Iterator[tuple[str, ...]]:
    if record.gone is True:
        yield "DEL", key
    elif record.gone:
        yield "ZREM" if record.scores is not None else "HDEL", key, *record.gone
    if record.text is not None:
        yield "SET", key, record.text
    if record.hash:
        yield "HSET", key, *(each for pair in record.hash.items() for each in pair)
    if record.scores:
        yield "ZADD", key, *(each for member, score in record.scores.items() for each in (score, member))
    if record.set:
        yield "SADD", key, *record.set
