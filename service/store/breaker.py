"""A destination's gate: how many attempts may start now, over all forms and all workers.

Invariant: what belongs to the destination as a whole (rate, slots in flight, not-before, pause) stands in its own keys:

`leads:{destination:NAME}:slots`   sorted set: slot ► when its holder is taken for dead, ms
`leads:{destination:NAME}:hold`    nobody gets a slot, see `backup.move`; runs out by itself
`leads:{destination:NAME}:state`   hash: next_at (rate), limit and streak (concurrency after a 429), not_before,
                                   delivered_at (the last time), of failures in a row: failing (the first few leads)
                                   and failing_since, and failing_from, when the first such attempt began; of a pause:
                                   paused ("refused" or "failing"), paused_since, reason, pause (its length), probe_at,
                                   untried_at; alone_from and alone_reason, when and why one was refused alone;
                                   opened_at; back_from and back_till, what was attempted then is to be given
                                   back; all times in ms

A pause is for what failed: a lead that was never tried is tried soon, whatever others were refused for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from service.store.server.server import Server

SLOT_HELD_MS = 6_000
REFUSED_PAUSES_MS = (60_000, 3_600_000)
"""The first and the longest pause after a destination refused everybody: somebody has to change something."""
FAILURES_THAT_PAUSE = (2, 4_000)
"""Failures of so many different leads in a row, over so many ms: less than the usual first pause of a retry list."""
LATELY_MS = 60_000
"""For so long after a delivery a refusal is taken to be about the lead that was refused."""
UNTRIED_EVERY_MS = 5_000
"""While it is paused, a lead that was never tried there is tried so often."""
FAILING_PAUSES_MS = (10_000, 300_000)
"""The first and the longest pause after that: it may be back by itself."""

Verdict = Literal["delivered", "answered", "failed", "load", "refused", "unused", "unclaimed", "resumed"]
GateState = Literal["opened", "paused", "closed", "open", "alone"]
Admitted = Literal["open", "probe", "untried"]


class Pause(msgspec.Struct, frozen=True):
    """Why what failed at a destination waits there: since when, the reason, and the next probe (ms).

    "refused": it refuses everybody until somebody changes something; "failing": it may be back by itself.
    """

    kind: Literal["refused", "failing"]
    since: int
    reason: str
    probe_at: int


class Pace(NamedTuple):
    """What the configuration allows: requests in flight, ms between two starts (0: any), ms a probe may take."""

    concurrency: int
    gap: float
    probe: int


@dataclass(frozen=True, slots=True)
class Permit:
    """The slots granted and what for. If that comes to nothing, `ask_at` (ms) is when to ask again, 0: a slot is free.

    "probe": a pause is over, and this one attempt decides about it. "untried": it goes on, and this is for a lead that
    was never tried there.
    """

    slots: tuple[str, ...]
    admitted: Admitted
    ask_at: int

    @property
    def is_probe(self) -> bool:
        """Whether the attempt decides about a pause."""
        return self.admitted == "probe"


class Gate:
    """The gate of one destination."""

    def __init__(self, server: Server, destination: str, pace: Pace) -> None:
        """Stand before `destination`."""
        self._server = server
        self._base = f"leads:{{destination:{destination}}}:"
        self._pace = pace

    async def ask(self, wanted: int, holder: str) -> Permit:
        """Ask for up to `wanted` slots under a name that is used once."""
        concurrency, gap, probe = self._pace
        granted, admitted, ask_at = await self._server.run(
            "permit", self._base, self._server.now(), wanted, holder, concurrency, gap, SLOT_HELD_MS, probe,
            UNTRIED_EVERY_MS,
        )  # fmt: skip
        slots = tuple(f"{holder}:{slot}" for slot in range(1, granted + 1))
        return Permit(slots, admitted if slots else "open", int(ask_at))

    async def keep(self, slots: Iterable[str]) -> None:
        """Say that the holder of these slots is alive."""
        if held := tuple(slots):
            await self._server.run("keep", self._base, self._server.now() + SLOT_HELD_MS, *held)

    async def report(
        self, slot: str, result: Verdict, *, is_probe: bool,
        lead: str = "", refused_at: int = 0, began: int | None = None, wait: int = 0, reason: str = "",
    ) -> GateState:  # fmt: skip
        """Give a slot back and say what became of its attempt; the answer is the state of the destination now.

        `lead`: whose attempt it was, "" where its failure says nothing about others; `refused_at`: when that lead was
        refused before (ms), 0: never; `began`: when the attempt did, None: just now.
        """
        now = self._server.now()
        state: GateState = await self._server.run(
            "report", self._base, now, slot, result, wait,
            self._pace.concurrency, int(is_probe), reason,
            *REFUSED_PAUSES_MS, *FAILURES_THAT_PAUSE, *FAILING_PAUSES_MS, lead, refused_at, LATELY_MS, self._pace.gap,
            now if began is None else began,
        )  # fmt: skip
        return state

    async def resume(self) -> bool:
        """Open a destination at once, as somebody says that it is mended; False if it was not paused."""
        return await self.report("", "resumed", is_probe=False) == "opened"

    async def confirm(self) -> bool:
        """Open a destination at once, as something was delivered there beside the leads; False if it was not paused."""
        return await self.report("", "delivered", is_probe=False) == "opened"

    async def probe_now(self) -> None:
        """Let the next probe of a paused destination start at once: somebody may have mended the configuration."""
        await self._server.run("probe", self._base, self._server.now())

    async def to_give_back(self) -> tuple[int, int] | None:
        """Return from when to when (ms) attempts were made whose tries are to be given back, None if there are none."""
        begin, end = await self._server.client.hmget(f"{self._base}state", "back_from", "back_till")
        return (int(begin), int(end)) if begin and end else None

    async def given_back(self, till: int) -> None:
        """Say that those made until `till` (ms) have been."""
        await self._server.run("given", self._base, till)

    async def not_before(self) -> int:
        """Return until when everybody is to wait because the destination asked for it (ms), 0 if it did not."""
        return int(await self._server.client.hget(f"{self._base}state", "not_before") or 0)

    async def alone(self) -> tuple[int, str] | None:
        """Return since when (ms) the only lead that was sent lately is refused, and why; None if none is."""
        since, reason = await self._server.client.hmget(f"{self._base}state", "alone_from", "alone_reason")
        return (int(since), str(reason or "")) if since else None

    async def pause(self) -> Pause | None:
        """Return why nothing is sent there, None if it is open."""
        kind, since, reason, probe_at = await self._server.client.hmget(
            f"{self._base}state", "paused", "paused_since", "reason", "probe_at"
        )
        if not kind or not since:
            return None
        return Pause("failing" if kind == "failing" else "refused", int(since), str(reason or ""), int(probe_at or 0))
