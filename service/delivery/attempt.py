"""One attempt to deliver: it is sent, what it came to is judged, and what follows from that is decided.

Invariant: the destination says what is sent and what an answer means, `conclude` what follows from that; nothing is
written down here.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, assert_never, cast

import httpx
import msgspec

from service.delivery.connections import PrivateAddressError
from service.destinations.destination import Carrier, Destination
from service.destinations.failure import judge_failure
from service.destinations.oauth import TokenAsk, TokenHeld
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry, Scope, next_try
from service.lib.text import one_line
from service.lib.times import length
from service.model.lead import Delivery
from service.store.breaker import REFUSED_PAUSES_MS, GateState, Verdict
from service.store.records import Attempt, Claim

LEASE_BEYOND_TIMEOUT: Final = 5_000

_VERDICTS: Final[Mapping[Scope, Verdict]] = {
    "delivery": "failed", "load": "load", "setup": "refused", "token": "refused", "fault": "unused",
}  # fmt: skip
"""What an attempt that is put off says to the gate."""
PEERS: Final[Mapping[Carrier, str]] = {"http": "the CRM", "smtp": "the mail server"}
"""What the other end is called."""


class Sends(Protocol):
    """What a delivery needs of what carries its messages."""

    async def send(self, message: Any, /, *, within_s: float | None = None) -> Any:  # noqa: ANN401 -- destination and carrier speak of the same
        """Send a message and return the answer to it, or the httpx.RequestError or TimeoutError that came of it."""
        ...


GivesToken: TypeAlias = Callable[[TokenAsk, Sends, float], Awaitable[TokenHeld | Retry]]
"""Returns the token that is asked for, or why there is none, within so many seconds."""
_NO_TOKEN: Final = Retry("nobody is there to fetch a token; this is a bug of the service", scope="fault")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is to be written down after an attempt. `due` (ms) only of a retry, 0: at once.

    `is_charged` False: it does not count against the retry list, because it was about the destination, not this lead.
    """

    attempt: Attempt
    due: int = 0
    is_charged: bool = True


def verdict_of(outcome: Outcome) -> Verdict:
    """Return what an outcome says to the destination's gate."""
    match outcome:
        case Delivered():
            return "delivered"
        case Rejected():
            # Without a status it was refused here, and the destination was not even asked.
            return "unused" if outcome.status is None else "answered"
        case Retry():
            return _VERDICTS[outcome.scope]
    assert_never(outcome)


def wait_for_everybody(outcome: Outcome, now: int) -> int:
    """Return how long everybody is to wait, ms: only an answer that speaks for everybody says so."""
    if not isinstance(outcome, Retry) or outcome.scope != "load":
        return 0
    return max(0, (outcome.after or now) - now)


def is_given_back(outcome: Outcome) -> bool:
    """Return whether a failed try is given back once its destination turns out to have failed for others too.

    Not where it asked for a time for this lead alone: it had said when to come again.
    """
    return isinstance(outcome, Retry) and outcome.scope != "fault" and (outcome.scope == "load" or not outcome.after)


def conclude(
    claim: Claim, outcome: Outcome, retry: tuple[int, ...], state: GateState, *, began: int, now: int, jitter: float
) -> Conclusion:
    """Decide what follows from an outcome. `retry` holds the pauses in ms, `jitter` is in [0, 1).

    `state` is how the destination stands: only while it is open is a lead charged with what became of it.
    """
    record = functools.partial(Attempt, began, claim.delivery.lead.version, took=now - began, status=outcome.status)
    match outcome:
        case Delivered():
            return Conclusion(record(result="delivered", excerpt=outcome.excerpt))
        case Rejected():
            return Conclusion(record(result="dead", reason=outcome.reason, excerpt=outcome.excerpt))
        case Retry():
            retried = record(result="retry", reason=outcome.reason, excerpt=outcome.excerpt)
            if state == "open" or outcome.scope == "fault":
                return _put_off(claim, outcome, retried, retry, now=now, jitter=jitter)
            due = _alone_again(claim, now) if state == "alone" else 0
            return Conclusion(retried, max(due, outcome.after or 0), is_charged=False)
    assert_never(outcome)


def _put_off(
    claim: Claim, outcome: Retry, retried: Attempt, retry: tuple[int, ...], *, now: int, jitter: float
) -> Conclusion:
    """Return when the next try is due, or that none is left."""
    due = next_try(claim.tries + 1, retry, now, jitter, None if outcome.scope == "load" else outcome.after)
    if due is None:
        reason = f"no try is left; at the last one {outcome.reason}"
        retried = msgspec.structs.replace(retried, result="dead", reason=reason)
    return Conclusion(retried, due or 0)


