"""A webhook turns a delivery into the same bytes every time, says it in a CRM's own words, and hides its secrets."""

import base64
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook as Reference

import service
from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations import envelope, rules
from service.destinations.outcome import Delivered, Rejected, Retry
from service.destinations.template import fill_table
from service.destinations.webhook import USER_AGENT, Webhook
from service.lib.secret import MASK, Secret, Text
from service.lib.times import timestamp
from service.model.lead import Answer, Content, Delivery, Lead, Phone, Source

if TYPE_CHECKING:
    from service.destinations.destination import Destination

KEYS = [Secret("whsec_" + base64.b64encode(each * 32).decode()) for each in (b"n", b"o")]
NOW = 1_795_344_127_120  # 2026-11-22T10:42:07.120Z
URL: Text = ("https://crm.example.com/hooks/leads?source=web",)

PHONE = Phone(
    raw="089510 47001",
    e164="+918951047001",
    national="089510 47001",
    international="+91 89510 47001",
    country="IN",
    type="MOBILE",
)
FIELDS = {
    "name": Answer("Asha Rao"),
    "phone": Answer("+918951047001", phone=PHONE),
    "email": Answer("asha@gmial.com", flags=("typo",)),
    "age": Answer(41),
    "weight": Answer(61.5),
    "consent": Answer(value=True),
    "message": Answer("Knee & back · «urgent«\nCall {me} $soon"),
}
SOURCE = Source(page="https://www.example.com/contact", referrer="", utm={"source": "google", "campaign": ""})


def delivery(
    fields: dict[str, Answer] | None = None, extra: dict[str, str] | None = None, source: Source = SOURCE, **more: Any
) -> Delivery:
    content = Content(FIELDS if fields is None else fields, extra or {}, source)
    lead = Lead("lead_7", "get-in-touch", 2, content, NOW - 1, NOW - 2, NOW - 86_400_000, 3)
    return Delivery(lead, **({"type": "lead.updated", "changed": ("message", "extra.colour")} | more))


def sent(webhook: Webhook, given: Delivery) -> Any:
    return msgspec.json.decode(webhook.request(given, NOW).content)


def from_file(lines: str, **environ: str) -> Webhook:
    """Read a webhook as the service does, with a form of the fields above."""
    kinds = {"name": "text", "phone": "phone", "email": "email", "age": "number", "weight": "number"}
    kinds |= {"consent": "boolean", "message": "text"}
    fields = "\n".join(f'fields.{name} = {{ type = "{kind}" }}' for name, kind in kinds.items())
    text = f'[forms.get-in-touch]\ndeliver = ["crm"]\n{fields}\n[destinations.crm]\ntype = "webhook"\n{lines}'
    text = text if "url =" in lines else f'{text}\nurl = "https://crm.example.com"'
    found = parse(text, environ, lambda _: "")
    assert isinstance(found, Config), found
    webhook = found.destinations["crm"]
    assert isinstance(webhook, Webhook)
    return webhook


def body(lines: str, given: Delivery | None = None, **environ: str) -> Any:
    return sent(from_file(f"body = {{ {lines} }}", **environ), given or delivery())


def test_the_envelope_is_word_for_word_the_documented_one() -> None:
    content = Webhook("crm", URL).request(delivery(extra={"colour": "red"}), NOW).content
    assert content.decode() == (
        '{"type":"lead.updated","timestamp":"2026-11-22T10:42:07.119Z","data":{"id":"lead_7","version":2,'
        '"form":"get-in-touch","received_at":"2026-11-22T10:42:07.118Z","fields":{"name":"Asha Rao",'
        '"phone":"+918951047001","email":"asha@gmial.com","age":41,"weight":61.5,"consent":true,'
        '"message":"Knee & back · «urgent«\\nCall {me} $soon"},"phone":{"raw":"089510 47001","e164":"+918951047001",'
        '"national":"089510 47001","international":"+91 89510 47001","country":"IN","type":"MOBILE","flags":[]},'
        '"flags":["email.typo"],"extra":{"colour":"red"},"changed":["message","extra.colour"],"enquiries":3,'
        '"first_seen_at":"2026-11-21T10:42:07.120Z","source":{"page":"https://www.example.com/contact",'
        '"referrer":"","utm":{"source":"google","campaign":""}}}}'
    )


