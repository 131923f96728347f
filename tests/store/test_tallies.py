"""What is counted by day beside the account: bounded whatever strangers send, once however often it is reported."""

from collections.abc import AsyncIterator

import pytest
from ledger import DAY, FORM, START, Ledger, open_ledger

from service.store.tallies import Name, end_of_octave, note_arrivals, octave_of

pytestmark = pytest.mark.anyio
MOST = 200


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(redis_url) as opened:
        opened.checks_each_call = False
        yield opened


async def counted(ledger: Ledger, kind: str, day: int = START // DAY) -> dict[str, str]:
    kept = await ledger.server.client.hgetall(f"{ledger.base}day:{day}:{kind}")
    return {str(name): str(value) for name, value in kept.items()}


async def post(ledger: Ledger, number: int, campaign: str) -> None:
    await ledger.accept(ledger.line({"phone": f"89510{number:05d}"}, campaign=campaign))


async def test_so_many_campaigns_of_a_day_are_counted_each_and_all_others_together(ledger: Ledger) -> None:
    for number in range(MOST + 5):
        await post(ledger, number, f"campaign {number}")
    await post(ledger, 990, "CAMPAIGN 0")
    await post(ledger, 991, "campaign 204")
    await post(ledger, 992, "")
    kept = await counted(ledger, "campaigns")
    assert (kept["#"], kept["+"], kept["-"]) == (str(MOST), "6", "1")
    assert len(kept) == 2 * MOST + 3
    labels = {value.split(" ", 1)[1]: kept[name[1:]] for name, value in kept.items() if name.startswith("=")}
    assert labels["=campaign 0"] == "2"
    assert "=campaign 200" not in labels


async def test_a_campaign_that_may_be_one_persons_has_no_name(ledger: Ledger) -> None:
    await post(ledger, 1, "to asha@example.com")
    await post(ledger, 2, "to ravi@example.com")
    kept = await counted(ledger, "campaigns")
    assert sorted(kept.values()) == ["1", "2", f"{START} ="]


async def test_names_are_counted_once_and_those_of_the_form_whatever_strangers_send(ledger: Ledger) -> None:
    names = [Name(f"{number:024d}", f"name {number}", 2) for number in range(MOST + 3)]
    for _ in range(2):
        await note_arrivals(
            ledger.server, FORM.name, "report", 3, at=START, day=START // DAY,
            fields={"phone": 3, "email": 0}, names=names,
        )  # fmt: skip
    kept = await counted(ledger, "names")
    assert (kept["*"], kept[".phone"], kept["#"], kept["+"]) == ("3", "3", str(MOST), "6")
    assert ".email" not in kept
    fields = await ledger.server.client.hgetall(f"{ledger.base}fields")
    assert fields == {"at phone": str(START), "since phone": "0"}
    await note_arrivals(
        ledger.server, FORM.name, "later", 2, at=START + 5, day=START // DAY, fields={"phone": 0, "email": 1}, names=[]
    )
    fields = await ledger.server.client.hgetall(f"{ledger.base}fields")
    assert fields == {"at phone": str(START), "since phone": "2", "at email": str(START + 5), "since email": "0"}


async def test_why_submissions_were_refused_is_counted_with_them(ledger: Ledger) -> None:
    for report in ("one", "one", "other"):
        await ledger.store.refuse(FORM.name, report, 2, at=START, codes={"phone PHONE_TOO_SHORT": 2, " EMPTY": 1})
    assert await counted(ledger, "codes") == {"phone PHONE_TOO_SHORT": "4", " EMPTY": "2"}
    assert (await ledger.store.account(FORM.name, ("crm",), {})).rejected == 4


async def test_a_delivery_is_timed_when_it_first_arrives(ledger: Ledger) -> None:
    posted = await ledger.post(phone="8951047001")
    ledger.now += 90_000
    await ledger.settle(await ledger.claim_one(), "delivered")
    assert await counted(ledger, "took") == {str(octave_of(90_000)): "1"}
    ledger.now += DAY
    await ledger.replay(posted.lead, "any")
    await ledger.settle(await ledger.claim_one(), "delivered")
    assert await counted(ledger, "took") == {str(octave_of(90_000)): "1"}


@pytest.mark.parametrize("ms", [0, 1, 2, 340, 1_000, 90_000, DAY, 400 * DAY])
async def test_a_time_is_known_to_within_a_fifth(ms: int) -> None:
    assert ms <= end_of_octave(octave_of(ms)) < max(1, ms) * 1.2
