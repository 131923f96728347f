"""A primary with replicas, and sentinels that promote one of them, on private ports of 127.0.0.1.

    with Fleet(folder) as fleet:
        connect(fleet.url)          # redis+sentinel://…
        fleet.kill_primary()        # the sentinels promote another within seconds
        fleet.mend()                # the killed one is back, as a replica

The sentinels are told at their start what they would find out by themselves in ten seconds.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from crm import Crm
from harness import QUICK, Installation, until
from processes import free_port
from redis import Redis
from redis.exceptions import RedisError
from workshop import destination, form

from service.up.embedded import SETTINGS, find_binary

SERVICE: Final = "main"
DOWN_AFTER_MS: Final = 700
QUICKER: Final = {"INFO-PERIOD": 300, "PING-PERIOD": 200, "ASK-PERIOD": 200, "PUBLISH-PERIOD": 400}
"""Sentinels look around once in 1 to 10 s otherwise, which a test would only sit through."""


class Node:
    """One server or sentinel, on one port and one folder however often it is started; `socket` is another way in."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *words: str, lines: tuple[str, ...] = ()) -> None:
        self.port, self.folder = free_port(), folder
        self.socket = folder / "s"
        self._settings, self._words, self._lines = dict(settings), words, lines
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, *lines: str) -> None:
        """Add lines to what it is started with."""
        self._lines += lines

    def start(self, **settings: str) -> None:
        """Start it; `settings` hold for this start. A sentinel goes on with what it wrote down itself."""
        self.folder.mkdir(exist_ok=True)
        own = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "logfile": "log"}
        lines = [f'{name} "{value}"' for name, value in {**self._settings, **own, **settings}.items()]
        (self.folder / "conf").write_text("\n".join([*lines, *self._lines, ""]))
        self._process = subprocess.Popen(
            [find_binary(), self.folder / "conf", *self._words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until(self.answers, f"{self.folder.name} answers: {self._log()}", 15)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep it from doing anything until the block ends."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def redis(self) -> "Redis":
        password = self._settings.get("requirepass")
        return Redis(host="127.0.0.1", port=self.port, password=password, decode_responses=True, socket_timeout=5)

    def do(self, *words: str | int) -> Any:
        """Run a command and return the answer."""
        with self.redis() as redis:
            return redis.execute_command(*words)

    def info(self) -> Any:
        """Return what it says of its replication."""
        return self.do("INFO", "replication")

    def answers(self) -> bool:
        try:
            return self.is_running and bool(self.do("PING"))
        except RedisError:
            return False

    def _log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text()[-500:]
        return ""


def server(folder: Path, **settings: str) -> Node:
    """Make a durable server that can be a primary or a replica."""
    durable = {name: value for name, value in SETTINGS.items() if name not in ("port", "save")}
    also = {"repl-diskless-sync-delay": "0", "replica-announce-ip": "127.0.0.1", "unixsocket": str(folder / "s")}
    return Node(folder, {**durable, **also, **settings}, lines=('save ""',))


class Fleet:
    """A primary with `replicas` replicas and three sentinels."""

    def __init__(self, folder: Path, *, replicas: int = 2) -> None:
        self.servers = [server(folder / f"server{number}") for number in range(replicas + 1)]
        self.sentinels = [Node(folder / f"sentinel{number}", {}, "--sentinel") for number in range(3)]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/{SERVICE}"

    def __enter__(self) -> Self:
        first, *others = self.servers
        try:
            first.start()
            for each in others:
                each.start(replicaof=f"127.0.0.1 {first.port}")
            self._start_sentinels()
            self._wait_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for each in (*self.sentinels, *self.servers):
            each.kill()

    def _start_sentinels(self) -> None:
        names = {each: secrets.token_hex(20) for each in self.sentinels}
        for each, name in names.items():
            each.tell(
                f"sentinel myid {name}",
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.servers[0].port} 2",
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
                f"sentinel failover-timeout {SERVICE} 3000",
                *(f"sentinel known-replica {SERVICE} 127.0.0.1 {one.port}" for one in self.servers[1:]),
                *(
                    f"sentinel known-sentinel {SERVICE} 127.0.0.1 {other.port} {names[other]}"
                    for other in self.sentinels
                    if other is not each
                ),
            )
            each.start()
            each.do("SENTINEL", "DEBUG", *(word for pair in QUICKER.items() for word in pair))

    def primary(self) -> Node:
        """Return the server that most of the sentinels take for the primary."""
        told = [int(each.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) for each in self.sentinels]
        port = max(set(told), key=told.count)
        return next(each for each in self.servers if each.port == port)

    def kill_primary(self) -> Node:
        """End the primary with SIGKILL; return it."""
        primary = self.primary()
        primary.kill()
        return primary

    def wait_for_another(self, old: Node) -> float:
        """Wait until the sentinels follow another primary than `old`; return the seconds that took."""
        began = time.monotonic()
        until(lambda: self.primary() is not old and self.primary().info()["role"] == "master", "another is promoted")
        return time.monotonic() - began

    def mend(self) -> None:
        """Start what was killed again, as replicas of the primary of now, and wait until all is as at the start."""
        dead = [each for each in self.servers if not each.is_running]
        until(lambda: self.primary() not in dead, "another is promoted")
        for each in dead:
            each.start(replicaof=f"127.0.0.1 {self.primary().port}")
        self._wait_whole()

    def _wait_whole(self) -> None:
        until(self._is_whole, "every replica is linked and every sentinel knows it", 30)

    def _is_whole(self) -> bool:
        primary, others = self.primary(), len(self.servers) - 1
        linked = [each for each in self.servers if each is not primary and _is_linked(each.info(), primary.port)]
        return len(linked) == others == primary.info()["connected_slaves"] and all(map(self._sees_all, self.sentinels))

    def _sees_all(self, sentinel: Node) -> bool:
        with sentinel.redis() as redis:
            told: Any = redis.sentinel_slaves(SERVICE)
            agreed = redis.execute_command("SENTINEL", "CKQUORUM", SERVICE)
        seen = [one for one in told if not one["is_sdown"] and one["master-link-status"] == "ok"]
        return str(agreed).startswith(("OK", "True")) and len(seen) == len(self.servers) - 1


def _is_linked(info: Any, port: int) -> bool:
    return bool(info["role"] == "slave" and info["master_port"] == port and info["master_link_status"] == "up")


class Replicated(Installation):
    """An installation whose server is a fleet, which outlives it; the fleet is emptied first."""

    def __init__(self, folder: Path, crm: Crm, fleet: Fleet, *, replicas: int, has_spool: bool) -> None:
        self.fleet = fleet
        text = form() + destination(crm.url, more=QUICK) + f"\n[service]\nreplicas = {replicas}\n"
        self.furnish(folder, crm, text, fleet.url, has_spool=has_spool)

    def begin(self) -> None:
        self.fleet.primary().do("FLUSHALL")

    def end(self) -> None:
        """Leave the fleet as it is."""

    def redis(self) -> "Redis":
        return self.fleet.primary().redis()
