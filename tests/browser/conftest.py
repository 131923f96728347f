"""One Chromium and one installation for all tests of this folder; every visitor is a context of its own."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from crm import Crm
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from processes import Processes, until
from website import Site
from workshop import destination

from service.up.embedded import Embedded

ARTIFACTS = Path(__file__).parents[2] / ".artifacts"
FORM = """
[forms.{name}]
title = "Get In Touch"
deliver = ["crm"]
quiet = "0s"
{more}
fields.name = {{ type = "text", required = true, max_length = 120 }}
fields.phone = {{ type = "phone", required = true, aliases = ["mobile"] }}
fields.email = {{ type = "email" }}
fields.branch = {{ type = "choice", choices = ["Bangalore", "Hyderabad"] }}
fields.message = {{ type = "text", multiline = true }}
fields.consent = {{ type = "boolean" }}
"""
CHOICES = """
fields.privacy_policy = { type = "boolean", required = true }
fields.side = { type = "choice", required = true, choices = ["Left", "Right"] }
fields.visits = { type = "number", required = true }
"""

TURNSTILE = 'type = "turnstile", sitekey = "0x4AAA", secret = "$TURNSTILE_SECRET"'

Visit = Callable[..., "Visitor"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Give the browser. It is closed with the package: no other event loop runs in this thread while it is open."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        kept = ["--disable-back-forward-cache"]  # pages come back as they were, as in everybody's browser
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], ignore_default_args=kept)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def crm() -> Iterator[Crm]:
    with Crm() as crm:
        yield crm


@dataclass(frozen=True, slots=True)
class Installation:
    """A running service: its origin, the website that uses it, and the server that keeps its leads."""

    url: str
    site: Site
    redis: Embedded


@pytest.fixture(scope="package")
def verifier() -> Iterator[Crm]:
    """Give Cloudflare's double: it says of each token once that it is good."""
    with Crm() as verifier:
        yield verifier


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory, crm: Crm, verifier: Crm) -> Iterator[Installation]:
    """Run `leads serve` and `leads work` on a durable server of their own, and a website on another origin."""
    folder = tmp_path_factory.mktemp("browser")
    redis = Embedded(folder / "redis")
    redis.start()
    site = Site("")
    origins = f'origins = ["{site.url}"]\nredirects = ["{site.url}"]'
    config = (
        FORM.format(name="get-in-touch", more=f'redirects = ["{site.url}"]')
        + FORM.format(name="guarded", more=origins)
        + FORM.format(name="elsewhere", more='origins = ["https://www.example.com"]')
        + FORM.format(name="auto", more='language = "auto"\nmessages.next_steps = "We call you today."')
        + FORM.format(name="two-phones", more='fields.other = { type = "phone" }')
        + FORM.format(name="choosy", more=CHOICES)
        + FORM.format(name="puzzled", more='captcha = { type = "altcha" }')
        + FORM.format(name="widget", more=f'captcha = {{ {TURNSTILE}, url = "{verifier.url}" }}')
        + destination(crm.url)
    )
    with contextlib.ExitStack() as stack:
        stack.callback(redis.stop)
        here = stack.enter_context(Processes(folder / "here", redis.url, config, TURNSTILE_SECRET="hush"))
        web = here.serve()
        here.work()
        site.service = f"http://127.0.0.1:{web.port}"
        stack.enter_context(site)
        yield Installation(site.service, site, redis)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real `leads dev` answers."""
    with Processes(tmp_path_factory.mktemp("demo"), "", "") as here:
        del here.environ["LEADS_REDIS_URL"]
        process = here.up("dev")
        yield f"http://127.0.0.1:{process.port}"
        assert process.stop() == 0


@pytest.fixture
def service(installation: Installation, crm: Crm) -> str:
    """Give the service's origin; the CRM has forgotten what came before."""
    crm.clear()
    return installation.url


@pytest.fixture
def site(installation: Installation, service: str) -> Site:
    assert service
    return installation.site


def about(crm: Crm, e164: str, count: int = 1) -> list[Any]:
    """Wait until that many deliveries about a person are at the CRM; return the `data` of all of them."""
    found: list[Any] = []

    def came() -> bool:
        found[:] = [each.json()["data"] for each in list(crm.requests)]
        found[:] = [data for data in found if (data["phone"] or {}).get("e164") == e164]
        return len(found) >= count

    until(came, 5, lambda: f"{len(found)} of {count}")
    return found


class Visitor:
    """Somebody with a browser and a number of their own.

    `posts` are the headers of the submissions that left it, `broken` what went wrong in its pages.
    """

    _numbers = count(20_000)

    def __init__(self, context: BrowserContext) -> None:
        self.context, self.page = context, context.new_page()
        self.phone = f"98450 {next(self._numbers)}"
        self.posts: list[dict[str, str]] = []
        self.broken: list[str] = []
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.on("console", self._note_what_a_policy_stops)
        self.page.on("request", self._note)

    def _note_what_a_policy_stops(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.broken.append(message.text)

    def _note(self, request: Any) -> None:
        if request.method == "POST" and not request.url.endswith(("/phone", "/check")):
            self.posts.append(request.headers)

    def fill(self, **values: str) -> None:
        """Type into the fields of these names."""
        for name, value in values.items():
            self.page.locator(f"[name={name}]").fill(value)

    def leads(self, crm: Crm, count: int = 1) -> list[Any]:
        """Wait until that many deliveries about this person are at the CRM; return the `data` of all of them."""
        return about(crm, "+91" + self.phone.replace(" ", ""), count)

    def keep(self, name: str) -> None:
        """Keep a picture of the page."""
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Give a function that opens an address as a new visitor; its words are those of a browser's context."""
    visitors: list[Visitor] = []

    def open_page(address: str, **settings: Any) -> Visitor:
        context = chromium.new_context(**settings)
        context.set_default_timeout(10_000)
        visitors.append(visitor := Visitor(context))
        visitor.page.goto(address)
        return visitor

    yield open_page
    broken = [each for visitor in visitors for each in visitor.broken]
    for visitor in visitors:
        visitor.context.close()
    assert broken == []
