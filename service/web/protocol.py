"""The web part's HTTP connection, bounded: a client that is slow or endless costs a bounded time and memory.

Invariant: at every moment of its life a connection is in one phase, and the timer of that phase runs. What a client
does can move it to another phase; nothing that a client does gives a phase more time. This module measures bytes and
time, and knows nothing of forms: how large a body may be is decided where it is read (`request.read_body`).

    phase     the connection …                                ends by itself after   and then
    HEAD      is open, or has sent a part of a head           HEAD_S                 408, closed
    BODY      has sent a head, and not all of its body        BODY_S                 408, closed
    WORK      waits for our answer                            WORK_S                 aborted
    ANSWER    does not read what it asked for                 ANSWER_S               aborted
    IDLE      has its answer, and asks nothing                IDLE_S                 closed
    CLOSING   is being closed                                 ANSWER_S               aborted

uvicorn's own protocol takes a head of any size, waits for its end for ever, and for a reader too.
"""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.web import phases
from service.web.phases import Crowd, Phase, seconds_of
from service.web.upgrade import without_upgrade

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.server import ServerState

HEAD_BYTES: Final = 16 * 1024
WIRE_BYTES: Final = 2 * 1024 * 1024
"""A body on the wire: 256 KiB in chunks of one byte take 1.5 MiB. Chunk extensions and the like count too."""
LINGER_S: Final = 1.0
LEAVE_S: Final = 1.0
"""What an idle client has, when the process ends, to ask once more and be told that it is the last answer."""
LAST_ANSWER: Final = (b"connection", b"close")
MOST_AHEAD: Final = 16
"""Requests sent before an earlier one is answered (pipelining, which no browser does)."""
BODIES_BYTES: Final = 64 * 1024 * 1024
"""All bodies together that a process holds and has not answered yet."""

