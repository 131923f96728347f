"""Everything goes under the first secret and the first key, and nobody notices."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from crm import Crm
from history import BRANCH, CAMPAIGNS, MAIL, RAVI, History, run_histories
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from ledger import DAY, FORM, HOUR, SECRET, Ledger, open_ledger
from moving import live
from workshop import ENVIRON, Workshop, destination, form, one_crm

from service.backup.rekey import Found, Rekeying, release
from service.backup.rekeyed import Keyring
from service.intake.counted import campaign_hash, choice_hash
from service.intake.intake import Intake
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.model.form import Form
from service.store.cipher import PLAIN, Cipher
from service.store.erasure import Eraser
from service.store.server.agreement import LEAVING, agree_on_secrets, first_since, let_go, see_secrets
from service.store.server.server import Server
from service.submission.field_match import match
from service.submission.form_data import gather
from service.submission.person import person_hash
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

ANOTHER = Secret("what only this clinic knows now")
TO = "get-in-touch"
THEN, NOW = Secret(ENVIRON["LEADS_SECRET"]), Secret("a new one that is long enough 0000000000")
KEY_THEN, KEY_NOW = bytes(32), bytes(range(32))
ASHA = {"name": "Asha Rao", "phone": "089510 47001", "message": "My back hurts.", "Favourite Colour": "deep  blue"}


class KilledError(Exception):
    """The command was killed."""


async def walk(
    server: Server, forms: dict[str, Form], keys: Keyring, *, since: int, killed_after: int | None = None
) -> Found:
    """Walk once; with `killed_after`, no further than so many leads that were written."""
    real, left = server.run, killed_after

    async def run(name: str, *words: Any, **named: Any) -> Any:
        nonlocal left
        if left is not None and name == "rekey":
            left -= 1
            if left < 0:
                raise KilledError
        return await real(name, *words, **named)

    server.run = run  # type: ignore[method-assign] # a process is killed between two of its steps
    try:
        return await Rekeying(server, keys, forms, since=since).walk(lambda *_: None, writes=True)
    finally:
        server.run = real  # type: ignore[method-assign] # as it was


def plain(ledger: Ledger) -> Keyring:
    return Keyring(ledger.secrets[0], ledger.secrets[1:], PLAIN)


# --- as if it had always been so ----------------------------------------------------------------------------------


async def comparable(ledger: Ledger) -> dict[str, Any]:
    """Return all that is kept, but for what runs out by itself or is no longer asked for."""
    kept: dict[str, Any] = await ledger.dump()
    for line in kept[f"{ledger.base}held"][1].values():
        line.pop("same_text", None)
    return {key: kept[key] for key in kept if not any(part in key for part in (":idem:", ":text:", ":erased:"))}


async def test_what_is_kept_stands_as_if_it_had_been_said_under_the_first_secret(
    ledger: Ledger, own_redis: Embedded
) -> None:
    await live(ledger, 120)
    ledger.secrets = [ANOTHER, SECRET]
    found = await walk(ledger.server, {FORM.name: FORM}, plain(ledger), since=ledger.now)
    assert found.moved > 120
    async with open_ledger(own_redis.url) as other:
        other.secrets = [ANOTHER]
        await live(other, 120)
        assert await comparable(ledger) == await comparable(other)
    again = await walk(ledger.server, {FORM.name: FORM}, plain(ledger), since=ledger.now)
    assert (again.moved, again.under_another_secret, again.lost, again.unreadable) == (0, 0, 0, 0)


async def test_an_address_stays_that_of_its_lead_while_two_secrets_are_in_use(ledger: Ledger) -> None:
    asha, ravi = (await ledger.post(email=MAIL)).lead, (await ledger.post(phone=RAVI)).lead
    ledger.secrets = [ANOTHER, SECRET]
    assert (await ledger.post(phone=RAVI, email=MAIL)).lead == ravi
    assert (await ledger.post(email=MAIL, message="Call me")).lead == asha


@pytest.mark.parametrize("is_moved", [False, True])
async def test_what_was_held_before_joins_its_person_whichever_secret_knows_them(
    ledger: Ledger, is_moved: bool
) -> None:
    line = ledger.line({"phone": RAVI, "message": "Call me"}, quarantine=("honeypot",))
    await ledger.accept(line)
    ravi = (await ledger.post(phone=RAVI)).lead
    ledger.secrets = [ANOTHER, SECRET]
    if is_moved:
        with contextlib.suppress(KilledError):  # before it comes to what is held
            await walk(ledger.server, {FORM.name: FORM}, plain(ledger), since=ledger.now, killed_after=1)
    let_in = await release(ledger.store, plain(ledger), FORM, line.id)
    assert let_in is not None
    assert (let_in.result, let_in.lead) == ("updated", ravi)


class RekeyedHistory(History):
    """A history in which the secret is changed now and then, and what is kept follows, broken off or not."""

    def __init__(self) -> None:
        super().__init__()
        self.since = self.changed = 0
        self.used = [SECRET]

    @precondition(lambda self: len(self.ledger.secrets) == 1)
    @rule()
    def the_secret_is_changed(self) -> None:
        self.changed += 1
        self.used.append(Secret(f"secret {self.changed}"))
        self.ledger.secrets = [self.used[-1], *self.ledger.secrets]
        self.since = self.earliest = self.ledger.now  # what lay in a spool until then was emptied before

    def named(self, hash_: str) -> str:
        for secret in self.used:
            campaigns = {campaign_hash(secret, FORM.name, name): name.casefold() for name in CAMPAIGNS}
            branches = {choice_hash(secret, FORM.name, "branch", name): name for name in (*BRANCH.choices, "")}
            if hash_ in campaigns | branches:
                return f"{campaigns.get(hash_)} {branches.get(hash_)}"
        return hash_

    @precondition(lambda self: len(self.ledger.secrets) > 1)
    @rule(leads=st.sampled_from([0, 1, 2, None, None, None]))
    def all_is_moved(self, leads: int | None) -> None:
        ledger = self.ledger
        forms, keys = {FORM.name: ledger.form}, plain(ledger)
        try:
            self.run(walk(ledger.server, forms, keys, since=self.since, killed_after=leads))
        except KilledError:
            return
        found = self.run(walk(ledger.server, forms, keys, since=self.since))
        assert (found.moved, found.under_another_secret, found.unreadable) == (0, 0, 0)
        rekeying = Rekeying(ledger.server, keys, {}, since=self.since)
        if not found.lost and (self.run(rekeying.repeats_until()) or 0) <= ledger.now:
            ledger.secrets = ledger.secrets[:1]


def test_whoever_is_known_stays_known_whatever_happens_between(redis_url: str) -> None:
    run_histories(RekeyedHistory, redis_url, 8, 80)


@pytest.mark.long
def test_whoever_is_known_stays_known_in_many_histories(redis_url: str) -> None:
    run_histories(RekeyedHistory, redis_url, 1_000, 80, derandomize=False)


# --- visitors and workers beside it -------------------------------------------------------------------------------


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as opened:
        yield opened


def use(shop: Workshop, cipher: Cipher, *secrets: Secret) -> None:
    """Let everything be taken under these from now on, the first first."""
    shop.use(cipher)
    shop.intake = Intake(shop.store, secrets[0], cipher=cipher, earlier=secrets[1:])


async def seen(shop: Workshop) -> Any:
    """Return all that anybody is shown of what is kept."""
    form_ = shop.config.forms[TO]
    leads = [await shop.lead(lead) for lead in await shop.store.latest(TO, 0, 1_000)]
    receipts = [each.receipt for lead in leads for each in lead.submissions]
    return (
        leads, await shop.archive.quarantined(form_), await shop.dead(),
        [await shop.archive.delivery(form_, lead.id, "crm") for lead in leads],
        [await shop.archive.find([TO], receipt) for receipt in receipts],
        await shop.server.client.hgetall(f"leads:{{{TO}}}:count"),
    )  # fmt: skip


async def traces(server: Server) -> str:
    """Return all that the server holds as one text."""
    client, held = server.client, []
    async for key in client.scan_iter():
        read: Any = {"hash": client.hgetall, "set": client.smembers, "string": client.get}.get(
            str(await client.type(key))
        )
        held.append(f"{key!r} {await read(key) if read else await client.zrange(key, 0, -1)}")
    return "\n".join(held)


async def test_nothing_that_anybody_is_shown_changes_and_the_first_key_and_secret_alone_read_it(
    redis_url: str, crm: Crm
) -> None:
    branches = 'fields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }'
    async with Workshop(redis_url, form(more=branches) + destination(crm.url)) as shop:
        await shop.submit(**ASHA)  # before there was a key
        use(shop, Cipher([KEY_THEN]), THEN)
        await shop.submit(**ASHA | {"message": "And my neck."})
        await shop.submit(name="Mail", email="mail@example.com", phone="89510 47002 or 89510 47003")
        await shop.submit(message="Nobody knows who.", branch="Bangalore")
        await shop.submit(**ASHA | {"_gotcha": "robot", "message": "spam"})
        crm.answer(422, body=b"no good")
        async with shop.worker():
            await shop.settled()
        await shop.submit(**ASHA | {"message": "And my knee."})
        shop.intake.count_arrival(shop.config.forms[TO], match(shop.config.forms[TO], gather([("Mobile", "1")])))
        await shop.intake.report_counts()
        both = Cipher([KEY_NOW, KEY_THEN])
        use(shop, both, NOW, THEN)
        before = await seen(shop)
        found = await walk(shop.server, dict(shop.config.forms), Keyring(NOW, [THEN], both), since=0)
        assert (found.moved, found.under_another_secret, found.under_another_key) == (6, 4, 4)
        use(shop, Cipher([KEY_NOW]), NOW)
        assert await seen(shop) == before
        held = await traces(shop.server)
        for type_, said in (("phone", "+918951047001"), ("phone", "+918951047003"), ("email", "mail@example.com")):
            assert person_hash(THEN, TO, type_, said) not in held
            assert len(await Eraser(shop.server).find(TO, [person_hash(NOW, TO, type_, said)])) >= 1
        assert Cipher([KEY_THEN]).seal("s", TO)[:5] not in held
        again = await shop.submit(**ASHA | {"message": "And  my knee. "})
        assert again.result == "repeated"
        assert (await shop.submit(message="Nobody knows who.", branch="Bangalore")).result == "repeated"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 60))])
async def test_killed_anywhere_while_people_write_and_leads_are_delivered(redis_url: str, crm: Crm, seed: int) -> None:
    chance = random.Random(seed)
    then, both = Cipher([KEY_THEN]), Cipher([KEY_NOW, KEY_THEN])
    async with Workshop(redis_url, one_crm(crm)) as shop:
        use(shop, then, THEN)
        people = [{"name": f"N{number}", "phone": f"89510{number:05d}"} for number in range(60)]
        leads = {each["phone"]: (await shop.submit(**each)).lead for each in people}
        use(shop, both, NOW, THEN)

        async def write() -> None:
            for each in chance.sample(people, 40):
                taken = await shop.submit(**each | {"message": f"more {chance.random()}"})
                assert (taken.result, taken.lead) == ("updated", leads[each["phone"]])

        async def move() -> Found:
            while True:
                try:
                    return await walk(
                        shop.server, dict(shop.config.forms), Keyring(NOW, [THEN], both), since=0,
                        killed_after=chance.choice([0, 1, 7, 20, 200]),
                    )  # fmt: skip
                except KilledError:
                    continue

        async with shop.worker():
            await asyncio.gather(write(), write(), move())
            assert (await move()).moved == 0
            await shop.settled()
        use(shop, Cipher([KEY_NOW]), NOW)
        for each in people:
            taken = await shop.submit(**each | {"name": each["name"].lower()})
            assert (taken.result, taken.lead) == ("updated", leads[each["phone"]])
        assert (await shop.form()).created == 60
        ids = [request.headers["webhook-id"] for request in crm.requests]
        assert len(ids) == len({*ids})


# --- what is left -------------------------------------------------------------------------------------------------


async def test_an_address_of_which_only_the_hash_is_left_is_said_and_still_found(ledger: Ledger) -> None:
    ledger.form = replace(FORM, repeat="drop")
    for number in range(3):
        await ledger.post(phone="8951047001", email=f"asha{number}@example.com")
    ledger.secrets, since = [ANOTHER, SECRET], ledger.now + 1
    ledger.now += HOUR
    await ledger.post(phone="8951047001", email="asha9@example.com")
    await ledger.post(phone="8951047002", email="ravi@example.com")
    found = await walk(ledger.server, {FORM.name: FORM}, plain(ledger), since=since)
    assert (found.lost, found.lost_last) == (1, ledger.now)
    for email in ("asha0@example.com", "asha2@example.com"):
        assert [
            len(await Eraser(ledger.server).find(FORM.name, [person_hash(secret, FORM.name, "email", email)]))
            for secret in ledger.secrets
        ] in ([1, 0], [0, 1])


async def test_a_lead_that_is_too_old_to_be_known_does_not_take_the_place_of_the_one_that_came_after(
    ledger: Ledger,
) -> None:
    await ledger.post(phone="8951047001")
    ledger.now += 31 * DAY
    ledger.secrets = [ANOTHER, SECRET]
    later = await ledger.post(phone="8951047001")
    assert later.result == "created"
    await walk(ledger.server, {FORM.name: FORM}, plain(ledger), since=ledger.now)
    assert (await ledger.post(phone="8951047001")).lead == later.lead
    await ledger.check()


async def test_a_start_with_the_first_alone_is_right_once_nothing_needs_another(ledger: Ledger) -> None:
    server = ledger.server
    await agree_on_secrets(server, [SECRET])
    await agree_on_secrets(server, [ANOTHER, SECRET])
    assert await first_since(server, [ANOTHER]) == ledger.now
    assert await first_since(server, [SECRET]) is None
    with pytest.raises(CannotStart, match="not the one"):
        await agree_on_secrets(server, [ANOTHER])
    await let_go(server, ANOTHER, await server_time_in(server, 60))
    with pytest.raises(CannotStart, match=r"known by until \S+ \S+ UTC"):
        await see_secrets(server, [ANOTHER])
    await agree_on_secrets(server, [ANOTHER, SECRET])  # Whoever is started again with both does not need both again.
    await server.client.pexpireat(LEAVING, await server_time_in(server, -1))
    await agree_on_secrets(server, [ANOTHER])


async def server_time_in(server: Server, seconds: int) -> int:
    now, _ = await server.client.time()
    return int(now + seconds) * 1_000


async def test_requests_of_before_may_be_repeated_until_the_last_of_them_runs_out(ledger: Ledger) -> None:
    await ledger.post(phone="8951047001", key="k")
    for since in (ledger.now + 1, ledger.now):  # what came at that very moment may have come before
        rekeying = Rekeying(ledger.server, plain(ledger), {}, since=since)
        assert await rekeying.repeats_until() == ledger.now + DAY
    rekeying = Rekeying(ledger.server, plain(ledger), {}, since=ledger.now - 1)
    assert await rekeying.repeats_until() is None
