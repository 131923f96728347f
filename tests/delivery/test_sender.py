"""The outgoing HTTP against real servers: the deadline, what is read, and what is never done."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from crm import Crm

from service.delivery.connections import PrivateAddressError, socket_to_public
from service.delivery.sender import READ_AT_MOST, Sender
from service.destinations.failure import judge_failure
from service.destinations.rules import Response

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Send on the loop that the worker has; the web part asks a verifier on the same."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as double:
        yield double


@asynccontextmanager
async def sending(*, ms: int = 5_000, allow_private: bool = True, concurrency: int = 2) -> AsyncIterator[Sender]:
    async with Sender(concurrency=concurrency, timeout=ms, allow_private=allow_private) as sender:
        yield sender


def post(url: str, content: bytes = b'{"a": 1}') -> httpx.Request:
    return httpx.Request("POST", url, content=content)


async def send(url: str, **more: Any) -> Response | httpx.RequestError | TimeoutError:
    async with sending(**more) as sender:
        return await sender.send(post(url))


async def test_an_answer_comes_back_as_it_was(crm: Crm) -> None:
    crm.answer(418, headers={"Retry-After": "7"}, body="I am a teapot: €")
    answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert (answer.status, answer.text, answer.headers["retry-after"]) == (418, "I am a teapot: €", "7")
    [request] = crm.requests
    assert (request.method, request.body) == ("POST", b'{"a": 1}')


async def test_one_connection_carries_request_after_request(crm: Crm) -> None:
    async with sending() as sender:
        for _ in range(5):
            assert isinstance(await sender.send(post(crm.url)), Response)
    assert crm.connections == 1


async def test_an_answer_that_does_not_come_is_given_up_at_the_deadline(crm: Crm) -> None:
    crm.answer(stall=30)
    began = time.monotonic()
    assert isinstance(await send(crm.url, ms=300), (TimeoutError, httpx.TimeoutException))
    assert 0.29 <= time.monotonic() - began < 3


async def test_a_body_that_drips_ends_at_the_deadline_and_does_not_unsay_the_status(crm: Crm) -> None:
    crm.answer(200, body=b"x" * 1_000, drip=0.05)
    began = time.monotonic()
    answer = await send(crm.url, ms=500)
    assert 0.45 <= time.monotonic() - began < 5
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert 1 <= len(answer.text) < 15


Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server_that(talks: Talk) -> AsyncIterator[str]:
    """Serve bytes of the test's own to whoever sent a head; every connection ends with the block."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talks(writer)
        except (OSError, asyncio.CancelledError):
            pass  # The sender has gone, as it may, or the test is over.
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # Let the transports close.


async def test_headers_that_drip_end_at_the_deadline() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    async with server_that(drip) as url:
        began = time.monotonic()
        assert isinstance(await send(url, ms=300), TimeoutError)
        assert time.monotonic() - began < 3


async def test_after_many_time_outs_the_sender_still_sends(crm: Crm) -> None:
    crm.answer(stall=30)
    async with sending(ms=100, concurrency=2) as sender:
        for _ in range(6):
            both = await asyncio.gather(sender.send(post(crm.url)), sender.send(post(crm.url)))
            assert not any(isinstance(each, Response) for each in both)
        crm.answer(200)
        assert isinstance(await sender.send(post(crm.url)), Response)


async def test_of_ten_megabytes_sixteen_kibibytes_are_read(crm: Crm) -> None:
    crm.answer(500, body=b"x" * 10_000_000)
    async with sending() as sender:
        began = time.monotonic()
        answer = await sender.send(post(crm.url))
        assert isinstance(answer, Response)
        assert len(answer.text) == READ_AT_MOST == 65_536
        assert time.monotonic() - began < 3
        crm.answer(200, body=b"short")
        again = await sender.send(post(crm.url))
    assert isinstance(again, Response)
    assert again.text == "short"


async def test_bytes_that_are_no_text_are_shown_as_far_as_they_can_be(crm: Crm) -> None:
    crm.answer(422, body=b"\xff\xfe name \xc3")
    answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert answer.text == "\ufffd\ufffd name \ufffd"


async def test_a_connection_cut_before_the_request_was_read_is_a_failure(crm: Crm) -> None:
    crm.answer(cut="before")
    answer = await send(crm.url)
    assert isinstance(answer, httpx.RequestError)
    assert judge_failure(answer).scope == "delivery"
    assert crm.requests == []