def test_what_looked_like_spam_is_told_the_heaviest_first() -> None:
    plain = delivery()
    marked = replace(plain, lead=replace(plain.lead, signals={"junk_phone": 3, "disposable": 3, "markup": 5}))
    names = ["markup", "disposable", "junk_phone"]
    assert sent(Webhook("crm", URL), marked)["data"]["spam"] == {"score": 11, "signals": names}
    assert envelope.values(marked)["spam.score"] == 11
    assert envelope.flat(marked)["spam.signals"] == "markup, disposable, junk_phone"
    assert "spam" not in sent(Webhook("crm", URL), plain)["data"]
    assert not any("spam" in path for path in envelope.values(plain))


def test_a_lead_without_a_phone_has_a_null_one_and_a_test_says_so() -> None:
    data = sent(Webhook("crm", URL), delivery({"email": Answer("a@b.example")}, test=True))["data"]
    assert data["phone"] is None
    assert data["flags"] == []
    assert data["test"] is True
    assert "test" not in sent(Webhook("crm", URL), delivery())["data"]


def test_a_phone_that_could_not_be_read_is_sent_as_it_was_typed() -> None:
    answer = Answer("call me", flags=("PHONE_NOT_A_NUMBER",), phone=Phone(raw="call me", flags=("PHONE_NOT_A_NUMBER",)))
    data = sent(Webhook("crm", URL), delivery({"phone": answer}))["data"]
    assert data["fields"] == {"phone": "call me"}
    assert data["phone"]["e164"] is None
    assert data["phone"]["flags"] == ["PHONE_NOT_A_NUMBER"]
    assert data["flags"] == []


def test_extension_and_rest_are_there_only_if_there_are_any() -> None:
    phone = msgspec.structs.replace(PHONE, extension="12", rest="98860 12345")
    data = sent(Webhook("crm", URL), delivery({"phone": Answer("+918951047001", phone=phone)}))["data"]
    assert (data["phone"]["extension"], data["phone"]["rest"]) == ("12", "98860 12345")
    assert {"extension", "rest"} & sent(Webhook("crm", URL), delivery())["data"]["phone"].keys() == set()


@pytest.mark.parametrize(
    ("moment", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (NOW, "2026-11-22T10:42:07.120Z"), (NOW + 880, "2026-11-22T10:42:08.000Z")],
)
def test_a_time_is_iso_8601_in_utc_with_milliseconds(moment: int, text: str) -> None:
    assert timestamp(moment) == text


def test_the_headers_are_these_and_no_others() -> None:
    request = Webhook("crm", URL).request(delivery(), NOW)
    assert request.method == "POST"
    assert str(request.url) == URL[0]
    assert request.headers.raw == [
        (b"Host", b"crm.example.com"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", str(len(request.content)).encode()),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", USER_AGENT.encode()),
        (b"webhook-id", b"lead_7.2"),
        (b"webhook-timestamp", b"1795344127"),
        (b"Idempotency-Key", b"lead_7.2"),
    ]


def test_the_user_agent_names_the_version_of_the_package() -> None:
    assert f"lead-capture/{service.__version__}" == USER_AGENT


