"""The guides for websites: whoever pastes their pieces from top to bottom has a form that works.

A guide's first configuration is that of the service. A piece of HTML with a form begins a page; one without, a header
and a script are added to the page before them. Each page is then used in a real browser, from another origin.
"""

import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx
import npm
import pytest
from browser.conftest import Visitor, about
from crm import Crm
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from processes import Processes
from website import Site
from workshop import SIGNING

from service.config.config import Config
from service.config.read import parse
from service.lib.secret import Secret
from service.lib.signature import hmac_hex

DOCS: Final = Path(__file__).parents[2] / "docs"
PICTURES: Final = sorted((DOCS / "pictures").iterdir())
GUIDES: Final = {stem: path.read_text("utf-8") for stem in ("html", "webflow", "wordpress")
                 if (path := DOCS / f"{stem}.md").exists()}  # fmt: skip
ENVIRON: Final = {"CRM_WEBHOOK_SECRET": SIGNING, "WEBFLOW_SECRET": "hush"}
OUR_SCRIPT: Final = re.compile(r"<script [^>]*lead-form\.js[^>]*></script>\n?")
BUTTON: Final = '[type=submit], form button:not([type="button"])'
FIELDS: Final = "form :is(input:not([tabindex='-1'],[type=submit],[type=checkbox],[type=radio]),textarea):visible"
TOO_SHORT: Final = "This number is too short. A mobile number in India has 10 digits."
LIBRARIES: Final = {
    "/js/intlTelInputWithUtils.min.js": "intl-tel-input/dist/js/intlTelInputWithUtils.min.js",
    "/js/intlTelInput.min.css": "intl-tel-input/dist/css/intlTelInput.min.css",
    "/js/formspree.js": "@formspree/ajax/dist/global.js",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A page as it stands after a piece of a guide; `policy` is its Content-Security-Policy."""

    guide: str
    number: int
    html: str
    script: str = ""
    policy: str = ""

    @property
    def has_our_script(self) -> bool:
        return "lead-form.js" in self.html


def pieces(guide: str) -> list[tuple[str, str]]:
    """Return the blocks of code of a guide: the kind of each and its text."""
    found = re.findall(r"^ *```([a-z]+)\n(.*?)^ *```$", GUIDES[guide], re.MULTILINE | re.DOTALL)
    return [(kind, textwrap.dedent(text)) for kind, text in found]


def of_kind(guide: str, kind: str) -> list[str]:
    return [text for each, text in pieces(guide) if each == kind]


def steps(guide: str) -> Iterator[Step]:
    """Give the pages of a guide in order; HTML that needs the script right below it is no page without it."""
    forms = [text for text in of_kind(guide, "html") if "<form" in text]
    page, found = Step(guide, 0, forms[0] if forms else ""), pieces(guide)
    for number, (kind, text) in enumerate(found, start=1):
        match kind:
            case "html" if "<form" in text:
                page = Step(guide, number, text)
            case "html":
                page = replace(page, number=number, html=with_piece(page.html, text))
            case "js":
                page = replace(page, number=number, script=text)
            case "http":
                page = replace(page, number=number, policy=text.partition("Content-Security-Policy:")[2].strip())
            case _:
                continue
        if found[number : number + 1] and found[number][0] == "js":
            continue
        yield page


def with_piece(html: str, text: str) -> str:
    """Add what belongs to a page at its end, in place of an older tag of ours, and a field before the button."""
    if text.startswith(("<script", "<style", "<link")):
        return (OUR_SCRIPT.sub("", html) if OUR_SCRIPT.search(text) else html) + text
    return re.sub(r"[ \t]*<(?:button|input type=\"submit\")", lambda button: text + button[0], html, count=1)


def configuration(guide: str, crm: Crm, site: Site) -> str:
    """Return a guide's configuration, of a form and a destination called as the guide is, with the CRM's address."""
    text = next(text for text in of_kind(guide, "toml") if "[forms." in text)
    text = re.sub(r'^url = ".*', f'url = "{crm.url}"\nallow_private = true', text, flags=re.MULTILINE)
    text = text.replace("https://www.example.com", site.url).replace("get-in-touch", guide)
    if guide == "webflow":
        text = text.replace("[forms.webflow]", f"[forms.webflow]\n{line_of('webflow = ')}")
    return text.replace('["crm"]', f'["{guide}"]').replace("destinations.crm", f"destinations.{guide}")


def line_of(setting: str) -> str:
    """Return the line of the guide for Webflow that names a setting by itself."""
    [line] = re.findall(rf"^`({re.escape(setting)}.*)`$", GUIDES["webflow"], re.MULTILINE)
    return str(line)


def signed_form() -> str:
    """Return the form of the guide for Webflow with its line about the secret, under the name `signed`."""
    line = line_of("webflow_secret = ")
    phone = 'fields.phone = {type = "phone", aliases = ["phone number"]}'
    return f'[forms.signed]\ndeliver = ["webflow"]\n{line}\n{phone}\n'


# --- without a browser


@pytest.mark.parametrize(("guide", "text"), [(guide, text) for guide in GUIDES for text in of_kind(guide, "toml")])
def test_every_configuration_in_a_guide_is_one(guide: str, text: str) -> None:
    assert isinstance(parse(text, ENVIRON, lambda _: ""), Config), guide


def test_every_picture_is_small_and_shown_with_words_for_those_who_cannot_see_it() -> None:
    pages = [*GUIDES.values(), (DOCS / "desk.md").read_text("utf-8")]
    shown = [picture for text in pages for picture in re.findall(r"!\[(.*?)\]\(pictures/(.*?)\)", text)]
    assert {name for _, name in shown} == {path.name for path in PICTURES}
    assert all(words for words, _ in shown)
    assert len(PICTURES) <= 16
    for path in PICTURES:
        assert path.read_bytes().startswith(b"\x89PNG"), path
        assert path.stat().st_size <= 150_000, path


# --- with a service, a website, a CRM and visitors


@pytest.fixture(scope="module")
def crm() -> Iterator[Crm]:
    with Crm() as crm:
        yield crm


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Run the website, which has its own page of thanks."""
    with Site("") as site:
        for path in ("/thank-you", "/thank-you/"):
            site.put(path, "<!doctype html><html lang=en><title>Thanks</title><h1>Thank you</h1></html>")
        yield site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, crm: Crm, site: Site) -> Iterator[Processes]:
    """Run `leads up` with what the guides say."""
    folder = tmp_path_factory.mktemp("guides")
    config = "".join(configuration(guide, crm, site) for guide in GUIDES) + signed_form()
    with Processes(folder, "", config, LEADS_DATA=str(folder / "data"), **ENVIRON) as here:
        del here.environ["LEADS_REDIS_URL"]
        process = here.up()
        site.service = f"http://127.0.0.1:{process.port}"
        yield here
        assert process.stop() == 0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give the browser. It is closed with the module: no other event loop runs in this thread while it is open."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def visitor(context: BrowserContext, here: Processes) -> Iterator[Visitor]:
    assert here
    yield (visitor := Visitor(context))
    visitor.page.close()
    assert visitor.broken == []


