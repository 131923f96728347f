"""Everything that is kept goes under the first secret and the first key, while visitors and workers go on.

Invariant: a lead is read, and written in one script if it is still as it was read, else it is read again; so all may be
broken off anywhere and begun again, and what is under the first already is left alone.

What runs out by itself (limits, solutions of challenges, texts that many sent, attempts to sign in) stays as it is:
under another secret it only counts anew. Of repeated requests the key is not kept, so their hashes stay too, and the
secret of then is needed until the last of them runs out. What says that a person was erased is asked for with hashes
that lie in a spool, not with a secret.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from service.backup.rekeyed import COUNTED, Keyring, Rekeyed, rekey_counts, rekey_lead, rekey_line
from service.model.form import Form
from service.store.keys import base_of
from service.store.leads import Store
from service.store.records import DAY_MS, Accepted
from service.store.server.server import Server

SLICE: Final = 100
COUNTED_FOR_DAYS: Final = 402
"""Older counts have run out, in whatever time zone days are counted."""
AT_ONCE: Final = 10
"""So many leads are read, and written, in one go: each may be large."""

OnProgress = Callable[[str, int, int], None]
"""Hears of a form, how many of its leads were looked at, and how many there are."""


@dataclass(slots=True)
class Found:
    """What a walk over all leads and all of quarantine came to.

    What is `lost` came before the first secret was the first, and is found by hashes alone; `lost_last` is when the
    last of it was heard of (ms). What is `unreadable` no key opens.
    """

    looked_at: int = 0
    under_another_secret: int = 0
    under_another_key: int = 0
    moved: int = 0
    lost: int = 0
    lost_last: int = 0
    unreadable: int = 0


class Rekeying:
    """A walk over what is kept of these forms on `server`; `since` when (ms) the first secret is the first there."""

    def __init__(
        self, server: Server, keys: Keyring, forms: Mapping[str, Form], *, since: int, replicas: int = 0
    ) -> None:
        self._server, self._keys, self._forms = server, keys, forms
        self._since, self._replicas = since, replicas

    async def walk(self, on_progress: OnProgress, *, writes: bool) -> Found:
        """Look at everything once; what is not under the first of the keys is put there if this `writes`."""
        found = Found()
        for form in self._forms.values():
            number = await self._server.client.zcard(f"{base_of(form.name)}leads")
            looked_at = 0
            async for leads in self._leads(form.name):
                await asyncio.gather(*(self._take_lead(found, form, lead, kept, writes=writes) for lead, kept in leads))
                looked_at += len(leads)
                on_progress(form.name, looked_at, max(number, looked_at))
            if writes:
                found.moved += await self._move_counts(form)
            held: AsyncIterator[tuple[str, str]] = self._server.client.hscan_iter(
                f"{base_of(form.name)}held", count=AT_ONCE
            )
            async for id_, text in held:
                await self._take_line(found, form, id_, text, writes=writes)
        return found

    async def _leads(self, form: str) -> AsyncIterator[list[tuple[str, dict[str, str]]]]:
        """Yield every lead that stays while this goes on, a few at once, some perhaps twice."""
        waiting: list[str] = []
        async for lead, _ in self._server.client.zscan_iter(f"{base_of(form)}leads", count=SLICE):
            waiting.append(str(lead))
            if len(waiting) == AT_ONCE:
                yield await self._read(form, waiting)
                waiting = []
        yield await self._read(form, waiting)

    async def _read(self, form: str, leads: list[str]) -> list[tuple[str, dict[str, str]]]:
        pipe = self._server.client.pipeline(transaction=False)
        for lead in leads:
            pipe.hgetall(f"{base_of(form)}lead:{lead}")
        return list(zip(leads, await pipe.execute(), strict=True))

    async def _take_lead(self, found: Found, form: Form, lead: str, kept: dict[str, str], *, writes: bool) -> None:
        async def read_again() -> Rekeyed | None:
            [(_, again)] = await self._read(form.name, [lead])
            return rekey_lead(self._keys, form, again) if again else None

        came_to = rekey_lead(self._keys, form, kept) if kept else None
        came_to = await self._write(form, lead, came_to, read_again) if writes else came_to
        if came_to is None:  # It was erased meanwhile.
            return
        _note(found, came_to, writes=writes)
        if came_to.is_lost and self._keys.earlier and int(kept.get("first", 0)) <= self._since:
            found.lost += 1
            found.lost_last = max(found.lost_last, int(kept.get("last", 0)))

    async def _move_counts(self, form: Form) -> int:
        """Count what was counted by campaign, by choice and by name under the hashes of now; returns how much."""
        base, today, moved = base_of(form.name), self._server.now() // DAY_MS, 0
        for first in range(today - COUNTED_FOR_DAYS, today + 2, SLICE):
            days = [(f"day:{day}:{what}", what) for day in range(first, first + SLICE) for what in COUNTED]
            pipe = self._server.client.pipeline(transaction=False)
            for key, _ in days:
                pipe.hgetall(f"{base}{key}")
            for (key, what), kept in zip(days, await pipe.execute(), strict=True):
                if counts := rekey_counts(self._keys, form, what, kept) if kept else ():
                    words = [word for count in counts for word in count]
                    moved += int(await self._server.run("rekey_day", base, key, *words))
        return moved

    async def _take_line(self, found: Found, form: Form, id_: str, text: str, *, writes: bool) -> None:
        now = self._server.now()

        async def read_again() -> Rekeyed | None:
            again = await self._server.client.hget(f"{base_of(form.name)}held", id_)
            return rekey_line(self._keys, form, id_, str(again), now=now) if again else None

        came_to: Rekeyed | None = rekey_line(self._keys, form, id_, text, now=now)
        came_to = await self._write(form, f"?{id_}", came_to, read_again) if writes else came_to
        if came_to is not None:
            _note(found, came_to, writes=writes)

    async def _write(
        self, form: Form, name: str, came_to: Rekeyed | None, read_again: Callable[[], Awaitable[Rekeyed | None]]
    ) -> Rekeyed | None:
        """Write what has become of it; if it has changed meanwhile, what it then becomes. None: it is gone."""
        while came_to is not None and came_to.is_news:
            fields = [word for place, (stood, text) in came_to.texts.items() for word in (place, stood, text)]
            hashes = msgspec.json.encode(came_to.hashes)
            if await self._server.run("rekey", base_of(form.name), name, hashes, *fields, replicas=self._replicas):
                break
            came_to = await read_again()
        return came_to

    async def restate(self, form: Form, submission: str) -> None:
        """Put a quarantined submission under the first of the keys, with what the earlier secrets make of it."""

        async def read() -> Rekeyed | None:
            text = await self._server.client.hget(f"{base_of(form.name)}held", submission)
            if not text:
                return None
            return rekey_line(self._keys, form, submission, str(text), now=self._server.now(), is_let_in=True)

        await self._write(form, f"?{submission}", await read(), read)

    async def repeats_until(self) -> int | None:
        """Return until when (ms) requests are known that came before the first secret was the first; None: none are."""
        latest = 0
        async for keys in self._repeats():
            pipe = self._server.client.pipeline(transaction=False)
            for key in keys:
                pipe.get(key)
                pipe.pexpiretime(key)
            told = await pipe.execute()
            for kept, until in zip(told[::2], told[1::2], strict=True):
                if kept and int(str(kept).split(" ")[0]) <= self._since:
                    latest = max(latest, int(until))
        return latest or None

    async def _repeats(self) -> AsyncIterator[list[str]]:
        waiting: list[str] = []
        async for key in self._server.client.scan_iter("leads:{*}:idem:*", count=10 * SLICE):
            waiting.append(str(key))
            if len(waiting) == SLICE:
                yield waiting
                waiting = []
        if waiting:
            yield waiting


async def release(store: Store, keys: Keyring | None, form: Form, submission: str) -> Accepted | None:
    """Take a quarantined submission as any other, whichever secret knows whoever it is from.

    None if nothing of that id is in quarantine (any longer). Without `keys` it is looked for as it was held.
    """
    if keys and keys.earlier:
        await Rekeying(store.server, keys, {}, since=0).restate(form, submission)
    return await store.release(form, submission)


def _note(found: Found, came_to: Rekeyed, *, writes: bool) -> None:
    found.looked_at += 1
    found.moved += writes and came_to.is_news
    found.under_another_secret += came_to.is_under_another_secret
    found.under_another_key += came_to.is_under_another_key
    found.unreadable += came_to.is_unreadable
