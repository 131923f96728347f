"""A random campaign of clean and malformed requests against a real server; prints its figures at the end.

    make hostile SECONDS=60
    make hostile SEED=7                                   # the requests of an earlier campaign
    … tests/long/hostile.py --seed 7 --only 1234          # one of them again, and what comes back

Meanwhile somebody honest sends the form every half second. Exit 1 for a hang (a connection that is neither answered nor
closed within the server's own limits), an answer of 500 or more, a fault in the log, an honest visitor who is not
thanked, or an account that does not add up.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from malformed import FORM_TYPE, Attempt, attempt
from processes import Process, Processes
from workshop import destination

from service.up.embedded import Embedded
from service.web.phases import BODY_S, HEAD_S

SECONDS = 900
AT_ONCE = 24
"""Connections; most of what is malformed waits for the server to give it up."""
HANGS_AFTER_S = HEAD_S + BODY_S + 5
QUIET_S = 0.3
"""After the last byte of an answer: another one may follow it down the same connection."""
HONEST_EVERY_S = 0.5
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
CONFIG = """
[forms.get-in-touch]
deliver = ["crm"]
language = "auto"
spam.limit = 10
redirects = ["https://www.example.com"]
fields.name    = { type = "text", required = true }
fields.phone   = { type = "phone", required = true }
fields.email   = { type = "email" }
fields.when    = { type = "date", invalid = "flag" }
fields.message = { type = "text", multiline = true }

[forms.strict]
deliver = ["crm"]
origins = ["https://www.example.com"]
allow_extra = false
captcha = { type = "altcha" }
fields.email = { type = "email", required = true }
fields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }

[forms.builder]
deliver = ["crm"]
webflow = true
fields.name = { type = "text" }
fields.phone = { type = "phone" }
""" + destination("http://127.0.0.1:9/")


@dataclass(slots=True)
class Figures:
    """What came of a campaign. `clean` and `malformed` are the answers by status, 0: closed without one."""

    connections: int = 0
    clean: Counter[int] = field(default_factory=Counter)
    malformed: Counter[int] = field(default_factory=Counter)
    hangs: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    honest_ms: list[float] = field(default_factory=list)
    not_thanked: int = 0
    adds_up: bool = True

    def note(self, number: int, sent: Attempt, statuses: list[int] | None) -> None:
        """Note what came back for an attempt, None for a hang."""
        self.connections += 1
        if statuses is None:
            self.hangs.append(number)
        if statuses is None or sent.ending == "reset":
            return
        (self.clean if sent.is_clean else self.malformed).update(statuses or [0])
        if any(status >= 500 for status in statuses):
            self.failures.append(number)

    def is_good(self) -> bool:
        """Tell whether the campaign did no harm."""
        return (
            not (self.hangs or self.failures or self.faults.total() or self.not_thanked)
            and self.adds_up
            and bool(self.clean)
        )

    def told(self) -> str:
        """Say it all in a few lines."""
        p95 = statistics.quantiles(self.honest_ms, n=20)[-1] if len(self.honest_ms) > 1 else 0.0
        answers = sum((self.clean + self.malformed)[status] for status in self.clean | self.malformed if status)
        faults = self.faults.total()
        return "\n".join([
            f"{self.connections} connections, {answers} answers",
            f"hangs {len(self.hangs)}, answers of 500 or more {len(self.failures)}, faults in the log {faults}",
            f"clean:     {_by_status(self.clean)}",
            f"malformed: {_by_status(self.malformed)}",
            f"honest visitors: {len(self.honest_ms)} thanked, {self.not_thanked} not; p95 {p95:.0f} ms",
            f"the accounts {'add up' if self.adds_up else 'DO NOT ADD UP'}",
            *(f"fault: {count} of {fault}" for fault, count in (+self.faults).items()),
            *(f"hang: --only {number}" for number in self.hangs[:10]),
            *(f"500 or more: --only {number}" for number in self.failures[:10]),
        ])  # fmt: skip


def _by_status(statuses: Counter[int]) -> str:
    return "  ".join(f"{status or 'closed'} {count}" for status, count in sorted(statuses.items())) or "none"


async def send(port: int, what: Attempt) -> list[int] | None:
    """Send an attempt; return the statuses that came back, None if it was neither answered nor closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    came = bytearray()
    try:
        with contextlib.suppress(OSError):
            for piece in what.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(what.pause_s)
            if what.ending == "reset":
                return []
            if what.ending == "half":
                writer.write_eof()
            async with asyncio.timeout(HANGS_AFTER_S):
                came += await reader.read(65_536)
            while chunk := await _more(reader):
                came += chunk
    except TimeoutError:
        return None
    finally:
        writer.transport.abort()
    return statuses_in(bytes(came))


