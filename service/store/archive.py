"""What is kept about leads, for a person who asks: one lead whole, the latest ones, the dead ones.

Invariant: only reads. The keys are those of `service.store`.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import structs

from service.lib.secret import unshown
from service.model.form import Form
from service.model.lead import Content, Delivery
from service.store.cipher import PLAIN, Cipher
from service.store.keys import EXCERPT, base_of
from service.store.leads import Facts, delivery_of, open_facts, open_record
from service.store.records import Attempt, Line, Record, Said, Version
from service.store.server.server import Server
from service.submission.facts import content_of, label_of
from service.submission.spam import by_weight

STATES: dict[str, Literal["waiting", "delivered", "dead", "superseded", "erased", "not owed"]] = {
    "w": "waiting", "d": "delivered", "x": "dead", "s": "superseded", "e": "erased", "-": "not owed",
}  # fmt: skip


class Submission(msgspec.Struct, frozen=True):
    """One POST: when (ms), what it came to, the version it found or made, its receipt."""

    at: int
    result: str
    version: int
    receipt: str


class KeptVersion(msgspec.Struct, frozen=True):
    """One version: when it was accepted and received (ms), how often the person had asked, what was known.

    `signals` are what looked like spam about the submission that made it, `news` the names of what was new in it. Of an
    old version that is all there is: its `content` is empty, and `sha1` is a hash of what was kept.
    """

    version: int
    accepted_at: int
    received_at: int
    enquiries: int
    content: Content
    signals: dict[str, int] = {}
    news: tuple[str, ...] = ()
    sha1: str = ""


class KeptDelivery(msgspec.Struct, frozen=True):
    """What a destination got: the state of each version, tries charged to the current one, when it is due (ms).

    `leased` says that an attempt is under way; `due_at` is then the end of its lease. `paused` is why nothing is sent
    there at all, for now. `record` is the destination's own id of the lead, None where none is kept.
    """

    destination: str
    states: dict[int, str]
    tries: int
    due_at: int | None
    leased: bool
    attempts: tuple[Attempt, ...]
    why: dict[str, tuple[int, str, str]]
    paused: str | None = None
    record: str | int | None = None

    __repr__ = unshown

    @property
    def state(self) -> str:
        """The state of the latest version owed."""
        return next(
            (state for _, state in sorted(self.states.items(), reverse=True) if state != "not owed"), "not owed"
        )

    def behind(self, paused: str | None, not_before: int) -> "KeptDelivery":
        """Return the same, as what stands in its way has it: a pause, or a time (ms) before which nothing is sent."""
        is_held_up = self.due_at is not None and not self.leased and self.due_at < not_before
        return msgspec.structs.replace(self, paused=paused, due_at=not_before if is_held_up else self.due_at)


class KeptLead(msgspec.Struct, frozen=True):
    """Everything that is kept about one lead."""

    id: str
    form: str
    first_seen_at: int
    last_seen_at: int
    submissions: tuple[Submission, ...]
    versions: tuple[KeptVersion, ...]
    deliveries: tuple[KeptDelivery, ...]
    unforwarded: Content | None = None
    """What is known beyond the latest version: `repeat = "drop"` keeps it to ourselves, or a limit holds it back."""
    goes_out_at: int | None = None
    """When a person's limit, which holds it back, lets that go out (ms); None: no limit does."""
    erased_at: int | None = None
    """When it was erased (ms): nothing is kept but which destinations have yet to hear of it."""

    @property
    def version(self) -> int:
        """The number of its latest version, 0 for an erased one."""
        return self.versions[-1].version if self.versions else 0

    def with_obstacles(self, pauses: Mapping[str, str], waits: Mapping[str, int]) -> "KeptLead":
        """Return the same, with why nothing is sent to some destinations, and due no earlier than they asked for."""
        deliveries = [
            delivery.behind(pauses.get(delivery.destination), waits.get(delivery.destination, 0))
            for delivery in self.deliveries
        ]
        return msgspec.structs.replace(self, deliveries=tuple(deliveries))


