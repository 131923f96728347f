"""What follows from an attempt, as a table; and that what cannot be rendered is refused, not tried for ever."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from service.delivery import courier
from service.delivery.attempt import Conclusion, attempt, conclude, describe, foretell, verdict_of, wait_for_everybody
from service.delivery.connections import PrivateAddressError
from service.delivery.courier import insist
from service.destinations.destination import Conversation
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.rules import Response
from service.destinations.webhook import Webhook
from service.model.lead import Content, Delivery, Lead
from service.store.breaker import GateState, Verdict
from service.store.records import Claim

BEGAN, NOW = 1_790_000_000_000, 1_790_000_000_250
PAUSES = (1_000, 60_000)
SENT = Delivery(Lead("lead_1", "callback", 3, Content({}, {}), BEGAN, BEGAN, BEGAN, 1), "lead.created")
SETUP = Retry("no key", None, "setup", 401, "answered")
FAILED = Retry("broke", None, "delivery", 500, "answered")
PUT_OFF = Retry("later", NOW + 5_000, "delivery", 500, "answered")
LOAD = Retry("slow down", None, "load", 429, "answered")
LOAD_UNTIL = Retry("closed", NOW + 90_000, "load", 503, "answered")
REFUSED = Rejected("wrong", 422, "answered")
HALF = 0.5  # of the 20 % that a pause may be longer


def claim(tries: int = 0) -> Claim:
    return Claim("callback", "crm", SENT, tries, 0, "token")


def concluded(outcome: Outcome, *, tries: int = 0, state: GateState = "open") -> Conclusion:
    return conclude(claim(tries), outcome, PAUSES, state, began=BEGAN, now=NOW, jitter=HALF)


Row = tuple[str, int, bool]
DELIVERED: Row = ("delivered", 0, True)
DEAD: Row = ("dead", 0, True)
FIRST: Row = ("retry", NOW + 1_100, True)
SECOND: Row = ("retry", NOW + 66_000, True)
PUSHED: Row = ("retry", NOW + 5_000, True)
FREE: Row = ("retry", 0, False)
FREE_LATER: Row = ("retry", NOW + 5_000, False)
FREE_MUCH_LATER: Row = ("retry", NOW + 90_000, False)

# outcome, what it says to the gate and how long everybody is to wait, then what follows with no, one and two tries used
# up where the destination is open and has two pauses, and at last what follows while it is paused
TABLE: list[tuple[Outcome, Verdict, int, Row, Row, Row, Row]] = [
    (Delivered(200), "delivered", 0, DELIVERED, DELIVERED, DELIVERED, DELIVERED),
    (REFUSED, "answered", 0, DEAD, DEAD, DEAD, DEAD),
    (Rejected("cannot be rendered"), "unused", 0, DEAD, DEAD, DEAD, DEAD),
    (FAILED, "failed", 0, FIRST, SECOND, DEAD, FREE),
    (PUT_OFF, "failed", 0, PUSHED, SECOND, DEAD, FREE_LATER),
    (LOAD, "load", 0, FIRST, SECOND, DEAD, FREE),
    (LOAD_UNTIL, "load", 90_000, FIRST, SECOND, DEAD, FREE_MUCH_LATER),
    (SETUP, "refused", 0, FIRST, SECOND, DEAD, FREE),
    (Retry("broke us", scope="fault"), "unused", 0, FIRST, SECOND, DEAD, FIRST),
]


def shown(result: Conclusion) -> Row:
    return result.attempt.result, result.due, result.is_charged


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0].__class__.__name__} {getattr(row[0], 'reason', '')}")
def test_what_follows_from_an_outcome(row: tuple[Outcome, Verdict, int, Row, Row, Row, Row]) -> None:
    outcome, verdict, wait, *rows, paused = row
    assert (verdict_of(outcome), wait_for_everybody(outcome, NOW)) == (verdict, wait)
    assert [shown(concluded(outcome, tries=tries)) for tries in range(3)] == rows
    for state in ("paused", "closed"):
        assert shown(concluded(outcome, state=state)) == paused
        if paused is FREE:
            assert shown(concluded(outcome, tries=2, state=state)) == FREE, "what is charged to nobody ends nobody"


@pytest.mark.parametrize(
    ("age", "wait"), [(0, 60_000), (59_000, 60_000), (120_000, 120_000), (3_600_000, 3_600_000), (10**9, 3_600_000)]
)
@pytest.mark.parametrize("tries", [0, 2])
def test_one_refused_as_the_only_one_is_tried_more_and_more_rarely_and_pays_nothing(
    age: int, wait: int, tries: int
) -> None:
    lead = replace(SENT.lead, accepted_at=NOW - age)
    alone = replace(claim(tries), delivery=replace(SENT, lead=lead))
    result = conclude(alone, SETUP, PAUSES, "alone", began=BEGAN, now=NOW, jitter=HALF)
    assert shown(result) == ("retry", NOW + wait, False)


def test_the_attempt_says_when_how_long_and_what_was_answered() -> None:
    said = concluded(REFUSED).attempt
    assert (said.at, said.version, said.took, said.status, said.reason, said.excerpt) == (
        BEGAN, 3, 250, 422, "wrong", "answered",
    )  # fmt: skip


def test_one_that_ran_out_of_tries_says_so_and_why() -> None:
    assert concluded(FAILED, tries=2).attempt.reason == "no try is left; at the last one broke"
    assert concluded(FAILED, tries=1).attempt.reason == "broke"


@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.999])
def test_jitter_never_makes_a_retry_early(jitter: float) -> None:
    result = conclude(claim(), FAILED, PAUSES, "open", began=BEGAN, now=NOW, jitter=jitter)
    assert NOW + 1_000 <= result.due <= NOW + 1_200


def test_a_retry_after_in_the_past_is_no_negative_wait() -> None:
    assert wait_for_everybody(replace(LOAD_UNTIL, after=NOW - 10), NOW) == 0


class Sends:
    """A sender that gives one thing."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives

    async def send(self, request: Any, *, within_s: float | None = None) -> Any:  # noqa: ARG002  the protocol's word
        assert request.method == "POST"
        return self.gives


