"""What is wrong and whom that was told: kept so that it is told once, whoever tells it, and its end too.

`leads:alarms`   hash: code and what it is about ► `Alarm`, JSON; gone when all who heard of it know that it is over
`leads:digests`  hash: channel ► `Digested`, JSON
`leads:canaries` hash: form ► `Flight`, JSON, of its latest canary
`leads:arrived`  hash: form ► id of the latest canary that came in by its address
`leads:teller`   the worker that tells, for a minute and a half beyond its last round
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from service.store.server.server import Server

ALARMS: Final = "leads:alarms"
DIGESTS: Final = "leads:digests"
CANARIES: Final = "leads:canaries"
ARRIVED: Final = "leads:arrived"
CANARY_HEADER: Final = "leads-canary"
"""Holds the id of a canary: whatever comes with it is no submission."""
TELLER: Final = "leads:teller"
TELLS_FOR_MS: Final = 90_000
Part = Literal["begun", "ended"]


class Failing(msgspec.Struct, frozen=True):
    """How often a channel did not take what it is owed, why at last, and when it is tried again (ms)."""

    tries: int
    reason: str
    due: int


class Alarm(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong, as `leads status` words it. Times are ms; `ended` 0: it goes on.

    `told` says what each channel knows last, `failing` which of them could not be told.
    """

    code: str
    about: str
    message: str
    do: str
    since: int
    seen: int
    ended: int = 0
    told: dict[str, Part] = {}
    failing: dict[str, Failing] = {}

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.code}:{self.about}"


class Flight(msgspec.Struct, frozen=True, omit_defaults=True):
    """One canary of a form: an id that nobody can guess, when it began and when something is to be done next (ms).

    `delivered` are the destinations that have it; `problem` is what stands in its way, after so many `tries`.
    """

    id: str
    begun: int
    due: int
    delivered: tuple[str, ...] = ()
    problem: str = ""
    tries: int = 0
    is_over: bool = False


class Digested(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of which period a channel was told last, and of which it could not be: None while none is owed."""

    period: str = ""
    failing: Failing | None = None


async def read_digested(server: Server, channel: str) -> Digested:
    """Return how far a channel was told."""
    kept = await server.client.hget(DIGESTS, channel)
    return msgspec.json.decode(kept, type=Digested) if kept else Digested()


async def read_failing(server: Server) -> list[tuple[str, Failing]]:
    """Return the channels that could not be told what they are owed."""
    alarms = (await read_alarms(server)).values()
    digests = (await server.client.hgetall(DIGESTS)).items()
    found = [(str(channel), msgspec.json.decode(said, type=Digested).failing) for channel, said in digests]
    found += [pair for alarm in alarms for pair in alarm.failing.items()]
    return [(channel, failing) for channel, failing in found if failing]


async def keep_digested(server: Server, channel: str, digested: Digested) -> None:
    """Write how far a channel was told."""
    await server.run("beat", DIGESTS, channel, msgspec.json.encode(digested))


async def read_alarms(server: Server) -> dict[str, Alarm]:
    """Return every alarm by its key."""
    kept = await server.client.hgetall(ALARMS)
    return {str(key): msgspec.json.decode(said, type=Alarm) for key, said in kept.items()}


async def keep_alarms(server: Server, before: Mapping[str, Alarm], alarms: Mapping[str, Alarm]) -> None:
    """Write what differs; also on a full server, which is one of the things to tell."""
    for key, alarm in alarms.items():
        if before.get(key) != alarm:
            await server.run("beat", ALARMS, key, msgspec.json.encode(alarm))
    if gone := [key for key in before if key not in alarms]:
        await server.client.hdel(ALARMS, *gone)


async def read_flights(server: Server) -> dict[str, Flight]:
    """Return the latest canary of each form that ever sent one."""
    kept = await server.client.hgetall(CANARIES)
    return {str(form): msgspec.json.decode(said, type=Flight) for form, said in kept.items()}


async def keep_flight(server: Server, form: str, flight: Flight) -> None:
    """Write how the canary of a form stands."""
    await server.run("beat", CANARIES, form, msgspec.json.encode(flight))


async def is_flying(server: Server, form: str, canary: str) -> bool:
    """Return whether a canary of this id is on its way to a form."""
    kept = await server.client.hget(CANARIES, form)
    return kept is not None and msgspec.json.decode(kept, type=Flight).id == canary


async def note_arrival(server: Server, form: str, canary: str) -> None:
    """Write that a canary came in; refused by a full server, as a lead is."""
    await server.client.hset(ARRIVED, form, canary)


async def has_arrived(server: Server, form: str, canary: str) -> bool:
    """Return whether a canary came in."""
    return bool(await server.client.hget(ARRIVED, form) == canary)


async def tells(server: Server, worker: str) -> bool:
    """Return whether this worker is the one that tells, for its next round."""
    if await server.client.set(TELLER, worker, nx=True, px=TELLS_FOR_MS):
        return True
    if await server.client.get(TELLER) != worker:
        return False
    return bool(await server.client.pexpire(TELLER, TELLS_FOR_MS))
