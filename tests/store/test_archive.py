"""The archive: everything that is kept about a lead, for whoever asks."""

from dataclasses import replace

import pytest
from ledger import FORM, HOUR, LEASE, MINUTE, START, Ledger

from service.store.archive import Archive

pytestmark = pytest.mark.anyio

ASHA = {"phone": "89510 47001"}


async def test_a_lead_is_found_by_receipt_lead_id_and_webhook_id(ledger: Ledger) -> None:
    archive = Archive(ledger.server)
    accepted = await ledger.post(ASHA)
    again = await ledger.post(ASHA)
    for name in (accepted.receipt, again.receipt, accepted.lead, f"{accepted.lead}.1"):
        assert await archive.find(["nothing-here", "clinic"], name) == ("clinic", accepted.lead)


async def test_what_nobody_sent_is_not_found(ledger: Ledger) -> None:
    await ledger.post(ASHA)
    for name in ("", "lead_unknown", "a receipt", "*"):
        assert await Archive(ledger.server).find(["clinic"], name) is None
    assert await Archive(ledger.server).lead(FORM, "lead_unknown") is None


async def test_a_quarantined_one_is_found_as_such(ledger: Ledger) -> None:
    held = await ledger.post(ASHA, quarantine=("honeypot",))
    found = await Archive(ledger.server).find(["clinic"], held.receipt)
    assert found is not None
    assert found[1].startswith("?")


async def test_a_lead_is_shown_whole(ledger: Ledger) -> None:
    first = await ledger.post(ASHA, name="Asha", page="/start")
    ledger.now += MINUTE
    claim = await ledger.claim_one()
    await ledger.settle(claim, "retry", due=START + HOUR, reason="busy", status=500, excerpt="<h1>no</h1>")
    second = await ledger.post(ASHA)
    third = await ledger.post(ASHA, message="hi")
    kept = await Archive(ledger.server).lead(FORM, first.lead)
    assert kept is not None
    assert (kept.id, kept.form, kept.first_seen_at, kept.last_seen_at) == (first.lead, "clinic", START, ledger.now)
    assert [(each.at, each.result, each.version, each.receipt) for each in kept.submissions] == [
        (START, "created", 1, first.receipt),
        (ledger.now, "repeated", 1, second.receipt),
        (ledger.now, "updated", 2, third.receipt),
    ]
    assert [(each.version, each.enquiries) for each in kept.versions] == [(1, 1), (2, 2)]
    assert kept.versions[1].content.fields["message"].value == "hi"
    [delivery] = kept.deliveries
    assert (delivery.destination, delivery.states) == ("crm", {1: "waiting", 2: "waiting"})
    assert (delivery.state, delivery.due_at, delivery.leased, delivery.tries) == ("waiting", ledger.now, False, 1)
    [attempt] = delivery.attempts
    assert (attempt.result, attempt.status, attempt.reason) == ("retry", 500, "busy")


async def test_what_would_be_sent_of_a_lead_is_what_is_sent(ledger: Ledger) -> None:
    archive = Archive(ledger.server)
    lead = (await ledger.post(ASHA)).lead
    shown = await archive.delivery(FORM, lead, "crm")
    first = await ledger.claim_one()
    assert shown == first.delivery
    await ledger.settle(first, "delivered")
    await ledger.post(ASHA, message="hi")
    shown = await archive.delivery(FORM, lead, "crm")
    second = await ledger.claim_one()
    assert shown == second.delivery
    assert (second.delivery.type, second.delivery.changed) == ("lead.updated", ("message",))
    await ledger.settle(second, "delivered")
    assert await archive.delivery(FORM, lead, "crm") == second.delivery


