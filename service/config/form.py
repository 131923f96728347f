"""`[forms.NAME]` ► Form.

Law: pure; every mistake goes to the table's report, and what comes back is only used if there is none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

from service.config.captcha import read_captcha, read_consent
from service.config.env_secrets import Environment
from service.config.limits import read_limits
from service.config.spam import read_spam
from service.config.table import (
    Keys,
    Table,
    Wrong,
    flag,
    guess,
    is_one_line,
    listing,
    say,
    several,
    table,
    text,
    what,
    whole,
    wrong,
)
from service.config.theme import read_theme
from service.config.validators import duration, one_of, page_origin, region, show
from service.fields.types import TYPES
from service.model import languages
from service.model.form import Field, FieldType, Form, Messages, fold
from service.submission.form_data import CONTROLS

FIELD_TYPES: Final = tuple(TYPES)
MOST_FIELDS: Final = 64
_LONGEST_NAME: Final = 64
_REPEATS: Final[tuple[Literal["update", "drop"], ...]] = ("update", "drop")
_JUNK: Final[tuple[Literal["accept", "quarantine", "reject"], ...]] = ("accept", "quarantine", "reject")
_TEXTS: Final = ("success", "failure", "valid")
_DEFAULT: Final = Form("", {}, ())

_TEXT: Final[FieldType] = "text"

Names = tuple[str, ...]


def read_form(name: str, keys: Table, destinations: Collection[str], environment: Environment) -> Form:
    """Return the form at `keys`. `destinations` are the names that `deliver` may hold."""
    country = keys.read("country", region, _DEFAULT.country)
    countries = keys.read("countries", several(region), _DEFAULT.countries)
    language = keys.read("language", one_of((*languages.codes(), languages.AUTO)), _DEFAULT.language)
    own = languages.own(language)
    messages = _messages(keys.below("messages"), own)
    window = keys.read("window", duration("1s", "3650d"), _DEFAULT.window)
    fields = _fields(keys)
    form = Form(
        name=name,
        title=keys.read("title", text(200), _title(name)),
        country=country,
        countries=countries if country in countries else (country, *countries),
        origins=_origins(keys),
        redirects=keys.read("redirects", several(page_origin), ()),
        deliver=_deliver(keys, destinations),
        window=window,
        quiet=keys.read("quiet", duration("0s", "3650d"), min(_DEFAULT.quiet, window)),
        repeat=keys.read("repeat", one_of(_REPEATS), _DEFAULT.repeat),
        allow_extra=keys.read("allow_extra", flag, _DEFAULT.allow_extra),
        honeypot=_honeypot(keys, fields),
        junk=keys.read("junk", one_of(_JUNK), _DEFAULT.junk),
        spam=read_spam(keys),
        fields=fields,
        language=language,
        messages=messages.pop(own),
        translations=messages,
        theme=read_theme(keys),
        webflow_secret=keys.read("webflow_secret", environment.secret, None),
        limits=read_limits(keys.below("limits")),
        captcha=read_captcha(keys, environment),
        consent=read_consent(keys, fields),
    )
    if form.quiet > form.window:
        keys.add(f"must not be longer than `window`, which is {show(form.window)}", "quiet")
    keys.finish()
    return form


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split("-") if word)


def _honeypot(keys: Table, fields: Mapping[str, Field]) -> str:
    name = keys.read("honeypot", text(_LONGEST_NAME), _DEFAULT.honeypot)
    names = {fold(known): field.name for field in fields.values() for known in (field.name, *field.aliases)}
    if owner := names.get(fold(name)) if not name.startswith("_") else None:
        keys.add(f"is the field {say(owner)}, which people fill in", "honeypot")
    elif name.startswith("_") and name.casefold().removeprefix("_") in CONTROLS - {"gotcha"}:
        keys.add(f"{say(name)} means something else here", "honeypot")
    return name


def _origins(keys: Table) -> Names | None:
    none: Names | None = None
    return keys.read("origins", several(page_origin), none)


def _deliver(keys: Table, destinations: Collection[str]) -> Names:
    none: Names = ()

    def existing(value: object) -> str | Wrong:
        if not isinstance(value, str):
            return wrong(f"must be the name of a destination, not {what(value)}")
        if value in destinations:
            return value
        there = f"There are {listing(destinations)}." if destinations else f"Add a table `[destinations.{value}]`."
        return wrong(f"there is no destination {say(value)}.{guess(value, destinations)} {there}")

    names = keys.need("deliver", several(existing, at_least=1), none, 'a list of destinations, such as `["crm"]`')
    if len(set(names)) < len(names):
        keys.add("names a destination twice", "deliver")
    return names


def _messages(keys: Table, own: str) -> dict[str, Messages]:
    """Return the texts by the code of their language; those that stand for themselves are of the form's `own`."""
    known, found = languages.codes(), {}
    tables = [key for key, value in keys.keys.items() if isinstance(value, dict) and key not in _TEXTS]
    for key in tables:
        below = keys.below(key)
        if key in known:
            found[key] = _texts(below)
        else:
            keys.add(f"is no language here.{guess(key.casefold(), known)} Allowed are {listing(known)}.", key)
    texts, also = _texts(keys, hidden=tables), found.pop(own, Messages())
    for key in _TEXTS:
        if getattr(texts, key) and getattr(also, key):
            keys.add(f"is `messages.{key}` a second time: {say(own)} is the form's own language", own, key)
    return found | {own: Messages(*(getattr(texts, key) or getattr(also, key) for key in _TEXTS))}


