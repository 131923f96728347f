"""`leads doctor` says exactly what keeps a page's form from arriving, and nothing where all is well."""

import base64
import contextlib
import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from processes import Processes
from website import PLAIN, Site
from workshop import Workshop, destination

from service.cli.doctor.command import fetch
from service.cli.doctor.diagnosis import Diagnosis, diagnose
from service.cli.doctor.markup import read_page
from service.cli.doctor.security import allows
from service.config.config import Config
from service.lib.errors import CannotStart
from service.replies import assets

SERVICE, PAGE = "https://leads.example.com", "https://www.example.com/contact"
CONFIG = f"""
[service]
public_url = "{SERVICE}"
[forms.get-in-touch]
deliver = ["crm"]
origins = ["https://www.example.com"]
fields.name = {{ type = "text", required = true }}
fields.phone = {{ type = "phone", required = true, aliases = ["mobile"] }}
fields.email = {{ type = "email" }}
fields.branch = {{ type = "choice", choices = ["Bangalore", "Hyderabad"] }}
[forms.guarded]
deliver = ["crm"]
allow_extra = false
captcha = {{ type = "turnstile", sitekey = "0x4AAA", secret = "$CRM_SECRET" }}
fields.phone = {{ type = "phone", required = true }}
{destination("http://127.0.0.1:9/")}
"""
TRAP = '<p hidden><input name="_gotcha"></p>'
FIELDS = f'<input name="name"><input name="Mobile" type="tel"><input name="lead[email]">{TRAP}<button>Go</button>'
SCRIPT = f'<script src="{SERVICE}/lead-form.js" defer></script>'
DIGEST = base64.b64encode(hashlib.sha384(assets.script().body).digest()).decode()


@pytest.fixture(scope="module")
def config() -> Config:
    return Workshop.read(CONFIG)


def form(inside: str = FIELDS, attributes: str = f'action="{SERVICE}/f/get-in-touch" method="post"') -> str:
    return f"<form {attributes}>{inside}</form>"


def diagnosed(config: Config, body: str, *, url: str = PAGE, head: str = "", **headers: str) -> Diagnosis:
    page = read_page(url, f'<!doctype html><html><head><meta charset="utf-8">{head}</head><body>{body}</body></html>')
    return diagnose(page, {name.replace("_", "-"): value for name, value in headers.items()}, config, SERVICE)


@pytest.mark.parametrize(
    "body",
    [
        form() + SCRIPT,
        form(attributes='data-lead-form="get-in-touch"') + SCRIPT,
        form(attributes=f'id="f" action="{SERVICE}/f/get-in-touch" method="POST"', inside="<p>")
        + FIELDS.replace("<input", '<input form="f"') + SCRIPT,
        form() + SCRIPT.replace(" defer", f' defer crossorigin integrity="sha384-{DIGEST}"'),
        form() + '<form action="/s"><input name="q"></form><form><input name="email"><input type="password"></form>'
        + SCRIPT,
        form(FIELDS + '<select name="branch"><option value="">-</option><option>hyderabad</option></select>') + SCRIPT,
    ],
)  # fmt: skip
def test_a_page_that_works_gets_no_advice(config: Config, body: str) -> None:
    found = diagnosed(config, body)
    assert found.findings == ()
    assert found.is_fine
    assert set(found.forms) == {"get-in-touch"}


ACTION = f'action="{SERVICE}/f/get-in-touch"'
POSTS = f'{ACTION} method="post"'
GUARDED = POSTS.replace("get-in-touch", "guarded")
LABELLED_TRAP = '<p hidden><label>Leave this empty <input name="_gotcha" tabindex="-1" autocomplete="off"></label></p>'


def way(name: str) -> str:
    return f'[forms.get-in-touch.ways.{name}]\ntype = "{name}"\nsecret = "$WAY_SECRET"'


TABLE = [
    (form(attributes='action="/thanks" method="post"'), "does not post to it", POSTS),
    (form(attributes='class="w-form"'), "Webflow's Form settings", POSTS),
    (form(attributes='class="elementor-form"'), "Advanced Data", way("elementor")),
    (f'<div class="wpcf7">{form(attributes="")}</div>', "no way in", way("cf7")),
    (form(attributes=POSTS.replace("leads", "old")), "posts to https://old.example.com", ACTION),
    (form(attributes=POSTS.replace("touch", "tuch")), "does not post to it", POSTS),
    (form(attributes=ACTION), "sent in the address", 'method="post"'),
    (form(attributes='action="http://leads.example.com/f/get-in-touch" method="post"'), "posts to http", ACTION),
    (form(FIELDS + '<input type="file" name="cv">'), "NO_FILE_UPLOADS", ""),
    (form(FIELDS.replace('name="Mobile"', "")), "no name", 'name="phone"'),
    (form(FIELDS.replace("Mobile", "your-tel")), "`your-tel` looks like phone", 'aliases = ["your-tel"]'),
    (form(FIELDS.replace('<input name="name">', "")), "name is required", '<input name="name" type="text" required>'),
    (form(FIELDS + '<select name="branch"><option>Mysore</option></select>'), "`Mysore`", ""),
    (
        form(FIELDS + '<input type="hidden" name="_next" value="https://other.example/x">'),
        "_next leads",
        '[forms.get-in-touch]\nredirects = ["https://other.example"]',
    ),
    (form(FIELDS.replace(TRAP, "")), "no trap", LABELLED_TRAP),
    (form() + '<div class="g-recaptcha"></div>', "does not check", ""),
    (form() + '<iframe src="https://form.typeform.com/to/x"></iframe>', "Typeform", way("typeform")),
    (form(attributes=GUARDED), "Turnstile", '<div class="cf-turnstile" data-sitekey="…"></div>'),
    (form(attributes=GUARDED), "UNKNOWN_FIELD", ""),
    (form() + SCRIPT.replace(" defer", ' integrity="sha384-AAAA" crossorigin'), "not that of this version", ""),
    (form() + SCRIPT.replace(" defer", f' integrity="sha384-{DIGEST}"'), "needs crossorigin", "crossorigin"),
    (form() + SCRIPT.replace("https://leads", "https://old"), "loaded from https://old.example.com", SCRIPT),
    ("<p>Nothing here</p>", "No form of this page", ""),
]


