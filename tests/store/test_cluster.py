"""A Redis Cluster of three real nodes: everything is found, what is on its way waits, and each node has its say."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from clusters import Nodes
from desk import CONFIG, open_desk
from ledger import FORM, SECRET, Ledger, open_ledger
from moving import back_up, bring_back, live, open_server_at
from proxy import Proxy
from redis.exceptions import AskError

from service.backup.move import move
from service.backup.route import Route
from service.delivery.upkeep import walk
from service.lib.errors import CannotStart
from service.process.wiring import clock
from service.store.erasure import Eraser
from service.store.server.connection import connect
from service.store.server.forwarding import MOVE, Note, sealer_of
from service.store.server.health import sentence_of
from service.store.server.server import Server
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with Nodes(tmp_path_factory.mktemp("c")) as started:
        yield started


@pytest.fixture
async def ledger(nodes: Nodes) -> AsyncIterator[Ledger]:
    for node in nodes.nodes:
        node.do("FLUSHALL")
    async with open_ledger(nodes.url) as opened:
        opened.checks_each_call = False
        yield opened


async def test_what_lived_in_a_cluster_adds_up_and_goes_out_and_in_by_a_backup(
    ledger: Ledger, own_redis: Embedded, nodes: Nodes
) -> None:
    await live(ledger, 60)
    await ledger.check()
    assert [each async for each in walk(ledger.store, [FORM.name], pause_s=0)] == []
    assert await Eraser(ledger.server).rewrite()
    before, file = await ledger.counts(), await back_up(ledger.server)
    async with open_ledger(own_redis.url) as other:
        await bring_back(file, other.server)
        assert await other.counts() == before
        file = await back_up(other.server)
    for node in nodes.nodes:
        node.do("FLUSHALL")
    await bring_back(file, ledger.server)
    assert await ledger.counts() == before
    await ledger.check()


async def test_leads_move_into_a_cluster_and_not_out_of_it_while_all_goes_on(
    ledger: Ledger, own_redis: Embedded, nodes: Nodes
) -> None:
    async with open_ledger(own_redis.url) as old:
        await live(old, 30)
        before, now = await old.counts(), lambda: old.now
        source, target = (Server(connect(url), clock=now, follows=False) for url in (own_redis.url, nodes.url))
        await target.open()
        note = Note("the-move", sealer_of([SECRET]).seal(nodes.url, MOVE))
        await move(Route(source, target, note, ("crm",)), lambda _: None)
        assert await ledger.counts() == before
        with pytest.raises(CannotStart, match="is not moved from there while all goes on"):
            await move(Route(target, source, note, ("crm",)), lambda _: None)
        for server in (source, target):
            await server.close()


@pytest.mark.usefixtures("ledger")
async def test_the_desk_shows_what_a_cluster_keeps(nodes: Nodes) -> None:
    async with open_desk(nodes.url, CONFIG) as desk:
        await desk.shop.submit(name="Asha Rao", phone="8951047001")
        asha = await desk.enter("Asha", "owner")
        assert "Asha Rao" in (await asha.get("/leads")).text
        for page in ("/", "/held", "/trouble", "/people"):
            await asha.get(page)


async def test_while_a_slot_is_on_its_way_its_form_waits_and_nothing_of_it_is_split(
    ledger: Ledger, nodes: Nodes
) -> None:
    await live(ledger, 20)
    before = await ledger.counts()
    with nodes.on_its_way(FORM.name):
        with pytest.raises(AskError) as refused:
            await ledger.post(phone="8951000001", message="call me")
        assert "is being moved from one node of the cluster to another" in sentence_of(refused.value)
    assert await ledger.counts() == before
    await ledger.post(phone="8951000001", message="call me")
    assert (await ledger.counts())["received"] == before["received"] + 1
    await ledger.check()


async def test_a_node_that_may_lose_what_it_confirms_is_named(nodes: Nodes) -> None:
    node = nodes.nodes[1]
    async with open_server_at(nodes.url) as opened:
        server = Server(opened.client, clock=clock)
        assert await server.open() == await server.inspect() == ()
        node.do("CONFIG", "SET", "appendfsync", "everysec")
        [finding] = await server.inspect()
        assert finding.sentence.startswith(f"The node at 127.0.0.1:{node.port}: Redis has `appendfsync everysec`")
        assert server.risk is not None
        assert "everysec" in server.risk
        node.do("CONFIG", "SET", "appendfsync", "always")
        await server.look()
        assert server.risk == ""


async def test_a_cluster_is_named_as_one_and_nothing_else_is(nodes: Nodes, own_redis: Embedded) -> None:
    plain = Server(connect(f"redis://127.0.0.1:{nodes.nodes[0].port}"), clock=clock)
    with pytest.raises(CannotStart, match="is a node of a cluster: write redis\\+cluster://"):
        await plain.open()
    await plain.close()
    with Proxy(Path(own_redis.url.removeprefix("unix://"))) as way:
        single = Server(connect(way.url.replace("redis://", "redis+cluster://").removesuffix("/0")), clock=clock)
        assert "is no node of a cluster: write redis://" in (await single.open())[0].sentence
        await single.close()
