"""Widgets of others on the page: the phone field of intl-tel-input, and @formspree/ajax in a real browser."""

from itertools import count

import npm
import pytest
from crm import Crm
from playwright.sync_api import expect
from website import PLAIN, Site

from browser.conftest import Visit, about

pytestmark = pytest.mark.browser

NUMBERS = count(123_456)
TEL = '<script src="/tel.js"></script><script src="/start.js"></script></html>'
START = """intlTelInput(document.querySelector("[name=phone]"), {
  initialCountry: "gb", hiddenInputs: () => ({ phone: "%s" }) });"""


@pytest.mark.parametrize("has_script", [True, False], ids=["our script", "no script of ours"])
@pytest.mark.parametrize("hidden", ["phone_full", "full_phone", "phone[full]"])
def test_the_hidden_full_number_wins_over_the_visible_one(
    site: Site, visit: Visit, crm: Crm, hidden: str, has_script: bool
) -> None:
    number = next(NUMBERS)
    widget = npm.packages() / "intl-tel-input" / "dist" / "js" / "intlTelInputWithUtils.min.js"
    site.put("/tel.js", widget.read_text("utf-8"), "text/javascript")
    site.put("/start.js", START % hidden, "text/javascript")
    markup = PLAIN if has_script else PLAIN.replace("lead-form.js", "nothing.js")
    visitor = visit(site.page(markup.replace("</html>", TEL)))
    visitor.fill(name="Asha Rao", phone=f"07400 {number}")
    visitor.page.locator("[name=phone]").blur()
    if has_script:
        expect(visitor.page.locator("[data-state=valid]")).to_have_text("Valid number")
    visitor.page.locator("form > button").click()
    expect(visitor.page.get_by_text("Thank you! Your submission has been received!")).to_be_visible()
    assert len(about(crm, f"+447400{number}")) == 1


def test_an_unrecognised_number_in_such_a_widget_is_asked_about_once(site: Site, visit: Visit, crm: Crm) -> None:
    number = next(NUMBERS)
    widget = npm.packages() / "intl-tel-input" / "dist" / "js" / "intlTelInputWithUtils.min.js"
    site.put("/tel.js", widget.read_text("utf-8"), "text/javascript")
    site.put("/start.js", START.replace("gb", "in") % "phone_full", "text/javascript")
    visitor = visit(site.page(PLAIN.replace("</html>", TEL)))
    visitor.fill(name="Asha Rao", phone=f"5886{number}")
    visitor.page.locator("[name=phone]").blur()
    expect(visitor.page.locator("[data-state=invalid]")).to_contain_text("We couldn't recognise this number.")
    visitor.page.locator("form > button").click()
    expect(visitor.page.get_by_text("Thank you! Your submission has been received!")).to_be_visible()
    assert "unverified" in about(crm, f"+915886{number}")[0]["phone"]["flags"]


def test_formspree_ajax_works_from_another_origin(site: Site, visit: Visit, service: str, crm: Crm) -> None:
    client = npm.packages() / "@formspree" / "ajax" / "dist" / "global.js"
    site.put("/ajax.js", client.read_text("utf-8"), "text/javascript")
    start = f"formspree('initForm', {{ formElement: '#contact', formId: 'guarded', origin: '{service}' }});"
    site.put("/start.js", start, "text/javascript")
    queue = "window.formspree = window.formspree || function () { (formspree.q = formspree.q || []).push(arguments); };"
    site.put("/queue.js", queue, "text/javascript")
    page = """<form id="contact"><input name="name"><input name="phone"><span data-fs-error="phone"></span>
      <div data-fs-success></div><button data-fs-submit-btn>Send</button></form>
      <script src="/queue.js"></script><script src="/start.js"></script><script src="/ajax.js"></script>"""
    visitor = visit(site.put("/ajax", page))
    visitor.fill(name="Asha Rao", phone="98450 1234")
    visitor.page.locator("button").click()
    expect(visitor.page.locator("[data-fs-error]")).to_contain_text("This number is too short.")
    visitor.fill(phone=visitor.phone)
    visitor.page.locator("button").click()
    expect(visitor.page.locator("[data-fs-success]")).to_be_visible()
    assert len(visitor.leads(crm)) == 1


VERSIONS = {
    "17": ("intl-tel-input-17/build/js/intlTelInput.min.js", "separateDialCode: true, hiddenInput: '%s'"),
    "23": ("intl-tel-input-23/build/js/intlTelInputWithUtils.min.js", "hiddenInput: () => ({ phone: '%s' })"),
    "29": ("intl-tel-input/dist/js/intlTelInputWithUtils.min.js", "hiddenInputs: () => ({ phone: '%s' })"),
}


