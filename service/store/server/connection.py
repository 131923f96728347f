"""How the Redis server is reached: by address, by socket, or through sentinels that know the primary.

Invariant: makes clients; nothing is sent yet. Every caller gets a connection of its own and waits for one if all are
taken.
"""

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.lib.errors import CannotStart
from service.store.server.cluster import Address, Cluster

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

ANSWER_WITHIN_S = 2.0
KEPT_ANSWERS_WITHIN_S = 1.0
"""So long a kept connection is waited for: half of what a visitor waits, so that a fresh one may answer in the rest."""
CLUSTER = "redis+cluster://"
SENTINEL = "redis+sentinel://"
SENTINEL_PORT = 26_379
USUAL_PORT = 6_379
LAST_PORT = 65_535
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
"""Seconds until a silent connection is asked, between questions, and how many; most NATs forget after minutes."""
UNREADABLE_CLUSTER = "LEADS_REDIS_URL cannot be read; write redis+cluster://host:port,host:port."
UNREADABLE_SENTINELS = "LEADS_REDIS_URL cannot be read; write redis+sentinel://host:port,host:port/service."

_HOSTS = r"(?:(?P<username>[^:@/]*):(?P<password>[^@/]*)@)?(?P<hosts>[^:,/@]+(?::\d+)?(?:,[^:,/@]+(?::\d+)?)*)"
_SENTINELS = re.compile(_HOSTS + r"/(?P<service>[^/]+)(?:/(?P<db>\d+))?")
_CLUSTER = re.compile(_HOSTS + r"/?")


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """A pool that follows the primary, and lets a caller wait for a free connection as the other one does."""

    async def aclose(self) -> None:
        """Close every connection, those to the sentinels too, which the library leaves open."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def connect(url: str, *, connections: int = 32) -> Redis:
    """Make a client for `url`; nothing is sent yet. Raises CannotStart for a URL that names no server.

    What a connection does not answer is repeated once, on a fresh one: a NAT or a balancer may have forgotten it
    without a word. So whatever is sent must come to the same if it is executed twice.
    """
    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": ANSWER_WITHIN_S,
        "decode_responses": True,
        "socket_timeout": ANSWER_WITHIN_S,
        "socket_connect_timeout": ANSWER_WITHIN_S,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError, RedisTimeoutError)),
        "redis_connect_func": greet,
    }
    if not url.startswith("unix://"):
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    if url.startswith(CLUSTER):
        return _cluster(url.removeprefix(CLUSTER), options)
    if url.startswith(SENTINEL):
        return Redis(connection_pool=_sentinel_pool(url.removeprefix(SENTINEL), options))
    try:
        pool = BlockingConnectionPool.from_url(url, **options)
        pool.connection_class(**pool.connection_kwargs)  # opens nothing, but refuses unknown options
        is_named = _names_a_server(url)
    except (ValueError, TypeError, RedisError):
        is_named = False
    if not is_named:
        raise CannotStart("LEADS_REDIS_URL cannot be read; write redis://host:port/0.")
    return Redis(connection_pool=pool)


async def greet(connection: "Connection") -> None:
    """Begin a connection: it may take its time to answer while it is fresh; when it is kept, it is soon doubted."""
    connection.socket_timeout = ANSWER_WITHIN_S
    await connection.on_connect()
    asyncio.get_running_loop().call_later(ANSWER_WITHIN_S, setattr, connection, "socket_timeout", KEPT_ANSWERS_WITHIN_S)


def _names_a_server(url: str) -> bool:
    """Tell whether what stands behind the host is a database, or a path to a socket; the library guesses otherwise."""
    parts = urlsplit(url)
    return bool(parts.path) if parts.scheme == "unix" else re.fullmatch(r"/?\d*", parts.path) is not None


def _sentinel_pool(rest: str, options: dict[str, Any]) -> _SentinelPool:
    """Read `[user:password@]host:port,host:port/service[/db]`; the password is that of the servers and sentinels."""
    found = _SENTINELS.fullmatch(rest)
    watchers = _addresses(found, SENTINEL_PORT)
    if found is None or watchers is None:
        raise CannotStart(UNREADABLE_SENTINELS)
    login = _login(found)
    quick = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": Retry(NoBackoff(), 0), **login}
    manager = Sentinel(watchers, sentinel_kwargs=quick)  # type: ignore[no-untyped-call]  # the library does not type it
    options |= {"db": int(found["db"] or 0), **login}
    pool: _SentinelPool = _SentinelPool(found["service"], manager, **options)  # type: ignore[no-untyped-call]  # the same
    return pool


def _addresses(found: re.Match[str] | None, usual: int) -> list[tuple[str, int]] | None:
    """Return the hosts and ports that a URL names; None where one is no port."""
    named = [host.partition(":") for host in found["hosts"].split(",")] if found else []
    addresses = [(host, int(port or usual)) for host, _, port in named]
    return addresses if addresses and all(port <= LAST_PORT for _, port in addresses) else None


def _login(found: re.Match[str]) -> dict[str, str]:
    return {name: unquote(found[name]) for name in ("username", "password") if found[name]}


def _cluster(rest: str, options: dict[str, Any]) -> Cluster:
    """Read `[user:password@]host:port,host:port`: some of the nodes, which name the others."""
    found = _CLUSTER.fullmatch(rest)
    seeds = _addresses(found, USUAL_PORT)
    if found is None or seeds is None:
        raise CannotStart(UNREADABLE_CLUSTER)
    options |= _login(found)

    def open_node(address: Address) -> Redis:
        host, port = address
        return Redis(connection_pool=BlockingConnectionPool(host=host, port=port, **options))

    return Cluster(seeds, open_node)


def connect_beside(client: Redis, host: str, port: int) -> Redis:
    """Make a client for another server of the same installation: the same login, the same TLS, another address."""
    kept = client.connection_pool.connection_kwargs
    same = {name: kept[name] for name in ("username", "password", "credential_provider") if kept.get(name)}
    is_tls = issubclass(client.connection_pool.connection_class, SSLConnection)
    tls = {name: value for name, value in kept.items() if name.startswith("ssl_")} if is_tls else {}
    return Redis(
        host=host, port=port, ssl=is_tls, decode_responses=True, socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S, retry=Retry(NoBackoff(), 0), **same, **tls,
    )  # fmt: skip