def test_every_secret_signs_and_the_reference_library_accepts_each(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Webhook("crm", URL, secrets=tuple(KEYS)).request(delivery(), NOW)
    first, second = request.headers["webhook-signature"].split(" ")
    assert first != second
    monkeypatch.setattr("standardwebhooks.webhooks.timedelta", lambda **_: timedelta(days=36_500))  # NOW is not now
    for key in KEYS:
        assert Reference(key.reveal()).verify(request.content, dict(request.headers))["data"]["id"] == "lead_7"


def test_configured_headers_replace_ours_or_leave_them_out() -> None:
    lines = 'headers = { Authorization = "Bearer $KEY", user-agent = "clinic", Idempotency-Key = "", Accept = "a/b" }'
    headers = from_file(lines, KEY="abc").request(delivery(), NOW).headers
    assert headers["authorization"] == "Bearer abc"
    assert headers.get_list("user-agent") == ["clinic"]
    assert headers.get_list("accept") == ["a/b"]
    assert "idempotency-key" not in headers
    assert headers["webhook-id"] == "lead_7.2"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('a = "{fields.age}", b = "{fields.weight}", c = "{fields.consent}"', {"a": 41, "b": 61.5, "c": True}),
        ('a = "{enquiries}", b = "{version}", c = "{changed}"', {"a": 3, "b": 2, "c": ["message", "extra.colour"]}),
        ('a = "Age {fields.age}, {fields.consent}: {changed}"', {"a": "Age 41, true: message, extra.colour"}),
        ('a = "{phone.e164}", b = "{ phone.country }"', {"a": "+918951047001", "b": "IN"}),
        ('a = "{phone.flags}", b = "{flags}"', {"a": [], "b": ["email.typo"]}),
        ('a = "{fields.phone}", b = "{webhook_id}"', {"a": "+918951047001", "b": "lead_7.2"}),
        ('a = "{id}/{version}/{form}/{type}"', {"a": "lead_7/2/get-in-touch/lead.updated"}),
        ('a = "{timestamp}", b = "{received_at}"', {"a": "2026-11-22T10:42:07.119Z", "b": "2026-11-22T10:42:07.118Z"}),
        ('a = "{first_seen_at}"', {"a": "2026-11-21T10:42:07.120Z"}),
        ('a = "{source.page}", b = "{source.utm.source}"', {"a": "https://www.example.com/contact", "b": "google"}),
        ('a = "{source.referrer}", b = "{source.utm.campaign}", c = "{extra.x}", d = "{phone.rest}", e = "{test}"', {}),
        ('a = " {extra.x} ({form}) "', {"a": "(get-in-touch)"}),
        ('a = "{extra.x} {phone.rest}"', {}),
        ('a = "{fields.name} · {extra.x}"', {"a": "Asha Rao ·"}),
        ('a = "{extra.Größe}"', {"a": "XL"}),
        ('a = " as it is "', {"a": " as it is "}),
        ('a = ""', {"a": ""}),
        ('a = "{{id}} {{{id}}} $$5 $5"', {"a": "{id} {lead_7} $5 $5"}),
        ('a = 1, b = 2.5, c = true, d = "x"', {"a": 1, "b": 2.5, "c": True, "d": "x"}),
        (
            'a = { b = ["{id}", "{extra.x}", 3, { c = "{fields.name}", d = "{extra.x}" }], e = { f = "{extra.x}" } }',
            {"a": {"b": ["lead_7", 3, {"c": "Asha Rao"}], "e": {}}},
        ),
        ('a = [{ b = "{extra.x}", c = 1 }, "{extra.y}"], d = []', {"d": []}),
        ('token = "$KEY", a = "key=$KEY;"', {"token": "s3{id}", "a": "key=s3{id};"}),
    ],
)
def test_a_body_says_it_in_the_words_of_the_crm(lines: str, expected: dict[str, Any]) -> None:
    assert body(lines, delivery(extra={"Größe": "XL"}), KEY="s3{id}") == expected


def test_what_a_visitor_typed_is_never_read_as_a_placeholder() -> None:
    assert body('a = "{fields.message}!"')["a"] == "Knee & back · «urgent«\nCall {me} $soon!"


def test_a_test_can_be_told_in_any_words() -> None:
    assert body('a = "{test}", b = "Test: {test}"', delivery(test=True)) == {"a": True, "b": "Test: true"}


