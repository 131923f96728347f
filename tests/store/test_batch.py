"""Calls that come together share a pipeline, and nothing else: not their answers, their failures or their patience."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from service.store.breaker import Gate, Pace
from service.store.server.batch import LANES, LONGEST, Batches
from service.store.server.connection import connect
from service.store.server.server import Server
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

COUNT = "return redis.call('INCR', KEYS[1])"
BREAK = "return redis.call('INCR', KEYS[1], 'and more')"
SLOW = "local i = 0 while i < 3e7 do i = i + 1 end return redis.call('INCR', KEYS[1])"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    made = connect(redis_url)
    yield made
    await made.aclose(close_connection_pool=True)


def run(batches: Batches, text: str, key: str) -> Any:
    return batches.run(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), key, ())


def counted(client: Redis, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each pipeline adds the number of its scripts."""
    sizes: list[int] = []
    kind = client.connection_pool.connection_class
    send: Callable[..., Any] = kind.send_packed_command

    async def noted(connection: Any, packed: Any, **more: Any) -> None:
        if isinstance(packed, bytes):  # what else a connection sends, such as its greeting, is a list
            sizes.append(packed.count(b"EVALSHA"))
        await send(connection, packed, **more)

    monkeypatch.setattr(kind, "send_packed_command", noted)
    return sizes


async def test_what_comes_in_one_turn_goes_in_one_pipeline(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(lambda: client)
    await run(batches, COUNT, "before")
    sizes = counted(client, monkeypatch)
    answers = await asyncio.gather(*(run(batches, COUNT, "key") for _ in range(40)))
    assert (answers, sizes) == (list(range(1, 41)), [40])


async def test_what_comes_while_every_lane_is_taken_makes_up_the_next(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(lambda: client)
    await run(batches, COUNT, "before")
    sizes = counted(client, monkeypatch)
    await client.client_pause(200, all=True)
    calls = []
    for number in range(LANES + 5):
        calls.append(asyncio.create_task(run(batches, COUNT, f"key{number}")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await asyncio.gather(*calls) == [1] * (LANES + 5)
    assert sorted(sizes) == [1] * LANES + [5]


async def test_a_pipeline_has_an_end_however_many_come(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(lambda: client)
    await run(batches, COUNT, "before")
    sizes = counted(client, monkeypatch)
    await asyncio.gather(*(run(batches, COUNT, "key") for _ in range(2 * LONGEST + 1)))
    assert sizes == [LONGEST, LONGEST, 1]


async def test_a_server_that_knows_no_script_any_more_runs_each_once(client: Redis) -> None:
    batches = Batches(lambda: client)
    other = COUNT + " -- another text"
    await asyncio.gather(run(batches, COUNT, "a"), run(batches, other, "b"))
    await client.script_flush()
    await run(batches, COUNT, "a")
    texts = [COUNT, other] * 3
    answers = await asyncio.gather(*(run(batches, text, "c") for text in texts))
    assert sorted(answers) == [1, 2, 3, 4, 5, 6]


async def test_a_script_that_fails_is_nobody_elses_failure(client: Redis) -> None:
    batches = Batches(lambda: client)
    answers = await asyncio.gather(
        *(run(batches, text, "key") for text in (COUNT, BREAK, COUNT)), return_exceptions=True
    )
    assert isinstance(answers[1], ResponseError)
    assert [answers[0], answers[2]] == [1, 2]


async def test_who_stops_waiting_changes_nothing_for_the_others(client: Redis) -> None:
    batches = Batches(lambda: client)
    front = asyncio.create_task(run(batches, SLOW, "slow"))
    behind = asyncio.create_task(run(batches, COUNT, "key"))

    async def impatient() -> None:
        async with asyncio.timeout(0.05):
            await run(batches, COUNT, "key")

    given_up = asyncio.create_task(impatient())
    with pytest.raises(TimeoutError):
        await given_up
    assert (await front, await behind) == (1, 1)
    await batches.close()
    assert await client.get("key") == "2"


async def test_what_nobody_waits_for_any_more_is_not_sent(client: Redis) -> None:
    batches = Batches(lambda: client)
    given_up = asyncio.create_task(run(batches, COUNT, "key"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    await batches.close()
    assert await client.get("key") is None


@pytest.mark.parametrize("is_halved", [False, True])
async def test_a_connection_lost_in_the_middle_of_an_answer_is_opened_anew_once(
    own_redis: Embedded, is_halved: bool
) -> None:
    with Proxy(Path(own_redis.url.removeprefix("unix://"))) as way:
        client = connect(way.url)
        batches = Batches(lambda: client)
        await run(batches, COUNT, "before")
        sha = hashlib.sha1(COUNT.encode(), usedforsecurity=False).hexdigest()
        way.lose_reply_to(sha, half=is_halved)
        answers = await asyncio.gather(*(run(batches, COUNT, f"key{number}") for number in range(20)))
        # Every script of ours may run twice: what it was the second time is what everybody hears.
        assert (answers, way.lost[sha]) == ([2] * 20, 1)
        await client.aclose(close_connection_pool=True)


async def test_everybody_hears_that_the_server_is_gone(own_redis: Embedded) -> None:
    client = connect(own_redis.url)
    batches = Batches(lambda: client)
    await run(batches, COUNT, "before")
    own_redis.stop()
    answers = await asyncio.gather(*(run(batches, COUNT, "key") for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in answers] == [RedisConnectionError] * 5
    await client.aclose(close_connection_pool=True)


async def test_what_was_called_just_before_the_end_is_answered_and_leaves_no_connection_behind(
    redis_url: str, client: Redis
) -> None:
    before = len(await client.client_list())
    server = Server(connect(redis_url), clock=lambda: 0)
    probe = asyncio.create_task(Gate(server, "crm", Pace(1, 0, 0)).probe_now())
    await asyncio.sleep(0)  # it has called, and nothing is under way yet
    await server.close()
    await probe
    assert len(await client.client_list()) == before
