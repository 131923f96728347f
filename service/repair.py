"""The walk over all leads that finds a version owed and forgotten, whatever made it so, and puts it back.

Law: slow on purpose, a slice at a time; `repair.lua` decides and mends, this module only walks.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from service.kept import Mended
from service.store import Store

SLICE = 100


async def walk(store: Store, forms: Iterable[str], *, pause_s: float) -> AsyncIterator[Mended]:
    """Walk the leads of `forms`, newest first, pausing after each hundred; yield what was mended.

    A lead that gets a new version meanwhile moves to the front, so one may be seen twice, and none is passed over.
    """
    for form in forms:
        start = 0
        while leads := await store.latest(form, start, SLICE):
            for each in await store.repair(form, leads):
                yield each
            start += SLICE
            await asyncio.sleep(pause_s)
