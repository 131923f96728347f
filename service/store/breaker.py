"""A destination's gate: how many attempts may start now, over all forms and all workers.

Invariant: what belongs to the destination as a whole (rate, slots in flight, not-before, pause) stands in its own keys:

`leads:{destination:NAME}:slots`   sorted set: slot ► when its holder is taken for dead, ms
`leads:{destination:NAME}:state`   hash: next_at (rate), limit and streak (concurrency after a 429), not_before,
                                   failures and failing_since (in a row), and of a pause: paused ("refused" or
                                   "failing"), paused_since, reason, pause (its length), probe_at; all times in ms
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from service.store.server import Server

SLOT_HELD_MS = 6_000
REFUSED_PAUSES_MS = (60_000, 3_600_000)
"""The first and the longest pause after a destination refused everybody: somebody has to change something."""
FAILURES_THAT_PAUSE = (10, 10_000)
"""So many failures in a row, over so many ms."""
FAILING_PAUSES_MS = (10_000, 300_000)
"""The first and the longest pause after that: it may be back by itself."""

Verdict = Literal["delivered", "answered", "failed", "load", "refused", "unused"]
GateState = Literal["opened", "paused", "closed", "open"]


class Pause(msgspec.Struct, frozen=True):
    """Why nothing but probes is sent to a destination: since when, the reason, and the next probe (ms).

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
    """The slots granted; if none, `ask_at` (ms) is when to ask again, 0 when one is given back."""

    slots: tuple[str, ...]
    is_probe: bool
    ask_at: int


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
        granted, state, ask_at = await self._server.run(
            "permit", self._base, self._server.now(), wanted, holder, concurrency, gap, SLOT_HELD_MS, probe
        )
        return Permit(tuple(f"{holder}:{slot}" for slot in range(1, granted + 1)), state == "probe", int(ask_at))

    async def keep(self, slots: Iterable[str]) -> None:
        """Say that the holder of these slots is alive."""
        if held := tuple(slots):
            await self._server.run("keep", self._base, self._server.now() + SLOT_HELD_MS, *held)

    async def report(self, slot: str, result: Verdict, *, is_probe: bool, wait: int = 0, reason: str = "") -> GateState:
        """Give a slot back and say what became of its attempt; the answer is the state of the destination now."""
        state: GateState = await self._server.run(
            "report", self._base, self._server.now(), slot, result, wait,
            self._pace.concurrency, int(is_probe), reason,
            *REFUSED_PAUSES_MS, *FAILURES_THAT_PAUSE, *FAILING_PAUSES_MS,
        )  # fmt: skip
        return state

    async def probe_now(self) -> None:
        """Let the next probe of a paused destination start at once: somebody may have mended the configuration."""
        await self._server.run("probe", self._base, self._server.now())

    async def not_before(self) -> int:
        """Return until when everybody is to wait because the destination asked for it (ms), 0 if it did not."""
        return int(await self._server.client.hget(f"{self._base}state", "not_before") or 0)

    async def pause(self) -> Pause | None:
        """Return why nothing is sent there, None if it is open."""
        kind, since, reason, probe_at = await self._server.client.hmget(
            f"{self._base}state", "paused", "paused_since", "reason", "probe_at"
        )
        if not kind or not since:
            return None
        return Pause("failing" if kind == "failing" else "refused", int(since), str(reason or ""), int(probe_at or 0))
