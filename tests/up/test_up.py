"""`leads up` as a process: what it makes, what it starts again, and that nothing is left when it ends or is killed.

Web and worker are doubles here, which show what they were given; tests of the whole start the real ones.
"""

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.lib.errors import CannotStart
from service.up import supervisor
from service.up.embedded import ask
from service.up.run import DEMO_CONFIG, prepare

PART = """
    import http.server, json, os, pathlib, signal, sys, time
    from service.process.lifetime import watch_stdin
    folder, what, *words = sys.argv[1:]
    def end(*_):
        with open(f"{folder}/ends", "a") as file:
            file.write(f"{what}\\n")
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
    def renew(*_):
        with open(f"{folder}/renewals", "a") as file:
            file.write(f"{what}\\n")
    signal.signal(signal.SIGHUP, renew)
    note = {"what": what, "words": words, "environ": dict(os.environ), "pid": os.getpid()}
    with open(f"{folder}/starts.jsonl", "a") as file:
        file.write(json.dumps(note) + "\\n")
    if what in os.environ.get("REFUSES", ""):
        sys.exit(f"{what} cannot start")
    watch_stdin(end)
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def log_message(self, *_): pass
    if what == "serve":
        http.server.HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Ready).serve_forever()
    time.sleep(60)
"""
UP = """
    import os, pathlib, sys
    from service.up.run import run
    folder, port, demo = sys.argv[1:]
    program = [sys.executable, f"{folder}/part.py", folder]
    sys.exit(run(port=int(port), data=pathlib.Path(folder) / "data", demo=demo == "demo", config=None,
                 environ=os.environ, program=program))
"""

CONFIG = """
[forms.callback]
deliver = ["crm"]
fields.phone = { type = "phone" }

[destinations.crm]
type = "webhook"
url = "https://crm.example.com/"
"""


class Installation:
    """`leads up` on a folder, and what it did."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        self.running: list[subprocess.Popen[str]] = []
        for name, program in (("part.py", PART), ("up.py", UP)):
            (folder / name).write_text(textwrap.dedent(program))
        (folder / "leads.toml").write_text(CONFIG)

    def up(self, demo: str = "", **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(self.folder / "up.py"), str(self.folder), str(self.port), demo],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(supervisor.__file__).parents[2]), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # at a terminal, SIGHUP would say that it is gone
        )
        self.running.append(process)
        return process

    def starts(self, what: str) -> list[dict[str, Any]]:
        file = self.folder / "starts.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def pids(self) -> list[int]:
        server = (self.data / "server.pid").read_text()
        return [self.starts("serve")[-1]["pid"], self.starts("work")[-1]["pid"], int(server)]

    def ends(self) -> list[str]:
        return (self.folder / "ends").read_text().split()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
    ask(made.data / "server.sock", b"SHUTDOWN")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def line_with(text: str, process: subprocess.Popen[str]) -> list[str]:
    """Read what the process says up to the line with `text` in it; return all of it."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.rstrip())
        if text in line:
            return said
    raise AssertionError(said)


def ready(installation: Installation, demo: str = "") -> tuple[subprocess.Popen[str], str]:
    """Start it, wait until all of it runs, and return the process and what it said."""
    before = [len(installation.starts(what)) for what in ("serve", "work")]
    process = installation.up(demo)
    said = line_with("Ctrl-C", process)
    until(lambda: all(len(installation.starts(what)) > n for what, n in zip(("serve", "work"), before, strict=True)))
    return process, "\n".join(said)


