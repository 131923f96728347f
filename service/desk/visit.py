"""One request to the desk by somebody who is signed in: who it is, what they may see, and how they are answered.

Invariant: nothing is shown or done before the member, the role and, where something changes, the origin and the token
of the form are known to be right. Every answer has the headers of `HEADERS`; no page has a script.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.config.config import Config
from service.config.config import Desk as Settings
from service.desk import words
from service.desk.breakdown import Breakdown
from service.desk.compare.table import MOST_BYTES
from service.desk.compare.uploads import Uploads
from service.desk.held import Decisions
from service.desk.people.journal import Journal
from service.desk.people.members import Member, Members, Role, Session, Sessions, may
from service.desk.search import Search
from service.intake.spool import Spool
from service.lib.network import address_of
from service.lib.text import many
from service.lib.times import length
from service.model.problem import Problems
from service.replies.reply import GUARD
from service.store.archive import Archive
from service.store.leads import Store
from service.web.request import read_body

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE: Final = Path(__file__).parent
STYLE: Final = (_HERE / "static" / "desk.css").read_bytes()
STYLE_PATH: Final = f"/desk.{sha256(STYLE).hexdigest()[:12]}.css"
HEADERS: Final = {
    **GUARD,
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}
MOST_FIELDS: Final = 2_000
_FORM_BYTES: Final = 64 * 1024
_FIELDS_BESIDE: Final = 10
COOKIE: Final = "__Host-leads"
ASKED_FOR_S: Final = 600
_LONGEST_ASKED: Final = 1_000
LOOPBACK_COOKIE: Final = "leads"
"""Without TLS, which only this machine itself may do: a browser takes no `__Host-` cookie that is not `Secure`."""
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything the pages are made from; `forms` and `destinations` are those of `config`."""

    config: Config
    settings: Settings
    store: Store
    archive: Archive
    search: Search
    members: Members
    sessions: Sessions
    journal: Journal
    decisions: Decisions
    spool: Spool | None
    uploads: Uploads
    breakdown: Breakdown

    @property
    def times(self) -> words.Times:
        """Return what writes moments, seen from now."""
        return words.Times(self.settings.timezone, self.store.server.now())

    def address(self, request: Request) -> str:
        """Return the address that a request comes from."""
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        return address_of(peer, forwarded, self.config.service.trusted_proxies)

    def origin(self, request: Request) -> str:
        """Return the origin under which the desk is opened."""
        return self.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"

    def cookie_of(self, request: Request) -> tuple[str, bool]:
        """Return the name of the session's cookie, and whether it needs TLS."""
        is_plain = urlsplit(origin := self.origin(request)).hostname in _LOOPBACK and origin.startswith("http://")
        return (LOOPBACK_COOKIE, False) if is_plain else (COOKIE, True)

    def is_ours(self, request: Request) -> bool:
        """Tell whether a form was sent by one of our own pages, as far as browsers say so."""
        said = request.headers.get("origin", "")
        return bool(said) and said in {self.origin(request), f"{request.url.scheme}://{request.headers.get('host')}"}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by a member; `form` is what was posted, each name with its values, and `file` what was brought."""

    desk: Desk
    request: Request
    member: Member
    session: Session
    form: Mapping[str, list[str]] = field(default_factory=dict)
    file: BinaryIO | None = None

    def may(self, least: Role) -> bool:
        """Tell whether the member may do what asks for at least this role."""
        return may(self.member.role, least)

    @property
    def covered(self) -> Callable[[str], str]:
        """Return what covers a person's number and address in a text, if this member may not see them."""
        is_covered = self.member.role == "reader" and self.desk.settings.masked
        return words.cover if is_covered else words.as_it_is

    def said(self, name: str) -> str:
        """Return the first value of a posted field."""
        return self.form.get(name, [""])[0]

    async def note(self, what: str, form: str = "", lead: str = "") -> None:
        """Write into the journal what this member sees or does now."""
        await self.desk.journal.note(self.member.name, what, form, lead)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 -- a template takes whatever it shows
        """Answer with a page."""
        here = {"visit": self, "member": self.member, "csrf": self.session.csrf, "path": self.request.url.path}
        return page(template, status, times=self.desk.times, **here, **values)

    def missing(self, sentence: str) -> Response:
        """Answer that there is no such thing."""
        return self.page("notice.html", 404, title="Nothing here", sentence=sentence)


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(least: Role, handler: Handler, *, takes_file: bool = False) -> Endpoint:
    """Return an endpoint that lets in members of at least a role, and takes changes from our own pages alone.

    `takes_file`: what is posted may bring a file along, as `read_upload` takes it.
    """

    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        known = await recognise(desk, request)
        if known is None:
            return to_sign_in(desk, request)
        member, session = known
        visit = Visit(desk, request, member, session)
        if not visit.may(least):
            return visit.page("notice.html", 403, title="Not yours to do", sentence=f"This is for {_AND_ABOVE[least]}.")
        if request.method == "POST":
            is_ours = desk.is_ours(request)  # if not, nothing of it is read
            form, file = await _read(request, takes_file=takes_file) if is_ours else ({}, None)
            if form is None:
                return visit.page("notice.html", 413, title="Too much at once", sentence=_TOO_MUCH[takes_file])
            if not is_ours or not session.allows(form.get("csrf", [""])[0]):
                if file:
                    file.close()
                return visit.page("notice.html", 403, title="Not from here", sentence=_NOT_OURS)
            visit = Visit(desk, request, member, session, form, file)
        return await handler(visit)

    return endpoint


