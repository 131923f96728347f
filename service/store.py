"""The leads of a form in Redis: accepted, claimed, settled, replayed, counted, each in one atomic script.

Law: only this module and the scripts it runs write these keys; `archive` reads them too. All keys of a form share the
hash tag `{FORM}`, so its scripts can run on a cluster; what a person typed stands in no key. Times: ms of the server.

`leads:{FORM}:lead:ID`        hash: version, first, last, enquiries, phone ("1": has one), persons (JSON hashes),
                              submissions (lines "at result version receipt"), kept (said since that version),
                              v:N (a version: at, got, enquiries, facts), d:DEST (delivery record, see _states.lua),
                              a:DEST (attempts, a JSON line each)
`leads:{FORM}:person:HASH`    lead id; runs out some time after the form's window
`leads:{FORM}:idem:HASH`      "at lead"; runs out after a day
`leads:{FORM}:once:HASH`       whose submission a challenge was solved for (hashes); runs out after the challenge
`leads:{FORM}:receipts`       hash: receipt ► lead id, or "?submission id" of a quarantined one
`leads:{FORM}:seen:DAY`       hash: submission id ► result, or id of a report of refusals ► ""; runs out later than any
                              spool may lie
`leads:{FORM}:synced`         written by `server` behind each script that replicas must have on disk; read by nobody
`leads:{FORM}:leads`          sorted set: lead ► when its latest version came here
`leads:{FORM}:due:DEST`       sorted set: lead ► due, or end of its lease
`leads:{FORM}:waiting:DEST`   sorted set: lead ► acceptance of its oldest waiting version
`leads:{FORM}:dead:DEST`      sorted set: lead ► time of its last death
`leads:{FORM}:held`           hash: submission id ► quarantined submission, JSON; `quarantine`: the same by time
`leads:{FORM}:count`          hash: received, rejected, …, DEST:owed, DEST:delivered, …
`leads:forms`                 set: every form that was ever served
`leads:wake`                  channel: the name of a destination that has something due now, or is open again
`leads:schema`                the number of this map, written once by `server`; `{destination:…}` is the map of `gate`
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import msgspec

from service.account import FormAccount, account_of
from service.form import Form
from service.inspection import Finding
from service.lead import Content, Delivery, Lead
from service.person import content_of
from service.server import Server

DAY_MS = 86_400_000
IDEMPOTENCY_MS = DAY_MS
SLACK_MS = 30 * DAY_MS
ONCE_MS = DAY_MS + 3_600_000  # longer than any challenge lives
WAKE = "leads:wake"
FORMS = "leads:forms"

Result = Literal["created", "updated", "repeated", "quarantined"]
Order = Literal["oldest", "newest", "probe"]
Settled = Literal["settled", "known", "lost", "gone"]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One submission as the store takes it, whole: everything that is decided about it is decided from this.

    `at` is when it was received; `lead` the id it gets if it makes a new lead; `persons`, `facts` and `key` come
    from `service.person`; `once` is the hash of what may serve only one person.
    """

    id: str
    form: str
    at: int
    receipt: str
    lead: str
    persons: dict[str, str]
    facts: dict[str, tuple[str, str]]
    key: str | None = None
    quarantine: tuple[str, ...] | None = None
    once: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a submission. `lead` is "" for a quarantined one; "used" is nothing, for `Line.once` was."""

    result: Result | Literal["used"]
    lead: str
    version: int
    receipt: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery leased to us under `token`, after `tries` charged attempts.

    `is_refused`: it was refused before by a destination that then refused everybody. `fault`: the kind of error that
    reading its content came to, "" for none; with one, `delivery` is without content and must not be sent.
    """

    form: str
    destination: str
    delivery: Delivery
    tries: int
    is_refused: bool
    token: str
    fault: str = ""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, as it is kept with the lead; `took` in ms."""

    at: int
    version: int
    result: Literal["delivered", "retry", "dead"]
    took: int
    status: int | None = None
    reason: str = ""
    excerpt: str = ""


class Due(NamedTuple):
    """When the earliest delivery of a form to a destination is due or its lease ends (ms), and how many are due now."""

    at: int
    number: int


class Mended(NamedTuple):
    """Something that the repair put right."""

    form: str
    lead: str
    destination: str
    what: str


class Version(msgspec.Struct, frozen=True):
    """One version as it is kept: accepted and received at (ms), enquiries, facts (fingerprint, value, time said)."""

    at: int
    got: int
    enquiries: int
    facts: dict[str, tuple[str, str, int]]


class Record(msgspec.Struct, frozen=True):
    """The delivery record of a lead at one destination, as `_states.lua` explains it."""

    s: str
    v: int
    n: int
    b: dict[str, int] = {}
    token: str | None = None
    till: int | None = None
    refused: int | None = None
    probed: int | None = None
    why: dict[str, tuple[int, str, str]] = {}


class Store:
    """The leads of every form on one server."""

    def __init__(self, server: Server, *, replicas: int = 0) -> None:
        """Keep leads on `server`, and what is accepted on the disks of so many of its replicas too."""
        self.server = server
        self._replicas = replicas

    async def inspect(self) -> tuple[Finding, ...]:
        """Look whether what is accepted here is safe."""
        return await self.server.inspect(replicas=self._replicas)

    async def accept(self, form: Form, line: bytes, *, is_thanked: bool = False) -> Accepted:
        """Take a submission (a `Line` as JSON); a second call with the same line changes nothing.

        "used": its `once` has served somebody else; of one whose visitor `is_thanked` that is not asked.
        """
        arguments = (line, _policy(form), self.server.now(), "thanked" if is_thanked else "")
        if self._replicas:
            answer = await self.server.run_and_sync("accept", base_of(form.name), *arguments, replicas=self._replicas)
        else:
            answer = await self.server.run("accept", base_of(form.name), *arguments)
        result, lead, version, receipt = answer
        return Accepted(cast("Result", result), lead, int(version), receipt)

    async def release(self, form: Form, submission: str) -> Accepted | None:
        """Take a quarantined submission as any other; None if nothing of that id is in quarantine (any longer)."""
        result, *rest = await self.server.run(
            "accept", base_of(form.name), submission, _policy(form), self.server.now(), "release"
        )
        if result == "unknown":
            return None
        lead, version, receipt = rest
        return Accepted(cast("Result", result), lead, int(version), receipt)

    async def drop(self, form: str, submission: str) -> bool:
        """Delete a quarantined submission; False if nothing of that id is in quarantine."""
        return bool(await self.server.run("drop", base_of(form), submission))

    async def refuse(self, form: str, report: str, number: int, *, at: int) -> None:
        """Count refused submissions; `report`, made at `at` (ms), is an id under which they are counted once."""
        await self.server.run("refuse", base_of(form), report, number, at, SLACK_MS)

    async def due(self, forms: Iterable[str], destination: str) -> dict[str, Due]:
        """Return for each form what is due at `destination`, and when the earliest is; one without any is left out."""
        names, now = list(forms), self.server.now()
        pipe = self.server.client.pipeline(transaction=False)
        for form in names:
            pipe.zrange(f"{base_of(form)}due:{destination}", 0, 0, withscores=True)
            pipe.zcount(f"{base_of(form)}due:{destination}", "-inf", now)
        answers = await pipe.execute()
        rows = zip(names, answers[::2], answers[1::2], strict=True)
        return {form: Due(int(first[0][1]), int(number)) for form, first, number in rows if first}

    async def claim(
        self,
        form: Form,
        destination: str,
        *,
        lease: int,
        limit: int,
        token: str,
        order: Order = "oldest",
        takes_updates: bool = True,
    ) -> list[Claim]:
        """Lease up to `limit` due deliveries for `lease` ms."""
        claimed = await self.server.run(
            "claim", base_of(form.name), destination, self.server.now(), lease, limit, token, order, int(takes_updates)
        )
        return [_claim(form, destination, row, token) for row in claimed]

    async def settle(
        self, claim: Claim, attempt: Attempt, *, due: int = 0, is_charged: bool = True, is_refused: bool = False
    ) -> Settled:
        """Write down what an attempt came to; `due` (ms) is the next try of a "retry"."""
        lead = claim.delivery.lead
        answer: Settled = await self.server.run(
            "settle", base_of(claim.form), claim.destination, lead.id, lead.version, claim.token, self.server.now(),
            attempt.result, due, int(is_charged), int(is_refused),
            msgspec.json.encode(attempt), attempt.reason, attempt.excerpt,
        )  # fmt: skip
        return answer

    async def replay(self, form: str, destination: str, lead: str, *, what: Literal["dead", "any"]) -> int:
        """Make a lead due now again; returns the version that will be sent, 0 for none."""
        return int(await self.server.run("replay", base_of(form), destination, lead, self.server.now(), what))

    async def latest(self, form: str, start: int, limit: int) -> list[str]:
        """Return the ids of a form's leads from the `start`-th on, the one with the latest version first."""
        found = await self.server.client.zrevrange(f"{base_of(form)}leads", start, start + limit - 1)
        return [str(each) for each in found]

    async def repair(self, form: str, leads: Sequence[str]) -> list[Mended]:
        """See that each version these leads are owed stands where it must; return what had to be mended."""
        mended = await self.server.run("repair", base_of(form), self.server.now(), *leads)
        return [Mended(form, *each) for each in mended]

    async def remember_forms(self, forms: Iterable[str]) -> None:
        """Note that these forms are served, so that one taken out of the configuration is not forgotten."""
        await self.server.client.sadd(FORMS, *forms)

    async def known_forms(self) -> list[str]:
        """Return every form that was ever served, by name."""
        return sorted(str(each) for each in await self.server.client.smembers(FORMS))

    async def account(self, form: str, destinations: Sequence[str], pauses: dict[str, str]) -> FormAccount:
        """Return a form's account, read in one step."""
        counters, oldest = await self.server.run("status", base_of(form), *destinations)
        counts = {name: int(number) for name, number in zip(counters[::2], counters[1::2], strict=True)}
        waiting = {name: None if int(at) < 0 else int(at) for name, at in oldest}
        return account_of(counts, waiting, pauses, self.server.now())


