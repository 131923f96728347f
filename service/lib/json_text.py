"""A JSON text read so that nothing in it is lost: numbers as they were written, repeated names as often as they stand.

Invariant: pure, and safe on any text: a document that is broken, too deep or no object is None, never an exception.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Final, NoReturn

import msgspec

from service.lib.secret import unshown
from service.lib.text import unprintable

MAX_DEPTH: Final = 64
MAX_NESTED: Final = 5_000
"""So many lists and objects a text may hold."""
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
LONGEST_WHOLE: Final = 30


_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode


class Number(str):
    """A JSON number as it was written: 8951047001.0 stays that, and a big one loses no digit."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object: its members in order, repeated names included."""

    members: list[tuple[str, "Node"]]

    __repr__ = unshown

    def get(self, name: str) -> "Node":
        """Return the member of that name, the last if there are several, None if there is none."""
        return dict(self.members).get(name)


Scalar = str | bool | None
Node = Scalar | list["Node"] | Object


def parse_object(text: str) -> Object | None:
    """Read a JSON object (RFC 8259; NaN and Infinity are no JSON)."""
    document = parse(text)
    return document if isinstance(document, Object) else None


def parse(text: str) -> Node:
    """Read a JSON text; None for one that is broken, too deep or too crowded, as for null."""
    if _number_nested(text) > MAX_NESTED and _number_nested(_STRING.sub("", text)) > MAX_NESTED:
        return None
    try:
        document: Node = json.loads(
            text, parse_int=Number, parse_float=Number, parse_constant=_refuse, object_pairs_hook=Object
        )
    except (ValueError, RecursionError):
        return None
    return None if _number_nested(text) > MAX_DEPTH and _is_too_deep(document) else document


def is_nested(node: Node) -> bool:
    """Tell whether `node` holds others."""
    return isinstance(node, (list, Object))


def scalar_text(scalar: Scalar) -> str:
    """Return the text of a string, a number or a boolean ("true", "false"); null has none."""
    match scalar:
        case None:
            return ""
        case bool():
            return "true" if scalar else "false"
        case Number():
            return _without_exponent(scalar)
        case _:
            return str(scalar)


def _without_exponent(number: Number) -> str:
    """Write 8.951047001e9 as the whole number it is: some encoders write any large one so."""
    if "e" not in number.lower() or len(number) > LONGEST_WHOLE:
        return str(number)
    value = Decimal(number)
    if not 0 <= value.adjusted() < LONGEST_WHOLE or value != value.to_integral_value():
        return str(number)
    return str(int(value))


def dump(node: Node) -> str:
    """Write a node as JSON again, numbers digit for digit."""
    match node:
        case Object():
            members = (f"{_quoted(name)}: {dump(child)}" for name, child in node.members)
            return f"{{{', '.join(members)}}}"
        case list():
            return f"[{', '.join(map(dump, node))}]"
        case Number():
            return str(node)
        case str():
            return _quoted(node)
        case _:
            return "null" if node is None else scalar_text(node)


def _number_nested(text: str) -> int:
    return text.count("[") + text.count("{")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_too_deep(document: Node) -> bool:
    level: list[Node] = [document]
    for _ in range(MAX_DEPTH):
        lists = (node for node in level if isinstance(node, list))
        objects = (node.members for node in level if isinstance(node, Object))
        level = [*chain.from_iterable(lists), *(child for members in objects for _, child in members)]
        if not level:
            return False
    return True


def pretty(value: object) -> str:
    """Write a value as JSON that people read."""
    return laid_out(msgspec.json.encode(value))


def laid_out(document: bytes) -> str:
    """Return a JSON document as people read it; signs that could act on a terminal are escaped."""
    text = msgspec.json.format(document).decode()
    return text.translate({ord(sign): _escape(sign) for sign in unprintable(text) - {"\n"}})


def _escape(sign: str) -> str:
    units = sign.encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))
