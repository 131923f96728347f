"""What each way sends becomes the fields of a form: bodies as their senders' own pages and sources have them.

They are shapes, none was sent by its sender; `docs/ways-in.md` says which version of a plugin's source was read.
"""

import hmac
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.config import Config
from service.config.read import parse
from service.lib.secret import Secret
from service.model.form import Field, Form
from service.model.lead import Source
from service.model.way import Way
from service.submission import check, source
from service.submission.check import Checked
from service.submission.field_match import match
from service.submission.ways.event import Event, read
from service.submission.ways.message import Message, is_proved
from service.submission.ways.table import WAYS

FORM = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True, aliases=("your name", "full name", "names")),
        "phone": Field("phone", "phone", required=True, aliases=("your phone", "tel")),
        "email": Field("email", "email", aliases=("your email",)),
        "message": Field("message", multiline=True, aliases=("your message", "what hurts?")),
        "topic": Field("topic", "choices", choices=("Knee", "Back"), other=True, aliases=("topics",)),
        "agreed": Field("agreed", "boolean", aliases=("i agree", "acceptance 1", "consent 1")),
    },
    ("crm",),
)
URLENCODED, JSON = "application/x-www-form-urlencoded", "application/json"
ASHA = {"name": "Asha Rao", "phone": "+918951047001"}
PAGE = "https://www.example.com/?utm_source=google"


def json_of(body: object, **headers: str) -> Message:
    return Message(JSON, json.dumps(body).encode(), {name.replace("_", "-"): text for name, text in headers.items()})


def form_of(**fields: str) -> Message:
    return Message(URLENCODED, urlencode(fields).encode(), {})


def told(event: Event) -> tuple[dict[str, Any], dict[str, str], Source]:
    """Return what a CRM would get of an event: fields, extras, and where it came from."""
    matched = match(FORM, event.posted)
    checked = check.check(FORM, event.posted, matched, lenient=True)
    assert isinstance(checked, Checked)
    fields = {name: answer.value for name, answer in checked.content.fields.items()}
    return fields, dict(checked.content.extra), source.of(event.posted, event.page)


ELEMENTOR = {
    "form[id]": "a1b2c3d", "form[name]": "Get in touch", "fields[name][id]": "name", "fields[name][type]": "text",
    "fields[name][title]": "Your Name", "fields[name][value]": "Asha Rao", "fields[name][raw_value]": "Asha Rao",
    "fields[field_7][title]": "Phone", "fields[field_7][value]": "089510 47001",
    "fields[topics][title]": "Topics", "fields[topics][value]": "Knee, Back",
    "fields[topics][raw_value][0]": "Knee", "fields[topics][raw_value][1]": "Back",
    "meta[page_url][title]": "Page URL", "meta[page_url][value]": PAGE, "meta[remote_ip][value]": "203.0.113.9",
}  # fmt: skip
TYPEFORM = {
    "event_id": "01H", "event_type": "form_response",
    "form_response": {
        "token": "a7f", "hidden": {"utm_source": "google"},
        "definition": {"fields": [{"id": "x1", "title": "Phone", "ref": "0f1e"}, {"id": "x2", "title": "Topics*"}]},
        "answers": [
            {"type": "phone_number", "phone_number": "+918951047001", "field": {"id": "x1", "ref": "0f1e"}},
            {"type": "text", "text": "Asha Rao", "field": {"id": "x0", "ref": "name"}},
            {"type": "choices", "choices": {"labels": ["Knee"], "other": "Neck"}, "field": {"id": "x2", "ref": "9a"}},
            {"type": "choice", "choice": {"id": "c", "label": "Morning"}, "field": {"id": "x9", "ref": "when"}},
            {"type": "boolean", "boolean": True, "field": {"id": "x3", "ref": "i_agree"}},
        ],
    },
}  # fmt: skip
GOOGLE = {
    "lead_id": "Cj0", "api_version": "1.0", "form_id": 12345678901234567890, "campaign_id": 456,
    "google_key": "the-key", "is_test": False, "gcl_id": "Cj0K",
    "user_column_data": [
        {"column_id": "FULL_NAME", "string_value": "Asha Rao"},
        {"column_id": "PHONE_NUMBER", "string_value": "+918951047001", "column_name": ""},
        {"column_id": "Q1", "column_name": "Which knee?", "string_value": "Left"},
    ],
}  # fmt: skip
CALENDLY = {
    "event": "invitee.created",
    "payload": {
        "uri": "https://api.calendly.com/scheduled_events/E1/invitees/C1", "name": "Asha Rao",
        "email": "asha@example.com", "text_reminder_number": "+918951047001",
        "tracking": {"utm_source": "google", "utm_campaign": None},
        "questions_and_answers": [{"question": "What hurts?", "answer": "Knee"}],
    },
}  # fmt: skip
TALLY = {
    "eventId": "e1", "eventType": "FORM_RESPONSE",
    "data": {
        "submissionId": "s1",
        "fields": [
            {"key": "question_1", "label": "Phone", "type": "INPUT_PHONE_NUMBER", "value": "+918951047001"},
            {"key": "question_0", "label": "Your name", "type": "INPUT_TEXT", "value": "Asha Rao"},
            {"key": "question_2", "label": "Topic", "type": "CHECKBOXES", "value": ["id-a"],
             "options": [{"id": "id-a", "text": "Knee"}, {"id": "id-b", "text": "Back"}]},
            {"key": "question_2_id-a", "label": "Topic (Knee)", "type": "CHECKBOXES", "value": True},
            {"key": "question_2_id-b", "label": "Topic (Back)", "type": "CHECKBOXES", "value": False},
            {"key": "question_3", "label": "I agree", "type": "CHECKBOXES", "value": ["id-c"],
             "options": [{"id": "id-c", "text": "I agree to be called"}]},
            {"key": "question_4", "label": "utm_source", "type": "HIDDEN_FIELDS", "value": "google"},
        ],
    },
}  # fmt: skip
WEBFLOW = {
    "triggerType": "form_submission",
    "payload": {"id": "w1", "pageUrl": PAGE, "data": {"Your Name": "Asha Rao", "Phone": "089510 47001"}},
}