def _alone_again(claim: Claim, now: int) -> int:
    """Return when one is tried again that is refused and that nobody else is there to be compared with."""
    shortest, longest = REFUSED_PAUSES_MS
    return now + min(max(now - claim.delivery.lead.accepted_at, shortest), longest)


async def attempt(
    destination: Destination,
    sender: Sends,
    delivery: Delivery,
    clock: Callable[[], int],
    token: GivesToken | None = None,
) -> Outcome:
    """Hold the conversation of a delivery once and say what it came to. `clock` gives ms, `token` what it asks for."""
    return await converse(destination, sender, functools.partial(destination.conversation, delivery, clock), token)


async def converse(
    destination: Destination,
    sender: Sends,
    conversation: Callable[[], Generator[Any, Any, Outcome]],
    token: GivesToken | None = None,
) -> Outcome:
    """Hold a conversation with a destination once, within its time, and say what it came to."""
    ends_at = asyncio.get_running_loop().time() + destination.timeout / 1000
    begun = _begin(conversation)
    if not isinstance(begun, tuple):
        return begun
    talk, said = begun
    try:
        while True:
            left_s = max(0.0, ends_at - asyncio.get_running_loop().time())
            if isinstance(said, TokenAsk):
                said = talk.send(await token(said, sender, left_s) if token else _NO_TOKEN)
                continue
            answer = await sender.send(said, within_s=left_s)
            if isinstance(answer, httpx.RequestError | TimeoutError):
                return judge_unanswered(answer, destination.carrier)
            said = talk.send(answer)
    except StopIteration as end:
        return cast("Outcome", end.value)
    except Exception as error:  # noqa: BLE001 -- a bug here may strike each time: it is to end in a reason
        return Retry(
            f"its answer could not be handled ({type(error).__name__}); this is a bug of the service", scope="fault"
        )
    finally:
        talk.close()


def _begin(
    conversation: Callable[[], Generator[Any, Any, Outcome]],
) -> tuple[Generator[Any, Any, Outcome], Any] | Outcome:
    """Return a conversation and what it says first, or the outcome if there is nothing to send."""
    try:
        talk = conversation()
        return talk, next(talk)
    except StopIteration as end:
        return cast("Outcome", end.value)
    except Exception as error:  # noqa: BLE001 -- a lead that cannot be rendered must not be tried for ever
        return Rejected(f"the request could not be made ({type(error).__name__}); this is a bug of the service")


def judge_unanswered(error: httpx.RequestError | TimeoutError, carrier: Carrier = "http") -> Retry:
    """Return what a message that got no answer means."""
    if isinstance(error, PrivateAddressError):
        return Retry("its address is a private one, which needs `allow_private = true`", scope="setup")
    return judge_failure(error, PEERS[carrier])


def foretell(outcome: Outcome, retry: Sequence[int]) -> str:
    """Say what a real lead would meet where a test came to this. `retry` holds the pauses of the destination, ms."""
    match outcome:
        case Delivered():
            return "A real lead would be delivered."
        case Rejected():
            return "A real lead would be dead at once; `leads dead` would say why, `leads replay` send it again."
        case Retry(scope="setup" | "token"):
            return "A real lead would wait, losing no try. Once a second one is refused, all wait until it is mended."
        case Retry():
            if not retry:
                return "A real lead would be dead at once: `retry` is empty."
            times = "once" if len(retry) == 1 else f"{len(retry)} times"
            return f"A real lead would be tried again {times}, first after {length(retry[0])}, and then be dead."
    assert_never(outcome)


def describe(outcome: Outcome) -> str:
    """Say in a line or two what an outcome means, for whoever tries a destination out."""
    match outcome:
        case Delivered(status, excerpt):
            return f"delivered: it answered {status}" + (f"\nin its words: {one_line(excerpt)}" if excerpt else "")
        case Retry(reason, _, _, _, excerpt):
            return f"would be tried again: {reason}" + (f"\nit answered: {one_line(excerpt)}" if excerpt else "")
        case Rejected(reason, _, excerpt):
            return f"refused: {reason}" + (f"\nit answered: {one_line(excerpt)}" if excerpt else "")
    assert_never(outcome)
