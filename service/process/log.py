"""What happened ► one line each, as JSON or as text.

Invariant: a line names form, receipt, lead, version, destination, result, duration and codes; nothing a visitor
typed, no answer of a CRM and no exception's text ever reaches it.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog

from service.destinations.outcome import Delivered

if TYPE_CHECKING:
    from service.delivery.courier import Attempted
    from service.intake.drain import Drained
    from service.notices.teller import Told
    from service.store.alarms import Flight
    from service.store.erasure import Expired
    from service.store.records import Mended, Promoted

Log = structlog.typing.FilteringBoundLogger


def open_log(how: Literal["json", "text"], process: str) -> Log:
    """Return the log of a process; it writes to standard error. `process` is "web", "worker" or "desk"."""
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_as_json)
        if how == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=_kind_only)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # A line is one write: several processes share it.
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger().bind(process=process)
    return log


def _as_json(line: object, *, default: Callable[[object], object]) -> str:
    return msgspec.json.encode(line, enc_hook=default).decode()


def _kind_only(stream: object, error: object) -> None:
    del stream, error


class FaultHandler(logging.Handler):
    """Turns what libraries log of an exception into one line."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._log.error("fault", logger=record.name)
        else:
            log_fault(self._log, error)


def log_fault(log: Log, error: BaseException) -> None:
    """Write one line for an exception that nobody expected: its kind and where it arose, never what it says."""
    *_, last = traceback.extract_tb(error.__traceback__) or [None]
    where = f"{Path(last.filename).name}:{last.lineno}" if last else ""
    log.error("fault", kind=type(error).__name__, where=where)


def catch_faults(log: Log) -> None:
    """Let what the server and the event loop log of exceptions go through `log`, without texts and tracebacks."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [FaultHandler(log)], False


def log_submission(log: Log) -> Callable[..., None]:
    """Return what writes one line for one submission."""

    def note(*, duration_ms: int, **said: str | int | tuple[str, ...]) -> None:
        kept = {name: value for name, value in said.items() if value}
        if said["result"] == "unavailable":
            log.error("submission", **kept, took_ms=duration_ms)
        else:
            log.info("submission", **kept, took_ms=duration_ms)

    return note


def log_unverified(log: Log) -> Callable[[str, str], None]:
    """Return what writes one line for a lead that was let through because its verifier gave no answer."""

    def note(form: str, reason: str) -> None:
        log.warning("captcha not verified", form=form, reason=reason)

    return note


def log_told(log: Log, told: "Told") -> None:
    """Write one line for what somebody was told of an alarm, or could not be."""
    said = {"code": told.code, "about": told.about, "channel": told.channel, "part": told.part}
    if isinstance(told.outcome, Delivered):
        log.info("told", **said)
    else:
        log.warning("not told", **said, reason=told.outcome.reason)


def log_canary(log: Log, form: str, flight: "Flight") -> None:
    """Write one line for a canary that arrived, or did not."""
    if flight.problem:
        log.warning("canary lost", form=form, reason=flight.problem, tries=flight.tries)
    else:
        log.info("canary arrived", form=form, delivered=list(flight.delivered))


def log_clocks(log: Log, difference: str) -> None:
    """Write one line that the clock of Redis and this machine's are far apart."""
    log.warning("clocks differ", reason=difference)


def log_risk(log: Log, risk: str) -> None:
    """Write one line when the server may lose what it confirms, and one when it no longer does."""
    if risk:
        log.error("redis is not durable", reason=risk)
    else:
        log.info("redis is durable")


def log_drained(log: Log, drained: "Drained") -> None:
    """Write one line for each submission that came back from the spool, and one for lines that could not be taken."""
    for line, accepted in drained.taken:
        log.info(
            "drained",
            form=line.form,
            receipt=accepted.receipt,
            lead=accepted.lead,
            version=accepted.version,
            result=accepted.result,
        )
    if drained.set_aside:
        log.error("set aside from the spool", lines=drained.set_aside, look_for="*.aside in LEADS_SPOOL")


def log_attempt(log: Log, attempted: "Attempted") -> None:
    """Write one line for one attempt: whom, which version, how it ended, how long it took, nothing that was said."""
    claim, conclusion = attempted.claim, attempted.conclusion
    attempt, lead = conclusion.attempt, claim.delivery.lead
    said = {
        "form": claim.form, "destination": claim.destination, "lead": lead.id, "version": lead.version,
        "result": attempt.result, "status": attempt.status, "took_ms": attempt.took, "settled": attempted.settled,
    }  # fmt: skip
    if attempt.result == "delivered":
        log.info("attempt", **said)
    else:
        log.warning("attempt", **said, reason=attempt.reason)
    if attempted.state == "paused":
        log.error("destination paused", destination=claim.destination, reason=attempt.reason)
    elif attempted.state == "alone":
        log.error("destination refuses the only lead", destination=claim.destination, reason=attempt.reason)
    elif attempted.state == "opened":
        log.info("destination open again", destination=claim.destination)


def log_mended(log: Log, mended: "Mended") -> None:
    """Write one line for something the repair put right."""
    log.warning("mended", form=mended.form, lead=mended.lead, destination=mended.destination, what=mended.what)


def log_promoted(log: Log, promoted: "Promoted") -> None:
    """Write one line for a version that a person's limit had held back."""
    log.info("promoted", form=promoted.form, lead=promoted.lead, version=promoted.version)


def log_expired(log: Log, expired: "Expired") -> None:
    """Write one line for what was deleted because it had been kept as long as it may."""
    log.info("expired", form=expired.form, leads=expired.leads, quarantined=expired.quarantined)
