"""A backup taken and restored in a test, and two servers held against each other."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service.backup.file import FORMAT, Head, Writer, check
from service.backup.restore import restore
from service.backup.snapshot import Snapshot
from service.store.server.connection import connect
from service.store.server.health import SCHEMA
from service.store.server.server import Server

NAME: Final = "backup-1"


@asynccontextmanager
async def open_server_at(url: str) -> AsyncIterator[Server]:
    """Open a server and close its connections again."""
    server = Server(connect(url), clock=lambda: 0)
    try:
        yield server
    finally:
        await server.close()


def head_of(snapshot: Snapshot, name: str = NAME) -> Head:
    return Head(format=FORMAT, id=name, version="1", made_at="", forms=snapshot.forms, schema=SCHEMA)


async def back_up(server: Server, *, key: bytes | None = None, name: str = NAME) -> io.BytesIO:
    """Return a backup of everything on `server`."""
    file, snapshot = io.BytesIO(), Snapshot(server, name)
    await snapshot.begin()
    writer = Writer(file, key, head_of(snapshot, name))
    async for record in snapshot.records():
        writer.write(record.encode())
    writer.finish()
    return file


async def bring_back(file: io.BytesIO, server: Server, *, key: bytes | None = None) -> None:
    """Restore a backup."""
    await restore(server, file, key, check(file, key))
