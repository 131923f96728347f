"""A token that a destination wants is fetched by one worker for all, kept sealed, and thrown away when refused."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crm import Answer
from token_server import REFRESHED, TEXT, TokenServer
from workshop import ENVIRON, Hands, Workshop, form, until

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations.oauth import Token
from service.destinations.oauth import TokenServer as Source
from service.destinations.outcome import Retry
from service.destinations.rules import Response
from service.destinations.sample import sample_delivery
from service.lib.secret import Secret
from service.model.form import Form
from service.process.settings import read_file

pytestmark = pytest.mark.anyio
ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
MORE = {**ENVIRON, "REFRESH": "refresh-0"}
KEY = "leads:{destination:crm}:token"


class Shop(Workshop):
    """A workshop whose configuration may name a refresh token."""

    @staticmethod
    def read(text: str) -> Config:
        config = parse(text, MORE, read_file)
        assert not isinstance(config, Mistakes), config
        return config


def text(crm: TokenServer, how: str = 'scope = "leads"', more: str = "") -> str:
    return form() + TEXT.format(root=crm.root, how=how) + more


@pytest.fixture
def crm() -> Iterator[TokenServer]:
    with TokenServer(ENVIRON["CRM_SECRET"]) as crm:
        yield crm


@pytest.fixture
def rotating() -> Iterator[TokenServer]:
    with TokenServer(ENVIRON["CRM_SECRET"], refresh="refresh-0", rotates=True) as crm:
        yield crm


async def test_one_token_serves_all_workers_and_lies_sealed(redis_url: str, crm: TokenServer) -> None:
    async with Shop(redis_url, text(crm)) as shop, shop.worker(), shop.worker():
        await shop.submit_many(12)
        account = await shop.settled()
        kept = await shop.server.client.hgetall(KEY)
    assert (account.delivered, len(crm.leads), crm.given) == (12, 12, 1)
    assert crm.asked == [
        {
            "grant_type": ["client_credentials"],
            "scope": ["leads"],
            "client_id": ["clinic"],
            "client_secret": [ENVIRON["CRM_SECRET"]],
        }
    ]
    assert set(kept) == {"sealed", "name", "till"}
    assert "token-1" not in str(kept)
    assert "token-1" not in json.dumps(shop.log)


async def test_a_token_that_is_refused_is_thrown_away_and_the_lead_delivered_in_the_same_try(
    redis_url: str, crm: TokenServer
) -> None:
    async with Shop(redis_url, text(crm)) as shop, shop.worker(), shop.worker():
        await shop.submit(**ASHA)
        await shop.settled()
        crm.valid.clear()  # It was taken back before its time.
        await shop.submit_many(8)
        account = await shop.settled()
    assert (account.delivered, crm.given) == (9, 2)
    assert {attempted.conclusion.attempt.result for attempted in shop.attempts} == {"delivered"}


async def test_a_rule_may_say_that_a_token_is_refused(redis_url: str, crm: TokenServer) -> None:
    def in_a_200(request: Any) -> Answer:
        answer = crm.take(request)
        return Answer(200, body=answer.body) if answer.status == 401 else answer

    crm.decide = in_a_200
    rules = 'rules = [{ json = "error", is = "INVALID_TOKEN", means = "token" }]'
    async with Shop(redis_url, text(crm, more=rules)) as shop, shop.worker():
        await shop.submit(**ASHA)
        await shop.settled()
        crm.valid.clear()
        await shop.submit(name="N", phone="8951047002")
        account = await shop.settled()
    assert (account.delivered, crm.given, len(crm.leads)) == (2, 2, 2)


async def test_at_most_one_token_is_fetched_in_a_try(redis_url: str, crm: TokenServer) -> None:
    crm.decide = lambda request: crm.take(request) if request.path == "/token" else Answer(401)
    async with Shop(redis_url, text(crm)) as shop:
        await shop.submit(**ASHA)
        async with shop.worker():
            await until(lambda: shop.attempts)
    outcome = shop.attempts[0].conclusion.attempt
    assert (outcome.result, outcome.status) == ("retry", 401)
    assert crm.given == len(shop.attempts)


@pytest.mark.parametrize(("lives_s", "given"), [(3_600, 2), ("3600", 2), (None, 1)])
async def test_a_token_is_used_until_shortly_before_its_end(
    redis_url: str, crm: TokenServer, lives_s: int | str | None, given: int
) -> None:
    hands, crm.lives_s = Hands(), lives_s
    async with Shop(redis_url, text(crm), now=hands) as shop, shop.worker():
        await shop.submit(**ASHA)
        await shop.settled()
        hands.ahead += 3_530_000
        await shop.submit(name="N", phone="8951047002")
        await shop.settled()
        assert crm.given == 1
        hands.ahead += 20_000
        await shop.submit(name="N", phone="8951047003")
        account = await shop.settled()
    assert (account.delivered, crm.given) == (3, given)


async def test_a_refresh_token_that_came_wins_over_the_one_of_the_file_until_that_changes(
    redis_url: str, rotating: TokenServer
) -> None:
    lines = text(rotating, REFRESHED)
    async with Shop(redis_url, lines) as shop:
        for number in range(1, 4):
            async with shop.worker():
                await shop.submit(name="N", phone=f"895104700{number}")
                await shop.settled()
            rotating.valid.clear()
        assert [asked["refresh_token"] for asked in rotating.asked] == [["refresh-0"], ["refresh-1"], ["refresh-2"]]
        rotating.refresh = "made by hand"
        changed = parse(lines, {**MORE, "REFRESH": "made by hand"}, read_file)
        assert isinstance(changed, Config)
        async with shop.worker(changed):
            await shop.submit(name="N", phone="8951047009")
            account = await shop.settled()
    assert (account.delivered, len(rotating.leads)) == (4, 4)
    assert rotating.asked[-1]["refresh_token"] == ["made by hand"]


async def test_a_refresh_token_that_is_refused_pauses_and_one_in_its_file_goes_on(
    redis_url: str, rotating: TokenServer, tmp_path: Path
) -> None:
    file = tmp_path / "refresh"
    file.write_text("outlived")
    config = parse(text(rotating, REFRESHED), {**ENVIRON, "REFRESH_FILE": str(file)}, read_file)
    assert isinstance(config, Config)
    async with Shop(redis_url, text(rotating, REFRESHED)) as shop:
        await shop.submit_many(2)
        async with shop.worker(config):
            await until(lambda: shop.events("destination paused"))
            [paused] = shop.events("destination paused")
            file.write_text("refresh-0")
            await shop.submit(**ASHA)
            await until(lambda: rotating.leads)
        account = await shop.account()
    assert (account.dead, account.delivered >= 1) == (0, True)
    assert paused["reason"].endswith(
        "which answered 400: it does not accept the refresh token any longer: have a new one made there, and set it"
    )


async def test_a_token_server_that_is_down_is_asked_again_later(redis_url: str, crm: TokenServer) -> None:
    crm.answer(503, times=1)
    crm.decide = lambda request: None if not crm.given and len(crm.requests) == 1 else crm.take(request)
    async with Shop(redis_url, text(crm)) as shop, shop.worker():
        taken = await shop.submit(**ASHA)
        await shop.settled()
        kept = await shop.lead(taken.lead)
    first, second = kept.deliveries[0].attempts
    assert (first.result, first.status, second.result) == ("retry", 503, "delivered")
    assert first.reason.startswith("no token came from 127.0.0.1:")


async def test_a_fetch_that_died_with_its_worker_holds_up_nobody_for_long(redis_url: str, crm: TokenServer) -> None:
    hands = Hands()
    async with Shop(redis_url, text(crm, more='timeout = "300ms"'), now=hands) as shop:
        await shop.server.client.hset(KEY, mapping={"fetcher": "dead", "fetched_by": hands() + 60_000})
        async with shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            assert shop.attempts[0].conclusion.attempt.reason.startswith("another worker fetches a token from")
            hands.ahead += 60_000
            account = await shop.settled()
    assert (account.delivered, crm.given) == (1, 1)


SOURCE = Source("https://accounts.example.com/token", "clinic-id", Secret("clinic-secret"), Secret("r3fresh"))
SAID: list[tuple[int, str, str, str]] = [
    (400, '{"error": "invalid_grant"}', "token", "does not accept the refresh token any longer"),
    (200, '{"error": "invalid_code"}', "token", "does not accept the refresh token any longer"),
    (401, '{"error": "invalid_client"}', "token", "does not accept the client id"),
    (401, "", "token", "does not accept the client id"),
    (400, '{"error": "invalid_scope"}', "token", "does not give what `scope` asks for"),
    (400, '{"error": "a b <c>"}', "token", "it refuses to give one"),
    (200, "<html>Sign in</html>", "token", "does not speak OAuth"),
    (200, '{"access_token": "a b"}', "token", "does not speak OAuth"),
    (404, "", "token", "does not speak OAuth"),
    (302, "", "token", "does not speak OAuth"),
    (400, '{"error": "temporarily_unavailable"}', "delivery", "asked later"),
    (500, '{"error": "invalid_client"}', "delivery", "asked later"),
    (429, "", "load", "asked for too many"),
    (400, '{"error": "Access Denied", "error_description": "You have made too many requests"}', "load", "too many"),
]


@pytest.mark.parametrize(("status", "said", "scope", "words"), SAID)
def test_what_a_token_server_answers_says_what_to_do(status: int, said: str, scope: str, words: str) -> None:
    found = SOURCE.judge(Response(status, {}, said), None, 0)
    assert isinstance(found, Retry)
    assert (found.scope, words in found.reason, "<c>" in found.reason) == (scope, True, False)


def test_no_secret_comes_back_in_what_a_token_server_says() -> None:
    said = '{"error": "invalid_grant", "error_description": "no client-secret clinic-secret, r3fresh or newer"}'
    found = SOURCE.judge(Response(400, {}, said), Secret("newer"), 0)
    assert isinstance(found, Retry)
    assert found.excerpt == "invalid_grant: no client-secret ***, *** or ***"


@pytest.mark.parametrize(
    ("lives", "expected"),
    [(3600, 3_600_000), ("3600", 3_600_000), (0, None), (-1, None), ("soon", None), (10**12, 366 * 86_400_000)],
)
def test_a_token_lives_as_long_as_its_server_says(lives: object, expected: int | None) -> None:
    said = json.dumps({"access_token": "t", "expires_in": lives, "refresh_token": "used"})
    assert SOURCE.judge(Response(200, {}, said), Secret("used"), 0) == Token(Secret("t"), None, expected)


def test_a_client_may_prove_itself_in_a_header() -> None:
    request = Source("https://a.example/token", "a:b", Secret("c d"), is_basic=True).request(None)
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'a%3Ab:c+d').decode()}"
    assert request.content == b"grant_type=client_credentials"


def read(lines: str, token: str = 'headers = { Authorization = "Bearer {token}" }') -> Config | Mistakes:
    text = f'{form()}[destinations.crm]\ntype = "webhook"\nurl = "https://crm.example.com"\n{token}\n{lines}'
    return parse(text, MORE, lambda _: "")


def test_what_would_be_sent_has_its_token_masked() -> None:
    found = read('oauth = { url = "https://a.example/token", client_id = "clinic", client_secret = "$CRM_SECRET" }')
    assert isinstance(found, Config)
    shown = found.destinations["crm"].preview(sample_delivery(Form("get-in-touch", {}, ()), 0), 0)
    assert "Authorization: Bearer ***\n" in shown
    assert shown.endswith("\nIts token is fetched from https://a.example/token (client_credentials).")


WHOLE = 'oauth = { url = "https://a.example/token", client_id = "c", client_secret = "$CRM_SECRET" }'


@pytest.mark.parametrize(
    ("lines", "headers", "path", "why"),
    [
        ("", 'headers = { Authorization = "Bearer {token}" }', "headers.Authorization", "no token is fetched here"),
        (WHOLE, 'body = { key = "{token}" }', "body.key", "a body is the same on every try"),
        (WHOLE, "", "oauth", "that nothing names"),
        ("oauth = {}", 'headers = { X = "{token}" }', "oauth.url", "is missing: where tokens"),
        (WHOLE.replace("https://", "ftp://"), 'headers = { X = "{token}" }', "oauth.url", "must be an address"),
        (WHOLE.replace("$CRM_SECRET", "0815"), 'headers = { X = "{token}" }', "oauth.client_secret", "never written"),
        (WHOLE.replace("client_id", "client"), 'headers = { X = "{token}" }', "oauth.client", "is not known here"),
    ],
)
def test_what_cannot_be_is_a_mistake(lines: str, headers: str, path: str, why: str) -> None:
    found = read(lines, headers)
    assert isinstance(found, Mistakes)
    assert [item.path for item in found.items if why in item.message] == [f"destinations.crm.{path}"], found.items


async def test_a_token_is_asked_for_within_the_time_of_the_whole_try(redis_url: str, crm: TokenServer) -> None:
    crm.says = Answer(200, stall=5)
    async with Shop(redis_url, text(crm, more='timeout = "300ms"')) as shop:
        await shop.submit(**ASHA)
        async with shop.worker():
            await until(lambda: shop.attempts, 3)
            crm.says = None
            account = await shop.settled()
    assert shop.attempts[0].conclusion.attempt.reason.endswith("it did not answer in time")
    assert (account.delivered, crm.given) == (1, 1)
