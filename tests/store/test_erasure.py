"""Erasing a person and what is too old: nothing of it is left, the accounts add up, and a CRM that had it is told."""

import dataclasses
import json
from typing import Any

import msgspec
import pytest
from ledger import DAY, FORM, MINUTE, SECRET, START, Ledger, content_of, open_ledger

from service.model.form import Field
from service.store.archive import Archive
from service.store.erasure import ErasedLead, Eraser
from service.store.records import SLACK_MS, Line
from service.submission.person import identities, person_hash

pytestmark = pytest.mark.anyio
ASHA, RAVI, MAIL = "089510 47001", "089510 47002", "asha@example.com"
E164 = "+918951047001"
RETENTION = 90 * DAY


def phone_hash(e164: str = E164) -> str:
    return person_hash(SECRET, FORM.name, "phone", e164)


def mail_hash() -> str:
    return person_hash(SECRET, FORM.name, "email", MAIL)


async def erase(ledger: Ledger, *hashes: str, understands: tuple[str, ...] = ("crm",)) -> Any:
    ledger.forgets = True
    erased = await Eraser(ledger.server).erase(FORM.name, hashes or (phone_hash(),), understands)
    await ledger.check()
    before = await ledger.dump()
    assert await Eraser(ledger.server).erase(FORM.name, hashes or (phone_hash(),), understands) is not None
    assert {key: value for key, (_, value) in (await ledger.dump()).items()} == {
        key: value for key, (_, value) in before.items()
    }
    return erased


async def left(ledger: Ledger) -> dict[str, Any]:
    """Return what is kept but for counters, what was seen, and what says that somebody was erased."""
    kept = await ledger.dump()
    stays = {"count", "seen", "erased", "day", "days"}
    return {key: value for key, (_, value) in kept.items() if not stays & set(key.split(":"))}


async def test_what_was_never_sent_is_gone_and_nobody_is_told(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA, email=MAIL, name="Asha", message="My knee")).lead
    erased = await erase(ledger)
    assert erased.leads == (ErasedLead(FORM.name, lead, (), ()),)
    assert await left(ledger) == {}
    assert await ledger.counts() == {"received": 1, "created": 1, "crm:owed": 1, "crm:erased": 1}


async def test_a_lead_is_found_by_every_phone_and_email_it_ever_had(ledger: Ledger) -> None:
    await ledger.post(email=MAIL)
    await ledger.post(email=MAIL, phone=ASHA)
    ledger.now += FORM.window + SLACK_MS + 1
    await erase(ledger, mail_hash())
    assert await left(ledger) == {}


async def test_numbers_and_addresses_in_further_fields_find_a_lead_too(redis_url: str) -> None:
    form = dataclasses.replace(FORM, fields={**FORM.fields, "spare": Field("spare", "phone")})
    async with open_ledger(redis_url, form) as ledger:
        content = content_of(form, {"phone": ASHA, "spare": RAVI})
        assert identities(SECRET, form, content) == (phone_hash(), phone_hash("+918951047002"))
        line = ledger.line({"phone": ASHA, "spare": RAVI})
        line = msgspec.structs.replace(line, also=(phone_hash("+918951047002"),))
        await ledger.accept(line)
        await erase(ledger, phone_hash("+918951047002"))
        assert await left(ledger) == {}


async def test_another_persons_lead_stays(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    ravi = (await ledger.post(phone=RAVI, name="Ravi")).lead
    await erase(ledger)
    assert (await ledger.claim_one()).delivery.lead.id == ravi


async def test_a_destination_that_had_the_lead_is_told_its_id_and_nothing_else(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA, name="Asha")).lead
    await ledger.settle(await ledger.claim_one(), "delivered")
    erased = await erase(ledger)
    assert erased.leads == (ErasedLead(FORM.name, lead, ("crm",), ()),)
    claim = await ledger.claim_one()
    assert (claim.delivery.type, claim.delivery.webhook_id) == ("lead.erased", f"{lead}.2")
    assert not claim.delivery.lead.content.fields
    assert await ledger.settle(claim, "delivered") == "settled"
    assert await left(ledger) == {}
    assert await ledger.counts() == {"received": 1, "created": 1, "crm:owed": 2, "crm:delivered": 2}


async def test_one_that_cannot_be_told_is_named(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA)).lead
    await ledger.settle(await ledger.claim_one(), "delivered")
    erased = await erase(ledger, understands=())
    assert erased.leads == (ErasedLead(FORM.name, lead, (), ("crm",)),)
    assert await left(ledger) == {}