@pytest.mark.parametrize(
    ("way", "message", "fields", "extra", "told_beside"),
    [
        pytest.param(
            "elementor",
            form_of(**{"Your Name": "Asha Rao", "Phone": "089510 47001", "Date": "Friday", "I agree": "on",
                       "Page URL": PAGE, "Remote IP": "203.0.113.9", "form_id": "a1", "form_name": "Get in touch"}),
            {**ASHA, "agreed": True}, {"Date": "Friday"}, ("", "google"), id="elementor, simple",
        ),
        pytest.param(
            "elementor", form_of(**ELEMENTOR), {**ASHA, "topic": ("Knee", "Back")}, {}, ("", "google"),
            id="elementor, advanced data",
        ),
        pytest.param(
            "typeform", json_of(TYPEFORM), {**ASHA, "topic": ("Knee", "Neck"), "agreed": True},
            {"when": "Morning", "utm_source": "google"}, ("a7f", "google"), id="typeform",
        ),
        pytest.param(
            "google-ads", json_of(GOOGLE), ASHA,
            {"Which knee?": "Left", "campaign_id": "456", "form_id": "12345678901234567890"}, ("Cj0", ""),
            id="google ads",
        ),
        pytest.param(
            "calendly", json_of(CALENDLY), {**ASHA, "email": "asha@example.com", "message": "Knee"},
            {"utm_source": "google"}, ("https://api.calendly.com/scheduled_events/E1/invitees/C1", "google"),
            id="calendly",
        ),
        pytest.param(
            "cf7",
            json_of({"your-name": "Asha Rao", "your-phone": "089510 47001", "topics": ["Knee", "Back"],
                     "acceptance-1": "1", "_url": PAGE, "_remote_ip": "203.0.113.9"}),
            {**ASHA, "topic": ("Knee", "Back"), "agreed": True}, {}, ("", "google"), id="contact form 7",
        ),
        pytest.param(
            "wpforms", json_of({"name": "Asha Rao", "phone": "089510 47001", "topics": "Knee||Back", "entry_id": "7"}),
            {**ASHA, "topic": ("Knee", "Back")}, {}, ("7", ""), id="wpforms",
        ),
        pytest.param(
            "fluent",
            json_of({"names": {"first_name": "Asha", "last_name": "Rao"}, "phone": "089510 47001", "topic": ["Knee"],
                     "__submission": {"id": "17", "source_url": PAGE}}),
            {**ASHA, "topic": ("Knee",)}, {}, ("17", "google"), id="fluent forms",
        ),
        pytest.param(
            "fluent",
            form_of(**{"names[first_name]": "Asha", "names[last_name]": "Rao", "phone": "089510 47001",
                       "topic[0]": "Knee", "topic[1]": "Back", "__submission[source_url]": PAGE}),
            {**ASHA, "topic": ("Knee", "Back")}, {}, ("", "google"), id="fluent forms, not JSON",
        ),
        pytest.param(
            "forminator",
            json_of({"name": "Asha Rao", "phone": "089510 47001", "checkbox_1": ["Knee", "Back"], "consent_1": "true",
                     "form_title": "Get in touch", "entry_time": "2026-11-27 15:30:00"}),
            {**ASHA, "agreed": True}, {"checkbox_1": "Knee, Back"}, ("", ""), id="forminator",
        ),
        pytest.param("ninja", form_of(name="Asha Rao", phone="089510 47001"), ASHA, {}, ("", ""), id="ninja forms"),
        pytest.param("formidable", json_of(ASHA), ASHA, {}, ("", ""), id="formidable"),
        pytest.param(
            "gravity",
            json_of({"id": "41", "form_id": "1", "source_url": PAGE, "ip": "203.0.113.9", "name": "Asha Rao",
                     "3": "089510 47001", "phone": "089510 47001", "6.1": "1"}),
            ASHA, {"3": "089510 47001", "6.1": "1"}, ("41", "google"), id="gravity forms",
        ),
        pytest.param(
            "jotform",
            form_of(formID="24", submissionID="60", pretty="Name:Asha Rao", rawRequest=json.dumps({
                "slug": "submit/24", "q3_name": {"first": "Asha", "last": "Rao"}, "q4_email": "asha@example.com",
                "q5_phone": {"full": "089510 47001"}, "q6_topics": ["Knee"], "q9_utm_source": "google",
            })),
            {**ASHA, "email": "asha@example.com", "topic": ("Knee",)}, {"utm_source": "google"}, ("60", "google"),
            id="jotform",
        ),
        pytest.param(
            "framer",
            json_of({"Name": "Asha Rao", "Phone": "089510 47001", "Email": "asha@example.com", "I agree": "on"},
                    framer_webhook_submission_id="0fbbb90e"),
            {**ASHA, "email": "asha@example.com", "agreed": True}, {}, ("0fbbb90e", ""), id="framer",
        ),
        pytest.param(
            "netlify",
            json_of({"id": "5f", "form_name": "contact", "email": "asha@example.com",
                     "data": {"name": "Asha Rao", "phone": "089510 47001", "topics": ["Knee"], "referrer": PAGE,
                              "ip": "203.0.113.9", "user_agent": "Mozilla"},
                     "ordered_human_fields": [{"title": "Phone", "name": "phone", "value": "089510 47001"}]}),
            {**ASHA, "topic": ("Knee",)}, {}, ("5f", "google"), id="netlify",
        ),
        pytest.param(
            "unbounce",
            form_of(page_name="Knee", variant="a", page_url=PAGE, **{"data.json": json.dumps(
                {"name": ["Asha Rao"], "phone": ["089510 47001"], "topics": ["Knee", "Back"], "branch": ["Pune"]})}),
            {**ASHA, "topic": ("Knee", "Back")}, {"branch": "Pune"}, ("", "google"), id="unbounce",
        ),
        pytest.param(
            "cal",
            json_of({"triggerEvent": "BOOKING_CREATED", "payload": {
                "uid": "u1", "startTime": "2026-11-28T04:30:00Z",
                "attendees": [{"name": "Asha Rao", "email": "asha@example.com"}],
                "responses": {"phone": {"label": "phone_number", "value": "+918951047001"}},
            }}),
            {**ASHA, "email": "asha@example.com"}, {"start_time": "2026-11-28T04:30:00Z"}, ("u1", ""), id="cal.com",
        ),
        pytest.param("tally", json_of(TALLY), {**ASHA, "topic": ("Knee",), "agreed": True}, {"utm_source": "google"},
                     ("s1", "google"), id="tally"),
        pytest.param("webflow", json_of(WEBFLOW), ASHA, {}, ("w1", "google"), id="webflow"),
        pytest.param("custom", json_of(ASHA), ASHA, {}, ("", ""), id="custom, an object"),
        pytest.param(
            "custom", json_of([{"name": "name", "value": "Asha Rao"}, {"name": "phone", "value": "089510 47001"}]),
            ASHA, {}, ("", ""), id="custom, a list",
        ),
    ],
)  # fmt: skip
def test_every_answer_of_a_way_is_its_field_or_an_extra(
    way: str, message: Message, fields: dict[str, Any], extra: dict[str, str], told_beside: tuple[str, str]
) -> None:
    event = read(WAYS[way], message, FORM)
    seen, left, came_from = told(event)
    assert (seen, left) == (fields, extra)
    assert (event.id, came_from.utm.get("source", ""), event.held) == (*told_beside, "")
    assert not {"UNREADABLE_BODY", "test", "cancelled"} & set(event.posted.flags)


