"""Web processes over one port, and how each is followed by another without a visitor noticing.

Invariant: the port stays open from the first process to the last, so whoever connects while one goes waits for the
next. A process is told to end when the one that follows it serves, never before. Several have one above them, which
serves nobody; one alone becomes that when it is followed.
"""

import asyncio
import copy
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.lib.errors import CannotStart
from service.process.lifetime import serve
from service.process.log import Log, open_log
from service.process.server import connect_server
from service.process.settings import Settings, log_format, read_settings
from service.process.wiring import cipher_of, load_config
from service.store.server.agreement import see_secrets
from service.store.server.health import FAILURES

START_AGAIN_EVERY_S: Final = 5.0


class _Several(Multiprocess):
    """uvicorn's processes; a SIGHUP replaces them, one after another, if what they would read is right."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, begun: Sequence[Process] = ()) -> None:
        """Look after those that have begun already, else begin `config.workers`."""
        super().__init__(config, [listening])
        self._begun = begun
        self._look_at = 0.0

    def init_processes(self) -> None:
        """Have the processes that are to be looked after."""
        if self._begun:
            self.processes += self._begun
        else:
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Start whoever has ended again, and then look at nobody for a while: it may end at every start."""
        if time.monotonic() < self._look_at:
            return
        for process in self.processes:
            process.child_conn.close()  # held open here too, it would have us wait for the answer of one that has ended
        before = [*self.processes]
        super().keep_subprocess_alive()
        if self.processes != before:
            self._look_at = time.monotonic() + START_AGAIN_EVERY_S

    def handle_hup(self) -> None:
        """Let new processes read the configuration and the code as they are now; a mistake changes nothing."""
        if not _is_right():
            return
        before = [process.pid for process in self.processes]
        self.restart_all()
        _tell(len(before), sum(process.pid not in before for process in self.processes))


class _Alone(uvicorn.Server):
    """The only process, until a SIGHUP has begun a successor: then it serves nobody any more."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        """Serve by `config`; what follows gets `listening`."""
        super().__init__(copy.copy(config))  # a server loads the application into its own, which goes to no process
        self._next, self._listening = config, listening
        self.successor: Process | None = None
        self.is_asked = threading.Event()
        self.is_over = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="successor", daemon=True)
        self._thread.start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; nothing is to follow any more."""
        self.is_over.set()
        super().handle_exit(sig, frame)

    def close(self) -> None:
        """End what has begun to follow, too."""
        self.is_over.set()
        self.is_asked.set()
        self._thread.join()
        if self.successor:
            self.successor.terminate()
            self.successor.join()

    def _attend(self) -> None:
        while not (self.successor or self.is_over.is_set()):
            self.is_asked.wait()
            self.is_asked.clear()
            if not self.is_over.is_set() and _is_right():
                self._begin_successor()

    def _begin_successor(self) -> None:
        process = Process(self._next, [self._listening])
        process.start()
        if process.wait_until_ready(self._next.timeout_worker_healthcheck, self.is_over):
            self.successor, self.should_exit = process, True
        else:
            process.kill()
            process.join()
        if not self.is_over.is_set():
            _tell(1, 1 if self.successor else 0)


def _is_right() -> bool:
    """Tell whether what a new process would read is right; what is wrong is logged."""
    try:
        settings = read_settings(os.environ)
        load_config(settings.config, os.environ)
        cipher_of(settings.encryption)
        asyncio.run(_see_secrets(settings))
    except CannotStart as error:
        _log().error("the old configuration stays", reason=str(error))
        return False
    return True


async def _see_secrets(settings: Settings) -> None:
    server = connect_server(settings.redis_url, settings.secrets)
    try:
        await server.open()
        await see_secrets(server, settings.secrets)
    except FAILURES:
        pass  # Redis is away: each process looks for itself when it is back.
    finally:
        await server.close()


def _tell(processes: int, replaced: int) -> None:
    if replaced == processes:
        _log().info("the configuration was read again", processes=replaced)
    else:
        _log().error("the old configuration stays", reason=f"{processes - replaced} of {processes} did not start.")


def _log() -> Log:
    return open_log(log_format(os.environ), "web")


def serve_alone(config: uvicorn.Config, listening: socket.socket) -> None:
    """Serve over a port in this process, or in the one that follows it, until SIGTERM or SIGINT."""
    server = _Alone(config, listening)
    signal.signal(signal.SIGHUP, lambda *_: server.is_asked.set())
    try:
        serve(server, listening.dup())
        if server.successor and not server.is_over.is_set():
            several = _Several(config, listening, [server.successor])
            several.signal_queue += [signal.SIGHUP] if server.is_asked.is_set() else []
            several.run()
    finally:
        server.close()


def serve_with_several(config: uvicorn.Config, listening: socket.socket) -> None:
    """Serve over a port with `config.workers` processes until SIGTERM or SIGINT."""
    _Several(config, listening).run()
