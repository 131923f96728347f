"""The world outside, a process of its own: visitors who post, and a CRM that answers at once.

It is told what to do by lines of JSON on standard input, and answers each with one on standard output; the first line
says on which port the CRM listens. Raw protocols on uvloop that decide nothing, so that whatever is measured is
slower than this.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self, cast

STALL_S = 10.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"ok": true}'


def body(number: int, more: int = 0) -> bytes:
    """Write what the visitor of that number posts, `more` bytes longer than as a rule; each is somebody else."""
    return (
        f"name=Asha+Rao+{number}&phone=9{845_000_000 + number:09d}&email=visitor{number}%40example.com"
        f"&message=My+knee+hurts+since+last+week.+Could+I+come+on+Thursday+morning%3F+({number})"
        f"{'+And+more.' * (more // 10)}"
    ).encode()


def whole_length(data: bytes | bytearray) -> int:
    """Return how long the message is that `data` begins with, 0 as long as its head is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    found = _LENGTH.search(data, 0, end + 2)
    return end + 4 + (int(found[1]) if found else 0)


class Visitor(asyncio.Protocol):
    """One connection that is kept: posts, waits for the whole answer, posts again."""

    def __init__(
        self, path: str, take: Callable[["Visitor"], int | None], heard: Callable[[float], None], more: int = 0
    ) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        self._take, self._heard, self._more = take, heard, more
        self._answer = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.post()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        length = whole_length(self._answer)
        if not length or len(self._answer) < length:
            return
        # Who has to wait for too long is told 503, and tries again; only who was thanked counts.
        if self._answer[9:12] == b"200":
            self._heard(time.perf_counter() - self._began)
        elif self._answer[9:12] != b"503":
            self.gone.set_exception(RuntimeError(f"answered {self._answer[9:12].decode()}"))
        self._answer.clear()
        self.post()

    def post(self) -> None:
        number = self._take(self)
        if number is None:
            return
        posted = body(number, self._more)
        self._began = time.perf_counter()
        self._transport.write(f"{self._head}Content-Length: {len(posted)}\r\n\r\n".encode() + posted)

    def leave(self) -> None:
        self._transport.close()


class Crm(asyncio.Protocol):
    """One connection to the CRM: each request is counted when it is whole, and answered at once; `/slow` in 10 s."""

    def __init__(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived
        self._request = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        length = whole_length(self._request)
        if not length or len(self._request) < length:
            return
        if self._request.startswith(b"POST /slow"):
            asyncio.get_running_loop().call_later(STALL_S, self._transport.write, _ANSWER)
        else:
            self._arrived()
            self._transport.write(_ANSWER)
        del self._request[:length]


class World:
    """Everything outside: what arrived at the CRM, and the visitors that are sent."""

    def __init__(self) -> None:
        self._number = 0
        self._arrival = asyncio.Event()
        self._held: deque[Visitor] = deque()

    def arrived(self) -> None:
        """Count a lead that came to the CRM; a visitor who waited for that goes on."""
        self._number += 1
        self._arrival.set()
        if self._held:
            self._held.popleft().post()

    async def post(
        self, *, port: int, path: str, first: int, most: int, seconds: float, connections: int, ahead: int | None,
        more: int,
    ) -> dict[str, float]:  # fmt: skip
        """Post until `most` submissions are sent or `seconds` are over, over all connections at once.

        `ahead`: not so many more than have arrived at the CRM since. `more`: so many bytes longer than as a rule.
        """
        numbers, sent, came_before = iter(range(first, first + most)), 0, self._number
        began = time.perf_counter()
        times: list[float] = []

        def take(visitor: Visitor) -> int | None:
            nonlocal sent
            if time.perf_counter() < began + seconds:
                if ahead is not None and sent - (self._number - came_before) >= ahead:
                    self._held.append(visitor)
                    return None
                if (number := next(numbers, None)) is not None:
                    sent += 1
                    return number
            visitor.leave()
            return None

        asyncio.get_running_loop().call_later(seconds, self._let_go)
        await send(port, path, connections, take, times.append, more=more)
        took = time.perf_counter() - began
        cuts = statistics.quantiles(times, n=100)
        return {"answers": len(times), "seconds": took, "p50": 1000 * cuts[49], "p99": 1000 * cuts[98]}

    def _let_go(self) -> None:
        held, self._held = self._held, deque()
        for visitor in held:
            visitor.leave()

    async def way(self, *, port: int, path: str, first: int, tries: int) -> dict[str, float]:
        """Send one visitor after the other, and take the time until each one's lead is at the CRM."""
        times = []
        for number in range(first, first + tries):
            left = [number]

            def take(visitor: Visitor, left: list[int] = left) -> int | None:
                if left:
                    return left.pop()
                visitor.leave()
                return None

            self._arrival.clear()
            began = time.perf_counter()
            await send(port, path, 1, take, lambda _: None)
            await asyncio.wait_for(self._arrival.wait(), 10)
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)  # So that the worker sleeps again.
        return {"p50": 1000 * statistics.median(times)}

    def count(self) -> dict[str, float]:
        """Say how many leads arrived at the CRM, and when that was asked."""
        return {"number": self._number, "at": time.perf_counter()}


async def send(
    port: int, path: str, connections: int, take: Callable[[Visitor], int | None], heard: Callable[[float], None],
    *, more: int = 0,
) -> None:  # fmt: skip
    """Let so many visitors post until each has left; raises RuntimeError for an answer that is neither 200 nor 503."""
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Visitor(path, take, heard, more), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(visitor.gone for _, visitor in made))


async def serve() -> None:
    """Do what standard input says until it ends."""
    world = World()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_end)
    crm = await loop.create_server(lambda: Crm(world.arrived), "127.0.0.1", 0, backlog=1024)
    _say({"crm": crm.sockets[0].getsockname()[1]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        told: dict[str, Any] = json.loads(line)
        match told.pop("do"):
            case "post":
                _say(await world.post(**told))
            case "way":
                _say(await world.way(**told))
            case _:
                _say(world.count())


def _end(_: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    """Let no fault of ours look like somebody who is slow."""
    sys.stderr.write(f"{told}\n")
    os._exit(1)


def _say(answer: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Outside:
    """That process, run by somebody who measures; `crm` is the port of its CRM."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.crm = int(self._heard()["crm"])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._process.wait()

    def post(
        self, port: int, *, first: int, most: int = 1_000_000, seconds: float = 600.0, connections: int = 64,
        ahead: int | None = None, path: str = "/f/get-in-touch", more: int = 0,
    ) -> dict[str, float]:  # fmt: skip
        """Send visitors, as `World.post` does; returns answers, seconds, and p50 and p99 in ms."""
        return self._ask(
            do="post",
            port=port,
            path=path,
            first=first,
            most=most,
            seconds=seconds,
            connections=connections,
            ahead=ahead,
            more=more,
        )

    def way(self, port: int, *, first: int, tries: int, path: str = "/f/get-in-touch") -> dict[str, float]:
        """Send one visitor after the other, as `World.way` does; returns p50 in ms."""
        return self._ask(do="way", port=port, path=path, first=first, tries=tries)

    def count(self) -> dict[str, float]:
        """Return the number of leads that arrived so far, and the time `at` which that was so."""
        return self._ask(do="count")

    def _ask(self, **told: Any) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> dict[str, float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the visitors broke off"
        answer: dict[str, float] = json.loads(line)
        return answer


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
