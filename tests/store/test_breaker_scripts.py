"""The gate of a destination: slots, rate, not-before, pause and probe, over all workers together."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from service.store.breaker import (
    FAILING_PAUSES_MS,
    FAILURES_THAT_PAUSE,
    LATELY_MS,
    REFUSED_PAUSES_MS,
    SLOT_HELD_MS,
    UNTRIED_EVERY_MS,
    Gate,
    GateState,
    Pace,
    Permit,
    Verdict,
)
from service.store.server.connection import connect
from service.store.server.server import Server

pytestmark = pytest.mark.anyio

START = 4_102_444_800_000
PROBE = 20_000
FIRST, LONGEST = REFUSED_PAUSES_MS


class Clocked:
    """A gate on a clock that the test sets; each `ask` is another worker's."""

    def __init__(self, server: Server, pace: Pace) -> None:
        self.gate = Gate(server, "crm", pace)
        self.holders = (f"worker{number}" for number in range(10_000))
        self.leads = (f"lead_{number}" for number in range(10_000))

    async def ask(self, wanted: int = 1) -> Permit:
        return await self.gate.ask(wanted, next(self.holders))

    async def slot(self) -> str:
        permit = await self.ask()
        assert len(permit.slots) == 1, permit
        return permit.slots[0]

    async def attempt(self, result: Verdict, *, is_probe: bool = False, wait: int = 0, reason: str = "") -> GateState:
        permit = await self.ask()
        assert (len(permit.slots), permit.is_probe) == (1, is_probe), permit
        lead = next(self.leads)
        return await self.gate.report(permit.slots[0], result, is_probe=is_probe, lead=lead, wait=wait, reason=reason)

    async def refuse(self, reason: str = "no") -> None:
        """Refuse different leads until it is paused."""
        assert await self.attempt("refused", reason=reason) == "alone"
        assert await self.attempt("refused", reason=reason) == "paused"


