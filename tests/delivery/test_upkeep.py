"""What the queues lost is put back, what strayed into them is taken out, and what somebody holds is left alone."""

import asyncio
import random

import pytest
from crm import Crm
from ledger import HOUR, LEASE, START, Ledger
from processes import Processes
from workshop import Workshop, one_crm, until

from service.delivery import upkeep
from service.delivery.upkeep import walk
from service.process import worker
from service.store.records import Mended

pytestmark = pytest.mark.anyio

FORGOTTEN = "was owed and in no queue"
STRAY = "was in a queue and not owed"
UNLISTED = "was dead and not listed"
LISTED = "was listed as dead and is not"


async def bring(ledger: Ledger, number: int, state: str) -> str:
    """Make a lead: "w" due, "l" leased, "p" put off for hours, "d" delivered, "x" dead."""
    ledger.now += 1
    lead = (await ledger.post(phone=f"89510{number:05d}")).lead
    if state == "w":
        return lead
    claim = await ledger.claim_one(order="newest")
    assert claim.delivery.lead.id == lead
    match state:
        case "p":
            await ledger.settle(claim, "retry", due=ledger.now + 5 * HOUR)
        case "d":
            await ledger.settle(claim, "delivered")
        case "x":
            await ledger.settle(claim, "dead", reason="it is wrong")
    return lead


async def leave(ledger: Ledger, lead: str, *queues: str) -> None:
    """Take a lead out of queues by hand."""
    for queue in queues:
        assert await ledger.server.client.zrem(f"{ledger.base}{queue}:crm", lead) == 1


async def stray(ledger: Ledger, lead: str, *queues: str) -> None:
    """Put a lead into queues by hand."""
    for queue in queues:
        assert await ledger.server.client.zadd(f"{ledger.base}{queue}:crm", {lead: ledger.now}) == 1


@pytest.mark.parametrize("state", ["w", "p"])
@pytest.mark.parametrize(("missing", "due_in"), [(("due",), 0), (("waiting",), None), (("due", "waiting"), 0)], ids=str)
async def test_what_is_owed_and_in_no_queue_is_due_now(
    ledger: Ledger, state: str, missing: tuple[str, ...], due_in: int | None
) -> None:
    lead = await bring(ledger, 1, state)
    was_due = await ledger.due(lead)
    await leave(ledger, lead, *missing)
    ledger.now += HOUR
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", FORGOTTEN)]
    await ledger.check()
    assert await ledger.due(lead) == (was_due if due_in is None else ledger.now)


@pytest.mark.parametrize("state", ["d", "x"])
@pytest.mark.parametrize("queues", [("due",), ("waiting",), ("due", "waiting")], ids=str)
async def test_what_is_in_a_queue_and_not_owed_is_taken_out(
    ledger: Ledger, state: str, queues: tuple[str, ...]
) -> None:
    lead = await bring(ledger, 1, state)
    await stray(ledger, lead, *queues)
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", STRAY)]
    await ledger.check()
    assert await ledger.claim(1) == []


async def test_what_is_dead_is_listed_again_and_can_be_replayed(ledger: Ledger) -> None:
    lead = await bring(ledger, 1, "x")
    await leave(ledger, lead, "dead")
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", UNLISTED)]
    assert await ledger.replay(lead) == 1


@pytest.mark.parametrize("state", ["w", "l", "p", "d"])
async def test_what_is_listed_as_dead_and_lives_is_no_longer_listed(ledger: Ledger, state: str) -> None:
    lead = await bring(ledger, 1, state)
    kept = await ledger.dump()
    await stray(ledger, lead, "dead")
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", LISTED)]
    assert await ledger.dump() == kept


@pytest.mark.parametrize("state", ["w", "l", "p", "d", "x"])
async def test_what_stands_where_it_must_is_left_alone(ledger: Ledger, state: str) -> None:
    lead = await bring(ledger, 1, state)
    kept = await ledger.dump()
    ledger.now += LEASE - 1
    assert await ledger.store.repair("clinic", [lead]) == []
    assert await ledger.dump() == kept


async def test_a_forgotten_one_that_somebody_holds_is_due_when_the_lease_ends(ledger: Ledger) -> None:
    lead = (await ledger.post(phone="8951047001")).lead
    claim = await ledger.claim_one()
    await leave(ledger, lead, "due", "waiting")
    ledger.now += 1
    assert await ledger.store.repair("clinic", [lead]) == [Mended("clinic", lead, "crm", FORGOTTEN)]
    assert await ledger.due(lead) == START + LEASE
    assert await ledger.claim(1) == []
    assert await ledger.settle(claim, "delivered") == "settled"
    assert await ledger.states(lead) == "d"


