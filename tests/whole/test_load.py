"""A thousand idle and a hundred one-byte-a-second connections, and a person who sends the form meanwhile.

The quiet and the attacked times are of one run, so that their ratio means something on a busy machine too.
"""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from processes import Process, Processes, post
from workshop import destination, form

from service.web.phases import HEAD_S

pytestmark = pytest.mark.long
IDLE, SLOW, WAVES = 1_000, 100, 8
HEAD = b"POST /f/get-in-touch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
# Ratio of the 95th percentiles, and memory for each connection: both many times what was measured.
MOST_RATIO, MOST_KB_EACH = 10.0, 60


def rss_kb(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def send_for(web: Process, seconds: float) -> list[float]:
    """Send the form for so long, a different person each time; return what each took in ms."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        answer = post(web.port, name="Asha", phone=f"89{time.monotonic_ns() // 1_000 % 100_000_000:08d}")
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200
    return taken


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


@contextmanager
def connected(web: Process, count: int, send: bytes = b"") -> Iterator[list[socket.socket]]:
    """Hold so many connections that have sent this much."""
    with ExitStack() as doors:
        held = [doors.enter_context(socket.create_connection(("127.0.0.1", web.port))) for _ in range(count)]
        for door in held:
            door.sendall(send)
        yield held


def drip(doors: list[socket.socket], byte: bytes) -> None:
    for door in doors:
        try:
            door.send(byte)
        except OSError:
            continue  # it was cut off, as it must be


def test_who_is_idle_or_slow_keeps_nobody_waiting(redis_url: str, tmp_path: Path) -> None:
    with Processes(tmp_path, redis_url, form() + destination("http://127.0.0.1:9/")) as here:
        web = here.serve()
        send_for(web, 1)
        before, quiet = rss_kb(web.pid), p95(send_for(web, WAVES))
        with (
            connected(web, IDLE),
            connected(web, SLOW // 2, HEAD[:20]) as heads,
            connected(web, SLOW // 2, HEAD + b"Content-Length: 1000\r\n\r\n") as bodies,
        ):
            taken: list[float] = []
            for _ in range(WAVES):
                taken += send_for(web, 1)
                drip([*heads, *bodies], b"x")
            during, attacked = rss_kb(web.pid), p95(taken)
            time.sleep(HEAD_S - WAVES + 1)
            assert all(door.recv(100).startswith(b"HTTP/1.1 408") for door in heads)
        ratio = attacked / quiet
        print(  # noqa: T201 -- the figures are for whoever runs it with -s
            f"\np95 quiet {quiet:.1f} ms, attacked {attacked:.1f} ms, ratio {ratio:.2f}, {len(taken)} submissions; "
            f"memory before {before} KiB, with {IDLE + SLOW} connections {during} KiB"
        )
        assert ratio < MOST_RATIO
        assert during - before < (IDLE + SLOW) * MOST_KB_EACH
        assert here.status()["forms"]["get-in-touch"]["balanced"]
