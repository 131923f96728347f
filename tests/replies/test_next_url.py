"""Where `_next` may lead: a table of the friendly and the hostile."""

import json
import random
import shutil
import subprocess
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lib import origin
from service.model.form import Field, Form
from service.replies import next_url
from service.web.submit import may_post

SITE = "https://www.example.com"
FORM = Form(
    "get-in-touch",
    {"phone": Field("phone", "phone")},
    ("crm",),
    redirects=(SITE, "https://münchen.example", "http://shop.example.com:8080"),
)
OWN = origin.own("https", "forms.example.net", None)


def resolve(sent: str, referer: str = f"{SITE}/contact/us?a=1") -> str:
    return next_url.resolve(sent, FORM, referer=referer, own=OWN)


@pytest.mark.parametrize(
    ("sent", "leads_to"),
    [
        (f"{SITE}/thanks", f"{SITE}/thanks"),
        (SITE, SITE),
        (f"{SITE}?sent=1#top", f"{SITE}?sent=1#top"),
        ("HTTPS://WWW.Example.COM/Thanks", f"{SITE}/Thanks"),
        (f"{SITE}:443/x", f"{SITE}/x"),
        (f"  {SITE}/x ", f"{SITE}/x"),
        ("http://shop.example.com:8080/x", "http://shop.example.com:8080/x"),
        ("https://münchen.example/danke", "https://xn--mnchen-3ya.example/danke"),
        ("https://xn--mnchen-3ya.example/danke", "https://xn--mnchen-3ya.example/danke"),
        ("https://MÜNCHEN.example/danke", "https://xn--mnchen-3ya.example/danke"),
        (f"{SITE}/ಧನ್ಯ", f"{SITE}/%E0%B2%A7%E0%B2%A8%E0%B3%8D%E0%B2%AF"),
        (f"{SITE}/thank you", f"{SITE}/thank%20you"),
        (f"{SITE}/a%20b?u=https%3A%2F%2Fx.example%5C", f"{SITE}/a%20b?u=https%3A%2F%2Fx.example%5C"),
        ("https://www.example。com/x", f"{SITE}/x"),
        ("/thanks", f"{SITE}/thanks"),
        ("thanks", f"{SITE}/contact/thanks"),
        ("../thanks", f"{SITE}/thanks"),
        ("?sent=1", f"{SITE}/contact/us?sent=1"),
        ("#sent", f"{SITE}/contact/us?a=1#sent"),
        ("//www.example.com/x", f"{SITE}/x"),
        ("https://forms.example.net/f/get-in-touch", "https://forms.example.net/f/get-in-touch"),
        ("https://forms.example.net/f/get-in-touch/thanks", "https://forms.example.net/f/get-in-touch/thanks"),
    ],
)
def test_an_address_of_the_owner_is_followed(sent: str, leads_to: str) -> None:
    assert resolve(sent) == leads_to


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "   ",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https:\\\\evil.example",
        "https:www.example.com",
        "https://evil.example",
        "http://www.example.com/",
        "https://www.example.com:8443/",
        "https://www.example.com:99999/",
        "https://www.example.com@evil.example/",
        "https://user:pass@www.example.com/",
        "https://www.example.com:pass@evil.example/",
        "https://evil.example\\@www.example.com/",
        "https://evil.example#@www.example.com/",
        "https://evil.example?@www.example.com/",
        "https://www.example.com.evil.example/",
        "https://www.example.com./",
        "https://evilwww.example.com/",
        "https://example.com/",
        "https://www.example.com。evil.example/",
        "https://www.examp\u217ee.com.evil/",
        "https://[::1]/",
        "https://[/",
        "//[",
        "https://www%2Eexample%2Ecom/",
        "https://",
        "javascript:alert(1)",
        "JavaScript://www.example.com/%0aalert(1)",
        "data:text/html,x",
        "ftp://www.example.com/",
        "file:///etc/passwd",
        "ht\ttps://www.example.com/",
        f"{SITE}/\x00",
        f"{SITE}/\r\nSet-Cookie: a=b",
        f"{SITE}/%0d%0aSet-Cookie:a=b",
        f"{SITE}/%00",
        f"{SITE}//evil.example",
        f"{SITE}/%2Fevil.example",
        f"{SITE}/%252Fevil.example",
        f"{SITE}/%5Cevil.example",
        f"{SITE}/%255Cevil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/.//evil.example",
        "/%09/evil.example",
        f"{SITE}/{'x' * 2_000}",
        "https://forms.example.net/",
        "https://forms.example.net/f/other",
        "https://forms.example.net/f/get-in-touch/../other",
        "https://forms.example.net/f/get-in-touch/phone",
    ],
)
def test_a_hostile_address_is_not_followed(sent: str) -> None:
    assert resolve(sent) == ""


@pytest.mark.parametrize(
    ("referer", "sent", "leads_to"),
    [
        ("", "/thanks", ""),
        ("", "?sent=1", "https://forms.example.net/f/get-in-touch?sent=1"),
        ("", "/f/get-in-touch/thanks", "https://forms.example.net/f/get-in-touch/thanks"),
        ("nonsense", "/thanks", ""),
        ("https://evil.example/page", "/thanks", ""),
        ("https://evil.example/page", f"{SITE}/thanks", f"{SITE}/thanks"),
        ("https://evil.example\\@www.example.com/", "/thanks", ""),
        ("https://forms.example.net/f/get-in-touch", "/thanks", ""),
        (f"{SITE}", "thanks", f"{SITE}/thanks"),
    ],
)
def test_a_relative_address_is_relative_to_the_posting_page(referer: str, sent: str, leads_to: str) -> None:
    assert resolve(sent, referer) == leads_to


