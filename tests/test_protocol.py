"""The web part's connections: a slow or endless client costs a bounded time, and nobody else waits for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from service import protocol
from service.protocol import BODY_S, HEAD_BYTES, HEAD_S, BoundedProtocol

pytestmark = pytest.mark.anyio
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def back(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


class Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    monkeypatch.setattr(protocol, "BODY_S", 0.3)
    app = Starlette(routes=[Route("/", echo, methods=["POST"]), Route("/back", back, methods=["POST"])])
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, log_config=None, lifespan="off")
    server = Quiet(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def talk(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send pieces and return everything that comes back until the other side ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                return await reader.read()
        return b""
    finally:
        writer.close()


def close(request: bytes) -> bytes:
    return request.replace(b"Host: x", b"Host: x\r\nConnection: close")


def test_the_limits_are_those_of_the_documents() -> None:
    assert (HEAD_BYTES, HEAD_S, BODY_S) == (16 * 1024, 10.0, 20.0)


async def test_an_ordinary_request_is_answered(port: int) -> None:
    assert (await talk(port, close(POST % (5, b"a=b&c")))).endswith(b"5")


async def test_a_request_in_small_pieces_is_answered(port: int) -> None:
    request = close(POST % (5, b"a=b&c"))
    pieces = [request[at : at + 20] for at in range(0, len(request), 20)]
    assert (await talk(port, *pieces, pause=0.01)).endswith(b"5")


async def test_two_requests_down_one_connection_are_answered(port: int) -> None:
    answer = await talk(port, POST % (1, b"a"), close(POST % (2, b"ab")), pause=0.1)
    assert answer.count(b"200 OK") == 2


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade", b"UPGRADE"])
async def test_a_request_that_offers_another_protocol_keeps_its_body(port: int, name: bytes) -> None:
    offered = name + b": h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings"
    request = (POST % (5, b"a=b&c")).replace(b"Host: x", b"Host: x\r\n" + offered)
    answer = await talk(port, request, close(POST % (2, b"ab")), pause=0.1)
    assert answer.count(b"200 OK") == 2
    assert b"\r\n\r\n5HTTP/1.1" in answer
    head, body = request.split(b"\r\n\r\n")
    assert b"\r\n\r\n5" in await talk(port, head + b"\r\n\r\n", body, pause=0.1)


async def test_an_upgrade_in_a_body_is_left_as_it_is(port: int) -> None:
    text = b"a\r\nUpgrade: b\r\n\r\n\r\nUpgrade: c"
    assert (await talk(port, close(POST % (len(text), text)).replace(b"/ ", b"/back "))).endswith(text)


async def test_somebody_who_connects_and_says_nothing_is_cut_off(port: int) -> None:
    assert (await talk(port)).startswith(b"HTTP/1.1 408")


async def test_half_a_head_is_cut_off(port: int) -> None:
    assert (await talk(port, b"POST / HTTP/1.1\r\nHost:")).startswith(b"HTTP/1.1 408")


async def test_a_head_in_drops_gets_no_more_time_for_it(port: int) -> None:
    request = POST % (0, b"")
    pieces = [request[at : at + 3] for at in range(0, len(request), 3)]
    assert (await talk(port, *pieces, pause=0.05)).startswith(b"HTTP/1.1 408")


async def test_half_a_body_is_cut_off(port: int) -> None:
    answer = await talk(port, POST % (100, b"abc"))
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_large_head_is_refused_whole_or_in_pieces(port: int) -> None:
    line = b"X: " + b"a" * 1000 + b"\r\n"
    whole = b"POST / HTTP/1.1\r\nHost: x\r\n" + line * 20 + b"\r\n"
    assert (await talk(port, whole)).startswith(b"HTTP/1.1 431")
    assert (await talk(port, b"POST / HTTP/1.1\r\n", *[line] * 20)).startswith(b"HTTP/1.1 431")


async def test_one_endless_header_is_refused(port: int) -> None:
    answer = await talk(port, b"POST / HTTP/1.1\r\nX: ", *[b"a" * 4000] * 10)
    assert answer.startswith(b"HTTP/1.1 431")


async def test_a_head_of_just_under_the_limit_is_answered(port: int) -> None:
    line = b"X: " + b"a" * 995 + b"\r\n"
    assert (await talk(port, close(POST % (1, b"a")).replace(b"Host: x", b"Host: x\r\n" + (line * 15)[:-2]))).endswith(
        b"1"
    )


async def test_many_silent_connections_do_not_keep_anybody_waiting(port: int) -> None:
    silent = [asyncio.create_task(talk(port)) for _ in range(200)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert (await talk(port, close(POST % (5, b"a=b&c")))).endswith(b"5")
    answers = await asyncio.gather(*silent)
    assert all(each.startswith(b"HTTP/1.1 408") for each in answers)
