"""One submission on its way from checked content to the disk.

Invariant: decides nothing about a submission that `accept.lua` decides, and tells nobody; what happened is returned.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from msgspec import structs
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.intake.counted import campaign_of, choices_of, name_of
from service.intake.pending import Arrived, Pending, Refused, Report
from service.intake.spool import Spool
from service.lib.secret import Secret, unshown
from service.lib.signature import keyed_hash
from service.lib.text import many
from service.model.form import Form
from service.model.lead import Content
from service.store.alarms import is_flying, note_arrival
from service.store.cipher import PLAIN, Cipher
from service.store.leads import Store
from service.store.records import Accepted, Earlier, Limit, Limited, Line, Refusal, Result
from service.store.server.connection import ANSWER_WITHIN_S
from service.store.server.health import FAILURES, sentence_of
from service.store.tallies import Name, note_arrivals
from service.submission.facts import facts
from service.submission.field_match import Matched
from service.submission.person import idempotency_key, identities, person_keys, receipt_of, text_hash

REPORT_EVERY_S: Final = 0.5
SILENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Taken:
    """The submission is on disk: in Redis, or in the spool ("spooled"), where it is decided later.

    `lead` is "" for a quarantined one; for a spooled one it is the id of the lead if it turns out to be a new one.
    """

    receipt: str
    lead: str
    result: Result | Literal["spooled"]
    version: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a submission: the hash of the address it counts for. Whoever has none counts for one they share."""

    address: str

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Unavailable:
    """There is nowhere durable to keep it; `reason` is a sentence for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Used:
    """The solution of its challenge was used for somebody else's submission; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a visitor could be thanked now; `redis` and `spool` say why in a sentence."""

    ready: bool
    redis: str
    spool: str


