"""A Redis Cluster of three primaries, with replicas if a test wants some, on private ports of 127.0.0.1.

with Nodes(folder) as cluster:
    connect(cluster.url)                            # redis+cluster://…
    with cluster.on_its_way("clinic"):              # half of the form's keys here and half there, while the block lasts
        ...
    cluster.kill_primary_of("clinic")               # a replica takes over within seconds
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from crm import Crm
from harness import QUICK, Installation, until
from processes import free_port
from redis import RedisCluster
from redis.crc import key_slot
from redis.exceptions import RedisError
from sentinels import Node, server
from workshop import destination, form

from service.store.keys import base_of

SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 1_000


class Nodes:
    """Three primaries that share the slots, and `replicas` of each."""

    def __init__(self, folder: Path, *, replicas: int = 0) -> None:
        self._buses: dict[Node, int] = {}
        self.nodes = [self._node(folder / f"node{number}") for number in range(3 * (1 + replicas))]
        self._ids: dict[Node, str] = {}

    def _node(self, folder: Path) -> Node:
        node, bus = server(folder), free_port()
        node.tell(
            "cluster-enabled yes", f"cluster-node-timeout {NODE_TIMEOUT_MS}", f"cluster-port {bus}",
            "cluster-require-full-coverage no", "cluster-allow-replica-migration no",
        )  # fmt: skip
        self._buses[node] = bus
        return node

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.folder.parent.mkdir(exist_ok=True)
                node.start()
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()

    def _join(self) -> None:
        first, primaries = self.nodes[0], self.nodes[:3]
        self._ids = {node: str(node.do("CLUSTER", "MYID")) for node in self.nodes}
        bounds = [SLOTS * number // 3 for number in range(4)]
        for number, node in enumerate(primaries):
            node.do("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            node.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.do("CLUSTER", "MEET", "127.0.0.1", first.port, self._buses[first])
        until(lambda: all(self._knows_all(node) for node in self.nodes), "every node knows every other", 30)
        for number, node in enumerate(self.nodes[3:]):
            node.do("CLUSTER", "REPLICATE", self._ids[primaries[number % 3]])
        until(self.is_whole, "the cluster is whole", 30)

    def _knows_all(self, node: Node) -> bool:
        return len(node.do("CLUSTER NODES")) == len(self.nodes)

    def is_whole(self) -> bool:
        """Tell whether every node says that all is well, and every replica is linked."""
        with contextlib.suppress(RedisError):
            infos = [node.do("CLUSTER INFO") for node in self.nodes]
            linked = [node.info() for node in self.nodes]
            return all(
                info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS) for info in infos
            ) and all(info["role"] == "master" or info["master_link_status"] == "up" for info in linked)
        return False

    def primary_of(self, form: str) -> Node:
        """Return the node that keeps a form, by what the first that runs and is in touch with others says."""
        slot = key_slot(base_of(form).encode())
        for node in self.nodes:
            if not node.answers() or node.do("CLUSTER INFO")["cluster_state"] != "ok":
                continue
            for first, last, (_, port, *_), *_ in node.do("CLUSTER SLOTS"):
                if first <= slot <= last:
                    return next(each for each in self.nodes if each.port == port)
        raise AssertionError("no node says who keeps it")

    def primaries(self) -> list[Node]:
        return [node for node in self.nodes if node.answers() and node.info()["role"] == "master"]

    def another_than(self, node: Node) -> Node:
        """Return another primary."""
        return next(each for each in self.primaries() if each is not node)

    def kill_primary_of(self, form: str) -> Node:
        """End the primary that keeps a form with SIGKILL; return it."""
        primary = self.primary_of(form)
        primary.kill()
        return primary

    def mend(self) -> None:
        """Start what was killed again, and wait until all is well."""
        for node in self.nodes:
            if not node.is_running:
                node.start()
        until(self.is_whole, "the cluster is whole again", 30)

    @contextlib.contextmanager
    def on_its_way(self, form: str) -> Iterator[None]:
        """Move the slot of a form to another node key by key, and stop half-way for as long as the block lasts."""
        slot, source = key_slot(base_of(form).encode()), self.primary_of(form)
        target = self.another_than(source)
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[source])
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[target])
        self._carry(slot, source, target, len(source.do("CLUSTER", "GETKEYSINSLOT", slot, 1_000)) // 2)
        yield
        while self._carry(slot, source, target, 100):
            pass
        for node in (target, source, *self.primaries()):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", self._ids[target])

    @staticmethod
    def _carry(slot: int, source: Node, target: Node, number: int) -> bool:
        keys = source.do("CLUSTER", "GETKEYSINSLOT", slot, number)
        if keys:
            source.do("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        return bool(keys)

    def move_at_once(self, form: str) -> None:
        """Move the slot of a form to another node as Valkey 9 does, which lets nobody see it half-way."""
        slot, source = key_slot(base_of(form).encode()), self.primary_of(form)
        target = self.another_than(source)
        source.do("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self._ids[target])
        until(lambda: self.primary_of(form) is target, "the slot has moved", 30)


class Clustered(Installation):
    """An installation whose server is a cluster, which outlives it; the cluster is emptied first."""

    def __init__(self, folder: Path, crm: Crm, nodes: Nodes, *, replicas: int = 0, has_spool: bool = True) -> None:
        self.nodes = nodes
        text = form() + destination(crm.url, more=QUICK) + f"\n[service]\nreplicas = {replicas}\n"
        self.furnish(folder, crm, text, nodes.url, has_spool=has_spool)

    def begin(self) -> None:
        for node in self.nodes.primaries():
            node.do("FLUSHALL")

    def end(self) -> None:
        """Leave the cluster as it is."""

    def redis(self) -> Any:
        return RedisCluster(host="127.0.0.1", port=self.nodes.primaries()[0].port, decode_responses=True)
