"""A destination that fails for long: it is left alone, asked now and then, and no lead pays for it."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from crm import Crm
from workshop import Hands, Workshop, destination, form, one_crm, until

from service.cli.leads import _accounts_as_text
from service.intake.intake import Taken
from service.store.breaker import (
    FAILING_PAUSES_MS,
    FAILURES_THAT_PAUSE,
    REFUSED_PAUSES_MS,
    SLOT_HELD_MS,
    UNTRIED_EVERY_MS,
    Gate,
    GateState,
    Pace,
    Pause,
    Permit,
    Verdict,
)
from service.store.overview import read_accounts, read_pauses
from service.store.server.connection import connect
from service.store.server.server import Server

pytestmark = pytest.mark.anyio

START = 4_102_444_800_000
PROBE = 20_000
NUMBER, LENGTH = FAILURES_THAT_PAUSE
FIRST, LONGEST = FAILING_PAUSES_MS


class Destination:
    """One destination's gate on a clock that the test sets; each `ask` is another worker's."""

    def __init__(self, server: Server, pace: Pace) -> None:
        self.now = START
        self.gate = Gate(server, "crm", pace)
        self._holders = itertools.count(1)
        self._leads = itertools.count(1)

    async def ask(self, wanted: int = 1) -> Permit:
        return await self.gate.ask(wanted, f"worker{next(self._holders)}")

    async def attempt(
        self, result: Verdict, *, reason: str = "it did not answer", wait: int = 0, lead: str = "", refused_at: int = 0
    ) -> GateState:
        """Attempt to deliver `lead`, "": another one each time."""
        permit = await self.ask()
        [slot] = permit.slots
        return await self.report(slot, result, permit, reason=reason, wait=wait, lead=lead, refused_at=refused_at)

    async def report(
        self, slot: str, result: Verdict, permit: Permit | None = None, *, lead: str = "", **named: Any
    ) -> GateState:
        is_probe = permit is not None and permit.is_probe
        lead = lead or f"lead_{next(self._leads)}"
        return await self.gate.report(slot, result, is_probe=is_probe, lead=lead, **named)

    async def refuse(self, reason: str = "no") -> None:
        """Refuse as many leads as it takes to be paused."""
        for _ in range(NUMBER - 1):
            assert await self.attempt("refused", reason=reason) == "alone"
        assert await self.attempt("refused", reason=reason) == "paused"

    async def pause(self) -> Pause:
        """Return the pause that there must be."""
        found = await self.gate.pause()
        assert found is not None
        return found

    async def fail_for_long(self) -> None:
        """Fail until it is paused."""
        for _ in range(NUMBER - 1):
            assert await self.attempt("failed") == "open"
        self.now += LENGTH
        assert await self.attempt("failed") == "paused"

    async def until_probe(self) -> None:
        self.now = (await self.pause()).probe_at


@asynccontextmanager
async def open_destination(url: str, pace: Pace) -> AsyncIterator[Destination]:
    server = Server(connect(url), clock=lambda: made.now)
    made = Destination(server, pace)
    yield made
    await server.close()


@pytest.fixture
async def crm(redis_url: str) -> AsyncIterator[Destination]:
    async with open_destination(redis_url, Pace(20, 0, PROBE)) as made:
        yield made


# --- when it closes ------------------------------------------------------------------------------------------------


async def test_many_failures_at_once_are_no_reason_yet(crm: Destination) -> None:
    for _ in range(3 * NUMBER):
        assert await crm.attempt("failed") == "open"
    crm.now += LENGTH - 1
    assert await crm.attempt("failed") == "open"
    assert await crm.gate.pause() is None


async def test_one_lead_that_fails_for_ever_is_no_reason_and_another_one_is(crm: Destination) -> None:
    for _ in range(20):
        assert await crm.attempt("failed", lead="lead_always") == "open"
        crm.now += 10 * LENGTH
    assert await crm.attempt("failed") == "paused"


@pytest.mark.parametrize("result", ["failed", "load"])
async def test_different_leads_in_a_row_over_some_seconds_close_it_since_the_first_one(
    crm: Destination, result: Verdict
) -> None:
    await crm.attempt("delivered")
    crm.now += 5_000
    began = crm.now
    for _ in range(NUMBER - 1):
        assert await crm.attempt(result, reason="early") == "open"
        crm.now += LENGTH // (NUMBER - 1) + 1
    assert await crm.attempt(result, reason="late") == "paused"
    assert await crm.pause() == Pause("failing", began, "late", crm.now + FIRST)
    permit = await crm.ask(20)
    assert (len(permit.slots), permit.admitted) == (1, "untried")  # all that a pause admits before its probe


@pytest.mark.parametrize("result", ["delivered", "answered"])
async def test_an_answer_of_any_kind_about_a_lead_begins_the_count_anew(crm: Destination, result: Verdict) -> None:
    for _ in range(NUMBER - 1):
        await crm.attempt("failed")
    crm.now += LENGTH
    assert await crm.attempt(result) == "open"
    crm.now += LENGTH
    for _ in range(NUMBER - 1):
        assert await crm.attempt("failed") == "open"
        crm.now += 1
    assert await crm.attempt("failed") == "open"  # ten in a row, but within few ms


async def test_an_unused_slot_says_nothing_about_the_destination(crm: Destination) -> None:
    for _ in range(NUMBER - 1):
        await crm.attempt("failed")
    crm.now += LENGTH
    assert await crm.attempt("unused") == "open"
    assert await crm.attempt("failed") == "paused"


async def test_failures_of_all_workers_count_together_and_those_under_way_change_nothing_more(crm: Destination) -> None:
    first, second = await crm.ask(10), await crm.ask(10)
    crm.now += 1
    states = [await crm.report(slot, "failed") for slot in first.slots[:5]]
    crm.now += LENGTH
    states += [await crm.report(slot, "failed", reason="gone") for slot in second.slots]
    assert states == ["open"] * 5 + ["paused"] + ["closed"] * 9
    pause = await crm.pause()
    assert [await crm.report(slot, "failed", reason="x") for slot in first.slots[5:]] == ["closed"] * 5
    assert await crm.pause() == pause


# --- probes --------------------------------------------------------------------------------------------------------


async def test_each_failed_probe_doubles_the_pause_up_to_five_minutes(crm: Destination) -> None:
    await crm.fail_for_long()
    lengths = []
    for _ in range(7):
        await crm.until_probe()
        assert await crm.attempt("failed", reason="still gone") == "closed"
        pause = await crm.pause()
        lengths.append(pause.probe_at - crm.now)
        assert (pause.kind, pause.since, pause.reason) == ("failing", START, "still gone")
    assert lengths == [2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, LONGEST, LONGEST, LONGEST]


async def test_of_all_workers_one_probes_with_one_attempt(crm: Destination) -> None:
    await crm.fail_for_long()
    await crm.until_probe()
    permits = [await crm.ask(8) for _ in range(4)]
    assert [(len(each.slots), each.is_probe) for each in permits] == [(1, True), (0, False), (0, False), (0, False)]
    assert permits[1].ask_at == crm.now + UNTRIED_EVERY_MS


async def test_a_probe_that_never_settles_is_over_when_its_time_is(crm: Destination) -> None:
    await crm.fail_for_long()
    await crm.until_probe()
    lost = await crm.ask()
    crm.now += PROBE - 1
    assert not (await crm.ask()).is_probe
    crm.now += 1
    assert await crm.attempt("failed") == "closed"
    pause = await crm.pause()
    assert await crm.gate.report(lost.slots[0], "failed", is_probe=True) == "closed"  # its slot ran out long ago
    assert await crm.pause() == pause
    assert await crm.gate.report(lost.slots[0], "delivered", is_probe=True) == "opened"  # a success is a fact


@pytest.mark.parametrize("result", ["delivered", "answered"])
async def test_any_answer_about_a_lead_opens_it_and_everything_begins_anew(crm: Destination, result: Verdict) -> None:
    await crm.fail_for_long()
    await crm.until_probe()
    assert await crm.attempt(result) == "opened"
    assert await crm.gate.pause() is None
    permit = await crm.ask(99)
    assert (len(permit.slots), permit.is_probe) == (20, False)
    for slot in permit.slots[:NUMBER]:
        assert await crm.report(slot, "failed") == "open"
    crm.now += LENGTH
    assert await crm.attempt("failed") == "paused"
    assert (await crm.pause()).probe_at == crm.now + FIRST


async def test_an_answer_to_what_was_under_way_opens_it_too(crm: Destination) -> None:
    slow = (await crm.ask()).slots[0]
    for _ in range(NUMBER - 1):
        await crm.attempt("failed")
    for _ in range(LENGTH // SLOT_HELD_MS + 1):
        crm.now += SLOT_HELD_MS - 1
        await crm.gate.keep([slow])
    assert await crm.attempt("failed") == "paused"
    assert await crm.gate.report(slow, "answered", is_probe=False) == "opened"


async def test_a_probe_waits_as_long_as_everybody_was_asked_to(crm: Destination) -> None:
    for _ in range(NUMBER - 1):
        await crm.attempt("failed")
    crm.now += LENGTH
    assert await crm.attempt("load", wait=10 * FIRST) == "paused"
    assert (await crm.ask()).ask_at == crm.now + 10 * FIRST


# --- beside a refusal of everybody ---------------------------------------------------------------------------------


async def test_a_failing_destination_that_then_refuses_everybody_waits_as_for_a_refusal(crm: Destination) -> None:
    await crm.fail_for_long()
    await crm.until_probe()
    assert await crm.attempt("refused", reason="it does not accept our key") == "paused"  # news, and told as such
    assert await crm.pause() == Pause("refused", START, "it does not accept our key", crm.now + REFUSED_PAUSES_MS[0])
    await crm.until_probe()
    assert await crm.attempt("refused", reason="it does not accept our key") == "closed"
    assert (await crm.pause()).probe_at == crm.now + 2 * REFUSED_PAUSES_MS[0]


async def test_a_destination_long_failing_that_then_refuses_is_not_asked_sooner_than_before(crm: Destination) -> None:
    await crm.fail_for_long()
    for _ in range(6):
        await crm.until_probe()
        await crm.attempt("failed")
    await crm.until_probe()
    assert await crm.attempt("refused", reason="no") == "paused"
    assert (await crm.pause()).probe_at == crm.now + 2 * LONGEST


async def test_a_refusing_destination_whose_probes_fail_stays_refused(crm: Destination) -> None:
    await crm.refuse()
    for _ in range(NUMBER + 2):
        await crm.until_probe()
        assert await crm.attempt("failed") == "closed"
    pause = await crm.pause()
    assert (pause.kind, pause.since) == ("refused", START)
    await crm.until_probe()
    assert await crm.attempt("delivered") == "opened"


async def test_a_refused_lead_does_not_open_a_refusing_destination_nor_change_why_it_is_closed(
    crm: Destination,
) -> None:
    await crm.refuse("it does not accept our key")
    await crm.until_probe()
    assert await crm.attempt("answered", reason="a value of this lead is wrong") == "closed"
    assert (await crm.pause()).reason == "it does not accept our key"


async def test_failures_before_a_refusal_do_not_close_it_when_it_is_open_again(crm: Destination) -> None:
    for _ in range(NUMBER - 1):
        await crm.attempt("failed")
    crm.now += LENGTH
    assert await crm.attempt("refused", reason="no") == "paused"
    assert (await crm.pause()).kind == "refused"
    await crm.until_probe()
    assert await crm.attempt("delivered") == "opened"
    assert await crm.attempt("failed") == "open"


# --- a real worker before a CRM that is gone -----------------------------------------------------------------------

TRIES = 'retry = ["50ms", "50ms", "50ms", "5s", "5s", "5s", "5s", "5s"]\ntimeout = "1s"'


async def go_on(shop: Workshop, hands: Hands, ms: int) -> None:
    """Let time pass and the worker notice."""
    hands.ahead += ms
    await shop.server.client.publish("leads:wake", "crm")


async def fail_until_paused(shop: Workshop, hands: Hands, leads: int) -> None:
    """Wait until so many leads were tried, the worker leaves the destination alone and nothing is under way."""
    await until(lambda: len({each.claim.delivery.lead.id for each in shop.attempts}) == leads)
    await go_on(shop, hands, LENGTH)
    await until(lambda: shop.events("destination paused"))
    await asyncio.sleep(0.2)


async def probe(shop: Workshop, hands: Hands) -> None:
    """Wait for the next probe; before its time nothing is sent."""
    made = len(shop.attempts)
    wait = await time_to_probe(shop)
    await go_on(shop, hands, wait - 2_000)
    await asyncio.sleep(0.1)
    assert len(shop.attempts) == made
    await go_on(shop, hands, 2_000)
    await until(lambda: len(shop.attempts) > made)
    await asyncio.sleep(0.1)
    assert len(shop.attempts) == made + 1


async def time_to_probe(shop: Workshop) -> int:
    pause = await Gate(shop.server, "crm", Pace(1, 0, 0)).pause()
    assert pause is not None
    return pause.probe_at - shop.server.now()


async def tries_of(shop: Workshop, leads: Iterable[Taken]) -> list[int]:
    return [(await shop.lead(each.lead)).deliveries[0].tries for each in leads]


async def test_a_crm_that_is_gone_is_asked_rarely_and_costs_no_lead_a_try(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        async with (
            Workshop(redis_url, one_crm(crm, more=f"{TRIES}\nconcurrency = 3"), now=hands) as shop,
            shop.worker(),
        ):
            with crm.gone():
                leads = await shop.submit_many(12)
                await fail_until_paused(shop, hands, 12)
                tries, tried = await tries_of(shop, leads), len(shop.attempts)
                for _ in range(5):
                    await probe(shop, hands)
                assert await tries_of(shop, leads) == tries
                probed = [each.claim.delivery.lead.id for each in shop.attempts[tried:]]
                assert len(set(probed)) == 5  # each time another lead
                told = (await read_pauses(shop.server, shop.config))["crm"]
            assert 250_000 < await time_to_probe(shop) <= LONGEST
            await go_on(shop, hands, LONGEST)
            account = await shop.settled()
    assert re.fullmatch(
        r"failing since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: [^;:]+; next probe \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", told
    ), told
    assert (account.delivered, account.dead) == (12, 0)
    assert [len(shop.events(f"destination {each}")) for each in ("paused", "open again")] == [1, 1]
    assert shop.events("destination paused")[0]["level"] == "error"
    assert len({each.headers["webhook-id"] for each in crm.requests}) == len(crm.requests) == 12


async def test_the_backlog_drains_at_the_destinations_own_pace_with_fresh_leads_among_it(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        crm.answer(200, stall=0.05)
        text = one_crm(crm, more=f'{TRIES}\nconcurrency = 3\nrate = "20/s"')
        async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
            with crm.gone():
                await shop.submit_many(30)
                await fail_until_paused(shop, hands, 30)
            await go_on(shop, hands, 5_000)  # now all of them are due
            fresh = await shop.submit(name="Fresh", phone="8951099999")
            await go_on(shop, hands, 5_000)
            account = await shop.settled()
    assert account.delivered == len(crm.requests) == 31
    assert crm.most_at_once <= 3
    order = [each.headers["webhook-id"] for each in crm.requests]
    assert order.index(f"{fresh.lead}.1") < 8
    times = sorted(each.at for each in crm.requests)
    assert all(later - first >= 950 for first, later in zip(times, times[21:], strict=False))


async def test_two_leads_probe_as_often_as_it_takes_and_never_die_of_it(redis_url: str) -> None:
    hands = Hands()
    more = f'retry = {["20ms"] * 15}\ntimeout = "1s"'.replace("'", '"')
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more=more), now=hands) as shop, shop.worker():
            with crm.gone():
                leads = await shop.submit_many(2)
                await fail_until_paused(shop, hands, 2)
                tries = await tries_of(shop, leads)
                for _ in range(6):
                    await probe(shop, hands)
                assert await tries_of(shop, leads) == tries
            await go_on(shop, hands, LONGEST)
            account = await shop.settled()
    assert (account.delivered, account.dead, len(crm.requests)) == (2, 0, 2)


async def test_a_lead_that_the_crm_refuses_shows_that_it_is_back(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more=TRIES), now=hands) as shop, shop.worker():
            with crm.gone():
                await shop.submit_many(10)
                await fail_until_paused(shop, hands, 10)
            crm.answer(422, times=1)
            await go_on(shop, hands, FIRST)
            account = await shop.settled()
    assert (account.delivered, account.dead) == (9, 1)
    assert len(shop.events("destination open again")) == 1


async def test_forms_that_share_a_destination_wait_for_it_together_and_are_probed_in_turn(redis_url: str) -> None:
    """In a pause what is new is tried once, soon; then the probes decide."""
    hands = Hands()
    with Crm() as crm:
        text = form("callback") + form("newsletter") + destination(crm.url, more=TRIES)
        async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
            with crm.gone():
                await shop.submit_many(10, "callback")
                await fail_until_paused(shop, hands, 10)
                tried = len(shop.attempts)
                await shop.submit(to="newsletter", name="N", phone="8951000000")
                await until(lambda: len(shop.attempts) == tried + 1)
                await asyncio.sleep(0.2)
                tried = len(shop.attempts)
                for _ in range(4):
                    await probe(shop, hands)
                probed = Counter(each.claim.form for each in shop.attempts[tried:])
                accounts = await read_accounts(shop.server, shop.config)
            await go_on(shop, hands, LONGEST)
            one, other = await shop.settled(form="callback"), await shop.settled(form="newsletter")
    assert set(probed) == {"callback", "newsletter"}
    for name in ("callback", "newsletter"):
        assert str(accounts.forms[name].destinations["crm"].paused).startswith("failing since ")
    assert _accounts_as_text(accounts, {}).count("\n    paused failing since ") == 2
    assert (one.delivered, other.delivered) == (10, 1)
