"""The primary dies and a replica takes over: what was acknowledged is there, and the service goes on by itself."""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest
from crm import Crm
from harness import Load, audit, seed, summary, until
from proxy import Proxy
from sentinels import Fleet, Node, Replicated, server

from service.intake.drain import Drain
from service.intake.intake import Intake, Taken
from service.intake.spool import open_spool
from service.lib.secret import Secret
from service.model.form import Field, Form
from service.model.lead import Answer, Content, Phone
from service.process.wiring import clock
from service.store.keys import base_of
from service.store.leads import Store
from service.store.server.connection import connect
from service.store.server.server import Server

KILLS = 6
FORM = Form("get-in-touch", {"name": Field("name"), "phone": Field("phone", "phone")}, ("crm",))
SECRET = Secret("0123456789abcdef0123456789abcdef")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("f")) as started:
        yield started


def wait_until_taken_by(site: Replicated, after: Node, load: Load) -> None:
    """Wait until the primary that came after takes leads as if nothing had been."""
    site.fleet.wait_for_another(after)
    before = site.counts().get("received", 0)
    until(lambda: site.counts().get("received", 0) >= before + 10, f"leads are taken again: {load.sent}", 30)
    assert site.web.ask("/readyz") == 200


@pytest.mark.parametrize("has_spool", [True, False], ids=["spool", "no spool"])
def test_a_primary_killed_under_load_takes_nothing_acknowledged_with_it(
    tmp_path: Path, fleet: Fleet, has_spool: bool
) -> None:
    with Crm() as crm, Replicated(tmp_path, crm, fleet, replicas=1, has_spool=has_spool) as site:
        with Load(site, seed=seed(20)) as load:
            load.wait_for(25)
            killed = time.monotonic()
            wait_until_taken_by(site, fleet.kill_primary(), load)
            took = time.monotonic() - killed
        fleet.mend()
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert load.sent.statuses.keys() <= ({200} if has_spool else {200, 503}), load.sent
        assert load.sent.longest_s < 4, load.sent
        assert took < 20, load.sent


@pytest.mark.long
@pytest.mark.parametrize("number", range(5))
def test_primaries_killed_again_and_again_take_nothing_acknowledged_with_them(
    tmp_path: Path, fleet: Fleet, number: int
) -> None:
    drawn = seed(400) + number
    chance = random.Random(drawn)
    with Crm() as crm, Replicated(tmp_path, crm, fleet, replicas=1, has_spool=chance.random() < 0.5) as site:
        with Load(site, seed=drawn) as load:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 3))
                wait_until_taken_by(site, fleet.kill_primary(), load)
                fleet.mend()
        site.quiet()
        assert audit(site, load) == [], f"LEADS_FAULT_SEED={drawn}: {summary(site, load)}"


@pytest.mark.long
def test_a_primary_that_freezes_and_wakes_up_as_a_replica_takes_nothing_with_it(tmp_path: Path, fleet: Fleet) -> None:
    with Crm() as crm, Replicated(tmp_path, crm, fleet, replicas=1, has_spool=True) as site:
        with Load(site, seed=seed(21)) as load:
            load.wait_for(25)
            frozen = fleet.primary()
            with frozen.frozen():
                wait_until_taken_by(site, frozen, load)
            load.wait_for(load.sent.thanked + 50)
        fleet.mend()
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert set(load.sent.statuses) == {200}, load.sent


@pytest.mark.parametrize("are_sentinels_open", [True, False])
def test_a_password_alone_lets_us_in_at_the_server_and_at_sentinels_that_want_it_or_none(
    tmp_path: Path, are_sentinels_open: bool
) -> None:
    primary = server(tmp_path / "a", requirepass="p@ss")
    own = {} if are_sentinels_open else {"requirepass": "p@ss"}
    sentinel = Node(tmp_path / "b", own, "--sentinel")

    async def run() -> None:
        redis = Server(connect(f"redis+sentinel://:p%40ss@127.0.0.1:{sentinel.port}/main"), clock=clock)
        assert await redis.open() == ()
        await redis.close()

    try:
        primary.start()
        sentinel.tell(f"sentinel monitor main 127.0.0.1 {primary.port} 1", 'sentinel auth-pass main "p@ss"')
        sentinel.start()
        asyncio.run(run())
    finally:
        sentinel.kill()
        primary.kill()


