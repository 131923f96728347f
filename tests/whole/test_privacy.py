"""Nothing of a visitor anywhere but where it must be: marked strings go down every path, and everything is searched.

With a key for encryption also the values in Redis, its files and the spool are searched.
"""

import contextlib
import http.client
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crm import Answer, Crm, Received
from processes import ENVIRON, Process, Processes, request, until
from redis import Redis
from workshop import QUICK, destination, form

from service.destinations.outcome import Rejected, Retry
from service.fields import email, phone
from service.intake.intake import Caller
from service.lib import json_text
from service.lib.secret import Secret
from service.model.form import Field, Form
from service.model.lead import Delivery, Lead
from service.replies import reply, wording
from service.store.records import Attempt, Claim, Line, Version
from service.submission import body, check, field_match, source
from service.submission.check import Checked
from service.submission.facts import facts
from service.submission.form_data import Posted, gather
from service.submission.ways.event import of_webflow
from service.up.embedded import Embedded

MARK = "Zq7Marked"
NUMBERS = ("9845012345", "9845012346", "9845012347", "9845012348", "9845012349")
TRACES = (MARK.lower().encode(), *(each[-9:].encode() for each in NUMBERS))
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
JSON_TYPE = {"Content-Type": "application/json"}
PAGE = {"Accept": "text/html"}
KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
CONFIG = form(
    more="""
webflow_secret = "$CRM_SECRET"
limits = { address = "600/m", person = "100/h" }
spam = { limit = 10 }
captcha = { type = "altcha" }
"""
) + form(
    "open",
    deliver=("crm", "strict"),
    more="""limits = { address = "600/m" }
origins = ["https://site.example"]
ways.any = { type = "custom", secret = "$CRM_SECRET" }
""",
)


def echo(received: Received) -> Answer:
    """Answer as CRMs do: with what they got; refuse what asks for it."""
    for word, status in ((b"refuse", 422), (b"later", 503)):
        if word in received.body:
            return Answer(status, {"X-Echo": MARK}, received.body)
    return Answer(200, {}, received.body)


def visitor(number: int, **more: str) -> dict[str, str]:
    return {
        "name": f"{MARK} Rao",
        "phone": NUMBERS[number],
        "email": f"{MARK}{number}@example.com",
        "message": f"{MARK} has a knee and would like to be called back some day soon, thank you very much",
        f"{MARK} extra": f"{MARK} value",
        **more,
    }


def encoded(fields: dict[str, str]) -> bytes:
    from urllib.parse import urlencode  # noqa: PLC0415 -- one place needs it

    return urlencode(fields).encode()


