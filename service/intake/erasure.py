"""A person goes from everywhere in the service: what is kept, what lies in the spool of this machine, Redis's own file.

Invariant: the one way to erase, whoever asks for it. What may be left is returned in sentences for whoever asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.config.config import Config
from service.intake.drain import empty
from service.intake.spool import Spool
from service.store.erasure import Erased, Eraser
from service.store.leads import Store
from service.store.records import read_line


class ErasedEverywhere(NamedTuple):
    """What was erased at each form, what may be left in the spool, and whether Redis's own file is written anew."""

    erased: tuple[Erased, ...]
    left: tuple[str, ...]
    is_rewritten: bool


async def every_form(store: Store, config: Config) -> list[str]:
    """Return every form at which something of a person may be kept, configured or not."""
    return list(dict.fromkeys([*config.forms, *await store.known_forms()]))


async def erase_person(
    store: Store, config: Config, hashes: Mapping[str, Sequence[str]], spool: Spool | None
) -> ErasedEverywhere:
    """Erase whoever has these person hashes, by form, and tell the destinations that understand it."""
    eraser = Eraser(store.server)
    understands = [name for name, destination in config.destinations.items() if destination.is_told_of_erasure]
    # Of a form that is configured no longer nothing is delivered, so no destination can hear of it either.
    erased = [
        await eraser.erase(form, known_by, understands if form in config.forms else ())
        for form, known_by in hashes.items()
    ]
    left = await _empty(spool, store, config, {hash_ for known_by in hashes.values() for hash_ in known_by})
    for form in hashes:
        await eraser.sweep(form)
    return ErasedEverywhere(tuple(erased), left, await eraser.rewrite())


async def _empty(spool: Spool | None, store: Store, config: Config, theirs: set[str]) -> tuple[str, ...]:
    """See that nothing of the person stays in the spool; what lies there was thanked for, and leaves it as ever."""
    if spool is None or not spool.folder.exists():
        return ()
    left = await empty(spool, store, config.forms)
    unread = await asyncio.to_thread(spool.purge_aside, lambda line: _is_of(line, theirs))
    return (
        *([left] if left else ()),
        *(f"Lines in {name} cannot be read: look through that file yourself." for name in unread),
    )


def _is_of(line: bytes, theirs: set[str]) -> bool | None:
    """Tell whether a spooled line is of the person; None: it cannot be read."""
    read = read_line(line)
    return bool(theirs & {*read.persons.values(), *read.also}) if read else None
