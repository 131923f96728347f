"""`/held`: what looked like spam and waits for a person's decision.

Invariant: a decision can be taken back for a minute.
"""

from typing import Final

from starlette.responses import Response

from service.desk import words
from service.desk.held import Choice, Decision
from service.desk.visit import Visit, see
from service.lib.text import many
from service.notices.links import held_by
from service.store.archive import Quarantined

HELD_PAGE: Final = 100
_OLD_LINK: Final = "This link is too old, or not all of it is there. What is held stands under Held back."
_DECIDED: Final = "This was let through or deleted. A decision of the last minute can be undone under Held back."


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
    await visit.note(f"saw {many(len(shown), 'held submission')}")
    now = desk.store.server.now()
    undoable = sorted((decision for decision, until in decided.items() if until > now), reverse=True)
    return visit.page(
        "held.html", title="Held back", rows=[_held_row(submission, visit) for submission in shown], undoable=undoable,
        most=HELD_PAGE, forms=desk.config.forms, is_one=False,
        is_none_ticked=visit.request.query_params.get("ticked") == "0",
    )  # fmt: skip


def _held_row(held: Quarantined, visit: Visit) -> dict[str, object]:
    content, fields = held.content, visit.desk.config.forms[held.form].fields
    labels = {name: fields[name].label or fields[name].words for name in content.fields if name in fields}
    said = [(labels.get(name, name), visit.covered(answer.text)) for name, answer in content.fields.items()]
    said += [(name, visit.covered(text)) for name, text in content.extra.items()]
    why = list(dict.fromkeys(map(words.reason_in_words, held.reasons)))
    return {"held": held, "said": said, "why": why}


async def linked(visit: Visit) -> Response:
    """Show the one submission that a link of a digest is about."""
    desk = visit.desk
    found = held_by(desk.search.secrets, visit.request.path_params["link"], desk.store.server.now())
    if found is None or found[0] not in desk.config.forms:
        return visit.page("notice.html", 404, title="Nothing here", sentence=_OLD_LINK)
    form, id_ = found
    submission = await desk.archive.held(desk.config.forms[form], id_)
    decided = {(decision.form, decision.submission) for decision in await desk.decisions.open()}
    if submission is None or (form, id_) in decided:
        return visit.page("notice.html", title="It is decided", sentence=_DECIDED)
    await visit.note("saw a held submission", form, id_)
    return visit.page(
        "held.html", title="Held back", rows=[_held_row(submission, visit)], undoable=(), most=HELD_PAGE,
        forms=desk.config.forms, is_one=True, is_none_ticked=False,
    )  # fmt: skip


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
            return see("/held?ticked=0")
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