class Intake:
    """Takes submissions for every form."""

    def __init__(
        self, store: Store, secret: Secret, spool: Spool | None = None, cipher: Cipher = PLAIN,
        earlier: Sequence[Secret] = (),
    ) -> None:  # fmt: skip
        """Keep submissions in `store`, in `spool` while that is away.

        `secret` keys every hash made of them, and whoever is known by one of the `earlier` ones is still found;
        `cipher` seals what they say.
        """
        self._store = store
        self._secret = secret
        self._earlier = earlier
        self._spool = spool
        self._cipher = cipher
        self._refused: Pending[tuple[str, Refusal], Refused] = Pending(Refused)
        self._arrived: Pending[str, Arrived] = Pending(Arrived)
        self._silent_until = 0.0
        self._unfit = ""
        self._looking = asyncio.Lock()
        self._seen: tuple[float, Readiness] | None = None

    def take_nothing(self, reason: str) -> None:
        """Take nothing from now on, not even into the spool; `reason` is a sentence for the operator."""
        self._unfit = reason

    async def submit(
        self,
        form: Form,
        content: Content,
        *,
        key: str | None = None,
        quarantine: tuple[str, ...] = (),
        signals: Mapping[str, int] = MappingProxyType({}),
        once: str | None = None,
        caller: Caller | None = None,
    ) -> Taken | Limited | Used | Unavailable:
        """Keep a submission durably, or say why it was not kept; waits at most `ANSWER_WITHIN_S` for Redis.

        `once` is what may serve one person only: the solution of a challenge. The form's limits are those of its
        `caller`; None: nobody who is limited.
        """
        if self._unfit:
            return Unavailable(self._unfit)
        line = self._line(form, content, key, quarantine, signals)
        if once:
            line = structs.replace(line, once=keyed_hash(self._secret, "once", form.name, once))
        text = msgspec.json.encode(line)
        try:
            accepted = await self._admit(form, text, caller)
        except FAILURES as error:
            return await self._keep_aside(line, text, sentence_of(error))
        if isinstance(accepted, Limited):
            return accepted
        if accepted.result == "used":
            return Used()
        return Taken(accepted.receipt, accepted.lead, accepted.result, accepted.version)

    async def _admit(self, form: Form, line: bytes, caller: Caller | None) -> Accepted | Limited:
        """Ask the store, but not again within a second of its last silence: nobody waits for what is not there."""
        loop = asyncio.get_running_loop()
        if self._spool and loop.time() < self._silent_until:
            raise TimeoutError
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if caller is None:
                    return await self._store.accept(form, line)
                return await self._store.admit(form, line, self._limits(form, caller))
        except (TimeoutError, RedisTimeoutError):
            self._silent_until = loop.time() + SILENCE_S
            raise

    async def _keep_aside(self, line: Line, text: bytes, reason: str) -> Taken | Unavailable:
        if self._spool is None:
            return Unavailable(reason)
        try:
            await asyncio.to_thread(self._spool.append, text)
        except OSError as error:
            return Unavailable(f"{reason} The spool cannot be written either ({error.strerror}).")
        return Taken(line.receipt, line.lead, "spooled", 0)

    def count_refusal(self, form: Form, why: Refusal = "rejected", codes: Iterable[str] = ()) -> None:
        """Count a submission that was not taken, for each "FIELD CODE"; the account shows it within a second."""
        self._refused.of((form.name, why)).add(codes)

    def count_arrival(self, form: Form, matched: Matched) -> None:
        """Count under which names the fields of a submission came, taken or not."""
        self._arrived.of(form.name).add(form, matched)

    async def meet_canary(self, form: Form, canary: str) -> bool:
        """Tell whether this is a canary of the form that is on its way."""
        return await is_flying(self._store.server, form.name, canary)

    async def note_canary(self, form: Form, canary: str) -> None:
        """Write that a canary came in, as durably as a lead is kept, and count it nowhere."""
        await note_arrival(self._store.server, form.name, canary)

    async def report_counts(self) -> None:
        """Report what was counted since the last call; what cannot be reported is kept for the next."""
        now = self._store.server.now()
        for column, refused in self._refused.reports(now):
            form, why = column
            counted = refused.counted
            with contextlib.suppress(*FAILURES):
                await self._store.refuse(form, refused.id, counted.number, at=refused.at, why=why, codes=counted.codes)
                self._refused.forget(column)
        for form, arrived in self._arrived.reports(now):
            with contextlib.suppress(*FAILURES):
                await self._report_arrivals(form, arrived)
                self._arrived.forget(form)

    async def _report_arrivals(self, form: str, report: Report[Arrived]) -> None:
        counted = report.counted
        names = [
            Name(*name_of(self._secret, self._cipher, form, named), number) for named, number in counted.shown().items()
        ]
        await note_arrivals(
            self._store.server, form, report.id, counted.looked, at=report.at, day=self._store.day_of(report.at),
            fields=counted.fields, names=names,
        )  # fmt: skip

    async def keep_reporting(self) -> None:
        """Report what is counted until cancelled, then once more."""
        try:
            while True:
                await asyncio.sleep(REPORT_EVERY_S)
                await self.report_counts()
        finally:
            await self.report_counts()

    async def readiness(self, *, at_most_s: float = 0.0) -> Readiness:
        """Look whether Redis answers and is durable, and whether the spool can be written: one look at a time.

        What was seen at most `at_most_s` seconds ago will do.
        """
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._seen is None or now - self._seen[0] >= at_most_s:
                self._seen = now, await self._look()
            return self._seen[1]

    async def _look(self) -> Readiness:
        if self._unfit:
            return Readiness(ready=False, redis=self._unfit, spool="Nothing is taken into it either.")
        is_safe, sentence = await self._store.inspect()
        if self._spool is None:
            return Readiness(is_safe, sentence, "No spool is configured (LEADS_SPOOL).")
        try:
            lines = await asyncio.to_thread(_look_at, self._spool)
        except OSError as error:
            return Readiness(is_safe, sentence, f"The spool cannot be written ({error.strerror}).")
        lie = many(lines, "submission lies", "submissions lie")
        return Readiness(ready=True, redis=sentence, spool=f"The spool can be written; {lie} in it.")

    def _limits(self, form: Form, caller: Caller) -> list[Limit]:
        limits = []
        if form.limits.address:
            limits.append(Limit(f"address:{caller.address}", *form.limits.address))
        if form.limits.form:
            limits.append(Limit("form", *form.limits.form))
        return limits

    def _line(
        self, form: Form, content: Content, key: str | None, quarantine: tuple[str, ...], signals: Mapping[str, int]
    ) -> Line:
        weight = form.spam.weights["same_text"]
        text = text_hash(self._secret, form, content) if weight else None
        persons = person_keys(self._secret, form, content)
        known_by = identities(self._secret, form, content)
        said = facts(self._secret, form, content)
        now = self._store.server.now()
        return Line(
            id=secrets.token_urlsafe(12),
            form=form.name,
            at=now,
            receipt=receipt_of(self._secret, form, key, content) if key else secrets.token_urlsafe(18),
            lead=f"lead_{secrets.token_hex(10)}",
            persons=persons,
            also=tuple(name for name in known_by if name not in persons.values()),
            facts={name: (same, self._cipher.seal(value, form.name, name)) for name, (same, value) in said.items()},
            key=idempotency_key(self._secret, form, key, content) if key else None,
            quarantine=quarantine or None,
            signals=dict(signals),
            spam_limit=form.spam.limit,
            same_text=(text, weight) if text else None,
            earlier=tuple(under_another(secret, form, content, key, list(said)) for secret in self._earlier),
            day=self._store.day_of(now),
            campaign=campaign_of(self._secret, self._cipher, form, content),
            choices=choices_of(self._secret, form, content),
        )


def under_another(secret: Secret, form: Form, content: Content, key: str | None, names: Sequence[str]) -> Earlier:
    """Return what another secret makes of a submission whose facts have these names under ours, in their order."""
    persons, said = person_keys(secret, form, content), facts(secret, form, content)
    return Earlier(
        persons=persons,
        facts={now: (then, same) for now, (then, (same, _)) in zip(names, said.items(), strict=True) if same},
        also=tuple(name for name in identities(secret, form, content) if name not in persons.values()),
        key=idempotency_key(secret, form, key, content) if key else None,
    )


def _look_at(spool: Spool) -> int:
    spool.probe()
    return spool.count()