# --- a link that stalls in one direction: the replica answers, and hears nothing new -------------------------------


def person(number: int) -> Content:
    phone = f"+9189510{number:05d}"
    return Content({"name": Answer("Asha Rao"), "phone": Answer(phone, (), Phone(phone, phone))}, {})


class Pair:
    """A primary and a replica that is linked to it by a proxy. In a folder of its own: socket paths are short."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="leads-"))
        self.primary, self.replica = server(self.folder / "a"), server(self.folder / "b")
        self.link = Proxy(self.primary.socket)

    def __enter__(self) -> Self:
        self.link.__enter__()
        self.primary.start()
        self.replica.start(replicaof=f"127.0.0.1 {self.link.port}")
        until(lambda: self.replica.info()["master_link_status"] == "up", "the replica is linked", 15)
        until(lambda: self.primary.info()["connected_slaves"] == 1, "the primary knows its replica", 15)
        return self

    def __exit__(self, *_: object) -> None:
        self.link.__exit__()
        self.primary.kill()
        self.replica.kill()
        shutil.rmtree(self.folder)

    def is_level(self) -> bool:
        """Tell whether the replica has all that the primary wrote."""
        return bool(self.replica.info()["slave_repl_offset"] == self.primary.info()["master_repl_offset"])

    def promote(self) -> None:
        """Kill the primary and make the replica one."""
        self.primary.kill()
        self.replica.do("REPLICAOF", "NO", "ONE")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as made:
        yield made


@asynccontextmanager
async def store_on(node: Node, replicas: int) -> AsyncIterator[Store]:
    redis = Server(connect(f"redis://127.0.0.1:{node.port}/0"), clock=clock)
    yield Store(redis, replicas=replicas)
    await redis.close()


async def submit(intake: Intake, first: int, number: int) -> list[Taken]:
    """Submit for so many people at once; return what was acknowledged."""
    taken = await asyncio.gather(*(intake.submit(FORM, person(first + each)) for each in range(number)))
    return [each for each in taken if isinstance(each, Taken)]


async def lost(store: Store, thanked: list[Taken]) -> list[str]:
    """Return the leads that were acknowledged and are not there."""
    keys = [f"{base_of(FORM.name)}lead:{each.lead}" for each in thanked]
    return [key for key in keys if not await store.server.client.exists(key)]


@pytest.mark.parametrize(("replicas", "is_safe"), [(1, True), (0, False)])
def test_a_replica_promoted_after_its_link_had_stalled_has_all_that_waited_for_it_and_nothing_else(
    pair: Pair, replicas: int, is_safe: bool
) -> None:
    async def run() -> tuple[int, int]:
        async with store_on(pair.primary, replicas) as store:
            intake = Intake(store, SECRET)
            before = await submit(intake, 0, 20)
            assert len(before) == 20
            until(pair.is_level, "the replica has all that was before")
            pair.link.stall("replies")
            await asyncio.sleep(0.1)  # the proxy is told in its own thread
            during = await submit(intake, 100, 20)
            assert len(during) == (0 if is_safe else 20)
        pair.promote()
        async with store_on(pair.replica, 0) as store:
            return len(await lost(store, before)), len(await lost(store, during))

    assert asyncio.run(run()) == (0, 0 if is_safe else 20)


def test_what_was_spooled_for_want_of_a_replica_is_not_drained_before_one_has_it(pair: Pair, tmp_path: Path) -> None:
    async def run() -> None:
        spool = open_spool(tmp_path / "spool", clock)
        async with store_on(pair.primary, 1) as store:
            pair.link.stall("replies")
            await asyncio.sleep(0.1)  # the proxy is told in its own thread
            thanked = await submit(Intake(store, SECRET, spool), 0, 5)
            assert [each.result for each in thanked] == ["spooled"] * 5
        async with store_on(pair.primary, 1) as store:  # its connections wrote nothing yet
            for _ in range(3):
                assert (await Drain(spool, store, {FORM.name: FORM}).run_once()).failure is not None
        assert spool.count() == 5
        pair.promote()
        async with store_on(pair.replica, 0) as store:
            assert (await Drain(spool, store, {FORM.name: FORM}).run_once()).failure is None
            assert await lost(store, thanked) == []
        spool.close()

    asyncio.run(run())
