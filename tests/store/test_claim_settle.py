"""claim and settle: every way of a version from waiting to delivered, dead or superseded."""

from dataclasses import replace
from typing import Any

import pytest
from ledger import DAY, FORM, HOUR, LEASE, MINUTE, SECOND, START, Ledger, Outcome

from service.store.archive import Archive
from service.store.records import Attempt

pytestmark = pytest.mark.anyio

ASHA = {"phone": "89510 47001"}


async def asha(ledger: Ledger) -> str:
    return (await ledger.post(ASHA)).lead


async def update(ledger: Ledger, message: str = "hi") -> None:
    assert (await ledger.post(ASHA, message=message)).result == "updated"


async def test_what_is_accepted_is_due_at_once(ledger: Ledger) -> None:
    lead = await asha(ledger)
    assert await ledger.due(lead) == START
    claim = await ledger.claim_one()
    assert (claim.delivery.lead.id, claim.delivery.lead.version, claim.tries) == (lead, 1, 0)
    assert claim.delivery.type == "lead.created"
    assert claim.delivery.changed == ()


async def test_what_is_leased_is_claimed_by_nobody_else(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.claim_one()
    ledger.now += LEASE - 1
    assert await ledger.claim(5) == []
    assert await ledger.due(lead) == START + LEASE


async def test_a_lease_that_ran_out_gives_the_delivery_back_as_it_was(ledger: Ledger) -> None:
    await asha(ledger)
    first = await ledger.claim_one()
    ledger.now += LEASE
    second = await ledger.claim_one()
    assert (second.delivery, second.tries) == (first.delivery, 0)
    assert second.token != first.token


@pytest.mark.parametrize(("result", "state"), [("delivered", "d"), ("retry", "w"), ("dead", "x")])
async def test_the_holder_settles_once_and_a_second_time_changes_nothing(
    ledger: Ledger, result: Outcome, state: str
) -> None:
    lead = await asha(ledger)
    claim = await ledger.claim_one()
    assert await ledger.settle(claim, result, due=START + HOUR, reason="no", excerpt="no") == "settled"
    assert await ledger.states(lead) == state
    kept = await ledger.dump()
    again = await ledger.settle(claim, result, due=START + 2 * HOUR, reason="no", excerpt="no")
    assert again == ("known" if result == "delivered" else "lost")
    assert await ledger.dump() == kept


@pytest.mark.parametrize("result", ["delivered", "retry", "dead"])
async def test_a_holder_whose_lease_ran_out_may_settle_while_nobody_has_it(ledger: Ledger, result: Outcome) -> None:
    await asha(ledger)
    claim = await ledger.claim_one()
    ledger.now += LEASE
    assert await ledger.settle(claim, result, due=ledger.now + HOUR) == "settled"
    assert await ledger.claim(1) == []


@pytest.mark.parametrize("result", ["retry", "dead"])
async def test_the_failure_of_an_old_holder_is_lost(ledger: Ledger, result: Outcome) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    await ledger.claim_one()
    kept = await ledger.dump()
    assert await ledger.settle(old, result, due=ledger.now + DAY) == "lost"
    assert await ledger.dump() == kept
    assert await ledger.states(lead) == "w"


@pytest.mark.parametrize(("result", "answer"), [("delivered", "settled"), ("retry", "known"), ("dead", "known")])
async def test_the_success_of_an_old_holder_is_a_fact(ledger: Ledger, result: Outcome, answer: str) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    new = await ledger.claim_one()
    assert await ledger.settle(old, "delivered") == "settled"
    assert await ledger.states(lead) == "d"
    assert await ledger.due(lead) is None
    assert await ledger.settle(new, result, due=ledger.now + HOUR) == answer
    assert await ledger.states(lead) == "d"
    assert await ledger.due(lead) is None


async def test_an_update_after_an_old_holders_success_waits_for_the_lease_and_is_not_lost(
    ledger: Ledger,
) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    await ledger.claim_one()
    await ledger.settle(old, "delivered")
    await update(ledger)
    assert await ledger.due(lead) == ledger.now + LEASE
    ledger.now += LEASE
    claim = await ledger.claim_one()
    assert (claim.delivery.lead.version, claim.delivery.type) == (2, "lead.updated")


async def test_a_retry_is_due_when_it_was_said_and_not_before(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=START + 5 * MINUTE)
    assert await ledger.due(lead) == START + 5 * MINUTE
    ledger.now = START + 5 * MINUTE - 1
    assert await ledger.claim(5) == []
    ledger.now += 1
    assert (await ledger.claim_one()).tries == 1


@pytest.mark.parametrize(("is_charged", "tries"), [(True, 1), (False, 0)])
async def test_only_a_charged_attempt_counts_against_the_list(ledger: Ledger, is_charged: bool, tries: int) -> None:
    await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=START, is_charged=is_charged, is_refused=not is_charged)
    claim = await ledger.claim_one()
    assert (claim.tries, claim.refused_at) == (tries, 0 if is_charged else START)


