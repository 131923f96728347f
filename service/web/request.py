"""Starlette's requests and responses, as far as this service looks at them: read once, into plain values.

Invariant: reads what a request says and sends what a reply says; decides nothing about either. No other module looks
into a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from service.config.config import Service
from service.lib import network, origin
from service.lib.secret import unshown
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.replies import reply, wording
from service.replies.reply import Reply
from service.replies.wording import Voice
from service.submission import body

_HANDED_ON: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that proxies add."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a request and how they are answered: all that is looked at of it, but its body.

    `address` is the one that the request counts for; `origin` None: none was sent; `own_origins` are those of the
    service itself, the best first. `query` are the pairs of the address, `language` is the one that it asks for,
    `accepted` the browser's choice. `session` is what Formspree's clients tell of their page; `headers` are all of
    them by their names in lower case, for the signatures of webhooks.
    """

    method: str = "POST"
    address: str = network.UNKNOWN
    origin: str | None = None
    own_origins: tuple[str, ...] = ()
    referer: str = ""
    content_type: str = ""
    wants_page: bool = False
    query: tuple[tuple[str, str], ...] = ()
    language: str = ""
    accepted: str = ""
    session: str = ""
    idempotency_key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    __repr__ = unshown

    @property
    def is_submission(self) -> bool:
        """Whether something was sent to be kept."""
        return self.method == "POST"

    def voice(self, form: Form | None, asked: str = "") -> Voice:
        """Return how to speak to this visitor of a form; `asked` is the language that was named in the body."""
        return wording.of(form, asked=asked or self.language, accepted=self.accepted)


def read_visitor(request: Request, service: Service) -> Visitor:
    """Read a request but for its body; `service` names the public URL and whose `X-Forwarded-For` is believed."""
    headers = _headers(request)
    language = "" if not request.scope["query_string"] else _language(request)
    content_type = headers.get("content-type", "")
    return Visitor(
        method=request.method,
        address=network.address_of(
            request.client.host if request.client else "",
            request.headers.getlist("x-forwarded-for") if "x-forwarded-for" in headers else (),
            service.trusted_proxies,
        ),
        origin=headers.get("origin"),
        own_origins=origin.own(request.scope.get("scheme", "http"), headers.get("host", ""), service.public_url),
        referer=headers.get("referer", ""),
        content_type=content_type,
        wants_page=reply.wants_page(
            headers.get("accept", ""), headers.get("x-requested-with", ""), is_json_body=body.is_json(content_type)
        ),
        query=tuple(request.query_params.multi_items()) if request.scope["query_string"] else (),
        language=language,
        accepted=", ".join(request.headers.getlist("accept-language")) if "accept-language" in headers else "",
        session=headers.get("formspree-session-data", ""),
        idempotency_key=headers.get("idempotency-key", "").strip(),
        headers=headers,
    )


def may_inspect(request: Request, service: Service) -> bool:
    """Tell whether a request may read how the service is: its figures, and why it is not ready."""
    return network.is_among(
        service.monitoring,
        request.client.host if request.client else "",
        request.headers.getlist("x-forwarded-for"),
        service.trusted_proxies,
        is_handed_on=any(name in request.headers for name in _HANDED_ON),
    )


def _headers(request: Request) -> dict[str, str]:
    """Return the headers by their names in lower case, of several of one name the first, decoded once."""
    sent: list[tuple[bytes, bytes]] = request.scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(sent)}


def _language(request: Request) -> str:
    query = request.query_params
    return query.get("_language") or query.get("language", "")


async def read_body(request: Request) -> bytes | Problems:
    """Read the body, 256 KiB at most: a larger one is left unread. One that breaks off is unreadable.

    One that is compressed is refused unread: a form's text gains nothing, and a kilobyte could become a gigabyte.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        return refuse(Code.UNSUPPORTED_MEDIA_TYPE)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > len(str(body.MAX_BYTES)) or int(declared) > body.MAX_BYTES):
        return body.TOO_LARGE
    raw = bytearray()
    is_more = True
    while is_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return body.UNREADABLE
        raw += message.get("body", b"")
        if len(raw) > body.MAX_BYTES:
            return body.TOO_LARGE
        is_more = message.get("more_body", False)
    return bytes(raw)


def respond(request: Request, answer: Reply) -> Response:
    """Send a reply; below `/f/` any page may read it, whatever it says."""
    is_shared = request.scope["path"].startswith("/f/")
    shared = reply.cors(request.headers.get("origin")) if is_shared else {}
    varies = ", ".join(headers["Vary"] for headers in (shared, answer.headers) if "Vary" in headers)
    return Response(answer.body, answer.status, {**answer.headers, **shared, **({"Vary": varies} if varies else {})})
