"""What looks like spam about a submission: each signal, what it weighs, and what never speaks against a person."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lib.secret import Secret
from service.model.form import SIGNALS, Field, Form, Spam
from service.replies import page, wording
from service.submission import spam
from service.submission.check import Checked, check
from service.submission.form_data import Control, gather

SECRET = Secret("what only this clinic knows")
NOW = 1_790_000_000_000
FORM = Form(
    "clinic",
    {
        "name": Field("name"),
        "phone": Field("phone", "phone"),
        "email": Field("email", "email"),
        "website": Field("website", aliases=("your site",)),
        "message": Field("message", multiline=True),
    },
    ("crm",),
)
GOOD = {"name": "Asha Rao", "phone": "089510 47001", "email": "asha@example.com"}
LINK = SIGNALS["links"]


def checked(form: Form = FORM, /, **sent: str) -> Checked:
    found = check(form, gather({**GOOD, **sent}.items()))
    assert isinstance(found, Checked), found
    return found


def weighing(**weights: int) -> Form:
    return replace(FORM, spam=Spam(weights=SIGNALS | weights))


def signals(form: Form = FORM, /, **sent: str) -> Mapping[str, int]:
    return checked(form, **sent).signals


def session(told: object) -> str:
    return b64encode(json.dumps(told).encode()).decode()


def visit(control: Control | None = None, told: str = "", *, form: Form = FORM, now: int = NOW) -> Mapping[str, int]:
    return spam.of_visit(form, control or Control(), told, secret=SECRET, now=now)


# --- a person


@pytest.mark.parametrize(
    "message",
    [
        "",
        "My knee hurts when I climb stairs. Do you have time on Monday, or Tuesday after 5?",
        "Pain level <3 out of 10, and if x < y > z I cannot bend it [left knee]",
        "Dr.Rao/Dr.Nair sent me. My mail is asha.rao@gmail.com, I saw you on practo.com.",
        "मेरे घुटने में दर्द है",
        "I <b",
        "a/b, and/or, 10.30am, e.g.this",
    ],
)
def test_a_plausible_lead_weighs_nothing(message: str) -> None:
    assert signals(message=message) == {}
    assert visit() == {}


def test_what_a_script_puts_into_hidden_fields_is_no_link_of_the_visitor() -> None:
    page = "https://www.example.com/contact?utm_source=ad"
    assert signals(page_url=page, referrer=page, landing_page=f"{page} {page}", somewhere=page) == {}


# --- what was sent


@pytest.mark.parametrize(
    ("message", "times"),
    [
        ("see https://a.example", 1),
        ("see HTTP://A.EXAMPLE and http://a.example", 1),
        ("www.a.example is it", 1),
        ("write to t.me/spammer", 1),
        ("https://a.example https://b.example", 2),
        ("\n".join(f"https://{n}.example" for n in range(50)), 3),
    ],
)
def test_links_in_text_weigh_more_when_they_are_several(message: str, times: int) -> None:
    assert signals(message=message) == {"links": times * LINK}


def test_a_link_where_one_is_asked_for_weighs_nothing() -> None:
    assert signals(website="https://asha.example") == {}
    assert signals(name="https://spam.example") == {"links": LINK}


def test_links_among_the_words_of_an_extra_count() -> None:
    assert signals(note="buy at https://spam.example now") == {"links": LINK}


@pytest.mark.parametrize(
    "message",
    ['<a href="x">y</a>', "<A HREF=x>", "<br/>", "</div>", "[url=x]", "[URL]x", "[link=x]y[/link]", "[b]x[/b]"],
)
def test_markup_in_text_is_a_signal(message: str) -> None:
    assert signals(message=message) == {"markup": SIGNALS["markup"]}
    assert signals(note=message) == {"markup": SIGNALS["markup"]}


@pytest.mark.parametrize("domain", ["mailinator.com", "MAILINATOR.com", "inbox.mailinator.com"])
def test_a_disposable_address_is_a_signal(domain: str) -> None:
    assert signals(email=f"asha@{domain}") == {"disposable": SIGNALS["disposable"]}


@pytest.mark.parametrize("domain", ["gmail.com", "example.co.in", "घुटना.example", "mailinator-clinic.com"])
def test_any_other_address_is_none(domain: str) -> None:
    assert signals(email=f"asha@{domain}") == {}


def test_a_made_up_number_is_a_signal() -> None:
    assert signals(phone="99999 99999") == {"junk_phone": SIGNALS["junk_phone"]}


def test_a_filled_honeypot_is_a_signal_that_always_keeps_from_delivery() -> None:
    found = checked(_gotcha="x")
    assert (found.signals, found.quarantine) == ({"honeypot": SIGNALS["honeypot"]}, ("honeypot",))


def test_the_trap_is_a_signal_and_condemns_by_its_weight_alone() -> None:
    found = checked(_remark="x")
    assert (found.signals, found.quarantine) == ({"trap": SIGNALS["trap"]}, ())
    assert SIGNALS["trap"] > 10


@pytest.mark.parametrize("empty", ["", "  ", "\x00\n"])
def test_a_honeypot_with_nothing_visible_in_it_is_empty(empty: str) -> None:
    assert signals(_gotcha=empty, _remark=empty) == {}


def test_a_weight_of_0_switches_a_signal_off() -> None:
    form = weighing(links=0, honeypot=0)
    found = checked(form, message="<b>https://a.example</b>", _gotcha="x")
    assert (found.signals, found.quarantine) == ({"markup": SIGNALS["markup"]}, ())


def test_a_form_may_weigh_otherwise() -> None:
    assert signals(weighing(links=4), message="https://a.example www.b.example") == {"links": 8}


# --- how it was sent


def token(ago: int, form: Form = FORM, secret: Secret = SECRET) -> str:
    return spam.make_token(secret, form, NOW - ago)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (0, {"too_fast": SIGNALS["too_fast"]}),
        (spam.TOO_FAST_MS - 1, {"too_fast": SIGNALS["too_fast"]}),
        (spam.TOO_FAST_MS, {}),
        (spam.TOKEN_AGE_MS, {}),
        (spam.TOKEN_AGE_MS + 1, {"stale_token": SIGNALS["stale_token"]}),
        (-500, {}),  # another process's clock
    ],
)
def test_the_token_says_how_long_the_form_was_open(ago: int, expected: Mapping[str, int]) -> None:
    assert visit(Control(token=token(ago))) == expected


@pytest.mark.parametrize(
    "forged",
    [
        token(5_000, secret=Secret("another")),
        token(5_000, replace(FORM, name="other")),
        token(5_000)[:-2] + "00",
        f"{NOW:x}-" + "0" * 32,
    ],
)
def test_a_forged_token_is_stale_and_says_nothing_about_time(forged: str) -> None:
    assert visit(Control(token=forged)) == {"stale_token": SIGNALS["stale_token"]}


@pytest.mark.parametrize(
    "foreign",
    ["nonsense", "१-" + "0" * 32, "sZ0dXk3rYqO2n5cV8bW1mL7pQ4tU6eJ9aHfGiKwN", f"{token(5_000)}, {token(5_000)}"],
)
def test_a_token_of_another_shape_is_some_frameworks_and_says_nothing(foreign: str) -> None:
    assert visit(Control(token=foreign)) == {}


def test_the_token_counts_before_the_browsers_word() -> None:
    assert visit(Control(token=token(5_000), elapsed="10")) == {}
    assert visit(Control(token=token(10), elapsed="90000")) == {"too_fast": SIGNALS["too_fast"]}


@pytest.mark.parametrize(
    ("elapsed", "told", "is_fast"),
    [
        ("300", "", True),
        ("2000", "", False),
        ("", session({"loadedAt": NOW - 300, "webdriver": False}), True),
        ("", session({"loadedAt": NOW - 300.5}), True),
        ("", session({"loadedAt": NOW - 60_000}), False),
        ("", session({"loadedAt": NOW + 60_000}), False),  # a clock that goes ahead
        ("60000", session({"loadedAt": NOW - 300}), False),
        ("-5", "", False),
        ("soon", "", False),
        ("", session({"loadedAt": None}), False),
        ("", session({"loadedAt": "x"}), False),
    ],
)
def test_without_a_token_the_browser_says_how_long_it_took(elapsed: str, told: str, *, is_fast: bool) -> None:
    assert visit(Control(elapsed=elapsed), told) == ({"too_fast": SIGNALS["too_fast"]} if is_fast else {})


@pytest.mark.parametrize(
    ("control", "told"), [(Control(webdriver="1"), ""), (Control(), session({"webdriver": True, "more": [1]}))]
)
def test_a_browser_that_is_driven_is_a_signal(control: Control, told: str) -> None:
    assert visit(control, told) == {"webdriver": SIGNALS["webdriver"]}


@pytest.mark.parametrize(
    "told",
    ["x", "é", "AAAA", b64encode(b"[]").decode(), b64encode(b'{"a":' + b"[" * 1_400).decode(), "A" * 100_000,
     b64encode(b"\xff").decode(), session({"webdriver": "true"}), b64encode(b'{"loadedAt":1e999}').decode()],
)  # fmt: skip
def test_a_broken_session_says_nothing(told: str) -> None:
    assert visit(told=told) == {}


def test_a_form_shown_again_keeps_its_clock() -> None:
    known = token(30_000)
    assert spam.renew_token(SECRET, FORM, known, NOW) == known


@pytest.mark.parametrize("known", ["", "forged", token(spam.TOKEN_AGE_MS + 1)])
def test_nobody_who_corrects_a_slip_is_too_fast(known: str) -> None:
    fresh = spam.renew_token(SECRET, FORM, known, NOW)
    assert visit(Control(token=fresh)) == {}


@given(st.text(max_size=200), st.text(max_size=100), st.text(max_size=60))
def test_any_text_gets_an_answer(text: str, told: str, control: str) -> None:
    visit(Control(token=control, elapsed=control, webdriver=control), told)
    visit(told=b64encode(text.encode("utf-8", "replace")).decode())
    spam.of_content(FORM, Control(gotcha=text, remark=text), checked(message=f"x{control}").content)


# --- the same text


def test_only_a_longer_text_of_the_forms_fields_is_known_again() -> None:
    text = "We  offer the best backlinks for your clinic,\nask us about a price today"
    assert spam.long_text(FORM, checked(message=text).content) == " ".join(text.casefold().split())
    assert spam.long_text(FORM, checked(message="call me please").content) is None
    assert spam.long_text(FORM, checked(note=text).content) is None


@pytest.mark.parametrize("blank", ["\x1c", "\x1d", "\x1f", "\x85", "\u2028", "\u3000"])
def test_blanks_that_only_some_readers_know_break_nothing_around_a_time(blank: str) -> None:
    expected = {"too_fast": SIGNALS["too_fast"]}
    assert visit(Control(elapsed=f"{blank}10{blank}")) == expected
    assert visit(Control(elapsed=f"1{blank}0")) == {}


@pytest.mark.parametrize("sent", ["url2", " URL2 ", "_gotcha"])
def test_a_form_may_name_its_own_honeypot(sent: str) -> None:
    form = Form("a", {"phone": Field("phone", "phone")}, (), honeypot="url2")
    posted = gather([("phone", "8951047001"), (sent, "x")], honeypot=form.honeypot)
    checked = check(form, posted)
    assert isinstance(checked, Checked)
    assert checked.quarantine == ("honeypot",)
    assert checked.content.extra == {}
    assert f'name="{form.honeypot}"' in page.hosted(form, wording.of(form))