async def test_a_retry_sends_the_very_same_again(ledger: Ledger) -> None:
    await asha(ledger)
    first = await ledger.claim_one()
    await ledger.settle(first, "retry", due=START + HOUR)
    ledger.now += 30 * MINUTE
    assert (await ledger.post(ASHA)).result == "repeated"
    ledger.now += 30 * MINUTE
    assert (await ledger.claim_one()).delivery == first.delivery


async def test_each_version_has_tries_of_its_own(ledger: Ledger) -> None:
    await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=START)
    await update(ledger)
    assert (await ledger.claim_one()).tries == 0


async def test_the_dead_is_kept_with_its_reason_and_no_longer_due(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "dead", reason="refused", excerpt="phone is bad")
    assert await ledger.due(lead) is None
    assert (await ledger.record(lead)).why.keys() == {"1"}
    [dead] = await Archive(ledger.server).dead(ledger.form.name, "crm")
    assert (dead.at, dead.reason, dead.excerpt) == (START, "refused", "phone is bad")
    assert await ledger.counts() == {"received": 1, "created": 1, "crm:owed": 1, "crm:dead": 1}


@pytest.mark.parametrize("first", ["dead", "superseded"])
async def test_a_late_success_moves_a_version_from_where_it_is(ledger: Ledger, first: str) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    if first == "superseded":
        await update(ledger)
    new = await ledger.claim_one()
    await ledger.settle(new, "dead" if first == "dead" else "delivered")
    assert await ledger.states(lead) == ("x" if first == "dead" else "sd")
    assert await ledger.settle(old, "delivered") == "settled"
    assert await ledger.states(lead) == ("d" if first == "dead" else "dd")
    assert await ledger.settle(old, "delivered") == "known"


async def test_a_success_that_comes_late_while_a_later_version_is_leased_leaves_it_leased(ledger: Ledger) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    await update(ledger)
    new = await ledger.claim_one()
    assert await ledger.settle(old, "delivered") == "settled"
    assert await ledger.states(lead) == "dw"
    assert await ledger.claim(5) == []
    assert await ledger.settle(new, "delivered") == "settled"
    assert await ledger.states(lead) == "dd"


async def test_a_success_that_comes_late_does_not_hasten_the_retry_of_a_later_version(ledger: Ledger) -> None:
    lead = await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    await update(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now + 2 * HOUR)
    await ledger.settle(old, "delivered")
    assert await ledger.due(lead) == ledger.now + 2 * HOUR


async def test_an_update_while_its_forerunner_waits_for_a_retry_hours_away_is_due_now(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=START + 5 * HOUR)
    ledger.now += MINUTE
    await update(ledger)
    assert await ledger.due(lead) == ledger.now
    claim = await ledger.claim_one()
    assert (claim.delivery.lead.version, claim.delivery.type) == (2, "lead.created")
    assert await ledger.states(lead) == "sw"


@pytest.mark.parametrize(
    ("result", "states", "sent_as"),
    [("delivered", "dw", "lead.updated"), ("retry", "sw", "lead.created"), ("dead", "xw", "lead.created")],
)
async def test_an_update_while_its_forerunner_is_leased_goes_when_that_is_settled(
    ledger: Ledger, result: Outcome, states: str, sent_as: str
) -> None:
    lead = await asha(ledger)
    first = await ledger.claim_one()
    ledger.now += SECOND
    await update(ledger)
    assert await ledger.claim(5) == []
    assert await ledger.due(lead) == START + LEASE
    await ledger.settle(first, result, due=START + 5 * HOUR)
    assert await ledger.due(lead) == ledger.now
    second = await ledger.claim_one()
    assert (second.delivery.lead.version, second.delivery.type) == (2, sent_as)
    assert await ledger.states(lead) == states


async def test_an_update_while_its_forerunner_is_leased_goes_when_that_lease_runs_out(ledger: Ledger) -> None:
    await asha(ledger)
    await ledger.claim_one()
    await update(ledger)
    ledger.now = START + LEASE
    assert (await ledger.claim_one()).delivery.lead.version == 2


