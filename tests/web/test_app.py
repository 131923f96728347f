"""The web part through ASGI: what a browser, a script or Webflow gets back, and what reaches the intake."""

import base64
import hashlib
import hmac
import html
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx
import pytest
from altcha import v1

from service.config.config import Config, Service
from service.intake.intake import Caller, Intake, Readiness, Taken, Unavailable, Used
from service.lib.secret import Secret
from service.model.form import Agreement, Altcha, Field, Form, Turnstile
from service.model.lead import Content, Source, Touch
from service.store.records import Limited, Refusal
from service.submission.field_match import Matched
from service.web.app import create_app
from service.web.challenge import Challenger

pytestmark = pytest.mark.anyio

SECRET = Secret("what only this clinic knows")
NOW = 1_790_000_000_000
SITE = "https://www.example.com"
FORM = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True, max_length=120, aliases=("full name",)),
        "phone": Field("phone", "phone", required=True, webflow="element-2"),
        "email": Field("email", "email"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
    title="Get In Touch",
    redirects=(SITE,),
)
GUARDED = replace(FORM, name="guarded", origins=(SITE,))
SPOKEN = replace(FORM, name="spoken", language="auto")
HINDI = replace(FORM, name="hindi", language="hi")
UNASKED = replace(FORM, name="unasked", fields={"phone": Field("phone", "phone")})
SIGNED = replace(FORM, name="signed", webflow_secret=Secret("hush"))
PUZZLED = replace(FORM, name="puzzled", captcha=Altcha(1_000), allow_extra=False)
SEALED = replace(PUZZLED, name="sealed", webflow_secret=Secret("hush"))
WIDGET = replace(FORM, name="widget", captcha=Turnstile("0x4AAA", Secret("hush"), "http://127.0.0.1:9/"))
AGREED = replace(
    FORM, name="agreed", language="auto", fields={**FORM.fields, "ok": Field("ok", "boolean")},
    consent=Agreement("ok", "2026-11", "I agree.", {"hi": "मैं सहमत हूँ।"}),
)  # fmt: skip
CHALLENGED = (PUZZLED, SEALED, WIDGET)
GOOD = {"name": "Asha Rao", "phone": "089510 47001"}
MANY = b"&".join(b"n%d=1" % number for number in range(1_000))
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


THANKED = Taken("r" * 24, "lead_1", "created", 1)


@dataclass
class Kept:
    """An intake in memory: what it was given, and what it shall answer."""

    answer: Taken | Limited | Used | Unavailable | Exception = field(default_factory=lambda: THANKED)
    ready: bool = True
    taken: list[tuple[str, Content, str | None, tuple[str, ...]]] = field(default_factory=list)
    callers: list[Caller | None] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    whys: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    arrived: list[tuple[str, ...]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    signals: list[dict[str, int]] = field(default_factory=list)
    once: list[str | None] = field(default_factory=list)
    warned: list[tuple[str, str]] = field(default_factory=list)
    now: int = NOW
    looks: list[float] = field(default_factory=list)

    async def submit(
        self,
        form: Form,
        content: Content,
        *,
        key: str | None = None,
        quarantine: tuple[str, ...] = (),
        signals: Mapping[str, int],
        once: str | None,
        caller: Caller | None,
    ) -> Taken | Limited | Used | Unavailable:
        self.signals.append(dict(signals))
        if isinstance(self.answer, Exception):
            raise self.answer
        self.taken.append((form.name, content, key, quarantine))
        self.callers.append(caller)
        self.once.append(once)
        return self.answer

    def count_refusal(self, form: Form, why: Refusal = "rejected", codes: Iterable[str] = ()) -> None:
        self.refused.append(form.name)
        self.whys.append(why)
        self.codes += codes

    def count_arrival(self, form: Form, matched: Matched) -> None:
        self.arrived.append((form.name, *matched.fields))

    async def readiness(self, *, at_most_s: float) -> Readiness:
        self.looks.append(at_most_s)
        return Readiness(self.ready, "Redis answers." if self.ready else "Redis is away.", "No spool is configured.")

    def tell(self, **told: object) -> None:
        self.told.append(told)

    def warn(self, form: str, reason: str) -> None:
        self.warned.append((form, reason))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def browser(kept: Kept) -> AsyncIterator[httpx.AsyncClient]:
    forms = {form.name: form for form in (FORM, GUARDED, UNASKED, SIGNED, SPOKEN, HINDI, *CHALLENGED, AGREED)}
    challenger = Challenger(SECRET, lambda: kept.now, kept.warn)
    app = create_app(
        Config(forms, {}), cast("Intake", kept), challenger,
        secret=SECRET, clock=lambda: kept.now, on_submission=kept.tell,
    )  # fmt: skip
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://forms.example.net") as client:
        yield client
    await challenger.close()


def values(kept: Kept) -> dict[str, object]:
    return {name: answer.value for name, answer in kept.taken[-1][1].fields.items()}


async def test_a_submission_is_kept_and_its_visitor_thanked(browser: httpx.AsyncClient, kept: Kept) -> None:
    answer = await browser.post("/f/get-in-touch", data=GOOD)
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "success": True,
        "code": 200,
        "msg": "ok",
        "receipt": "r" * 24,
        "message": "Thank you! Your submission has been received!",
        "next": "",
    }
    assert values(kept) == {"name": "Asha Rao", "phone": "+918951047001"}
    assert kept.told == [
        {
            "form": "get-in-touch",
            "result": "created",
            "receipt": "r" * 24,
            "lead": "lead_1",
            "version": 1,
            "codes": (),
            "reason": "",
            "duration_ms": 0,
        }
    ]
    assert kept.refused == []


async def test_every_kind_of_body_is_taken(browser: httpx.AsyncClient, kept: Kept) -> None:
    parts = [(name, (None, text)) for name, text in GOOD.items()]
    kinds: list[dict[str, Any]] = [{"data": GOOD}, {"json": GOOD}, {"files": parts}]
    for sent in kinds:
        assert (await browser.post("/f/get-in-touch", **sent)).status_code == 200
    assert len(kept.taken) == 3
    assert len({str(content) for _, content, _, _ in kept.taken}) == 1