async def test_an_attempt_that_failed_may_have_arrived_so_its_destination_is_told(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.settle(await ledger.claim_one(), "retry", due=ledger.now + MINUTE)
    assert (await erase(ledger)).leads[0].told == ("crm",)
    assert (await ledger.claim_one()).delivery.type == "lead.erased"


@pytest.mark.parametrize("result", ["delivered", "retry", "dead"])
async def test_while_an_attempt_runs_the_erasure_waits_for_its_end(ledger: Ledger, result: Any) -> None:
    await ledger.post(phone=ASHA)
    running = await ledger.claim_one()
    await erase(ledger)
    assert await ledger.claim(5) == []
    await ledger.settle(running, result, due=ledger.now + MINUTE, reason="no", excerpt="it said Asha")
    claim = await ledger.claim_one()
    assert claim.delivery.type == "lead.erased"
    await ledger.settle(claim, "delivered")
    assert await left(ledger) == {}


@pytest.mark.parametrize("result", ["retry", "dead"])
async def test_what_a_crm_said_to_the_attempt_that_ran_is_not_kept(ledger: Ledger, result: Any) -> None:
    lead = (await ledger.post(phone=ASHA)).lead
    running = await ledger.claim_one()
    await erase(ledger)
    await ledger.settle(running, result, due=ledger.now + MINUTE, reason="no", excerpt="it said Asha")
    assert "Asha" not in str(await ledger.dump())
    claim = await ledger.claim_one()
    await ledger.settle(claim, "retry", due=ledger.now + MINUTE, reason="it answered 500")
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert [each.version for each in kept.deliveries[0].attempts] == [2]


async def test_an_erasure_that_dies_is_kept_and_can_be_sent_again(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA)).lead
    await ledger.settle(await ledger.claim_one(), "delivered")
    await erase(ledger)
    await ledger.settle(await ledger.claim_one(), "dead", reason="it answered 400")
    assert [each.lead for each in await Archive(ledger.server).dead(FORM.name, "crm")] == [lead]
    assert await ledger.replay(lead) == 2
    await ledger.settle(await ledger.claim_one(), "delivered")
    assert await left(ledger) == {}


async def test_what_is_dead_counts_as_erased(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.settle(await ledger.claim_one(), "dead", reason="no", excerpt="Asha is no good")
    await erase(ledger, understands=())
    assert await left(ledger) == {}
    assert (await ledger.counts())["crm:erased"] == 1


async def test_quarantined_ones_go_too(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, quarantine=("honeypot",))
    erased = await erase(ledger)
    assert (erased.leads, erased.quarantined) == ((), 1)
    assert await left(ledger) == {}
    assert await ledger.counts() == {"received": 1, "erased": 1}


async def test_what_was_on_its_way_is_not_kept_and_what_comes_later_is(ledger: Ledger) -> None:
    late = ledger.line({"phone": ASHA, "message": "From the spool"}, at=ledger.now - MINUTE)
    await erase(ledger)
    assert (await ledger.accept(late)).result == "erased"
    before = await ledger.dump()
    assert (await ledger.accept(late)).result == "erased"
    assert await ledger.dump() == before
    assert await left(ledger) == {}
    assert await ledger.counts() == {"received": 1, "erased": 1}
    assert (await ledger.post(phone=ASHA)).result == "created"


async def test_the_same_person_is_a_new_lead_afterwards_also_with_an_old_idempotency_key(ledger: Ledger) -> None:
    first = await ledger.post(phone=ASHA, key="k")
    await ledger.settle(await ledger.claim_one(), "delivered")
    await erase(ledger)
    again = await ledger.post(phone=ASHA, key="k")
    assert again.result == "created"
    assert again.lead != first.lead


async def test_a_person_can_be_found_before_and_not_after(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA)).lead
    held = ledger.line({"phone": ASHA}, quarantine=("honeypot",))
    await ledger.accept(held)
    assert await Eraser(ledger.server).find(FORM.name, [phone_hash()]) == [lead, f"?{held.id}"]
    await ledger.store.release(FORM, held.id)
    assert await Eraser(ledger.server).find(FORM.name, [phone_hash()]) == [lead]
    await erase(ledger)
    assert await Eraser(ledger.server).find(FORM.name, [phone_hash()]) == []


async def test_an_erased_lead_is_shown_as_what_it_is_until_everybody_knows(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA)).lead
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now += MINUTE
    await erase(ledger)
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert (kept.erased_at, kept.versions, kept.deliveries[0].states) == (
        START + MINUTE,
        (),
        {1: "delivered", 2: "waiting"},
    )
    assert await ledger.store.repair(FORM.name, [lead]) == []


# --- what is too old ------------------------------------------------------------------------------------------------


async def expire(ledger: Ledger) -> tuple[int, int]:
    ledger.forgets = True
    expired = await Eraser(ledger.server).expire(FORM.name, ledger.now - RETENTION)
    await ledger.check()
    return expired.leads, expired.quarantined


