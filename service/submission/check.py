"""What was posted becomes a content, or every reason why it cannot.

Law: pure; the answer depends on the form and the text alone. Every problem is told at once, in the form's order.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from service.fields import email, phone
from service.lib.secret import unshown
from service.lib.text import clean, cut
from service.model.form import MAX_LENGTH, Field, FieldType, Form
from service.model.lead import Answer, Content, Phone
from service.model.problem import Code, Problem, Problems, refuse
from service.submission import spam
from service.submission.field_match import Match, Matched, match
from service.submission.form_data import Posted

MAX_NAME: Final = 200
MAX_DIGITS: Final = 15
YES: Final = frozenset({"on", "true", "1", "yes"})
NO: Final = frozenset({"off", "false", "0", "no"})

_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Checked:
    """A content that may be kept, and what about it looks like spam: signals with their weights.

    `quarantine` are those that keep it from being delivered whatever they weigh.
    """

    content: Content
    signals: Mapping[str, int]
    quarantine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """One field that was given something: clean `text`, and what else its reading depends on."""

    form: Form
    field: Field
    sent: str
    text: str
    confirm: str
    is_boolean: bool

    __repr__ = unshown

    def problem(self, code: Code, *, suggestion: str | None = None, **values: str) -> Problem:
        return Problem(code, self.sent, values, suggestion)


def check(form: Form, posted: Posted, matched: Matched | None = None, *, lenient: bool = False) -> Checked | Problems:
    """Check what was posted against the form; `matched` says which name is which field, None: that is found here.

    `lenient` is for visitors who were thanked already: nothing is refused. What is wrong is kept as it was
    typed, cleaned and cut, with the problem's code as its flag; a phone number then has no `e164`.
    """
    matched = matched or match(form, posted)
    if not (posted.fields or posted.files or lenient):
        return refuse(Code.EMPTY)
    answers: dict[str, Answer] = {}
    problems: list[Problem] = []
    for field in form.fields.values():
        match _answer(form, field, matched.fields.get(field.name), posted, lenient=lenient):
            case Answer() as answer:
                answers[field.name] = answer
            case Problem() as problem:
                problems.append(problem)
    extra, refused = _extras(form, matched.extra, lenient=lenient)
    refused += [Problem(Code.NO_FILE_UPLOADS, name) for name in posted.files]
    if not lenient and (problems or refused):
        return Problems((*problems, *refused))
    if not (lenient or answers or extra):
        return refuse(Code.EMPTY)
    content = Content(answers, extra)
    signals = spam.of_content(form, posted.control, content)
    return Checked(content, signals, tuple(_condemned(form, signals, answers)))


def choice_of(field: Field, text: str) -> str | None:
    """Return the configured spelling of the choice that `text` names, whatever its case and blanks."""
    meant = _fold_choice(text)
    return next((choice for choice in field.choices if _fold_choice(choice) == meant), None)


def _answer(form: Form, field: Field, given: Match | None, posted: Posted, *, lenient: bool) -> Answer | Problem | None:
    if given is None:
        return Problem(Code.REQUIRED_FIELD_MISSING, field.name) if field.required else None
    text = clean(given.text, multiline=field.multiline)
    if not text:
        return Problem(Code.REQUIRED_FIELD_EMPTY, given.sent) if field.required else None
    asked = _Asked(form, field, given.sent, text, posted.control.confirm, given.sent in posted.booleans)
    is_long = len(text) > field.max_length
    read = asked.problem(Code.TOO_LONG, n=str(field.max_length)) if is_long else _READERS[field.type](asked)
    return _flagged(asked, read) if lenient and isinstance(read, Problem) else read


def _flagged(asked: _Asked, problem: Problem) -> Answer:
    text, flags = cut(asked.text, asked.field.max_length), (str(problem.code),)
    if problem.code is Code.CONSENT_REQUIRED:
        return Answer(value=False, flags=flags)
    return Answer(text, flags, Phone(raw=text, flags=flags) if asked.field.type == "phone" else None)


def _text(asked: _Asked) -> Answer | Problem:
    return asked.problem(Code.TYPE_TEXT) if asked.is_boolean else Answer(asked.text)


def _email(asked: _Asked) -> Answer | Problem:
    found = email.read(asked.text)
    if found is None:
        return asked.problem(Code.TYPE_EMAIL, suggestion=email.suggest(asked.text))
    return Answer(found.address, ("typo",) if found.suggestion else ())


def _phone(asked: _Asked) -> Answer | Problem:
    form = asked.form
    verdict = phone.read(asked.text, country=form.country, countries=form.countries, confirm=asked.confirm or None)
    if verdict.phone is None or verdict.phone.e164 is None or not verdict.valid:
        return Problem(verdict.code, asked.sent, verdict.values, verdict.suggestion)
    if form.junk == "reject" and "junk" in verdict.phone.flags:
        return asked.problem(Code.PHONE_UNSUPPORTED_TYPE)
    return Answer(verdict.phone.e164, verdict.phone.flags, verdict.phone)


def _choice(asked: _Asked) -> Answer | Problem:
    choice = choice_of(asked.field, asked.text)
    if choice is None:
        return asked.problem(Code.NOT_A_CHOICE, choices=", ".join(asked.field.choices))
    return Answer(choice)


def _boolean(asked: _Asked) -> Answer | Problem:
    # A hidden "0" before a checkbox "1" is joined to "0, 1": the last one is what the visitor did.
    word = asked.text.rpartition(",")[2].strip().casefold()
    if word in NO and asked.field.required and asked.form.consent and asked.form.consent.field == asked.field.name:
        return asked.problem(Code.CONSENT_REQUIRED)
    if word in YES | NO:
        return Answer(word in YES)
    return asked.problem(Code.NOT_A_CHOICE, choices="yes, no")


def _number(asked: _Asked) -> Answer | Problem:
    number = None if asked.is_boolean else _exact(asked.text)
    return asked.problem(Code.TYPE_NUMERIC) if number is None else Answer(number)


def _exact(text: str) -> int | float | None:
    """Return a number of at most 15 digits, which every receiver's floats keep; None for any other text."""
    if len(text) > MAX_NAME or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if not number:
        return 0
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    if len(digits) > MAX_DIGITS or not -MAX_DIGITS <= number.adjusted() < MAX_DIGITS:
        return None
    return int(number) if number == int(number) else float(number)