@pytest.mark.parametrize("result", ["created", "updated", "repeated", "quarantined"])
async def test_an_answer_does_not_tell_who_has_written_before(
    browser: httpx.AsyncClient, kept: Kept, result: Any
) -> None:
    kept.answer = Taken("r" * 24, "", result, 0)
    answer = await browser.post("/f/get-in-touch", json=GOOD)
    assert (answer.status_code, sorted(answer.json())) == (
        200,
        ["code", "message", "msg", "next", "ok", "receipt", "success"],
    )
    assert kept.told[-1]["result"] == result


async def test_every_problem_is_told_at_once_and_counted_once(browser: httpx.AsyncClient, kept: Kept) -> None:
    answer = await browser.post("/f/get-in-touch", data={"Full-Name": "", "phone": "895", "email": "x"})
    told = answer.json()
    assert (answer.status_code, told["code"], told["ok"], told["success"]) == (422, 422, False, False)
    assert [(each["field"], each["code"]) for each in told["errors"]] == [
        ("Full-Name", "REQUIRED_FIELD_EMPTY"),
        ("phone", "PHONE_TOO_SHORT"),
        ("email", "TYPE_EMAIL"),
    ]
    assert told["error"] == told["errors"][0]["message"]
    assert kept.refused == ["get-in-touch"]
    assert kept.taken == []
    assert (kept.told[0]["result"], kept.told[0]["codes"]) == (
        "refused",
        ("REQUIRED_FIELD_EMPTY", "PHONE_TOO_SHORT", "TYPE_EMAIL"),
    )


@pytest.mark.parametrize(
    ("content", "content_type", "refusal"),
    [
        (b"", "application/json", (422, "EMPTY")),
        (b"{}", "application/json", (422, "EMPTY")),
        (b"{", "application/json", (400, "UNREADABLE_BODY")),
        (b"[1]", "application/json", (400, "UNREADABLE_BODY")),
        (b"--", "multipart/form-data; boundary=X", (400, "UNREADABLE_BODY")),
        (b"Asha", "", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b"name=A", "application/xml", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b"x" * 300_000, "text/plain", (413, "BODY_TOO_LARGE")),
        (MANY, "application/x-www-form-urlencoded", (422, "TOO_MANY_FIELDS")),
        (b"name=A%00&phone=%00", "application/x-www-form-urlencoded", (422, "REQUIRED_FIELD_EMPTY")),
    ],
)
async def test_bad_input_gets_a_clear_answer(
    browser: httpx.AsyncClient, kept: Kept, content: bytes, content_type: str, refusal: tuple[int, str]
) -> None:
    headers = {"Origin": SITE} | ({"Content-Type": content_type} if content_type else {})
    answer = await browser.post("/f/get-in-touch", content=content, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == refusal
    assert answer.headers["access-control-allow-origin"] == SITE
    assert kept.told[-1]["codes"] == (refusal[1],)
    assert kept.refused == ["get-in-touch"]
    page = await browser.post("/f/get-in-touch", content=content, headers={**headers, **HTML})
    is_json = content_type == "application/json"
    assert page.status_code == refusal[0]
    assert page.headers["content-type"] == ("application/json" if is_json else "text/html; charset=utf-8")


async def test_a_body_that_is_too_large_is_not_read_to_its_end(browser: httpx.AsyncClient, kept: Kept) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 65_536

    answer = await browser.post("/f/get-in-touch", content=endless())
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "BODY_TOO_LARGE")
    assert read == 5
    assert kept.refused == ["get-in-touch"]


@pytest.mark.parametrize("length", ["262145", "9" * 5_000])
async def test_a_body_that_says_it_is_too_large_is_not_read_at_all(browser: httpx.AsyncClient, length: str) -> None:
    answer = await browser.post("/f/get-in-touch", content=b"", headers={"Content-Length": length})
    assert answer.status_code == 413


async def test_a_visitor_who_breaks_off_is_counted_and_nothing_fails(kept: Kept) -> None:
    challenger = Challenger(SECRET, lambda: kept.now, kept.warn)
    app = create_app(
        Config({FORM.name: FORM}, {}), cast("Intake", kept), challenger, secret=SECRET, clock=lambda: kept.now
    )
    scope = {"type": "http", "method": "POST", "path": "/f/get-in-touch", "headers": [], "query_string": b""}
    sent = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert (kept.refused, kept.whys) == (["get-in-touch"], ["rejected"])


async def test_nowhere_to_keep_it_is_told_with_a_time_to_try_again(browser: httpx.AsyncClient, kept: Kept) -> None:
    kept.answer = Unavailable("Redis is away.")
    answer = await browser.post("/f/get-in-touch", data=GOOD)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert "Redis" not in answer.text
    assert (kept.refused, kept.whys) == (["get-in-touch"], ["unavailable"])
    assert kept.told[-1]["result"] == "unavailable"


async def test_what_could_not_be_kept_is_still_in_the_form(browser: httpx.AsyncClient, kept: Kept) -> None:
    kept.answer = Unavailable("Redis is away.")
    answer = await browser.post("/f/get-in-touch", data=GOOD, headers=HTML)
    assert answer.status_code == 503
    assert 'value="Asha Rao"' in answer.text
    assert "We could not keep your message just now." in answer.text


async def test_a_bug_is_a_failure_without_details(browser: httpx.AsyncClient, kept: Kept) -> None:
    kept.answer = RuntimeError("inner matters")
    for headers in ({"Origin": SITE}, {"Origin": SITE, **HTML}):
        answer = await browser.post("/f/get-in-touch", data=GOOD, headers=headers)
        assert answer.status_code == 500
        assert "inner" not in answer.text
        assert answer.headers["access-control-allow-origin"] == SITE
    assert (kept.refused, kept.whys) == (["get-in-touch"] * 2, ["unavailable"] * 2)
    told = (await browser.post("/f/get-in-touch", data=GOOD)).json()
    assert (told["code"], told["errors"][0]["code"]) == (500, "UNAVAILABLE")


