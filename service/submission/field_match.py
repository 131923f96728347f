"""Which posted name is which configured field, and which of several values counts.

Invariant: decides by names, by whether anything was typed and by which digits are the same. Names are compared without
case, blanks, `-`, `_`, `[` and `]`. What does not count is kept under the name it was sent under.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from service.fields.phone_country import is_calling_code, region_of
from service.lib.secret import unshown
from service.lib.text import fold_blanks, is_blank
from service.model.form import Field, Form, fold
from service.submission.form_data import Posted


@dataclass(frozen=True, slots=True)
class Match:
    """The text that counts for a field, and the name to tell the browser: that of the input its visitor sees.

    `texts` are its values one by one; `country` is the region that stands beside a phone number, "" for none.
    """

    sent: str
    text: str
    texts: tuple[str, ...] = ()
    country: str = ""

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Matched:
    """Matches by the field's configured name, in the form's order; what is left over by the name it was sent under.

    `read` are the names of what is left over that served to read a number: no form need name them.
    """

    fields: Mapping[str, Match]
    extra: Mapping[str, str]
    read: frozenset[str] = frozenset()

    __repr__ = unshown


_SHORTEST_NUMBER: Final = 6
_SHORTEST_PART: Final = 3
_COUNTRIES: Final = (
    "phonecountry", "phonecountrycode", "phonecode", "phonedialcode", "countrycode", "dialcode", "callingcode",
    "isdcode", "isd", "countryiso", "iso2", "country",
)  # fmt: skip
_OWN_COUNTRIES: Final = ("{}country", "{}countrycode", "{}dialcode", "{}code", "{}iso2", "country{}", "countrycode{}")
MOST_KNOWN: Final = 256
"""Of so many forms the folded names are kept, so that nothing about a form alone is done for each submission."""


class _Rank(IntEnum):
    KNOWN = 0
    HIDDEN = 1
    SPELLED = 2
    PART = 3


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
    fields: dict[str, Match] = {}
    read: set[str] = set()
    for name, field in form.fields.items():
        if name in found:
            best = _best(found[name])
            chosen = _phone(field, best, found[name], _Beside(posted, extra, read)) if field.type == "phone" else best
            fields[name] = _shown(chosen, found[name])
            extra |= _left(chosen.text, best.text, found[name])
    _take_replyto(form, posted, fields, extra)
    return Matched(fields, {**extra, **posted.beside}, frozenset(read))


def names_of(form: Form) -> Mapping[str, tuple[str, "_Rank"]]:
    """Return which field each folded name means."""
    return _names_of(form.fields)


def owner_of(fields: Mapping[str, Field], name: str) -> str | None:
    """Return the field that a posted name means by its spelling alone."""
    known = _names_of(fields).get(fold(name))
    return known[0] if known else None


def _best(found: list[_Found]) -> _Found:
    ranked = sorted(found, key=lambda one: one.rank)
    return next((one for one in ranked if not is_blank(one.text)), ranked[-1])


def _shown(chosen: "_Found | _Number", found: list[_Found]) -> Match:
    """Return the match, under the name of the input that its visitor sees."""
    visible = next((one for one in found if one.rank is not _Rank.HIDDEN), found[0])
    sent = visible.sent if chosen.rank is _Rank.HIDDEN else chosen.sent
    return Match(sent, chosen.text, chosen.texts, chosen.country if isinstance(chosen, _Number) else "")


def _left(counts: str, typed: str, found: list[_Found]) -> dict[str, str]:
    """Return what else was said for a field: no other spelling of the same, and no blank."""
    others = [one for one in found if one.text not in {counts, typed} and one.text.strip()]
    if not others:
        return {}
    known = {fold_blanks(counts).casefold(), fold_blanks(typed).casefold()}
    digits = {_digits(counts), _digits(typed)}
    left = {}
    for one in others:
        said, number = fold_blanks(one.text).casefold(), _digits(one.text)
        is_same = said in known or (number and any(_is_same_number(number, other) for other in digits))
        if said and not is_same and not is_calling_code(one.text):
            left[one.sent] = one.text
    return left


def _is_same_number(one: str, other: str) -> bool:
    short, long = sorted((one.lstrip("0"), other.lstrip("0")), key=len)
    return len(short) >= _SHORTEST_PART and long.endswith(short)


@dataclass(frozen=True, slots=True)
class _Number:
    rank: _Rank
    sent: str
    text: str
    texts: tuple[str, ...]
    country: str

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands beside a number: all that was posted, what no field took of it, and the names that were read."""

    posted: Posted
    extra: dict[str, str]
    read: set[str]

    __repr__ = unshown


def _phone(field: Field, best: _Found, found: list[_Found], beside: _Beside) -> _Number:
    """Read a number as what stands beside it says: the full number under any name, else a country."""
    codes, numbers = _parted(best.texts)
    if codes and numbers:
        return _Number(best.rank, best.sent, ", ".join(numbers), tuple(numbers), region_of(codes[0]) or "")
    for full in found:
        if _spells_out(full.text, best.text):
            return _Number(full.rank, full.sent, full.text, (full.text,), "")
    for name, value in beside.extra.items():
        if _spells_out(value, best.text):
            return _Number(_Rank.HIDDEN, name, beside.extra.pop(name), (), "")
    return _Number(best.rank, best.sent, best.text, best.texts, _country_beside(field, best, beside))


def _parted(texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Part calling codes from numbers, where both were sent under one name."""
    codes = [text for text in texts if is_calling_code(text)]
    return codes, [text for text in texts if text not in codes and text.strip()]


def _country_beside(field: Field, best: _Found, beside: _Beside) -> str:
    if best.text.strip().startswith("+"):
        return ""
    sent = best.sent
    owns = dict.fromkeys((fold(sent), fold(field.name), *map(fold, field.aliases)))
    wanted = [pattern.format(own.removesuffix("number")) for own in owns for pattern in _OWN_COUNTRIES]
    by_name: dict[str, str] = {}
    for posted_name in beside.posted.fields:
        by_name.setdefault(fold(posted_name), posted_name)
    for folded in (*wanted, *_COUNTRIES):
        name = by_name.get(folded)
        region = region_of(beside.posted.fields[name]) if name is not None and name != sent else None
        if name is not None and region:
            beside.read.add(name)
            return region
    return ""


def _take_replyto(form: Form, posted: Posted, fields: dict[str, Match], extra: dict[str, str]) -> None:
    """Take `_replyto` for the address where none was given."""
    replyto = posted.control.replyto
    if not replyto.strip():
        return
    address = next((field for field in form.fields.values() if field.type == "email"), None)
    given = fields.get(address.name) if address else None
    if address and (given is None or not given.text.strip()):
        fields[address.name] = Match("_replyto", replyto, (replyto,))
    elif given is None or fold_blanks(given.text).casefold() != fold_blanks(replyto).casefold():
        extra["_replyto"] = replyto


def _spells_out(full: str, typed: str) -> bool:
    """Tell whether `full` is the number that was typed, with its country code before it."""
    if not full.strip().startswith("+") or typed.strip().startswith("+"):
        return False
    national = _digits(typed).lstrip("0")
    return len(national) >= _SHORTEST_NUMBER and _digits(full).endswith(national)


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(sign)) for sign in text[:64] if sign.isdigit())


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
            yield from ((name, (field.name, _Rank.PART)) for name in (f"{own}national", f"{own}number"))
    for field in reversed(fields):
        yield from ((fold(alias), (field.name, _Rank.SPELLED)) for alias in field.aliases)
    for field in reversed(fields):
        yield fold(field.name), (field.name, _Rank.SPELLED)
