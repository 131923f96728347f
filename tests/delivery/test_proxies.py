"""By way of a proxy, with its user and password, to http:// and https:// alike; its failures are told as its own."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from authority import Authority
from crm import Crm
from workshop import Workshop, destination, form

from service.config.config import Service
from service.delivery.connections import PrivateAddressError
from service.delivery.sender import Sender
from service.destinations.failure import CERTIFICATES, judge_failure
from service.destinations.outcome import Retry, judge
from service.destinations.rules import Response
from service.destinations.webhook import Webhook
from service.lib.secret import Secret

pytestmark = pytest.mark.anyio
PASSWORD = "p%40ss-3f9a"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Send on the loop that the worker has."""
    return "asyncio", {"use_uvloop": True}


class Proxy:
    """A proxy that lets through to `target` whatever host is asked for; `refuses` is said to CONNECT instead."""

    def __init__(self, target: int, refuses: int | None) -> None:
        self.heads: list[str] = []
        self.port = 0
        self._target, self._refuses = target, refuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self._refuses:
            writer.write(f"HTTP/1.1 {self._refuses} No\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        there, on = await asyncio.open_connection("127.0.0.1", self._target)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            on.write(head)
        await asyncio.gather(_pass_on(reader, on), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def proxy_to(target: int, refuses: int | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(target, refuses)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await asyncio.sleep(0.05)  # Let what was passed on come to its end.


async def send(
    url: str, port: int, *, host: str = "127.0.0.1", allow_private: bool = False, ca: str = ""
) -> Response | httpx.RequestError | TimeoutError:
    proxy = Secret(f"http://leads:{PASSWORD}@{host}:{port}")
    async with Sender(concurrency=1, timeout=5_000, allow_private=allow_private, ca=ca, proxy=proxy) as sender:
        return await sender.send(httpx.Request("POST", url, content=b"{}"))


async def test_all_goes_by_the_proxy_which_alone_looks_the_name_up() -> None:
    with Crm() as crm:
        async with proxy_to(crm.port) as proxy:
            answer = await send("http://crm.example.com/hooks", proxy.port)
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert proxy.heads[0].startswith("POST http://crm.example.com/hooks ")
    assert base64.b64encode(b"leads:p@ss-3f9a").decode() in proxy.heads[0]
    assert [request.body for request in crm.requests] == [b"{}"]


async def test_what_is_secret_stays_so_on_its_way_through_the_proxy(tmp_path: Path) -> None:
    authority = Authority()
    with Crm(tls=authority.server(tmp_path, "crm.example.com")) as crm:
        async with proxy_to(crm.port) as proxy:
            answer = await send("https://crm.example.com/hooks", proxy.port, ca=authority.pem.decode())
            refused = await send("https://www.example.com/hooks", proxy.port, ca=authority.pem.decode())
    assert isinstance(answer, Response)
    assert proxy.heads[0].startswith("CONNECT crm.example.com:443 ")
    assert base64.b64encode(b"leads:p@ss-3f9a").decode() in proxy.heads[0]
    assert not any("authorization" in name for name in crm.requests[0].headers)
    assert isinstance(refused, httpx.ConnectError)
    assert judge_failure(refused).reason == CERTIFICATES[62]


@pytest.mark.parametrize(
    ("status", "scope", "words"),
    [
        (407, "setup", "the proxy does not accept our user and password"),
        (403, "setup", "the proxy answered 403: it does not let us through to the CRM"),
        (502, "delivery", "the proxy answered 502: it has no connection to the CRM"),
    ],
)
async def test_what_a_proxy_refuses_is_told_of_the_proxy(status: int, scope: str, words: str) -> None:
    async with proxy_to(1, refuses=status) as proxy:
        answer = await send("https://crm.example.com/hooks", proxy.port)
    assert isinstance(answer, httpx.ProxyError)
    assert (judge_failure(answer).reason, judge_failure(answer).scope) == (words, scope)
    assert "3f9a" not in f"{answer!r} {answer}"


async def test_a_password_that_is_wrong_is_about_our_setup_without_tls_too() -> None:
    async with proxy_to(1, refuses=407) as proxy:
        answer = await send("http://crm.example.com/hooks", proxy.port)
    assert isinstance(answer, Response)
    judged = judge(answer.status, answer.headers, "", now=0)
    assert isinstance(judged, Retry)
    assert judged.scope == "setup"


@pytest.mark.parametrize("host", ["127.0.0.1", "proxy.invalid"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_told_as_that(scheme: str, host: str) -> None:
    with Crm() as crm:
        port = crm.port
    answer = await send(f"{scheme}://crm.example.com/", port, host=host)
    assert isinstance(answer, httpx.ProxyError)
    assert judge_failure(answer).reason == "no connection to the proxy could be made"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.9", "printer", "2130706433", "[::1]"])
async def test_a_proxy_is_no_way_to_a_private_address(host: str) -> None:
    with Crm() as crm:
        async with proxy_to(crm.port) as proxy:
            answer = await send(f"http://{host}/", proxy.port)
            assert isinstance(answer, PrivateAddressError)
            assert proxy.heads == []
            assert isinstance(await send(f"http://{host}/", proxy.port, allow_private=True), Response)


async def test_a_worker_goes_by_the_proxy_of_the_service_and_trusts_what_its_destination_names(
    redis_url: str, tmp_path: Path
) -> None:
    authority = Authority()
    with Crm(tls=authority.server(tmp_path, "crm.example.com")) as crm:
        text = form() + destination("https://crm.example.com/hooks")
        async with proxy_to(crm.port) as proxy, Workshop(redis_url, text) as shop:
            service = Service(proxy=Secret(f"http://leads:{PASSWORD}@127.0.0.1:{proxy.port}"))
            webhook = shop.config.destinations["crm"]
            assert isinstance(webhook, Webhook)
            trusting = replace(webhook, ca=authority.pem.decode())
            config = replace(shop.config, service=service, destinations={"crm": trusting})
            async with shop.worker(config):
                await shop.submit(phone="8951047001")
                account = await shop.settled()
    assert (account.delivered, len(crm.requests)) == (1, 1)
    assert proxy.heads[0].startswith("CONNECT crm.example.com:443 ")
