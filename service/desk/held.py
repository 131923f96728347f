"""What looked like spam and waits for somebody to decide, and the minute in which a decision can be taken back.

Invariant: a decision is done only after its minute, by whichever desk process comes to it first; done twice, it is done
once. Until then the submission stays where it is, and a decision that is taken back has left no trace on it.

`leads:{desk}:decided`    sorted set: "release|drop FORM SUBMISSION" ► when it can no longer be taken back, ms
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

from service.backup.rekey import release
from service.backup.rekeyed import Keyring
from service.config.config import Config
from service.desk.people.members import BASE
from service.store.leads import Store

UNDONE_WITHIN_MS: Final = 60_000
GRACE_MS: Final = 5_000
"""Between the end of the minute and the deed: whoever takes back at the last moment is not overtaken."""
AT_ONCE: Final = 100
_KEY: Final = f"{BASE}decided"

Choice = Literal["release", "drop"]


class Decision(NamedTuple):
    """What is to become of one held submission."""

    choice: Choice
    form: str
    submission: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of the last minute on one server."""

    store: Store
    config: Config
    keys: Keyring

    async def add(self, decisions: Sequence[Decision]) -> None:
        """Decide; a later decision about the same submission replaces an earlier one."""
        until = self.store.server.now() + UNDONE_WITHIN_MS
        others = [
            decision._replace(choice="drop" if decision.choice == "release" else "release") for decision in decisions
        ]
        async with self.store.server.client.pipeline(transaction=True) as pipe:
            pipe.zrem(_KEY, *map(" ".join, others))
            pipe.zadd(_KEY, {" ".join(decision): until for decision in decisions})
            await pipe.execute()

    async def undo(self, decisions: Sequence[Decision]) -> int:
        """Take decisions back, as far as their minute is not over; returns how many."""
        open_ = {decision for decision, until in await self._all() if until > self.store.server.now()}
        wanted = [" ".join(decision) for decision in decisions if decision in open_]
        return int(await self.store.server.client.zrem(_KEY, *wanted)) if wanted else 0

    async def open(self) -> dict[Decision, int]:
        """Return every decision that is not done, with when it can no longer be taken back (ms)."""
        return dict(await self._all())

    async def carry_out(self) -> int:
        """Do what was decided and not taken back; returns how many were done."""
        end = self.store.server.now() - GRACE_MS
        due = [str(raw) for raw in await self.store.server.client.zrangebyscore(_KEY, "-inf", end, 0, AT_ONCE)]
        for decision in due:
            await self._do(_decision(decision))
            await self.store.server.client.zrem(_KEY, decision)
        return len(due)

    async def _do(self, decision: Decision) -> None:
        form = self.config.forms.get(decision.form)
        if decision.choice == "drop":
            await self.store.drop(decision.form, decision.submission)
        elif form:
            await release(self.store, self.keys, form, decision.submission)

    async def _all(self) -> list[tuple[Decision, int]]:
        kept = await self.store.server.client.zrange(_KEY, 0, -1, withscores=True)
        return [(_decision(decision), int(until)) for decision, until in cast("list[tuple[str, float]]", kept)]


def _decision(text: str) -> Decision:
    choice, form, submission = text.split(" ")
    return Decision(cast("Choice", choice), form, submission)
