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
CONTROLS: Final = frozenset({"gotcha", "next", "id", "confirm", "language", "remark", "token", "elapsed", "webdriver"})
_PLACES: Final = frozenset({"source", "page", "referrer", *CLICK_IDS, *(f"utm_{name}" for name in UTM)})
_BRACKETED: Final = re.compile(r"source((?:\[\w+\])+)")


@dataclass(frozen=True, slots=True)
class Control:
    """The control fields: honeypot, where to go next, idempotency key, the number sent a second time, the language.

    `source` are those that tell where the visitor came from: `source` (JSON), `page`, `referrer`, `utm_source`, `gclid`
    and the like. `remark` is a second honeypot; `token`, `elapsed` (ms) and `webdriver` tell how the form
    was filled in.
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
    source: Mapping[str, str] = field(default_factory=dict)

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Posted:
    """Texts by the name they were sent under, in the order they were sent; a repeated name is joined.

    `several` has the texts of a repeated name one by one.

    `booleans` are the names whose value was JSON true or false. `known` says of a name which configured
    field it is, where something better than its spelling tells (Webflow's element ids). `files` are the names of
    inputs that held a file, which is never read.
    """

    fields: Mapping[str, str]
    control: Control = field(default_factory=Control)
    several: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    booleans: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    __repr__ = unshown


def gather(
    pairs: Iterable[tuple[str, str]],
    *,
    booleans: Iterable[str] = (),
    known: Mapping[str, str] | None = None,
    honeypot: str = HONEYPOT,
) -> Posted:
    """Make a `Posted` of what was sent, one pair a value; `honeypot` is the form's name for what robots fill in.

    Values of one name are joined with ", ", blank ones left out (a hidden default before a checkbox says
    nothing). A value without a name is dropped, as browsers do (HTML, "constructing the entry list").
    """
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        values.setdefault(name, []).append(text)
    fields: dict[str, str] = {}
    control: dict[str, str] = {}
    trap = honeypot.casefold()
    for name, texts in values.items():
        text, plain = _join(texts), name.strip().casefold()
        if plain == trap:
            control["gotcha"] = _join([control.get("gotcha", ""), text])
        elif is_control(name):
            control[plain[1:]] = _join([control.get(plain[1:], ""), text])
        elif plain:
            fields[name] = text
    return Posted(
        fields,
        _control(control),
        {name: tuple(texts) for name, texts in values.items() if len(texts) > 1},
        frozenset(booleans),
        known or {},
    )


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
    return texts[0] if len(texts) == 1 else ", ".join(text for text in texts if text.strip())
