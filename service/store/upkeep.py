"""What the worker does beside delivering: what people said above their limit goes out, and what is too old goes.

Law: the scripts decide; what happened is returned.
"""

from collections.abc import AsyncIterator, Iterable

from service.model.form import Form
from service.store.erasure import Eraser, Expired
from service.store.leads import Store
from service.store.records import Promoted


async def promote(store: Store, forms: Iterable[Form]) -> AsyncIterator[Promoted]:
    """Let go out what a person's limit held back and now allows."""
    for form in forms:
        while promoted := await store.promote(form):
            for each in promoted:
                yield each


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