def test_the_form_s_own_page_needs_no_setting() -> None:
    bare = Form("a", {}, ())
    assert next_url.resolve("/f/a", bare, referer="", own=("http://x",)) == "http://x/f/a"
    assert next_url.resolve("/f/a", bare, referer="", own=()) == ""


@given(st.text(max_size=60) | st.text(alphabet="htps:/\\@.#?%25wexampl c", max_size=40), st.text(max_size=30))
def test_whatever_is_sent_leads_only_to_what_is_listed(sent: str, referer: str) -> None:
    found = next_url.resolve(sent, FORM, referer=referer, own=OWN)
    assert found == "" or origin.of_url(found) in {*map(origin.normalise, FORM.redirects), *OWN}
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://WWW.EXAMPLE.COM/", "https://www.example.com"),
        ("https://www.example.com:443", "https://www.example.com"),
        ("http://www.example.com:80", "http://www.example.com"),
        ("http://www.example.com:443", "http://www.example.com:443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://www.example.com/page", None),
        ("https://a..b", None),
        ("https://*.example.com", None),
        ("https://user@www.example.com", None),
        ("https://www.example.com:70000", None),
        ("www.example.com", None),
        ("null", None),
        ("*", None),
        ("", None),
        (f"https://{'a' * 300}.example", None),
    ],
)
def test_an_origin_has_one_spelling(text: str, spelled: str | None) -> None:
    assert origin.normalise(text) == spelled


@pytest.mark.parametrize(
    ("sent", "may"),
    [
        (None, True),
        ("null", True),
        (SITE, True),
        ("HTTPS://www.example.com:443", True),
        ("https://forms.example.net", True),
        ("http://forms.example.net", True),
        ("https://forms.example.net:8443", False),
        ("https://evil.example", False),
        ("http://www.example.com", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_only_listed_pages_and_our_own_may_post(sent: str | None, may: bool) -> None:
    form = Form("a", {}, (), origins=(SITE,))
    assert may_post(form, sent, OWN) is may
    assert may_post(Form("a", {}, ()), sent, ()) is True


def test_the_public_address_is_our_own_and_the_best_one() -> None:
    own = origin.own("http", "10.0.0.7:8000", "https://forms.example.net/leads")
    assert own == ("https://forms.example.net", "http://10.0.0.7:8000", "https://10.0.0.7:8000")
    assert origin.own("http", "", None) == ()


# --- against another reading of addresses

PIECES = (
    "https:", "http:", "HTTPS:", "javascript:", "//", "/", "\\", "\\\\", "///", "@", ":", ":443", ":80", "?", "#",
    ".", "..", "%2f", "%2F", "%5c", "%252f", "%255c", "%00", "%0d%0a", "%09", "%40", "%2540", "%3a", "\t", "\n", "\r",
    "\x00", " ", "\u3002", "\uff0f", "\uff20", "\u2044", "\u200d", "\xad", "\u202e", "user:pass@", "www.example.com",
    "WWW.EXAMPLE.com", "www.example.com.", "evil.example", "\uff45vil.example", "münchen.example", "0x7f.1", "[::1]",
    "xn--mnchen-3ya.example", "shop.example.com:8080", "forms.example.net", "f/get-in-touch", "thanks", "[", "]",
    "www.example.com%2eevil.example",
)  # fmt: skip
BROWSER = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const read = asked.map(([found, base]) => new URL(found, base));
process.stdout.write(JSON.stringify(read.map((url) => [url.origin, url.username + url.password])));
"""


def hostile(seed: int) -> str:
    """Return an address put together from what confuses readers of addresses, encoded once or twice here and there."""
    dice = random.Random(seed)
    text = "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 7)))
    if dice.random() < 0.5:
        text = dice.choice((SITE, f"{SITE}/", "https://forms.example.net/f/get-in-touch", "//www.example.com")) + text
    for _ in range(dice.choice((0, 0, 0, 1, 2))):
        at = dice.randrange(len(text))
        text = text[:at] + quote(text[at : at + 3], safe="") + text[at + 3 :]
    return text


def test_a_browser_reads_the_answer_as_we_do() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here, whose URL is the browsers'")
    referers = ("", f"{SITE}/contact/us", "https://evil.example/page", "https://forms.example.net/f/get-in-touch")
    asked = [(found, base or SITE) for seed in range(40_000) for base in [referers[seed % 4]]
             if (found := resolve(hostile(seed), base))]  # fmt: skip
    assert len(asked) > 1_000
    run = subprocess.run([node, "-e", BROWSER], input=json.dumps(asked), capture_output=True, text=True, check=True)
    allowed = {*map(origin.normalise, FORM.redirects), *OWN}
    for (found, _), (led_to, user) in zip(asked, json.loads(run.stdout), strict=True):
        assert led_to in allowed, found
        assert not user, found
