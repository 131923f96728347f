"""Who a submission is from, as keyed hashes: nothing that a person typed can be read from them.

Invariant: every hash is HMAC-SHA256 under the service's secret, named by its purpose and its form, so that hashes of
different purposes or forms can never be compared.
"""

from collections.abc import Iterator

import msgspec

from service.fields import email, phone
from service.fields.field_name import names_of
from service.fields.types import TYPES
from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.lib.text import fold_blanks
from service.model.form import Form, fold
from service.model.lead import Answer, Content
from service.model.problem import Code
from service.submission import spam


def identities(secret: Secret, form: Form, content: Content) -> tuple[str, ...]:
    """Return the person hashes of all that `reach_of` returns."""
    return tuple(dict.fromkeys(person_hash(secret, form.name, *said) for said in reach_of(form, content)))


def reach_of(form: Form, content: Content) -> list[tuple[str, str]]:
    """Return every phone (E.164) and email (`email.key_of`) given, in any field: a person can be found by each of them.

    Also a second number in the same field: somebody may ask about that one.
    """
    found = [
        (type_, _identity(form, name, answer, type_))
        for name, answer in content.fields.items()
        for type_ in ("phone", "email")
    ]
    found += [("phone", e164) for answer in content.fields.values() for e164 in _further_numbers(form, answer)]
    found += _beside(form, content) if content.extra else ()
    return [(type_, said) for type_, said in found if said]


def person_hash(secret: Secret, form: str, type_: str, said: str) -> str:
    """Return what stands for a person's phone (E.164), email (as `email.key_of` has it) or words at a form."""
    return keyed_hash(secret, "person", form, type_, said)


def person_keys(secret: Secret, form: Form, content: Content) -> dict[str, str]:
    """Return the person's keys: `phone` and `email` as far as given, else `words`, the hash of all values."""
    keys = {}
    for type_ in ("phone", "email"):
        said = next(
            filter(None, (_identity(form, name, answer, type_) for name, answer in content.fields.items())), None
        )
        if said:
            keys[type_] = person_hash(secret, form.name, type_, said)
    return keys or {"words": person_hash(secret, form.name, "words", _spelled(form, content))}


def idempotency_key(secret: Secret, form: Form, key: str, content: Content) -> str:
    """Return the hash of a caller's key together with what it was sent with."""
    return keyed_hash(secret, "idempotency", form.name, key, _spelled(form, content))


def receipt_of(secret: Secret, form: Form, key: str, content: Content) -> str:
    """Return the receipt of a submission that came with a key: the same from every process."""
    return keyed_hash(secret, "receipt", form.name, key, _spelled(form, content))


def text_hash(secret: Secret, form: Form, content: Content) -> str | None:
    """Return the hash of the longest text in the form's fields; None if it is too short to be known again."""
    text = spam.long_text(form, content)
    return keyed_hash(secret, "text", form.name, text) if text else None


def _identity(form: Form, name: str, answer: Answer, type_: str) -> str | None:
    field = form.fields.get(name)
    if field is None or field.type != type_:
        return None
    if type_ == "phone":
        return answer.phone.e164 if answer.phone else None
    if type_ != "email":
        return None
    return None if Code.TYPE_EMAIL in answer.flags else email.key_of(str(answer.value))


def _beside(form: Form, content: Content) -> Iterator[tuple[str, str | None]]:
    """Yield the numbers and addresses among the extras that were sent under another name of such a field."""
    names = names_of(form.fields)
    for sent, text in content.extra.items():
        known = names.get(fold(sent))
        type_ = form.fields[known[0]].type if known else "text"
        if type_ == "phone" and (number := phone.read(text, country=form.country, countries=form.countries).phone):
            yield "phone", number.e164
        if type_ == "email" and (found := email.read(text)):
            yield "email", found.key


def _further_numbers(form: Form, answer: Answer) -> Iterator[str]:
    rest = answer.phone.rest if answer.phone else None
    while rest:
        further = phone.read(rest, country=form.country, countries=form.countries).phone
        if further and further.e164:
            yield further.e164
        rest = further.rest if further else None


def canonical(form: Form, name: str, answer: Answer) -> str:
    """Return what counts of an answer when two are compared: a person's number or address, else its words."""
    field = form.fields.get(name)
    if field is None:
        return fold_blanks(answer.text)
    return _identity(form, name, answer, field.type) or fold_blanks(TYPES[field.type].compared(answer))


def identities_ever(form: Form, content: Content) -> tuple[tuple[str, str], ...]:
    """Return (type, words) of all that a person who said this may be known by, whatever types the fields had then."""
    said = [("words", _spelled(form, content))]
    for answer in content.fields.values():
        if answer.phone and answer.phone.e164:
            said.append(("phone", answer.phone.e164))
        said += [("phone", e164) for e164 in _further_numbers(form, answer)]
    for text in (*(answer.text for answer in content.fields.values()), *content.extra.values()):
        if found := email.read(text) if "@" in text else None:
            said.append(("email", found.key))
    for text in content.extra.values():
        if number := phone.read(text, country=form.country, countries=form.countries).phone:
            said += [("phone", number.e164)] if number.e164 else []
    return tuple(dict.fromkeys(said))


def canonicals_ever(form: Form, name: str, answer: Answer) -> tuple[str, ...]:
    """Return what may have counted of an answer when two were compared, whatever type the field had then."""
    said = [canonical(form, name, answer), fold_blanks(answer.text)]
    said += [fold_blanks(type_.compared(answer)) for type_ in TYPES.values()]
    said += [answer.phone.e164] if answer.phone and answer.phone.e164 else []
    said += [email.key_of(answer.text)]
    return tuple(dict.fromkeys(said))


def _spelled(form: Form, content: Content) -> str:
    said = [(f"fields.{name}", canonical(form, name, answer)) for name, answer in content.fields.items()]
    said += [(f"extra.{name}", fold_blanks(text)) for name, text in content.extra.items()]
    return msgspec.json.encode(sorted(said)).decode()
