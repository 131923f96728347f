"""How the pages look and read: no finding of axe-core that is serious, nothing wider than a small telephone.

The pictures in `.artifacts/` are for people.
"""

from collections.abc import Callable
from typing import Any, Literal

import npm
import pytest
from playwright.sync_api import expect
from website import PLAIN, Site

from browser.conftest import Visit, Visitor

pytestmark = pytest.mark.browser

SERIOUS = ("serious", "critical")
WIDTHS = (320, 1280)
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def axe() -> str:
    return (npm.packages() / "axe-core" / "axe.min.js").read_text("utf-8")


def found(visitor: Visitor, axe: str) -> list[Any]:
    """Return what axe-core finds serious on the page."""
    visitor.page.evaluate(axe)
    result = visitor.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in result["violations"]
        if each["impact"] in SERIOUS
    ]


def slip(visitor: Visitor) -> None:
    """Send the form with two mistakes in it, and wait until both are told."""
    visitor.page.locator("form").evaluate("(form) => { form.noValidate = true; }")
    visitor.fill(name="", phone="98450 1234")
    visitor.page.locator("[type=submit], form button:not([type])").first.click()
    expect(visitor.page.locator("[aria-invalid=true]")).to_have_count(2)


def thank(visitor: Visitor) -> None:
    visitor.fill(name="Asha Rao", phone=visitor.phone)
    visitor.page.locator("[type=submit], form button:not([type])").first.click()
    expect(visitor.page.get_by_text("Thank you! Your submission has been received!")).to_be_visible()


VIEWS: dict[str, tuple[str, Callable[[Visitor], None] | None, bool]] = {
    "demo": ("{demo}/", None, True),
    "demo-problems": ("{demo}/", slip, True),
    "demo-thanks": ("{demo}/", thank, True),
    "demo-crm": ("{demo}/demo/crm", None, True),
    "hosted": ("{service}/f/get-in-touch", None, True),
    "hosted-problems": ("{service}/f/get-in-touch", slip, True),
    "hosted-thanks": ("{service}/f/get-in-touch", thank, True),
    "422": ("{service}/f/get-in-touch", slip, False),
    "thanks": ("{service}/f/get-in-touch/thanks", None, False),
    "plain": ("{plain}", slip, True),
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_reads_well_at_both_widths_and_in_both_colours(
    site: Site, visit: Visit, axe: str, demo: str, view: str
) -> None:
    place, do, has_scripts = VIEWS[view]
    address = place.format(demo=demo, service=site.service, plain=site.page(PLAIN))
    visitor = visit(address if has_scripts else "about:blank", bypass_csp=True)
    if not has_scripts:
        visitor.page.route("**/lead-form.js", lambda route: route.abort())
        visitor.page.goto(address)
    if do:
        do(visitor)
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 800})
        for colour in COLOURS:
            visitor.page.emulate_media(color_scheme=colour)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
            visitor.keep(f"{view}-{width}-{colour}")
            if (width, colour) in ((320, "light"), (1280, "dark")):
                assert found(visitor, axe) == [], (width, colour)
