"""One POST to a form, from its bytes to what became of it.

Invariant: asks in one order, and leaves at the first no: its origin, its body, a limit, the form's fields, the store.
What became of it is returned; nothing is answered, logged or counted here.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from http import HTTPStatus

from service.config.config import Config
from service.fields.types import suggestion_for
from service.intake.intake import Caller, Intake, Taken, Unavailable, Used
from service.lib import origin
from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.model import languages
from service.model.form import Form
from service.model.lead import Source
from service.model.problem import Code, Problems, refuse
from service.model.way import Way
from service.store.records import Limited, Refusal
from service.store.server.health import FAILURES, sentence_of
from service.submission import body, captcha, check, source, spam
from service.submission.check import Checked
from service.submission.field_match import Matched, match
from service.submission.form_data import Posted
from service.submission.ways.event import Event, of_webflow, read
from service.submission.ways.message import Message, is_proved
from service.submission.ways.table import WAYS
from service.web.challenge import Challenger
from service.web.limiter import Limiter
from service.web.request import Visitor


@dataclass(frozen=True, slots=True)
class Context:
    """What every submission of an installation meets. `secret` keys its hashes; `clock` tells the time in ms."""

    config: Config
    intake: Intake
    challenger: Challenger
    secret: Secret
    clock: Callable[[], int]
    limiter: Limiter

    def address(self, visitor: Visitor, form: Form) -> str:
        """Return the hash of the address that a request counts for at a form: no more of it is kept."""
        return keyed_hash(self.secret, "address", form.name, visitor.address)


@dataclass(frozen=True, slots=True)
class Said:
    """What one POST says: its texts, which of them is which field, and where it came from."""

    posted: Posted
    matched: Matched
    source: Source


@dataclass(frozen=True, slots=True)
class Visit:
    """One POST to a known form, as far as it got: `said` is None until its body was read."""

    form: Form
    came_of: Taken | Unavailable | Problems
    said: Said | None = None
    suggestions: tuple[tuple[str, str], ...] = ()
    """Mistyped, valid addresses: the name of the input and the right spelling."""

    @property
    def refusal(self) -> Refusal | None:
        """Why it was not taken, as the account has it; None if it was."""
        if isinstance(self.came_of, Problems):
            return "unavailable" if self.came_of.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "rejected"
        return "unavailable" if isinstance(self.came_of, Unavailable) else None


async def submit(
    context: Context, visitor: Visitor, form: Form, read_body: Callable[[], Awaitable[bytes | Problems]]
) -> Visit:
    """Take a POST as far as it gets; `read_body` is called once its page may post."""
    if not may_post(form, visitor.origin, visitor.own_origins):
        return Visit(form, refuse(Code.ORIGIN_NOT_ALLOWED, origin=(visitor.origin or "")[: origin.MAX_LENGTH]))
    raw = await read_body()
    if isinstance(raw, Problems):
        return Visit(form, raw)
    event = of_webflow(raw, form) if body.is_json(visitor.content_type) else None
    if event:
        return await _submit_webflow(context, visitor, form, event, raw)
    return await _submit_form(context, visitor, form, raw)


async def receive(
    context: Context, visitor: Visitor, form: Form, canary: str, read_body: Callable[[], Awaitable[bytes | Problems]]
) -> Visit:
    """Take a canary as far as a submission gets, but that it is no person's: it meets no limit and no challenge."""
    try:
        if not await context.intake.meet_canary(form, canary):
            return Visit(form, refuse(Code.UNAUTHORIZED, way="canary"))
        raw = await read_body()
        posted = raw if isinstance(raw, Problems) else body.read(visitor.content_type, raw, form)
        checked = posted if isinstance(posted, Problems) else check.check(form, posted)
        if isinstance(checked, Problems):
            return Visit(form, checked)
        await context.intake.note_canary(form, canary)
    except FAILURES as error:
        return Visit(form, Unavailable(sentence_of(error)))
    return Visit(form, Taken(canary, "", "created", 0))


async def submit_by(
    way: Way, context: Context, visitor: Visitor, form: Form, read_body: Callable[[], Awaitable[bytes | Problems]]
) -> Visit:
    """Take what a sender tells by a way of the form, once it is proved; who cannot prove it is limited as anybody."""
    raw = await read_body()
    if isinstance(raw, Problems):
        return Visit(form, raw)
    message = Message(visitor.content_type, raw, visitor.headers, visitor.query)
    if not is_proved(way, message, context.clock()):
        wait = context.limiter.post(form, context.address(visitor, form), context.clock())
        return Visit(form, _too_many(wait) if wait else refuse(Code.UNAUTHORIZED, way=way.name))
    event = read(way, message, form)
    return await _keep_event(context, form, event, doubts=(event.held,) if event.held else (), caller=None)


def may_check(context: Context, visitor: Visitor, form: Form) -> Problems | None:
    """Say why this visitor may check no phone number now, None if they may."""
    wait = context.limiter.check(form, context.address(visitor, form), context.clock())
    return _too_many(wait) if wait else None