def requests() -> Iterator[tuple[str, str, bytes | None, dict[str, str]]]:
    """Yield what every path that takes a visitor's words gets: method, path, body, headers."""
    told = {
        "Origin": "https://site.example", "Referer": f"https://site.example/{MARK}?utm_source={MARK}",
        "User-Agent": MARK, "Idempotency-Key": f"{MARK}-key", "X-Forwarded-For": f"{MARK}, 1.2.3.4",
        "Formspree-Session-Data": MARK, "Accept-Language": MARK, "Cookie": MARK,
    }  # fmt: skip
    for kind in ({}, PAGE):
        yield "POST", "/f/open", encoded(visitor(0)), {**FORM_TYPE, **told, **kind}
        yield "POST", "/f/open", encoded(visitor(0, message=f"{MARK} again")), {**FORM_TYPE, **kind}
        yield "POST", "/f/open", encoded(visitor(1, message=f"{MARK} refuse")), {**FORM_TYPE, **kind}
        yield "POST", "/f/open", encoded(visitor(2, message=f"{MARK} later")), {**FORM_TYPE, **kind}
        yield "POST", "/f/open", encoded(visitor(3, _gotcha=MARK, _next=f"//{MARK}.example/", _id=MARK)), FORM_TYPE
        yield "POST", "/f/open", encoded(visitor(3, phone="12", email=MARK)), {**FORM_TYPE, **kind}
        yield "POST", "/f/open", encoded(visitor(3, name=MARK * 3_000)), {**FORM_TYPE, **kind}
        yield "POST", "/f/open", encoded(visitor(3)), {**FORM_TYPE, "Origin": f"https://{MARK}.example", **kind}
        yield "POST", "/f/get-in-touch", encoded(visitor(4, altcha=MARK)), {**FORM_TYPE, **kind}
        yield "POST", f"/f/{MARK}", encoded(visitor(3)), {**FORM_TYPE, **kind}
        yield "GET", f"/f/{MARK}?name={MARK}", None, dict(kind)
        yield "GET", f"/f/open?name={MARK}&_language={MARK}", None, dict(kind)
    yield "POST", "/f/open/phone", encoded({"number": NUMBERS[3], "country": MARK}), FORM_TYPE
    yield "POST", "/f/open/phone", encoded({"number": f"{MARK} {NUMBERS[3]}"}), FORM_TYPE
    yield "POST", "/f/open", f'{{"name": "{MARK}", "broken'.encode(), JSON_TYPE
    yield "POST", "/f/open", json.dumps({"name": {"deep": MARK}}).encode(), JSON_TYPE
    yield "POST", "/f/open", b"\xff" + MARK.encode(), FORM_TYPE
    yield "POST", "/f/open", MARK.encode() * 40_000, FORM_TYPE
    yield "POST", "/f/open", MARK.encode(), {"Content-Type": f"text/{MARK}"}
    event = {"triggerType": "form_submission", "payload": {"id": MARK, "data": {"Name": MARK, "Phone": NUMBERS[4]}}}
    yield "POST", "/f/get-in-touch", json.dumps(event).encode(), JSON_TYPE
    for raw in (json.dumps(visitor(4)).encode(), f'{{"{MARK}'.encode(), json.dumps([visitor(4)]).encode()):
        yield "POST", f"/f/open/from/any?key={ENVIRON['CRM_SECRET']}", raw, {**JSON_TYPE, "X-Any": MARK}
        yield "POST", f"/f/open/from/any?key={MARK}", raw, JSON_TYPE
    part = f'--b\r\nContent-Disposition: form-data; name="{MARK}"; filename="{MARK}.txt"\r\n\r\n{MARK}\r\n--b--\r\n'
    yield "POST", "/f/open", part.encode(), {"Content-Type": "multipart/form-data; boundary=b"}
    yield "DELETE", f"/f/open?{MARK}", None, {}


def post_all(web: Process) -> None:
    for method, path, raw, headers in requests():
        with contextlib.suppress(OSError, http.client.HTTPException):  # a body too large is answered early
            assert request(web.port, method, path, raw, headers).status < 500, (method, path)


def traces_in(text: bytes) -> list[bytes]:
    return [trace for trace in TRACES if trace in text.lower()]


def values_of(redis: Redis, key: bytes) -> bytes:
    match redis.type(key):
        case b"hash":
            return str(redis.hgetall(key)).encode()
        case b"zset":
            return str(redis.zrange(key, 0, -1)).encode()
        case b"set":
            return str(redis.smembers(key)).encode()
        case _:
            return bytes(redis.get(key) or b"")  # type: ignore[arg-type]  # this client answers at once


def assert_nothing_is_kept_readably(server: Embedded, folder: Path) -> None:
    with Redis.from_url(server.url) as redis:
        for key in redis.scan_iter():
            assert not traces_in(key), key
            assert not traces_in(values_of(redis, key)), key
    for path in [*server.folder.rglob("*"), *(folder / "spool").rglob("*")]:
        if path.is_file():
            assert not traces_in(path.read_bytes()), path


def look_everywhere(web: Process, worker: Process, said: list[Process], server: Embedded) -> None:
    for process in said:
        assert not traces_in(process.said().encode()), process.said()
    for port in (web.port, worker.port):
        for path in ("/metrics", "/readyz", "/healthz", "/openapi.json"):
            assert not traces_in(request(port, "GET", path).body), path
    assert_nothing_is_kept_readably(server, server.folder.parent / "here")


