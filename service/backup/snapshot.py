"""Every form as it stands at one moment, read while visitors and workers go on.

Invariant: only reads, but for two keys beside each form's that say that it is copied. From `begin` on, each script
notes what it writes; everything is read, slice by slice, and what was noted is read again until so little is left that
one script reads it and ends the copy. So a form in the backup is the form as it was at that last step, to the last
counter. What belongs to no form (the destinations' pauses, what the installation knows of itself) is read after that,
key by key. `records` is all of it; whoever moves the leads takes it in parts: `standing`, `noted` as often as one
likes, `ending`.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

from service.lib.errors import CannotStart
from service.store.keys import FORMS, base_of
from service.store.server.server import Server

SLICE: Final = 100
"""Keys that one script reads: a visitor who comes at that moment waits for as long as that takes."""
MANY_NOTED: Final = 10_000
LITTLE: Final = 200
GO_ON_EVERY_MS: Final = 10_000
_KEY: Final = re.compile(r"leads:(?:\{([^}]*)\}:)?(.+)", re.DOTALL)
_NOT_COPIED: Final = re.compile(r"copy|noted|synced|slots|hold")
_OF_THIS_SERVER: Final = re.compile(r"schema|rewritten|restored|move|mover|moving")
_DESTINATION: Final = "destination:"
_BUSY: Final = (
    "Another backup is being made, or was broken off less than a minute ago; or a restore was not finished. Try again."
)
_LOST: Final = "The server forgot that a backup is made, or nothing was asked of it for a minute. Begin again."


class Snapshot:
    """Reads what is kept on `server`. `forms` are those in it, known when it has begun."""

    def __init__(self, server: Server, name: str) -> None:
        """Prepare the backup `name`."""
        self._server = server
        self._name = name
        self.forms: tuple[str, ...] = ()
        self.missed: set[str] = set()
        """Forms that were served for the first time when all others had begun: they are not in it."""
        self._begun: set[str] = set()
        self._asked_at = server.clock()

    async def begin(self) -> None:
        """Have what is written noted from now on, at every form that was ever served."""
        self._run_id = await self._ask_run_id()
        known = await self._server.client.smembers(FORMS)
        found = {str(key) for key in known} | await self._forms_with_data()
        self.forms = tuple(sorted(found))
        for form in self.forms:
            if not await self._server.run("begin", base_of(form), self._name):
                await self.abandon()
                raise CannotStart(_BUSY)
            self._begun.add(form)

    async def abandon(self) -> None:
        """End the copies that have begun and not ended, so that nothing is noted for nobody."""
        for form in self._begun:
            if await self._server.client.get(f"{base_of(form)}copy") == self._name:
                await self._server.client.delete(f"{base_of(form)}copy", f"{base_of(form)}noted")
        self._begun.clear()

    async def records(self) -> AsyncIterator[str]:
        """Yield every record; of several about one key the later one counts. Raises CannotStart if that cannot be."""
        async for record in self.standing():
            yield record
        async for record in self.ending():
            yield record

    async def standing(self) -> AsyncIterator[str]:
        """Yield what stands in every form."""
        async for tag, names in self._keys():
            if tag in self._begun:
                async for record in self._read(tag, names, self._name):
                    yield record

    async def noted(self) -> AsyncIterator[str]:
        """Yield what was written since it was read, until little of it is left."""
        for form in self.forms:
            while True:
                records, _ = _held(await self._server.run("take", base_of(form), form, self._name, LITTLE, ""))
                for record in records:
                    yield record
                if len(records) < LITTLE // 2:
                    break

    async def ending(self) -> AsyncIterator[str]:
        """Yield what was written until each copy ends, what its form then holds, and what belongs to no form."""
        for form in self.forms:
            async for record in self._rest_of(form):
                yield record
        async for tag, names in self._keys():
            if tag in self.forms:
                continue
            if tag and await self._server.client.exists(f"{base_of(tag)}count"):
                self.missed.add(tag)
                continue
            async for record in self._read(tag, names, ""):
                yield record
        if await self._ask_run_id() != self._run_id:
            raise CannotStart(_LOST)

    async def _ask_run_id(self) -> str:
        nodes = (await self._server.nodes()).values()
        return " ".join(sorted([str((await node.info("server"))["run_id"]) for node in nodes]))

    async def _forms_with_data(self) -> set[str]:
        found = {parts[1] async for parts in self._scan("leads:{*}:count")}
        return {record for record in found if record and not record.startswith(_DESTINATION)}

    async def _scan(self, pattern: str) -> AsyncIterator[re.Match[str]]:
        async for key in self._server.client.scan_iter(pattern, count=10 * SLICE):
            if parts := _KEY.fullmatch(str(key)):
                yield parts

    async def _keys(self) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield all keys that are to be copied, without their base, under the tag of it."""
        waiting: dict[str, list[str]] = {}
        async for parts in self._scan("leads:*"):
            tag, name = parts[1] or "", parts[2]
            if _NOT_COPIED.fullmatch(name) or (not tag and _OF_THIS_SERVER.fullmatch(name)):
                continue
            names = waiting.setdefault(tag, [])
            names.append(name)
            if len(names) == SLICE:
                yield tag, waiting.pop(tag)
        for tag, names in waiting.items():
            yield tag, names

    async def _go_on(self) -> None:
        """Ask something of every form now and then: what nobody asks for runs out, however long others take."""
        if self._server.clock() - self._asked_at > GO_ON_EVERY_MS:
            self._asked_at = self._server.clock()
            for form in self._begun:
                _held(await self._server.run("read", base_of(form), form, self._name))

    async def _read(self, tag: str, names: list[str], name: str) -> AsyncIterator[str]:
        """Yield what stands in keys; those that have no tag are asked for one by one, as any may be on another node."""
        await self._go_on()
        for base, keys in [(base_of(tag), names)] if tag else [(f"leads:{key}", [""]) for key in names]:
            async for record in self._read_at(base, tag, keys, name):
                yield record

    async def _read_at(self, base: str, tag: str, names: list[str], name: str) -> AsyncIterator[str]:
        noted, records, large = _held(await self._server.run("read", base, tag, name, *names))
        for record in records:
            yield record
        for key in large:
            cursor = "0"
            while True:
                noted, cursor, record = _held(await self._server.run("slice", base, tag, name, key, cursor))
                yield record
                if cursor == "0":
                    break
                if name and int(noted) > MANY_NOTED:
                    async for again in self._noted(tag):
                        yield again
        if name and int(noted) > MANY_NOTED:
            async for again in self._noted(tag):
                yield again

    async def _noted(self, form: str) -> AsyncIterator[str]:
        records, _ = _held(await self._server.run("take", base_of(form), form, self._name, MANY_NOTED // 20, ""))
        for record in records:
            yield record

    async def _rest_of(self, form: str) -> AsyncIterator[str]:
        """Yield what was written meanwhile, until the copy ends, and what the form then holds.

        Where more is written than we can read, the last step grows until it is large enough.
        """
        little = float(LITTLE)
        while True:
            await self._go_on()
            records, holds = _held(await self._server.run("take", base_of(form), form, self._name, int(little), "1"))
            for record in records:
                yield record
            if holds:
                self._begun.discard(form)
                yield f'{{"of":"{form}","holds":{holds}}}'
                return
            little *= 1.05
            await asyncio.sleep(0)


def _held(answer: Any) -> Any:  # noqa: ANN401 -- each script has its own result
    if answer[0] == -1:
        raise CannotStart(_LOST)
    return answer
