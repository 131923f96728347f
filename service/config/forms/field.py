"""`[forms.NAME.fields]` ► fields, each a row of `fields.types`.

Invariant: every mistake goes to the table's report, and what comes back is only used if there is none.
"""

from collections.abc import Mapping
from typing import Final, Literal

from service.config.table import (
    Keys,
    Table,
    Wrong,
    flag,
    is_one_line,
    listing,
    quoted,
    several,
    table,
    text,
    whole,
    wrong,
)
from service.config.validators import in_languages, one_of
from service.fields.choices import choice_of
from service.fields.types import TYPES
from service.model.form import LONGEST_ALIAS, Field, FieldType, fold

FIELD_TYPES: Final = tuple(TYPES)
MOST_FIELDS: Final = 64
LONGEST_NAME: Final = 64
_TEXT: Final[FieldType] = "text"
_INVALID: Final[tuple[Literal["refuse", "flag"], ...]] = ("refuse", "flag")

Labels = Mapping[str, str]
_NO_LABEL: Final[Labels] = {}
_LONGEST_LABEL: Final = 200
_LONGEST_CHOICE: Final = 500


def read_fields(keys: Table, own: str) -> Mapping[str, Field]:
    """Return the fields of the form at `keys` by name, in the order of the file; `own` is the form's own language."""
    none: Keys = {}
    given = keys.need("fields", table, none, "a table with the fields of the form, a phone or an email among them")
    if not given:
        if given == keys.keys.get("fields"):
            keys.add("must name at least one field", "fields")
        return {}
    if len(given) > MOST_FIELDS:
        keys.add(f"must not be more than {MOST_FIELDS}: a submission has no room for more", "fields")
    below = keys.below("fields")
    fields = {name: _field(name, below, own) for name in given}
    _look_for_collisions(below, fields)
    _look_for_a_person(below)
    return fields


def _field(name: str, fields: Table, own: str) -> Field:
    problem = _problem_of_name(name)
    if problem:
        fields.add(problem, name)
    keys = fields.below(name)
    if not isinstance(fields.keys[name], dict):
        return Field(name)
    type_ = keys.need("type", one_of(FIELD_TYPES), _TEXT, f"one of {listing(FIELD_TYPES)}")
    choices, labels = _choices(keys, type_, own), keys.read("label", in_languages(_LONGEST_LABEL), _NO_LABEL)
    field = Field(
        name=name,
        type=type_,
        required=keys.read("required", flag, default=False),
        max_length=keys.read("max_length", whole(1, 100_000), Field(name).max_length),
        multiline=keys.read("multiline", flag, default=False),
        choices=tuple(choices),
        choice_labels={choice: labels for choice, labels in choices.items() if labels},
        other=_other(keys, type_),
        invalid=keys.read("invalid", one_of(_INVALID), Field(name).invalid),
        aliases=keys.read("aliases", several(text(LONGEST_ALIAS)), ()),
        label=labels.get("") or labels.get(own, ""),
        labels={} if "" in labels else labels,
        webflow=keys.read("webflow", text(200), None),
    )
    for choice, shown in field.choice_labels.items():
        for label in shown.values():
            if choice_of(field, label) != choice:
                keys.add(f"{quoted(label)} means {quoted(choice)} and another choice", "choices")
    if field.multiline and not TYPES[type_].may_have_lines:
        keys.add(f"is for a field of type {_types_with('may_have_lines')} only", "multiline")
    keys.finish()
    return field


def _problem_of_name(name: str) -> str | None:
    if name.startswith("_"):
        return "is no name for a field: names that begin with `_` are control fields and never forwarded"
    fits = len(name) <= LONGEST_NAME and is_one_line(name) and name == name.strip() and not set(name) & set(".{}")
    if not fits or not fold(name):
        return "is no name for a field: use 1 to 64 characters, a letter or digit among them, and no `.`, `{` or `}`"
    return None