@pytest.mark.parametrize("path", ["/f/unknown", "/f/Get-In-Touch", "/f/get-in-touch/", "/f/get-in-touch/x", "/", "/f/"])
async def test_an_unknown_address_is_a_failure_like_every_other(
    browser: httpx.AsyncClient, kept: Kept, path: str
) -> None:
    answer = await browser.post(path, data=GOOD, headers={"Origin": SITE})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "FORM_NOT_FOUND")
    assert answer.headers.get("access-control-allow-origin") == (SITE if path.startswith("/f/") else None)
    assert (await browser.get(path, headers=HTML)).headers["content-type"].startswith("text/html")
    assert kept.refused == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/f/get-in-touch", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/f/get-in-touch", "GET, HEAD, OPTIONS, POST"),
        ("NONSENSE", "/f/get-in-touch", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/f/get-in-touch/phone", "OPTIONS, POST"),
        ("POST", "/f/get-in-touch/thanks", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_what_is_allowed(
    browser: httpx.AsyncClient, kept: Kept, method: str, path: str, allowed: str
) -> None:
    answer = await browser.request(method, path)
    told = answer.json()
    assert (answer.status_code, told["errors"][0]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed
    assert allowed in told["error"]
    assert kept.refused == []


@pytest.mark.parametrize("path", ["/f/get-in-touch", "/f/get-in-touch/phone", "/f/get-in-touch/thanks", "/f/unknown"])
async def test_a_preflight_allows_what_clients_send(browser: httpx.AsyncClient, path: str) -> None:
    names = "content-type,hx-request, X-CSRF-TOKEN,authorization,bad name,x\u00e9".encode("latin-1")
    asked = [(b"Access-Control-Request-Method", b"POST"), (b"Access-Control-Request-Headers", names)]
    answer = await browser.options(path, headers=[(b"Origin", SITE.encode()), *asked])
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-allow-methods"] == "POST, GET, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "content-type, hx-request, X-CSRF-TOKEN, authorization"
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_every_answer_may_be_read_by_the_page_that_asked(browser: httpx.AsyncClient) -> None:
    for origin in (SITE, "null", "https://evil.example"):
        answer = await browser.post("/f/get-in-touch", data=GOOD, headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "access-control-allow-origin" not in (await browser.post("/f/get-in-touch", data=GOOD)).headers


@pytest.mark.parametrize("came_from", ["https://a.example/contact", "javascript:alert(1)", "about:blank", ""])
async def test_a_page_that_is_not_there_has_a_way_back_to_a_page_alone(
    browser: httpx.AsyncClient, came_from: str
) -> None:
    answer = await browser.get("/f/unknown", headers={**HTML, "Referer": came_from})
    assert answer.status_code == 404
    assert (f'href="{came_from}"' in answer.text) is came_from.startswith("https")


async def test_a_page_that_is_not_listed_is_told_which_setting_is_meant(browser: httpx.AsyncClient, kept: Kept) -> None:
    answer = await browser.post("/f/guarded", data=GOOD, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert "This page cannot send this form." in answer.json()["error"]
    assert answer.json()["hint"] == 'Add "https://evil.example" to `origins` of this form in leads.toml.'
    assert answer.headers["access-control-allow-origin"] == "https://evil.example"
    assert kept.refused == ["guarded"]
    assert "`origins`" in kept.told[-1]["reason"]
    assert "evil" not in kept.told[-1]["reason"]


@pytest.mark.parametrize(
    "origin", [None, "null", SITE, "HTTPS://WWW.EXAMPLE.COM", "http://forms.example.net", "https://forms.example.net"]
)
async def test_listed_pages_our_own_and_nameless_ones_may_post(browser: httpx.AsyncClient, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    assert (await browser.post("/f/guarded", data=GOOD, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "fields", "key"),
    [
        ({}, {}, None),
        ({"Idempotency-Key": " k1 "}, {}, "k1"),
        ({}, {"_id": " k2 "}, "k2"),
        ({"Idempotency-Key": "k1"}, {"_id": "k2"}, "k1"),
        ({"Idempotency-Key": " "}, {"_id": " "}, None),
    ],
)
async def test_a_key_comes_from_the_header_or_the_control_field(
    browser: httpx.AsyncClient, kept: Kept, headers: dict[str, str], fields: dict[str, str], key: str | None
) -> None:
    await browser.post("/f/get-in-touch", data={**GOOD, **fields}, headers=headers)
    assert kept.taken[-1][2] == key


async def test_a_filled_honeypot_is_thanked_and_quarantined(browser: httpx.AsyncClient, kept: Kept) -> None:
    assert (await browser.post("/f/get-in-touch", data={**GOOD, "_gotcha": "x"})).status_code == 200
    assert kept.taken[-1][3] == ("honeypot",)


async def test_a_plain_request_of_a_plausible_lead_weighs_nothing(browser: httpx.AsyncClient, kept: Kept) -> None:
    await browser.post("/f/get-in-touch", data={**GOOD, "email": "asha@example.com", "message": "My knee hurts"})
    assert kept.signals == [{}]


async def test_what_looks_like_spam_is_told_to_the_intake_and_never_forwarded(
    browser: httpx.AsyncClient, kept: Kept
) -> None:
    session = base64.b64encode(json.dumps({"loadedAt": NOW - 300, "webdriver": True}).encode()).decode()
    controls = {"_remark": "x", "_elapsed": "250", "_webdriver": "1", "_token": "1-" + "0" * 32}
    sent = {**GOOD, **controls, "message": "https://a.example"}
    answer = await browser.post("/f/get-in-touch", data=sent, headers={"Formspree-Session-Data": session})
    assert answer.json()["message"] == "Thank you! Your submission has been received!"
    assert kept.signals[-1].keys() == {"trap", "links", "too_fast", "webdriver", "stale_token"}
    assert (kept.taken[-1][1].extra, kept.taken[-1][3]) == ({}, ())


def token_in(page: str) -> str:
    found = re.search(r'name="_token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize(("later", "signals"), [(500, ["too_fast"]), (30_000, []), (25 * 3_600_000, ["stale_token"])])
async def test_the_hosted_form_knows_for_how_long_it_was_open(
    browser: httpx.AsyncClient, kept: Kept, later: int, signals: list[str]
) -> None:
    token = token_in((await browser.get("/f/get-in-touch")).text)
    kept.now += later
    await browser.post("/f/get-in-touch", data={**GOOD, "_token": token})
    assert list(kept.signals[-1]) == signals


async def test_the_page_with_problems_goes_on_with_the_form_s_own_time(browser: httpx.AsyncClient, kept: Kept) -> None:
    token = token_in((await browser.get("/f/get-in-touch")).text)
    kept.now += 20_000
    bad = {**GOOD, "phone": "895", "_remark": "x"}
    again = await browser.post("/f/get-in-touch", data={**bad, "_token": token}, headers=HTML)
    assert token_in(again.text) == token
    assert 'name="_remark" value="x"' in again.text
    kept.now += 500
    await browser.post("/f/get-in-touch", data={**GOOD, "_token": token})
    assert kept.signals[-1] == {}


async def test_nobody_is_too_fast_who_corrects_a_form_of_another_page(browser: httpx.AsyncClient, kept: Kept) -> None:
    again = await browser.post("/f/get-in-touch", data={**GOOD, "phone": "895"}, headers=HTML)
    kept.now += 100
    await browser.post("/f/get-in-touch", data={**GOOD, "_token": token_in(again.text)})
    assert kept.signals[-1] == {}


async def test_the_page_it_came_from_is_kept(browser: httpx.AsyncClient, kept: Kept) -> None:
    page = f"{SITE}/contact?utm_source=google"
    await browser.post("/f/get-in-touch", data=GOOD, headers={"Referer": page})
    assert kept.taken[-1][1].source == Source(page=page, utm={"source": "google"})


async def test_a_script_tells_more_of_where_it_came_from(browser: httpx.AsyncClient, kept: Kept) -> None:
    told = json.dumps({"page": f"{SITE}/a", "click_ids": {"gclid": "G1"}, "first_touch": {"page": SITE}})
    data = {**GOOD, "_source": told, "_utm_source": "ad", "utm_medium": "cpc"}
    await browser.post("/f/get-in-touch", data=data, headers={"Referer": f"{SITE}/b"})
    content = kept.taken[-1][1]
    assert content.source == Source(f"{SITE}/a", "", {"source": "ad"}, {"gclid": "G1"}, Touch(SITE))
    assert content.extra == {"utm_medium": "cpc"}


async def test_where_it_came_from_outlives_the_page_with_problems(browser: httpx.AsyncClient, kept: Kept) -> None:
    came_from = f"{SITE}/contact?utm_source=ad&gclid=G1"
    first = await browser.post("/f/get-in-touch", data={"name": "Asha"}, headers={**HTML, "Referer": came_from})
    assert first.status_code == 422
    hidden = {name: html.unescape(value) for name, value in inputs_of(first.text).items()}
    here = {**HTML, "Referer": "http://forms.example.net/f/get-in-touch"}
    assert (await browser.post("/f/get-in-touch", data={**hidden, **GOOD}, headers=here)).status_code == 303
    assert kept.taken[-1][1].source == Source(came_from, "", {"source": "ad"}, {"gclid": "G1"})


async def test_the_hosted_form_tells_what_led_to_it(browser: httpx.AsyncClient, kept: Kept) -> None:
    page = await browser.get("/f/get-in-touch", headers={"Referer": "https://news.example/"})
    sent = {name: html.unescape(value) for name, value in inputs_of(page.text).items()} | GOOD
    here = "http://forms.example.net/f/get-in-touch?utm_source=mail"
    assert (await browser.post("/f/get-in-touch", data=sent, headers={**HTML, "Referer": here})).status_code == 303
    assert kept.taken[-1][1].source == Source(here, "https://news.example/", {"source": "mail"})
    again = await browser.get("/f/get-in-touch", headers={"Referer": here})
    assert "_referrer" not in inputs_of(again.text)


HINDI_FIRST = {"Accept-Language": "hi-IN,hi;q=0.9,en;q=0.8"}
SHORT = {"en": "This number is too short.", "hi": "इस नंबर में अंक कम हैं।", "te": "ఈ నంబర్‌లో అంకెలు తక్కువగా ఉన్నాయి."}


@pytest.mark.parametrize(
    ("form", "asked", "headers", "code"),
    [
        ("get-in-touch", "te", HINDI_FIRST, "en"),
        ("hindi", "te", {}, "hi"),
        ("spoken", "te", HINDI_FIRST, "te"),
        ("spoken", "", HINDI_FIRST, "hi"),
        ("spoken", "xx", {}, "en"),
    ],
)
async def test_a_visitor_is_answered_in_the_form_s_language(
    browser: httpx.AsyncClient, form: str, asked: str, headers: dict[str, str], code: str
) -> None:
    vary = "Origin, Accept-Language" if form == "spoken" else "Origin"
    sent = {"name": "A", "phone": "895", "_language": asked}
    told = await browser.post(f"/f/{form}", data=sent, headers=headers)
    page = await browser.post(f"/f/{form}", data=sent, headers={**headers, **HTML})
    checked = await browser.post(f"/f/{form}/phone", data={"number": "895", "_language": asked}, headers=headers)
    plain = await browser.post(f"/f/{form}/phone", json={"number": "895", "language": asked}, headers=headers)
    assert told.json()["error"].startswith(SHORT[code])
    assert SHORT[code] in page.text
    assert checked.json()["message"] == plain.json()["message"] == told.json()["error"]
    for answer in (told, page, checked, plain):
        assert (answer.headers["content-language"], answer.headers["vary"]) == (code, vary)
    assert f'<html lang="{code}"' in page.text


async def test_the_pages_of_a_form_are_in_the_language_that_was_asked_for(browser: httpx.AsyncClient) -> None:
    for path in ("/f/spoken?language=kn", "/f/spoken/thanks?_language=kn"):
        page = await browser.get(path, headers=HINDI_FIRST)
        assert (page.headers["content-language"], page.headers["vary"]) == ("kn", "Origin, Accept-Language")
        assert '<html lang="kn"' in page.text
    thanked = await browser.post("/f/spoken", data={**GOOD, "_language": "te-IN"}, headers=HTML)
    assert thanked.headers["location"] == "/f/spoken/thanks?language=te"
    assert (await browser.post("/f/spoken", data=GOOD, headers=HTML)).headers["location"] == "/f/spoken/thanks"
    fixed = await browser.post("/f/hindi", data={**GOOD, "_language": "te"}, headers=HTML)
    assert fixed.headers["location"] == "/f/hindi/thanks"


async def test_who_is_at_no_form_is_told_so_in_the_browser_s_language(browser: httpx.AsyncClient) -> None:
    for path, vary in (("/f/unknown", "Origin, Accept-Language"), ("/nowhere", "Accept-Language")):
        answer = await browser.get(path, headers=HINDI_FIRST)
        assert answer.json()["error"] == "इस पते पर कोई फ़ॉर्म नहीं है।"
        assert (answer.headers["content-language"], answer.headers["vary"]) == ("hi", vary)
    assert (await browser.put("/f/hindi")).headers["content-language"] == "hi"


async def test_a_form_may_be_framed_by_its_own_pages_only(browser: httpx.AsyncClient) -> None:
    for path in ("/f/guarded", "/f/guarded/thanks"):
        headers = (await browser.get(path)).headers
        assert headers["content-security-policy"].endswith(f"; frame-ancestors 'self' {SITE}")
        assert "x-frame-options" not in headers
    problems = await browser.post("/f/guarded", data={"name": "A"}, headers=HTML)
    refused = await browser.post("/f/guarded", data=GOOD, headers={**HTML, "Origin": "https://evil.example"})
    for answer in (problems, refused):
        assert answer.headers["content-security-policy"].endswith(f"; frame-ancestors 'self' {SITE}")
    assert "frame-ancestors *" in (await browser.get("/f/get-in-touch")).headers["content-security-policy"]
    unknown = await browser.get("/f/unknown", headers=HTML)
    assert unknown.headers["content-security-policy"].endswith("; frame-ancestors 'none'")


async def test_any_page_may_load_the_script(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/lead-form.js", headers={"Origin": "https://anywhere.example"})
    assert answer.status_code == 200
    told = {name: answer.headers[name] for name in (
        "content-type", "cache-control", "cross-origin-resource-policy", "access-control-allow-origin",
        "x-content-type-options",
    )}  # fmt: skip
    assert told == {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=3600",
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
        "x-content-type-options": "nosniff",
    }
    again = await browser.get("/lead-form.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    head = await browser.head("/lead-form.js")
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])
    assert head.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("next_url", "leads_to"),
    [
        ("", "/f/get-in-touch/thanks"),
        (f"{SITE}/thanks", f"{SITE}/thanks"),
        ("/thanks", f"{SITE}/thanks"),
        ("//evil.example", "/f/get-in-touch/thanks"),
        ("https://evil.example/", "/f/get-in-touch/thanks"),
    ],
)
async def test_a_browser_without_script_is_sent_on(browser: httpx.AsyncClient, next_url: str, leads_to: str) -> None:
    headers = {**HTML, "Referer": f"{SITE}/contact"}
    answer = await browser.post("/f/get-in-touch", data={**GOOD, "_next": next_url}, headers=headers)
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, leads_to, b"")


async def test_a_script_is_told_where_to_go(browser: httpx.AsyncClient) -> None:
    allowed = await browser.post("/f/get-in-touch", data={**GOOD, "_next": f"{SITE}/thanks"})
    hostile = await browser.post("/f/get-in-touch", data={**GOOD, "_next": "//evil.example"})
    assert (allowed.json()["next"], hostile.json()["next"]) == (f"{SITE}/thanks", "")


async def test_a_visitor_who_attached_a_file_keeps_what_was_typed(browser: httpx.AsyncClient) -> None:
    files = {"cv": ("cv.pdf", b"PDF", "application/pdf")}
    answer = await browser.post("/f/get-in-touch", data={**GOOD, "zip": "560001"}, files=files, headers=HTML)
    assert answer.status_code == 422
    assert 'value="Asha Rao"' in answer.text
    assert 'name="zip" value="560001"' in answer.text
    assert "cv: This form takes no files. Remove the file and send the form again." in answer.text


async def test_the_page_with_problems_can_be_posted_again_as_it_is(browser: httpx.AsyncClient, kept: Kept) -> None:
    sent = {"Full-Name": "", "phone": "+1 992 345 6781", "zip": "560001", "_next": "/thanks", "_id": "k7"}
    first = await browser.post("/f/guarded", data=sent, headers={**HTML, "Origin": SITE, "Referer": f"{SITE}/contact"})
    assert first.status_code == 422
    assert first.headers["content-security-policy"].startswith("default-src 'none'")
    again = {**inputs_of(first.text), "Full-Name": "Asha Rao"}
    here = {**HTML, "Origin": "http://forms.example.net", "Referer": "http://forms.example.net/f/guarded"}
    second = await browser.post("/f/guarded", data=again, headers=here)
    assert (second.status_code, second.headers["location"]) == (303, f"{SITE}/thanks")
    _, content, key, quarantine = kept.taken[-1]
    assert content.fields["phone"].flags == ("unverified",)
    assert (content.extra, key, quarantine) == ({"zip": "560001"}, "k7", ())


def inputs_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="\w+"[^>]* name="([^"]*)" value="([^"]*)"', page)) | dict(
        re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    )


async def test_a_script_s_header_or_a_json_body_gets_json_from_a_browser(browser: httpx.AsyncClient) -> None:
    by_header = await browser.post("/f/get-in-touch", data=GOOD, headers={**HTML, "X-Requested-With": "XMLHttpRequest"})
    by_body = await browser.post("/f/get-in-touch", json=GOOD, headers=HTML)
    assert by_header.json()["ok"] is by_body.json()["ok"] is True


@pytest.mark.parametrize("path", ["/f/get-in-touch", "/f/get-in-touch/thanks"])
async def test_pages_are_served(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "Get In Touch" in answer.text
    assert (await browser.head(path)).status_code == 200


@pytest.mark.parametrize(
    ("sent", "valid", "code"),
    [
        ({"json": {"number": "089510 47001"}}, True, "PHONE_VALID"),
        ({"json": {"number": 8951047001}}, True, "PHONE_VALID"),
        ({"data": {"number": "8951047001"}}, True, "PHONE_VALID"),
        ({"json": {"number": "4155552671", "country": "us"}}, True, "PHONE_VALID"),
        ({"json": {"number": "8951047001", "country": "XX"}}, True, "PHONE_VALID"),
        ({"json": {"number": "9999999999"}}, True, "PHONE_VALID"),
        ({"json": {"number": "895"}}, False, "PHONE_TOO_SHORT"),
        ({"json": {"number": "+1 992 345 6781"}}, False, "PHONE_INVALID_BUT_POSSIBLE"),
        ({"json": {"number": ""}}, False, "PHONE_NOT_A_NUMBER"),
        ({"json": {}}, False, "PHONE_NOT_A_NUMBER"),
        ({"content": b"{"}, False, "PHONE_NOT_A_NUMBER"),
        ({"content": b"x" * 300_000}, False, "PHONE_NOT_A_NUMBER"),
    ],
)
async def test_a_number_can_be_checked_and_is_never_counted(
    browser: httpx.AsyncClient, kept: Kept, sent: dict[str, Any], valid: bool, code: str
) -> None:
    answer = await browser.post("/f/guarded/phone", **sent, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["valid"], answer.json()["code"]) == (200, valid, code)
    assert answer.headers["access-control-allow-origin"] == "https://evil.example"
    assert (kept.taken, kept.refused, kept.told) == ([], [], [])


async def test_the_country_of_a_phone_check_decides(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/f/get-in-touch/phone", json={"number": "4155552671", "country": "us"})
    assert answer.json()["e164"] == "+14155552671"
    assert (await browser.post("/f/unknown/phone", json={"number": "1"})).status_code == 404


def event(data: dict[str, object]) -> bytes:
    schema = [{"fieldName": "Your best number", "fieldElementId": "element-2"}]
    payload = {"id": "sub-1", "data": data, "schema": schema, "pageUrl": f"{SITE}/contact"}
    return json.dumps({"triggerType": "form_submission", "payload": payload}).encode()


def signed(raw: bytes, at: int = NOW, secret: bytes = b"hush") -> dict[str, str]:
    digest = hmac.new(secret, f"{at}:".encode() + raw, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Webflow-Timestamp": str(at), "X-Webflow-Signature": digest}


async def test_webflow_s_event_is_kept_by_element_id(browser: httpx.AsyncClient, kept: Kept) -> None:
    raw = event({"name": "Asha", "Your best number": 8951047001, "colour": ["red", "blue"], "deep": {"a": [1]}})
    answer = await browser.post("/f/get-in-touch", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    _, content, key, quarantine = kept.taken[-1]
    assert values(kept) == {"name": "Asha", "phone": "+918951047001"}
    assert content.extra == {"colour": "red, blue", "deep": '{"a": [1]}'}
    assert (content.source.page, key, quarantine) == (f"{SITE}/contact", "sub-1", ())


async def test_webflow_s_visitor_is_never_refused(browser: httpx.AsyncClient, kept: Kept) -> None:
    raw = event({"Your best number": "12", "email": "x"})
    answer = await browser.post("/f/get-in-touch", content=raw, headers={**HTML, "Content-Type": "application/json"})
    assert (answer.status_code, kept.refused) == (200, [])
    phone = kept.taken[-1][1].fields["phone"]
    assert phone.phone is not None
    assert (phone.value, phone.flags, phone.phone.e164) == ("12", ("PHONE_TOO_SHORT",), None)


async def test_webflow_is_asked_to_come_again_only_when_nothing_can_keep_it(
    browser: httpx.AsyncClient, kept: Kept
) -> None:
    kept.answer = Unavailable("Redis is away.")
    answer = await browser.post("/f/signed", content=event({}), headers=signed(event({})))
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("headers", "quarantine"),
    [
        (signed(event({})), ()),
        (signed(event({}), NOW - 300_000), ()),
        (signed(event({}), NOW - 300_001), ("webflow-signature",)),
        (signed(event({}), secret=b"other"), ("webflow-signature",)),
    ],
)
async def test_a_wrong_or_old_signature_is_quarantined(
    browser: httpx.AsyncClient, kept: Kept, headers: dict[str, str], quarantine: tuple[str, ...]
) -> None:
    assert (await browser.post("/f/signed", content=event({}), headers=headers)).status_code == 200
    assert kept.taken[-1][3] == quarantine


@pytest.mark.parametrize(("form", "setting"), [("signed", "webflow_secret"), ("unasked", "webflow = true")])
async def test_a_webhook_that_no_setting_asks_for_is_refused_and_the_owner_told_which_does(
    browser: httpx.AsyncClient, kept: Kept, form: str, setting: str
) -> None:
    answer = await browser.post(f"/f/{form}", content=event({**GOOD}), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "WEBHOOK_NOT_ALLOWED")
    assert setting in answer.json()["hint"]
    assert (kept.taken, kept.refused) == ([], [form])


async def test_the_process_says_that_it_is_up_and_whether_it_is_ready(browser: httpx.AsyncClient, kept: Kept) -> None:
    assert (await browser.get("/healthz")).json() == {"ok": True}
    answer = await browser.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "redis": "Redis answers.", "spool": "No spool is configured."},
    )
    kept.ready = False
    assert (await browser.get("/readyz")).status_code == 503


async def test_a_stranger_learns_whether_the_service_is_ready_and_no_more(
    browser: httpx.AsyncClient, kept: Kept
) -> None:
    for ready, status in ((True, 200), (False, 503)):
        kept.ready = ready
        answer = await browser.get("/readyz", headers={"X-Forwarded-For": "10.0.0.1"})
        assert (answer.status_code, answer.json()) == (status, {"ready": ready})
    await browser.get("/readyz")
    assert kept.looks == [1, 1, 0]


async def test_the_surface_is_described(browser: httpx.AsyncClient) -> None:
    told = (await browser.get("/openapi.json")).json()
    assert {"/f/get-in-touch", "/f/guarded/phone", "/readyz"} <= told["paths"].keys()
    assert "hush" not in json.dumps(told)


# --- challenges


async def solution(browser: httpx.AsyncClient, form: str = "puzzled") -> str:
    made = (await browser.get(f"/f/{form}/challenge")).json()
    found = v1.solve_challenge(made["challenge"], made["salt"], made["algorithm"], made["maxNumber"], 0)
    assert found is not None
    parts = {name: made[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return b64encode(json.dumps({**parts, "number": found.number}).encode()).decode()


async def test_a_challenge_may_be_asked_for_by_any_page_and_is_kept_by_nobody(browser: httpx.AsyncClient) -> None:
    one, two = [await browser.get("/f/puzzled/challenge", headers={"Origin": SITE}) for _ in range(2)]
    assert one.status_code == 200
    assert one.json() != two.json()
    assert (one.headers["cache-control"], one.headers["access-control-allow-origin"]) == ("no-store", SITE)
    assert (await browser.options("/f/puzzled/challenge")).status_code == 204
    assert (await browser.post("/f/puzzled/challenge")).status_code == 405


@pytest.mark.parametrize("form", ["get-in-touch", "widget", "unknown"])
async def test_a_form_without_one_has_no_challenge(browser: httpx.AsyncClient, form: str) -> None:
    answer = await browser.get(f"/f/{form}/challenge")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "FORM_NOT_FOUND")


@pytest.mark.parametrize("form", ["puzzled", "widget"])
async def test_without_a_solution_a_visitor_is_told_what_to_do(
    browser: httpx.AsyncClient, kept: Kept, form: str
) -> None:
    answer = await browser.post(f"/f/{form}", data=GOOD)
    assert answer.status_code == 422
    [problem] = answer.json()["errors"]
    assert problem["code"] == "CAPTCHA_MISSING"
    assert problem["field"] == {"puzzled": "altcha", "widget": "cf-turnstile-response"}[form]
    assert "JavaScript" in problem["message"]
    assert (kept.taken, kept.refused) == ([], [form])


@pytest.mark.parametrize("kind", ["data", "json", "files"])
async def test_with_a_solution_the_lead_is_kept_without_it(browser: httpx.AsyncClient, kept: Kept, kind: str) -> None:
    said: Any = {**GOOD, "altcha": await solution(browser)}
    if kind == "files":
        said = {name: (None, text) for name, text in said.items()}
    answer = await browser.post("/f/puzzled", **{kind: said})
    assert answer.status_code == 200, answer.text
    assert values(kept) == {"name": "Asha Rao", "phone": "+918951047001"}
    assert kept.taken[-1][1].extra == {}
    assert re.fullmatch("[0-9a-f]{64}", str(kept.once[-1]))


async def test_a_solution_that_served_somebody_else_is_refused(browser: httpx.AsyncClient, kept: Kept) -> None:
    kept.answer = Used()
    answer = await browser.post("/f/puzzled", data={**GOOD, "altcha": await solution(browser)})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "CAPTCHA_FAILED")
    assert kept.refused == ["puzzled"]
    assert kept.told[-1]["codes"] == ("CAPTCHA_FAILED",)


async def test_the_page_that_says_so_challenges_again(browser: httpx.AsyncClient) -> None:
    spent = {**GOOD, "altcha": "spent"}
    answer = await browser.post("/f/puzzled", data=spent, headers=HTML)
    assert answer.status_code == 422
    assert "did not succeed" in answer.text
    assert "Asha Rao" in answer.text
    assert "spent" not in answer.text
    assert '<script src="/lead-form-altcha.js" defer></script>' in answer.text
    assert " data-captcha>" in answer.text


async def test_a_verifier_that_is_away_lets_the_lead_through_flagged(browser: httpx.AsyncClient, kept: Kept) -> None:
    answer = await browser.post("/f/widget", data={**GOOD, "cf-turnstile-response": "a token"})
    assert answer.status_code == 200
    content = kept.taken[-1][1]
    assert (content.flags, content.extra, kept.once) == (("captcha_unverified",), {}, ["a token"])
    assert kept.warned == [("widget", "The verifier did not answer (ConnectError).")]


EVENT = {"triggerType": "form_submission", "payload": {"id": "1", "name": "x", "data": GOOD, "schema": []}}


@pytest.mark.parametrize(("form", "reasons"), [("puzzled", ("captcha",)), ("sealed", ())])
async def test_webflow_needs_no_solution_where_it_is_sure_to_be_webflow(
    browser: httpx.AsyncClient, kept: Kept, form: str, reasons: tuple[str, ...]
) -> None:
    raw = json.dumps(EVENT).encode()
    signed = hmac.new(b"hush", f"{NOW}:".encode() + raw, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Webflow-Timestamp": str(NOW), "X-Webflow-Signature": signed}
    answer = await browser.post(f"/f/{form}", content=raw, headers=headers)
    assert answer.status_code == 200
    assert (kept.taken[-1][3], kept.once) == (reasons, [None])


async def test_the_page_of_a_form_with_a_challenge_may_do_what_that_needs_and_no_more(
    browser: httpx.AsyncClient,
) -> None:
    pages = {form: await browser.get(f"/f/{form}") for form in ("get-in-touch", "puzzled", "widget")}
    policies = {form: answer.headers["content-security-policy"] for form, answer in pages.items()}
    assert policies["puzzled"] == policies["get-in-touch"]
    assert "cloudflare" not in policies["puzzled"]
    theirs = "https://challenges.cloudflare.com"
    assert f"script-src 'self' {theirs}; " in policies["widget"]
    assert f"frame-src {theirs}; " in policies["widget"]
    assert f'<script src="{theirs}/turnstile/v0/api.js" async defer></script>' in pages["widget"].text
    assert '<div class="cf-turnstile" data-sitekey="0x4AAA" data-language="en"></div>' in pages["widget"].text
    for form in ("puzzled", "widget"):
        assert "<noscript><p" in pages[form].text
    assert "noscript" not in pages["get-in-touch"].text


async def test_the_script_that_solves_is_served_as_the_other_one_is(browser: httpx.AsyncClient) -> None:
    one, other = [await browser.get(f"/{name}.js") for name in ("lead-form-altcha", "lead-form")]
    assert one.headers["content-type"] == other.headers["content-type"]
    assert one.headers["etag"] != other.headers["etag"]
    assert "crypto.subtle" in one.text


# --- consent


@pytest.mark.parametrize(("language", "text"), [("en", "I agree."), ("hi", "मैं सहमत हूँ।")])
async def test_what_was_agreed_to_is_kept_in_the_language_it_was_read_in(
    browser: httpx.AsyncClient, kept: Kept, language: str, text: str
) -> None:
    await browser.post("/f/agreed", data={**GOOD, "ok": "yes", "_language": language})
    given = kept.taken[-1][1].consent
    assert given is not None
    assert (given.agreed, given.language) == (True, language)
    assert given.text_sha256 == hashlib.sha256(text.encode()).hexdigest()
    await browser.post("/f/agreed", data=GOOD)
    assert kept.taken[-1][1].consent is None


async def test_the_public_url_is_the_services_own_whatever_host_a_proxy_passes_on(kept: Kept) -> None:
    config = Config({GUARDED.name: GUARDED}, {}, service=Service(public_url="https://leads.example.org"))
    challenger = Challenger(SECRET, lambda: NOW, kept.warn)
    app = create_app(config, cast("Intake", kept), challenger, secret=SECRET, clock=lambda: NOW)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.5:8000") as client:
        own, other = "https://leads.example.org", "https://leads.example.com"
        answers = [await client.post("/f/guarded", data=GOOD, headers={"Origin": each}) for each in (own, other)]
        assert [each.status_code for each in answers] == [200, 403]
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": own}]
        sent_on = await client.post("/f/guarded", data={**GOOD, "_next": f"{own}/f/guarded"}, headers=HTML)
        assert sent_on.headers["location"] == f"{own}/f/guarded"


# --- what a page asks before it posts, and what comes beside the answer


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": "phone", "value": "8951047001"}, {"valid": True, "code": "VALID"}),
        ({"name": "Phone", "value": "895"}, {"valid": False, "code": "PHONE_TOO_SHORT"}),
        ({"name": "phone", "value": "07911 234567", "country": "GB"}, {"valid": True, "code": "VALID"}),
        ({"name": "phone", "value": "8951047001", "country": "GB"}, {"valid": False}),
        ({"name": "email", "value": "asha@gmial.com"}, {"valid": True, "suggestion": "asha@gmail.com"}),
        ({"name": "email", "value": "asha@gmial"}, {"valid": False, "code": "TYPE_EMAIL"}),
        ({"name": "colour", "value": "red"}, {"valid": False, "code": "UNKNOWN_FIELD"}),
        ({"value": "red"}, {"valid": False, "code": "UNKNOWN_FIELD"}),
        ({"name": "name", "value": ""}, {"valid": False, "code": "REQUIRED_FIELD_EMPTY"}),
    ],
)
async def test_any_field_can_be_asked_about(
    browser: httpx.AsyncClient, kept: Kept, asked: dict[str, str], told: dict[str, object]
) -> None:
    for answer in (
        await browser.post("/f/get-in-touch/check", data=asked),
        await browser.post("/f/get-in-touch/check", json=asked),
    ):
        assert answer.status_code == 200
        assert told.items() <= answer.json().items()
        assert answer.json()["message"]
    assert kept.taken == []


@pytest.mark.parametrize(
    "value",
    [
        {"countryCode": "GB", "number": "07911 234567"},
        {"nationalNumber": "07911 234567", "e164Number": "+447911234567"},
        {"number": "07911 234567", "country": {"iso2": "gb"}},
    ],
)
async def test_what_a_widget_says_of_its_field_can_be_asked_about(
    browser: httpx.AsyncClient, value: dict[str, object]
) -> None:
    told = (await browser.post("/f/get-in-touch/check", json={"name": "phone", "value": value})).json()
    assert (told["valid"], told["code"]) == (True, "VALID")


@pytest.mark.parametrize("beside", [{"phone_code": "+44"}, {"country": "England"}, {"callingCode": "44"}])
async def test_a_phone_check_reads_the_country_that_a_submission_would(
    browser: httpx.AsyncClient, beside: dict[str, str]
) -> None:
    told = (await browser.post("/f/get-in-touch/phone", data={"number": "07911 234567", **beside})).json()
    assert told["e164"] == "+447911234567"
    told = (await browser.post("/f/get-in-touch/phone", data={"number": "89510 47001", **beside})).json()
    assert not told["valid"]


async def test_a_mistyped_address_is_taken_and_its_right_spelling_offered(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/f/get-in-touch", data={**GOOD, "email": "asha@gmail.con"})
    assert answer.json()["ok"] is True
    assert answer.json()["suggestions"] == [
        {"field": "email", "suggestion": "asha@gmail.com", "message": "Did you mean asha@gmail.com?"}
    ]


async def test_no_cookie_is_ever_read_or_set(browser: httpx.AsyncClient) -> None:
    plain, with_cookie = [
        await browser.post("/f/get-in-touch", data=GOOD, headers={"Origin": SITE, **more})
        for more in ({}, {"Cookie": "session=1; _language=hi"})
    ]
    assert "set-cookie" not in with_cookie.headers
    assert {**plain.json(), "receipt": ""} == {**with_cookie.json(), "receipt": ""}


async def test_a_form_that_was_sent_by_get_is_filled_in_and_says_that_it_was_not_sent(
    browser: httpx.AsyncClient, kept: Kept
) -> None:
    answer = await browser.get("/f/get-in-touch", params={"name": "Asha <b>", "phone": "895"}, headers=HTML)
    assert "This form was not sent yet." in answer.text
    assert 'value="Asha &lt;b&gt;"' in answer.text
    assert kept.taken == []
    empty = await browser.get("/f/get-in-touch", params={"utm_source": "news"}, headers=HTML)
    assert "not sent yet" not in empty.text


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://www-example-com.translate.goog", 200),
        ("https://www-example-com.cdn.ampproject.org", 200),
        ("https://evil-example.translate.goog", 403),
        ("https://x.www-example-com.translate.goog", 403),
        ("http://www-example-com.translate.goog", 403),
    ],
)
async def test_a_listed_page_that_google_shows_is_that_page(
    browser: httpx.AsyncClient, origin: str, status: int
) -> None:
    assert (await browser.post("/f/guarded", data=GOOD, headers={"Origin": origin})).status_code == status
