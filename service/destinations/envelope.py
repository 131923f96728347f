"""What a delivery says, in its three shapes: our JSON envelope, values by path, and flat pairs.

Invariant: pure; a delivery goes in, plain values come out, the same ones for the same delivery.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec
import phonenumbers

from service.destinations.template import Absent, Json, Node, as_text, fill
from service.lib.secret import Secret
from service.lib.times import timestamp
from service.model.lead import CLICK_IDS, UTM, Answer, Consent, Delivery, Lead, Phone, Source, Touch, Value
from service.submission.spam import by_weight

PLAIN_PATHS: Final = (
    "id", "version", "form", "type", "timestamp", "received_at", "first_seen_at", "enquiries", "changed", "flags",
    "webhook_id", "test", "said", "source.page", "source.referrer", "spam.score", "spam.signals",
)  # fmt: skip
RECORD: Final = "record"
"""The destination's own id of the lead: there where one was kept."""
TOKEN: Final = "token"  # noqa: S105  it names one
"""The token of `oauth`: in an address and in headers, never in a body, which is the same on every try."""
NUMBER_PARTS: Final = ("digits", "local", "code")
NUMBER_PATHS: Final = frozenset(f"phone.{part}" for part in NUMBER_PARTS)
PHONE_KEYS: Final = (*Phone.__struct_fields__, *NUMBER_PARTS)
CONSENT_KEYS: Final = Consent.__struct_fields__
SOURCE_GROUPS: Final = {"utm": UTM, "click_ids": CLICK_IDS}
TOUCHES: Final = ("first_touch", "last_touch")
TOUCH_KEYS: Final = (
    "page", "referrer", "at", *(f"{group}.{name}" for group, names in SOURCE_GROUPS.items() for name in names),
)  # fmt: skip


def envelope(delivery: Delivery) -> dict[str, Json]:
    """Return the body of a standard delivery, its keys in the documented order."""
    lead = delivery.lead
    data: dict[str, Json] = {
        "id": lead.id,
        "version": lead.version,
        "form": lead.form,
        "received_at": timestamp(lead.received_at),
        "fields": _fields(delivery),
        "phone": _phone(delivery),
        "flags": _flags(delivery),
        "extra": dict(lead.content.extra),
        "changed": list(delivery.changed),
        "enquiries": lead.enquiries,
        "first_seen_at": timestamp(lead.first_seen_at),
        "source": _source(lead.content.source),
    }
    if lead.signals:
        data["spam"] = _spam(lead)
    if lead.content.consent:
        data["consent"] = msgspec.structs.asdict(lead.content.consent)
    if delivery.test:
        data["test"] = True
    return {"type": delivery.type, "timestamp": timestamp(lead.accepted_at), "data": data}


def erasure(delivery: Delivery) -> dict[str, Json]:
    """Return the body that tells a destination to forget a lead: its id and nothing else."""
    lead = delivery.lead
    return {"type": delivery.type, "timestamp": timestamp(lead.accepted_at), "data": {"id": lead.id}}


def values(delivery: Delivery) -> dict[str, Json]:
    """Return every value that a placeholder can name, by its path; what is empty or not given is not there."""
    lead = delivery.lead
    named: dict[str, Json] = {
        "id": lead.id,
        "version": lead.version,
        "form": lead.form,
        "type": delivery.type,
        "timestamp": timestamp(lead.accepted_at),
        "received_at": timestamp(lead.received_at),
        "first_seen_at": timestamp(lead.first_seen_at),
        "enquiries": lead.enquiries,
        "changed": list(delivery.changed),
        "flags": _flags(delivery),
        "webhook_id": delivery.webhook_id,
        RECORD: delivery.record,
        "said": said(delivery),
        "test": True if delivery.test else None,
    }
    if lead.content.consent:
        named |= _under("consent.", msgspec.structs.asdict(lead.content.consent))
    named |= _under("fields.", _fields(delivery)) | _under("phone.", _phone(delivery) or {})
    named |= _under("extra.", lead.content.extra) | _branches("source.", _source(lead.content.source))
    named |= _under("spam.", _spam(lead) if lead.signals else {})
    named |= _number_parts(lead)
    return {path: value for path, value in named.items() if value is not None and value != ""}


def _number_parts(lead: Lead) -> dict[str, Json]:
    """Return the parts of the phone number: digits without the plus, the calling code, and what follows that."""
    numbers = (answer.phone.e164 for answer in lead.content.fields.values() if answer.phone is not None)
    e164 = next(numbers, None)
    if e164 is None:
        return {}
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:  # kept by metadata that knew it
        return {"phone.digits": e164.removeprefix("+")}
    local = phonenumbers.national_significant_number(number)
    return {"phone.digits": e164.removeprefix("+"), "phone.code": str(number.country_code), "phone.local": local}