async def test_of_versions_that_wait_the_latest_would_be_sent_and_a_new_destination_gets_a_lead_whole(
    ledger: Ledger,
) -> None:
    archive = Archive(ledger.server)
    lead = (await ledger.post(ASHA)).lead
    await ledger.settle(await ledger.claim_one(), "dead", reason="no")
    await ledger.post(ASHA, message="hi")
    waits, new = await archive.delivery(FORM, lead, "crm"), await archive.delivery(FORM, lead, "erp")
    assert waits is not None
    assert (waits.lead.version, waits.type, waits.changed) == (2, "lead.created", ())
    assert new == waits
    assert await archive.delivery(FORM, "lead_unknown", "crm") is None


async def test_an_attempt_under_way_is_shown_as_leased(ledger: Ledger) -> None:
    lead = (await ledger.post(ASHA)).lead
    await ledger.claim_one()
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert (kept.deliveries[0].leased, kept.deliveries[0].due_at) == (True, START + LEASE)
    ledger.now += LEASE
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert not kept.deliveries[0].leased


@pytest.mark.parametrize(("result", "state"), [("delivered", "delivered"), ("dead", "dead"), ("retry", "waiting")])
async def test_the_state_of_a_delivery_is_that_of_the_latest_version(ledger: Ledger, result: str, state: str) -> None:
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    lead = (await ledger.post(ASHA)).lead
    await ledger.settle(await ledger.claim_one(), result, due=START + HOUR)  # type: ignore[arg-type] # one of three words
    kept = await Archive(ledger.server).lead(ledger.form, lead)
    assert kept is not None
    assert {each.destination: each.state for each in kept.deliveries} == {"crm": state, "erp": "waiting"}


async def test_an_answer_with_any_line_ends_in_it_is_kept_and_shown(ledger: Ledger) -> None:
    lead = (await ledger.post(ASHA)).lead
    excerpt = "a\nb\r\nc\u2028d\u0085e\x0bf\x0cg\x1ch"
    await ledger.settle(await ledger.claim_one(), "retry", due=START, excerpt=excerpt)
    await ledger.settle(await ledger.claim_one(), "dead", reason="no", excerpt=excerpt)
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert [each.excerpt for each in kept.deliveries[0].attempts] == [excerpt, excerpt]
    [dead] = await Archive(ledger.server).dead("clinic", "crm")
    assert dead.excerpt == excerpt


async def test_the_dead_are_listed_with_their_reason_the_longest_dead_first(ledger: Ledger) -> None:
    leads = []
    for digit in "123":
        leads.append((await ledger.post(phone=f"895104700{digit}")).lead)
        await ledger.settle(await ledger.claim_one(), "dead", reason=f"reason {digit}", excerpt="no")
        ledger.now += MINUTE
    await ledger.replay(leads[1])
    dead = await Archive(ledger.server).dead("clinic", "crm")
    assert [(each.lead, each.version, each.at, each.reason) for each in dead] == [
        (leads[0], 1, START, "reason 1"),
        (leads[2], 1, START + 2 * MINUTE, "reason 3"),
    ]


async def test_a_dead_version_is_listed_until_a_replay_even_if_a_later_one_got_through(ledger: Ledger) -> None:
    lead = (await ledger.post(ASHA)).lead
    await ledger.settle(await ledger.claim_one(), "dead", reason="no")
    await ledger.post(ASHA, message="hi")
    await ledger.settle(await ledger.claim_one(), "delivered")
    assert [each.version for each in await Archive(ledger.server).dead("clinic", "crm")] == [1]
    await ledger.replay(lead)
    assert await Archive(ledger.server).dead("clinic", "crm") == []


async def test_leads_since_a_time_are_those_with_a_version_since_then(ledger: Ledger) -> None:
    archive = Archive(ledger.server)
    first = (await ledger.post(ASHA)).lead
    ledger.now += HOUR
    second = (await ledger.post(phone="8951047002")).lead
    assert await archive.since("clinic", START) == [first, second]
    assert await archive.since("clinic", START + 1) == [second]
    await ledger.post(ASHA, message="hi")
    assert set(await archive.since("clinic", START + 1)) == {first, second}
    assert await archive.since("clinic", ledger.now + 1) == []
