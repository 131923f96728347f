"""The spool on a real disk: what is on it when `append` returns, who may read it, and what becomes of what broke."""

import contextlib
import fcntl
import os
import resource
import stat
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.intake.spool import Spool, open_spool
from service.lib.errors import CannotStart
from service.process.wiring import clock

ROOT = Path(__file__).parents[2]
APPENDER = """
import pathlib, sys
from service.intake.spool import open_spool
from service.process.wiring import clock
spool = open_spool(pathlib.Path(sys.argv[1]), clock)
for number in range(int(sys.argv[3])):
    spool.append(f"{sys.argv[2]}-{number}".encode())
    print(number, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool", clock)
    yield opened
    opened.close()


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let the disk be full: no file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def appender(folder: Path, name: str, lines: int) -> Iterator[subprocess.Popen[str]]:
    """Run another process that appends `lines` lines, says each on its output, and then holds its file."""
    with subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(folder), name, str(lines)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    for _ in range(count):
        assert process.stdout.readline()


def drained(spool: Spool) -> list[bytes]:
    """Take all there is, in order."""
    lines = []
    while batch := spool.take():
        lines += list(batch.lines())
        batch.remove()
    return lines


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_line_is_whole_and_fsynced_before_append_returns(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    really = os.fsync

    def fsync(file: int) -> None:
        really(file)
        path = Path(f"/proc/self/fd/{file}")
        synced.append(path.read_bytes() if path.is_file() else b"the folder")

    monkeypatch.setattr("service.intake.spool.os.fsync", fsync)
    spool.append(b"one")
    spool.append(b"two")
    assert synced == [b"the folder", b"one\n", b"one\ntwo\n"]


def test_only_its_owner_may_read_what_lies_in_it(spool: Spool) -> None:
    earlier = os.umask(0)
    try:
        spool.append(b"one")
        batch = spool.take()
        assert batch is not None
        batch.set_aside(b"one")
    finally:
        os.umask(earlier)
    assert mode(spool.folder) == 0o700
    assert {path.suffix: mode(path) for path in spool.folder.iterdir()} == {".jsonl": 0o600, ".aside": 0o600}
    batch.release()


def test_lines_come_back_in_the_order_they_went_in_and_then_nothing_is_left(spool: Spool) -> None:
    lines = [f"line {number}".encode() for number in range(50)]
    for line in lines:
        spool.append(line)
    assert spool.count() == 50
    assert drained(spool) == lines
    assert list(spool.folder.iterdir()) == []


def test_files_are_taken_oldest_first_whoever_began_them(tmp_path: Path) -> None:
    at = iter([3, 1, 2])
    for name in (b"third", b"first", b"second"):
        one = open_spool(tmp_path, lambda: next(at))
        one.append(name)
        one.close()
    assert drained(open_spool(tmp_path, clock)) == [b"first", b"second", b"third"]


def test_a_file_is_held_while_its_process_lives_and_taken_once_it_was_killed(spool: Spool) -> None:
    with appender(spool.folder, "other", 3) as process:
        said(process, 3)
        assert spool.take() is None
        assert spool.count() == 3
        process.kill()
        process.wait()
        assert drained(spool) == [b"other-0", b"other-1", b"other-2"]


def test_a_batch_is_ours_alone_until_it_is_released(spool: Spool) -> None:
    spool.append(b"one")
    other = open_spool(spool.folder, clock)
    batch = spool.take()
    assert batch is not None
    assert other.take() is None
    batch.release()
    assert drained(other) == [b"one"]


def test_processes_that_append_while_others_drain_lose_and_double_nothing(spool: Spool) -> None:
    lines: list[bytes] = []
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(appender(spool.folder, f"p{number}", 200)) for number in range(2)]
        for number in range(200):
            spool.append(f"own-{number}".encode())
            lines += drained(spool)
        for process in others:
            said(process, 200)
            process.kill()
            process.wait()
        lines += drained(spool)
    assert Counter(lines) == Counter(f"{name}-{n}".encode() for name in ("p0", "p1", "own") for n in range(200))


def test_a_file_taken_for_an_empty_one_before_it_was_locked_gets_no_line(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_spool(spool.folder, clock)
    really, rounds = fcntl.flock, iter([other, other])

    def flock(file: int, how: int) -> None:
        if how == fcntl.LOCK_EX and (thief := next(rounds, None)):
            assert drained(thief) == []
        really(file, how)

    monkeypatch.setattr("service.intake.spool.fcntl.flock", flock)
    spool.append(b"kept")
    assert drained(other) == []
    assert drained(spool) == [b"kept"]


def test_a_line_goes_into_no_file_that_somebody_cleaned_away(spool: Spool) -> None:
    spool.append(b"gone, as somebody wished")
    for path in spool.folder.iterdir():
        path.unlink()
    spool.append(b"kept")
    assert drained(spool) == [b"kept"]


def test_a_half_written_last_line_is_set_aside_and_counted(spool: Spool) -> None:
    (spool.folder / "000000000000001-cut.jsonl").write_bytes(b'{"whole": 1}\n{"ha')
    batch = spool.take()
    assert batch is not None
    assert list(batch.lines()) == [b'{"whole": 1}']
    assert batch.torn == 1
    batch.remove()
    assert spool.aside() == ["000000000000001-cut.aside"]
    assert (spool.folder / "000000000000001-cut.aside").read_bytes() == b'{"ha\n'


def test_a_line_set_aside_in_an_earlier_round_is_not_set_aside_again(spool: Spool) -> None:
    spool.append(b"broken")
    for is_news in (True, False, False):
        batch = spool.take()
        assert batch is not None
        assert batch.set_aside(b"broken") is is_news
        batch.release()
    [aside] = spool.folder.glob("*.aside")
    assert aside.read_bytes() == b"broken\n"


def test_a_full_disk_is_an_error_that_leaves_nothing_half(spool: Spool) -> None:
    spool.append(b"before")
    with files_end_at(20), pytest.raises(OSError, match="too large"):
        spool.append(b"x" * 100)
    spool.append(b"after")
    assert drained(spool) == [b"before", b"after"]
    assert spool.aside() == []


def test_a_disk_too_full_for_a_new_file_is_an_error_and_no_line_goes_missing_later(spool: Spool) -> None:
    with files_end_at(0), pytest.raises(OSError, match="too large"):
        spool.append(b"refused")
    spool.append(b"taken")
    assert drained(spool) == [b"taken"]


@pytest.mark.parametrize("broken", ["fsync", "ftruncate"])
def test_a_line_that_could_not_be_fsynced_is_refused_and_those_before_it_stay(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    spool.append(b"before")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("service.intake.spool.os.fsync", fail)
        patch.setattr(f"service.intake.spool.os.{broken}", fail)
        with pytest.raises(OSError, match="Input/output"):
            spool.append(b"refused")
    spool.append(b"after")
    assert {*drained(spool)} - {b"refused"} == {b"before", b"after"}


def test_probing_says_whether_a_line_could_be_written_and_leaves_nothing(spool: Spool) -> None:
    spool.probe()
    with files_end_at(0), pytest.raises(OSError, match="too large"):
        spool.probe()
    assert list(spool.folder.iterdir()) == []


def a_file(folder: Path) -> None:
    folder.write_text("")


def under_a_file(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_text("")


@pytest.mark.parametrize("spoil", [a_file, under_a_file])
def test_a_folder_that_cannot_be_one_is_said_at_start(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = tmp_path / "deep" / "spool"
    folder.parent.mkdir()
    spoil(folder)
    with pytest.raises(CannotStart, match=r"LEADS_SPOOL: .* cannot be written"):
        open_spool(folder, clock)


def test_what_lies_there_is_counted_without_being_read_again(spool: Spool) -> None:
    for number in range(3):
        (spool.folder / f"{number}.jsonl").write_bytes(b"x" * 999_999 + b"\n")
    tracemalloc.start()
    assert spool.count() == 3
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()
    read = bytes_read()
    assert spool.count() == 3
    with (spool.folder / "1.jsonl").open("ab") as file:
        file.write(b"y\nhalf a line")
    assert spool.count() == 4
    assert bytes_read() - read < 100_000
    os.truncate(spool.folder / "0.jsonl", 0)
    (spool.folder / "2.jsonl").unlink()
    assert spool.count() == 2


def bytes_read() -> int:
    """Return how much this process has read so far."""
    return int(Path("/proc/self/io").read_text("utf-8").split()[1])
