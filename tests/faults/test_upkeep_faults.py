"""Parts killed while persons are held to a limit, too old leads go, and persons are erased."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from crm import Answer, Crm, Received
from harness import QUICK, Installation, Load, audit, failing_one_in, post, seed, summary, until
from test_kills import ONE_FAILS_IN, kill_and_start
from workshop import ENVIRON, destination, form

from service.lib.secret import Secret
from service.process.wiring import clock
from service.store.archive import Archive
from service.store.erasure import Eraser
from service.store.leads import Store
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission.person import person_hash

BASE = "leads:{get-in-touch}:"
LIMITED = 'limits = { person = "1/s" }\nquiet = "300ms"'
VICTIMS = ("worker", "worker", "web", "server")


def installation(folder: Path, crm: Crm, service: str = "") -> Installation:
    site = Installation(folder, crm)
    (folder / "leads.toml").write_text(form(more=LIMITED) + destination(crm.url, more=QUICK) + service)
    return site


def promoted(site: Installation) -> None:
    """Wait until nothing that a limit held back is left, and nothing waits."""
    with site.redis() as redis:
        until(lambda: redis.zcard(f"{BASE}deferred") == 0, "what was held back goes out")
    site.quiet()


def keys(site: Installation) -> set[str]:
    """Return the kinds of keys that the form has, without those that run out by themselves."""
    with site.redis() as redis:
        found: Any = redis.keys(f"{BASE}*")
    return {name.removeprefix(BASE).split(":")[0] for name in found} - {"seen", "text", "rate", "erased", "day"}


@pytest.mark.long
@pytest.mark.parametrize("number", range(3))
def test_what_is_held_back_or_waits_is_never_too_old_whatever_is_killed(tmp_path: Path, number: int) -> None:
    drawn = seed(500) + number
    chance = random.Random(drawn)
    with Crm() as crm, installation(tmp_path, crm, '[service]\nretention = "2s"\n') as site:
        crm.decide = failing_one_in(ONE_FAILS_IN)
        with Load(site, seed=drawn) as load:
            for _ in range(10):
                time.sleep(chance.uniform(0.1, 1.0))
                kill_and_start(site, chance.choice(VICTIMS), chance)
            with crm.gone():
                time.sleep(4)
            load.wait_for(load.sent.thanked + 10)
        promoted(site)
        found = audit(site, load, failed=lambda each: each % ONE_FAILS_IN == 0)
        # Somebody who writes again after their lead was deleted is a new one.
        wrong = [each for each in found if "leads at the CRM: " not in each]
        assert wrong == [], f"LEADS_FAULT_SEED={drawn}: {summary(site, load)}"
        until(lambda: keys(site) <= {"count", "days", "fields"}, f"all of it goes: {keys(site)}")


def on_server(site: Installation, does: Callable[[Server], Awaitable[None]]) -> None:
    """Do something with a connection of our own."""

    async def run() -> None:
        server = Server(connect(site.server.url), clock=clock)
        try:
            await server.open()
            await does(server)
        finally:
            await server.close()

    asyncio.run(run())


def erase(site: Installation, phones: list[str]) -> None:
    """Erase each of them, as `leads erase` does."""

    async def work(server: Server) -> None:
        for each in phones:
            found = person_hash(Secret(ENVIRON["LEADS_SECRET"]), "get-in-touch", "phone", each)
            await Eraser(server).erase("get-in-touch", [found], ["crm"])

    on_server(site, work)


def replay(site: Installation) -> None:
    """Send again what the CRM refused to hear, as `leads replay --all` does."""

    async def work(server: Server) -> None:
        for each in await Archive(server).dead("get-in-touch", "crm"):
            await Store(server).replay("get-in-touch", "crm", each.lead, what="dead")

    on_server(site, work)


def everything(site: Installation) -> str:
    """Return all that Redis holds of the form's leads."""
    with site.redis() as redis:
        leads: Any = redis.keys(f"{BASE}lead:*")
        others = [redis.hgetall(f"{BASE}{name}") for name in ("held", "receipts", "index")]
        return str([[each, redis.hgetall(each)] for each in leads]) + str(others)


@pytest.mark.parametrize(
    "number", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]
)
def test_an_erased_person_is_gone_and_the_crm_is_told_whatever_is_killed(tmp_path: Path, number: int) -> None:
    drawn = seed(600) + number
    chance = random.Random(drawn)
    victims = [*VICTIMS, *(chance.choice(VICTIMS) for _ in range(10 if number else 0))]

    def decide(_: Received) -> Answer | None:
        return chance.choice([None, None, None, Answer(500), Answer(stall=0.3), Answer(cut="after"), Answer(400)])

    with Crm() as crm, installation(tmp_path, crm) as site:
        crm.decide = decide
        gone: list[str] = []
        for victim in victims:
            phones = [f"+9198450{len(gone) + each:05d}" for each in range(8)]
            for each in phones:
                for word in range(chance.randrange(1, 4)):
                    until(partial(said, site, each, word), "it is thanked for")
            time.sleep(chance.uniform(0.02, 0.3))
            erase(site, phones)
            gone += phones
            kill_and_start(site, victim, chance)
        crm.decide = lambda _: None
        promoted(site)
        replay(site)
        site.quiet()
        account = site.status()["forms"]["get-in-touch"]
        assert account["balanced"], account
        assert account["destinations"]["crm"]["balanced"], account
        told = [request.json() for request in crm.requests]
        had = {each["data"]["id"] for each in told if each["type"] != "lead.erased"}
        last = {each["data"]["id"]: each["type"] for each in told}
        assert {last[each] for each in had} <= {"lead.erased"}, f"LEADS_FAULT_SEED={drawn}"
        assert had
        held = everything(site)
        assert [each for each in (*gone, *had) if each in held] == [], f"LEADS_FAULT_SEED={drawn}"


def said(site: Installation, phone: str, word: int) -> bool:
    return post(site.web.port, {"name": "Asha Rao", "phone": phone, "message": f"word {word}"}) == 200
