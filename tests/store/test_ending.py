"""end_all: a background task ends, also one that loses a cancel in the client of Redis."""

import asyncio

import pytest
from redis.asyncio import Redis

from service.store.server.connection import connect
from service.store.server.ending import end_all

pytestmark = pytest.mark.anyio


async def keep_asking(client: Redis) -> None:
    while True:
        await client.ping()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("turns", range(5))
async def test_a_task_ends_wherever_it_is_in_asking(redis_url: str, turns: int) -> None:
    client = connect(redis_url)
    try:
        await client.ping()
        task = asyncio.create_task(keep_asking(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await end_all([task])
        assert task.done()
    finally:
        await client.aclose(close_connection_pool=True)


async def test_one_that_fails_when_it_is_to_end_and_one_that_has_ended_are_over() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError

    failing, over = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))
    await asyncio.sleep(0.01)
    await end_all([failing, over])
    assert failing.done()
    await end_all([])
