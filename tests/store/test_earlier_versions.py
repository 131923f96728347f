"""What an earlier version wrote is read, delivered and added to by this one, as if it had been its own.

`written_by_0_1_0` is the append-only file of a server on which commit eb8818d lived through a small history, and what
that version itself then said about it.
"""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from ledger import FORM, HOUR, Ledger, open_ledger
from moving import back_up, bring_back

from service.delivery.upkeep import walk
from service.store.archive import Archive
from service.store.breaker import Gate, Pace
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

WRITTEN: Final = Path(__file__).parent / "written_by_0_1_0"
SAID: Final[dict[str, Any]] = json.loads((WRITTEN / "expected.json").read_text("utf-8"))


@pytest.fixture
async def earlier(tmp_path: Path) -> AsyncIterator[Ledger]:
    """The server of then, at the moment at which that version ended."""
    shutil.copytree(WRITTEN / "appendonlydir", tmp_path / "redis" / "appendonlydir")
    server = Embedded(tmp_path / "redis")
    server.start()
    try:
        async with open_ledger(server.url) as ledger:
            ledger.now, ledger.forgets, ledger.checks_each_call = SAID["now"], True, False
            yield ledger
    finally:
        server.stop()


def spelled(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def is_as_said(now: Any, then: Any) -> bool:
    """Tell whether all that was said then is said now; what came later may stand beside it."""
    if isinstance(then, dict):
        return all(name in now and is_as_said(now[name], value) for name, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(is_as_said(*pair) for pair in zip(now, then, strict=True))
    return bool(now == then)


async def test_the_accounts_and_every_lead_are_what_they_were(earlier: Ledger) -> None:
    assert await earlier.server.inspect() == ()
    account = await earlier.store.account(FORM.name, ("crm",), {})
    assert account.is_whole
    assert is_as_said(spelled(account), SAID["account"])
    archive = Archive(earlier.server)
    assert set(await earlier.store.latest(FORM.name, 0, 100)) == set(SAID["leads"])
    for lead, then in SAID["leads"].items():
        assert is_as_said(spelled(await archive.lead(FORM, lead)), then), lead
    assert is_as_said(spelled(await archive.quarantined(FORM)), SAID["quarantined"])
    assert is_as_said(spelled(await archive.dead(FORM.name, "crm")), SAID["dead"])
    pause = await Gate(earlier.server, "crm", Pace(8, 0, 1_000)).pause()
    assert pause is not None
    assert pause.reason == "it answered 401"
    await earlier.check()
    assert [each async for each in walk(earlier.store, [FORM.name], pause_s=0)] == []


async def test_delivery_goes_on_until_nothing_waits(earlier: Ledger) -> None:
    waiting, delivered = (SAID["account"]["destinations"]["crm"][name] for name in ("waiting", "delivered"))
    earlier.now += 2 * HOUR
    sent = {}
    while claims := await earlier.claim(3):
        for claim in claims:
            assert not claim.unreadable
            sent[claim.delivery.lead.id] = claim.delivery
            assert await earlier.settle(claim, "delivered") == "settled"
    assert sent["lead_5"].type == "lead.erased"
    assert sent["lead_1"].type == "lead.updated"
    assert sent["lead_1"].changed == ("message",)
    account = (await earlier.store.account(FORM.name, ("crm",), {})).destinations["crm"]
    assert (account.waiting, account.dead) == (0, 1)
    assert account.delivered + account.superseded == delivered + waiting
    dead = SAID["dead"][0]["lead"]
    assert await earlier.replay(dead) > 0
    assert (await earlier.claim_one()).delivery.lead.id == dead
    await earlier.check()


async def test_people_requests_and_what_was_quarantined_are_known(earlier: Ledger) -> None:
    spoken = earlier.line({"phone": "8951047002", "name": "Person 2", "email": "person2@example.com"}, key="key-2")
    again = await earlier.accept(msgspec.structs.replace(spoken, id="new-1", lead="new-1"))
    assert (again.result, again.lead[:5]) == ("repeated", "lead_")
    more = earlier.line({"phone": "089510 47006", "message": "One more thing."})
    updated = await earlier.accept(msgspec.structs.replace(more, id="new-2", lead="new-2"))
    assert (updated.result, updated.version) == ("updated", 2)
    known = earlier.line({"phone": "8951047008"})
    first = await earlier.accept(msgspec.structs.replace(known, id="submission-9", lead="new-3"))
    assert first.result == "created"
    assert first.lead in SAID["leads"], "a line of then that comes once more changes nothing"
    held = SAID["quarantined"][0]
    released = await earlier.store.release(FORM, held["id"])
    assert released is not None
    assert released.result == "created"
    found = await Archive(earlier.server).find([FORM.name], SAID["leads"]["lead_1"]["submissions"][0]["receipt"])
    assert found == (FORM.name, "lead_1")
    await earlier.check()


async def test_it_goes_through_a_backup(earlier: Ledger, own_redis_beside: Embedded) -> None:
    before = await earlier.dump()
    async with open_ledger(own_redis_beside.url) as other:
        await bring_back(await back_up(earlier.server), other.server)
        after = await other.dump()
        for kept in (before, after):
            for name in ("leads:restored", "leads:schema", "leads:{destination:crm}:slots"):
                kept.pop(name, None)
        assert after == before


@pytest.fixture
def own_redis_beside(tmp_path: Path) -> Any:
    server = Embedded(tmp_path / "beside")
    server.start()
    yield server
    server.stop()
