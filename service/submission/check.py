"""What was posted becomes a content, or every reason why it cannot.

Invariant: the answer depends on the form and the text alone. Every problem is reported at once, in the form's order.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.fields.types import TYPES, Given
from service.lib.text import clean, cut
from service.lib.times import timestamp
from service.model.form import MAX_LENGTH, Field, Form
from service.model.lead import Answer, Consent, Content, Phone
from service.model.problem import Code, Problem, Problems, refuse
from service.submission import spam
from service.submission.field_match import Match, Matched, match
from service.submission.form_data import Posted

MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """A content that may be kept, and what about it looks like spam: signals with their weights.

    `quarantine` are those that keep it from being delivered whatever they weigh.
    """

    content: Content
    signals: Mapping[str, int]
    quarantine: tuple[str, ...] = ()


def check(form: Form, posted: Posted, matched: Matched | None = None, *, lenient: bool = False) -> Checked | Problems:
    """Check what was posted against the form; `matched` says which name is which field, None: that is found here.

    `lenient` is for visitors who were thanked already: nothing is refused. What is wrong is kept as it was
    typed, cleaned and cut, with the problem's code as its flag; a phone number then has no `e164`.
    """
    matched = matched or match(form, posted)
    answers, problems = _fields(form, posted, matched, lenient=lenient)
    extra, refused = _extras(form, matched.extra, lenient=lenient)
    refused += [Problem(Code.NO_FILE_UPLOADS, name) for name in posted.files]
    if not lenient:
        was_anything_sent = bool(posted.fields or posted.files)
        if was_anything_sent and (problems or refused):
            return Problems((*problems, *refused))
        if not (answers or extra):
            return refuse(Code.EMPTY)
    content = Content(answers, extra)
    signals = spam.of_content(form, posted.control, content)
    return Checked(content, signals, tuple(_condemned(form, signals, answers)))


def with_consent(form: Form, content: Content, *, language: str, now: int) -> Content:
    """Return the content with what its consent field was an answer to, as it was if that was not answered.

    `language` is the visitor's; `now` (ms) is when the submission was received.
    """
    answer = content.fields.get(form.consent.field) if form.consent else None
    if form.consent is None or answer is None or not isinstance(answer.value, bool):
        return content
    text, language = form.agreement_in(language)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return replace(content, consent=Consent(answer.value, form.consent.version, digest, timestamp(now), language))


def _fields(form: Form, posted: Posted, matched: Matched, *, lenient: bool) -> tuple[dict[str, Answer], list[Problem]]:
    answers: dict[str, Answer] = {}
    problems: list[Problem] = []
    for field in form.fields.values():
        match _answer(form, field, matched.fields.get(field.name), posted, lenient=lenient):
            case Answer() as answer:
                answers[field.name] = answer
            case Problem() as problem:
                problems.append(problem)
    return answers, problems


def _answer(form: Form, field: Field, found: Match | None, posted: Posted, *, lenient: bool) -> Answer | Problem | None:
    if found is None:
        return Problem(Code.REQUIRED_FIELD_MISSING, field.name) if field.required else None
    text = clean(found.text, multiline=field.multiline)
    if not text:
        return Problem(Code.REQUIRED_FIELD_EMPTY, found.sent) if field.required else None
    given = Given(form, field, found.sent, text, found.texts, posted.control.confirm, found.sent in posted.booleans)
    is_long = len(text) > field.max_length
    read = given.problem(Code.TOO_LONG, n=str(field.max_length)) if is_long else TYPES[field.type].read(given)
    return _flagged(given, read) if lenient and isinstance(read, Problem) else read


def _flagged(given: Given, problem: Problem) -> Answer:
    text, flags = cut(given.text, given.field.max_length), (str(problem.code),)
    if problem.code is Code.CONSENT_REQUIRED:
        return Answer(value=False, flags=flags)
    return Answer(text, flags, Phone(raw=text, flags=flags) if given.field.type == "phone" else None)


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
