"""The Redis server: what must be changed about it is said in a sentence; what passes by itself is outlived."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from ledger import FORM, Ledger, open_ledger, refuse_everybody

from service.lib.errors import CannotStart
from service.process.wiring import clock as real
from service.store.breaker import Gate, Pace
from service.store.server.connection import connect
from service.store.server.health import FAILURES, Finding, sentence_of, verdict
from service.store.server.server import Server
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

FULL = "Redis is full. Raise `maxmemory` of the server, or give it more memory."
REPLICA = "This Redis is a read-only replica. Point LEADS_REDIS_URL at the primary."
NOT_REACHED = "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it."


@asynccontextmanager
async def open_server(url: str, clock: Callable[[], int] = real) -> AsyncIterator[Server]:
    server = Server(connect(url), clock=clock)
    try:
        yield server
    finally:
        await server.close()


async def test_a_durable_server_is_fine_as_it_is(redis_url: str) -> None:
    async with open_server(redis_url) as server:
        assert await server.inspect() == ()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("appendonly", "no", "Redis keeps no append-only file: a crash loses leads. Set `appendonly yes`."),
        (
            "appendfsync",
            "everysec",
            "Redis has `appendfsync everysec`: a crash loses leads. Set `appendfsync always`.",
        ),
        ("appendfsync", "no", "Redis has `appendfsync no`: a crash loses leads. Set `appendfsync always`."),
        (
            "no-appendfsync-on-rewrite",
            "yes",
            "Redis does not fsync while it rewrites its file. Set `no-appendfsync-on-rewrite no`.",
        ),
        (
            "maxmemory-policy",
            "allkeys-lru",
            "Redis may evict leads (`allkeys-lru`). Set `maxmemory-policy noeviction`.",
        ),
    ],
)
async def test_what_could_lose_a_lead_is_said(own_redis: Embedded, name: str, value: str, sentence: str) -> None:
    async with open_server(own_redis.url) as server:
        await server.client.config_set(name, value)
        assert await server.inspect() == (Finding("unsafe", sentence),)


async def test_several_things_are_said_at_once(own_redis: Embedded) -> None:
    async with open_server(own_redis.url) as server:
        await server.client.config_set("appendfsync", "everysec")
        await server.client.config_set("maxmemory-policy", "volatile-ttl")
        assert [each.level for each in await server.inspect()] == ["unsafe", "unsafe"]


async def test_a_full_server_is_said_to_be_full(own_redis: Embedded) -> None:
    async with open_server(own_redis.url) as server:
        await server.client.config_set("maxmemory", "1")
        assert await server.inspect() == (Finding("full", FULL),)


async def test_a_replica_is_said_to_be_one_also_when_it_refuses_a_write(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as ledger:
        client = ledger.server.client
        await client.replicaof("127.0.0.1", 1)
        assert Finding("away", REPLICA) in await ledger.server.inspect()
        assert Finding("away", REPLICA) in await ledger.server.open()
        with pytest.raises(FAILURES) as raised:
            await ledger.post(phone="8951047001")
        assert sentence_of(raised.value) == REPLICA  # type: ignore[arg-type] # one of FAILURES


def named(url: str, user: str, password: str) -> str:
    return url.replace("unix://", f"unix://{user}:{password}@")


@pytest.fixture
async def acl(own_redis: Embedded) -> AsyncIterator[Any]:
    """Make users of a server: `await acl("name", "rule", …)` returns the URL of that one."""
    async with open_server(own_redis.url) as server:

        async def make(user: str, *rules: str) -> str:
            await server.client.acl_setuser(
                user, enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], commands=list(rules)
            )
            return named(own_redis.url, user, "secret")

        yield make


async def test_a_server_that_forbids_config_is_asked_otherwise_and_used(own_redis: Embedded, acl: Any) -> None:
    async with open_server(await acl("app", "+@all", "-config")) as server:
        [finding] = await server.inspect()
        assert finding.level == "unknown"
        assert "`appendfsync`" in finding.sentence
        assert await server.open() == (finding,)
    async with open_server(own_redis.url) as server:
        await server.client.config_set("appendonly", "no")
        await server.client.config_set("maxmemory-policy", "allkeys-lfu")
    async with open_server(await acl("app", "+@all", "-config")) as server:
        assert [each.level for each in await server.inspect()] == ["unsafe", "unsafe"]


@pytest.mark.parametrize("login", ["nobody:secret", "app:wrong"])
async def test_a_server_that_does_not_let_us_in_is_said_to_be_that(own_redis: Embedded, acl: Any, login: str) -> None:
    await acl("app", "-@all", "+hello", "+client")
    async with open_server(named(own_redis.url, *login.split(":"))) as server:
        [finding] = await server.inspect()
        assert finding.sentence == "Redis does not let us in. Check user name and password in LEADS_REDIS_URL."


@pytest.mark.parametrize("rules", [["-@all", "+hello", "+client"], ["+@all", "-@scripting"], ["+@all", "-exists"]])
async def test_a_user_that_may_not_do_what_is_needed_is_told_what_that_is(acl: Any, rules: list[str]) -> None:
    async with open_server(await acl("app", *rules)) as server:
        [finding] = await server.inspect()
    assert finding.level == "away"
    assert finding.sentence.startswith("Redis lets us in, but not do what the service needs. Give its user")


async def test_a_user_without_channels_leaves_nothing_half_done(acl: Any) -> None:
    async with open_ledger(await acl("app", "+@all", "-publish")) as ledger:  # each of its calls must add up
        lead = (await ledger.post(phone="8951047001", name="Asha")).lead
        claim = await ledger.claim_one()
        assert (await ledger.post(phone="8951047001", name="Ravi")).version == 2
        assert await ledger.settle(claim, "dead") == "settled"
        assert await ledger.replay(lead) == 2
        gate = Gate(ledger.server, "crm", Pace(1, 0, 1))
        assert await refuse_everybody(gate) == "paused"
        permit = await gate.ask(1, "a")
        assert await gate.report(permit.slots[0], "delivered", is_probe=False) == "opened"


async def test_a_server_that_is_not_there_is_away(own_redis: Embedded) -> None:
    url = own_redis.url
    own_redis.stop()
    async with open_server(url) as server:
        assert await server.inspect() == (Finding("away", NOT_REACHED),)
        assert await server.open() == (Finding("away", NOT_REACHED),)


Answers = Mapping[str, bytes]


@asynccontextmanager
async def speaking(answers: Answers) -> AsyncIterator[str]:
    """Speak as much RESP as a client needs to be told something; returns the URL."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2].decode())
            nothing = b"*2\r\n$-1\r\n$-1\r\n" if words[0].upper() == "MGET" else b"+OK\r\n"
            writer.write(answers.get(words[0].upper(), nothing))
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0?protocol=2"
    finally:
        listener.close()


