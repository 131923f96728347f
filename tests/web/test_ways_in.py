"""What a form builder tells at an address of its own: proved, kept whatever it says, and delivered once."""

import dataclasses
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from hmac import digest
from typing import Any

import httpx
import pytest
from ledger import FORM, MINUTE, START
from starlette.applications import Starlette

from service.config.config import Config
from service.intake.intake import Intake
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.form import Limits
from service.store.leads import Store
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission.ways.table import WAYS
from service.web.app import create_app
from service.web.challenge import Challenger

pytestmark = pytest.mark.anyio
NOW = START
KEY = "a key of this form's builder"
SECRET = Secret("x" * 32)
TOLD = {"name": "Asha Rao", "phone": "089510 47001"}
ROWS = {
    "any": WAYS["custom"], "typeform": WAYS["typeform"], "ads": WAYS["google-ads"], "calendly": WAYS["calendly"],
}  # fmt: skip
OPEN = dataclasses.replace(
    FORM,
    limits=Limits(address=Rate(2, MINUTE)),
    origins=("https://www.example.com",),
    ways={name: dataclasses.replace(row, name=name, secret=Secret(KEY)) for name, row in ROWS.items()},
)


class Door:
    """A web process over a real server."""

    def __init__(self, redis_url: str) -> None:
        self.server = Server(connect(redis_url), clock=lambda: NOW)
        self.store, self.noted = Store(self.server), list[Mapping[str, Any]]()
        self.app = self.web(self.store)

    def web(self, store: Store) -> Starlette:
        return create_app(
            Config({OPEN.name: OPEN}, {}), Intake(store, SECRET), Challenger(SECRET, lambda: NOW, lambda *_: None),
            secret=SECRET, clock=lambda: NOW, on_submission=lambda **what: self.noted.append(what),
        )  # fmt: skip

    async def post(self, path: str, body: object, method: str = "POST", **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(self.app, client=("203.0.113.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://forms.example.net") as client:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            sent = {"Content-Type": "application/json", **named}
            return await client.request(method, f"/f/{OPEN.name}/from/{path}", content=raw, headers=sent)

    async def account(self) -> Mapping[str, int]:
        account = await self.store.account(OPEN.name, OPEN.deliver, {})
        names = ("received", "created", "updated", "repeated", "quarantined")
        return {name: found for name in names if (found := getattr(account, name))}


@pytest.fixture
async def door(redis_url: str) -> AsyncIterator[Door]:
    opened = Door(redis_url)
    yield opened
    await opened.server.close()


def signed(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"Typeform-Signature": f"sha256={b64encode(digest(key.encode(), body, 'sha256')).decode()}"}


async def test_what_is_told_with_the_key_is_a_lead_and_however_often_it_comes_one(door: Door) -> None:
    answers = [
        await door.post(f"any?key={KEY}", TOLD, Accept="text/html", Origin="https://x.example") for _ in range(5)
    ]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [*answers[0].json()] == ["ok", "receipt"]
    assert await door.account() == {"received": 5, "created": 1, "repeated": 4}


async def test_an_id_is_answered_as_before(door: Door) -> None:
    body = json.dumps({"form_response": {"token": "a7f", "answers": []}, **TOLD}).encode()
    first, again = [await door.post("typeform", body, **signed(body)) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, again.json())


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("any", TOLD, {}),
        ("any?key=", TOLD, {}),
        ("any?key=another", TOLD, {}),
        (f"any?key={KEY}x", TOLD, {}),
        ("any", TOLD, {"key": KEY}),
        ("any", {**TOLD, "key": KEY}, {}),
        ("typeform", TOLD, {}),
        ("typeform", TOLD, signed(b"{}")),
        ("typeform", TOLD, signed(json.dumps(TOLD).encode(), "another")),
        ("ads", {"google_key": "another", "user_column_data": []}, {}),
        ("ads", b"google_key", {}),
        ("calendly", TOLD, {"Calendly-Webhook-Signature": "t=1,v1=" + "0" * 64}),
        ("any", b"", {}),
    ],
)
async def test_who_cannot_prove_it_is_refused_counted_and_limited(
    door: Door, path: str, body: object, headers: dict[str, str]
) -> None:
    answers = [await door.post(path, body, **headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0].json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert answers[0].headers["www-authenticate"] == "Signature"
    assert f'the way "{path.partition("?")[0]}"' in answers[0].json()["hint"] == door.noted[0]["reason"]
    assert [(each["result"], each["codes"]) for each in door.noted[:2]] == [("refused", ("UNAUTHORIZED",))] * 2
    assert KEY not in repr(door.noted)


async def test_nothing_is_refused_for_what_it_says(door: Door) -> None:
    for body in (b"", b"{", b"\xff", b"[1", {"phone": "12", "email": "x"}, {f"n{number}": "x" for number in range(70)}):
        answer = await door.post(f"any?key={KEY}", body)
        assert answer.status_code == 200, answer.text
    assert not [each for each in door.noted if each["result"] in {"refused", "unavailable"}]


async def test_a_test_is_kept_and_not_delivered(door: Door) -> None:
    columns = [{"column_id": "PHONE_NUMBER", "string_value": "+918951047001"}]
    body = {"google_key": KEY, "lead_id": "t1", "user_column_data": columns}
    assert (await door.post("ads", {**body, "is_test": True})).status_code == 200
    assert await door.account() == {"received": 1, "quarantined": 1}
    assert (await door.post("ads", body)).status_code == 200
    assert await door.account() == {"received": 2, "quarantined": 1, "created": 1}


async def test_a_way_that_is_not_there_and_another_method_are_refused(door: Door) -> None:
    assert (await door.post("other?key=x", TOLD)).status_code == 404
    assert (await door.post("any", b"", method="GET")).status_code == 405
    assert await door.account() == {}


async def test_a_body_that_is_too_large_or_compressed_is_refused_as_anywhere(door: Door) -> None:
    assert (await door.post(f"any?key={KEY}", b"x" * 300_000)).status_code == 413
    assert (await door.post(f"any?key={KEY}", TOLD, Content_Encoding="gzip")).status_code == 415


async def test_a_sender_is_asked_to_come_again_only_when_nothing_can_keep_it(door: Door) -> None:
    away = Server(connect("redis://127.0.0.1:1/0"), clock=lambda: NOW)
    door.app = door.web(Store(away))
    answer = await door.post(f"any?key={KEY}", TOLD)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"]
    await away.close()
