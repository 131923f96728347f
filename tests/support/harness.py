"""An installation of real processes that can be killed, under a load, before a CRM; and the audit of what came of it.

    with Crm() as crm, Installation(folder, crm) as site, Load(site) as load:
        site.web.kill()
        site.web.start()
        load.stop()
        site.quiet()
        assert audit(site, load) == []

Nothing outlives a test: the parts end when the pipe they were given closes, the server and all else in `__exit__`.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from crm import Answer, Crm, Received
from forks import Forked, run
from processes import ENVIRON, ROOT, answers, free_port
from redis import Redis
from workshop import destination as destination_text
from workshop import form

from service.up.embedded import Embedded

FIRST_PAUSE_MS = 300
QUICK = f'timeout = "1s"\nretry = {json.dumps([f"{FIRST_PAUSE_MS}ms"] * 12 + ["2s"] * 30)}'
"""A lease of 6 s, the shortest; more tries than any of these outages can use up."""
PATIENCE_S = 60.0


def seed(default: int) -> int:
    """Return LEADS_FAULT_SEED, or the test's own; what is drawn from it is the same in every run."""
    return int(os.environ.get("LEADS_FAULT_SEED") or default)


def until(is_so: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until it is so; fail saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


class Part:
    """One process of an installation, on one port however often it is started."""

    def __init__(self, name: str, environ: Mapping[str, str], *words: str) -> None:
        self.name, self.port = name, free_port()
        self.said: deque[str] = deque(maxlen=400)
        self._words = (*words, "--port", str(self.port), "--until-stdin-closes")
        self._environ = environ
        self._process: Forked | None = None
        self._lifeline: int | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended, as `subprocess` counts; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, until it answers."""
        assert not self.is_running
        self._close()
        stdin, self._lifeline = os.pipe()
        heard, stderr = os.pipe()
        self._process = Forked(self._words, ROOT, self._environ, stdin=stdin, stderr=stderr)
        os.close(stdin)
        os.close(stderr)
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers; one that ended by itself (Redis stayed away) is started again."""

        def answers() -> bool:
            if not self.is_running:
                self.start(wait=False)
            return self.ask("/healthz") == 200

        until(answers, f"{self.name} answers; it said {list(self.said)[-5:]}")

    def ask(self, path: str) -> int:
        """Return the status of a GET; 0 without an answer."""
        return answers(self.port, path)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL, wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close()

    def _close(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _listen(self, heard: int) -> None:
        with open(heard, errors="replace") as stderr:
            self.said.extend(stderr)


class Installation:
    """A server, a web part and a worker with a folder to themselves. `way_in` names another address of the server."""

    def __init__(
        self,
        folder: Path,
        crm: Crm,
        *,
        has_spool: bool = True,
        settings: Mapping[str, str] | None = None,
        more: str = QUICK,
        way_in: Callable[[Path], str] | None = None,
    ) -> None:
        self.server = Embedded(folder / "redis", settings=settings)
        self.server.claim()
        url = way_in(self.socket) if way_in else self.server.url
        self.furnish(folder, crm, form() + destination_text(crm.url, more=more), url, has_spool=has_spool)

    def furnish(self, folder: Path, crm: Crm, config: str, url: str, *, has_spool: bool) -> None:
        """Write the configuration and make web and worker, which find their server at `url`."""
        self.folder, self.crm = folder, crm
        self.spool = folder / "spool" if has_spool else None
        (folder / "leads.toml").write_text(config)
        own = {name: value for name, value in os.environ.items() if not name.startswith("LEADS_")}
        self.environ = own | ENVIRON | {
            "LEADS_CONFIG": str(folder / "leads.toml"), "LEADS_REDIS_URL": url,
        } | ({"LEADS_SPOOL": str(self.spool)} if self.spool else {})  # fmt: skip
        self.web, self.worker = self.another_web(), self.another_worker()

    @property
    def socket(self) -> Path:
        return Path(self.server.url.removeprefix("unix://"))

    def another_web(self) -> Part:
        return Part("web", self.environ, "serve")

    def another_worker(self) -> Part:
        return Part("worker", self.environ, "work")

    def __enter__(self) -> Self:
        try:
            self.begin()
            self.web.start(wait=False)
            self.worker.start(wait=False)
            self.web.wait()
            self.worker.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.web.kill()
        self.worker.kill()
        self.end()

    def begin(self) -> None:
        """Start the server."""
        self.server.start()

    def end(self) -> None:
        """End the server."""
        self.server.stop()

    def kill_server(self) -> None:
        """End the server with SIGKILL; `server.start()` starts it on the same data."""
        if (pid := self.server.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            until(lambda: self.server.poll() is not None, "the server ends")

    @contextlib.contextmanager
    def server_away(self, seconds: float) -> Iterator[None]:
        """Kill the server, run the block, and start it again once it was away for `seconds` at least."""
        began = time.monotonic()
        self.kill_server()
        yield
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        self.server.start()

    def redis(self) -> "Redis":
        return Redis.from_url(self.server.url, decode_responses=True)

    def counts(self) -> dict[str, int]:
        """Return the form's counters as they stand in Redis."""
        with self.redis() as redis:
            found: Any = redis.hgetall("leads:{get-in-touch}:count")
        return {name: int(number) for name, number in found.items()}

    def spooled(self) -> list[str]:
        """Return the names of what lies in the spool."""
        return sorted(path.name for path in self.spool.iterdir()) if self.spool else []

    def quiet(self, seconds: float = PATIENCE_S) -> None:
        """Wait until the spool is drained and nothing waits."""
        until(lambda: not [name for name in self.spooled() if name.endswith(".jsonl")], "the spool is drained", seconds)
        until(lambda: self.counts().get("crm:waiting", 0) == 0, f"all is delivered of {self.counts()}", seconds)

    def status(self) -> Any:
        """Return what `leads status --json` says."""
        status, told, said = run(("status", "--json"), ROOT, self.environ, PATIENCE_S)
        assert status == 0, said.decode()
        return json.loads(told)


@dataclass(slots=True)
class Person:
    """Somebody who writes: how often they said something new, and the last word of theirs that was thanked for."""

    phone: str
    word: int = 0
    thanked: int = -1


@dataclass(slots=True)
class Sent:
    """What became of the load's submissions."""

    thanked: int = 0
    refused: int = 0
    unknown: int = 0
    longest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)


class Load:
    """Visitors who write steadily, from a few threads: most are new, some repeat themselves, some add a word."""

    def __init__(self, site: Installation, *, a_second: float = 40, threads: int = 4, seed: int = 1) -> None:
        self.sent, self.people = Sent(), list[Person]()
        self._site, self._pause = site, threads / a_second
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(f"{seed} {number}"),)) for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let everybody finish and write no more."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, thanked: int) -> None:
        """Wait until so many were thanked, from the beginning."""
        until(lambda: self.sent.thanked >= thanked, f"{thanked} submissions are thanked; {self.sent}")

    def _write(self, chance: random.Random) -> None:
        own: list[Person] = []
        while not self._ended.wait(self._pause * chance.uniform(0.5, 1.5)):
            person = self._somebody(own, chance)
            word = person.word
            if self._submit(person.phone, word):
                person.thanked = word

    def _somebody(self, own: list[Person], chance: random.Random) -> Person:
        known = [person for person in own[-20:] if person.thanked >= 0]
        kind = chance.random()
        if known and kind < 0.3:
            person = chance.choice(known)
            person.word += kind < 0.15
            return person
        with self._lock:
            person = Person(f"+9189{510_00000 + len(self.people):08d}")
            self.people.append(person)
        own.append(person)
        return person

    def _submit(self, phone: str, word: int) -> bool:
        fields = {"name": "Asha Rao", "phone": phone, "message": f"word {word}"}
        began = time.monotonic()
        status = post(self._site.web.port, fields)
        took = time.monotonic() - began
        with self._lock:
            self.sent.statuses[status] += 1
            self.sent.thanked += status == 200
            self.sent.refused += status > 200
            self.sent.unknown += status == 0
            self.sent.longest_s = max(self.sent.longest_s, took)
        return status == 200


