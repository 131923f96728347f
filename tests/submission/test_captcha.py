"""The challenge of a form: made, solved, read, and worth something once; Turnstile is asked at a double."""

import asyncio
import json
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from altcha import v1
from crm import Crm
from hypothesis import given
from hypothesis import strategies as st

from service.lib.secret import Secret
from service.model.form import Altcha, Field, Form, Turnstile
from service.model.lead import Content
from service.model.problem import Code, Problem, Problems, refuse
from service.submission import captcha, check
from service.submission.captcha import Shown
from service.submission.check import Checked
from service.submission.form_data import gather
from service.web.challenge import ANSWER_WITHIN_MS, AT_ONCE, UNVERIFIED, Challenger

NOW = 1_790_000_000_000
SECRET = Secret("what only this clinic knows")
ALTCHA = Altcha(max_number=1_000, expires=60_000)
FORM = Form("puzzled", {"name": Field("name"), "phone": Field("phone", "phone")}, ("crm",), captcha=ALTCHA)
FINE = Checked(Content({}, {}), {})
DRAW = bytes(range(captcha.RANDOM_BYTES))
MISSING, FAILED = Problem(Code.CAPTCHA_MISSING, "altcha"), Problem(Code.CAPTCHA_FAILED, "altcha")


def made(form: Form = FORM, now: int = NOW, draw: bytes = DRAW) -> dict[str, Any]:
    assert isinstance(form.captcha, Altcha)
    return dict(captcha.issue(form, form.captcha, SECRET, now=now, draw=draw))


def solved(challenge: dict[str, Any], /, **other: object) -> str:
    """Solve a challenge as the library's own solver does; send `other` parts instead of what is right."""
    number = v1.solve_challenge(challenge["challenge"], challenge["salt"], "SHA-256", challenge["maxNumber"], 0)
    assert number is not None
    parts = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return b64encode(json.dumps({**parts, "number": number.number, "took": 7, **other}).encode()).decode()


def look(token: str, *, form: Form = FORM, now: int = NOW, checked: Checked | Problems = FINE) -> Shown | Problems:
    return captcha.look(form, token, checked, SECRET, now=now)


