"""`theme` of a form ► how its pages look.

Invariant: pure; takes nothing but colours, lengths and names of fonts, so that a theme can never be other CSS.
"""

import re
from typing import Final

from service.config.table import Table, Wrong, quoted, several, what, wrong
from service.model.form import Theme

MOST_FONTS: Final = 8

_COLOUR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_LENGTH: Final = re.compile(r"0|[0-9]{1,2}(?:\.[0-9]{1,3})?(?:px|rem|em)")
_FONT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,62}[A-Za-z0-9])?")


def read_theme(form: Table) -> Theme | None:
    """Return the theme of the form at `form`, None without one."""
    if "theme" not in form.keys:
        form.below("theme")
        return None
    keys = form.below("theme")
    none: str | None = None
    theme = Theme(
        accent=keys.read("accent", _colour, none),
        radius=keys.read("radius", _length, none),
        font=keys.read("font", _fonts, ()),
    )
    keys.finish()
    return theme


def _colour(value: object) -> str | Wrong:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        return wrong(f"must be a colour such as `#0b6` or `#00bb66`, not {_shown(value)}")
    return value.lower() if len(value) > len("#0b6") else "#" + "".join(digit * 2 for digit in value[1:].lower())


def _length(value: object) -> str | Wrong:
    if not isinstance(value, str) or not _LENGTH.fullmatch(value):
        return wrong(f"must be a length such as `8px`, `0.5rem` or `0`, not {_shown(value)}")
    return value


def _fonts(value: object) -> tuple[str, ...] | Wrong:
    """Take names of fonts that the visitor may have, the best first: a list, or a text with commas."""
    names = several(_font)(value.split(",") if isinstance(value, str) else value)
    if isinstance(names, Wrong):
        return names
    return names if len(names) <= MOST_FONTS else wrong(f"must be {MOST_FONTS} fonts at most")


def _font(value: object) -> str | Wrong:
    name = value.strip() if isinstance(value, str) else ""
    if _FONT.fullmatch(name):
        return name
    return wrong(f"must be the name of a font, such as `Georgia`, not {_shown(value)}")


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else what(value)
