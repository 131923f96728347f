"""What a page of another origin may do, and what it can read: tried from such a page."""

from typing import Any

import pytest
from crm import Crm
from processes import post, request
from website import Site

from browser.conftest import Visit, Visitor, about

pytestmark = pytest.mark.browser

FETCH = """async ([address, phone, headers]) => {
  const body = new URLSearchParams({ name: "Asha Rao", phone });
  const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json", ...headers } });
  return { status: answer.status, told: await answer.json(), after: answer.headers.get("Retry-After") };
}"""
FRAMED = """fetch("%s", { method: "POST", body: new URLSearchParams({ name: "Asha", phone: "98451 00001" }) })
  .then((answer) => answer.json()).then((told) => parent.postMessage([origin, told.ok], "*"));"""
EXTRA = {
    "Idempotency-Key": "k1",
    "X-Requested-With": "XMLHttpRequest",
    "Formspree-Client": "x",
    "Formspree-Session-Data": "e30=",
}


def fetched(visitor: Visitor, address: str, headers: dict[str, str] | None = None) -> Any:
    return visitor.page.evaluate(FETCH, [address, visitor.phone, headers or {}])


@pytest.fixture
def elsewhere(site: Site, visit: Visit) -> Visitor:
    return visit(site.put("/blank", "<!doctype html><title>Another origin</title>"))


def test_a_listed_page_may_post_with_every_header_that_clients_send(elsewhere: Visitor, service: str, crm: Crm) -> None:
    answer = fetched(elsewhere, f"{service}/f/guarded", EXTRA)
    assert (answer["status"], answer["told"]["ok"]) == (200, True)
    assert len(elsewhere.leads(crm)) == 1


def test_a_page_that_is_not_listed_is_refused_and_can_read_why(elsewhere: Visitor, service: str) -> None:
    answer = fetched(elsewhere, f"{service}/f/elsewhere", EXTRA)
    assert answer["status"] == 403
    assert answer["told"]["errors"][0]["code"] == "ORIGIN_NOT_ALLOWED"
    assert elsewhere.page.evaluate("origin") in answer["told"]["hint"]


def test_a_sandboxed_frame_whose_origin_is_null_may_post(site: Site, visit: Visit, service: str, crm: Crm) -> None:
    site.put("/framed.js", FRAMED % f"{service}/f/guarded", "text/javascript")
    markup = f"""<iframe sandbox="allow-scripts" srcdoc="<script src='{site.url}/framed.js'></script>"></iframe>
      <script>addEventListener("message", ({{ data }}) => {{ document.title = data.join(" "); }});</script>"""
    visitor = visit(site.put("/sandbox", markup))
    for _ in range(200):
        if visitor.page.title():
            break
        visitor.page.wait_for_timeout(10)
    assert visitor.page.title() == "null true"
    assert len(about(crm, "+919845100001")) == 1


def test_a_request_without_an_origin_may_post(service: str, crm: Crm) -> None:
    port = int(service.rpartition(":")[2])
    assert post(port, "guarded", name="Asha Rao", phone="98451 00002").status == 200
    assert len(about(crm, "+919845100002")) == 1


def test_when_to_try_again_can_be_read_from_another_origin(elsewhere: Visitor, service: str) -> None:
    port = int(service.rpartition(":")[2])
    headers = {"Origin": elsewhere.page.evaluate("origin")}
    answer = request(port, "POST", "/f/get-in-touch", b"", headers)
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
    elsewhere.page.route("**/f/get-in-touch", lambda route: route.fulfill(
        status=503, json={}, headers={**answer.headers, "retry-after": "7", "content-length": "2"}
    ))  # fmt: skip
    assert fetched(elsewhere, f"{service}/f/get-in-touch")["after"] == "7"


def test_a_page_isolated_from_others_may_load_the_script(site: Site, visit: Visit, service: str) -> None:
    page = f'<script src="{service}/lead-form.js" onload="document.title = \'loaded\'"></script>'
    visitor = visit(site.put("/isolated", page, Cross_Origin_Embedder_Policy="require-corp"))
    assert visitor.page.title() == "loaded"


def test_the_script_can_be_pinned_by_its_digest(site: Site, visit: Visit, service: str) -> None:
    page = f'<script src="{service}/lead-form.js" crossorigin onload="document.title = \'loaded\'"></script>'
    assert visit(site.put("/pinned", page)).page.title() == "loaded"


def test_only_listed_pages_may_frame_the_hosted_form(site: Site, visit: Visit, service: str) -> None:
    frames = "".join(f'<iframe src="{service}/f/{form}"></iframe>' for form in ("guarded", "elsewhere"))
    visitor = visit(site.put("/frames", frames))
    shown = [frame.locator("form").count() for frame in visitor.page.frames[1:]]
    assert shown == [1, 0]
    [stopped] = visitor.broken
    assert "frame-ancestors 'self' https://www.example.com" in stopped
    visitor.broken.clear()
