"""Proxies that keep their connections to us: no POST is lost to one that was closed while it was on its way.

Each pair of submissions goes through a connection of its own between the proxy and the web part, the second one so
long after the first as nobody else's. The way in between is long. Whatever idle limit between the shortest and the
longest wait a server had, the proxy would send some second POST just as that limit closes its connection; that a
limit of 5 s is noticed is tried too.
"""

import asyncio
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from processes import FORM_TYPE, Processes, answers, free_port, until
from workshop import destination, form

pytestmark = [pytest.mark.long, pytest.mark.anyio]
CONFIG = form() + destination("http://127.0.0.1:9/hooks")
WAY_S = 0.1
"""How long a byte takes between proxy and web part; a connection is closed unnoticed for twice as long."""
TOGETHER_S = 20.0
"""Over so long the first submissions of the pairs are spread."""

RUNNING = (Path(__file__).parents[2] / "docs" / "running.md").read_text("utf-8")
# A pool of its own for each pair, named by the header `X-Pool`; all else as the proxy has it by default.
NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 8192; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {pools}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://pool$http_x_pool; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""
HAPROXY = """
global
    maxconn 4000
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 200s
    timeout server 200s
frontend all
    bind 127.0.0.1:{port}
    use_backend pool%[req.hdr(x-pool)]
{pools}
"""
CADDY = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://127.0.0.1:{port} {{
{pools}
}}
"""
PROXIES: dict[str, tuple[str, str, Callable[[Path], list[str]]]] = {
    "nginx": (NGINX, "upstream pool{number} {{ server 127.0.0.1:{way}; keepalive 8; }}",
              lambda file: ["-c", str(file), "-p", str(file.parent)]),
    "haproxy": (HAPROXY, "backend pool{number}\n    server web 127.0.0.1:{way}", lambda file: ["-f", str(file)]),
    "caddy": (CADDY, "    @pool{number} header X-Pool {number}\n    reverse_proxy @pool{number} 127.0.0.1:{way}",
              lambda file: ["run", "--config", str(file), "--adapter", "caddyfile"]),
}  # fmt: skip


class Way(asyncio.Protocol):
    """One end of a way on which every byte, and the end, takes `WAY_S`; `other` is where it comes out."""

    def __init__(self) -> None:
        self.other: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(WAY_S, self._pass_on, lambda other: other.write(data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- however it ended, it ends there too
        asyncio.get_running_loop().call_later(WAY_S, self._pass_on, lambda other: other.close())

    def _pass_on(self, what: Callable[[asyncio.Transport], None]) -> None:
        self.other.add_done_callback(lambda other: what(other.result()))


@asynccontextmanager
async def long_way_to(port: int) -> AsyncIterator[int]:
    """Listen on a port from which it is a long way to `port`."""
    loop = asyncio.get_running_loop()
    going: set[asyncio.Task[None]] = set()

    async def go_on(near: Way) -> None:
        _, far = await loop.create_connection(Way, "127.0.0.1", port)
        far.other.set_result(near.transport)
        near.other.set_result(far.transport)

    class Entrance(Way):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            going.add(task := loop.create_task(go_on(self)))
            task.add_done_callback(going.discard)

    server = await loop.create_server(Entrance, "127.0.0.1", 0, backlog=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def proxy(name: str, folder: Path, text: str, port: int) -> Iterator[int]:
    """Run a proxy with a configuration that listens on `port`, and yield that."""
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{name} is not here: apt-get install {name}")
    *_, words = PROXIES[name]
    folder.mkdir()
    file = folder / "config"
    file.write_text(text)
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen([program, *words(file)], stdout=said, stderr=said)
    try:
        until(lambda: answers(port) or process.poll() is not None, 30, (folder / "said.txt").read_text)
        assert process.poll() is None, (folder / "said.txt").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def pooling(name: str, folder: Path, pools: int, way: int) -> Iterator[int]:
    """Run a proxy before `way` with so many pools of connections; yield its port."""
    whole, pool, _ = PROXIES[name]
    port = free_port()
    each = "\n".join(pool.format(number=number, way=way) for number in range(pools))
    with proxy(name, folder, whole.format(folder=folder, port=port, pools=each), port) as opened:
        yield opened


async def submit(port: int, pool: int, person: int) -> int:
    """Post a form through a pool; return the status, 0 for none."""
    body = f"name=Asha&phone=89{person:08d}"
    head = f"POST /f/get-in-touch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Pool: {pool}\r\nConnection: close\r\n"
    head += f"Content-Type: {FORM_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}{body}".encode())
        answer = await reader.read()
        return int(answer.split(b" ", 2)[1]) if answer else 0
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def pairs(port: int, idle: list[float], people: Iterator[int]) -> Counter[int]:
    """Send a pair of submissions for each idle time, all at once; count the answers by status."""

    async def pair(pool: int, seconds: float) -> list[int]:
        await asyncio.sleep(TOGETHER_S * pool / len(idle))
        first = await submit(port, pool, next(people))
        await asyncio.sleep(seconds)
        return [first, await submit(port, pool, next(people))]

    statuses = await asyncio.gather(*(pair(pool, seconds) for pool, seconds in enumerate(idle)))
    return Counter(status for each in statuses for status in each)


async def try_all(folder: Path, web: int, idle: list[float]) -> dict[str, Counter[int]]:
    """Send the pairs through each proxy at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    people = iter(range(10**8))
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(long_way_to(web))
        ports = {name: stack.enter_context(pooling(name, folder / name, len(idle), way)) for name in PROXIES}
        came = await asyncio.gather(*(pairs(port, idle, people) for port in ports.values()))
        return dict(zip(ports, came, strict=True))