def test_the_click_of_a_google_ad_is_known() -> None:
    assert told(read(WAYS["google-ads"], json_of(GOOGLE), FORM))[2].click_ids == {"gclid": "Cj0K"}


def test_a_test_and_a_cancelled_booking_are_held_unless_the_file_asks_for_them() -> None:
    test, cancelled = json_of({**GOOGLE, "is_test": True}), json_of({**CALENDLY, "event": "invitee.canceled"})
    for name, message, flag in (("google-ads", test, "test"), ("calendly", cancelled, "cancelled")):
        asked = replace(WAYS[name], tests="accept", cancelled="accept")
        held, kept = read(WAYS[name], message, FORM), read(asked, message, FORM)
        assert (held.held, kept.held) == (flag, "")
        assert flag in held.posted.flags
        assert flag in kept.posted.flags
    assert told(kept)[1]["event"] == "invitee.canceled"


def test_the_ping_of_a_calendar_is_a_test() -> None:
    attendees = [{"name": "John Doe", "email": "jdoe@example.com"}]
    body = {"triggerEvent": "PING", "payload": {"type": "Test", "startTime": "2026-11-28", "attendees": attendees}}
    event = read(WAYS["cal"], json_of(body), FORM)
    assert (event.held, event.posted.flags) == ("test", ("test",))


