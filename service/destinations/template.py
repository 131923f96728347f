"""Texts with `{path}` placeholders: a CRM's own words in `body`, `url` and `headers`.

Invariant: pure, and ignorant of leads: what a path means is a mapping that is passed in.
`{{`, `}}` and `$$` stand for `{`, `}` and `$`; `$NAME` is a secret from the environment. A placeholder is one or more
alternatives with `|` between them, each a path with shapes (`{fields.name:first}`) or a text in quotes (`"none"`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote

from service.destinations.shapes import Shape, parse_shape, shaped
from service.lib.secret import Secret

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Path:
    """One alternative of a placeholder: the value of a path, in these shapes. A shape that is a text is unknown."""

    path: str
    shapes: tuple[Shape | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{a|b|"text"}`: the first that has a value."""

    choices: tuple[Path | str, ...]


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


Pattern: TypeAlias = "tuple[str | Secret | Placeholder, ...]"
"""One line that may hold secrets and placeholders: an address, a header."""

Node: TypeAlias = "Template | int | float | bool | tuple[Node, ...] | Mapping[str, Node]"
"""One value of `body`: a text, a plain value, a list or a table."""


class Absent:
    """A value that is not there: its key is left out."""


ABSENT: Final = Absent()


class LacksError(Exception):
    """A line needs a value that this lead does not have; its argument names the path."""


_UNSENDABLE: Final = re.compile(r"[^ -~]+")
_ESCAPES: Final = {"{{": "{", "}}": "}", "$$": "$"}
_TOKEN: Final = re.compile(r"\{\{|\}\}|\$\$|\{[^{}]*\}|[{}]|\$[A-Za-z_][A-Za-z0-9_]*")
_CHOICE: Final = re.compile(r'"[^"]*"|[^|"]+')


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
    return Name(found[1:]) if found[0] == "$" else Placeholder(tuple(_choices(found[1:-1])))


def _choices(text: str) -> Iterator[Path | str]:
    if not text.strip() or _CHOICE.sub("", text).strip("| "):
        yield Path(text.strip())
        return
    for choice in (found.strip() for found in _CHOICE.findall(text)):
        if choice.startswith('"'):
            yield choice[1:-1]
        elif choice:
            path, *shapes = choice.split(":")
            yield Path(path.strip(), tuple(parse_shape(shape.strip()) or shape.strip() for shape in shapes))


def fill(node: Node, values: Mapping[str, Json], show: Callable[[Secret], str]) -> "Json | Absent":
    """Return the value of one node of `body`; what has no value is left out of the tables around it.

    An item of a list goes whole if it has placeholders and none of them a value.
    """
    match node:
        case Template():
            return _fill_text(node, values, show)
        case bool() | int() | float():
            return node
        case tuple():
            filled = (fill(item, values, show) for item in node if not _is_empty(item, values))
            return [item for item in filled if not isinstance(item, Absent)]
        case _:
            return fill_table(node, values, show)


def fill_table(table: Mapping[str, Node], values: Mapping[str, Json], show: Callable[[Secret], str]) -> dict[str, Json]:
    """Return the table with every node filled; a key without a value is left out, or whose list lost every item."""
    filled = ((key, node, fill(node, values, show)) for key, node in table.items())
    return {
        key: value
        for key, node, value in filled
        if not isinstance(value, Absent) and not (isinstance(node, tuple) and node and not value)
    }


def fill_line(
    line: Pattern, values: Mapping[str, Json], show: Callable[[Secret], str], write: Callable[[str], str]
) -> str:
    """Return a line with every placeholder's value as `write` spells it.

    Raises:
        LacksError: one of them has no value.
    """
    texts: list[str] = []
    for part in line:
        text = _text_of(part, values, show)
        if text is None:
            raise LacksError(*(choice.path for choice in placeholders_of(part) if isinstance(choice, Path)))
        texts.append(write(text) if isinstance(part, Placeholder) else text)
    return "".join(texts)


def placeholders_of(part: str | Secret | Placeholder) -> tuple[Path | str, ...]:
    """Return the alternatives of a part that is a placeholder, of any other none."""
    return part.choices if isinstance(part, Placeholder) else ()


def has_placeholder(*lines: Pattern) -> bool:
    """Return whether a value is asked for in one of these lines."""
    return any(isinstance(part, Placeholder) for line in lines for part in line)


def nodes_of(node: Node) -> Iterator[Template]:
    """Yield every text in a node."""
    match node:
        case Template():
            yield node
        case tuple():
            for item in node:
                yield from nodes_of(item)
        case Mapping():
            for item in node.values():
                yield from nodes_of(item)


def paths_in(node: Node) -> Iterator[str]:
    """Yield every path that a placeholder in a node names."""
    for text in nodes_of(node):
        for part in text.parts:
            yield from (choice.path for choice in placeholders_of(part) if isinstance(choice, Path))


def _is_empty(node: Node, values: Mapping[str, Json]) -> bool:
    holes = [part for text in nodes_of(node) for part in text.parts if isinstance(part, Placeholder)]
    return bool(holes) and all(isinstance(_value_of(hole, values), Absent) for hole in holes)


def _fill_text(template: Template, values: Mapping[str, Json], show: Callable[[Secret], str]) -> "Json | Absent":
    match template.parts:
        case (Placeholder() as whole,):
            return _value_of(whole, values)
    texts = [_text_of(part, values, show) for part in template.parts]
    text = "".join(part for part in texts if part is not None)
    if None not in texts:
        return text
    return text.strip() if any(character.isalnum() for character in text) else ABSENT


def _text_of(part: str | Secret | Placeholder, values: Mapping[str, Json], show: Callable[[Secret], str]) -> str | None:
    match part:
        case Placeholder():
            value = _value_of(part, values)
            return None if isinstance(value, Absent) else as_text(value)
        case Secret():
            return show(part)
        case _:
            return part


def _value_of(placeholder: Placeholder, values: Mapping[str, Json]) -> "Json | Absent":
    for choice in placeholder.choices:
        value = choice if isinstance(choice, str) else _in_shape(values.get(choice.path, ABSENT), choice.shapes)
        if not isinstance(value, Absent):
            return value
    return ABSENT


def _in_shape(value: "Json | Absent", shapes: Sequence[Shape | str]) -> "Json | Absent":
    for shape in shapes:
        if isinstance(value, Absent) or not isinstance(shape, Shape):
            return ABSENT
        made = shaped(as_text(value), shape)
        value = ABSENT if made is None else made
    return value


def as_text(value: Json) -> str:
    """Return a value as it reads inside a text: `true`, `12`, `one, two`."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(as_text(item) for item in value)
        case _:
            return str(value)


def in_address(text: str) -> str:
    """Percent-encode a value for an address; one of dots alone would lead to another folder.

    Raises:
        LacksError: it would.
    """
    if not text.strip("."):
        raise LacksError("a value that an address can hold")
    return quote(text, safe="*")  # What is masked stays readable.


def in_header(text: str) -> str:
    """Write a value in plain ASCII: what ends a line becomes a blank, all else that is not ASCII is percent-encoded."""
    one_line = " ".join(text.split())
    return _UNSENDABLE.sub(lambda found: quote(found[0], safe=""), one_line)
