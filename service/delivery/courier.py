"""One delivery on its way from its lease to what became of it.

Law: the destination says what is sent and what an answer means, `conclude` what follows from that; the courier only
carries it to the store and to the destination's gate. What happened is returned; nothing is logged or counted here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, assert_never

import httpx

from service.delivery.sender import Answer, PrivateAddressError
from service.destinations.destination import Destination
from service.destinations.failure import judge_failure
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry, Scope, next_try
from service.lib.text import one_line
from service.model.lead import Delivery
from service.store.breaker import Gate, GateState, Report
from service.store.cipher import UnreadableError
from service.store.health import FAILURES
from service.store.leads import Settled, Store
from service.store.records import Attempt, Claim

LEASE_BEYOND_TIMEOUT: Final = 5_000
KEEP_TRYING_S: Final = 60.0

_REPORTS: Final[Mapping[Scope, Report]] = {
    "delivery": "failed", "load": "load", "setup": "failed", "fault": "unused",
}  # fmt: skip
"""What an attempt that is put off tells the gate. One refused by a setup that others get through with is its own."""

T = TypeVar("T")


class Sends(Protocol):
    """What a delivery needs of a sender."""

    async def send(self, request: httpx.Request) -> Answer | httpx.RequestError | TimeoutError:
        """Send a request and return what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is to be written down after an attempt. `due` (ms) only of a retry; `wait` (ms) only of a `load` report.

    `is_charged` False: it does not count against the retry list, because it was about the destination, not this lead.
    """

    attempt: Attempt
    report: Report
    due: int = 0
    is_charged: bool = True
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Attempted:
    """What happened: the claim, its conclusion, and what store and gate said to it."""

    claim: Claim
    conclusion: Conclusion
    settled: Settled
    state: GateState


def conclude(
    claim: Claim, outcome: Outcome, retry: tuple[int, ...], *, is_probe: bool, began: int, now: int, jitter: float
) -> Conclusion:
    """Decide what follows from an outcome. `retry` holds the pauses in ms, `jitter` is in [0, 1)."""
    version, took = claim.delivery.lead.version, now - began
    match outcome:
        case Delivered(status):
            return Conclusion(Attempt(began, version, "delivered", took, status), "delivered")
        case Rejected(reason, status, excerpt):
            # Without a status it was refused here, and the destination was not even asked.
            report: Report = "unused" if status is None else "answered"
            return Conclusion(Attempt(began, version, "dead", took, status, reason, excerpt), report)
        case Retry(reason, _, "setup", status, excerpt) if is_probe or not claim.is_refused:
            attempt = Attempt(began, version, "retry", took, status, reason, excerpt)
            return Conclusion(attempt, "refused", due=now, is_charged=False)
        case Retry(reason, after, scope, status, excerpt) if is_probe and scope != "fault":
            attempt = Attempt(began, version, "retry", took, status, reason, excerpt)
            return Conclusion(attempt, _REPORTS[scope], after or now, is_charged=False, wait=_wait(outcome, now))
        case Retry():
            return _put_off(claim, outcome, retry, began=began, now=now, jitter=jitter)
    assert_never(outcome)


def _put_off(
    claim: Claim, outcome: Retry, retry: tuple[int, ...], *, began: int, now: int, jitter: float
) -> Conclusion:
    due = next_try(claim.tries + 1, retry, now, jitter, None if outcome.scope == "load" else outcome.after)
    reason = outcome.reason if due is not None else f"no try is left; at the last one {outcome.reason}"
    attempt = Attempt(
        began, claim.delivery.lead.version, "dead" if due is None else "retry", now - began,
        outcome.status, reason, outcome.excerpt,
    )  # fmt: skip
    return Conclusion(attempt, _REPORTS[outcome.scope], due or 0, wait=_wait(outcome, now))


def _wait(outcome: Retry, now: int) -> int:
    """Return how long everybody is to wait, ms: only an answer that speaks for everybody says so."""
    return max(0, (outcome.after or now) - now) if outcome.scope == "load" else 0


async def attempt(destination: Destination, sender: Sends, delivery: Delivery, clock: Callable[[], int]) -> Outcome:
    """Send a delivery once and say what it came to. `clock` gives ms."""
    try:
        request = destination.request(delivery, clock())
    except Exception as error:  # noqa: BLE001 -- a lead we cannot render must not be tried for ever, nor end the worker
        return Rejected(f"we could not make a request of it ({type(error).__name__}); this is a fault of the service")
    try:
        answer = await sender.send(request)
        return _judge(destination, answer, clock())
    except Exception as error:  # noqa: BLE001 -- what breaks us here may break us each time, and is to end in a reason
        return Retry(f"we broke on its answer ({type(error).__name__}); this is a fault of the service", scope="fault")


def _judge(destination: Destination, answer: Answer | httpx.RequestError | TimeoutError, now: int) -> Outcome:
    match answer:
        case Answer(status, headers, text):
            return destination.judge(status, headers, text, now)
        case PrivateAddressError():
            return Retry("its address is a private one, which needs `allow_private = true`", scope="setup")
        case _:
            return judge_failure(answer)


def describe(outcome: Outcome) -> str:
    """Say in a line or two what an outcome means, for whoever tries a destination out."""
    match outcome:
        case Delivered(status):
            return f"delivered: it answered {status}"
        case Retry(reason, _, _, _, excerpt):
            return f"would be tried again: {reason}" + (f"\nit answered: {one_line(excerpt)}" if excerpt else "")
        case Rejected(reason, _, excerpt):
            return f"refused: {reason}" + (f"\nit answered: {one_line(excerpt)}" if excerpt else "")
    assert_never(outcome)


class Courier:
    """Carries claimed deliveries to one destination; `jitter` is asked once an attempt."""

    def __init__(
        self, destination: Destination, *, store: Store, gate: Gate, sender: Sends, jitter: Callable[[], float]
    ) -> None:
        self._destination = destination
        self._store = store
        self._gate = gate
        self._sender = sender
        self._jitter = jitter

    async def carry(self, claim: Claim, slot: str, *, is_probe: bool) -> Attempted:
        """Send it once, write down what that came to, and give the slot back."""
        began = self._store.server.now()
        outcome = await self._outcome(claim)
        conclusion = conclude(
            claim, outcome, tuple(self._destination.retry),
            is_probe=is_probe, began=began, now=self._store.server.now(), jitter=self._jitter(),
        )  # fmt: skip
        if conclusion.report == "refused":  # Nobody else may try before the gate is shut.
            state = await self._report(slot, conclusion, is_probe=is_probe)
            return Attempted(claim, conclusion, await self._settle(claim, conclusion), state)
        settled = await self._settle(claim, conclusion)
        return Attempted(claim, conclusion, settled, await self._report(slot, conclusion, is_probe=is_probe))

    async def _outcome(self, claim: Claim) -> Outcome:
        if claim.fault == UnreadableError.__name__:
            reason = "no key in LEADS_ENCRYPTION_KEY opens what is kept of it: add the one it was encrypted with"
            return Retry(reason, scope="fault")
        if claim.fault:
            reason = f"we could not read what is kept of it ({claim.fault}); this is a fault of the service"
            return Retry(reason, scope="fault")
        return await attempt(self._destination, self._sender, claim.delivery, self._store.server.now)

    async def _settle(self, claim: Claim, conclusion: Conclusion) -> Settled:
        return await insist(
            lambda: self._store.settle(
                claim,
                conclusion.attempt,
                due=conclusion.due,
                is_charged=conclusion.is_charged,
                is_refused=conclusion.report == "refused",
            )
        )

    async def _report(self, slot: str, conclusion: Conclusion, *, is_probe: bool) -> GateState:
        return await insist(
            lambda: self._gate.report(
                slot, conclusion.report, is_probe=is_probe, wait=conclusion.wait, reason=conclusion.attempt.reason
            )
        )


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that may be made twice until Redis takes it; raises its failure after a minute of that."""
    pause = 0.1
    give_up_at = asyncio.get_running_loop().time() + KEEP_TRYING_S
    while True:
        try:
            return await call()
        except FAILURES:
            if asyncio.get_running_loop().time() > give_up_at:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2.0)
