"""Sends one lead with the clients of four vendors; what is for a host of theirs goes to a folder of the root.

    python vendors.py ROOT

`test_vendors_clients` runs it in an environment of its own, which has these clients; ours has not.
"""

import sys
import tempfile
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from b24pysdk import BitrixWebhook, Client  # type: ignore[import-not-found] # only where this runs
from hubspot import HubSpot  # type: ignore[import-not-found] # only where this runs
from hubspot.crm.contacts import (  # type: ignore[import-not-found] # only where this runs
    BatchInputSimplePublicObjectBatchInputUpsert,
    SimplePublicObjectBatchInputUpsert,
)
from simple_salesforce import Salesforce  # type: ignore[import-not-found] # only where this runs
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken  # type: ignore[import-not-found] # only where this runs
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore  # type: ignore[import-not-found] # only there
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, Initializer  # type: ignore[import-not-found] # only there
from zohocrmsdk.src.com.zoho.crm.api.dc import INDataCenter  # type: ignore[import-not-found] # only there
from zohocrmsdk.src.com.zoho.crm.api.record import (  # type: ignore[import-not-found] # only there
    BodyWrapper,
    Field,
    Record,
    RecordOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig  # type: ignore[import-not-found] # only there
from zohocrmsdk.src.com.zoho.crm.api.util import Choice  # type: ignore[import-not-found] # only there

SEND = requests.Session.send


def to_root(session: Any, request: Any, **more: Any) -> Any:
    _, host, path, query, _ = urlsplit(request.url)
    root = urlsplit(sys.argv[1])
    request.url = urlunsplit((root.scheme, root.netloc, f"/{host}{path}", query, ""))
    return SEND(session, request, **more)


def send_to_salesforce() -> None:
    there = Salesforce(consumer_key="3MVG9A1B2C3", consumer_secret="s3cret", domain="clinic.my", version="62.0")
    said = {
        "FirstName": "Asha", "LastName": "Rao", "Company": "-", "MobilePhone": "+918951047001",
        "Email": "asha@example.com", "Description": "Knee pain", "LeadSource": "Web",
    }  # fmt: skip
    there.Lead.upsert("Website_Id__c/lead_7", said, headers={"Sforce-Duplicate-Rule-Header": "allowSave=true"})


def send_to_zoho(folder: str) -> None:
    Initializer.initialize(
        environment=INDataCenter.PRODUCTION(),
        token=OAuthToken(client_id="1000.A1B2C3", client_secret="s3cret", refresh_token="s3cret"),
        store=FileStore(f"{folder}/tokens"),
        resource_path=folder,
        sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=False),
    )
    lead, named, body = Record(), Field.Leads, BodyWrapper()
    lead.add_field_value(named.first_name(), "Asha")
    lead.add_field_value(named.last_name(), "Rao")
    lead.add_field_value(named.mobile(), "+918951047001")
    lead.add_field_value(named.email(), "asha@example.com")
    lead.add_field_value(named.description(), "Knee pain")
    lead.add_field_value(named.lead_source(), Choice("Website"))
    body.set_data([lead])
    body.set_trigger(["workflow"])
    RecordOperations("Leads").upsert_records(body, HeaderMap())
    RecordOperations("Leads").update_record(4150, body, HeaderMap())


def send_to_bitrix24() -> None:
    items = Client(BitrixWebhook(domain="clinic.bitrix24.in", webhook_token="1/s3cret")).crm.item
    asked = {"=originatorId": "website", "=originId": "lead_7"}
    items.list(entity_type_id=1, select=["id"], filter=asked).response  # noqa: B018  that it is read sends it
    said = {
        "title": "Asha Rao", "name": "Asha", "lastName": "Rao", "comments": "Knee pain", "originatorId": "website",
        "originId": "lead_7", "utmSource": "google", "fm": [
            {"typeId": "PHONE", "valueType": "MOBILE", "value": "+918951047001"},
            {"typeId": "EMAIL", "valueType": "WORK", "value": "asha@example.com"},
        ],
    }  # fmt: skip
    items.add(entity_type_id=1, fields=said).response  # noqa: B018  that it is read sends it
    lines = "name: Asha Rao\nphone: +91 89510 47001\nemail: asha@example.com\nmessage: Knee pain"
    said = {"name": "Asha", "lastName": "Rao", "comments": lines}
    items.update(entity_type_id=1, bitrix_id=17, fields=said).response  # noqa: B018  that it is read sends it


def send_to_hubspot() -> None:
    contacts = HubSpot(access_token="s3cret").crm.contacts.batch_api
    contacts.api_client.configuration.host = f"{sys.argv[1]}/api.hubapi.com"
    said = {"firstname": "Asha", "lastname": "Rao", "phone": "+918951047001"}
    one = SimplePublicObjectBatchInputUpsert(id_property="email", id="asha@example.com", properties=said)
    contacts.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=[one]))


requests.Session.send = to_root  # type: ignore[method-assign,assignment] # its own signature does not matter here
send_to_salesforce()
send_to_bitrix24()
send_to_hubspot()
with tempfile.TemporaryDirectory() as made:
    send_to_zoho(made)
