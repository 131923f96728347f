"""The demo CRM checks signatures as any receiver would and shows what it got; the clinic's page is a Webflow form."""

import asyncio
import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from service.demo.app import create_demo_app
from service.demo.book import KEPT, KEPT_BYTES, Book, Received
from service.lib.secret import Secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_795_000_000_000

Ask = Callable[..., httpx.Response]


def asking(folder: Path | None = None, secret: str | None = SECRET) -> Ask:
    app = create_demo_app(folder=folder, secret=Secret(secret) if secret else None, clock=lambda: NOW)

    async def send(method: str, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://clinic.test") as client:
            return await client.request(method, path, **more)

    return lambda method, path, **more: asyncio.run(send(method, path, **more))


def lead(version: int = 1, **fields: str) -> dict[str, Any]:
    data = {"id": "lead_1", "version": version, "form": "get-in-touch", "fields": {"name": "Asha Rao", **fields}}
    return {"type": "lead.created" if version == 1 else "lead.updated", "data": data}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    at = datetime.fromtimestamp(NOW // 1000, UTC)
    signature = Webhook(secret).sign("lead_1.1", at, body.decode())
    return {"webhook-id": "lead_1.1", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}


def deliver(ask: Ask, body: dict[str, Any], **more: Any) -> httpx.Response:
    raw = json.dumps(body).encode()
    return ask("POST", "/demo/crm", content=raw, headers=signed(raw, **more))


def test_a_webhook_signed_by_the_standards_own_package_is_verified() -> None:
    ask = asking()
    assert deliver(ask, lead()).status_code == 200
    [entry] = ask("GET", "/demo/crm.json").json()
    assert entry["verified"] is True
    assert entry["body"] == lead()
    assert entry["headers"]["webhook-id"] == "lead_1.1"
    assert "✔ verified" in ask("GET", "/demo/crm").text


@pytest.mark.parametrize("secret", ["whsec_" + "A" * 32, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])
def test_a_webhook_signed_by_somebody_else_is_shown_as_such(secret: str) -> None:
    ask = asking()
    assert deliver(ask, lead(), secret=secret).status_code == 200
    assert ask("GET", "/demo/crm.json").json()[0]["verified"] is False
    assert "✘ not verified" in ask("GET", "/demo/crm").text


def test_a_changed_body_is_not_verified() -> None:
    ask = asking()
    ask("POST", "/demo/crm", content=b'{"a": 2}', headers=signed(b'{"a": 1}'))
    assert ask("GET", "/demo/crm.json").json()[0]["verified"] is False


def test_without_a_secret_nothing_is_verified_and_the_page_says_why() -> None:
    ask = asking(secret=None)
    deliver(ask, lead())
    assert ask("GET", "/demo/crm.json").json()[0]["verified"] is False
    assert "CRM_WEBHOOK_SECRET" in ask("GET", "/demo/crm").text


def test_the_page_has_one_row_a_lead_and_shows_its_latest_version_whatever_comes_late() -> None:
    ask = asking()
    for version, phone in ((2, "+918951047002"), (1, "+918951047001")):
        deliver(ask, lead(version, phone=phone))
    page = ask("GET", "/demo/crm").text
    assert page.count("data-lead=") == 1
    assert "+918951047002" in page
    assert "+918951047001" not in page
    assert [entry["body"]["data"]["version"] for entry in ask("GET", "/demo/crm.json").json()] == [2, 1]


def test_what_a_visitor_typed_is_text_on_the_page_and_never_markup() -> None:
    ask = asking()
    deliver(ask, lead(message="<script>alert(1)</script>\"'"))
    page = ask("GET", "/demo/crm").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("path", ["/demo/crm", "/demo/crm.json"])
def test_who_asks_again_is_told_only_what_is_new(path: str) -> None:
    ask = asking()
    tag = ask("GET", path).headers["etag"]
    assert ask("GET", path, headers={"If-None-Match": tag}).status_code == 304
    deliver(ask, lead())
    assert ask("GET", path, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b'"text"',
        b'{"data": 7}',
        b'{"data": {"id": {}, "fields": []}}',
        b"[" * 50_000,
        b'{"data": {"fields": {"name": "\\ud800"}}}',
        b"NaN",
        b'{"data": {"version": 1e999}}',
        b"null",
        *(b"[" * depth + b"]" * depth for depth in range(900, 1_000, 3)),
    ],
)
def test_whatever_comes_is_kept_and_shown_and_breaks_nothing(raw: bytes, tmp_path: Path) -> None:
    ask = asking(tmp_path)
    assert ask("POST", "/demo/crm", content=raw).status_code == 200
    assert ask("GET", "/demo/crm").status_code == 200
    assert len(asking(tmp_path)("GET", "/demo/crm.json").json()) == 1


def test_a_body_beyond_reason_is_refused() -> None:
    assert asking()("POST", "/demo/crm", content=b"x" * ((1 << 20) + 1)).status_code == 413


def test_what_is_kept_and_its_file_do_not_grow_without_end(tmp_path: Path) -> None:
    ask = asking(tmp_path)
    sizes = []
    for number in range(60):
        ask("POST", "/demo/crm", content=json.dumps({"number": number, "text": "x" * 1_000_000}))
        sizes.append((tmp_path / "demo-crm.jsonl").stat().st_size)
    assert max(sizes) <= 2 * KEPT_BYTES + 1_100_000
    for again in (ask, asking(tmp_path)):
        kept = [entry["body"]["number"] for entry in again("GET", "/demo/crm.json").json()]
        assert kept == list(range(60 - len(kept), 60))
        assert len(kept) == KEPT_BYTES // 1_000_200


def test_a_webhook_that_breaks_off_is_no_fault_and_not_kept() -> None:
    app = create_demo_app(folder=None, secret=None, clock=lambda: NOW)
    told: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/demo/crm", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert told[0]["status"] == 400


def test_a_second_run_on_the_same_folder_shows_the_same(tmp_path: Path) -> None:
    first = asking(tmp_path)
    deliver(first, lead())
    deliver(first, lead(2))
    with (tmp_path / "demo-crm.jsonl").open("a") as file:
        file.write('{"at": 1, "hea')  # cut short by a kill -9
    second = asking(tmp_path)
    assert second("GET", "/demo/crm.json").json() == first("GET", "/demo/crm.json").json()
    deliver(second, lead(3))
    assert len(asking(tmp_path)("GET", "/demo/crm.json").json()) == 3


def test_memory_and_the_file_are_bounded(tmp_path: Path) -> None:
    line = json.dumps({"at": NOW, "headers": {}, "body": 1, "verified": False}) + "\n"
    file = tmp_path / "demo-crm.jsonl"
    file.write_text(line * (KEPT + 5))
    book = Book(tmp_path)
    book.add(Received(NOW, {}, 2, verified=False))
    assert len(list(book)) == KEPT
    assert len(file.read_text().splitlines()) == KEPT + 1


@pytest.mark.parametrize(
    "text",
    [
        'class="form-block w-form"',
        "Thank you! Your submission has been received!",
        "Oops! Something went wrong while submitting the form.",
        'class="w-form-done"',
        'class="w-form-fail"',
        'method="post" action="/f/get-in-touch"',
        'name="name"',
        'name="phone"',
        'name="email"',
        '<option value="Bangalore">',
        '<option value="Hyderabad">',
        'name="message"',
        '<script src="/lead-form.js" defer></script>',
        "data-phone-status",
    ],
)
def test_the_clinics_page_has(text: str) -> None:
    assert text in asking()("GET", "/").text


def test_the_pages_run_no_script_but_their_own_files() -> None:
    ask = asking()
    for path in ("/", "/demo/crm"):
        answer = ask("GET", path)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        for asset in ("demo.css", "demo-crm.js"):
            assert ask("GET", f"/demo/{asset}").status_code == 200


def test_the_six_lines_that_the_clinics_page_shows_are_a_whole_form() -> None:
    shown = re.search(r"<pre.*?><code>(.*?)</code></pre>", asking()("GET", "/").text, re.DOTALL)
    assert shown is not None
    lines = html.unescape(re.sub(r"<[^>]*>", "", shown[1])).splitlines()
    assert lines == [
        '<form action="http://clinic.test/f/get-in-touch" method="post">',
        '  <label>Name <input name="name" required></label>',
        '  <label>Phone <input name="phone" type="tel" required></label>',
        "  <button>Submit</button>",
        "</form>",
        '<script src="http://clinic.test/lead-form.js" defer></script>',
    ]


def test_a_form_elsewhere_is_named_in_the_page_and_in_its_policy() -> None:
    app = create_demo_app(folder=None, secret=None, clock=lambda: NOW, form_url="http://localhost:8000/f/get-in-touch")

    async def page() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://clinic.test") as client:
            return await client.get("/")

    answer = asyncio.run(page())
    assert 'action="http://localhost:8000/f/get-in-touch"' in answer.text
    assert '<script src="http://localhost:8000/lead-form.js" defer>' in answer.text
    assert "script-src 'self' http://localhost:8000/;" in answer.headers["content-security-policy"]
    assert "form-action 'self' http://localhost:8000/;" in answer.headers["content-security-policy"]
