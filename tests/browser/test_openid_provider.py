"""Signing in to the desk through a real provider, in a real browser: the npm package `oidc-provider`."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import npm
import pytest
from playwright.sync_api import Page, expect
from processes import Processes, free_port
from workshop import ENVIRON, destination, form

from browser.conftest import Visit
from service.up.embedded import Embedded

pytestmark = [pytest.mark.browser, pytest.mark.long]

PASSWORD = "violet harbour unmade trestle"


@dataclass(frozen=True, slots=True)
class Here:
    """A desk that trusts a provider."""

    url: str
    processes: Processes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder, port = tmp_path_factory.mktemp("openid"), free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {**os.environ, "SECRET": ENVIRON["CRM_SECRET"], "BACK": f"{url}/sign-in/openid/back"}
    npm.packages()
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(
            subprocess.Popen(
                ["node", "--no-warnings", "openid-provider.js"], cwd=Path(npm.FOLDER), env=environ, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        stack.callback(provider.kill)
        assert provider.stdout
        issuer = provider.stdout.readline().strip()
        redis = Embedded(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        oidc = f'oidc = {{ issuer = "{issuer}", client_id = "desk", secret = "$CRM_SECRET" }}'
        text = form() + destination("http://127.0.0.1:9/") + f"[desk]\n{oidc}\n"
        processes = stack.enter_context(Processes(folder / "here", redis.url, text))
        processes.start("desk", "--port", str(port), port=port).wait_ready()
        yield Here(url, processes)


def sign_in_elsewhere(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in with your organisation").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_member_signs_in_through_the_provider_and_a_stranger_is_told_why_not(here: Here, visit: Visit) -> None:
    link = here.processes.run("desk", "invite", "asha@example.com", "--role", "editor").splitlines()[-1]
    page = visit(link, java_script_enabled=False).page
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Sign out").click()

    sign_in_elsewhere(page, "asha@example.com")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    expect(page.get_by_text("asha@example.com")).to_be_visible()

    for name, words in (
        ("ravi@example.com", "You are signed in as ravi@example.com, and there is no member"),
        ("unverified@example.com", "vouches for no e-mail address"),
    ):
        other = visit(f"{here.url}/sign-in", java_script_enabled=False).page
        sign_in_elsewhere(other, name)
        expect(other.get_by_role("alert")).to_contain_text(words)
        other.goto(f"{here.url}/leads")
        expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def test_whoever_does_not_agree_is_told_so(here: Here, visit: Visit) -> None:
    page = visit(f"{here.url}/sign-in", java_script_enabled=False).page
    page.get_by_role("link", name="Sign in with your organisation").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("did not agree")
