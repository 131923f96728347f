"""A configuration is taken whole or refused with every mistake in it, and no mistake tells a secret."""

import base64
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from authority import Authority
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.config.table import spell
from service.config.validators import show
from service.destinations.template import Pattern, fill_line
from service.destinations.webhook import RETRY, Webhook
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.form import MAX_LENGTH, SIGNALS, Form, Messages, Spam, Theme, fold

SIGNING = "whsec_" + base64.b64encode(b"k" * 32).decode()
ENVIRON = {"CRM": SIGNING, "KEY": "s3cret-key", "URL": "https://hooks.example.com/catch/s3cret", "EMPTY": " "}
CUSTOM = 'type = "custom", secret = "$KEY"'
X = 'header = "X"'
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

SMALLEST = """
[forms.contact]
deliver = ["crm"]
fields.phone = { type = "phone" }
[destinations.crm]
type = "webhook"
url = "https://crm.example.com/leads"
"""

EXAMPLE = """
[forms.get-in-touch]
title = "Get In Touch"
country = "IN"
countries = ["IN", "US", "GB", "AE"]
origins = ["https://www.example.com"]
redirects = ["https://www.example.com"]
deliver = ["crm"]
window = "30d"
quiet = "1h"
repeat = "update"
fields.name    = { type = "text", required = true, max_length = 120, aliases = ["full name", "your name"] }
fields.phone   = { type = "phone", required = true, aliases = ["mobile", "phone number"] }
fields.email   = { type = "email" }
fields.branch  = { type = "choice", choices = ["Bangalore", "Hyderabad"] }
fields.message = { type = "text", max_length = 5000, multiline = true }
messages.success = "Thank you! Your submission has been received!"
messages.failure = "Oops! Something went wrong while submitting the form."
[destinations.crm]
type = "webhook"
url = "https://crm.example.com/hooks/leads"
secret = "$CRM"
timeout = "15s"
retry = ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]
rate = "10/s"
concurrency = 8
allow_private = false
[destinations.other-crm]
type = "webhook"
url = "https://other.example.com/api/leads"
headers = { Authorization = "Bearer $KEY" }
format = "json"
body = { first_name = "{fields.name}", phone = "{phone.e164}", description = "{fields.message} ({form})", \
external_id = "{id}", subject = "Website enquiry" }
delivered = [409]
updates = false
"""


VALID = 'messages.valid = "Valid number"\n[destinations.crm]'


def no_files(path: str) -> str:
    raise FileNotFoundError(path)


def read(text: str, environ: Mapping[str, str] = ENVIRON) -> Config | Mistakes:
    return parse(text, environ, no_files)


def config(text: str) -> Config:
    found = read(text)
    assert isinstance(found, Config), found
    return found


def reveal(line: Pattern) -> str:
    return fill_line(line, {}, Secret.reveal, str)


def webhook(found: Config, name: str = "crm") -> Webhook:
    destination = found.destinations[name]
    assert isinstance(destination, Webhook)
    return destination


def mistakes(text: str, environ: Mapping[str, str] = ENVIRON) -> list[tuple[str, str]]:
    found = read(text, environ)
    assert isinstance(found, Mistakes), found
    return [(each.path, each.message) for each in found.items]


def with_form(line: str) -> str:
    return SMALLEST.replace("[destinations.crm]", f"{line}\n[destinations.crm]")


def with_webhook(line: str) -> str:
    return f"{SMALLEST}{line}\n"


def test_what_is_left_out_is_as_the_documentation_says() -> None:
    form = config(SMALLEST).forms["contact"]
    assert (form.name, form.title, form.deliver) == ("contact", "Contact", ("crm",))
    assert (form.country, form.countries) == ("IN", ("IN", "US", "GB", "AE"))
    assert (form.origins, form.redirects) == (None, ())
    assert (form.window, form.quiet, form.repeat) == (30 * DAY, HOUR, "update")
    assert (form.allow_extra, form.junk, form.webflow, form.webflow_secret) == (True, "accept", False, None)
    assert (form.language, form.messages, form.translations, form.theme) == ("en", Messages(), {}, None)
    field = form.fields["phone"]
    assert (field.required, field.max_length, field.label, field.aliases) == (False, MAX_LENGTH, "", ())
    crm = webhook(config(SMALLEST))
    assert (crm.timeout, crm.retry, crm.concurrency) == (15_000, RETRY, 8)
    assert (crm.rate, crm.allow_private, crm.updates, crm.format, crm.body) == (None, False, True, "json", None)
    assert crm.secrets == ()
    assert [show(pause) for pause in RETRY] == ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"]


def test_the_example_of_the_documentation_is_taken() -> None:
    found = config(EXAMPLE)
    form, crm, other = found.forms["get-in-touch"], webhook(found), webhook(found, "other-crm")
    assert form.title == "Get In Touch"
    assert form.fields["name"].aliases == ("full name", "your name")
    assert form.fields["branch"].choices == ("Bangalore", "Hyderabad")
    assert list(form.fields) == ["name", "phone", "email", "branch", "message"]
    assert crm.secrets == (Secret(SIGNING),)
    assert crm.rate == Rate(10, 1_000)
    assert crm.retry == RETRY
    assert reveal(other.headers["Authorization"]) == "Bearer s3cret-key"
    assert other.delivered == {409}
    assert not other.updates
    assert found.forms_by_destination == {"crm": (form,), "other-crm": ()}
    assert [each.path for each in found.warnings] == ["destinations.other-crm", "destinations.other-crm.updates"]


def test_titles_labels_and_choices_are_said_in_the_languages_that_have_them() -> None:
    lines = """
title = { en = "Get In Touch", hi = "संपर्क करें" }
fields.about = { type = "text", label.hi = "किस बारे में" }
fields.part = { type = "choice", choices = [
  "Back", { value = "knee", label = "Knee" }, { value = "arm", label = { en = "Arm", kn = "ತೋಳು" } },
] }"""
    form = config(with_form(lines)).forms["contact"]
    assert (form.title, form.titles["hi"]) == ("Get In Touch", "संपर्क करें")
    about, part = form.fields["about"], form.fields["part"]
    assert (about.label, about.labels) == ("", {"hi": "किस बारे में"})
    assert part.choices == ("Back", "knee", "arm")
    assert [part.label_of(choice, "kn") for choice in part.choices] == ["Back", "Knee", "ತೋಳು"]
    assert [part.label_of(choice, "te") for choice in part.choices] == ["Back", "Knee", "Arm"]
    hindi = config(with_form('language = "hi"\ntitle.hi = "संपर्क"')).forms["contact"]
    assert hindi.title == "संपर्क"


