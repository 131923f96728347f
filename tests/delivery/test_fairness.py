"""Nobody waits for somebody else: forms at one destination, destinations beside each other, new leads behind old."""

import asyncio
import statistics
from functools import partial

import pytest
from crm import Crm
from workshop import Workshop, destination, form, until

pytestmark = pytest.mark.anyio

STALL_S = 3.0


def came(crm: Crm, lead: str) -> bool:
    return any(lead in each.headers["webhook-id"] for each in crm.requests)


async def delays(shop: Workshop, crm: Crm, begin: int, number: int = 8) -> float:
    """Submit one after the other and return the median time to the arrival at `crm`, ms."""
    took = []
    for index in range(begin, begin + number):
        taken = await shop.submit("prompt", name="P", phone=f"89510{index:05d}")
        submitted = shop.server.now()
        await until(partial(came, crm, taken.lead))
        took.append(crm.requests[-1].at - submitted)
    return statistics.median(took)


async def test_a_destination_that_stalls_makes_no_other_one_slower(redis_url: str) -> None:
    with Crm() as slow, Crm() as prompt:
        slow.answer(200, stall=STALL_S)
        text = form("slow", deliver=("slow",)) + form("prompt", deliver=("prompt",))
        text += destination(slow.url, "slow", more='timeout = "10s"') + destination(prompt.url, "prompt")
        async with Workshop(redis_url, text) as shop, shop.worker() as stop:
            without = await delays(shop, prompt, 0)
            await shop.submit_many(40, "slow")
            await until(lambda: slow.most_at_once == 8)
            beside = await delays(shop, prompt, 100)
            stop.set()
    assert beside <= without + 500
    assert len(slow.requests) <= 16


async def test_one_form_to_a_slow_and_a_prompt_destination_reaches_the_prompt_one_at_once(redis_url: str) -> None:
    with Crm() as slow, Crm() as prompt:
        slow.answer(200, stall=1.0)
        text = form("prompt", deliver=("slow", "prompt"))
        text += destination(slow.url, "slow") + destination(prompt.url, "prompt")
        async with Workshop(redis_url, text) as shop, shop.worker():
            assert await delays(shop, prompt, 0, 4) <= 500
            account = await shop.settled("slow", "prompt")
    assert account.delivered == 4


async def test_a_form_with_a_long_queue_does_not_hold_up_the_other_forms_of_a_destination(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.02)
        text = form("busy") + form("prompt") + form("third") + destination(crm.url, more="concurrency = 2")
        async with Workshop(redis_url, text) as shop:
            await shop.submit_many(40, "busy")
            await shop.submit_many(3, "prompt")
            await shop.submit_many(3, "third")
            async with shop.worker():
                for name in ("busy", "prompt", "third"):
                    await shop.settled(form=name)
    order = [each.json()["data"]["form"] for each in crm.requests]
    assert len(order) == 46
    last = {name: len(order) - 1 - order[::-1].index(name) for name in ("busy", "prompt", "third")}
    assert last["prompt"] < 20
    assert last["third"] < 20


async def test_one_claim_in_four_is_for_the_newest_so_that_a_backlog_does_not_starve_fresh_leads(
    redis_url: str,
) -> None:
    with Crm() as crm:
        text = form() + destination(crm.url, more="concurrency = 1")
        async with Workshop(redis_url, text) as shop:
            taken = await shop.submit_many(40)
            async with shop.worker():
                await shop.settled()
    place = {lead.lead: number for number, lead in enumerate(taken)}
    order = [place[each.json()["data"]["id"]] for each in crm.requests]
    assert sorted(order) == list(range(40))
    newest = [number for at, number in enumerate(order[:20]) if number != at - sum(n > 30 for n in order[:at])]
    assert len(newest) == 5
    assert newest == [39, 38, 37, 36, 35]


async def test_many_destinations_each_get_their_own(redis_url: str) -> None:
    doubles = [Crm() for _ in range(6)]
    for each in doubles:
        each.__enter__()
    try:
        names = [f"crm{number}" for number in range(6)]
        text = form(deliver=tuple(names)) + "".join(
            destination(each.url, name) for name, each in zip(names, doubles, strict=True)
        )
        doubles[2].answer(401)
        doubles[4].answer(500)
        async with Workshop(redis_url, text) as shop, shop.worker():
            await shop.submit_many(10)
            for name in ("crm0", "crm1", "crm3", "crm5"):
                assert (await shop.settled(name)).delivered == 10
            paused = await shop.account("crm2")
    finally:
        for each in doubles:
            each.__exit__()
    assert paused.waiting == 10


async def test_a_worker_with_nothing_to_do_ends_at_once(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, form() + destination(crm.url)) as shop:
            loop = asyncio.get_running_loop()
            async with shop.worker() as stop:
                await asyncio.sleep(0.2)
                began = loop.time()
                stop.set()
            assert loop.time() - began < 3