def put(site: Site, step: Step) -> str:
    """Put a page on the website, as the guide's reader would; return its address."""

    def ours(text: str) -> str:
        text = text.replace("https://leads.example.com", site.service).replace("https://www.example.com", site.url)
        return text.replace("get-in-touch", step.guide)

    for path, file in LIBRARIES.items():
        if path in step.html:
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            site.put(path, (npm.packages() / file).read_text("utf-8"), kind)
    html = f'<!doctype html><html lang="en"><title>Contact</title>{ours(step.html)}'
    if step.script:
        site.put("/own.js", ours(step.script), "text/javascript")
        html += '<script src="/own.js" defer></script>'
    if "w-form" in step.html:  # as Webflow's own style sheet and script have it
        site.put("/webflow.css", ".w-form-done, .w-form-fail { display: none }", "text/css")
        html += '<link rel="stylesheet" href="/webflow.css">'
        html += '<script src="/webflow.js" defer></script>' if step.has_our_script else ""
    headers = {"Content-Security-Policy": ours(step.policy)} if step.policy else {}
    return site.put("/contact", html, **headers)


def fill(visitor: Visitor, phone: str) -> None:
    known = {"phone": phone, "email": "asha@example.com", "name": "Asha Rao"}
    for name in visitor.page.locator(FIELDS).evaluate_all("fields => fields.map((field) => field.name)"):
        value = next((value for part, value in known.items() if part in name.casefold()), "My knee hurts")
        visitor.page.locator(f'[name="{name}"]').fill(value)


