"""One POST to a form, from its bytes to what came of it.

Law: asks in one order, and leaves at the first no: its origin, its body, a limit, the form's fields, the store. What it
came to is returned; nothing is answered, logged or counted here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from starlette.requests import Request

from service.config.read import Config
from service.intake.intake import Caller, Intake, Taken, Unavailable, Used
from service.lib import origin
from service.lib.secret import Secret
from service.model import languages
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.store.records import Limited
from service.submission import body, captcha, check, consent, source, spam, webflow
from service.submission.check import Checked
from service.submission.form_data import Posted
from service.submission.person import keyed_hash
from service.web.challenge import Challenger
from service.web.limiter import Limiter
from service.web.request import address_of, content_type, own_origins, read_body, voice_of


@dataclass(frozen=True, slots=True)
class Visit:
    """One POST to a known form, as far as it got: `posted` is None until its body was read."""

    form: Form
    came_of: Taken | Unavailable | Problems
    posted: Posted | None = None


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes POSTs for every form of a configuration. `clock` tells the time in ms."""

    config: Config
    intake: Intake
    challenger: Challenger
    secret: Secret
    clock: Callable[[], int]
    limiter: Limiter

    def address(self, request: Request, form: Form) -> str:
        """Return the hash of the address that a request counts for at a form, "" for none: no more of it is kept."""
        address = address_of(request, self.config.service.trusted_proxies)
        return keyed_hash(self.secret, "address", form.name, address) if address else ""

    def own(self, request: Request) -> tuple[str, ...]:
        """Return the origins of the service itself, as this request found it."""
        return own_origins(request, self.config.service.public_url)

    def check_may(self, request: Request, form: Form) -> Problems | None:
        """Say why this address may check no phone number now, None if it may."""
        wait = self.limiter.check(form, self.address(request, form), self.clock())
        return _too_many(wait) if wait else None

    async def take(self, request: Request, form: Form) -> Visit:
        """Take a POST as far as it gets."""
        sent_origin = request.headers.get("origin")
        if not may_post(form, sent_origin, self.own(request)):
            return Visit(form, refuse(Code.ORIGIN_NOT_ALLOWED, origin=(sent_origin or "")[: origin.MAX_LENGTH]))
        raw = await read_body(request)
        if isinstance(raw, Problems):
            return Visit(form, raw)
        event = webflow.read(raw, form) if body.is_json(content_type(request)) else None
        if event:
            return await self._take_event(request, form, event, raw)
        return await self._take_form(request, form, raw)

    async def _take_form(self, request: Request, form: Form, raw: bytes) -> Visit:
        caller = Caller(self.address(request, form))
        wait = self.limiter.post(form, caller.address, self.clock())
        posted = body.read(content_type(request), raw)
        if isinstance(posted, Problems):
            return Visit(form, _too_many(wait) if wait else posted)
        if wait:
            return Visit(form, _too_many(wait), posted)
        posted, token = captcha.split(form, posted)
        shown = await self.challenger.prove(form, token, check.check(form, posted))
        if isinstance(shown, Problems):
            return Visit(form, shown, posted)
        session = request.headers.get("formspree-session-data", "")
        visit = spam.of_visit(form, posted.control, session, secret=self.secret, now=self.clock())
        checked = replace(shown.checked, signals={**shown.checked.signals, **visit})
        language = voice_of(request, form, posted.control.language).language.code
        shown = replace(shown, checked=self._with_consent(form, checked, language))
        key = request.headers.get("idempotency-key", "").strip() or posted.control.id.strip()
        page_url = request.headers.get("referer", "")
        return await self._keep(form, posted, shown, key=key, page_url=page_url, caller=caller)

    async def _take_event(self, request: Request, form: Form, event: webflow.Event, raw: bytes) -> Visit:
        checked = check.check(form, event.posted, lenient=True)
        if isinstance(checked, Problems):
            return Visit(form, checked, event.posted)
        checked = self._with_consent(form, checked, languages.own(form.language))
        timestamp, signed = (request.headers.get(name, "") for name in (webflow.TIMESTAMP, webflow.SIGNATURE))
        if form.webflow_secret and webflow.is_authentic(form.webflow_secret, timestamp, signed, raw, self.clock()):
            shown = captcha.Shown(checked)
            return await self._keep(form, event.posted, shown, key=event.id, page_url=event.page, caller=None)
        caller = Caller(self.address(request, form), is_thanked=True)
        doubts = ["webflow-signature"] if form.webflow_secret else []
        # Anybody can write what looks like Webflow's; a challenge is not got round so.
        doubts += ["captcha"] if form.captcha and not form.webflow_secret else []
        doubts += ["rate"] if self.limiter.post(form, caller.address, self.clock()) else []
        shown = captcha.Shown(replace(checked, quarantine=(*checked.quarantine, *doubts)))
        return await self._keep(form, event.posted, shown, key=event.id, page_url=event.page, caller=caller)

    async def _keep(
        self, form: Form, posted: Posted, shown: captcha.Shown, *, key: str, page_url: str, caller: Caller | None
    ) -> Visit:
        checked = shown.checked
        content = replace(checked.content, source=source.of(posted, page_url))
        came_of = await self.intake.submit(
            form,
            content,
            key=key or None,
            quarantine=checked.quarantine,
            signals=checked.signals,
            once=shown.once,
            caller=caller,
        )
        match came_of:
            case Limited(wait):
                return Visit(form, _too_many(wait), posted)
            case Used():
                return Visit(form, Problems((captcha.failed(form),)), posted)
            case _:
                return Visit(form, came_of, posted)

    def _with_consent(self, form: Form, checked: Checked, language: str) -> Checked:
        return replace(checked, content=consent.noted(form, checked.content, language=language, now=self.clock()))


def may_post(form: Form, sent: str | None, own_origins: Collection[str]) -> bool:
    """Tell whether a page of that `Origin` may post; a missing or `null` one may (privacy browsers, sandboxes)."""
    if form.origins is None or sent is None or sent == "null":
        return True
    page = origin.normalise(sent)
    return page is not None and (page in own_origins or page in {origin.normalise(each) for each in form.origins})


def _too_many(wait: int) -> Problems:
    """Refuse for now; `wait` in ms."""
    return refuse(Code.TOO_MANY_REQUESTS, retry_after=str(-(-wait // 1000)))