async def test_no_post_through_a_proxy_that_keeps_connections_is_lost_at_any_idle_time(
    tmp_path: Path, redis_url: str
) -> None:
    idle = [1 + 129 * number / 1000 for number in range(1000)][::-1]
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        came = await try_all(tmp_path, here.serve().port, idle)
        assert came == {name: Counter({200: 2 * len(idle)}) for name in PROXIES}
        form = here.status()["forms"]["get-in-touch"]
        assert form["received"] == form["created"] == 2 * len(idle) * len(PROXIES)


async def test_a_server_that_closes_after_five_seconds_would_lose_some(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_behind_proxies.TOGETHER_S", 2.0)
    idle = [4.5 + number / 100 for number in range(100)]
    impatient = "from service.web import phases; phases.IDLE_S = 5.0; from service.__main__ import main; main()"
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        port = free_port()
        words = (sys.executable, "-c", impatient, "serve", "--port", str(port))
        web = await asyncio.create_subprocess_exec(*words, cwd=here.folder, env=here.environ, stdout=subprocess.DEVNULL)
        try:
            until(lambda: answers(port) == 200, 30)
            came = await try_all(tmp_path, port, idle)
        finally:
            web.terminate()
            await web.wait()
    assert all(each[502] > 0 and each[200] > len(idle) for each in came.values()), came


def documented(name: str, folder: Path, port: int, web: int) -> str:
    """Return the configuration that docs/running.md has for a proxy, on these ports and without TLS."""
    blocks = re.findall(r"```(?:nginx)?\n(upstream leads|leads\.example\.com)(.*?)```", RUNNING, re.DOTALL)
    [text] = ["".join(block) for block in blocks if (block[0] == "upstream leads") is (name == "nginx")]
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{web}")
    if name == "caddy":
        return CADDY.partition("http://")[0].format(folder=folder) + text.replace(
            "leads.example.com {", f"http://127.0.0.1:{port} {{"
        )
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    return NGINX.partition("    server {{")[0].format(folder=folder, pools=text) + "}"


@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_the_proxies_of_the_documentation_pass_forms_on_and_no_figures(
    name: str, tmp_path: Path, redis_url: str
) -> None:
    config = CONFIG + '[service]\ntrusted_proxies = ["127.0.0.1"]\n'
    with Processes(tmp_path / "here", redis_url, config) as here:
        web, port = here.serve().port, free_port()
        with proxy(name, tmp_path / name, documented(name, tmp_path / name, port, web), port):
            assert (answers(web, "/metrics"), answers(port, "/metrics")) == (200, 404)
            assert answers(port, "/readyz") == 200
            assert [await submit(port, 0, person) for person in (1, 2)] == [200, 200]
