"""One delivery on its way from its lease to what became of it.

Invariant: what follows from an attempt is decided in `attempt`; the courier only carries it to the store and to the
destination's gate. What happened is returned; nothing is logged or counted here.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from service.delivery.attempt import (
    Conclusion,
    GivesToken,
    Sends,
    attempt,
    conclude,
    is_given_back,
    verdict_of,
    wait_for_everybody,
)
from service.destinations.destination import Destination
from service.destinations.outcome import Delivered, Outcome, Retry
from service.store.breaker import Admitted, Gate, GateState
from service.store.leads import MOST_GIVEN_BACK, Settled, Store
from service.store.records import Claim
from service.store.server.health import FAILURES

KEEP_TRYING_S: Final = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempted:
    """What happened: the claim, its conclusion, and what store and gate said to it."""

    claim: Claim
    conclusion: Conclusion
    settled: Settled
    state: GateState


class Courier:
    """Carries claimed deliveries to one destination; `jitter` is asked once an attempt."""

    def __init__(
        self, destination: Destination, *, store: Store, gate: Gate, sender: Sends, jitter: Callable[[], float],
        token: GivesToken | None = None,
    ) -> None:  # fmt: skip
        self._destination = destination
        self._store = store
        self._gate = gate
        self._sender = sender
        self._jitter = jitter
        self._token = token

    async def carry(self, claim: Claim, slot: str, admitted: Admitted) -> Attempted:
        """Send it once, write down what that came to, and give the slot back."""
        began = self._store.server.now()
        outcome = await self._outcome(claim)
        judge = functools.partial(
            conclude, claim, outcome, tuple(self._destination.retry),
            began=began, now=self._store.server.now(), jitter=self._jitter(),
        )  # fmt: skip
        report = functools.partial(self._report, claim, outcome, slot, began, is_probe=admitted == "probe")
        if isinstance(outcome, Retry):  # Whether the lead pays for it depends on what became of others.
            state = await report()
            conclusion = judge(state)
            return Attempted(claim, conclusion, await self._settle(claim, outcome, conclusion), state)
        conclusion = judge("open")
        settled, state = await asyncio.gather(  # Together, and so in one round trip.
            self._settle(claim, outcome, conclusion), report()
        )
        return Attempted(claim, conclusion, settled, state)

    async def _outcome(self, claim: Claim) -> Outcome:
        if claim.unreadable:
            return Retry(claim.unreadable, scope="fault")
        server = self._store.server
        # Signed with this machine's time: the CRM compares it with its own, and Redis's may be off.
        outcome = await attempt(self._destination, self._sender, claim.delivery, server.clock, self._token)
        if isinstance(outcome, Retry) and outcome.after is not None:
            return replace(outcome, after=outcome.after + server.offset)  # What is due goes by Redis's.
        return outcome

    async def _settle(self, claim: Claim, outcome: Outcome, conclusion: Conclusion) -> Settled:
        return await insist(
            lambda: self._store.settle(
                claim,
                conclusion.attempt,
                due=conclusion.due,
                is_charged=conclusion.is_charged,
                is_refused=verdict_of(outcome) == "refused",
                may_be_given_back=is_given_back(outcome),
                record=outcome.record if isinstance(outcome, Delivered) else None,
            )
        )

    async def _report(self, claim: Claim, outcome: Outcome, slot: str, began: int, *, is_probe: bool) -> GateState:
        report = functools.partial(
            self._gate.report, slot, verdict_of(outcome), is_probe=is_probe, began=began,
            lead="" if claim.given_back >= MOST_GIVEN_BACK else claim.delivery.lead.id, refused_at=claim.refused_at,
            wait=wait_for_everybody(outcome, self._store.server.now()),
            reason="" if isinstance(outcome, Delivered) else outcome.reason,
        )  # fmt: skip
        return await insist(report)


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
