"""CRMs and chats by name: the bytes they are sent, and what their answers mean.

The answers are those of the vendors' documentation and of public client code; none was tried with a real account.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from test_webhook import NOW, PHONE, SOURCE, delivery

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations.outcome import Outcome, Rejected, Retry
from service.destinations.presets import PRESETS
from service.destinations.rules import _WORDS as WORDS
from service.destinations.rules import Response
from service.destinations.webhook import Webhook
from service.lib.secret import Secret
from service.model.lead import Answer as Said

DOCS = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text("utf-8")
FORM = """
[forms.get-in-touch]
deliver = ["crm"]
fields.name = { type = "text" }
fields.phone = { type = "phone" }
fields.email = { type = "email" }
fields.message = { type = "text" }
"""
SECRETS = {
    setting.example.removeprefix("$"): "https://flow.example.com/run?sig=s" if key == "url" else "s3cret"
    for preset in PRESETS.values()
    for key, setting in preset.settings.items()
    if setting.is_secret
}
ASHA = {
    "name": Said("Asha Rao"),
    "phone": Said("+918951047001", phone=PHONE),
    "email": Said("asha@example.com"),
    "message": Said("Knee pain"),
}


def read(
    name: str, more: str = "", form: str = FORM, secrets: Mapping[str, str] = MappingProxyType(SECRETS)
) -> Config | Mistakes:
    lines = PRESETS[name].lines().replace(f"[destinations.{name}]", "[destinations.crm]")
    return parse(f"{form}{lines}\n{more}", secrets, lambda _: "")


def named(name: str, more: str = "", form: str = FORM) -> Webhook:
    config = read(name, more, form)
    assert isinstance(config, Config), config
    destination = config.destinations["crm"]
    assert isinstance(destination, Webhook)
    return destination


def sent(name: str, fields: Mapping[str, Said] = ASHA) -> Any:
    webhook = named(name)
    content = webhook.request(delivery(dict(fields), source=SOURCE), NOW, Secret("t0ken")).content
    return dict(parse_qsl(content.decode())) if webhook.format == "form" else msgspec.json.decode(content)


ROW = {
    "lead_id": "lead_7", "name": "Asha Rao", "phone": "+918951047001", "email": "asha@example.com",
    "message": "Knee pain", "page": "https://www.example.com/contact",
}  # fmt: skip


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


BODIES: dict[str, Any] = {
    "leadsquared": [
        {"Attribute": "FirstName", "Value": "Asha"},
        {"Attribute": "LastName", "Value": "Rao"},
        {"Attribute": "Phone", "Value": "+91-8951047001"},
        {"Attribute": "EmailAddress", "Value": "asha@example.com"},
        {"Attribute": "Notes", "Value": "Knee pain"},
        {"Attribute": "Source", "Value": "google"},
        {"Attribute": "SearchBy", "Value": "Phone"},
    ],
    "telecrm": {
        "fields": {"name": "Asha Rao", "phone": "+918951047001", "email": "asha@example.com"},
        "actions": [{"type": "SYSTEM_NOTE", "text": "Knee pain"}],
    },
    "hubspot": {
        "fields": [
            {"objectTypeId": "0-1", "name": "firstname", "value": "Asha"},
            {"objectTypeId": "0-1", "name": "lastname", "value": "Rao"},
            {"objectTypeId": "0-1", "name": "phone", "value": "+918951047001"},
            {"objectTypeId": "0-1", "name": "email", "value": "asha@example.com"},
            {"objectTypeId": "0-1", "name": "message", "value": "Knee pain"},
        ],
        "context": {"pageUri": "https://www.example.com/contact"},
    },
    "salesforce": {
        "oid": "00D000000000001", "first_name": "Asha", "last_name": "Rao", "company": "-", "phone": "+918951047001",
        "email": "asha@example.com", "description": "Knee pain", "lead_source": "Web",
    },
    "salesforce-api": {
        "FirstName": "Asha", "LastName": "Rao", "Company": "-", "MobilePhone": "+918951047001",
        "Email": "asha@example.com", "Description": "Knee pain", "LeadSource": "Web",
    },
    "zoho": {
        "data": [{
            "First_Name": "Asha", "Last_Name": "Rao", "Mobile": "+918951047001", "Email": "asha@example.com",
            "Description": "Knee pain", "Lead_Source": "Website",
        }],
        "trigger": ["workflow"],
    },
    "google-sheets": {
        "key": "s3cret", "id": "lead_7", "webhook_id": "lead_7.2", "at": "2026-11-22T10:42:07.118Z",
        "name": "Asha Rao", "phone": "+918951047001", "email": "asha@example.com", "message": "Knee pain",
    },
    "slack": {"text": "*get-in-touch*: Asha Rao +918951047001 asha@example.com\nKnee pain"},
    "telegram": {
        "chat_id": "-1001234567890", "text": "get-in-touch: Asha Rao +918951047001 asha@example.com\nKnee pain",
        "link_preview_options": {"is_disabled": True},
    },
    "teams": {
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "type": "AdaptiveCard", "version": "1.2",
                "body": [{"type": "RichTextBlock", "inlines": [
                    {"type": "TextRun", "text": "get-in-touch: Asha Rao +918951047001 asha@example.com Knee pain"},
                ]}],
            },
        }],
    },
    "bitrix24": {
        "entityTypeId": 1,
        "fields": {
            "title": "Asha Rao", "name": "Asha", "lastName": "Rao", "comments": "Knee pain", "originatorId": "website",
            "originId": "lead_7", "utmSource": "google",
            "fm": [
                {"typeId": "PHONE", "valueType": "MOBILE", "value": "+918951047001"},
                {"typeId": "EMAIL", "valueType": "WORK", "value": "asha@example.com"},
            ],
        },
    },
    "odoo": {"vals_list": [{
        "name": "Website: Asha Rao", "contact_name": "Asha Rao", "phone": "+918951047001",
        "email_from": "asha@example.com", "description": "Knee pain",
    }]},
    "espocrm": {
        "firstName": "Asha", "lastName": "Rao", "phoneNumber": "+918951047001", "emailAddress": "asha@example.com",
        "description": "Knee pain",
    },
    "google-chat": {"text": "get-in-touch: Asha Rao +918951047001 asha@example.com\nKnee pain"},
    "freshsales": {
        "unique_identifier": {"mobile_number": "+918951047001"},
        "contact": {
            "first_name": "Asha", "last_name": "Rao", "mobile_number": "+918951047001", "email": "asha@example.com",
        },
    },
    "selldo": {
        "api_key": "s3cret", "sell_do[form][lead][name]": "Asha Rao", "sell_do[form][lead][phone]": "+918951047001",
        "sell_do[form][lead][email]": "asha@example.com", "sell_do[form][note][content]": "Knee pain",
        "sell_do[campaign][srd]": "65f0a1",
    },
    "frappe": {
        "first_name": "Asha", "last_name": "Rao", "mobile_no": "+918951047001", "email": "asha@example.com",
        "status": "New",
    },
    "directus": ROW,
    "nocodb": ROW,
    "airtable": {
        "performUpsert": {"fieldsToMergeOn": ["Lead id"]},
        "records": [{"fields": {
            "Lead id": "lead_7", "Name": "Asha Rao", "Phone": "+918951047001", "Email": "asha@example.com",
            "Message": "Knee pain", "Page": "https://www.example.com/contact",
        }}],
        "typecast": True,
    },
    "twenty": {
        "leadId": "lead_7", "message": "Knee pain", "name": {"firstName": "Asha", "lastName": "Rao"},
        "emails": {"primaryEmail": "asha@example.com"},
        "phones": {
            "primaryPhoneNumber": "8951047001", "primaryPhoneCallingCode": "+91", "primaryPhoneCountryCode": "IN",
        },
    },
    "kylas": {
        "firstName": "Asha", "lastName": "Rao",
        "phoneNumbers": [
            {"type": "MOBILE", "code": "IN", "dialCode": "+91", "value": "8951047001", "primary": True},
        ],
        "emails": [{"type": "OFFICE", "value": "asha@example.com", "primary": True}],
        "requirementName": "Knee pain", "utmSource": "google",
    },
    "pipedrive": {
        "name": "Asha Rao",
        "phones": [{"value": "+918951047001", "primary": True, "label": "mobile"}],
        "emails": [{"value": "asha@example.com", "primary": True, "label": "work"}],
    },
    "whatsapp": {
        "messaging_product": "whatsapp", "to": "918951047001", "type": "template",
        "template": {"name": "thanks", "language": {"code": "en"}},
    },
    "meta-conversions": {"data": [{
        "event_name": "Lead", "event_time": 1795344127, "event_id": "lead_7.2", "action_source": "website",
        "event_source_url": "https://www.example.com/contact",
        "user_data": {
            "em": [sha256("asha@example.com")], "ph": [sha256("918951047001")], "fn": [sha256("asha")],
            "ln": [sha256("rao")], "country": [sha256("in")],
        },
    }]},
}  # fmt: skip

SIGN_IN = "<!doctype html><html><title>Sign in</title></html>"
UNIQUE = 'Value "a" for field "{}" in collection "leads" has to be unique.'
CASES: list[tuple[str, int, Any, Mapping[str, str], str]] = [
    ("leadsquared", 200, {"Status": "Success", "Message": {"Id": "a"}}, {}, "Delivered"),
    ("leadsquared", 500, {"Status": "Error", "ExceptionType": "MXDuplicateEntryException"}, {}, "Delivered"),
    ("leadsquared", 500, {"Status": "Error", "ExceptionType": "MXInvalidEmailException"}, {}, "Rejected"),
    ("leadsquared", 200, {"Status": "Error", "ExceptionType": "MXException"}, {}, "Rejected"),
    ("leadsquared", 401, {"Status": "Error", "ExceptionType": "MXAuthenticationException"}, {}, "setup"),
    ("leadsquared", 429, {"Status": "Error", "ExceptionType": "MXAPIRateLimitExceededException"}, {}, "load"),
    ("telecrm", 200, {"status": "QUEUED"}, {}, "Delivered"),
    ("telecrm", 401, {"message": "no"}, {}, "setup"),
    ("telecrm", 200, {"error": "no such field"}, {}, "Rejected"),
    ("hubspot", 200, {"inlineMessage": "Thanks"}, {}, "Delivered"),
    ("hubspot", 200, {"redirectUri": "https://a.example"}, {}, "Delivered"),
    ("hubspot", 400, {"errors": [{"errorType": "INVALID_EMAIL"}]}, {}, "Rejected"),
    ("hubspot", 400, {"errors": [{"errorType": "FORM_HAS_RECAPTCHA_ENABLED"}]}, {}, "setup"),
    ("hubspot", 400, {"errors": [{"errorType": "FIELD_NOT_IN_FORM_DEFINITION"}]}, {}, "setup"),
    ("hubspot", 429, {}, {"Retry-After": "60"}, "load"),
    ("salesforce", 200, "", {}, "Delivered"),
    ("salesforce", 200, "", {"Is-Processed": "true"}, "Delivered"),
    ("salesforce", 200, "", {"is-processed": "true Exception:common.exception.SalesforceGenericException"}, "Rejected"),
    ("salesforce-api", 201, {"id": "00Q5g", "success": True, "errors": [], "created": True}, {}, "Delivered"),
    ("salesforce-api", 200, {"id": "00Q5g", "success": True, "errors": [], "created": False}, {}, "Delivered"),
    ("salesforce-api", 204, "", {}, "Delivered"),
    ("salesforce-api", 400, [{"errorCode": "DUPLICATES_DETECTED"}], {}, "Delivered"),
    ("salesforce-api", 400, [{"errorCode": "INVALID_EMAIL_ADDRESS", "fields": ["Email"]}], {}, "Rejected"),
    ("salesforce-api", 400, [{"errorCode": "CANNOT_UPDATE_CONVERTED_LEAD"}], {}, "Rejected"),
    ("salesforce-api", 400, [{"errorCode": "INVALID_FIELD"}], {}, "setup"),
    ("salesforce-api", 400, [{"errorCode": "REQUIRED_FIELD_MISSING"}], {}, "setup"),
    ("salesforce-api", 404, [{"errorCode": "NOT_FOUND"}], {}, "setup"),
    ("salesforce-api", 401, [{"errorCode": "INVALID_SESSION_ID"}], {}, "setup"),
    ("salesforce-api", 403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}], {}, "load"),
    ("zoho", 201, {"data": [{"code": "SUCCESS", "action": "insert", "details": {"id": "4150"}}]}, {}, "Delivered"),
    ("zoho", 200, {"data": [{"code": "SUCCESS", "action": "update", "details": {"id": "4150"}}]}, {}, "Delivered"),
    ("zoho", 202, {"data": [{"code": "INVALID_DATA", "status": "error", "details": {}}]}, {}, "Rejected"),
    ("zoho", 202, {"data": [{"code": "DUPLICATE_DATA", "status": "error"}]}, {}, "Rejected"),
    ("zoho", 202, {"data": [{"code": "MANDATORY_NOT_FOUND", "status": "error"}]}, {}, "setup"),
    ("zoho", 200, {"data": []}, {}, "delivery"),
    ("zoho", 401, {"code": "INVALID_TOKEN", "status": "error"}, {}, "setup"),
    ("zoho", 403, {"code": "NO_PERMISSION", "status": "error"}, {}, "setup"),
    ("zoho", 429, {"code": "TOO_MANY_REQUESTS", "status": "error"}, {}, "load"),
    ("google-sheets", 302, "", {"Location": "https://script.googleusercontent.com/macros/echo?a=b"}, "Delivered"),
    ("google-sheets", 302, "", {"Location": "https://accounts.google.com/ServiceLogin"}, "setup"),
    ("google-sheets", 200, "<html>TypeError</html>", {}, "delivery"),
    ("google-sheets", 429, "", {}, "load"),
    ("slack", 200, "ok", {}, "Delivered"),
    ("slack", 400, "invalid_payload", {}, "Rejected"),
    ("slack", 404, "no_service", {}, "setup"),
    ("slack", 429, "", {"Retry-After": "1"}, "load"),
    ("telegram", 200, {"ok": True, "result": {}}, {}, "Delivered"),
    ("telegram", 400, {"ok": False, "description": "Bad Request: chat not found"}, {}, "setup"),
    ("telegram", 400, {"ok": False, "parameters": {"migrate_to_chat_id": -100}}, {}, "setup"),
    ("telegram", 400, {"ok": False, "description": "Bad Request: text is too long"}, {}, "Rejected"),
    ("telegram", 429, {"ok": False, "parameters": {"retry_after": 5}}, {}, "load"),
    ("teams", 202, "", {}, "Delivered"),
    ("teams", 400, "", {}, "Rejected"),
    ("teams", 429, "", {}, "load"),
    ("telegram", 403, {"ok": False, "description": "Forbidden: bot was kicked from the group chat"}, {}, "setup"),
    ("telegram", 404, {"ok": False, "description": "Not Found"}, {}, "setup"),
    ("slack", 403, "invalid_token", {}, "setup"),
    ("slack", 410, "channel_is_archived", {}, "setup"),
    ("zoho", 401, {"code": "OAUTH_SCOPE_MISMATCH", "status": "error"}, {}, "setup"),
    ("odoo", 500, {"name": "builtins.ValueError", "message": "Invalid field 'x_a' on model 'crm.lead'"}, {}, "setup"),
    ("frappe", 417, {"exc_type": "LinkValidationError"}, {}, "setup"),
    ("frappe", 417, {"exc_type": "MandatoryError"}, {}, "setup"),
    ("bitrix24", 200, {"result": {"item": {"id": 5}}}, {}, "Delivered"),
    ("bitrix24", 400, {"error": "INVALID_ARG_VALUE"}, {}, "Rejected"),
    ("bitrix24", 200, {"error": "X"}, {}, "Rejected"),
    ("bitrix24", 200, {"result": []}, {}, "delivery"),
    ("bitrix24", 400, {"error": "NOT_FOUND"}, {}, "setup"),
    ("bitrix24", 400, {"error": "ACCESS_DENIED"}, {}, "setup"),
    ("bitrix24", 503, {"error": "QUERY_LIMIT_EXCEEDED"}, {}, "load"),
    ("bitrix24", 403, {"error": "ACCESS_DENIED"}, {}, "setup"),
    ("odoo", 200, [17], {}, "Delivered"),
    ("odoo", 200, {"jsonrpc": "2.0", "error": {"code": 200}}, {}, "Rejected"),
    ("odoo", 422, {"name": "odoo.exceptions.ValidationError"}, {}, "Rejected"),
    ("odoo", 401, {"name": "werkzeug.exceptions.Unauthorized"}, {}, "setup"),
    ("espocrm", 200, {"id": "65a"}, {}, "Delivered"),
    ("espocrm", 409, [{"id": "64b"}], {}, "Delivered"),
    ("espocrm", 400, "", {}, "Rejected"),
    ("espocrm", 401, "", {}, "setup"),
    ("google-chat", 200, {"name": "spaces/A/messages/B"}, {}, "Delivered"),
    ("google-chat", 400, {"error": {"code": 400}}, {}, "Rejected"),
    ("google-chat", 429, {"error": {"code": 429}}, {}, "load"),
    ("freshsales", 200, {"contact": {"id": 7}}, {}, "Delivered"),
    ("freshsales", 400, {"errors": {"message": ["MobileNumber is not unique"]}}, {}, "Delivered"),
    ("freshsales", 400, {"errors": {"message": ["Email is invalid"]}}, {}, "Rejected"),
    ("freshsales", 401, {"login": "failed"}, {}, "setup"),
    ("freshsales", 429, "", {}, "load"),
    ("selldo", 200, {"sell_do_lead_id": "5"}, {}, "Delivered"),
    ("selldo", 200, {"error": "Invalid API key"}, {}, "setup"),
    ("selldo", 200, {"errors": ["phone is invalid"]}, {}, "Rejected"),
    ("frappe", 200, {"data": {"name": "CRM-LEAD-1"}}, {}, "Delivered"),
    ("frappe", 417, {"exc_type": "ValidationError"}, {}, "Rejected"),
    ("frappe", 403, {"exc_type": "PermissionError"}, {}, "setup"),
    ("directus", 200, {"data": {"id": 17, "lead_id": "lead_7"}}, {}, "Delivered"),
    ("directus", 200, {"data": {"id": 17}}, {}, "setup"),
    ("directus", 204, "", {}, "setup"),
    ("directus", 400, {"errors": [{"message": UNIQUE.format("lead_id")}]}, {}, "Delivered"),
    ("directus", 400, {"errors": [{"message": UNIQUE.format("email")}]}, {}, "Rejected"),
    ("directus", 401, {"errors": [{"extensions": {"code": "INVALID_CREDENTIALS"}}]}, {}, "setup"),
    ("directus", 403, {"errors": [{"extensions": {"code": "FORBIDDEN"}}]}, {}, "setup"),
    ("directus", 429, {"errors": [{"extensions": {"code": "REQUESTS_EXCEEDED"}}]}, {}, "load"),
    ("nocodb", 200, {"Id": 17}, {}, "Delivered"),
    ("nocodb", 400, {"msg": "Validation failed : isEmail"}, {}, "Rejected"),
    ("nocodb", 401, {"error": "ERR_AUTHENTICATION_REQUIRED"}, {}, "setup"),
    ("nocodb", 404, {"error": "ERR_TABLE_NOT_FOUND"}, {}, "setup"),
    ("nocodb", 429, "", {}, "load"),
    ("airtable", 200, {"records": [{"id": "rec1"}], "createdRecords": ["rec1"]}, {}, "Delivered"),
    ("airtable", 200, {"records": [{"id": "rec1"}], "updatedRecords": ["rec1"]}, {}, "Delivered"),
    ("airtable", 422, {"error": {"type": "INVALID_VALUE_FOR_COLUMN"}}, {}, "Rejected"),
    ("airtable", 422, {"error": {"type": "UNKNOWN_FIELD_NAME"}}, {}, "setup"),
    ("airtable", 401, {"error": {"type": "AUTHENTICATION_REQUIRED"}}, {}, "setup"),
    ("airtable", 403, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}, {}, "setup"),
    ("airtable", 404, {"error": "NOT_FOUND"}, {}, "setup"),
    ("airtable", 429, {"errors": [{"error": "RATE_LIMIT_REACHED"}]}, {}, "load"),
    ("twenty", 201, {"data": {"createPerson": {"id": "20202020-3ec3"}}}, {}, "Delivered"),
    ("twenty", 200, {"data": {"updatePerson": {"id": "20202020-3ec3"}}}, {}, "Delivered"),
    ("twenty", 400, {"messages": ["A duplicate entry was detected"]}, {}, "Delivered"),
    ("twenty", 400, {"messages": ["Invalid phone number"]}, {}, "Rejected"),
    ("twenty", 400, {"messages": ['Object person doesn\'t have any "message" field.']}, {}, "setup"),
    ("twenty", 201, SIGN_IN, {}, "delivery"),
    ("twenty", 401, {"messages": ["Token invalid."]}, {}, "setup"),
    ("twenty", 429, {}, {}, "load"),
    ("kylas", 200, {"id": 12345}, {}, "Delivered"),
    ("kylas", 201, {"id": 12345}, {}, "Delivered"),
    ("kylas", 201, SIGN_IN, {}, "delivery"),
    ("kylas", 400, {"code": "invalid"}, {}, "Rejected"),
    ("kylas", 401, {}, {}, "setup"),
    ("kylas", 429, {}, {}, "load"),
    ("pipedrive", 201, {"success": True, "data": {"id": 17}}, {}, "Delivered"),
    ("pipedrive", 400, {"success": False, "error": "name must be given"}, {}, "Rejected"),
    ("pipedrive", 401, {"success": False, "error": "unauthorized access"}, {}, "setup"),
    ("pipedrive", 402, {"success": False}, {}, "setup"),
    ("pipedrive", 429, {"success": False}, {}, "load"),
    ("whatsapp", 200, {"messages": [{"id": "wamid.1"}]}, {}, "Delivered"),
    ("whatsapp", 400, {"error": {"code": 131026}}, {}, "Rejected"),
    ("whatsapp", 400, {"error": {"code": 100}}, {}, "Rejected"),
    ("whatsapp", 400, {"error": {"code": 100, "error_subcode": 33}}, {}, "setup"),
    ("whatsapp", 400, {"error": {"code": 132000}}, {}, "setup"),
    ("whatsapp", 404, {"error": {"code": 132001}}, {}, "setup"),
    ("whatsapp", 401, {"error": {"code": 190}}, {}, "setup"),
    ("whatsapp", 400, {"error": {"code": 131042}}, {}, "setup"),
    ("whatsapp", 400, {"error": {"code": 130429}}, {}, "load"),
    ("whatsapp", 400, {"error": {"code": 131056}}, {}, "delivery"),
    ("whatsapp", 500, {"error": {"code": 131000}}, {}, "delivery"),
    ("meta-conversions", 200, {"events_received": 1}, {}, "Delivered"),
    ("meta-conversions", 200, {"events_received": 0}, {}, "delivery"),
    ("meta-conversions", 400, {"error": {"code": 100, "error_subcode": 2804003}}, {}, "Rejected"),
    ("meta-conversions", 400, {"error": {"code": 100, "error_subcode": 33}}, {}, "setup"),
    ("meta-conversions", 400, {"error": {"code": 190}}, {}, "setup"),
    ("meta-conversions", 400, {"error": {"code": 100, "is_transient": True}}, {}, "delivery"),
    ("meta-conversions", 403, {"error": {"code": 4}}, {}, "load"),
    ("meta-conversions", 400, {"error": {"code": 613}}, {}, "load"),
]


@pytest.mark.parametrize("name", PRESETS)
def test_a_lead_leaves_as_its_crm_wants_it(name: str) -> None:
    assert sent(name) == BODIES[name]


BITRIX24 = "https://clinic.bitrix24.in/rest/1/s3cret"
BITRIX24_ASKED = {
    "entityTypeId": 1, "select[]": "id", "filter[=originatorId]": "website", "filter[=originId]": "lead_7",
}  # fmt: skip
RECORDS = {
    "bitrix24": (
        f"{BITRIX24}/crm.item.list?{urlencode(BITRIX24_ASKED)}",
        ("POST", f"{BITRIX24}/crm.item.update", {
            "entityTypeId": 1, "id": 17, "fields": {
                "name": "Asha", "lastName": "Rao",
                "comments": "name: Asha Rao\nphone: +91 89510 47001\nemail: asha@example.com\nmessage: Knee pain",
            },
        }),
    ),
    "directus": (
        "https://directus.example.com/items/leads?fields=id&filter%5Blead_id%5D%5B_eq%5D=lead_7",
        ("PATCH", "https://directus.example.com/items/leads/17", ROW),
    ),
    "nocodb": (
        "https://nocodb.example.com/api/v2/tables/m1a2b3c4d5e6f7g/records?fields=Id&limit=1&where=(lead_id,eq,lead_7)",
        ("PATCH", "https://nocodb.example.com/api/v2/tables/m1a2b3c4d5e6f7g/records", {"Id": 17, **ROW}),
    ),
    "twenty": (
        "https://api.twenty.com/rest/people?limit=1&filter=leadId%5Beq%5D:%22lead_7%22",
        ("PATCH", "https://api.twenty.com/rest/people/17", BODIES["twenty"]),
    ),
    "pipedrive": (
        "https://clinic.pipedrive.com/api/v2/persons/search?fields=phone&exact_match=true&limit=1&term=%2B918951047001",
        ("POST", "https://clinic.pipedrive.com/api/v1/leads", {"title": "Asha Rao", "person_id": 17}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PRESETS if "find" in PRESETS[name].table])
def test_a_record_is_looked_for_and_updated_as_its_crm_wants_it(name: str) -> None:
    webhook, (looked, updated) = named(name), RECORDS[name]
    assert webhook.find
    found = webhook.find.request(delivery(ASHA, source=SOURCE), NOW)
    assert (found.method, str(found.url), found.content) == ("GET", looked, b"")
    update = webhook.request(delivery(ASHA, source=SOURCE, record=17), NOW)
    assert (update.method, str(update.url), msgspec.json.decode(update.content)) == updated


@pytest.mark.parametrize("name", PRESETS)
def test_a_lead_that_says_little_still_makes_a_request(name: str) -> None:
    small = sent(name, {"phone": ASHA["phone"]})
    assert "8951047001" in json.dumps(small) or sha256("918951047001") in json.dumps(small)
    assert "{" not in str(small).replace("{'", "").replace("[{", "").replace("{}", "")


@pytest.mark.parametrize(("name", "status", "said", "headers", "expected"), CASES)
def test_an_answer_means_what_its_crm_means_by_it(
    name: str, status: int, said: Any, headers: Mapping[str, str], expected: str
) -> None:
    text = said if isinstance(said, str) else json.dumps(said)
    assert meaning(named(name).judge(Response(status, headers, text), NOW)) == expected


def test_what_is_wrong_with_a_setup_is_told_in_words_of_its_own() -> None:
    for name, status, said, headers, expected in CASES:
        text = said if isinstance(said, str) else json.dumps(said)
        outcome = named(name).judge(Response(status, headers, text), NOW)
        if expected == "setup":
            assert isinstance(outcome, Retry)
            assert not outcome.reason.endswith((WORDS["setup"], WORDS["gone"])), (name, said)


def meaning(outcome: Outcome) -> str:
    return outcome.scope if isinstance(outcome, Retry) else type(outcome).__name__


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in {"salesforce", "teams"}])
@pytest.mark.parametrize("said", [SIGN_IN, '{"error": "no"}'])
def test_a_page_or_an_error_in_a_200_is_never_delivered(name: str, said: str) -> None:
    if name == "hubspot" and said != SIGN_IN:
        said = '{"errors": [{"message": "no"}]}'
    assert meaning(named(name).judge(Response(200, {}, said), NOW)) in {"Rejected", "delivery", "setup"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_case_of_a_crm_is_tried(name: str) -> None:
    tried = {expected for case, *_, expected in CASES if case == name}
    assert "Delivered" in tried
    assert tried & {"Rejected", "setup"}


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_shows_the_lines_as_the_command_prints_them(name: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)\n```", DOCS, re.DOTALL)
    assert PRESETS[name].lines() in blocks
    assert PRESETS[name].needs in DOCS
    assert PRESETS[name].says in DOCS


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_missing_or_a_literal_secret_is_a_mistake_by_its_name(name: str) -> None:
    missing = parse(f'{FORM}[destinations.crm]\ntype = "{name}"\n', SECRETS, lambda _: "")
    assert isinstance(missing, Mistakes)
    assert {item.path for item in missing.items} >= {f"destinations.crm.{key}" for key in PRESETS[name].settings}
    for key, setting in PRESETS[name].settings.items():
        if setting.is_secret:
            lines = PRESETS[name].lines().replace(f"[destinations.{name}]", "[destinations.crm]")
            open_ = parse(FORM + lines.replace(setting.example, "0815"), SECRETS, lambda _: "")
            others = {name: value for name, value in SECRETS.items() if f"${name}" != setting.example}
            unset = parse(FORM + lines, others, lambda _: "")
            for wrong in (open_, unset):
                assert isinstance(wrong, Mistakes)
                assert [item.path for item in wrong.items] == [f"destinations.crm.{key}"]


def test_the_file_overrides_a_preset_line_by_line() -> None:
    more = """
