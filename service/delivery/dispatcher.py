"""One destination's loop: what is due there is claimed as fast as there are free senders, and no faster.

Invariant: a fixed number of senders a destination (many requests queued on one httpx client collapse it), and a loop of
its own for each, so that a slow destination delays no other.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.delivery.attempt import LEASE_BEYOND_TIMEOUT
from service.delivery.courier import Attempted, Courier
from service.destinations.destination import Destination
from service.model.form import Form
from service.store.breaker import Admitted, Gate, Permit
from service.store.leads import Order, Store
from service.store.records import Claim
from service.store.server.ending import end_all
from service.store.server.health import FAILURES, Failure

MOST_SENDERS: Final = 8
KEEP_SLOTS_EVERY_S: Final = 2.0
LOOK_AGAIN_S: Final = 5.0
SLOT_WAIT_MS: Final = 500
NEWEST_ONE_IN: Final = 4
SEEN_FOR_S: Final = 0.1
"""So long what was seen to be due and was not claimed is taken to be due still: under load nobody looks each time."""
CLAIMED_NONE_S: Final = 0.05
"""Until the next look after a claim of what was due gave nothing: taken by another worker, or not owed any more."""


@dataclass(frozen=True, slots=True)
class _Job:
    claim: Claim
    slot: str
    admitted: Admitted


class Dispatcher:
    """Claims and sends what is due at one destination, for every form of the configuration that owes it something.

    `wake` may be called at any time: something is due. `on_attempt` hears of every attempt, `on_trouble` of every
    failure of Redis or of ours, which the loop survives.
    """

    def __init__(
        self,
        destination: Destination,
        forms: Mapping[str, Form],
        *,
        store: Store,
        gate: Gate,
        courier: Courier,
        on_attempt: Callable[[Attempted], None],
        on_trouble: Callable[[Failure | Exception], None],
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._destination = destination
        self._forms = forms
        self._store = store
        self._gate = gate
        self._courier = courier
        self._on_attempt = on_attempt
        self._on_trouble = on_trouble
        self._look_again_s = look_again_s
        self._senders = min(MOST_SENDERS, destination.concurrency)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._held: set[str] = set()
        self._woken = asyncio.Event()
        self._turns: Counter[Admitted] = Counter()
        self._claimed = 0
        self._due: dict[str, int] = {}
        self._next_due: int | None = None
        self._seen_until = 0.0

    def wake(self) -> None:
        """Look at once for what is due."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then claim nothing more and finish what is in flight."""
        senders = [asyncio.create_task(self._send_jobs()) for _ in range(self._senders)]
        keeper = asyncio.create_task(self._keep_slots())
        try:
            await self._open_gate()
            while not stop.is_set():
                await self._pause(await self._step())
            await self._jobs.join()
        finally:
            await end_all((*senders, keeper))

    async def _open_gate(self) -> None:
        try:
            await self._gate.probe_now()
        except FAILURES as error:
            self._on_trouble(error)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _step(self) -> float:
        """Claim once, as much as can be sent now; returns the seconds until there may be more to do."""
        self._woken.clear()
        if len(self._held) >= self._senders:
            return self._look_again_s
        try:
            ready = await self._ready()
            if not ready:
                return self._until(self._next_due)
            permit = await self._ask(sum(ready.values()))
            if not permit.slots:
                return self._until(permit.ask_at or self._store.server.now() + SLOT_WAIT_MS)
            if await self._claim_for(permit, list(ready)):
                return 0.0
            # What was never tried wakes us when it comes.
            return self._until(permit.ask_at) if permit.admitted == "untried" else CLAIMED_NONE_S
        except Exception as error:  # noqa: BLE001 -- a lead that cannot be read must not end the deliveries of all others
            self._on_trouble(error)
            return 1.0

    def _until(self, at: int | None) -> float:
        """Return the seconds until `at` (ms), or until the next look if that comes before."""
        if at is None:
            return self._look_again_s
        return min(self._look_again_s, max(at - self._store.server.now(), 1) / 1000)

    async def _ready(self) -> dict[str, int]:
        """Return how many are due at which forms; looks for them if nothing is left of what was seen a moment ago."""
        if ready := self._still_due():
            return ready
        await self._give_back()
        due = await self._store.due(self._forms, self._destination.name)
        self._due = {form: waiting.number for form, waiting in due.items()}
        self._next_due = min((waiting.at for waiting in due.values()), default=None)
        self._seen_until = asyncio.get_running_loop().time() + SEEN_FOR_S
        return self._still_due()

    async def _ask(self, due: int) -> Permit:
        wanted = min(self._senders - len(self._held), due)
        return await self._gate.ask(wanted, secrets.token_urlsafe(9))

    async def _claim_for(self, permit: Permit, ready: Sequence[str]) -> int:
        """Claim a delivery for each slot of the permit, give back the rest; returns how many were claimed."""
        unused = list(permit.slots)
        self._held.update(unused)
        try:
            async for claim in self._claim(ready, permit):
                self._jobs.put_nowait(_Job(claim, unused.pop(), permit.admitted))
        finally:
            self._held.difference_update(unused)  # Not kept any longer: they run out even if they cannot be given back.
        for slot in unused:
            await self._gate.report(slot, "unclaimed", is_probe=permit.is_probe)
        return len(permit.slots) - len(unused)

    async def _give_back(self) -> None:
        """Let go out at once what failed while the destination did, whoever noticed that it is back."""
        if found := await self._gate.to_give_back():
            for form in self._forms:
                await self._store.give_back(form, self._destination.name, *found)
            await self._gate.given_back(found[1])

    def _still_due(self) -> dict[str, int]:
        """Return how many are due at which forms, as far as was seen a moment ago and not claimed here since."""
        if asyncio.get_running_loop().time() >= self._seen_until:
            return {}
        return {form: number for form, number in self._due.items() if number > 0}

    async def _claim(self, ready: Sequence[str], permit: Permit) -> AsyncIterator[Claim]:
        """Share the slots among the forms that have something due, each time beginning with another one."""
        free = len(permit.slots)
        self._turns[permit.admitted] += 1
        for index in range(len(ready)):
            form = ready[(index + self._turns[permit.admitted]) % len(ready)]
            share = -(-free // (len(ready) - index))
            claims = await self._claim_of(form, share, permit.admitted) if share else []
            free -= len(claims)
            self._due[form] = self._due[form] - len(claims) if len(claims) == share else 0
            for claim in claims:
                yield claim

    async def _claim_of(self, form: str, share: int, admitted: Admitted) -> list[Claim]:
        if admitted != "open":
            return await self._lease(form, 1, admitted)
        newest = sum((self._claimed + step) % NEWEST_ONE_IN == NEWEST_ONE_IN - 1 for step in range(share))
        self._claimed += share
        orders: list[tuple[int, Order]] = [(newest, "newest"), (share - newest, "oldest")]
        leased = await asyncio.gather(*(self._lease(form, limit, order) for limit, order in orders if limit))
        return [claim for claims in leased for claim in claims]

    async def _lease(self, form: str, limit: int, order: Order) -> list[Claim]:
        return await self._store.claim(
            self._forms[form], self._destination.name,
            lease=self._destination.timeout + LEASE_BEYOND_TIMEOUT,
            limit=limit, token=secrets.token_urlsafe(9), order=order, takes_updates=self._destination.updates,
        )  # fmt: skip

    async def _send_jobs(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                self._on_attempt(await self._courier.carry(job.claim, job.slot, job.admitted))
            except Exception as error:  # noqa: BLE001 -- one failing delivery must not stop this sender; its lease runs out
                self._on_trouble(error)
            finally:
                self._held.discard(job.slot)
                self._jobs.task_done()
                self._woken.set()

    async def _keep_slots(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SLOTS_EVERY_S)
            try:
                await self._gate.keep(self._held)
            except FAILURES as error:
                self._on_trouble(error)
