"""The leads of a form in Redis: accepted, claimed, settled, replayed, counted, each in one atomic script.

Invariant: only this room and the scripts it runs write the keys of `keys`. Times: ms of the server.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from service.lib.times import UTC, day_of
from service.model.form import Form
from service.model.lead import Content, Delivery, Lead
from service.store.accounts import FormAccount, Wait, account_of
from service.store.cipher import PLAIN, Cipher, UnreadableError
from service.store.keys import EXCERPT, FORMS, RECORD, base_of
from service.store.records import (
    IDEMPOTENCY_MS,
    ONCE_MS,
    SLACK_MS,
    Accepted,
    Attempt,
    Claim,
    Due,
    Limit,
    Limited,
    Mended,
    Promoted,
    Refusal,
    Result,
    Version,
)
from service.store.server.health import NotDurableError, verdict
from service.store.server.server import Server
from service.store.tallies import timing_of
from service.submission.facts import content_of, label_of

_NO_KEY = "no key in LEADS_ENCRYPTION_KEY opens what is kept of it: add the one it was encrypted with"
PROMOTED = 100
"""At most so many leads in one step."""
SLICE = 100
MOST_GIVEN_BACK = 3
"""So often a version gets its tries back; from then on its failures are its own."""

Order = Literal["oldest", "newest", "probe", "untried"]
Queue = Literal["due", "waiting", "dead"]
Facts = Mapping[str, tuple[str, str, int]]
Settled = Literal["settled", "known", "lost", "gone"]


class Store:
    """The leads of every form on one server."""

    def __init__(
        self, server: Server, *, replicas: int = 0, cipher: Cipher = PLAIN, takes_risk: bool = False,
        zone: ZoneInfo = UTC,
    ) -> None:  # fmt: skip
        """Keep leads on `server`, and what is accepted on the disks of so many of its replicas too.

        `cipher` opens what persons said; the lines that are accepted come sealed. `takes_risk`: accept also where what
        is confirmed may be lost. Days are counted as in `zone`.
        """
        self.server = server
        self._takes_risk = takes_risk
        self._cipher = cipher
        self._replicas = replicas
        self._zone = zone

    async def inspect(self) -> tuple[bool, str]:
        """Look whether a visitor can be thanked for what is accepted here, and say why in sentences."""
        return verdict(await self.server.inspect(replicas=self._replicas), takes_risk=self._takes_risk)

    async def accept(self, form: Form, line: bytes, *, is_thanked: bool = False) -> Accepted:
        """Take a submission (a `Line` as JSON) whoever sent it; a second call with the same line changes nothing.

        Raises NotDurableError where it may be lost.
        "used": its `once` has served somebody else; of one whose visitor `is_thanked` that is not asked.
        """
        return _accepted(await self._take(form, line, (), "thanked" if is_thanked else ""))

    async def admit(self, form: Form, line: bytes, limits: Sequence[Limit]) -> Accepted | Limited:
        """Do as `accept` does, unless one of `limits` is reached."""
        answer = await self._take(form, line, limits, "")
        return Limited(int(answer[2])) if answer[0] == "limited" else _accepted(answer)

    async def _take(self, form: Form, line: bytes, limits: Sequence[Limit], asked: str) -> Sequence[Any]:
        said = (line, _policy(form), self.server.now(), asked, msgspec.json.encode(limits))
        key = base_of(form.name)
        if self.server.risk is None:
            await self.server.look()
        self._refuse_risk()
        answer = await self.server.run("accept", key, *said, replicas=self._replicas)
        self._refuse_risk()  # It may have gone down a new connection, to a server that came in the place of another.
        return cast("Sequence[Any]", answer)

    def _refuse_risk(self) -> None:
        if self.server.risk and not self._takes_risk:
            raise NotDurableError(self.server.risk)

    async def release(self, form: Form, submission: str) -> Accepted | None:
        """Take a quarantined submission as any other; None if nothing of that id is in quarantine (any longer)."""
        answer = await self.server.run(
            "accept", base_of(form.name), submission, _policy(form), self.server.now(), "release", "[]"
        )
        return None if answer[0] == "unknown" else _accepted(answer)

    async def drop(self, form: str, submission: str) -> bool:
        """Delete a quarantined submission; False if nothing of that id is in quarantine."""
        return bool(await self.server.run("drop", base_of(form), submission))

    def day_of(self, at: int) -> int:
        """Return the day of a moment (ms), since 1970, as the desk counts days."""
        return day_of(at, self._zone)

    async def refuse(
        self, form: str, report: str, number: int, *, at: int, why: Refusal = "rejected",
        codes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Count submissions not taken; `report`, made at `at` (ms), is an id under which they are counted once.

        `codes` says for how many of them each "FIELD CODE" was a reason.
        """
        said = msgspec.json.encode(dict(codes))
        await self.server.run("refuse", base_of(form), report, number, at, SLACK_MS, why, self.day_of(at), said)

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
        self, form: Form, destination: str, *, lease: int, limit: int, token: str,
        order: Order = "oldest", takes_updates: bool = True,
    ) -> list[Claim]:  # fmt: skip
        """Lease up to `limit` due deliveries for `lease` ms."""
        claimed = await self.server.run(
            "claim", base_of(form.name), destination, self.server.now(), lease, limit, token, order, int(takes_updates)
        )
        return [self._claim(form, destination, row, token) for row in claimed]

    async def settle(
        self, claim: Claim, attempt: Attempt, *, due: int = 0, is_charged: bool = True, is_refused: bool = False,
        may_be_given_back: bool = True, record: str | int | None = None,
    ) -> Settled:  # fmt: skip
        """Write down what an attempt came to; `due` (ms) is the next try of a "retry".

        `record` is the destination's own id of the lead, if it named one ("delivered").
        `may_be_given_back`: its try is, once the destination turns out to have failed for others too.
        """
        lead = claim.delivery.lead
        excerpt = attempt.excerpt and self._cipher.seal(f"s{attempt.excerpt}", claim.form, EXCERPT)
        attempt = structs.replace(attempt, excerpt=excerpt)
        known = "" if record is None else self._cipher.seal(msgspec.json.encode(record).decode(), claim.form, RECORD)
        answer: Settled = await self.server.run(
            "settle", base_of(claim.form), claim.destination, lead.id, lead.version, claim.token, self.server.now(),
            attempt.result, due, int(is_charged), int(is_refused),
            msgspec.json.encode(attempt), attempt.reason, attempt.excerpt, attempt.at if may_be_given_back else 0,
            known, *timing_of(claim.delivery, self.server.now(), self._zone),
        )  # fmt: skip
        return answer

    async def replay(self, form: str, destination: str, lead: str, *, what: Literal["dead", "any"]) -> int:
        """Make a lead due now again; returns the version that will be sent, 0 for none."""
        return int(await self.server.run("replay", base_of(form), destination, lead, self.server.now(), what))

    async def give_back(self, form: str, destination: str, begin: int, end: int) -> int:
        """Make due now what was attempted from `begin` to `end` (ms) and failed, and give it its tries back.

        What is due already gets its tries back too. Returns how many. Walks in slices, and again until nothing more is
        found: what is settled meanwhile moves some.
        """
        given = 0
        while found := await self._give_back_once(form, destination, begin, end):
            given += found
        return given

    async def _give_back_once(self, form: str, destination: str, begin: int, end: int) -> int:
        given, passed = 0, 0
        while True:
            some, stayed, looked_at = await self.server.run(
                "give_back", base_of(form), destination, self.server.now(), begin, end, MOST_GIVEN_BACK, passed, SLICE
            )
            given, passed = given + int(some), passed + int(stayed)
            if looked_at < SLICE:
                return given

    async def promote(self, form: Form) -> list[Promoted]:
        """Make one update of each lead of which more was said than its person's limit allowed, where it does now."""
        promoted = await self.server.run("promote", base_of(form.name), self.server.now(), _policy(form), PROMOTED)
        return [Promoted(form.name, str(lead), int(version)) for lead, version in promoted]

    async def latest(self, form: str, start: int, limit: int) -> list[str]:
        """Return the ids of a form's leads from the `start`-th on, the one with the latest version first."""
        found = await self.server.client.zrevrange(f"{base_of(form)}leads", start, start + limit - 1)
        return [str(lead) for lead in found]

    async def repair(self, form: str, leads: Sequence[str]) -> list[Mended]:
        """See that each version these leads are owed stands where it must; return what had to be mended."""
        mended = await self.server.run("repair", base_of(form), self.server.now(), *leads)
        return [Mended(form, *mend) for mend in mended]

    async def take_strays(
        self, form: str, destination: str, queue: Queue, cursor: str, limit: int
    ) -> tuple[str, list[Mended]]:
        """Take what is no lead out of about `limit` entries of a queue from `cursor` on ("0": from the beginning).

        Returns where to go on, "0" at the end, and what was taken out.
        """
        further, strays = await self.server.run("strays", base_of(form), destination, queue, cursor, limit)
        return str(further), [Mended(form, str(stray), destination, "was in a queue and not owed") for stray in strays]

    async def remember_forms(self, forms: Iterable[str]) -> None:
        """Note that these forms are served, so that one taken out of the configuration is not forgotten."""
        await self.server.client.sadd(FORMS, *forms)

    async def known_forms(self) -> list[str]:
        """Return every form that was ever served, by name."""
        return sorted(str(name) for name in await self.server.client.smembers(FORMS))

    async def account(self, form: str, destinations: Sequence[str], pauses: dict[str, str]) -> FormAccount:
        """Return a form's account, read in one step."""
        counters, waits = await self.server.run("status", base_of(form), *destinations)
        counts = {name: int(number) for name, number in zip(counters[::2], counters[1::2], strict=True)}
        waiting = {name: None if int(since) < 0 else Wait(int(since), int(due)) for name, since, due in waits}
        return account_of(counts, waiting, pauses, self.server.now())

    def _claim(self, form: Form, destination: str, row: Sequence[Any], token: str) -> Claim:
        try:
            delivery, unreadable = delivery_of(self._cipher, form, row), ""
        except UnreadableError:
            delivery, unreadable = _without_content(form, row), _NO_KEY
        except Exception as error:  # noqa: BLE001 -- what cannot be read must not hold up what was leased with it
            delivery = _without_content(form, row)
            unreadable = f"what is kept of it cannot be read ({type(error).__name__}); this is a bug of the service"
        return Claim(form.name, destination, delivery, int(row[2]), int(row[4]), token, unreadable, int(row[5]))


