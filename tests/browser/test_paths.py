"""A person's way through each kind of page, with scripts and without, to the CRM."""

import re
from collections.abc import Callable

import pytest
from crm import Crm
from playwright.sync_api import Locator, expect
from website import PLAIN, WEBFLOW, Site

from browser.conftest import Visit, Visitor

pytestmark = pytest.mark.browser

TOO_SHORT = re.compile(r"This number is too short\. A mobile number in India has 10 digits\.")
THANKS = re.compile(r"Thank you! Your submission has been received!|The clinic thanks you\.")
FAILURE = re.compile(r"Please check what is marked below\.|The clinic is sorry\.")
PAGES: dict[str, Callable[[Site], str]] = {
    "webflow": lambda site: site.page(WEBFLOW),
    "plain": lambda site: site.page(PLAIN),
    "hosted": lambda site: f"{site.service}/f/get-in-touch",
}


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("kind", PAGES)
def test_a_visitor_who_slips_once_is_helped_thanked_and_in_the_crm(
    site: Site, visit: Visit, crm: Crm, kind: str, has_scripts: bool
) -> None:
    visitor = visit(PAGES[kind](site), java_script_enabled=has_scripts)
    visitor.fill(name="Asha Rao", phone="98450 1234", message="My knee hurts\nwhen I climb stairs")
    submit(visitor)
    expect(visitor.page.get_by_text(FAILURE).first).to_be_visible()
    phone = visitor.page.locator("[name=phone]")
    expect(phone).to_have_attribute("aria-invalid", "true")
    expect(phone).to_have_accessible_description(TOO_SHORT)
    expect(phone).to_have_value("98450 1234")
    expect(visitor.page.locator("[name=message]")).to_have_value("My knee hurts\nwhen I climb stairs")
    if has_scripts:
        expect(phone).to_be_focused()
    visitor.fill(phone=visitor.phone)
    submit(visitor)
    expect(visitor.page.get_by_text(THANKS)).to_be_visible()
    [data] = visitor.leads(crm)
    assert data["fields"]["message"] == "My knee hurts\nwhen I climb stairs"


def test_the_hosted_form_is_filled_by_keyboard_alone(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(f"{site.service}/f/get-in-touch")
    values = {"name": "Asha Rao", "phone": visitor.phone, "email": "asha@example.com", "branch": "Hyderabad"}
    for name, value in {**values, "message": "My knee"}.items():
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.locator(f"[name={name}]")).to_be_focused()
        visitor.page.keyboard.type(value)
    for key in ("Tab", "Space", "Tab", "Enter"):
        visitor.page.keyboard.press(key)
    expect(visitor.page.get_by_text(THANKS)).to_be_focused()
    fields = visitor.leads(crm)[0]["fields"]
    assert (fields["branch"], fields["message"], fields["consent"]) == ("Hyderabad", "My knee", True)


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_whose_script_never_loads_posts_by_itself(site: Site, visit: Visit, crm: Crm, kind: str) -> None:
    visitor = visit("about:blank")
    visitor.page.route("**/lead-form.js", lambda route: route.abort())
    visitor.page.route("**/webflow.js", lambda route: route.abort())
    visitor.page.goto(PAGES[kind](site))
    visitor.fill(name="Asha Rao", phone=visitor.phone)
    submit(visitor)
    visitor.page.wait_for_url("**/f/get-in-touch/thanks")
    assert len(visitor.leads(crm)) == 1


def test_a_page_of_problems_forgets_each_as_it_is_mended(site: Site, visit: Visit, crm: Crm) -> None:
    """Who was quicker than the script comes here without it, and it is here."""
    visitor = visit("about:blank")
    visitor.page.route("**/lead-form.js", lambda route: route.abort(), times=1)
    visitor.page.goto(site.page(PLAIN.replace(" required", "")))
    visitor.fill(phone="98450 1234")
    submit(visitor)
    page, failure = visitor.page, visitor.page.locator(".lead-form-fail")
    expect(failure).to_contain_text(FAILURE)
    expect(page.locator("[name=phone]")).to_have_accessible_description(TOO_SHORT)
    page.wait_for_load_state()  # the page can be seen before its script is there
    visitor.fill(phone="98450 123")
    expect(page.locator("[name=phone]")).to_have_accessible_description("")
    page.locator("[name=phone]").blur()
    expect(page.locator("[name=phone]")).to_have_accessible_description(re.compile(f"^{TOO_SHORT.pattern} ?$"))
    submit(visitor)
    expect(failure).to_have_text(FAILURE)
    expect(page.get_by_text("This field must not be empty.")).to_have_count(1)
    visitor.fill(name="Asha Rao", phone=visitor.phone)
    expect(page.get_by_text("This field must not be empty.")).to_have_count(0)
    submit(visitor)
    expect(page.get_by_text(THANKS)).to_be_focused()
    expect(page.get_by_text(FAILURE)).to_be_hidden()
    assert len(visitor.leads(crm)) == 1


def test_a_hosted_form_that_reaches_nobody_says_so_in_its_own_language(site: Site, visit: Visit) -> None:
    visitor = visit(f"{site.service}/f/auto", locale="hi-IN")
    visitor.page.route("**/f/auto", lambda route: route.fulfill(status=503, body="", headers={"Retry-After": "3600"}))
    visitor.fill(name="Asha Rao", phone=visitor.phone)
    submit(visitor)
    expect(visitor.page.locator(".lead-form-fail")).to_have_text(re.compile("[\u0900-\u097f]{3}"))


def test_who_was_thanked_on_the_hosted_form_reads_what_happens_next(site: Site, visit: Visit) -> None:
    visitor = visit(f"{site.service}/f/auto")
    visitor.fill(name="Asha Rao", phone=visitor.phone)
    submit(visitor)
    expect(visitor.page.locator(".lead-form-done")).to_have_text(
        "Thank you! Your submission has been received!We call you today."
    )


def test_two_phone_fields_are_told_each_what_concerns_it(site: Site, visit: Visit) -> None:
    visitor = visit(f"{site.service}/f/two-phones")
    visitor.fill(phone="98450 1234", other=visitor.phone)
    visitor.page.locator("[name=other]").blur()
    expect(visitor.page.locator("[name=other]")).to_have_accessible_description("Valid number")
    expect(visitor.page.locator("[name=phone]")).to_have_accessible_description(TOO_SHORT)


def submit(visitor: Visitor) -> None:
    button: Locator = visitor.page.locator("[type=submit], form button:not([type])").first
    button.click()
