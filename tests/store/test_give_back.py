"""give_back: what failed while its destination did is due at once, with the tries that this cost, a few times."""

import pytest
from ledger import HOUR, MINUTE, SECOND, START, Ledger

from service.store.leads import MOST_GIVEN_BACK
from service.store.records import Attempt

pytestmark = pytest.mark.anyio


async def fail(ledger: Ledger, number: int = 1, *, is_charged: bool = True) -> None:
    """Let everything that is due fail, and come again in five minutes."""
    for claim in await ledger.claim(number):
        await ledger.settle(claim, "retry", due=ledger.now + 5 * MINUTE, is_charged=is_charged)


async def give_back(ledger: Ledger, begin: int, end: int) -> int:
    given = await ledger.store.give_back(ledger.form.name, "crm", begin, end)
    await ledger.check()
    return given


async def test_only_what_failed_then_is_due_now_in_its_old_place_with_the_tries_of_that_time(ledger: Ledger) -> None:
    before = (await ledger.post(phone="8951047001")).lead
    await fail(ledger)
    ledger.now += 6 * MINUTE
    began = ledger.now
    during = (await ledger.post(phone="8951047002")).lead
    await fail(ledger, 2)
    ended = ledger.now
    ledger.now += SECOND
    after = (await ledger.post(phone="8951047003")).lead
    await fail(ledger)
    assert await give_back(ledger, began, ended) == 2
    assert [await ledger.due(lead) for lead in (before, during)] == [START, began]
    assert await ledger.due(after) == ledger.now + 5 * MINUTE
    assert [(await ledger.record(lead)).n for lead in (before, during, after)] == [1, 0, 1]
    kept = await ledger.dump()
    assert await give_back(ledger, began, ended) == 0
    assert await ledger.dump() == kept


@pytest.mark.parametrize("later", [0, 6 * MINUTE])
async def test_of_a_long_queue_nothing_is_passed_over(ledger: Ledger, later: int) -> None:
    ledger.checks_each_call = False
    for number in range(250):
        await ledger.post(phone=f"89510{number:05d}")
    await fail(ledger, 250)
    ledger.now += later
    for number in range(150):
        await ledger.post(phone=f"89510{number + 500:05d}")
    assert await give_back(ledger, START, START) == 250


async def test_what_is_due_already_gets_its_tries_back_too(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    await fail(ledger)
    ledger.now += 6 * MINUTE
    assert await give_back(ledger, START, START) == 1
    assert (await ledger.due(lead), (await ledger.record(lead)).n) == (START + 5 * MINUTE, 0)


async def test_what_was_not_charged_is_due_at_once_and_has_all_its_tries(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    await fail(ledger, is_charged=False)
    assert await give_back(ledger, START, START) == 1
    assert (await ledger.due(lead), (await ledger.record(lead)).n) == (START, 0)


async def test_what_may_not_be_given_back_or_is_leased_stays_as_it_is(ledger: Ledger) -> None:
    for number in range(2):
        await ledger.post(phone=f"895104700{number}")
    claim = await ledger.claim_one()
    attempt = Attempt(ledger.now, 1, "retry", 7, 500)
    await ledger.store.settle(claim, attempt, due=ledger.now + HOUR, may_be_given_back=False)
    await fail(ledger)
    ledger.now += 5 * MINUTE
    await ledger.claim_one()
    kept = await ledger.dump()
    assert await give_back(ledger, START, START) == 0
    assert await ledger.dump() == kept


async def test_what_was_not_charged_and_is_refused_since_then_gets_nothing(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    await fail(ledger, is_charged=False)
    ledger.now += 6 * MINUTE
    await fail(ledger)
    assert await give_back(ledger, START, START) == 0
    assert (await ledger.due(lead), (await ledger.record(lead)).n) == (ledger.now + 5 * MINUTE, 1)


async def test_what_was_refused_since_then_waits_as_it_was_told_to(ledger: Ledger) -> None:
    refused, asked = (await ledger.post(phone="8951047001")).lead, (await ledger.post(phone="8951047002")).lead
    await fail(ledger, 2)
    ended = ledger.now
    ledger.now += 6 * MINUTE
    due = ledger.now + HOUR
    for claim in await ledger.claim(2):
        attempt = Attempt(ledger.now, 1, "retry", 7, 429)
        is_free = claim.delivery.lead.id == refused
        await ledger.store.settle(claim, attempt, due=due, may_be_given_back=is_free)
    assert await give_back(ledger, START, ended) == 2
    assert [await ledger.due(lead) for lead in (refused, asked)] == [due, due]
    assert [(await ledger.record(lead)).n for lead in (refused, asked)] == [1, 1]


async def test_a_version_gets_its_tries_back_three_times_and_a_new_one_begins_anew(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    given = []
    for _ in range(MOST_GIVEN_BACK + 2):
        await fail(ledger)
        given.append(await give_back(ledger, ledger.now, ledger.now))
        ledger.now += HOUR
    assert given == [1] * MOST_GIVEN_BACK + [0, 0]
    assert ((await ledger.record(lead)).n, (await ledger.claim_one()).given_back) == (2, MOST_GIVEN_BACK)
    ledger.now += HOUR
    await ledger.post(phone="8951047001", message="hi")
    assert (await ledger.claim_one()).given_back == 0


async def test_a_replay_begins_anew(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    await fail(ledger)
    await give_back(ledger, START, START)
    ledger.now += HOUR
    await ledger.settle(await ledger.claim_one(), "dead")
    await ledger.replay(lead)
    assert (await ledger.claim_one()).given_back == 0
