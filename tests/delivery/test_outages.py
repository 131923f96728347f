"""A destination that fails, for a while or for some: who waits, how long, and who pays for it."""

import asyncio
import random
import secrets
from collections.abc import Callable
from functools import partial

import pytest
from crm import Answer, Crm, Received
from workshop import Hands, Workshop, one_crm, until

from service.intake.intake import Taken
from service.process.worker import gate_of

pytestmark = pytest.mark.anyio

HOSTILE = "1' OR '1'='1'; DROP TABLE leads"
LIST = 'timeout = "1s"'  # and the usual list: 5 s, 5 m, 30 m, …
MINUTE = 60_000


async def pass_time(shop: Workshop, hands: Hands, ms: int) -> None:
    """Let time pass, let the worker notice, and give it a moment."""
    hands.ahead += ms
    await shop.server.client.publish("leads:wake", "crm")
    await asyncio.sleep(0.05)


async def delay_of(shop: Workshop, hands: Hands, is_there: Callable[[], object]) -> int:
    """Let time pass until it is there; return how long that took, ms on the clock of the test."""
    began = shop.server.now()
    await asyncio.sleep(0.05)
    while not is_there():
        await pass_time(shop, hands, 500)
        assert shop.server.now() - began < 2 * MINUTE, "it is not there yet"
    return shop.server.now() - began


def is_delivered(shop: Workshop, taken: Taken) -> bool:
    return any(
        each.claim.delivery.lead.id == taken.lead and each.conclusion.attempt.result == "delivered"
        for each in shop.attempts
    )


def has_made(shop: Workshop, attempts: int) -> bool:
    return len(shop.attempts) == attempts


def dislikes(answer: Answer) -> Callable[[Received], Answer | None]:
    return lambda request: answer if b"DROP TABLE" in request.body else None


SAID = [Answer(403), Answer(500), Answer(503)]


@pytest.mark.parametrize("answer", SAID, ids=lambda each: each.cut or each.status)
async def test_no_strangers_text_delays_anothers_lead_by_more_than_a_minute(redis_url: str, answer: Answer) -> None:
    """A dozen of them and no other lead, and then every other one, in any order."""
    hands, chance = Hands(), random.Random(11)
    with Crm() as crm:
        crm.decide = dislikes(answer)
        async with Workshop(redis_url, one_crm(crm, more=LIST), now=hands) as shop, shop.worker():
            for number in range(12):
                await shop.submit(name="N", phone=f"89510{number:05d}", message=HOSTILE)
                await pass_time(shop, hands, 3 * MINUTE)
            delays = []
            for number in range(16):
                if chance.random() < 0.5:
                    await shop.submit(name="N", phone=f"89520{number:05d}", message=HOSTILE)
                    await pass_time(shop, hands, 20_000)
                else:
                    taken = await shop.submit(name="N", phone=f"89530{number:05d}")
                    delays.append(await delay_of(shop, hands, partial(is_delivered, shop, taken)))
    assert len(delays) > 5
    assert max(delays) < MINUTE


