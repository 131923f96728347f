"""A power cut: of what processes wrote, only that is left which they had fsynced.

A small library (`synced.c`) is loaded into the processes and notes each fsync. `cut` ends them with SIGKILL and takes
away what no fsync had reached: the ends of files, and names in folders that were not fsynced since. So it fits what is
only appended to, as the append-only file and the spool are; a write into the middle of a file is not undone, nor a
deletion.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import harness
import pytest
from harness import Installation

SOURCE = Path(__file__).with_name("synced.c")


class _Executed(subprocess.Popen[bytes]):
    """A part as a program of its own, into which a library can be loaded: a forked one has its libraries."""

    def __init__(
        self, words: tuple[str, ...], folder: Path, environ: Mapping[str, str], *, stdin: int, stderr: int
    ) -> None:
        command = [sys.executable, "-m", "service", *words]
        super().__init__(command, cwd=folder, env=environ, stdin=stdin, stdout=subprocess.DEVNULL, stderr=stderr)


class Power:
    """The power of an installation that is made after this."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler (cc) to make the library that notes each fsync")
        library, self._log = folder / "synced.so", folder / "synced.log"
        subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("SYNCED_LOG", str(self._log))
        patch.setattr(harness, "Forked", _Executed)
        self._sizes: dict[int, int] = {}
        self._names: dict[int, set[str]] = {}
        self.taken = 0

    def begin(self, folder: Path) -> None:
        """Take for granted that all that lies in `folder` now is on the disk."""
        self._folder = folder
        self._log.write_bytes(b"")
        paths = [folder, *folder.rglob("*")]
        self._sizes = {path.stat().st_ino: path.stat().st_size for path in paths if path.is_file()}
        self._names = {path.stat().st_ino: {each.name for each in path.iterdir()} for path in paths if path.is_dir()}

    def cut(self, site: Installation, *, is_server_there: bool = True) -> None:
        """Take the power from web, worker and server, and give it back."""
        for part in (site.web, site.worker):
            part.kill()
        if is_server_there:
            site.kill_server()
        self._forget()
        if is_server_there:
            site.server.start()
        for part in (site.web, site.worker):
            part.start(wait=is_server_there or part is site.web)

    def _forget(self) -> None:
        """Leave what is on the disk; `taken` counts the bytes and the files that are not."""
        for line in self._log.read_text().splitlines():
            kind, inode, what = line.split(" ", 2)
            if kind == "S":
                self._sizes[int(inode)] = int(what)
            else:
                self._names[int(inode)] = {*what.split("/")} - {""}
        for path in sorted(self._folder.rglob("*"), reverse=True):
            known = path.lstat()
            if path.name not in self._names.get(path.parent.stat().st_ino, ()) and not path.is_dir():
                path.unlink()
                self.taken += 1
            elif path.is_file() and known.st_size > (size := self._sizes.get(known.st_ino, 0)):
                os.truncate(path, size)
                self.taken += known.st_size - size
        self.begin(self._folder)
