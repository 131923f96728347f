"""What came of a request becomes what its browser sees: every status, header and byte of JSON.

Invariant: pure. A success never says whether this person has written before. A success never carries `error` or
`errors`: widely used clients read their mere presence as failure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from service.fields.phone import Verdict
from service.lib.secret import unshown
from service.model.problem import Code, Problem, Problems
from service.replies.wording import Voice

RETRY_AFTER_S: Final = 10
METHODS: Final = "POST, GET, OPTIONS"
MOST_HEADERS: Final = 30
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")

# `same-origin` and not `no-referrer`: with that one, browsers post the form's own page with `Origin: null`.
GUARD: Final = MappingProxyType({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"})
"""Headers of every answer: nobody guesses its type, nobody else learns its address."""
NO_PAGE: Final = MappingProxyType(
    {**GUARD, "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
)
"""Headers of every answer that is no page and is not kept: opened as a page, it does nothing."""

_UNAUTHORIZED: Final = 401
_ASKS_TO_WAIT: Final = frozenset({429, 503})
_WEBHOOK_HINTS: Final = {
    "webflow": "Add `webflow = true` to this form in leads.toml.",
    "webflow_secret": "With `webflow_secret` this form takes no webhook that is not signed.",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, ready to be sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    __repr__ = unshown


def success(voice: Voice, receipt: str, next_url: str, suggestions: Sequence[tuple[str, str]] = ()) -> Reply:
    """Thank the visitor; `next_url` is the allowed `_next` or "".

    `suggestions` are the names of mistyped addresses, and how they were likely meant.
    """
    offered = [{"field": name, "suggestion": meant, "message": voice.meant(meant)} for name, meant in suggestions]
    thanks = {
        "ok": True,
        "success": True,
        "code": 200,
        "msg": "ok",
        "receipt": receipt,
        "message": voice.success,
        "next": next_url,
    }
    return json(200, {**thanks, **({"suggestions": offered} if offered else {})}, voice.headers)


def kept(receipt: str) -> Reply:
    """Tell a form builder, an ad platform or a calendar that its event is kept; some take nothing but exactly 200."""
    return json(200, {"ok": True, "receipt": receipt})


def failure(problems: Problems, voice: Voice, *, status: int | None = None) -> Reply:
    """Tell every problem."""
    errors = [_item(problem, voice) for problem in problems.items]
    code = status or problems.status
    answer = {
        "ok": False,
        "success": False,
        "code": code,
        "message": voice.failure,
        "error": errors[0]["message"],
        "errors": errors,
    }
    if all(problem.field for problem in problems.items):
        answer["check"] = voice.check
    if hint := hint_of(problems):
        answer["hint"] = hint
    return json(code, answer, {**voice.headers, **failure_headers(problems, code)})


def failure_headers(problems: Problems, status: int) -> dict[str, str]:
    """Return the headers that a status asks for: when to try again, which methods are taken."""
    values = problems.items[0].values
    waits = {"Retry-After": values.get("retry_after", str(RETRY_AFTER_S))} if status in _ASKS_TO_WAIT else {}
    allowed = values.get("allowed")
    asks = {"WWW-Authenticate": "Signature"} if status == _UNAUTHORIZED else {}  # RFC 9110, 15.5.2
    return waits | asks | ({"Allow": allowed} if allowed else {})


def hint_of(problems: Problems) -> str:
    """Return what the owner of the form has to change, "" for nothing: in English, as the settings are."""
    values = problems.items[0].values
    match problems.items[0].code:
        case Code.ORIGIN_NOT_ALLOWED:
            return f'Add "{values["origin"]}" to `origins` of this form in leads.toml.'
        case Code.WEBHOOK_NOT_ALLOWED:
            return _WEBHOOK_HINTS[values["setting"]]
        case Code.UNAUTHORIZED:
            return f'Compare what the sender has with the `secret` of the way "{values["way"]}" in leads.toml.'
        case _:
            return ""


def field_check(voice: Voice, problem: Problem | None, suggestion: str = "") -> Reply:
    """Say how one field would be taken; always 200."""
    code = problem.code if problem else Code.VALID
    fine = voice.meant(suggestion) if suggestion else voice.say(Problem(Code.VALID))
    message = voice.say(problem) if problem else fine
    meant = {"suggestion": suggestion} if suggestion else {}
    return json(200, {"valid": problem is None, "code": code, "message": message, **meant}, voice.headers)


def phone_check(voice: Voice, verdict: Verdict) -> Reply:
    """Tell what one number is; always 200."""
    if verdict.valid and verdict.phone:
        phone = verdict.phone
        known = {name: getattr(phone, name) for name in ("e164", "national", "international", "country", "type")}
        answer = {"valid": True, "code": verdict.code, "message": voice.valid, **known}
    else:
        why = voice.say(Problem(verdict.code, values=verdict.values))
        meant = {"suggestion": verdict.suggestion} if verdict.suggestion else {}
        answer = {"valid": False, "code": verdict.code, "message": why, **meant}
    return json(200, answer, voice.headers)


def json(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with a JSON document."""
    return Reply(
        status, msgspec.json.encode(document), {"Content-Type": "application/json", **NO_PAGE, **(headers or {})}
    )


def page(status: int, html: str, policy: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with a page under its content security policy."""
    of_page = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Reply(status, html.encode(), {**NO_PAGE, **of_page, **(headers or {})})


def see_other(address: str) -> Reply:
    """Send the browser on by GET (303)."""
    return Reply(303, headers={"Location": address, **NO_PAGE})


def preflight(asked: str = "") -> Reply:
    """Answer the question a browser asks before it posts across origins (Fetch Standard, "CORS-preflight").

    `asked` is `Access-Control-Request-Headers`: whatever a page sends along is allowed, 30 names at most, and not read.
    """
    names = [name.strip() for name in asked.split(",")][:MOST_HEADERS]
    headers = ", ".join(name for name in names if _HEADER.fullmatch(name))
    allowed = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": headers or "Content-Type"}
    return Reply(204, headers={**allowed, "Access-Control-Max-Age": "600", **NO_PAGE})


def cors(origin: str | None) -> dict[str, str]:
    """Return the headers that let a page of `origin` read any answer; a refused page may read why.

    The resource policy is for pages that isolate themselves (Fetch Standard, "Cross-Origin-Resource-Policy header").
    """
    shared = {
        "Vary": "Origin",
        "Access-Control-Expose-Headers": "Retry-After",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if not origin:
        return shared
    return shared | {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}


def wants_page(accept: str, requested_with: str, *, is_json_body: bool) -> bool:
    """Tell whether the answer is a page: `Accept` names text/html, and nothing says that a script asks."""
    ranges = [part.replace(" ", "").lower().split(";") for part in accept.split(",")]
    named = any(media_type == "text/html" and not _is_refused(rest) for media_type, *rest in ranges)
    return named and not is_json_body and requested_with.strip().lower() != "xmlhttprequest"


def _is_refused(parameters: list[str]) -> bool:
    return any(parameter.startswith("q=0") and not parameter.strip("q=0.") for parameter in parameters)


def _item(problem: Problem, voice: Voice) -> dict[str, str]:
    answer = {"field": problem.field, "code": str(problem.code), "message": voice.say(problem)}
    return answer | ({"suggestion": problem.suggestion} if problem.suggestion else {})
