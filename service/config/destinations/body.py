"""`body`, `url`, `headers` of a destination ► templates, each path checked against the forms that deliver there.

Invariant: pure; every mistake goes to the table's report. A literal value is never repeated: it may be a secret.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from service.config.env_secrets import Environment, asks_for_secret
from service.config.forms.field import FIELD_TYPES, raw_fields
from service.config.table import Keys, Table, Wrong, guess, listing, quoted, what
from service.destinations.envelope import (
    CONSENT_KEYS,
    PHONE_KEYS,
    PLAIN_PATHS,
    RECORD,
    SOURCE_GROUPS,
    TOKEN,
    TOUCH_KEYS,
    TOUCHES,
)
from service.destinations.shapes import NAMES as SHAPES
from service.destinations.template import Name, Node, Path, Pattern, Placeholder, Stray, Template, split
from service.lib.secret import Secret
from service.model.form import fold

_DEEPEST: Final = 8
_PATHS: Final = (
    *PLAIN_PATHS, RECORD, TOKEN, "fields.NAME", "phone.KEY", "consent.KEY", "extra.NAME",
    *(f"source.{group}.NAME" for group in SOURCE_GROUPS), *(f"source.{touch}.KEY" for touch in TOUCHES),
)  # fmt: skip
_NEEDS: Final = {
    RECORD: "nothing is kept here: `keep`, or `find`, says where an answer names the record",
    TOKEN: "no token is fetched here: `oauth` says where",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What the forms that deliver to one destination can tell it.

    `fields` None: no form delivers there, so any field may come. `never_extra`: names that are never an extra, folded;
    None if no form takes any extra. `own`: what only this destination has a value for.
    """

    fields: frozenset[str] | None
    phone: bool
    never_extra: frozenset[str] | None
    consent: bool = True
    own: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    """The fields that hold an e-mail address."""

    def problem(self, path: str) -> str | None:
        """Say why a path can never have a value; None if it can."""
        root, _, name = path.partition(".")
        match root:
            case "fields" if name:
                return self._problem_of_field(name)
            case "phone" if name:
                return self._problem_of_phone(name)
            case "consent" if name:
                return self._problem_of_consent(name)
            case "extra" if name:
                return self._problem_of_extra(name)
            case "source" if "." in name:
                return _problem_of_source(path, name)
        return None if path in PLAIN_PATHS or path in self.own else _NEEDS.get(path) or _no(path)

    def _problem_of_field(self, name: str) -> str | None:
        if self.fields is None or name in self.fields:
            return None
        known = sorted(self.fields)
        return f"no form that delivers here has a field {quoted(name)}.{guess(name, known)} There are {listing(known)}."

    def _problem_of_phone(self, name: str) -> str | None:
        if name not in PHONE_KEYS:
            return f"a phone has no {quoted(name)}.{guess(name, PHONE_KEYS)} Allowed are {listing(PHONE_KEYS)}."
        return None if self.phone else "no form that delivers here has a field of type `phone`"

    def _problem_of_consent(self, name: str) -> str | None:
        if name not in CONSENT_KEYS:
            return f"a consent has no {quoted(name)}.{guess(name, CONSENT_KEYS)} Allowed are {listing(CONSENT_KEYS)}."
        return None if self.consent else "no form that delivers here has a `consent`"

    def _problem_of_extra(self, name: str) -> str | None:
        if self.never_extra is None:
            return "no form that delivers here takes extra fields (`allow_extra = false`)"
        if fold(name) in self.never_extra:
            return f"{quoted(name)} is a field of every form that delivers here: write `{{fields.…}}`"
        return None


def _problem_of_source(path: str, name: str) -> str | None:
    group, _, key = name.partition(".")
    keys = SOURCE_GROUPS.get(group, TOUCH_KEYS if group in TOUCHES else ())
    if key in keys:
        return None
    known = f"`source.{group}` has no {quoted(key)}.{guess(key, keys)} Allowed are {listing(keys)}."
    return known if keys else _no(path)


def _no(path: str) -> str:
    return f"{{{path}}} is no path.{guess(path, _PATHS)} Allowed are {listing(_PATHS)}."


def reach(forms: Iterable[object]) -> Reach:
    """Return what these forms, as they stand in the file, can tell."""
    tables = [(form, fields) for form in forms if isinstance(form, dict) and (fields := raw_fields(form))]
    if not tables:
        return Reach(None, phone=True, never_extra=frozenset())
    named = [frozenset(_spellings(fields)) for form, fields in tables if form.get("allow_extra") is not False]
    return Reach(
        fields=frozenset(itertools.chain.from_iterable(fields for _, fields in tables)),
        phone=any(_may_be_phone(field) for _, fields in tables for field in fields.values()),
        never_extra=named[0].intersection(*named[1:]) if named else None,
        consent=any("consent" in form for form, _ in tables),
        addresses=_addresses(tables),
    )


