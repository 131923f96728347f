"""What the worker does beside delivering: it releases what a limit held back, deletes what is too old, and mends.

Invariant: the scripts decide and mend, this module only walks, a slice at a time; what happened is returned.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import product
from typing import Final

from service.model.form import Form
from service.store.erasure import Eraser, Expired
from service.store.leads import Queue, Store
from service.store.records import Mended, Promoted

SLICE = 100
QUEUES: Final[tuple[Queue, ...]] = ("due", "waiting", "dead")


async def promote(store: Store, forms: Iterable[Form]) -> AsyncIterator[Promoted]:
    """Release the updates that a per-person limit had held back and now allows."""
    for form in forms:
        while promoted := await store.promote(form):
            for promotion in promoted:
                yield promotion


async def expire(store: Store, forms: Iterable[str], retention: int) -> AsyncIterator[Expired]:
    """Delete what is settled and older than `retention` (ms), at these forms and at those that were served before."""
    eraser = Eraser(store.server)
    is_anything_gone = False
    for form in dict.fromkeys([*forms, *await store.known_forms()]):
        expired = await eraser.expire(form, store.server.now() - retention)
        if expired.leads or expired.quarantined:
            is_anything_gone = True
            await eraser.sweep(form)
            yield expired
    if is_anything_gone:
        await eraser.rewrite_once_a_day()


async def walk(store: Store, forms: Iterable[str], *, pause_s: float) -> AsyncIterator[Mended]:
    """Walk the leads of `forms`, newest first, pausing after each hundred; yield what was mended.

    A lead that gets a new version meanwhile moves to the front, so one may be seen twice. Where leads are deleted
    meanwhile, one may be passed over; the next walk sees it.
    """
    for form in forms:
        start = 0
        while leads := await store.latest(form, start, SLICE):
            for mend in await store.repair(form, leads):
                yield mend
            start += SLICE
            await asyncio.sleep(pause_s)
        async for stray in _strays(store, form, pause_s):
            yield stray


async def _strays(store: Store, form: str, pause_s: float) -> AsyncIterator[Mended]:
    """Walk the queues too: what is there and no lead is found by nobody who walks the leads."""
    account = await store.account(form, (), {})
    for destination, queue in product(account.destinations, QUEUES):
        cursor = "0"
        while True:
            cursor, strays = await store.take_strays(form, destination, queue, cursor, SLICE)
            for stray in strays:
                yield stray
            await asyncio.sleep(pause_s)
            if cursor == "0":
                break
