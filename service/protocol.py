"""The web part's HTTP connection, bounded: a client that is slow or endless costs a bounded time and memory.

Law: measures bytes and time, and knows nothing of forms. uvicorn's own protocol takes a head of any size and waits for
its end for ever; here a head has 16 KiB and 10 s, and a body 20 s from its head on. How large a body may be is decided
where it is read (`exchange.read_body`). What goes beyond is answered once, by HTTP's own statuses, and cut off.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 16 * 1024
HEAD_S: Final = 10.0
BODY_S: Final = 20.0
LINGER_S: Final = 1.0

_UPGRADE: Final = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with a limit on the head's size and a deadline for head and body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- whatever uvicorn hands on
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_cut = False
        self._is_in_head = True
        self._unread = 0
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to wait for a head: somebody who connects and says nothing is not kept."""
        super().connection_made(transport)
        self._allow(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that grows beyond its limit before it ends is cut off."""
        if self._is_cut:
            return
        if self._is_in_head:
            self._unread += len(data)
            if self._deadline is None:
                self._allow(HEAD_S)
            data = _without_upgrade(data)
        super().data_received(data)
        if self._is_in_head and self._unread > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._head = 0

    def on_url(self, url: bytes) -> None:
        """Count it."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it."""
        self._head += len(name) + len(value) + len(b": \r\n")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, or cut off a head that came too large in one go."""
        self._is_in_head = False
        if self._head > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
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

    def _allow(self, seconds: float) -> None:
        self._settle()
        self._deadline = self.loop.call_later(seconds, self._cut, HTTPStatus.REQUEST_TIMEOUT)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self, status: HTTPStatus) -> None:
        self._settle()
        self._is_cut = True
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode("ascii"))
        # Closing on a client that still sends would reset the connection, and our answer with it.
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _without_upgrade(data: bytes) -> bytes:
    """Rename `Upgrade` in a head: nothing else is spoken here (RFC 9110, 7.8), and httptools drops the body after it.

    Java's HttpClient offers h2c on every first request. The head ends at the first empty line; a body is left alone.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nignored", head) + end + rest
