"""A Redis Cluster as one client: each command goes to the node that keeps its key.

Invariant: a key that is on its way to another node is waited for there where it was (ASK is not followed). A script is
given one key of a form and finds the others beside it; half of them here and half there, it would take the missing ones
for empty. The key that it is given is none that exists, so while a slot moves its node runs no script at all.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline, PubSub
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ClusterDownError, ExecAbortError, MovedError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Address = tuple[str, int]
T = TypeVar("T")

MOST_FOLLOWED: Final = 3
"""So often something is sent to another node, before a cluster whose nodes disagree is taken to be away."""

_ANOTHER_MAY_HAVE_IT: Final = (
    ClusterDownError, ExecAbortError, OSError, ReadOnlyError, RedisConnectionError, RedisTimeoutError,
)  # fmt: skip


async def _execute(node: Redis, *words: Any, **options: Any) -> Any:  # noqa: ANN401 -- each command has its own result
    return await node.execute_command(*words, **options)  # type: ignore[no-untyped-call]  # the library does not type it


class Cluster(Redis):
    """A client of all the primaries of a cluster, first known by `seeds`; each node has a client of its own."""

    def __init__(self, seeds: Sequence[Address], open_node: Callable[[Address], Redis]) -> None:
        self._open_node, self._seeds = open_node, seeds
        self._nodes: dict[Address, Redis] = {}
        self._slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._begin: Callable[[Redis], None] = lambda _: None
        self._searches, self._searching = 0, asyncio.Lock()
        self._turns = itertools.count()
        super().__init__(connection_pool=self._node_at(seeds[0]).connection_pool)

    def begin_each(self, begin: Callable[[Redis], None]) -> None:
        """Call `begin` with the client of each node, those that come later too."""
        self._begin = begin
        for node in self._nodes.values():
            begin(node)

    def _node_at(self, address: Address) -> Redis:
        if address not in self._nodes:
            self._nodes[address] = self._open_node(address)
            self._begin(self._nodes[address])
        return self._nodes[address]

    async def nodes(self) -> dict[Address, Redis]:
        """Return the primaries."""
        if not self._searches:
            await self._search()
        return {address: self._node_at(address) for address in dict.fromkeys(self._slots) if address}

    async def node_of(self, key: str) -> Redis:
        """Return the node that keeps a key. Raises ClusterDownError if none is known to."""
        slot = key_slot(key.encode())
        address = self._slots[slot]
        if address is None:
            await self._search()
            address = self._slots[slot]
        if address is None:
            raise ClusterDownError("CLUSTERDOWN no node keeps that slot")
        return self._node_at(address)

    async def at_node_of(self, key: str, work: Callable[[Redis], Awaitable[T]]) -> T:
        """Do something at the node that keeps a key; at another one if it turns out that this one keeps it."""
        followed = 0
        while True:
            node = await self.node_of(key)
            try:
                return await work(node)
            except (RedisError, OSError) as error:
                followed += 1
                if followed > MOST_FOLLOWED or not await self.learn(error, key, node):
                    raise

    async def learn(self, error: BaseException, key: str, asked: Redis) -> bool:
        """Take what a node failed with as news of where a key is; tell whether another one is to be asked."""
        if isinstance(error, MovedError):
            self._slots[key_slot(key.encode())] = (error.host, error.port)
        elif isinstance(error, _ANOTHER_MAY_HAVE_IT):
            await self._search()
        return await self.node_of(key) is not asked

    async def _search(self) -> None:
        """Ask every node that was ever known where the slots are, and believe the first that is in touch with others.

        Raises what the last one failed with if none is.
        """
        searches = self._searches
        async with self._searching:
            if self._searches != searches:  # somebody else has just done it
                return
            asked = {asyncio.create_task(self._ask(address)) for address in {*self._seeds, *self._nodes}}
            try:
                await self._believe_one_of(asked)
            finally:
                self._searches += 1
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)

    async def _believe_one_of(self, asked: set["asyncio.Task[list[Address | None]]"]) -> None:
        failure: BaseException | None = None
        for answer in asyncio.as_completed(asked):
            try:
                self._slots = await answer
            except (RedisError, OSError) as error:
                failure = error
            else:
                return
        if failure:
            raise failure

    async def _ask(self, address: Address) -> list[Address | None]:
        node = self._node_at(address)
        state: dict[str, str] = await _execute(node, "CLUSTER INFO")
        if state["cluster_state"] != "ok":
            raise ClusterDownError("CLUSTERDOWN a node is out of touch with the others")
        slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in await _execute(node, "CLUSTER SLOTS"):
            slots[first : last + 1] = [(str(host or address[0]), int(port))] * (last + 1 - first)
        return slots

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- as the library has it
        """Run a command on the node of its key; one without a key on any node that answers."""
        command, *keys = args
        if not keys:
            return await self._ask_any(*args, **options)
        if command in {"DEL", "UNLINK"} and len(keys) > 1:  # they may be on several nodes
            return sum([await self.execute_command(command, key) for key in keys])
        return await self.at_node_of(_key_of(args), lambda node: _execute(node, *args, **options))

    async def _ask_any(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- as the library has it
        *others, last = (await self.nodes()).values()
        for node in others:
            try:
                return await _execute(node, *args, **options)
            except (RedisConnectionError, RedisTimeoutError, OSError):
                continue
        return await _execute(last, *args, **options)

    def pipeline(self, transaction: bool = True) -> "ClusterPipeline":  # type: ignore[override]  # nobody here gives it more
        """Return a pipeline whose commands may be for several nodes."""
        return ClusterPipeline(self, is_transaction=transaction)

    def pubsub(self) -> PubSub:  # type: ignore[override]  # the same
        """Listen at one of the nodes: each hears what is published at any. Another one at the next call."""
        nodes = [*self._nodes.values()]
        return nodes[next(self._turns) % len(nodes)].pubsub()

    async def scan_iter(self, match: str, count: int) -> AsyncIterator[str]:  # type: ignore[override]  # the same
        """Walk the keys of every node."""
        for node in (await self.nodes()).values():
            async for key in node.scan_iter(match, count):
                yield str(key)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to every node."""
        for node in self._nodes.values():
            await node.aclose(close_connection_pool)


class ClusterPipeline(Pipeline):
    """Commands for several nodes: those of a slot go together, and the answers come in the order of the commands."""

    def __init__(self, cluster: Cluster, *, is_transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, is_transaction, None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send everything. With `transaction`, all keys must be of one slot, as a transaction's are on any cluster."""
        commands, self.command_stack = [*self.command_stack], []
        of_slot: dict[int, list[int]] = {}
        for index, (words, _) in enumerate(commands):
            of_slot.setdefault(key_slot(_key_of(words).encode()), []).append(index)
        answers: list[Any] = [None] * len(commands)
        for indices in of_slot.values():
            part = partial(_send, [commands[index] for index in indices], self.is_transaction, raise_on_error)
            told = await self._cluster.at_node_of(_key_of(commands[indices[0]][0]), part)
            for index, answer in zip(indices, told, strict=True):
                answers[index] = answer
        return answers


async def _send(commands: Sequence[Any], is_transaction: bool, raise_on_error: bool, node: Redis) -> list[Any]:
    pipe = node.pipeline(transaction=is_transaction)
    for words, options in commands:
        pipe.execute_command(*words, **options)
    return list(await pipe.execute(raise_on_error))


def _key_of(words: Sequence[Any]) -> str:
    return str(words[3] if words[0] in {"EVAL", "EVALSHA"} else words[1])
