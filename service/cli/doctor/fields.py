"""The fields of a form on a page beside those that a form of the configuration has.

Invariant: pure; names are understood as a submission's are.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from service.cli.doctor.finding import Finding, look, mend
from service.cli.doctor.markup import Control, FormFound
from service.fields.choices import choice_of
from service.fields.field_name import meaning, names_of, parts_of
from service.model.form import Field, FieldType, Form

_TYPES: Final[Mapping[FieldType, str]] = {"phone": "tel", "email": "email", "number": "number", "date": "date"}
_WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    "phone": re.compile(r"\btel\b|phone|mobile|whatsapp"), "email": re.compile(r"e.?mail"),
    "name": re.compile(r"name"), "message": re.compile(r"message|comment|textarea"),
}  # fmt: skip


def owner(ours: Form, name: str) -> str | None:
    """Return which field a name on a page means, also inside a wrapper such as `lead[phone]`."""
    names = names_of(ours.fields)
    inner = parts_of(name)[-1:]
    known = meaning(names, name) or (meaning(names, inner[0]) if inner else None)
    return known[0] if known else None


def likeness(form: FormFound, ours: Form) -> int:
    """Return how many fields of ours a form has; without a person's phone or email it is none of ours."""
    known = {owner(ours, control.name) for control in form.controls if control.name} - {None}
    people = {name for name, field in ours.fields.items() if field.type in {"phone", "email"}}
    looks = any(_fits(control, kind) for control in form.controls for kind in ("phone", "email"))
    has_password = any(control.type == "password" for control in form.controls)
    return 0 if has_password or not (known & people or looks) else len(known | ({"person"} if looks else set()))


def advise_fields(form: FormFound, ours: Form) -> Iterator[Finding]:
    """Say which fields are missing, without a name, or named so that they are not known."""
    sent = {control.name: owner(ours, control.name) for control in form.controls if control.name}
    strange = [control for control in form.controls if not sent.get(control.name) and _is_shown(control)]
    unknown, nameless = [each for each in strange if each.name], [each for each in strange if not each.name]
    for name in sorted(ours.fields.keys() - sent.values()):
        yield from _missing(ours.fields[name], unknown, nameless)
    yield from _beside(ours, unknown, nameless)
    yield from _of_choices(form, ours, sent)
    if ours.honeypot not in sent:
        trap = f'<input name="{ours.honeypot}" tabindex="-1" autocomplete="off">'
        yield look("It has no trap for robots.", f"<p hidden><label>Leave this empty {trap}</label></p>")


def _beside(ours: Form, unknown: list[Control], nameless: list[Control]) -> Iterator[Finding]:
    """Say what becomes of fields that are none of ours."""
    for control in nameless:
        if not any(_is_like(control, field) for field in ours.fields.values()):
            yield look(f"A field ({control.words.strip()}) has no name: browsers do not send it.", 'name="…"')
    for control in () if ours.allow_extra else unknown:
        yield mend(f"`{control.name}` is no field of {ours.name}, which takes no others: UNKNOWN_FIELD.")


def _missing(field: Field, unknown: list[Control], nameless: list[Control]) -> Iterator[Finding]:
    alike = [each for each in unknown if _is_like(each, field)]
    unnamed = [each for each in nameless if _is_like(each, field)]
    tell = mend if field.required else look
    need = "is required" if field.required else "is not asked for"
    if alike:
        line = f'aliases = ["{alike[0].name}"]'
        yield tell(f"`{alike[0].name}` looks like {field.name}, which {need}: in leads.toml, fields.{field.name}", line)
    elif unnamed:
        yield tell(f"The field for {field.name} has no name: browsers do not send it.", f'name="{field.name}"')
    elif field.required:
        yield mend(f"{field.name} is required, and the form does not ask for it.", _line(field))


def _line(field: Field) -> str:
    needed = " required" if field.required else ""
    if field.choices:
        options = "".join(f"<option>{choice}</option>" for choice in field.choices)
        return f'<select name="{field.name}"{needed}>{options}</select>'
    if field.multiline:
        return f'<textarea name="{field.name}"{needed}></textarea>'
    type_ = "checkbox" if field.type == "boolean" else _TYPES.get(field.type, "text")
    return f'<input name="{field.name}" type="{type_}"{needed}>'


def _of_choices(form: FormFound, ours: Form, sent: Mapping[str, str | None]) -> Iterator[Finding]:
    for control in form.controls:
        field = ours.fields.get(sent.get(control.name) or "")
        if field is None or not field.choices or field.other or control.type not in {"select", "radio", "checkbox"}:
            continue
        wrong = [value for value in control.values if value and choice_of(field, value) is None]
        if wrong:
            listed = ", ".join(f"`{value}`" for value in wrong[:5])
            yield mend(f"{field.name} cannot be {listed}: NOT_A_CHOICE. It can be {', '.join(field.choices)}.")


def _is_shown(control: Control) -> bool:
    return control.type != "hidden" and not control.name.startswith("_")


def _is_like(control: Control, field: Field) -> bool:
    return _fits(control, field.type) or _fits(control, field.name)


def _fits(control: Control, kind: str) -> bool:
    """Tell whether a field looks like one for a phone number, an address, a name, a message."""
    if kind == "name" and control.type != "text":
        return False
    return kind in _WORDS and _WORDS[kind].search(control.words) is not None
