"""How long a backup and a restore of many made-up leads take, how large the file is, and what both need of memory.

    PYTHONPATH=tests/support .venv/bin/python tests/long/backup_measure.py --leads 1000000

Both servers are started here and write nothing to disk, so that the copying is measured and not the disk.
"""

import argparse
import asyncio
import resource
import secrets
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
from ledger import FORM, Ledger, open_ledger
from moving import NAME, head_of, open_server_at
from msgspec import structs

from service.backup.file import Writer, check
from service.backup.restore import restore
from service.backup.snapshot import Snapshot
from service.store.leads import Store
from service.up.embedded import Embedded

TOGETHER: Final = 500
IN_MEMORY: Final = {"appendonly": "no", "appendfsync": "no"}
SAID: Final = {"name": "Asha Rao", "phone": "8951047001", "email": "asha@example.com", "message": "My back hurts."}


def made_up(ledger: Ledger, number: int) -> bytes:
    """Return a person's submission, with words of their own."""
    line, unique = ledger.line(SAID), f"{number:024d}"
    own = {
        "name": (f"n{unique}", f"s{secrets.token_hex(8)}"),
        "message": (f"m{unique}", f"s{secrets.token_hex(40)}"),
    }
    persons = {"phone": f"p{unique}", "email": f"e{unique}"}
    return msgspec.json.encode(structs.replace(line, persons=persons, facts={**line.facts, **own}, same_text=None))


async def fill(url: str, leads: int) -> int:
    """Let so many people write; return what the server then uses of memory."""
    async with open_ledger(url) as ledger:
        store = Store(ledger.server, takes_risk=True)
        for first in range(0, leads, TOGETHER):
            lines = [made_up(ledger, number) for number in range(first, min(first + TOGETHER, leads))]
            await asyncio.gather(*[store.accept(FORM, line) for line in lines])
        return int((await ledger.server.client.info("memory"))["used_memory"])


async def write(url: str, path: Path) -> None:
    async with open_server_at(url) as server:
        snapshot = Snapshot(server, NAME)
        await snapshot.begin()
        with path.open("wb") as file:
            writer = Writer(file, None, head_of(snapshot))
            async for record in snapshot.records():
                writer.write(record.encode())
            writer.finish()


def say(what: str, began: float) -> None:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what}: {time.monotonic() - began:.1f} s; this process has used {most} MB at most", flush=True)  # noqa: T201 -- for the person at the terminal


async def measure(leads: int, folder: Path, old: str, new: str) -> None:
    path, began = folder / "leads.backup", time.monotonic()
    memory = await fill(old, leads)
    say(f"{leads} leads written ({memory / leads:.0f} bytes each in the server)", began)
    began = time.monotonic()
    await write(old, path)
    size = path.stat().st_size
    say(f"backup ({size} bytes, {size / leads:.0f} a lead)", began)
    with path.open("rb") as file:
        began = time.monotonic()
        contents = check(file, None)
        say("check", began)
        async with open_server_at(new) as server:
            began = time.monotonic()
            await restore(server, file, None, contents)
            say("restore", began)


def main() -> None:
    """Measure, and leave nothing behind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--leads", type=int, default=100_000)
    leads = options.parse_args().leads
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = [Embedded(folder / each, settings=IN_MEMORY) for each in ("old", "new")]
        for server in servers:
            server.start()
        try:
            asyncio.run(measure(leads, folder, servers[0].url, servers[1].url))
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
