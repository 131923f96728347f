"""The account of a form and of its destinations: every submission and every version owed stands in one column.

Invariant: the numbers were counted where they arose, none is computed from the others here; `balanced` compares them.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

SUBMISSIONS: Final = ("rejected", "unavailable", "quarantined", "repeated", "updated", "created", "erased")
VERSIONS: Final = ("delivered", "waiting", "dead", "superseded", "erased")


class Wait(NamedTuple):
    """Since when the oldest waits at a destination, and when the first of all that wait is due, ms."""

    since: int
    due: int


class DestinationAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What a form owes one destination, counted in lead versions.

    `oldest_waiting_s` and `next_try_s` (from now; 0: due) are None if none waits.
    """

    owed: int = 0
    delivered: int = 0
    waiting: int = 0
    dead: int = 0
    superseded: int = 0
    erased: int = 0
    oldest_waiting_s: float | None = None
    next_try_s: float | None = None
    paused: str | None = None
    balanced: bool = True


class FormAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every POST to one form."""

    received: int = 0
    rejected: int = 0
    unavailable: int = 0
    quarantined: int = 0
    repeated: int = 0
    updated: int = 0
    created: int = 0
    balanced: bool = True
    erased: int = 0
    destinations: dict[str, DestinationAccount] = {}

    @property
    def is_whole(self) -> bool:
        """Whether the form's own sum and each destination's hold."""
        return self.balanced and all(destination.balanced for destination in self.destinations.values())


class WorkerSeen(msgspec.Struct, frozen=True):
    """A worker that is alive: where it runs, its version, and how many seconds ago it was heard of."""

    host: str
    version: str
    seen_s: float


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong now: a stable code, a sentence, what to do, and what it is about.

    `about` is a destination or a folder, "" for the whole service.
    """

    code: str
    message: str
    do: str
    about: str = ""


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """Every form's account, as `leads status --json` prints it, with who delivers and what is wrong."""

    forms: dict[str, FormAccount]
    spooled: int = 0
    workers: list[WorkerSeen] = []
    trouble: list[Trouble] = []

    def gaps(self) -> list[str]:
        """Return a sentence for each sum that does not hold, with the difference; none if all is well."""
        found = []
        for name, form in self.forms.items():
            if not form.balanced:
                found.append(_gap(f"form {name}", "received", form.received, sum(_columns(form, SUBMISSIONS))))
            found += [
                _gap(f"form {name}, destination {destination}", "owed", account.owed, sum(_columns(account, VERSIONS)))
                for destination, account in form.destinations.items()
                if not account.balanced
            ]
        return found


def _columns(account: object, names: tuple[str, ...]) -> list[int]:
    return [getattr(account, name) for name in names]


def _gap(where: str, left: str, number: int, total: int) -> str:
    return f"{where}: {number} {left}, but its columns add up to {total}, a difference of {number - total:+d}"


def account_of(
    counts: dict[str, int], waits: Mapping[str, Wait | None], pauses: dict[str, str], now: int
) -> FormAccount:
    """Make a form's account from its counters ("created", "crm:owed", …) and what waits by destination."""
    names = {name.split(":", 1)[0] for name in counts if ":" in name} | set(waits)
    return FormAccount(
        received=counts.get("received", 0),
        **{name: counts.get(name, 0) for name in SUBMISSIONS},
        balanced=counts.get("received", 0) == sum(counts.get(name, 0) for name in SUBMISSIONS),
        destinations={name: _destination(name, counts, waits.get(name), pauses, now) for name in sorted(names)},
    )


def _destination(
    name: str, counts: dict[str, int], wait: Wait | None, pauses: dict[str, str], now: int
) -> DestinationAccount:
    owed = counts.get(f"{name}:owed", 0)
    numbers = {column: counts.get(f"{name}:{column}", 0) for column in VERSIONS}
    return DestinationAccount(
        owed=owed,
        **numbers,
        oldest_waiting_s=None if wait is None else max(0, now - wait.since) / 1000,
        next_try_s=None if wait is None else max(0, wait.due - now) / 1000,
        paused=pauses.get(name),
        balanced=owed == sum(numbers.values()),
    )