@pytest.mark.browser
@pytest.mark.parametrize(
    "step", [step for guide in GUIDES for step in steps(guide)], ids=lambda step: f"{step.guide} {step.number}"
)
def test_after_each_step_a_visitor_is_helped_thanked_and_in_the_crm(
    step: Step, visitor: Visitor, site: Site, crm: Crm
) -> None:
    page = visitor.page
    address = put(site, step)
    page.goto(f"{address}?utm_source=ad")
    fill(visitor, "98450 1234")
    page.locator(BUTTON).first.click()
    page.get_by_text(TOO_SHORT).locator("visible=true").first.wait_for()
    if step.has_our_script or step.script:
        assert page.url.startswith(address)
    fill(visitor, visitor.phone)
    page.locator(BUTTON).first.click()
    page.locator("text=/Thank/ >> visible=true").first.wait_for()
    if "/thank-you" in step.html:
        page.wait_for_url(re.compile(f"^{site.url}/thank-you/?$"))
    [data] = about(crm, "+91" + visitor.phone.replace(" ", ""))
    assert data["fields"]["name"] == "Asha Rao"
    assert data["phone"]["raw"].startswith("+91") == ("phone_full" in step.script)
    if step.has_our_script:
        assert (data["source"]["page"], data["source"]["utm"]) == (f"{address}?utm_source=ad", {"source": "ad"})
    assert ("first_touch" in data["source"]) == ("data-attribution" in step.html)


def test_what_webflow_sends_by_its_webhook_is_delivered(here: Processes, site: Site, crm: Crm) -> None:
    [event] = of_kind("webflow", "json")
    said = httpx.post(f"{site.service}/f/webflow", content=event, headers={"Content-Type": "application/json"})
    assert said.status_code == 200
    [data] = about(crm, "+918951047001")
    assert (data["fields"]["name"], data["fields"]["email"]) == ("Asha Rao", "asha@example.com")
    assert "delivered" in here.run("show", said.json()["receipt"])


def test_a_webhook_is_delivered_if_signed_as_the_guide_has_it_held_if_wrongly_and_else_refused(
    here: Processes, site: Site, crm: Crm
) -> None:
    event = of_kind("webflow", "json")[0].replace("47001", "47002").encode()
    stamp = str(int(time.time() * 1_000))
    signed = {
        "x-webflow-timestamp": stamp,
        "x-webflow-signature": hmac_hex(Secret(ENVIRON["WEBFLOW_SECRET"]), stamp.encode() + b":" + event),
    }
    other = event.replace(b"47002", b"47003").replace(b"bfc6752327", b"bfc6752328")
    for raw, headers, status in ((other, {}, 403), (other, signed, 200), (event, signed, 200)):
        answer = httpx.post(
            f"{site.service}/f/signed", content=raw, headers={"Content-Type": "application/json", **headers}
        )
        assert answer.status_code == status
    assert len(about(crm, "+918951047002")) == 1
    assert "47003" in here.run("quarantine")
