"""A JSON body becomes names and values: objects, lists of names and values, what wraps them, and what lies deeper.

Invariant: nothing is lost. A list of scalars is several values of one name; what lies deeper is kept as JSON text.
"""

from collections.abc import Iterator
from typing import Final

from service.lib import json_text
from service.lib.json_text import Node, Object
from service.model.form import Form, fold

Pair = tuple[str, str]
_NAMES: Final = ("name", "key", "field", "id")
_VALUES: Final = ("value", "values", "answer")


def members_of(document: Node, form: Form | None) -> list[tuple[str, Node]] | None:
    """Return the names and values of a body, None for what has none: a number, a text, a list of something else.

    A single object or list that wraps all of it is taken off, unless it is a field of the form itself.
    """
    if isinstance(document, list):
        return _named(document)
    if not isinstance(document, Object):
        return None
    if len(document.members) == 1:
        [(name, inner)] = document.members
        if not (form and _is_field(form, name)):
            wrapped = inner.members if isinstance(inner, Object) else _named(inner) if isinstance(inner, list) else None
            return wrapped or document.members
    return document.members


def pairs_of(name: str, node: Node, form: Form | None) -> Iterator[Pair]:
    """Yield the values of one member; null is a value that was left out."""
    if isinstance(node, Object) and node.members and form and _is_phone(form, name):
        for key, value in node.members:
            yield from pairs_of(f"{name}[{key}]", value, None)
    elif isinstance(node, list) and not any(map(json_text.is_nested, node)):
        yield from ((name, _text_of(scalar)) for scalar in node if scalar is not None)
    elif node is not None:
        yield name, _text_of(node)


def _text_of(node: Node) -> str:
    return json_text.dump(node) if isinstance(node, list | Object) else json_text.scalar_text(node)


def _named(items: list[Node]) -> list[tuple[str, Node]] | None:
    """Return what a list of `{"name": …, "value": …}` says, None for another list."""
    found = []
    for item in items:
        if not isinstance(item, Object):
            return None
        name = next((text for key in _NAMES if isinstance(text := item.get(key), str)), None)
        keys = {key for key, _ in item.members}
        value = next((key for key in _VALUES if key in keys), None)
        if name is None or value is None:
            return None
        found.append((str(name), item.get(value)))
    return found or None


def _is_field(form: Form, name: str) -> bool:
    return any(fold(name) in {fold(field.name), *map(fold, field.aliases)} for field in form.fields.values())


def _is_phone(form: Form, name: str) -> bool:
    phones = (field for field in form.fields.values() if field.type == "phone")
    return any(fold(name) in {fold(field.name), *map(fold, field.aliases)} for field in phones)
