"""The life of a process: the files it may open, the signals that end it, and what else does.

Invariant: a process whose starter is gone ends too, in order.
"""

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

import uvicorn

NOT_STARTED: Final = 3
"""The status that uvicorn's own command ends with then; a supervisor may try again."""


def watch_parent(stop: Callable[[], None]) -> None:
    """Call `stop` once the process that started this one as one of several is gone, from a thread of its own."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        stop()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def watch_stdin(stop: Callable[[], None]) -> None:
    """Call `stop` once standard input ends, from a thread of its own: whoever started this process is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        stop()

    threading.Thread(target=wait, name="stdin", daemon=True).start()


def end() -> None:
    """End this process in order, as SIGTERM does."""
    os.kill(os.getpid(), signal.SIGTERM)


def leave(*_: object) -> None:
    """End in order: uvicorn raises the signal that ended it once more when all is done, and that is no failure."""
    sys.exit(0)


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: each connection is a file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve over a port in this process until SIGTERM or SIGINT; exit with `NOT_STARTED` if it could not begin."""
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if not server.started:
        sys.exit(NOT_STARTED)