def test_a_challenge_is_what_the_widget_reads_and_its_solution_is_taken() -> None:
    challenge = made()
    assert challenge.keys() == {"algorithm", "challenge", "salt", "signature", "maxNumber", "maxnumber"}
    assert (challenge["algorithm"], challenge["maxNumber"]) == ("SHA-256", 1_000)
    assert parse_qs(challenge["salt"].partition("?")[2]) == {"expires": [str((NOW + 60_000) // 1000)]}
    assert look(solved(challenge)) == Shown(FINE, once=challenge["challenge"])


def test_the_library_of_its_makers_agrees() -> None:
    key = captcha._key(SECRET, FORM)
    assert v1.verify_solution(solved(made(now=time.time_ns() // 1_000_000)), key) == (True, None)


def test_two_challenges_are_different_and_every_number_may_be_the_one() -> None:
    draws = [bytes([number]) * captcha.RANDOM_BYTES for number in range(50)]
    made_of = [made(draw=draw) for draw in draws]
    assert len({each["challenge"] for each in made_of}) == len({each["salt"] for each in made_of}) == 50


def test_nothing_of_the_secret_is_in_a_challenge_and_another_form_takes_no_solution_of_it() -> None:
    assert SECRET.reveal() not in json.dumps(made())
    assert look(solved(made()), form=replace(FORM, name="other")) == Problems((FAILED,))


def test_a_solution_runs_out() -> None:
    token = solved(made())
    assert isinstance(look(token, now=NOW + 59_999), Shown)
    assert look(token, now=NOW + 60_000) == Problems((FAILED,))


@pytest.mark.parametrize(
    "other",
    [
        {"number": 1_001},
        {"number": -1},
        {"number": "1"},
        {"salt": "00?expires=4102444800&"},
        {"challenge": "0" * 64},
        {"challenge": "\ud800"},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "\ud800"},
        {"algorithm": "SHA-1"},
        {"algorithm": None},
        {"salt": 7},
    ],
)
def test_a_solution_that_was_tampered_with_is_refused(other: dict[str, object]) -> None:
    assert look(solved(made(), **other)) == Problems((FAILED,))


def test_a_solution_is_the_same_one_however_it_is_written() -> None:
    token = solved(made())
    said = json.loads(b64decode(token))
    shuffled = {**dict(reversed(said.items())), "salt": said["salt"].removesuffix("&"), "more": [1]}
    again = look(b64encode(json.dumps(shuffled, indent=1).encode()).decode())
    first = look(token)
    assert isinstance(first, Shown)
    assert isinstance(again, Shown)
    assert first.once == again.once


@given(st.one_of(st.text(), st.binary().map(lambda raw: b64encode(raw).decode()),
                 st.recursive(st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(
                     st.sampled_from(["algorithm", "challenge", "number", "salt", "signature"]), each))
                 .map(lambda value: b64encode(json.dumps(value).encode()).decode())))  # fmt: skip
def test_whatever_else_is_sent_is_refused(token: str) -> None:
    wanted = FAILED if token else MISSING
    assert look(token) == Problems((wanted,))


def test_what_is_missing_is_told_with_everything_else_that_is_wrong() -> None:
    wrong = check.check(FORM, gather({"phone": "895"}.items()))
    assert isinstance(wrong, Problems)
    assert look("", checked=wrong) == Problems((*wrong.items, MISSING))
    assert look(solved(made()), checked=wrong) == wrong


def test_the_solution_is_no_field_of_a_form_that_asks_for_it_and_an_extra_of_any_other() -> None:
    posted = gather({"name": "Asha", "altcha": " x ", "cf-turnstile-response": "y"}.items())
    rest, token = captcha.split(FORM, posted)
    assert (dict(rest.fields), token) == ({"name": "Asha", "cf-turnstile-response": "y"}, "x")
    rest, token = captcha.split(replace(FORM, captcha=Turnstile("", Secret(""))), posted)
    assert (dict(rest.fields), token) == ({"name": "Asha", "altcha": " x "}, "y")
    assert captcha.split(replace(FORM, captcha=None), posted) == (posted, "")


# --- Turnstile, at a double: https://developers.cloudflare.com/turnstile/get-started/server-side-validation/

PASSED = '{"success": true, "challenge_ts": "2026-11-22T10:42:07Z", "hostname": "www.example.com", "error-codes": []}'
REFUSED = '{"success": false, "error-codes": []}'
TOKEN = "0.good"


@pytest.fixture
def verifier() -> Iterator[Crm]:
    with Crm() as verifier:
        verifier.answer(body=PASSED)
        yield verifier


class Desk:
    """A challenger whose verifier is a double."""

    def __init__(self, url: str) -> None:
        self.warned: list[tuple[str, str]] = []
        self.challenger = Challenger(SECRET, lambda: NOW, lambda form, why: self.warned.append((form, why)))
        self.form = replace(FORM, captcha=Turnstile("0x4AAA", Secret("hush"), url))

    async def prove(self, token: str = TOKEN, checked: Checked | Problems = FINE) -> Shown | Problems:
        return await self.challenger.prove(self.form, token, checked)

    async def flags(self, token: str = TOKEN) -> tuple[str, ...]:
        shown = await self.prove(token)
        assert isinstance(shown, Shown)
        assert shown.once == token
        return shown.checked.content.flags


@pytest.fixture
async def desk(verifier: Crm) -> AsyncIterator[Desk]:
    desk = Desk(verifier.url)
    yield desk
    await desk.challenger.close()


@pytest.mark.anyio
async def test_the_verifier_is_asked_as_cloudflare_wants_it_and_by_one_key_for_one_token(
    desk: Desk, verifier: Crm
) -> None:
    assert await desk.flags() == await desk.flags() == ()
    assert await desk.flags("0.other") == ()
    said = [parse_qs(each.body.decode()) for each in verifier.requests]
    keys = [each.pop("idempotency_key")[0] for each in said]
    assert keys[0] == keys[1] != keys[2]
    assert str(uuid.UUID(keys[0])) == keys[0]
    assert said == [{"secret": ["hush"], "response": [token]} for token in (TOKEN, TOKEN, "0.other")]
    assert {each.headers["content-type"] for each in verifier.requests} == {"application/x-www-form-urlencoded"}
    assert {each.method for each in verifier.requests} == {"POST"}
    assert desk.warned == []


@pytest.mark.anyio
@pytest.mark.parametrize("code", ["invalid-input-response", "timeout-or-duplicate", "something-new"])
async def test_a_token_that_is_worth_nothing_is_refused(desk: Desk, verifier: Crm, code: str) -> None:
    verifier.answer(body=json.dumps({"success": False, "error-codes": [code]}))
    assert await desk.prove() == Problems((Problem(Code.CAPTCHA_FAILED, "cf-turnstile-response"),))
    assert desk.warned == []


@pytest.mark.anyio
async def test_nobody_is_asked_about_a_lead_that_is_refused_anyway(desk: Desk, verifier: Crm) -> None:
    missing = Problem(Code.CAPTCHA_MISSING, "cf-turnstile-response")
    wrong = Problems((Problem(Code.EMPTY),))
    assert await desk.prove("") == Problems((missing,))
    assert await desk.prove("", wrong) == Problems((*wrong.items, missing))
    assert await desk.prove(TOKEN, wrong) == wrong
    assert await desk.prove("x" * 2_049) == Problems((Problem(Code.CAPTCHA_FAILED, "cf-turnstile-response"),))
    assert verifier.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 503, "body": PASSED}, "The verifier answered 503."),
        ({"status": 401, "body": REFUSED}, "The verifier answered 401: it does not let us ask."),
        ({"status": 403, "body": "<html>"}, "The verifier answered 403: it does not let us ask."),
        (
            {"status": 302, "headers": {"Location": "/elsewhere"}},
            "The verifier answered 302, and nothing that could be",
        ),
        ({"body": "<html>"}, "The verifier answered 200, and nothing that could be read."),
        ({"body": "[]"}, "The verifier answered 200, and nothing that could be read."),
        ({"body": '{"success": "yes"}'}, "The verifier answered 200, and nothing that could be read."),
        ({"body": "x" * 20_000}, "The verifier answered 200, and nothing that could be read."),
        ({"body": '{"success": false, "error-codes": ["invalid-input-secret"]}'}, "answered invalid-input-secret."),
        ({"body": '{"success": false, "error-codes": ["internal-error"]}'}, "The verifier answered internal-error."),
        ({"cut": "before"}, "The verifier did not answer ("),
        ({"cut": "after"}, "The verifier did not answer ("),
    ],
)
async def test_what_is_no_answer_about_the_visitor_lets_the_lead_through_with_a_flag(
    desk: Desk, verifier: Crm, answer: dict[str, Any], why: str
) -> None:
    verifier.answer(**answer)
    assert await desk.flags() == (UNVERIFIED,)
    [(form, told)] = desk.warned
    assert form == "puzzled"
    assert why in told
    assert TOKEN not in told
    assert all(each.path == "/hooks/leads" for each in verifier.requests)


@pytest.mark.anyio
async def test_a_verifier_that_hangs_or_drips_is_waited_for_three_seconds(desk: Desk, verifier: Crm) -> None:
    verifier.answer(stall=30, times=1)
    verifier.answer(body=PASSED, drip=1.0, times=1)
    started = time.monotonic()
    assert set(await asyncio.gather(desk.flags(), desk.flags("0.b"))) == {(UNVERIFIED,)}
    assert time.monotonic() - started < ANSWER_WITHIN_MS / 1000 + 1.5
    assert len(desk.warned) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("body", [PASSED, REFUSED, "<html>"])
async def test_a_verifier_that_is_asked_too_often_lets_nobody_through_and_turns_nobody_into_a_robot(
    desk: Desk, verifier: Crm, body: str
) -> None:
    verifier.answer(429, body=body)
    assert await desk.prove() == refuse(Code.UNAVAILABLE)
    assert desk.warned == [("puzzled", "The verifier answered 429: it is asked more often than it allows.")]


@pytest.mark.anyio
async def test_a_flood_of_tokens_lets_no_robot_through(desk: Desk, verifier: Crm) -> None:
    verifier.answer(body=json.dumps({"success": False, "error-codes": ["invalid-input-response"]}), stall=0.3)
    came_of = await asyncio.gather(*(desk.prove(f"0.{number}") for number in range(400)))
    assert not [each for each in came_of if isinstance(each, Shown)]
    refused = [each.items[0].code for each in came_of if isinstance(each, Problems)]
    assert {*refused} == {Code.CAPTCHA_FAILED, Code.UNAVAILABLE}
    assert len(desk.warned) == refused.count(Code.UNAVAILABLE)
    verifier.answer(body=PASSED)
    assert await desk.flags() == ()


@pytest.mark.anyio
async def test_a_verifier_that_answers_nobody_turns_nobody_away_however_many_wait(desk: Desk, verifier: Crm) -> None:
    verifier.answer(cut="after", times=1)
    assert await desk.flags() == (UNVERIFIED,)
    verifier.answer(stall=30)
    waiting = [asyncio.create_task(desk.prove(f"0.{number}")) for number in range(AT_ONCE)]
    assert await desk.flags() == (UNVERIFIED,)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.anyio
async def test_a_verifier_that_is_not_there_lets_the_lead_through() -> None:
    desk = Desk("http://127.0.0.1:9/siteverify")
    assert await desk.flags() == (UNVERIFIED,)
    await desk.challenger.close()