def may_post(form: Form, sent: str | None, own_origins: Collection[str]) -> bool:
    """Tell whether a page of that `Origin` may post; a missing or `null` one may (privacy browsers, sandboxes)."""
    if form.origins is None or sent is None or sent == "null":
        return True
    page = origin.normalise(sent)
    listed = {origin.normalise(allowed) for allowed in form.origins}
    return page is not None and (page in own_origins or page in listed or origin.shown_by_google(page) in listed)


async def _submit_form(context: Context, visitor: Visitor, form: Form, raw: bytes) -> Visit:
    caller = Caller(context.address(visitor, form))
    now = context.clock()
    wait = context.limiter.post(form, caller.address, now)
    posted = body.read(visitor.content_type, raw, form)
    if isinstance(posted, Problems):
        return Visit(form, _too_many(wait) if wait else posted)
    posted, token = captcha.split(form, posted)
    said = _said(form, posted, visitor.referer)
    if wait:
        return Visit(form, _too_many(wait), said)
    shown = await context.challenger.prove(form, token, check.check(form, posted, said.matched))
    if isinstance(shown, Problems):
        return Visit(form, shown, said)
    now = context.clock()
    seen = spam.of_visit(form, posted.control, visitor.session, secret=context.secret, now=now)
    checked = replace(shown.checked, signals={**shown.checked.signals, **seen})
    language = visitor.voice(form, posted.control.language).language.code
    shown = replace(shown, checked=_with_consent(form, checked, language, now))
    key = visitor.idempotency_key or posted.control.id.strip()
    return await _keep(context, form, said, shown, key=key, caller=caller)


async def _submit_webflow(context: Context, visitor: Visitor, form: Form, event: Event, raw: bytes) -> Visit:
    """Take Webflow's event at the form's own address, where it may come unsigned."""
    now, secret = context.clock(), form.webflow_secret
    if not form.takes_webflow or (secret and not visitor.headers.get("x-webflow-signature")):
        return Visit(form, refuse(Code.WEBHOOK_NOT_ALLOWED, setting="webflow_secret" if secret else "webflow"))
    way = replace(WAYS["webflow"], secret=secret)
    is_webflow = is_proved(way, Message(visitor.content_type, raw, visitor.headers), now)
    caller = None if is_webflow else Caller(context.address(visitor, form))
    if caller and (wait := context.limiter.post(form, caller.address, now)):
        return Visit(form, _too_many(wait))
    return await _keep_event(context, form, event, doubts=() if is_webflow else _doubts(form), caller=caller)


async def _keep_event(
    context: Context, form: Form, event: Event, *, doubts: tuple[str, ...], caller: Caller | None
) -> Visit:
    """Keep what somebody told of a visitor who was thanked already: nothing is refused for what it says."""
    said = _said(form, event.posted, event.page)
    checked = check.check(form, event.posted, said.matched, lenient=True)
    if isinstance(checked, Problems):
        return Visit(form, checked, said)
    checked = _with_consent(form, checked, languages.own(form.language), context.clock())
    shown = captcha.Shown(replace(checked, quarantine=(*checked.quarantine, *doubts)))
    return await _keep(context, form, said, shown, key=event.id, caller=caller)


def _doubts(form: Form) -> tuple[str, ...]:
    """Return why an event that anybody may have written is held: a challenge is not got round so."""
    if form.webflow_secret:
        return ("webflow-signature",)
    return ("captcha",) if form.captcha else ()


async def _keep(
    context: Context, form: Form, said: Said, shown: captcha.Shown, *, key: str, caller: Caller | None
) -> Visit:
    checked = shown.checked
    came_of = await context.intake.submit(
        form,
        replace(checked.content, source=said.source),
        key=key or None,
        quarantine=checked.quarantine,
        signals=checked.signals,
        once=shown.once,
        caller=caller,
    )
    match came_of:
        case Limited(wait):
            return Visit(form, _too_many(wait), said)
        case Used():
            return Visit(form, Problems((captcha.failed(form),)), said)
        case _:
            return Visit(form, came_of, said, _suggestions(said, checked))


def _suggestions(said: Said, checked: Checked) -> tuple[tuple[str, str], ...]:
    answers = checked.content.fields.items()
    return tuple(
        (said.matched.fields[name].sent, meant) for name, answer in answers if (meant := suggestion_for(answer))
    )


def _said(form: Form, posted: Posted, page_url: str) -> Said:
    return Said(posted, match(form, posted), source.of(posted, page_url))


def _with_consent(form: Form, checked: Checked, language: str, now: int) -> Checked:
    return replace(checked, content=check.with_consent(form, checked.content, language=language, now=now))


def _too_many(wait: int) -> Problems:
    """Refuse for now; `wait` in ms."""
    return refuse(Code.TOO_MANY_REQUESTS, retry_after=str(-(-wait // 1000)))
