"""Who a submission is from and what it says, as keyed hashes: nothing that a person typed can be read from them.

Law: pure; every hash is HMAC-SHA256 under the service's secret, named by its purpose and its form, so that
hashes of different purposes or forms can never be compared.
"""

import hmac
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping

import msgspec

from service.fields import email, phone
from service.lib.secret import Secret
from service.model.form import Form
from service.model.lead import Answer, Consent, Content, Source
from service.model.problem import Code
from service.submission import spam


def keyed_hash(secret: Secret, *parts: str) -> str:
    """Return 24 URL-safe characters (144 bits) that stand for `parts`; no part can run into the next."""
    named = b"".join(len(part).to_bytes(4, "big") + part for part in (each.encode() for each in parts))
    digest = hmac.digest(secret.reveal().encode(), named, "sha256")
    return urlsafe_b64encode(digest[:18]).decode()


def identities(secret: Secret, form: Form, content: Content) -> tuple[str, ...]:
    """Return the person hashes of every phone and every email given, in any field: it can be found by each of them.

    Also of a second number in the same field: somebody may ask about that one.
    """
    found = [
        (kind, _identity(form, name, answer, kind))
        for name, answer in content.fields.items()
        for kind in ("phone", "email")
    ]
    found += [("phone", e164) for answer in content.fields.values() for e164 in _further_numbers(form, answer)]
    return tuple(dict.fromkeys(person_hash(secret, form.name, kind, said) for kind, said in found if said))


def person_hash(secret: Secret, form: str, kind: str, said: str) -> str:
    """Return what stands for a person's phone (E.164), email (as `email.key_of` has it) or words at a form."""
    return keyed_hash(secret, "person", form, kind, said)


def person_keys(secret: Secret, form: Form, content: Content) -> dict[str, str]:
    """Return the person's keys: `phone` and `email` as far as given, else `words`, the hash of all values."""
    keys = {}
    for kind in ("phone", "email"):
        said = next(
            filter(None, (_identity(form, name, answer, kind) for name, answer in content.fields.items())), None
        )
        if said:
            keys[kind] = person_hash(secret, form.name, kind, said)
    return keys or {"words": person_hash(secret, form.name, "words", _spelled(form, content))}


def facts(secret: Secret, form: Form, content: Content) -> dict[str, tuple[str, str]]:
    """Return each thing said as (fingerprint, value): two are the same news when their fingerprints are equal.

    The value is opaque to the store; `content_of` reads it. Source, consent and flags have no fingerprint: they are
    never news. A consent or flag that a later submission does not have stands as it was. The name of an extra, which
    a visitor may choose, stands in its value alone, and is hashed where it names the fact.
    """
    said = {
        f"fields.{name}": (_canonical(form, name, answer), _packed(answer)) for name, answer in content.fields.items()
    }
    said |= {
        _name_of_extra(secret, form, name): (_folded(text), f"x{msgspec.json.encode((name, text)).decode()}")
        for name, text in content.extra.items()
    }
    printed = {name: (_fingerprint(secret, form, name, same), value) for name, (same, value) in said.items()}
    beside = {"source": content.source, "consent": content.consent, "flags": content.flags}
    return printed | {name: ("", f"j{msgspec.json.encode(each).decode()}") for name, each in beside.items() if each}


def content_of(form: Form, packed: Mapping[str, str]) -> Content:
    """Read back a content from the values that `facts` made: fields in the form's order, extras by name.

    A field that the form no longer has comes last.
    """
    order = {name: place for place, name in enumerate(form.fields)}
    kept = sorted(name.removeprefix("fields.") for name in packed if name.startswith("fields."))
    kept.sort(key=lambda name: order.get(name, len(order)))
    extra = sorted(_extra(value) for name, value in packed.items() if name.startswith("extra."))
    source = msgspec.json.decode(packed["source"][1:], type=Source) if "source" in packed else Source()
    consent = msgspec.json.decode(packed["consent"][1:], type=Consent) if "consent" in packed else None
    flags = msgspec.json.decode(packed["flags"][1:], type=tuple[str, ...]) if "flags" in packed else ()
    return Content(
        {name: _unpacked(packed[f"fields.{name}"]) for name in kept},
        dict(extra),
        source,
        consent,
        flags,
    )


def label_of(name: str, packed: str) -> str:
    """Return how a delivery names a fact: `phone` for a field, `extra.colour` for an extra, whose value is `packed`."""
    return f"extra.{_extra(packed)[0]}" if name.startswith("extra.") else name.removeprefix("fields.")


def idempotency_key(secret: Secret, form: Form, key: str, content: Content) -> str:
    """Return the hash of a caller's key together with what it was sent with."""
    return keyed_hash(secret, "idempotency", form.name, key, _spelled(form, content))


def receipt_of(secret: Secret, form: Form, key: str, content: Content) -> str:
    """Return the receipt of a submission that came with a key: the same from every process."""
    return keyed_hash(secret, "receipt", form.name, key, _spelled(form, content))


def _name_of_extra(secret: Secret, form: Form, name: str) -> str:
    return f"extra.{keyed_hash(secret, 'extra', form.name, name)[:16]}"


def _extra(packed: str) -> tuple[str, str]:
    return msgspec.json.decode(packed[1:], type=tuple[str, str])


def text_hash(secret: Secret, form: Form, content: Content) -> str | None:
    """Return the hash of the longest text in the form's fields; None if it is too short to be known again."""
    text = spam.long_text(form, content)
    return keyed_hash(secret, "text", form.name, text) if text else None


def _identity(form: Form, name: str, answer: Answer, kind: str) -> str | None:
    field = form.fields.get(name)
    if field is None or field.type != kind:
        return None
    if kind == "phone":
        return answer.phone.e164 if answer.phone else None
    return None if Code.TYPE_EMAIL in answer.flags else email.key_of(str(answer.value))


def _further_numbers(form: Form, answer: Answer) -> Iterator[str]:
    rest = answer.phone.rest if answer.phone else None
    while rest:
        further = phone.read(rest, country=form.country, countries=form.countries).phone
        if further and further.e164:
            yield further.e164
        rest = further.rest if further else None


def _canonical(form: Form, name: str, answer: Answer) -> str:
    kind = form.fields[name].type if name in form.fields else "text"
    return (_identity(form, name, answer, kind) if kind in {"phone", "email"} else None) or _folded(str(answer.value))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _spelled(form: Form, content: Content) -> str:
    said = [(f"fields.{name}", _canonical(form, name, answer)) for name, answer in content.fields.items()]
    said += [(f"extra.{name}", _folded(text)) for name, text in content.extra.items()]
    return msgspec.json.encode(sorted(said)).decode()


def _fingerprint(secret: Secret, form: Form, name: str, canonical: str) -> str:
    return keyed_hash(secret, "fact", form.name, name, canonical)[:16]


def _packed(answer: Answer) -> str:
    is_plain = isinstance(answer.value, str) and not answer.flags and answer.phone is None
    return f"s{answer.value}" if is_plain else f"j{msgspec.json.encode(answer).decode()}"


def _unpacked(value: str) -> Answer:
    return Answer(value[1:]) if value.startswith("s") else msgspec.json.decode(value[1:], type=Answer)
