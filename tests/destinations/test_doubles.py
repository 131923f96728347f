"""Every destination by name against a double of it, by HTTP, with the real worker: right records, right account.

The double answers as its CRM does (`test_presets.CASES`), and keeps records as that does: it finds the person, says
that it has that already, or makes one more.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import pytest
from crm import Answer, Crm, Received
from test_presets import CASES, FORM, read
from workshop import Hands, Workshop, until

from service.config.config import Config
from service.destinations.presets import PRESETS
from service.destinations.webhook import Webhook

pytestmark = pytest.mark.anyio

FINDS = {
    "leadsquared", "telecrm", "hubspot", "salesforce-api", "zoho", "freshsales", "selldo", "airtable",
    "meta-conversions",
}  # fmt: skip
"""Which find the person, or the id, and change that record. All others make one more, or say that they have it."""
MADE, LOST, INVALID, SLOW, KNOWN, LATE, LATER = range(1, 8)
PEOPLE = {f"895104700{number}": number for number in range(1, 8)}
HASHED = {hashlib.sha256(f"91{phone}".encode()).hexdigest(): number for phone, number in PEOPLE.items()}
QUICK = 'retry = ["20ms", "20ms", "20ms"]\nallow_private = true\nrate = "1000/s"\ntimeout = "5s"'


def answers(name: str) -> dict[str, Answer]:
    """Return how a CRM answers: made, known, Rejected, load, setup; what it cannot say is not there."""
    found: dict[str, Answer] = {}
    for case, status, said, headers, expected in CASES:
        if case == name:
            meaning = expected if expected != "Delivered" else "known" if status >= 400 else "made"
            body = said if isinstance(said, str) else json.dumps(said)
            kept = {key: value for key, value in headers.items() if key != "Retry-After"}
            found.setdefault(meaning, Answer(status, kept, body.encode()))
    return found


class Vendor(Crm):
    """One of them. `records` are by their id, with who they are of, `made` with the request; `is_wrong`: we are."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.answers = name, answers(name)
        self.records: dict[str, int] = {}
        self.made: dict[str, str] = {}
        self.is_wrong = False
        self.decide = lambda request: (self._found if request.method == "GET" and not self.is_wrong else self.take)(
            request
        )
        self.webhook: Webhook
        self.token = 0

    def take(self, request: Received) -> Answer:
        if request.path.endswith(("/oauth/v2/token", "/oauth2/token")):
            self.token += 1
            return Answer(body=json.dumps({"access_token": f"t0ken-{self.token}", "expires_in": 3600}).encode())
        person, before = who(request), [who(other) for other in self.requests[:-1] if other.method != "GET"]
        if self.is_wrong:
            return self.answers.get("setup", Answer(404))
        if person == INVALID and "Rejected" in self.answers:
            return self.answers["Rejected"]
        if person == SLOW and person not in before and "load" in self.answers:
            return self.answers["load"]
        if person == KNOWN and "known" in self.answers:
            return self.answers["known"]
        answer = self._record(request, person)
        return Answer(cut="after") if person == LOST and person not in before else answer

    def _record(self, request: Received, person: int) -> Answer:
        named = re.search(r"7770\d\d", said(request))
        known = [place for place, owner in self.records.items() if owner == person]
        if named:
            assert person in {0, self.records[named[0]]}, "another person's record is changed"
            return self._made(named[0])
        if known and self.name not in FINDS and "known" in self.answers:
            return self.answers["known"]
        place = known[0] if known and self.name in FINDS else f"7770{len(self.records):02}"
        self.records[place], self.made[place] = person, said(request)
        return self._made(place)

    def _found(self, request: Received) -> Answer:
        """Return the record of the lead, or of the number, that is asked for."""
        assert self.webhook.find
        assert self.webhook.find.keep
        (mark,) = re.findall(r"lead_\w+|8951\d+", said(request).partition(" ")[0].replace("lead_id", ""))
        places = [place for place, text in self.made.items() if mark in text]
        first, *steps = reversed(self.webhook.find.keep.path.split("."))
        tree: Any = {first: int(places[0])} if places else None
        for step in steps:
            tree = ([tree] if tree else []) if step == "0" else {step: tree}
        return Answer(body=json.dumps(tree).encode())

    def _made(self, place: str) -> Answer:
        """Return that it has it, with the id of the record where that is kept."""
        made = self.answers["made"]
        if self.webhook.keep is None:
            return made
        node = tree = json.loads(made.body)
        *steps, last = (int(step) if step.isdigit() else step for step in self.webhook.keep.path.split("."))
        for step in steps:
            node = node[step]
        node[last] = type(node[last])(place)
        return replace(made, body=json.dumps(tree).encode())


def said(request: Received) -> str:
    """Return all that a request says."""
    return unquote_plus(f"{request.path} {request.headers} {request.body.decode()}")


def who(request: Received) -> int:
    """Return whom a request is about, 0: nobody."""
    text = said(request).replace(" ", "")  # a number may be written as people read it
    return next((number for mark, number in (PEOPLE | HASHED).items() if mark in text), 0)