def test_the_file_in_the_repository_has_no_mistake_its_commented_destination_included() -> None:
    text = Path(__file__).parents[2].joinpath("leads.toml").read_text("utf-8")
    environ = {"CRM_WEBHOOK_SECRET": SIGNING, "OTHER_KEY": "key"}
    whole = text[: text.index("# [destinations.")] + "\n".join(
        line.removeprefix("# ") for line in text[text.index("# [destinations.") :].splitlines()
    )
    for each, destinations in ((text, {"crm"}), (whole, {"crm", "other-crm"})):
        found = parse(each, environ, no_files)
        assert isinstance(found, Config), found
        assert set(found.destinations) == destinations
        assert found.forms == config(EXAMPLE.replace("[destinations.crm]", VALID, 1)).forms


def form_with(lines: str) -> Form:
    return config(with_form(lines)).forms["contact"]


def test_a_form_speaks_its_own_language_with_its_owner_s_words() -> None:
    form = form_with('language = "hi"\nmessages.success = "Shukriya"\nmessages.en.success = "Thanks"')
    assert (form.language, form.messages) == ("hi", Messages(success="Shukriya"))
    assert form.translations == {"en": Messages(success="Thanks")}


def test_the_own_texts_of_a_form_may_also_stand_below_its_language() -> None:
    form = form_with('language = "hi"\nmessages = { success = "Shukriya", hi = { failure = "Maaf" } }')
    assert (form.messages, form.translations) == (Messages("Shukriya", "Maaf"), {})


def test_a_form_of_any_language_has_its_own_texts_in_english() -> None:
    form = form_with('language = "auto"\nmessages.valid = "Good"\nmessages.te.failure = "Ayyo"')
    assert (form.language, form.messages) == ("auto", Messages(valid="Good"))
    assert form.translations == {"te": Messages(failure="Ayyo")}


def test_what_spam_weighs_is_as_usual_but_for_what_the_form_names() -> None:
    assert (form_with("").spam, form_with("spam = {}").spam) == (Spam(), Spam())
    told = form_with("spam = { limit = 10, weights = { links = 4, disposable = 0 } }").spam
    assert told == Spam(10, SIGNALS | {"links": 4, "disposable": 0})


def test_a_theme_is_read_into_one_spelling() -> None:
    theme = form_with('theme = { accent = "#0B6", radius = "0.5rem", font = "Noto Sans, serif" }').theme
    assert theme == Theme("#00bb66", "0.5rem", ("Noto Sans", "serif"))
    assert form_with('theme = { font = ["Inter"] }').theme == Theme(font=("Inter",))


