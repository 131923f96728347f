"""What looked like spam: kept apart, counted, released through the same script as any other, or deleted."""

import pytest
from ledger import Ledger

from service.store.archive import Archive

pytestmark = pytest.mark.anyio
ASHA = "089510 47001"


async def held(ledger: Ledger, **said: str) -> str:
    line = ledger.line({"phone": ASHA, **said}, quarantine=("honeypot",))
    assert (await ledger.accept(line)).result == "quarantined"
    return line.id


async def test_a_released_one_becomes_a_lead_and_moves_in_the_account(ledger: Ledger) -> None:
    submission = await held(ledger)
    released = await ledger.store.release(ledger.form, submission)
    assert released is not None
    assert (released.result, released.version) == ("created", 1)
    counts = await ledger.counts()
    assert (counts.get("received", 0), counts.get("quarantined", 0), counts.get("created", 0)) == (1, 0, 1)
    assert (await ledger.claim_one()).delivery.lead.id == released.lead
    assert await Archive(ledger.server).find([ledger.form.name], released.receipt) == (ledger.form.name, released.lead)


async def test_releasing_again_changes_nothing(ledger: Ledger) -> None:
    submission = await held(ledger)
    await ledger.store.release(ledger.form, submission)
    kept = await ledger.dump()
    assert await ledger.store.release(ledger.form, submission) is None
    assert await ledger.dump() == kept


async def test_a_released_one_of_a_known_person_is_a_repeat_or_an_update(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    same, more = await held(ledger), await held(ledger, message="Please call me on Monday")
    results = [await ledger.store.release(ledger.form, each) for each in (same, more)]
    assert [each and each.result for each in results] == ["repeated", "updated"]
    counts = await ledger.counts()
    assert (
        counts.get("received", 0),
        counts.get("quarantined", 0),
        counts.get("repeated", 0),
        counts.get("updated", 0),
    ) == (3, 0, 1, 1)


async def test_a_quarantined_one_that_is_drained_again_after_its_release_stays_released(ledger: Ledger) -> None:
    line = ledger.line({"phone": ASHA}, quarantine=("honeypot",))
    await ledger.accept(line)
    await ledger.store.release(ledger.form, line.id)
    kept = await ledger.dump()
    await ledger.accept(line)
    assert await ledger.dump() == kept


async def test_a_dropped_one_is_gone_and_counts_as_erased(ledger: Ledger) -> None:
    submission = await held(ledger, name="Nobody")
    assert await ledger.store.drop(ledger.form.name, submission)
    assert not await ledger.store.drop(ledger.form.name, submission)
    assert await Archive(ledger.server).quarantined(ledger.form) == []
    counts = await ledger.counts()
    assert (counts.get("received", 0), counts.get("quarantined", 0), counts.get("erased", 0)) == (1, 0, 1)
    assert "Nobody" not in str(await ledger.dump())


async def test_an_unknown_one_is_neither_released_nor_dropped(ledger: Ledger) -> None:
    assert await ledger.store.release(ledger.form, "nothing") is None
    assert not await ledger.store.drop(ledger.form.name, "nothing")
    assert await ledger.dump() == {}