def _choices(keys: Table, type_: FieldType, own: str) -> dict[str, Labels]:
    """Return what can be chosen, each with its labels by language: "" is for every language that has none."""
    none: tuple[tuple[str, Labels], ...] = ()
    unknown = keys.keys.get("type") not in FIELD_TYPES
    if not TYPES[type_].has_choices and not unknown and "choices" in keys.keys:
        keys.add(f"is for a field of type {_types_with('has_choices')} only", "choices")
    if TYPES[type_].has_choices:
        choices = keys.need("choices", several(_choice, at_least=1), none, "a list of what can be chosen")
    else:
        choices = keys.read("choices", lambda _: none, none)
    if len(dict(choices)) < len(choices):
        keys.add("names a choice twice", "choices")
    return {value: {"": labels[own], **labels} if own in labels else labels for value, labels in choices}


def _choice(value: object) -> tuple[str, Labels] | Wrong:
    """Take a choice: a text, or a table with its `value`, which is what a lead says, and a `label` to be shown."""
    if not isinstance(value, dict):
        named = text(_LONGEST_CHOICE)(value)
        return named if isinstance(named, Wrong) else (named, _NO_LABEL)
    if set(value) != {"value", "label"}:
        return wrong("must be a text, or a table of `value` and `label`")
    named, labels = text(_LONGEST_CHOICE)(value["value"]), in_languages(_LONGEST_CHOICE)(value["label"])
    if isinstance(named, Wrong) or isinstance(labels, Wrong):
        parts = (("value", named), ("label", labels))
        return Wrong(tuple(f"`{key}` {m}" for key, part in parts if isinstance(part, Wrong) for m in part.messages))
    return named, labels


def _other(keys: Table, type_: FieldType) -> bool:
    other = keys.read("other", flag, default=False)
    if other and not TYPES[type_].has_choices:
        keys.add(f"is for a field of type {_types_with('has_choices')} only", "other")
    return other


def _types_with(trait: str) -> str:
    return " or ".join(f"`{name}`" for name, row in TYPES.items() if getattr(row, trait))


def _look_for_collisions(keys: Table, fields: Mapping[str, Field]) -> None:
    """Report two names for one field: names and aliases are compared as a submission's are."""
    owners: dict[str, str] = {}
    elements: dict[str, str] = {}
    for name in fields:
        owner = owners.setdefault(fold(name), name)
        if owner != name:
            keys.add(f"is the same name as {quoted(owner)}: case, spaces, `-`, `_`, `[` and `]` do not count", name)
    for name, field in fields.items():
        for alias in field.aliases:
            problem = _problem_of_alias(alias, owners.setdefault(fold(alias), name), name)
            if problem:
                keys.add(problem, name, "aliases")
        if field.webflow and elements.setdefault(field.webflow, name) != name:
            keys.add(f"is already the element of the field {quoted(elements[field.webflow])}", name, "webflow")


def _problem_of_alias(alias: str, owner: str, name: str) -> str | None:
    if alias.startswith("_") or not fold(alias):
        return (
            f"{quoted(alias)} can never match: it begins with `_`, or holds nothing but `-`, `_`, `[`, `]` and spaces"
        )
    if owner != name:
        return f"{quoted(alias)} already means the field {quoted(owner)}: case, blanks, `-`, `_`, `[`, `]` do not count"
    return None


def _look_for_a_person(fields: Table) -> None:
    types = [table.get("type") if isinstance(table, dict) else None for table in fields.keys.values()]
    if all(type_ in FIELD_TYPES for type_ in types) and not {"phone", "email"} & set(types):
        fields.add("needs a field of type `phone` or `email`, or every visitor would be one person")


def raw_fields(form: object) -> Keys:
    """Return the fields of a form as they stand in the file, mistakes and all; nothing if they cannot be read."""
    fields = form.get("fields") if isinstance(form, dict) else None
    return fields if isinstance(fields, dict) else {}
