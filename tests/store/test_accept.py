"""accept: what is a new lead, an update, a repeat, and what is remembered of it."""

import asyncio
import itertools
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger import DAY, FORM, HOUR, MINUTE, SECOND, SECRET, START, Ledger, content_of, open_ledger

from service.model.lead import Consent, Content
from service.store.archive import Archive
from service.store.server.connection import connect
from service.submission.facts import facts

pytestmark = pytest.mark.anyio

ASHA = "89510 47001"
RAVI = "89510 47002"
MAIL = "asha@example.com"
QUIET = FORM.quiet
WINDOW = FORM.window


async def known(ledger: Ledger) -> dict[str, str]:
    """Return what the latest version of the first lead says, by field."""
    claims = await ledger.claim(1)
    content = claims[0].delivery.lead.content
    return {name: str(answer.value) for name, answer in content.fields.items()} | dict(content.extra)


async def test_the_first_submission_is_a_lead_of_version_1(ledger: Ledger) -> None:
    accepted = await ledger.post(phone=ASHA, name="Asha")
    assert (accepted.result, accepted.version) == ("created", 1)
    assert await ledger.counts() == {"received": 1, "created": 1, "crm:owed": 1, "crm:waiting": 1}


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ({"phone": ASHA}, {"phone": ASHA}, "repeated"),
        ({"phone": ASHA}, {"phone": "+91-8951047001"}, "repeated"),
        ({"phone": ASHA}, {"phone": RAVI}, "created"),
        ({"phone": ASHA, "email": MAIL}, {"phone": ASHA}, "repeated"),
        ({"phone": ASHA}, {"phone": ASHA, "email": MAIL}, "updated"),
        ({"phone": ASHA, "email": "a.sha@gmail.com"}, {"phone": ASHA, "email": "asha+x@googlemail.com"}, "repeated"),
        ({"phone": ASHA, "email": MAIL}, {"phone": ASHA, "email": "ravi@example.com"}, "updated"),
        ({"phone": ASHA, "name": "Asha Rao"}, {"phone": ASHA, "name": "  Asha\u00a0  Rao "}, "repeated"),
        ({"phone": ASHA, "name": "Jos\u00e9"}, {"phone": ASHA, "name": "Jose\u0301"}, "repeated"),
        ({"phone": ASHA, "name": "Asha"}, {"phone": ASHA, "name": "asha"}, "updated"),
        ({"phone": ASHA, "message": "a\nb"}, {"phone": ASHA, "message": "a  b"}, "repeated"),
        ({"phone": ASHA, "message": "call"}, {"phone": ASHA, "message": "come"}, "updated"),
        ({"phone": ASHA, "message": "call"}, {"phone": ASHA, "message": "   "}, "repeated"),
        ({"phone": ASHA}, {"phone": ASHA, "colour": "red"}, "updated"),
        ({"phone": ASHA, "colour": "red"}, {"phone": ASHA, "colour": "blue"}, "updated"),
        ({"phone": ASHA, "colour": "red"}, {"phone": ASHA, "colour": " red"}, "repeated"),
        ({"phone": ASHA, "colour": "red"}, {"phone": ASHA}, "repeated"),
        ({"email": MAIL}, {"email": MAIL}, "repeated"),
        ({"email": MAIL}, {"email": "ASHA@EXAMPLE.COM"}, "repeated"),
        ({"email": MAIL}, {"email": MAIL, "phone": ASHA}, "updated"),
        ({"email": MAIL, "phone": ASHA}, {"email": MAIL}, "repeated"),
        ({"email": MAIL, "phone": ASHA}, {"email": MAIL, "name": "Asha"}, "updated"),
        ({"email": MAIL, "phone": ASHA}, {"email": MAIL, "phone": RAVI}, "created"),
        ({"name": "Asha", "message": "hi"}, {"message": "hi ", "name": "Asha"}, "repeated"),
        ({"name": "Asha", "message": "hi"}, {"name": "Asha", "message": "ho"}, "created"),
        ({"name": "Asha", "message": "hi"}, {"name": "Asha", "message": "hi", "phone": ASHA}, "created"),
    ],
)
async def test_a_second_submission_within_the_quiet_time(
    ledger: Ledger, first: dict[str, str], second: dict[str, str], result: str
) -> None:
    one = await ledger.post(first)
    ledger.now += MINUTE
    two = await ledger.post(second)
    assert two.result == result
    assert (two.lead == one.lead) == (result != "created")
    assert two.version == (2 if result == "updated" else 1)


