"""The embedded server on real folders: what it keeps, whom it lets in, and what it makes of a run that was cut off."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from service.lib.errors import CannotStart
from service.up.embedded import LONGEST_SOCKET_PATH, Embedded, ask


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path / "data")
    embedded.start()
    yield embedded
    embedded.stop()


def client(embedded: Embedded) -> Redis:
    return Redis.from_url(embedded.url, decode_responses=True)


def setting(embedded: Embedded, name: str) -> str:
    with client(embedded) as redis:
        return str(redis.config_get(name)[name])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("no-appendfsync-on-rewrite", "no"),
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("port", "0"),
        ("hash-max-listpack-value", "1024"),
        ("hash-max-listpack-entries", "256"),
    ],
)
def test_it_is_durable_and_listens_nowhere_but_at_its_socket(server: Embedded, name: str, value: str) -> None:
    assert setting(server, name) == value


def test_only_its_owner_can_open_the_folder_and_the_socket(server: Embedded) -> None:
    path = Path(server.url.removeprefix("unix://"))
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_is_in_a_session_of_its_own_so_that_the_terminals_ctrl_c_does_not_reach_it(server: Embedded) -> None:
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_what_was_written_is_there_after_a_stop_and_a_start(server: Embedded) -> None:
    with client(server) as redis:
        redis.set("a", "1")
    server.stop()
    server.start()
    with client(server) as redis:
        assert redis.get("a") == "1"


def test_what_was_acknowledged_is_there_after_kill_9(server: Embedded) -> None:
    with client(server) as redis:
        for n in range(50):
            redis.rpush("list", n)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.poll() is None:
        time.sleep(0.01)
    assert server.poll() == -signal.SIGKILL
    server.start()
    with client(server) as redis:
        assert redis.llen("list") == 50


def test_after_kill_9_nothing_is_said_as_its_reason(server: Embedded) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.poll() is None:
        time.sleep(0.01)
    assert server.why() == ""


@pytest.mark.parametrize("name", ["server.sock", "server.pid", "server.lock"])
def test_a_folder_that_is_unwritable_for_a_moment_is_no_reason_to_wait_for_ever(server: Embedded, name: str) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.poll() is None:
        time.sleep(0.01)
    (server.folder / name).unlink()
    (server.folder / name).mkdir()  # whoever runs the tests, that cannot be written to
    with pytest.raises(OSError, match=name):
        server.start()
    assert server.pid is None
    (server.folder / name).rmdir()
    server.start()
    assert ask(server.folder / "server.sock", b"PING").startswith(b"+PONG")


def test_a_stop_leaves_no_process_no_socket_and_no_pid_file_behind(server: Embedded) -> None:
    pid = server.pid
    assert pid is not None
    server.stop()
    server.stop()
    assert not is_alive(pid)
    assert not (server.folder / "server.sock").exists()
    assert not (server.folder / "server.pid").exists()


def test_a_second_run_on_the_same_folder_says_so_in_a_sentence(server: Embedded) -> None:
    with pytest.raises(CannotStart, match="already runs on the folder"):
        Embedded(server.folder).start()
    assert ask(server.folder / "server.sock", b"PING").startswith(b"+PONG")


def outlive(folder: Path) -> int:
    """Start a server from a process that is then killed; return the pid of the server, which goes on."""
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from redis import Redis
        from service.up.embedded import Embedded
        embedded = Embedded(Path({str(folder)!r}))
        embedded.start()
        Redis.from_url(embedded.url).set("kept", "yes")
        print(embedded.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    assert is_alive(pid)
    return pid


@pytest.mark.parametrize("name", ["data", "d" * LONGEST_SOCKET_PATH])
def test_a_server_that_outlived_its_owner_is_ended_in_order_and_its_data_taken_over(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    earlier = outlive(folder)
    embedded = Embedded(folder)
    assert embedded.claim()
    embedded.start()
    try:
        assert not is_alive(earlier)
        with client(embedded) as redis:
            assert redis.get("kept") == "yes"
    finally:
        embedded.stop()


def test_a_pid_file_that_names_a_stranger_by_now_harms_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "30"]) as stranger:
        (tmp_path / "server.pid").write_text(f"{stranger.pid}\n")
        embedded = Embedded(tmp_path)
        assert not embedded.claim()
        embedded.start()
        embedded.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_folder_with_a_long_name_gets_its_socket_elsewhere_and_gives_it_back(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path / ("d" * LONGEST_SOCKET_PATH))
    embedded.start()
    path = Path(embedded.url.removeprefix("unix://"))
    assert ask(path, b"PING").startswith(b"+PONG")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    embedded.stop()
    assert not path.parent.exists()


@pytest.mark.parametrize("whose", ["nobody's", "another's", "open", "shared", "a link", "nothing"])
def test_a_note_of_an_earlier_socket_is_believed_only_of_a_folder_of_our_own(tmp_path: Path, whose: str) -> None:
    place = tmp_path / ("shared" if whose == "shared" else "leads-earlier")
    place.mkdir(mode=0o755 if whose == "open" else 0o700)
    (place / "kept").write_text("what others have there")
    told = str(place / "server.sock")
    match whose:
        case "nobody's":
            told = str(tmp_path / "leads-gone" / "server.sock")
        case "another's" if os.geteuid() == 0:
            os.chown(place, 12_345, -1)
        case "another's":
            pytest.skip("only root can give a folder away")
        case "a link":
            (tmp_path / "leads-link").symlink_to(place)
            told = str(tmp_path / "leads-link" / "server.sock")
        case "nothing":
            told = ""
    embedded = Embedded(tmp_path / ("d" * LONGEST_SOCKET_PATH))
    embedded.folder.mkdir(mode=0o700)
    (embedded.folder / "socket").write_text(f"{told}\n")
    embedded.claim()
    path = Path(embedded.url.removeprefix("unix://"))
    assert path != Path(told)
    assert not list(path.parent.iterdir())
    embedded.stop()
    assert (place / "kept").exists()
    assert not path.parent.exists()


def test_what_others_laid_beside_the_socket_stays(tmp_path: Path) -> None:
    place = tmp_path / "leads-earlier"
    place.mkdir(mode=0o700)
    (place / "kept").write_text("x")
    embedded = Embedded(tmp_path / ("d" * LONGEST_SOCKET_PATH))
    embedded.folder.mkdir(mode=0o700)
    (embedded.folder / "socket").write_text(f"{place / 'server.sock'}\n")
    embedded.claim()
    assert embedded.url == f"unix://{place / 'server.sock'}"
    embedded.stop()
    assert (place / "kept").exists()


def test_a_server_that_cannot_start_says_why_in_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where a folder belongs")
    embedded = Embedded(tmp_path)
    with pytest.raises(CannotStart, match=r"Its last words: .*append"):
        embedded.start()
    assert embedded.pid is None
    embedded.stop()


def test_its_last_words_are_those_of_this_start_also_before_it_has_a_log(tmp_path: Path) -> None:
    made = Embedded(tmp_path / "data")
    made.start()
    made.stop()
    (tmp_path / "data" / "server.log").unlink()
    (tmp_path / "data" / "server.log").mkdir()
    made = Embedded(tmp_path / "data")
    with pytest.raises(CannotStart, match="Can't open the log file: Is a directory"):
        made.start()
    (tmp_path / "data" / "server.log").rmdir()
    made.start()
    made.stop()


def test_a_start_can_be_abandoned(tmp_path: Path) -> None:
    abandon = threading.Event()
    abandon.set()
    embedded = Embedded(tmp_path, abandon=abandon)
    with pytest.raises(CannotStart, match="Stopped while"):
        embedded.start()
    assert embedded.pid is None
    embedded.stop()


def test_without_the_package_it_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CannotStart, match=r"lead-capture\[embedded\]"):
        Embedded(tmp_path)
