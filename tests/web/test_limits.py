"""Limits that all processes share: decided in the script that accepts, and of one person without a refusal."""

import contextlib
import dataclasses
import hmac
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from ledger import DAY, FORM, HOUR, MINUTE, SECOND, Ledger, open_ledger
from starlette.applications import Starlette

from service.config.config import Config, Service
from service.intake.intake import Intake
from service.intake.spool import Spool
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.form import Form, Limits
from service.process.wiring import clock
from service.store.erasure import Eraser
from service.store.leads import Store
from service.store.records import Accepted, Limit, Limited, Line
from service.store.server.connection import connect
from service.store.server.server import Server
from service.web.app import create_app
from service.web.challenge import Challenger
from service.web.limiter import CHECKS_A_POST

pytestmark = pytest.mark.anyio
ADDRESS = Limit("address:hash", 3, MINUTE)
WHOLE = Limit("form", 4, MINUTE)
ASHA = "089510 47001"


async def admit(ledger: Ledger, line: Line, *limits: Limit) -> Accepted | Limited:
    return await ledger.store.admit(ledger.form, msgspec.json.encode(line), limits)


async def waits(ledger: Ledger, number: int, *limits: Limit) -> list[int]:
    came_of = [await admit(ledger, ledger.line({"phone": ASHA}), *limits) for _ in range(number)]
    return [each.wait if isinstance(each, Limited) else 0 for each in came_of]


async def test_above_a_limit_nothing_is_kept_and_the_wait_is_told(ledger: Ledger) -> None:
    assert await waits(ledger, 3, ADDRESS) == [0, 0, 0]
    before = await ledger.dump()
    assert await waits(ledger, 2, ADDRESS) == [20 * SECOND, 20 * SECOND]
    assert await ledger.dump() == before
    ledger.now += 20 * SECOND
    assert await waits(ledger, 2, ADDRESS) == [0, 20 * SECOND]


async def test_a_refusal_by_one_limit_takes_nothing_from_another(ledger: Ledger) -> None:
    assert await waits(ledger, 5, ADDRESS, WHOLE) == [0, 0, 0, 20 * SECOND, 20 * SECOND]
    assert await waits(ledger, 2, Limit("address:other", 3, MINUTE), WHOLE) == [0, 15 * SECOND]


async def test_a_submission_that_comes_again_is_answered_as_before_and_not_counted(ledger: Ledger) -> None:
    line = ledger.line({"phone": ASHA})
    first = await admit(ledger, line, ADDRESS)
    before = await ledger.dump()
    assert await admit(ledger, line, ADDRESS) == first
    assert await ledger.dump() == before


async def test_what_is_drained_from_a_spool_is_not_limited(ledger: Ledger) -> None:
    await waits(ledger, 4, ADDRESS)
    assert (await ledger.post(phone=ASHA)).result == "repeated"


@pytest.fixture
async def limited(redis_url: str) -> AsyncIterator[Ledger]:
    """A form that lets a person say two new things an hour."""
    async with open_ledger(redis_url, dataclasses.replace(FORM, limits=Limits(person=Rate(2, HOUR)))) as opened:
        yield opened


async def said(ledger: Ledger, message: str) -> str:
    return (await ledger.post(phone=ASHA, message=message)).result


async def promoted(ledger: Ledger) -> list[int]:
    return [each.version for each in await ledger.store.promote(ledger.form)]


async def test_above_a_persons_limit_news_is_kept_and_goes_out_as_one_update_when_it_allows(limited: Ledger) -> None:
    assert [await said(limited, each) for each in ("a", "b", "c", "d")] == [
        "created",
        "updated",
        "repeated",
        "repeated",
    ]
    assert await promoted(limited) == []
    limited.now += HOUR // 2 - 1
    assert await promoted(limited) == []
    limited.now += 1
    assert await promoted(limited) == [3]
    await limited.check()
    before = await limited.dump()
    assert await promoted(limited) == []
    assert await limited.dump() == before
    claim = await limited.claim_one()
    assert claim.delivery.lead.version == 3
    assert claim.delivery.lead.content.fields["message"].value == "d"
    assert claim.delivery.lead.received_at == limited.now - HOUR // 2


async def test_what_is_held_back_goes_along_with_the_next_version_that_may(limited: Ledger) -> None:
    for each in ("a", "b"):
        await said(limited, each)
    await limited.post(phone=ASHA, name="Asha")
    limited.now += HOUR // 2
    assert await said(limited, "z") == "updated"
    assert await promoted(limited) == []
    fields = (await limited.claim_one()).delivery.lead.content.fields
    assert (fields["name"].value, fields["message"].value) == ("Asha", "z")