@pytest.mark.parametrize(
    ("pauses", "results"),
    [
        ([QUIET - 1], ["repeated"]),
        ([QUIET], ["updated"]),
        ([QUIET - 1, QUIET - 1, QUIET - 1], ["repeated"] * 3),
        ([QUIET - 1, QUIET], ["repeated", "updated"]),
        ([WINDOW - 1], ["updated"]),
        ([WINDOW], ["created"]),
        ([WINDOW - 1, WINDOW - 1, WINDOW], ["updated", "updated", "created"]),
        ([QUIET - 1, WINDOW - 1], ["repeated", "updated"]),
    ],
)
async def test_quiet_and_window_run_from_the_last_submission_repeats_included(
    ledger: Ledger, pauses: list[int], results: list[str]
) -> None:
    await ledger.post(phone=ASHA)
    came_to = []
    for pause in pauses:
        ledger.now += pause
        came_to.append((await ledger.post(phone=ASHA)).result)
    assert came_to == results


async def test_where_a_submission_came_from_is_never_news_but_the_next_version_has_it(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, page="/start")
    assert (await ledger.post(phone=ASHA, page="/prices")).result == "repeated"
    await ledger.post(phone=ASHA, message="hi", page="/contact")
    delivery = (await ledger.claim_one()).delivery
    assert delivery.lead.content.source.page == "/contact"
    assert delivery.changed == ()


async def test_what_was_left_out_stays_known(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, name="Asha", message="hi", colour="red")
    await ledger.post(phone=ASHA, message="ho")
    assert await known(ledger) == {"phone": "+918951047001", "name": "Asha", "message": "ho", "colour": "red"}


async def test_a_key_that_points_to_a_living_lead_is_left_alone(ledger: Ledger) -> None:
    asha = await ledger.post(phone=ASHA, email=MAIL)
    ravi = await ledger.post(phone=RAVI, email=MAIL)
    assert ravi.lead != asha.lead
    by_mail = await ledger.post(email=MAIL, message="hi")
    assert by_mail.lead == asha.lead


async def test_a_key_that_points_to_a_lead_out_of_its_window_is_taken_over(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, email=MAIL)
    ledger.now += WINDOW
    ravi = await ledger.post(phone=RAVI, email=MAIL)
    assert (await ledger.post(email=MAIL, message="hi")).lead == ravi.lead


async def test_the_phone_is_asked_before_the_email(ledger: Ledger) -> None:
    by_mail = await ledger.post(email=MAIL)
    by_phone = await ledger.post(phone=ASHA)
    both = await ledger.post(phone=ASHA, email=MAIL)
    assert both.lead == by_phone.lead != by_mail.lead
    assert (await ledger.post(email=MAIL, name="Asha")).lead == by_mail.lead


async def test_a_phone_that_a_lead_gets_later_finds_it_from_then_on(ledger: Ledger) -> None:
    one = await ledger.post(email=MAIL)
    await ledger.post(email=MAIL, phone=ASHA)
    assert (await ledger.post(phone=ASHA, message="hi")).lead == one.lead
    assert (await ledger.post(email=MAIL, phone=RAVI)).lead != one.lead


async def test_two_forms_never_share_a_person(redis_url: str) -> None:
    async with (
        open_ledger(redis_url) as one,
        open_ledger(redis_url, replace(FORM, name="other")) as other,
    ):
        await one.post(phone=ASHA)
        assert (await other.post(phone=ASHA)).result == "created"
        assert (await one.counts())["created"] == (await other.counts())["created"] == 1


