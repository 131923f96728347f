"""The Redis server: how it is reached, what it must be like, what time it has, and how scripts run on it.

Invariant: knows Redis and nothing about leads. Whatever is wrong with a server is said in a sentence that tells
what to change.
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.lib.errors import CannotStart
from service.store.server.batch import Argument, Batches
from service.store.server.connection import ANSWER_WITHIN_S, connect_beside, greet
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
    lack_of_replicas,
    sentence_of,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import Connection

SCHEMA_KEY = "leads:schema"
MEASURE_CLOCK_EVERY_S = 60.0
LOOK_EVERY_S = 2.0
PROOF = "leads:proof:"
_NOTHING = "#!lua flags=no-writes\nreturn redis.call('EXISTS', KEYS[1])"
_DURABILITY = ("appendonly", "appendfsync", "maxmemory-policy", "no-appendfsync-on-rewrite")
CLOCK_STEPS_MS = 2
"""Error bound of comparing two clocks that tick in ms."""


@cache
def script(name: str) -> tuple[str, str]:
    """Return the text of `lua/*/NAME.lua` with its `--@include` lines filled in, and its SHA-1, which is its name."""
    folder = files("service.store") / "lua"
    places = (folder / scripts / f"{name}.lua" for scripts in ("lead", "gate", "copy"))
    text = next(path for path in places if path.is_file()).read_text("utf-8")
    text = re.sub(
        r"^--@include (\w+)\n",
        lambda found: (folder / "shared" / f"{found[1]}.lua").read_text("utf-8"),
        text,
        flags=re.MULTILINE,
    )
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Server:
    """One Redis or Valkey server, with its clock."""

    def __init__(self, client: "Redis", *, clock: Callable[[], int]) -> None:
        """Use `client`; `clock` gives this process's time in ms."""
        self.client = client
        self.clock = clock
        self.offset = 0
        """So many ms is the server's clock ahead of ours, as far as the last measurement tells."""
        self._batches: dict[int, Batches] = {}
        self.risk: str | None = None
        """What may lose a lead that the server has confirmed, in sentences, by the last look; None: before any."""
        client.connection_pool.connection_kwargs["redis_connect_func"] = self._greet

    def now(self) -> int:
        """Return the server's time in ms, as far as the last measurement tells."""
        return self.clock() + self.offset

    async def _greet(self, connection: "Connection") -> None:
        """Look at the server on each new connection: it may be another one, or the same with other settings."""
        await greet(connection)
        with contextlib.suppress(ResponseError):
            await connection.send_command("INFO", "default")
            info = await self.client.parse_response(connection, "INFO")
            self._note(info, await _settings(self.client, connection))

    async def look(self) -> None:
        """Look whether the server keeps what it confirms; one that does not tell is taken as it was."""
        try:
            self._note(await self.client.info("default"), await _settings(self.client))
        except ResponseError:
            self.risk = self.risk or ""

    def _note(self, info: dict[str, Any], settings: dict[str, str] | None) -> None:
        unsafe = [finding.sentence for finding in durability_of(info, settings) if finding.level == "unsafe"]
        self.risk = " ".join(unsafe)

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
        if replicas not in self._batches:
            self._batches[replicas] = Batches(lambda: self.client, replicas=replicas)
        return await self._batches[replicas].run(*script(name), key, args)

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
                await self.run("prove", PROOF, replicas=replicas)
        except (TimeoutError, RedisTimeoutError):
            return NO_WRITE  # It has just answered what was read.
        except FAILURES as error:
            return sentence_of(error)
        return None

    async def _survey(self, replicas: int) -> tuple[Finding, ...]:
        try:
            async with asyncio.timeout(2 * ANSWER_WITHIN_S):
                info: dict[str, Any] = await self.client.info("everything")
                schema = await self.client.get(SCHEMA_KEY)
                await self.client.eval(_NOTHING, 1, SCHEMA_KEY)  # All is done by scripts: may our user run one?
                settings = await _settings(self.client)
        except FAILURES as error:
            return (finding_of(error),)
        self._note(info, settings)
        found = findings_of(info, settings, None if schema is None else str(schema))
        found += [differing] if (differing := difference_of_clocks(self.offset)) else []
        if replicas:
            found += await self._inspect_replicas(info, replicas)
        return tuple(found)

    async def _inspect_replicas(self, info: dict[str, Any], wanted: int) -> list[Finding]:
        named = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name) and isinstance(value, dict)]
        found = [lacking] if (lacking := lack_of_replicas(len(named), wanted)) else []
        for server in named:
            address = f"{server['ip']}:{server['port']}"
            client = connect_beside(self.client, str(server["ip"]), int(server["port"]))
            try:
                findings = durability_of(await client.info("everything"), await _settings(client))
            except FAILURES:
                found.append(Finding("unknown", f"The replica at {address} cannot be asked whether it is durable."))
            else:
                found += [Finding(bad.level, f"The replica at {address}: {bad.sentence}") for bad in findings]
            finally:
                await client.aclose()
        return found

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
        await self.client.aclose(close_connection_pool=True)


async def _settings(client: "Redis", connection: "Connection | None" = None) -> dict[str, str] | None:
    """Return the settings that durability depends on, None where CONFIG is forbidden, as at managed servers.

    They are asked for on this connection, else on any.
    """
    try:
        if connection is None:
            settings = await client.config_get(*_DURABILITY)
        else:
            await connection.send_command("CONFIG GET", *_DURABILITY)
            settings = await client.parse_response(connection, "CONFIG GET")
    except ResponseError:
        return None
    return {str(name): str(value) for name, value in settings.items()}
