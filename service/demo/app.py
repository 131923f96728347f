"""The demo: the clinic's page with its form, and a CRM that shows what it got and whether the signature held.

Invariant: it is an outsider. It knows the service by its addresses alone and checks a signature as any receiver would;
nothing of the store or of the configuration is read here. It keeps at most `KEPT` requests.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urljoin

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.lib.secret import Secret, unshown
from service.lib.signature import verify
from service.replies.reply import NO_PAGE

KEPT: Final = 10_000
SHOWN: Final = 200
LARGEST_BODY: Final = 1 << 20

ASSETS: Final = {
    "demo.css": "text/css; charset=utf-8",
    "demo-crm.js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came. `body` is its JSON, or its text when it was none; `at` in ms."""

    at: int
    headers: Mapping[str, str]
    body: Any
    verified: bool

    __repr__ = unshown

    def public(self) -> dict[str, Any]:
        """Return what `/demo/crm.json` says of it."""
        return {"headers": dict(self.headers), "body": self.body, "verified": self.verified}


@dataclass(frozen=True, slots=True)
class Row:
    """A lead as the CRM's page shows it: the latest version that arrived, by `data.id`."""

    lead: str
    name: str
    phone: str
    branch: str
    message: str
    type: str
    version: str
    verified: bool
    at: str

    __repr__ = unshown


class Book:
    """What was received, in order of arrival; with a folder it is also a file there and survives a restart."""

    def __init__(self, folder: Path | None) -> None:
        self._entries: deque[Received] = deque(maxlen=KEPT)
        self._file = folder / "demo-crm.jsonl" if folder else None
        self._run = token_hex(4)
        self.count = 0
        if self._file and self._file.exists():
            self._load(self._file)

    def __iter__(self) -> Iterator[Received]:
        """Go through what is kept, oldest first."""
        return iter(self._entries)

    def add(self, received: Received) -> None:
        """Keep one more."""
        self._entries.append(received)
        self.count += 1
        if self._file:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(_line(received))

    def forget(self, lead: str) -> None:
        """Delete everything that came about a lead."""
        self._entries = deque((entry for entry in self if _data(entry.body).get("id") != lead), maxlen=KEPT)
        if self._file and self._file.exists():
            self._write(self._file)

    @property
    def tag(self) -> str:
        """What changes with every addition, and with every start: an HTTP entity tag."""
        return f'"{self._run}-{self.count}"'

    def rows(self) -> list[Row]:
        """Return one row a lead, the newest arrival first, `SHOWN` at most."""
        rows: dict[str, Received] = {}
        for received in self._entries:
            key = _text(_data(received.body).get("id")) or f"#{id(received)}"
            earlier = rows.pop(key, None)
            rows[key] = received if earlier is None or _version(earlier) <= _version(received) else earlier
        rows = {key: row for key, row in rows.items() if not _is_erasure(row.body)}
        return [_row(key, rows[key]) for key in list(reversed(rows))[:SHOWN]]

    def _load(self, file: Path) -> None:
        lines = 0
        with file.open(encoding="utf-8", errors="replace") as source:
            for line in source:
                lines += 1
                try:
                    self._entries.append(Received(**json.loads(line)))
                except (ValueError, TypeError):
                    continue  # A line cut short by a `kill -9`; the CRM gets that request again.
        self.count = len(self._entries)
        if lines != self.count:
            self._write(file)

    def _write(self, file: Path) -> None:
        spare = file.with_suffix(".new")
        spare.write_text("".join(map(_line, self._entries)), encoding="utf-8")
        spare.replace(file)


def demo_routes(
    *, folder: Path | None, secret: Secret | None, clock: Callable[[], int], form_url: str = "/f/get-in-touch"
) -> list[Route]:
    """Make the routes of the demo: `/`, `/demo/crm`, `/demo/crm.json` and what the pages need.

    `folder` keeps what was received over a restart; without `secret` no signature holds. `clock` is in ms.
    `form_url` is where the page posts to, on this server or another; the form's script comes from there too.
    """
    pages = _Pages(Book(folder), secret, clock, form_url)
    return [
        Route("/", pages.clinic, methods=["GET"]),
        Route("/demo/crm", pages.take, methods=["POST"]),
        Route("/demo/crm", pages.crm, methods=["GET"]),
        Route("/demo/crm.json", pages.crm_json, methods=["GET"]),
        *(Route(f"/demo/{name}", _asset(name, media_type), methods=["GET"]) for name, media_type in ASSETS.items()),
    ]


