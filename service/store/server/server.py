"""The Redis server: how it is reached, what it must be like, what time it has, and how scripts run on it.

Invariant: knows Redis and nothing about leads. Whatever is wrong with a server is said in a sentence that tells
what to change.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.store.server.batch import Argument, Batches
from service.store.server.cluster import Cluster
from service.store.server.connection import ANSWER_WITHIN_S, connect, greet
from service.store.server.durability import findings_of_replicas, settings_of
from service.store.server.forwarding import (
    CONNECTION,
    MOVER_CONNECTION,
    UNDER_WAY,
    MovedError,
    find_note,
    give_name,
    sealer_of,
    url_in,
)
from service.store.server.health import (
    FAILURES,
    NO_WRITE,
    SCHEMA,
    Failure,
    Finding,
    difference_of_clocks,
    durability_of,
    finding_of,
    findings_of,
    of_node,
    sentence_of,
)
from service.store.server.scripts import script

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import Connection

SCHEMA_KEY = "leads:schema"
MEASURE_CLOCK_EVERY_S = 60.0
LOOK_EVERY_S = 2.0
PROOF = "leads:proof:"
_NOTHING = "#!lua flags=no-writes\nreturn redis.call('EXISTS', KEYS[1])"
MOST_MOVES = 8
"""So many notes are followed, one server to the next, before somebody is taken to run in a circle."""
CLOCK_STEPS_MS = 2
"""Error bound of comparing two clocks that tick in ms."""


class Server:
    """One Redis or Valkey server, with its clock."""

    def __init__(
        self, client: "Redis", *, clock: Callable[[], int], secrets: Sequence[Secret] = (), follows: bool = True
    ) -> None:
        """Use `client`; `clock` gives this process's time in ms.

        Where the leads have moved, the client becomes one of the server where they are; its address is sealed with one
        of the `secrets`. `follows` False: for whoever moves them.
        """
        self.clock = clock
        self._sealer = sealer_of(secrets) if follows else None
        self._former: list[Redis] = []
        self._use(client)
        self.offset = 0
        """So many ms is the server's clock ahead of ours, as far as the last measurement tells."""
        self._batches: dict[tuple[Redis, int], Batches] = {}

    def _use(self, client: "Redis") -> None:
        def begin(node: "Redis") -> None:
            async def greet_it(connection: "Connection") -> None:
                await self._greet(connection, client, node)

            node.connection_pool.connection_kwargs["redis_connect_func"] = greet_it

        if isinstance(client, Cluster):
            client.begin_each(begin)
        else:
            begin(client)
        self.client = client
        self._risks: dict[Redis, str] = {}

    async def nodes(self) -> "dict[str, Redis]":
        """Return the clients of all that keep data, by what findings call them: "" where there is one server."""
        if isinstance(self.client, Cluster):
            return {f"{host}:{port}": node for (host, port), node in (await self.client.nodes()).items()}
        return {"": self.client}

    @property
    def risk(self) -> str | None:
        """What may lose a lead that the server has confirmed, in sentences, by the last look; None: before any."""
        return " ".join(dict.fromkeys(filter(None, self._risks.values()))) if self._risks else None

    def now(self) -> int:
        """Return the server's time in ms, as far as the last measurement tells."""
        return self.clock() + self.offset

    async def _greet(self, connection: "Connection", client: "Redis", node: "Redis") -> None:
        """Look at the server on each new connection: it may be another one, or the same with other settings.

        Raises MovedError if the leads are not there: the next call goes to where they are.
        """
        await greet(connection)
        await give_name(connection, CONNECTION if self._sealer else MOVER_CONNECTION)
        if self._sealer and (note := await find_note(connection)):
            url = url_in(note, self._sealer)
            if self.client is client:
                self._former.append(client)
                self._use(connect(url))
            raise MovedError(UNDER_WAY)
        with contextlib.suppress(ResponseError):
            await connection.send_command("INFO", "default")
            info = await node.parse_response(connection, "INFO")
            if node is client or info["role"] != "slave":  # those that a cluster's seeds name may be replicas
                self._note(node, info, await settings_of(node, connection))

    async def look(self) -> None:
        """Look whether the server keeps what it confirms; one that does not tell is taken as it was."""
        for node in (await self.nodes()).values():
            try:
                self._note(node, await node.info("default"), await settings_of(node))
            except ResponseError:
                self._risks.setdefault(node, "")

    def _note(self, node: "Redis", info: dict[str, Any], settings: dict[str, str] | None) -> None:
        unsafe = [finding.sentence for finding in durability_of(info, settings) if finding.level == "unsafe"]
        self._risks[node] = " ".join(unsafe)

    async def keep_looking(self, changed: Callable[[str], None]) -> None:
        """Look now and every other second, until cancelled; `changed` hears of each other `risk`."""
        heard = ""
        while True:
            with contextlib.suppress(*FAILURES):
                await self.look()
            if self.risk is not None and self.risk != heard:
                heard = self.risk
                changed(heard)
            await asyncio.sleep(LOOK_EVERY_S)

    async def measure_clock(self) -> None:
        """Compare the server's clock with ours; half the way there and back is taken off.

        An answer that was long on its way, perhaps on one half of it alone, replaces only what it contradicts.
        """
        before = self.clock()
        seconds, micros = await self.client.time()
        after = self.clock()
        offset = round(seconds * 1000 + micros / 1000 - (before + after) / 2)
        if abs(offset - self.offset) > (after - before) / 2 + CLOCK_STEPS_MS:
            self.offset = offset

    async def keep_time(
        self, differs: Callable[[str], None], troubled: Callable[[Failure], None] = lambda _: None
    ) -> None:
        """Measure the clock now and once a minute, until cancelled; `troubled` hears when that fails.

        `differs` hears in a sentence, once, that the two clocks are far apart.
        """
        heard = False
        while True:
            try:
                await self.measure_clock()
            except FAILURES as error:
                troubled(error)
            differing = difference_of_clocks(self.offset)
            if differing and not heard:
                differs(differing.sentence)
            heard = differing is not None
            await asyncio.sleep(MEASURE_CLOCK_EVERY_S)

    async def run(self, name: str, key: str, *args: Argument, replicas: int = 0) -> Any:  # noqa: ANN401 -- each script has its own result
        """Run a script on the keys under `key`, and wait until so many replicas have what it wrote on their disks.

        Raises NotReplicatedError if that takes longer than 300 ms: the write stands here, and may be lost with here.
        """
        client = self.client
        try:
            return await self._run(name, key, args, replicas)
        except FAILURES:
            if self.client is client:
                raise
        await self.measure_clock()
        return await self._run(name, key, args, replicas)

    async def _run(self, name: str, key: str, args: tuple[Argument, ...], replicas: int) -> Any:  # noqa: ANN401 -- each script has its own result
        async def run_at(node: "Redis") -> object:
            if (node, replicas) not in self._batches:
                self._batches[node, replicas] = Batches(lambda: node, replicas=replicas)
            return await self._batches[node, replicas].run(*script(name), key, args)

        return await (self.client.at_node_of(key, run_at) if isinstance(self.client, Cluster) else run_at(self.client))

    async def inspect(self, *, replicas: int = 0) -> tuple[Finding, ...]:
        """Look at everything that decides whether a visitor can be thanked here; never raises for what it finds.

        What is set is read, and a write is proved. With `replicas`, also at each replica that the server names: it is
        to keep what the visitor is thanked for.
        """
        found = await self._survey(replicas)
        if any(finding.level in {"away", "unusable"} for finding in found):
            return found
        refusal = await self._prove_write(replicas)
        return (
            found
            if refusal is None or refusal in [finding.sentence for finding in found]
            else (*found, Finding("away", refusal))
        )

    async def _prove_write(self, replicas: int) -> str | None:
        """Write as accepting does; return what it is refused for, in a sentence."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                for key in await self._proofs():
                    await self.run("prove", key, replicas=replicas)
        except (TimeoutError, RedisTimeoutError):
            return NO_WRITE  # It has just answered what was read.
        except FAILURES as error:
            return sentence_of(error)
        return None

    async def _proofs(self) -> list[str]:
        """Return a key of each node."""
        if not isinstance(self.client, Cluster):
            return [PROOF]
        found: dict[Redis, str] = {}
        keys = (f"{PROOF}{{{number}}}:" for number in itertools.count())
        while len(found) < len(await self.client.nodes()):
            key = next(keys)
            found.setdefault(await self.client.node_of(key), key)
        return [*found.values()]

    async def _survey(self, replicas: int, *, moves: int = MOST_MOVES) -> tuple[Finding, ...]:
        client, name = self.client, ""
        told: list[tuple[str, Redis, dict[str, Any], dict[str, str] | None]] = []
        try:
            async with asyncio.timeout(2 * ANSWER_WITHIN_S):
                for name, node in (await self.nodes()).items():
                    told.append((name, node, await node.info("everything"), await settings_of(node)))
                name = ""
                schema = await client.get(SCHEMA_KEY)
                await client.eval(_NOTHING, 1, SCHEMA_KEY)  # All is done by scripts: may our user run one?
        except FAILURES as error:
            if self.client is not client and moves:
                return await self._survey(replicas, moves=moves - 1)
            return (of_node(name, finding_of(error)),)
        found: list[Finding] = []
        for name, node, info, settings in told:
            self._note(node, info, settings)
            seen = findings_of(info, settings, None if schema is None else str(schema), is_cluster=bool(name))
            seen += await findings_of_replicas(node, info, replicas) if replicas else []
            found += [of_node(name, finding) for finding in seen]
        return (*found, differing) if (differing := difference_of_clocks(self.offset)) else tuple(found)

    async def open(self, *, replicas: int = 0) -> tuple[Finding, ...]:
        """Inspect, note our schema and take the time. Raises CannotStart for a server we must not use."""
        findings = await self._survey(replicas)
        for finding in findings:
            if finding.level == "unusable":
                raise CannotStart(finding.sentence)
        if not any(finding.level == "away" for finding in findings):
            try:
                await self.measure_clock()
                if not await self.client.exists(SCHEMA_KEY):  # One that takes no write now can still be asked.
                    with contextlib.suppress(OutOfMemoryError):  # A full server must still deliver and free.
                        await self.client.set(SCHEMA_KEY, SCHEMA, nx=True)
            except FAILURES as error:
                return (*findings, Finding("away", sentence_of(error)))
        differing = difference_of_clocks(self.offset)
        return findings if differing is None or differing in findings else (*findings, differing)

    async def close(self) -> None:
        """Close every connection, once what is under way has been answered."""
        for batches in self._batches.values():
            await batches.close()
        for client in (*self._former, self.client):
            await client.aclose(close_connection_pool=True)
