"""What is wrong now and needs a person, each with what to do about it.

Invariant: asks and tells; mends nothing. `CODES` is everything that it can tell.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from redis.exceptions import ResponseError

from service.config.config import Config
from service.delivery.heartbeat import ALIVE_FOR_MS, Beat, read_beats
from service.delivery.unusual import LONGEST_SILENCE_MS, WEEK_MS, WEEKS, unusual
from service.intake.spool import Spool
from service.lib.text import many
from service.lib.times import length
from service.store.accounts import Accounts, Trouble, WorkerSeen
from service.store.alarms import Failing, Flight, read_failing, read_flights
from service.store.breaker import Pause
from service.store.leads import Store
from service.store.overview import gate_at
from service.store.records import Due
from service.store.server.health import RISK_TAKEN, Finding
from service.store.server.server import Server
from service.store.tallies import read_counts

OVERDUE_AFTER_MS: Final = 120_000
SPOOL_WAITS_AFTER_MS: Final = 60_000
LEARNED_FROM_MS: Final = WEEKS * WEEK_MS + LONGEST_SILENCE_MS
UNTOLD_AFTER: Final = 3
FULL_OF_MEMORY: Final = 0.9
FREE_OF_DISK: Final = 0.05
_OF_LEVEL: Final = {
    "away": "NO_WRITE", "unsafe": "NOT_DURABLE", "full": "REDIS_FULL", "clock": "CLOCK_OFF",
}  # fmt: skip
TAKEN_ON_PURPOSE: Final = "RISK_TAKEN"
"""Told, but nobody need come."""
CODES: Final = (
    "NO_WORKER", "PAUSED", "REFUSED_ALONE", "DEAD", "OVERDUE", "SPOOL_WAITS", "SET_ASIDE", "MEMORY_NEARLY_FULL",
    "DISK_NEARLY_FULL", "UNTOLD", "CANARY", "SILENT", "REFUSALS_JUMP",
    *_OF_LEVEL.values(), TAKEN_ON_PURPOSE,
)  # fmt: skip


async def read_troubles(
    server: Server, config: Config, accounts: Accounts, spool: Spool | None
) -> tuple[list[WorkerSeen], list[Trouble]]:
    """Return the workers that are alive, and what is wrong."""
    beats, now = await read_beats(server), server.now()
    alive = [WorkerSeen(said.host, said.version, max(0, now - said.at) / 1000) for said in beats]
    alive = [worker for worker in alive if worker.seen_s * 1000 <= ALIVE_FOR_MS]
    findings = await server.inspect(replicas=config.service.replicas)
    # Where nothing is written no worker can say that it is alive.
    is_missed = not alive and not any(finding.level == "away" for finding in findings)
    found = [_no_worker(beats, now)] if is_missed else []
    found += _of_findings(findings, takes_risk=not config.service.durable)
    for node, client in (await server.nodes()).items():
        found += _of_memory(await client.info("memory"), node)
    for name, forms in config.forms_by_destination.items():
        dead = sum(accounts.forms[form.name].destinations[name].dead for form in forms)
        found += await _of_gate(server, name, [form.name for form in forms], dead)
    found += await _of_forms(server, config)
    found += _of_canaries(config, await read_flights(server), server.now())
    found += _of_channels(await read_failing(server), server.now())
    return alive, [*found, *_of_disks(await _folders(server, spool)), *(_of_spool(spool) if spool else ())]


async def _of_forms(server: Server, config: Config) -> list[Trouble]:
    """Return what is unusual at each form, read one after the other: a worker has deliveries to see to between them."""
    now, found = server.now(), list[Trouble]()
    for name in config.forms:
        counts = await read_counts(server, [name], now - LEARNED_FROM_MS, now)
        found += unusual(name, counts, now, config.zone)
    return found


def _of_canaries(config: Config, flights: Mapping[str, Flight], now: int) -> Iterator[Trouble]:
    for name, form in config.forms.items():
        flight = flights.get(name)
        if form.canary and flight and flight.problem:
            yield Trouble(
                "CANARY",
                f"The canary of {name} has not arrived for {length(now - flight.begun)}: {flight.problem}.",
                "Send the form from its page. If that does not arrive either, mend what is named; the canary is sent "
                "again by itself.",
                name,
            )


def _no_worker(beats: Sequence[Beat], now: int) -> Trouble:
    last = f" The last was seen {length(now - beats[0].at)} ago, on {beats[0].host}." if beats else ""
    return Trouble(
        "NO_WORKER", f"No worker is alive: nothing is delivered.{last}", "Start `leads work`, or `leads up`."
    )


def _of_findings(findings: Sequence[Finding], *, takes_risk: bool) -> Iterator[Trouble]:
    for finding in findings:
        code = _OF_LEVEL.get(finding.level)
        what, _, do = finding.sentence.partition(". ")
        if code == "NOT_DURABLE" and takes_risk:
            yield Trouble(TAKEN_ON_PURPOSE, f"{what}. {RISK_TAKEN}", do)
        elif code:
            yield Trouble(code, f"{what.rstrip('.')}.", do)


def _of_memory(info: Mapping[str, Any], node: str = "") -> Iterator[Trouble]:
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    what, do = "its `maxmemory`", "Raise `maxmemory`"
    if not limit:
        limit, what, do = int(info.get("total_system_memory", 0)), "the machine's memory", "Give it more memory"
    if limit and FULL_OF_MEMORY <= used / limit < 1:
        yield Trouble(
            "MEMORY_NEARLY_FULL",
            f"{f'The node at {node}' if node else 'Redis'} uses {_percent(used / limit)} of {what}; "
            "when it is full, nobody can be thanked by it.",
            f"{do}, or let what is settled go by itself: `[service] retention`.",
            node,
        )


async def _of_gate(server: Server, name: str, forms: Sequence[str], dead: int) -> list[Trouble]:
    """Return what is wrong at one destination, which these forms deliver to."""
    gate, now = gate_at(server, name), server.now()
    pause, not_before = await gate.pause(), await gate.not_before()
    due = await Store(server).due(forms, name)
    alone = None if pause else await gate.alone()
    found = [_refused_alone(name, *alone, now)] if alone else []
    return [*found, *_of_destination(name, dead, pause, {} if not_before > now else due, now)]


def _refused_alone(name: str, since: int, reason: str, now: int) -> Trouble:
    return Trouble(
        "REFUSED_ALONE",
        f"{name} refuses the only lead that was sent lately, for {length(now - since)}: {reason}.",
        f"Nothing else was sent that would show whether it is the lead or the setup: `leads test {name}` does.",
        name,
    )


def _of_destination(name: str, dead: int, pause: Pause | None, due: Mapping[str, Due], now: int) -> Iterator[Trouble]:
    if pause:
        yield Trouble(
            "PAUSED",
            f"{name} is paused for {length(now - pause.since)} ({pause.kind}): {pause.reason}. "
            + (f"The next probe is in {length(pause.probe_at - now)}." if pause.probe_at > now else "A probe is due."),
            f"Mend what it names, then `leads test {name}`, which opens it if it is taken; or `leads resume {name}`.",
            name,
        )
    if dead:
        yield Trouble(
            "DEAD",
            f"{many(dead, 'is', 'are')} dead at {name}: refused, or no try was left.",
            f"`leads dead` says why; `leads replay --destination {name}` sends them again.",
            name,
        )
    late = max((now - waiting.at for waiting in due.values()), default=0)
    if late > OVERDUE_AFTER_MS and not pause:
        yield Trouble(
            "OVERDUE",
            f"{many(sum(waiting.number for waiting in due.values()), 'is', 'are')} due at {name}; the next try was "
            f"due {length(late)} ago.",
            "If a worker is alive, its log says what it meets; `rate` and `concurrency` may be too low.",
            name,
        )


def _of_channels(failing: Sequence[tuple[str, Failing]], now: int) -> Iterator[Trouble]:
    """Yield which of the channels that are to be told something could not be, several times."""
    for channel, failure in {pair[0]: pair[1] for pair in failing if pair[1].tries >= UNTOLD_AFTER}.items():
        yield Trouble(
            "UNTOLD",
            f"{channel} could not be told, {failure.tries} times: {failure.reason}. "
            f"The next try is {f'in {length(failure.due - now)}' if failure.due > now else 'due'}.",
            f"Mend what it names under `[notify]` in leads.toml; `leads test {channel}` tries it out.",
            channel,
        )


def _of_spool(spool: Spool) -> Iterator[Trouble]:
    begun, now = spool.oldest(), spool.clock()
    if begun is not None and now - begun > SPOOL_WAITS_AFTER_MS:
        yield Trouble(
            "SPOOL_WAITS",
            f"{many(spool.count(), 'submission lies', 'submissions lie')} in the spool, the oldest for "
            f"{length(now - begun)}.",
            "A web process on this machine takes them out; if one runs, its log says why not (`the spool waits`).",
        )
    if aside := spool.aside():
        yield Trouble(
            "SET_ASIDE",
            f"Lines of the spool could not be taken: {', '.join(aside)}.",
            "Look through those files: the form of a line is configured no longer, or the line is broken.",
        )


async def _folders(server: Server, spool: Spool | None) -> list[Path]:
    """Return what is written to on this machine: the spool, and the folder of a Redis that runs here."""
    folders = [spool.folder] if spool else []
    if "path" in server.client.connection_pool.connection_kwargs:  # a UNIX socket
        with contextlib.suppress(ResponseError):
            folders += [Path(str(folder)) for folder in (await server.client.config_get("dir")).values()]
    return [folder for folder in folders if folder.is_dir()]


def _of_disks(folders: Sequence[Path]) -> Iterator[Trouble]:
    for folder in folders:
        disk = shutil.disk_usage(folder)
        if disk.free < FREE_OF_DISK * disk.total:
            yield Trouble(
                "DISK_NEARLY_FULL",
                f"The disk of {folder} has {_percent(disk.free / disk.total)} left ({disk.free / 2**30:.1f} GB).",
                "Free space; what is on it is written before a visitor is thanked.",
                str(folder),
            )


def _percent(share: float) -> str:
    return f"{share:.0%}"