def create_demo_app(
    *, folder: Path | None, secret: Secret | None, clock: Callable[[], int], form_url: str = "/f/get-in-touch"
) -> Starlette:
    """Make the demo as an application of its own, with `/healthz`; the arguments are those of `demo_routes`."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"ok": True}, headers=NO_PAGE)

    routes = demo_routes(folder=folder, secret=secret, clock=clock, form_url=form_url)
    return Starlette(routes=[*routes, Route("/healthz", healthz, methods=["GET"])])


class _Pages:
    """The demo's answers."""

    def __init__(self, book: Book, secret: Secret | None, clock: Callable[[], int], form_url: str) -> None:
        self._book, self._secret, self._clock, self._form_url = book, secret, clock, form_url
        self._templates = Environment(
            loader=PackageLoader("service.demo"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )

    async def clinic(self, request: Request) -> Response:
        script_url = urljoin(self._form_url, "/lead-form.js")
        full_url, full_script_url = (urljoin(str(request.base_url), url) for url in (self._form_url, script_url))
        return self._page(
            "demo.html",
            form_url=self._form_url,
            full_url=full_url,
            script_url=script_url,
            full_script_url=full_script_url,
        )

    async def crm(self, request: Request) -> Response:
        if self._is_unchanged(request):
            return Response(status_code=304, headers=NO_PAGE)
        known = self._secret is not None
        return self._page("demo-crm.html", rows=self._book.rows(), count=self._book.count, secret_known=known)

    async def crm_json(self, request: Request) -> Response:
        if self._is_unchanged(request):
            return Response(status_code=304, headers=NO_PAGE)
        return JSONResponse([entry.public() for entry in self._book], headers={**NO_PAGE, "ETag": self._book.tag})

    async def take(self, request: Request) -> Response:
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > LARGEST_BODY:
                return JSONResponse({"ok": False, "error": "This is too large for a webhook."}, 413, NO_PAGE)
        now = self._clock()
        headers = dict(request.headers)
        received = Received(now, headers, _parse(raw), self._holds(headers, raw, now))
        if received.verified and _is_erasure(received.body):
            self._book.forget(_text(_data(received.body).get("id")))
        self._book.add(received)
        return JSONResponse({"ok": True}, headers=NO_PAGE)

    def _holds(self, headers: Mapping[str, str], raw: bytes, now: int) -> bool:
        return self._secret is not None and verify(
            [self._secret],
            id=headers.get("webhook-id", ""),
            timestamp=headers.get("webhook-timestamp", ""),
            signatures=headers.get("webhook-signature", ""),
            body=raw,
            now=now,
        )

    def _page(self, template: str, **values: object) -> Response:
        text = self._templates.get_template(template).render(**values)
        elsewhere = urljoin(self._form_url, "/") if "://" in self._form_url else ""
        policy = (
            f"default-src 'self'; img-src 'self' data:; script-src 'self' {elsewhere}; connect-src 'self' {elsewhere}; "
            f"form-action 'self' {elsewhere}; base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {**NO_PAGE, "Content-Security-Policy": policy, "ETag": self._book.tag}
        return Response(text, media_type="text/html", headers=headers)

    def _is_unchanged(self, request: Request) -> bool:
        return request.headers.get("if-none-match") == self._book.tag


def _asset(name: str, media_type: str) -> Callable[[Request], Response]:
    content = (Path(__file__).parent / "static" / name).read_bytes()

    def answer(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=NO_PAGE)

    return answer


def _parse(raw: bytes) -> Any:  # noqa: ANN401 - whatever was sent is shown
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # What cannot be sent on is shown as text.
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
    return value


def _line(received: Received) -> str:
    entry = {"at": received.at, "headers": dict(received.headers), "body": received.body, "verified": received.verified}
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _data(body: object) -> dict[str, Any]:
    return _dict(_dict(body).get("data"))


def _is_erasure(body: object) -> bool:
    return _dict(body).get("type") == "lead.erased"


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


def _version(received: Received) -> int:
    version = _data(received.body).get("version")
    return version if isinstance(version, int) else 0


def _row(key: str, received: Received) -> Row:
    data = _data(received.body)
    fields, phone = _dict(data.get("fields")), _dict(data.get("phone"))
    return Row(
        lead=key,
        name=_text(fields.get("name")),
        phone=_text(phone.get("international")) or _text(fields.get("phone")),
        branch=_text(fields.get("branch")),
        message=_text(fields.get("message")),
        type=_text(_dict(received.body).get("type")).removeprefix("lead.") or "unknown",
        version=_text(data.get("version")),
        verified=received.verified,
        at=datetime.fromtimestamp(received.at / 1000, UTC).strftime("%d %b, %H:%M:%S UTC"),
    )
