"""`/lead-form.js` on pages of another origin: what it shows, what it sends, and what it never does."""

import re

import pytest
from crm import Crm
from playwright.sync_api import Route, expect
from processes import frozen
from website import PLAIN, WEBFLOW, Site

from browser.conftest import Installation, Visit, Visitor, about

pytestmark = pytest.mark.browser

TOO_SHORT = "This number is too short. A mobile number in India has 10 digits."
ASKED = "We couldn't recognise this number. Check it, or submit again to use it as it is."
SUBMISSIONS = re.compile(r"/f/[\w-]+$")
CHECKS = re.compile(r"/f/[\w-]+/phone$")


def fill(visitor: Visitor, phone: str = "") -> None:
    visitor.fill(name="Asha Rao", phone=phone or visitor.phone)


def send(visitor: Visitor) -> None:
    visitor.page.locator("[type=submit], button").first.click()


def expect_thanks(visitor: Visitor, text: str = "The clinic thanks you.") -> None:
    expect(visitor.page.get_by_text(text)).to_be_visible()


def keys(visitor: Visitor) -> set[str]:
    return {post["idempotency-key"] for post in visitor.posts}


def unsent(visitor: Visitor) -> int:
    return int(visitor.page.evaluate("Object.keys(sessionStorage).filter(name => name.startsWith('lead-form')).length"))


def answer(route: Route) -> None:
    """Let a request through, and wait until the page has read its answer."""
    page = route.request.frame.page
    with page.expect_event("requestfinished", lambda request: request == route.request):
        route.continue_()
    page.wait_for_timeout(50)  # its script runs after the network is done; too short a wait only misses a mistake


class Pauses:
    """The pauses that the script makes from now on, on a clock that the test moves."""

    def __init__(self, visitor: Visitor) -> None:
        self._page = visitor.page
        self._page.evaluate(
            """() => { const set = setTimeout; window.pauses = [];
              window.setTimeout = (work, ms) => { pauses.push(ms); return set(work, ms); }; }"""
        )

    def end(self, count: int) -> int:
        """Wait until that many began in all, let the last pass, and return how many ms that took."""
        pause = self.begin(count)
        self._page.clock.run_for(pause)
        return pause

    def begin(self, count: int) -> int:
        """Wait until that many began in all, and return how many ms the last takes."""
        for _ in range(500):
            if len(begun := self._page.evaluate("pauses")) >= count:
                return int(begun[count - 1])
            self._page.wait_for_timeout(10)
        raise AssertionError(f"{len(begun)} of {count} pauses began")


class Gate:
    """Stands between a page and the service: holds submissions until told what to do with each."""

    def __init__(self, visitor: Visitor, which: re.Pattern[str] = SUBMISSIONS) -> None:
        self.held: list[Route] = []
        visitor.page.route(which, self._take)
        self._visitor = visitor

    def _take(self, route: Route) -> None:
        if route.request.method == "POST":
            self.held.append(route)
        else:
            route.continue_()

    def wait(self, count: int) -> Route:
        """Wait until that many came in all, and return the last."""
        for _ in range(500):
            if len(self.held) >= count:
                return self.held[count - 1]
            self._visitor.page.wait_for_timeout(10)
        raise AssertionError(f"{len(self.held)} of {count} submissions came")


def refused(route: Route, status: int, sentence: str = "Wait.", field: str = "", **headers: str) -> None:
    problem = {"field": field, "code": "X", "message": sentence}
    told = {"ok": False, "code": status, "message": "Oops!", "errors": [problem]}
    allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    route.fulfill(status=status, json=told, headers=allowed | named)


