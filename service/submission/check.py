"""What was posted becomes a content, or every reason why it cannot.

Invariant: the answer depends on the form and the text alone. Every problem is reported at once, in the form's order.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.fields.choices import choice_of
from service.fields.phone_country import is_calling_code
from service.fields.types import TYPES, Given
from service.fields.words import is_none, is_of_script
from service.lib.text import JOINERS, clean, cut, without_format
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
    typed, cleaned and cut, with the problem's code as its flag; a phone number then has no `e164`. Of a form that takes
    no extras they are left out, and the code is the lead's own flag.
    """
    matched = matched or match(form, posted)
    answers, problems = _fields(form, posted, matched, lenient=lenient)
    extra, refused = _extras(form, matched)
    refused += [Problem(Code.NO_FILE_UPLOADS, name) for name in posted.files]
    if not lenient:
        was_anything_sent = bool(posted.fields or posted.files)
        if was_anything_sent and (problems or refused):
            return Problems((*problems, *refused))
        if not (answers or extra):
            return refuse(Code.EMPTY)
    content = Content(answers, extra, flags=(*posted.flags, *dict.fromkeys(str(problem.code) for problem in refused)))
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
    text = clean(found.text, multiline=field.multiline) if found else ""
    if found is None or not text or _says_nothing(field, found, text):
        return _missing(form, field, found) if field.required else None
    given = Given(
        form,
        field,
        found.sent,
        text,
        texts=found.texts,
        confirm=posted.control.confirm,
        is_boolean=found.sent in posted.booleans,
        country=found.country,
        has_lost_plus=posted.is_url and (found.text[:1] == " " or field.type == "email"),
    )
    is_long = len(text) > field.max_length
    read = given.problem(Code.TOO_LONG, n=str(field.max_length)) if is_long else TYPES[field.type].read(given)
    is_kept = lenient or field.invalid == "flag"
    return _flagged(given, read) if is_kept and isinstance(read, Problem) else read


def check_field(form: Form, posted: Posted, matched: Matched, name: str) -> Answer | Problem | None:
    """Read one field alone, None where it was not given: what the check beside an input asks for."""
    return _answer(form, form.fields[name], matched.fields.get(name), posted, lenient=False)


def _says_nothing(field: Field, found: Match, text: str) -> bool:
    """Tell whether an optional field was given a word for none, or an empty widget's calling code."""
    if field.required or field.type == "text":
        return False
    match field.type:
        case "boolean":
            return is_of_script(found.texts or (text,))
        case "choice" | "choices":
            return not field.other and is_none(text) and choice_of(field, text) is None
        case "phone":
            return is_none(text) or (len(text) > 1 and is_calling_code(text))
        case _:
            return is_none(text)


def _missing(form: Form, field: Field, found: Match | None) -> Problem:
    sent = found.sent if found else field.name
    if form.consent and form.consent.field == field.name:
        return Problem(Code.CONSENT_REQUIRED, sent)
    return Problem(Code.REQUIRED_FIELD_EMPTY if found else Code.REQUIRED_FIELD_MISSING, sent)


def _flagged(given: Given, problem: Problem) -> Answer:
    text, flags = cut(given.text, given.field.max_length), (str(problem.code),)
    if problem.code is Code.CONSENT_REQUIRED:
        return Answer(value=False, flags=flags)
    return Answer(text, flags, Phone(raw=text, flags=flags) if given.field.type == "phone" else None)


def _extras(form: Form, matched: Matched) -> tuple[dict[str, str], list[Problem]]:
    """Clean what the form does not name; two names that are one when cleaned are joined.

    Where the form takes no extras, what served to read a number is no problem, and neither are control fields.
    """
    extra: dict[str, str] = {}
    problems = []
    for sent_name, sent_text in matched.extra.items():
        name, text = _plain_name(sent_name), clean(sent_text, multiline=True)
        if not (name and text) or (not form.allow_extra and (sent_name in matched.read or name.startswith("_"))):
            continue
        if problem := _extra_problem(form, name, text):
            problems.append(problem)
        if form.allow_extra:
            name = cut(name, MAX_NAME)
            extra[name] = cut(f"{extra[name]}, {text}" if name in extra else text, MAX_LENGTH)
    return extra, problems


def _plain_name(sent: str) -> str:
    """Return a name without signs that nobody sees; the joiners of Indic words stay."""
    name = clean(sent, multiline=False)
    plain = without_format(name, keep=JOINERS)
    return name if plain == name else clean(plain, multiline=False)


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