def _without_content(form: Form, row: Sequence[Any]) -> Delivery:
    lead = Lead(row[0], form.name, int(row[1]), Content({}, {}), 0, 0, int(row[3]), 0)
    return Delivery(lead, "lead.created")


def _accepted(answer: Sequence[Any]) -> Accepted:
    result, lead, version, receipt = answer
    return Accepted(cast("Result", result), lead, int(version), receipt)


def _policy(form: Form) -> bytes:
    return msgspec.json.encode({
        "window": form.window, "quiet": form.quiet, "repeat": form.repeat, "deliver": form.deliver,
        "person": form.limits.person or False, "idempotency": IDEMPOTENCY_MS, "slack": SLACK_MS,
        "once": ONCE_MS,
    })  # fmt: skip


def delivery_of(cipher: Cipher, form: Form, row: Sequence[Any]) -> Delivery:
    """Return what a row of `claim.lua` says is to be sent."""
    lead, version, _, first_seen, _, _, text, before, record = row
    kept = msgspec.json.decode(text, type=Version)
    known = msgspec.json.decode(before, type=Version).facts if before else None
    said = open_facts(cipher, form.name, kept.facts)
    return Delivery(
        Lead(
            lead, form.name, int(version), content_of(form, said),
            accepted_at=kept.at, received_at=kept.got, first_seen_at=int(first_seen), enquiries=kept.enquiries,
            signals=kept.signals,
        ),
        "lead.erased" if kept.erased else "lead.created" if known is None else "lead.updated",
        () if known is None else tuple(sorted(_news(cipher, form.name, known, kept.facts, said))),
        record=open_record(cipher, form.name, record),
    )  # fmt: skip


def open_record(cipher: Cipher, form: str, record: str) -> str | int | None:
    """Return a destination's own id of a lead, None if none is kept."""
    return msgspec.json.decode(cipher.open(record, form, RECORD), type=str | int) if record else None


def open_facts(cipher: Cipher, form: str, facts: Facts) -> dict[str, str]:
    """Return the packed value of each fact, opened."""
    return {name: cipher.open(fact[1], form, name) for name, fact in facts.items()}


def _news(cipher: Cipher, form: str, before: Facts, after: Facts, said: Mapping[str, str]) -> set[str]:
    """Return what is new in a version, by label; `said` are its values. Another secret's fingerprint is no news."""
    names = [name for name, fact in after.items() if fact[0] and (name not in before or before[name][0] != fact[0])]
    known: set[tuple[str, str]] = set()
    with contextlib.suppress(UnreadableError):
        known |= {(label_of(name, value), value) for name, value in open_facts(cipher, form, before).items() if names}
    return {label_of(name, said[name]) for name in names if (label_of(name, said[name]), said[name]) not in known}