async def test_asking_again_counts_as_an_enquiry_and_an_echo_does_not(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.post(phone=ASHA)
    ledger.now += QUIET
    await ledger.post(phone=ASHA)
    await ledger.post(phone=ASHA, message="hi")
    assert (await ledger.claim_one()).delivery.lead.enquiries == 3


async def test_under_drop_new_information_is_kept_and_counts_as_repeated(ledger: Ledger) -> None:
    first = await ledger.post(phone=ASHA, message="hi")
    ledger.form = replace(FORM, repeat="drop")
    assert (await ledger.post(phone=ASHA, message="ho", name="Asha")).result == "repeated"
    ledger.now += QUIET
    assert (await ledger.post(phone=ASHA)).result == "repeated"
    assert (await ledger.counts()) == {"received": 3, "created": 1, "repeated": 2, "crm:owed": 1, "crm:waiting": 1}
    ledger.form = FORM
    assert (await ledger.post(phone=ASHA, message="ho", name="Asha")).result == "repeated"
    updated = await ledger.post(phone=ASHA, email=MAIL)
    assert (updated.result, updated.version, updated.lead) == ("updated", 2, first.lead)
    assert await known(ledger) == {"phone": "+918951047001", "message": "ho", "name": "Asha", "email": MAIL}


async def test_what_was_kept_under_drop_is_not_older_than_what_was_said_since(ledger: Ledger) -> None:
    ledger.form = replace(FORM, repeat="drop")
    await ledger.post(phone=ASHA, message="first")
    await ledger.post(phone=ASHA, message="second")
    ledger.form = FORM
    await ledger.post(phone=ASHA, message="third")
    await ledger.post(phone=ASHA, name="Asha")
    assert (await known(ledger))["message"] == "third"


@pytest.mark.parametrize(
    ("late", "result", "message"),
    [
        ({"message": "old"}, "repeated", "new"),
        ({"message": "new"}, "repeated", "new"),
        ({}, "repeated", "new"),
        ({"name": "Asha"}, "updated", "new"),
        ({"message": "old", "name": "Asha"}, "updated", "new"),
    ],
)
async def test_a_late_line_adds_what_was_unknown_and_overwrites_nothing(
    ledger: Ledger, late: dict[str, str], result: str, message: str
) -> None:
    await ledger.post(phone=ASHA, message="new")
    ledger.now += 3 * HOUR
    assert (await ledger.post(late, at=START - 2 * HOUR, phone=ASHA)).result == result
    assert (await known(ledger))["message"] == message
    ledger.now = START + QUIET - 1
    echo = await ledger.post(phone=ASHA)
    assert echo.result == "repeated", "quiet runs from the last submission, not from a late one"


async def test_a_late_line_may_change_what_was_said_before_it(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, message="first")
    ledger.now += 2 * MINUTE
    await ledger.post(phone=ASHA, name="Asha")
    assert (await ledger.post(at=START + MINUTE, phone=ASHA, message="second")).result == "updated"
    assert (await known(ledger))["message"] == "second"


@pytest.mark.parametrize("again", [{"message": "first"}, {"message": "first", "name": "Asha"}])
async def test_a_late_line_does_not_overwrite_what_was_said_again_since(ledger: Ledger, again: dict[str, str]) -> None:
    await ledger.post(phone=ASHA, message="first")
    ledger.now += 2 * MINUTE
    await ledger.post(again, phone=ASHA)
    assert (await ledger.post(at=START + MINUTE, phone=ASHA, message="second")).result == "repeated"
    assert (await known(ledger))["message"] == "first"


async def test_a_late_line_keeps_its_own_time(ledger: Ledger) -> None:
    await ledger.post(at=START - 3 * HOUR, phone=ASHA)
    lead = (await ledger.claim_one()).delivery.lead
    assert {lead.received_at, lead.first_seen_at, lead.accepted_at} == {START - 3 * HOUR}


async def test_a_line_decided_again_by_a_server_that_lost_it_makes_the_same_delivery(ledger: Ledger) -> None:
    line = ledger.line({"phone": ASHA, "name": "Asha Rao"})
    await ledger.accept(line)
    first = await ledger.claim_one()
    await ledger.server.client.flushall()
    ledger.now += HOUR
    await ledger.accept(line)
    assert (await ledger.claim_one()).delivery == first.delivery


@pytest.mark.parametrize(
    ("pause", "second", "result"),
    [
        (MINUTE, {"phone": ASHA, "message": "hi"}, "repeated"),
        (MINUTE, {"phone": "+91 8951047001", "message": " hi "}, "repeated"),
        (2 * HOUR, {"phone": ASHA, "message": "hi"}, "repeated"),
        (DAY - 1, {"phone": ASHA, "message": "hi"}, "repeated"),
        (DAY, {"phone": ASHA, "message": "hi"}, "updated"),
        (MINUTE, {"phone": ASHA, "message": "ho"}, "updated"),
        (MINUTE, {"phone": RAVI, "message": "hi"}, "created"),
    ],
)
async def test_the_same_idempotency_key_again(ledger: Ledger, pause: int, second: dict[str, str], result: str) -> None:
    first = await ledger.post(key="k", phone=ASHA, message="hi")
    ledger.now += pause
    again = await ledger.post(second, key="k")
    assert again.result == result
    is_same_content = second["phone"] != RAVI and second["message"].strip() == "hi"
    assert (again.receipt == first.receipt) == is_same_content


async def test_an_answered_key_is_a_repeat_even_of_what_was_overtaken_since(ledger: Ledger) -> None:
    first = await ledger.post(key="k", phone=ASHA, message="hi")
    await ledger.post(phone=ASHA, message="ho")
    again = await ledger.post(key="k", phone=ASHA, message="hi")
    assert (again.result, again.lead, again.receipt) == ("repeated", first.lead, first.receipt)
    assert (await known(ledger))["message"] == "ho"


async def test_a_key_first_sent_with_a_repeat_is_remembered_too(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA)
    await ledger.post(key="k", phone=ASHA)
    ledger.now += 2 * HOUR
    assert (await ledger.post(key="k", phone=ASHA)).result == "repeated"


async def test_a_quarantined_submission_sets_neither_person_nor_idempotency_key(ledger: Ledger) -> None:
    held = await ledger.post(quarantine=("honeypot",), key="k", phone=ASHA)
    assert (held.result, held.lead, held.version) == ("quarantined", "", 0)
    assert await ledger.counts() == {"received": 1, "quarantined": 1}
    assert not [key async for key in ledger.server.client.scan_iter("*person*")]
    assert not [key async for key in ledger.server.client.scan_iter("*idem*")]
    real = await ledger.post(key="k", phone=ASHA)
    assert (real.result, real.receipt) == ("created", held.receipt)


@pytest.mark.parametrize("spam_comes", [0, 1])
async def test_a_receipt_stands_for_the_lead_whatever_else_came_with_its_key(ledger: Ledger, spam_comes: int) -> None:
    for turn in range(2):
        accepted = await ledger.post(key="k", phone=ASHA, quarantine=("honeypot",) if turn == spam_comes else ())
    receipts = await ledger.server.client.hgetall(f"{ledger.base}receipts")
    assert [str(lead)[:5] for lead in receipts.values()] == ["lead_"]
    assert accepted.receipt in receipts


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ([], {"phone": ASHA}),
        ([{"phone": ASHA}], {"phone": ASHA}),
        ([{"phone": ASHA}], {"phone": ASHA, "message": "hi", "colour": "red"}),
        ([{"email": MAIL}], {"phone": ASHA, "email": MAIL}),
    ],
)
@pytest.mark.parametrize("named", [{}, {"key": "k"}, {"quarantine": ("honeypot",)}])
async def test_the_same_line_twice_changes_nothing(
    ledger: Ledger, before: list[dict[str, str]], line: dict[str, str], named: dict[str, object]
) -> None:
    for said in before:
        await ledger.post(said)
    written = ledger.line(line, **named)  # type: ignore[arg-type] # one of two keywords
    first = await ledger.accept(written)
    kept = await ledger.dump()
    ledger.now += 2 * DAY
    assert await ledger.accept(written) == first
    assert await ledger.dump() == kept