url = "https://test.example.com/forms"
headers = { X-Branch = "south" }
rules = [{ status = 200, json = "inlineMessage", means = "rejected" }]
body.context.pageName = "{fields.branch}"
"""
    form = FORM + 'fields.branch = { type = "text" }\n'
    webhook = named("hubspot", more, form)
    request = webhook.request(delivery({**ASHA, "branch": Said("South")}), NOW)
    assert str(request.url) == "https://test.example.com/forms"
    assert request.headers["x-branch"] == "south"
    body = msgspec.json.decode(request.content)
    assert body["context"] == {"pageUri": "https://www.example.com/contact", "pageName": "South"}
    assert len(body["fields"]) == 5
    assert isinstance(webhook.judge(Response(200, {}, '{"inlineMessage": "Thanks"}'), NOW), Rejected)
    assert meaning(webhook.judge(Response(200, {}, '{"redirectUri": "a"}'), NOW)) == "Delivered"


def test_a_word_of_the_file_that_no_form_has_is_still_a_mistake() -> None:
    wrong = read("hubspot", 'body.context.pageName = "{fields.branch}"')
    assert isinstance(wrong, Mistakes)
    assert [item.path for item in wrong.items] == ["destinations.crm.body.context.pageName"]


def test_a_form_without_a_name_may_deliver_to_any_of_them() -> None:
    form = '[forms.get-in-touch]\ndeliver = ["crm"]\nfields.phone = { type = "phone" }\n'
    for name in PRESETS:
        assert isinstance(read(name, form=form), Config), name
