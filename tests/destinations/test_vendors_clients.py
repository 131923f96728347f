"""The vendors' own clients (npm) and the destinations by name send the same lead in the same words."""

import json
import re
import subprocess
from typing import Any
from urllib.parse import parse_qsl, urlencode

import npm
import pytest
from crm import Crm, Received
from test_presets import ASHA, named
from test_webhook import NOW, SOURCE, delivery

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