class Quarantined(msgspec.Struct, frozen=True):
    """A submission that looked like spam: when it came (ms), why it looked so, what it says.

    `score` is what its signals weigh, and `limit` the most that is let through, both None if they did not decide.
    """

    id: str
    form: str
    at: int
    receipt: str
    reasons: tuple[str, ...]
    content: Content
    signals: dict[str, int] = {}
    score: int | None = None
    limit: int | None = None


class DeadDelivery(msgspec.Struct, frozen=True):
    """One dead version: since when (ms), why, and the first 500 characters of what the destination answered."""

    form: str
    destination: str
    lead: str
    version: int
    at: int
    reason: str
    excerpt: str

    __repr__ = unshown


class Archive:
    """Reads what the store keeps on `server`."""

    def __init__(self, server: Server, cipher: Cipher = PLAIN) -> None:
        self._server = server
        self._cipher = cipher

    async def find(self, forms: Iterable[str], name: str) -> tuple[str, str] | None:
        """Return (form, lead id) for a receipt, a lead id or a webhook-id; a quarantined one has the id "?…"."""
        lead = name.split(".", 1)[0]
        for form in forms:
            if await self._server.client.exists(f"{base_of(form)}lead:{lead}"):
                return form, lead
            if kept := await self._server.client.hget(f"{base_of(form)}receipts", name):
                return form, str(kept)
        return None

    async def since(self, form: str, at: int) -> list[str]:
        """Return the ids of the leads of a form whose latest version was accepted since `at` (ms), oldest first."""
        return _texts(await self._server.client.zrangebyscore(f"{base_of(form)}leads", at, "+inf"))

    async def lead(self, form: Form, lead: str) -> KeptLead | None:
        """Return everything about a lead, None if there is no such lead."""
        stored = await self._server.client.hgetall(f"{base_of(form.name)}lead:{lead}")
        kept = {str(name): str(value) for name, value in stored.items()}
        if not kept:
            return None
        destinations = sorted(name[2:] for name in kept if name.startswith("d:"))
        deliveries = tuple([await self._delivery(form.name, lead, name, kept) for name in destinations])
        if "erased" in kept:
            erased_at = int(kept["erased"])
            return KeptLead(lead, form.name, erased_at, erased_at, (), (), deliveries, erased_at=erased_at)
        numbers = sorted(int(name[2:]) for name in kept if name.startswith("v:"))
        versions = tuple(self._version(form, number, kept[f"v:{number}"]) for number in numbers)
        deferred = await self._server.client.zscore(f"{base_of(form.name)}deferred", lead)
        return KeptLead(
            lead, form.name, int(kept["first"]), int(kept["last"]),
            tuple(_submissions(kept.get("submissions", ""))),
            versions,
            deliveries,
            self._unforwarded(form, kept.get("kept"), versions[-1].content),
            None if deferred is None else int(deferred),
        )  # fmt: skip

    async def delivery(self, form: Form, lead: str, destination: str) -> Delivery | None:
        """Return what a destination would be sent of a lead: what waits there, else what a replay would send.

        None if there is no such lead.
        """
        stored = await self._server.client.hgetall(f"{base_of(form.name)}lead:{lead}")
        kept = {str(name): str(value) for name, value in stored.items()}
        if not kept:
            return None
        record = _record(kept.get(f"d:{destination}"))
        version = record.last("w") or record.last("xd") or int(kept["version"])
        before = record.b.get(str(version), record.last("d"))
        versions = (kept.get(f"v:{number}", "") for number in (version, before))
        return delivery_of(self._cipher, form, (lead, version, 0, kept["first"], 0, 0, *versions, record.id))

    async def _delivery(self, form: str, lead: str, destination: str, kept: dict[str, str]) -> KeptDelivery:
        record = msgspec.json.decode(kept[f"d:{destination}"], type=Record)
        due = await self._server.client.zscore(f"{base_of(form)}due:{destination}", lead)
        lines = kept.get(f"a:{destination}", "").split("\n")[:-1]
        return KeptDelivery(
            destination,
            {number: STATES[letter] for number, letter in enumerate(record.s, 1)},
            record.n,
            None if due is None else int(due),
            record.token is not None and (record.till or 0) > self._server.now(),
            tuple(self._attempt(form, line) for line in lines),
            {version: (at, why, self._excerpt(form, text)) for version, (at, why, text) in record.why.items()},
            record=open_record(self._cipher, form, record.id),
        )

    def _attempt(self, form: str, line: str) -> Attempt:
        attempt = msgspec.json.decode(line, type=Attempt)
        return structs.replace(attempt, excerpt=self._excerpt(form, attempt.excerpt))

    def _excerpt(self, form: str, text: str) -> str:
        return self._cipher.open(text, form, EXCERPT)[1:]

    def _content(self, form: Form, facts: Facts) -> Content:
        return content_of(form, open_facts(self._cipher, form.name, facts))

    def _version(self, form: Form, number: int, text: str) -> KeptVersion:
        kept = msgspec.json.decode(text, type=Version)
        said = open_facts(self._cipher, form.name, kept.facts)
        news = tuple(label_of(name, said.get(name, "")) for name in kept.news or _all_news(number, kept.facts))
        content = content_of(form, said)
        return KeptVersion(number, kept.at, kept.got, kept.enquiries, content, kept.signals, news, kept.sha1)

    def _unforwarded(self, form: Form, text: str | None, sent: Content) -> Content | None:
        if text is None:
            return None
        known = self._content(form, msgspec.json.decode(text, type=Said).facts)
        return known if (known.fields, known.extra) != (sent.fields, sent.extra) else None

    async def quarantined(self, form: Form, latest: int = 0) -> list[Quarantined]:
        """Return what lies in quarantine, the oldest first: the `latest` so many, 0 for all."""
        ids = _texts(await self._server.client.zrange(f"{base_of(form.name)}quarantine", -latest, -1))
        return [held for id_ in ids if (held := await self.held(form, id_))]

    async def held(self, form: Form, id_: str) -> Quarantined | None:
        """Return one that lies in quarantine, None if it was released or dropped."""
        text = await self._server.client.hget(f"{base_of(form.name)}held", id_)
        if text is None:
            return None
        line = msgspec.json.decode(text, type=Line)
        content = self._content(form, {name: (*fact, line.at) for name, fact in line.facts.items()})
        said = (line.signals, line.score, None if line.score is None else line.spam_limit)
        return Quarantined(id_, form.name, line.at, line.receipt, _reasons(line), content, *said)

    async def dead(self, form: str, destination: str, most: int = 0) -> list[DeadDelivery]:
        """Return what died at a destination, the longest dead first: of so many leads at most, 0 for all."""
        found = []
        for lead in _texts(await self._server.client.zrange(f"{base_of(form)}dead:{destination}", 0, most - 1)):
            kept = await self._server.client.hget(f"{base_of(form)}lead:{lead}", f"d:{destination}")
            record = _record(kept)
            found += [
                DeadDelivery(form, destination, lead, int(version), at, why, self._excerpt(form, text))
                for version, (at, why, text) in sorted(record.why.items(), key=lambda death: int(death[0]))
                if record.s[int(version) - 1] == "x"
            ]
        return found


def _all_news(number: int, facts: Facts) -> list[str]:
    """Return what is new in a first version, which does not list it."""
    return [name for name, fact in facts.items() if fact[0]] if number == 1 else []


def _record(text: bytes | str | None) -> Record:
    return msgspec.json.decode(text or '{"s":"","v":0,"n":0}', type=Record)


def _reasons(line: Line) -> tuple[str, ...]:
    """Return what keeps a submission from delivery: where the sum does, every signal."""
    names = () if line.score is None else by_weight(line.signals)
    return tuple(dict.fromkeys((*(line.quarantine or ()), *names)))


def _texts(listed: Iterable[object]) -> list[str]:
    return [str(name) for name in listed]


def _submissions(log: str) -> Iterable[Submission]:
    for line in log.splitlines():
        at, result, version, receipt = line.split(" ")
        yield Submission(int(at), result, int(version), receipt)
