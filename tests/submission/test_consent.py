"""What a visitor agreed to: which text, in which language, and how it travels."""

import hashlib
import json
from typing import Any, cast

import pytest

from service.config.config import Config
from service.config.read import parse
from service.destinations.envelope import envelope, flat, values
from service.destinations.sample import sample_delivery
from service.lib.secret import Secret
from service.model.form import Form
from service.model.lead import Consent, Content, Delivery, Lead
from service.model.problem import Code, Problem, Problems
from service.replies import page, wording
from service.submission.check import Checked, check, with_consent
from service.submission.facts import content_of, facts
from service.submission.form_data import Posted, gather

NOW = 1_795_344_127_120
AT = "2026-11-22T10:42:07.120Z"
ENGLISH, HINDI = "I agree that the clinic calls me back.", "मैं सहमत हूँ कि क्लिनिक मुझे फ़ोन करे।"
TEXT = """
[forms.a]
deliver = ["crm"]
language = "auto"
fields.phone = {{ type = "phone" }}
fields.ok = {{ type = "boolean"{more} }}
consent = {{ field = "ok", version = "2026-11", text = "{english}", hi = {{ text = "{hindi}" }} }}
[destinations.crm]
type = "webhook"
url = "https://crm.example.com/"
{body}
"""


def read(more: str = "", body: str = "") -> Any:
    return parse(TEXT.format(more=more, body=body, english=ENGLISH, hindi=HINDI), {}, lambda _: "")


def form(more: str = "") -> Form:
    return cast("Config", read(more)).forms["a"]


FORM = form()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def said(to: Form = FORM, *, language: str = "en", **fields: str) -> Content:
    checked = check(to, gather({"phone": "8951047001", **fields}.items()))
    assert isinstance(checked, Checked), checked
    return with_consent(to, checked.content, language=language, now=NOW)


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [("en", ENGLISH, "en"), ("hi", HINDI, "hi"), ("kn", ENGLISH, "en")],
)
def test_the_hash_is_of_the_text_that_the_visitor_read(language: str, text: str, told: str) -> None:
    given = said(language=language, ok="yes").consent
    assert given == Consent(agreed=True, version="2026-11", text_sha256=digest(text), at=AT, language=told)
    assert f">{text}</label>" in page.hosted(FORM, wording.of(FORM, asked=language))


def test_a_no_is_told_too_and_nothing_where_nothing_was_answered_or_asked() -> None:
    given = said(ok="no").consent
    assert given is not None
    assert given.agreed is False
    assert said().consent is None
    assert with_consent(Form("b", {}, ()), said(), language="en", now=NOW).consent is None


def test_whoever_must_agree_is_told_what_to_do() -> None:
    strict = form(", required = true")

    def told(**fields: str) -> tuple[Problem, ...]:
        checked = check(strict, gather({"phone": "8951047001", **fields}.items()))
        assert isinstance(checked, Problems)
        return checked.items

    assert told() == (Problem(Code.CONSENT_REQUIRED, "ok"),)
    assert told(ok="") == (Problem(Code.CONSENT_REQUIRED, "ok"),)
    for no in ("no", "false", "0", "off", "no, no"):
        assert told(ok=no) == (Problem(Code.CONSENT_REQUIRED, "ok"),)
    assert said(strict, ok="0, yes").consent is not None
    assert (
        wording.of(asked="en").say(told(ok="no")[0])
        == "Tick this box if you agree. The form cannot be sent without it."
    )


def test_any_other_required_boolean_may_be_no() -> None:
    fields = dict(form(", required = true").fields)
    assert isinstance(check(Form("b", fields, ()), gather({"phone": "8951047001", "ok": "no"}.items())), Checked)


def test_who_was_thanked_already_is_not_refused_and_said_no() -> None:
    strict = form(", required = true")
    checked = check(strict, gather({"phone": "8951047001", "ok": "no"}.items()), lenient=True)
    assert isinstance(checked, Checked)
    given = with_consent(strict, checked.content, language="en", now=NOW).consent
    assert given is not None
    assert (given.agreed, checked.content.fields["ok"].flags) == (False, ("CONSENT_REQUIRED",))


def test_it_is_kept_with_the_lead_without_a_fingerprint() -> None:
    content = said(ok="yes")
    kept = facts(Secret("s"), FORM, content)
    assert kept["consent"][0] == ""
    assert kept["fields.ok"][0]
    assert content_of(FORM, {name: value for name, (_, value) in kept.items()}) == content
    assert "consent" not in facts(Secret("s"), FORM, said())


def delivery(content: Content) -> Delivery:
    return Delivery(Lead("lead_1", "a", 1, content, NOW, NOW, NOW, 1), "lead.created")


def test_it_travels_in_the_envelope_only_where_it_was_answered() -> None:
    shown: Any = envelope(delivery(said(ok="yes")))
    assert shown["data"]["consent"] == {
        "agreed": True, "version": "2026-11", "text_sha256": digest(ENGLISH), "at": AT, "language": "en",
    }  # fmt: skip
    json.dumps(shown)
    without: Any = envelope(delivery(said()))
    assert "consent" not in without["data"]
    assert values(delivery(said(ok="no")))["consent.agreed"] is False
    assert flat(delivery(said(ok="yes")))["consent.version"] == "2026-11"


def test_a_crm_may_have_it_in_its_own_words() -> None:
    body = 'body = { version = "{consent.version}", agreed = "{consent.agreed}" }'
    config = read(body=body)
    assert isinstance(config, Config)
    talk: Any = config.destinations["crm"].conversation(sample_delivery(FORM, NOW), lambda: NOW)
    request = next(talk)
    assert json.loads(request.content) == {"version": "2026-11", "agreed": True}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('body = { a = "{consent.text}" }', "a consent has no `text`"),
        ('body = { a = "{consent}" }', "is no path"),
    ],
)
def test_a_path_that_can_never_have_a_value_is_a_mistake(body: str, words: str) -> None:
    assert words in read(body=body).items[0].message


def test_a_path_of_a_consent_that_no_form_asks_for_is_a_mistake() -> None:
    text = TEXT.format(more="", body='body = { a = "{consent.version}" }', english=ENGLISH, hindi=HINDI)
    lines = [line for line in text.splitlines() if not line.startswith("consent")]
    read_without: Any = parse("\n".join(lines), {}, lambda _: "")
    assert "no form that delivers here has a `consent`" in read_without.items[0].message


def test_what_is_about_the_whole_lead_stands_before_the_flags_of_fields() -> None:
    posted: Posted = gather({"phone": "8951047001"}.items())
    checked = check(FORM, posted)
    assert isinstance(checked, Checked)
    flagged = Content(checked.content.fields, {}, flags=("captcha_unverified",))
    assert values(delivery(flagged))["flags"] == ["captcha_unverified"]
