"""CRMs with their own ways, from configuration alone: doubles that behave as real ones were seen to."""

import json
import time
from urllib.parse import parse_qs

import pytest
from crm import Answer, Crm, Received
from workshop import ENVIRON, Workshop, form, until

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.process.settings import read_file

pytestmark = pytest.mark.anyio

ASHA = {"name": "Asha Rao", "phone": "089510 47001", "message": "My knee"}
KEYS = {**ENVIRON, "CRM_KEY": "key-4711", "CRM_TOKEN": "token-0815"}


class OwnWay(Workshop):
    """A workshop whose configuration may name the keys of these CRMs."""

    @staticmethod
    def read(text: str) -> Config:
        config = parse(text, KEYS, read_file)
        assert not isinstance(config, Mistakes), config
        return config


class Table(Crm):
    """A CRM with a flat JSON body and a bearer key, whose idempotency id stands at the top level of the body.

    Like the real one it takes an envelope it does not know as a lead with blank columns, and says 201.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, object]] = {}
        self.decide = self.take

    def take(self, request: Received) -> Answer:
        if request.headers.get("authorization") != "Bearer key-4711":
            return Answer(401, body=b'{"message": "Unauthenticated."}')
        said = request.json()
        known = said.get("external_id") in self.rows
        row = {name: said.get(name, "") for name in ("first_name", "phone", "description", "age", "optin")}
        self.rows[said.get("external_id", "")] = row
        return Answer(200 if known else 201, body=b'{"id": 1}')


TABLE = """
[destinations.crm]
type = "webhook"
url = "{url}"
allow_private = true
retry = ["50ms", "50ms"]
headers = {{ Authorization = "Bearer $CRM_KEY" }}
body.first_name = "{{fields.name}}"
body.phone = "{{phone.e164}}"
body.description = "{{fields.message}} ({{form}})"
body.external_id = "{{id}}"
body.subject = "Website enquiry"
"""


async def test_a_flat_body_with_a_bearer_key_makes_one_row_a_person(redis_url: str) -> None:
    with Table() as crm:
        async with OwnWay(redis_url, form() + TABLE.format(url=crm.url)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await shop.settled()
            await shop.submit(**{**ASHA, "message": "Both knees"})
            account = await shop.settled()
    assert account.delivered == 2
    [(key, row)] = crm.rows.items()
    assert key == taken.lead
    assert row["first_name"] == "Asha Rao"
    assert row["phone"] == "+918951047001"
    assert row["description"] == "Both knees (get-in-touch)"
    first = crm.requests[0]
    assert first.json()["subject"] == "Website enquiry"
    assert "webhook-signature" not in first.headers
    assert first.headers["webhook-id"] == f"{taken.lead}.1"


async def test_a_wrong_bearer_key_pauses_and_loses_nothing(redis_url: str) -> None:
    wrong = TABLE.replace("Bearer $CRM_KEY", "Bearer $CRM_TOKEN")
    with Table() as crm:
        async with OwnWay(redis_url, form() + wrong.format(url=crm.url)) as shop:
            await shop.submit_many(3)
            async with shop.worker():
                await until(lambda: shop.events("destination paused"))
            assert (await shop.account()).waiting == 3
            async with shop.worker(shop.read(form() + TABLE.format(url=crm.url))):  # mended, and started again
                account = await shop.settled()
    assert account.delivered == 3
    assert len(crm.rows) == 3


class FormTaker(Crm):
    """A CRM that takes urlencoded forms with a token field, knows no updates and says 409 for what is invalid."""

    def __init__(self) -> None:
        super().__init__()
        self.decide = self.take

    def take(self, request: Received) -> Answer:
        if request.headers["content-type"] != "application/x-www-form-urlencoded":
            return Answer(415)
        said = {name: values[0] for name, values in parse_qs(request.body.decode(), strict_parsing=True).items()}
        if said.get("token") != "token-0815":
            return Answer(403)
        if "@" not in said.get("email", "@"):
            return Answer(409, body=b"<h1>Conflict</h1>")
        return Answer(200, body=b"duplicate" if said["lead_name"] == "Twice" else b"success")


FORM_TAKER = """
[destinations.crm]
type = "webhook"
url = "{url}"
allow_private = true
retry = ["50ms"]
format = "form"
body = {{ token = "$CRM_TOKEN", lead_name = "{{fields.name}}", mobile = "{{phone.e164}}", email = "{{extra.mail}}" }}
rejected = [409]
updates = false
"""


async def test_a_form_with_a_token_field_where_409_is_a_refusal_and_updates_are_unknown(redis_url: str) -> None:
    with FormTaker() as crm:
        async with OwnWay(redis_url, form() + FORM_TAKER.format(url=crm.url)) as shop, shop.worker():
            await shop.submit(name="Asha & Söhne = 100 %", phone="8951047001")
            await shop.settled()
            await shop.submit(name="Twice", phone="8951047002")
            await shop.settled()
            await shop.submit(name="Asha Rao", phone="8951047001")  # new information, which it cannot take
            await shop.settled()
            await shop.submit(name="Bad", phone="8951047003", mail="nonsense")
            account = await shop.settled()
            [dead] = await shop.dead()
    assert (account.owed, account.delivered, account.superseded, account.dead) == (4, 2, 1, 1)
    assert dead.reason == "the CRM answered 409: this destination means a refusal by it"
    assert len(crm.requests) == 3
    said = parse_qs(crm.requests[0].body.decode())
    assert said == {"token": ["token-0815"], "lead_name": ["Asha & Söhne = 100 %"], "mobile": ["+918951047001"]}
    logged = json.dumps(shop.log)
    assert "token-0815" not in logged


class Automation(Crm):
    """An automation tool whose webhook answers 404 until its workflow is loaded, some time after each start."""

    def __init__(self, loads_for: float) -> None:
        super().__init__()
        self.ready_at = time.monotonic() + loads_for
        self.decide = lambda _: None if time.monotonic() >= self.ready_at else Answer(404)


AUTOMATION = """
[destinations.crm]
type = "webhook"
url = "{url}"
allow_private = true
retry = ["300ms", "300ms", "300ms", "300ms", "300ms", "300ms"]
{more}
"""


async def test_a_webhook_that_is_404_after_its_start_gets_its_leads_a_little_later(redis_url: str) -> None:
    with Automation(0.8) as crm:
        text = form() + AUTOMATION.format(url=crm.url, more="retried = [404]")
        async with OwnWay(redis_url, text) as shop, shop.worker():
            await shop.submit_many(2)
            account = await shop.settled()
    assert account.delivered == 2
    assert not shop.events("destination paused")
    assert {each.json()["type"] for each in crm.requests} == {"lead.created"}


async def test_without_that_word_a_404_pauses_and_still_loses_nothing(redis_url: str) -> None:
    with Automation(60) as crm:
        async with OwnWay(redis_url, form() + AUTOMATION.format(url=crm.url, more="")) as shop:
            await shop.submit_many(2)
            async with shop.worker():
                await until(lambda: shop.events("destination paused"))
            crm.ready_at = time.monotonic()
            async with shop.worker():
                account = await shop.settled()
    assert account.delivered == 2


async def test_a_crm_that_says_409_for_what_it_has_may_mean_delivered(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(409, body="exists")
        text = form() + AUTOMATION.format(url=crm.url, more="delivered = [409]")
        async with OwnWay(redis_url, text) as shop, shop.worker():
            await shop.submit(**ASHA)
            account = await shop.settled()
    assert (account.delivered, len(crm.requests)) == (1, 1)


async def test_a_crm_that_says_500_as_html_while_its_database_is_down_gets_it_later(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(500, headers={"Content-Type": "text/html"}, body="<html>" + "x" * 50_000, times=2)
        async with OwnWay(redis_url, form() + AUTOMATION.format(url=crm.url, more="")) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            account = await shop.settled()
            kept = await shop.lead(taken.lead)
    assert account.delivered == 1
    results = [(each.result, each.status) for each in kept.deliveries[0].attempts]
    assert results == [("retry", 500), ("retry", 500), ("delivered", 200)]
    assert all(len(each.excerpt) <= 500 for each in kept.deliveries[0].attempts)


async def test_a_crm_that_reads_and_hangs_is_given_up_and_gets_the_same_again(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=30, times=1)
        text = form() + AUTOMATION.format(url=crm.url, more='timeout = "300ms"')
        async with OwnWay(redis_url, text) as shop, shop.worker():
            await shop.submit(**ASHA)
            account = await shop.settled()
    assert account.delivered == 1
    first, second = crm.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_crm_that_is_away_for_a_while_gets_everything_when_it_is_back(redis_url: str) -> None:
    with Crm() as crm:
        async with OwnWay(redis_url, form() + AUTOMATION.format(url=crm.url, more="")) as shop, shop.worker():
            with crm.gone():
                await shop.submit_many(5)
                await until(lambda: len(shop.attempts) >= 5)
            account = await shop.settled()
    assert account.delivered == 5
    assert len({each.headers["webhook-id"] for each in crm.requests}) == 5
