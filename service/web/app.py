"""The web part: requests come in, submissions go to the intake, replies go out.

Law: thin. It reads bytes and sends them; what they mean is decided by the pure modules, what becomes of a
submission by the intake. It never logs what a visitor typed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPMethod
from typing import Final, Protocol

import phonenumbers
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.config.read import Config
from service.fields import phone
from service.intake.intake import Intake, Taken, Unavailable
from service.lib import origin
from service.lib.secret import Secret
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.replies import assets, next_url, openapi, page, reply, script
from service.replies.reply import Reply
from service.replies.wording import Voice
from service.submission import body, source, spam
from service.submission.form_data import Control, Posted
from service.web.challenge import Challenger
from service.web.limiter import Limiter
from service.web.request import content_type, read_body, respond, voice_of, wants_page
from service.web.submit import Reception, Visit

_NOT_FOUND: Final = refuse(Code.FORM_NOT_FOUND)
_UNAVAILABLE: Final = refuse(Code.UNAVAILABLE)


class OnSubmission(Protocol):
    """Is told of every POST to a known form: what came of it, and how long that took."""

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
        why there was nowhere to keep one.
        """


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
    reception = Reception(config, intake, challenger, secret, clock, Limiter())
    site = _Site(
        config, intake, secret, challenger, clock, on_submission or _tell_nobody, reception, is_script_readable
    )
    routes = [
        Route("/f/{form}", site.form, methods=["GET", "POST", "OPTIONS"]),
        Route("/f/{form}/phone", site.phone, methods=["POST", "OPTIONS"]),
        Route("/f/{form}/thanks", site.thanks, methods=["GET", "OPTIONS"]),
        Route("/f/{form}/challenge", site.challenge, methods=["GET", "OPTIONS"]),
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
    config: Config
    intake: Intake
    secret: Secret
    challenger: Challenger
    clock: Callable[[], int]
    on_submission: OnSubmission
    reception: Reception
    is_script_readable: bool

    async def form(self, request: Request) -> Response:
        return await self._at_form(request, self._post if request.method == HTTPMethod.POST else self._hosted)

    async def phone(self, request: Request) -> Response:
        return await self._at_form(request, self._check_phone)

    async def thanks(self, request: Request) -> Response:
        return await self._at_form(request, self._thank)

    async def challenge(self, request: Request) -> Response:
        return await self._at_form(request, self._challenge)

    async def script(self, request: Request) -> Response:
        known, name = request.headers.get("if-none-match", ""), request.url.path.removeprefix("/")
        return respond(request, script.served(known, name, is_readable=self.is_script_readable))

    async def healthz(self, request: Request) -> Response:
        return respond(request, reply.json(200, {"ok": True}))

    async def readyz(self, request: Request) -> Response:
        told = await self.intake.readiness()
        document = {"ready": told.ready, "redis": told.redis, "spool": told.spool}
        return respond(request, reply.json(200 if told.ready else 503, document))

    async def openapi(self, request: Request) -> Response:
        return respond(
            request, reply.json(200, openapi.document(self.config.forms.values(), self.config.service.public_url))
        )

    async def not_found(self, request: Request, _: Exception) -> Response:
        return respond(request, self._refusal(request, _NOT_FOUND))

    async def not_allowed(self, request: Request, error: Exception) -> Response:
        headers = (error.headers if isinstance(error, HTTPException) else None) or {}
        allowed = ", ".join(sorted(each.strip() for each in headers.get("Allow", "").split(",")))
        problems = refuse(Code.METHOD_NOT_ALLOWED, method=request.method[:20], allowed=allowed)
        return respond(request, self._refusal(request, problems, self._form_at(request)))

    async def broken(self, request: Request, _: Exception) -> Response:
        return respond(request, self._refusal(request, _UNAVAILABLE, self._form_at(request), status=500))

    def _form_at(self, request: Request) -> Form | None:
        return self.config.forms.get(request.path_params.get("form", ""))

    async def _at_form(self, request: Request, answer: Callable[[Request, Form], Awaitable[Reply]]) -> Response:
        if request.method == HTTPMethod.OPTIONS:
            return respond(request, reply.preflight())
        form = self._form_at(request)
        return respond(request, await answer(request, form) if form else self._refusal(request, _NOT_FOUND))

    async def _hosted(self, request: Request, form: Form) -> Reply:
        voice, referrer = voice_of(request, form), request.headers.get("referer", "")
        is_other = origin.of_url(referrer) not in {None, *self.reception.own(request)}
        led_by = referrer[: source.MAX_LENGTH] if is_other else ""
        token = spam.make_token(self.secret, form, self.clock())
        return _page(200, page.hosted(form, voice, referrer=led_by, token=token), form, voice)

    async def _thank(self, request: Request, form: Form) -> Reply:
        voice = voice_of(request, form)
        return _page(200, page.thanks(form, voice), form, voice)

    async def _challenge(self, request: Request, form: Form) -> Reply:
        made = self.challenger.issue(form)
        return reply.json(200, made) if made else self._refusal(request, _NOT_FOUND)

    async def _check_phone(self, request: Request, form: Form) -> Reply:
        if problems := self.reception.check_may(request, form):
            return self._refusal(request, problems, form)
        raw = await read_body(request)
        posted = raw if isinstance(raw, Problems) else body.read(content_type(request), raw)
        asked = "" if isinstance(posted, Problems) else posted.control.language or posted.fields.get("language", "")
        return reply.phone_check(voice_of(request, form, asked), _verdict(form, posted))

    async def _post(self, request: Request, form: Form) -> Reply:
        started = self.clock()
        try:
            visit = await self.reception.take(request, form)
        except Exception:
            self.intake.count_refusal(form)
            self._tell(form, _UNAVAILABLE, started)
            raise
        if not isinstance(visit.came_of, Taken):
            self.intake.count_refusal(form)
        self._tell(form, visit.came_of, started)
        return self._answer(request, visit)

    def _answer(self, request: Request, visit: Visit) -> Reply:
        form, posted = visit.form, visit.posted
        control, referer = posted.control if posted else Control(), request.headers.get("referer", "")
        goes_to, voice = self._next(request, form, control), voice_of(request, form, control.language)
        match visit.came_of:
            case Taken(receipt=receipt) if wants_page(request):
                return reply.see_other(goes_to or next_url.thanks_path(form, control.language))
            case Taken(receipt=receipt):
                return reply.success(voice, receipt, goes_to)
            case Unavailable():
                problems = _UNAVAILABLE
            case Problems() as problems:
                pass
        if posted is None or not wants_page(request):
            return self._refusal(request, problems, form, voice)
        came_from = source.text_of(source.of(posted, referer))
        token = spam.renew_token(self.secret, form, control.token, self.clock())
        html = page.again(form, voice, posted, problems, next_url=goes_to, source=came_from, token=token)
        return _page(problems.status, html, form, voice, reply.failure_headers(problems, problems.status))

    def _next(self, request: Request, form: Form, control: Control) -> str:
        referer = request.headers.get("referer", "")
        return next_url.resolve(control.next, form, referer=referer, own=self.reception.own(request))

    def _refusal(
        self,
        request: Request,
        problems: Problems,
        form: Form | None = None,
        voice: Voice | None = None,
        *,
        status: int | None = None,
    ) -> Reply:
        voice, code = voice or voice_of(request, form), status or problems.status
        if not wants_page(request):
            return reply.failure(problems, voice, status=code)
        html = page.refusal(problems, voice, form, is_submission=request.method == HTTPMethod.POST)
        return _page(code, html, form, voice, reply.failure_headers(problems, code))

    def _tell(self, form: Form, came_of: Taken | Unavailable | Problems, started: int) -> None:
        taken = came_of if isinstance(came_of, Taken) else None
        codes = tuple(str(each.code) for each in came_of.items) if isinstance(came_of, Problems) else ()
        reason = came_of.reason if isinstance(came_of, Unavailable) else ""
        self.on_submission(
            form=form.name,
            result=taken.result if taken else "refused" if isinstance(came_of, Problems) else "unavailable",
            receipt=taken.receipt if taken else "",
            lead=taken.lead if taken else "",
            version=taken.version if taken else 0,
            codes=codes,
            reason=reason,
            duration_ms=self.clock() - started,
        )


def _page(status: int, html: str, form: Form | None, voice: Voice, headers: Mapping[str, str] | None = None) -> Reply:
    return reply.page(status, html, assets.policy_of(form), {**voice.headers, **(headers or {})})


def _verdict(form: Form, posted: Posted | Problems) -> phone.Verdict:
    """Read the number of a phone check; whatever holds none is no number."""
    if isinstance(posted, Problems):
        return phone.read("", country=form.country, countries=form.countries)
    named = posted.fields.get("country", "").strip().upper()
    country = named if named in phonenumbers.SUPPORTED_REGIONS else form.country
    confirm = posted.control.confirm or None
    return phone.read(posted.fields.get("number", ""), country=country, countries=form.countries, confirm=confirm)


def _tell_nobody(**_: object) -> None:
    """Note nothing."""