def info(**said: str) -> bytes:
    text = "\r\n".join(f"{name}:{value}" for name, value in said.items()) + "\r\n"
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ({"redis_version": "7.0.15"}, "7.0.15"),
        ({"redis_version": "6.2.14"}, "6.2.14"),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.0"}, "7.1.0"),
    ],
)
async def test_a_server_that_is_too_old_is_refused(said: dict[str, str], version: str) -> None:
    async with (
        speaking({"INFO": info(**said), "GET": b"$-1\r\n", "CONFIG": b"*0\r\n"}) as url,
        open_server(url) as server,
    ):
        with pytest.raises(CannotStart) as raised:
            await server.open()
    assert str(raised.value) == f"This Redis is {version}; the service needs Redis 7.2 or Valkey 7.2 or later."


async def test_a_server_too_old_to_be_greeted_is_refused_as_well() -> None:
    unknown = b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"
    async with speaking({"HELLO": unknown}) as url, open_server(url.replace("protocol=2", "protocol=3")) as server:
        with pytest.raises(CannotStart, match=r"^This Redis is older than 6; the service needs Redis 7\.2"):
            await server.open()


async def test_a_server_that_is_loading_will_be_back() -> None:
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    async with speaking({"INFO": info(redis_version="8.0.0"), "GET": loading}) as url, open_server(url) as server:
        assert await server.inspect() == (Finding("away", "Redis is loading its data and will be back by itself."),)


async def test_a_server_that_cannot_write_its_file_is_unsafe() -> None:
    said = info(redis_version="8.0.0", aof_enabled="1", aof_last_write_status="err")
    forbidden = b"-ERR unknown command 'CONFIG'\r\n"
    async with speaking({"INFO": said, "GET": b"$-1\r\n", "CONFIG": forbidden}) as url, open_server(url) as server:
        levels = [each.level for each in await server.inspect()]
    assert levels == ["unknown", "unsafe"]