class Destination:
    """One destination: its time, and as many gates as there are configurations of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.now = START

    def gate(self, concurrency: int = 4, gap: float = 0) -> Clocked:
        return Clocked(self.server, Pace(concurrency, gap, PROBE))


@asynccontextmanager
async def open_destination(url: str) -> AsyncIterator[Destination]:
    client = connect(url)
    destination = Destination(Server(client, clock=lambda: destination.now))
    yield destination
    await client.aclose(close_connection_pool=True)


@pytest.fixture
async def crm(redis_url: str) -> AsyncIterator[Destination]:
    async with open_destination(redis_url) as destination:
        yield destination


async def test_no_more_slots_than_the_destination_takes_at_once(crm: Destination) -> None:
    gate = crm.gate(4)
    first = await gate.ask(3)
    assert len(first.slots) == 3
    second = await gate.ask(3)
    assert len(second.slots) == 1
    third = await gate.ask(3)
    assert (third.slots, third.ask_at, third.is_probe) == ((), 0, False)
    await gate.gate.report(first.slots[0], "delivered", is_probe=False)
    assert len((await gate.ask(3)).slots) == 1


async def test_all_slots_have_different_names(crm: Destination) -> None:
    gate = crm.gate(4)
    assert len({*(await gate.ask(2)).slots, *(await gate.ask(2)).slots}) == 4


async def test_a_killed_worker_gives_its_slots_back_within_seconds(crm: Destination) -> None:
    gate = crm.gate(2)
    await gate.ask(2)
    crm.now += SLOT_HELD_MS - 1
    assert (await gate.ask(2)).slots == ()
    crm.now += 1
    assert len((await gate.ask(2)).slots) == 2


async def test_slots_that_are_kept_stay_held(crm: Destination) -> None:
    gate = crm.gate(2)
    held = (await gate.ask(2)).slots
    for _ in range(5):
        crm.now += SLOT_HELD_MS - 1
        await gate.gate.keep(held)
    assert (await gate.ask(2)).slots == ()


async def test_a_slot_given_back_cannot_be_kept(crm: Destination) -> None:
    gate = crm.gate(1)
    slot = await gate.slot()
    await gate.gate.report(slot, "delivered", is_probe=False)
    await gate.gate.keep([slot])
    await gate.gate.keep([])
    assert len((await gate.ask()).slots) == 1


@pytest.mark.parametrize("result", ["answered", "failed", "load", "refused", "unused"])
async def test_a_report_told_twice_is_told_once(crm: Destination, result: Verdict) -> None:
    gate = crm.gate(8)
    slot = await gate.slot()
    await gate.slot()
    await gate.gate.report(slot, result, is_probe=False, reason="no")
    keys = [key async for key in crm.server.client.scan_iter()]
    kept = {key: await crm.server.client.dump(key) for key in keys}
    crm.now += 1
    await gate.gate.report(slot, result, is_probe=False, reason="other")
    assert {key: await crm.server.client.dump(key) for key in keys} == kept


def windows(starts: list[int], length: int) -> Iterator[int]:
    """Yield how many attempts began in each window that begins with one."""
    for at in starts:
        yield sum(at <= each < at + length for each in starts)


@pytest.mark.parametrize(
    ("requests", "per"), [(1, 1_000), (10, 1_000), (100, 1_000), (3, 1_000), (7, 60_000), (1_000, 1_000)]
)
async def test_the_rate_is_not_exceeded_in_any_window_but_for_50_ms_of_it(
    crm: Destination, requests: int, per: int
) -> None:
    gap = per / requests
    random = Random(f"{requests} per {per}")
    starts: list[int] = []
    gates = [crm.gate(10_000, gap) for _ in range(2)]
    gates[1].holders = (f"another{number}" for number in range(10_000))
    for turn in range(300):
        permit = await gates[turn % 2].ask(random.choice([1, 3, 20]))
        starts += [crm.now] * len(permit.slots)
        if not permit.slots:
            assert permit.ask_at > crm.now
        pauses = [0, 1, 5, gap / 2, gap, 3 * gap, *([permit.ask_at - crm.now] * 6 if permit.ask_at else [])]
        crm.now += int(random.choice(pauses))
    for length in (1, int(gap) + 1, per, 5 * per):
        assert max(windows(starts, length)) <= (length + 50) / gap + 1
    assert len(starts) >= (crm.now - START) / gap / 8, "and it is not far below it either"


async def test_a_rate_is_reached_by_whoever_asks_when_told(crm: Destination) -> None:
    gate = crm.gate(10_000, 1_000 / 7)
    granted = 0
    while crm.now < START + 60_000:
        permit = await gate.ask(20)
        granted += len(permit.slots)
        crm.now = max(permit.ask_at, crm.now + 1)
    assert 7 * 60 - 1 <= granted <= 7 * 60 + 2


async def test_load_without_a_time_halves_what_is_in_flight_down_to_one(crm: Destination) -> None:
    gate = crm.gate(8)
    seen = []
    for _ in range(5):
        assert await gate.attempt("load") == "open"
        permit = await gate.ask(20)
        seen.append(len(permit.slots))
        for slot in permit.slots:
            await gate.gate.report(slot, "unused", is_probe=False)
    assert seen == [4, 2, 1, 1, 1]


async def test_ten_successes_in_a_row_give_one_back(crm: Destination) -> None:
    gate = crm.gate(8)
    await gate.attempt("load")

    async def allowed() -> int:
        slots = (await gate.ask(20)).slots
        for slot in slots:
            await gate.gate.report(slot, "unused", is_probe=False)
        return len(slots)

    for _ in range(9):
        await gate.attempt("delivered")
    assert await allowed() == 4
    await gate.attempt("delivered")
    assert await allowed() == 5
    for _ in range(9):
        await gate.attempt("delivered")
    await gate.attempt("load")
    assert await allowed() == 2
    for _ in range(60):
        await gate.attempt("delivered")
    assert await allowed() == 8
    for _ in range(20):
        await gate.attempt("delivered")
    assert await allowed() == 8


async def test_load_with_a_time_stops_everybody_until_then_and_halves_nothing(crm: Destination) -> None:
    gate = crm.gate(8)
    await gate.attempt("load", wait=30_000)
    permit = await gate.ask(20)
    assert (permit.slots, permit.ask_at) == ((), START + 30_000)
    crm.now += 30_000
    assert len((await gate.ask(20)).slots) == 8


async def test_the_longest_of_several_waits_holds(crm: Destination) -> None:
    gate = crm.gate(8)
    one, two = (await gate.ask(2)).slots
    await gate.gate.report(one, "load", is_probe=False, wait=30_000)
    await gate.gate.report(two, "load", is_probe=False, wait=5_000)
    assert (await gate.ask()).ask_at == START + 30_000


async def test_a_refusal_of_everybody_pauses_the_destination(crm: Destination) -> None:
    gate = crm.gate()
    assert await gate.gate.pause() is None
    await gate.refuse("it does not accept our key")
    pause = await gate.gate.pause()
    assert pause is not None
    assert (pause.since, pause.reason, pause.probe_at) == (START, "it does not accept our key", START + FIRST)
    assert (await gate.ask(4)).admitted == "untried"
    permit = await gate.ask(4)
    assert (permit.slots, permit.ask_at) == ((), START + UNTRIED_EVERY_MS)


async def test_one_lead_alone_pauses_nobody_however_often_it_is_refused(crm: Destination) -> None:
    gate = crm.gate()
    for _ in range(20):
        slot = await gate.slot()
        assert await gate.gate.report(slot, "refused", is_probe=False, lead="lead_x", refused_at=crm.now) == "alone"
        crm.now += FIRST
    assert await gate.attempt("refused") == "paused"


async def test_where_others_were_delivered_lately_a_refusal_is_about_its_own_lead(crm: Destination) -> None:
    gate = crm.gate()
    await gate.attempt("delivered")
    for _ in range(20):
        assert await gate.attempt("refused") == "open"
    crm.now += LATELY_MS - 1
    assert await gate.attempt("refused") == "open"
    crm.now += 1
    await gate.refuse()


async def test_one_refused_before_others_got_through_is_its_own_fault_for_good(crm: Destination) -> None:
    gate = crm.gate()
    refused_at = crm.now
    crm.now += 1
    await gate.attempt("delivered")
    crm.now += 100 * LATELY_MS
    for number in range(5):
        slot = await gate.slot()
        lead = f"lead_refused_{number}"
        assert await gate.gate.report(slot, "refused", is_probe=False, lead=lead, refused_at=refused_at) == "open"
    assert await gate.attempt("refused") == "alone", "those before said nothing about others"


async def test_a_pause_admits_what_was_never_tried_once_in_a_while_and_one_at_a_time(crm: Destination) -> None:
    gate = crm.gate()
    await gate.refuse()
    before = await gate.gate.pause()
    for _ in range(5):
        permit = await gate.ask(4)
        assert (len(permit.slots), permit.admitted) == (1, "untried")
        state = await gate.gate.report(permit.slots[0], "refused", is_probe=False, lead="lead_new")
        assert state == "closed"
        assert (await gate.ask(4)).slots == ()
        crm.now += UNTRIED_EVERY_MS
    assert await gate.gate.pause() == before, "nor do they make it longer"
    permit = await gate.ask(4)
    assert await gate.gate.report(permit.slots[0], "delivered", is_probe=False) == "opened"


async def test_a_turn_that_nothing_was_claimed_for_is_not_lost(crm: Destination) -> None:
    gap = FIRST - 2 * UNTRIED_EVERY_MS
    gate = crm.gate(gap=gap)
    assert await gate.attempt("refused") == "alone"
    crm.now += gap
    assert await gate.attempt("refused") == "paused"
    crm.now += gap
    permit = await gate.ask()
    assert permit.admitted == "untried"
    await gate.gate.report(permit.slots[0], "unclaimed", is_probe=False)
    assert (await gate.ask()).admitted == "untried"


async def test_others_that_were_under_way_say_nothing_new_about_a_pause(crm: Destination) -> None:
    gate = crm.gate()
    zeroth, first, second, third = (await gate.ask(4)).slots
    assert await gate.gate.report(zeroth, "refused", is_probe=False, reason="one", lead="lead_0") == "alone"
    assert await gate.gate.report(first, "refused", is_probe=False, reason="one", lead="lead_1") == "paused"
    crm.now += 1_000
    assert await gate.gate.report(second, "refused", is_probe=False, reason="two", lead="lead_2") == "closed"
    assert await gate.gate.report(third, "failed", is_probe=False) == "closed"
    pause = await gate.gate.pause()
    assert pause is not None
    assert (pause.since, pause.reason, pause.probe_at) == (START, "one", START + FIRST)


async def paused(crm: Destination, concurrency: int = 4) -> Clocked:
    gate = crm.gate(concurrency)
    await gate.refuse()
    crm.now += FIRST
    return gate


async def test_one_probe_at_a_time(crm: Destination) -> None:
    gate = await paused(crm)
    permit = await gate.ask(4)
    assert (len(permit.slots), permit.is_probe) == (1, True)
    second = await gate.ask(4)
    assert (second.slots, second.ask_at) == ((), crm.now + UNTRIED_EVERY_MS)


async def test_a_probe_that_never_reports_makes_room_for_another(crm: Destination) -> None:
    gate = await paused(crm)
    await gate.ask()
    crm.now += PROBE
    assert (await gate.ask()).is_probe


async def test_each_failed_probe_doubles_the_pause_up_to_an_hour(crm: Destination) -> None:
    gate = await paused(crm)
    lengths = []
    for result in ("refused", "failed", "refused", "load", "refused", "refused", "refused"):
        assert await gate.attempt(result, is_probe=True, reason="no") == "closed"
        pause = await gate.gate.pause()
        assert pause is not None
        assert pause.since == START
        lengths.append(pause.probe_at - crm.now)
        crm.now = pause.probe_at
    assert lengths == [2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, 32 * FIRST, LONGEST, LONGEST]


async def test_a_delivered_probe_opens_the_destination_and_wakes_the_workers(crm: Destination, redis_url: str) -> None:
    gate = await paused(crm)
    listener = connect(redis_url)
    async with listener.pubsub() as wakes:
        await wakes.subscribe("leads:wake")
        await wakes.get_message(timeout=1)
        assert await gate.attempt("delivered", is_probe=True) == "opened"
        message = await wakes.get_message(timeout=1)
        assert message is not None
        assert message["data"] == "crm"
    await listener.aclose(close_connection_pool=True)
    assert await gate.gate.pause() is None
    permit = await gate.ask(9)
    assert (len(permit.slots), permit.is_probe) == (4, False)


async def test_after_reopening_the_pauses_begin_anew(crm: Destination) -> None:
    gate = await paused(crm)
    await gate.attempt("refused", is_probe=True)
    crm.now += 2 * FIRST
    await gate.attempt("delivered", is_probe=True)
    crm.now += LATELY_MS
    await gate.refuse()
    pause = await gate.gate.pause()
    assert pause is not None
    assert (pause.since, pause.probe_at) == (crm.now, crm.now + FIRST)


async def test_an_unused_probe_may_be_made_at_once_and_an_unused_slot_is_free(crm: Destination) -> None:
    gate = await paused(crm, 1)
    assert await gate.attempt("unused", is_probe=True) == "closed"
    assert await gate.attempt("unused", is_probe=True) == "closed"
    assert await gate.attempt("delivered", is_probe=True) == "opened"
    assert await gate.attempt("unused") == "open"
    assert len((await gate.ask()).slots) == 1


async def test_a_lead_that_alone_is_refused_leaves_a_refused_destination_paused(crm: Destination) -> None:
    gate = await paused(crm)
    assert await gate.attempt("answered", is_probe=True) == "closed"
    assert await gate.gate.pause() is not None


async def test_a_worker_that_starts_may_probe_at_once(crm: Destination) -> None:
    gate = crm.gate()
    await gate.gate.probe_now()
    assert not (await gate.ask()).is_probe
    await gate.refuse()
    await gate.gate.probe_now()
    assert (await gate.ask()).is_probe


async def test_somebody_who_says_that_it_is_mended_opens_it_and_what_failed_goes_out(crm: Destination) -> None:
    gate = crm.gate()
    assert not await gate.gate.resume()
    began = crm.now
    await gate.refuse()
    crm.now += 1
    assert await gate.gate.resume()
    assert await gate.gate.pause() is None
    assert await gate.gate.to_give_back() == (began, crm.now)
    crm.now += 1
    assert await gate.attempt("refused") == "alone", "nothing was delivered by that"
    assert await gate.gate.resume(), "so that it does not wait any longer"
    assert not await gate.gate.resume()


async def test_what_was_given_back_is_said_once_and_not_if_there_is_more_by_now(crm: Destination) -> None:
    gate = crm.gate()
    began = crm.now
    await gate.refuse()
    crm.now += 1
    assert await gate.gate.resume()
    ended = crm.now
    crm.now += LATELY_MS
    await gate.refuse()
    assert await gate.gate.confirm()
    await gate.gate.given_back(ended)
    assert await gate.gate.to_give_back() == (began, crm.now)
    await gate.gate.given_back(crm.now)
    assert await gate.gate.to_give_back() is None


async def test_a_success_counts_even_if_its_slot_ran_out(crm: Destination) -> None:
    gate = await paused(crm)
    permit = await gate.ask()
    crm.now += SLOT_HELD_MS
    await gate.ask()
    assert await gate.gate.report(permit.slots[0], "delivered", is_probe=True) == "opened"


async def test_so_many_failures_in_a_row_over_so_long_pause_it_for_a_while(crm: Destination) -> None:
    number, length = FAILURES_THAT_PAUSE
    gate = crm.gate()
    for _ in range(number):
        assert await gate.attempt("failed", reason="timeout") == "open"
    crm.now += length - 1
    assert await gate.attempt("failed", reason="timeout") == "open"
    crm.now += 1
    assert await gate.attempt("failed", reason="timeout") == "paused"
    pause = await gate.gate.pause()
    assert pause is not None
    assert (pause.kind, pause.since, pause.probe_at) == ("failing", START, crm.now + FAILING_PAUSES_MS[0])
    crm.now = pause.probe_at
    assert await gate.attempt("answered", is_probe=True) == "opened"


@pytest.mark.parametrize("result", ["delivered", "answered"])
async def test_an_answer_in_between_begins_the_count_anew(crm: Destination, result: Verdict) -> None:
    gate = crm.gate()
    for _ in range(3):
        for _ in range(FAILURES_THAT_PAUSE[0] - 1):
            assert await gate.attempt("failed") == "open"
            crm.now += FAILURES_THAT_PAUSE[1]
        assert await gate.attempt(result) == "open"


async def test_gates_of_two_destinations_know_nothing_of_each_other(crm: Destination) -> None:
    gate = crm.gate(1)
    await gate.attempt("refused")
    other = Gate(crm.server, "erp", Pace(1, 0, PROBE))
    assert len((await other.ask(1, "w")).slots) == 1


async def test_a_smaller_concurrency_in_the_configuration_holds_at_once(crm: Destination) -> None:
    await crm.gate(8).ask(2)
    assert (await crm.gate(2).ask(2)).slots == ()
