"""Which configured field a posted name means by its spelling, and in which wrapper it stands.

Invariant: names alone are looked at, never what was said under them.
"""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, TypeAlias

from service.model.form import Field, fold

_FULL: Final = ("{}full", "full{}", "{}e164", "{}e164number", "{}international", "{}internationalnumber")
_NATIONAL: Final = ("{}national", "{}nationalnumber", "{}number")
MOST_KNOWN: Final = 256
"""Of so many forms the folded names are kept, so that nothing about a form alone is done for each submission."""

_LONGEST: Final = 200
INDEX: Final = re.compile(r"\[\d+\]")
SIGNS: Final = re.compile(r"[!-/:-@\[-^`{-~]+")
_PARTS: Final = re.compile(r"[\[\].:$]+|__|-\d+-")


class Rank(IntEnum):
    """How much a name claims to be its field's, the strongest first."""

    KNOWN = 0
    HIDDEN = 1
    SPELLED = 2
    PART = 3
    WRAPPED = 4


Names: TypeAlias = Mapping[str, tuple[str, Rank]]

_KNOWN: Final[dict[int, tuple[Mapping[str, Field], Names]]] = {}


def names_of(fields: Mapping[str, Field]) -> Names:
    """Return what every folded name stands for; worked out once for the fields of each form."""
    kept = _KNOWN.get(id(fields))
    if kept is None or kept[0] is not fields:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        kept = _KNOWN[id(fields)] = fields, dict(_names(tuple(fields.values())))
    return kept[1]


def _names(fields: tuple[Field, ...]) -> Iterator[tuple[str, tuple[str, Rank]]]:
    """Yield folded names, weakest claim first: a field's own name beats an alias, an alias a hidden number's."""
    phones = [field for field in fields if field.type == "phone"]
    for field in phones[:1]:
        yield from ((name, (field.name, Rank.HIDDEN)) for name in ("phonefull", "fullphone"))
    for field in reversed(phones):
        for own in (*map(fold, field.aliases), fold(field.name)):
            yield from ((pattern.format(own), (field.name, Rank.HIDDEN)) for pattern in _FULL)
            yield from ((pattern.format(own), (field.name, Rank.PART)) for pattern in _NATIONAL)
    for field in reversed(fields):
        yield from ((fold(alias), (field.name, Rank.SPELLED)) for alias in field.aliases)
    for field in reversed(fields):
        yield fold(field.name), (field.name, Rank.SPELLED)


def owner_of(fields: Mapping[str, Field], name: str) -> str | None:
    """Return the field that a posted name means by its spelling alone."""
    known = names_of(fields).get(fold(name))
    return known[0] if known else None


def meaning(names: Names, sent: str) -> tuple[str, Rank] | None:
    """Return which field a name means, also as people write it (`Phone*`, `Phone No.:`) and as one of a list."""
    known = names.get(fold(sent))
    if known or not SIGNS.search(sent):
        return known
    return names.get(fold(SIGNS.sub("", INDEX.sub("", sent))))


def parts_of(sent: str) -> tuple[str, ...]:
    """Return the names in a name, outermost first, without places in lists; what is called its value is the name's."""
    if len(sent) > _LONGEST:
        return ()
    parts = tuple(part for part in _PARTS.split(sent) if part.strip() and not part.isdigit())
    return parts[:-1] if parts[-1:] == ("value",) else parts


def wrapper_of(fields: Mapping[str, Field], sent: str) -> tuple[str, str]:
    """Return what stands before and behind the name of a field in its wrapper, such as `lead[` and `]`."""
    parts = parts_of(sent)
    if not parts[1:] or meaning(names_of(fields), sent):
        return "", ""
    before, _, behind = sent.rpartition(parts[-1])
    return before, behind