def until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_it_prints_the_addresses_once_ready_and_stops_all_in_order(installation: Installation) -> None:
    process, said = ready(installation)
    assert f"http://127.0.0.1:{installation.port}/f/callback" in said
    words = installation.starts("work")[0]["words"]
    assert f"http://127.0.0.1:{words[words.index('--port') + 1]}/readyz   figures: /metrics" in said
    assert 20 <= int(words[words.index("--port") + 1]) - installation.port < 30  # none that is another program's
    pids = installation.pids()
    assert all(map(is_alive, pids))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
    assert process.wait(20) == 0
    assert installation.ends() == ["serve", "work"]
    assert not any(map(is_alive, pids))
    assert sorted(path.name for path in installation.data.iterdir() if path.name.startswith(("server.", "run"))) == [
        "server.lock",
        "server.log",
    ]


def test_with_the_demo_its_parts_are_told_where_the_demo_is(installation: Installation) -> None:
    _, said = ready(installation, "demo")
    assert f"http://127.0.0.1:{installation.port}/demo/crm" in said
    until(lambda: bool(installation.starts("desk")))
    words = installation.starts("desk")[0]["words"]
    assert f"http://127.0.0.1:{words[words.index('--port') + 1]}/   leads desk invite" in said
    for what in ("serve", "work", "desk"):
        [start] = installation.starts(what)
        environ = start["environ"]
        assert environ["LEADS_DEMO"] == str(installation.data)
        assert environ["DEMO_CRM_URL"] == f"http://127.0.0.1:{installation.port}/demo/crm"
        assert environ["LEADS_CONFIG"] == str(DEMO_CONFIG)
        assert environ["LEADS_REDIS_URL"] == f"unix://{installation.data}/server.sock"
        assert environ["CRM_WEBHOOK_SECRET"] == (installation.data / "demo-crm-secret").read_text().strip()
        assert "--until-stdin-closes" in start["words"]


@pytest.mark.parametrize("what", ["serve", "work"])
def test_a_part_that_is_killed_starts_again_and_the_terminal_says_why(installation: Installation, what: str) -> None:
    process, _ = ready(installation)
    os.kill(installation.starts(what)[-1]["pid"], signal.SIGKILL)
    said = line_with("starts again", process)
    assert "SIGKILL" in said[-1]
    assert "0.5 s" in said[-1]
    until(lambda: len(installation.starts(what)) == 2)


def test_the_server_that_is_killed_starts_again_at_the_same_place(installation: Installation) -> None:
    process, _ = ready(installation)
    os.kill(installation.pids()[2], signal.SIGKILL)
    line_with("The server ended (SIGKILL)", process)
    until(lambda: ask(installation.data / "server.sock", b"PING").startswith(b"+PONG"))


def test_at_sighup_all_parts_read_the_file_again_and_a_mistake_changes_nothing(installation: Installation) -> None:
    process, _ = ready(installation)
    (installation.folder / "leads.toml").write_text(f"{CONFIG}colour = 1")
    process.send_signal(signal.SIGHUP)
    line_with("destinations.crm.colour", process)
    assert not (installation.folder / "ends").exists()
    (installation.folder / "leads.toml").write_text(CONFIG)
    process.send_signal(signal.SIGHUP)
    until(lambda: len(installation.starts("work")) == 2)
    assert installation.ends() == ["work"]
    assert (installation.folder / "renewals").read_text() == "serve\n"
    assert len(installation.starts("serve")) == 1


def test_after_kill_9_the_children_end_by_themselves_and_the_next_run_takes_over(installation: Installation) -> None:
    first, _ = ready(installation)
    web, worker, server = installation.pids()
    first.kill()
    first.wait()
    until(lambda: not is_alive(web) and not is_alive(worker))
    assert is_alive(server)
    ready(installation)
    assert not is_alive(server)
    assert (
        installation.starts("serve")[0]["environ"]["LEADS_SECRET"]
        == (installation.starts("serve")[1]["environ"]["LEADS_SECRET"])
    )


def test_a_second_one_on_the_same_folder_says_so(installation: Installation) -> None:
    ready(installation)
    installation.port = free_port()
    second = installation.up()
    _, complaint = second.communicate(timeout=10)
    assert second.returncode == 1
    assert complaint == f"Another `leads up` already runs on the folder {installation.data}.\n"


