"""accept, where something looks like spam: what quarantines, what is only written down, and what is kept of it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from ledger import DAY, FORM, HOUR, MINUTE, SECRET, Ledger, content_of, open_ledger

from service.intake.intake import Intake, Taken
from service.model.form import Spam
from service.store.archive import Archive, Quarantined
from service.store.records import Accepted, Line
from service.submission.person import text_hash

pytestmark = pytest.mark.anyio

ASHA = "89510 47001"
TEXT = "We offer the best backlinks for your clinic, ask us about a price today"
LINKS = {"links": 9, "markup": 5}


@pytest.fixture
async def strict(redis_url: str) -> AsyncIterator[Ledger]:
    """Return a ledger of a form with a limit of 10."""
    async with open_ledger(redis_url, replace(FORM, spam=Spam(limit=10))) as opened:
        yield opened


async def twice(ledger: Ledger, line: Line) -> Accepted:
    """Accept a line, and once more, which must change nothing and say the same."""
    first = await ledger.accept(line)
    kept = await ledger.dump()
    assert await ledger.accept(line) == first
    assert await ledger.dump() == kept
    return first


async def post(ledger: Ledger, said: Mapping[str, str] | None = None, **more: Any) -> Accepted:
    return await twice(ledger, ledger.line(said or {"phone": ASHA}, **more))


async def held(ledger: Ledger) -> list[Quarantined]:
    return await Archive(ledger.server).quarantined(ledger.form)


async def crowd(ledger: Ledger, number: int, *, start: int = 1, **more: Any) -> list[Accepted]:
    """Let so many persons send the same text."""
    numbers = range(start, start + number)
    return [await post(ledger, {"phone": f"89510 470{n:02d}", "message": TEXT}, **more) for n in numbers]


async def version_signals(ledger: Ledger, lead: str, version: int = 1) -> Mapping[str, int]:
    kept = await Archive(ledger.server).lead(ledger.form, lead)
    assert kept is not None
    return kept.versions[version - 1].signals


async def test_without_a_limit_signals_are_only_written_down(ledger: Ledger) -> None:
    accepted = await post(ledger, signals=LINKS)
    assert accepted.result == "created"
    assert await version_signals(ledger, accepted.lead) == LINKS
    assert (await ledger.claim_one()).delivery.lead.signals == LINKS


async def test_a_lead_without_any_has_none(strict: Ledger) -> None:
    accepted = await post(strict)
    assert await version_signals(strict, accepted.lead) == {}
    assert (await strict.claim_one()).delivery.lead.signals == {}
    kept = await strict.server.client.hget(f"{strict.base}lead:{accepted.lead}", "v:1")
    assert "signals" not in str(kept)


@pytest.mark.parametrize(
    ("signals", "result"),
    [({}, "created"), ({"trap": 10}, "created"), ({"trap": 11}, "quarantined"), (LINKS, "quarantined")],
)
async def test_more_than_the_limit_is_quarantined(strict: Ledger, signals: dict[str, int], result: str) -> None:
    assert (await post(strict, signals=signals)).result == result


async def test_with_a_limit_of_0_any_signal_quarantines_but_a_stale_token_alone(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FORM, spam=Spam(limit=0))) as ledger:
        assert (await post(ledger, signals={"stale_token": 50})).result == "created"
        assert (await post(ledger, signals={"links": 1})).result == "quarantined"
        assert (await post(ledger, signals={})).result == "repeated"


async def test_the_quarantine_tells_signals_score_and_limit_where_they_decided(strict: Ledger) -> None:
    await post(strict, signals=LINKS)
    [found] = await held(strict)
    assert found.reasons == ("links", "markup")
    assert (found.signals, found.score, found.limit) == (LINKS, 14, 10)
    assert found.content.fields["phone"].value == "+918951047001"


async def test_what_condemns_by_itself_is_told_alone(strict: Ledger) -> None:
    await post(strict, signals={"honeypot": 5, "links": 3}, quarantine=("honeypot",))
    [found] = await held(strict)
    assert (found.reasons, found.score, found.limit) == (("honeypot",), None, None)
    assert found.signals == {"honeypot": 5, "links": 3}


async def test_what_condemns_by_itself_and_by_its_sum_is_told_once(strict: Ledger) -> None:
    await post(strict, signals={"honeypot": 20, "links": 3}, quarantine=("honeypot",))
    [found] = await held(strict)
    assert (found.reasons, found.score, found.limit) == (("honeypot", "links"), 23, 10)


async def test_what_is_held_is_the_line_as_it_came(strict: Ledger) -> None:
    said = {"phone": ASHA, "message": '"/\\\u2028\u007f 🦵 घुटना </script> 9007199254740993', "[]": "{}", "0": "1e400"}
    line = strict.line(said, key="k", signals=LINKS, page="https://www.example.com/?a=%00")
    await twice(strict, line)
    [kept] = await strict.server.client.hvals(f"{strict.base}held")
    assert msgspec.json.decode(kept, type=Line) == msgspec.structs.replace(line, score=14)


async def test_a_released_one_keeps_its_signals_and_is_not_held_again(strict: Ledger) -> None:
    line = strict.line({"phone": ASHA}, signals=LINKS)
    await twice(strict, line)
    released = await strict.store.release(strict.form, line.id)
    assert released is not None
    assert released.result == "created"
    assert await version_signals(strict, released.lead) == LINKS
    kept = await strict.dump()
    assert await strict.store.release(strict.form, line.id) is None
    assert await strict.dump() == kept


async def test_a_released_one_keeps_what_only_the_crowd_showed(strict: Ledger) -> None:
    await crowd(strict, 4)
    line = strict.line({"phone": "89510 47005", "message": TEXT}, signals={"markup": 6})
    assert (await twice(strict, line)).result == "quarantined"
    [found] = await held(strict)
    assert (found.reasons, found.score) == (("markup", "same_text"), 11)
    released = await strict.store.release(strict.form, line.id)
    assert released is not None
    assert await version_signals(strict, released.lead) == {"markup": 6, "same_text": 5}


async def test_signals_are_no_news(ledger: Ledger) -> None:
    await post(ledger)
    ledger.now += MINUTE
    assert (await post(ledger, signals=LINKS)).result == "repeated"
    assert (await ledger.claim_one()).delivery.lead.signals == {}


async def test_an_update_carries_the_signals_of_the_submission_that_made_it(ledger: Ledger) -> None:
    first = await post(ledger, signals=LINKS)
    ledger.now += MINUTE
    second = await post(ledger, {"phone": ASHA, "name": "Asha"}, signals={"disposable": 3})
    third = await post(ledger, {"phone": ASHA, "name": "Asha Rao"})
    assert [each.result for each in (first, second, third)] == ["created", "updated", "updated"]
    told = [await version_signals(ledger, first.lead, number) for number in (1, 2, 3)]
    assert told == [LINKS, {"disposable": 3}, {}]
    claim = await ledger.claim_one()
    assert (claim.delivery.lead.signals, claim.delivery.changed) == ({}, ())


async def test_a_retry_of_what_was_accepted_is_a_repeat_whatever_it_weighs_by_now(strict: Ledger) -> None:
    first = await post(strict, key="k")
    again = await post(strict, key="k", signals=LINKS)
    assert (again.result, again.lead) == ("repeated", first.lead)


# --- the same text from many


async def test_the_fifth_person_with_the_same_text_is_the_first_to_have_the_signal(ledger: Ledger) -> None:
    leads = await crowd(ledger, 6)
    told = [await version_signals(ledger, each.lead) for each in leads]
    assert told == [{}, {}, {}, {}, {"same_text": 5}, {"same_text": 5}]


async def test_one_person_may_say_it_as_often_as_they_like(ledger: Ledger) -> None:
    for _ in range(6):
        await post(ledger, {"phone": ASHA, "message": TEXT})
        ledger.now += 2 * HOUR
    kept = await Archive(ledger.server).lead(FORM, (await post(ledger, {"phone": ASHA, "message": TEXT})).lead)
    assert kept is not None
    assert [each.signals for each in kept.versions] == [{}] * len(kept.versions)


async def test_a_day_later_it_is_a_new_text(ledger: Ledger) -> None:
    await crowd(ledger, 4)
    ledger.now += DAY + 1
    [accepted] = await crowd(ledger, 1, start=5)
    assert await version_signals(ledger, accepted.lead) == {}


async def test_case_and_blanks_make_no_other_text(ledger: Ledger) -> None:
    await crowd(ledger, 4)
    accepted = await post(ledger, {"phone": "89510 47005", "message": TEXT.upper().replace(" ", "\n ")})
    assert await version_signals(ledger, accepted.lead) == {"same_text": 5}


async def test_what_is_quarantined_counts_too(ledger: Ledger) -> None:
    await crowd(ledger, 4, quarantine=("honeypot",))
    [accepted] = await crowd(ledger, 1, start=5)
    assert await version_signals(ledger, accepted.lead) == {"same_text": 5}


async def test_of_a_text_few_hashes_are_kept_for_a_day(ledger: Ledger) -> None:
    await crowd(ledger, 9)
    dump = await ledger.dump()
    [(key, (end, senders))] = [(key, kept) for key, kept in dump.items() if ":text:" in key]
    assert key.startswith(f"{ledger.base}text:")
    assert len(senders) == 5
    assert end == ledger.now + DAY
    persons = {hashed for kept in dump if ":person:" in kept for hashed in [kept.rpartition(":")[2]]}
    assert not persons & {who for who, _ in senders}
    assert "backlinks" not in key + str(senders)


async def test_a_late_line_is_counted_in_its_own_time(ledger: Ledger) -> None:
    """Taken from the spool after days: neither is it late spam, nor does it make others spam."""
    await crowd(ledger, 4)
    [late] = await crowd(ledger, 1, start=5, at=ledger.now - 3 * DAY)
    assert await version_signals(ledger, late.lead) == {}
    [fifth] = await crowd(ledger, 1, start=6)
    assert await version_signals(ledger, fifth.lead) == {"same_text": 5}


# --- through the intake


async def test_the_intake_passes_on_what_the_form_says(strict: Ledger) -> None:
    intake = Intake(strict.store, SECRET)
    said = content_of(strict.form, {"phone": ASHA, "message": TEXT})
    taken = await intake.submit(strict.form, said, signals={"trap": 11})
    assert isinstance(taken, Taken)
    assert taken.result == "quarantined"
    [kept] = await strict.server.client.hvals(f"{strict.base}held")
    line = msgspec.json.decode(kept, type=Line)
    assert (line.signals, line.spam_limit, line.score) == ({"trap": 11}, 10, 11)
    assert line.same_text == (text_hash(SECRET, strict.form, said), 5)


async def test_a_signal_that_is_switched_off_keeps_no_text(ledger: Ledger) -> None:
    form = replace(FORM, spam=Spam(weights={**FORM.spam.weights, "same_text": 0}))
    await Intake(ledger.store, SECRET).submit(form, content_of(FORM, {"phone": ASHA, "message": TEXT}))
    assert not [key for key in await ledger.dump() if ":text:" in key]