async def test_twenty_updates_before_the_first_delivery_are_one_delivery(ledger: Ledger) -> None:
    lead = await asha(ledger)
    for number in range(19):
        await update(ledger, f"message {number}")
    claims = await ledger.claim(5)
    assert [(each.delivery.lead.version, each.delivery.type) for each in claims] == [(20, "lead.created")]
    await ledger.settle(claims[0], "delivered")
    assert await ledger.states(lead) == "s" * 19 + "d"
    assert {name: n for name, n in (await ledger.counts()).items() if name.startswith("crm")} == {
        "crm:owed": 20, "crm:superseded": 19, "crm:delivered": 1,
    }  # fmt: skip


async def test_changed_is_what_differs_from_the_version_delivered_last(ledger: Ledger) -> None:
    await ledger.post(ASHA, name="Asha", message="a")
    await ledger.settle(await ledger.claim_one(), "delivered")
    await ledger.post(ASHA, message="b")
    await ledger.settle(await ledger.claim_one(), "dead")
    await ledger.post(ASHA, email="asha@example.com", colour="red")
    claim = await ledger.claim_one()
    assert claim.delivery.type == "lead.updated"
    assert claim.delivery.changed == ("email", "extra.colour", "message")
    await ledger.settle(claim, "delivered")
    await ledger.post(ASHA, message="a")
    assert (await ledger.claim_one()).delivery.changed == ("message",)


async def test_asking_again_after_the_quiet_time_is_an_update_without_changes(ledger: Ledger) -> None:
    await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now += FORM.quiet
    assert (await ledger.post(ASHA)).result == "updated"
    delivery = (await ledger.claim_one()).delivery
    assert (delivery.type, delivery.changed) == ("lead.updated", ())


async def test_another_spelling_of_phone_or_email_is_no_change(ledger: Ledger) -> None:
    await ledger.post(ASHA, email="asha.rao@gmail.com")
    await ledger.settle(await ledger.claim_one(), "delivered")
    await ledger.post(phone="+91 8951047001", email="asharao@googlemail.com", message="hi")
    assert (await ledger.claim_one()).delivery.changed == ("message",)


async def test_type_and_changed_are_frozen_when_a_version_is_first_claimed(ledger: Ledger) -> None:
    await asha(ledger)
    old = await ledger.claim_one()
    ledger.now += LEASE
    await update(ledger)
    first = await ledger.claim_one()
    await ledger.settle(old, "delivered")
    await ledger.settle(first, "retry", due=ledger.now)
    again = await ledger.claim_one()
    assert (again.delivery.type, again.delivery.changed) == ("lead.created", ())
    assert again.delivery == first.delivery


async def test_a_destination_that_takes_no_updates_gets_each_lead_once(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await update(ledger, "before it has it")
    claim = await ledger.claim_one(takes_updates=False)
    assert (claim.delivery.lead.version, claim.delivery.type) == (2, "lead.created")
    await ledger.settle(claim, "delivered")
    await update(ledger, "after")
    assert await ledger.claim(5, takes_updates=False) == []
    assert await ledger.states(lead) == "sds"
    assert await ledger.due(lead) is None


async def test_a_destination_that_takes_no_updates_gets_the_later_version_of_what_it_never_got(ledger: Ledger) -> None:
    await asha(ledger)
    await ledger.settle(await ledger.claim_one(takes_updates=False), "dead")
    await update(ledger)
    assert (await ledger.claim_one(takes_updates=False)).delivery.lead.version == 2


async def test_destinations_are_independent_of_each_other(ledger: Ledger) -> None:
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    lead = await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "dead")
    await ledger.settle(await ledger.claim_one(destination="erp"), "delivered")
    await update(ledger)
    assert (await ledger.states(lead), await ledger.states(lead, "erp")) == ("xw", "dw")
    assert (await ledger.claim_one()).delivery.type == "lead.created"
    assert (await ledger.claim_one(destination="erp")).delivery.type == "lead.updated"


