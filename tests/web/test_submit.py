"""What becomes of a POST, without any HTTP: a visitor, a form and bytes go in, an outcome comes out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from service.config.config import Config
from service.intake.intake import Taken, Unavailable, Used
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.form import Agreement, Field, Form, Limits
from service.model.problem import Code, Problems, refuse
from service.store.records import Limited
from service.web.challenge import Challenger
from service.web.limiter import Limiter
from service.web.request import Visitor
from service.web.submit import Context, Visit, may_check, submit

pytestmark = pytest.mark.anyio

SECRET = Secret("a secret of the tests, 32 and more")
NOW = 1_764_000_000_000
FORM = Form(
    "a",
    {"name": Field("name", required=True), "phone": Field("phone", "phone"), "ok": Field("ok", "boolean")},
    (),
    origins=("https://www.example.com",),
    consent=Agreement("ok", "1", "I agree"),
)
FORM_TYPE = "application/x-www-form-urlencoded"
VISITOR = Visitor(address="203.0.113.9", content_type=FORM_TYPE, own_origins=("https://forms.example.com",))
TAKEN = Taken("receipt", "lead_1", "created", 1)


@dataclass
class Recorder:
    """Stands where the intake stands, keeps what it is handed and answers as it is told."""

    answer: Any = TAKEN
    handed: list[dict[str, Any]] = field(default_factory=list)

    async def submit(self, form: Form, content: object, **more: Any) -> Any:
        self.handed.append({"form": form.name, "content": content, **more})
        return self.answer


def context_of(intake: Recorder, form: Form = FORM) -> Context:
    challenger = Challenger(SECRET, lambda: NOW, lambda *_: None)
    return Context(Config({"a": form}, {}), intake, challenger, SECRET, lambda: NOW, Limiter())  # type: ignore[arg-type]  # as much of an intake as is asked for


def body(raw: bytes | Problems) -> Callable[[], Awaitable[bytes | Problems]]:
    async def read() -> bytes | Problems:
        return raw

    return read


async def never() -> bytes:
    raise AssertionError("the body of a page that may not post is not read")


async def post(raw: bytes | Problems, visitor: Visitor = VISITOR, form: Form = FORM, answer: Any = TAKEN) -> Visit:
    return await submit(context_of(Recorder(answer), form), visitor, form, body(raw))


def codes(visit: Visit) -> list[str]:
    assert isinstance(visit.came_of, Problems)
    return [str(problem.code) for problem in visit.came_of.items]


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        (None, True),
        ("null", True),
        ("https://www.example.com", True),
        ("https://WWW.example.com:443", True),
        ("https://forms.example.com", True),
        ("https://evil.example", False),
        ("http://www.example.com", False),
        ("", False),
    ],
)
async def test_a_page_that_may_not_post_is_refused_before_its_body_is_read(sent: str | None, is_taken: bool) -> None:
    context, visitor = context_of(Recorder()), replace(VISITOR, origin=sent)
    visit = await submit(context, visitor, FORM, body(b"name=Asha") if is_taken else never)
    assert (visit.came_of == TAKEN) is is_taken
    if not is_taken:
        assert codes(visit) == ["ORIGIN_NOT_ALLOWED"]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (refuse(Code.BODY_TOO_LARGE), ["BODY_TOO_LARGE"]),
        (b"", ["EMPTY"]),
        (b"name=", ["REQUIRED_FIELD_EMPTY"]),
        (b"phone=1&ok=no", ["REQUIRED_FIELD_MISSING", "PHONE_TOO_SHORT"]),
    ],
)
async def test_what_is_wrong_is_returned_whole(raw: bytes | Problems, told: list[str]) -> None:
    visit = await post(raw)
    assert codes(visit) == told
    assert (visit.said is None) == (raw == b"" or isinstance(raw, Problems))


async def test_what_is_right_is_handed_on_with_where_it_came_from_and_under_its_key() -> None:
    recorder = Recorder()
    visitor = replace(
        VISITOR, referer="https://www.example.com/contact?utm_source=news", idempotency_key="k", accepted="hi"
    )
    raw = b"name=Asha&phone=089510+47001&ok=on&_id=other"
    visit = await submit(context_of(recorder), visitor, FORM, body(raw))
    [handed] = recorder.handed
    content = handed["content"]
    assert visit.came_of == TAKEN
    assert content.fields["phone"].value == "+918951047001"
    assert content.source.utm == {"source": "news"}
    assert content.consent.agreed is True
    assert handed["key"] == "k"
    assert handed["caller"].address not in {"", VISITOR.address}
    assert (handed["quarantine"], handed["once"]) == ((), None)


@pytest.mark.parametrize(
    ("answer", "told"), [(Limited(1_001), "TOO_MANY_REQUESTS"), (Used(), "CAPTCHA_FAILED"), (Unavailable("away"), "")]
)
async def test_what_the_intake_says_is_believed(answer: object, told: str) -> None:
    visit = await post(b"name=Asha", answer=answer)
    if told:
        assert codes(visit) == [told]
    else:
        assert visit.came_of == answer


async def test_who_posts_too_often_is_told_how_long_to_wait_and_nothing_is_kept() -> None:
    recorder, form = Recorder(), replace(FORM, limits=Limits(address=Rate(1, 60_000)))
    context = context_of(recorder, form)
    first, second = [await submit(context, VISITOR, form, body(b"name=Asha")) for _ in range(2)]
    other = await submit(context, replace(VISITOR, address="198.51.100.1"), form, body(b"name=Asha"))
    assert (first.came_of, codes(second), other.came_of) == (TAKEN, ["TOO_MANY_REQUESTS"], TAKEN)
    assert isinstance(second.came_of, Problems)
    assert second.came_of.items[0].values["retry_after"] == "60"
    assert len(recorder.handed) == 2


async def test_visitors_without_an_address_share_one_limit() -> None:
    form = replace(FORM, limits=Limits(address=Rate(1, 60_000)))
    context, nobody = context_of(Recorder(), form), Visitor(content_type=FORM_TYPE)
    assert (await submit(context, nobody, form, body(b"name=A"))).came_of == TAKEN
    assert codes(await submit(context, nobody, form, body(b"name=A"))) == ["TOO_MANY_REQUESTS"]


async def test_checks_of_a_number_are_limited_too() -> None:
    form = replace(FORM, limits=Limits(address=Rate(1, 60_000)))
    context = context_of(Recorder(), form)
    allowed = [may_check(context, VISITOR, form) is None for _ in range(7)]
    assert allowed == [True] * 5 + [False] * 2
