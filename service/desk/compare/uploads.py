"""The exports that members compare at this moment: each in the memory of this process, for its session alone.

Invariant: the file goes as soon as it was compared, the report after half an hour, and all with the process. Another
process of the desk knows nothing of it.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from service.desk.compare.columns import Layout
from service.desk.compare.matching import Comparison
from service.desk.compare.run import Kept, compare
from service.desk.compare.table import NoTableError, Table
from service.store.cipher import UnreadableError
from service.store.server.health import FAILURES, sentence_of

KEPT_S: Final = 30 * 60
MOST: Final = 4
"""At once, of all sessions: one of 100,000 rows and leads takes some 200 MB while it runs, and 100 MB after."""


@dataclass(slots=True)
class Upload:
    """One export: whose session brought it, of which destination it is, how far its comparison is or what it found."""

    owner: str
    destination: str
    table: Table
    until: float
    progress: str = ""
    problem: str = ""
    comparison: Comparison | None = None
    task: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Let go of it."""
        if self.task:
            self.task.cancel()
        self.table.close()

    def tell(self, progress: str) -> None:
        """Note how far the comparison is."""
        self.progress = progress


@dataclass(slots=True)
class Uploads:
    """All of them, by a random name; the oldest goes when there are too many."""

    kept: Kept
    _all: dict[str, Upload] = field(default_factory=dict)

    def add(self, owner: str, destination: str, table: Table) -> str:
        """Take an export of a session, in the place of the one that it brought before; returns its name."""
        self._drop(name for name, upload in self._all.items() if upload.owner == owner)
        self._drop(list(self._all)[: len(self._all) + 1 - MOST])
        name = secrets.token_urlsafe(12)
        self._all[name] = Upload(owner, destination, table, monotonic() + KEPT_S)
        return name

    def find(self, owner: str, name: str) -> Upload | None:
        """Return an export of this session, None if there is none (any longer)."""
        self._drop(name for name, upload in self._all.items() if upload.until < monotonic())
        upload = self._all.get(name)
        return upload if upload and upload.owner == owner else None

    def begin(self, upload: Upload, layout: Layout) -> None:
        """Compare it, beside all else that is asked of this process."""
        if upload.task is None:
            upload.task = asyncio.create_task(self._compare(upload, layout))

    async def _compare(self, upload: Upload, layout: Layout) -> None:
        try:
            upload.comparison = await compare(upload.table, layout, self.kept, upload.destination, upload.tell)
        except (NoTableError, UnreadableError) as error:
            upload.problem = str(error)
        except FAILURES as error:
            upload.problem = sentence_of(error)
        finally:
            upload.table.close()

    def close(self) -> None:
        """Forget all of them."""
        self._drop(self._all)

    def _drop(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._all.pop(name).forget()
