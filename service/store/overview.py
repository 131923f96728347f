"""Every form's account at this moment, with why a destination is not sent to.

Invariant: only reads; each form in one step. Times in the sentences are UTC.
"""

from collections.abc import Iterable
from typing import cast

from service.config.config import Config
from service.lib.times import at
from service.store.accounts import Accounts
from service.store.breaker import Gate, Pace
from service.store.keys import base_of
from service.store.leads import Store
from service.store.server.server import Server

_ANY_PACE = Pace(1, 0, 0)


async def read_accounts(server: Server, config: Config, spooled: int = 0) -> Accounts:
    """Return the accounts of every form, those last that are configured no longer; `spooled` is how many lie there."""
    pauses = await read_pauses(server, config)
    store = Store(server)
    forms = {name: form.deliver for name, form in config.forms.items()}
    forms |= {name: () for name in await store.known_forms() if name not in forms}
    return Accounts(
        forms={name: await store.account(name, deliver, pauses) for name, deliver in forms.items()},
        spooled=spooled,
    )


def gate_at(server: Server, destination: str) -> Gate:
    """Return the gate of a destination, to be asked how it stands."""
    return Gate(server, destination, _ANY_PACE)


async def read_pauses(server: Server, config: Config) -> dict[str, str]:
    """Return for each paused destination since when and why, in a sentence."""
    pauses = {name: await gate_at(server, name).pause() for name in config.destinations}
    return {
        name: f"{pause.kind} since {at(pause.since)}: {pause.reason}; next probe {at(pause.probe_at)}"
        for name, pause in pauses.items()
        if pause
    }


async def read_held(server: Server, forms: Iterable[str], most: int) -> list[tuple[int, str, str]]:
    """Return what is held back, the latest so many: when it came (ms), its form, its id."""
    found: list[tuple[int, str, str]] = []
    for form in forms:
        rows = await server.client.zrevrange(f"{base_of(form)}quarantine", 0, most - 1, withscores=True)
        found += ((int(moment), form, id_) for id_, moment in cast("list[tuple[str, float]]", rows))
    return sorted(found, reverse=True)[:most]


async def read_waits(server: Server, config: Config) -> dict[str, int]:
    """Return for each destination until when it asked everybody to wait (ms), 0 if it did not."""
    return {name: await gate_at(server, name).not_before() for name in config.destinations}
