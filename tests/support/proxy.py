"""A small TCP proxy before a Redis on a UNIX socket, which breaks the way between as it is told.

    with Proxy(server.socket) as way:
        way.lose_reply_to(script("accept")[1])   # the next command that names it is executed, its reply never comes
        way.stall("replies")                     # what the server says stays on the way; `flow()` lets it go on
        way.cut()                                # every connection is reset
        way.forget()                             # what is open stays so, and nothing comes through; new ones do

It runs in a thread of its own. Commands of one connection follow one another, so the reply to a command is what the
server says next.
"""

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Literal, Self

Way = Literal["commands", "replies"]
AT_MOST = 64 * 1024


class Proxy:
    """The way to `socket`; `lost` counts the replies lost by what their commands named, "nth" for `lose_nth_reply`."""

    def __init__(self, socket: Path) -> None:
        self.lost: Counter[str] = Counter()
        self.port = 0
        self.memory = 0
        self._socket = socket
        self._to_lose: set[str] = set()
        self._nth = 0
        self._is_half = False
        self._flows: dict[Way, asyncio.Event] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lose_reply_to(self, name: str, *, half: bool = False) -> None:
        """Let the next command that holds `name` be executed, and reset its connection instead of replying.

        `half`: in the middle of the reply.
        """
        self._to_lose.add(name)
        self._is_half = half

    def lose_nth_reply(self, number: int) -> None:
        """Reset the connection instead of the `number`-th reply from now, of whichever command."""
        self._nth = number

    def stall(self, way: Way) -> None:
        """Keep what goes that way, without a word, until `flow`."""
        self._loop.call_soon_threadsafe(self._flows[way].clear)

    def flow(self) -> None:
        """Let everything go on that was kept."""
        for flow in self._flows.values():
            self._loop.call_soon_threadsafe(flow.set)

    def forget(self) -> None:
        """Forget every connection, as a NAT does: nothing comes through, and nobody is told. New ones are carried."""
        self.memory += 1

    def cut(self) -> None:
        """Reset every connection."""
        self._run(self._reset())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._flows = {"commands": asyncio.Event(), "replies": asyncio.Event()}
        self.flow()
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
            ends.append(far_writer)
            self._open.update(ends)
            link = _Link(self, self._flows)
            ways = [
                asyncio.create_task(link.carry("commands", reader, far_writer)),
                asyncio.create_task(link.carry("replies", far_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # The server is away: so is the proxy.
        finally:
            for each in ends:
                each.transport.abort()
                self._open.discard(each)

    def named_in(self, command: bytes) -> str | None:
        """Return what is to be lost and stands in the command; it is lost once."""
        found = next((name for name in self._to_lose if name.encode() in command), None)
        self._to_lose.discard(found or "")
        return found

    def rest_of(self, reply: bytes) -> bytes:
        """Return what of a lost reply still comes through."""
        return reply[: len(reply) // 2] if self._is_half else b""

    def is_nth(self) -> bool:
        self._nth -= 1
        return self._nth == 0


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, flows: dict[Way, asyncio.Event]) -> None:
        self._proxy, self._flows = proxy, flows
        self._loses: str | None = None
        self._memory = proxy.memory

    async def carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while text := await reader.read(AT_MOST):
            if way == "commands":
                self._loses = self._loses or self._proxy.named_in(text)
            await self._flows[way].wait()
            if self._memory != self._proxy.memory:
                continue
            if way == "replies" and (lost := self._loses or ("nth" if self._proxy.is_nth() else None)):
                self._proxy.lost[lost] += 1
                writer.write(self._proxy.rest_of(text))
                await writer.drain()
                return
            writer.write(text)
            await writer.drain()