_CROWDS: "WeakKeyDictionary[ServerState, Crowd]" = WeakKeyDictionary()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with limits on sizes, and a running timer in every phase."""

    allowance = 1  # so many times as large and as slow a body may be

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- whatever uvicorn hands on
        super().__init__(*args, **kwargs)
        self._crowd = _CROWDS.setdefault(self.server_state, Crowd())
        self._phase = Phase.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._phase_of = (Phase.CLOSING, -1)  # no phase yet
        self._is_cut = False
        self._is_gone = False
        self._is_in_head = True
        self._is_write_paused = False
        self._unread = 0
        self._head = 0
        self._held_back = b""
        self._bodies = self._counted = 0
        self._messages = 0
        self._answers = 0
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to wait for a head. When all places are taken, who has kept one the longest without need goes."""
        super().connection_made(transport)
        if len(self.connections) > phases.most_connections():
            longest = next(self._crowd.waiting(*Crowd.EVICTED), self)
            longest.evict()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer and give back what was held."""
        self._is_cut = self._is_gone = True
        self._forsake()
        self._stop_timer()
        self._crowd.move(self, self._phase, None)
        self._release_bodies()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head or body that grows beyond its limit before it ends is cut off."""
        if self._is_cut:
            return
        self._unread += len(data)
        if self._is_in_head:
            data, self._held_back = without_upgrade(self._held_back + data)
        super().data_received(data)
        self._count_bodies()
        if self._is_in_head and self._unread > HEAD_BYTES:
            self._cut(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._unread > WIRE_BYTES * self.allowance:
            self._cut(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._watch()

    def on_message_begin(self) -> None:
        """Begin a head, perhaps behind another request's body in the same piece."""
        super().on_message_begin()
        self._head, self._unread = 0, max(self._unread, 1)

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
            super().on_headers_complete()  # raises for an address that is none: then this is a head still
            self._is_in_head, self._unread = False, 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._is_cut:
            return
        if not self.cycle.response_complete:
            self._bodies += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the wait: what follows is our time, not the client's."""
        if self._is_cut:
            return
        self._is_in_head, self._unread = True, 0
        self._messages += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or be idle; the timers are ours, not uvicorn's."""
        self._answers += 1
        if not self.pipeline:
            self._release_bodies()
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for somebody who does not read what was asked for, but not for ever."""
        super().pause_writing()
        self._is_write_paused = True
        self._watch()

    def resume_writing(self) -> None:
        """Go on: it was read."""
        super().resume_writing()
        self._is_write_paused = False
        self._watch()

    def shutdown(self) -> None:
        """Answer what is asked, saying that it is the last answer here; whoever asks nothing has `LEAVE_S` to do so.

        Closed at once, an idle connection would break a request that is on its way.
        """
        state = self.server_state
        if LAST_ANSWER not in state.default_headers:
            state.default_headers = [*state.default_headers, LAST_ANSWER]
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LEAVE_S, self._leave)
        else:
            if not self.cycle.response_started:
                self.cycle.default_headers = state.default_headers
            self._leave()

    def _leave(self) -> None:
        super().shutdown()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- the status says it
        """Refuse what is no HTTP. What was asked before it is answered first, and is the last to be."""
        if self._is_answering() and not self._is_cut:
            self._is_cut, self.cycle.keep_alive = True, False
        self._cut(HTTPStatus.BAD_REQUEST)

    def evict(self) -> None:
        """Give up this connection for the sake of others."""
        if self._is_in_head:
            self._abort()
        else:
            self._cut(HTTPStatus.SERVICE_UNAVAILABLE)
        self._release_bodies()
        self._watch()

    def _now_in(self) -> Phase:
        if self._is_cut or self.transport.is_closing():
            return Phase.CLOSING
        if self._is_write_paused:
            return Phase.ANSWER
        if not self._is_in_head:
            return Phase.BODY
        if self._unread or not self._messages:
            return Phase.HEAD
        return Phase.IDLE if self.cycle.response_complete and not self.pipeline else Phase.WORK

    def _watch(self) -> None:
        """Let the timer be the one of the phase that this connection is in now."""
        if self._is_gone:
            return
        phase = self._now_in()
        counted = self._answers if phase in {Phase.WORK, Phase.IDLE} else self._messages
        if (phase, counted) == self._phase_of and self._timer is not None:
            return
        self._crowd.move(self, self._phase, phase)
        self._phase, self._phase_of = phase, (phase, counted)
        self._stop_timer()
        seconds = seconds_of(phase) * (self.allowance if phase is Phase.BODY else 1)
        self._timer = self.loop.call_later(seconds, self._overdue)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        self._timer = None
        if self._phase in {Phase.HEAD, Phase.BODY} and not self.transport.is_closing():
            self._cut(HTTPStatus.REQUEST_TIMEOUT)
        elif self._phase is Phase.IDLE and not self.transport.is_closing():
            self.transport.close()
        else:
            self._abort()
        self._watch()

    def _count_bodies(self) -> None:
        """Count what came of bodies. When all bodies together are too large, the slowest go."""
        self._crowd.body_bytes += self._bodies - self._counted
        self._counted = self._bodies
        if self._crowd.body_bytes > BODIES_BYTES * self.allowance:
            for slowest in self._crowd.waiting(Phase.BODY):
                slowest.evict()
                if self._crowd.body_bytes <= BODIES_BYTES * self.allowance:
                    return
            self.evict()

    def _release_bodies(self) -> None:
        self._crowd.body_bytes -= self._counted
        self._bodies = self._counted = 0

    def _cut(self, status: HTTPStatus) -> None:
        if self._is_cut:
            return
        self._is_cut = True
        if self.transport.is_closing():
            return
        if self._is_answering():
            self._abort()  # Whatever we wrote now would be taken for the end of that answer.
            return
        if self._is_in_head or not self.cycle.response_started:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode("ascii"))
        self._forsake()
        # Closing on a client that still sends would reset the connection, and our answer with it.
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._answering = cycle  # with requests sent ahead it is not the latest
        super()._start_asgi_task(cycle, app)

    def _abort(self) -> None:
        self._is_cut = True
        self._forsake()
        self.transport.abort()

    def _forsake(self) -> None:
        """Let what is at work write nothing any more: writing where nobody can read is an error."""
        for cycle in (self._answering, self.cycle):
            if cycle is not None:
                cycle.disconnected, cycle.waiting_for_100_continue = True, False
                cycle.message_event.set()

    def _is_answering(self) -> bool:
        """Tell whether an answer is under way or owed to a request before the one that is being read."""
        if self.pipeline:
            return True
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._is_in_head or self.cycle.response_started
