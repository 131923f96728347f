"""replay: what died, was delivered or still waits is sent again, as often as somebody asks."""

from typing import Literal

import pytest
from ledger import HOUR, LEASE, START, Ledger

pytestmark = pytest.mark.anyio

ASHA = {"phone": "89510 47001"}


async def bring(ledger: Ledger, states: str) -> str:
    """Make a lead with a version in each of these states."""
    lead = ""
    for number, state in enumerate(states):
        lead = (await ledger.post(ASHA, message=f"message {number}")).lead
        if state in "dx":
            await ledger.settle(await ledger.claim_one(), "delivered" if state == "d" else "dead", reason="refused")
    for _ in range(states.endswith("w")):
        await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now + 5 * HOUR)
    ledger.now += HOUR
    assert (await ledger.states(lead)) == states.replace("W", "w")
    return lead


@pytest.mark.parametrize(
    ("states", "what", "version", "then"),
    [
        ("x", "dead", 1, "w"),
        ("x", "any", 1, "w"),
        ("d", "any", 1, "w"),
        ("d", "dead", 0, "d"),
        ("w", "dead", 0, "w"),
        ("w", "any", 1, "w"),
        ("sd", "any", 2, "sw"),
        ("xd", "dead", 2, "sw"),
        ("xd", "any", 2, "sw"),
        ("xx", "dead", 2, "sw"),
        ("dx", "dead", 2, "dw"),
        ("xw", "dead", 2, "sw"),
        ("xw", "any", 2, "sw"),
        ("dw", "any", 2, "dw"),
        ("dw", "dead", 0, "dw"),
        ("xdx", "dead", 3, "sdw"),
    ],
)
async def test_replay_sends_the_latest_and_supersedes_the_dead_before_it(
    ledger: Ledger, states: str, what: Literal["dead", "any"], version: int, then: str
) -> None:
    lead = await bring(ledger, states)
    assert await ledger.replay(lead, what) == version
    assert await ledger.states(lead) == then
    if version:
        assert await ledger.due(lead) == ledger.now
        assert (await ledger.claim_one()).delivery.lead.version == version


@pytest.mark.parametrize("states", ["x", "d", "w", "xd", "xw", "dx"])
async def test_replaying_twice_is_replaying_once(ledger: Ledger, states: str) -> None:
    lead = await bring(ledger, states)
    version = await ledger.replay(lead, "any")
    kept = await ledger.dump()
    assert await ledger.replay(lead, "any") == version
    assert await ledger.replay(lead, "dead") == 0
    assert await ledger.dump() == kept


async def test_a_replayed_one_has_all_its_tries_again_and_no_reason(ledger: Ledger) -> None:
    lead = await bring(ledger, "w")
    ledger.now += 5 * HOUR
    await ledger.settle(await ledger.claim_one(), "dead", reason="no try is left")
    await ledger.replay(lead)
    record = await ledger.record(lead)
    assert (record.n, record.why, record.refused) == (0, {}, None)
    assert (await ledger.claim_one()).tries == 0


async def test_a_replay_goes_out_as_it_did_the_first_time(ledger: Ledger) -> None:
    lead = await bring(ledger, "x")
    await ledger.replay(lead)
    delivery = (await ledger.claim_one()).delivery
    assert (delivery.webhook_id, delivery.type, delivery.changed) == (f"{lead}.1", "lead.created", ())


async def test_a_replay_of_a_delivered_update_is_the_same_update(ledger: Ledger) -> None:
    lead = await bring(ledger, "dd")
    await ledger.replay(lead, "any")
    delivery = (await ledger.claim_one()).delivery
    assert (delivery.lead.version, delivery.type, delivery.changed) == (2, "lead.updated", ("message",))


async def test_a_replay_while_an_attempt_is_under_way_waits_for_it(ledger: Ledger) -> None:
    lead = (await ledger.post(ASHA)).lead
    claim = await ledger.claim_one()
    assert await ledger.replay(lead, "any") == 1
    assert await ledger.claim(1) == []
    assert await ledger.due(lead) == START + LEASE
    await ledger.settle(claim, "delivered")
    assert await ledger.states(lead) == "d"


async def test_a_replay_after_an_old_holders_success_is_sent_when_the_lease_is_over(ledger: Ledger) -> None:
    lead = (await ledger.post(ASHA)).lead
    old = await ledger.claim_one()
    ledger.now += LEASE
    await ledger.claim_one()
    await ledger.settle(old, "delivered")
    assert await ledger.replay(lead, "any") == 1
    assert await ledger.due(lead) == ledger.now + LEASE
    ledger.now += LEASE
    assert (await ledger.claim_one()).delivery.lead.version == 1


async def test_a_replayed_one_may_die_again(ledger: Ledger) -> None:
    lead = await bring(ledger, "x")
    await ledger.replay(lead)
    await ledger.settle(await ledger.claim_one(), "dead", reason="refused again")
    assert await ledger.states(lead) == "x"
    assert (await ledger.record(lead)).why["1"][1] == "refused again"


async def test_nothing_is_replayed_where_nothing_is_owed(ledger: Ledger) -> None:
    lead = await bring(ledger, "d")
    assert await ledger.replay("lead_unknown", "any") == 0
    assert await ledger.replay(lead, "any", destination="unknown") == 0