def _may_be_phone(field: object) -> bool:
    """Tell whether a field as it stands in the file is a phone, or so wrong that nobody knows."""
    type_ = field.get("type") if isinstance(field, dict) else ""
    return type_ == "phone" or (isinstance(field, dict) and type_ not in FIELD_TYPES)


def _addresses(tables: Iterable[tuple[Keys, Keys]]) -> tuple[str, ...]:
    named = (pair for _, fields in tables for pair in fields.items())
    emails = (name for name, field in named if isinstance(field, dict) and field.get("type") == "email")
    return tuple(dict.fromkeys(emails))


def _spellings(fields: Keys) -> Iterable[str]:
    for name, field in fields.items():
        yield fold(name)
        aliases = field.get("aliases") if isinstance(field, dict) else None
        yield from (fold(alias) for alias in aliases if isinstance(alias, str)) if isinstance(aliases, list) else ()


@dataclass(frozen=True, slots=True)
class Words:
    """Reads the texts of one destination. `flat`: its body is urlencoded, so there are no lists and tables in it."""

    keys: Table
    environment: Environment
    reach: Reach
    flat: bool

    def body(self, value: object) -> Node:
        """Return the body, every value read."""
        if not isinstance(value, dict | list) or (self.flat and isinstance(value, list)):
            self.keys.add(f"must be a table{'' if self.flat else ' or a list'}, not {what(value)}", "body")
            return {}
        if not value:
            self.keys.add("must not be empty: every lead would arrive without a word", "body")
        if isinstance(value, dict):
            return self._table(value, ("body",), 1)
        return tuple(self._node(item, ("body",), 2) for item in value)

    def line(self, value: object, *place: str) -> Pattern:
        """Return an address or a header; nothing if it is no text."""
        if not isinstance(value, str):
            self.keys.add(f"must be a text, not {what(value)}", *place)
            return ()
        return self._parts(value, place)

    def _table(self, values: Keys, place: Sequence[str], depth: int) -> dict[str, Node]:
        return {key: self._node(value, (*place, key), depth) for key, value in values.items()}

    def _node(self, value: object, place: Sequence[str], depth: int) -> Node:
        match value:
            case str():
                return self._text(value, place)
            case bool():
                return value
            case int() | float():
                return self._number(value, place)
            case dict() | list() if self.flat:
                self.keys.add(f'must be a text, a number, true or false, not {what(value)}: `format` is "form"', *place)
            case dict() | list() if depth > _DEEPEST:
                self.keys.add(f"is nested deeper than {_DEEPEST} tables and lists", *place)
            case dict():
                return self._table(value, place, depth + 1)
            case list():
                return tuple(self._node(item, place, depth + 1) for item in value)
            case _:
                self.keys.add("is a date or time: write it as a text", *place)
        return False

    def _number(self, value: float, place: Sequence[str]) -> Node:
        if not (-(2**63) <= value < 2**63 if isinstance(value, int) else isfinite(value)):
            self.keys.add("is a number that JSON cannot carry", *place)
        return value

    def _text(self, value: str, place: Sequence[str]) -> Template:
        parts = self._parts(value, place)
        if parts and asks_for_secret(place[-1]) and all(isinstance(part, str) for part in parts):
            self.keys.add(
                'holds a literal where a secret belongs: write "$NAME" and put it into the environment', *place
            )
        return Template(parts)

    def _parts(self, value: str, place: Sequence[str]) -> Pattern:
        parts = [self._part(part, place) for part in split(value)]
        return tuple(part for part in parts if part is not None)

    def _part(self, part: str | Placeholder | Name | Stray, place: Sequence[str]) -> str | Secret | Placeholder | None:
        match part:
            case str():
                return part
            case Stray():
                self.keys.add(
                    "has a `{` or `}` that belongs to no `{path}`: write `{{` or `}}` for the character", *place
                )
            case Placeholder(choices):
                for path in choices:
                    if isinstance(path, Path):
                        self._check(path, place)
                return part
            case Name(name):
                found = self.environment.find(name)
                if not isinstance(found, Wrong):
                    return found
                for message in found.messages:
                    self.keys.add(f"{message}; `$$` is a dollar sign", *place)
        return None

    def _check(self, path: Path, place: Sequence[str]) -> None:
        problem = self.reach.problem(path.path)
        if path.path == TOKEN and place[0] == "body":
            problem = "a token belongs into a header or the address: a body is the same on every try"
        if problem:
            self.keys.add(problem, *place)
        for shape in path.shapes:
            if isinstance(shape, str):
                known = f"{guess(shape, SHAPES)} Allowed are {listing(SHAPES)}."
                self.keys.add(f"{quoted(shape)} is no shape.{known}", *place)