def post(port: int, fields: Mapping[str, str], timeout: float = 15.0) -> int:
    """Submit a form and return the status, 0 if no whole answer came: then nobody knows whether it was taken."""
    return post_and_read(port, fields, timeout)[0]


def post_and_read(port: int, fields: Mapping[str, str], timeout: float = 15.0) -> tuple[int, Mapping[str, str], Any]:
    """Submit a form; return status, headers and the JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(
            "POST", "/f/get-in-touch", urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"}
        )
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}, None
    else:
        assert answer.status != 200 or told["receipt"]
        return answer.status, dict(answer.getheaders()), told
    finally:
        connection.close()


def failing_one_in(number: int) -> Callable[[Received], Answer | None]:
    """Let a CRM answer one request of `number` with 500."""
    came = Counter[str]()

    def decide(_: Received) -> Answer | None:
        came["all"] += 1
        return None if came["all"] % number else Answer(500)

    return decide


def audit(site: Installation, load: Load, *, failed: Callable[[int], bool] = lambda _: False) -> list[str]:
    """Compare what was thanked with what the CRM holds and with the accounts; return every discrepancy, [] for none.

    `failed` says of the n-th request (from 1) whether the CRM refused it, so that the pause after it can be checked.
    """
    return [
        *_lost_or_doubled(site.crm, load),
        *_changed_or_early(site.crm, failed),
        *_unaccounted(site, load),
    ]


def _lost_or_doubled(crm: Crm, load: Load) -> Iterator[str]:
    """Every thanked person is at the upserting CRM as one lead, with their last thanked word or a later one."""
    held: dict[str, Any] = {}
    for request in crm.requests:
        data = request.json()["data"]
        if data["version"] >= held.get(data["id"], {"version": 0})["version"]:
            held[data["id"]] = data
    ids = defaultdict(set)
    for data in held.values():
        ids[data["fields"]["phone"]].add(data["id"])
    for person in load.people:
        own = ids.get(person.phone, set())
        if len(own) > 1:
            yield f"{person.phone} is {len(own)} leads at the CRM: {sorted(own)}"
        if person.thanked >= 0 and not own:
            yield f"lost: {person.phone} was thanked and is not at the CRM"
        words = [int(held[each]["fields"]["message"].removeprefix("word ")) for each in own]
        if person.thanked >= 0 and own and max(words) < person.thanked:
            yield f"lost: {person.phone} was thanked for word {person.thanked}, the CRM holds {words}"


def _changed_or_early(crm: Crm, failed: Callable[[int], bool]) -> Iterator[str]:
    """A webhook-id always carries the same bytes; after a refusal it comes again after the pause, not before."""
    bodies: dict[str, bytes] = {}
    failed_at: dict[str, int] = {}
    for number, request in enumerate(list(crm.requests), 1):
        name = request.headers["webhook-id"]
        if bodies.setdefault(name, request.body) != request.body:
            yield f"{name} was sent with other bytes"
        if name in failed_at and request.at - failed_at[name] < FIRST_PAUSE_MS:
            yield f"{name} came {request.at - failed_at[name]} ms after it was refused, before its pause was over"
        failed_at.pop(name, None)
        if failed(number):
            failed_at[name] = request.at


def _unaccounted(site: Installation, load: Load) -> Iterator[str]:
    """The accounts add up and agree with both sides; queues and spool are empty."""
    told = site.status()
    account = told["forms"]["get-in-touch"]
    crm = account["destinations"]["crm"]
    if not (account["balanced"] and crm["balanced"]):
        yield f"the account does not add up: {account}"
    if crm["waiting"] or crm["dead"] or told["spooled"]:
        yield f"something is left: {account}, spooled {told['spooled']}"
    taken, sent = account["received"] - account["rejected"] - account["unavailable"], load.sent
    if not sent.thanked <= taken <= sent.thanked + sent.refused + sent.unknown:
        yield f"{taken} were taken, but {sent}"
    leads = {request.json()["data"]["id"] for request in site.crm.requests}
    if account["created"] != len(leads):
        yield f"{account['created']} leads were created, the CRM holds {len(leads)}"
    with site.redis() as redis:
        for key in ("due", "waiting", "dead"):
            if left := redis.zcard(f"leads:{{get-in-touch}}:{key}:crm"):
                yield f"{left} stand in {key}"
    if left_over := site.spooled():
        yield f"the spool holds {left_over}"


def summary(site: Installation, load: Load) -> str:
    """Return what happened in a line, for a failure and for the soak."""
    return f"{load.sent}; people {len(load.people)}; at the CRM {len(site.crm.requests)} requests; {site.counts()}"
