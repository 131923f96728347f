"""`/`: how today goes beside what is usual, what waits for whom, and how many leads came when.

Invariant: no lead is read but the latest few, for how long they took.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import quantiles
from typing import Final

from starlette.responses import Response

from service.desk.counts import DAY_MS, LEADS, WEEKS, by_day, by_hour, read_counts, usual_by_now
from service.desk.visit import Visit
from service.desk.words import many
from service.replies.charts import Bar, bars
from service.store.accounts import FormAccount
from service.store.cipher import UnreadableError
from service.store.overview import read_pauses

PERIODS: Final = (30, 90, 365)
_TIMED: Final = 16
_ENDS: Final = ("created", "updated", "repeated", "quarantined", "rejected", "unavailable", "erased")


async def today(visit: Visit) -> Response:
    """Show today and the last days, of every form or of one."""
    desk, times, query = visit.desk, visit.desk.times, visit.request.query_params
    form = chosen if (chosen := query.get("form", "")) in desk.config.forms else ""
    days = next((period for period in PERIODS if str(period) == query.get("days")), PERIODS[0])
    forms = [form] if form else list(desk.config.forms)
    begin = times.now - (max(days, WEEKS * 7) + 1) * DAY_MS
    counts = await read_counts(desk.store.server, forms, begin, times.now + DAY_MS)
    listed = by_day(counts, times, days)
    first = listed[0][0]
    recent = [count for count in counts if times.local(count.at).date() >= first]
    ends = sum((count for _, count in listed), Counter[str]())
    accounts = [await desk.store.account(form, desk.config.forms[form].deliver, {}) for form in forms]
    return visit.page(
        "today.html", title="Today", form=form, forms=desk.config.forms, days=days, periods=PERIODS,
        now=_leads(listed[-1][1]), usual=usual_by_now(counts, times), day=listed[-1][0],
        listed=listed[::-1], ends=[(end, ends[end]) for end in _ENDS if ends[end]],
        total=_leads(ends), chart=bars([_bar(*count) for count in listed], f"Leads a day over {days} days"),
        hours=bars(_hours(by_hour(recent, times)), "Leads by the hour of the day"),
        standing=_standing(accounts), paused=await read_pauses(desk.store.server, desk.config),
        took=await _took(visit, forms),
    )  # fmt: skip


def _leads(day: Counter[str]) -> int:
    return sum(day[result] for result in LEADS)


def _bar(day: date, ends: Counter[str]) -> Bar:
    title = f"{day:%A}, {day.day} {day:%B}: {many(ends['created'], 'new lead')}, {many(ends['updated'], 'update')}"
    return Bar(f"{day.day} {day:%b}", (ends["created"], ends["updated"]), title)


def _hours(hours: Sequence[int]) -> list[Bar]:
    return [
        Bar(f"{hour}:00", (number,), f"{hour}:00 to {hour}:59: {many(number, 'lead')}")
        for hour, number in enumerate(hours)
    ]


def _standing(accounts: Sequence[FormAccount]) -> dict[str, int]:
    """Return how many wait, are held, are dead, at this moment."""
    owed = [destination for account in accounts for destination in account.destinations.values()]
    return {
        "waiting": sum(account.waiting for account in owed),
        "held": sum(account.quarantined for account in accounts),
        "dead": sum(account.dead for account in owed),
    }


async def _took(visit: Visit, forms: Sequence[str]) -> tuple[float, float] | None:
    """Return within how many ms half, and 95 of 100, of the latest leads were delivered; None of none."""
    took: list[int] = []
    for form in forms:
        for name in await visit.desk.store.latest(form, 0, _TIMED // len(forms) + 1):
            try:
                lead = await visit.desk.archive.lead(visit.desk.config.forms[form], name)
            except UnreadableError:
                continue
            received = {version.version: version.received_at for version in lead.versions} if lead else {}
            took += [
                attempt.at + attempt.took - received[attempt.version]
                for delivery in (lead.deliveries if lead else ())
                for attempt in delivery.attempts
                if attempt.result == "delivered" and attempt.version in received
            ]
    if len(took) < 2:  # noqa: PLR2004 -- of one there is no half
        return None
    cuts = quantiles(took, n=20, method="inclusive")
    return cuts[9], cuts[18]