def _texts(keys: Table, hidden: Sequence[str] = ()) -> Messages:
    none: str | None = None
    texts = Messages(*(keys.read(key, text(1_000), none) for key in _TEXTS))
    keys.finish(hidden=hidden)
    return texts


def _fields(keys: Table) -> Mapping[str, Field]:
    none: Keys = {}
    given = keys.need("fields", table, none, "a table with the fields of the form, a phone or an email among them")
    if not given:
        if given == keys.keys.get("fields"):
            keys.add("must name at least one field", "fields")
        return {}
    if len(given) > MOST_FIELDS:
        keys.add(f"must not be more than {MOST_FIELDS}: a submission has no room for more", "fields")
    below = keys.below("fields")
    fields = {name: _field(name, below) for name in given}
    _look_for_collisions(below, fields)
    _look_for_a_person(below)
    return fields


def _field(name: str, fields: Table) -> Field:
    problem = _problem_of_name(name)
    if problem:
        fields.add(problem, name)
    keys = fields.below(name)
    if not isinstance(fields.keys[name], dict):
        return Field(name)
    kind = keys.need("type", one_of(FIELD_TYPES), _TEXT, f"one of {listing(FIELD_TYPES)}")
    field = Field(
        name=name,
        type=kind,
        required=keys.read("required", flag, default=False),
        max_length=keys.read("max_length", whole(1, 100_000), Field(name).max_length),
        multiline=keys.read("multiline", flag, default=False),
        choices=_choices(keys, kind),
        aliases=keys.read("aliases", several(text(200)), ()),
        label=keys.read("label", text(200), ""),
        webflow=keys.read("webflow", text(200), None),
    )
    if field.multiline and not TYPES[kind].may_have_lines:
        keys.add(f"is for a field of type {_types_with('may_have_lines')} only", "multiline")
    keys.finish()
    return field


def _problem_of_name(name: str) -> str | None:
    if name.startswith("_"):
        return "is no name for a field: names that begin with `_` are control fields and never forwarded"
    fits = len(name) <= _LONGEST_NAME and is_one_line(name) and name == name.strip() and not set(name) & set(".{}")
    if not fits or not fold(name):
        return "is no name for a field: use 1 to 64 characters, a letter or digit among them, and no `.`, `{` or `}`"
    return None


def _choices(keys: Table, kind: FieldType) -> Names:
    none: Names = ()
    unknown = keys.keys.get("type") not in FIELD_TYPES
    if not TYPES[kind].has_choices and not unknown and "choices" in keys.keys:
        keys.add(f"is for a field of type {_types_with('has_choices')} only", "choices")
    if TYPES[kind].has_choices:
        choices = keys.need("choices", several(text(500), at_least=1), none, "a list of what can be chosen")
    else:
        choices = keys.read("choices", lambda _: none, none)
    if len(set(choices)) < len(choices):
        keys.add("names a choice twice", "choices")
    return choices


def _types_with(trait: str) -> str:
    return " or ".join(f"`{name}`" for name, kind in TYPES.items() if getattr(kind, trait))


def _look_for_collisions(keys: Table, fields: Mapping[str, Field]) -> None:
    """Report two names for one field: names and aliases are compared as a submission's are."""
    owners: dict[str, str] = {}
    elements: dict[str, str] = {}
    for name in fields:
        owner = owners.setdefault(fold(name), name)
        if owner != name:
            keys.add(f"is the same name as {say(owner)}: case, spaces, `-`, `_`, `[` and `]` do not count", name)
    for name, field in fields.items():
        for alias in field.aliases:
            problem = _problem_of_alias(alias, owners.setdefault(fold(alias), name), name)
            if problem:
                keys.add(problem, name, "aliases")
        if field.webflow and elements.setdefault(field.webflow, name) != name:
            keys.add(f"is already the element of the field {say(elements[field.webflow])}", name, "webflow")


def _problem_of_alias(alias: str, owner: str, name: str) -> str | None:
    if alias.startswith("_") or not fold(alias):
        return (
            f"{say(alias)} can never match: it begins with `_`, or has nothing in it but `-`, `_`, `[`, `]` and spaces"
        )
    if owner != name:
        return f"{say(alias)} already means the field {say(owner)}: case, spaces, `-`, `_`, `[` and `]` do not count"
    return None


def _look_for_a_person(fields: Table) -> None:
    types = [each.get("type") if isinstance(each, dict) else None for each in fields.keys.values()]
    if all(each in FIELD_TYPES for each in types) and not {"phone", "email"} & set(types):
        fields.add("needs a field of type `phone` or `email`, or every visitor would be one person")


def raw_fields(form: object) -> Keys:
    """Return the fields of a form as they stand in the file, mistakes and all; nothing if they cannot be told."""
    fields = form.get("fields") if isinstance(form, dict) else None
    return fields if isinstance(fields, dict) else {}