FILE = "https://files.example/a.pdf"
SCAN = {"id": "f1", "name": "a.pdf", "url": FILE, "mimeType": "application/pdf", "size": 12}
UNUSUAL: dict[str, tuple[str, Message, dict[str, Any], dict[str, str]]] = {
    "files of tally, and what was left empty": (
        "tally",
        json_of({"data": {"fields": [
            {"key": "q1", "label": "Scan", "type": "FILE_UPLOAD", "value": [SCAN]},
            {"key": "q2", "label": "Phone", "type": "INPUT_PHONE_NUMBER", "value": None},
            {"key": "q3", "label": "Topic", "type": "CHECKBOXES", "value": None, "options": [{"id": "a", "text": "x"}]},
            {"key": "q3_a", "label": "Topic (x)", "type": "CHECKBOXES", "value": None},
        ]}}),
        {}, {"Scan": FILE},
    ),
    "a file of netlify": (
        "netlify", json_of({"data": {**ASHA, "scan": {"filename": "a.pdf", "size": 12, "url": FILE}}}),
        ASHA, {"scan": FILE},
    ),
    "a file and a day of typeform": (
        "typeform",
        json_of({"form_response": {"answers": [
            {"type": "file_url", "file_url": FILE, "field": {"ref": "scan"}},
            {"type": "date", "date": "2026-11-28", "field": {"ref": "day"}},
            {"type": "boolean", "boolean": False, "field": {"ref": "agreed"}},
        ]}}),
        {"agreed": False}, {"scan": FILE, "day": "2026-11-28"},
    ),
    "a day, a choice of one's own and an empty box of jotform": (
        "jotform",
        form_of(rawRequest=json.dumps({
            "q6_topics": {"0": "Knee", "other": "Neck"}, "q7_day": {"month": "3", "day": "9", "year": "2026"},
            "q8_at": {"month": "3", "day": "9", "year": "2026", "hour": "9", "min": "30"}, "q9_agreed": "",
            "temp_upload": {"q10_scan": ["a.pdf"]}, "q10_scan": [FILE],
        })),
        {"topic": ("Knee", "Neck")}, {"day": "2026-03-09", "at": "2026-03-09 9 30", "scan": FILE},
    ),
    "choices of a list with a gap, and captchas, of a plugin": (
        "fluent",
        json_of({**ASHA, "topic": {"0": "Knee", "2": "Back"}, "g-recaptcha-response": "03A", "_nonce": "a"}),
        {**ASHA, "topic": ("Knee", "Back")}, {},
    ),
    "what unbounce tells of a visitor": (
        "unbounce",
        form_of(page_url=PAGE, **{"data.json": json.dumps({
            "name": ["Asha Rao"], "phone": ["089510 47001"], "ip_address": ["203.0.113.9"], "page_uuid": ["a2838d98"],
            "variant": ["a"], "time_submitted": ["10:57 PM UTC"], "date_submitted": ["2026-11-28"], "page_url": [PAGE],
            "page_name": ["Knee"],
        })}),
        ASHA, {"variant": "a", "page_name": "Knee"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_answers_are_what_was_meant(case: str) -> None:
    way, message, fields, extra = UNUSUAL[case]
    event = read(WAYS[way], message, FORM)
    assert told(event)[:2] == (fields, extra)
    assert event.posted.flags == ()


@pytest.mark.parametrize("way", WAYS)
def test_a_body_that_is_not_as_its_way_says_is_kept_and_flagged(way: str) -> None:
    if "" not in WAYS[way].answers:
        event = read(WAYS[way], json_of({"phone": "089510 47001", "deep": {"a": [1]}}), FORM)
        assert told(event)[:2] == ({"phone": "+918951047001"}, {"deep": '{"a": [1]}'})
        assert "UNREADABLE_BODY" in event.posted.flags
    broken = read(WAYS[way], Message(JSON, b'{"phone": "089510 47001', {}), FORM)
    assert told(broken)[1] == {"body": '{"phone": "089510 47001'}
    assert "UNREADABLE_BODY" in broken.posted.flags
    nothing = read(WAYS[way], Message(JSON, b"", {}), FORM)
    assert told(nothing)[:2] == ({}, {})
    assert "EMPTY" in nothing.posted.flags


def test_a_key_is_the_whole_secret_in_the_address_or_where_the_body_has_it() -> None:
    way = Way(key="google_key", secret=Secret("the-key"))
    assert is_proved(way, json_of(GOOGLE), 0)
    assert is_proved(way, Message(JSON, b"", {}, (("key", "x"), ("key", "the-key"))), 0)
    for key in ("", "the-ke", "the-key ", "é"):
        assert not is_proved(way, Message(JSON, json.dumps({"google_key": key}).encode(), {}, (("key", key),)), 0)
    assert not is_proved(Way(), Message(JSON, b"", {}, (("key", ""),)), 0)


def documented() -> dict[str, Way]:
    """Return the ways of the page about them, each made of its piece as it stands."""
    page = (Path(__file__).parents[2] / "docs" / "ways-in.md").read_text("utf-8")
    first, *others = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    whole = first + "".join(others)
    environ = dict.fromkeys(re.findall(r'"\$(\w+)"', whole), "the-key") | {"CRM_WEBHOOK_SECRET": "whsec_" + "QUJD" * 10}
    config = parse(whole, environ, lambda _: "")
    assert isinstance(config, Config), config
    return dict(config.forms["get-in-touch"].ways)


def test_the_pieces_of_the_page_about_ways_are_what_was_tried_here() -> None:
    ways = documented()
    assert {way.type for way in ways.values()} == {*WAYS}
    for way in ways.values():
        if way.name != "other":
            assert replace(way, name="", secret=None) == WAYS[way.type]


def test_a_way_that_the_file_describes_is_read_and_proved_as_it_says() -> None:
    questions = [{"id": "q1", "label": "Phone", "answer": "089510 47001"}, {"id": "name", "answer": "Asha Rao"}]
    body = {"submission": {"id": "s1", "page": PAGE, "questions": questions}}
    raw = json.dumps(body).encode()
    proof = hmac.digest(b"the-key", b"5." + raw, "sha256").hex()
    message = Message(JSON, raw, {"x-signature": f"t=5,v1={proof}", "x-test": "true"})
    way = documented()["other"]
    event = read(way, message, FORM)
    assert (told(event)[0], event.id, event.page, event.held) == (ASHA, "s1", PAGE, "test")
    assert is_proved(way, message, 5_000)
    assert not is_proved(way, replace(message, raw=raw + b" "), 5_000)


DIGEST = "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494"
TIMED = "7900dcfa0dd8e32ee0ef71db511fc5d7b91ed98221ea7eb400f3072f0d7dd39d"
BASE64 = "qp4uNXX11wmLbKzNeQiIw21f22M0KnO62i1qUXR6hJQ="
FRAMER = "83930e31b86753d9da282346b3f595228ab02ed2b1fcafede9eb8968a907feb4"


@pytest.mark.parametrize(
    ("way", "headers"),
    [
        ("typeform", {"typeform-signature": f"sha256={BASE64}"}),
        ("tally", {"tally-signature": BASE64}),
        ("cal", {"x-cal-signature-256": DIGEST}),
        ("framer", {"framer-signature": f"sha256={FRAMER}", "framer-webhook-submission-id": "0fbbb90e"}),
        ("calendly", {"calendly-webhook-signature": f"t=1,v1={TIMED}"}),
        ("wpforms", {"x-wpforms-webhook-signature": f"t=1,v={TIMED}"}),
    ],
)
def test_a_sender_is_known_by_the_signature_that_it_documents(way: str, headers: dict[str, str]) -> None:
    message = Message(JSON, b'{"a":1}', headers)
    assert is_proved(replace(WAYS[way], secret=Secret("secret")), message, 1_000)
    assert not is_proved(replace(WAYS[way], secret=Secret("other")), message, 1_000)


def test_a_whole_entry_of_gravity_forms_is_known_by_the_numbers_of_its_inputs() -> None:
    entry = {"id": "41", "form_id": "1", "source_url": PAGE, "1.3": "Asha", "1.6": "Rao", "3": "089510 47001"}
    fields = {"name": Field("name", aliases=("1.3",)), "phone": Field("phone", "phone", aliases=("3",))}
    posted = read(WAYS["gravity"], json_of(entry), replace(FORM, fields=fields)).posted
    matched = match(replace(FORM, fields=fields), posted)
    assert {name: found.text for name, found in matched.fields.items()} == {"name": "Asha", "phone": "089510 47001"}
    assert dict(matched.extra) == {"1.6": "Rao"}


@pytest.mark.parametrize("place", ["google_key", "auth.key"])
def test_a_secret_in_the_body_is_no_answer(place: str) -> None:
    body = {**ASHA, "google_key": "the-key", "auth": {"key": "the-key", "by": "us"}}
    for row in (WAYS["custom"], WAYS["google-ads"]):
        way = replace(row, key=place, secret=Secret("the-key"))
        assert is_proved(way, json_of(body), 0)
        assert "auth" in (extra := told(read(way, json_of(body), FORM))[1])
        packed = json_of({**body, "auth": json.dumps(body["auth"])})
        assert is_proved(way, packed, 0)
        assert told(read(way, packed, FORM))[1].get("google_key") == extra.get("google_key")
        assert ("the-key" in told(read(way, packed, FORM))[1]["auth"]) == (place != "auth.key")
        assert ("google_key" in extra, "the-key" in extra["auth"]) == (place != "google_key", place != "auth.key")


def test_a_box_beside_a_list_of_choices_is_an_answer_of_its_own() -> None:
    body = json_of({"topic": ["Knee"], "topic_urgent": True})
    assert told(read(WAYS["custom"], body, FORM))[:2] == ({"topic": ("Knee",)}, {"topic_urgent": "true"})


def test_of_more_answers_than_a_form_takes_its_own_are_kept() -> None:
    many = {f"n{number}": "x" for number in range(70)} | {"phone": "089510 47001"}
    event = read(WAYS["custom"], json_of(many), FORM)
    assert len(event.posted.fields) == 64
    assert "phone" in event.posted.fields
    assert event.posted.flags == ("TOO_MANY_FIELDS",)


def test_two_questions_of_one_title_stay_two() -> None:
    answers = [
        {"type": "text", "text": text, "field": {"id": text, "ref": ref}}
        for text, ref in (("Asha", "name"), ("Rao", "r2"))
    ]
    titles = [{"id": text, "title": "Name please"} for text in ("Asha", "Rao")]
    body = {"form_response": {"answers": answers, "definition": {"fields": titles}}}
    assert told(read(WAYS["typeform"], json_of(body), FORM))[:2] == ({"name": "Asha"}, {"r2": "Rao"})


@given(
    st.binary(max_size=200), st.sampled_from([*WAYS]), st.sampled_from([JSON, URLENCODED, "", "multipart/form-data"])
)
def test_any_bytes_are_an_event(raw: bytes, way: str, content_type: str) -> None:
    told(read(WAYS[way], Message(content_type, raw, {}), FORM))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from([*WAYS]),
)
def test_any_document_in_the_place_of_the_answers_is_an_event(document: object, name: str) -> None:
    way = WAYS[name]
    body: object = document
    for part in reversed(way.answers[0].split(".") if way.answers[0] else []):
        body = {part: body}
    told(read(way, json_of(body), FORM))
