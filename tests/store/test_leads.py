"""The store as a whole: accounts, what is due where, refusals and the repair."""

from dataclasses import replace

import pytest
from ledger import DAY, FORM, HOUR, LEASE, START, Ledger, open_ledger

from service.store.records import Mended

pytestmark = pytest.mark.anyio

ASHA = {"phone": "89510 47001"}


async def test_an_account_of_nothing_is_nought_and_balances(ledger: Ledger) -> None:
    account = await ledger.store.account("clinic", ("crm",), {})
    assert account.is_whole
    assert (account.received, account.destinations["crm"].owed) == (0, 0)
    assert account.destinations["crm"].oldest_waiting_s is None


async def test_the_account_of_a_busy_day(ledger: Ledger) -> None:
    await ledger.post(ASHA)
    await ledger.post(ASHA)
    await ledger.post(ASHA, message="hi")
    await ledger.post(phone="8951047002")
    await ledger.post(phone="8951047003", quarantine=("honeypot",))
    await ledger.store.refuse("clinic", "report", 4, at=ledger.now)
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now += HOUR
    account = await ledger.store.account("clinic", ("crm",), {"crm": "paused: no"})
    assert account.is_whole
    assert (account.received, account.rejected, account.quarantined) == (9, 4, 1)
    assert (account.repeated, account.updated, account.created, account.erased) == (1, 1, 2, 0)
    crm = account.destinations["crm"]
    assert (crm.owed, crm.delivered, crm.waiting, crm.dead, crm.superseded) == (3, 1, 1, 0, 1)
    assert (crm.oldest_waiting_s, crm.paused) == (3_600.0, "paused: no")


async def test_a_sum_that_is_wrong_is_seen(ledger: Ledger) -> None:
    await ledger.post(ASHA)
    await ledger.server.client.hincrby(f"{ledger.base}count", "crm:waiting", -1)
    account = await ledger.store.account("clinic", ("crm",), {})
    assert account.balanced
    assert not account.destinations["crm"].balanced
    assert not account.is_whole
    await ledger.server.client.hincrby(f"{ledger.base}count", "received", 1)
    assert not (await ledger.store.account("clinic", ("crm",), {})).balanced


async def test_a_refusal_reported_twice_counts_once_even_over_midnight(ledger: Ledger) -> None:
    await ledger.store.refuse("clinic", "report", 4, at=START)
    await ledger.store.refuse("clinic", "another", 1, at=START)
    kept = await ledger.dump()
    ledger.now += DAY
    await ledger.store.refuse("clinic", "report", 4, at=START)
    assert await ledger.dump() == kept
    assert await ledger.counts() == {"received": 5, "rejected": 5}


async def test_when_each_form_has_something_due(redis_url: str) -> None:
    async with open_ledger(redis_url) as clinic, open_ledger(redis_url, replace(FORM, name="other")) as other:
        assert await clinic.store.due(["clinic", "other"], "crm") == {}
        await clinic.post(ASHA)
        other.now += HOUR
        await other.post(ASHA)
        assert {form: each.at for form, each in (await clinic.store.due(["clinic", "other"], "crm")).items()} == {
            "clinic": START,
            "other": START + HOUR,
        }
        await clinic.claim_one()
        assert (await clinic.store.due(["clinic"], "crm"))["clinic"].at == START + LEASE
        assert await clinic.store.due(["clinic"], "erp") == {}


@pytest.mark.parametrize(
    ("queue", "what"), [("due", "was owed and in no queue"), ("waiting", "was owed and in no queue")]
)
async def test_the_repair_puts_back_what_was_forgotten(ledger: Ledger, queue: str, what: str) -> None:
    lead = (await ledger.post(ASHA)).lead
    await ledger.server.client.zrem(f"{ledger.base}{queue}:crm", lead)
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", what)]
    await ledger.check()
    assert await ledger.due(lead) == START
    assert await ledger.store.repair("clinic", [lead]) == []


async def test_the_repair_leaves_everything_else_alone(ledger: Ledger) -> None:
    leads = []
    for digit in "1234":
        leads.append((await ledger.post(phone=f"895104700{digit}")).lead)
        ledger.now += 1
    for result in ("delivered", "dead", "retry"):
        await ledger.settle(await ledger.claim_one(), result, due=START + HOUR)
    await ledger.claim_one()
    kept = await ledger.dump()
    assert await ledger.store.repair("clinic", leads) == []
    assert await ledger.dump() == kept


async def test_the_latest_leads_are_those_with_the_latest_versions(ledger: Ledger) -> None:
    first = (await ledger.post(ASHA)).lead
    ledger.now += 1
    second = (await ledger.post(phone="8951047002")).lead
    assert await ledger.store.latest("clinic", 0, 9) == [second, first]
    ledger.now += 1
    await ledger.post(ASHA, message="hi")
    assert await ledger.store.latest("clinic", 0, 9) == [first, second]
    assert await ledger.store.latest("clinic", 1, 1) == [second]
