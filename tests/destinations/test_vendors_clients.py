"""The vendors' own clients (npm, PyPI) and the destinations by name send the same lead in the same words."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import npm
import pytest
from crm import Answer, Crm, Received
from test_presets import ASHA, named
from test_webhook import NOW, SOURCE, delivery, from_file

from service.lib.secret import Secret

pytestmark = pytest.mark.long
SECRET = "s3cret"
ANSWER = {"success": True, "data": {"id": 17}, "records": [{"id": "rec1", "fields": {}}], "events_received": 1}


@pytest.fixture(scope="module")
def theirs() -> dict[tuple[str, str], tuple[dict[str, str], Any]]:
    """Return what the clients sent: method and path, without the version of Meta's client; headers and body."""
    npm.packages()
    with Crm() as crm:
        crm.answer(headers={"Content-Type": "application/json"}, body=json.dumps(ANSWER).encode())
        root = crm.url.removesuffix("/hooks/leads")
        done = subprocess.run(
            ["node", "vendors.js", root], cwd=npm.FOLDER, capture_output=True, text=True, check=True, timeout=60
        )
    assert not done.stderr
    return {(one.method, path_of(one.path)): (dict(one.headers), said(one)) for one in crm.requests}


def path_of(path: str) -> str:
    """Return a path in one spelling: without a version of Meta's, its query sorted."""
    folder, _, query = re.sub(r"^/v[\d.]+/(?=\d)", "/", path).partition("?")
    return "?".join([folder.rstrip("/"), *([urlencode(sorted(parse_qsl(query)))] if query else [])])


def said(request: Received) -> Any:
    """Return the body. That of Meta's client names what is not set, too, and holds the token and itself."""
    body = json.loads(request.body) if request.body else None
    return (
        {"data": without_nothing(body["data"])}
        if body and request.path.rpartition("/")[2].startswith("events")
        else body
    )


def without_nothing(value: Any) -> Any:
    match value:
        case dict():
            return {key: without_nothing(one) for key, one in value.items() if one not in (None, [], {})}
        case list():
            return [without_nothing(one) for one in value]
    return value


@pytest.mark.parametrize(
    ("name", "step", "header"),
    [
        ("pipedrive", "find", "x-api-token"),
        ("pipedrive", "first", "x-api-token"),
        ("pipedrive", "update", "x-api-token"),
        ("airtable", "first", "authorization"),
        ("meta-conversions", "first", ""),
    ],
)
def test_a_lead_leaves_as_the_vendors_client_sends_it(
    theirs: dict[tuple[str, str], tuple[dict[str, str], Any]], name: str, step: str, header: str
) -> None:
    webhook, lead = named(name), delivery(ASHA, source=SOURCE, record=17 if step == "update" else None)
    sender = webhook.find if step == "find" else webhook
    assert sender
    ours = sender.request(lead, NOW)
    headers, body = theirs[ours.method, path_of(ours.url.raw_path.decode())]
    assert (json.loads(ours.content) if ours.content else None) == body
    if header:
        assert ours.headers[header] == headers[header]


CLIENTS = ("simple-salesforce==1.12.10", "zohocrmsdk8-0==7.0.0", "b24pysdk==1.3.2", "hubspot-api-client==12.0.0")
TOKEN = {"access_token": "t0ken", "expires_in": 3600, "instance_url": "https://clinic.my.salesforce.com"}
ZOHO = {
    "data": [{"code": "SUCCESS", "status": "success", "message": "", "action": "insert", "details": {"id": "4150"}}]
}

SALESFORCE = {"id": "00Q5g", "success": True, "errors": []}
TIMES = {"start": 1, "finish": 1, "duration": 1, "processing": 1, "operating": 0}
DATES = dict.fromkeys(("date_start", "date_finish"), "2026-11-28T09:00:00+00:00")
BITRIX24 = {"result": {"item": {"id": 17}, "items": []}, "time": TIMES | DATES}
CONTACTS = """
url = "https://api.hubapi.com/crm/v3/objects/contacts/batch/upsert"
headers = { Authorization = "Bearer $CRM_SECRET" }
[[destinations.crm.body.inputs]]
idProperty = "email"
id = "{fields.email}"
properties = { firstname = "{fields.name:first}", lastname = "{fields.name:last}", phone = "{phone.e164}" }
"""