def test_a_port_in_use_is_said_before_anything_is_started(installation: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", installation.port))
        other.listen()
        process = installation.up()
        _, complaint = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complaint == (
        f"Port {installation.port} of 127.0.0.1 cannot be used (Address already in use). "
        "Choose another one with --port.\n"
    )
    assert not (installation.data / "server.log").exists()
    assert installation.starts("serve") == []


def test_a_part_that_cannot_start_ends_the_whole_with_its_own_words(installation: Installation) -> None:
    process = installation.up(REFUSES="serve")
    said, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "serve cannot start" in complaint
    assert "Traceback" not in complaint + said
    assert len(installation.starts("serve")) == 1
    assert not (installation.data / "server.sock").exists()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LEADS_SECRET", "short", "LEADS_SECRET is too short"),
        ("LEADS_SECRET_FILE", "/nowhere", "LEADS_SECRET_FILE names a file that cannot be read"),
        ("LEADS_LOG", "xml", "LEADS_LOG is 'xml'"),
    ],
)
def test_a_setting_that_no_part_can_use_is_said_once_and_nothing_is_started(
    installation: Installation, name: str, value: str, told: str
) -> None:
    process = installation.up(**{name: value})
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert complaint.startswith(told)
    assert complaint.count("\n") == 1
    assert not installation.starts("serve")
    assert not installation.starts("work")


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    def made() -> dict[str, str]:
        return prepare(tmp_path, port=8000, demo=True, config=None, environ={})

    first = made()
    assert made() == first
    assert len(first["LEADS_SECRET"]) >= 32
    assert len(base64.b64decode(first["CRM_WEBHOOK_SECRET"].removeprefix("whsec_"))) == 32
    for name in ("secret", "demo-crm-secret"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["LEADS_SECRET", "LEADS_SECRET_FILE"])
def test_a_secret_of_the_environment_goes_before_one_in_the_folder(tmp_path: Path, name: str) -> None:
    environment = prepare(tmp_path, port=8000, demo=False, config=None, environ={name: "given"})
    assert environment[name] == "given"
    assert not (tmp_path / "secret").exists()


class Falling:
    """A part that ends at every look, with `status`."""

    name = "worker"

    def __init__(self, status: int = -9) -> None:
        self.status, self.starts = status, 0

    def start(self) -> None:
        self.starts += 1
        if self.status == 0:
            raise CannotStart("It cannot start.")

    def poll(self) -> int:
        return self.status

    def why(self) -> str:
        return ""


@pytest.mark.parametrize("status", [-9, 3, 0])
def test_pauses_double_up_to_half_a_minute(status: int) -> None:
    watch = supervisor.Watch(Falling(status))
    pauses: list[float] = []
    now = 0.0
    while len(pauses) < 9:
        watch.look(now)
        if watch.since is None:
            pauses.append(watch.due - now)
            now = watch.due
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_the_system_refuses_is_told_as_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    falling = Falling()
    monkeypatch.setattr(falling, "start", lambda: Path("/proc/nowhere/x").write_text("x"))
    supervisor.Watch(falling).look(0.0)
    told = capsys.readouterr().out
    assert told == "The worker cannot start: No such file or directory (/proc/nowhere/x). It starts again in 0.5 s.\n"


def test_a_minute_of_life_makes_the_next_pause_short_again() -> None:
    watch = supervisor.Watch(Falling(), since=0.0, pause=16.0)
    watch.look(59.0)
    assert watch.due == 59.0 + 16.0
    watch = supervisor.Watch(Falling(), since=0.0, pause=16.0)
    watch.look(60.0)
    assert watch.due == 60.5


def test_a_final_status_is_handed_up_and_nothing_is_started_again() -> None:
    watch = supervisor.Watch(Falling(1), since=0.0)
    assert watch.look(1.0, final=(1, 2)) == 1
    assert watch.since == 0.0
