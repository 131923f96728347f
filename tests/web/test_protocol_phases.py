"""Every connection has one running timer at every moment: all orders of what may happen to it."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from service.web.phases import Phase, seconds_of
from service.web.protocol import BoundedProtocol


class Transport(asyncio.Transport):
    """As much of a transport as a protocol asks for; it does what it is told at once.

    As uvloop's, it takes it for a fault if anything is written behind the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.protocol: BoundedProtocol
        self.is_closed = False
        self.has_ended = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 80)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed, bytes(data)
        assert not self.has_ended, bytes(data)

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        """Begin to close: with an answer unread, the end (`lost`) may come much later."""
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Task:
    """What the application would do; the test answers in its place."""

    def add_done_callback(self, _: object) -> None:
        pass


class Loop:
    """As much of a loop as a protocol asks for: its timers, on a clock that the test sets."""

    def __init__(self) -> None:
        self.moment = 0.0
        self._timers: list[tuple[float, asyncio.Handle]] = []

    def call_later(self, seconds: float, callback: Callable[..., object], *args: object) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]  # asked for nothing here
        self._timers.append((self.moment + seconds, handle))
        return handle

    def create_task(self, work: Coroutine[Any, Any, None], **_: object) -> Task:
        work.close()
        return Task()

    def get_debug(self) -> bool:
        return False

    def ends(self, connection: "Connection") -> list[float]:
        """Return when the running timers of a connection end."""
        overdue = connection.protocol._overdue
        return [when for when, timer in self._timers if not timer.cancelled() and timer._callback == overdue]  # type: ignore[attr-defined]  # asyncio's own


async def app(scope: object, receive: object, send: object) -> None:
    del scope, receive, send


class Connection:
    """A connection whose client, application and kernel do what the test says."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.transport = Transport()
        config = uvicorn.Config(app, http=BoundedProtocol, ws="none", log_config=None, lifespan="off")
        config.load()
        self.protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
        self.is_lost = False
        self.protocol.connection_made(self.transport)

    def receive(self, data: bytes) -> None:
        if not self.is_lost and not self.transport.is_closed:
            self.protocol.data_received(data)

    def answer(self) -> None:
        cycle = self.protocol._answering
        if self.is_lost or cycle is None or cycle.response_complete or self.protocol._is_write_paused:
            return
        for message in (
            {"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"1")]},
            {"type": "http.response.body", "body": b"x"},
        ):
            with pytest.raises(StopIteration):
                cycle.send(message).send(None)  # type: ignore[arg-type]  # a coroutine that waits for nothing here

    def pause(self) -> None:
        if not self.is_lost and not self.protocol._is_write_paused:
            self.protocol.pause_writing()

    def resume(self) -> None:
        if not self.is_lost and self.protocol._is_write_paused:
            self.protocol.resume_writing()

    def lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connection_lost(None)

    def shutdown(self) -> None:
        if not self.is_lost:
            self.protocol.shutdown()


HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
EVENTS: dict[str, Callable[[Connection], None]] = {
    "a part of a head": lambda connection: connection.receive(b"POST /x HTTP/1.1\r\nHo"),
    "a head": lambda connection: connection.receive(HEAD),
    "a byte": lambda connection: connection.receive(b"a"),
    "a body": lambda connection: connection.receive(b"abcd"),
    "a request": lambda connection: connection.receive(HEAD + b"abcd"),
    "a request and a part": lambda connection: connection.receive(HEAD + b"abcd" + HEAD[:20]),
    "what is no HTTP": lambda connection: connection.receive(b"\x16\x03\x01\r\n\r\n"),
    "an answer": Connection.answer,
    "the client stops reading": Connection.pause,
    "the client reads": Connection.resume,
    "shutdown": Connection.shutdown,
    "lost": Connection.lose,
}


def look(connection: Connection, done: list[str]) -> None:
    ends = connection.loop.ends(connection)
    if connection.is_lost:
        assert not ends, done
        return
    assert len(ends) == 1, done
    phase = connection.protocol._phase
    assert phase is connection.protocol._now_in(), done
    assert ends[0] <= connection.loop.moment + seconds_of(phase), done


def run(names: tuple[str, ...]) -> None:
    connection = Connection(Loop())
    look(connection, [])
    for count, name in enumerate(names, 1):
        connection.loop.moment += 1
        EVENTS[name](connection)
        look(connection, list(names[:count]))


@pytest.mark.parametrize("first", EVENTS)
def test_one_timer_runs_after_every_event_in_every_order(first: str) -> None:
    for rest in itertools.product(EVENTS, repeat=3):
        run((first, *rest))


@given(st.lists(st.sampled_from([*EVENTS]), max_size=12))
def test_one_timer_runs_however_long_it_goes_on(names: list[str]) -> None:
    run(tuple(names))


@pytest.mark.parametrize("more", [b"a", b"GET", b"\r\n"])
def test_a_client_that_drips_gets_no_more_time_for_it(more: bytes) -> None:
    connection = Connection(Loop())
    connection.receive(HEAD + b"abcd")
    connection.answer()
    connection.receive(more)
    ends = connection.loop.ends(connection)
    for _ in range(5):
        connection.loop.moment += 1
        connection.receive(more[:1])
        is_given_up = connection.transport.is_closed or connection.protocol._is_cut
        assert is_given_up or connection.loop.ends(connection) == ends


def test_every_phase_has_its_end() -> None:
    assert all(0 < seconds_of(phase) < float("inf") for phase in Phase)