@pytest.mark.parametrize(("body", "words", "paste"), TABLE)
def test_what_is_wrong_is_said_with_the_line_to_paste(config: Config, body: str, words: str, paste: str) -> None:
    found = diagnosed(config, body if "lead-form.js" in body else body + SCRIPT)
    said = [finding for finding in found.findings if words in finding.sentence]
    assert {finding.paste for finding in said} == {paste}, found.findings


def test_what_the_page_itself_says_counts(config: Config) -> None:
    def sentences(**said: str) -> str:
        return " ".join(finding.sentence for finding in diagnosed(config, form() + SCRIPT, **said).findings)

    assert "takes nothing from https://other.example" in sentences(url="https://other.example/")
    assert "is in windows-1252" in sentences(content_type="text/html; charset=windows-1252")
    assert "forbids the form" in sentences(content_security_policy="form-action 'self'")
    assert "stops the script" in sentences(
        head='<meta http-equiv="Content-Security-Policy" content="script-src \'self\'">'
    )
    assert "Without the script" in " ".join(each.sentence for each in diagnosed(config, form()).findings)
    bare = diagnose(read_page(PAGE, form() + SCRIPT), {}, config, SERVICE)
    assert [each.paste for each in bare.findings] == ['<meta charset="utf-8">']


@pytest.mark.parametrize(
    ("policy", "is_allowed"),
    [
        ("", True), ("default-src 'none'", True), ("form-action *", True), ("form-action 'none'", False),
        ("form-action 'self'", False), ("form-action https:", True), ("form-action http:", False),
        ("form-action leads.example.com", True), ("form-action https://*.example.com", True),
        ("form-action https://*.example.com:8443", False), ("form-action", False),
        ("FORM-ACTION 'self'; form-action *", False),
        ("form-action https://leads.example.com/f/", True), ("form-action *.leads.example.com", False), (";;", True),
    ],
)  # fmt: skip
def test_a_policy_is_read_as_browsers_do(policy: str, is_allowed: bool) -> None:
    assert allows(policy, "form-action", f"{SERVICE}/f/x", PAGE) is is_allowed


@pytest.mark.parametrize(
    "text", ["", "<", "<form", "<form><form><input form=x name>", "<select><option>" * 50, "</form>\0<!--", "<![CDATA["]
)
def test_any_text_is_a_page(config: Config, text: str) -> None:
    assert not diagnosed(config, text).is_fine


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site("http://localhost:1") as site:
        yield site


@contextlib.contextmanager
def leading_to(place: str) -> Iterator[str]:
    """Give an address that leads to another one, and below it one that leads to itself."""

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", self.path if self.path == "/moved/round" else place)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moved)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/moved"
    server.shutdown()
    server.server_close()


def test_a_page_is_read_from_where_it_leads_and_the_command_says_so(site: Site, tmp_path: Path, config: Config) -> None:
    place = site.page(PLAIN)
    with leading_to(place) as moved:
        page, _, hops = fetch(moved)
        assert (page.url, hops) == (place, [moved])
        with pytest.raises(CannotStart, match="more than 5 times"):
            fetch(f"{moved}/round")
    assert {each.sentence.split(":")[0] for each in diagnose(page, {}, config, "").findings if each.level == "mend"}
    here = Processes(tmp_path, "redis://127.0.0.1:1", CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "service", "doctor", place, "--json"], cwd=tmp_path, env=here.environ, text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["forms"] == ["get-in-touch"]
    assert said["fine"] is False
    assert any(f"takes nothing from {site.url}" in each["sentence"] for each in said["findings"])


@pytest.mark.parametrize(
    ("path", "words"), [("/favicon.ico", "is no page"), ("/large", "larger than"), ("", "cannot be read")]
)
def test_what_is_no_page_is_said(site: Site, path: str, words: str) -> None:
    site.put("/large", "x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(CannotStart, match=re.escape(words)):
        fetch(f"{site.url}{path}" if path else "http://127.0.0.1:1/")
