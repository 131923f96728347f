"""The phases of a connection, how long each may last, and who goes first when places are short.

Invariant: knows time and order, and nothing of HTTP; `protocol` says which phase a connection is in.
"""

import enum
import resource
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from service.web.protocol import BoundedProtocol

HEAD_S: Final = 10.0
BODY_S: Final = 20.0
WORK_S: Final = 60.0
ANSWER_S: Final = 20.0
IDLE_S: Final = 150.0
"""Longer than proxies keep a connection to us (Caddy 120 s, nginx and HAProxy 60 s or less by default): were we the
first to close it, a POST that is on its way at that moment would be answered 502 by the proxy."""
MOST_CONNECTIONS: Final = 10_000
SPARE_FILES: Final = 100
"""Open files that connections leave to Redis, the spool and the log."""


class Phase(enum.Enum):
    """What a connection is doing; `protocol` has the table at its top."""

    HEAD = enum.auto()
    BODY = enum.auto()
    WORK = enum.auto()
    ANSWER = enum.auto()
    IDLE = enum.auto()
    CLOSING = enum.auto()


def seconds_of(phase: Phase) -> float:
    """Return how long a phase may last."""
    return {
        Phase.HEAD: HEAD_S,
        Phase.BODY: BODY_S,
        Phase.WORK: WORK_S,
        Phase.ANSWER: ANSWER_S,
        Phase.IDLE: IDLE_S,
        Phase.CLOSING: ANSWER_S,
    }[phase]


class Crowd:
    """The connections of one server that wait for their client, each phase in the order of its beginning."""

    EVICTED: Final = (Phase.IDLE, Phase.HEAD, Phase.BODY)
    """Who goes first when places are short: the longest idle, then the slowest. An honest request takes moments."""

    def __init__(self) -> None:
        self.body_bytes = 0
        self._waiting: dict[Phase, dict[BoundedProtocol, None]] = {phase: {} for phase in self.EVICTED}

    def move(self, connection: "BoundedProtocol", old: Phase, new: Phase | None) -> None:
        """Note that a connection went from one phase to another; None: it is gone."""
        if old in self._waiting:
            self._waiting[old].pop(connection, None)
        if new in self._waiting:
            self._waiting[new][connection] = None

    def waiting(self, *phases: Phase) -> Iterator["BoundedProtocol"]:
        """Yield the connections in these phases, the longest waiting first, as often as there still is one."""
        for phase in phases:
            while self._waiting[phase]:
                yield next(iter(self._waiting[phase]))


@cache
def most_connections() -> int:
    """Return how many connections a process holds at once; for one more, another one goes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - SPARE_FILES))
