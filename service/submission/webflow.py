"""Webflow's `form_submission` webhook becomes the fields that its visitor filled in.

Invariant: pure. The visitor was thanked by Webflow already, so nothing of a recognised event is refused; of one that
says more than a form takes, the rest is left out and it is flagged.
Outside source: Webflow's Data API v2, "form_submission" and "Webhook signatures".
"""

import hmac
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from service.fields.field_name import owner_of
from service.lib import json_text, signature
from service.lib.json_text import Node, Object
from service.lib.secret import Secret, unshown
from service.lib.text import decode, writable
from service.model.form import Form
from service.model.problem import Code
from service.submission.body import MAX_FIELDS, MAX_VALUES
from service.submission.form_data import Posted, gather

MAX_AGE: Final = 5 * 60_000
SIGNATURE: Final = "x-webflow-signature"
TIMESTAMP: Final = "x-webflow-timestamp"

_Answers: TypeAlias = list[tuple[str, Node]]


@dataclass(frozen=True, slots=True)
class Event:
    """One submission as Webflow tells it: `id` is the same on each of its retries, "" if it sent none."""

    posted: Posted
    id: str
    page: str

    __repr__ = unshown


def read(raw: bytes, form: Form) -> Event | None:
    """Return the event in `raw`, None where it is something else: an ordinary body."""
    if b"form_submission" not in raw:
        return None
    found = json_text.parse_object(decode(raw) or "")
    payload = found.get("payload") if found and found.get("triggerType") == "form_submission" else None
    if not isinstance(payload, Object):
        return None
    known, data = _known(payload.get("schema"), form), payload.get("data")
    answers = data.members[:MAX_VALUES] if isinstance(data, Object) else []
    taken = _within_limits(answers, {name for name, _ in answers if name in known or owner_of(form.fields, name)})
    sent = list(islice(_pairs(taken), MAX_VALUES + 1))
    is_cut = len(taken) < len(answers) or len(sent) > MAX_VALUES
    posted = gather(sent[:MAX_VALUES], known=known, honeypot=form.honeypot)
    flags = (str(Code.TOO_MANY_FIELDS),) if is_cut else ()
    return Event(replace(posted, flags=flags), _text(payload.get("id")), _text(payload.get("pageUrl")))


def is_authentic(secret: Secret, timestamp: str, signed: str, raw: bytes, now: int) -> bool:
    """Tell whether Webflow signed these bytes with `secret` at most 5 minutes before `now` (ms); `timestamp` in ms."""
    signed_at = signature.timestamp_of(timestamp)
    if signed_at is None or now - signed_at > MAX_AGE:
        return False
    expected = signature.webflow_signature(secret, timestamp, raw)
    return hmac.compare_digest(expected.encode(), signed.encode("utf-8", "replace"))


def _pairs(answers: _Answers) -> Iterator[tuple[str, str]]:
    """Yield what was filled in; an answer deeper than a list of scalars is kept as JSON."""
    for name, node in answers:
        nodes = node if isinstance(node, list) and not any(map(json_text.is_nested, node)) else [node]
        yield from ((writable(name), _text(node)) for node in nodes if node is not None)


def _within_limits(answers: _Answers, own: Container[str]) -> _Answers:
    """Return the answers under as many names as a form takes, the form's `own` first."""
    ranked = sorted(answers, key=lambda answer: answer[0] not in own)
    names = frozenset(islice(dict.fromkeys(name for name, _ in ranked), MAX_FIELDS))
    return [answer for answer in ranked if answer[0] in names]


def _known(schema: Node, form: Form) -> dict[str, str]:
    """Return which configured field each name is, by the element ids that survive a renaming in Webflow."""
    fields = {field.webflow: field.name for field in form.fields.values() if field.webflow}
    items = [item for item in schema if isinstance(item, Object)] if isinstance(schema, list) else []
    named = [(_text(item.get("fieldElementId")), _text(item.get("fieldName"))) for item in items]
    return {name: fields[element] for element, name in named if element in fields}


def _text(node: Node) -> str:
    if isinstance(node, list | Object):
        return writable(json_text.dump(node))
    return writable(json_text.scalar_text(node))