TURNSTILE = 'type = "turnstile", sitekey = "0x4"'
AGREED = 'text = "I agree", version = "1"'
OK = 'fields.ok = { type = "boolean" }\n'
FORM_MISTAKES = [
    ("delivr = []", "forms.contact.delivr", "Did you mean `deliver`?"),
    ('secret = "$KEY"', "forms.contact.secret", "Did you mean `webflow_secret`?"),
    ('title = ""', "forms.contact.title", "1 to 200 characters"),
    ("title = 3", "forms.contact.title", "must be a text, not a number"),
    (r'title = "a\nb"', "forms.contact.title", "line breaks"),
    ('country = "in"', "forms.contact.country", "Did you mean `IN`?"),
    ('country = "UK"', "forms.contact.country", "Did you mean `GB`?"),
    ('country = "India"', "forms.contact.country", "two capital letters"),
    ('countries = ["IN", "XX", 3]', "forms.contact.countries", "item 2: `XX` is not a region"),
    ('countries = "IN"', "forms.contact.countries", "must be a list, not a text"),
    ('origins = ["https://example.com/page"]', "forms.contact.origins", "item 1: `https://example.com/page`"),
    ('origins = ["*"]', "forms.contact.origins", "without `origins` any page may post"),
    ('origins = ["https://*.example.com"]', "forms.contact.origins", "Name each origin"),
    ('origins = ["www.example.com"]', "forms.contact.origins", "write scheme, host and port only"),
    ('redirects = ["https://user@example.com"]', "forms.contact.redirects", "is not an origin"),
    ('redirects = ["ftp://example.com"]', "forms.contact.redirects", "is not an origin"),
    ('window = "1 month"', "forms.contact.window", "`200ms`, `5s`, `5m`, `2h` or `30d`"),
    ("window = 30", "forms.contact.window", "must be a duration"),
    ('window = "4000d"', "forms.contact.window", "must be from 1s to 3650d, not 4000d"),
    ('window = "٣d"', "forms.contact.window", "must be a duration"),
    ('quiet = "31d"', "forms.contact.quiet", "must not be longer than `window`, which is 30d"),
    ('repeat = "drops"', "forms.contact.repeat", "Did you mean `drop`? Allowed are `update`, `drop`."),
    ('allow_extra = "no"', "forms.contact.allow_extra", "must be true or false, not a text"),
    ('junk = "refuse"', "forms.contact.junk", "`accept`, `quarantine`, `reject`"),
    ('webflow_secret = "abc123"', "forms.contact.webflow_secret", "must be a `$NAME`"),
    ('webflow_secret = "$NOT_THERE"', "forms.contact.webflow_secret", "`$NOT_THERE` is not set"),
    ('webflow_secret = "$EMPTY"', "forms.contact.webflow_secret", "`$EMPTY` is empty"),
    ("ways = 1", "forms.contact.ways", "must be a table, not a number"),
    ("ways.a = 1", "forms.contact.ways.a", "must be a table, not a number"),
    ('ways.A = { type = "custom", secret = "$KEY" }', "forms.contact.ways.A", "is no name: use 1 to 64"),
    ('ways.a = { secret = "$KEY" }', "forms.contact.ways.a.type", "is missing: one of `custom`"),
    ('ways.a = { type = "typefrm", secret = "$KEY" }', "forms.contact.ways.a.type", "Did you mean `typeform`?"),
    ('ways.a = { type = "typeform" }', "forms.contact.ways.a.secret", "is missing: a `$NAME`"),
    ('ways.a = { type = "typeform", secret = "s3" }', "forms.contact.ways.a.secret", "must be a `$NAME`"),
    (f"ways.a = {{ {CUSTOM}, answers = [] }}", "forms.contact.ways.a.answers", "must not be empty"),
    (f"ways.a = {{ {CUSTOM}, names = [1] }}", "forms.contact.ways.a.names", "item 1: must be a text"),
    (f'ways.a = {{ {CUSTOM}, page = "p" }}', "forms.contact.ways.a.page", "must be a list, not a text"),
    (f'ways.a = {{ {CUSTOM}, tests = "drop" }}', "forms.contact.ways.a.tests", "`quarantine`, `accept`"),
    (f"ways.a = {{ {CUSTOM}, signature = 1 }}", "forms.contact.ways.a.signature", "must be a table, not a number"),
    (f"ways.a = {{ {CUSTOM}, signature = {{}} }}", "forms.contact.ways.a.signature.header", "is missing: the name"),
    (f'ways.a = {{ {CUSTOM}, signature = {{ header = "a b" }} }}', "forms.contact.ways.a.signature.header", "a header"),
    (
        f"ways.a = {{ {CUSTOM}, signature = {{ {X}, form = 1 }} }}",
        "forms.contact.ways.a.signature.form",
        "not a number",
    ),
    (f'ways.a = {{ {CUSTOM}, signature = {{ {X}, form = "v" }} }}', "forms.contact.ways.a.signature.form", "`{hex}`"),
    (f'ways.a = {{ {CUSTOM}, signature = {{ {X}, of = "v" }} }}', "forms.contact.ways.a.signature.of", "`{body}`"),
    (
        f'ways.a = {{ {CUSTOM}, signature = {{ {X}, of = "{{t}}{{body}}" }} }}',
        "forms.contact.ways.a.signature",
        "a time",
    ),
    (
        'ways.zapier-form = { type = "forminator", secret = "$KEY" }',
        "forms.contact.ways.zapier-form",
        "for which Forminator gives its answers other names",
    ),
    ('messages.succes = "Yes"', "forms.contact.messages.succes", "Did you mean `success`?"),
    ('messages.ta.success = "Aam"', "forms.contact.messages.ta", "is no language here. Allowed are `en`"),
    ('messages.Hi.success = "Haan"', "forms.contact.messages.Hi", "Did you mean `hi`?"),
    ('messages.hi.succes = "Haan"', "forms.contact.messages.hi.succes", "Did you mean `success`?"),
    ('messages.hi = "Haan"', "forms.contact.messages.hi", "is not known here"),
    ("messages.hi.success = 3", "forms.contact.messages.hi.success", "must be a text, not a number"),
    (
        'messages = { success = "Yes", en = { success = "Yes" } }',
        "forms.contact.messages.en.success",
        "a second time: `en` is the form's own language",
    ),
    ("limits = { per_minute = 3 }", "forms.contact.limits.per_minute", "Allowed are `address`, `form`, `person`."),
    ('limits = { address = "30" }', "forms.contact.limits.address", "must be a rate such as `10/s`"),
    ("limits = 3", "forms.contact.limits", "must be a table, not a number"),
    ("spam = 10", "forms.contact.spam", "must be a table, not a number"),
    ("spam = { limits = 10 }", "forms.contact.spam.limits", "Did you mean `limit`?"),
    ("spam = { limit = -1 }", "forms.contact.spam.limit", "a whole number from 0 to 1000"),
    ("spam = { weights = { link = 3 } }", "forms.contact.spam.weights.link", "Did you mean `links`?"),
    ("spam = { weights = { trap = 1.5 } }", "forms.contact.spam.weights.trap", "a whole number from 0 to 1000"),
    ("captcha = {}", "forms.contact.captcha.type", "is missing: one of `altcha`, `turnstile`"),
    ('captcha = "altcha"', "forms.contact.captcha", "must be a table, not a text"),
    ('captcha = { type = "altca" }', "forms.contact.captcha.type", "Did you mean `altcha`?"),
    ('captcha = { type = "altcha", max = 9 }', "forms.contact.captcha.max", "Did you mean `max_number`?"),
    ('captcha = { type = "altcha", max_number = 9 }', "forms.contact.captcha.max_number", "from 1000 to 10000000"),
    ('captcha = { type = "altcha", expires = "1s" }', "forms.contact.captcha.expires", "from 1m to 1d, not 1s"),
    (f"captcha = {{ {TURNSTILE} }}", "forms.contact.captcha.secret", "is missing: a `$NAME`"),
    (f'captcha = {{ {TURNSTILE}, secret = "0x4AAA" }}', "forms.contact.captcha.secret", "must be a `$NAME`"),
    (f'captcha = {{ {TURNSTILE}, secret = "$KEY", url = 1 }}', "forms.contact.captcha.url", "not a number"),
    (f'captcha = {{ {TURNSTILE}, secret = "$KEY", url = "x" }}', "forms.contact.captcha.url", "such as `https://"),
    (
        f'captcha = {{ {TURNSTILE}, secret = "$KEY", url = "http://a.example/" }}',
        "forms.contact.captcha.url",
        "machine",
    ),
    (f'captcha = {{ {TURNSTILE}, secret = "$KEY", url = "https://a@b/" }}', "forms.contact.captcha.url", "such as"),
    ('consent = "yes"', "forms.contact.consent", "must be a table, not a text"),
    (f"consent = {{ {AGREED} }}", "forms.contact.consent.field", "is missing: the field of type `boolean`"),
    (f'consent = {{ field = "phone", {AGREED} }}', "forms.contact.consent.field", "is no field of type `boolean`"),
    (f'consent = {{ field = "okay", {AGREED} }}', "forms.contact.consent.field", "Add fields.okay"),
    (f'{OK}consent = {{ field = "oke", {AGREED} }}', "forms.contact.consent.field", "Did you mean `ok`?"),
    (f'{OK}consent = {{ field = "ok", text = "I agree" }}', "forms.contact.consent.version", "is missing: a name"),
    (f'{OK}consent = {{ field = "ok", {AGREED}, hi = {{}} }}', "forms.contact.consent.hi.text", "is missing"),
    (f'{OK}consent = {{ field = "ok", {AGREED}, xx = {{}} }}', "forms.contact.consent.xx", "is no language here"),
    (f'{OK}consent = {{ field = "ok", {AGREED}, words = "" }}', "forms.contact.consent.words", "is not known here"),
    ('language = "ta"', "forms.contact.language", "Allowed are `en`"),
    ('language = ["hi"]', "forms.contact.language", "must be one of `en`, `hi`"),
    ('theme = "dark"', "forms.contact.theme", "must be a table, not a text"),
    ('theme = { accent = "red" }', "forms.contact.theme.accent", "a colour such as `#0b6`"),
    ('theme = { accent = "#00bb6" }', "forms.contact.theme.accent", "not `#00bb6`"),
    ('theme = { radius = "8px;}" }', "forms.contact.theme.radius", "a length such as `8px`"),
    ('theme = { radius = "8%" }', "forms.contact.theme.radius", "not `8%`"),
    ("theme = { radius = 8 }", "forms.contact.theme.radius", "not a number"),
    ("""theme = { font = "Georgia, url('x')" }""", "forms.contact.theme.font", "item 2: must be the name of a font"),
    ("theme = { font = [3] }", "forms.contact.theme.font", "item 1: must be the name of a font"),
    ('theme = { font = "a,b,c,d,e,f,g,h,i" }', "forms.contact.theme.font", "8 fonts at most"),
    ('theme = { colour = "#fff" }', "forms.contact.theme.colour", "Allowed are `accent`, `radius`, `font`"),
    ('fields.a = { type = "phon" }', "forms.contact.fields.a.type", "Did you mean `phone`?"),
    ("fields.a = {}", "forms.contact.fields.a.type", "is missing: one of `text`, `email`, `phone`"),
    ('fields.a = "text"', "forms.contact.fields.a", "must be a table, not a text"),
    ('fields.a = { type = "text", max = 3 }', "forms.contact.fields.a.max", "Did you mean `max_length`?"),
    ('fields.a = { type = "text", max_length = 0 }', "forms.contact.fields.a.max_length", "from 1 to 100000"),
    ('fields.a = { type = "text", max_length = true }', "forms.contact.fields.a.max_length", "a whole number"),
    ('fields.a = { type = "email", multiline = true }', "forms.contact.fields.a.multiline", "type `text` only"),
    ('fields.a = { type = "choice" }', "forms.contact.fields.a.choices", "is missing: a list"),
    ('honeypot = "Phone"', "forms.contact.honeypot", "people fill in"),
    ('honeypot = "Phone-Full"', "forms.contact.honeypot", "is the field `phone`"),
    ('honeypot = "_next"', "forms.contact.honeypot", "means something else"),
    ('honeypot = "_UTM_source"', "forms.contact.honeypot", "means something else"),
    ('honeypot = "altcha"', "forms.contact.honeypot", "means something else"),
    ('fields.a = { type = "choice", choices = [] }', "forms.contact.fields.a.choices", "must not be empty"),
    ('fields.a = { type = "choice", choices = ["x", "x"] }', "forms.contact.fields.a.choices", "twice"),
    ('fields.a = { type = "choice", choices = [3] }', "forms.contact.fields.a.choices", "item 1: must be a text"),
    ('fields.a = { type = "choice", choices = [{ value = "x" }] }', "forms.contact.fields.a.choices", "`label`"),
    (
        'fields.a = { type = "choice", choices = [{ value = "x", label = { xx = "a", hi = 3 } }] }',
        "forms.contact.fields.a.choices",
        "item 1: `label` `xx` is no language here",
    ),
    (
        'fields.a = { type = "choice", choices = ["x", { value = "y", label.hi = " X" }] }',
        "forms.contact.fields.a.choices",
        "` X` means `y` and another choice",
    ),
    ('fields.a = { type = "text", label = 3 }', "forms.contact.fields.a.label", "must be a text, not a number"),
    ('fields.a = { type = "text", label = {} }', "forms.contact.fields.a.label", "texts by language"),
    ('title = { hind = "a" }', "forms.contact.title", "`hind` is no language here. Did you mean `hi`?"),
    ('title = { hi = "" }', "forms.contact.title", "`hi` must be a text of 1 to 200 characters"),
    (
        'fields.a = { type = "text", choices = ["x"] }',
        "forms.contact.fields.a.choices",
        "type `choice` or `choices` only",
    ),
    ('fields.a = { type = "text", aliases = ["PHONE "] }', "forms.contact.fields.a.aliases", "the field `phone`"),
    ('fields.a = { type = "text", aliases = ["_a"] }', "forms.contact.fields.a.aliases", "can never match"),
    ('fields.a = { type = "text", aliases = ["[-]"] }', "forms.contact.fields.a.aliases", "can never match"),
    ('fields.Phone_ = { type = "text" }', "forms.contact.fields.Phone_", "is the same name as `phone`"),
    ('fields._a = { type = "text" }', "forms.contact.fields._a", "control fields"),
    ('fields."a.b" = { type = "text" }', 'forms.contact.fields."a.b"', "is no name for a field"),
    ('fields."-" = { type = "text" }', "forms.contact.fields.-", "is no name for a field"),
]


