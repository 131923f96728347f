"""What `leads doctor` calls fine is sent by a real browser, and what it calls wrong is not."""

import pytest
from crm import Crm
from website import PLAIN, Site
from workshop import Workshop, destination

from browser.conftest import FORM, Visit
from service.cli.doctor.command import fetch
from service.cli.doctor.diagnosis import diagnose

pytestmark = pytest.mark.browser

TRAP = '<p hidden><label>Leave this empty <input name="_gotcha" tabindex="-1"></label></p>'


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_a_page_that_is_called_fine_submits(
    visit: Visit, site: Site, service: str, crm: Crm, java_script_enabled: bool
) -> None:
    text = FORM.format(name="get-in-touch", more=f'origins = ["{site.url}"]') + destination(crm.url)
    config = Workshop.read(text + f'[service]\npublic_url = "{service}"\n')
    good = site.page(PLAIN, more=TRAP)
    page, headers, _ = fetch(good)
    found = diagnose(page, headers, config, service)
    assert (found.is_fine, found.findings) == (True, ())
    visitor = visit(good, java_script_enabled=java_script_enabled)
    visitor.fill(name="Asha", phone=visitor.phone)
    visitor.page.get_by_role("button", name="Submit").click()
    assert visitor.leads(crm)