def test_a_valid_number_is_called_so_in_the_pages_own_element(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    status = visitor.page.locator("[data-phone-status]")
    visitor.fill(phone="895104700")
    visitor.page.locator("#phone").blur()
    expect(status).to_have_text(TOO_SHORT)
    expect(status).to_have_attribute("aria-live", "polite")
    expect(visitor.page.locator("#phone")).to_have_attribute("aria-invalid", "true")
    visitor.fill(phone="089510 47001")
    expect(status).to_have_text("")
    visitor.page.locator("#phone").blur()
    expect(status).to_have_text("Valid number")
    expect(visitor.page.locator("#phone")).to_have_accessible_description("Valid number")
    expect(visitor.page.locator("#phone")).to_have_attribute("aria-invalid", "false")


def test_a_page_without_an_element_for_it_gets_one_and_a_suggestion_is_a_button(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(PLAIN))
    visitor.fill(phone="+9886012345")
    visitor.page.locator("[name=phone]").blur()
    button = visitor.page.get_by_role("button", name="+919886012345")
    expect(button.locator("..")).to_have_attribute("aria-live", "polite")
    button.press("Enter")
    expect(visitor.page.locator("[name=phone]")).to_have_value("+919886012345")
    expect(visitor.page.locator("[name=phone]")).to_be_focused()
    expect(visitor.page.get_by_text("Valid number")).to_be_visible()
    assert visitor.posts == []


def test_a_number_nobody_recognises_is_asked_about_once(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor, "58860 12345")
    visitor.page.locator("#phone").press("Enter")
    expect(visitor.page.get_by_text("The clinic is sorry.")).to_be_visible()
    expect(visitor.page.locator("[data-phone-status]")).to_have_text(ASKED)
    expect(visitor.page.locator("#phone")).to_be_focused()
    visitor.page.locator("#phone").press("Enter")
    expect_thanks(visitor)
    assert "unverified" in about(crm, "+915886012345")[0]["phone"]["flags"]


@pytest.mark.parametrize("first", ["check", "submission"])
def test_of_a_check_and_a_submission_on_their_way_together_the_submission_is_believed(
    site: Site, visit: Visit, first: str
) -> None:
    visitor = visit(site.page(WEBFLOW))
    gate, checks, status = Gate(visitor), Gate(visitor, CHECKS), visitor.page.locator("[data-phone-status]")
    fill(visitor)
    visitor.page.locator("#phone").press("Enter")
    gate.wait(1)
    check = checks.wait(1)
    if first == "check":
        answer(check)
        expect(status).to_have_text("")
    refused(gate.wait(1), 422, "Not this number.", field="phone")
    expect(status).to_have_text("Not this number.")
    if first == "submission":
        answer(check)
        expect(status).to_have_text("Not this number.")
    visitor.page.locator("#phone").press("Tab")
    checks.wait(2).continue_()
    expect(status).to_have_text("Valid number")


def test_a_number_asked_about_beside_the_field_is_not_asked_about_again(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor, "58860 12345")
    visitor.page.locator("#phone").blur()
    expect(visitor.page.locator("[data-phone-status]")).to_have_text(ASKED)
    send(visitor)
    expect_thanks(visitor)
    assert len(visitor.posts) == 1


def test_success_shows_webflows_block_before_webflow_takes_the_form(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    expect(visitor.page.locator("form")).to_be_hidden()
    expect(visitor.page.locator(".w-form-done")).to_be_focused()
    expect(visitor.page.locator(".w-form-fail")).to_be_hidden()
    expect(visitor.page.locator("body")).not_to_have_attribute("data-webflow", "took it")
    assert visitor.leads(crm)[0]["fields"]["name"] == "Asha Rao"
    assert unsent(visitor) == 0


def test_a_failure_keeps_what_was_typed_and_leads_to_the_first_problem(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW, form="novalidate", more='<p id="hint">As at work.</p>'))
    page = visitor.page
    page.evaluate("document.querySelector('#email').setAttribute('aria-describedby', 'hint')")
    visitor.fill(name="Asha Rao", phone="123", email="asha", message="My knee")
    send(visitor)
    expect(page.get_by_text("The clinic is sorry.")).to_be_visible()
    expect(page.locator("#phone")).to_be_focused()
    expect(page.locator("#phone")).to_have_accessible_description(re.compile("too short"))
    expect(page.locator("#email")).to_have_accessible_description(re.compile(r"As at work\. Enter an email address"))
    expect(page.locator("[aria-invalid=true]")).to_have_count(2)
    expect(page.locator("#message")).to_have_value("My knee")
    expect(page.locator("[type=submit]")).to_be_enabled()
    visitor.fill(phone=visitor.phone, email="asha@example.com")
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    send(visitor)
    expect_thanks(visitor)
    expect(page.locator(".w-form-fail")).to_be_hidden()
    assert len(visitor.posts) == 2
    assert visitor.leads(crm)[0]["fields"]["message"] == "My knee"


def test_a_box_that_is_not_ticked_is_found_by_any_spelling_of_its_name(site: Site, visit: Visit) -> None:
    """An empty box or choice is not sent, so that the service can only call it by its own name."""
    more = """<label><input type="checkbox" name="Privacy-Policy"> I agree</label>
      <label><input type="radio" name="Side" value="Left"> Left</label>"""
    markup = PLAIN.replace("/f/get-in-touch", "/f/choosy")
    visitor = visit(site.page(markup, more=more))
    fill(visitor)
    visitor.page.locator("form > button").click()
    expect(visitor.page.get_by_label("I agree")).to_have_accessible_description("This field is required.")
    expect(visitor.page.get_by_label("I agree")).to_be_focused()
    expect(visitor.page.get_by_label("Left")).to_have_accessible_description("This field is required.")
    fail = visitor.page.locator(".lead-form-fail")
    expect(fail).to_have_text(re.compile("marked below. *visits: This field is required.$"))


def test_a_page_that_loads_the_script_twice_gets_one_of_everything(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(PLAIN))
    again = "(address) => document.head.append(Object.assign(document.createElement('script'), {src: address}))"
    with visitor.page.expect_response("**/lead-form.js?again"):
        visitor.page.evaluate(again, f"{site.service}/lead-form.js?again")
    fill(visitor, "123")
    send(visitor)
    expect(visitor.page.locator(".lead-form-fail")).to_have_count(1)
    expect(visitor.page.locator(".lead-form-note")).to_have_count(1)
    visitor.fill(phone=visitor.phone)
    send(visitor)
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert len(visitor.leads(crm)) == 1


def test_a_plain_page_gets_the_services_texts_in_elements_made_for_them(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(PLAIN))
    fill(visitor, "123")
    send(visitor)
    expect(visitor.page.locator(".lead-form-fail")).to_contain_text("Please check what is marked below.")
    expect(visitor.page.locator(".lead-form-fail + form")).to_be_visible()  # what it speaks of is below it
    expect(visitor.page.locator("[name=phone]")).to_be_focused()
    visitor.fill(phone=visitor.phone)
    send(visitor)
    expect(visitor.page.locator(".lead-form-done")).to_have_text("Thank you! Your submission has been received!")
    expect(visitor.page.locator(".lead-form-done")).to_be_focused()


def test_a_refusal_that_concerns_no_field_is_told_in_the_message_and_never_tried_again(
    site: Site, visit: Visit, service: str
) -> None:
    markup = WEBFLOW.replace("{service}/f/get-in-touch", f"{service}/f/elsewhere")
    visitor = visit(site.page(markup))
    fill(visitor)
    send(visitor)
    expect(visitor.page.locator(".w-form-fail")).to_contain_text("The clinic is sorry.")
    expect(visitor.page.locator(".w-form-fail")).to_contain_text("This page cannot send this form.")
    expect(visitor.page.locator(".w-form-fail")).to_be_focused()
    assert len(visitor.posts) == 1
    assert unsent(visitor) == 0


def test_on_a_slow_network_the_button_says_so_and_one_lead_is_sent(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    gate, button = Gate(visitor), visitor.page.locator("[type=submit]")
    fill(visitor)
    button.dblclick()
    first = gate.wait(1)
    expect(button).to_be_disabled()
    expect(button).to_have_value("Please wait...")
    visitor.page.locator("#name").press("Enter")
    visitor.page.evaluate("document.querySelector('form').requestSubmit()")
    first.continue_()
    expect_thanks(visitor)
    assert len(visitor.posts) == 1
    assert len(visitor.leads(crm)) == 1


def test_enter_twice_is_one_lead(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(PLAIN))
    fill(visitor)
    for _ in range(2):
        visitor.page.keyboard.press("Enter")
    visitor.page.locator("[name=phone]").evaluate("(field) => field.form && field.focus()")
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert len(visitor.posts) == 1
    assert len(visitor.leads(crm)) == 1


def test_a_button_with_markup_inside_is_as_before_after_a_failure(site: Site, visit: Visit) -> None:
    markup = PLAIN.replace("<button>Submit</button>", '<button data-wait="Sending"><b>Sub</b>mit</button>')
    visitor = visit(site.page(markup))
    gate, button = Gate(visitor), visitor.page.locator("button").first
    fill(visitor)
    button.click()
    first = gate.wait(1)
    expect(button).to_have_text("Sending")
    refused(first, 422)
    expect(button).to_have_text("Submit")
    expect(button.locator("b")).to_have_text("Sub")


def test_a_passing_trouble_is_tried_again_under_the_same_key_with_growing_pauses(
    site: Site, visit: Visit, crm: Crm
) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.clock.install()
    gate = Gate(visitor)
    fill(visitor)
    send(visitor)
    pauses = Pauses(visitor)
    for count, (status, pause) in enumerate(((503, 1_000), (429, 2_000), (502, 4_000), (504, 8_000)), start=1):
        refused(gate.wait(count), status)
        expect(visitor.page.locator("[type=submit]")).to_be_disabled()
        assert pauses.end(count) == pause
    gate.wait(5).continue_()
    expect_thanks(visitor)
    assert len(visitor.posts) == 5
    assert len(keys(visitor)) == 1
    assert len(visitor.leads(crm)) == 1


def test_a_server_that_asks_for_patience_gets_it(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.clock.install()
    gate = Gate(visitor)
    fill(visitor)
    send(visitor)
    pauses = Pauses(visitor)
    refused(gate.wait(1), 503, Retry_After="10")
    assert pauses.end(1) == 10_000
    gate.wait(2).continue_()
    expect_thanks(visitor)


def test_a_real_outage_costs_the_visitor_a_wait_and_nothing_else(
    installation: Installation, site: Site, visit: Visit, crm: Crm
) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor)
    visitor.page.locator("#phone").blur()
    expect(visitor.page.locator("[data-phone-status]")).to_have_text("Valid number")
    visitor.page.clock.install()
    assert installation.redis.pid is not None
    with (
        frozen(installation.redis.pid),
        visitor.page.expect_response(lambda answer: answer.request.method == "POST") as answered,
    ):
        send(visitor)
        pauses = Pauses(visitor)
    assert answered.value.status == 503
    pauses.end(1)
    expect_thanks(visitor)
    assert (len(visitor.posts), len(keys(visitor))) == (2, 1)
    assert len(visitor.leads(crm)) == 1


def test_any_other_refusal_is_told_at_once(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    gate = Gate(visitor)
    fill(visitor)
    for count, status in enumerate((400, 403, 404, 409, 413, 415, 422, 500), start=1):
        send(visitor)
        refused(gate.wait(count), status, f"Told {status}.")
        expect(visitor.page.locator(".w-form-fail")).to_contain_text(f"Told {status}.")
        expect(visitor.page.locator(".w-form-fail")).to_be_focused()
    expect(visitor.page.locator("#name")).to_have_value("Asha Rao")
    assert len(gate.held) == 8
    assert len(keys(visitor)) == 1
    assert unsent(visitor) == 0


def test_who_is_offline_is_told_and_the_lead_goes_when_the_network_returns(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.clock.install()
    fill(visitor)
    visitor.context.set_offline(True)
    pauses = Pauses(visitor)
    visitor.page.locator("#phone").press("Enter")
    expect(visitor.page.locator("[type=submit]")).to_be_disabled()
    for count, pause in enumerate((1_000, 2_000, 4_000, 8_000), start=1):
        assert pauses.end(count) == pause
    expect(visitor.page.get_by_text("The clinic is sorry.")).to_be_visible()
    assert len(visitor.posts) == 5
    visitor.context.set_offline(False)
    expect_thanks(visitor)
    assert (len(visitor.posts), len(keys(visitor))) == (6, 1)
    assert len(visitor.leads(crm)) == 1
    assert unsent(visitor) == 0


def test_what_is_typed_while_an_unsent_lead_waits_is_left_as_it_is(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.route(SUBMISSIONS, lambda route: refused(route, 503, Retry_After="3600"))
    fill(visitor)
    send(visitor)
    expect(visitor.page.get_by_text("Wait.")).to_be_visible()
    assert unsent(visitor) == 1
    visitor.fill(message="And my shoulder")
    visitor.page.unroute_all()
    visitor.page.evaluate("dispatchEvent(new Event('online'))")
    assert "message" not in visitor.leads(crm)[0]["fields"]
    expect(visitor.page.locator("#message")).to_have_value("And my shoulder")
    send(visitor)
    expect_thanks(visitor)
    assert visitor.leads(crm, 2)[1]["fields"]["message"] == "And my shoulder"


def test_the_network_that_returns_while_a_try_waits_ends_the_wait(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(PLAIN))
    fill(visitor)
    visitor.context.set_offline(True)
    visitor.page.clock.install(time=0)
    visitor.page.clock.pause_at(1_000)
    pauses = Pauses(visitor)
    visitor.page.locator("[name=phone]").press("Enter")
    assert pauses.begin(1) == 1_000
    visitor.context.set_offline(False)
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert len(visitor.posts) == 2
    assert len(visitor.leads(crm)) == 1


def test_an_unsent_lead_is_sent_when_the_tab_is_reloaded(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor)
    visitor.page.route(SUBMISSIONS, lambda route: route.abort())
    with visitor.page.expect_event("requestfailed"):
        send(visitor)
    assert unsent(visitor) == 1
    visitor.page.unroute_all()
    visitor.page.reload()
    expect_thanks(visitor)
    assert len(keys(visitor)) == 1
    assert len(visitor.leads(crm)) == 1
    assert unsent(visitor) == 0


def test_an_unsent_lead_is_sent_from_another_page_of_the_site_without_a_word(
    site: Site, visit: Visit, crm: Crm
) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor)
    visitor.page.route(SUBMISSIONS, lambda route: route.abort())
    with visitor.page.expect_event("requestfailed"):
        send(visitor)
    visitor.page.unroute_all()
    visitor.page.goto(site.put("/other", f'<script src="{site.service}/lead-form.js"></script>Another page'))
    assert visitor.leads(crm)[0]["fields"]["name"] == "Asha Rao"
    expect(visitor.page.locator("body")).to_have_text("Another page")


@pytest.mark.parametrize("more", ["data-redirect", "_next"])
def test_after_success_elsewhere_the_back_button_leads_to_a_usable_form(
    site: Site, visit: Visit, crm: Crm, more: str
) -> None:
    thanks = site.put("/thanks", "Thanks from the clinic.")
    asked = (
        {"form": f'data-redirect="{thanks}"'}
        if more != "_next"
        else {"more": f'<input type="hidden" name="_next" value="{thanks}">'}
    )
    visitor = visit(site.page(WEBFLOW, **asked))
    visitor.page.evaluate(
        "addEventListener('pageshow', (event) => { document.body.dataset.cached = event.persisted; })"
    )
    fill(visitor)
    send(visitor)
    expect(visitor.page.get_by_text("Thanks from the clinic.")).to_be_visible()
    visitor.page.go_back(wait_until="commit")
    expect(visitor.page.locator("body")).to_have_attribute("data-cached", "true")
    expect(visitor.page.locator("[type=submit]")).to_be_enabled()
    expect(visitor.page.locator("[type=submit]")).to_have_value("Submit")
    fill(visitor)
    visitor.fill(message="And my shoulder")
    send(visitor)
    expect(visitor.page.get_by_text("Thanks from the clinic.")).to_be_visible()
    assert len(keys(visitor)) == 2
    assert len(visitor.leads(crm, 2)) == 2


def test_a_relative_next_is_meant_from_the_page(site: Site, visit: Visit) -> None:
    """Between origins the browser tells the service the origin of the page alone."""
    thanks = site.put("/clinic/thanks", "Thanks from the clinic.")
    page = WEBFLOW.format(
        service=site.service, form="", script="", more='<input type="hidden" name="_next" value="thanks">'
    )
    visitor = visit(site.put("/clinic/contact", page))
    fill(visitor)
    send(visitor)
    visitor.page.wait_for_url(thanks)


def test_a_page_from_the_browsers_cache_shows_its_form_again(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    fill(visitor)
    visitor.page.locator("#phone").blur()
    expect(visitor.page.locator("[data-phone-status]")).to_have_text("Valid number")
    send(visitor)
    expect_thanks(visitor)
    visitor.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(visitor.page.locator("form")).to_be_visible()
    expect(visitor.page.locator("[data-phone-status]")).to_have_text("")
    expect(visitor.page.locator(".w-form-done")).to_be_hidden()
    expect(visitor.page.locator("#name")).to_have_value("")
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    assert len(keys(visitor)) == 2


def test_autofill_of_every_field_is_checked_and_sent(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    values = {"name": "Asha Rao", "phone": f"+91 {visitor.phone}", "email": "asha@example.com", "message": "My knee"}
    visitor.page.evaluate(
        """(values) => { for (const [name, value] of Object.entries(values)) {
          const field = document.querySelector(`[name=${name}]`);
          field.value = value;
          for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
        } }""",
        values,
    )
    expect(visitor.page.locator("[data-phone-status]")).to_have_text("Valid number")
    send(visitor)
    expect_thanks(visitor)
    assert visitor.leads(crm)[0]["fields"] == values | {"phone": "+91" + visitor.phone.replace(" ", "")}


def test_forms_that_come_later_are_taken_and_those_of_others_are_left_alone(site: Site, visit: Visit, crm: Crm) -> None:
    page = site.put(
        "/spa", f'<script src="{site.service}/lead-form.js"></script><form id="other" action="/search"></form>'
    )
    visitor = visit(page)
    visitor.page.evaluate(
        """(service) => document.body.insertAdjacentHTML("beforeend",
          `<form data-lead-form="get-in-touch"><input name="name"><input name="mobile"><button>Go</button></form>`)""",
        site.service,
    )
    visitor.fill(name="Asha Rao", mobile=visitor.phone)
    visitor.page.get_by_role("button", name="Go").click()
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert visitor.leads(crm)[0]["fields"]["name"] == "Asha Rao"
    with visitor.page.expect_navigation(url="**/search*"):
        visitor.page.evaluate("document.querySelector('#other').requestSubmit()")


def test_a_hidden_field_that_the_page_fills_as_it_is_sent_is_sent_filled(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW, more='<input type="hidden" name="lab">'))
    visitor.page.evaluate(
        "document.forms[0].addEventListener('submit', (event) => { event.target.elements.lab.value = 'filled'; })"
    )
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    assert visitor.leads(crm)[0]["extra"]["lab"] == "filled"


def test_a_field_that_hides_what_a_form_can_do_hides_no_thanks(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(PLAIN, more='<input type="reset" name="reset"><input type="hidden" name="action">'))
    fill(visitor)
    visitor.page.locator("form > button").click()
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert len(visitor.leads(crm)) == 1


def test_a_check_of_the_page_that_says_no_is_obeyed(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.evaluate("document.forms[0].addEventListener('submit', (event) => event.preventDefault())")
    fill(visitor)
    send(visitor)
    expect(visitor.page.locator("body")).to_have_attribute("data-webflow", "took it")
    assert visitor.posts == []


def test_where_the_visitor_came_from_is_sent_along(site: Site, visit: Visit, crm: Crm) -> None:
    tags = "utm_source=google&utm_medium=cpc&utm_campaign=knee&gclid=G1&msclkid=M1&token=mine"
    address = f"{site.page(WEBFLOW)}?{tags}"
    visitor = visit(address, extra_http_headers={})
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    told = visitor.leads(crm)[0]["source"]
    assert told["page"] == address
    assert told["utm"] == {"source": "google", "medium": "cpc", "campaign": "knee"}
    assert told["click_ids"] == {"gclid": "G1", "msclkid": "M1"}
    assert visitor.page.evaluate("localStorage.length") == 0


def test_the_script_tells_how_the_form_was_filled_in(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(WEBFLOW))
    visitor.page.clock.install()
    visitor.page.clock.run_for(5_000)
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    assert visitor.leads(crm)[0]["spam"] == {"score": 6, "signals": ["webdriver"]}


@pytest.mark.parametrize("place", ["form", "script"])
def test_first_and_last_touch_are_kept_where_the_page_asks_for_it(
    site: Site, visit: Visit, crm: Crm, place: str
) -> None:
    address = site.page(WEBFLOW, **{place: "data-attribution"})
    visitor = visit(f"{address}?utm_source=first&gclid=G1")
    visitor.page.goto(f"{address}?utm_source=last")
    visitor.page.goto(address)
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    told = visitor.leads(crm)[0]["source"]
    assert told["page"] == address
    assert told["first_touch"]["utm"] == {"source": "first"}
    assert told["first_touch"]["click_ids"] == {"gclid": "G1"}
    assert told["last_touch"]["utm"] == {"source": "last"}
    assert told["last_touch"]["at"] >= told["first_touch"]["at"]


def test_a_page_elsewhere_that_names_this_website_is_a_touch(site: Site, visit: Visit, crm: Crm) -> None:
    address = site.page(WEBFLOW, form="data-attribution")
    visitor = visit(f"{address}?utm_source=first")
    elsewhere = f"https://search.example/?q={site.url}/"
    visitor.page.goto(address, referer=elsewhere)
    visitor.page.goto(f"{address}?step=2", referer=address)
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    told = visitor.leads(crm)[0]["source"]
    assert (told["last_touch"]["page"], told["last_touch"]["referrer"]) == (address, elsewhere)


def test_a_touch_is_forgotten_after_90_days(site: Site, visit: Visit, crm: Crm) -> None:
    address = site.page(WEBFLOW, form="data-attribution")
    visitor = visit(f"{address}?utm_source=old")
    visitor.page.evaluate(
        """() => { const kept = JSON.parse(localStorage.leadForm);
          for (const touch of Object.values(kept)) touch.at = new Date(Date.now() - 90 * 864e5 - 1).toISOString();
          localStorage.leadForm = JSON.stringify(kept); }"""
    )
    visitor.page.goto(address)
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    assert visitor.leads(crm)[0]["source"]["first_touch"]["page"] == address


@pytest.mark.parametrize(
    "happening",
    [
        """for (const kind of ["localStorage", "sessionStorage"])
          Object.defineProperty(window, kind, { get() { throw new DOMException("no", "SecurityError"); } });""",
        "localStorage.leadForm = '{'; sessionStorage['lead-form-unsent-x'] = '{';",
        "localStorage.leadForm = 'null'; sessionStorage['lead-form-unsent-x'] = 'null';",
    ],
    ids=["forbidden", "spoilt", "null"],
)
def test_storage_that_is_forbidden_or_spoilt_stops_nothing(site: Site, visit: Visit, crm: Crm, happening: str) -> None:
    visitor = visit(site.page(WEBFLOW, form="data-attribution"))
    visitor.page.add_init_script(happening)
    visitor.page.reload()
    fill(visitor)
    send(visitor)
    expect_thanks(visitor)
    assert len(visitor.leads(crm)) == 1


def test_no_cookie_and_nothing_global_is_left(site: Site, visit: Visit) -> None:
    visitor = visit(site.page(PLAIN.replace("<script", "<!-- ").replace("</script>", "-->")))
    names = "Object.getOwnPropertyNames(window).filter(name => isNaN(name)).sort()"
    before = visitor.page.evaluate(names)
    visitor.page.goto(site.page(PLAIN))
    fill(visitor)
    send(visitor)
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert visitor.page.evaluate(names) == before
    assert visitor.context.cookies() == []


@pytest.mark.parametrize("markup", [WEBFLOW, PLAIN], ids=["webflow", "plain"])
def test_a_strict_content_security_policy_breaks_nothing(
    site: Site, visit: Visit, service: str, crm: Crm, markup: str
) -> None:
    strict = f"default-src 'none'; script-src {service}; connect-src {service}"
    markup = markup.replace('<script src="/webflow.js" defer></script>', "")
    markup = re.sub("<style>.*</style>", "", markup)
    visitor = visit("about:blank")
    said: list[str] = []
    visitor.page.on("console", lambda message: said.append(message.text))
    visitor.page.goto(site.page(markup, Content_Security_Policy=strict))
    fill(visitor, "123")
    visitor.page.locator("[name=phone]").blur()
    expect(visitor.page.get_by_text(TOO_SHORT)).to_be_visible()
    fill(visitor)
    send(visitor)
    expect(visitor.page.locator("form")).to_be_hidden()
    assert len(visitor.leads(crm)) == 1
    assert [each for each in said if "Security Policy" in each and "favicon" not in each] == []


def test_the_words_follow_the_pages_language(site: Site, visit: Visit) -> None:
    markup = PLAIN.replace('lang="en"', 'lang="hi"').replace("/f/get-in-touch", "/f/auto")
    visitor = visit(site.page(markup))
    fill(visitor, "123")
    visitor.page.locator("[name=phone]").blur()
    expect(visitor.page.locator("[data-state=invalid]")).to_have_text(re.compile("[\u0900-\u097f]{3}"))
    fill(visitor)
    send(visitor)
    expect(visitor.page.locator(".lead-form-done")).to_have_text(re.compile("[\u0900-\u097f]{3}"))


CLOBBERED = """<!doctype html><meta charset="utf-8"><title>Names</title>
<form method="post" action="{service}/f/get-in-touch" {form}>
  <input name="action" value="a"><input name="style" value="b"><input name="reset" value="c"><input name="id" value="d">
  <input name="elements" value="e"><input name="dataset" value="f"><input name="querySelector" value="g">
  <input name="addEventListener" value="h"><input name="contains" value="i"><input name="children" value="j">
  <input name="submit" value="k"><input name="after" value="l"><input name="isConnected" value="m">
  <input name="name"><input name="phone" type="tel">{more}<button>Send</button></form>
<script src="{service}/lead-form.js" defer {script}></script>"""


def test_fields_that_are_named_like_properties_of_a_form_do_no_harm(site: Site, visit: Visit, crm: Crm) -> None:
    visitor = visit(site.page(CLOBBERED))
    send_it = """(phone) => { document.getElementsByName("name")[0].value = "Asha Rao";
      const field = document.getElementsByName("phone")[0]; field.value = phone;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      document.getElementsByTagName("button")[0].click(); }"""
    visitor.page.evaluate(send_it, "895")
    expect(visitor.page.locator(".lead-form-note").first).to_have_text(TOO_SHORT)
    expect(visitor.page.locator(".lead-form-fail")).to_have_text("Please check what is marked below.")
    visitor.page.evaluate(send_it, visitor.phone)
    expect(visitor.page.locator(".lead-form-done")).to_have_text("Thank you! Your submission has been received!")
    assert visitor.leads(crm)[0]["extra"]["action"] == "a"


def test_a_button_may_send_the_form_elsewhere(site: Site, visit: Visit, service: str, crm: Crm) -> None:
    more = f'<button formaction="{service}/f/guarded" id="other">Other</button>'
    more += '<button formaction="/own" id="own">Own</button>'
    visitor = visit(site.page(PLAIN.replace("/f/get-in-touch", "/f/choosy"), more=more))
    fill(visitor)
    visitor.page.locator("#other").click()
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert visitor.leads(crm)[0]["form"] == "guarded"
    again = visit(site.page(PLAIN, more=more))
    fill(again)
    with again.page.expect_request("**/own"):
        again.page.locator("#own").click()


def test_what_is_not_ours_is_left_alone(site: Site, visit: Visit) -> None:
    other = """</form><form id="theirs" action="/search"><input name="email" type="email" aria-invalid="true"><input
      name="q" type="tel"></form><form hidden>"""
    visitor = visit(site.page(PLAIN, more=""))
    visitor.page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", other)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.locator("#theirs [name=email]").fill("x")
    visitor.page.locator("#theirs [name=q]").fill("895")
    visitor.page.locator("#theirs [name=q]").blur()
    expect(visitor.page.locator("#theirs [name=email]")).to_have_attribute("aria-invalid", "true")
    expect(visitor.page.locator("#theirs [name=q]")).not_to_have_attribute("aria-invalid", "true")
    assert visitor.page.locator(".lead-form-note").count() == 0
    assert not [url for url in asked if "/f/" in url]


@pytest.mark.parametrize(
    "hide",
    [
        "(label) => label.style.display = 'none'",
        "(label) => label.style.visibility = 'hidden'",
        "(label) => { const more = document.createElement('details'); label.replaceWith(more); more.append(label); }",
    ],
)
def test_a_problem_in_a_hidden_step_is_told_in_the_message_which_gets_the_focus(
    site: Site, visit: Visit, hide: str
) -> None:
    visitor = visit(site.page(PLAIN, form="novalidate"))
    fill(visitor, "895")
    visitor.page.locator("label:has([name=phone])").evaluate(hide)
    visitor.page.locator("form > button").click()
    fail = visitor.page.locator(".lead-form-fail")
    expect(fail).to_contain_text("Please check what is marked below.")
    expect(fail).to_contain_text(f"phone: {TOO_SHORT}")
    expect(fail).to_be_focused()


def test_a_slip_of_an_address_is_offered_its_right_spelling_on_blur_and_beside_the_answer(
    site: Site, visit: Visit, crm: Crm
) -> None:
    more = '<label>Email <input name="email" type="email"></label>'
    visitor = visit(site.page(PLAIN, more=more))
    fill(visitor)
    email = visitor.page.locator("[name=email]")
    email.fill("asha@gmial.com")
    email.blur()
    expect(visitor.page.get_by_text("Did you mean asha@gmail.com?")).to_be_visible()
    visitor.page.locator("form > button").last.click()
    expect_thanks(visitor, "Thank you! Your submission has been received!")
    assert visitor.leads(crm)[0]["fields"]["email"] == "asha@gmial.com"
    visitor.page.get_by_role("button", name="asha@gmail.com").last.click()
    assert visitor.leads(crm, 2)[1]["fields"]["email"] == "asha@gmail.com"


def test_a_page_without_a_charset_loses_no_letter_with_and_without_the_script(
    site: Site, visit: Visit, crm: Crm
) -> None:
    page = """<!doctype html><title>Old</title><form method="post" action="{service}/f/get-in-touch">
      <input name="name"><input name="phone"><textarea name="message"></textarea><button>Send</button></form>"""
    for script in ("", f'<script src="{site.service}/lead-form.js" defer></script>'):
        address = site.put("/old", page.format(service=site.service) + script, "text/html")
        visitor = visit(address)
        said = "It\u2019s my knee \u2013 since March"
        visitor.fill(name="\u0906\u0936\u093e", phone=visitor.phone, message=said)
        visitor.page.locator("button").click()
        [lead] = visitor.leads(crm)
        assert (lead["fields"]["name"], lead["fields"]["message"]) == ("\u0906\u0936\u093e", said)