def base_of(form: str) -> str:
    """Return what every key of a form begins with."""
    return f"leads:{{{form}}}:"


def _policy(form: Form) -> bytes:
    return msgspec.json.encode({
        "window": form.window, "quiet": form.quiet, "repeat": form.repeat, "deliver": form.deliver,
        "idempotency": IDEMPOTENCY_MS, "slack": SLACK_MS, "once": ONCE_MS,
    })  # fmt: skip


def _claim(form: Form, destination: str, row: Sequence[Any], token: str) -> Claim:
    try:
        delivery, fault = _delivery(form, row), ""
    except Exception as error:  # noqa: BLE001 -- what cannot be read must not hold up what was leased with it
        unread = Lead(row[0], form.name, int(row[1]), Content({}, {}), 0, 0, int(row[3]), 0)
        delivery, fault = Delivery(unread, "lead.created"), type(error).__name__
    return Claim(form.name, destination, delivery, int(row[2]), row[4] == "1", token, fault)


def _delivery(form: Form, row: Sequence[Any]) -> Delivery:
    lead, version, _, first_seen, _, text, before = row
    kept = msgspec.json.decode(text, type=Version)
    known = msgspec.json.decode(before, type=Version).facts if before else None
    return Delivery(
        Lead(
            lead, form.name, int(version), content_of(form, {name: fact[1] for name, fact in kept.facts.items()}),
            accepted_at=kept.at, received_at=kept.got, first_seen_at=int(first_seen), enquiries=kept.enquiries,
        ),
        "lead.created" if known is None else "lead.updated",
        () if known is None else _changed(known, kept.facts),
    )  # fmt: skip


def _changed(before: dict[str, tuple[str, str, int]], after: dict[str, tuple[str, str, int]]) -> tuple[str, ...]:
    news = [name for name, fact in after.items() if fact[0] and (name not in before or before[name][0] != fact[0])]
    return tuple(sorted(name.removeprefix("fields.") for name in news))
