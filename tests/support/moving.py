"""A form that has lived, and a backup of it taken and restored in a test."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ledger import FORM, HOUR, Ledger, refuse_everybody

from service.backup.file import FORMAT, Head, Writer, check
from service.backup.restore import restore
from service.backup.snapshot import Snapshot
from service.store.breaker import Gate, Pace
from service.store.erasure import Eraser
from service.store.server.connection import connect
from service.store.server.health import SCHEMA
from service.store.server.server import Server
from service.submission.person import person_hash

NAME: Final = "backup-1"
PACE: Final = Pace(8, 0, 1_000)


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


async def live(ledger: Ledger, leads: int) -> None:
    """Let so many people write, some of them twice; deliver, refuse, put off, quarantine, erase and pause."""
    ledger.checks_each_call = False
    await ledger.store.remember_forms([FORM.name])
    for number in range(leads):
        ledger.now += 1_000
        phone = f"89510{number:05d}"
        await ledger.post(phone=phone, key=f"key-{number}", campaign=("", "Spring", "email, again")[number % 3])
        if number % 3 == 0:
            await ledger.post(phone=phone, message=f"call {number}")
        if number % 10 == 0:
            await ledger.post(phone=f"89511{number:05d}", quarantine=("honeypot",))
    for number, claim in enumerate(await ledger.claim(leads // 2)):
        result = ("delivered", "dead", "retry")[number % 3]
        await ledger.settle(claim, result, due=ledger.now + HOUR, reason="no", excerpt="so it said")  # type: ignore[arg-type] # one of three
    await ledger.claim(3)
    await ledger.store.refuse(FORM.name, "report", 7, at=ledger.now)
    gate = Gate(ledger.server, "crm", PACE)
    await refuse_everybody(gate, "it answered 401")
    ledger.forgets = True
    erased = person_hash(ledger.secrets[0], FORM.name, "phone", "+918951000000")
    assert (await Eraser(ledger.server).erase(FORM.name, [erased], ("crm",))).leads
    await ledger.check()