def on_loopback(vendor: Vendor, webhook: Webhook) -> Webhook:
    """Return the destination as it is, but that its hosts are folders of the double."""
    root = vendor.url.removesuffix("/hooks/leads")

    def moved(url: Any) -> Any:
        first, *rest = url
        return (first.replace("https://", f"{root}/", 1) if isinstance(first, str) else first, *rest)

    update = webhook.update and replace(webhook.update, url=moved(webhook.update.url))
    find = webhook.find and replace(webhook.find, url=moved(webhook.find.url))
    oauth = webhook.oauth and replace(webhook.oauth, url=moved((webhook.oauth.url,))[0])
    return replace(webhook, url=moved(webhook.url), update=update, find=find, oauth=oauth)


class Shop(Workshop):
    """A workshop whose CRM is the double."""

    def __init__(self, redis_url: str, vendor: Vendor, secrets: Mapping[str, str]) -> None:
        self.hands = Hands()
        super().__init__(
            redis_url, FORM + '[destinations.crm]\ntype = "webhook"\nurl = "https://unused.example"', now=self.hands
        )
        config = read(vendor.name, QUICK, secrets=secrets)
        assert isinstance(config, Config), config
        webhook = config.destinations["crm"]
        assert isinstance(webhook, Webhook)
        vendor.webhook = on_loopback(vendor, webhook)
        self.config = replace(config, destinations={"crm": vendor.webhook}, again=None)

    async def send(self, person: int, **more: str) -> None:
        phone = next(phone for phone, number in PEOPLE.items() if number == person)
        await self.submit(name="Asha Rao", phone=phone, email=f"asha{person}@example.com", **more)


def secrets_of(name: str, root: str) -> dict[str, str]:
    preset = PRESETS[name]
    return {
        setting.example.removeprefix("$"): f"{root}/{name}" if key == "url" else f"s3cret-of-{key}"
        for key, setting in preset.settings.items()
        if setting.is_secret
    }


@pytest.mark.parametrize("name", PRESETS)
async def test_a_double_has_what_was_delivered_and_nothing_is_delivered_that_it_has_not(
    redis_url: str, name: str
) -> None:
    with Vendor(name) as vendor:
        secrets = secrets_of(name, vendor.url.removesuffix("/hooks/leads"))
        async with Shop(redis_url, vendor, secrets) as shop, shop.worker():
            for person in (MADE, LOST, INVALID, SLOW, KNOWN):
                await shop.send(person)
            await shop.settled()
            await shop.send(MADE, message="Tuesday, please")
            account = await shop.settled()
            asked = [who(request) for request in vendor.requests if request.method != "GET"]
            vendor.is_wrong, shop.hands.ahead = True, 61_000  # Lately others were delivered; that is to be over.
            await shop.send(LATE)
            await shop.send(LATER)
            await until(lambda: shop.events("destination paused"))
            at_last = await shop.account()
    refuses = "Rejected" in vendor.answers
    assert (account.dead, account.waiting) == (refuses, 0)
    updates = vendor.webhook.updates
    assert account.delivered == 5 - refuses + updates
    assert (at_last.delivered, at_last.dead, at_last.waiting) == (account.delivered, account.dead, 2)

    records = [*vendor.records.values()]
    finds = name in FINDS or "known" in vendor.answers or vendor.webhook.find is not None
    changes = name in FINDS or vendor.webhook.update is not None or ("known" in vendor.answers)
    assert records.count(MADE) == (1 if changes or not updates else 2)
    assert records.count(LOST) == (1 if finds else 2)
    assert (records.count(INVALID), records.count(SLOW)) == (not refuses, 1)
    told = (asked.count(MADE), asked.count(LOST), asked.count(SLOW))
    if vendor.webhook.update is None or not vendor.webhook.update.follows:  # What follows names no number.
        assert told == (1 + updates, 2, 1 + ("load" in vendor.answers))

    everything = "\n".join(said(request) for request in vendor.requests)
    for key, setting in PRESETS[name].settings.items():
        value = secrets[setting.example.removeprefix("$")] if setting.is_secret else setting.example
        assert urlsplit(value).path.strip("/") in everything, key


async def test_a_token_of_zoho_that_ran_out_is_replaced_in_the_same_try(redis_url: str) -> None:
    with Vendor("zoho") as vendor:
        vendor.decide = lambda request: (
            Answer(401, body=b'{"code": "INVALID_TOKEN", "status": "error"}')
            if "t0ken-1" in said(request) and len(vendor.records) == 1
            else vendor.take(request)
        )
        async with Shop(redis_url, vendor, secrets_of("zoho", "")) as shop, shop.worker():
            await shop.send(MADE)
            await shop.settled()
            await shop.send(SLOW)
            account = await shop.settled()
    assert (account.delivered, vendor.token, len(vendor.records)) == (2, 2, 2)
