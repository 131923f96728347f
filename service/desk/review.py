"""`/held` and `/trouble`: what waits for a person's decision, and what is not where it should be.

Invariant: a decision about what is held can be taken back for a minute; all else is done when it is asked for.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from service.desk import words
from service.desk.held import Choice, Decision
from service.desk.visit import Visit, see
from service.store.archive import DeadDelivery, Quarantined
from service.store.overview import read_pauses, read_waits

HELD_PAGE: Final = 100
MOST_DEAD: Final = 1_000
"""So many dead leads of one form and destination are read for a page; what is left comes when those are done."""
SHOWN_OF_A_REASON: Final = 5


async def held(visit: Visit) -> Response:
    """Show what looked like spam, why, and what it says, the latest first."""
    desk = visit.desk
    decided = await desk.decisions.open()
    hidden = {(decision.form, decision.submission) for decision in decided}
    kept = [
        submission
        for form in desk.config.forms.values()
        for submission in await desk.archive.quarantined(form, HELD_PAGE)
    ]
    shown = [submission for submission in kept if (submission.form, submission.id) not in hidden]
    shown = sorted(shown, key=lambda submission: submission.at, reverse=True)[:HELD_PAGE]
    await visit.note(f"saw {words.many(len(shown), 'held submission')}")
    now = desk.store.server.now()
    undoable = sorted((decision for decision, until in decided.items() if until > now), reverse=True)
    return visit.page(
        "held.html", title="Held back", rows=[_held_row(submission, visit) for submission in shown], undoable=undoable,
        most=HELD_PAGE, forms=desk.config.forms,
    )  # fmt: skip


def _held_row(held: Quarantined, visit: Visit) -> dict[str, object]:
    content, fields = held.content, visit.desk.config.forms[held.form].fields
    labels = {name: fields[name].label or fields[name].words for name in content.fields if name in fields}
    said = [(labels.get(name, name), visit.covered(answer.text)) for name, answer in content.fields.items()]
    said += [(name, visit.covered(text)) for name, text in content.extra.items()]
    why = list(dict.fromkeys(map(words.reason_in_words, held.reasons)))
    return {"held": held, "said": said, "why": why}


async def decide(visit: Visit) -> Response:
    """Let held submissions through or delete them, or take that back."""
    decisions = [decision for text in visit.form.get("submission", []) if (decision := _decision(visit, text))]
    match visit.said("do"):
        case "undo":
            await _note(visit, "took back the decision about a held submission", decisions)
            await visit.desk.decisions.undo(decisions)
        case "release" | "drop" as choice if decisions:
            done = "let a held submission through" if choice == "release" else "deleted a held submission"
            await _note(visit, done, decisions)
            await visit.desk.decisions.add([decision._replace(choice=choice) for decision in decisions])
        case _:
            pass
    return see("/held")


async def _note(visit: Visit, what: str, decisions: list[Decision]) -> None:
    for decision in decisions:
        await visit.note(what, decision.form, decision.submission)


def _decision(visit: Visit, text: str) -> Decision | None:
    """Read `FORM SUBMISSION`, or `CHOICE FORM SUBMISSION` of a decision that is taken back."""
    parts = text.split(" ")
    choice: Choice = "drop" if parts[0] == "drop" else "release"
    if len(parts) == 3:  # noqa: PLR2004 -- the choice stands before the two
        parts = parts[1:]
    if len(parts) != 2 or parts[0] not in visit.desk.config.forms or not parts[1]:  # noqa: PLR2004 -- a form and a submission
        return None
    return Decision(choice, parts[0], parts[1])


@dataclass(slots=True)
class Trouble:
    """What is wrong at one destination: why it is paused, until when it wants us to wait, the dead by reason."""

    name: str
    pause: str = ""
    wait: str = ""
    dead: dict[str, list[DeadDelivery]] = field(default_factory=lambda: defaultdict(list))
    waiting: int = 0
    is_known: bool = True


async def trouble(visit: Visit) -> Response:
    """Show what is paused and what is dead, by reason."""
    found = await _troubles(visit)
    worth_showing = [trouble for trouble in found if trouble.pause or trouble.dead or trouble.wait]
    sent = visit.request.query_params.get("sent", "")
    return visit.page(
        "trouble.html", title="Trouble", troubles=worth_showing, covered=visit.covered, shown=SHOWN_OF_A_REASON,
        sent=int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 7 else None,  # noqa: PLR2004 -- a number that was ours
    )  # fmt: skip


async def _troubles(visit: Visit) -> list[Trouble]:
    desk = visit.desk
    pauses = await read_pauses(desk.store.server, desk.config)
    waits, times = await read_waits(desk.store.server, desk.config), desk.times
    found: dict[str, Trouble] = {name: Trouble(name) for name in desk.config.destinations}
    for form in desk.config.forms.values():
        for name, account in (await desk.store.account(form.name, form.deliver, {})).destinations.items():
            here = found.setdefault(name, Trouble(name, is_known=False))
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
    here = next((trouble for trouble in await _troubles(visit) if trouble.name == name and trouble.is_known), None)
    dead = here.dead.get(reason, []) if here else []
    await visit.note(f"sent {words.many(len(dead), 'dead lead')} again to {name}"[:300])
    sent = 0
    for form, lead in dict.fromkeys((delivery.form, delivery.lead) for delivery in dead):
        sent += await visit.desk.store.replay(form, name, lead, what="dead") > 0
    return see(f"/trouble?sent={sent}")
