"""What is wrong with a server, primary or replica, told in sentences that say what to change."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from engines import open_engine
from processes import free_port
from redis import exceptions
from workshop import until_async

from service.process.wiring import clock
from service.store.server.connection import connect
from service.store.server.health import (
    FAILURES,
    Failure,
    Finding,
    NotReplicatedError,
    durability_of,
    findings_of,
    is_script_fault,
    lack_of_replicas,
    sentence_of,
    verdict,
)
from service.store.server.server import Server
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

LET_IN = "Redis does not let us in. Check user name and password in LEADS_REDIS_URL."
NOT_ALLOWED = (
    "Redis lets us in, but not do what the service needs. "
    "Give its user what docs/redis-acl.txt lists: commands, the keys `leads:*` and the channels `leads:*`."
)
ANCIENT = "This Redis is older than 6; the service needs Redis 7.2 or Valkey 7.2 or later."
AWAY = "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it."
FEW = "Too few replicas have it on their disks. Check the replicas, or lower `[service] replicas`."
CANNOT_WRITE = "Redis cannot write its append-only file. Check its disk."
CANNOT_SAVE = (
    "Redis takes no write because its last snapshot failed (`stop-writes-on-bgsave-error`). Check its disk and the "
    'rights to its folder, or set `save ""`: the append-only file alone is enough.'
)
FEW_REPLICAS = (
    "Redis takes no write because fewer replicas are connected than its `min-replicas-to-write`. "
    "Bring them back, or lower that."
)
NO_WRITE = (
    "Redis answers, but confirmed no write within 2 s. Is it paused (`CLIENT PAUSE`, a failover), or its disk stuck?"
)
SLOW = "Redis did not answer within 2 s. Check the server and the way to it."
SENTENCES: list[tuple[Failure, str]] = [
    (NotReplicatedError(), FEW),
    (exceptions.BusyLoadingError("LOADING"), "Redis is loading its data and will be back by itself."),
    (exceptions.ReadOnlyError("READONLY"), "This Redis is a read-only replica. Point LEADS_REDIS_URL at the primary."),
    (
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        "Redis is full. Raise `maxmemory` of the server, or give it more memory.",
    ),
    (exceptions.AuthenticationError("Authentication required."), LET_IN),
    (exceptions.AuthenticationError("invalid username-password pair or user is disabled."), LET_IN),
    (exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"), NOT_ALLOWED),
    (exceptions.ResponseError("ACL failure in script: User app has no permissions"), NOT_ALLOWED),
    (exceptions.ResponseError("unknown command `HELLO`, with args beginning with: `3`, "), ANCIENT),
    (exceptions.TimeoutError("Timeout reading from 10.0.0.1:6379"), SLOW),
    (TimeoutError(), SLOW),
    (exceptions.ConnectionError("Error 111 connecting to :hunter2@10.0.0.1:6379."), AWAY),
    (exceptions.MaxConnectionsError("No connection available."), AWAY),
    (ConnectionResetError(104, "Connection reset by peer"), AWAY),
    (exceptions.ResponseError("MISCONF Errors writing to the AOF file"), CANNOT_WRITE),
    (exceptions.ResponseError("MISCONF Valkey is configured to save RDB snapshots, but cannot"), CANNOT_SAVE),
    (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), FEW_REPLICAS),
    (exceptions.ResponseError("ERR hunter2"), "Redis refused a command (ResponseError). Its log says more."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "sentence"), SENTENCES, ids=[f"{type(each).__name__} {each}" for each, _ in SENTENCES]
)
def test_each_failure_has_a_sentence_that_repeats_nothing_that_was_sent(error: Failure, sentence: str) -> None:
    assert isinstance(error, FAILURES)
    assert sentence_of(error) == sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("told", "is_so"),
    [
        ("user_script:12: attempt to index a nil value script: 3f2, on @user_script:12.", True),
        ("ACL failure in script: User app has no permissions script: 3f2, on @user_script:9.", False),
        ("Script killed by user with SCRIPT KILL. script: 3f2, on @user_script:9.", False),
        ("MISCONF Redis is configured to save script: 3f2, on @user_script:9.", False),
        ("BUSY Redis is busy running a script.", False),
    ],
)
def test_a_script_that_breaks_over_a_line_is_told_from_a_server_that_will_not_run_it(told: str, is_so: bool) -> None:
    assert is_script_fault(exceptions.ResponseError(told)) is is_so


GOOD = {"redis_version": "8.0.0", "role": "master", "aof_enabled": 1, "maxmemory": 0, "used_memory": 9}
DURABLE = {
    "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "no-appendfsync-on-rewrite": "no",
}  # fmt: skip


def test_a_durable_primary_has_nothing_to_change() -> None:
    assert findings_of(GOOD, DURABLE, "1") == []
    assert findings_of(GOOD, DURABLE, None) == []


@pytest.mark.parametrize(
    ("info", "settings", "level", "sentence"),
    [
        ({"redis_version": "7.0.15"}, {}, "unusable",
         "This Redis is 7.0.15; the service needs Redis 7.2 or Valkey 7.2 or later."),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, {"appendonly": "no"}, "unsafe",
         "Redis keeps no append-only file: a crash loses leads. Set `appendonly yes`."),
        ({}, {"appendfsync": "everysec"}, "unsafe",
         "Redis has `appendfsync everysec`: a crash loses leads. Set `appendfsync always`."),
        ({}, {"no-appendfsync-on-rewrite": "yes"}, "unsafe",
         "Redis does not fsync while it rewrites its file. Set `no-appendfsync-on-rewrite no`."),
        ({}, {"maxmemory-policy": "allkeys-lru"}, "unsafe",
         "Redis may evict leads (`allkeys-lru`). Set `maxmemory-policy noeviction`."),
        ({"aof_last_write_status": "err"}, {}, "unsafe", CANNOT_WRITE),
        ({"role": "slave"}, {}, "away", "This Redis is a read-only replica. Point LEADS_REDIS_URL at the primary."),
        ({"maxmemory": 9}, {}, "full", "Redis is full. Raise `maxmemory` of the server, or give it more memory."),
    ],
)  # fmt: skip
def test_each_thing_to_change_is_told_with_what_to_change(
    info: dict[str, Any], settings: dict[str, str], level: Any, sentence: str
) -> None:
    assert findings_of(GOOD | info, DURABLE | settings, "1") == [Finding(level, sentence)]


@pytest.mark.parametrize("schema", ["2", "x"])
def test_data_of_a_newer_version_is_unusable(schema: str) -> None:
    [finding] = findings_of(GOOD, DURABLE, schema)
    assert finding.level == "unusable"


@pytest.mark.parametrize(
    ("settings", "is_safe", "said"),
    [
        (DURABLE, True, "Redis answers and is durable."),
        (None, True, "does not tell"),
        (DURABLE | {"appendfsync": "no"}, False, "appendfsync always"),
    ],
)
def test_readiness_never_calls_durable_what_would_not_tell(
    settings: dict[str, str] | None, is_safe: bool, said: str
) -> None:
    is_ready, told = verdict(findings_of(GOOD, settings, "1"))
    assert is_ready is is_safe
    assert said in told


def test_where_config_is_forbidden_what_is_known_otherwise_is_judged() -> None:
    assert [each.level for each in durability_of(GOOD, None)] == ["unknown"]
    assert [each.level for each in durability_of(GOOD | {"aof_enabled": 0}, None)] == ["unsafe"]
    assert [each.level for each in durability_of(GOOD | {"maxmemory_policy": "allkeys-lru"}, None)] == [
        "unknown",
        "unsafe",
    ]


@pytest.mark.parametrize(
    ("connected", "wanted", "is_bad"), [(0, 0, False), (1, 1, False), (3, 2, False), (0, 1, True), (1, 2, True)]
)
def test_fewer_replicas_than_each_lead_waits_for_are_told(connected: int, wanted: int, is_bad: bool) -> None:
    finding = lack_of_replicas(connected, wanted)
    assert (finding is not None) is is_bad
    if finding:
        assert finding.level == "unsafe"
        assert f"`[service] replicas` is {wanted}, but {connected} are connected" in finding.sentence


# --- a write is proved ------------------------------------------------------------------------------------------


@contextmanager
def open_valkey(folder: Path) -> Iterator[Embedded]:
    server = Embedded(folder)
    server.start()
    yield server
    server.stop()


async def with_too_few_replicas(server: Server) -> str:
    await server.client.config_set("min-replicas-to-write", 1)
    return FEW_REPLICAS


async def paused(server: Server) -> str:
    await server.client.client_pause(60_000, all=False)
    return NO_WRITE


async def with_a_snapshot_that_failed(server: Server) -> str:
    folder = await server.client.config_get("dir")
    (Path(str(folder["dir"])) / "dump.rdb").mkdir()
    await server.client.config_set("save", "3600 1")
    await server.client.bgsave()

    async def has_failed() -> bool:
        return bool((await server.client.info("persistence"))["rdb_last_bgsave_status"] == "err")

    await until_async(has_failed)
    return CANNOT_SAVE


@pytest.mark.parametrize("made", [with_too_few_replicas, paused, with_a_snapshot_that_failed])
@pytest.mark.parametrize("which", ["Valkey", "Redis 8"])
async def test_a_server_that_answers_and_takes_no_write_is_not_ready_and_why(
    made: Callable[[Server], Awaitable[str]], which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_engine("redis-8.2", tmp_path, monkeypatch) if which == "Redis 8" else open_valkey(tmp_path)
    with opened as embedded:
        async with on(embedded) as server:
            assert await server.open() == await server.inspect() == ()
            sentence = await made(server)
            assert await server.inspect() == (Finding("away", sentence),)
            assert await server.open() == ()  # It can still be asked.
            await server.client.config_set("save", "")  # Or it would not end.


async def test_a_proof_leaves_nothing_behind(redis_url: str) -> None:
    server = Server(connect(redis_url), clock=clock)
    assert await server.inspect() == ()
    assert await server.client.keys("*") == []
    await server.close()


# --- a real primary with a real replica ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, Embedded, int]]:
    """A primary, its replica, and the replica's port."""
    folder, ports = tmp_path_factory.mktemp("linked"), (free_port(), free_port())
    bound = {"bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    primary = Embedded(folder / "primary", settings={**bound, "port": str(ports[0])})
    replica = Embedded(
        folder / "replica", settings={**bound, "port": str(ports[1]), "replicaof": f"127.0.0.1 {ports[0]}"}
    )
    primary.start()
    replica.start()
    yield primary, replica, ports[1]
    replica.stop()
    primary.stop()


@asynccontextmanager
async def on(server: Embedded) -> AsyncIterator[Server]:
    opened = Server(connect(server.url), clock=clock)
    yield opened
    await opened.close()


@asynccontextmanager
async def both(linked: tuple[Embedded, Embedded, int]) -> AsyncIterator[tuple[Server, Server]]:
    async with on(linked[0]) as primary, on(linked[1]) as replica:

        async def is_linked() -> bool:
            told = [await each.client.info("replication") for each in (replica, primary)]
            return bool(told[0]["master_link_status"] == "up" and told[1]["connected_slaves"] == 1)

        await until_async(is_linked)
        yield primary, replica


async def test_a_durable_replica_is_asked_and_fine(linked: tuple[Embedded, Embedded, int]) -> None:
    async with both(linked) as (primary, _):
        assert await primary.open(replicas=1) == ()


async def test_too_few_replicas_are_told_at_start(linked: tuple[Embedded, Embedded, int]) -> None:
    async with both(linked) as (primary, _):
        assert await primary.open(replicas=2) == (lack_of_replicas(1, 2),)


async def test_a_replica_that_does_not_fsync_always_is_told_with_its_address(
    linked: tuple[Embedded, Embedded, int],
) -> None:
    async with both(linked) as (primary, replica):
        await replica.client.config_set("appendfsync", "everysec")
        try:
            [finding] = await primary.open(replicas=1)
            assert await primary.open() == ()
        finally:
            await replica.client.config_set("appendfsync", "always")
    assert finding.level == "unsafe"
    assert finding.sentence == (
        f"The replica at 127.0.0.1:{linked[2]}: "
        "Redis has `appendfsync everysec`: a crash loses leads. Set `appendfsync always`."
    )


async def test_a_replica_that_cannot_be_asked_is_told(linked: tuple[Embedded, Embedded, int]) -> None:
    async with both(linked) as (primary, replica):
        await replica.client.config_set("requirepass", "of its own")
        try:
            [finding] = await primary.open(replicas=1)
        finally:
            await replica.client.auth("of its own")
            await replica.client.config_set("requirepass", "")
    assert finding == Finding("unknown", f"The replica at 127.0.0.1:{linked[2]} cannot be asked whether it is durable.")


async def test_a_replica_itself_is_told_to_be_none_to_write_to(linked: tuple[Embedded, Embedded, int]) -> None:
    async with both(linked) as (_, replica):
        assert [each.level for each in await replica.open(replicas=0)] == ["away"]