@pytest.mark.parametrize(("line", "path", "words"), FORM_MISTAKES)
def test_a_mistake_in_a_form_is_told_with_its_path_and_what_is_allowed(line: str, path: str, words: str) -> None:
    found = mistakes(with_form(line))
    assert {each for each, _ in found} == {path}
    assert any(words in message for _, message in found), found


HIDDEN = "hunter2-literal"

WEBHOOK_MISTAKES = [
    (f'secret = "{HIDDEN}"', "secret", "must be a `$NAME`"),
    (f'secret = ["$CRM", "{HIDDEN}"]', "secret", "item 2: must be a `$NAME`"),
    ("secret = []", "secret", "must not be empty"),
    ("secret = 3", "secret", "must be a `$NAME`"),
    ('secret = "$KEY"', "secret", "$KEY is no signing secret: it does not begin with whsec_. Make one with: echo"),
    ('secret = "$NOPE"', "secret", "NOPE_FILE"),
    ('timeout = "50ms"', "timeout", "from 100ms to 5m, not 50ms"),
    ('timeout = "1h"', "timeout", "from 100ms to 5m, not 1h"),
    ('retry = ["5s", "soon"]', "retry", "item 2: must be a duration"),
    ('rate = "10/d"', "rate", "`10/s`, `30/m` or `100/h`"),
    ('rate = "0/s"', "rate", "of 1 to 10000"),
    ("concurrency = 0", "concurrency", "from 1 to 64"),
    ("concurrency = 1.5", "concurrency", "a whole number"),
    ("updates = 1", "updates", "must be true or false"),
    ('format = "xml"', "format", "Allowed are `json`, `form`."),
    ("delivered = [99]", "delivered", "item 1: must be a whole number from 100 to 599"),
    ("delivered = [409]\nretried = [409]", "retried", "409 is already in `delivered`"),
    ("headrs = {}", "headrs", "Did you mean `headers`?"),
    ("headers = 3", "headers", "must be a table, not a number"),
    (f'headers = {{ Authorization = "Bearer {HIDDEN}" }}', "headers.Authorization", "a literal where a secret belongs"),
    (f'headers = {{ X-Api-Key = "{HIDDEN}" }}', "headers.X-Api-Key", "a literal where a secret belongs"),
    (f'headers = {{ x-crm-token = "{HIDDEN}" }}', "headers.x-crm-token", "a literal where a secret belongs"),
    ('headers = { Host = "example.com" }', "headers.Host", "is set by the service"),
    ('headers = { Webhook-Id = "x" }', "headers.Webhook-Id", "is set by the service"),
    ('headers = { "X Y" = "x" }', 'headers."X Y"', "is no name for a header"),
    (r'headers = { X-Y = "a\r\nEvil: b" }', "headers.X-Y", "no line breaks"),
    ('headers = { X-Y = "é" }', "headers.X-Y", "plain ASCII"),
    ('headers = { X-Y = "1", x-y = "2" }', "headers.x-y", "is named twice"),
    ('headers = { X-Y = "$NOPE" }', "headers.X-Y", "`$NOPE` is not set"),
    ('headers = { Idempotency-Key = "always" }', "headers.Idempotency-Key", "the same for every lead"),
    ('headers = { idempotency-key = "$KEY" }', "headers.idempotency-key", "the same for every lead"),
    (
        f'body = {{ deep = [{{ accessToken = "{HIDDEN}" }}] }}',
        "body.deep.accessToken",
        "a literal where a secret belongs",
    ),
    (f"body = {{ a = {10**400} }}", "body.a", "JSON cannot carry"),
    (f"body = {{ a = {'[' * 40}{']' * 40} }}", "body.a", "nested deeper than 8"),
    ("body = {}", "body", "must not be empty"),
    ('body = "x"', "body", "must be a table or a list, not a text"),
    ('body = { a = "{fields.phone:firts}" }', "body.a", "Did you mean `first`?"),
    ('body = ["{nope}"]', "body", "is no path"),
    ('format = "form"\nbody = ["{id}"]', "body", "must be a table, not a list"),
    ('headers = { X-Page = "{nope}" }', "headers.X-Page", "is no path"),
    ('method = "GET"', "method", "Allowed are `POST`, `PUT`, `PATCH`"),
    ('content_type = "json"', "content_type", "must be a type such as"),
    ('rules = [{ json = "a" }]', "rules.1.means", "is missing"),
    ('rules = [{ means = "rejected" }]', "rules.1", "looks nowhere"),
    ('rules = [{ json = "a", header = "B", means = "load" }]', "rules.1", "looks at several places"),
    ('rules = [{ json = "a", is = 1, has = "b", means = "load" }]', "rules.1", "more than one of"),
    ('rules = [{ json = true, means = "load" }]', "rules.1.json", "must be a text"),
    ('rules = [{ text = "a", means = "load", hass = "b" }]', "rules.1.hass", "Did you mean `has`?"),
    ('body = { a = "{field.phone}" }', "body.a", "{field.phone} is no path."),
    (
        'body = { a = "{fields.fone}" }',
        "body.a",
        "no form that delivers here has a field `fone`. Did you mean `phone`?",
    ),
    ('body = { a = "{phone.e146}" }', "body.a", "Did you mean `e164`?"),
    ('body = { a = "{source.utm}" }', "body.a", "is no path"),
    ('body = { a = "{source.utm.campain}" }', "body.a", "`source.utm` has no `campain`. Did you mean `campaign`?"),
    ('body = { a = "{source.click_ids.xclid}" }', "body.a", "Allowed are `gclid`, `gbraid`"),
    ('body = { a = "{source.first_touch.utm}" }', "body.a", "`source.first_touch` has no `utm`"),
    ('body = { a = "{source.third_touch.page}" }', "body.a", "Did you mean"),
    ('body = { a = "{}" }', "body.a", "is no path"),
    ('body = { a = "{extra.Phone}" }', "body.a", "is a field of every form that delivers here"),
    ('body = { a = "{id" }', "body.a", "write `{{` or `}}`"),
    ('body = { a = { b = ["{nope}"] } }', "body.a.b", "is no path"),
    ('body = { a = "$NOPE" }', "body.a", "`$NOPE` is not set"),
    (f'body = {{ token = "{HIDDEN}" }}', "body.token", "a literal where a secret belongs"),
    ("body = { a = 2026-11-22 }", "body.a", "is a date or time"),
    ("body = { a = inf }", "body.a", "JSON cannot carry"),
    ("body = { a = 9223372036854775808 }", "body.a", "JSON cannot carry"),
    ('format = "form"\nbody = { a = ["{id}"] }', "body.a", '`format` is "form"'),
    ('format = "form"\nbody = { a = { b = "{id}" } }', "body.a", '`format` is "form"'),
]


