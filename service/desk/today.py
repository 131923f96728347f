"""`/`: how today goes beside what is usual, what waits for whom, how many leads came when, and where people fail.

Invariant: no lead is read.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from starlette.responses import Response

from service.desk.breakdown import Series, dates, gathered
from service.desk.counts import LEADS, WEEKS, Ends, usual_by_now
from service.desk.filters import CHOSEN
from service.desk.visit import Visit
from service.desk.words import CODES, words_of_field
from service.lib.text import many
from service.model.form import Form
from service.replies.charts import Bar, bars
from service.store.accounts import FormAccount
from service.store.overview import read_pauses

PERIODS: Final = (30, 90, 365)
LATELY: Final = 30
"""Over so many days it is told how long deliveries took, and where people fail."""
K = TypeVar("K")
_ENDS: Final = ("created", "updated", "repeated", "quarantined", "rejected", "unavailable", "erased")
_FAILED_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the page is asked for: of which forms, over which dates, told apart by what ("": new and updates)."""

    forms: Sequence[Form]
    days: Sequence[date]
    by: str
    parts: Sequence[tuple[str, str]]

    @property
    def form(self) -> str:
        """The form that was chosen, "" for all."""
        return self.forms[0].name if len(self.forms) == 1 else ""


async def today(visit: Visit) -> Response:
    """Show today and the last days, of every form or of one, and the parts that they are made of."""
    desk, asked = visit.desk, _read(visit)
    server, names, days, now = desk.store.server, [form.name for form in asked.forms], asked.days, asked.days[-1]
    usual_since, lately = dates(now, WEEKS * 7 + 1), dates(now, LATELY)
    found = await desk.breakdown.calendar.read(names, min(days[0], usual_since[0]), now)
    first = min((day for ends in found.values() for day in ends.by_date if ends.leads(day)), default=now)
    series = await _series(visit, asked)
    drawn, listed = gathered(series), _listed(found, days)
    ends = _together(ends for _, ends in listed)
    hours = _hours(found, days)
    accounts = [await desk.store.account(form.name, form.deliver, {}) for form in asked.forms]
    return visit.page(
        "today.html", title="Today", asked=asked, forms=desk.config.forms, periods=PERIODS, series=series,
        drawn=drawn, day=now, since=days[0], now=_leads(listed[-1][1]), listed=listed[::-1], total=_leads(ends),
        usual=await usual_by_now(server, names, desk.times, first), ends=_counted(ends),
        chart=_chart(listed, drawn), hours=hours, by_hour=bars(hours, "Leads by the hour of the day"),
        standing=_standing(accounts), paused=await read_pauses(server, desk.config), covered=visit.covered,
        took=await desk.breakdown.times(asked.forms, lately), failed=await _failed(visit, asked.forms, lately),
        lately=LATELY,
    )  # fmt: skip


def _read(visit: Visit) -> _Asked:
    desk, query = visit.desk, visit.request.query_params
    chosen = desk.config.forms.get(query.get("form", ""))
    forms = [chosen] if chosen else list(desk.config.forms.values())
    number = next((period for period in PERIODS if str(period) == query.get("days")), PERIODS[0])
    now, parts = desk.times.local(desk.times.now).date(), _parts(forms)
    by = query.get("by", "")
    return _Asked(forms, dates(now, number), by if by in dict(parts) else "", parts)


def _listed(found: Mapping[str, Ends], days: Sequence[date]) -> list[tuple[date, Counter[str]]]:
    return [(day, _together(ends.by_date[day] for ends in found.values() if day in ends.by_date)) for day in days]


def _together(counters: Iterable[Counter[K]]) -> Counter[K]:
    """Add counters up, much faster than by `+`."""
    total: dict[K, int] = {}
    for counter in counters:
        for name, number in counter.items():
            total[name] = total.get(name, 0) + number
    return Counter(total)


def _parts(forms: Sequence[Form]) -> list[tuple[str, str]]:
    """Return by what leads can be told apart, and what that is called: form, campaign, each field of choices."""
    found = [("form", "by form")] if len(forms) > 1 else []
    found.append(("campaign", "by campaign"))
    for form in forms:
        where = f" ({form.title or form.name})" if len(forms) > 1 else ""
        found += [
            (f"{form.name}.{name}", f"by {field.label or field.words}{where}")
            for name, field in form.fields.items()
            if field.type in CHOSEN
        ]
    return found


async def _series(visit: Visit, asked: _Asked) -> list[Series]:
    breakdown = visit.desk.breakdown
    match asked.by:
        case "":
            return []
        case "form":
            return await breakdown.by_form(asked.forms, asked.days)
        case "campaign":
            return await breakdown.by_campaign(asked.forms, asked.days)
        case by:
            form, _, name = by.partition(".")
            return await breakdown.by_choice(visit.desk.config.forms[form], name, asked.days)


def _leads(day: Counter[str]) -> int:
    return sum(day[result] for result in LEADS)


def _counted(ends: Counter[str]) -> list[tuple[str, int]]:
    return [(end, ends[end]) for end in _ENDS if ends[end]]


def _chart(listed: Sequence[tuple[date, Counter[str]]], shown: Sequence[Series]) -> str:
    return bars([_bar(day, ends, shown) for day, ends in listed], f"Leads a day over {len(listed)} days")


def _bar(day: date, ends: Counter[str], shown: Sequence[Series]) -> Bar:
    numbers = [(series.name, series.by_date[day]) for series in shown]
    said = ", ".join(f"{name} {number}" for name, number in numbers if number) or "none"
    if not shown:
        numbers = [("", ends["created"]), ("", ends["updated"])]
        said = f"{many(ends['created'], 'new lead')}, {many(ends['updated'], 'update')}"
    title = f"{day:%A}, {day.day} {day:%B}: {said}"
    return Bar(f"{day.day} {day:%b}", tuple(number for _, number in numbers), title)


def _hours(found: Mapping[str, Ends], days: Sequence[date]) -> list[Bar]:
    hours = _together(ends.hours[day] for ends in found.values() for day in days if day in ends.hours)
    return [
        Bar(f"{hour}:00", (hours[hour],), f"{hour}:00 to {hour}:59: {many(hours[hour], 'lead')}") for hour in range(24)
    ]


def _standing(accounts: Sequence[FormAccount]) -> dict[str, int]:
    """Return how many wait, are held, are dead, at this moment."""
    owed = [destination for account in accounts for destination in account.destinations.values()]
    return {
        "waiting": sum(account.waiting for account in owed),
        "held": sum(account.quarantined for account in accounts),
        "dead": sum(account.dead for account in owed),
    }


async def _failed(visit: Visit, forms: Sequence[Form], days: Sequence[date]) -> list[tuple[Form, str, str, int]]:
    """Return at what most submissions failed: form, what of it, why, and how many."""
    refused = await visit.desk.breakdown.refusals(forms, days)
    rows = [
        (form, words_of_field(form, name), CODES.get(code, code), on.total())
        for (of, name, code), on in refused.items()
        if (form := visit.desk.config.forms[of])
    ]
    return sorted(rows, key=lambda row: -row[3])[:_FAILED_SHOWN]
