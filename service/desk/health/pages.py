"""`/forms/NAME`: fields as they arrive, why submissions are refused, the last lead, the lines for a page, a test lead.

Invariant: only reads counts, but for a test lead: that is made up, marked as a test, and kept nowhere here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
from starlette.responses import Response

from service.delivery.attempt import LEASE_BEYOND_TIMEOUT, attempt, describe, foretell
from service.delivery.carrier import carrier_to
from service.delivery.tokens import Tokens
from service.desk.breakdown import Series, dates, gathered, largest_first, number_of
from service.desk.health.arrivals import Arrivals, Seen, compare
from service.desk.health.snippet import snippet
from service.desk.visit import Visit, see
from service.desk.words import CODES, words_of_field
from service.destinations.outcome import Delivered
from service.destinations.sample import sample_delivery
from service.model.form import Form
from service.replies.charts import Bar, bars
from service.store.keys import base_of
from service.store.overview import gate_at, read_pauses
from service.store.tallies import named_in, read_arrivals, read_tallies

DAYS: Final = 30
MOST_STRANGERS: Final = 20
_UNKNOWN: Final = "https://leads.example.com"
"""Stands for the service's address where no setting says what it is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a test lead came to at one destination, in sentences."""

    destination: str
    sentences: Sequence[str]


async def first_form(visit: Visit) -> Response:
    """Lead to the first form."""
    return see(f"/forms/{next(iter(visit.desk.config.forms))}")


async def show(visit: Visit) -> Response:
    """Show how a form is."""
    form = visit.desk.config.forms.get(visit.request.path_params["form"])
    return await _page(visit, form, ()) if form else visit.missing("There is no form of that name.")


async def test(visit: Visit) -> Response:
    """Send a lead that is marked as a test to each destination of a form, and show what they answered."""
    form = visit.desk.config.forms.get(visit.request.path_params["form"])
    if form is None:
        return visit.missing("There is no form of that name.")
    await visit.note("sent a test lead", form.name)
    return await _page(visit, form, [await _try(visit, form, name) for name in form.deliver])


async def _try(visit: Visit, form: Form, name: str) -> Tried:
    desk, target = visit.desk, visit.desk.config.destinations[name]
    tokens = Tokens(desk.store.server, name, target.timeout + LEASE_BEYOND_TIMEOUT) if target.oauth else None
    delivery = sample_delivery(form, desk.store.server.now())
    async with carrier_to(target, desk.config) as carrier:
        outcome = await attempt(target, carrier, delivery, desk.store.server.now, tokens.answer if tokens else None)
    sentences = [*describe(outcome).splitlines(), foretell(outcome, target.retry)]
    if isinstance(outcome, Delivered) and await gate_at(desk.store.server, name).confirm():
        sentences.append(f"{name} was paused; it is open now, and what waited goes out.")
    elif pause := (await read_pauses(desk.store.server, desk.config)).get(name):
        sentences.append(f"It would wait: {name} is paused {pause}.")
    return Tried(name, sentences)


async def _page(visit: Visit, form: Form, tried: Sequence[Tried]) -> Response:
    desk, days = visit.desk, dates(visit.desk.times.local(visit.desk.times.now).date(), DAYS)
    arrivals = await _arrivals(visit, form, days)
    rows, strangers = compare(form, arrivals)
    refused = _series(form, await desk.breakdown.refusals([form], days))
    drawn = gathered(refused)
    ends = (await desk.breakdown.calendar.read([form.name], days[0], days[-1]))[form.name]
    received = {day: ends.by_date[day]["received"] for day in days if day in ends.by_date}
    newest = await desk.store.server.client.zrevrange(f"{base_of(form.name)}leads", 0, 0, withscores=True)
    service = desk.config.service.public_url
    return visit.page(
        "form.html", title=f"{form.title or form.name}: is it working?", form=form, forms=desk.config.forms,
        arrivals=arrivals, rows=rows, strangers=strangers[:MOST_STRANGERS], covered=visit.covered, days=DAYS,
        refused=refused, drawn=drawn, chart=_chart(drawn, received, days), sent=received, listed=days[::-1],
        received=sum(received.values()),
        rejected=sum(ends.by_date[day]["rejected"] for day in received), last=newest[0] if newest else None,
        snippet=snippet(form, service or _UNKNOWN), is_known=bool(service), tried=tried,
    )  # fmt: skip


async def _arrivals(visit: Visit, form: Form, days: Sequence[date]) -> Arrivals:
    server, looked, began = visit.desk.store.server, 0, visit.desk.times.now
    fields, names = Counter[str](), dict[tuple[str, str], Seen]()
    for kept in (await read_tallies(server, form.name, "names", [*map(number_of, days)])).values():
        looked += int(kept.get("*", 0))
        fields.update({name[1:]: int(number) for name, number in kept.items() if name.startswith(".")})
        for named in named_in(kept):
            began = min(began, named.since)
            field, name = _read_label(visit.desk.breakdown.opened(form.name, named.label))
            before = names.get((field, name), Seen(field, name, named.since, 0))
            since, number = min(before.since, named.since), before.number + named.number
            names[field, name] = Seen(field, name, since, number)
    return Arrivals(looked, began, fields, await read_arrivals(server, form.name), list(names.values()))


def _read_label(label: str) -> tuple[str, str]:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(label, type=tuple[str, str])
    return "", ""


def _series(form: Form, refused: Mapping[tuple[str, str, str], Counter[date]]) -> list[Series]:
    """Return why submissions failed, and at which field, the most frequent first."""
    found = [
        Series(f"{words_of_field(form, name)}: {CODES.get(code, code)}", by_date=on)
        for (_, name, code), on in refused.items()
    ]
    return largest_first(found)


def _chart(drawn: Sequence[Series], received: Mapping[date, int], days: Sequence[date]) -> str:
    """Draw for what submissions were refused, a day."""
    listed = []
    for day in days:
        said = ", ".join(f"{series.name} {series.by_date[day]}" for series in drawn if series.by_date[day])
        title = f"{day:%A}, {day.day} {day:%B}: {received.get(day, 0)} sent; {said or 'none refused'}"
        listed.append(Bar(f"{day.day} {day:%b}", tuple(series.by_date[day] for series in drawn), title))
    return bars(listed, f"Reasons for refusals a day over {len(days)} days")
