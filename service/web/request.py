"""Starlette's requests and responses, as far as this service looks at them.

Law: reads what a request says and sends what a reply says; decides nothing about either.
"""

from collections.abc import Sequence
from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.lib import caller, origin
from service.lib.caller import Network
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.replies import reply, wording
from service.replies.reply import Reply
from service.replies.wording import Voice
from service.submission import body


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
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                raw += chunk
                if len(raw) > body.MAX_BYTES:
                    return body.TOO_LARGE
    except ClientDisconnect:
        return refuse(Code.UNREADABLE_BODY)
    return bytes(raw)


def address_of(request: Request, trusted: Sequence[Network]) -> str:
    """Return the address that a request counts for, as `caller.address_of` has it."""
    peer = request.client.host if request.client else ""
    return caller.address_of(peer, request.headers.getlist("x-forwarded-for"), trusted)


def own_origins(request: Request, public_url: str | None) -> tuple[str, ...]:
    """Return the origins of the service itself, as `origin.own` has them."""
    return origin.own(request.url.scheme, request.headers.get("host", ""), public_url)


def content_type(request: Request) -> str:
    """Return the content type as it was sent, "" without one."""
    return request.headers.get("content-type", "")


def wants_page(request: Request) -> bool:
    """Tell whether the answer to this request is a page and not JSON."""
    headers, is_json = request.headers, body.is_json(content_type(request))
    return reply.wants_page(headers.get("accept", ""), headers.get("x-requested-with", ""), is_json_body=is_json)


def voice_of(request: Request, form: Form | None, asked: str = "") -> Voice:
    """Return how to speak to who sent a request: `asked` is the language named in its body, else its address may."""
    query = request.query_params
    wanted = asked or query.get("_language") or query.get("language", "")
    return wording.of(form, asked=wanted, accepted=", ".join(request.headers.getlist("accept-language")))


def respond(request: Request, answer: Reply) -> Response:
    """Send a reply; below `/f/` any page may read it, whatever it says."""
    is_shared = request.url.path.startswith("/f/")
    shared = reply.cors(request.headers.get("origin")) if is_shared else {}
    varies = ", ".join(each["Vary"] for each in (shared, answer.headers) if "Vary" in each)
    return Response(answer.body, answer.status, {**answer.headers, **shared, **({"Vary": varies} if varies else {})})
