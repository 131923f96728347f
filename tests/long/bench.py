"""`make bench`: what the service costs, each figure beside what it is compared with, in one run on one machine.

It asserts nothing: figures depend on the machine and on what else runs there. Read the ratios, not the numbers.
The same file is run as three more processes: the bare route, the source of load, and nothing else.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from crm import Crm, Received
from redis import Redis

from service.up.embedded import Embedded

ROOT = Path(__file__).parents[2]
CONNECTIONS = 64
ROUNDS = 3
ROUND_S = 4.0
SUBMISSIONS = 10_000
WAITING = 5_000
IDLE_TRIES = 50
STARTS = 3
STALL_S = 10.0
SECRET = "a secret of the benchmark, 32 and more"
# What servers have that nobody set up for this: src/config.c of Redis and Valkey.
DEFAULT_PACKING = {"hash-max-listpack-entries": "512", "hash-max-listpack-value": "64"}
BARE_SCRIPT = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('INCR', KEYS[2])"

CONFIG = """
[forms.get-in-touch]
deliver = ["crm"]
fields.name    = { type = "text", required = true, max_length = 120 }
fields.phone   = { type = "phone", required = true }
fields.email   = { type = "email" }
fields.message = { type = "text", max_length = 5000, multiline = true }

[destinations.crm]
type = "webhook"
url = "$BENCH_CRM"
secret = "$BENCH_SECRET"
allow_private = true
"""

SLOW = """
[destinations.slow]
type = "webhook"
url = "$BENCH_SLOW"
allow_private = true
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a source of load came to: answers of status 200, seconds, ms of the middle and of the slowest percent."""

    answers: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def body(number: int) -> bytes:
    """Write what the visitor of that number posts; each is somebody else."""
    return (
        f"name=Asha+Rao+{number}&phone=9{845_000_000 + number:09d}&email=visitor{number}%40example.com"
        f"&message=My+knee+hurts+since+last+week.+Could+I+come+on+Thursday+morning%3F+({number})"
    ).encode()


# --- the source of load, a process of its own


class Visitor(asyncio.Protocol):
    """One connection that is kept: posts, waits for the whole answer, posts again."""

    def __init__(self, path: str, take: Callable[[], int | None], told: Callable[[int, float], None]) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._path, self._take, self._told = path, take, told
        self._answer = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._post()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, rest = self._answer.partition(b"\r\n\r\n")
        if not blank or len(rest) < int(head.lower().partition(b"content-length:")[2].split()[0]):
            return
        self._told(int(head[9:12]), time.perf_counter() - self._began)
        self._answer.clear()
        self._post()

    def _post(self) -> None:
        number = self._take()
        if number is None:
            self._transport.close()
            return
        posted = body(number)
        self._began = time.perf_counter()
        self._transport.write(
            f"POST {self._path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(posted)}\r\n\r\n".encode()
            + posted
        )


async def make_load(port: int, path: str, first: int, most: int, seconds: float) -> Load:
    """Post until `most` submissions are sent or `seconds` are over, over all connections at once."""
    loop = asyncio.get_running_loop()
    numbers = iter(range(first, first + most))
    began = time.perf_counter()
    times: list[float] = []

    def take() -> int | None:
        return next(numbers, None) if time.perf_counter() < began + seconds else None

    def told(status: int, took: float) -> None:
        assert status == 200, f"answered {status}"
        times.append(took)

    made = [
        await loop.create_connection(lambda: Visitor(path, take, told), "127.0.0.1", port) for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(visitor.gone for _, visitor in made))
    cuts = statistics.quantiles(times, n=100)
    return Load(len(times), time.perf_counter() - began, 1000 * cuts[49], 1000 * cuts[98])


# --- what it is compared with, a process of its own


def run_bare(port: int, url: str) -> None:
    """Serve one route that reads the body and runs one script, on the server and client library that we use."""
    import uvicorn  # noqa: PLC0415 -- only this process needs it
    from starlette.applications import Starlette  # noqa: PLC0415 -- the same
    from starlette.requests import Request  # noqa: PLC0415 -- the same
    from starlette.responses import JSONResponse  # noqa: PLC0415 -- the same
    from starlette.routing import Route  # noqa: PLC0415 -- the same

    from service.store.connection import connect  # noqa: PLC0415 -- the same

    redis = connect(url)
    sha = ""

    async def post(request: Request) -> JSONResponse:
        nonlocal sha
        sha = sha or await redis.script_load(BARE_SCRIPT)
        posted = await request.body()
        count = await redis.evalsha(sha, 2, "bare:{1}:hash", "bare:{1}:count", posted[:40], posted)
        return JSONResponse({"ok": True, "count": count})

    uvicorn.run(
        Starlette(routes=[Route("/", post, methods=["POST"])]),
        host="127.0.0.1", port=port, lifespan="off", access_log=False, log_level="critical", server_header=False,
        proxy_headers=False,
    )  # fmt: skip


# --- processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(words: Sequence[str], environment: Mapping[str, str], port: int) -> Iterator[int]:
    """Run a program of ours, wait until its port takes connections, end it; gives its process id."""
    started = subprocess.Popen(
        [sys.executable, *words], env={**os.environ, **environment}, cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: can_connect(port), started)
        yield started.pid
    finally:
        started.terminate()
        started.wait(30)


def wait_until(is_so: Callable[[], bool], started: "subprocess.Popen[bytes]", patience: float = 30.0) -> None:
    deadline = time.monotonic() + patience
    while not is_so():
        assert started.poll() is None, "a process of the benchmark ended at once"
        assert time.monotonic() < deadline, "a process of the benchmark does not answer"
        time.sleep(0.01)


def can_connect(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def is_there(port: int) -> bool:
    """Tell whether the first page is answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def embedded(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a durable server of our own; gives its address."""
    server = Embedded(folder, settings=settings)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def serve(folder: Path, url: str) -> Iterator[tuple[int, int]]:
    """Run `leads serve`; gives its port and its process id."""
    port = free_port()
    environment = environment_of(folder, url, "http://127.0.0.1:9/hooks/leads")
    with process(["-m", "service", "serve", "--port", str(port)], environment, port) as pid:
        yield port, pid


def environment_of(folder: Path, url: str, crm: str) -> dict[str, str]:
    config = folder / "leads.toml"
    config.write_text(CONFIG)
    return {
        "LEADS_CONFIG": str(config), "LEADS_REDIS_URL": url, "LEADS_SECRET": SECRET, "LEADS_LOG": "json",
        "BENCH_CRM": crm, "BENCH_SECRET": "whsec_" + "QUJD" * 10,
    }  # fmt: skip


def load(port: int, path: str, first: int, most: int = 1_000_000, seconds: float = 600.0) -> Load:
    words = [sys.executable, __file__, "load", str(port), path, str(first), str(most), str(seconds)]
    said = subprocess.run(words, check=True, capture_output=True, cwd=ROOT).stdout
    return Load(**json.loads(said))


# --- what is measured


def measure_throughput(folder: Path) -> None:
    """Submissions a second: ours and the bare route in turn, so that whatever else runs disturbs both."""
    ours: list[Load] = []
    bare: list[Load] = []
    port = free_port()
    with embedded(folder / "server") as url, serve(folder, url) as (our_port, _):
        load(our_port, "/f/get-in-touch", 900_000, most=500)
        with process([__file__, "bare", str(port), url], {}, port):
            load(port, "/", 900_000, most=500)
            for turn in range(ROUNDS):
                ours.append(load(our_port, "/f/get-in-touch", turn * 200_000, seconds=ROUND_S))
                bare.append(load(port, "/", turn * 200_000, seconds=ROUND_S))
    show_loads(f"POST /f/get-in-touch, {CONNECTIONS} connections", ours)
    show_loads("bare Starlette route, one EVALSHA", bare)
    ratio = statistics.median(our.rate / other.rate for our, other in zip(ours, bare, strict=True))
    show("ours beside the bare route", f"{100 * ratio:.0f} %")


def show_loads(what: str, loads: Sequence[Load]) -> None:
    rate, p50, p99 = (statistics.median(getattr(each, name) for each in loads) for name in ("rate", "p50", "p99"))
    show(what, f"{rate:.0f}/s, half within {p50:.0f} ms, 99 % within {p99:.0f} ms")


def measure_memory_of_web(folder: Path) -> None:
    with embedded(folder / "server") as url, serve(folder, url) as (port, pid):
        before = resident_mb(pid)
        load(port, "/f/get-in-touch", 0, most=SUBMISSIONS)
        after = resident_mb(pid)
    show(f"web process after {SUBMISSIONS:,} submissions", f"{after:.0f} MB (at its start {before:.0f} MB)")


def resident_mb(pid: int) -> float:
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True, text=True).stdout
    return int(told) / 1024


def measure_memory_of_redis(folder: Path, what: str, settings: Mapping[str, str] | None) -> None:
    with embedded(folder / "server", settings) as url, serve(folder, url) as (port, _):
        load(port, "/f/get-in-touch", 900_000, most=200)  # Every connection and script is there before we count.
        with Redis.from_url(url) as redis:
            before = data_bytes(redis)
            load(port, "/f/get-in-touch", 0, most=WAITING)
            after = data_bytes(redis)
    show(f"Redis, a waiting lead, {what}", f"{(after - before) / WAITING:.0f} bytes")


def data_bytes(redis: Any) -> int:
    """Return the memory in use without the buffers of connections and of the append-only file."""
    info: dict[str, int] = redis.info("memory")
    return info["used_memory"] - info["mem_clients_normal"] - info["mem_aof_buffer"]


def measure_start(folder: Path) -> None:
    """From the command to the first page, each time on a new data folder."""
    took = []
    for turn in range(STARTS):
        port, began = free_port(), time.perf_counter()
        words = [sys.executable, "-m", "service", "dev", "--port", str(port), "--data", str(folder / str(turn))]
        started = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(partial(is_there, port), started)
            took.append(time.perf_counter() - began)
        finally:
            started.terminate()
            started.wait(60)
    show("`leads dev` to its first page", f"{statistics.median(took):.2f} s (slowest of {STARTS}: {max(took):.2f} s)")


def measure_latency(folder: Path) -> None:
    """From the visitor's POST to its arrival at the CRM, with nothing else to do; then beside a CRM that stalls."""
    arrived: list[float] = []

    def note(_: Received) -> None:
        arrived.append(time.perf_counter())

    with embedded(folder / "server") as url, Crm() as crm, Crm() as slow:
        crm.decide = note
        environment, web, work = environment_of(folder, url, crm.url), free_port(), free_port()
        (folder / "leads.toml").write_text(CONFIG.replace('["crm"]', '["crm", "slow"]') + SLOW)
        with (
            process(["-m", "service", "serve", "--port", str(web)], environment | {"BENCH_SLOW": slow.url}, web),
            process(["-m", "service", "work", "--port", str(work)], environment | {"BENCH_SLOW": slow.url}, work),
        ):
            one_lead(web, crm, 0, arrived)
            alone = [one_lead(web, crm, number, arrived) for number in range(1, IDLE_TRIES)]
            slow.answer(200, stall=STALL_S)
            beside = [one_lead(web, crm, number, arrived) for number in range(IDLE_TRIES, 2 * IDLE_TRIES)]
    for what, took in (("idle", alone), (f"beside one that takes {STALL_S:.0f} s", beside)):
        cuts = statistics.quantiles(took, n=20)
        show(f"submission to CRM, {what}", f"half within {cuts[9]:.0f} ms, 95 % within {cuts[18]:.0f} ms")


def one_lead(port: int, crm: Crm, number: int, arrived: Sequence[float]) -> float:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    began = time.perf_counter()
    connection.request("POST", "/f/get-in-touch", body(number), {"Content-Type": "application/x-www-form-urlencoded"})
    assert connection.getresponse().status == 200
    connection.close()
    crm.wait_for(number + 1, 10)
    time.sleep(0.05)  # So that the worker sleeps again.
    return 1000 * (arrived[number] - began)


def show(what: str, said: str) -> None:
    sys.stdout.write(f"{what:<48} {said}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure all of it, or with an argument only what is named."""
    measures: dict[str, Callable[[Path], None]] = {
        "throughput": measure_throughput,
        "start": measure_start,
        "web": measure_memory_of_web,
        "redis": lambda folder: measure_memory_of_redis(folder, "embedded server", None),
        "redis-default": lambda folder: measure_memory_of_redis(folder, "default packing", DEFAULT_PACKING),
        "latency": measure_latency,
    }
    for name in sys.argv[1:] or measures:
        with tempfile.TemporaryDirectory(prefix="leads-bench-") as folder:
            measures[name](Path(folder))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bare", port, url]:
            run_bare(int(port), url)
        case ["load", port, path, first, most, seconds]:
            told = asyncio.run(make_load(int(port), path, int(first), int(most), float(seconds)))
            sys.stdout.write(json.dumps({name: getattr(told, name) for name in Load.__slots__}))
        case _:
            main()