async def _more(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(QUIET_S):
            return await reader.read(65_536)
    except (TimeoutError, ConnectionError):
        return b""


def statuses_in(came: bytes) -> list[int]:
    """Return the status of each answer that came down one connection."""
    found = []
    while answer := _ANSWER.match(came):
        head, _, rest = came.partition(b"\r\n\r\n")
        found.append(int(answer[1]))
        length = _LENGTH.search(head)
        # One to HEAD tells a length and has no body.
        came = rest[int(length[1]) :] if length and not _ANSWER.match(rest) else rest
    return found


async def be_honest(port: int, until: float, figures: Figures) -> None:
    """Send the form as a person does, again and again."""
    for number in itertools.count():
        if time.monotonic() > until:
            return
        body = f"name=Asha&phone=88{number:08d}".encode()
        head = f"POST /f/get-in-touch HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        began = time.monotonic()
        statuses = await send(port, Attempt((head.encode() + body,), 0, "wait", is_clean=True))
        if statuses == [200]:
            figures.honest_ms.append((time.monotonic() - began) * 1000)
        else:
            figures.not_thanked += 1
        await asyncio.sleep(HONEST_EVERY_S)


async def campaign(port: int, seconds: float, seed: int, figures: Figures) -> None:
    """Send attempts for so long, `AT_ONCE` at a time."""
    until, numbers = time.monotonic() + seconds, itertools.count()

    async def keep_sending() -> None:
        while time.monotonic() < until:
            number = next(numbers)
            sent = attempt(number, seed)
            figures.note(number, sent, await send(port, sent))

    await asyncio.gather(be_honest(port, until, figures), *(keep_sending() for _ in range(AT_ONCE)))


def say(*what: object) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{' '.join(map(str, what))}\n")


def memory_mb(process: Process) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run a campaign, or one attempt of it."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--seconds", type=float, default=SECONDS)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--only", type=int, help="the number of one attempt")
    asked = reader.parse_args()
    with tempfile.TemporaryDirectory(prefix="leads-hostile-") as place:
        server = Embedded(Path(place) / "redis")
        server.start()
        try:
            with Processes(Path(place) / "here", server.url, CONFIG) as here:
                web = here.serve()
                if asked.only is not None:
                    sent = attempt(asked.only, asked.seed)
                    say(b"".join(sent.pieces), sent.ending, asyncio.run(send(web.port, sent)), web.said())
                    return
                is_good = _run(here, web, asked.seconds, asked.seed)
        finally:
            server.stop()
    sys.exit(0 if is_good else 1)


def _run(here: Processes, web: Process, seconds: float, seed: int) -> bool:
    figures, before = Figures(), memory_mb(web)
    asyncio.run(campaign(web.port, seconds, seed, figures))
    failed = [line for line in web.lines() if line["level"] in {"error", "critical"}]
    figures.faults = Counter(f"{line['event']} {line.get('kind', '')} {line.get('where', '')}" for line in failed)
    figures.faults["Traceback"] += web.said().count("Traceback")
    after = memory_mb(web)
    figures.adds_up = all(form["balanced"] for form in here.status()["forms"].values())
    say(f"hostile: {seconds:.0f} s, seed {seed}; memory {before:.0f} MB before, {after:.0f} MB after\n{figures.told()}")
    return figures.is_good()


if __name__ == "__main__":
    main()
