"""The desk in a browser: each page for each role, without JavaScript, at both widths, light and dark.

The pictures in `.artifacts/` are for people; those in `docs/pictures` were taken from them.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import npm
import pytest
from crm import Crm
from playwright.sync_api import expect
from processes import Processes, free_port, post, until
from workshop import destination

from browser.conftest import Visit, Visitor
from service.up.embedded import Embedded

pytestmark = pytest.mark.browser

PASSWORD = "violet harbour unmade trestle"
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1280)
SERIOUS = ("serious", "critical")
HOSTILE = '"><script>document.title="owned"</script><img src=x onerror="document.title=1">'
CONFIG = """
[forms.get-in-touch]
title = "Get In Touch"
deliver = ["crm"]
quiet = "0s"
spam.limit = 10
fields.name = { type = "text" }
fields.phone = { type = "phone" }
fields.email = { type = "email" }
fields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }
fields.message = { type = "text", multiline = true }
[forms.callback]
title = "Call me back"
deliver = ["crm"]
fields.name = { type = "text" }
fields.phone = { type = "phone" }
"""
PEOPLE = (
    ("Asha Rao", "8951047001", "asha@example.com", "My knee hurts when I climb stairs. Could I come on Friday?"),
    ("Ravi Kumar", "9886012345", "ravi@example.com", "Back pain since a long flight."),
    ("Mina Shah", "9845098451", "", "Do you treat children? My daughter is nine."),
    ("Farhan Ali", "9845098453", "farhan@example.com", "Shoulder, after tennis."),
)
LINKS = "https://a.example/ https://b.example/ https://c.example/ <a href=x>cheap</a> [url=x]pills[/url]"


@dataclass(frozen=True, slots=True)
class Here:
    """A running desk: where it is, and what makes an invitation."""

    url: str
    processes: Processes

    def invite(self, name: str, role: str) -> str:
        """Return the link of an invitation."""
        return self.processes.run("desk", "invite", name, "--role", role).splitlines()[-1]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """Run web, worker and desk; some leads came, one of them is dead, and one is held."""
    folder = tmp_path_factory.mktemp("desk")
    with contextlib.ExitStack() as stack:
        redis = Embedded(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        crm = stack.enter_context(Crm())
        text = CONFIG + destination(crm.url) + '[desk]\ntimezone = "Asia/Kolkata"\n'
        processes = stack.enter_context(Processes(folder / "here", redis.url, text))
        web = processes.serve()
        processes.work()

        for name, phone, email, message in PEOPLE:
            said = {"name": name, "phone": phone, "email": email, "message": message, "branch": "Bangalore"}
            post(web.port, **said, utm_campaign="Knee week")
        post(web.port, name="Asha Rao", phone="+91 89510 47001", message="Saturday would be fine, too.")
        post(web.port, "callback", name="Lila", phone="9845098454")
        post(web.port, "callback", name=HOSTILE, phone="9845098452", message=HOSTILE, utm_campaign=HOSTILE)
        post(web.port, name="Nobody", phone="12", utm_campaign=HOSTILE, **{HOSTILE[:40]: HOSTILE})
        for phone in ("9845098461", "9845098462"):
            post(web.port, name="Best offers", phone=phone, message=LINKS)
        until(lambda: len(crm.requests) >= 6, 20)
        crm.answer(422, body='{"error": "no branch of that name"}', times=1)
        post(web.port, name="Tara Menon", phone="9845098455", message="Do you have a branch in Mysore?")
        until(lambda: len(crm.requests) >= 7, 20)
        port = free_port()
        processes.start("desk", "--port", str(port), port=port).wait_ready()
        yield Here(f"http://127.0.0.1:{port}", processes)


@pytest.fixture(scope="module")
def axe() -> str:
    return (npm.packages() / "axe-core" / "axe.min.js").read_text("utf-8")


def share_session(here: Here, known: Visitor, other: Visitor) -> None:
    """Let another browser be signed in as a known one is."""
    cookies = [{"name": str(c["name"]), "value": str(c["value"]), "url": here.url} for c in known.context.cookies()]
    other.context.add_cookies(cookies)  # type: ignore[arg-type]  # Playwright's dictionary has more keys


def enter(here: Here, visit: Visit, name: str, role: str) -> Visitor:
    """Follow an invitation in a browser that runs no script."""
    visitor = visit(here.invite(name, role), java_script_enabled=False)
    page = visitor.page
    expect(page.get_by_role("heading", name=f"Welcome, {name}")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    return visitor


def test_an_editor_finds_a_lead_sends_it_again_and_decides_what_was_held(here: Here, visit: Visit) -> None:
    page = enter(here, visit, "Edith", "editor").page
    page.get_by_role("link", name="Leads", exact=True).click()
    page.get_by_label("Search").fill("089510-47001")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("status")).to_contain_text("1 lead found")
    page.get_by_role("link", name="Asha Rao").click()
    expect(page.get_by_text("Saturday would be fine, too.")).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("heading", name="Asha Rao")).to_be_visible()

    page.get_by_role("link", name="Held back").click()
    expect(page.get_by_role("checkbox")).to_have_count(2)
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Let through").click()
    expect(page.get_by_role("checkbox")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("checkbox")).to_have_count(2)

    page.get_by_role("link", name="Leads", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
    assert page.get_by_role("link", name="People").count() == 0


def look_at(visitor: Visitor, address: str, name: str, axe: str) -> None:
    """Keep pictures of a page at both widths and in both colours, and see that it reads well."""
    visitor.page.goto(address)
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 800})
        for colour in COLOURS:
            visitor.page.emulate_media(color_scheme=colour)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            visitor.keep(f"{name}-{width}-{colour}")
    assert found(visitor, axe) == [], name


def test_an_editor_compares_the_export_of_a_crm(here: Here, visit: Visit, axe: str, tmp_path: Path) -> None:
    rows = [
        "Name;Phone;Created",
        "Asha;089510 47001;22/11/2026",
        "Ravi;9886012345;",
        "Ravi;9886012345;",
        "Sana;9845098452;",
        "X;9845000000;",
    ]
    (tmp_path / "crm.csv").write_text("\n".join(rows), "utf-8")
    known = enter(here, visit, "Eric", "editor")
    looker = visit(f"{here.url}/sign-in", bypass_csp=True)  # axe-core runs in the page, which lets no script in
    share_session(here, known, looker)
    page = known.page
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("The export").set_input_files(tmp_path / "crm.csv")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_label("Phone")).to_have_value("phone")
    look_at(looker, page.url, "desk-compare-columns", axe)
    page.get_by_label("Created").select_option("")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="crm beside your leads")).to_be_visible()
    expect(page.get_by_text("rows 3, 4")).to_be_visible()
    expect(page.get_by_text("X 9845000000")).to_be_visible()
    page.get_by_label("To").fill("2999-01-01")
    page.get_by_role("button", name="Look again").click()
    look_at(looker, page.url, "desk-compare-report", axe)
    page.get_by_role("button", name="Send the missing again").click()
    expect(page.get_by_text("due now")).to_be_visible()


def test_a_reader_sees_no_number_and_no_button_that_changes_something(here: Here, visit: Visit) -> None:
    page = enter(here, visit, "Rita", "reader").page
    for path in ("/", "/?by=campaign", "/leads", "/held", "/trouble", "/forms/get-in-touch"):
        page.goto(f"{here.url}{path}")
        text = page.locator("main").inner_text()
        assert not re.search(r"\d{6}", text.replace(" ", "")), path
        assert page.locator("main form[method=post]").count() == (1 if path == "/held" else 0)
        assert page.locator("main form[method=post] button").count() == 0
    for path in ("/people", "/compare"):
        page.goto(f"{here.url}{path}")
        expect(page.get_by_role("heading", name="Not yours to do")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Your name here").fill("Rita")
    page.get_by_label("Password").fill("not the right one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()


def test_every_page_reads_well_at_both_widths_and_in_both_colours(here: Here, visit: Visit, axe: str) -> None:
    known = enter(here, visit, "Olga", "owner")
    lead = ""
    visitor = visit(f"{here.url}/sign-in", bypass_csp=True)  # axe-core runs in the page, which lets no script in
    paths = {"sign-in": "/sign-in", "today": "/", "hostile": "/leads?form=callback"}
    paths |= {"leads": "/leads?form=get-in-touch", "lead": "", "held": "/held", "trouble": "/trouble"}
    paths |= {"campaigns": "/?by=campaign", "choices": "/?by=get-in-touch.branch", "form": "/forms/get-in-touch"}
    paths |= {"people": "/people", "compare": "/compare", "erase": "", "missing": "/leads/x", "nowhere": "/x"}
    for name, path in paths.items():
        if name == "today":
            share_session(here, known, visitor)
        if name == "lead":
            lead = str(visitor.page.get_by_role("link", name="Asha Rao").get_attribute("href"))
        path = {"lead": lead, "erase": f"{lead}/erase"}.get(name, path)  # noqa: PLW2901  the lead is known only now
        visitor.page.goto(f"{here.url}{path}")
        assert visitor.page.title() != "owned"
        for width in WIDTHS:
            visitor.page.set_viewport_size({"width": width, "height": 800})
            for colour in COLOURS:
                visitor.page.emulate_media(color_scheme=colour)
                wide = visitor.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (name, width)
                visitor.keep(f"desk-{name}-{width}-{colour}")
                if (width, colour) in ((360, "light"), (1280, "dark")):
                    assert found(visitor, axe) == [], (name, width, colour)


def found(visitor: Visitor, axe: str) -> list[object]:
    """Return what axe-core finds serious on the page."""
    visitor.page.evaluate(axe)
    result = visitor.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in result["violations"]
        if each["impact"] in SERIOUS
    ]