async def test_a_hundred_identical_submissions_at_one_moment_are_one_lead(ledger: Ledger) -> None:
    lines = [msgspec.json.encode(ledger.line({"phone": ASHA, "message": "hi"})) for _ in range(100)]
    results = await asyncio.gather(*(ledger.store.accept(FORM, line) for line in lines))
    assert Counter(each.result for each in results) == {"created": 1, "repeated": 99}
    assert len({each.lead for each in results}) == 1
    await ledger.check()


WRITER = """
    import asyncio, sys
    from service.intake.intake import Intake, Taken
    from service.store.server.connection import connect
from service.store.server.server import Server
    from service.store.leads import Store
    from ledger import FORM, SECRET, START, content_of
    async def main():
        server = Server(connect(sys.argv[1]), clock=lambda: START)
        intake = Intake(Store(server), SECRET)
        content = content_of(FORM, {"phone": "8951047001"})
        sys.stdin.readline()
        for taken in await asyncio.gather(*(intake.submit(FORM, content) for _ in range(50))):
            print(taken.result)
        await server.close()
    asyncio.run(main())
"""


async def test_a_hundred_identical_submissions_over_two_processes_are_one_lead(ledger: Ledger, redis_url: str) -> None:
    tests = Path(__file__).parents[1]
    text = "\n".join(line.removeprefix("    ") for line in WRITER.splitlines())
    writers = [
        subprocess.Popen(  # noqa: ASYNC220 -- they wait for our line, and then all of it takes a moment
            [sys.executable, "-c", text, redis_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": f"{tests}:{tests / 'support'}:{tests.parent}"},
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=30)[0].split() for writer in writers]
    assert [len(each) for each in said] == [50, 50]
    assert Counter(itertools.chain(*said)) == {"created": 1, "repeated": 99}
    await ledger.check()


async def test_nothing_that_was_typed_can_be_read_in_a_key(ledger: Ledger) -> None:
    marked = {"phone": "8951047001", "email": "marked-mail@example.com", "name": "Marked Name", "colour": "marked-red"}
    await ledger.post(marked, key="marked-key", page="https://example.com/marked-page")
    await ledger.post(key="marked-key-2", message="marked words", name="Marked Name")
    await ledger.post(marked, key="marked-key-3", quarantine=("junk",))
    await ledger.claim(5)
    names = " ".join([str(key) async for key in ledger.server.client.scan_iter()]).lower()
    for part in ("marked", "8951047001", "mail", "example"):
        assert part not in names


async def test_what_recognises_people_runs_out_by_itself(ledger: Ledger) -> None:
    await ledger.post(key="k", phone=ASHA, email=MAIL)
    ledger.now += DAY
    await ledger.post(email=MAIL, name="Asha")
    client = ledger.server.client
    ends = {str(key): int(await client.pexpiretime(key)) async for key in client.scan_iter()}
    persons = [end for key, end in ends.items() if ":person:" in key]
    assert len(persons) == 2
    assert all(ledger.now + WINDOW <= end <= ledger.now + WINDOW + 30 * DAY for end in persons)
    assert [end for key, end in ends.items() if ":idem:" in key] == [START + DAY]
    seen = [end for key, end in ends.items() if ":seen:" in key]
    assert len(seen) == 2
    assert all(end >= START + 30 * DAY for end in seen)


async def test_a_submission_wakes_the_workers_of_each_destination(ledger: Ledger, redis_url: str) -> None:
    ledger.form = replace(FORM, deliver=("crm", "erp"))
    listener = connect(redis_url)
    async with listener.pubsub() as wakes:
        await wakes.subscribe("leads:wake")
        await ledger.post(phone=ASHA)
        await ledger.post(phone=ASHA)
        heard = []
        while (message := await wakes.get_message(timeout=0.2)) is not None:
            heard += [message["data"]] if message["type"] == "message" else []
    await listener.aclose(close_connection_pool=True)
    assert heard == ["crm", "erp"]


async def test_a_lead_keeps_its_last_submissions_and_never_breaks_a_line(ledger: Ledger) -> None:
    for _ in range(150):
        await ledger.store.accept(FORM, msgspec.json.encode(ledger.line({"phone": ASHA}, key="a" * 50)))
        ledger.now += SECOND
    log = str(await ledger.server.client.hget(f"{ledger.base}lead:lead_1", "submissions"))
    assert len(log) <= 8_000
    assert all(len(line.split(" ")) == 4 for line in log.splitlines())
    assert log.splitlines()[-1].startswith(str(ledger.now - SECOND))
    await ledger.check()


async def test_a_key_used_anew_after_a_day_counts_from_then(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, key="k")
    ledger.now += DAY
    assert (await ledger.post(phone=ASHA, key="k")).result == "updated"
    ledger.now += 2 * HOUR
    assert (await ledger.post(phone=ASHA, key="k")).result == "repeated"


# --- a solution of a challenge serves one person


async def everything(ledger: Ledger) -> dict[str, object]:
    """Return every key and what is in it."""
    keys = sorted([str(key) async for key in ledger.server.client.scan_iter("*")])
    return {key: await ledger.server.client.dump(key) for key in keys}


async def test_a_solution_serves_one_person_and_another_leaves_no_trace(ledger: Ledger) -> None:
    assert (await ledger.post(phone=ASHA, once="solved")).result == "created"
    before = await everything(ledger)
    for other in ({"phone": RAVI}, {"phone": RAVI, "email": MAIL}, {"email": MAIL}, {"name": "Ravi"}):
        refused = await ledger.post(other, once="solved")
        assert (refused.result, refused.lead, refused.version) == ("used", "", 0)
    assert await everything(ledger) == before
    assert (await ledger.post(phone=RAVI, once="another")).result == "created"


async def test_the_same_person_may_send_again_with_the_same_solution(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, once="solved")
    assert (await ledger.post(phone="+91 89510-47001", once="solved")).result == "repeated"
    assert (await ledger.post(phone=ASHA, message="My knee", once="solved")).result == "updated"


async def test_whoever_adds_an_address_or_a_number_to_what_they_sent_is_the_same_person(ledger: Ledger) -> None:
    await ledger.post(email=MAIL, once="solved")
    assert (await ledger.post(email=MAIL, phone=ASHA, once="solved")).result == "updated"
    assert (await ledger.post(phone=ASHA, email="other@example.com", once="solved")).result == "updated"
    assert (await ledger.post(phone=ASHA, once="solved")).result == "repeated"
    for other in ({"phone": RAVI, "email": MAIL}, {"email": "other@example.com"}, {"name": "Ravi"}):
        assert (await ledger.post(other, once="solved")).result == "used"


async def test_a_line_sent_twice_gets_its_first_result_whatever_became_of_its_solution(ledger: Ledger) -> None:
    line = ledger.line({"phone": ASHA}, once="solved")
    first = await ledger.accept(line)
    await ledger.server.client.set(f"{ledger.base}once:solved", "somebody else")
    assert await ledger.accept(line) == first


async def test_of_many_at_once_one_is_taken(ledger: Ledger) -> None:
    ledger.checks_each_call = False
    posts = (ledger.post(phone=f"89510 4{number:04d}", once="solved") for number in range(20))
    results = Counter(each.result for each in await asyncio.gather(*posts))
    assert results == {"created": 1, "used": 19}


async def test_a_solution_that_spam_used_serves_nobody_else_and_a_release_asks_for_none(ledger: Ledger) -> None:
    line = ledger.line({"phone": ASHA}, quarantine=("honeypot",), once="solved")
    assert (await ledger.accept(line)).result == "quarantined"
    assert (await ledger.post(phone=RAVI, quarantine=("honeypot",), once="solved")).result == "used"
    assert (await ledger.post(phone=RAVI, once="solved")).result == "used"
    released = await ledger.store.release(FORM, line.id)
    assert released is not None
    assert released.result == "created"


async def test_somebody_who_was_thanked_is_taken_though_the_solution_was_used(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, once="solved")
    spooled = ledger.line({"phone": RAVI}, once="solved")
    assert (await ledger.accept(spooled, is_thanked=True)).result == "created"
    assert (await ledger.post(phone=ASHA, once="solved")).result == "repeated"


async def test_what_was_used_is_forgotten_when_no_challenge_lives_so_long(ledger: Ledger) -> None:
    await ledger.post(phone=ASHA, once="solved")
    left = await ledger.server.client.pttl(f"{ledger.base}once:solved")
    assert DAY < left <= DAY + HOUR


# --- a lead does not grow without end


async def grown(ledger: Ledger, versions: int) -> str:
    """Post one person's words until their lead has so many versions, each delivered before the next."""
    for number in range(versions):
        said = {"phone": ASHA, "message": f"Message {number}", f"extra {number}": "said"}
        accepted = await ledger.post(said)
        await ledger.settle(await ledger.claim_one(), "delivered")
        ledger.now += SECOND
    return accepted.lead


async def test_all_that_a_first_version_says_is_new(ledger: Ledger) -> None:
    lead = (await ledger.post(phone=ASHA, message="Hello")).lead
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    assert sorted(kept.versions[0].news) == ["message", "phone"]


async def test_old_versions_are_kept_as_what_was_new_in_them(ledger: Ledger) -> None:
    lead = await grown(ledger, 13)
    kept = await Archive(ledger.server).lead(FORM, lead)
    assert kept is not None
    old, whole = kept.versions[:3], kept.versions[3:]
    assert [version.version for version in kept.versions] == [*range(1, 14)]
    assert all(version.sha1 and not version.content.fields and "message" in version.news for version in old)
    assert all(version.content.fields["phone"].value and not version.sha1 for version in whole)
    assert old[0].received_at < whole[0].received_at
    assert (await ledger.counts())["crm:delivered"] == 13


@pytest.mark.parametrize(
    ("result", "is_whole", "changed"),
    [("waiting", False, ()), ("dead", True, ()), ("delivered", True, ("extra.extra", "message"))],
)
async def test_what_may_still_be_sent_or_compared_with_stays_whole(
    ledger: Ledger, result: Any, is_whole: bool, changed: tuple[str, ...]
) -> None:
    first = await ledger.post(phone=ASHA, message="Message", name="Asha")
    if result != "waiting":
        await ledger.settle(await ledger.claim_one(), result)
    for number in range(30):
        await ledger.post(phone=ASHA, message=f"Message {number}", extra="said")
    kept = await Archive(ledger.server).lead(FORM, first.lead)
    assert kept is not None
    assert bool(kept.versions[0].content.fields) is is_whole
    later = (await ledger.claim_one()).delivery
    assert (later.lead.version, later.changed) == (31, changed)
    assert later.lead.content.fields["name"].value == "Asha"


async def test_accepting_costs_the_same_whatever_a_lead_holds(ledger: Ledger) -> None:
    sizes: list[int] = []
    for _ in range(3):
        lead = await grown(ledger, 120)
        taken = await ledger.server.client.memory_usage(f"{ledger.base}lead:{lead}", samples=0)
        assert taken is not None
        sizes.append(taken)
    assert sizes[2] - sizes[1] < sizes[1] / 2  # its facts are full, and so are its whole versions


# --- what stands beside the fields


async def test_a_consent_is_no_news_stands_until_answered_again_and_flags_too(ledger: Ledger) -> None:
    first = Consent(agreed=True, version="1", text_sha256="aa", at="2026-11-22T10:42:07.120Z", language="en")
    second = msgspec.structs.replace(first, version="2")
    results = []

    async def post(consent: Consent | None, flags: tuple[str, ...] = (), **said: str) -> Content:
        content = replace(content_of(FORM, said), consent=consent, flags=flags)
        line = msgspec.structs.replace(ledger.line(said), facts=facts(SECRET, FORM, content))
        accepted = await ledger.accept(line)
        results.append(accepted.result)
        kept = await Archive(ledger.server).lead(FORM, accepted.lead)
        assert kept is not None
        return kept.unforwarded or kept.versions[-1].content

    assert (await post(first, ("captcha_unverified",), phone=ASHA)).consent == first
    said = await post(None, phone=ASHA, message="My knee")
    assert (said.consent, said.flags) == (first, ("captcha_unverified",))
    await post(second, phone=ASHA, message="My knee")
    assert (await post(None, phone=ASHA, message="My hip")).consent == second
    assert results == ["created", "updated", "repeated", "updated"]


async def test_a_lead_keeps_two_hundred_facts_its_fields_and_what_was_said_last(ledger: Ledger) -> None:
    for number in range(5):
        ledger.now += SECOND
        await ledger.post({f"extra {number} {each}": "x" for each in range(60)}, phone=ASHA, name="Asha")
    lead = (await ledger.claim_one()).delivery.lead
    content = lead.content
    assert lead.version == 5
    assert content.fields.keys() == {"name", "phone"}
    assert len(content.extra) == 200 - 3  # two fields, and where it came from
    assert {name.split()[1] for name in content.extra} == {"1", "2", "3", "4"}
    assert sum(name.startswith("extra 1 ") for name in content.extra) == 200 - 3 - 180
    kept = {f"extra 4 {each}": "x" for each in range(60)}
    assert (await ledger.post(kept, phone=ASHA, name="Asha")).result == "repeated"
