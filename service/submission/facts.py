"""What is said, as the store keeps it: facts, each a fingerprint to compare and a value to read back.

Invariant: what `facts` writes, `content_of` reads, also what an earlier version of the service wrote.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import asdict

from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.lib.text import fold_blanks
from service.model.form import Form
from service.model.lead import Answer, Consent, Content, Source
from service.submission.person import canonical, canonicals_ever


def facts(secret: Secret, form: Form, content: Content) -> dict[str, tuple[str, str]]:
    """Return each thing said as (fingerprint, value): two are the same news when their fingerprints are equal.

    The value is opaque to the store; `content_of` reads it. Source, consent and flags have no fingerprint: they are
    never news. A consent or flag that a later submission does not have stands as it was. The name of an extra, which
    a visitor may choose, stands in its value alone, and is hashed where it names the fact.
    """
    said = {
        f"fields.{name}": (canonical(form, name, answer), _packed(answer)) for name, answer in content.fields.items()
    }
    said |= {
        _name_of_extra(secret, form, name): (fold_blanks(text), f"x{msgspec.json.encode((name, text)).decode()}")
        for name, text in content.extra.items()
    }
    printed = {name: (_fingerprint(secret, form, name, same), value) for name, (same, value) in said.items()}
    beside = {"source": content.source, "consent": content.consent, "flags": content.flags}
    return printed | {
        name: ("", f"j{msgspec.json.encode(answer).decode()}") for name, answer in beside.items() if answer
    }


def restate(
    secret: Secret, earlier: Sequence[Secret], form: Form, fact: tuple[str, str], value: str
) -> tuple[str, str]:
    """Return the name and the fingerprint of a `fact` under `secret`, if they are those of one of the `earlier` ones.

    Else they stay: they are under `secret` already, or nobody can tell what they are under.
    """
    name, fingerprint = fact
    is_extra = name.startswith("extra.")
    extra, text = _extra(value) if is_extra else ("", "")
    named = {_name_of_extra(other, form, extra) for other in earlier} if is_extra else ()
    now = _name_of_extra(secret, form, extra) if name in named else name
    if not fingerprint:
        return now, fingerprint
    said = (fold_blanks(text),) if is_extra else canonicals_ever(form, name.removeprefix("fields."), _unpacked(value))
    for other in earlier:
        for words in said:
            if fingerprint == _fingerprint(other, form, name, words):
                return now, _fingerprint(secret, form, now, words)
    return now, fingerprint


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
    """Return how a delivery names a fact: `phone` for a field, `extra.colour` for an extra, whose value is `packed`.

    Without a value an extra has no name any more.
    """
    if name.startswith("extra.") and not packed:
        return "extra"
    return f"extra.{_extra(packed)[0]}" if name.startswith("extra.") else name.removeprefix("fields.")


def _name_of_extra(secret: Secret, form: Form, name: str) -> str:
    return f"extra.{keyed_hash(secret, 'extra', form.name, name)[:16]}"


def _extra(packed: str) -> tuple[str, str]:
    return msgspec.json.decode(packed[1:], type=tuple[str, str])


def _fingerprint(secret: Secret, form: Form, name: str, canonical: str) -> str:
    return keyed_hash(secret, "fact", form.name, name, canonical)[:16]


def _packed(answer: Answer) -> str:
    """Pack an answer: "s" and a text, or "j" and the whole as JSON, of which what is empty is left out."""
    if isinstance(answer.value, str) and not answer.flags and answer.phone is None:
        return f"s{answer.value}"
    said = {"value": answer.value, **_given(flags=answer.flags, phone=answer.phone and _given(**asdict(answer.phone)))}
    return f"j{msgspec.json.encode(said).decode()}"


def _given(**said: object) -> dict[str, object]:
    return {name: value for name, value in said.items() if value not in (None, ())}


def _unpacked(value: str) -> Answer:
    return Answer(value[1:]) if value.startswith("s") else msgspec.json.decode(value[1:], type=Answer)