@pytest.mark.parametrize(("line", "key", "words"), WEBHOOK_MISTAKES)
def test_a_mistake_in_a_webhook_is_told_without_any_secret(line: str, key: str, words: str) -> None:
    found = mistakes(with_webhook(line))
    assert [path for path, _ in found] == [f"destinations.crm.{key}"], found
    assert words in found[0][1]
    assert HIDDEN not in str(found)
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("crm.example.com/leads", "https://"),
        ("https://crm.example.com/{nope}", "is no path"),
        ("https://{fields.phone}.example.com/", "must not have a placeholder in its host"),
        ("https://crm.example.com:{version}/", "must not have a placeholder in its host"),
        ("https://crm.example.com/{id", "write `{{` or `}}`"),
        ("ftp://crm.example.com", "https://"),
        ("https://", "https://"),
        ("https:///leads", "https://"),
        ("https://crm.example.com/a b", "without spaces"),
        ("https://user:hunter2@crm.example.com/", "must not have a user and password"),
        ("https://crm.example.com:99999/", "must be an address"),
        ("https://[::1/", "must be an address"),
        ("https://999.1.1.1/", "https://"),
        ("https://crm.example.com/?api_key=hunter2", "a literal where a secret belongs, at `api_key`"),
        ("$NOPE", "`$NOPE` is not set"),
        ("$KEY", "https://"),
    ],
)
def test_an_address_that_cannot_be_posted_to_is_a_mistake_and_not_repeated(url: str, words: str) -> None:
    [(path, message)] = mistakes(SMALLEST.replace("https://crm.example.com/leads", url))
    assert path == "destinations.crm.url"
    assert words in message
    assert "hunter2" not in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://crm.example.com/leads?source=web", "https://crm.example.com/leads?source=web"),
        ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("http://[::1]:9000/x", "http://[::1]:9000/x"),
        ("http://crm/x", "http://crm/x"),
        ("https://Büro.example/x", "https://Büro.example/x"),
        ("$URL", "https://hooks.example.com/catch/s3cret"),
        ("https://crm.example.com/?key=$KEY", "https://crm.example.com/?key=s3cret-key"),
        ("https://crm.example.com/?$$top=1", "https://crm.example.com/?$top=1"),
    ],
)
def test_an_address_may_be_or_hold_a_name_from_the_environment(url: str, sent: str) -> None:
    assert reveal(webhook(config(SMALLEST.replace("https://crm.example.com/leads", url))).url) == sent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("forms", "is missing"), ("destinations", "is missing")]),
        ("forms = 3\ndestinations = []", [("forms", "must be a table"), ("destinations", "must be a table")]),
        ("[forms]\n[destinations]", [("forms", "at least one"), ("destinations", "at least one")]),
        (SMALLEST + "[form.x]", [("form", "Did you mean `forms`?")]),
        (SMALLEST + "[service]\nreplicas = 6", [("service.replicas", "whole number from 0 to 5")]),
        (
            SMALLEST + '[service]\npublic_url = "x"\nreplicas = 1\nport = 3',
            [
                ("service.public_url", "`x` is not an origin"),
                ("service.port", "is not known here"),
            ],
        ),
        (
            SMALLEST + '[service]\ntrusted_proxies = ["10.0.0.0/8", "proxy"]\nretention = "for ever"',
            [
                (
                    "service.trusted_proxies",
                    "item 2: `proxy` is no network: it must be an address",
                ),
                ("service.retention", "must be a duration"),
            ],
        ),
        (SMALLEST.replace("contact", "Contact"), [("forms.Contact", "lower-case letters")]),
        (SMALLEST.replace("contact", '"a b"'), [('forms."a b"', "lower-case letters")]),
        (SMALLEST.replace("contact", "a" * 65), [("forms." + "a" * 65, "1 to 64")]),
        (SMALLEST.replace('["crm"]', '["cmr"]'), [("forms.contact.deliver", "Did you mean `crm`? There are `crm`.")]),
        (SMALLEST.replace('["crm"]', '["crm", "crm"]'), [("forms.contact.deliver", "twice")]),
        (SMALLEST.replace('["crm"]', "[]"), [("forms.contact.deliver", "must not be empty")]),
        (SMALLEST.replace('["crm"]', '"crm"'), [("forms.contact.deliver", "must be a list")]),
        (SMALLEST.replace('deliver = ["crm"]', ""), [("forms.contact.deliver", "is missing")]),
        (SMALLEST.replace('fields.phone = { type = "phone" }', ""), [("forms.contact.fields", "is missing")]),
        (SMALLEST.replace('{ type = "phone" }', '{ type = "text" }'), [("forms.contact.fields", "one person")]),
        (SMALLEST.replace('fields.phone = { type = "phone" }', "fields = {}"), [("forms.contact.fields", "at least")]),
        (SMALLEST.replace('type = "webhook"', ""), [("destinations.crm.type", "is missing")]),
        (SMALLEST.replace('type = "webhook"', 'type = "webhok"'), [("destinations.crm.type", "`webhook`")]),
        (SMALLEST.replace('url = "https://crm.example.com/leads"', ""), [("destinations.crm.url", "is missing")]),
        ("forms.x = 3\n" + SMALLEST, [("forms.x", "must be a table, not a number")]),
    ],
)
def test_what_is_missing_or_misplaced_is_told(text: str, expected: list[tuple[str, str]]) -> None:
    found = mistakes(text)
    assert [path for path, _ in found] == [path for path, _ in expected]
    for (_, message), (_, words) in zip(found, expected, strict=True):
        assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[forms", "line 1"),
        ("a = 1\nb = ", "line 2"),
        ("a = 1\na = 2", "line 2"),
        ("a = " + "9" * 5_000, "a number is too long"),
        ("a = " + "[" * 50_000, "nested too deeply"),
        ("a = \x00", "line 1"),
    ],
)
def test_what_is_not_toml_is_one_mistake_with_its_line(text: str, words: str) -> None:
    [(path, message)] = mistakes(text)
    assert path == ""
    assert words in message