def test_a_form_without_a_body_of_its_own_is_flat() -> None:
    request = from_file('format = "form"').request(delivery(extra={"colour": "red"}, test=True), NOW)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(request.content.decode(), strict_parsing=True)) == {
        "id": "lead_7",
        "version": "2",
        "form": "get-in-touch",
        "type": "lead.updated",
        "timestamp": "2026-11-22T10:42:07.119Z",
        "received_at": "2026-11-22T10:42:07.118Z",
        "first_seen_at": "2026-11-21T10:42:07.120Z",
        "enquiries": "3",
        "changed": "message, extra.colour",
        "flags": "email.typo",
        "webhook_id": "lead_7.2",
        "test": "true",
        "source.page": "https://www.example.com/contact",
        "name": "Asha Rao",
        "phone": "+918951047001",
        "email": "asha@gmial.com",
        "age": "41",
        "weight": "61.5",
        "consent": "true",
        "message": "Knee & back · «urgent«\nCall {me} $soon",
        "phone.raw": "089510 47001",
        "phone.e164": "+918951047001",
        "phone.national": "089510 47001",
        "phone.international": "+91 89510 47001",
        "phone.country": "IN",
        "phone.type": "MOBILE",
        "extra.colour": "red",
        "source.utm.source": "google",
    }


def test_a_form_with_a_body_has_its_pairs_only() -> None:
    lines = (
        'format = "form"\nbody = { oid = 7, first = "{fields.name}", x = "{extra.x}", ok = true, what = "{changed}" }'
    )
    content = from_file(lines).request(delivery(), NOW).content
    assert content == b"oid=7&first=Asha+Rao&ok=true&what=message%2C+extra.colour"


PREVIEWED = """
url = "https://$HOST/catch/$KEY?x=1"
secret = ["$NEW", "$OLD"]
headers = { Authorization = "Bearer $KEY", X-Clinic = "Bangalore" }
body = { token = "$KEY", deep = [{ note = "k=$KEY; {fields.name}" }] }
"""


def test_a_preview_shows_the_request_and_no_secret() -> None:
    secrets = {"HOST": "abc.example.com", "KEY": "s3cret", "NEW": KEYS[0].reveal(), "OLD": KEYS[1].reveal()}
    webhook = from_file(PREVIEWED, **secrets)
    request = webhook.request(delivery(), NOW)
    shown = webhook.preview(delivery(), NOW)
    head, _, content = shown.partition("\n\n")
    assert head.splitlines() == [
        "POST https://***/catch/***?x=1",
        "Host: ***",
        "Content-Type: application/json",
        f"Content-Length: {len(request.content)}",
        "Accept: */*",
        "Accept-Encoding: identity",
        f"User-Agent: {USER_AGENT}",
        "webhook-id: lead_7.2",
        "webhook-timestamp: 1795344127",
        "webhook-signature: v1,*** v1,***",
        "Idempotency-Key: lead_7.2",
        "Authorization: Bearer ***",
        "X-Clinic: Bangalore",
    ]
    assert content.splitlines()[1] == '  "token": "***",'
    assert msgspec.json.decode(content) == {"token": "***", "deep": [{"note": "k=***; Asha Rao"}]}
    for secret in secrets.values():
        assert secret not in shown
    assert [name for name, _ in request.headers.raw[1:]] == [
        line.split(":")[0].encode() for line in head.splitlines()[2:]
    ]


def test_a_preview_of_a_secret_address_shows_nothing_of_it() -> None:
    shown = from_file(
        'url = "$URL"\nformat = "form"\nbody = { a = "{id}", token = "$K" }', URL="https://x.example/s", K="k"
    )
    assert shown.preview(delivery(), NOW).startswith("POST ***\nHost: ***\n")
    assert shown.preview(delivery(), NOW).endswith("\n\na=lead_7&\ntoken=***")


