"""A JSON body becomes names and values: objects, lists of names and values, what wraps them, and what lies deeper.

Invariant: nothing is lost. A list of scalars is several values of one name. An object is taken apart where its members
say something: of a number, of a country, of a choice, or because a number or an address is among them; its members are
then named `lead[phone]`. What else lies deeper is kept as JSON text.
"""

from collections.abc import Iterator
from typing import Final

from service.fields.field_name import INDEX, SIGNS, meaning, names_of
from service.lib import json_text
from service.lib.json_text import Node, Object
from service.model.form import Field, Form, fold

Pair = tuple[str, str]
_Members = list[tuple[str, Node]]
_NAMES: Final = ("name", "key", "field", "id", "label", "title")
_VALUES: Final = ("value", "values", "answer")
_DEEPEST: Final = 3
_MOST: Final = 64
_OF_COUNTRY: Final = frozenset({"iso2", "dialcode", "callingcode", "countrycode"})


def foreign_in(document: Node) -> int:
    """Return how many signs stand in the names of a document that are not plain ASCII, in all its depth."""
    if isinstance(document, list):
        return sum(map(foreign_in, document))
    if not isinstance(document, Object):
        return 0
    return sum((0 if name.isascii() else len(name)) + foreign_in(node) for name, node in document.members)


def members_of(document: Node, form: Form | None) -> _Members | None:
    """Return the names and values of a body, None for what has none: a number, a text, a list of something else.

    A single object or list that wraps all of it is taken off, unless it is a field of the form itself.
    """
    if isinstance(document, list):
        return _named(document, form)
    if not isinstance(document, Object):
        return None
    if len(document.members) == 1:
        [(name, inner)] = document.members
        if not _field(form, name):
            wrapped = inner.members if isinstance(inner, Object) else _named(inner, form)
            return wrapped or document.members
    return document.members


def pairs_of(name: str, node: Node, form: Form | None, key: str = "") -> Iterator[Pair]:
    """Yield the values of one member; null is a value that was left out. `key` is its own name inside a wrapper."""
    field = _field(form, key or name)
    node = _chosen(node) if field and field.choices else node
    members = _apart(key or name, field, node, form) if json_text.is_nested(node) else None
    if members:
        for inner, value in members:
            yield from pairs_of(f"{name}[{inner}]", value, form, inner)
    else:
        yield from ((name, text) for text in _texts_of(node))


def _texts_of(node: Node) -> Iterator[str]:
    scalars = node if isinstance(node, list) and not any(map(json_text.is_nested, node)) else [node]
    for scalar in scalars:
        if scalar is not None:
            yield json_text.dump(scalar) if isinstance(scalar, list | Object) else json_text.scalar_text(scalar)


def _apart(name: str, field: Field | None, node: Node, form: Form | None) -> _Members | None:
    """Return the members of an object or a list that is taken apart: none of one with more than a form takes."""
    members = _few_members(node, form)
    if not members:
        return None
    if isinstance(node, Object) and ((field and field.type == "phone") or _is_country(name, members)):
        return members
    return members if not field and (_is_split(name, members, form) or _holds_person(members, form)) else None


def _few_members(node: Node, form: Form | None) -> _Members | None:
    if isinstance(node, Object):
        return node.members if len(node.members) <= _MOST else None
    return _named(node, form) if isinstance(node, list) and len(node) <= _MOST else None


def _is_split(name: str, members: _Members, form: Form | None) -> bool:
    """Tell whether a name was split: axios makes `Full Name` of a FormData {"Full": {"Name": …}} (1.x up to 1.13)."""
    if form is None:
        return False
    beginnings = (fold(name), fold(SIGNS.sub("", INDEX.sub("", name))))
    may_begin_one = any(known.startswith(beginnings) for known in names_of(form.fields))
    return may_begin_one and any(_field(form, f"{name} {key}") for key, _ in members)


def _is_country(name: str, members: _Members) -> bool:
    return "country" in fold(name) or any(key.isascii() and fold(key) in _OF_COUNTRY for key, _ in members)


def _holds_person(members: _Members, form: Form | None, deeper: int = _DEEPEST) -> bool:
    """Tell whether a number or an address is among the members, or in what they hold."""
    for name, node in members:
        field = _field(form, name)
        if field and field.type in {"phone", "email"} and isinstance(node, str | Object):
            return True
        held = node.members if isinstance(node, Object) else _named(node, form)
        if deeper and held and _holds_person(held, form, deeper - 1):
            return True
    return False


def _chosen(node: Node) -> Node:
    """Return what a select component means: the value of `{value, label}`, the ticked names of `{knee: true}`."""
    if isinstance(node, list):
        return [_chosen(item) for item in node]
    if not isinstance(node, Object):
        return node
    if all(isinstance(value, bool) for _, value in node.members):
        return [name for name, is_ticked in node.members if is_ticked]
    value = node.get("value")
    return node if value is None or json_text.is_nested(value) else value


def _named(node: Node, form: Form | None) -> _Members | None:
    """Return what a list of `{"name": …, "value": …}` says, None for anything else."""
    if not isinstance(node, list):
        return None
    found = [_named_pair(item, form) for item in node if isinstance(item, Object)]
    pairs = [pair for pair in found if pair]
    return pairs if pairs and len(pairs) == len(node) else None


def _named_pair(item: Object, form: Form | None) -> tuple[str, Node] | None:
    names = [str(text) for key in _NAMES if isinstance(text := item.get(key), str)]
    keys = {key for key, _ in item.members}
    value_key = next((key for key in _VALUES if key in keys), None)
    if not names or value_key is None:
        return None
    return next((name for name in names if _field(form, name)), names[0]), item.get(value_key)


def _field(form: Form | None, name: str) -> Field | None:
    known = meaning(names_of(form.fields), name) if form else None
    return form.fields[known[0]] if form and known else None
