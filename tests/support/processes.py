"""The project's own processes for a test: started on private ports and folders, waited for by polling, none left.

    with Processes(tmp_path, redis_url, one_crm(crm)) as here:
        web, worker = here.serve(), here.work()
        here.post(web, name="Asha", phone="8951047001")

Every process is a session of its own, so that its children can be found and ended with it.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from forks import Forked

from service.up.embedded import ask

ROOT = Path(__file__).parents[2]
ENVIRON = {"CRM_SECRET": "whsec_7y0Jk3uQ4pVbXc1eZtR8mHnW2sLdGfAo", "LEADS_SECRET": "5b1e0c7a93d84f2e6a17c0d9b35f8e24"}
STARTS_WITHIN_S = 30.0
ENDS_WITHIN_S = 30.0
FORM_TYPE = "application/x-www-form-urlencoded"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], object], seconds: float = 10.0, why: Callable[[], str] = str) -> None:
    """Wait until it is so; fail after `seconds`, telling `why`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"it did not become so in time {why()}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def session_of(pid: int) -> list[int]:
    """Return the processes of the session that `pid` began and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(session) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `headers` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 20,
) -> Reply:
    """Ask 127.0.0.1 on a connection of its own; a body that is an iterator is sent in chunks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers or {}), encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def post(port: int, form: str = "get-in-touch", **fields: str) -> Reply:
    """Post a form as a browser's script would."""
    return request(port, "POST", f"/f/{form}", urlencode(fields), {"Content-Type": FORM_TYPE})


def answers(port: int, path: str = "/healthz") -> int:
    """Return the status of a GET, 0 where nobody answers."""
    try:
        return request(port, "GET", path, timeout=5).status
    except (OSError, http.client.HTTPException):
        return 0


def _start(
    words: tuple[str, ...], folder: Path, environ: Mapping[str, str], said: int
) -> subprocess.Popen[bytes] | Forked:
    if words[0] not in {"up", "dev"} and "--workers" not in words:
        return Forked(words, folder, environ, stdout=said, stderr=said, session=True)
    return subprocess.Popen(
        [sys.executable, "-m", "service", *words], cwd=folder, env=dict(environ), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
    )  # fmt: skip


class Process:
    """One started process; what it says goes to a file. `port` is where it was told to listen."""

    def __init__(
        self, words: tuple[str, ...], folder: Path, environ: Mapping[str, str], number: int, port: int
    ) -> None:
        self.port, self._file = port, folder / f"said-{number}.txt"
        with self._file.open("wb") as file:
            self._process = _start(words, folder, environ, file.fileno())
        self.pid = self._process.pid

    def said(self) -> str:
        """Return everything it wrote so far."""
        return self._file.read_text("utf-8", "replace")

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Return the lines of its JSON log, of one kind or all."""
        whole = self.said().splitlines(keepends=True)  # the last one may be half there yet
        told = [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]
        return [line for line in told if event in ("", line["event"])]

    def wait_ready(self, path: str = "/healthz") -> Self:
        """Wait until it answers 200 on its port."""
        until(lambda: answers(self.port, path) == 200 or self.ended(), STARTS_WITHIN_S, self.said)
        assert not self.ended(), self.said()
        return self

    def ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = ENDS_WITHIN_S) -> int:
        """Wait for its end; return its status, negative for a signal."""
        return self._process.wait(seconds)

    def stop(self) -> int:
        """End it in order; return its status."""
        if not self.ended():
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it and its children by force, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def children(self) -> list[int]:
        """Return the other processes of its session that still run."""
        return [pid for pid in session_of(self.pid) if pid != self.pid]


class Processes:
    """An installation's processes in a folder; each ends with the block, by force if need be."""

    def __init__(self, folder: Path, redis_url: str, config: str, **environ: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "leads.toml").write_text(config, "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "PROMETHEUS_"))}
        self.environ = {**kept, **ENVIRON, "PYTHONPATH": str(ROOT), "LEADS_REDIS_URL": redis_url, **environ}
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            process.kill()
        ask(self.folder / "data" / "server.sock", b"SHUTDOWN")  # `up` gives its server a session of its own

    def start(self, *words: str, port: int = 0) -> Process:
        """Start a command without waiting for anything."""
        process = Process(words, self.folder, self.environ, len(self._started), port)
        self._started.append(process)
        return process

    def serve(self, *words: str) -> Process:
        """Start the web part and wait until it answers."""
        port = free_port()
        return self.start("serve", "--port", str(port), *words, port=port).wait_ready()

    def work(self, *words: str) -> Process:
        """Start a worker and wait until it answers."""
        port = free_port()
        return self.start("work", "--port", str(port), *words, port=port).wait_ready()

    def up(self, command: str = "up") -> Process:
        """Start `up` or `dev` on the folder `data` and wait until it is ready."""
        port = free_port()
        words = (command, "--port", str(port), "--data", str(self.folder / "data"))
        process = self.start(*words, port=port)
        until(lambda: "Ctrl-C" in process.said() or process.ended(), STARTS_WITHIN_S, process.said)
        assert not process.ended(), process.said()
        return process

    def run(self, *words: str) -> str:
        """Run a command to its end and return what it said; it must succeed."""
        process = self.start(*words)
        assert process.wait() == 0, process.said()
        return process.said()

    def status(self) -> Any:
        """Return `leads status --json`, read."""
        return json.loads(self.run("status", "--json"))


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Keep a process from doing anything until the block ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
