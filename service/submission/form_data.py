"""What a browser posted, as plain text, before anybody asked whether it is right.

Invariant: frozen values; names and texts stand here as they were sent. Control fields, the form's honeypot among them,
are split off here and never travel further as fields.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from service.fields.words import ticks
from service.lib.secret import unshown
from service.model.form import fold
from service.model.lead import CLICK_IDS, UTM

HONEYPOT: Final = "_gotcha"
_PLACES: Final = frozenset({"source", "page", "referrer", *CLICK_IDS, *(f"utm_{name}" for name in UTM)})
_BRACKETED: Final = re.compile(r"source((?:\[\w+\])+)")


@dataclass(frozen=True, slots=True)
class Control:
    """The control fields, one row each: its name without the `_`, and what it means.

    `source` has every one that tells where the visitor came from: `source` (JSON), `page`, `referrer`, `utm_source`,
    `gclid` and the like.
    """

    gotcha: str = field(default="", metadata={"means": "Honeypot: leave it empty."})
    next: str = field(default="", metadata={"means": "Where to go after success."})
    id: str = field(default="", metadata={"means": "The same as the header Idempotency-Key."})
    confirm: str = field(default="", metadata={"means": "The number again, after PHONE_INVALID_BUT_POSSIBLE."})
    language: str = field(default="", metadata={"means": "The language to answer in, before Accept-Language."})
    remark: str = field(default="", metadata={"means": "A second honeypot: leave it empty."})
    token: str = field(default="", metadata={"means": "When the form's page was opened, signed by the service."})
    elapsed: str = field(default="", metadata={"means": "For how many milliseconds the page was open."})
    webdriver: str = field(default="", metadata={"means": "1 if a program drives the browser."})
    replyto: str = field(default="", metadata={"means": "An address, where the form's own is left empty."})
    charset_: str = field(default="", metadata={"means": "The encoding of the bytes, as browsers name it."})
    source: Mapping[str, str] = field(
        default_factory=dict, metadata={"means": "Where the visitor came from, as JSON text."}
    )

    __repr__ = unshown


CONTROLS: Final[Mapping[str, str]] = {row.name: row.metadata["means"] for row in fields(Control)}
"""What each control field means, by its name without the `_`."""


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
    named: dict[str, str] = {}
    controls: dict[str, list[str]] = {}
    beside: dict[str, str] = {}
    for name, texts in values.items():
        control = control_of(name, honeypot)
        if control is not None:
            controls.setdefault(control, []).extend(texts)
        elif is_control(name):
            beside[name.strip()] = _join(texts)
        elif name.strip():
            named[name] = _join(texts)
    return Posted(
        named,
        _control({control: _join(texts) for control, texts in controls.items()}),
        {name: tuple(texts) for name, texts in values.items() if len(texts) > 1},
        frozenset(booleans),
        known or {},
        is_url=is_url,
        beside={name: text for name, text in beside.items() if _carries_words(text)},
    )


def _control(sent: Mapping[str, str]) -> Control:
    places = {place: text for name, text in sent.items() if (place := _place(name)) in _PLACES}
    return Control(**{name: text for name, text in sent.items() if name in CONTROLS.keys() - _PLACES}, source=places)


def _place(name: str) -> str:
    """Return the plain name of `source[page]`, `source[utm][source]` or `source[click_ids][gclid]`."""
    found = _BRACKETED.fullmatch(name)
    return found[1][1:-1].replace("][", "_").removeprefix("click_ids_") if found else name


def control_of(name: str, honeypot: str) -> str | None:
    """Return which control field a name as sent is at a form of this honeypot, None for any other name.

    A honeypot that does not begin with `_` is compared as the names of fields are.
    """
    plain = name.strip().casefold()
    is_honeypot = plain == honeypot.casefold() if honeypot.startswith("_") else fold(name) == fold(honeypot)
    if is_honeypot:
        return "gotcha"
    control = plain.removeprefix("_")
    return control if is_control(plain) and (control in CONTROLS or _place(control) in _PLACES) else None


def is_control(name: str) -> bool:
    """Tell whether a name as sent begins as those of control fields do, known or not."""
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
    return ticks(text) is None and any(
        piece.isalpha() and len(piece) > 1 for piece in re.split(r"[\s.,;:!?'\"()/@-]+", text.strip())
    )