@pytest.mark.parametrize("quotes", ["\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb", "\u201e\u201c"])
def test_quotes_of_a_word_processor_are_told_as_what_they_are(quotes: str) -> None:
    read = parse(SMALLEST.replace('"webhook"', f"{quotes[0]}webhook{quotes[1]}"), ENVIRON, str)
    assert isinstance(read, Mistakes)
    assert read.items[0].message.endswith("at line 6, column 8). Quotes must be straight: \" or ', not curly")


def test_a_file_with_ten_mistakes_reports_ten_in_the_order_of_the_file() -> None:
    found = mistakes(f"""
        [destinations.crm]
        type = "webhook"
        url = "crm.example.com"
        secret = "{HIDDEN}"
        body = {{ who = "{{fields.nam}}", at = "{{time}}" }}
        [forms.contact]
        country = "XX"
        deliver = ["crm", "other"]
        windw = "30d"
        fields.name = {{ type = "txt" }}
        fields.phone = {{ type = "phone", require = true }}
        [forms.bare]
        fields.email = {{ type = "email" }}
    """)
    assert [path for path, _ in found] == [
        "destinations.crm.url",
        "destinations.crm.secret",
        "destinations.crm.body.who",
        "destinations.crm.body.at",
        "forms.contact.country",
        "forms.contact.deliver",
        "forms.contact.windw",
        "forms.contact.fields.name.type",
        "forms.contact.fields.phone.require",
        "forms.bare.deliver",
    ]
    assert HIDDEN not in str(found)