async def test_what_is_settled_goes_when_its_time_is_over_and_not_before(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, email=MAIL)
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now = START + RETENTION - 1
    assert await expire(ledger) == (0, 0)
    ledger.now = START + RETENTION
    assert await expire(ledger) == (1, 0)
    assert await left(ledger) == {}
    assert await ledger.counts() == {"received": 1, "created": 1, "crm:owed": 1, "crm:delivered": 1}


async def test_the_time_runs_from_the_last_submission(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now = START + MINUTE
    await ledger.post(phone=ASHA)
    ledger.now = START + RETENTION
    assert await expire(ledger) == (0, 0)
    ledger.now += MINUTE
    assert await expire(ledger) == (1, 0)


async def test_what_waits_is_never_too_old(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    ledger.now = START + 2 * RETENTION
    assert await expire(ledger) == (0, 0)
    claim = await ledger.claim_one()
    assert await expire(ledger) == (0, 0)
    await ledger.settle(claim, "dead", reason="no")
    ledger.now += RETENTION - 1
    assert await expire(ledger) == (0, 0)
    ledger.now += 1
    assert await expire(ledger) == (1, 0)
    assert (await ledger.counts())["crm:erased"] == 1
    assert await left(ledger) == {}


async def test_quarantine_is_emptied_of_what_is_old(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, quarantine=("honeypot",))
    ledger.now += MINUTE
    young = ledger.line({"phone": RAVI}, quarantine=("honeypot",))
    await ledger.accept(young)
    ledger.now = START + RETENTION
    assert await expire(ledger) == (0, 1)
    assert [each.id for each in await Archive(ledger.server).quarantined(FORM)] == [young.id]


async def test_many_that_stay_do_not_hide_those_that_go(ledger: Ledger) -> None:
    ledger.checks_each_call = False
    for number in range(130):
        await ledger.post(phone=f"89510{number:05d}")
    leads = await ledger.store.latest(FORM.name, 0, 200)
    for claim in await ledger.claim(130):
        if claim.delivery.lead.id in leads[:5]:
            await ledger.settle(claim, "delivered")
    ledger.now = START + RETENTION
    assert await expire(ledger) == (5, 0)


async def test_receipts_that_a_lead_no_longer_remembers_go_with_it(ledger: Ledger) -> None:
    ledger.checks_each_call = False
    for number in range(400):
        line = ledger.line({"phone": ASHA})
        await ledger.accept(msgspec.structs.replace(line, receipt=f"{number:024d}"))
    await ledger.settle(await ledger.claim_one(), "delivered")
    ledger.now += RETENTION
    await expire(ledger)
    removed = await Eraser(ledger.server).sweep(FORM.name)
    assert removed > 0
    assert await left(ledger) == {}


async def test_receipts_of_somebody_erased_go_though_a_destination_has_yet_to_be_told(ledger: Ledger) -> None:
    ledger.checks_each_call = False
    for number in range(400):
        line = ledger.line({"phone": ASHA})
        await ledger.accept(msgspec.structs.replace(line, receipt=f"{number:024d}"))
    await ledger.settle(await ledger.claim_one(), "delivered")
    await erase(ledger)
    await Eraser(ledger.server).sweep(FORM.name)
    await ledger.settle(await ledger.claim_one(), "delivered")
    assert await left(ledger) == {}


async def test_a_receipt_of_something_kept_survives_the_sweep(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.post(phone=RAVI, quarantine=("honeypot",))
    before = await ledger.dump()
    assert await Eraser(ledger.server).sweep(FORM.name) == 0
    assert await ledger.dump() == before


async def test_the_append_only_file_is_written_anew_without_the_person(own_redis: Any) -> None:
    async with open_ledger(own_redis.url) as ledger:
        await ledger.post(phone=ASHA, name="Marked Name", message="Marked message")
        files = [path for path in own_redis.folder.rglob("*") if path.is_file()]
        assert any(b"Marked" in path.read_bytes() for path in files)
        await erase(ledger)
        assert await Eraser(ledger.server).rewrite()
        held = [path.name for path in own_redis.folder.rglob("*") if path.is_file() and b"Marked" in path.read_bytes()]
        assert held == []


def test_a_line_says_by_what_else_it_can_be_found() -> None:
    assert json.loads(msgspec.json.encode(Line("i", "f", 1, "r", "l", {}, {}, also=("h",))))["also"] == ["h"]


async def test_of_very_many_addresses_each_finds_the_lead_and_none_is_left_behind(ledger: Ledger) -> None:
    ledger.checks_each_call = False
    addresses = [f"asha{number}@example.com" for number in range(20)]
    for each in addresses:
        await ledger.post(phone=ASHA, email=each)
    for each in (addresses[0], addresses[-1]):
        found = await Eraser(ledger.server).find(FORM.name, [person_hash(SECRET, FORM.name, "email", each)])
        assert len(found) == 1
    await erase(ledger, person_hash(SECRET, FORM.name, "email", addresses[0]))
    assert await left(ledger) == {}
