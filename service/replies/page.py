"""The pages: a form as it is configured, the same form with its problems, thanks, and a refusal.

Invariant: pure but for the templates, read once. Every text goes through jinja2's escaping; no script stands in a
page, it loads our own. Every page works without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from service.fields.choices import choices_of
from service.fields.field_name import wrapper_of
from service.fields.types import TYPES, is_yes, shown
from service.lib.secret import unshown
from service.lib.text import clean
from service.model.form import Altcha, Field, Form, Turnstile, fold
from service.model.languages import AUTO, codes, load
from service.model.problem import Code, Problem, Problems
from service.replies import assets
from service.replies.next_url import own_path
from service.replies.wording import Voice
from service.submission.body import MAX_VALUES
from service.submission.field_match import Match, Matched
from service.submission.form_data import Posted

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE: Final = Path(__file__).parent
# What a browser may fill in (HTML, "Autofill"), by what counts of a field's name.
_AUTOCOMPLETE: Final = {
    "name": "name", "fullname": "name", "yourname": "name", "firstname": "given-name", "lastname": "family-name",
    "company": "organization", "organisation": "organization", "organization": "organization", "url": "url",
    "city": "address-level2", "state": "address-level1", "country": "country-name", "postcode": "postal-code",
    "pincode": "postal-code", "zip": "postal-code", "zipcode": "postal-code", "postalcode": "postal-code",
}  # fmt: skip

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Input:
    id: str
    name: str
    label: str
    kind: str
    value: str
    required: bool
    max_length: int
    choices: Pairs
    chosen: Sequence[str]
    autocomplete: str
    inputmode: str
    problem: str
    is_phone: bool

    __repr__ = unshown

    @property
    def checked(self) -> bool:
        return is_yes(self.value)


@dataclass(frozen=True, slots=True)
class _Listed:
    """One problem in the summary; `id` is that of its input, "" for the whole form."""

    text: str
    id: str

    __repr__ = unshown


def hosted(
    form: Form,
    voice: Voice,
    filled: Matched | None = None,
    *,
    query: Pairs = (),
    referrer: str = "",
    token: str = "",
) -> str:
    """Return the form as its own page, with what its address fills in (`filled`): nothing of that was sent yet.

    `query` is that of its address, which stays in the addresses of other languages. `referrer` is the page that
    led here, "" if unknown; `token` says when it was opened.
    """
    hidden = [(name, text) for name, text in (("_referrer", referrer), ("_token", token)) if text]
    filled = filled or Matched({}, {})
    given = any(found.text.strip() for found in filled.fields.values())
    note = voice.language.page["unsent"] if given else ""
    return _form(form, voice, Matched(filled.fields, {}), (), hidden=hidden, note=note, languages=_switch(form, query))


def _switch(form: Form, query: Pairs) -> Sequence[tuple[str, str, str]]:
    """Return each language that the page can be in, its name and address; none where the form has but one."""
    if form.language != AUTO:
        return ()
    kept = [(name, text) for name, text in query if name != "_language"]
    return [(code, load(code).name, f"?{urlencode([*kept, ('_language', code)])}") for code in codes()]


def again(
    form: Form,
    voice: Voice,
    posted: Posted,
    matched: Matched,
    problems: Problems,
    *,
    next_url: str,
    source: str = "",
    token: str = "",
) -> str:
    """Return the form with what was typed, each problem beside its field, ready to be posted again as it is.

    `next_url` is the allowed `_next`, resolved: a relative one would mean another place from this page. `source` is
    where the submission came from, as `_source` has it: from this page nobody could tell any more. `token` says when
    the form was first opened.
    """
    code_of = {problem.field: problem.code for problem in problems.items}
    doubtful = (
        answer for answer in matched.fields.values() if code_of.get(answer.sent) is Code.PHONE_INVALID_BUT_POSSIBLE
    )
    typed = next((clean(answer.text, multiline=False) for answer in doubtful), posted.control.confirm)
    control = {"_next": next_url, "_id": posted.control.id, "_confirm": typed, "_source": source, "_token": token}
    refused = {problem.field for problem in problems.items if problem.code is Code.UNKNOWN_FIELD}
    extra = ((name, clean(text, multiline=True)) for name, text in matched.extra.items() if name not in refused)
    hidden = [(name, text) for name, text in (*extra, *control.items()) if text]
    traps = {"gotcha": posted.control.gotcha, "remark": posted.control.remark}
    return _form(form, voice, matched, problems.items, hidden=hidden, **traps)


def thanks(form: Form, voice: Voice) -> str:
    """Return the page after success, for visitors with nowhere else to go."""
    steps = voice.messages.next_steps
    lines = [steps] if steps else []
    return _render(
        "notice.html",
        form,
        voice,
        title=_title(form, voice),
        heading=voice.success,
        lines=lines,
        back=own_path(form) + (f"?language={voice.language.code}" if form.language == AUTO else ""),
        kind="thanks",
    )


def refusal(
    problems: Problems, voice: Voice, form: Form | None = None, *, is_submission: bool = True, came_from: str = ""
) -> str:
    """Return a small page that tells why a request was refused, with a way back.

    It leads to the form, where there is one, else to the page that led here (`came_from`), "" for none.
    """
    lines = [voice.say(problem) for problem in problems.items]
    heading = voice.failure if is_submission else lines.pop(0)
    way = {"back": own_path(form)} if form else {"back": came_from, "back_text": voice.language.page["back_there"]}
    name = _title(form, voice) if form else heading
    return _render("notice.html", form, voice, title=name, heading=heading, lines=lines, **way)


def _form(
    form: Form, voice: Voice, matched: Matched, problems: Sequence[Problem], *, hidden: Pairs, **more: object
) -> str:
    # What is filled in only now must stand in the same wrapper as what was.
    wrappers = (wrapper_of(form.fields, found.sent) for found in matched.fields.values())
    before, behind = next(filter(any, wrappers), ("", ""))
    given = {name: Match(f"{before}{name}{behind}", "") for name in form.fields} | dict(matched.fields)
    inputs = [
        _input(form, field, given[field.name], problems, voice, number=number)
        for number, field in enumerate(_labelled(form, voice), start=1)
    ]
    by_name = {**dict(zip(form.fields, inputs, strict=True)), **{entry.name: entry for entry in inputs}}
    title = _title(form, voice)
    listed = [_listed(problem, by_name.get(problem.field), voice) for problem in problems]
    language = [("_language", voice.language.code)] if form.language == AUTO else []
    return _render(
        "form.html",
        form,
        voice,
        title=voice.language.page["problem"].format(title=title) if problems else title,
        heading=title,
        inputs=inputs,
        hidden=[*hidden, *language],
        **more,
        honeypot=form.honeypot,
        failure=voice.check if listed and all(entry.id for entry in listed) else voice.failure,
        next_steps=voice.messages.next_steps,
        listed=listed,
        altcha=isinstance(form.captcha, Altcha),
        turnstile=form.captcha if isinstance(form.captcha, Turnstile) else None,
        widget=assets.TURNSTILE,
    )


def _labelled(form: Form, voice: Voice) -> Sequence[Field]:
    """Return the fields; the one by which a visitor agrees is called what they agree to."""
    text, _ = form.agreement_in(voice.language.code)
    name = form.consent.field if form.consent else ""
    return [replace(field, label=text, labels={}) if field.name == name else field for field in form.fields.values()]


def _input(form: Form, field: Field, given: Match, problems: Sequence[Problem], voice: Voice, *, number: int) -> _Input:
    row, code = TYPES[field.type], voice.language.code
    name, value = given.sent, shown(form, field, given.text)
    chosen = _chosen(field, given) if field.type == "choices" else [value] if value else []
    wrong = next((problem for problem in problems if problem.field in {name, field.name}), None)
    return _Input(
        id=f"field-{number}",
        name=name,
        label=_label(field, voice),
        kind=_input_of(field, is_wrong=wrong is not None),
        value=value,
        required=field.required,
        max_length=field.max_length,
        choices=[(choice, field.label_of(choice, code)) for choice in dict.fromkeys((*field.choices, *chosen))],
        chosen=chosen,
        autocomplete=row.autocomplete or _AUTOCOMPLETE.get(fold(field.name), ""),
        inputmode=row.inputmode,
        problem=_sentence(wrong, voice) if wrong else "",
        is_phone=field.type == "phone",
    )


def _label(field: Field, voice: Voice) -> str:
    """Return what the owner calls the field in this language or in every one, else what the language calls it."""
    for_all = "" if field.labels else field.label
    word = voice.language.labels.get(fold(field.name))
    return field.labels.get(voice.language.code) or for_all or word or field.label or field.words


def _chosen(field: Field, given: Match) -> Sequence[str]:
    """Return what was ticked, in the spelling of the form where it is a choice of it."""
    texts = [text[: field.max_length] for text in given.texts or (given.text,)]
    named = islice(choices_of(field, texts), MAX_VALUES)
    return [choice or clean(text, multiline=False) for text, choice in named]


def _input_of(field: Field, *, is_wrong: bool) -> str:
    row = TYPES[field.type]
    if row.is_blank_when_wrong and is_wrong:
        return "text"
    return "textarea" if row.may_have_lines and field.multiline else row.input


def _sentence(problem: Problem, voice: Voice) -> str:
    meant = voice.language.page["meant"].format(suggestion=problem.suggestion) if problem.suggestion else ""
    return f"{voice.say(problem)} {meant}".strip()


def _listed(problem: Problem, beside: _Input | None, voice: Voice) -> _Listed:
    name, place = (beside.label, beside.id) if beside else (problem.field, "")
    return _Listed(f"{name}: {_sentence(problem, voice)}" if name else _sentence(problem, voice), place)


def _title(form: Form, voice: Voice) -> str:
    return (
        form.titles.get(voice.language.code) or form.title or " ".join(form.name.replace("-", " ").split()).capitalize()
    )


def _render(template: str, form: Form | None, voice: Voice, **values: object) -> str:
    from markupsafe import Markup  # noqa: PLC0415  comes with jinja2

    css = Markup(assets.css(form.theme if form else None))  # noqa: S704  our own file, and a checked theme
    language = voice.language
    return _templates().get_template(template).render(css=css, language=language, page=language.page, **values)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415  10 MB that a service of scripts never needs

    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, auto_reload=False, trim_blocks=True, lstrip_blocks=True)