def said(delivery: Delivery) -> str:
    """Return everything that was said as a text, a line for each field and extra.

    Only the first line of a value stands at the margin, so that no value looks like several.
    """
    content = delivery.lead.content
    named = [*((name, _shown(answer)) for name, answer in content.fields.items()), *content.extra.items()]
    return "\n".join(lines(named))


def lines(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield `name: value` for each pair that has a value."""
    for name, value in pairs:
        if value:
            yield f"{name}: {value}".replace("\n", "\n  ")


def _shown(answer: Answer) -> str:
    return (answer.phone and answer.phone.international) or answer.text


def flat(delivery: Delivery) -> dict[str, str]:
    """Return the pairs of a standard urlencoded delivery.

    Fields stand under their own name, everything else under the path a placeholder would name it by
    (`id`, `version`, `phone.country`, `extra.colour`, `source.utm.source`). What is empty is left out.
    """
    said = ((path, value) for path, value in values(delivery).items() if path not in {*NUMBER_PATHS, RECORD, "said"})
    pairs = ((path.removeprefix("fields."), as_text(value)) for path, value in said)
    return {name: text for name, text in pairs if text}


def rendered(
    delivery: Delivery, body: "Node | None", form: Literal["json", "form"], show: Callable[[Secret], str]
) -> bytes:
    """Return the bytes of a delivery: `body` filled, secrets as `show` has them; without one the envelope or pairs."""
    if delivery.type == "lead.erased":
        return msgspec.json.encode(erasure(delivery))
    if body is None:
        return msgspec.json.encode(envelope(delivery)) if form == "json" else _urlencode(flat(delivery))
    filled = fill(body, values(delivery), show)
    if form == "json" or not isinstance(filled, Mapping):
        return msgspec.json.encode({} if isinstance(filled, Absent) else filled)
    return _urlencode({name: as_text(value) for name, value in filled.items()})


def _urlencode(pairs: Mapping[str, str]) -> bytes:
    """Encode pairs by https://url.spec.whatwg.org/#urlencoded-serializing; a preview's `***` stays readable."""
    return urlencode(pairs, safe="*").encode()


def _under(prefix: str, group: Mapping[str, Json]) -> dict[str, Json]:
    return {prefix + name: value for name, value in group.items()}


def _branches(prefix: str, group: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values of a tree by their paths."""
    named: dict[str, Json] = {}
    for name, value in group.items():
        path = f"{prefix}{name}"
        named |= _branches(f"{path}.", value) if isinstance(value, Mapping) else {path: value}
    return named


def _source(source: Source) -> dict[str, Json]:
    """Return the source object: page, referrer and utm always, all else only when there is any."""
    touches = {name: getattr(source, name) for name in TOUCHES}
    return _visit(source) | {name: _visit(touch) for name, touch in touches.items() if touch is not None}


def _visit(visit: Source | Touch) -> dict[str, Json]:
    shown: dict[str, Json] = {"page": visit.page, "referrer": visit.referrer, "utm": dict(visit.utm)}
    clicks: dict[str, Json] = {"click_ids": dict(visit.click_ids)} if visit.click_ids else {}
    return shown | clicks | ({"at": visit.at} if isinstance(visit, Touch) and visit.at else {})


def _spam(lead: Lead) -> dict[str, Json]:
    return {"score": sum(lead.signals.values()), "signals": list(by_weight(lead.signals))}


def _fields(delivery: Delivery) -> dict[str, Value]:
    return {name: _value(answer) for name, answer in delivery.lead.content.fields.items()}


def _value(answer: Answer) -> Value:
    if answer.phone is None:
        return answer.value
    return answer.phone.raw if answer.phone.e164 is None else answer.phone.e164


def _phone(delivery: Delivery) -> dict[str, Json] | None:
    """Return the phone object of the first phone given; extension and rest only when there are any."""
    answers = delivery.lead.content.fields.values()
    phone = next((answer.phone for answer in answers if answer.phone is not None), None)
    if phone is None:
        return None
    shown: dict[str, Json] = msgspec.structs.asdict(phone) | {"flags": list(phone.flags)}
    return {key: value for key, value in shown.items() if value is not None or key not in {"extension", "rest"}}


def _flags(delivery: Delivery) -> list[str]:
    answers, whole = delivery.lead.content.fields.items(), delivery.lead.content.flags
    return [*whole] + [f"{name}.{flag}" for name, answer in answers if answer.phone is None for flag in answer.flags]
