"""A store on a clock that the test sets; after every call, all that is kept must add up.

    async with open_ledger(redis_url) as ledger:
        first = await ledger.post(phone="8951047001")
        ledger.now += HOUR
        claim = await ledger.claim_one()
        await ledger.settle(claim, "delivered")

The clock stands in the year 2100, so that nothing runs out on the server's own clock while a test reads it.
"""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Literal

import msgspec

from service.intake.counted import campaign_of, choices_of
from service.intake.intake import under_another
from service.lib.secret import Secret
from service.model.form import Field, Form
from service.model.lead import Content, Source
from service.store.accounts import DestinationAccount, account_of
from service.store.breaker import Gate, GateState
from service.store.cipher import PLAIN
from service.store.keys import base_of
from service.store.leads import Order, Settled, Store
from service.store.records import Accepted, Attempt, Claim, Line, Record
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission.check import Checked, check
from service.submission.facts import facts
from service.submission.form_data import gather
from service.submission.person import idempotency_key, person_keys, receipt_of, text_hash

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 4_102_444_800_000
LEASE: Final = 20 * SECOND

SECRET: Final = Secret("what only this clinic knows")
FORM: Final = Form(
    "clinic",
    {
        "name": Field("name"),
        "phone": Field("phone", "phone"),
        "email": Field("email", "email"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
    window=30 * DAY,
    quiet=HOUR,
)
LETTERS: Final = {"waiting": "w", "delivered": "d", "dead": "x", "superseded": "s"}

Outcome = Literal["delivered", "retry", "dead"]
Standing = Mapping[str, tuple[str, int | None]]
"""Lead ► a letter a version, and when it is due."""


def content_of(form: Form, said: Mapping[str, str], page: str = "") -> Content:
    """Check what is typed as a browser would send it."""
    checked = check(form, gather(said.items()))
    assert isinstance(checked, Checked), checked
    return replace(checked.content, source=Source(page=page))


class Ledger:
    """One form's store. `now` is the time of every call."""

    def __init__(self, url: str, form: Form = FORM) -> None:
        self.now = START
        self.form = form
        self.url = url
        self.secrets = [SECRET]
        self.server = Server(connect(url), clock=lambda: self.now, secrets=(SECRET,))
        self.store = Store(self.server)
        self.base = base_of(form.name)
        self.checks_each_call = True
        self.forgets = False
        self._ids = itertools.count(1)

    def line(
        self, said: Mapping[str, str], *, at: int | None = None, key: str | None = None,
        quarantine: tuple[str, ...] = (), page: str = "", signals: Mapping[str, int] | None = None,
        once: str | None = None, campaign: str = "",
    ) -> Line:  # fmt: skip
        """Make a submission's line, as `Intake` does."""
        number, at = next(self._ids), self.now if at is None else at
        content = content_of(self.form, said, page)
        content = replace(content, source=Source(page=page, utm={"campaign": campaign} if campaign else {}))
        secret, *earlier = self.secrets
        text, what = text_hash(secret, self.form, content), facts(secret, self.form, content)
        return Line(
            id=f"submission-{number}",
            form=self.form.name,
            at=at,
            receipt=receipt_of(SECRET, self.form, key, content) if key else f"receipt-{number}",
            lead=f"lead_{number}",
            persons=person_keys(secret, self.form, content),
            facts=what,
            key=idempotency_key(secret, self.form, key, content) if key else None,
            quarantine=quarantine or None,
            signals=dict(signals or {}),
            spam_limit=self.form.spam.limit,
            same_text=(text, self.form.spam.weights["same_text"]) if text else None,
            once=once,
            earlier=tuple(under_another(other, self.form, content, key, list(what)) for other in earlier),
            day=self.store.day_of(at),
            campaign=campaign_of(secret, PLAIN, self.form, content),
            choices=choices_of(secret, self.form, content),
        )

    async def accept(self, line: Line, *, is_thanked: bool = False) -> Accepted:
        accepted = await self.store.accept(self.form, msgspec.json.encode(line), is_thanked=is_thanked)
        await self._check_call()
        return accepted

    async def post(
        self, said: Mapping[str, str] | None = None, *, at: int | None = None, key: str | None = None,
        quarantine: tuple[str, ...] = (), page: str = "", signals: Mapping[str, int] | None = None,
        once: str | None = None, **more: str,
    ) -> Accepted:  # fmt: skip
        said = {**(said or {}), **more}
        line = self.line(said, at=at, key=key, quarantine=quarantine, page=page, signals=signals, once=once)
        return await self.accept(line)

    async def claim(
        self, limit: int = 1, *, destination: str = "crm", order: Order = "oldest", takes_updates: bool = True,
        token: str | None = None, lease: int = LEASE,
    ) -> list[Claim]:  # fmt: skip
        claims = await self.store.claim(
            self.form, destination, lease=lease, limit=limit, token=token or f"token-{next(self._ids)}",
            order=order, takes_updates=takes_updates,
        )  # fmt: skip
        assert len(claims) <= limit
        await self._check_call()
        return claims

    async def claim_one(self, **named: Any) -> Claim:
        [claim] = await self.claim(1, **named)
        return claim

    async def settle(
        self, claim: Claim, result: Outcome, *, due: int = 0, is_charged: bool = True, is_refused: bool = False,
        reason: str = "", excerpt: str = "", status: int | None = None,
    ) -> Settled:  # fmt: skip
        attempt = Attempt(self.now, claim.delivery.lead.version, result, 7, status, reason, excerpt)
        settled = await self.store.settle(claim, attempt, due=due, is_charged=is_charged, is_refused=is_refused)
        await self._check_call()
        return settled

    async def replay(self, lead: str, what: Literal["dead", "any"] = "dead", *, destination: str = "crm") -> int:
        version = await self.store.replay(self.form.name, destination, lead, what=what)
        await self._check_call()
        return version

    async def counts(self) -> dict[str, int]:
        """Return the counters that are not nought."""
        kept = await self.server.client.hgetall(f"{self.base}count")
        return {str(name): int(number) for name, number in kept.items() if int(number)}

    async def states(self, lead: str, destination: str = "crm") -> str:
        """Return a letter a version, as `_states.lua` has them."""
        return (await self.record(lead, destination)).s

    async def record(self, lead: str, destination: str = "crm") -> Record:
        kept = await self.server.client.hget(f"{self.base}lead:{lead}", f"d:{destination}")
        return msgspec.json.decode(str(kept), type=Record)

    async def due(self, lead: str, destination: str = "crm") -> int | None:
        score = await self.server.client.zscore(f"{self.base}due:{destination}", lead)
        return None if score is None else int(score)

    async def dump(self) -> dict[str, tuple[int, Any]]:
        """Return all that the server holds, with its time of expiry; JSON is read, so that its order does not count.

        But not what says that a form is copied.
        """
        client = self.server.client
        keys = sorted([key async for key in client.scan_iter() if not key.endswith((":copy", ":noted"))])
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key)
            pipe.pexpiretime(key)
        told = iter(await pipe.execute())
        kinds = [(key, next(told), next(told)) for key in keys]
        for key, kind, _ in kinds:
            match kind:
                case "hash":
                    pipe.hgetall(key)
                case "zset":
                    pipe.zrange(key, 0, -1, withscores=True)
                case "set":
                    pipe.smembers(key)
                case _:
                    pipe.get(key)
        values = await pipe.execute()
        return {key: (end, _read(value)) for (key, _, end), value in zip(kinds, values, strict=True)}

    async def _check_call(self) -> None:
        if self.checks_each_call:
            await self.check()

    async def check(self) -> tuple[dict[str, int], dict[str, Standing]]:
        """Hold counters, queues and records against each other; return the counters and each destination's leads."""
        pipe = self.server.client.pipeline(transaction=False)
        pipe.hgetall(f"{self.base}count")
        pipe.zrange(f"{self.base}leads", 0, -1)
        told, leads = await pipe.execute()
        counts = {name: int(number) for name, number in told.items()}
        account = account_of(counts, dict.fromkeys(self.form.deliver), {}, self.now)
        assert account.is_whole, account
        for lead in leads:
            pipe.hgetall(f"{self.base}lead:{lead}")
        for destination in account.destinations:
            for name in ("due", "waiting", "dead"):
                pipe.zrange(f"{self.base}{name}:{destination}", 0, -1, withscores=True)
        rest = iter(await pipe.execute())
        kept = {lead: next(rest) for lead in leads}
        standings = {}
        for destination, column in account.destinations.items():
            due, waiting, dead = (dict(next(rest)) for _ in range(3))
            standing = standings[destination] = self._standing(destination, kept, due)
            letters = Counter("".join(states for states, _ in standing.values()))
            self._compare(letters, column)
            assert waiting == {
                lead: json.loads(kept[lead][f"v:{states.index('w') + 1}"])["at"]
                for lead, (states, _) in standing.items()
                if "w" in states
            }
            assert set(due) == set(waiting)
            assert set(dead) == {lead for lead, (states, _) in standing.items() if "x" in states}
        return {name: number for name, number in counts.items() if number}, standings

    def _compare(self, letters: Counter[str], column: DestinationAccount) -> None:
        """Hold the letters of all records against the counters; of what was forgotten only the counters are left."""
        stay = ("waiting", "dead") if self.forgets else LETTERS
        assert all(letters[LETTERS[name]] == getattr(column, name) for name in stay), (letters, column)
        owed = letters.total() - letters["-"]
        assert column.owed == owed or (self.forgets and column.owed > owed), (letters, column)

    def _standing(self, destination: str, kept: Mapping[str, Mapping[str, str]], due: Mapping[str, float]) -> Standing:
        records = {
            lead: msgspec.json.decode(fields[f"d:{destination}"], type=Record)
            for lead, fields in kept.items()
            if f"d:{destination}" in fields
        }
        for lead, record in records.items():
            if "w" in record.s and record.till is not None and record.till > self.now:
                assert due.get(lead) == record.till, f"{lead} is leased until then"
        return {lead: (record.s, int(due[lead]) if lead in due else None) for lead, record in records.items()}


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _read(each) for name, each in value.items()}
    if isinstance(value, str) and value.startswith(("{", "[")) and not value.endswith("\n"):
        return json.loads(value)
    return value


async def refuse_everybody(gate: Gate, reason: str = "") -> GateState:
    """Let a destination refuse different leads, so that it is paused."""
    for lead in ("lead_one", "lead_other"):
        permit = await gate.ask(1, lead)
        state = await gate.report(permit.slots[0], "refused", is_probe=False, lead=lead, reason=reason)
    return state


@asynccontextmanager
async def open_ledger(url: str, form: Form = FORM) -> AsyncIterator[Ledger]:
    """Open a ledger and close its connections again."""
    ledger = Ledger(url, form)
    try:
        yield ledger
    finally:
        await ledger.server.close()
