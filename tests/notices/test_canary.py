"""A canary goes through a form's public address as a visitor does, is told when it is lost, and is nobody's lead."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from crm import Crm
from msgspec import structs
from workshop import ENVIRON, Hands, Workshop, destination, form

from service.config.config import Mistakes
from service.config.read import parse
from service.delivery.trouble import read_troubles
from service.lib.secret import Secret
from service.notices.canary import Canaries
from service.process.settings import read_file
from service.store.accounts import Trouble
from service.store.alarms import CANARY_HEADER, TELLER, Flight, keep_flight
from service.store.overview import read_accounts
from service.web.app import create_app
from service.web.challenge import Challenger

pytestmark = pytest.mark.anyio
HOUR = 3_600_000
EVERY_TYPE = """
captcha = { type = "altcha" }
limits = { address = "1/h", form = "1/h" }
spam.limit = 1
consent = { field = "agreed", version = "1", text = "May we call you?" }
fields.agreed = { type = "boolean", required = true }
fields.branch = { type = "choice", choices = ["North, East", "South"], required = true }
fields.wanted = { type = "choices", choices = ["Knee, left", "Back", "Neck"], required = true }
fields.age = { type = "number", required = true }
fields.day = { type = "date", required = true }
fields.mail = { type = "email", required = true, max_length = 30 }
"""


class Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def configured(public_url: str, crm: Crm, canary: str = '{ every = "6h", deliver = ["crm"] }') -> str:
    more = f"{EVERY_TYPE}canary = {canary}\n"
    return form(more=more) + destination(crm.url) + f'[service]\npublic_url = "{public_url}"\n'


def address_of(door: socket.socket) -> str:
    return f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def door() -> socket.socket:
    """Bind the port of the public address; until somebody listens, it refuses."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@contextlib.asynccontextmanager
async def serving(shop: Workshop, door: socket.socket) -> AsyncIterator[None]:
    secret = Secret(ENVIRON["LEADS_SECRET"])
    challenger = Challenger(secret, shop.server.clock, lambda *_: None)
    app = create_app(shop.config, shop.intake, challenger, secret=secret, clock=shop.server.clock)
    server = Quiet(uvicorn.Config(app, ws="none", log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[door]))
    yield
    server.should_exit = True
    await task


async def flown(shop: Workshop, worker: str = "one") -> list[Flight]:
    return [flight async for _, flight in Canaries(shop.server, worker, shop.config).send()]


async def lost(shop: Workshop) -> list[Trouble]:
    accounts = await read_accounts(shop.server, shop.config)
    found = (await read_troubles(shop.server, shop.config, accounts, None))[1]
    return [trouble for trouble in found if trouble.code == "CANARY"]


async def test_it_goes_all_the_way_as_a_test_and_leaves_no_trace_among_people(
    redis_url: str, door: socket.socket
) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, configured(address_of(door), crm), now=hands) as shop:
            before = await shop.server.client.keys("leads:{get-in-touch}*")
            async with serving(shop, door):
                (first,) = await flown(shop)
                assert await flown(shop) == []
                hands.ahead += 6 * HOUR
                assert await flown(shop, "another") == []  # one sends for all
                (second,) = await flown(shop)
                await shop.intake.report_counts()
            assert [(each.problem, each.is_over, each.delivered) for each in (first, second)] == [
                ("", True, ("crm",))
            ] * 2
            assert first.id != second.id
            assert await shop.server.client.keys("leads:{get-in-touch}*") == before
            assert (await shop.form()).received == 0
            assert await lost(shop) == []
    said = [request.json() for request in crm.requests]
    assert [each["data"]["test"] for each in said] == [True, True]
    assert said[0]["data"]["fields"]["wanted"] == ["Knee, left", "Back"]


async def test_one_that_is_lost_is_told_until_it_arrives_and_a_kill_repeats_nothing_anybody_sees(
    redis_url: str, door: socket.socket
) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, configured(address_of(door), crm), now=hands) as shop:
            (away,) = await flown(shop)
            assert "/f/get-in-touch: the service refused the connection" in away.problem
            assert "the service refused the connection" in (await lost(shop))[0].message
            crm.answer(503)
            async with serving(shop, door):
                hands.ahead += HOUR
                (refused,) = await flown(shop)
                assert refused.id == away.id
                assert refused.problem.startswith("crm: the CRM answered 503")
                crm.clear()
                crm.answer(200)
                await shop.server.client.delete(TELLER)  # whoever sent it was killed
                hands.ahead += HOUR
                (arrived,) = await flown(shop, "another")
                assert (arrived.id, arrived.is_over, await lost(shop)) == (away.id, True, [])
                # Killed behind the delivery, before that was all: nobody is told again.
                await keep_flight(shop.server, "get-in-touch", structs.replace(arrived, is_over=False, due=0))
                assert [each.is_over for each in await flown(shop, "another")] == [True]
            assert len(crm.requests) == 1
            # Something answers in its place.
            hands.ahead += 6 * HOUR
            shop.config = shop.read(configured("http://" + urlsplit(crm.url).netloc, crm))
            assert "something took it there, but not this service" in (await flown(shop, "another"))[0].problem


async def test_whoever_sends_its_mark_and_is_none_is_refused_and_counted_nowhere(
    redis_url: str, door: socket.socket
) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, configured(address_of(door), crm, '"6h"')) as shop, serving(shop, door):
            url = f"{shop.config.service.public_url}/f/get-in-touch"
            async with httpx.AsyncClient() as client:
                answer = await client.post(url, data={"name": "x"}, headers={CANARY_HEADER: "made up"})
                assert answer.status_code == 401
                await keep_flight(shop.server, "get-in-touch", Flight("known", 0, 0))
                answer = await client.post(url, data={"name": "x"}, headers={CANARY_HEADER: "known"})
                assert answer.status_code == 422
            await shop.intake.report_counts()
            assert (await shop.form()).received == 0
            (flight,) = await flown(shop)
            assert (flight.problem, crm.requests) == ("", [])  # as far as `preview`


@pytest.mark.parametrize(
    ("setting", "path", "said"),
    [
        ('"6h"', "forms.get-in-touch.canary", "set `public_url` in `[service]`"),
        ('"1s"', "forms.get-in-touch.canary", "5m"),
        ("{ deliver = [] }", "forms.get-in-touch.canary", "is missing"),
        ('{ every = "6h", deliver = ["nobody"] }', "forms.get-in-touch.canary.deliver", "crm"),
        ('{ every = "6h", to = [] }', "forms.get-in-touch.canary.to", "is not known here"),
    ],
)
def test_mistakes_are_told(setting: str, path: str, said: str) -> None:
    read = parse(form(more=f"canary = {setting}\n") + destination("http://127.0.0.1:9/"), ENVIRON, read_file)
    assert isinstance(read, Mistakes)
    assert any(mistake.path.startswith(path) and said in mistake.message for mistake in read.items), read
