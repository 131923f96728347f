"""Script calls that come together go together: one pipeline, one round trip, one fsync of the server for all of them.

Invariant: every call gets the answer to itself, or the failure that met it; a caller who stops waiting changes nothing
for the others. At most `LANES` pipelines are under way at once, each on a connection of its own; what comes meanwhile
makes up the next one. So a call alone waits for nobody, and under load the number that share a pipeline grows.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hiredis import pack_command
from redis.exceptions import AskError, NoScriptError, ResponseError

from service.store.server.health import NotReplicatedError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

LANES: Final = 2
"""One whose connection is dead, or whose script is slow to answer, leaves the others free."""
LONGEST: Final = 128
"""So many calls share a pipeline at most: the first answer waits for the last to be run."""
FSYNC_ON_REPLICAS_MS: Final = (2, 8, 30, 80, 180)
"""How long the replicas' fsync is waited for, 300 ms in all. A replica answers the question with what it had fsynced
before the write that came with it, and then says nothing for a second: so the question is put again, in growing slices.
"""
SYNCED: Final = "synced"
"""Behind a script's key, the key that is written after it while replicas are waited for."""

Argument = str | bytes | float


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script, known by its text and that text's SHA-1, on the keys under `key`."""

    text: str
    sha: str
    key: str
    args: tuple[Argument, ...]
    answer: asyncio.Future[Any]


class Batches:
    """Runs scripts on one server. With `replicas`, an answer also means that so many have on disk what was written."""

    def __init__(self, client: "Callable[[], Redis]", *, replicas: int = 0) -> None:
        self._client = client
        self._replicas = replicas
        self._waiting: deque[Call] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._is_called = False

    async def run(self, text: str, sha: str, key: str, args: tuple[Argument, ...]) -> Any:  # noqa: ANN401 -- each script has its own result
        """Run a script and return its result; it is loaded if the server does not know it (after a restart).

        With replicas, raises NotReplicatedError if they take longer than 300 ms: the write stands here, and may be
        lost with here.
        """
        loop = asyncio.get_running_loop()
        call = Call(text, sha, key, args, loop.create_future())
        self._waiting.append(call)
        if not self._is_called and len(self._lanes) < LANES:
            self._is_called = True
            loop.call_soon(self._send)  # What else comes in this turn of the loop goes along.
        return await call.answer

    async def close(self) -> None:
        """Wait for what is under way, and for what was called just now, which would open a connection afterwards."""
        while self._lanes or self._is_called:
            await (asyncio.wait(self._lanes) if self._lanes else asyncio.sleep(0))

    def _send(self, lane: asyncio.Task[None] | None = None) -> None:
        """Send what waits as one more pipeline; also called when `lane` has come to its end."""
        self._is_called = False
        if lane:
            self._lanes.discard(lane)
        calls: list[Call] = []
        while self._waiting and len(calls) < LONGEST:
            call = self._waiting.popleft()
            if not call.answer.done():  # nobody waits for it any more
                calls.append(call)
        if calls:
            lane = asyncio.get_running_loop().create_task(self._carry(calls))
            self._lanes.add(lane)
            lane.add_done_callback(self._send)

    async def _carry(self, calls: Sequence[Call]) -> None:
        try:
            answers = await self._ask([("EVALSHA", call.sha, 1, call.key, *call.args) for call in calls], calls)
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = [calls[index] for index in unknown]
                loaded = await self._ask([("EVAL", call.text, 1, call.key, *call.args) for call in again], again)
                for index, answer in zip(unknown, loaded, strict=True):
                    answers[index] = answer
        except BaseException as error:  # noqa: BLE001 -- whatever broke the pipeline, everybody in it must hear of it
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, BaseException):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    async def _ask(self, commands: Sequence[tuple[Argument, ...]], calls: Sequence[Call]) -> list[Any]:
        if not self._replicas:
            return await self._exchange(commands)
        # WAITAOF speaks of what its own connection wrote, so it goes down the same one. A script that was run before
        # writes nothing; WAITAOF would then be content with replicas that lack its work.
        behind = [("WAITAOF", 0, self._replicas, slice_ms) for slice_ms in FSYNC_ON_REPLICAS_MS]
        noted = [("SET", f"{key}{SYNCED}", 1) for key in dict.fromkeys(call.key for call in calls)]
        results = await self._exchange([*commands, *noted, *behind])
        # What a cluster keeps elsewhere is refused to the script too, and fails nobody else's.
        asked = [answer for answer in results[len(commands) :] if not isinstance(answer, AskError)]
        return _synced(results[: len(commands)], asked, self._replicas)

    async def _exchange(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Send commands in one piece; returns each one's answer or ResponseError.

        As in redis-py's own pipeline, which spells commands in Python, what a connection does not answer is sent once
        more on a fresh one.
        """
        pool = self._client().connection_pool
        packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]  # a number is a float too
        connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]  # the library does not type it
        try:
            answers: list[Any] = await connection.retry.call_with_retry(
                lambda: _answers(connection, packed, len(commands)), lambda _: connection.disconnect()
            )
            return answers
        finally:
            await pool.release(connection)


async def _answers(connection: "AbstractConnection", packed: bytes, number: int) -> list[Any]:
    await connection.send_packed_command(packed)
    answers: list[Any] = []
    for _ in range(number):
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def _synced(answers: list[Any], behind: Sequence[Any], replicas: int) -> list[Any]:
    """Return the answers, each that is none where what was asked behind them failed or came to too few replicas."""
    failure = next((call for call in behind if isinstance(call, Exception)), None)
    if failure is None and int(behind[-1][1]) < replicas:
        failure = NotReplicatedError()
    return answers if failure is None else [answer if isinstance(answer, Exception) else failure for answer in answers]