@pytest.fixture(scope="module")
def from_pypi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Received]:
    """Return what the clients sent, by method, host and path; they have an environment of their own."""
    made = tmp_path_factory.mktemp("clients")
    python = made / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(made)], check=True, timeout=120)
    install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *CLIENTS)
    subprocess.run(install, check=True, timeout=300)
    script = Path(__file__).parents[1] / "long" / "vendors.py"
    with Crm() as crm:
        crm.decide = answered
        root = crm.url.removesuffix("/hooks/leads")
        done = subprocess.run([python, script, root], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return {f"{one.method} {one.path.removesuffix('.json')}".lower(): one for one in crm.requests}


def answered(request: Received) -> Answer:
    """Return what lets a client go on. Zoho's asks for its user and the fields of a lead first."""
    if request.path.endswith("/token"):
        said: Any = TOKEN
    elif request.method == "GET":
        return Answer(204, body=b"")
    else:
        said = ZOHO if "zoho" in request.path else BITRIX24 if "bitrix24" in request.path else SALESFORCE
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("name", "record", "headers"),
    [
        ("salesforce-api", None, ("authorization", "content-type", "sforce-duplicate-rule-header")),
        ("zoho", None, ("authorization",)),
        ("zoho", "4150", ("authorization",)),
        ("bitrix24", None, ("content-type",)),
        ("bitrix24", 17, ("content-type",)),
    ],
)
def test_a_lead_leaves_as_a_client_of_pypi_sends_it(
    from_pypi: dict[str, Received], name: str, record: str | int | None, headers: tuple[str, ...]
) -> None:
    ours = named(name).request(delivery(ASHA, source=SOURCE, record=record), NOW, Secret("t0ken"))
    theirs = from_pypi[f"{ours.method} /{ours.url.host}{ours.url.raw_path.decode()}".lower()]
    assert json.loads(ours.content) == theirs.json()
    assert [ours.headers[header] for header in headers] == [theirs.headers[header] for header in headers]


@pytest.mark.parametrize("name", ["salesforce-api", "zoho"])
def test_a_token_is_asked_for_as_a_client_of_pypi_asks(from_pypi: dict[str, Received], name: str) -> None:
    oauth = named(name).oauth
    assert oauth
    ours = oauth.request(None)
    theirs = from_pypi[f"{ours.method} /{ours.url.host}{ours.url.raw_path.decode()}".lower()]
    pairs = dict(parse_qsl(theirs.body.decode()))
    if "authorization" in theirs.headers:  # Salesforce takes the same two from the body.
        client = base64.b64decode(theirs.headers["authorization"].removeprefix("Basic ")).decode().split(":")
        pairs |= dict(zip(("client_id", "client_secret"), client, strict=True))
    assert dict(parse_qsl(ours.content.decode())) == pairs
    assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_bitrix24_is_asked_for_a_lead_in_the_words_of_its_client(from_pypi: dict[str, Received]) -> None:
    find = named("bitrix24").find
    assert find
    url = find.request(delivery(ASHA, source=SOURCE), NOW).url
    asked = from_pypi[f"post /{url.host}{url.path}".lower()].json()
    words = {"entityTypeId": str(asked["entityTypeId"]), "select[]": asked["select"][0]}
    assert dict(url.params) == words | {f"filter[{name}]": text for name, text in asked["filter"].items()}


def test_a_webhook_can_say_what_hubspots_client_says(from_pypi: dict[str, Received]) -> None:
    ours = from_file(CONTACTS, CRM_SECRET="s3cret").request(delivery(ASHA), NOW)
    theirs = from_pypi[f"post /{ours.url.host}{ours.url.path}"]
    assert json.loads(ours.content) == theirs.json()
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert ours.headers["authorization"].startswith("Bearer ")