async def test_a_destination_added_to_a_form_later_is_owed_what_comes_from_then_on(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await update(ledger, "a")
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    assert await ledger.claim(5, destination="erp") == []
    await update(ledger, "b")
    assert await ledger.states(lead, "erp") == "--w"
    claim = await ledger.claim_one(destination="erp")
    assert (claim.delivery.lead.version, claim.delivery.type) == (3, "lead.created")
    await ledger.settle(claim, "delivered")
    counts = await ledger.counts()
    assert (counts["erp:owed"], counts["erp:delivered"]) == (1, 1)


async def test_a_destination_removed_while_leads_wait_for_it_still_has_them_and_they_balance(ledger: Ledger) -> None:
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    lead = await asha(ledger)
    ledger.form = FORM
    await update(ledger)
    assert await ledger.states(lead, "erp") == "w"
    claim = await ledger.claim_one(destination="erp")
    assert claim.delivery.lead.version == 1
    await ledger.settle(claim, "delivered")
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    await update(ledger, "again")
    assert await ledger.states(lead, "erp") == "d-w"


async def three(ledger: Ledger) -> list[str]:
    leads = []
    for last_digit in "123":
        leads.append((await ledger.post(phone=f"895104700{last_digit}")).lead)
        ledger.now += SECOND
    return leads


@pytest.mark.parametrize(
    ("order", "limit", "places"),
    [("oldest", 2, [0, 1]), ("newest", 2, [2, 1]), ("oldest", 9, [0, 1, 2]), ("newest", 1, [2]), ("probe", 1, [0])],
)
async def test_the_order_of_claims(ledger: Ledger, order: Any, limit: int, places: list[int]) -> None:
    leads = await three(ledger)
    claims = await ledger.claim(limit, order=order)
    assert [each.delivery.lead.id for each in claims] == [leads[place] for place in places]


async def test_probes_take_another_lead_each_time_the_oldest_and_the_newest_in_turn(ledger: Ledger) -> None:
    first, second, third = await three(ledger)
    probed = []
    for _ in range(5):
        claim = await ledger.claim_one(order="probe")
        probed.append(claim.delivery.lead.id)
        await ledger.settle(claim, "retry", is_charged=False, is_refused=True)
        ledger.now += MINUTE
    assert probed == [first, third, second, first, third]


async def test_what_was_not_charged_is_due_at_once_in_its_old_place(ledger: Ledger) -> None:
    leads = await three(ledger)
    ledger.now += HOUR
    for _ in leads:
        await ledger.settle(await ledger.claim_one(order="probe"), "retry", is_charged=False)
    assert [await ledger.due(lead) for lead in leads] == [START, START + SECOND, START + 2 * SECOND]


@pytest.mark.parametrize("is_charged", [True, False])
async def test_what_was_never_tried_is_found_the_newest_first_whatever_lies_around_it(
    ledger: Ledger, is_charged: bool
) -> None:
    tried = await three(ledger)
    for claim in await ledger.claim(3):
        await ledger.settle(claim, "retry", due=ledger.now if is_charged else 0, is_charged=is_charged)
    assert await ledger.claim(1, order="untried") == []
    older = (await ledger.post(phone="8951047021")).lead
    ledger.now += SECOND
    newer = (await ledger.post(phone="8951047022")).lead
    for _ in tried:
        await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now)
    assert [(await ledger.claim_one(order="untried")).delivery.lead.id for _ in range(2)] == [newer, older]
    assert await ledger.claim(1, order="untried") == []


async def test_a_new_version_was_never_tried(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now + HOUR)
    await update(ledger)
    assert (await ledger.claim_one(order="untried")).delivery.lead.id == lead


async def test_a_lead_that_got_through_is_no_longer_known_as_refused(ledger: Ledger) -> None:
    await asha(ledger)
    await ledger.settle(await ledger.claim_one(), "retry", due=START, is_charged=False, is_refused=True)
    claim = await ledger.claim_one()
    assert claim.refused_at == START
    await ledger.settle(claim, "delivered")
    await update(ledger)
    assert (await ledger.claim_one()).refused_at == 0


async def test_nothing_due_is_nothing_claimed(ledger: Ledger) -> None:
    assert await ledger.claim(5) == []
    assert await ledger.claim(5, order="newest") == []
    assert await ledger.claim(1, order="probe") == []


async def test_a_queue_entry_without_its_lead_is_dropped(ledger: Ledger) -> None:
    lead = await asha(ledger)
    await ledger.server.client.delete(f"{ledger.base}lead:{lead}")
    claims = await ledger.store.claim(FORM, "crm", lease=LEASE, limit=1, token="t")
    assert claims == []
    assert await ledger.due(lead) is None


async def test_a_lead_that_is_gone_cannot_be_settled(ledger: Ledger) -> None:
    lead = await asha(ledger)
    claim = await ledger.claim_one()
    await ledger.server.client.delete(f"{ledger.base}lead:{lead}")
    assert await ledger.store.settle(claim, Attempt(START, 1, "delivered", 1)) == "gone"


async def test_attempts_are_kept_with_the_lead_and_the_oldest_go_first(ledger: Ledger) -> None:
    lead = await asha(ledger)
    for _ in range(40):
        await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now, reason="busy", excerpt="x" * 500)
    kept = str(await ledger.server.client.hget(f"{ledger.base}lead:{lead}", "a:crm"))
    assert len(kept) <= 6_000
    assert kept.startswith("{")
    assert kept.endswith("}\n")
