"""Which posted name is which configured field, and which of several values counts.

Invariant: decides by names, by whether anything was typed and by which digits are the same. Names are compared without
case, blanks, `-`, `_`, `[` and `]`. What does not count is kept under the name it was sent under.

Frameworks put their names into a wrapper: `lead[phone]` (Rails, PHP), `Lead.Phone` (ASP.NET), `form-0-phone` (Django).
Where no number and no address stands outside, the names inside the wrapper that holds one count.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.fields.field_name import INDEX, SIGNS, Names, Rank, meaning, names_of, parts_of
from service.fields.phone_country import country_beside, is_calling_code, region_of
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
_PERSON: Final = frozenset({"phone", "email"})
_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class _Found:
    rank: Rank
    sent: str
    text: str
    texts: tuple[str, ...]

    __repr__ = unshown


def match(form: Form, posted: Posted) -> Matched:
    """Find the text of every field: the first that is not empty, hidden full phone numbers before visible ones."""
    names = names_of(form.fields)
    found: dict[str, list[_Found]] = {}
    extra = {}
    for sent, text in posted.fields.items():
        known = (posted.known[sent], Rank.KNOWN) if sent in posted.known else meaning(names, sent)
        if known is None:
            extra[sent] = text
        else:
            _add(found.setdefault(known[0], []), _Found(known[1], sent, text, posted.several.get(sent, (text,))))
    inner = _unwrap(form, posted, found, extra)
    fields: dict[str, Match] = {}
    read: set[str] = set()
    for name, field in form.fields.items():
        if name in found:
            best = _box(found[name]) if field.type == "boolean" else _best(found[name])
            beside = _Beside(posted, extra, read, inner, form.fields)
            chosen = _phone(field, best, found[name], beside) if field.type == "phone" else best
            fields[name] = _shown(chosen, found[name])
            extra |= _left(chosen.text, best.text, found[name]) if field.type != "boolean" else {}
    _take_replyto(form, posted, fields, extra)
    return Matched(fields, {**extra, **posted.beside}, frozenset(read))


def _add(found: list[_Found], one: _Found) -> None:
    """Add one more text of a field; `parts[0]` and `parts[1]` are several values of one name."""
    listed = INDEX.sub("", one.sent)
    for place, earlier in enumerate(found):
        if one.sent not in {earlier.sent, listed} and listed == INDEX.sub("", earlier.sent):
            texts = (*earlier.texts, *one.texts)
            found[place] = _Found(one.rank, earlier.sent, ", ".join(filter(None, (earlier.text, one.text))), texts)
            return
    found.append(one)


def _unwrap(form: Form, posted: Posted, found: dict[str, list[_Found]], extra: dict[str, str]) -> Mapping[str, str]:
    """Take the names inside one wrapper for fields, if no number and no address was found; return what they are there.

    Of several wrappers that hold one, that with the most fields counts, the first of equals.
    """
    people = {field.name for field in form.fields.values() if field.type in _PERSON}
    if any(one.text.strip() for name in people for one in found.get(name, ())):
        return {}
    wrapped = _wrapped(names_of(form.fields), extra)
    holding = (wrapper for wrapper, owners in wrapped.items() if _holds_person(owners, people, extra))
    wrapper = max(holding, key=lambda one: len(wrapped[one]), default=None)
    if wrapper is None:
        return {}
    for sent, name in wrapped[wrapper].items():
        text = extra.pop(sent)
        _add(found.setdefault(name, []), _Found(Rank.WRAPPED, sent, text, posted.several.get(sent, (text,))))
    size = len(wrapper)
    return {sent: "".join(parts[size:]) for sent in posted.fields if (parts := parts_of(sent))[:size] == wrapper}


def _wrapped(names: Names, sent_names: Iterable[str]) -> Mapping[tuple[str, ...], dict[str, str]]:
    """Return the names that mean a field inside a wrapper, and which, by their wrapper."""
    wrapped: dict[tuple[str, ...], dict[str, str]] = {}
    for sent in sent_names:
        parts = parts_of(sent)
        for start in range(max(1, len(parts) - _DEEPEST), len(parts)):
            if known := names.get(fold("".join(parts[start:]))):
                wrapped.setdefault(parts[:start], {})[sent] = known[0]
                break
    return wrapped


def _holds_person(owners: Mapping[str, str], people: Collection[str], said: Mapping[str, str]) -> bool:
    texts = (said[sent] for sent, name in owners.items() if name in people)
    return any("@" in text or any(map(str.isdigit, text)) for text in texts)


def _best(found: list[_Found]) -> _Found:
    if len(found) == 1:
        return found[0]
    visible = _visible(found)
    ranked = sorted(found, key=lambda one: (_is_of_another(one, visible), one.rank))
    return next((one for one in ranked if not is_blank(one.text)), ranked[-1])


def _box(found: list[_Found]) -> _Found:
    """Return a box with the values of all its names: any of them may tick it."""
    best = _best(found)
    return replace(best, texts=tuple(text for one in found for text in one.texts))


def _shown(chosen: "_Found | _Number", found: list[_Found]) -> Match:
    """Return the match, under the name of the input that its visitor sees."""
    visible = next((one for one in found if one.rank is not Rank.HIDDEN), found[0])
    sent = visible.sent if chosen.rank is Rank.HIDDEN else chosen.sent
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
    rank: Rank
    sent: str
    text: str
    texts: tuple[str, ...]
    country: str

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands beside a number: all that was posted, what no field took of it, and the names that were read.

    `inner` are the names of those that stand in a wrapper with it.
    """

    posted: Posted
    extra: dict[str, str]
    read: set[str]
    inner: Mapping[str, str]
    fields: Mapping[str, Field]

    __repr__ = unshown


