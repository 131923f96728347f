"""The web part: requests come in, submissions go to the intake, replies go out.

Invariant: thin. It reads bytes and sends them; what they mean is decided by the pure modules, what becomes of a
submission by the intake. It never logs what a visitor typed.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPMethod
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.config.config import Config
from service.intake.intake import Intake, Taken, Unavailable
from service.lib import origin
from service.lib.secret import Secret
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.replies import assets, next_url, openapi, page, reply
from service.replies.reply import Reply
from service.replies.wording import Voice
from service.store.alarms import CANARY_HEADER
from service.submission import body, source, spam
from service.submission.body import MAX_FIELDS
from service.submission.field_match import match
from service.submission.form_data import Control, gather
from service.web.account import UNAVAILABLE, Account, OnSubmission, note_nothing
from service.web.challenge import Challenger
from service.web.checks import verdict_on_field, verdict_on_number
from service.web.limiter import Limiter
from service.web.request import Visitor, may_inspect, read_body, read_visitor, respond
from service.web.submit import Context, Said, Visit, may_check, receive, submit, submit_by

SEEN_FOR_S: Final = 1.0
"""A look at the store costs a write: strangers share what was seen so long ago."""
_NOT_FOUND: Final = refuse(Code.FORM_NOT_FOUND)

_AtForm = Callable[[Request, Visitor, Form], Awaitable[Reply]]


def create_app(
    config: Config,
    intake: Intake,
    challenger: Challenger,
    *,
    secret: Secret,
    clock: Callable[[], int],
    on_submission: OnSubmission | None = None,
    is_script_readable: bool = False,
) -> Starlette:
    """Make the web application. `secret` signs what a page carries back to us; `clock` tells the time in ms."""
    context = Context(config, intake, challenger, secret, clock, Limiter())
    site = _Site(context, Account(intake, clock, on_submission or note_nothing), is_script_readable)
    routes = [
        Route("/f/{form}", site.form, methods=["GET", "POST", "OPTIONS"]),
        Route("/f/{form}/phone", site.phone, methods=["POST", "OPTIONS"]),
        Route("/f/{form}/check", site.check, methods=["POST", "OPTIONS"]),
        Route("/f/{form}/thanks", site.thanks, methods=["GET", "OPTIONS"]),
        Route("/f/{form}/challenge", site.challenge, methods=["GET", "OPTIONS"]),
        Route("/f/{form}/from/{way}", site.way, methods=["POST", "OPTIONS"]),
        Route("/lead-form.js", site.script),
        Route("/lead-form-altcha.js", site.script),
        Route("/healthz", site.healthz),
        Route("/readyz", site.readyz),
        Route("/openapi.json", site.openapi),
    ]
    app = Starlette(
        routes=routes, exception_handlers={404: site.not_found, 405: site.not_allowed, Exception: site.broken}
    )
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class _Site:
    context: Context
    account: Account
    is_script_readable: bool

    async def form(self, request: Request) -> Response:
        return await self._at_form(request, self._post if request.method == HTTPMethod.POST else self._hosted)

    async def phone(self, request: Request) -> Response:
        return await self._at_form(request, self._check_phone)

    async def check(self, request: Request) -> Response:
        return await self._at_form(request, self._check_field)

    async def thanks(self, request: Request) -> Response:
        return await self._at_form(request, self._thank)

    async def challenge(self, request: Request) -> Response:
        return await self._at_form(request, self._challenge)

    async def way(self, request: Request) -> Response:
        return await self._at_form(request, self._post_by)

    async def script(self, request: Request) -> Response:
        known, name = request.headers.get("if-none-match", ""), request.url.path.removeprefix("/")
        return respond(request, assets.script(known, name, is_readable=self.is_script_readable))

    async def healthz(self, request: Request) -> Response:
        return respond(request, reply.json(200, {"ok": True}))

    async def readyz(self, request: Request) -> Response:
        is_told = may_inspect(request, self.context.config.service)
        found = await self.context.intake.readiness(at_most_s=0 if is_told else SEEN_FOR_S)
        document = {"ready": found.ready, **({"redis": found.redis, "spool": found.spool} if is_told else {})}
        return respond(request, reply.json(200 if found.ready else 503, document))

    async def openapi(self, request: Request) -> Response:
        config = self.context.config
        return respond(request, reply.json(200, openapi.document(config.forms.values(), config.service.public_url)))

    async def not_found(self, request: Request, _: Exception) -> Response:
        return respond(request, _refusal(self._visitor(request), _NOT_FOUND))

    async def not_allowed(self, request: Request, error: Exception) -> Response:
        headers = (error.headers if isinstance(error, HTTPException) else None) or {}
        allowed = ", ".join(sorted(method.strip() for method in headers.get("Allow", "").split(",")))
        problems = refuse(Code.METHOD_NOT_ALLOWED, method=request.method[:20], allowed=allowed)
        return respond(request, _refusal(self._visitor(request), problems, self._form_at(request)))

    async def broken(self, request: Request, _: Exception) -> Response:
        return respond(request, _refusal(self._visitor(request), UNAVAILABLE, self._form_at(request), status=500))

    def _visitor(self, request: Request) -> Visitor:
        return read_visitor(request, self.context.config.service)

    def _form_at(self, request: Request) -> Form | None:
        return self.context.config.forms.get(request.path_params.get("form", ""))

    async def _at_form(self, request: Request, answer: _AtForm) -> Response:
        if request.method == HTTPMethod.OPTIONS:
            return respond(request, reply.preflight(request.headers.get("access-control-request-headers", "")))
        visitor, form = self._visitor(request), self._form_at(request)
        return respond(request, await answer(request, visitor, form) if form else _refusal(visitor, _NOT_FOUND))

    async def _hosted(self, _: Request, visitor: Visitor, form: Form) -> Reply:
        is_other = origin.of_url(visitor.referer) not in {None, *visitor.own_origins}
        led_by = visitor.referer[: source.MAX_LENGTH] if is_other else ""
        token, voice = spam.make_token(self.context.secret, form, self.context.clock()), visitor.voice(form)
        filled = match(form, gather(visitor.query[:MAX_FIELDS], honeypot=form.honeypot))
        return _page(
            200,
            page.hosted(form, voice, filled, query=visitor.query[:MAX_FIELDS], referrer=led_by, token=token),
            form,
            voice,
        )

    async def _thank(self, _: Request, visitor: Visitor, form: Form) -> Reply:
        voice = visitor.voice(form)
        return _page(200, page.thanks(form, voice), form, voice)

    async def _challenge(self, _: Request, visitor: Visitor, form: Form) -> Reply:
        made = self.context.challenger.issue(form)
        return reply.json(200, made) if made else _refusal(visitor, _NOT_FOUND)

    async def _check_phone(self, request: Request, visitor: Visitor, form: Form) -> Reply:
        if problems := may_check(self.context, visitor, form):
            return _refusal(visitor, problems, form)
        raw = await read_body(request)
        posted = raw if isinstance(raw, Problems) else body.read(visitor.content_type, raw, form)
        asked = "" if isinstance(posted, Problems) else posted.control.language or posted.fields.get("language", "")
        return reply.phone_check(visitor.voice(form, asked), verdict_on_number(form, posted))

    async def _check_field(self, request: Request, visitor: Visitor, form: Form) -> Reply:
        if problems := may_check(self.context, visitor, form):
            return _refusal(visitor, problems, form)
        raw = await read_body(request)
        posted = raw if isinstance(raw, Problems) else body.read(visitor.content_type, raw, form)
        if isinstance(posted, Problems):
            return reply.field_check(visitor.voice(form), posted.items[0])
        return reply.field_check(visitor.voice(form, posted.control.language), *verdict_on_field(form, posted))

    async def _post(self, request: Request, visitor: Visitor, form: Form) -> Reply:
        read = functools.partial(read_body, request)
        if canary := visitor.headers.get(CANARY_HEADER):
            return self._answer(visitor, await receive(self.context, visitor, form, canary, read))
        visiting = submit(self.context, visitor, form, read)
        return self._answer(visitor, await self.account.enter(form, visiting))

    async def _post_by(self, request: Request, visitor: Visitor, form: Form) -> Reply:
        way, voice = form.ways.get(request.path_params["way"]), visitor.voice(form)
        if way is None:
            return reply.failure(_NOT_FOUND, voice)
        visiting = submit_by(way, self.context, visitor, form, functools.partial(read_body, request))
        came_of = (await self.account.enter(form, visiting)).came_of
        if isinstance(came_of, Taken):
            return reply.kept(came_of.receipt)
        return reply.failure(UNAVAILABLE if isinstance(came_of, Unavailable) else came_of, voice)

    def _answer(self, visitor: Visitor, visit: Visit) -> Reply:
        form, came_of = visit.form, visit.came_of
        control = visit.said.posted.control if visit.said else Control()
        voice = visitor.voice(form, control.language)
        goes_to = next_url.resolve(control.next, form, referer=visitor.referer, own=visitor.own_origins)
        if isinstance(came_of, Taken):
            if visitor.wants_page:
                return reply.see_other(goes_to or next_url.thanks_path(form, control.language))
            return reply.success(voice, came_of.receipt, goes_to, visit.suggestions)
        problems = UNAVAILABLE if isinstance(came_of, Unavailable) else came_of
        if visit.said is None or not visitor.wants_page:
            return _refusal(visitor, problems, form, voice)
        return self._again(form, voice, visit.said, problems, goes_to)

    def _again(self, form: Form, voice: Voice, said: Said, problems: Problems, goes_to: str) -> Reply:
        token = spam.renew_token(self.context.secret, form, said.posted.control.token, self.context.clock())
        html = page.again(
            form,
            voice,
            said.posted,
            said.matched,
            problems,
            next_url=goes_to,
            source=source.text_of(said.source),
            token=token,
        )
        return _page(problems.status, html, form, voice, reply.failure_headers(problems, problems.status))


def _refusal(
    visitor: Visitor,
    problems: Problems,
    form: Form | None = None,
    voice: Voice | None = None,
    *,
    status: int | None = None,
) -> Reply:
    voice, code = voice or visitor.voice(form), status or problems.status
    if not visitor.wants_page:
        return reply.failure(problems, voice, status=code)
    came_from = visitor.referer if origin.of_url(visitor.referer) else ""
    html = page.refusal(problems, voice, form, is_submission=visitor.is_submission, came_from=came_from)
    return _page(code, html, form, voice, reply.failure_headers(problems, code))


def _page(status: int, html: str, form: Form | None, voice: Voice, headers: Mapping[str, str] | None = None) -> Reply:
    return reply.page(status, html, assets.policy_of(form), {**voice.headers, **(headers or {})})