def test_two_tries_send_the_same_bytes_under_the_same_id() -> None:
    webhook = Webhook("crm", URL, secrets=tuple(KEYS))
    one, other = webhook.request(delivery(), NOW), webhook.request(delivery(), NOW + 3_600_000)
    assert one.content == other.content
    differing = {name for name in one.headers if one.headers[name] != other.headers[name]}
    assert differing == {"webhook-timestamp", "webhook-signature"}


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
GIVEN = WORDS.filter(bool)
ANSWERS = st.builds(
    Answer,
    st.one_of(GIVEN, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)),
    st.lists(GIVEN, max_size=2).map(tuple),
    st.none() | st.builds(Phone, GIVEN, st.none() | GIVEN, flags=st.lists(GIVEN, max_size=2).map(tuple)),
)
DELIVERIES = st.builds(
    lambda fields, extra, source, changed, test: delivery(fields, extra, source, changed=changed, test=test),
    st.dictionaries(st.sampled_from(sorted(FIELDS)), ANSWERS),
    st.dictionaries(GIVEN, GIVEN, max_size=3),
    st.builds(Source, WORDS, WORDS, st.dictionaries(WORDS, WORDS, max_size=2)),
    st.lists(GIVEN, max_size=3).map(tuple),
    st.booleans(),
)
EVERYTHING = (
    'body = { all = "{fields.name} {fields.age} {changed} {extra.x} {phone.raw}", n = "{fields.age}", t = "$KEY" }'
)
SHAPES = [
    Webhook("crm", URL, secrets=tuple(KEYS)),
    from_file('format = "form"'),
    from_file(EVERYTHING, KEY="k"),
    from_file(f'format = "form"\n{EVERYTHING}', KEY="k"),
]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(given=DELIVERIES, webhook=st.sampled_from(SHAPES), later=st.integers(0, 10**9))
def test_any_delivery_renders_to_the_same_bytes_twice(given: Delivery, webhook: Webhook, later: int) -> None:
    request = webhook.request(given, NOW)
    assert request.content == webhook.request(given, NOW + later).content == webhook.content(given)
    assert request.headers["content-length"] == str(len(request.content))
    assert webhook.preview(given, NOW)
    if webhook.format == "json":
        assert msgspec.json.decode(request.content)
    else:
        parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=bool(request.content))


def test_the_answer_is_read_with_the_lists_of_the_destination() -> None:
    webhook = from_file("delivered = [409]\nrejected = [500]\nretried = [404]")
    assert webhook.judge(rules.Response(409, {}, "exists"), NOW) == Delivered(409)
    assert isinstance(webhook.judge(rules.Response(500, {}, "no"), NOW), Rejected)
    match webhook.judge(rules.Response(404, {"Retry-After": "5"}, "starting"), NOW):
        case Retry(_, after, scope):
            assert (after, scope) == (NOW + 5_000, "delivery")
        case other:
            pytest.fail(f"{other}")
    assert webhook.judge(rules.Response(200, {}, ""), NOW) == Delivered(200)


def test_a_webhook_is_a_destination() -> None:
    destination: Destination = Webhook("crm", URL)
    assert destination.name == "crm"
    assert destination.updates


def test_a_request_goes_out_as_it_was_made() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    request = Webhook("crm", URL, secrets=tuple(KEYS)).request(delivery(), NOW)
    with httpx.Client(transport=httpx.MockTransport(answer), trust_env=False) as client:
        client.send(request)
    assert seen[0].headers.raw == request.headers.raw
    assert seen[0].content == request.content


def test_a_table_whose_values_are_all_missing_stays_a_table() -> None:
    assert fill_table({"a": {}}, {}, Secret.reveal) == {"a": {}}


# --- line ends

LINE_END = "a\r\nX-Injected: yes\r\n\r\nPOST / HTTP/1.1\r\n"


def test_a_line_end_in_any_field_reaches_no_header_of_a_request() -> None:
    phone = Phone(raw=LINE_END, e164=LINE_END, national=LINE_END, rest=LINE_END)
    fields = {name: Answer(LINE_END, phone=phone if name == "phone" else None) for name in FIELDS}
    given = delivery(fields, {LINE_END: LINE_END}, Source(page=LINE_END, referrer=LINE_END, utm={"source": LINE_END}))
    for format_ in ("json", "form"):
        webhook = from_file(f'format = "{format_}"\nheaders = {{ Authorization = "Bearer $KEY" }}', KEY="hush")
        plain = webhook.request(delivery(), NOW).headers
        headers = webhook.request(given, NOW).headers
        assert {name: value for name, value in headers.items() if name != "content-length"} == {
            name: value for name, value in plain.items() if name != "content-length"
        }


