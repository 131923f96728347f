"""Shapes of a value: `{fields.name:first}`, `{id:sha256}`, `{fields.message:slack:max(2000)}`.

Invariant: pure. Every shape takes the text of a value and returns what is sent, or None where there is nothing then:
the next alternative of the placeholder takes its place.
"""

import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_SPEC: Final = re.compile(r"([a-z0-9]+)(?:\(([1-9][0-9]{0,5})\))?")
_UNSEEN: Final = "\N{WORD JOINER}"
_RINGS: Final = re.compile(r"@(?=(channel|here|everyone|all|room)\b)", re.IGNORECASE)
_LINKS: Final = re.compile(r"(?<=:)(?=//)|(?<=\])(?=[(\[:])|(?<=/)(?<!:/)(?=/)|(?<=\{)(?=\{)")  # {{DATE(…)}} in a card
_ADDRESS_OR_DOT: Final = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+|(?<=[\w-])\.(?=[^\W\d_]{2})")


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape by its name; `most` is the number in `max(N)`, 0 for all others."""

    name: str
    most: int = 0


def parse_shape(text: str) -> Shape | None:
    """Read `first` or `max(2000)`; None if there is no such shape."""
    found = _SPEC.fullmatch(text)
    if found is None or (found[1] == "max") != bool(found[2]):
        return None
    if found[1] == "max":
        return Shape("max", int(found[2]))
    return Shape(found[1]) if found[1] in _SHAPES else None


def shaped(text: str, shape: Shape) -> str | int | None:
    """Return the text in that shape."""
    if shape.name == "max":
        return text[: shape.most]
    return _SHAPES[shape.name](text)


def _first(text: str) -> str | None:
    return text.split(maxsplit=1)[0] if text.split() else None


def _last(text: str) -> str | None:
    """Return all but the first word, so that no part of a name is lost; of one word there is no last name."""
    words = text.split()
    return " ".join(words[1:]) or None


def _unix(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


def _plain(text: str) -> str:
    """Part what rings a channel or becomes a link by a character that nobody sees; addresses of mail stay whole."""
    quiet = _LINKS.sub(_UNSEEN, _RINGS.sub(f"@{_UNSEEN}", text))
    return _ADDRESS_OR_DOT.sub(lambda found: f".{_UNSEEN}" if found[0] == "." else found[0], quiet)


def _slack(text: str) -> str:
    """Escape as https://docs.slack.dev/messaging/formatting-message-text asks; no mention rings, no address links."""
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_SHAPES: Final[Mapping[str, Callable[[str], str | int | None]]] = {
    "first": _first,
    "last": _last,
    "sha256": lambda text: hashlib.sha256(text.strip().lower().encode()).hexdigest(),
    "md5": lambda text: hashlib.md5(text.strip().lower().encode(), usedforsecurity=False).hexdigest(),
    "unix": _unix,
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "plain": _plain,
    "slack": _slack,
    "html": html.escape,
}
NAMES: Final = (*_SHAPES, "max(N)")