async def test_repeats_and_other_people_do_not_count(limited: Ledger) -> None:
    await said(limited, "a")
    for _ in range(5):
        assert await said(limited, "a") == "repeated"
    assert await said(limited, "b") == "updated"
    assert (await limited.post(phone="089510 47002")).result == "created"


async def test_what_went_out_when_the_limit_allowed_it_counts_against_the_limit(limited: Ledger) -> None:
    for each in ("a", "b", "c"):
        await said(limited, each)
    limited.now += HOUR // 2
    assert await promoted(limited) == [3]
    assert await said(limited, "d") == "repeated"
    limited.now += HOUR // 2
    assert await promoted(limited) == [4]


async def test_what_a_limit_holds_back_is_never_too_old(limited: Ledger) -> None:
    for each in ("a", "b", "c"):
        await said(limited, each)
    await limited.settle(await limited.claim_one(), "delivered")
    limited.now += 90 * DAY
    assert (await Eraser(limited.server).expire(FORM.name, limited.now)).leads == 0
    assert await promoted(limited) == [3]
    await limited.check()


async def test_an_update_that_was_held_back_says_when_it_might_go_out_however_late_the_worker_is(
    limited: Ledger,
) -> None:
    """A server that takes over may not know yet that it went out: it must be written with the same bytes again."""
    for each in ("a", "b", "c"):
        await said(limited, each)
    allowed = limited.now + HOUR // 2
    limited.now = allowed + MINUTE
    assert await promoted(limited) == [3]
    assert (await limited.claim_one()).delivery.lead.accepted_at == allowed


async def test_a_limit_that_is_taken_away_leaves_nothing_behind(limited: Ledger) -> None:
    for each in ("a", "b", "c"):
        await said(limited, each)
    limited.form = FORM
    limited.now += HOUR // 2
    assert await promoted(limited) == [3]


# --- through the web part -------------------------------------------------------------------------------------------

NOW = 1_790_000_000_000
SECRET = Secret("x" * 32)
SECRET = Secret("x" * 32)
GOOD = {"name": "Asha Rao", "phone": "089510 47001"}
PROXY = "10.1.1.1"
EVENT = {"triggerType": "form_submission", "payload": {"id": "e1", "data": {"Phone": "089510 47001"}, "schema": []}}


class Door:
    """A web part over a real server, called from any address, at any time."""

    def __init__(self, redis_url: str, form: Form) -> None:
        self.now = NOW
        self.server = Server(connect(redis_url), clock=lambda: self.now)
        self.form = form
        self.store = Store(self.server)
        self.intake = Intake(self.store, SECRET)
        self._config = Config({form.name: form}, {}, service=Service(trusted_proxies=(ip_network(PROXY),)))

    def app(self) -> Starlette:
        """Make one more web process."""
        challenger = Challenger(SECRET, lambda: self.now, lambda *_: None)
        return create_app(self._config, self.intake, challenger, secret=SECRET, clock=lambda: self.now)

    async def post(self, app: Starlette, peer: str = "203.0.113.1", path: str = "", **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://forms.example.net") as client:
            return await client.post(f"/f/{self.form.name}{path}", **(more or {"data": GOOD}))


@contextlib.asynccontextmanager
async def opened(redis_url: str, base: Form = FORM, /, **limits: Rate) -> AsyncIterator[Door]:
    door = Door(redis_url, dataclasses.replace(base, limits=Limits(**limits)))
    yield door
    await door.server.close()


async def test_too_many_from_one_address_are_told_to_wait_and_counted_as_rejected(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(2, MINUTE)) as door:
        app = door.app()
        answers = [await door.post(app, headers={"Origin": "https://x.example"}, data=GOOD) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        refused = answers[-1]
        assert refused.headers["retry-after"] == "30"
        assert refused.headers["access-control-allow-origin"] == "https://x.example"
        assert refused.json()["errors"] == [
            {
                "field": "",
                "code": "TOO_MANY_REQUESTS",
                "message": "Too many tries in a short time. Wait a moment and send it again.",
            }
        ]
        assert (await door.post(app, "203.0.113.2")).status_code == 200
        door.now += 30_000
        assert (await door.post(app)).status_code == 200
        await door.intake.report_counts()
        account = await door.store.account(FORM.name, FORM.deliver, {})
        assert (account.received, account.rejected, account.balanced) == (5, 1, True)


async def test_visitors_without_an_address_share_one_limit_over_all_processes(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(2, MINUTE)) as door:
        answers = [await door.post(door.app(), peer) for peer in ("", "/run/leads.sock", "")]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert (await door.post(door.app(), "203.0.113.1")).status_code == 200


async def test_a_visitor_without_script_keeps_what_was_typed_and_may_post_it_again(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(1, MINUTE)) as door:
        app = door.app()
        await door.post(app)
        page = await door.post(app, headers={"Accept": "text/html"}, data={**GOOD, "message": "My knee"})
        assert page.status_code == 429
        assert page.headers["retry-after"] == "60"
        assert "My knee" in page.text
        assert "Too many tries in a short time." in page.text


async def test_two_web_processes_share_a_limit(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(3, MINUTE)) as door:
        one, two = door.app(), door.app()
        answers = [await door.post(app) for app in (one, two, one, two, one)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]


async def test_what_is_refused_for_its_fields_counts_too(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(2, MINUTE)) as door:
        app = door.app()
        answers = [await door.post(app, data={"phone": "1"}) for _ in range(3)]
        assert [each.status_code for each in answers] == [422, 422, 429]


async def test_behind_a_trusted_proxy_each_visitor_counts_and_elsewhere_nobody_is_believed(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(1, MINUTE)) as door:
        app = door.app()
        named = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 2, 1)]
        behind = [await door.post(app, PROXY, headers=each, data=GOOD) for each in named]
        assert [each.status_code for each in behind] == [200, 200, 429]
        beside = [await door.post(app, "203.0.113.7", headers=each, data=GOOD) for each in named]
        assert [each.status_code for each in beside] == [200, 429, 429]


