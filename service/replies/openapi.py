"""The HTTP surface as an OpenAPI 3.1 document, made from the catalogue and the configuration's forms.

Invariant: pure; tells a form's fields and the names of its ways, and nothing else of the configuration.
"""

from collections.abc import Iterable
from typing import Any, Final

from service import __version__
from service.fields.types import TYPES
from service.model.form import Altcha, Field, Form
from service.model.languages import AUTO, codes
from service.model.problem import CATALOGUE, Code
from service.submission.form_data import CONTROLS, HONEYPOT
from service.submission.ways.message import KEY

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_SCALARS: Final[Json] = {
    "type": ["string", "number", "boolean", "null", "array"],
    "items": {"type": ["string", "number", "boolean", "null"]},
}
_BODIES: Final = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
_TAKEN: Final = "It is kept. The same for a new lead, an update, a repeat and what looks like spam."


def document(forms: Iterable[Form], public_url: str | None = None) -> Json:
    """Return the whole document, its forms in the order given."""
    paths: Json = {}
    for form in forms:
        paths |= _paths(form) | {f"/f/{form.name}/from/{way}": _way(form, way) for way in form.ways}
    described: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Lead capture", "version": __version__},
        "paths": paths | _PROBES,
        "components": {"schemas": _SCHEMAS},
    }
    return described | ({"servers": [{"url": public_url}]} if public_url else {})


def _paths(form: Form) -> Json:
    base, title = f"/f/{form.name}", form.title or form.name
    return {
        base: {
            "get": {"summary": f"{title}: the form as a page", "responses": {"200": _page("The form.")}},
            "post": {
                "summary": f"{title}: send the form",
                "parameters": [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": _TEXT}],
                "requestBody": {
                    "required": True,
                    "content": {media_type: {"schema": _fields(form)} for media_type in _BODIES},
                },
                "responses": _answers(),
            },
        },
        f"{base}/phone": {
            "post": {
                "summary": f"{title}: check one phone number",
                "requestBody": {
                    "required": True,
                    "content": {media_type: {"schema": _ref("PhoneQuestion")} for media_type in _BODIES[:2]},
                },
                "responses": {"200": _json("What the number is.", "PhoneCheck")} | _failures([404, 429]),
            },
        },
        f"{base}/check": {
            "post": {
                "summary": f"{title}: check one field",
                "requestBody": {
                    "required": True,
                    "content": {media_type: {"schema": _ref("FieldQuestion")} for media_type in _BODIES[:2]},
                },
                "responses": {"200": _json("How it would be taken.", "FieldCheck")} | _failures([404, 429]),
            },
        },
        f"{base}/thanks": {
            "get": {"summary": f"{title}: the page after success", "responses": {"200": _page("Thanks.")}},
        },
    } | ({f"{base}/challenge": _CHALLENGE} if isinstance(form.captcha, Altcha) else {})


def _way(form: Form, way: str) -> Json:
    return {
        "post": {
            "summary": f"{form.title or form.name}: what is told by {way}",
            "parameters": [{"name": KEY, "in": "query", "required": False, "schema": _TEXT}],
            "requestBody": {"required": True, "content": {media_type: {"schema": {}} for media_type in _BODIES}},
            "responses": {
                "200": _json("It is kept.", "Kept"),
                **_failures([400, 401, 413, 415, 429, 503]),
                "500": _json("A fault of ours; the lead was not taken.", "Failure"),
            },
        },
    }


def _answers() -> Json:
    taken = _json(_TAKEN, "Success")
    sent_on: Json = {"description": "The same for a browser without script: on to `_next`, or to the page of thanks."}
    refused = _failures(sorted(set(CATALOGUE.values()) - {200, CATALOGUE[Code.UNAUTHORIZED]}))
    for response in (*refused.values(), broken := _json("A fault of ours; the lead was not taken.", "Failure")):
        response["content"] |= _page("")["content"]  # A browser without script gets a page.
    return {"200": taken, "303": sent_on, **refused, "500": broken}


def _failures(statuses: Iterable[int]) -> Json:
    return {str(status): _failure(status) for status in statuses}


def _failure(status: int) -> Json:
    codes = ", ".join(f"`{code}`" for code, known in CATALOGUE.items() if known == status)
    return _json(f"Refused: {codes}.", "Failure") if codes else _page("Refused.")


def _fields(form: Form) -> Json:
    fields = {field.name: _field(field) for field in form.fields.values()}
    controls = {f"_{name}": {**_TEXT, "description": meaning} for name, meaning in CONTROLS.items()}
    controls[form.honeypot] = controls[HONEYPOT]
    if form.language == AUTO:
        controls["_language"]["enum"] = list(codes())
    else:
        del controls["_language"]
    if form.captcha:
        controls[form.captcha.FIELD] = {**_TEXT, "description": "The solution of the form's challenge."}
    extra: Json = {"additionalProperties": _SCALARS if form.allow_extra else False}
    required = [field.name for field in form.fields.values() if field.required]
    required += [form.captcha.FIELD] if form.captcha else []
    return {"type": "object", "properties": fields | controls, "required": required, **extra}


def _field(field: Field) -> Json:
    return {**TYPES[field.type].schema(field), "title": field.label or field.words}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _page(description: str) -> Json:
    return {"description": description, "content": {"text/html": {"schema": _TEXT}}}


def _object(properties: Json, *optional: str) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_CODE: Final[Json] = {
    "type": "string",
    "enum": [str(code) for code in CATALOGUE if code not in {Code.PHONE_VALID, Code.VALID}],
}
_ANY_CODE: Final[Json] = {"type": "string", "enum": [str(code) for code in CATALOGUE]}
_PHONE_CODE: Final[Json] = {"type": "string", "enum": [str(code) for code in CATALOGUE if code.startswith("PHONE_")]}

_SCHEMAS: Final[Json] = {
    "Success": _object(
        {
            "ok": {"const": True},
            "success": {"const": True},
            "code": {"const": 200},
            "msg": {"const": "ok"},
            "receipt": {"type": "string", "minLength": 24},
            "message": _TEXT,
            "next": {**_TEXT, "description": "The allowed `_next`, else empty."},
            "suggestions": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Suggestion"}},
        },
        "suggestions",
    ),
    "Kept": _object({"ok": {"const": True}, "receipt": {"type": "string", "minLength": 24}}),
    "Suggestion": _object({"field": _TEXT, "suggestion": _TEXT, "message": _TEXT}),
    "FieldQuestion": {
        "type": "object",
        "properties": {"name": _TEXT, "value": {"type": ["string", "number", "boolean"]}},
        "required": ["name", "value"],
    },
    "FieldCheck": _object(
        {"valid": {"type": "boolean"}, "code": _ANY_CODE, "message": _TEXT, "suggestion": _TEXT}, "suggestion"
    ),
    "Failure": _object(
        {
            "ok": {"const": False},
            "success": {"const": False},
            "code": {"type": "integer", "description": "The HTTP status."},
            "message": _TEXT,
            "error": {**_TEXT, "description": "The first problem's sentence."},
            "errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Problem"}},
            "check": {**_TEXT, "description": "What to say above problems of fields; only where all are of fields."},
            "hint": {**_TEXT, "description": "For the owner of the form: the setting to change."},
        },
        *("check", "hint"),
    ),
    "Problem": _object(
        {
            "field": {**_TEXT, "description": "As the browser named it; empty for the whole request."},
            "code": _CODE,
            "message": _TEXT,
            "suggestion": _TEXT,
        },
        "suggestion",
    ),
    "PhoneQuestion": {
        "type": "object",
        "properties": {
            "number": {"type": ["string", "number"]},
            "country": {**_TEXT, "examples": ["IN"]},
            "_language": {**_TEXT, "examples": ["hi"]},
        },
        "required": ["number"],
    },
    "PhoneCheck": _object(
        {
            "valid": {"type": "boolean"},
            "code": _PHONE_CODE,
            "message": _TEXT,
            "e164": _TEXT,
            "national": _TEXT,
            "international": _TEXT,
            "country": {"type": ["string", "null"]},
            "type": _TEXT,
            "suggestion": _TEXT,
        },
        *("e164", "national", "international", "country", "type", "suggestion"),
    ),
    "Health": _object({"ok": {"const": True}}),
    "Readiness": _object({"ready": {"type": "boolean"}, "redis": _TEXT, "spool": _TEXT}, "redis", "spool"),
}

