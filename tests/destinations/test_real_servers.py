"""Directus and NocoDB themselves, by name, with the real worker: right records there, right account here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from node_servers import running
from test_presets import FORM
from workshop import Workshop

from service.config.config import Config
from service.config.read import parse
from service.delivery.attempt import attempt
from service.delivery.sender import Sender
from service.destinations.outcome import Outcome, Retry
from service.destinations.sample import sample_delivery
from service.destinations.template import Pattern
from service.destinations.webhook import Webhook
from service.process.wiring import clock

pytestmark = [pytest.mark.anyio, pytest.mark.long]
PASSWORD = "A-good-password-1."
COLUMNS = ("lead_id", "name", "phone", "email", "message", "page")
ASHA = {"name": "Asha Rao", "phone": "089510 47001", "email": "asha@example.com"}


@dataclass
class Vendor:
    """One of them: how it is asked by its owner, the lines of the file that lead there, and its token."""

    root: str
    lines: str
    token: str
    rows: Callable[[], list[dict[str, Any]]] = field(repr=False)
    change: Callable[[str, dict[str, Any]], None] = field(repr=False)
    remove: Callable[[Any], None] = field(repr=False)
    invalid: dict[str, str]

    def config(self, token: str) -> Config:
        config = parse(f"{FORM}[destinations.crm]\n{self.lines}\nallow_private = true", {"TOKEN": token}, lambda _: "")
        assert isinstance(config, Config), config
        webhook = config.destinations["crm"]
        assert isinstance(webhook, Webhook)
        assert webhook.update
        assert webhook.find
        plain = replace(
            webhook,
            url=by_http(webhook.url),
            update=replace(webhook.update, url=by_http(webhook.update.url)),
            find=replace(webhook.find, url=by_http(webhook.find.url)),
        )
        return replace(config, destinations={"crm": plain})


def by_http(url: Pattern) -> Pattern:
    first, *rest = url
    assert isinstance(first, str)
    return (first.replace("https://", "http://", 1), *rest)


def ask(client: httpx.Client, method: str, path: str, said: Any = None) -> Any:
    answer = client.request(method, path, json=said)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def directus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    folder = tmp_path_factory.mktemp("directus")
    environ = {
        "DB_CLIENT": "sqlite3", "DB_FILENAME": str(folder / "data.db"), "SECRET": PASSWORD * 2, "TELEMETRY": "false",
        "ADMIN_EMAIL": "owner@example.com", "ADMIN_PASSWORD": PASSWORD, "ADMIN_TOKEN": "owner-0123456789",
        "STORAGE_LOCAL_ROOT": str(folder / "files"), "EXTENSIONS_PATH": str(folder / "extensions"),
    }  # fmt: skip
    cli = "node_modules/directus/cli.js"
    with (
        running("directus", folder, environ, f"{cli} bootstrap", f"{cli} start") as root,
        httpx.Client(base_url=root, headers={"Authorization": "Bearer owner-0123456789"}, trust_env=False) as owner,
    ):
        key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
        texts: list[dict[str, Any]] = [{"field": name, "type": "string"} for name in COLUMNS]
        for text in texts:
            if text["field"] in {"lead_id", "email"}:
                text["schema"] = {"is_unique": True}
        collection = {"collection": "leads", "schema": {}, "meta": {}, "fields": [key, *texts]}
        ask(owner, "POST", "/collections", collection)
        may = [{"collection": "leads", "action": action, "fields": ["*"]} for action in ("create", "read", "update")]
        policy = {"create": [{"policy": {"name": "leads", "permissions": may}}], "update": [], "delete": []}
        ask(owner, "POST", "/users", {"email": "leads@example.com", "token": "leads-0123456789", "policies": policy})
        yield Vendor(
            root,
            f'type = "directus"\nhost = "{root.removeprefix("http://")}"\ncollection = "leads"\ntoken = "$TOKEN"',
            "leads-0123456789",
            rows=lambda: list(ask(owner, "GET", "/items/leads?limit=-1")["data"]),
            change=lambda lead, said: ask(owner, "POST", "/items/leads", {"lead_id": lead, **said}),
            remove=lambda row: ask(owner, "DELETE", f"/items/leads/{row['id']}"),
            invalid={"name": "Another", "phone": "089510 47002", "email": "asha@example.com"},
        )


@pytest.fixture(scope="module")
def nocodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    folder: Path = tmp_path_factory.mktemp("nocodb")
    environ = {
        "NC_TOOL_DIR": str(folder), "NC_AUTH_JWT_SECRET": PASSWORD, "NC_DISABLE_TELE": "true",
        "NC_ADMIN_EMAIL": "owner@example.com", "NC_ADMIN_PASSWORD": PASSWORD,
    }  # fmt: skip
    server = str(Path(__file__).parents[1] / "node" / "nocodb.cjs")
    with running("nocodb", folder, environ, server) as root, httpx.Client(base_url=root, trust_env=False) as owner:
        signed_in = {"email": "owner@example.com", "password": PASSWORD}
        owner.headers["xc-auth"] = ask(owner, "POST", "/api/v1/auth/user/signin", signed_in)["token"]
        token = ask(owner, "POST", "/api/v1/tokens", {"description": "leads"})["token"]
        base = ask(owner, "POST", "/api/v2/meta/bases", {"title": "clinic"})["id"]
        columns: list[dict[str, Any]] = [
            {"title": "Id", "column_name": "id", "uidt": "ID"},
            *({"title": name, "column_name": name, "uidt": "SingleLineText"} for name in COLUMNS),
            {"title": "mail", "column_name": "mail", "uidt": "Email", "meta": {"validate": True}},
        ]
        table = {"table_name": "leads", "title": "Leads", "columns": columns}
        number = ask(owner, "POST", f"/api/v2/meta/bases/{base}/tables", table)["id"]
        records = f"/api/v2/tables/{number}/records"
        lines = f'type = "nocodb"\nhost = "{root.removeprefix("http://")}"\ntable = "{number}"\ntoken = "$TOKEN"'
        yield Vendor(
            root,
            f'{lines}\nbody.mail = "{{extra.mail}}"',
            token,
            rows=lambda: list(ask(owner, "GET", f"{records}?limit=100")["list"]),
            change=lambda lead, said: ask(owner, "POST", records, {"lead_id": lead, **said}),
            remove=lambda row: ask(owner, "DELETE", records, {"Id": row["Id"]}),
            invalid={"name": "Another", "phone": "089510 47002", "mail": "no address"},
        )


@pytest.fixture(params=["directus", "nocodb"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Vendor)
    return found


async def test_one_record_a_lead_whatever_becomes_of_it_on_the_way(redis_url: str, vendor: Vendor) -> None:
    async with Workshop(redis_url, FORM + '[destinations.crm]\ntype = "webhook"\nurl = "https://a.example"') as shop:
        shop.config = vendor.config(vendor.token)
        # As if its answer had been lost: there is a record, and nobody here knows its id.
        taken = await shop.submit(**ASHA)
        vendor.change(taken.lead, {"name": "Asha"})
        async with shop.worker():
            await shop.settled()
            (row,) = vendor.rows()
            assert [row[column] for column in COLUMNS[:4]] == [taken.lead, "Asha Rao", "+918951047001", ASHA["email"]]
            await shop.submit(**ASHA, message="Tuesday, please")
            await shop.settled()
            (again,) = vendor.rows()
            assert {**row, "message": "Tuesday, please"}.items() <= {**again, "UpdatedAt": row.get("UpdatedAt")}.items()
            vendor.remove(again)
            vendor.change("another", {"name": "May get its number"})
            await shop.submit(**ASHA, message="Or Wednesday")
            await shop.settled()
            another, anew = vendor.rows()
            await shop.submit(**vendor.invalid)
            account = await shop.settled()
            (dead,) = await shop.dead()
            kept = await shop.lead(taken.lead)
    assert (another["lead_id"], another["name"]) == ("another", "May get its number")
    assert (anew["lead_id"], anew["message"]) == (taken.lead, "Or Wednesday")
    assert kept.deliveries[0].record == anew.get("id")  # NocoDB is asked each time.
    assert (account.delivered, account.dead, account.waiting) == (3, 1, 0)
    assert "answered 4" in dead.reason
    assert len(vendor.rows()) == 2
    vendor.remove(another)
    vendor.remove(anew)


async def tried(config: Config) -> Outcome:
    target = config.destinations["crm"]
    async with Sender(concurrency=1, timeout=target.timeout, allow_private=True, ca="", proxy=None) as sender:
        delivery = sample_delivery(config.forms["get-in-touch"], clock())
        return await attempt(target, sender, delivery, clock)


async def test_a_wrong_token_or_a_table_that_is_not_there_pauses_it(vendor: Vendor) -> None:
    before = vendor.rows()
    elsewhere = replace(vendor, lines=vendor.lines.replace('"leads"', '"lead"').replace('table = "m', 'table = "mm'))
    for config in (vendor.config("wrong-0123456789"), elsewhere.config(vendor.token)):
        outcome = await tried(config)
        assert isinstance(outcome, Retry)
        assert outcome.scope == "setup", outcome.reason
    assert vendor.rows() == before
