"""The demo: the clinic's page with its form, and a CRM that shows what it got and whether the signature held.

Invariant: it is an outsider. It knows the service by its addresses alone and checks a signature as any receiver would;
nothing of the store or of the configuration is read here.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.demo.book import Book, Received
from service.lib import json_text
from service.lib.secret import Secret
from service.lib.signature import verify
from service.lib.text import is_unicode
from service.replies.reply import NO_PAGE

LARGEST_BODY: Final = 1 << 20

ASSETS: Final = {
    "demo.css": "text/css; charset=utf-8",
    "demo-crm.js": "text/javascript; charset=utf-8",
}


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
        try:
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > LARGEST_BODY:
                    return JSONResponse({"ok": False, "error": "This is too large for a webhook."}, 413, NO_PAGE)
        except ClientDisconnect:
            return JSONResponse({"ok": False, "error": "It broke off on its way."}, 400, NO_PAGE)
        now = self._clock()
        headers = dict(request.headers)
        received = Received(now, headers, _parse(raw), self._holds(headers, raw, now))
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
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        is_sent_on = is_unicode(text) and (value is None or json_text.parse(text) is not None)
    except (ValueError, RecursionError):
        is_sent_on = False
    return value if is_sent_on else raw.decode("utf-8", "replace")  # What cannot be sent on is shown as text.
