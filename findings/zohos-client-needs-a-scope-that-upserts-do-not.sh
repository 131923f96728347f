#!/usr/bin/env bash
# Zoho's page of the upsert (v8) names one scope, ZohoCRM.modules.leads.ALL. With a token of that scope alone Zoho's own
# client for Python sends no lead: it reads the fields of the module first, which wants a scope of settings, and gives up
# where that is refused. Its README names two other scopes, and not this one.
# Seen with zohocrmsdk8-0 7.0.0. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zohocrmsdk8-0==7.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version

import requests
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, Initializer
from zohocrmsdk.src.com.zoho.crm.api.dc import INDataCenter
from zohocrmsdk.src.com.zoho.crm.api.exception import SDKException
from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper, Field, Record, RecordOperations

TOKEN = {"access_token": "t0ken", "expires_in": 3600, "api_domain": "https://www.zohoapis.in"}
REFUSED = {"code": "OAUTH_SCOPE_MISMATCH", "details": {}, "message": "invalid oauth scope", "status": "error"}
ADDED = {"code": "SUCCESS", "status": "success", "message": "", "action": "insert", "details": {"id": "4150"}}
sent = []


def answer(session, request, **more):
    """Note what would have been sent; answer as Zoho answers a token that may do anything with leads, and no more."""
    sent.append(f"{request.method} {request.path_url}")
    status, said = 401, REFUSED
    if "token" in request.path_url:
        status, said = 200, TOKEN
    elif "/Leads" in request.path_url:
        status, said = 201, {"data": [ADDED]}
    found = requests.Response()
    found.status_code, found._content = status, json.dumps(said).encode()
    found.headers["Content-Type"] = "application/json"
    found.request, found.url = request, request.url
    return found


requests.Session.send = answer
Initializer.initialize(
    environment=INDataCenter.PRODUCTION(),
    token=OAuthToken(client_id="1000.A1B2C3", client_secret="s3cret", refresh_token="s3cret"),
    store=FileStore("tokens"), resource_path=".",
)
lead, body = Record(), BodyWrapper()
lead.add_field_value(Field.Leads.last_name(), "Rao")
body.set_data([lead])
said = "nothing"
try:
    RecordOperations("Leads").upsert_records(body, HeaderMap())
except SDKException as error:
    said = str(error)
print("zohocrmsdk8-0", version("zohocrmsdk8-0"), "sends", sent, "and says:", said)
sys.exit("OAUTH_SCOPE_MISMATCH" not in said or any("upsert" in line for line in sent))
PYTHON
