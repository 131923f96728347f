"""The spool: submissions on the local disk while Redis is away.

Invariant: a line is a whole submission and is fsynced before `append` returns; a file is locked by whoever writes or
drains it, so the kernel knows of each file whether its process still lives. Nothing is ever dropped: what cannot be
read is set aside beside the rest, under a name that ends in `.aside`.

Files are named `TIME-RANDOM.jsonl` and readable by their owner alone. Draining a line twice is harmless, because the
script that takes it knows the submission's id: so a file is drained from its beginning and removed when all of it is.
"""

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.lib.errors import CannotStart

_PIECE: Final = 64 * 1024
_NOTHING: Final = (0, 0)
OPEN_NEW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(slots=True)
class Batch:
    """One spooled file, locked by us, to be drained in order. `torn` counts the half line it may end in."""

    path: Path
    _file: int
    _aside: Callable[[Path, bytes], bool]
    torn: int = 0

    def lines(self) -> Iterator[bytes]:
        """Yield every whole line; a last one without its end was never thanked for, and is set aside."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]
                else:
                    self.torn += self.set_aside(line)

    def set_aside(self, line: bytes) -> bool:
        """Keep a line that cannot be taken, for a person to look at; False: an earlier round has kept it."""
        return self._aside(self.path, line)

    def remove(self) -> None:
        """Remove the file: every line of it was taken or set aside."""
        try:
            self.path.unlink(missing_ok=True)
            _sync_folder(self.path.parent)
        finally:
            os.close(self._file)

    def release(self) -> None:
        """Leave the file to the next one who drains."""
        os.close(self._file)


@dataclass(slots=True)
class _Open:
    path: Path
    file: int
    size: int = 0


@dataclass(slots=True)
class Spool:
    """A folder of spooled submissions, shared by all web processes of a machine. Its methods block; use threads.

    `clock` gives ms; it only names files, so that they are drained in the order they were begun.
    """

    folder: Path
    clock: Callable[[], int]
    _open: _Open | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def append(self, line: bytes) -> None:
        """Write a line and fsync it. Raises OSError if it is not on the disk; nothing of it is there then."""
        with self._lock:
            mine = self._open = self._current() or self._begin()
            try:
                _write_all(mine.file, line + b"\n")
                os.fsync(mine.file)
            except OSError:
                self._forget_after(mine)
                raise
            mine.size += len(line) + 1

    def take(self, passed: Container[Path] = ()) -> Batch | None:
        """Return the oldest file that no living process holds, our own included, and that is not passed over.

        None if there is none.
        """
        with self._lock:
            if self._open and self._open.size:
                os.close(self._open.file)
                self._open = None
        for path in sorted(self.folder.glob("*.jsonl")):
            if path not in passed and (batch := self._claim(path)):
                return batch
        return None

    def count(self) -> int:
        """Return how many submissions lie in the folder; of each file only what came since the last call is read."""
        with self._counting:
            counted = {}
            for path in self.folder.glob("*.jsonl"):
                with contextlib.suppress(FileNotFoundError):
                    counted[path] = _count_on(path, self._counted.get(path, _NOTHING))
            self._counted = counted
            return sum(lines for _, lines in counted.values())

    def oldest(self) -> int | None:
        """Return when the oldest file with submissions was begun (ms), None if there is none."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with contextlib.suppress(FileNotFoundError, ValueError):  # drained meanwhile; not one of ours
                if path.stat().st_size:
                    return int(path.name.partition("-")[0])
        return None

    def aside(self) -> list[str]:
        """Return the names of files with lines that could not be taken.

        One whose lines were all erased is empty, and stays: another process may be about to write into it.
        """
        return sorted(path.name for path in self.folder.glob("*.aside") if path.stat().st_size)

    def purge_aside(self, is_theirs: Callable[[bytes], bool | None]) -> list[str]:
        """Delete the lines set aside that are theirs; returns the names of files with lines that cannot be judged."""
        unread = []
        for path in sorted(self.folder.glob("*.aside")):
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                lines = file.read().splitlines(keepends=True)
                verdicts = [is_theirs(line.rstrip(b"\n")) for line in lines]
                if None in verdicts:
                    unread.append(path.name)
                if any(verdicts):
                    file.seek(0)
                    file.write(b"".join(line for line, gone in zip(lines, verdicts, strict=True) if not gone))
                    file.truncate()
                    file.flush()
                    os.fsync(file.fileno())
        return unread

    def probe(self) -> None:
        """Raise OSError unless a line could be written and fsynced now."""
        path = self.folder / f".probe-{secrets.token_hex(6)}"
        file = os.open(path, OPEN_NEW, 0o600)
        try:
            path.unlink(missing_ok=True)  # Before it is written: nothing is left behind by a process that is killed.
            _write_all(file, b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Let go of our file; what is in it is drained by the next process."""
        with self._lock:
            if self._open:
                os.close(self._open.file)
                if not self._open.size:
                    self._open.path.unlink(missing_ok=True)
                self._open = None

    def _current(self) -> _Open | None:
        """Return our file, unless somebody cleaned it away: what is written into that is kept nowhere."""
        if self._open and not os.fstat(self._open.file).st_nlink:
            os.close(self._open.file)
            self._open = None
        return self._open

    def _begin(self) -> _Open:
        """Begin a file. One that another process took for an empty one before it was locked is gone: another, then."""
        while True:
            path = self.folder / f"{self.clock():015d}-{secrets.token_hex(6)}.jsonl"
            file = os.open(path, OPEN_NEW, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                _sync_folder(self.folder)
            except OSError:
                os.close(file)
                path.unlink(missing_ok=True)
                raise
            if os.fstat(file).st_nlink:
                return _Open(path, file)
            os.close(file)

    def _forget_after(self, mine: _Open) -> None:
        """Take back what a failed write left behind; a file that cannot even be cut is left to be set aside."""
        try:
            os.ftruncate(mine.file, mine.size)
            os.fsync(mine.file)
        except OSError:
            os.close(mine.file)
            self._open = None

    def _claim(self, path: Path) -> Batch | None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            return None  # Gone, or somebody else's: that must not hold up what is ours.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        if not os.fstat(file).st_nlink:  # Somebody drained it between our look and our lock.
            os.close(file)
            return None
        return Batch(path, file, self._set_aside)

    def _set_aside(self, path: Path, line: bytes) -> bool:
        aside = path.with_suffix(".aside")
        line = line.rstrip(b"\n")
        if aside.exists() and line in aside.read_bytes().split(b"\n"):
            return False
        file = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _write_all(file, line + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        _sync_folder(self.folder)
        return True


def open_spool(folder: Path, clock: Callable[[], int]) -> Spool:
    """Make the folder if it is missing and see that it can be written. Raises CannotStart."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(".probe-*"):
            left.unlink(missing_ok=True)
        spool = Spool(folder, clock)
        spool.probe()
    except OSError as error:
        raise CannotStart(f"LEADS_SPOOL: {folder} cannot be written ({error.strerror}).") from error
    return spool


def _count_on(path: Path, counted: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a file and its lines; `counted` is what was found before, which is not read again."""
    now = path.stat().st_size
    size, lines = counted if counted[0] <= now else _NOTHING  # cut, after a failed write
    if size < now:
        with path.open("rb") as file:
            file.seek(size)
            while piece := file.read(_PIECE):
                size, lines = size + len(piece), lines + piece.count(b"\n")
    return size, lines


def _write_all(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
