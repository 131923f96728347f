"""The types of fields: what was typed ► an answer or a problem, and how each type looks on a page and in a schema.

Invariant: one row of `TYPES` is all that the service knows of a type; a test holds it to `form.FieldType`. Whatever
depends on a type elsewhere asks its row.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeAlias

from service.fields import dates, email, phone
from service.fields.choices import choice_of, choices_of, in_words
from service.fields.words import ticks
from service.lib.secret import unshown
from service.lib.text import clean, without_format
from service.model.form import Field, FieldType, Form
from service.model.lead import Answer, Phone
from service.model.problem import Code, Problem

MAX_DIGITS: Final = 15

_LONGEST_NUMBER: Final = 200
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")

Schema: TypeAlias = "Mapping[str, object]"


@dataclass(frozen=True, slots=True)
class Given:
    """One field that was given something: clean `text`, its single `texts`, and what else its reading depends on.

    `sent` is the name that the browser gave it; `confirm` is the number that the visitor sent a second time;
    `country` the region that stands beside a number, "" for none. `has_lost_plus`: blanks may have been plus signs.
    """

    form: Form
    field: Field
    sent: str
    text: str
    texts: Sequence[str] = ()
    confirm: str = ""
    is_boolean: bool = False
    country: str = ""
    has_lost_plus: bool = False

    __repr__ = unshown

    def problem(self, code: Code, *, suggestion: str | None = None, **values: str) -> Problem:
        """Return what is wrong with this field."""
        return Problem(code, self.sent, values, suggestion)


@dataclass(frozen=True, slots=True)
class Type:
    """One type of fields.

    `input` is the kind of input on a page: a type of HTML's `input`, "textarea", "select", "checkbox" or "checkboxes";
    one that shows nothing of a wrong value is a text input then (`is_blank_when_wrong`). `schema` is JSON Schema, of
    what may be sent; `example` fills the field of a made-up lead; `compared` is what counts of an answer when two are
    compared, beside phones and addresses, which count by their person.
    """

    read: Callable[[Given], Answer | Problem]
    input: str
    schema: Callable[[Field], Schema]
    example: Callable[[Field], Answer]
    inputmode: str = ""
    autocomplete: str = ""
    has_choices: bool = False
    may_have_lines: bool = False
    is_blank_when_wrong: bool = False
    compared: Callable[[Answer], str] = lambda answer: answer.text


def shown(form: Form, field: Field, text: str) -> str:
    """Return what was typed as the input of its type shows it on a page."""
    typed = clean(text, multiline=field.multiline)
    if field.type == "choice":
        return choice_of(field, typed) or typed
    day = dates.read(typed, form.country) if field.type == "date" else None
    return day.isoformat() if day else typed


def suggestion_for(answer: Answer) -> str:
    """Return the right spelling of a mistyped, valid address, "" for anything else."""
    return email.suggest(answer.text) or "" if "typo" in answer.flags else ""


def is_yes(text: str) -> bool:
    """Tell whether a text ticks a box."""
    return ticks(text) is True


def _text(given: Given) -> Answer | Problem:
    return given.problem(Code.TYPE_TEXT) if given.is_boolean else Answer(given.text)


def _email(given: Given) -> Answer | Problem:
    text = without_format(given.text)
    found = email.read(text)
    local, at, domain = text.partition("@")
    if found is None and given.has_lost_plus and at and " " in local:
        found = email.read(f"{local.replace(' ', '+')}@{domain}") if local.count(" ") == 1 else None
        return Answer(found.address, ("repaired",)) if found else given.problem(Code.TYPE_EMAIL)
    if found is None:
        return given.problem(Code.TYPE_EMAIL, suggestion=email.suggest(text))
    return Answer(found.address, ("typo",) if found.suggestion else ())


def _phone(given: Given) -> Answer | Problem:
    form = given.form
    verdict = phone.read_at(
        form, given.text, country=given.country, confirm=given.confirm, has_lost_plus=given.has_lost_plus
    )
    if verdict.phone is None or verdict.phone.e164 is None or not verdict.valid:
        return Problem(verdict.code, given.sent, verdict.values, verdict.suggestion)
    if form.junk == "reject" and "junk" in verdict.phone.flags:
        return given.problem(Code.PHONE_UNSUPPORTED_TYPE)
    return Answer(verdict.phone.e164, verdict.phone.flags, verdict.phone)


def _choice(given: Given) -> Answer | Problem:
    choice = choice_of(given.field, given.text)
    if choice is None and given.field.other:
        return Answer(given.text, (str(Code.NOT_A_CHOICE),))
    if choice is None:
        return given.problem(Code.NOT_A_CHOICE, **in_words(given.field))
    return Answer(choice)


def _choices(given: Given) -> Answer | Problem:
    found = list(choices_of(given.field, given.texts or (given.text,)))
    chosen = tuple(dict.fromkeys(choice for _, choice in found if choice is not None))
    is_other = any(choice is None for _, choice in found)
    if is_other and given.field.other:
        return Answer(tuple(dict.fromkeys(choice or named for named, choice in found)), (str(Code.NOT_A_CHOICE),))
    if not chosen or is_other:
        return given.problem(Code.NOT_A_CHOICE, **in_words(given.field))
    return Answer(chosen)


def _boolean(given: Given) -> Answer | Problem:
    # Frameworks put a hidden "no" before or behind the box: it is ticked if any of its values says so.
    said = [ticks(text) for text in given.texts or (given.text,) if text.strip()]
    if None in said or not said:
        return given.problem(Code.NOT_A_CHOICE, choices="yes, no")
    consent = given.form.consent
    if True not in said and given.field.required and consent and consent.field == given.field.name:
        return given.problem(Code.CONSENT_REQUIRED)
    return Answer(True in said)


def _number(given: Given) -> Answer | Problem:
    number = None if given.is_boolean else _exact(given.text)
    return given.problem(Code.TYPE_NUMERIC) if number is None else Answer(number)


def _exact(text: str) -> int | float | None:
    """Return a number of at most 15 digits, which every receiver's floats keep; None for any other text."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if not number:
        return 0
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    if len(digits) > MAX_DIGITS or not -MAX_DIGITS <= number.adjusted() < MAX_DIGITS:
        return None
    return int(number) if number == int(number) else float(number)


