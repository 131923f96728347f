"""One delivery on its way from its lease to what became of it.

Invariant: what follows from an attempt is decided in `attempt`; the courier only carries it to the store and to the
destination's gate. What happened is returned; nothing is logged or counted here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from service.delivery.attempt import Conclusion, Sends, attempt, conclude
from service.destinations.destination import Destination
from service.destinations.outcome import Outcome, Retry
from service.store.breaker import Gate, GateState
from service.store.health import FAILURES
from service.store.leads import Settled, Store
from service.store.records import Claim

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
        if conclusion.verdict == "refused":  # Nobody else may try before the gate is shut.
            state = await self._report(slot, conclusion, is_probe=is_probe)
            return Attempted(claim, conclusion, await self._settle(claim, conclusion), state)
        settled, state = await asyncio.gather(  # Together, and so in one round trip.
            self._settle(claim, conclusion), self._report(slot, conclusion, is_probe=is_probe)
        )
        return Attempted(claim, conclusion, settled, state)

    async def _outcome(self, claim: Claim) -> Outcome:
        if claim.unreadable:
            return Retry(claim.unreadable, scope="fault")
        server = self._store.server
        # Signed with this machine's time: the CRM compares it with its own, and Redis's may be off.
        outcome = await attempt(self._destination, self._sender, claim.delivery, server.clock)
        if isinstance(outcome, Retry) and outcome.after is not None:
            return replace(outcome, after=outcome.after + server.offset)  # What is due goes by Redis's.
        return outcome

    async def _settle(self, claim: Claim, conclusion: Conclusion) -> Settled:
        return await insist(
            lambda: self._store.settle(
                claim,
                conclusion.attempt,
                due=conclusion.due,
                is_charged=conclusion.is_charged,
                is_refused=conclusion.verdict == "refused",
            )
        )

    async def _report(self, slot: str, conclusion: Conclusion, *, is_probe: bool) -> GateState:
        return await insist(
            lambda: self._gate.report(
                slot, conclusion.verdict, is_probe=is_probe, wait=conclusion.wait, reason=conclusion.attempt.reason
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