def _phone(field: Field, best: _Found, found: list[_Found], beside: _Beside) -> _Number:
    """Read a number as what stands beside it says: the full number under any name, else a country."""
    codes, numbers = _parted(best.texts)
    if codes and numbers:
        return _Number(best.rank, best.sent, ", ".join(numbers), tuple(numbers), region_of(codes[0]) or "")
    if best.rank is Rank.HIDDEN and (visible := _visible(found)) and _lacks_plus(best.text, visible.text):
        return _Number(best.rank, best.sent, f"+{best.text.strip()}", (), "")
    for full in found:
        if _spells_out(full.text, best.text):
            return _Number(full.rank, full.sent, full.text, (full.text,), "")
    for name, value in beside.extra.items():
        if _spells_out(value, best.text):
            return _Number(Rank.HIDDEN, name, beside.extra.pop(name), (), "")
    return _Number(best.rank, best.sent, best.text, best.texts, _country_beside(field, best, beside))


def _parted(texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Part calling codes from numbers, where both were sent under one name."""
    codes = [text for text in texts if is_calling_code(text)]
    return codes, [text for text in texts if text not in codes and text.strip()]


def _country_beside(field: Field, best: _Found, beside: _Beside) -> str:
    if best.text.strip().startswith("+"):
        return ""
    sent: dict[str, str] = {}
    for name in beside.posted.fields:
        if name != best.sent:
            sent.setdefault(fold(SIGNS.sub("", beside.inner.get(name, name))), name)
    phones = (known for known in beside.fields.values() if known.type == "phone" and known is not field)
    owns = {*_owns(field), fold(beside.inner.get(best.sent, best.sent)).removesuffix("number")} - {""}
    texts = {folded: beside.posted.fields[name] for folded, name in sent.items()}
    folded, region = country_beside(owns, (own for known in phones for own in _owns(known)), texts)
    if region:
        beside.read.add(sent[folded])
    return region


def _owns(field: Field) -> Iterator[str]:
    return (fold(name).removesuffix("number") for name in (field.name, *field.aliases))


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


def _lacks_plus(full: str, typed: str) -> bool:
    """Tell whether `full` is the number that was typed behind its country code, but for the plus."""
    if full.strip().startswith("+"):
        return False
    code = _digits(full).removesuffix(_digits(typed).lstrip("0"))
    return is_calling_code(f"+{code}") and _spells_out(f"+{full.strip()}", typed)


def _visible(found: list[_Found]) -> _Found | None:
    return next((one for one in found if one.rank is not Rank.HIDDEN and one.text.strip()), None)


def _is_of_another(one: _Found, visible: _Found | None) -> bool:
    """Tell whether a hidden full number is not the one that its visitor sees: something wrote it and not again."""
    if one.rank is not Rank.HIDDEN or visible is None:
        return False
    hidden, shown = _digits(one.text), _digits(visible.text)
    size = min(len(hidden), len(shown), _SHORTEST_NUMBER)
    return hidden[len(hidden) - size :] != shown[len(shown) - size :]


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(sign)) for sign in text[:64] if sign.isdigit())
