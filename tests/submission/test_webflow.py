"""Webflow's webhook: its shape, its element ids, its signature."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lib.secret import Secret
from service.model.form import Field, Form
from service.submission.ways.event import Event, of_webflow
from service.submission.ways.message import Message, is_proved
from service.submission.ways.table import WAYS

FORM = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True),
        "phone": Field("phone", "phone", webflow="element-2"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
)
NOW = 1_790_000_000_000
SIGNED = replace(WAYS["webflow"], secret=Secret("hush"))


def event(data: object, **payload: object) -> bytes:
    schema = [
        {"fieldName": "Your best number", "fieldType": "FormTextInput", "fieldElementId": "element-2"},
        {"fieldName": "name", "fieldType": "FormTextInput", "fieldElementId": "element-1"},
    ]
    whole = {"name": "Get In Touch", "id": "sub-1", "data": data, "schema": schema, **payload}
    return json.dumps({"triggerType": "form_submission", "payload": whole}).encode()


def read(raw: bytes) -> Event:
    found = of_webflow(raw, FORM)
    assert found is not None
    return found


def test_an_event_is_its_data_its_id_and_its_page() -> None:
    found = read(event({"name": "Asha", "Your best number": "8951047001"}, pageUrl="https://www.example.com/contact"))
    assert found.posted.fields == {"name": "Asha", "Your best number": "8951047001"}
    assert (found.id, found.page) == ("sub-1", "https://www.example.com/contact")


def test_a_renamed_field_is_known_by_its_element_id() -> None:
    assert read(event({"Your best number": "1"})).posted.known == {"Your best number": "phone"}


@pytest.mark.parametrize("schema", [None, "x", [], [1, None, {}], [{"fieldElementId": 7}], {"a": 1}])
def test_a_schema_that_says_nothing_is_no_problem(schema: object) -> None:
    assert read(event({"name": "A"}, schema=schema)).posted.known == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8951047001, "8951047001"),
        (True, "true"),
        (["a", 1, None], "a, 1"),
        ({"a": [1, {"b": None}]}, '{"a": [1, {"b": null}]}'),
        ([["ಅ"], 2], '[["ಅ"], 2]'),
    ],
)
def test_every_value_is_kept_as_text(value: object, text: str) -> None:
    assert read(event({"x": value})).posted.fields == {"x": text}


def test_null_is_left_out_and_a_lone_surrogate_replaced() -> None:
    assert read(event({"x": None, "y": "a\ud800"})).posted.fields == {"y": "a?"}


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_an_event_without_data_is_still_an_event(data: object) -> None:
    assert read(event(data)).posted.fields == {}


def test_an_event_without_an_id_has_none() -> None:
    assert read(event({}, id=None)).id == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"form_submission",
        b'{"triggerType": "form_submission"}',
        b'{"triggerType": "form_submission", "payload": []}',
        b'{"triggerType": "site_publish", "payload": {"x": "form_submission"}}',
        b'{"name": "form_submission", "payload": {}}',
        b'{"triggerType": "form_submission", "payload": {}, "x": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'\xff{"triggerType": "form_submission", "payload": {}}',
    ],
)
def test_everything_else_is_an_ordinary_body(raw: bytes) -> None:
    assert of_webflow(raw, FORM) is None


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({f"n{number}": "x" for number in range(70)} | {"name": "Asha", "Your best number": "1"}, 64),
        ({"many": ["x"] * 2_000, "name": "Asha", "Your best number": "1"}, 3),
    ],
)
def test_of_more_than_a_form_takes_its_own_fields_are_kept_and_it_is_flagged(data: object, names: int) -> None:
    posted = read(event(data)).posted
    assert len(posted.fields) == names
    assert {"name", "Your best number"} <= posted.fields.keys()
    assert sum(len(texts) for texts in posted.several.values()) <= 1_000
    assert posted.flags == ("TOO_MANY_FIELDS",)


def sign(raw: bytes, timestamp: str = str(NOW), secret: str = "hush") -> str:
    return hmac.new(secret.encode(), f"{timestamp}:".encode() + raw, hashlib.sha256).hexdigest()


def is_authentic(timestamp: str, signed: str, raw: bytes, now: int) -> bool:
    headers = {"x-webflow-timestamp": timestamp, "x-webflow-signature": signed}
    return is_proved(SIGNED, Message("application/json", raw, headers), now)


def test_a_signature_by_webflow_s_rule_holds_for_five_minutes() -> None:
    raw = event({"name": "Asha"})
    for age in (0, 300_000, -1_000):
        assert is_authentic(str(NOW), sign(raw), raw, NOW + age)
    assert not is_authentic(str(NOW), sign(raw), raw, NOW + 300_001)


@pytest.mark.parametrize(
    ("timestamp", "signed"),
    [
        (str(NOW), ""),
        (str(NOW), sign(b"other")),
        (str(NOW), sign(b"{}", secret="other")),
        (str(NOW), "é"),
        (str(NOW + 1), sign(b"{}")),
        ("", sign(b"{}", "")),
        ("x", sign(b"{}", "x")),
        ("-1", sign(b"{}", "-1")),
        ("١٢", sign(b"{}", "١٢")),
        ("9" * 5_000, sign(b"{}", "9" * 5_000)),
        (str(NOW // 1000), sign(b"{}", str(NOW // 1000))),
    ],
)
def test_any_other_signature_does_not(timestamp: str, signed: str) -> None:
    assert not is_authentic(timestamp, signed, b"{}", NOW)


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: event({text: text, "form_submission": text})))
def test_any_bytes_are_an_event_or_none(raw: bytes) -> None:
    found = of_webflow(raw, FORM)
    assert found is None or "".join(found.posted.fields.values()).encode() is not None


def test_the_forms_own_honeypot_is_one_in_webflow_too() -> None:
    form = Form("a", FORM.fields, ("crm",), honeypot="Url 2")
    found = of_webflow(event({"name": "Asha", "url-2": "x"}), form)
    assert found is not None
    assert (dict(found.posted.fields), found.posted.control.gotcha) == ({"name": "Asha"}, "x")