HOOK = Webhook("crm", ("https://crm.test/",))


def tried(gives: Any, destination: Any = HOOK) -> Outcome:
    return asyncio.run(attempt(destination, Sends(gives), SENT, lambda: NOW))


def test_an_answer_is_judged_by_its_destination() -> None:
    answer = Response(409, {}, "exists")
    assert isinstance(tried(answer), Retry)
    assert tried(answer, replace(HOOK, delivered=frozenset({409}))) == Delivered(409)


def test_a_private_address_is_our_setup() -> None:
    outcome = tried(PrivateAddressError("private"))
    assert isinstance(outcome, Retry)
    assert outcome.scope == "setup"
    assert "allow_private" in outcome.reason


def test_no_answer_in_time_is_tried_again() -> None:
    assert tried(TimeoutError()) == Retry("the CRM did not answer in time")


def test_what_breaks_us_on_an_answer_is_tried_again_by_the_retry_list() -> None:
    class Broken(Webhook):
        def judge(self, *_: object) -> Outcome:
            raise ValueError("Asha Rao")

    answer = Response(200, {}, "")
    outcome = tried(answer, Broken("crm", ("https://crm.example.com/",)))
    assert isinstance(outcome, Retry)
    assert (outcome.scope, "ValueError" in outcome.reason, "Asha" in outcome.reason) == ("fault", True, False)


def test_what_cannot_be_rendered_is_refused_and_says_nothing_of_the_lead() -> None:
    class Broken(Webhook):
        def request(self, *_: object) -> Any:
            raise ValueError("Asha Rao")

    outcome = tried(None, Broken("crm", ("https://crm.example.com/",)))
    assert isinstance(outcome, Rejected)
    assert "ValueError" in outcome.reason
    assert "Asha" not in outcome.reason


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Delivered(204), "delivered: it answered 204"),
        (FAILED, "would be tried again: broke\nit answered: answered"),
        (Retry("broke"), "would be tried again: broke"),
        (REFUSED, "refused: wrong\nit answered: answered"),
        (Rejected("wrong"), "refused: wrong"),
    ],
)
def test_an_outcome_in_words(outcome: Outcome, said: str) -> None:
    assert describe(outcome) == said


@pytest.mark.parametrize(
    ("outcome", "retry", "said"),
    [
        (Delivered(204), PAUSES, "A real lead would be delivered."),
        (
            REFUSED,
            PAUSES,
            "A real lead would be dead at once; `leads dead` would say why, `leads replay` send it again.",
        ),
        (
            SETUP,
            (),
            "A real lead would wait, losing no try. Once a second one is refused, all wait until it is mended.",
        ),
        (FAILED, PAUSES, "A real lead would be tried again 2 times, first after 1.0 s, and then be dead."),
        (LOAD, (300_000,), "A real lead would be tried again once, first after 5 min, and then be dead."),
        (FAILED, (), "A real lead would be dead at once: `retry` is empty."),
    ],
)
def test_what_a_real_lead_would_meet_in_words(outcome: Outcome, retry: tuple[int, ...], said: str) -> None:
    assert foretell(outcome, retry) == said


Failing = Literal["twice", "for ever"]


@pytest.mark.parametrize("how", ["twice", "for ever"])
def test_what_redis_does_not_take_is_said_again_until_it_does_or_a_minute_is_over(
    how: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "KEEP_TRYING_S", 0.2)
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        if how == "for ever" or calls < 3:
            raise RedisConnectionError
        return "taken"

    if how == "twice":
        assert asyncio.run(insist(call)) == "taken"
        assert calls == 3
    else:
        with pytest.raises(RedisConnectionError):
            asyncio.run(insist(call))


def test_what_is_no_failure_of_redis_is_not_repeated() -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(insist(call))
    assert calls == 1


class TwoSteps(Webhook):
    """A CRM that has to be asked twice: the answer to the first request is part of the second."""

    def conversation(self, delivery: Delivery, clock: Any) -> Conversation:
        answer: Any = yield self.request(delivery, clock())
        if answer.status == 404:
            return Rejected("it knows no such list")
        made: Any = yield httpx.Request("POST", f"https://crm.test/{answer.text}")
        return self.judge(made, clock())


@pytest.mark.parametrize(
    ("gives", "asked", "expected"),
    [
        ([Response(201, {}, "17"), Response(200, {}, "")], ["/", "/17"], Delivered(200)),
        ([Response(404, {}, "")], ["/"], Rejected("it knows no such list")),
        ([TimeoutError()], ["/"], Retry("the CRM did not answer in time")),
        ([Response(201, {}, "17"), TimeoutError()], ["/", "/17"], Retry("the CRM did not answer in time")),
    ],
)
def test_a_delivery_is_a_conversation_with_one_deadline(gives: list[Any], asked: list[str], expected: Outcome) -> None:
    paths: list[str] = []
    allowed: list[float | None] = []

    class Listens:
        async def send(self, request: httpx.Request, *, within_s: float | None = None) -> Any:
            paths.append(request.url.path)
            allowed.append(within_s)
            return gives[len(paths) - 1]

    hook = TwoSteps("crm", ("https://crm.test/",), timeout=1_000)
    assert asyncio.run(attempt(hook, Listens(), SENT, lambda: NOW)) == expected
    assert paths == asked
    assert all(left is not None and left <= 1 for left in allowed[1:])
