"""Where the server is: every way to write it, and a sentence for what names none, which never repeats a password."""

import socket
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from redis.asyncio import Redis, SSLConnection, UnixDomainSocketConnection

from service.lib.errors import CannotStart
from service.process.settings import redis_url
from service.store.server.connection import ANSWER_WITHIN_S, connect, connect_beside
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

PASSWORD = "hunter2"
LOGIN = {"username": "app", "password": PASSWORD}


def named(client: "Redis") -> dict[str, Any]:
    """Return what of the URL reached the connections."""
    names = ("host", "port", "path", "db", "username", "password")
    return {name: value for name, value in client.connection_pool.connection_kwargs.items() if name in names}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", {"host": "cache"}),
        ("redis://cache/", {"host": "cache"}),
        ("redis://cache:6380/3", {"host": "cache", "port": 6380, "db": 3}),
        ("redis://[::1]:6380/0", {"host": "::1", "port": 6380, "db": 0}),
        ("redis://:p%40ss%2F@cache", {"host": "cache", "password": "p@ss/"}),
        (
            "redis://app:hunter2@cache:1/2",
            {"host": "cache", "port": 1, "db": 2, "username": "app", "password": PASSWORD},
        ),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock"}),
        (
            "unix://app:hunter2@/run/r.sock?db=2",
            {"path": "/run/r.sock", "db": 2, "username": "app", "password": PASSWORD},
        ),
    ],
)
async def test_a_url_names_host_port_database_and_login(url: str, expected: dict[str, Any]) -> None:
    assert named(connect(url)) == expected


async def test_connections_over_a_network_are_kept_alive_by_the_kernel(redis_server: Embedded) -> None:
    with Proxy(Path(redis_server.url.removeprefix("unix://"))) as way:
        client = connect(way.url)
        await client.ping()
        [made] = client.connection_pool._available_connections
        assert made._writer is not None
        kept = made._writer.get_extra_info("socket")
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        await client.aclose(close_connection_pool=True)


async def test_rediss_is_encrypted_and_unix_is_a_socket() -> None:
    assert connect("rediss://cache:6380/0").connection_pool.connection_class is SSLConnection
    assert connect("unix:///run/redis.sock").connection_pool.connection_class is UnixDomainSocketConnection


@pytest.mark.parametrize(
    ("url", "sentinels", "expected"),
    [
        ("a/main", [("a", 26379)], {"db": 0}),
        ("a:1,b,c:3/main/4", [("a", 1), ("b", 26379), ("c", 3)], {"db": 4}),
        (":hunter2@a:1/main", [("a", 1)], {"db": 0, "password": PASSWORD}),
        ("app:p%40ss%2F@a:1,b:2/main", [("a", 1), ("b", 2)], {"db": 0, "username": "app", "password": "p@ss/"}),
    ],
)
async def test_a_sentinel_url_names_sentinels_service_database_and_login(
    url: str, sentinels: list[tuple[str, int]], expected: dict[str, Any]
) -> None:
    client = connect(f"redis+sentinel://{url}")
    pool: Any = client.connection_pool
    assert pool.service_name == "main"
    assert named(client) == expected
    asked = [named(each) for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == sentinels
    assert {each["password"] for each in asked} == {expected.get("password")}


NONSENSE = [
    "redis://:hunter2@cache:port/0",
    "redis://:hunter2@cache:99999/0",
    "redis://:hunter2@cache/zero",
    "redis://:hunter2@cache/-1",
    "redis://:hunter2@cache/0/1",
    "redis://:hunter2/more@cache:6379/0",
    "redis://:hunter2#more@cache:6379/0",
    "redis://:hunter2@[::1/0",
    "redis://:hunter2@cache/0?socket_timeout=soon",
    "redis://:hunter2@cache/0?colour=red",
    "rediss://:hunter2@cache/0?ssl_cert_reqs=perhaps",
    "unix://",
    "unix://app:hunter2@",
    "redis+sentinel://",
    "redis+sentinel://:hunter2@a",
    "redis+sentinel://:hunter2@a/",
    "redis+sentinel://:hunter2@/main",
    "redis+sentinel://:hunter2@a,/main",
    "redis+sentinel://:hunter2@a:x/main",
    "redis+sentinel://:hunter2@a:99999/main",
    "redis+sentinel://:hunter2@a/main/zero",
    "redis+sentinel://hunter2@a/main",
    "redis+sentinel://app:hunter2@b@a/main",
    "redis+cluster://",
    "redis+cluster://:hunter2@a:99999",
    "redis+cluster://:hunter2@a,",
    "redis+cluster://:hunter2@a:1/3",
    "redis+cluster://hunter2@a:1",
    "memcached://:hunter2@cache",
    "hunter2",
]


@pytest.mark.parametrize("url", NONSENSE)
async def test_what_names_no_server_is_said_in_a_sentence_without_the_password(url: str) -> None:
    with pytest.raises(CannotStart) as raised:
        connect(redis_url({"LEADS_REDIS_URL": url}).reveal())
    told = str(raised.value)
    assert told.startswith("LEADS_REDIS_URL ")
    assert told.endswith(".")
    assert PASSWORD not in told
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("url", ["redis://cache", "unix:///r.sock", "redis+sentinel://a/main", "redis+cluster://a"])
async def test_nobody_waits_longer_than_two_seconds_for_an_answer(url: str) -> None:
    kept = connect(url).connection_pool.connection_kwargs
    assert kept["socket_timeout"] == kept["socket_connect_timeout"] == ANSWER_WITHIN_S == 2


@pytest.mark.parametrize(
    ("url", "is_tls", "login"),
    [
        ("redis://cache", False, {}),
        ("redis://app:hunter2@cache:1/2", False, LOGIN),
        ("rediss://:hunter2@cache?ssl_cert_reqs=none", True, {"password": PASSWORD}),
        ("unix://app:hunter2@/r.sock", False, LOGIN),
        ("redis+sentinel://app:hunter2@a/main", False, LOGIN),
        ("redis+cluster://app:hunter2@a:1,b", False, LOGIN),
    ],
)
async def test_a_replica_is_asked_with_the_same_login_and_the_same_tls(
    url: str, is_tls: bool, login: dict[str, str]
) -> None:
    beside = connect_beside(connect(url), "replica", 7000)
    kept = named(beside)
    assert (kept["host"], kept["port"]) == ("replica", 7000)
    assert {name: kept[name] for name in ("username", "password") if kept.get(name)} == login
    assert issubclass(beside.connection_pool.connection_class, SSLConnection) is is_tls
    assert beside.connection_pool.connection_kwargs.get("ssl_cert_reqs") == ("none" if is_tls else None)
