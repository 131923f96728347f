"""A CRM's double: a real HTTP server on loopback that keeps what it got and answers as it is told.

    with Crm() as crm:
        crm.answer(503, headers={"Retry-After": "2"}, times=3)   # the next three; then the standing answer
        ...
        crm.wait_for(4)
        assert crm.requests[-1].json()["data"]["version"] == 1

It runs in a thread of its own. `decide` may look at each request and give its answer; None leaves it to the rest.
"""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Received:
    """One request: `at` in ms since 1970, header names in lower case."""

    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with a request. `stall` waits so many seconds first, `drip` before each byte of the body.

    `cut` "before" resets the connection before the request is read (it is not kept), "after" when it was.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"ok": true}'
    stall: float = 0.0
    drip: float = 0.0
    cut: Literal["before", "after"] | None = None


class Crm:
    """The server. `requests` grows in the order of arrival; `most_at_once` is the most it held at one time."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Received] = []
        self.decide: Callable[[Received], Answer | None] = lambda _: None
        self.most_at_once = 0
        self.connections = 0
        self._tls, self._host, self.port = tls, host, port
        self._standing = Answer()
        self._next: deque[Answer] = deque()
        self._at_once = 0
        self._arrived = threading.Condition()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crm", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._leave())
        self._run(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}/hooks/leads"

    def answer(
        self,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b'{"ok": true}',
        stall: float = 0.0,
        drip: float = 0.0,
        cut: Literal["before", "after"] | None = None,
        times: int | None = None,
    ) -> None:
        """Answer so: the next `times` requests not yet spoken for, or without `times` all others from now on."""
        raw = body.encode() if isinstance(body, str) else body
        told = Answer(status, headers or {}, raw, stall, drip, cut)
        if times is None:
            self._standing = told
        else:
            self._next.extend([told] * times)

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Received]:
        """Wait until it has got `count` requests in all and return them all; fail with what came instead."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.requests) >= count, timeout)
        assert came, f"{len(self.requests)} of {count} requests came within {timeout} s"
        return list(self.requests)

    def clear(self) -> None:
        """Forget what came and what was told."""
        self.requests.clear()
        self._next.clear()
        self._standing, self.most_at_once = Answer(), 0

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Be away: the port is closed and every connection reset, until the block ends."""
        self._run(self._leave())
        yield
        self._run(self._listen())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._talk, self._host, self.port, ssl=self._tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _leave(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio sets TCP_NODELAY by itself; without it Nagle and the delayed ACK cost 44 ms a request.
        self.connections += 1
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The other side is gone, as it may be, or this one is.
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if self._next and self._next[0].cut == "before":
            self._next.popleft()
            return False
        if self._standing.cut == "before" and not self._next:
            return False
        request = await self._read(first, reader)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            told = self._take(request)
            await asyncio.sleep(told.stall)
            if told.cut:
                return False
            await self._reply(told, writer)
        finally:
            self._at_once -= 1
        return request.headers.get("connection", "").lower() != "close"

    async def _read(self, first: bytes, reader: asyncio.StreamReader) -> Received:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.rstrip().split("\r\n")
        method, path, _ = start.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Received(time.time_ns() // 1_000_000, method, path, headers, body)

    def _take(self, request: Received) -> Answer:
        with self._arrived:
            self.requests.append(request)
            told = self.decide(request) or (self._next.popleft() if self._next else self._standing)
            self._arrived.notify_all()
        return told

    async def _reply(self, told: Answer, writer: asyncio.StreamWriter) -> None:
        headers = {"Content-Type": "application/json", "Content-Length": str(len(told.body)), **told.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {told.status} Told\r\n{lines}\r\n".encode("latin-1"))
        if told.drip:
            for byte in told.body:
                await asyncio.sleep(told.drip)
                writer.write(bytes([byte]))
                await writer.drain()
        else:
            writer.write(told.body)
        await writer.drain()
