"""The leads that a filter means, and the search for one person, receipt or id.

Invariant: what a page asks for is bounded. A person, a receipt or an id is found by its key; by all else only so many
leads are read as a moment allows, from the latest back, and the answer says how far it came. Only reads.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Final, cast
from zoneinfo import ZoneInfo

from service.config.config import Config
from service.desk.filters import Filter, day_in, fits
from service.fields import email, phone
from service.lib.secret import Secret
from service.model.form import Form
from service.store.archive import Archive, KeptLead
from service.store.cipher import UnreadableError
from service.store.erasure import Eraser
from service.store.keys import base_of
from service.store.server.server import Server
from service.submission.person import person_hash

PAGE: Final = 50
SLICE: Final = 200
LOOKS_FOR_S: Final = 1.0
"""How long one page looks among leads before it shows what it found."""

_Place = tuple[int, str, str]
"""When a lead's latest version came (ms), its id, its form."""
_Scored = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a look among leads came to. `looked` leads were read of `among`; `after` goes on, "" at the end.

    `unread` are the ids of those that no key opens.
    """

    leads: tuple[KeptLead, ...]
    among: int
    looked: int = 0
    after: str = ""
    reached: int = 0
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A lead that no key opens, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """Looks among the leads on one server. Days are those of `zone`; None: of each form's own time zone."""

    config: Config
    server: Server
    archive: Archive
    secrets: Sequence[Secret]
    zone: ZoneInfo | None = None

    async def look(
        self, asked: Filter, shown: Callable[[str], str], *, most: int = PAGE, for_s: float = LOOKS_FOR_S
    ) -> Found:
        """Return the leads that are meant, the latest first: at most so many, within so many seconds.

        Words are looked for in what is `shown`, so that nobody finds by what is covered for them.
        """
        if exact := await self.identify(asked.q) if asked.q else []:
            read = [await self._read((0, lead, form), replace(asked, q=""), shown) for form, lead in exact]
            return Found(tuple(chain.from_iterable(read)), len(exact), len(exact))
        forms = self._forms(asked)
        among = await self.count(asked)
        give_up_at, at = monotonic() + for_s, _place_in(asked.after)
        found: list[KeptLead] = []
        unread: list[str] = []
        looked = 0
        while places := await self._places(forms, asked, at):
            for place in places:
                if len(found) == most or monotonic() > give_up_at:
                    return Found(tuple(found), among, looked, _spell(at), at[0] if at else 0, tuple(unread))
                looked, at = looked + 1, place[:2]
                try:
                    found += await self._read(place, asked, shown)
                except UnreadableError:
                    unread.append(place[1])
        return Found(tuple(found), among, looked, unread=tuple(unread))

    async def every(
        self, asked: Filter, shown: Callable[[str], str], *, most: int | None = None
    ) -> AsyncIterator[KeptLead | Unread]:
        """Yield every lead that is meant and that there was when this began, the latest first.

        `most`: of so many alone, the latest of the forms and days that are meant.
        """
        places = [(0, lead, form) for form, lead in await self.identify(asked.q)] if asked.q else []
        if places:
            asked = replace(asked, q="")
        for place in places or await self._all_places(asked, most):
            try:
                for lead in await self._read(place, asked, shown):
                    yield lead
            except UnreadableError as error:
                yield Unread(place[1], str(error))

    async def _all_places(self, asked: Filter, most: int | None) -> list[_Place]:
        """Return (moment, lead, form) of all leads of the forms and days that are meant, the latest first.

        They are asked for at once: one that gets a new version while others are read is not missed.
        """
        number = -1 if most is None else most
        places: list[_Place] = []
        for form in self._forms(asked):
            begin, end = self._span(asked, form)
            key = f"{base_of(form.name)}leads"
            rows = await self.server.client.zrevrangebyscore(key, end, begin, start=0, num=number, withscores=True)
            places += ((int(moment), str(lead), form.name) for lead, moment in cast("_Scored", rows))
        return sorted(places, reverse=True)[:most]

    def _forms(self, asked: Filter) -> list[Form]:
        return [self.config.forms[asked.form]] if asked.form else list(self.config.forms.values())

    async def _read(self, place: _Place, asked: Filter, shown: Callable[[str], str]) -> list[KeptLead]:
        form = self.config.forms[place[2]]
        lead = await self.archive.lead(form, place[1])
        return [lead] if lead and fits(lead, form, asked, shown) else []

    async def identify(self, said: str) -> list[tuple[str, str]]:
        """Return (form, lead) of whoever has this phone or e-mail, or of the lead with this receipt or id."""
        named = await self.archive.find(self.config.forms, said) if not any(map(str.isspace, said)) else None
        if named and not named[1].startswith("?"):
            return [named]
        found: list[tuple[str, str]] = []
        for form in self.config.forms.values():
            hashes = [name for secret in self.secrets for name in hashes_of(secret, form, said)]
            leads = await Eraser(self.server).find(form.name, hashes) if hashes else ()
            found += [(form.name, lead) for lead in leads if not lead.startswith("?")]
        return found

    def _span(self, asked: Filter, form: Form) -> tuple[str, str]:
        """Return the first and the last moment that count, as Redis writes a range of scores."""
        first, last = day_in(asked.since), day_in(asked.until)
        zone = self.zone or form.timezone
        begin = str(_midnight(first, zone)) if first else "-inf"
        return begin, f"({_midnight(last + timedelta(days=1), zone)}" if last and last < date.max else "+inf"

    async def count(self, asked: Filter) -> int:
        """Return how many leads the forms and days that are meant have."""
        keys = {f"{base_of(form.name)}leads": self._span(asked, form) for form in self._forms(asked)}
        return sum([int(await self.server.client.zcount(key, *span)) for key, span in keys.items()])

    async def _places(self, forms: Sequence[Form], asked: Filter, at: tuple[int, str] | None) -> list[_Place]:
        """Return (moment, lead, form) of the next leads behind `at`, the latest first, over all forms."""
        places: list[_Place] = []
        floor = -1  # what is older than the oldest of a full slice may still be missing from it
        for form in forms:
            begin, end = self._span(asked, form)
            slice_ = await self._slice(form.name, begin, end, at)
            places += slice_
            if len(slice_) >= SLICE:
                floor = max(floor, slice_[-1][0])
        return sorted((place for place in places if place[0] >= floor), reverse=True)

    async def _slice(self, form: str, begin: str, end: str, at: tuple[int, str] | None) -> list[_Place]:
        highest = str(at[0]) if at and (end == "+inf" or at[0] < int(end[1:])) else end
        key, start = f"{base_of(form)}leads", 0
        found: list[_Place] = []
        while len(found) < SLICE:
            rows = await self.server.client.zrevrangebyscore(
                key, highest, begin, start=start, num=SLICE, withscores=True
            )
            found += _behind(at, ((int(moment), str(lead), form) for lead, moment in cast("_Scored", rows)))
            if len(rows) < SLICE:
                return found
            start += SLICE
        # All of one moment belong together: the cut is made between two.
        oldest = found[-1][0]
        rows = await self.server.client.zrangebyscore(key, oldest, oldest)
        return list(dict.fromkeys([*found, *_behind(at, ((oldest, str(lead), form) for lead in rows))]))


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _behind(at: tuple[int, str] | None, places: Iterable[_Place]) -> list[_Place]:
    return [place for place in places if not at or place[:2] < at]


def _place_in(text: str) -> tuple[int, str] | None:
    moment, _, lead = text.partition(".")
    return (int(moment), lead) if moment.isascii() and moment.isdigit() and len(moment) < 16 and lead else None  # noqa: PLR2004 -- ms fit into 15 digits


def _spell(place: tuple[int, str] | None) -> str:
    return f"{place[0]}.{place[1]}" if place else ""


def hashes_of(secret: Secret, form: Form, said: str) -> list[str]:
    """Return the person hashes of a phone number or an e-mail address, however it is written; none for other words."""
    if address := email.read(said) if "@" in said else None:
        return [person_hash(secret, form.name, "email", address.key)]
    if sum(map(str.isdigit, said)) < 6 or any(text.isalpha() for text in said):  # noqa: PLR2004 -- no number is shorter
        return []
    number = phone.read(said, country=form.country, countries=form.countries, confirm=said).phone
    return [person_hash(secret, form.name, "phone", number.e164)] if number and number.e164 else []