@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x85b", "ä"])
def test_a_line_end_in_a_secret_of_the_environment_is_refused_and_not_repeated(value: str) -> None:
    for line in ('headers = { Authorization = "Bearer $KEY" }', 'url = "https://crm.example.com/$KEY x"'):
        text = f'[forms.a]\ndeliver = ["crm"]\nfields.phone = {{ type = "phone" }}\n[destinations.crm]\n{line}\n'
        text += 'type = "webhook"\n' + ("" if line.startswith("url") else 'url = "https://crm.example.com"\n')
        found = parse(text, {"KEY": value}, lambda _: "")
        assert isinstance(found, Mistakes)
        assert not any(value in each.message or "Injected" in each.message for each in found.items)


@pytest.mark.parametrize(
    ("status", "headers", "text", "kept"),
    [
        (403, {"X-Error-Message": " no such team "}, "", "X-Error-Message: no such team\n"),
        (401, {"WWW-Authenticate": "Bearer error=old"}, "no", "WWW-Authenticate: Bearer error=old\nno"),
        (302, {"Location": "https://login.example.com/?from=a"}, "", "Location: https://login.example.com/?from=a\n"),
        (400, {"Date": "today", "Error": "", "X-Reason": "r" * 999}, "no", f"X-Reason: {'r' * 200}\nno"),
        (200, {"Warning": "110"}, "ok", "ok"),
        (500, {"Server": "nginx"}, "x" * 999, "x" * 500),
    ],
)
def test_a_reason_that_stands_in_a_header_is_kept(status: int, headers: dict[str, str], text: str, kept: str) -> None:
    judged = from_file("").judge(rules.Response(status, headers, text), NOW)
    assert judged.excerpt == kept


def test_the_header_that_a_rule_goes_by_is_kept() -> None:
    webhook = from_file('rules = [{ header = "Is-Processed", has = "no:", means = "rejected" }]')
    judged = webhook.judge(rules.Response(200, {"is-processed": "no: the owner is gone"}, "ok"), NOW)
    assert isinstance(judged, Rejected)
    assert judged.excerpt == "is-processed: no: the owner is gone\nok"


@pytest.mark.parametrize("status", [200, 302, 401, 422])
def test_a_secret_of_ours_that_an_answer_repeats_is_not_kept(status: int) -> None:
    lines = """
        url = "https://crm.example.com/$PLACE"
        secret = "$SIGNS"
        headers = { Authorization = "Bearer $KEY" }
        body = { id = "{id}", token = "$TOKEN" }
        """
    signs = "whsec_" + "QUJD" * 10
    webhook = from_file(lines, PLACE="p&3f9a", SIGNS=signs, KEY="k-3f9a", TOKEN="t-3f9a")
    text = f"{'.' * 480}/p%263f9a /p&3f9a {signs} Bearer k-3f9a t-3f9a"
    for shown in (text, text[400:]):
        answer = rules.Response(status, {"Location": "https://crm.example.com/p%263f9a/"}, shown)
        judged = webhook.judge(answer, NOW)
        assert "3f9a" not in judged.excerpt
        assert "QUJD" not in judged.excerpt
        assert MASK in judged.excerpt
        assert isinstance(judged, Delivered) or "3f9a" not in judged.reason


def test_a_host_that_is_secret_is_not_named_where_it_redirects_to_itself() -> None:
    webhook = from_file('url = "http://$HOST/hooks"', HOST="h-3f9a.example.com")
    answer = rules.Response(301, {"Location": "https://h-3f9a.example.com/hooks"}, "")
    judged = webhook.judge(answer, NOW)
    assert isinstance(judged, Retry)
    assert judged.reason == "the CRM answered 301: it sends us to https://***, and we do not follow"