def test_country_is_always_among_the_expected_countries() -> None:
    assert config(with_form('country = "DE"')).forms["contact"].countries == ("DE", "IN", "US", "GB", "AE")
    assert config(with_form('country = "GB"\ncountries = ["US"]')).forms["contact"].countries == ("GB", "US")
    assert config(with_form('countries = ["US", "IN"]')).forms["contact"].countries == ("US", "IN")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://WWW.Example.COM/", "https://www.example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80/", "http://example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_browsers_spell_it(written: str, kept: str) -> None:
    form = config(with_form(f'origins = ["{written}"]\nredirects = ["{written}"]')).forms["contact"]
    assert (form.origins, form.redirects) == ((kept,), (kept,))


@pytest.mark.parametrize(("written", "rate"), [("10/s", (10, 1_000)), ("30/m", (30, MINUTE)), ("100/h", (100, HOUR))])
def test_a_rate_is_a_number_of_requests_in_a_time(written: str, rate: tuple[int, int]) -> None:
    assert config(with_webhook(f'rate = "{written}"')).destinations["crm"].rate == rate


@pytest.mark.parametrize(
    ("written", "length"),
    [("1s", 1_000), ("1500ms", 1_500), ("5m", 5 * MINUTE), ("2h", 2 * HOUR), ("30d", 30 * DAY)],
)
def test_a_duration_is_kept_in_milliseconds(written: str, length: int) -> None:
    assert config(with_form(f'quiet = "0s"\nwindow = "{written}"')).forms["contact"].window == length
    assert show(length) == written


def test_a_secret_comes_from_a_file_that_the_environment_names() -> None:
    text = with_webhook('secret = ["$NEW", "$CRM"]')
    files = {"/run/secrets/new": SIGNING + "\n"}
    found = parse(text, {"NEW_FILE": "/run/secrets/new", "CRM": SIGNING}, files.__getitem__)
    assert isinstance(found, Config)
    assert webhook(found).secrets == (Secret(SIGNING), Secret(SIGNING))
    [(path, message)] = mistakes(text, {"NEW_FILE": "/run/secrets/gone", "CRM": SIGNING})
    assert (path, message) == ("destinations.crm.secret", "item 1: the file that NEW_FILE names cannot be read")


def with_files(line: str, environ: Mapping[str, str], files: Mapping[str, str]) -> Config | list[tuple[str, str]]:
    found = parse(with_webhook(line), environ, files.__getitem__)
    return found if isinstance(found, Config) else [(each.path, each.message) for each in found.items]


def test_the_authorities_of_a_destination_come_from_a_file() -> None:
    pem = Authority().pem.decode()
    found = with_files('ca = "ca.pem"', {}, {"ca.pem": f"of the CRM\n{pem}{pem}"})
    assert isinstance(found, Config)
    assert pem in webhook(found).ca


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ca = 7", "must be the name of a file, not a number"),
        ('ca = "gone.pem"', "names a file that cannot be read"),
        ('ca = "key.pem"', "names a file without a certificate in it: it must hold `-----BEGIN CERTIFICATE-----`"),
        ('ca = "cut.pem"', "names a file without a certificate in it: it must hold `-----BEGIN CERTIFICATE-----`"),
    ],
)
def test_a_file_that_holds_no_authority_is_a_mistake(line: str, message: str) -> None:
    cut = Authority().pem.decode()[:200]
    key = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n"
    files = {"key.pem": key, "cut.pem": cut}

    def read_file(name: str) -> str:
        return files[name] if name in files else no_files(name)

    found = parse(with_webhook(line), {}, read_file)
    assert isinstance(found, Mistakes)
    assert [(each.path, each.message) for each in found.items] == [("destinations.crm.ca", message)]


def test_a_destination_has_a_proxy_of_its_own_or_that_of_the_service_or_none() -> None:
    environ = {"OWN": "http://127.0.0.1:3128", "ALL": "http://leads:s3cret@proxy.example:8080/"}
    for line, expected in (('proxy = "$OWN"', environ["OWN"]), ("", environ["ALL"]), ('proxy = ""', None)):
        found = read(with_webhook(line) + '\n[service]\nproxy = "$ALL"', environ)
        assert isinstance(found, Config)
        proxy = found.proxy_to(found.destinations["crm"])
        assert (proxy and proxy.reveal()) == expected
        assert "s3cret" not in repr(found)
    found = config(SMALLEST)
    assert found.proxy_to(found.destinations["crm"]) is None


@pytest.mark.parametrize(
    "address",
    [
        "s3cret", "https://u:s3cret@proxy:3128", "socks5://u:s3cret@proxy:1080", "http://u:s3cret@proxy",
        "http://u:s3cret@:3128", "http://u:s3cret@proxy:99999", "http://u:s3cret@proxy:3128/path", "http://[s3cret",
    ],
)  # fmt: skip
@pytest.mark.parametrize("of", ["destinations.crm", "service"])
def test_a_proxy_that_is_none_is_a_mistake_and_not_repeated(address: str, of: str) -> None:
    text = with_webhook('proxy = "$P"') if of == "destinations.crm" else SMALLEST + '[service]\nproxy = "$P"'
    [(path, message)] = mistakes(text, {"P": address})
    assert (path, message) == (f"{of}.proxy", "$P is no proxy: it must be as `http://user:password@host:3128`")


def test_a_secret_is_in_no_repr_of_the_configuration() -> None:
    found = config(
        with_webhook('secret = "$CRM"\nheaders = { X-Key = "$KEY" }\nbody = { token = "$KEY", id = "{id}" }')
    )
    assert "s3cret" not in repr(found)
    assert SIGNING not in repr(found)


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ('secret = "$CRM"', []),
        ("", ["destinations.crm.secret"]),
        ('headers = { X-Key = "$KEY" }', []),
        ('body = { deep = [{ token = "$KEY" }] }', []),
        ('secret = "$CRM"\nretry = []', ["destinations.crm.retry"]),
    ],
)
def test_what_is_worth_telling_is_a_warning(line: str, paths: list[str]) -> None:
    text = with_webhook(line).replace("[forms.contact]", '[forms.contact]\norigins = ["https://example.com"]')
    assert [each.path for each in config(text).warnings] == paths
    open_to_all = ["forms.contact.origins", "forms.contact.limits"]
    assert [each.path for each in config(with_webhook(line)).warnings] == [*open_to_all, *paths]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ("{}", [("limits", "is not set, and anybody may post as often as they like")]),
        ('{ form = "600/m" }', [("limits.address", "one address may use up what all may post together")]),
        (
            '{ person = "10/h" }',
            [("limits.address", "anybody may post as often as they like: `person` refuses nobody")],
        ),
        ('{ form = "600/m", person = "10/h" }', [("limits.address", "one address may use up")]),
        ('{ address = "30/m" }', []),
    ],
)
def test_what_is_told_about_limits_fits_those_that_are_set(limits: str, told: list[tuple[str, str]]) -> None:
    text = with_webhook('secret = "$CRM"').replace("[forms.contact]", f"[forms.contact]\nlimits = {limits}")
    found = [each for each in config(text).warnings if "limits" in each.path]
    assert [each.path for each in found] == [f"forms.contact.{path}" for path, _ in told]
    assert all(words in each.message for each, (_, words) in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://crm.example.com", ["http:// to a public host"]),
        ("https://crm.example.com", []),
        ("http://crm:8080/x", ["private address"]),
        ("http://[::1]/x", ["private address"]),
        ("http://10.0.0.5/x", ["private address"]),
        ("https://localhost/x", ["private address"]),
        ("$URL", []),
    ],
)
def test_an_address_in_the_open_or_on_this_network_is_a_warning(url: str, words: list[str]) -> None:
    found = config(SMALLEST.replace("https://crm.example.com/leads", url)).warnings
    told = [each.message for each in found if each.path == "destinations.crm.url"]
    assert len(told) == len(words)
    assert all(word in each for word, each in zip(words, told, strict=True))


