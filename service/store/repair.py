"""The walk over all leads that finds a version owed and forgotten, whatever made it so, and puts it back.

Law: slow on purpose, a slice at a time; `repair.lua` and `strays.lua` decide and mend, this module only walks.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import product
from typing import Final

from service.store.leads import Queue, Store
from service.store.records import Mended

SLICE = 100
QUEUES: Final[tuple[Queue, ...]] = ("due", "waiting", "dead")


async def walk(store: Store, forms: Iterable[str], *, pause_s: float) -> AsyncIterator[Mended]:
    """Walk the leads of `forms`, newest first, pausing after each hundred; yield what was mended.

    A lead that gets a new version meanwhile moves to the front, so one may be seen twice. Where leads are deleted
    meanwhile, one may be passed over; the next walk sees it.
    """
    for form in forms:
        start = 0
        while leads := await store.latest(form, start, SLICE):
            for each in await store.repair(form, leads):
                yield each
            start += SLICE
            await asyncio.sleep(pause_s)
        async for each in _strays(store, form, pause_s):
            yield each


async def _strays(store: Store, form: str, pause_s: float) -> AsyncIterator[Mended]:
    """Walk the queues too: what is there and no lead is found by nobody who walks the leads."""
    account = await store.account(form, (), {})
    for destination, queue in product(account.destinations, QUEUES):
        cursor = "0"
        while True:
            cursor, strays = await store.take_strays(form, destination, queue, cursor, SLICE)
            for each in strays:
                yield each
            await asyncio.sleep(pause_s)
            if cursor == "0":
                break
