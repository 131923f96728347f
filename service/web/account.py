"""Every POST to a known form is counted and noted, whatever became of it.

Invariant: what was taken is counted by the store; here that which was not. Nothing that a visitor typed is noted.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from service.intake.intake import Intake, Taken, Unavailable
from service.model.form import Form
from service.model.problem import Code, Problem, Problems, refuse
from service.replies import reply
from service.web.submit import Visit

UNAVAILABLE: Final = refuse(Code.UNAVAILABLE)


class OnSubmission(Protocol):
    """Learns of every POST to a known form: what became of it, and how long that took."""

    def __call__(
        self,
        *,
        form: str,
        result: str,
        receipt: str,
        lead: str,
        version: int,
        codes: tuple[str, ...],
        reason: str,
        duration_ms: int,
    ) -> None:
        """Note it.

        `result` is "created", "updated", "repeated", "quarantined", "refused" or "unavailable"; `receipt` and
        `lead` are "" and `version` 0 for one that was not taken; `codes` are the problems of one refused, `reason`
        why there was nowhere to keep one, or which setting refused one.
        """


@dataclass(frozen=True, slots=True)
class Account:
    """Where submissions are counted and noted; `clock` tells the time in ms."""

    intake: Intake
    clock: Callable[[], int]
    on_submission: OnSubmission

    async def enter(self, form: Form, visiting: Awaitable[Visit]) -> Visit:
        """Return what became of a POST, once that is counted and noted."""
        started = self.clock()
        try:
            visit = await visiting
        except Exception:
            self.intake.count_refusal(form, "unavailable")
            self._note(form, UNAVAILABLE, started)
            raise
        if visit.refusal:
            self.intake.count_refusal(form, visit.refusal, _codes(visit))
        if visit.said and not (isinstance(visit.came_of, Taken) and visit.came_of.result == "quarantined"):
            self.intake.count_arrival(form, visit.said.matched)
        self._note(form, visit.came_of, started)
        return visit

    def _note(self, form: Form, came_of: Taken | Unavailable | Problems, started: int) -> None:
        taken = came_of if isinstance(came_of, Taken) else None
        codes = tuple(str(problem.code) for problem in came_of.items) if isinstance(came_of, Problems) else ()
        self.on_submission(
            form=form.name,
            result=taken.result if taken else "refused" if isinstance(came_of, Problems) else "unavailable",
            receipt=taken.receipt if taken else "",
            lead=taken.lead if taken else "",
            version=taken.version if taken else 0,
            codes=codes,
            reason=_reason(came_of),
            duration_ms=self.clock() - started,
        )


def _codes(visit: Visit) -> Iterator[str]:
    """Yield "FIELD CODE" for each problem; what is no field of the form, or the whole, is ""."""
    sent = {found.sent: name for name, found in visit.said.matched.fields.items()} if visit.said else {}
    for problem in visit.came_of.items if isinstance(visit.came_of, Problems) else ():
        name = sent.get(problem.field, problem.field)
        yield f"{name if name in visit.form.fields else ''} {problem.code}"


def _reason(came_of: Taken | Unavailable | Problems) -> str:
    """Return what the owner has to change, for the log: nothing that a stranger sent, so no origin either."""
    match came_of:
        case Unavailable():
            return came_of.reason
        case Problems(items=(Problem(code=Code.ORIGIN_NOT_ALLOWED), *_)):
            return "The page's origin is not in `origins` of this form in leads.toml."
        case Problems():
            return reply.hint_of(came_of)
        case _:
            return ""


def note_nothing(**_: object) -> None:
    """Note nothing."""
