"""Texts with `{path}` placeholders: a CRM's own words in `body`.

Invariant: pure, and ignorant of leads: what a path means is a mapping that is passed in.
`{{`, `}}` and `$$` stand for `{`, `}` and `$`; `$NAME` is a secret from the environment.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from service.lib.secret import Secret

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{path}`: the value of that path."""

    path: str


@dataclass(frozen=True, slots=True)
class Name:
    """`$NAME`: still to be looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A `{` or `}` that belongs to no placeholder."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text, secrets and placeholders in a row."""

    parts: tuple[str | Secret | Placeholder, ...]


Node: TypeAlias = "Template | int | float | bool | tuple[Node, ...] | Mapping[str, Node]"
"""One value of `body`: a text, a plain value, a list or a table."""


class Absent:
    """A value that is not there: its key is left out."""


ABSENT: Final = Absent()

_ESCAPES: Final = {"{{": "{", "}}": "}", "$$": "$"}
_TOKEN: Final = re.compile(r"\{\{|\}\}|\$\$|\{[^{}]*\}|[{}]|\$[A-Za-z_][A-Za-z0-9_]*")


def split(text: str) -> Iterator[str | Placeholder | Name | Stray]:
    """Return the parts of a text, in order; neighbouring literals may come apart."""
    end = 0
    for found in _TOKEN.finditer(text):
        if found.start() > end:
            yield text[end : found.start()]
        yield _part(found[0])
        end = found.end()
    if end < len(text):
        yield text[end:]


def _part(found: str) -> str | Placeholder | Name | Stray:
    if found in _ESCAPES:
        return _ESCAPES[found]
    if found in {"{", "}"}:
        return Stray()
    return Name(found[1:]) if found[0] == "$" else Placeholder(found[1:-1].strip())


def fill(node: Node, values: Mapping[str, Json], show: Callable[[Secret], str]) -> "Json | Absent":
    """Return the value of one node of `body`; what has no value is left out of the lists and tables around it."""
    match node:
        case Template():
            return _fill_text(node, values, show)
        case bool() | int() | float():
            return node
        case tuple():
            filled = (fill(each, values, show) for each in node)
            return [each for each in filled if not isinstance(each, Absent)]
        case _:
            return fill_table(node, values, show)


def fill_table(table: Mapping[str, Node], values: Mapping[str, Json], show: Callable[[Secret], str]) -> dict[str, Json]:
    """Return the table with every node filled and every key without a value left out."""
    pairs = ((key, fill(node, values, show)) for key, node in table.items())
    return {key: value for key, value in pairs if not isinstance(value, Absent)}


def _fill_text(template: Template, values: Mapping[str, Json], show: Callable[[Secret], str]) -> "Json | Absent":
    match template.parts:
        case (Placeholder(path),):
            return values.get(path, ABSENT)
    texts = [_text_of(part, values, show) for part in template.parts]
    text = "".join(each for each in texts if each is not None)
    if None not in texts:
        return text
    return text.strip() or ABSENT


def _text_of(part: str | Secret | Placeholder, values: Mapping[str, Json], show: Callable[[Secret], str]) -> str | None:
    match part:
        case Placeholder(path):
            return as_text(values[path]) if path in values else None
        case Secret():
            return show(part)
        case _:
            return part


def as_text(value: Json) -> str:
    """Return a value as it reads inside a text: `true`, `12`, `one, two`."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(as_text(each) for each in value)
        case _:
            return str(value)
