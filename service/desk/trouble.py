"""`/trouble`: what `leads status` finds wrong, and what is not where it should be, with what to do about it.

Invariant: all is done when it is asked for. A sentence that a destination may have a word in is covered for readers.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from service.delivery.trouble import read_troubles
from service.desk.visit import Visit, see
from service.lib.text import many
from service.store.accounts import Accounts
from service.store.archive import DeadDelivery
from service.store.overview import read_accounts, read_pauses, read_waits

MOST_DEAD: Final = 1_000
"""So many dead leads of one form and destination are read for a page; what is left comes when those are done."""
SHOWN_OF_A_REASON: Final = 5
_SHOWN_BELOW: Final = frozenset({"PAUSED", "DEAD"})
"""What a destination's own card says, with a button."""


@dataclass(slots=True)
class AtDestination:
    """What is wrong at one destination: why it is paused, until when it wants us to wait, the dead by reason."""

    name: str
    pause: str = ""
    wait: str = ""
    dead: dict[str, list[DeadDelivery]] = field(default_factory=lambda: defaultdict(list))
    waiting: int = 0
    is_known: bool = True


async def trouble(visit: Visit) -> Response:
    """Show everything that is wrong, what is paused, and what is dead by reason."""
    desk = visit.desk
    accounts = await read_accounts(desk.store.server, desk.config)
    _, found = await read_troubles(desk.store.server, desk.config, accounts, desk.spool)
    at_destinations = await _at_destinations(visit, accounts)
    worth_showing = [here for here in at_destinations if here.pause or here.dead or here.wait]
    sent = visit.request.query_params.get("sent", "")
    return visit.page(
        "trouble.html", title="Trouble", troubles=worth_showing, covered=visit.covered, shown=SHOWN_OF_A_REASON,
        found=[trouble for trouble in found if trouble.code not in _SHOWN_BELOW], gaps=accounts.gaps(),
        sent=int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 7 else None,  # noqa: PLR2004 -- a number that was ours
    )  # fmt: skip


async def _at_destinations(visit: Visit, accounts: Accounts) -> list[AtDestination]:
    desk = visit.desk
    pauses = await read_pauses(desk.store.server, desk.config)
    waits, times = await read_waits(desk.store.server, desk.config), desk.times
    found: dict[str, AtDestination] = {name: AtDestination(name) for name in desk.config.destinations}
    for form in desk.config.forms.values():
        for name, account in accounts.forms[form.name].destinations.items():
            here = found.setdefault(name, AtDestination(name, is_known=False))
            here.waiting += account.waiting
            for dead in await desk.archive.dead(form.name, name, MOST_DEAD) if account.dead else ():
                here.dead[dead.reason].append(dead)
    for name, here in found.items():
        here.pause = pauses.get(name, "")
        here.wait = times.moment(waits[name]) if waits.get(name, 0) > times.now else ""
    return list(found.values())


async def send_dead(visit: Visit) -> Response:
    """Send again all that died at a destination for one reason."""
    name, reason = visit.said("destination"), visit.said("reason")
    accounts = await read_accounts(visit.desk.store.server, visit.desk.config)
    listed = await _at_destinations(visit, accounts)
    here = next((here for here in listed if here.name == name and here.is_known), None)
    dead = here.dead.get(reason, []) if here else []
    await visit.note(f"sent {many(len(dead), 'dead lead')} again to {name}"[:300])
    sent = 0
    for form, lead in dict.fromkeys((delivery.form, delivery.lead) for delivery in dead):
        sent += await visit.desk.store.replay(form, name, lead, what="dead") > 0
    return see(f"/trouble?sent={sent}")