async def test_what_a_firewall_dislikes_pays_for_itself_where_others_get_through(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        crm.decide = dislikes(Answer(403))
        text = one_crm(crm, more='retry = ["5s", "5s"]\ntimeout = "1s"')
        async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
            await shop.submit_many(1)
            await shop.settled()
            bad = [await shop.submit(name="N", phone=f"89520{number:05d}", message=HOSTILE) for number in range(5)]
            for tries in range(1, 4):
                await until(partial(has_made, shop, 1 + tries * len(bad)))
                await pass_time(shop, hands, 6_500)
            assert (await shop.account()).waiting == 0
            assert {each.lead for each in await shop.dead()} == {each.lead for each in bad}
    assert shop.events("destination paused") == []
    assert len(crm.requests) == 1 + 3 * len(bad)


async def test_one_that_is_refused_alone_pays_nothing_until_another_shows_whose_fault_it_is(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        crm.answer(401)
        text = one_crm(crm, more='retry = ["1s"]\ntimeout = "1s"')
        async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
            taken = await shop.submit(name="Asha", phone="8951047001")
            for number in range(1, 6):
                await until(partial(has_made, shop, number))
                await pass_time(shop, hands, MINUTE * 2 ** (number - 1) + 1_000)
            kept = (await shop.lead(taken.lead)).deliveries[0]
            assert (kept.tries, kept.states[1]) == (0, "waiting")
            assert shop.events("destination paused") == []
            await shop.submit(name="Ravi", phone="8951047002")
            await until(lambda: shop.events("destination paused"))
            crm.answer(200)
            await pass_time(shop, hands, MINUTE + 1_000)
            assert (await shop.settled()).delivered == 2


ANSWERS = [Answer(503), Answer(500), Answer(cut="after"), Answer(401)]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: each.cut or each.status)
async def test_what_failed_in_a_short_outage_is_all_there_soon_after_it(redis_url: str, answer: Answer) -> None:
    """The first pause of the usual list is over during the outage; the second would be five minutes."""
    hands, count = Hands(), 30
    with Crm() as crm:
        crm.decide = lambda _: answer
        async with Workshop(redis_url, one_crm(crm, more=LIST), now=hands) as shop, shop.worker():
            for number in range(count):
                await shop.submit(name="N", phone=f"89510{number:05d}")
                await pass_time(shop, hands, 30_000 // count)
            assert shop.events("destination paused")
            crm.decide = lambda _: None
            took = await delay_of(shop, hands, lambda: shop.events("destination open again"))
            account = await shop.settled()  # without any more time passing
    assert (account.delivered, account.dead) == (count, 0)
    assert took < 20_000


async def test_what_is_to_be_given_back_is_so_whoever_was_killed_before(redis_url: str) -> None:
    """The worker that saw the destination open again ended at that moment; nothing is due for minutes."""
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more=LIST), now=hands) as shop:
            crm.answer(500)
            leads = await shop.submit_many(4)
            async with shop.worker():
                await until(lambda: len(shop.attempts) == 4)
                await pass_time(shop, hands, 6_500)
                await until(lambda: shop.events("destination paused"))
            crm.answer(200)
            gate = gate_of(shop.server, shop.config.destinations["crm"])
            hands.ahead += 30_000
            permit = await gate.ask(1, secrets.token_urlsafe(9))
            assert await gate.report(permit.slots[0], "delivered", is_probe=True) == "opened"
            async with shop.worker():
                assert (await shop.settled()).delivered == len(leads)


async def test_what_asked_for_a_time_of_its_own_is_not_sent_before_it(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more=LIST), now=hands) as shop, shop.worker():
            crm.answer(500, headers={"Retry-After": "600"}, times=1)
            patient = await shop.submit(name="Asha", phone="8951047001")
            await until(lambda: len(shop.attempts) == 1)
            crm.answer(500)
            await shop.submit_many(2)
            await until(lambda: len(shop.attempts) >= 3)
            await pass_time(shop, hands, 6_500)
            await until(lambda: shop.events("destination paused"))
            crm.answer(200)
            await delay_of(shop, hands, lambda: shop.events("destination open again"))
            await until(lambda: sum(each.conclusion.attempt.result == "delivered" for each in shop.attempts) == 2)
            assert (await shop.account()).waiting == 1
            assert not is_delivered(shop, patient)


async def test_a_lead_that_breaks_its_crm_gets_its_tries_back_three_times_and_dies(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        crm.decide = dislikes(Answer(500))
        text = one_crm(crm, more='retry = ["5s", "5s"]\ntimeout = "1s"')
        async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
            bad = [await shop.submit(name="N", phone=f"89520{number:05d}", message=HOSTILE) for number in range(2)]
            for number in range(40):
                await pass_time(shop, hands, 6_500)
                if number % 4 == 3:
                    await shop.submit(name="N", phone=f"89530{number:05d}")
                    await asyncio.sleep(0.1)
            assert {each.lead for each in await shop.dead()} == {each.lead for each in bad}
