"""What is fuzzed: each target takes any bytes, and no exception but a failed promise may come out of it.

A target is told in one line what it promises. Its seeds are where the search begins.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import msgspec

from service.config import read
from service.config.config import Config, Mistakes
from service.fields import phone
from service.fields.phone_country import region_of
from service.intake.drain import Drain
from service.lib import network, origin
from service.lib.secret import Secret
from service.model import languages
from service.model.form import Altcha, Field, Form
from service.model.problem import Problems
from service.replies import next_url, page, reply, wording
from service.store.cipher import Cipher, UnreadableError
from service.store.records import Line
from service.submission import body, captcha, check, field_match, source, spam
from service.submission.check import Checked
from service.submission.form_data import Posted, gather
from service.submission.ways.event import of_webflow
from service.submission.ways.event import read as read_event
from service.submission.ways.message import Message, is_proved
from service.submission.ways.table import WAYS

if TYPE_CHECKING:
    from service.intake.spool import Spool
    from service.store.leads import Store

FORM: Final = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True, max_length=120, aliases=("full name",), webflow="element-1"),
        "phone": Field("phone", "phone", required=True),
        "email": Field("email", "email"),
        "branch": Field("branch", "choice", choices=("Bangalore", "Hyderabad")),
        "visits": Field("visits", "number"),
        "again": Field("again", "boolean"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
    redirects=("https://www.example.com",),
    language="auto",
)
NOW: Final = 1_790_000_000_000
SECRET: Final = Secret("what only this clinic knows")
CIPHER: Final = Cipher([b"1" * 32])
PUZZLED: Final = replace(FORM, captcha=Altcha())
region_of("India")  # the names of countries are read once
FORMS: Final = {FORM.name: FORM, "strict": Form("strict", FORM.fields, ("crm",), allow_extra=False, junk="reject")}
OWN: Final = ("https://forms.example.net",)
GROWN: Final = 64 * 1024
GROWN_TEXT: Final = 8 * 1024  # all fields together are no more than a body may be
TYPES: Final = (
    "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b", "text/plain",
    'multipart/form-data; boundary="b"; charset=utf-8', "application/ld+json; charset=UTF-8",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz: what is called with any bytes, and where to begin."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def grow(data: bytes) -> bytes:
    """Return the bytes, every other time repeated until they are large: so what is quadratic is found by being slow."""
    if not data or data[0] % 2:
        return data[1:]
    return data[1:] * (GROWN // max(1, len(data) - 1))


def read_body(data: bytes) -> None:
    """A body is fields or problems; fields are checked, and shown again, whatever they say."""
    kind = TYPES[data[0] % len(TYPES)] if data else ""
    posted = body.read(kind, grow(data[1:]))
    if isinstance(posted, Problems):
        assert reply.failure(posted, wording.of(FORM)).status in {400, 413, 415, 422}
        return
    for form in FORMS.values():
        answer(form, posted)


def read_content_type(data: bytes) -> None:
    """Any content type is one of ours, or refused."""
    kind, _, rest = data.partition(b"\n")
    assert isinstance(body.read(kind.decode("latin-1"), rest or b"a=b"), Posted | Problems)


def answer(form: Form, posted: Posted) -> None:
    """Check it both ways, and make the page that shows it again."""
    told = wording.of(form, asked=posted.control.language)
    lenient = check.check(form, posted, lenient=True)
    assert isinstance(lenient, Checked)
    msgspec.json.encode(lenient.content)
    checked = check.check(form, posted)
    came_from = source.text_of(source.of(posted, ""))
    if isinstance(checked, Problems):
        goes_to = next_url.resolve(posted.control.next, form, referer="", own=OWN)
        matched = field_match.match(form, posted)
        page.again(form, told, posted, matched, checked, next_url=goes_to, source=came_from).encode()
        reply.failure(checked, told)


def read_phone(data: bytes) -> None:
    """A number has a verdict; a valid one is E.164, and reads as itself."""
    text = grow(data).decode("utf-8", "replace")
    verdict = phone.read(text, country="IN", countries=("IN", "US", "GB", "AE"))
    if verdict.valid and verdict.phone and verdict.phone.e164:
        again = phone.read(verdict.phone.e164, country="US", countries=("US",), confirm=verdict.phone.e164)
        assert again.phone is not None
        assert again.phone.e164 == verdict.phone.e164
    assert reply.phone_check(wording.of(FORM), verdict).status == 200


def read_fields(data: bytes) -> None:
    """Whatever texts the fields have, they are answers or problems."""
    texts = data.decode("utf-8", "replace").split("\x1f")
    names = (*FORM.fields, "extra", "_next", "_source", "_language", "_confirm", "_id")
    posted = gather([(names[at % len(names)], grow_text(text)) for at, text in enumerate(texts)])
    for form in FORMS.values():
        answer(form, posted)


def grow_text(text: str) -> str:
    """Do as `grow`, by the first sign."""
    return text[1:] * (GROWN_TEXT // max(1, len(text))) if text[:1] == "~" else text


def read_webflow(data: bytes) -> None:
    """An event of Webflow is never refused."""
    raw = grow(data)
    for each in (raw, b'{"triggerType":"form_submission","payload":{"id":"1","data":{' + raw + b"}}}"):
        event = of_webflow(each, FORM)
        if event:
            answer(FORM, event.posted)
            assert isinstance(check.check(FORM, event.posted, lenient=True), Checked)


def read_way(data: bytes) -> None:
    """Whatever a builder sends by a way is never refused, nor proved by chance."""
    raw = grow(data)
    for way in WAYS.values():
        for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            message = Message(kind, raw, {})
            answer(FORM, read_event(way, message, FORM).posted)
            assert not is_proved(replace(way, secret=Secret("hush")), message, 0)


def read_configuration(data: bytes) -> None:
    """A file is a configuration, or every mistake in it."""
    text = grow(data).decode("utf-8", "replace")
    for each in (text, CONFIGURATION + text):
        found = read.parse(each, {"NAME": "whsec_" + "QUJD" * 10}, lambda _: "")
        assert isinstance(found, Config | Mistakes)
        assert not isinstance(found, Mistakes) or all(each.message for each in found.items)


def read_spooled(data: bytes) -> None:
    """A spooled line is a submission to a form of ours, or set aside."""
    line = DRAIN._read(grow(data))
    assert line is None or (isinstance(line, Line) and line.form in FORMS)


def read_doubts(data: bytes) -> None:
    """Whatever a browser says of itself, it makes signals that weigh something; no made-up token or solution passes."""
    text = grow(data).decode("utf-8", "replace")
    token, _, session = text.partition("\x1f")
    posted = gather([("_token", token), ("_elapsed", token), ("_webdriver", session), ("altcha", session)])
    signals = spam.of_visit(FORM, posted.control, session, secret=SECRET, now=NOW)
    assert all(weight > 0 for weight in signals.values())
    assert spam.read_token(SECRET, FORM, token, NOW) is None
    left, solution = captcha.split(PUZZLED, posted)
    assert "altcha" not in left.fields
    assert isinstance(captcha.look(PUZZLED, solution, check.check(FORM, left), SECRET, now=NOW), Problems)
    assert isinstance(network.address_of("127.0.0.1", [token, session], [network.network("127.0.0.0/8")]), str)


def read_sealed(data: bytes) -> None:
    """What we did not seal does not open."""
    text = grow(data).decode("utf-8", "replace")
    try:
        assert CIPHER.open(text, "form", "name") == text
    except UnreadableError:
        assert text.startswith("e")


def read_addresses(data: bytes) -> None:
    """Whatever addresses and languages are named, the way on is allowed and the language is ours."""
    sent, _, referer = grow(data).decode("utf-8", "replace").partition("\x1f")
    found = next_url.resolve(sent, FORM, referer=referer, own=OWN)
    assert not found or origin.of_url(found) in {*FORM.redirects, *OWN}
    assert origin.own("https", sent, referer) is not None
    assert wording.of(FORM, asked=sent, accepted=referer).language.code in languages.codes()
    assert reply.wants_page(sent, referer, is_json_body=False) in {True, False}
    source.of(gather([("_source", sent), ("_page", referer), ("utm_source", sent)]), referer)


CONFIGURATION: Final = """
[forms.get-in-touch]
deliver = ["crm"]
fields.phone = { type = "phone" }
[destinations.crm]
type = "webhook"
url = "https://crm.example.com"
"""
DRAIN: Final = Drain(cast("Spool", None), cast("Store", None), FORMS)
LINE: Final = msgspec.json.encode(
    Line(
        "1",
        "get-in-touch",
        0,
        "r" * 24,
        "lead_1",
        {"phone": "h"},
        {"f:name": ("h", '"Asha"')},
        key="k",
        quarantine=("honeypot",),
        signals={"links": 3},
        once="h",
    )
)
SOLUTION: Final = b64encode(b'{"algorithm":"SHA-256","challenge":"a","number":1,"salt":"b?expires=9","signature":"c"}')
SEALED: Final = CIPHER.seal("sAsha", "elsewhere").encode()
TARGETS: Final[Mapping[str, Target]] = {
    "body": Target(
        read_body,
        (
            b"\x00\x01name=Asha&phone=8951047001&visits=1e5&again=on&_next=/x&n%5B%5D=1",
            b'\x01\x01{"name":"Asha","phone":8951047001,"again":true,"a":[1,"2",null],"x":1e999}',
            b'\x02\x01--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAsha\r\n--b--\r\n',
            b'\x02\x01--b\r\nContent-Disposition: form-data; name="f"; filename*=utf-8\'\'a\r\n\r\n\r\n--b--\r\n',
            b"\x00\x00&a=",
            b"\x01\x00[{", b"\x00\x00&n=\xcc\x81\xcc\x96", b"\x00\x00 \xe2\x80\x8b", b"\x00\x00%CC%81%CC%96",
        ),
    ),
    "content-type": Target(
        read_content_type,
        (
            b"application/json; charset=utf-8\n{}", b'multipart/form-data; boundary="a\\"b"\n--',
            b"a/b; x*0*=utf-8''%41\n",
        ),
    ),
    "phone": Target(
        read_phone,
        (
            b"\x01+91 (089510) 47001 ext 12", b"\x01080/22223333 or 98450 12345", b"\x01tel:+91-91-89510-47001",
            b"\x01Mob: 9876543210.0 / wa", "\x01\u096f\u096e\u096d\u096c\u096b 43210".encode(), b"\x00 x", b"\x00/9",
        ),
    ),
    "validate": Target(
        read_fields,
        (
            b"Asha\x1f8951047001\x1fasha@gmial.com\x1fbangalore\x1f-1.50\x1f0, 1\x1fknee\r\npain",
            "~\u0301\u0316\x1f~\u0f73\x1f~ \u200b\x1f~\uff9e\u0301\x1f~\u0301\u0316\x1f\x1f~\u200b ".encode(),
            "~e\u0301\x1f~9 \x1f~a.@b\x1f~B \x1f~9\x1f~, \x1f~\n\x1f~x\x1f~/..\x1f~{\x1f~h-\x1f~1".encode(),
        ),
    ),
    "webflow": Target(
        read_webflow,
        (
            b'\x01"Name":"Asha","Phone":8951047001,"Deep":{"a":[1,{"b":null}]}',
            b'\x01{"triggerType":"form_submission","payload":{"data":{"A":"b"},"id":"1","pageUrl":"https://x/"}}',
            b'\x01"A":"b"},"schema":[{"fieldName":"A","fieldElementId":"element-1"}],"x":{',
            b'\x00"a":[',
        ),
    ),
    "ways": Target(
        read_way,
        (
            b'\x01{"form_response":{"token":"t","answers":[{"type":"choices","choices":{"labels":["a"]},"field":{}}]}}',
            b'\x01{"user_column_data":[{"column_id":"A","string_value":"b","options":[{"id":"b","text":"c"}]}]}',
            b"\x01fields[name][value]=A&fields[][x]=1&fields[name]=2&meta[page_url][value]=x&a[b][c][d]=e&a=1",
            b'\x01{"payload":{"data":{"A":{"b":[1]}},"schema":[{"fieldName":"A","fieldElementId":"element-1"}]}}',
            b'--b\r\nContent-Disposition: form-data; name="a[0]"\r\n\r\n{"b":1}\r\n--b--\r\n',
        ),
    ),
    "configuration": Target(
        read_configuration,
        (
            b'\x01secret = "$NAME"\nheaders = { X-A = "Bearer $NAME" }\nretry = ["5s"]\nrate = "10/s"\n',
            b'\x01format = "form"\nbody = { a = "{fields.phone} {{ $$ {id}", b = ["{phone.e164}", 1] }\n',
            b'\x01[forms.b]\norigins = ["https://*.x"]\nmessages.hi.success = "x"\ntheme = {accent = "#fff"}\n',
            b"\x00[a.", b"\x00a=[", b"\x01[service]\nreplicas = 2\n",
        ),
    ),
    "spool": Target(read_spooled, (b"\x01" + LINE, b"\x01" + LINE[:-9], b'\x00{"id":')),
    "doubts": Target(
        read_doubts,
        (
            b"\x011a0-" + b"0" * 32 + b"\x1feyJsb2FkZWRBdCI6MSwid2ViZHJpdmVyIjp0cnVlfQ==",
            b"\x01 1\x1f" + SOLUTION,
            b"\x01203.0.113.1:1, [2001:db8::1]:2\x1fe30=", b"\x01\x1d1\x1f\x1d1", b"\x00[",
        ),
    ),
    "sealed": Target(read_sealed, (b"\x01" + SEALED, b"\x01e", b"\x00e=", b"\x01sAsha")),
    "addresses": Target(
        read_addresses,
        (
            b"\x01https://www.example.com/x?a#b\x1fhttps://www.example.com/y",
            b"\x01//user@www.example.com:443/%2f\x1fhi-IN;q=0.5,en", b"\x00%25",
            b"\x01text/html;q=0.1\x1fXMLHttpRequest",
        ),
    ),
}  # fmt: skip