def test_a_field_named_like_ours_needs_a_body_of_its_own_in_a_flat_form() -> None:
    text = with_form('fields.type = { type = "text" }') + 'format = "form"\n'
    [(path, message)] = mistakes(text)
    assert path == "destinations.crm.format"
    assert "`type`" in message
    assert config(text + 'body = { kind = "{fields.type}" }\n')


def test_a_path_to_a_phone_or_extra_needs_a_form_that_has_one() -> None:
    text = SMALLEST.replace('fields.phone = { type = "phone" }', 'fields.e = { type = "email" }\nallow_extra = false')
    found = mistakes(text + 'body = { a = "{phone.e164}", b = "{extra.colour}" }')
    assert [path for path, _ in found] == ["destinations.crm.body.a", "destinations.crm.body.b"]
    assert "no form that delivers here has a field of type `phone`" in found[0][1]
    assert "takes extra fields" in found[1][1]


def test_a_destination_that_nobody_uses_may_name_any_field() -> None:
    unused = (
        SMALLEST + '[destinations.later]\ntype = "webhook"\nurl = "https://x.example"\nbody = { a = "{fields.any}" }'
    )
    assert [each.path for each in config(unused).warnings][-2:] == ["destinations.later", "destinations.later.secret"]


def test_the_name_of_a_field_is_compared_without_case_blanks_and_punctuation() -> None:
    assert (
        fold("Phone-Number") == fold("phone number") == fold("phone[number]") == fold("PHONE_NUMBER") == "phonenumber"
    )


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert config("\ufeff" + SMALLEST) == config(SMALLEST)


def test_a_secret_that_is_no_text_is_a_mistake() -> None:
    [(path, message)] = mistakes(with_webhook('headers = { X-Key = "$BAD" }'), {"BAD": "\udcff"})
    assert (path, message) == ("destinations.crm.headers.X-Key", "`$BAD` is not UTF-8 text; `$$` is a dollar sign")


def test_a_short_window_shortens_the_quiet_time_that_was_not_set() -> None:
    form = config(with_form('window = "30m"')).forms["contact"]
    assert (form.window, form.quiet) == (30 * MINUTE, 30 * MINUTE)


def test_a_text_may_be_written_in_any_script() -> None:
    text = "धन्यवाद! क्\u200dष 👩\u200d⚕️"
    assert config(with_form(f'messages.success = "{text}"')).forms["contact"].messages.success == text


def test_a_path_is_spelled_as_toml_spells_it() -> None:
    assert spell(("forms", "a b", 'c"d')) == 'forms."a b"."c\\"d"'


KEYS = st.sampled_from(
    [
        "forms",
        "destinations",
        "service",
        "crm",
        "contact",
        "type",
        "url",
        "secret",
        "headers",
        "body",
        "fields",
        "phone",
        "deliver",
        "format",
        "choices",
        "aliases",
        "window",
        "retry",
        "rate",
        "origins",
        "messages",
        "x",
        "country",
        "Authorization",
        "token",
        "delivered",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["$CRM", "$NOPE", "{id}", "{fields.x}", "phone", "webhook", "5s", "crm", "https://x.example", "form"]
    ),
)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**65), 2**65), st.floats(), TEXTS, st.dates(), st.times())
NONSENSE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
PLACES = st.sampled_from(
    [
        (),
        ("forms",),
        ("forms", "contact"),
        ("forms", "contact", "fields"),
        ("forms", "contact", "fields", "phone"),
        ("destinations",),
        ("destinations", "crm"),
        ("destinations", "crm", "body"),
        ("destinations", "crm", "headers"),
    ]
)


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(each):08X}" for each in value) + '"'
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case int() | float():
            return repr(value)
        case _:
            return str(value.isoformat())


@settings(max_examples=400, derandomize=True, deadline=None)
@given(place=PLACES, key=KEYS, value=NONSENSE)
def test_any_nonsense_is_taken_or_refused_and_never_breaks_the_reading(
    place: tuple[str, ...], key: str, value: Any
) -> None:
    tree: dict[str, Any] = tomllib.loads(SMALLEST)
    table = tree
    for name in place:
        table = table.setdefault(name, {})
    table[key] = value
    text = "".join(f"{toml(each)} = {toml(below)}\n" for each, below in tree.items())
    try:
        tomllib.loads(text)
    except ValueError:
        return
    match read(text):
        case Config() as found:
            assert found.forms
            assert found.destinations
        case Mistakes(items):
            assert items
            assert not any(value in str(items) for value in (SIGNING, "s3cret"))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    url=st.one_of(st.text(max_size=30), st.from_regex(r"https?://[^\s]{1,20}(:[0-9]{1,6})?(/.{0,10})?", fullmatch=True))
)
def test_an_address_that_is_taken_is_one_that_httpx_takes(url: str) -> None:
    found = parse(SMALLEST.replace('"https://crm.example.com/leads"', '"$U"'), {"U": url or "x"}, no_files)
    if isinstance(found, Config):
        request = httpx.Request("POST", reveal(webhook(found).url))
        assert request.url.host
        assert request.url.scheme in {"http", "https"}