def _date(given: Given) -> Answer | Problem:
    day = None if given.is_boolean else dates.read(given.text, given.form.country)
    if day is None:
        return given.problem(Code.TYPE_DATE, example=dates.example(given.form.country))
    return Answer(day.isoformat())


def _as_set(answer: Answer) -> str:
    """Return choices so that their order does not count, and no comma in one makes two of it."""
    return json.dumps(sorted(answer.value)) if isinstance(answer.value, tuple) else answer.text


def _one_of(field: Field, words: str) -> Schema:
    return {"type": "string", "examples": list(field.choices), "description": words}


def _long(field: Field) -> Schema:
    return {"type": "string", "maxLength": field.max_length}


_TEXTS: Final = {"name": "Asha Rao (test)", "message": "This is a test of the website's form."}
_NUMBERED: Final = Phone("089510 47001", "+918951047001", "089510 47001", "+91 89510 47001", "IN", "MOBILE", ("test",))

TYPES: Final[Mapping[FieldType, Type]] = MappingProxyType(
    {
        "text": Type(
            read=_text,
            input="text",
            may_have_lines=True,
            schema=_long,
            example=lambda field: Answer(
                _TEXTS.get(field.name, f"{field.label or field.name} (test)")[: field.max_length]
            ),
        ),
        "email": Type(
            read=_email,
            input="email",
            inputmode="email",
            autocomplete="email",
            schema=lambda field: {**_long(field), "format": "email"},
            example=lambda _: Answer("asha@example.com"),
        ),
        "phone": Type(
            read=_phone,
            input="tel",
            inputmode="tel",
            autocomplete="tel",
            schema=lambda field: {**_long(field), "type": ["string", "number"]},
            example=lambda _: Answer(_NUMBERED.e164 or "", (), _NUMBERED),
        ),
        "choice": Type(
            read=_choice,
            input="select",
            has_choices=True,
            schema=lambda field: _one_of(field, "One of these, in any case."),
            example=lambda field: Answer(field.choices[0]),
        ),
        "choices": Type(
            read=_choices,
            input="checkboxes",
            has_choices=True,
            schema=lambda field: {
                "type": ["array", "string"],
                "items": {"type": "string"},
                "examples": [list(field.choices)],
                "description": "Some of these, in any case.",
            },
            example=lambda field: Answer(field.choices[:2]),
            compared=_as_set,
        ),
        "number": Type(
            read=_number,
            input="number",
            inputmode="decimal",
            is_blank_when_wrong=True,
            schema=lambda _: {"type": ["number", "string"]},
            example=lambda _: Answer(1),
        ),
        "boolean": Type(
            read=_boolean,
            input="checkbox",
            schema=lambda _: {"type": ["boolean", "string"]},
            example=lambda _: Answer(value=True),
        ),
        "date": Type(
            read=_date,
            input="date",
            is_blank_when_wrong=True,
            schema=lambda _: {"type": "string", "examples": ["2000-01-31"]},
            example=lambda _: Answer("2000-01-31"),
        ),
    }
)
