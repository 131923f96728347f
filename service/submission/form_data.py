"""What a browser posted, as plain text, before anybody asked whether it is right.

Invariant: frozen values; names and texts stand here as they were sent. Names beginning with `_` are control
fields: they are split off here and never travel further as fields.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from service.lib.secret import unshown
from service.model.lead import CLICK_IDS, UTM

HONEYPOT: Final = "_gotcha"
CONTROLS: Final = frozenset(
    {"gotcha", "next", "id", "confirm", "language", "remark", "token", "elapsed", "webdriver", "replyto"}
)
_PLACES: Final = frozenset({"source", "page", "referrer", *CLICK_IDS, *(f"utm_{name}" for name in UTM)})
_BRACKETED: Final = re.compile(r"source((?:\[\w+\])+)")


@dataclass(frozen=True, slots=True)
class Control:
    """The control fields: honeypot, where to go next, idempotency key, the number sent a second time, the language.

    `source` are those that tell where the visitor came from: `source` (JSON), `page`, `referrer`, `utm_source`, `gclid`
    and the like. `remark` is a second honeypot; `token`, `elapsed` (ms) and `webdriver` tell how the form
    was filled in; `replyto` is an address where the form has none.
    """

    gotcha: str = ""
    next: str = ""
    id: str = ""
    confirm: str = ""
    language: str = ""
    remark: str = ""
    token: str = ""
    elapsed: str = ""
    webdriver: str = ""
    replyto: str = ""
    source: Mapping[str, str] = field(default_factory=dict)

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Posted:
    """Texts by the name they were sent under, in the order they were sent; a repeated name is joined.

    `several` has the texts of a repeated name one by one, `booleans` are the names whose value was JSON true or false.
    `known` says of a name which configured field it is, where something better than its spelling tells (Webflow's
    element ids). `files` are the names of inputs that held a file, which is never read. `flags` tell what had to be
    done to read it; `is_url`: it was urlencoded, where a plus that is not encoded is lost. `beside` are names with `_`
    that mean nothing here and carry words.
    """

    fields: Mapping[str, str]
    control: Control = field(default_factory=Control)
    several: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    booleans: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    is_url: bool = False
    beside: Mapping[str, str] = field(default_factory=dict)

    __repr__ = unshown


def gather(
    pairs: Iterable[tuple[str, str]],
    *,
    booleans: Iterable[str] = (),
    known: Mapping[str, str] | None = None,
    honeypot: str = HONEYPOT,
    is_url: bool = False,
) -> Posted:
    """Make a `Posted` of what was sent, one pair a value; `honeypot` is the form's name for what robots fill in.

    Values of one name are joined with ", ", blank ones left out (a hidden default before a checkbox says
    nothing). A value without a name is dropped, as browsers do (HTML, "constructing the entry list").
    """
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        values.setdefault(name, []).append(text)
    fields: dict[str, str] = {}
    control: dict[str, list[str]] = {}
    beside: dict[str, str] = {}
    for name, texts in values.items():
        place = _place_of(name, honeypot)
        if place is not None:
            control.setdefault(place, []).extend(texts)
        elif is_control(name):
            beside[name.strip()] = _join(texts)
        elif name.strip():
            fields[name] = _join(texts)
    return Posted(
        fields,
        _control({place: _join(texts) for place, texts in control.items()}),
        {name: tuple(texts) for name, texts in values.items() if len(texts) > 1},
        frozenset(booleans),
        known or {},
        is_url=is_url,
        beside={name: text for name, text in beside.items() if _carries_words(text)},
    )


def _place_of(name: str, honeypot: str) -> str | None:
    """Return which control field a name is, None for none."""
    plain = name.strip().casefold()
    if plain == honeypot.casefold():
        return "gotcha"
    means_something = plain[1:] in CONTROLS or plain == "_charset_" or _place(plain[1:]) in _PLACES
    return plain[1:] if plain.startswith("_") and means_something else None


def _control(sent: Mapping[str, str]) -> Control:
    places = {place: text for name, text in sent.items() if (place := _place(name)) in _PLACES}
    return Control(**{name: text for name, text in sent.items() if name in CONTROLS}, source=places)


def _place(name: str) -> str:
    """Return the plain name of `source[page]`, `source[utm][source]` or `source[click_ids][gclid]`."""
    found = _BRACKETED.fullmatch(name)
    return found[1][1:-1].replace("][", "_").removeprefix("click_ids_") if found else name


def is_control(name: str) -> bool:
    """Tell whether a name as sent is that of a control field, known or not."""
    return name.lstrip().startswith("_")


def _join(texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    unlike: dict[str, str] = {}
    for text in texts:
        if text.strip():
            unlike.setdefault(text.strip(), text)
    return ", ".join(unlike.values())


def _carries_words(text: str) -> bool:
    """Tell whether somebody may have written a text: a token, a number or a switch of a program says nothing."""
    return any(piece.isalpha() and len(piece) > 1 for piece in re.split(r"[\s.,;:!?'\"()/@-]+", text.strip()))