def test_a_part_of_a_secret_address_that_an_answer_repeats_is_not_kept() -> None:
    webhook = from_file('url = "$URL"', URL="https://hooks.example.com/T0/B0-3f9a?token=k-3f9a")
    answer = rules.Response(301, {"Location": "/T0/B0-3f9a/"}, "the token k-3f9a is old")
    assert webhook.judge(answer, NOW).excerpt == "Location: /***/\nthe token *** is old"


@pytest.mark.parametrize(
    ("url", "environ", "sent"),
    [
        ("https://crm.example.com/h?key=$KEY&b=2", {"KEY": "k#1&b=/%41 é"}, "/h?key=k%231%26b%3D%2F%2541%20%C3%A9&b=2"),
        ("https://crm.example.com/h/$KEY/in", {"KEY": "k#1?x=%"}, "/h/k%231%3Fx%3D%25/in"),
        ("https://crm.example.com/bot$KEY/in", {"KEY": "123:T0/B0"}, "/bot123:T0/B0/in"),
        ("$URL", {"URL": "https://crm.example.com/h?key=k%231&b=2"}, "/h?key=k%231&b=2"),
        ("$URL?key=$KEY", {"URL": "https://crm.example.com/h", "KEY": "a&b"}, "/h?key=a%26b"),
        ("https://$HOST/h?key={id}$KEY", {"HOST": "crm.example.com", "KEY": "a&b"}, "/h?key=lead_7a%26b"),
    ],
)  # fmt: skip
def test_a_secret_in_an_address_arrives_as_it_is(url: str, environ: dict[str, str], sent: str) -> None:
    webhook = from_file(f'url = "{url}"', **environ)
    request = webhook.request(delivery(), NOW)
    assert (request.url.host, request.url.raw_path.decode()) == ("crm.example.com", sent)
    assert not any(secret in webhook.preview(delivery(), NOW) for secret in ("k#1", "k%231", "a&b", "a%26b"))


def test_a_receiver_may_check_another_signature() -> None:
    webhook = from_file('secret = "$KEY"\nsignature = { header = "X-Signature", of = "{t}.{body}" }', KEY="any words")
    request = webhook.request(delivery(), NOW)
    assert "webhook-signature" not in request.headers
    signed = f"{NOW // 1000}.".encode() + request.content
    assert request.headers["X-Signature"] == hmac.new(b"any words", signed, "sha256").hexdigest()
    assert "X-Signature: ***\n" in webhook.preview(delivery(), NOW)


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ('signature = { header = "X-Signature" }', "signature"),
        ('secret = "$KEY"\nsignature = {}', "signature.header"),
        ('secret = "$KEY"\nsignature = { header = "webhook-id" }', "signature.header"),
        ('secret = "$KEY"\nsignature = { header = "X", form = "sha256=" }', "signature.form"),
        ('secret = "$KEY"\nsignature = { header = "X", form = "{hex}{base64}" }', "signature.form"),
        ('secret = "$KEY"\nsignature = { header = "X", form = "{hex}{x}" }', "signature.form"),
        ('secret = "$KEY"\nsignature = { header = "X", of = "{t}" }', "signature.of"),
        ('secret = "$KEY"\nsignature = { header = "X", of = "{body}{x}" }', "signature.of"),
        ('secret = "$KEY"\nsignature = { header = "X", form = "{t},{hex}" }', "signature.of"),
        ('secret = ["$KEY"]\nsignature = { header = "X" }', "secret"),
    ],
)
def test_a_signature_that_nobody_could_check_is_a_mistake(lines: str, path: str) -> None:
    text = '[forms.a]\ndeliver = ["crm"]\nfields.phone = { type = "phone" }\n[destinations.crm]\ntype = "webhook"\n'
    found = parse(f'{text}url = "https://crm.example.com"\n{lines}', {"KEY": "any words"}, lambda _: "")
    assert isinstance(found, Mistakes)
    assert [item.path for item in found.items] == [f"destinations.crm.{path}"]
