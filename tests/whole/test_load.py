"""Those who hold connections, or send without end, and a person who sends the form meanwhile.

The quiet and the attacked times are of one run, so that their ratio means something on a busy machine too.
"""

import http.client
import json
import resource
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from processes import FORM_TYPE, Process, Processes, post
from redis import Redis
from workshop import destination, form

from service.web.phases import HEAD_S

pytestmark = pytest.mark.long
IDLE, SLOW, WAVES = 1_000, 100, 8
TALKATIVE, LARGE = 9_600, 400
FLOOD, SENDERS = 20_000, 8
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


def test_ten_thousand_who_go_on_after_their_answer_or_stop_within_a_body_keep_nobody_waiting(
    redis_url: str, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < TALKATIVE + LARGE + 1_000:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    refused = HEAD.replace(b"get-in-touch", b"nobody") + b"Content-Length: 1000\r\n\r\n"
    large = HEAD + b"Content-Length: 250000\r\n\r\n" + b"message=" + b"x" * 200_000
    try:
        with Processes(tmp_path, redis_url, form() + destination("http://127.0.0.1:9/")) as here:
            web = here.serve()
            send_for(web, 1)
            before, quiet = rss_kb(web.pid), p95(send_for(web, WAVES))
            with connected(web, TALKATIVE, refused) as talkative, connected(web, LARGE, large):
                taken: list[float] = []
                for _ in range(WAVES):
                    drip(talkative, b"x")
                    taken += send_for(web, 1)
                during, attacked = rss_kb(web.pid), p95(taken)
            print(  # noqa: T201 -- the figures are for whoever runs it with -s
                f"\n{TALKATIVE} after their answer and {LARGE} within a body: p95 quiet {quiet:.1f} ms, attacked "
                f"{attacked:.1f} ms, ratio {attacked / quiet:.2f}, {len(taken)} submissions; memory before {before} "
                f"KiB, during {during} KiB"
            )
            assert attacked / quiet < MOST_RATIO
            assert here.status()["forms"]["get-in-touch"]["balanced"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_flood_of_new_names_and_of_forged_webhooks_costs_little_and_ends_in_limits(
    redis_url: str, tmp_path: Path
) -> None:
    def named(number: int) -> tuple[str, bytes, str]:
        names = {f"name {number} {place}": "value" for place in range(60)}
        return "/f/get-in-touch", urlencode({"phone": "8951047001", **names}).encode(), FORM_TYPE

    def forged(number: int) -> tuple[str, bytes, str]:
        data = {"phone": f"89{number:08d}", **{f"name {place}": "value" for place in range(60)}}
        event = {"triggerType": "form_submission", "payload": {"id": str(number), "data": data}}
        return "/f/webflow", json.dumps(event).encode(), "application/json"

    def send(part: int) -> Counter[int]:
        connection, statuses = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60), Counter[int]()
        for number in range(part, FLOOD, SENDERS):
            path, body, kind = (named if number % 2 else forged)(number)
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
        connection.close()
        return statuses

    limited = form("webflow", more='webflow = true\nlimits = { address = "60/m" }')
    with Processes(tmp_path, redis_url, form() + limited + destination("http://127.0.0.1:9/")) as here:
        web = here.serve()
        with Redis.from_url(redis_url) as redis, ThreadPoolExecutor(SENDERS) as senders:
            redis.config_resetstat()
            before = int(redis.info("memory")["used_memory"])
            began = time.monotonic()
            statuses = sum(senders.map(send, range(SENDERS)), Counter[int]())
            took, used = time.monotonic() - began, int(redis.info("memory")["used_memory"]) - before
            script = redis.info("commandstats")["cmdstat_evalsha"]
            leads = redis.zcard("leads:{webflow}:leads")
        print(  # noqa: T201 -- the figures are for whoever runs it with -s
            f"\n{FLOOD} requests in {took:.0f} s: {dict(statuses)}; {leads} leads of forged webhooks; Redis holds "
            f"{used / 1e6:.1f} MB more; {script['calls']} scripts of {script['usec_per_call']:.0f} µs in the mean"
        )
        assert set(statuses) == {200, 429}
        assert statuses[200] < FLOOD * 0.6
        assert used < 20_000_000
        assert here.status()["forms"]["get-in-touch"]["balanced"]
