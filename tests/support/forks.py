"""`leads` as a process of its own, forked from one that has imported all of it: what takes a second takes a moment.

    process = Forked(("serve", "--port", "8000"), folder, environ, stderr=file.fileno())

It has its own words, environment, folder, open files and session, as one that `python -m service` starts. What a user
starts (`up`, `dev`, the processes behind `serve --workers`) is started for real.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, BinaryIO

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([
    "service.__main__", "service.cli.main", "service.cli.check", "service.cli.leads", "service.web.app",
    "service.delivery.dispatcher", "service.intake.drain", "service.desk.app", "service.process.log",
    "service.process.successors", "aiohttp", "uvloop",
])  # fmt: skip
"""Not prometheus_client: it looks at the environment when it is imported."""
_NOWHERE = os.open(os.devnull, os.O_RDWR)


class _File:
    """An open file that goes along to the process."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Callable[..., int], tuple[object]]:
        return _opened, (DupFd(self._number),)


def _opened(kept: Any) -> int:
    return int(kept.detach())


def _become(words: tuple[str, ...], folder: Path, environ: dict[str, str], files: list[int], session: bool) -> None:
    """Be the process that `python -m service WORDS` would have been."""
    if session:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- the standard input, open as long as the process is
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
    from service.__main__ import main  # noqa: PLC0415 -- it was imported before this process was forked

    sys.argv = ["leads", *words]
    main()


class Forked:
    """One started process, with what is needed of `subprocess.Popen`."""

    def __init__(
        self, words: tuple[str, ...], folder: Path, environ: Mapping[str, str], *,
        stdin: int = _NOWHERE, stdout: int = _NOWHERE, stderr: int = _NOWHERE, session: bool = False,
    ) -> None:  # fmt: skip
        files = [_File(number) for number in (stdin, stdout, stderr)]
        self._process = _FORKS.Process(target=_become, args=(words, folder, dict(environ), files, session))
        self._process.start()
        self._words = words
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end; return how it ended."""
        self._process.join(seconds)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._words, seconds or 0)
        return status

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()


def run(words: tuple[str, ...], folder: Path, environ: Mapping[str, str], seconds: float) -> tuple[int, bytes, bytes]:
    """Run a command to its end; return its status, what it wrote and what it said."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = Forked(words, folder, environ, stdout=stdout.fileno(), stderr=stderr.fileno())
        status = process.wait(seconds)
        return status, _read(stdout), _read(stderr)


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