@pytest.mark.parametrize("hidden", ["intl_phone", ""], ids=["with a hidden input", "without"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_number_in_a_widget_of_any_version_is_its_countrys(
    site: Site, visit: Visit, crm: Crm, version: str, hidden: str
) -> None:
    number = next(NUMBERS)
    path, option = VERSIONS[version]
    site.put("/tel.js", (npm.packages() / path).read_text("utf-8"), "text/javascript")
    options = f"initialCountry: 'gb', {option % hidden if hidden else ''}"
    site.put("/start.js", f"intlTelInput(document.querySelector('[name=phone]'), {{ {options} }})", "text/javascript")
    visitor = visit(site.page(PLAIN.replace("</html>", TEL)))
    visitor.fill(name="Asha Rao", phone=f"07400 {number}")
    visitor.page.locator("[name=phone]").blur()
    expect(visitor.page.locator("[data-state=valid]")).to_have_text("Valid number")
    visitor.page.locator("form > button").click()
    expect(visitor.page.get_by_text("Thank you! Your submission has been received!")).to_be_visible()
    assert about(crm, f"+447400{number}")[0]["phone"]["country"] == "GB"


def test_a_widget_that_nobody_can_ask_is_asked_nothing_and_its_flag_is_believed(
    site: Site, visit: Visit, crm: Crm
) -> None:
    """Loaded as a module, an older one leaves nothing on the page but its marks."""
    number = next(NUMBERS)
    text = (npm.packages() / VERSIONS["23"][0]).read_text("utf-8")
    call = "(document.querySelector('[name=phone]'), { initialCountry: 'gb' })"
    made = f"(module.exports.default || module.exports){call}"
    start = f"(() => {{ const window = {{}}, module = {{ exports: {{}} }}; {text}; {made}; }})()"
    site.put("/start.js", "", "text/javascript")
    site.put("/tel.js", start, "text/javascript")
    visitor = visit(site.page(PLAIN.replace("</html>", TEL)))
    visitor.page.evaluate("delete window.intlTelInput; delete window.intlTelInputGlobals")
    expect(visitor.page.locator(".iti")).to_be_visible()
    visitor.fill(name="Asha Rao", phone=f"07400 {number}")
    visitor.page.locator("form > button").click()
    expect(visitor.page.get_by_text("Thank you! Your submission has been received!")).to_be_visible()
    assert about(crm, f"+447400{number}")[0]["phone"]["country"] == "GB"


def test_htmx_and_axios_with_credentials_post_from_another_origin(
    site: Site, visit: Visit, service: str, crm: Crm
) -> None:
    htmx = npm.packages() / "htmx.org" / "dist" / "htmx.min.js"
    axios = npm.packages() / "axios" / "dist" / "axios.min.js"
    site.put("/htmx.js", htmx.read_text("utf-8"), "text/javascript")
    site.put("/axios.js", axios.read_text("utf-8"), "text/javascript")
    site.put("/start.js", "htmx.config.selfRequestsOnly = false", "text/javascript")
    page = f"""<!doctype html><meta charset="utf-8"><title>htmx</title><script src="/htmx.js"></script>
      <script src="/axios.js"></script><script src="/start.js"></script>
      <form hx-post="{service}/f/guarded" hx-headers='{{"X-CSRF-TOKEN": "1"}}' hx-swap="none">
      <input name="name" value="Asha"><input name="phone"><button>Send</button></form>"""
    visitor = visit(site.put("/htmx", page))
    visitor.fill(phone=visitor.phone)
    visitor.page.locator("button").click()
    assert visitor.leads(crm)[0]["fields"]["name"] == "Asha"
    sent = f"""axios.post("{service}/f/guarded", {{ name: "Ravi", phone: "{visitor.phone}" }},
      {{ withCredentials: true, headers: {{ Authorization: "Bearer x" }} }}).then((answer) => answer.data.ok)"""
    assert visitor.page.evaluate(sent) is True
    assert visitor.leads(crm, 2)[1]["fields"]["name"] == "Ravi"
    said = f'{{ name: "Meera", phone: "{visitor.phone}" }}'
    beacon = f'navigator.sendBeacon("{service}/f/guarded", JSON.stringify({said}))'
    assert visitor.page.evaluate(beacon) is True
    assert visitor.leads(crm, 3)[2]["fields"]["name"] == "Meera"


def test_a_country_of_its_own_beside_the_number_is_asked_about_with_it(site: Site, visit: Visit) -> None:
    select = '<select name="phone_code"><option value="+91">India<option value="+1">United States</select>'
    visitor = visit(site.page(PLAIN.replace("<input", f"{select}<input", 1)))
    visitor.page.select_option("select", "+1")
    note = visitor.page.locator("[data-state]")
    visitor.fill(name="Asha Rao", phone="89510 47001")
    visitor.page.locator("[name=phone]").blur()
    expect(note).to_contain_text("We couldn't recognise this number.")
    visitor.page.select_option("select", "+91")
    expect(note).to_have_text("Valid number")
    visitor.page.select_option("select", "+1")
    expect(note).to_contain_text("We couldn't recognise this number.")
    visitor.fill(phone="(415) 555-2671")
    visitor.page.locator("[name=phone]").blur()
    expect(note).to_have_text("Valid number")
