"""The web part's HTTP connection, bounded: a client that is slow or endless costs a bounded time and memory.

Law: measures bytes and time, and knows nothing of forms. uvicorn's own protocol takes a head of any size, waits for its
end for ever and for a client that does not read its answer too; here a head has 16 KiB and 10 s, a body 20 s from its
head on and 2 MiB with all that is said about it, an answer 20 s to be taken. How large a body may be is decided where
it is read (`exchange.read_body`). What goes beyond is answered once, by HTTP's own statuses, and cut off.
"""

import asyncio
import re
import resource
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 16 * 1024
HEAD_S: Final = 10.0
BODY_S: Final = 20.0
WIRE_BYTES: Final = 2 * 1024 * 1024
"""A body on the wire: 256 KiB in chunks of one byte take 1.5 MiB. Chunk extensions and the like count too."""
ANSWER_S: Final = 20.0
LINGER_S: Final = 1.0
MOST_AHEAD: Final = 16
"""Requests sent before an earlier one is answered (pipelining, which no browser does)."""
MOST_CONNECTIONS: Final = 10_000
SPARE_FILES: Final = 100
"""Open files that connections leave to Redis, the spool and the log."""

_UPGRADE: Final = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with limits on sizes and deadlines for head, body and answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- whatever uvicorn hands on
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._is_cut = False
        self._is_in_head = True
        self._unread = 0
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to wait for a head: somebody who connects and says nothing is not kept."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self._is_cut = True
            transport.abort()
            return
        self._allow(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._settle()
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head or body that grows beyond its limit before it ends is cut off."""
        if self._is_cut:
            return
        self._unread += len(data)
        if self._is_in_head:
            if self._deadline is None:
                self._allow(HEAD_S)
            data = _without_upgrade(data)
        super().data_received(data)
        if self._is_in_head and self._unread > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._unread > WIRE_BYTES:
            self._cut(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._head = 0

    def on_url(self, url: bytes) -> None:
        """Count it."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it. One behind the body (a trailer) is dropped: it must not pass for one that was looked at."""
        self._head += len(name) + len(value) + len(b": \r\n")
        if self._is_in_head:
            super().on_header(name, value)
        elif self._head > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, or cut off a head that came too large in one go."""
        if self._is_cut:
            return
        if self._head > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif len(self.pipeline) >= MOST_AHEAD:
            self._cut(HTTPStatus.TOO_MANY_REQUESTS)
        else:
            self._is_in_head, self._unread = False, 0
            self._allow(BODY_S)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if not self._is_cut:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the wait: what follows is our time, not the client's."""
        if self._is_cut:
            return
        self._settle()
        self._is_in_head, self._unread = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on; a connection that closes behind its answer waits for no reader for ever."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_in(ANSWER_S)

    def pause_writing(self) -> None:
        """Wait for somebody who does not read what was asked for, but not for ever."""
        super().pause_writing()
        self._end_in(ANSWER_S)

    def resume_writing(self) -> None:
        """Go on: it was read."""
        super().resume_writing()
        if self._end is not None and not self.transport.is_closing():
            self._end.cancel()
            self._end = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that asks nothing more, even if it never reads what it asked for."""
        super().timeout_keep_alive_handler()
        self._end_in(ANSWER_S)

    def _allow(self, seconds: float) -> None:
        self._settle()
        self._deadline = self.loop.call_later(seconds, self._cut, HTTPStatus.REQUEST_TIMEOUT)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_in(self, seconds: float) -> None:
        if self._end is None:
            self._end = self.loop.call_later(seconds, self.transport.abort)

    def _cut(self, status: HTTPStatus) -> None:
        if self._is_cut:
            return
        self._settle()
        self._is_cut = True
        if self.transport.is_closing():
            return
        if self._is_answering():
            self.transport.abort()  # Whatever we wrote now would be taken for the end of that answer.
            return
        if self._is_in_head or not self.cycle.response_started:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode("ascii"))
        # Closing on a client that still sends would reset the connection, and our answer with it.
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
        self._end_in(ANSWER_S)

    def _is_answering(self) -> bool:
        """Tell whether an answer is under way or owed to a request before the one that is being read."""
        if self.pipeline:
            return True
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._is_in_head or self.cycle.response_started


@cache
def most_connections() -> int:
    """Return how many connections a process holds at once; one more is closed unread."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - SPARE_FILES))


def _without_upgrade(data: bytes) -> bytes:
    """Rename `Upgrade` in a head: nothing else is spoken here (RFC 9110, 7.8), and httptools drops the body after it.

    Java's HttpClient offers h2c on every first request. The head ends at the first empty line; a body is left alone.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nignored", head) + end + rest