async def test_a_form_has_a_limit_for_all_together(redis_url: str) -> None:
    async with opened(redis_url, form=Rate(2, MINUTE)) as door:
        app = door.app()
        answers = [await door.post(app, f"203.0.113.{number}") for number in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]


async def test_no_address_is_readable_in_any_key(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(2, MINUTE)) as door:
        await door.post(door.app(), "203.0.113.77")
        keys = [str(key) async for key in door.server.client.scan_iter()]
        assert any(":rate:address:" in key for key in keys)
        assert not [key for key in keys if "203.0" in key]


async def test_phone_checks_have_a_limit_of_their_own(redis_url: str) -> None:
    async with opened(redis_url, address=Rate(1, MINUTE)) as door:
        app = door.app()
        answers = [await door.post(app, path="/phone", data={"number": "98765"}) for _ in range(CHECKS_A_POST + 1)]
        assert [each.status_code for each in answers] == [200] * CHECKS_A_POST + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await door.post(app)).status_code == 200


@pytest.mark.parametrize(
    ("secret", "signed_with", "taken"),
    [(None, None, 1), (b"hush", b"other", 1), (b"hush", b"hush", 3)],
    ids=["unsigned", "signed wrongly", "signed"],
)
async def test_a_webhook_counts_like_any_visitor_unless_it_is_known_to_be_webflows(
    redis_url: str, secret: bytes | None, signed_with: bytes | None, taken: int
) -> None:
    form = dataclasses.replace(FORM, webflow=True, webflow_secret=Secret(secret.decode()) if secret else None)
    async with opened(redis_url, form, address=Rate(1, MINUTE)) as door:
        apps = [door.app(), door.app()]  # One that has counted, and one that learns of it from the store.
        statuses = []
        for number, app in enumerate([*apps, apps[0]]):
            event = msgspec.json.encode(EVENT).replace(b'"e1"', b'"e%d"' % number)
            headers = {"Content-Type": "application/json"}
            if signed_with:
                told = hmac.new(signed_with, f"{NOW}:".encode() + event, "sha256").hexdigest()
                headers |= {"x-webflow-timestamp": str(NOW), "x-webflow-signature": told}
            statuses.append((await door.post(app, headers=headers, content=event)).status_code)
        assert statuses == [200] * taken + [429] * (3 - taken)
        account = await door.store.account(FORM.name, FORM.deliver, {})
        assert (account.received, account.quarantined) == (taken, 1 if signed_with == b"other" else 0)


async def test_while_redis_is_away_each_process_limits_by_itself(redis_url: str, tmp_path: Path) -> None:
    async with opened(redis_url, address=Rate(2, MINUTE)) as door:
        away = Server(connect("redis://127.0.0.1:1/0"), clock=clock)
        door.intake = Intake(Store(away), SECRET, Spool(tmp_path, clock))
        app = door.app()
        assert [(await door.post(app)).status_code for _ in range(3)] == [200, 200, 429]
        await away.close()
