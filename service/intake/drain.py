"""The way back from the spool: each spooled submission goes through the same script as any other.

Invariant: a file is drained in order, from its beginning, and removed only when every line of it was taken or set
aside; what happened is returned.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.intake.spool import Batch, Spool
from service.lib.text import many
from service.model.form import Form
from service.store.leads import Store
from service.store.records import Accepted, Line, read_line
from service.store.server.health import FAILURES, Failure, is_script_fault, sentence_of

if TYPE_CHECKING:
    from pathlib import Path

EMPTY_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What one round came to: submissions taken, lines newly set aside, and the failure that ended it, if one did."""

    taken: tuple[tuple[Line, Accepted], ...] = ()
    set_aside: int = 0
    failure: Failure | None = None


class Drain:
    """Empties a spool into a store."""

    def __init__(self, spool: Spool, store: Store, forms: Mapping[str, Form]) -> None:
        self._spool = spool
        self._store = store
        self._forms = forms
        self._broken: dict[Path, OSError] = {}

    async def run_once(self) -> Drained:
        """Drain the oldest file that nobody holds; nothing taken and no failure: there is none.

        Raises OSError if all that is left are files with lines that cannot be set aside, on a full disk for one.
        """
        while batch := await asyncio.to_thread(self._spool.take, self._broken):
            try:
                return await self._drain(batch)
            except OSError as error:  # The disk's; a failure of Redis is returned. Other files need not wait.
                self._broken[batch.path] = error
        broken = list(self._broken.values())
        self._broken.clear()
        if broken:
            raise broken[0]
        return Drained()

    async def _drain(self, batch: Batch) -> Drained:
        try:
            drained = await self._empty(batch)
        except BaseException:
            batch.release()
            raise
        if drained.failure:
            batch.release()
        else:
            await asyncio.to_thread(batch.remove)
        return drained

    async def _empty(self, batch: Batch) -> Drained:
        """Take every line that can be; raises the OSError of one that could not be set aside when that is done."""
        taken: list[tuple[Line, Accepted]] = []
        aside, broken = 0, None
        for text in batch.lines():
            line = self._read(text)
            try:
                accepted = line and await self._store.accept(self._forms[line.form], text, is_thanked=True)
            except FAILURES as error:
                if not is_script_fault(error):
                    return Drained(tuple(taken), aside, error)
                accepted = None
            if line and accepted:
                taken.append((line, accepted))
                continue
            try:
                aside += await asyncio.to_thread(batch.set_aside, text)
            except OSError as error:
                broken = error
        if broken:
            raise broken
        return Drained(tuple(taken), aside + batch.torn)

    def _read(self, text: bytes) -> Line | None:
        """Read a line; None for one that is broken, or whose form is no longer configured."""
        line = read_line(text)
        return line if line and line.form in self._forms else None


async def empty(spool: Spool, store: Store, forms: Mapping[str, Form]) -> str:
    """Empty a spool as a web process would; returns why something stays in it, in a sentence, "" if nothing does."""
    drain = Drain(spool, store, forms)
    try:
        async with asyncio.timeout(EMPTY_WITHIN_S):
            while True:
                drained = await drain.run_once()
                if drained.failure:
                    return f"The spool could not be emptied: {sentence_of(drained.failure)}"
                if not (drained.taken or drained.set_aside):
                    if not spool.count():  # Asked last: half a line is none, and is set aside by a round.
                        return ""
                    await asyncio.sleep(0.2)
    except TimeoutError:
        return f"{many(spool.count(), 'line is', 'lines are')} still in the spool, to be taken when it is drained."
    except OSError as error:
        return f"The spool could not be emptied ({error.strerror})."