async def test_a_connection_cut_after_the_request_was_read_is_a_failure(crm: Crm) -> None:
    crm.answer(cut="after")
    answer = await send(crm.url)
    assert isinstance(answer, httpx.RequestError)
    assert judge_failure(answer).reason == "the CRM broke the connection off"
    assert len(crm.requests) == 1  # and it is not sent a second time behind our back


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_a_kept_connection_that_is_cut_carries_nothing_a_second_time(crm: Crm, method: str) -> None:
    crm.answer(200, times=1)
    crm.answer(cut="after")
    async with sending() as sender:
        await sender.send(httpx.Request(method, crm.url, content=b"{}"))
        answer = await sender.send(httpx.Request(method, crm.url, content=b"{}"))
    assert isinstance(answer, httpx.RequestError)
    assert judge_failure(answer).reason == "the CRM broke the connection off"
    assert len(crm.requests) == 2


async def test_a_body_that_breaks_off_does_not_unsay_the_status(crm: Crm) -> None:
    crm.answer(201, headers={"Content-Length": "1000"}, body=b"begin", times=1)
    crm.answer(cut="before")

    async def cut() -> None:
        await asyncio.to_thread(crm.wait_for, 1)
        await asyncio.sleep(0.1)
        with crm.gone():
            pass

    task = asyncio.create_task(cut())
    answer = await send(crm.url)
    await task
    assert isinstance(answer, Response)
    assert (answer.status, answer.text) == (201, "begin")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, crm: Crm) -> None:
    crm.answer(status, headers={"Location": crm.url + "/elsewhere"})
    answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert answer.status == status
    assert len(crm.requests) == 1


def deflated(text: bytes) -> bytes:
    """Compress as some servers mean `deflate`: without the header that RFC 9110 asks for."""
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(text) + packing.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"no such team", mtime=0)),
        ("GZIP", gzip.compress(b"no such team", mtime=0)[:-8]),
        ("deflate", zlib.compress(b"no such team")),
        ("deflate", deflated(b"no such team")),
        ("gzip", b"no such team"),
        ("br", b"no such team"),
    ],
)
async def test_an_answer_that_is_compressed_unasked_is_read(coding: str, body: bytes, crm: Crm) -> None:
    crm.answer(422, headers={"Content-Encoding": coding}, body=body)
    answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert answer.text == "no such team"


async def test_of_what_is_unpacked_no_more_is_read(crm: Crm) -> None:
    crm.answer(422, headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"x" * 10_000_000))
    answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert answer.text == "x" * READ_AT_MOST


async def test_a_head_of_an_answer_without_end_is_given_up() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(500):
            writer.write(b"X: " + b"x" * 1_000 + b"\r\n")
            await writer.drain()

    async with server_that(endless) as url:
        answer = await send(url)
    assert isinstance(answer, httpx.RequestError)
    assert judge_failure(answer).scope == "setup"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_gets_nothing_unless_allowed(host: str, crm: Crm) -> None:
    url = f"http://{host}:{crm.port}/"
    async with sending(allow_private=False) as sender:
        for _ in range(12):  # and none of them keeps a place in the pool
            assert isinstance(await sender.send(post(url)), PrivateAddressError)
    assert crm.requests == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0", "[::ffff:127.0.0.1]"])
async def test_another_spelling_of_a_private_address_is_no_way_around(host: str, crm: Crm) -> None:
    answer = await send(f"http://{host}:{crm.port}/", allow_private=False)
    assert isinstance(answer, httpx.RequestError)
    assert crm.requests == []


async def test_a_public_name_that_leads_to_a_private_address_is_refused(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", crm.port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", there)
    answer = await send(f"http://crm.example.com:{crm.port}/", allow_private=False)
    assert isinstance(answer, PrivateAddressError)
    assert "127.0.0.1" not in judge_failure(answer).reason
    assert crm.requests == []


