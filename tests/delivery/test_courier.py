"""What follows from an attempt, as a table; and that what cannot be rendered is refused, not tried for ever."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from service.delivery import courier
from service.delivery.attempt import Conclusion, attempt, conclude, describe
from service.delivery.connections import PrivateAddressError
from service.delivery.courier import insist
from service.destinations.destination import Conversation
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.rules import Response
from service.destinations.webhook import Webhook
from service.model.lead import Content, Delivery, Lead
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


def claim(tries: int, *, is_refused: bool) -> Claim:
    return Claim("callback", "crm", SENT, tries, is_refused, "token")


def concluded(outcome: Outcome, *, tries: int = 0, is_probe: bool = False, is_refused: bool = False) -> Conclusion:
    return conclude(
        claim(tries, is_refused=is_refused), outcome, PAUSES, is_probe=is_probe, began=BEGAN, now=NOW, jitter=HALF
    )


Row = tuple[str, str, int, bool, int]
DELIVERED: Row = ("delivered", "delivered", 0, True, 0)
DEAD: Row = ("dead", "answered", 0, True, 0)
TIRED: Row = ("dead", "failed", 0, True, 0)
FREE: Row = ("retry", "refused", NOW, False, 0)
FIRST: Row = ("retry", "failed", NOW + 1_100, True, 0)
SECOND: Row = ("retry", "failed", NOW + 66_000, True, 0)
PUSHED: Row = ("retry", "failed", NOW + 5_000, True, 0)
SLOWED: Row = ("retry", "load", NOW + 1_100, True, 0)
SLOWED_AGAIN: Row = ("retry", "load", NOW + 66_000, True, 0)
HELD: Row = ("retry", "load", NOW + 1_100, True, 90_000)
HELD_AGAIN: Row = ("retry", "load", NOW + 66_000, True, 90_000)
WORN: Row = ("dead", "load", 0, True, 0)
WORN_HELD: Row = ("dead", "load", 0, True, 90_000)

# outcome, then what follows with no, one and two tries used up, where the destination has two pauses
TABLE: list[tuple[Outcome, Row, Row, Row]] = [
    (Delivered(200), DELIVERED, DELIVERED, DELIVERED),
    (REFUSED, DEAD, DEAD, DEAD),
    (FAILED, FIRST, SECOND, TIRED),
    (PUT_OFF, PUSHED, SECOND, TIRED),
    (LOAD, SLOWED, SLOWED_AGAIN, WORN),
    (LOAD_UNTIL, HELD, HELD_AGAIN, WORN_HELD),
]


def shown(result: Conclusion) -> Row:
    return result.attempt.result, result.verdict, result.due, result.is_charged, result.wait


@pytest.mark.parametrize("is_refused", [False, True])
@pytest.mark.parametrize("tries", [0, 1, 2])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0].__class__.__name__} {getattr(row[0], 'reason', '')}")
def test_what_is_about_a_lead_or_the_load_follows_the_retry_list(
    row: tuple[Outcome, Row, Row, Row], tries: int, is_refused: bool
) -> None:
    assert shown(concluded(row[0], tries=tries, is_refused=is_refused)) == row[1 + tries]


@pytest.mark.parametrize("is_refused", [False, True])
@pytest.mark.parametrize("tries", [0, 2])
@pytest.mark.parametrize(
    ("outcome", "row"),
    [
        (Delivered(200), DELIVERED),
        (REFUSED, DEAD),
        (FAILED, ("retry", "failed", NOW, False, 0)),
        (PUT_OFF, ("retry", "failed", NOW + 5_000, False, 0)),
        (LOAD, ("retry", "load", NOW, False, 0)),
        (LOAD_UNTIL, ("retry", "load", NOW + 90_000, False, 90_000)),
    ],
)
def test_a_probe_that_fails_is_charged_to_nobody(outcome: Outcome, row: Row, tries: int, is_refused: bool) -> None:
    assert shown(concluded(outcome, tries=tries, is_refused=is_refused, is_probe=True)) == row


@pytest.mark.parametrize(
    ("is_probe", "is_refused", "tries", "row"),
    [
        (False, False, 0, FREE),
        (False, False, 1, FREE),
        (False, False, 2, FREE),
        (True, False, 0, FREE),
        (True, False, 2, FREE),
        (True, True, 0, FREE),  # the only lead there is to probe with pays nothing for it
        (True, True, 2, FREE),
        (False, True, 0, FIRST),  # others got through since: it is this lead that is refused
        (False, True, 1, SECOND),
        (False, True, 2, TIRED),
    ],
)
def test_a_refusal_of_everybody_pauses_and_charges_nothing_unless_others_got_through(
    is_probe: bool, is_refused: bool, tries: int, row: Row
) -> None:
    assert shown(concluded(SETUP, tries=tries, is_refused=is_refused, is_probe=is_probe)) == row


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
    result = conclude(claim(0, is_refused=False), FAILED, PAUSES, is_probe=False, began=BEGAN, now=NOW, jitter=jitter)
    assert NOW + 1_000 <= result.due <= NOW + 1_200


def test_a_retry_after_in_the_past_is_no_negative_wait() -> None:
    assert concluded(replace(LOAD_UNTIL, after=NOW - 10)).wait == 0
    assert concluded(replace(LOAD_UNTIL, after=NOW - 10), is_probe=True).wait == 0


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


@pytest.mark.parametrize("is_probe", [False, True])
@pytest.mark.parametrize(
    ("outcome", "row"),
    [
        (Retry("broke us", scope="fault"), ("retry", "unused", NOW + 1_100, True, 0)),
        (Rejected("cannot be rendered"), ("dead", "unused", 0, True, 0)),
    ],
)
def test_a_fault_of_ours_is_charged_and_says_nothing_about_the_destination(
    outcome: Outcome, row: Row, is_probe: bool
) -> None:
    assert shown(concluded(outcome, is_probe=is_probe)) == row


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
        answer = yield self.request(delivery, clock())
        if answer.status == 404:
            return Rejected("it knows no such list")
        made = yield httpx.Request("POST", f"https://crm.test/{answer.text}")
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
