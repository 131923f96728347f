"""What a script sees: bodies, statuses, headers, sentences, negotiation, the OpenAPI document."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.fields import phone
from service.model.form import Field, Form, Messages
from service.model.languages import load
from service.model.problem import Code, Problem, Problems, refuse
from service.replies import assets, openapi, reply, wording
from service.replies.wording import country_name, sentence
from service.submission.ways.table import WAYS

FORM = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True, max_length=120, label="Your name"),
        "phone": Field("phone", "phone", required=True),
        "email": Field("email", "email"),
        "branch": Field("branch", "choice", choices=("Bangalore", "Hyderabad")),
        "visits": Field("visits", "number"),
        "again": Field("again", "boolean"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
    title="Get In Touch",
)

VOICE = wording.of(FORM)
SCRIPT = Path(assets.__file__).parent / "static" / "lead-form.js"
BUDGET = 5120
ENGLISH = load("en")


def document(answer: reply.Reply) -> Any:
    return json.loads(answer.body)


def test_a_success_is_word_for_word() -> None:
    answer = reply.success(VOICE, "r" * 24, "")
    assert answer.status == 200
    assert document(answer) == {
        "ok": True,
        "success": True,
        "code": 200,
        "msg": "ok",
        "receipt": "r" * 24,
        "message": "Thank you! Your submission has been received!",
        "next": "",
    }


def test_a_failure_is_word_for_word() -> None:
    problems = Problems(
        (
            Problem(Code.PHONE_TOO_SHORT, "Phone", {"country": "IN", "n": "10"}),
            Problem(Code.TYPE_EMAIL, "email", suggestion="a@gmail.com"),
        )
    )
    answer = reply.failure(problems, VOICE)
    short = "This number is too short. A mobile number in India has 10 digits."
    assert answer.status == 422
    assert document(answer) == {
        "ok": False,
        "success": False,
        "code": 422,
        "message": "Oops! Something went wrong while submitting the form.",
        "error": short,
        "check": "Please check what is marked below.",
        "errors": [
            {"field": "Phone", "code": "PHONE_TOO_SHORT", "message": short},
            {
                "field": "email",
                "code": "TYPE_EMAIL",
                "message": "Enter an email address, such as name@example.com.",
                "suggestion": "a@gmail.com",
            },
        ],
    }


def test_a_form_has_its_own_words() -> None:
    form = Form("a", {}, (), messages=Messages("Danke!", "Schade.", "Stimmt"))
    assert document(reply.success(wording.of(form), "r", ""))["message"] == "Danke!"
    assert document(reply.failure(refuse(Code.EMPTY), wording.of(form)))["message"] == "Schade."
    valid = phone.read("089510 47001", country="IN", countries=("IN",))
    assert document(reply.phone_check(wording.of(form), valid))["message"] == "Stimmt"


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_sentence_that_can_be_filled(code: Code) -> None:
    names = re.findall(r"{(\w+)}", ENGLISH.sentences[code])
    told = sentence(Problem(code, values=dict.fromkeys(names, "IN")), ENGLISH)
    assert told
    assert "{" not in told
    assert ("India" in told) == ("country" in names)


def test_the_phone_sentences_stand_as_designed() -> None:
    values = {"country": "IN", "n": "10", "code": "999"}
    told = {code: sentence(Problem(code, values=values), ENGLISH) for code in Code if code.startswith("PHONE_")}
    assert told == {
        "PHONE_VALID": "Valid number",
        "PHONE_TOO_SHORT": "This number is too short. A mobile number in India has 10 digits.",
        "PHONE_TOO_LONG": "This number is too long. A mobile number in India has 10 digits.",
        "PHONE_INVALID_LENGTH": "This number does not have the right number of digits for India.",
        "PHONE_MISSING_AREA_CODE": "Add the area code, or enter a mobile number.",
        "PHONE_INVALID_COUNTRY_CODE": "We don't know the country code +999.",
        "PHONE_NOT_A_NUMBER": "Enter a phone number using digits only.",
        "PHONE_INVALID_BUT_POSSIBLE": (
            "We couldn't recognise this number. Check it, or submit again to use it as it is."
        ),
        "PHONE_UNSUPPORTED_TYPE": "Enter a number we can call you on.",
    }


def test_a_value_with_braces_is_only_text() -> None:
    assert "{code}" in sentence(Problem(Code.NOT_A_CHOICE, values={"choices": "{code}"}), ENGLISH)


@pytest.mark.parametrize(
    ("region", "name"), [("IN", "India"), ("GB", "United Kingdom"), ("AE", "United Arab Emirates"), ("??", "??")]
)
def test_a_country_is_named_in_english(region: str, name: str) -> None:
    assert country_name(region, "en") == name


@pytest.mark.parametrize("code", [Code.TOO_MANY_REQUESTS, Code.UNAVAILABLE])
def test_who_must_wait_is_told_how_long(code: Code) -> None:
    assert int(reply.failure(refuse(code), VOICE).headers["Retry-After"]) > 0
    assert "Retry-After" not in reply.failure(refuse(Code.EMPTY), VOICE).headers


def test_no_answer_is_cached_or_guessed_at() -> None:
    for answer in (reply.success(VOICE, "r", ""), reply.failure(refuse(Code.EMPTY), VOICE), reply.see_other("/x")):
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_a_valid_number_is_told_whole() -> None:
    verdict = phone.read("089510 47001", country="IN", countries=("IN",))
    assert document(reply.phone_check(VOICE, verdict)) == {
        "valid": True,
        "code": "PHONE_VALID",
        "message": "Valid number",
        "e164": "+918951047001",
        "national": "089510 47001",
        "international": "+91 89510 47001",
        "country": "IN",
        "type": "MOBILE",
    }


def test_an_invalid_number_is_told_why_and_what_may_be_meant() -> None:
    verdict = phone.read("895", country="IN", countries=("IN",))
    assert document(reply.phone_check(VOICE, verdict)) == {
        "valid": False,
        "code": "PHONE_TOO_SHORT",
        "message": "This number is too short. A mobile number in India has 10 digits.",
    }
    guessed = phone.Verdict(Code.PHONE_NOT_A_NUMBER, suggestion="+919886012345")
    assert document(reply.phone_check(VOICE, guessed))["suggestion"] == "+919886012345"


def test_the_script_is_kept_for_an_hour_and_asked_for_again_by_its_tag() -> None:
    whole = assets.script()
    assert (whole.status, whole.headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert b"lead-form" in whole.body
    tag = whole.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = assets.script(known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert assets.script('"other"') == whole


def test_the_script_is_served_without_what_is_for_readers_alone() -> None:
    written = SCRIPT.read_bytes()
    assert assets.script(is_readable=True).body == written
    served = assets.script()
    assert served.headers["ETag"] != assets.script(is_readable=True).headers["ETag"]
    assert len(gzip.compress(served.body, 9, mtime=0)) <= BUDGET
    assert b"// " in written
    assert b"// " not in served.body


def test_the_script_holds_no_code_that_a_strict_policy_forbids() -> None:
    text = SCRIPT.read_text("utf-8")
    assert not re.search(r"\beval\b|new Function|innerHTML|document\.cookie|document\.write", text)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("accept", "requested_with", "is_json_body", "page_wanted"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", False, True),
        ("TEXT/HTML", "", False, True),
        ("application/json, text/html;q=0.5", "", False, True),
        ("text/html; q=0.0", "", False, False),
        ("text/html;q=0", "", False, False),
        ("*/*", "", False, False),
        ("", "", False, False),
        ("application/json", "", False, False),
        ("text/htmlx", "", False, False),
        ("text/html", "XMLHttpRequest", False, False),
        ("text/html", "xmlhttprequest ", False, False),
        ("text/html", "com.example.app", False, True),
        ("text/html", "", True, False),
    ],
)
def test_a_page_is_for_browsers_that_ask_without_script(
    accept: str, requested_with: str, is_json_body: bool, page_wanted: bool
) -> None:
    assert reply.wants_page(accept, requested_with, is_json_body=is_json_body) is page_wanted


def test_the_openapi_document_names_every_form_status_and_code() -> None:
    told = openapi.document([FORM], "https://forms.example.net")
    assert told["openapi"] == "3.1.0"
    assert told["servers"] == [{"url": "https://forms.example.net"}]
    assert list(told["paths"]) == [
        "/f/get-in-touch",
        "/f/get-in-touch/phone",
        "/f/get-in-touch/check",
        "/f/get-in-touch/thanks",
        "/healthz",
        "/readyz",
        "/lead-form.js",
        "/metrics",
        "/lead-form-altcha.js",
        "/openapi.json",
    ]
    answers = told["paths"]["/f/get-in-touch"]["post"]["responses"]
    assert set(answers) == {"200", "303", "400", "403", "404", "405", "413", "415", "422", "429", "500", "503"}
    codes = set(told["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    assert codes == {str(code) for code in Code} - {"PHONE_VALID", "VALID"}


def test_every_reference_in_the_openapi_document_leads_somewhere() -> None:
    told = openapi.document([replace(FORM, ways={"builder": WAYS["typeform"]})])
    assert "401" in told["paths"]["/f/get-in-touch/from/builder"]["post"]["responses"]
    text = json.dumps(told)
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names == set(told["components"]["schemas"])
    assert "crm" not in text


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ("Success", reply.success(VOICE, "r" * 24, "")),
        ("Failure", reply.failure(refuse(Code.EMPTY), VOICE)),
        ("PhoneCheck", reply.phone_check(VOICE, phone.read("089510 47001", country="IN", countries=("IN",)))),
        ("PhoneCheck", reply.phone_check(VOICE, phone.read("895", country="IN", countries=("IN",)))),
    ],
)
def test_the_openapi_document_is_true_to_the_answers(schema: str, answer: reply.Reply) -> None:
    shape = openapi.document([FORM])["components"]["schemas"][schema]
    names = set(document(answer))
    assert set(shape["required"]) <= names <= set(shape["properties"])