@pytest.mark.parametrize("log", ["json", "text"])
def test_marked_strings_down_every_path_are_found_nowhere(tmp_path: Path, own_redis: Embedded, log: str) -> None:
    folder = tmp_path / "here"
    with Crm() as crm, Crm() as strict:
        crm.decide, strict.decide = echo, echo
        config = CONFIG + destination(crm.url) + destination(strict.url, "strict", more=QUICK)
        environ: dict[str, Any] = {
            "LEADS_SPOOL": str(folder / "spool"), "LEADS_ENCRYPTION_KEY": KEY, "LEADS_LOG": log,
        }  # fmt: skip
        with Processes(folder, own_redis.url, config, **environ) as here:
            web, worker = here.serve(), here.work()
            post_all(web)
            until(lambda: len(crm.requests) > 3, 20)
            worker.signal(signal.SIGKILL)
            worker.wait()
            assert own_redis.pid is not None
            os.kill(own_redis.pid, signal.SIGKILL)
            post_all(web)
            assert list((folder / "spool").glob("*.jsonl"))
            for path in (folder / "spool").rglob("*"):
                assert not traces_in(path.read_bytes()), path
            own_redis.start()
            again = here.work()
            until(lambda: not list((folder / "spool").glob("*.jsonl")), 30)
            until(lambda: here.status()["forms"]["open"]["destinations"]["crm"]["waiting"] == 0, 30)
            post_all(web)
            look_everywhere(web, again, [web, worker, again], own_redis)
            assert all(traces_in(each.body) for each in crm.requests), "the CRM gets what was typed"
            assert any(process.said() for process in (web, again))


def reprs_of(value: object) -> Iterator[str]:
    """Yield the `repr` of a value of ours and of all of ours that hang on it."""
    match value:
        case dict():
            inner: list[object] = list(value.values())
        case list() | tuple() | set() | frozenset():
            inner = list(value)
        case _ if type(value).__module__.startswith("service."):
            yield repr(value)
            names = (*getattr(value, "__struct_fields__", ()), *getattr(value, "__dataclass_fields__", ()))
            inner = [getattr(value, name) for name in names]
        case _:
            return
    for each in inner:
        yield from reprs_of(each)


def test_no_repr_of_what_carries_a_visitors_words_tells_them() -> None:
    form_of = Form(
        "open",
        {"name": Field("name"), "phone": Field("phone", "phone"), "email": Field("email", "email")},
        ("crm",),
    )
    secret = Secret("what only this clinic knows")
    posted = body.read(FORM_TYPE["Content-Type"], encoded(visitor(0, _next=MARK, _source=json.dumps({"page": MARK}))))
    assert isinstance(posted, Posted)
    checked = check.check(form_of, posted)
    assert isinstance(checked, Checked)
    refused = check.check(form_of, gather([("phone", f"{NUMBERS[0]}1{MARK}"), ("email", f"{MARK}@gmial")]))
    content = replace(checked.content, source=source.of(posted, MARK))
    line = Line("1", "open", 0, "r", "l", {}, facts(secret, form_of, content))
    lead = Lead("lead_1", "open", 1, content, 0, 0, 0, 1)
    delivery = Delivery(lead, "lead.created")
    sent = {"triggerType": "form_submission", "payload": {"id": MARK, "data": {"Name": MARK}}}
    event = of_webflow(json.dumps(sent).encode(), form_of)
    carriers: list[object] = [
        posted, checked, refused, content, line, lead, delivery, event, field_match.match(form_of, posted),
        phone.read(NUMBERS[0], country="IN", countries=("IN",)), phone.read(f"{MARK}", country="IN", countries=("IN",)),
        email.read(f"{MARK}@example.com"), Retry("no", excerpt=MARK), Rejected("no", excerpt=MARK),
        Attempt(0, 1, "dead", 1, excerpt=MARK), Version(0, 0, 1, {"fields.name": ("h", MARK, 0)}),
        reply.success(wording.of(form_of), "r", f"https://{MARK}.example/"), Caller(NUMBERS[0]),
        json_text.parse_object(json.dumps({"name": MARK})),
        Claim("open", "crm", delivery, tries=0, refused_at=0, token="t"),
    ]  # fmt: skip
    told = [text for carrier in carriers for text in reprs_of(carrier)]
    assert len(told) > 40
    assert not [text for text in told if traces_in(text.encode())]
