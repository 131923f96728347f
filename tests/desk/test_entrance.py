"""Who may enter the desk: invitations, passwords, sessions, roles, and forms that come from elsewhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from desk import CONFIG, ORIGIN, PASSWORD, OpenDesk, open_desk
from redis import Redis

from service.desk.people.members import (
    MOST_BY_ADDRESS,
    MOST_BY_NAME,
    Invitation,
    Role,
    problem_of_name,
    problem_of_password,
)

pytestmark = pytest.mark.anyio

PATHS = (
    "/",
    "/leads",
    "/leads/x",
    "/held",
    "/trouble",
    "/people",
    "/leads.csv",
    "/leads.xlsx",
    "/leads/x/erase",
    "/compare",
)
ALLOWED: dict[Role, set[str]] = {
    "reader": {"/", "/leads", "/held", "/trouble"},
    "editor": {"/", "/leads", "/held", "/trouble", "/leads.csv", "/leads.xlsx", "/compare"},
    "owner": {"/", "/leads", "/held", "/trouble", "/leads.csv", "/leads.xlsx", "/compare", "/people"},
}
CHANGES: dict[str, Role] = {
    "/leads/x/send": "editor", "/leads/x/erase": "owner", "/held": "editor", "/trouble/open": "editor",
    "/trouble/send": "editor", "/compare/x": "editor", "/compare/x/send": "editor",
    "/people/invite": "owner", "/people/remove": "owner",
}  # fmt: skip


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[OpenDesk]:
    async with open_desk(redis_url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("password", "is_fine"),
    [
        (PASSWORD, True), ("nine plus nine is late", True), ("प्रकाश नदी पर्वत मेघ धूप", True), ("p" * 257, False),
        ("short1!", False), ("elevenchars", False), ("password1234", False), ("qwertyuiop12", False),
        ("aaaaaaaaaaaa", False), ("123456789012", False), ("asha.example", False), ("AshaAshaAsha", False),
        ("abcdefghijkl", False), ("iloveyou2026", False),
    ],
)  # fmt: skip
async def test_a_password_is_long_and_no_known_one(password: str, is_fine: bool) -> None:
    assert (problem_of_password(password, "asha.example") == "") == is_fine


@pytest.mark.parametrize(
    ("name", "is_fine"),
    [("Asha Rao", True), ("asha@example.com", True), ("", False), (" Asha", False), ("A\nB", False), ("x" * 81, False)],
)
async def test_a_name_is_one_line(name: str, is_fine: bool) -> None:
    assert (problem_of_name(name) == "") == is_fine


async def test_an_invitation_lets_somebody_in_once(desk: OpenDesk) -> None:
    token = await desk.desk.members.invite(Invitation("Asha", "editor", "Ravi"))
    first, second = desk.browser(), desk.browser()
    page = await first.get(f"/invitation/{token}")
    assert "Asha" in page.text
    assert "editor" in page.text
    await first.post(f"/invitation/{token}", 422, password="password1234", again="password1234")
    await first.post(f"/invitation/{token}", 422, password=PASSWORD, again=PASSWORD + "!")
    await first.post(f"/invitation/{token}", 422, password=PASSWORD, again=PASSWORD, origin="http://evil.example")
    await first.post(f"/invitation/{token}", password=PASSWORD, again=PASSWORD)
    assert "Asha" in (await first.get("/leads")).text
    await second.get(f"/invitation/{token}", 404)
    await second.post(f"/invitation/{token}", 404, password=PASSWORD, again=PASSWORD)


async def test_an_invitation_is_over_after_three_days(desk: OpenDesk, redis_url: str) -> None:
    await desk.desk.members.invite(Invitation("Asha", "reader"))
    with Redis.from_url(redis_url) as redis:
        (key,) = redis.keys("leads:{desk}:invitation:*")
        assert 3 * 86_400 - 60 < int(redis.ttl(key)) <= 3 * 86_400


async def test_no_password_no_cookie_and_no_link_can_be_read_from_what_is_kept(desk: OpenDesk, redis_url: str) -> None:
    browser = await desk.enter("Asha", "owner")
    token = await desk.desk.members.invite(Invitation("Ravi", "reader"))
    with Redis.from_url(redis_url) as redis:
        kept = b" ".join(each + (redis.dump(each) or b"") for each in redis.scan_iter("leads:{desk}:*"))
    for secret in (PASSWORD, token, next(iter(browser.client.cookies.values()))):
        assert secret.encode() not in kept


async def test_signing_in_says_the_same_whoever_there_is(desk: OpenDesk) -> None:
    await desk.enter("Asha", "reader")
    known = await desk.browser().post("/sign-in", 401, name="Asha", password="wrong horse entirely")
    unknown = await desk.browser().post("/sign-in", 401, name="Asha2", password="wrong horse entirely")
    assert known.text == unknown.text.replace("Asha2", "Asha")
    again = desk.browser()
    answer = await again.post("/sign-in", name="Asha", password=PASSWORD)
    assert answer.headers["location"] == "/"
    await again.get("/")


@pytest.mark.parametrize(("origin", "name"), [(ORIGIN, "leads"), ("https://desk.example.com", "__Host-leads")])
async def test_the_cookie_is_for_this_host_alone(desk: OpenDesk, origin: str, name: str) -> None:
    token = await desk.desk.members.invite(Invitation("Asha", "reader"))
    answer = await desk.browser(origin).post(f"/invitation/{token}", password=PASSWORD, again=PASSWORD, origin=origin)
    said = answer.headers["set-cookie"]
    assert said.startswith(f"{name}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=43200"} <= set(said.split("; "))
    assert ("Secure" in said) == origin.startswith("https")
    assert "Domain" not in said


async def test_behind_a_proxy_the_public_url_decides(redis_url: str) -> None:
    text = CONFIG.replace("[desk]", '[desk]\npublic_url = "https://desk.example.com"')
    async with open_desk(redis_url, text) as desk:
        token = await desk.desk.members.invite(Invitation("Asha", "reader"))
        browser = desk.browser("http://127.0.0.1")
        answer = await browser.post(
            f"/invitation/{token}", password=PASSWORD, again=PASSWORD, origin="https://desk.example.com"
        )
        assert answer.headers["set-cookie"].startswith("__Host-leads=")
        assert "Secure" in answer.headers["set-cookie"]


async def test_too_many_attempts_from_one_address_must_wait_and_others_need_not(desk: OpenDesk) -> None:
    await desk.enter("Asha", "reader")
    for _ in range(MOST_BY_ADDRESS):
        await desk.browser().post("/sign-in", 401, name="Asha", password="wrong")
    await desk.browser().post("/sign-in", 429, name="Asha", password=PASSWORD)
    await desk.browser(address="198.51.100.1").post("/sign-in", name="Asha", password=PASSWORD)


async def test_too_many_attempts_at_one_name_must_wait_whether_or_not_there_is_somebody(desk: OpenDesk) -> None:
    for name in ("Asha", "Nobody"):
        for number in range(MOST_BY_NAME):
            assert await desk.desk.sessions.may_try(f"198.51.100.{number}", name)
        assert not await desk.desk.sessions.may_try("198.51.100.200", name)


async def test_nobody_sees_a_page_without_signing_in(desk: OpenDesk) -> None:
    for path in PATHS:
        answer = await desk.browser().get(path, 303)
        assert answer.headers["location"] == "/sign-in"
    for path in CHANGES:
        assert (await desk.browser().post(path)).headers["location"] == "/sign-in"


@pytest.mark.parametrize("role", ["reader", "editor", "owner"])
async def test_a_role_sees_its_pages_and_no_others(desk: OpenDesk, role: Role) -> None:
    browser = await desk.enter("Asha", role)
    for path in PATHS:
        if path.startswith("/leads/x"):
            continue
        await browser.get(path, 200 if path in ALLOWED[role] else 403)


@pytest.mark.parametrize("role", ["reader", "editor", "owner"])
async def test_a_role_changes_what_it_may_and_nothing_else(desk: OpenDesk, role: Role) -> None:
    browser = await desk.enter("Asha", role)
    order = ["reader", "editor", "owner"]
    for path, least in CHANGES.items():
        answer = await browser.client.post(path, data={"csrf": browser.csrf}, headers={"Origin": ORIGIN})
        assert (answer.status_code == 403) == (order.index(role) < order.index(least)), path


@pytest.mark.parametrize("path", [*CHANGES, "/sign-out"])
async def test_a_change_needs_the_token_of_the_session_and_our_own_page(desk: OpenDesk, path: str) -> None:
    browser, other = await desk.enter("Asha", "owner"), await desk.enter("Ravi", "owner")
    for sent in ({}, {"csrf": "x"}, {"csrf": other.csrf}, {"csrf": "ü\ud800".encode("utf-8", "replace").decode()}):
        answer = await browser.client.post(path, data=sent, headers={"Origin": ORIGIN})
        assert answer.status_code == 403
    for origin in ("http://evil.example", "null", ""):
        await browser.post(path, 403, origin=origin)
    answer = await browser.client.post(path, data={"csrf": browser.csrf})
    assert answer.status_code == 403
    assert (await browser.get("/leads")).status_code == 200


async def test_a_session_ends_with_its_member_its_password_and_signing_out(desk: OpenDesk) -> None:
    owner, first = await desk.enter("Asha", "owner"), await desk.enter("Ravi", "reader")
    second = await desk.enter("Ravi", "editor")  # a new invitation, a new password and role
    await first.get("/leads", 303)
    await second.get("/leads")
    await owner.post("/people/remove", name="Ravi")
    await second.get("/leads", 303)
    await owner.post("/people/remove", 422, name="Asha")
    await owner.post("/sign-out")
    await owner.get("/leads", 303)


async def test_an_owner_invites_and_the_link_is_shown_once(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    page = await owner.post("/people/invite", 200, name="Ravi", role="reader")
    link = page.text.split('<code class="link">')[1].split("<")[0]
    assert link.startswith(f"{ORIGIN}/invitation/")
    assert link not in (await owner.get("/people")).text
    guest = desk.browser()
    await guest.post(link.removeprefix(ORIGIN), password=PASSWORD, again=PASSWORD)
    assert "Ravi" in (await guest.get("/leads")).text
    await owner.post("/people/invite", 422, name="a\nb", role="reader")


async def test_everything_done_stands_in_the_journal(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    await desk.shop.submit(name="Mina", phone="8951047001")
    for path in ("/leads", "/leads.csv", "/leads.xlsx", "/held"):
        await owner.get(path)
    text = (await owner.get("/people")).text
    for what in ("saw a list of 1 lead", "exported leads as CSV", "exported leads as XLSX"):
        assert what in text
    assert "Mina" not in text
    assert "8951047001" not in text


async def test_every_change_stands_in_the_journal_before_it_is_done(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    taken = await desk.shop.submit(name="Mina", phone="8951047001")
    place = f"/leads/{taken.lead}"
    changes: list[tuple[str, int, dict[str, str], str]] = [
        (f"{place}/send", 303, {"destination": "crm"}, "sent it again to crm"),
        ("/held", 303, {"do": "release", "submission": "get-in-touch x"}, "let a held submission through"),
        ("/held", 303, {"do": "drop", "submission": "get-in-touch x"}, "deleted a held submission"),
        ("/held", 303, {"do": "undo", "submission": "drop get-in-touch x"}, "took back the decision"),
        ("/trouble/open", 303, {"destination": "crm"}, "opened crm again"),
        ("/trouble/send", 303, {"destination": "crm", "reason": "x"}, "sent 0 dead leads again to crm"),
        ("/people/invite", 200, {"name": "Ravi", "role": "reader"}, "invited Ravi as reader"),
        ("/people/remove", 303, {"name": "Ravi"}, "removed Ravi"),
        (f"{place}/erase", 200, {"confirmation": "erase"}, "erased the person"),
    ]
    for path, status, said, what in changes:
        await owner.post(path, status, **said)
        assert what in (await owner.get("/people")).text, path


HOSTILE: Any = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


async def test_a_hostile_name_stays_a_name(desk: OpenDesk) -> None:
    owner = await desk.enter(HOSTILE[:80], "owner")
    for path in ("/", "/leads", "/people"):
        text = (await owner.get(path)).text
        assert "<script" not in text
        assert "<img" not in text
    text = (await desk.browser().post("/sign-in", 401, name=HOSTILE, password="x")).text
    assert "<script" not in text


async def test_every_answer_says_how_it_may_be_used(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    for path, status in (("/", 200), ("/leads", 200), ("/nowhere", 404), ("/leads/x", 404), ("/leads.csv", 200)):
        headers = (await owner.get(path, status)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "script-src" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
