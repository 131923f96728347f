"""`leads dev`: what is typed on the clinic's page is in the demo CRM, as a designer's customer would try it."""

import pytest
from playwright.sync_api import expect
from website import Site

from browser.conftest import Visit

pytestmark = pytest.mark.browser


def test_what_a_visitor_types_is_at_the_crm_within_a_second(demo: str, visit: Visit) -> None:
    crm, visitor = visit(f"{demo}/demo/crm"), visit(demo)
    page = visitor.page
    visitor.fill(name="Asha Rao", phone="895104700")
    page.locator("#phone").blur()
    expect(page.locator("[data-phone-status]")).to_have_text(
        "This number is too short. A mobile number in India has 10 digits."
    )
    page.click("[type=submit]")
    expect(page.locator(".w-form-fail")).to_have_text("Oops! Something went wrong while submitting the form.")
    visitor.fill(phone="089510 47001", message="<b>My knee hurts</b>")
    page.select_option("#branch", "Bangalore")
    page.locator("#phone").blur()
    expect(page.locator("[data-phone-status]")).to_have_text("Valid number")
    page.click("[type=submit]")
    row = crm.page.locator("tr[data-lead]", has_text="+91 89510 47001")
    expect(row).to_have_count(1, timeout=10_000)
    expect(page.locator(".w-form-done")).to_have_text("Thank you! Your submission has been received!")
    for text in ("Asha Rao", "Bangalore", "<b>My knee hurts</b>", "created", "✔ verified"):
        expect(row).to_contain_text(text)


def test_the_clinics_form_works_with_javascript_switched_off(demo: str, visit: Visit) -> None:
    visitor = visit(demo, java_script_enabled=False)
    visitor.fill(name="Ravi Kumar", phone="98860 12345")
    visitor.page.click("[type=submit]")
    expect(visitor.page.locator("body")).to_contain_text("Thank you! Your submission has been received!")


def test_a_developer_can_read_the_script(demo: str, site: Site, visit: Visit) -> None:
    read = "async (address) => (await (await fetch(address)).text()).includes('\\n  // ')"
    visitor = visit(demo)
    assert visitor.page.evaluate(read, f"{demo}/lead-form.js")
    visitor.page.goto(site.put("/blank", "<!doctype html>"))
    assert not visitor.page.evaluate(read, f"{site.service}/lead-form.js")
