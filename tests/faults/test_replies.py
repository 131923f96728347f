"""The way between the parts and the server breaks: replies are lost, or nothing comes through, in one direction."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from crm import Crm
from harness import Installation, Load, audit, failing_one_in, post, seed, summary, until
from proxy import Proxy, Way

from service.process.wiring import clock
from service.store.server.connection import connect
from service.store.server.scripts import script
from service.store.server.server import Server
from service.up.embedded import Embedded

SCRIPTS = ("accept", "permit", "claim", "settle", "report", "refuse")
ONE_FAILS_IN = 9


@contextmanager
def behind_a_proxy(folder: Path, crm: Crm) -> Iterator[tuple[Installation, Proxy]]:
    """Run an installation whose parts reach their server by a proxy."""
    made: list[Proxy] = []

    def way_in(socket: Path) -> str:
        made.append(Proxy(socket).__enter__())
        return made[0].url

    try:
        with Installation(folder, crm, way_in=way_in) as site:
            yield site, made[0]
    finally:
        for proxy in made:
            proxy.__exit__()


def has_lost(proxy: Proxy, what: str, times: int) -> bool:
    return proxy.lost[what] >= times


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_reply_to_each_script_lost_once_loses_and_doubles_nothing(tmp_path: Path, half: bool) -> None:
    with Crm() as crm, behind_a_proxy(tmp_path, crm) as (site, proxy):
        crm.decide = failing_one_in(ONE_FAILS_IN)
        with Load(site, seed=seed(9)) as load:
            load.wait_for(10)
            assert post(site.web.port, {"phone": "12"}) == 422  # so that `refuse` runs and is known by its hash
            until(lambda: site.counts().get("rejected") == 1, "the refusal is counted")
            for name in SCRIPTS:
                sha = script(name)[1]
                proxy.lose_reply_to(sha, half=half)
                if name == "refuse":
                    assert post(site.web.port, {"phone": "12"}) == 422
                until(partial(has_lost, proxy, sha, 1), f"a reply to {name} is lost")
        site.quiet()
        assert audit(site, load, failed=lambda number: number % ONE_FAILS_IN == 0) == [], summary(site, load)
        assert site.counts()["rejected"] == 2
        assert load.sent.statuses.keys() <= {200}, load.sent


@pytest.mark.long
@pytest.mark.parametrize("number", range(5))
def test_replies_lost_at_random_lose_and_double_nothing(tmp_path: Path, number: int) -> None:
    drawn = seed(300) + number
    chance = random.Random(drawn)
    with Crm() as crm, behind_a_proxy(tmp_path, crm) as (site, proxy):
        with Load(site, seed=drawn) as load:
            for lost in range(1, 41):
                proxy.lose_nth_reply(chance.randrange(1, 40))
                until(partial(has_lost, proxy, "nth", lost), "a reply is lost")
                if chance.random() < 0.2:
                    proxy.cut()
        site.quiet()
        assert audit(site, load) == [], f"LEADS_FAULT_SEED={drawn}: {summary(site, load)}"


@pytest.mark.parametrize("way", ["replies", pytest.param("commands", marks=pytest.mark.long)])
def test_a_way_stalled_in_one_direction_costs_a_visitor_two_seconds_and_no_lead(tmp_path: Path, way: Way) -> None:
    with Crm() as crm, behind_a_proxy(tmp_path, crm) as (site, proxy):
        with Load(site, seed=seed(10)) as load:
            load.wait_for(10)
            proxy.stall(way)
            time.sleep(3.5)
            proxy.flow()
            load.wait_for(load.sent.thanked + 10)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert set(load.sent.statuses) == {200}, load.sent
        assert load.sent.longest_s < 4, load.sent


async def offsets(proxy: Proxy) -> tuple[int, int]:
    """Measure the server's clock twice, the second time with a reply that is held up; return what each came to."""
    server = Server(connect(proxy.url), clock=clock)
    try:
        await server.measure_clock()
        first = server.now() - clock()
        proxy.stall("replies")
        asyncio.get_running_loop().call_later(0.6, proxy.flow)
        await server.measure_clock()
        return first, server.now() - clock()
    finally:
        await server.close()


def test_a_late_answer_does_not_set_the_clock(own_redis: Embedded) -> None:
    with Proxy(Path(own_redis.url.removeprefix("unix://"))) as proxy:
        assert all(abs(offset) < 100 for offset in asyncio.run(offsets(proxy)))
