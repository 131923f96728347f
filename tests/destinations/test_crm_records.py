"""A CRM's own id of a lead is kept, and what a person adds later reaches the same record."""

import json
import re
from typing import Any

import pytest
from crm import Answer, Crm, Received
from ledger import open_ledger
from moving import back_up, bring_back
from test_webhook import NOW, delivery, from_file
from workshop import ENVIRON, Workshop, form

from service.config.config import Mistakes
from service.config.read import parse
from service.destinations.outcome import Delivered, Retry
from service.destinations.rules import LONGEST_RECORD, Keep, Place, Response
from service.intake.erasure import erase_person
from service.lib.secret import Secret
from service.model.lead import Answer as Said
from service.store.cipher import Cipher
from service.store.keys import base_of
from service.submission.person import person_hash
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
TEXT = """
[destinations.crm]
type = "webhook"
url = "{url}/leads"
allow_private = true
retry = ["50ms", "50ms"]
keep = {{ json = "data.id" }}
body = {{ name = "{{fields.name}}", note = "{{fields.message}}", key = "{{webhook_id}}" }}
{more}
"""
UPDATE = '[destinations.crm.update]\nurl = "{url}/leads/{{record}}"\nmethod = "PATCH"'


class Records(Crm):
    """A CRM with records of its own: POST makes one unless it knows the key, PATCH changes it, 404: there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[int, dict[str, Any]] = {}
        self.decide = self.take

    @property
    def root(self) -> str:
        return self.url.removesuffix("/hooks/leads")

    def take(self, request: Received) -> Answer:
        said, number = request.json(), request.path.rpartition("/")[2]
        if request.method == "POST":
            known = [place for place, record in self.records.items() if record["key"] == said["key"]]
            place = known[0] if known else 17 + len(self.records)
        elif not number.isdigit() or int(number) not in self.records:
            return Answer(404, body=b'{"error": "no such record"}')
        else:
            place = int(number)
        self.records[place] = {**self.records.get(place, {}), **said}
        return Answer(200, body=json.dumps({"data": {"id": place}}).encode())


def text(crm: Records, more: str = UPDATE) -> str:
    return form() + TEXT.format(url=crm.root, more=more.format(url=crm.root))


async def test_later_words_reach_the_same_record_also_after_a_replay(redis_url: str) -> None:
    with Records() as crm:
        async with Workshop(redis_url, text(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await shop.settled()
            await shop.submit(**ASHA, message="Tuesday, please")
            await shop.settled()
            assert await shop.store.replay("get-in-touch", "crm", taken.lead, what="any") == 2
            account = await shop.settled()
            kept = await shop.lead(taken.lead)
    assert [(request.method, request.path) for request in crm.requests] == [
        ("POST", "/leads"), ("PATCH", "/leads/17"), ("PATCH", "/leads/17"),
    ]  # fmt: skip
    assert [record["note"] for record in crm.records.values()] == ["Tuesday, please"]
    assert account.delivered == 2
    assert kept.deliveries[0].record == 17


async def test_a_record_that_is_gone_is_made_anew_in_the_same_try(redis_url: str) -> None:
    with Records() as crm:
        async with Workshop(redis_url, text(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await shop.settled()
            crm.records = {99: {"key": "somebody else"}}
            await shop.submit(**ASHA, message="Tuesday, please")
            await shop.settled()
            kept = await shop.lead(taken.lead)
    assert [request.method for request in crm.requests] == ["POST", "PATCH", "POST"]
    assert len(shop.attempts) == 2
    assert kept.deliveries[0].record == 18


async def test_an_answer_that_is_lost_makes_no_second_record(redis_url: str) -> None:
    with Records() as crm:
        crm.decide = lambda request: crm.take(request) and (Answer(cut="after") if len(crm.requests) == 1 else None)
        crm.answer(200, body=b'{"data": {"id": 17}}')
        async with Workshop(redis_url, text(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await shop.settled()
            kept = await shop.lead(taken.lead)
    assert [request.method for request in crm.requests] == ["POST", "POST"]
    assert (len(crm.records), kept.deliveries[0].record) == (1, 17)


FIND = """
[destinations.crm.update]
url = "{url}/leads/{{record}}"
method = "PATCH"
[destinations.crm.find]
url = "{url}/leads?number={{id}}"
json = "0.id"
"""


class Searched(Records):
    """A CRM that makes a record for every POST, and can be asked for those of one number; it loses its first answer."""

    def take(self, request: Received) -> Answer:
        if request.method == "GET":
            number = request.path.rpartition("=")[2]
            found = [{"id": place} for place, record in self.records.items() if record["number"] == number]
            return Answer(200, body=json.dumps(found).encode())
        if request.method == "PATCH":
            return super().take(request)
        self.records[17 + len(self.records)] = request.json()
        return Answer(cut="after")


async def test_a_record_whose_answer_was_lost_is_found(redis_url: str) -> None:
    with Searched() as crm:
        lines = text(crm, FIND).replace('key = "{webhook_id}"', 'number = "{id}"')
        async with Workshop(redis_url, lines) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await shop.settled()
            await shop.submit(**ASHA, message="Tuesday, please")
            await shop.settled()
            kept = await shop.lead(taken.lead)
    assert [request.method for request in crm.requests] == ["GET", "POST", "GET", "PATCH", "PATCH"]
    assert [(place, record["note"]) for place, record in crm.records.items()] == [(17, "Tuesday, please")]
    assert kept.deliveries[0].record == 17


FOUND = """
url = "https://crm.example.com/people"
headers = { X-Lead = "{id}" }
body = { name = "{fields.name}" }
keep = { json = "id" }
find = { url = "https://crm.example.com/people?phone={phone.e164}", json = "0.id" }
update = { url = "https://crm.example.com/leads", follows = true, body = { person = "{record}" } }
"""


def said(talk: Any, *answers: Response) -> list[tuple[str, str, str]]:
    """Return what a conversation sends, and what it comes to when it gets these answers."""
    sent = [next(talk)]
    try:
        for answer in answers:
            sent.append(talk.send(answer))  # noqa: PERF401  the last one raises, and what was sent is wanted
    except StopIteration as end:
        requests = [(request.method, str(request.url), request.content.decode()) for request in sent]
        return [*requests, (type(end.value).__name__, str(getattr(end.value, "record", end.value)), "")]
    raise AssertionError(sent)


LOOK = ("GET", "https://crm.example.com/people?phone=%2B918951047001", "")
LEAD = ("POST", "https://crm.example.com/leads", '{"person":17}')


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (
            ["[]", '{"id": 17}', '{"id": 90}'],
            [LOOK, ("POST", "https://crm.example.com/people", '{"name":"Asha Rao"}'), LEAD, ("Delivered", "17", "")],
        ),
        (['[{"id": 17}]', '{"id": 90}'], [LOOK, LEAD, ("Delivered", "17", "")]),
    ],
)
def test_what_follows_is_sent_for_a_record_that_was_made_or_found(answers: list[str], expected: list[Any]) -> None:
    talk = from_file(FOUND).conversation(delivery(), lambda: NOW)
    assert said(talk, *(Response(200, {}, answer) for answer in answers)) == expected


def test_a_record_that_is_found_and_still_gone_is_told_and_not_made_again() -> None:
    webhook = from_file(FOUND + 'rules = [{ status = 403, means = "gone" }]')
    found, gone = Response(200, {}, '[{"id": 17}]'), Response(403, {}, "")
    talk = webhook.conversation(delivery(), lambda: NOW)
    sent = said(talk, found, gone, found, gone)
    assert [method for method, *_ in sent] == ["GET", "POST", "GET", "POST", "Retry"]
    assert (sent[1], sent[3]) == (LEAD, LEAD)


@pytest.mark.parametrize(("status", "scope"), [(400, "setup"), (401, "setup"), (429, "load"), (500, "delivery")])
def test_an_answer_that_finds_nothing_for_a_fault_sends_nothing(status: int, scope: str) -> None:
    talk: Any = from_file(FOUND).conversation(delivery(), lambda: NOW)
    assert next(talk).headers["X-Lead"] == "lead_7"
    with pytest.raises(StopIteration) as end:
        talk.send(Response(status, {}, ""))
    assert isinstance(end.value.value, Retry)
    assert end.value.value.scope == scope


def test_without_what_it_is_looked_for_by_a_record_is_made() -> None:
    webhook = from_file(FOUND)
    talk: Any = webhook.conversation(delivery({"name": Said("Asha Rao")}), lambda: NOW)
    assert (next(talk).method, str(webhook.url[0])) == ("POST", "https://crm.example.com/people")
    assert "Its record is looked for before that." in webhook.preview(delivery(), NOW)


async def test_the_id_is_kept_sealed(redis_url: str) -> None:
    with Records() as crm:
        async with Workshop(redis_url, text(crm)) as shop:
            shop.use(Cipher((b"k" * 32,)))
            async with shop.worker():
                taken = await shop.submit(**ASHA)
                await shop.settled()
                key = f"{base_of('get-in-touch')}lead:{taken.lead}"
                kept = json.loads(str(await shop.server.client.hget(key, "d:crm")))
                await shop.submit(**ASHA, message="Tuesday, please")
                await shop.settled()
    assert re.fullmatch(r"e[\w=-]{40,}", kept["id"])
    assert [request.path for request in crm.requests] == ["/leads", "/leads/17"]


@pytest.mark.parametrize(
    ("place", "path", "headers", "said", "expected"),
    [
        ("json", "data.id", {}, '{"data": {"id": 17}}', 17),
        ("json", "id", {}, '{"id": "00Q5g"}', "00Q5g"),
        ("json", "0", {}, "[5]", 5),
        ("json", "id", {}, '{"id": true}', None),
        ("json", "id", {}, '{"id": {"a": 1}}', None),
        ("json", "id", {}, '{"id": " "}', None),
        ("json", "id", {}, f'{{"id": "{"x" * LONGEST_RECORD}"}}', "x" * LONGEST_RECORD),
        ("json", "id", {}, f'{{"id": "{"x" * (LONGEST_RECORD + 1)}"}}', None),
        ("json", "id", {}, '{"id": "a\\u0000b"}', None),
        ("json", "id", {}, "<html>", None),
        ("header", "X-Id", {"x-id": "7"}, "", "7"),
        ("location", "True", {"Location": "https://crm.example.com/leads/a%2Fb/?x=1"}, "", "a/b"),
        ("location", "True", {"Location": "/"}, "", None),
        ("location", "True", {}, "", None),
        ("location", "True", {"Location": "https://[a/b"}, "", None),
    ],
)  # fmt: skip
def test_an_id_is_a_short_text_or_a_number(
    place: Place, path: str, headers: dict[str, str], said: str, expected: str | int | None
) -> None:
    assert Keep(place, path).found(Response(201, headers, said)) == expected


def test_a_rule_may_say_that_a_record_is_gone() -> None:
    webhook = from_file(
        'url = "https://crm.example.com/add"\nupdate = { url = "https://crm.example.com/set" }\n'
        'keep = { json = "id" }\nbody = { id = "{record}", name = "{fields.name}" }\n'
        'rules = [{ json = "error", is = "NOT_FOUND", means = "gone" }]'
    )
    talk: Any = webhook.conversation(delivery(record=17), lambda: NOW)
    request = next(talk)
    assert (str(request.url), json.loads(request.content)["id"]) == ("https://crm.example.com/set", 17)
    request = talk.send(Response(400, {}, '{"error": "NOT_FOUND"}'))
    assert (str(request.url), json.loads(request.content)) == ("https://crm.example.com/add", {"name": "Asha Rao"})
    with pytest.raises(StopIteration) as end:
        talk.send(Response(400, {}, '{"error": "NOT_FOUND"}'))
    assert isinstance(end.value.value, Retry)
    assert end.value.value.scope == "setup"


def test_what_is_looked_at_is_what_would_be_sent() -> None:
    webhook = from_file(
        'keep = { header = "X-Id" }\nupdate = { method = "PUT", url = "https://crm.example.com/{record}" }\n'
        'url = "https://crm.example.com"'
    )
    assert webhook.preview(delivery(record="a b"), NOW).startswith("PUT https://crm.example.com/a%20b\n")
    assert webhook.preview(delivery(), NOW).startswith("POST https://crm.example.com\n")
    assert webhook.judge(Response(201, {"X-Id": "7"}, ""), NOW) == Delivered(201, record="7")


def test_repeat_as_new_sends_each_version_as_a_lead_of_its_own() -> None:
    webhook = from_file('updates = false\nrepeat_as = "new"\nbody = { type = "{type}", new = "{changed}" }')
    assert webhook.updates
    talk: Any = webhook.conversation(delivery(), lambda: NOW)
    assert json.loads(next(talk).content) == {"type": "lead.created", "new": []}
    assert not [key for key, _ in webhook.remarks() if key == "updates"]


@pytest.mark.parametrize(
    ("lines", "is_told"),
    [
        ('body = { key = "{id}" }\nrepeat_as = "new"', True),
        ('body = { key = "{id}" }\ndelivered = [409]', True),
        ('body = { key = "{id}" }\ndelivered = [409]\nupdates = false', False),
        ('body = { key = "{id}" }\ndelivered = [409]\nkeep = { json = "id" }\nupdate = { method = "PUT" }', False),
        ('body = { key = "{webhook_id}", lead = "{id}" }\nrepeat_as = "new"', False),
        ('body = { key = "{id}" }', False),
    ],
)
def test_an_id_that_stays_where_repeats_are_dropped_is_told(lines: str, *, is_told: bool) -> None:
    assert ("body" in dict(from_file(lines).remarks())) is is_told


def test_that_later_words_reach_nobody_is_told() -> None:
    remarks = dict(from_file("updates = false").remarks())
    assert remarks["updates"].startswith("is false: what a person adds later reaches nobody there.")


@pytest.mark.parametrize(
    ("lines", "path", "why"),
    [
        ('body = { id = "{record}" }', "body.id", "nothing is kept here"),
        ('update = { method = "PUT" }', "update", "needs `keep`"),
        ("keep = {}", "keep", "must look at one of"),
        ('keep = { json = "id", header = "X" }', "keep", "must look at one of"),
        ("keep = { json = true }", "keep.json", "must be a text"),
        ('keep = { location = "x" }', "keep.location", "must be `true`"),
        ('keep = { json = "id" }\nheaders = { X-Id = "{record}" }', "headers.X-Id", "needs `{record}`"),
        ('keep = { json = "id" }\nupdate = { url = "{record}" }', "update.url", "must be an address"),
        ('keep = { json = "id" }\nupdate = { retry = [] }', "update.retry", "is not known here"),
        ('keep = { json = "id" }\nupdate = { follows = 1 }', "update.follows", "must be true or false"),
        ('find = { url = "https://crm.example.com", json = "id" }', "find", "needs `update`"),
        ('keep = { json = "id" }\nupdate = {}\nfind = { json = "id" }', "find.url", "the address that takes the leads"),
        ('keep = { json = "id" }\nupdate = {}\nfind = { url = "https://a.example" }', "find", "must look at one of"),
        ('repeat_as = "old"', "repeat_as", "is not allowed here"),
    ],
)
def test_what_cannot_be_is_a_mistake(lines: str, path: str, why: str) -> None:
    text = (
        f'[forms.a]\ndeliver = ["crm"]\n[destinations.crm]\ntype = "webhook"\nurl = "https://crm.example.com"\n{lines}'
    )
    found = parse(text, {}, lambda _: "")
    assert isinstance(found, Mistakes)
    assert [item.path for item in found.items if why in item.message] == [f"destinations.crm.{path}"], found.items


class Lettered(Records):
    """A CRM whose ids are texts that stand nowhere else."""

    def take(self, request: Received) -> Answer:
        number, said = request.path.rpartition("/")[2], request.json()
        self.records[17] = {**self.records.get(17, {}), **said, "path": number}
        return Answer(body=b'{"data": {"id": "rec-9f31c7"}}')


@pytest.mark.parametrize("has_own_words", [True, False])
async def test_the_id_comes_back_with_a_backup_and_goes_with_its_person(
    redis_url: str, own_redis: Embedded, *, has_own_words: bool
) -> None:
    with Lettered() as crm:
        lines = text(crm) if has_own_words else re.sub(r"\nbody = .*", "", text(crm))
        async with Workshop(redis_url, lines) as shop:
            async with shop.worker():
                await shop.submit(**ASHA)
                await shop.settled()
            file = await back_up(shop.server)
        async with Workshop(own_redis.url, lines) as shop:
            await bring_back(file, shop.server)
            async with shop.worker():
                taken = await shop.submit(**ASHA, message="Tuesday, please")
                await shop.settled()
                assert (await shop.lead(taken.lead)).deliveries[0].record == "rec-9f31c7"
                async with open_ledger(own_redis.url) as ledger:
                    assert "9f31c7" in str(await ledger.dump())
                hashes = [person_hash(Secret(ENVIRON["LEADS_SECRET"]), "get-in-touch", "phone", "+918951047001")]
                await erase_person(shop.store, shop.config, {"get-in-touch": hashes}, None)
                await shop.settled()
        async with open_ledger(own_redis.url) as ledger:
            assert "9f31c7" not in str(await ledger.dump())
    paths = [(request.method, request.path) for request in crm.requests]
    told = [("PATCH", "/leads/rec-9f31c7")]
    assert paths == [("POST", "/leads"), *told, *([] if has_own_words else told)]
