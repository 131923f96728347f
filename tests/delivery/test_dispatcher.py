"""A destination's loop when things go wrong under it: no slot is lost, and nothing ends it but its stop."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crm import Crm
from redis.exceptions import ConnectionError as RedisConnectionError
from workshop import Hands, Workshop, form, one_crm, until, until_async

from service.delivery.courier import Attempted, Courier
from service.delivery.dispatcher import Dispatcher
from service.delivery.sender import Sender
from service.process.worker import gate_of
from service.store.keys import base_of
from service.store.leads import Store
from service.store.records import Claim

pytestmark = pytest.mark.anyio


class Faulty(Store):
    """A store that fails at some of its calls, before or after the server was asked."""

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop.server)
        self.fails: list[Exception | None] = []

    async def claim(self, *words: Any, **more: Any) -> list[Claim]:
        failure = self.fails.pop(0) if self.fails else None
        if failure:
            raise failure
        return await super().claim(*words, **more)


class Bench:
    """One dispatcher at work; `attempts` and `troubles` are what it reported."""

    def __init__(self, shop: Workshop) -> None:
        self.store = Faulty(shop)
        self.attempts: list[Attempted] = []
        self.troubles: list[Any] = []


@contextlib.asynccontextmanager
async def dispatching(shop: Workshop, *, on_attempt: Any = None) -> AsyncIterator[Bench]:
    bench = Bench(shop)
    target = shop.config.destinations["crm"]
    gate = gate_of(shop.server, target)
    async with Sender(concurrency=target.concurrency, timeout=target.timeout, allow_private=True) as sender:
        courier = Courier(target, store=bench.store, gate=gate, sender=sender, jitter=lambda: 0.0)
        dispatcher = Dispatcher(
            target, shop.config.forms, store=bench.store, gate=gate, courier=courier,
            on_attempt=on_attempt or bench.attempts.append, on_trouble=bench.troubles.append, look_again_s=0.2,
        )  # fmt: skip
        stop = asyncio.Event()
        task = asyncio.create_task(dispatcher.run(stop))
        try:
            yield bench
        finally:
            stop.set()
            dispatcher.wake()
            async with asyncio.timeout(10):
                await task


async def slots(shop: Workshop) -> int:
    return int(await shop.server.client.zcard("leads:{destination:crm}:slots"))


@pytest.mark.parametrize("failure", [RedisConnectionError("gone"), ValueError("a lead nobody can read")])
async def test_slots_granted_before_a_failed_claim_are_not_held_for_ever(redis_url: str, failure: Exception) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 2"), now=hands) as shop:
            await shop.submit_many(4)
            async with dispatching(shop) as bench:
                bench.store.fails = [failure]
                await until(lambda: bench.troubles)
                assert crm.requests == []
                hands.ahead += 6_000  # slots that nobody keeps run out
                await until(lambda: len(crm.requests) == 4)
                await shop.settled()
    assert failure in bench.troubles


async def test_what_was_claimed_before_a_failure_is_sent_all_the_same(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, form("one") + form("two") + one_crm(crm, more="concurrency = 4")) as shop:
            await shop.submit_many(1, "one")
            await shop.submit_many(1, "two")
            async with dispatching(shop) as bench:
                bench.store.fails = [None, RedisConnectionError("gone")]
                await until(lambda: crm.requests, 4)
                await until(lambda: len(crm.requests) == 2, 30)
    assert len(bench.attempts) == 2


async def test_slots_that_were_not_needed_are_given_back_at_once(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.3)
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 8")) as shop:
            await shop.submit_many(1)
            async with dispatching(shop):
                await until(lambda: crm.requests)
                await until_async(lambda: holds(shop, 1), 2)
                await shop.settled()
                await until_async(lambda: holds(shop, 0), 2)


async def holds(shop: Workshop, number: int) -> bool:
    return await slots(shop) == number


async def test_a_listener_that_breaks_ends_no_sender(redis_url: str) -> None:
    def broken(_: Attempted) -> None:
        raise RuntimeError("listener")

    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 1")) as shop:
            await shop.submit_many(3)
            async with dispatching(shop, on_attempt=broken) as bench:
                account = await shop.settled()
    assert account.delivered == 3
    assert len(bench.troubles) == 3


async def test_a_lead_that_cannot_be_read_holds_up_nobody_and_ends_with_a_reason(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more='retry = ["200ms"]')) as shop:
            unreadable, *_ = await shop.submit_many(4)
            kept = f"{base_of('get-in-touch')}lead:{unreadable.lead}"
            facts = {"fields.name": ("print", "jno answer", 1)}
            await shop.server.client.hset(
                kept, "v:1", json.dumps({"at": 1, "got": 1, "enquiries": 1, "facts": facts}),
            )  # fmt: skip
            async with shop.worker():
                account = await shop.settled()
            dead = await shop.dead()
    assert (account.delivered, account.dead, len(crm.requests)) == (3, 1, 3)
    assert "bug of the service" in dead[0].reason


async def test_leads_that_are_not_owed_any_more_do_not_hold_up_one_that_is(redis_url: str) -> None:
    """With `updates = false` a claim may find that everything due was superseded; what is behind it goes at once."""
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more="updates = false\nconcurrency = 2")) as shop:
            await shop.submit_many(12)
            async with shop.worker():
                await shop.settled()
            for number in range(12):
                await shop.submit(name="Changed", phone=f"89510{number:05d}")
            await shop.submit(name="Fresh", phone="8951047001")
            began = asyncio.get_running_loop().time()
            async with shop.worker():
                account = await shop.settled()
            took = asyncio.get_running_loop().time() - began
    assert crm.requests[-1].json()["data"]["fields"]["name"] == "Fresh"
    assert (account.delivered, account.superseded) == (13, 12)
    assert took < 4


async def test_two_dispatchers_never_send_the_same_version_at_the_same_time(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.01)
        async with Workshop(redis_url, one_crm(crm)) as shop:
            await shop.submit_many(40)
            async with dispatching(shop), dispatching(shop):
                await shop.settled()
    ids = [each.headers["webhook-id"] for each in crm.requests]
    assert len(ids) == len(set(ids)) == 40


async def test_slots_of_a_holder_that_died_come_back_in_seconds(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 2"), now=hands) as shop:
            gate = gate_of(shop.server, shop.config.destinations["crm"])
            permit = await gate.ask(2, secrets.token_urlsafe(9))
            assert len(permit.slots) == 2
            assert not (await gate.ask(1, secrets.token_urlsafe(9))).slots
            await shop.submit_many(2)
            async with dispatching(shop):
                hands.ahead += 5_000
                await asyncio.sleep(0.6)  # it has looked again
                assert crm.requests == []
                hands.ahead += 1_000
                await until(lambda: len(crm.requests) == 2)
                await shop.settled()
