"""Which posted name is which configured field.

Invariant: pure; decides by name only, and by whether anything was typed. Names are compared without case, blanks,
`-`, `_`, `[` and `]`.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from service.lib.secret import unshown
from service.lib.text import clean
from service.model.form import Field, Form, fold
from service.submission.form_data import Posted


@dataclass(frozen=True, slots=True)
class Match:
    """The text that counts for a field, and the name to tell the browser: that of the input its visitor sees.

    `texts` are its values one by one.
    """

    sent: str
    text: str
    texts: tuple[str, ...] = ()

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Matched:
    """Matches by the field's configured name, in the form's order; what is left over by the name it was sent under."""

    fields: Mapping[str, Match]
    extra: Mapping[str, str]

    __repr__ = unshown


_SHORTEST_NUMBER: Final = 6
MOST_KNOWN: Final = 256
"""Of so many forms the folded names are kept, so that nothing about a form alone is done for each submission."""


class _Rank(IntEnum):
    KNOWN = 0
    HIDDEN = 1
    SPELLED = 2


_KNOWN: Final[dict[int, tuple[Mapping[str, Field], Mapping[str, tuple[str, _Rank]]]]] = {}


@dataclass(frozen=True, slots=True)
class _Found:
    rank: _Rank
    sent: str
    text: str
    texts: tuple[str, ...]

    __repr__ = unshown


def match(form: Form, posted: Posted) -> Matched:
    """Find the text of every field: the first that is not empty, hidden full phone numbers before visible ones."""
    names = _names_of(form.fields)
    found: dict[str, list[_Found]] = {}
    extra = {}
    for sent, text in posted.fields.items():
        known = (posted.known[sent], _Rank.KNOWN) if sent in posted.known else names.get(fold(sent))
        if known is None:
            extra[sent] = text
        else:
            found.setdefault(known[0], []).append(_Found(known[1], sent, text, posted.several.get(sent, (text,))))
    return Matched({name: _choose(each, found[name]) for name, each in form.fields.items() if name in found}, extra)


def _choose(field: Field, found: list[_Found]) -> Match:
    ranked = sorted(found, key=lambda each: each.rank)
    best = next((each for each in ranked if clean(each.text, multiline=False)), ranked[-1])
    visible = next((each for each in found if each.rank is not _Rank.HIDDEN), best)
    if field.type == "phone":
        # A page's phone widget may send the full number under an alias, beside what was typed.
        best = next((each for each in found if _spells_out(each.text, best.text)), best)
    return Match(visible.sent if best.rank is _Rank.HIDDEN else best.sent, best.text, best.texts)


def _spells_out(full: str, typed: str) -> bool:
    """Tell whether `full` is the number that was typed, with its country code before it."""
    if not full.strip().startswith("+") or typed.strip().startswith("+"):
        return False
    national = _digits(typed).lstrip("0")
    return len(national) >= _SHORTEST_NUMBER and _digits(full).endswith(national)


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(each)) for each in text[:64] if each.isdigit())


def _names_of(fields: Mapping[str, Field]) -> Mapping[str, tuple[str, _Rank]]:
    """Return what every folded name stands for; worked out once for the fields of each form."""
    kept = _KNOWN.get(id(fields))
    if kept is None or kept[0] is not fields:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        kept = _KNOWN[id(fields)] = fields, dict(_names(tuple(fields.values())))
    return kept[1]


def _names(fields: tuple[Field, ...]) -> Iterator[tuple[str, tuple[str, _Rank]]]:
    """Yield folded names, weakest claim first: a field's own name beats an alias, an alias a hidden number's."""
    phones = [field for field in fields if field.type == "phone"]
    for field in phones[:1]:
        yield from ((name, (field.name, _Rank.HIDDEN)) for name in ("phonefull", "fullphone"))
    for field in reversed(phones):
        for own in (*map(fold, field.aliases), fold(field.name)):
            yield from ((name, (field.name, _Rank.HIDDEN)) for name in (f"{own}full", f"full{own}"))
    for field in reversed(fields):
        yield from ((fold(alias), (field.name, _Rank.SPELLED)) for alias in field.aliases)
    for field in reversed(fields):
        yield fold(field.name), (field.name, _Rank.SPELLED)