_PUZZLE: Final[Json] = dict.fromkeys(("algorithm", "challenge", "salt", "signature"), _TEXT)
_PUZZLE_LIMIT: Final[Json] = {name: {"type": "integer"} for name in ("maxNumber", "maxnumber")}
_CHALLENGE: Final[Json] = {
    "get": {
        "summary": "A challenge to solve, as ALTCHA's widget takes it",
        "responses": {
            "200": {
                "description": "The solution is sent with the form, as `altcha`.",
                "content": {"application/json": {"schema": _object(_PUZZLE | _PUZZLE_LIMIT)}},
            }
        },
    }
}

_PROBES: Final[Json] = {
    "/healthz": {"get": {"summary": "The process is up", "responses": {"200": _json("It is.", "Health")}}},
    "/readyz": {
        "get": {
            "summary": "A visitor could be thanked now",
            "responses": {"200": _json("Yes.", "Readiness"), "503": _json("No.", "Readiness")},
        }
    },
    "/lead-form.js": {
        "get": {
            "summary": "The script that a page may use",
            "responses": {"200": {"description": "JavaScript.", "content": {"text/javascript": {"schema": _TEXT}}}},
        }
    },
    "/metrics": {
        "get": {
            "summary": "Figures for Prometheus",
            "responses": {
                "200": {"description": "Its text format.", "content": {"text/plain": {"schema": _TEXT}}},
                "404": _json("Not for whoever asks from outside.", "Failure"),
            },
        }
    },
    "/lead-form-altcha.js": {
        "get": {
            "summary": "The script that solves challenges; the other one loads it",
            "responses": {"200": {"description": "JavaScript.", "content": {"text/javascript": {"schema": _TEXT}}}},
        }
    },
    "/openapi.json": {
        "get": {
            "summary": "This document",
            "responses": {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {}}}},
        }
    },
}
