"""The web part's connections: a slow or endless client costs a bounded time, and nobody else waits for it."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from service.web import phases, protocol
from service.web.phases import ANSWER_S, BODY_S, HEAD_S, IDLE_S, WORK_S
from service.web.protocol import BODIES_BYTES, HEAD_BYTES, MOST_AHEAD, WIRE_BYTES, BoundedProtocol

pytestmark = pytest.mark.anyio
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"


async def echo(request: Request) -> PlainTextResponse:
    body = await request.body()
    headers = {"X-Seen": request.headers["x-seen"]} if "x-seen" in request.headers else None
    return PlainTextResponse(str(len(body)), headers=headers)


async def large(_: Request) -> PlainTextResponse:
    return PlainTextResponse("x" * 4_000_000)


async def back(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


class Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(phases, "HEAD_S", 0.3)
    monkeypatch.setattr(phases, "BODY_S", 0.3)
    monkeypatch.setattr(phases, "IDLE_S", 1.0)
    app = Starlette(
        routes=[Route("/", echo, methods=["POST"]), Route("/back", back, methods=["POST"]), Route("/large", large)]
    )
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, ws="none", log_config=None, lifespan="off")
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
    assert (WIRE_BYTES, ANSWER_S, MOST_AHEAD) == (2 * 1024 * 1024, 20.0, 16)
    assert (WORK_S, IDLE_S, BODIES_BYTES) == (60.0, 150.0, 64 * 1024 * 1024)


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


async def test_what_is_no_http_is_not_the_answer_to_the_request_before_it(port: int) -> None:
    answer = await talk(port, POST % (5, b"a=b&c") + b"\x16\x03\x01\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n5")


@pytest.mark.parametrize("before", [b"", POST % (1, b"a")])
async def test_an_address_that_is_none_is_refused(port: int, before: bytes) -> None:
    answer = await talk(port, before, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", pause=0.1)
    assert answer.split(b"HTTP/1.1 ")[-1].startswith(b"400")


async def test_a_body_that_is_no_http_is_refused_once_though_it_was_waited_for(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await talk(port, head + b"zz\r\n")).startswith(b"HTTP/1.1 400")
    faults = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert not [fault for fault in faults if isinstance(fault, RuntimeError)]  # uvicorn: written behind the end


# --- attacks


def chunked(*pieces: bytes, head: bytes = b"Connection: close\r\n", end: bytes = b"0\r\n\r\n") -> list[bytes]:
    begin = b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n"
    return [begin, *pieces, end]


async def test_a_body_in_chunks_of_one_byte_is_answered_in_no_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "BODY_S", 30.0)
    began = time.process_time()
    answer = await talk(port, *chunked(b"1\r\na\r\n" * 200_000))
    assert answer.endswith(b"200000")
    assert time.process_time() - began < 3


async def test_chunk_extensions_without_end_are_cut_off(port: int) -> None:
    answer = await talk(port, *chunked(b"1;" + b"x" * 3_000_000 + b"\r\na\r\n"))
    assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


async def test_trailers_never_pass_for_headers(port: int) -> None:
    end = b"0\r\nX-Seen: yes\r\nContent-Type: text/html\r\n\r\n"
    answer = await talk(port, *chunked(b"1\r\na\r\n", end=end), pause=0.05)
    assert answer.endswith(b"1")
    assert b"x-seen" not in answer.lower()


async def test_trailers_without_end_are_cut_off(port: int) -> None:
    line = b"X-T: " + b"x" * 1_000 + b"\r\n"
    answer = await talk(port, *chunked(b"1\r\na\r\n", end=b"0\r\n"), *[line] * 40)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


async def test_thousands_of_requests_sent_ahead_are_not_all_kept(port: int) -> None:
    answer = await talk(port, (POST % (1, b"a")) * 20_000)
    assert answer.count(b"HTTP/1.1 200") <= MOST_AHEAD + 1


async def test_a_few_requests_sent_ahead_are_answered_in_their_order(port: int) -> None:
    ahead = [POST % (size, b"a" * size) for size in range(1, MOST_AHEAD)]
    answer = await talk(port, b"".join([*ahead, close(POST % (99, b"a" * 99))]))
    assert [int(each[0]) for each in re.findall(rb"\r\n\r\n((\d)+)", answer)] == [*range(1, MOST_AHEAD), 99]


async def test_nothing_behind_a_head_that_was_cut_off_is_answered(port: int) -> None:
    large = b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n"
    answer = await talk(port, large + POST % (1, b"a"))
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1") == 1


async def test_who_does_not_read_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "ANSWER_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own transport has it
    ask = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(ask * 8)
    await asyncio.sleep(1.5)
    writer.transport.resume_reading()  # type: ignore[attr-defined]  # the same
    got = 0
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1_000_000):
            got += len(piece)
    assert got < 8 * 4_000_000
    writer.close()


async def test_for_one_connection_beyond_the_limit_the_longest_idle_goes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "most_connections", lambda: 10)
    monkeypatch.setattr(phases, "HEAD_S", 30.0)
    monkeypatch.setattr(phases, "IDLE_S", 30.0)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    idle_writer.write(POST % (1, b"a"))
    assert (await idle.readuntil(b"\r\n\r\n1")).startswith(b"HTTP/1.1 200")
    assert (await talk(port, close(POST % (1, b"a")))).endswith(b"1")
    _, keeper_writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await talk(port, close(POST % (1, b"a")))).endswith(b"1")
    async with asyncio.timeout(10):
        assert await idle.read() == b""
    for writer in (idle_writer, keeper_writer, *(pair[1] for pair in silent)):
        writer.close()


async def test_what_comes_behind_an_answer_gets_no_time_of_its_own(port: int) -> None:
    begin = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"
    answer = await talk(port, begin, b"c", pause=0.1)
    assert answer.startswith(b"HTTP/1.1 404")
    answer = await talk(port, begin, b"cde", b"P", pause=0.1)
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 408" in answer


async def test_bodies_of_all_connections_together_are_bounded_and_the_slowest_goes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "BODY_S", 30.0)
    monkeypatch.setattr(protocol, "BODIES_BYTES", 100_000)
    before = set(protocol._CROWDS.values())
    begin = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 50_000
    slow = asyncio.create_task(talk(port, begin))
    await asyncio.sleep(0.1)
    second, second_writer = await asyncio.open_connection("127.0.0.1", port)
    second_writer.write(begin)
    await asyncio.sleep(0.1)
    assert (await talk(port, close(POST % (9, b"a" * 9)))).endswith(b"9")
    assert (await slow).startswith(b"HTTP/1.1 503")
    second_writer.write(b"a" * 10_000)
    async with asyncio.timeout(10):
        assert (await second.readuntil(b"60000")).startswith(b"HTTP/1.1 200")
    second_writer.close()
    await asyncio.sleep(0.1)
    assert [crowd.body_bytes for crowd in set(protocol._CROWDS.values()) - before] == [0]


@pytest.mark.parametrize("split", range(1, 40))
async def test_an_upgrade_in_two_pieces_keeps_its_body(port: int, split: int) -> None:
    request = close(POST % (5, b"a=b&c")).replace(b"Host: x", b"Host: x\r\nUpgrade : h2c".replace(b" :", b":"))
    at = request.index(b"Host: x") + split
    assert (await talk(port, request[:at], request[at:], pause=0.01)).endswith(b"5")


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"POST / HTTP/1.1\nHost: x\n\n\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(port: int, smuggled: bytes) -> None:
    answer = await talk(port, smuggled)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_upgrade_is_answered_as_if_it_were_not_asked_for(port: int) -> None:
    for wanted in (b"websocket", b"h2c"):
        asked = close(POST % (1, b"a")).replace(
            b"Connection: close", b"Connection: upgrade, close\r\nUpgrade: " + wanted
        )
        assert (await talk(port, asked)).startswith(b"HTTP/1.1 ")
    assert (await talk(port, close(POST % (1, b"a")))).endswith(b"1")