async def test_opening_notes_our_schema_and_takes_the_servers_time(redis_url: str) -> None:
    async with open_server(redis_url) as server:
        assert await server.open() == ()
        assert await server.client.get("leads:schema") == "1"
        seconds, micros = await server.client.time()
        assert abs(server.now() - (seconds * 1_000 + micros // 1_000)) < 1_000


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (29_000, None),
        (-29_000, None),
        (45_000, "The clock of Redis is 45 s behind this machine's. Set both by NTP: "),
        (-3 * 3_600_000, "The clock of Redis is 3 h ahead of this machine's. Set both by NTP: "),
    ],
)
async def test_a_clock_that_is_far_from_redis_s_is_told_and_keeps_nobody_from_being_thanked(
    redis_url: str, ahead: int, said: str | None
) -> None:
    async with open_server(redis_url, lambda: real() + ahead) as server:
        told = [each.sentence for each in await server.open()]
        assert [each.startswith(said) for each in told] == [True] if said else told == []
        is_ready, sentence = verdict(await server.inspect())
        assert is_ready
        assert sentence == (told[0] if said else "Redis answers and is durable.")


@pytest.mark.parametrize("schema", ["2", "99", "something"])
async def test_data_of_a_newer_version_is_not_touched(redis_url: str, schema: str) -> None:
    async with open_server(redis_url) as server:
        await server.client.set("leads:schema", schema)
        with pytest.raises(CannotStart, match="newer version"):
            await server.open()
        assert await server.client.get("leads:schema") == schema


async def test_a_restart_of_the_server_needs_no_restart_of_ours(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as ledger:
        await ledger.post(phone="8951047001")
        claim = await ledger.claim_one()
        own_redis.stop()
        with pytest.raises(FAILURES):
            await ledger.post(phone="8951047002")
        own_redis.start()
        assert await ledger.settle(claim, "delivered") == "settled"
        assert (await ledger.post(phone="8951047001")).result == "repeated"
        assert (await ledger.post(phone="8951047002")).result == "created"


async def test_scripts_that_the_server_forgot_are_sent_again(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.post(phone="8951047001")
        await ledger.server.client.script_flush()
        assert (await ledger.post(phone="8951047001")).result == "repeated"


async def fill(ledger: Ledger) -> None:
    await ledger.server.client.config_set("maxmemory", "1")


async def test_a_full_server_takes_nothing_new_and_nothing_half(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as ledger:
        await ledger.post(phone="8951047001")
        await fill(ledger)
        kept = await ledger.dump()
        for said in ({"phone": "8951047001"}, {"phone": "8951047001", "message": "hi"}, {"phone": "8951047002"}):
            with pytest.raises(FAILURES) as raised:
                await ledger.store.accept(FORM, msgspec.json.encode(ledger.line(said)))
            assert sentence_of(raised.value) == FULL  # type: ignore[arg-type] # one of FAILURES
        assert await ledger.dump() == kept


async def test_a_full_server_still_delivers_and_frees(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as ledger:
        lead = (await ledger.post(phone="8951047001")).lead
        await ledger.post(phone="8951047002")
        await fill(ledger)
        gate = Gate(ledger.server, "crm", Pace(4, 1, 1_000))
        permit = await gate.ask(1, "worker")
        assert len(permit.slots) == 1
        await gate.keep(permit.slots)
        claims = await ledger.claim(2)
        assert len(claims) == 2
        assert await ledger.settle(claims[0], "dead") == "settled"
        assert await ledger.settle(claims[1], "retry", due=ledger.now) == "settled"
        assert await ledger.replay(lead) == 1
        assert await ledger.settle(await ledger.claim_one(), "delivered") == "settled"
        assert await gate.report(permit.slots[0], "unused", is_probe=False) == "open"
        assert await refuse_everybody(gate) == "paused"
        await gate.probe_now()
        await ledger.store.refuse(FORM.name, "report", 3, at=ledger.now)
        await ledger.store.repair(FORM.name, [lead])
        assert (await ledger.counts())["rejected"] == 3
        await ledger.check()


async def test_nothing_a_visitor_typed_is_in_a_sentence_about_a_failure(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        claim_key = f"{ledger.base}count"
        await ledger.server.client.set(claim_key, "not a hash")
        with pytest.raises(FAILURES) as raised:
            await ledger.store.accept(FORM, msgspec.json.encode(ledger.line({"phone": "8951047001", "name": "Marked"})))
        assert "Marked" not in sentence_of(raised.value)  # type: ignore[arg-type] # one of FAILURES
