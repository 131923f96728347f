"""Random histories of one form, told to the store and to a plain model, which must always say the same."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger import DAY, FORM, HOUR, LEASE, MINUTE, SECOND, START, Ledger
from redis import Redis
from store_model import Model, Queue, names_of

from service.backup.rekey import release
from service.backup.rekeyed import Keyring
from service.lib.rate import Rate
from service.model.form import Field, Limits
from service.store.cipher import PLAIN
from service.store.erasure import Eraser
from service.store.records import Accepted, Claim, Line
from service.submission.person import person_hash

DESTINATIONS = ("crm", "erp")
TAKES_UPDATES = {"crm": True, "erp": False}
ASHA, RAVI, MAIL = "89510 47001", "89510 47002", "asha@example.com"
SAID: list[dict[str, str]] = [
    {"phone": ASHA},
    {"phone": ASHA, "message": "call me"},
    {"phone": ASHA, "message": "come by"},
    {"phone": ASHA, "colour": "red"},
    {"phone": ASHA, "email": MAIL},
    {"email": MAIL},
    {"email": MAIL, "message": "call me"},
    {"phone": RAVI, "email": MAIL},
    {"phone": RAVI, "branch": "North"},
    {"phone": ASHA, "branch": "South"},
]
CAMPAIGNS = ["", "", "Spring", "SPRING", "autumn", "asha@example.com"]
BRANCH = Field("branch", "choice", choices=("North",), other=True)
E164 = {ASHA: "+918951047001", RAVI: "+918951047002"}
RATE = Rate(1, HOUR)
RETENTION = 40 * DAY
ERASED: list[dict[str, str]] = [{"phone": ASHA}, {"email": MAIL}, {"phone": RAVI}, {"phone": ASHA, "email": MAIL}]


class History(RuleBasedStateMachine):
    """One form with two destinations, a few people and a few words."""

    url: ClassVar[str]
    earliest = START
    """Nothing that was received before this comes late."""

    def __init__(self) -> None:
        super().__init__()
        with Redis.from_url(self.url) as redis:
            redis.flushdb()
        self.runner = asyncio.Runner()
        self.ledger = Ledger(self.url, replace(FORM, deliver=DESTINATIONS, fields={**FORM.fields, "branch": BRANCH}))
        self.ledger.checks_each_call = False
        self.model = Model(FORM.window, FORM.quiet, DESTINATIONS)
        self.lines: list[tuple[Line, dict[str, Any], dict[str, Any]]] = []
        self.claims: list[Claim] = []
        self.counted: Counter[tuple[str, int, str]] = Counter()
        self.arrived: set[tuple[str, int, str]] = set()

    def teardown(self) -> None:
        self.run(self.compare_days())
        self.runner.run(self.ledger.server.close())
        self.runner.close()

    def run(self, call: Any) -> Any:
        return self.runner.run(call)

    @rule(by=st.sampled_from([SECOND, *[LEASE] * 4, *[10 * MINUTE] * 3, 2 * HOUR, 2 * HOUR, 25 * HOUR, 31 * DAY]))
    def time_passes(self, by: int) -> None:
        self.ledger.now += by

    @rule(
        said=st.sampled_from(SAID),
        late=st.sampled_from([0, 0, 5 * MINUTE, 3 * HOUR]),
        key=st.sampled_from([None, None, None, "k"]),
        is_spam=st.sampled_from([False, False, False, False, True]),
        drops=st.sampled_from([False, False, False, True]),
        is_limited=st.sampled_from([True, True, False]),
        campaign=st.sampled_from(CAMPAIGNS),
    )
    def somebody_writes(
        self, *, said: dict[str, str], late: int, key: str | None, is_spam: bool, drops: bool, is_limited: bool,
        campaign: str,
    ) -> None:  # fmt: skip
        line = self.ledger.line(
            said, at=max(self.earliest, self.ledger.now - late), key=key, quarantine=("honeypot",) if is_spam else (),
            campaign=campaign,
        )  # fmt: skip
        policy = {"drops": drops, "rate": RATE if is_limited else None}
        self.lines.append((line, {"said": said, "at": line.at, "key": key, "is_spam": is_spam}, policy))
        self.accept(len(self.lines) - 1)

    @precondition(lambda self: self.lines)
    @rule(which=st.integers(0, 1_000))
    def a_line_comes_again(self, which: int) -> None:
        before = self.run(self.ledger.dump())
        self.accept(which % len(self.lines))
        assert self.run(self.ledger.dump()) == before

    def accept(self, which: int) -> None:
        line, model, policy = self.lines[which]
        self.follow(**policy)
        is_first = line.id not in self.model.seen
        accepted = self.run(self.ledger.accept(line))
        expected = self.model.accept(line.id, line.lead, now=self.ledger.now, **model, **policy)
        assert accepted == Accepted(expected[0], *expected[1:], line.receipt)  # type: ignore[arg-type] # three words
        if is_first:
            self.count(line, expected[0])

    def count(self, line: Line, result: str) -> None:
        """Count what came to a result as the days are expected to."""
        day = line.at // DAY
        if result in {"created", "updated"}:
            self.counted["campaigns", day, self.named(line.campaign[0]) if line.campaign else "-"] += 1
            self.counted.update(("choices", day, self.named(choice)) for choice in line.choices)

    def named(self, hash_: str) -> str:
        """Return what stands for that which is counted under a hash."""
        return hash_

    def follow(self, *, drops: bool = False, rate: Rate | None = None) -> None:
        self.ledger.form = replace(self.ledger.form, repeat="drop" if drops else "update", limits=Limits(person=rate))

    @precondition(lambda self: self.lines)
    @rule(
        what=st.sampled_from(["release", "promote", "promote", "erase", "expire", "expire"]),
        which=st.integers(0, 1_000),
        by=st.sampled_from([0, 0, HOUR, HOUR, RETENTION]),
        is_limited=st.booleans(),
    )
    def somebody_looks_after_what_is_kept(self, what: str, which: int, by: int, is_limited: bool) -> None:
        self.ledger.now += by
        match what:
            case "release":
                self.release(which)
            case "promote":
                self.promote(RATE if is_limited else None)
            case "erase":
                self.erase(ERASED[which % len(ERASED)], ("crm",) if which % 3 else ())
            case _:
                self.expire()

    def release(self, which: int) -> None:
        """Release one that is in quarantine, or was."""
        spam = [each for each in self.lines if each[1]["is_spam"]]
        if not spam:
            return
        line, model, policy = spam[which % len(spam)]
        self.follow(**policy)
        known = {name: value for name, value in model.items() if name != "is_spam"}
        for _ in range(2):
            expected = self.model.release(line.id, line.lead, now=self.ledger.now, **known, **policy)
            released = self.run(self.released(line.id))
            assert released == (expected and Accepted(expected[0], *expected[1:], line.receipt))  # type: ignore[arg-type] # the same
            if expected:
                self.count(line, expected[0])

    async def released(self, submission: str) -> Accepted | None:
        """Let one in as the commands do."""
        secret, *earlier = self.ledger.secrets
        return await release(self.ledger.store, Keyring(secret, earlier, PLAIN), self.ledger.form, submission)

    def promote(self, rate: Rate | None) -> None:
        self.follow(rate=rate)
        expected = self.model.promote(rate, self.ledger.now)
        promoted = self.run(self.ledger.store.promote(self.ledger.form))
        assert [(each.lead, each.version) for each in promoted] == expected
        self.is_done(lambda: self.ledger.store.promote(self.ledger.form))

    def erase(self, who: dict[str, str], understands: tuple[str, ...]) -> None:
        hashes = [
            person_hash(secret, FORM.name, kind, E164.get(value, value))
            for secret in self.ledger.secrets
            for kind, value in who.items()
        ]
        self.ledger.forgets = True
        leads, dropped = self.model.erase(names_of(who), understands, self.ledger.now)
        eraser = Eraser(self.ledger.server)
        erased = self.run(eraser.erase(FORM.name, hashes, understands))
        assert ({each.lead for each in erased.leads}, erased.quarantined) == (leads, dropped)
        self.is_done(lambda: eraser.erase(FORM.name, hashes, understands))

    def expire(self) -> None:
        self.ledger.forgets = True
        before = self.ledger.now - RETENTION
        leads, dropped = self.model.expire(before, self.ledger.now)
        eraser = Eraser(self.ledger.server)
        expired = self.run(eraser.expire(FORM.name, before))
        assert (expired.leads, expired.quarantined) == (leads, dropped)
        self.is_done(lambda: eraser.expire(FORM.name, before))

    def is_done(self, again: Any) -> None:
        """See that a second run changes nothing."""
        before = self.run(self.ledger.dump())
        self.run(again())
        after = self.run(self.ledger.dump())
        assert {key: value for key, (_, value) in after.items()} == {key: value for key, (_, value) in before.items()}

    @rule(
        destination=st.sampled_from(["crm", "crm", "erp"]),
        limit=st.integers(1, 3),
        order=st.sampled_from(["oldest", "oldest", "newest", "probe"]),
        is_late=st.booleans(),
    )
    def a_worker_claims(self, destination: str, limit: int, order: Any, is_late: bool) -> None:
        self.ledger.now += LEASE if is_late else 0
        limit, now = 1 if order == "probe" else limit, self.ledger.now
        updates = TAKES_UPDATES[destination]
        claims = self.run(self.ledger.claim(limit, destination=destination, order=order, takes_updates=updates))
        token = claims[0].token if claims else ""
        expected = self.model.claim(
            destination, order, limit, now=now, till=now + LEASE, token=token, takes_updates=updates
        )
        assert [each.delivery.lead.id for each in claims] == [lead for lead, _, _ in expected]
        for claim, (_, queue, version) in zip(claims, expected, strict=True):
            self.check_claim(claim, queue, version)
        self.claims += claims

    def check_claim(self, claim: Claim, queue: Queue, version: int) -> None:
        lead = claim.delivery.lead
        assert (lead.version, claim.tries) == (version, queue.tries)
        versions = self.model.people[lead.id].versions
        if self.model.people[lead.id].is_erased:
            assert (claim.delivery.type, claim.delivery.changed) == ("lead.erased", ())
            return
        before = versions[queue.before[version] - 1] if queue.before[version] else None
        assert claim.delivery.type == ("lead.created" if before is None else "lead.updated")
        news = [
            name for name, value in versions[version - 1].items() if before is not None and before.get(name) != value
        ]
        assert claim.delivery.changed == tuple(sorted("extra.colour" if each == "colour" else each for each in news))

    @precondition(lambda self: self.claims)
    @rule(
        which=st.integers(0, 1_000),
        result=st.sampled_from(["delivered", "retry", "dead"]),
        wait=st.sampled_from([5 * SECOND, 2 * HOUR]),
        is_twice=st.booleans(),
    )
    def a_worker_settles(self, which: int, result: Any, wait: int, is_twice: bool) -> None:
        self.settle(self.claims[-1 - which % min(4, len(self.claims))], result, wait, is_twice=is_twice)

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 1_000))
    def an_old_holder_reports_a_success_while_a_new_one_is_at_work(self, which: int) -> None:
        old = self.claims[-1 - which % min(4, len(self.claims))]
        self.a_worker_claims(old.destination, 3, "oldest", is_late=True)
        self.settle(old, "delivered", 0, is_twice=False)

    def settle(self, claim: Claim, result: Any, wait: int, *, is_twice: bool) -> None:
        due, lead = self.ledger.now + wait, claim.delivery.lead
        place = (lead.id, lead.version, claim.destination)
        expected = self.model.settle(
            lead.id, claim.destination, claim.token, lead.version, result, now=self.ledger.now, due=due
        )
        assert self.run(self.ledger.settle(claim, result, due=due)) == expected
        if (result, expected) == ("delivered", "settled") and claim.delivery.type != "lead.erased":
            self.counted["took", lead.received_at // DAY, ""] += place not in self.arrived
            self.arrived.add(place)
        if is_twice:
            before = self.run(self.ledger.dump())
            assert self.run(self.ledger.settle(claim, result, due=due)) in {"known", "lost", "gone"}
            assert self.run(self.ledger.dump()) == before

    @precondition(lambda self: self.model.people)
    @rule(
        which=st.integers(0, 1_000),
        destination=st.sampled_from(DESTINATIONS),
        what=st.sampled_from(["dead", "any"]),
        is_twice=st.booleans(),
    )
    def somebody_replays(self, which: int, destination: str, what: Any, is_twice: bool) -> None:
        leads = list(self.model.people)
        lead = leads[which % len(leads)]
        for _ in range(1 + is_twice):
            expected = self.model.replay(lead, destination, only_dead=what == "dead", now=self.ledger.now)
            assert self.run(self.ledger.replay(lead, what, destination=destination)) == expected

    @invariant()
    def both_say_the_same(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        counts, standings = await self.ledger.check()
        assert counts == {name: number for name, number in self.model.account().items() if number}
        for destination in DESTINATIONS:
            assert standings.get(destination, {}) == {
                lead: ("".join(queue.states), queue.due if queue.last("w") else None)
                for lead, queue in self.model.queues(destination).items()
            }
        people = self.model.people
        deferred: Any = await self.ledger.server.client.zrange(f"{self.ledger.base}deferred", 0, -1, withscores=True)
        assert dict(deferred) == {lead: each.deferred for lead, each in people.items() if each.deferred is not None}
        index = await self.ledger.server.client.hgetall(f"{self.ledger.base}index")
        assert {each for line in index.values() for each in line.split()} == {
            *(lead for lead, each in people.items() if not each.is_erased),
            *(f"?{each}" for each in self.model.held),
        }

    async def compare_days(self) -> None:
        """See that all days together are the account, and each of them what came on it."""
        client, base = self.ledger.server.client, self.ledger.base
        account, found = Counter[str](), Counter[tuple[str, int, str]]()
        async for key in client.scan_iter(f"{base}day:*"):
            day, _, kind = str(key).removeprefix(f"{base}day:").partition(":")
            kept = {str(name): number for name, number in (await client.hgetall(key)).items()}
            for name, number in kept.items():
                if kind in {"campaigns", "choices"} and name[0] not in "=#":
                    found[kind, int(day), self.named(name)] += int(number)
                elif kind == "took":
                    found[kind, int(day), ""] += int(number)
                elif not kind:
                    account[name.split(":")[1]] += int(number)
        assert +account == +Counter({name: number for name, number in self.model.counts.items() if ":" not in name})
        assert found == +self.counted


def run_histories(kind: type[History], url: str, number: int, steps: int, **named: Any) -> None:
    """Run so many random histories on the server at `url`."""
    here = type("Here", (kind,), {"url": url})
    run_state_machine_as_test(
        here, settings=settings(max_examples=number, stateful_step_count=steps, deadline=None, **named)
    )