async def _read(request: Request, *, takes_file: bool) -> tuple[dict[str, list[str]] | None, BinaryIO | None]:
    return await read_upload(request) if takes_file else (await read_form(request), None)


_TOO_MUCH: Final = ("Choose fewer at a time.", f"A file may have {MOST_BYTES // 1024**2} MB: export fewer days.")
_NOT_OURS: Final = (
    "Nothing was changed: what was sent did not come from a page of yours. Go back, load the page again, and repeat it."
)
_AND_ABOVE: Final[Mapping[Role, str]] = {"reader": "members", "editor": "editors and owners", "owner": "owners"}


async def recognise(desk: Desk, request: Request) -> tuple[Member, Session] | None:
    """Return who is signed in in a browser."""
    cookie = request.cookies.get(desk.cookie_of(request)[0], "")
    session = await desk.sessions.find(cookie) if cookie else None
    member = await desk.members.find(session.name) if session else None
    return (member, session) if member and session and member.entry == session.entry else None


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """Read an urlencoded form; None if it is too large, or breaks off."""
    raw = await read_body(request)
    if isinstance(raw, Problems):
        return None
    try:
        return parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return None


async def read_upload(request: Request) -> tuple[dict[str, list[str]] | None, BinaryIO | None]:
    """Read a form with one file, which lies in memory or in a file without a name; None as `read_form`."""
    from starlette.formparsers import MultiPartException, MultiPartParser  # noqa: PLC0415 -- only with a file

    read = 0

    async def bounded() -> AsyncGenerator[bytes, None]:
        nonlocal read
        async for chunk in request.stream():
            read += len(chunk)
            if read > MOST_BYTES + _FORM_BYTES:
                raise MultiPartException("too large")
            yield chunk

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return None, None
    try:
        sent = await MultiPartParser(request.headers, bounded(), max_files=1, max_fields=_FIELDS_BESIDE).parse()
    except (MultiPartException, ClientDisconnect):
        return None, None
    form = {name: [text for text in sent.getlist(name) if isinstance(text, str)] for name in sent}
    files = [part.file for _, part in sent.multi_items() if isinstance(part, UploadFile)]
    return form, files[0] if files else None


def to_sign_in(desk: Desk, request: Request) -> Response:
    """Send the browser to sign in, and have it come back to the page that was asked for."""
    answer, (name, is_secure) = see("/sign-in"), desk.cookie_of(request)
    asked = quote(f"{request.url.path}{'?' * bool(request.url.query)}{request.url.query}")
    if request.method == "GET" and request.url.path != "/" and len(asked) <= _LONGEST_ASKED:
        answer.set_cookie(f"{name}-asked", asked, ASKED_FOR_S, secure=is_secure, httponly=True, samesite="lax")
    return answer


def asked_before(desk: Desk, request: Request) -> str:
    """Return the page that was asked for before signing in: one of the desk, never another site's."""
    asked = unquote(request.cookies.get(f"{desk.cookie_of(request)[0]}-asked", ""))
    is_ours = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return asked if is_ours else "/"


def see(address: str) -> Response:
    """Send the browser on."""
    return RedirectResponse(address, 303, dict(HEADERS))


def page(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 -- a template takes whatever it shows
    """Answer with a page, for whoever it is."""
    html = _templates().get_template(template).render(style=STYLE_PATH, **values)
    return HTMLResponse(html, status, dict(HEADERS))


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 -- with the first page

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, auto_reload=False, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"length_of": length, "reason": words.reason_in_words}
    made.globals |= {"many": many, "STATES": words.STATES}
    return made