def spelled(address: str) -> tuple[Any, ...]:
    """Spell an address as `getaddrinfo` does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 443)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.9", "192.168.1.1", "127.0.0.2", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "ff02::1",
        "4000::1", "8000::1", "e000::1", "::ffff:0:7f00:1", "100:0:0:1::1", "2001:3::1", "2001:20::1",
        "192.0.0.9", "192.88.99.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "::7f00:1",
        "2001:0:53aa:64c::1", "fec0::1", "ff0e::1", "192.0.2.1", "198.18.0.1", "240.0.0.1", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_gets_no_connection(address: str) -> None:
    with pytest.raises(OSError, match="private"):
        socket_to_public(spelled(address))


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808",
        "2002:808:808::1", "2001:200::1", "3fff:1000::1",
    ],
)  # fmt: skip
def test_a_public_address_is_left_alone(address: str) -> None:
    socket_to_public(spelled(address)).close()


async def test_a_proxy_of_the_environment_is_not_asked(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    with Crm() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert isinstance(await send(crm.url), Response)
        assert proxy.requests == []


async def test_a_connection_that_is_not_made_in_time_is_no_answer_that_does_not_come() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it is connected to, and says nothing of TLS
        answer = await send(f"https://127.0.0.1:{silent.getsockname()[1]}/", ms=300)
    assert isinstance(answer, httpx.ConnectTimeout)
    assert judge_failure(answer).reason == "no connection to the CRM could be made in time"


async def test_a_head_that_breaks_off_is_a_connection_broken_off() -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-")
        await writer.drain()

    async with server_that(half) as url:
        answer = await send(url)
    assert isinstance(answer, httpx.RemoteProtocolError)
    assert judge_failure(answer).reason == "the CRM broke the connection off"


async def test_what_is_sent_has_the_headers_that_were_given_and_no_others(crm: Crm) -> None:
    async with sending() as sender:
        await sender.send(httpx.Request("POST", crm.url, headers={"X-Key": "k"}, content=b"{}"))
        await sender.send(httpx.Request("GET", crm.url))
    sent = [{name for name in each.headers if name != "host"} for each in crm.requests]
    assert sent == [{"x-key", "content-length"}, set()]


async def test_a_server_that_speaks_no_tls_is_tried_again_later(crm: Crm) -> None:
    answer = await send(crm.url.replace("http://", "https://"), ms=500)
    assert not isinstance(answer, Response)
    assert judge_failure(answer).scope == "delivery"


async def test_a_name_that_cannot_be_looked_up_is_tried_again_later() -> None:
    answer = await send("http://crm.invalid/")
    assert isinstance(answer, httpx.ConnectError)
    assert judge_failure(answer).scope == "delivery"
    assert judge_failure(answer).reason == "the name of the CRM's host could not be looked up"


async def test_a_port_where_nobody_listens_is_tried_again_later(crm: Crm) -> None:
    with crm.gone():
        answer = await send(crm.url)
    assert isinstance(answer, httpx.ConnectError)
    assert judge_failure(answer).reason == "the CRM refused the connection"


OK = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"\nNotice: Undefined index: name in /var/www/hook.php on line 3\n" + OK + END,
        b"<br />\n<b>Warning</b>: headers already sent\r\n" + OK + END,
        OK + b"X-Powered-By : PHP/8.3\r\n" + END,
        OK + b"Notice: Undefined index\r\nwithout a colon\r\n" + END,
        OK + b"Content-Length: two\r\n\r\nok",
        b"HTTP/1.1 twohundred OK\r\n" + END,
        b"HTTP/9\r\n" + END,
    ],
)
async def test_what_is_no_clean_http_is_about_the_setup_and_said_to_be_so(said: bytes) -> None:
    async def babble(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with server_that(babble) as url:
        answer = await send(url)
    assert isinstance(answer, httpx.RequestError)
    failure = judge_failure(answer)
    assert failure.scope == "setup"
    assert failure.reason == "the CRM answered, but not in clean HTTP; it may have this lead all the same"


LENGTH = b"Content-Length: 2\r\n\r\n"


def says(*pieces: bytes) -> Talk:
    """Say this, each piece by itself, and leave."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)

    return talk


@pytest.mark.parametrize("in_one_piece", [True, False])
@pytest.mark.parametrize(
    ("head", "rest", "text"),
    [
        (b"HTTP/1.1 422 No\r\n" + LENGTH, b"{}<!-- 12 ms -->", "{}"),
        (b"HTTP/1.1 422 No\n" + LENGTH.replace(b"\r", b""), b"{}<!-- 12 ms -->", "{}"),
        (b"HTTP/1.1 204 No Content\r\n" + LENGTH, b"{}", ""),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\nnone\r\n", "{}"),
    ],
)
async def test_what_is_wrong_behind_a_clean_head_does_not_unsay_the_status(
    head: bytes, rest: bytes, text: str, *, in_one_piece: bool
) -> None:
    async with server_that(says(head + rest) if in_one_piece else says(head, rest)) as url:
        answer = await send(url)
    assert isinstance(answer, Response)
    assert (answer.status, answer.text) == (int(head[9:12]), text)