async def test_each_destination_of_a_lead_is_looked_at_by_itself(ledger: Ledger) -> None:
    lead = await bring(ledger, 1, "d")
    other = await ledger.post(phone="8951000001", message="And another thing")
    assert other.lead == lead
    assert await ledger.store.repair("clinic", [lead, "lead_unknown"]) == []
    await leave(ledger, lead, "due")
    assert [each.what for each in await ledger.store.repair("clinic", [lead])] == [FORGOTTEN]
    assert (await ledger.claim_one()).delivery.lead.version == 2


async def test_a_stray_of_no_lead_is_dropped_by_whoever_claims_it(ledger: Ledger) -> None:
    await stray(ledger, "lead_unknown", "due", "waiting")
    assert await ledger.claim(5) == []
    await ledger.check()


async def test_a_stray_of_no_lead_is_taken_out_of_every_queue_by_a_walk(ledger: Ledger) -> None:
    """Among those that wait, nobody ever claimed it, and `leads status` said that it had waited for years."""
    for number in range(3):
        await bring(ledger, number, "w")
    kept = await ledger.dump()
    queues = ("due", "waiting", "dead")
    await stray(ledger, "lead_unknown", *queues)
    mended = [each async for each in walk(ledger.store, ["clinic"], pause_s=0)]
    assert mended == [Mended("clinic", "lead_unknown", "crm", STRAY)] * len(queues)
    assert await ledger.dump() == kept


@pytest.mark.parametrize(
    "number", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)]
)
async def test_a_walk_mends_whatever_was_done_to_the_queues_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(upkeep, "SLICE", 7)
    chance = random.Random(number)
    leads = [await bring(ledger, each, chance.choice("wlpdx")) for each in range(40)]
    touched = set()
    for lead in leads:
        for queue in chance.sample(("due", "waiting", "dead"), chance.randrange(0, 3)):
            key = f"{ledger.base}{queue}:crm"
            touched.add(lead)
            if not await ledger.server.client.zrem(key, lead):
                await ledger.server.client.zadd(key, {lead: ledger.now})
    mended = [each async for each in walk(ledger.store, ["clinic"], pause_s=0)]
    assert {each.lead for each in mended} == touched
    await ledger.check()
    kept = await ledger.dump()
    assert [each async for each in walk(ledger.store, ["clinic"], pause_s=0)] == []
    assert await ledger.dump() == kept


async def test_a_worker_mends_by_itself_says_so_and_delivers(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REPAIR_FIRST_S", 0.05)
    monkeypatch.setattr(worker, "REPAIR_EVERY_S", 0.05)
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop:
            taken = await shop.submit(name="Asha Rao", phone="8951047001")
            for queue in ("due", "waiting"):
                assert await shop.server.client.zrem(f"leads:{{get-in-touch}}:{queue}:crm", taken.lead) == 1
            async with shop.worker():
                await until(lambda: shop.events("mended"))
                await shop.server.client.publish("leads:wake", "crm")
                await until(lambda: crm.requests)
                account = await shop.settled()
                await asyncio.sleep(0.2)
    [line] = shop.events("mended")
    assert line == {
        "event": "mended", "level": "warning", "form": "get-in-touch", "lead": taken.lead, "destination": "crm",
        "what": FORGOTTEN,
    }  # fmt: skip
    assert (account.delivered, len(crm.requests)) == (1, 1)


async def test_the_command_mends_at_once_and_says_what(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Crm() as crm, Processes(tmp_path_factory.mktemp("here"), redis_url, one_crm(crm)) as here:
        async with Workshop(redis_url, one_crm(crm)) as shop:
            taken = await shop.submit(name="Asha Rao", phone="8951047001")
            await shop.submit(name="Ravi", phone="8951047002")
            await shop.server.client.zrem("leads:{get-in-touch}:due:crm", taken.lead)
            first, second = [await asyncio.to_thread(here.run, "repair") for _ in range(2)]
    assert first.splitlines() == [f"get-in-touch  {taken.lead}  crm  {FORGOTTEN}", "1 mended."]
    assert second == "Nothing had to be mended.\n"