_READERS: Final[Mapping[FieldType, Callable[[_Asked], Answer | Problem]]] = MappingProxyType(
    {
        "text": _text,
        "email": _email,
        "phone": _phone,
        "choice": _choice,
        "number": _number,
        "boolean": _boolean,
    }
)


def _extras(form: Form, sent: Mapping[str, str], *, lenient: bool) -> tuple[dict[str, str], list[Problem]]:
    """Clean what the form does not name; two names that are one when cleaned are joined."""
    extra: dict[str, str] = {}
    problems = []
    for sent_name, sent_text in sent.items():
        name, text = clean(sent_name, multiline=False), clean(sent_text, multiline=True)
        if not (name and text):
            continue
        if problem := _extra_problem(form, name, text):
            problems.append(problem)
        name = cut(name, MAX_NAME)
        extra[name] = cut(f"{extra[name]}, {text}" if name in extra else text, MAX_LENGTH)
    return extra, [] if lenient else problems


def _extra_problem(form: Form, name: str, text: str) -> Problem | None:
    if not form.allow_extra:
        return Problem(Code.UNKNOWN_FIELD, name)
    if len(name) > MAX_NAME:
        return Problem(Code.TOO_LONG, cut(name, MAX_NAME), {"n": str(MAX_NAME)})
    return Problem(Code.TOO_LONG, name, {"n": str(MAX_LENGTH)}) if len(text) > MAX_LENGTH else None


def _condemned(form: Form, signals: Mapping[str, int], answers: Mapping[str, Answer]) -> list[str]:
    flags = [flag for answer in answers.values() if answer.phone for flag in answer.phone.flags]
    is_junk = form.junk == "quarantine" and "junk" in flags
    return ["honeypot"] * ("honeypot" in signals) + ["junk_phone"] * is_junk


def _fold_choice(text: str) -> str:
    return " ".join(text.casefold().split())
