"""What stands in a phone field, before anybody asks whether it is a number.

Invariant: characters only. Rules 1 to 3 of the phone rules live here: cleaning, two numbers in one
field, extensions, words. This module knows no country and no library; whatever a visitor types,
it answers in time proportional to at most 64 characters.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from service.lib.secret import unshown

MAX_LENGTH: Final = 64
# Before NFKC: ordering a long run of combining marks takes quadratic time.
_MAX_RAW: Final = 256

_BLANKS: Final = "\t\r\n"
_DROPPED: Final = frozenset({"Cc", "Cf", "Me"})
_VARIATION_SELECTORS: Final = range(0xFE00, 0xFE10)
_ASCII: Final = {code: " " if chr(code) in _BLANKS else None for code in (*range(32), 127)}

_SEPARATOR: Final = re.compile(r"[/,;|&]|(?<![^\W\d_])or(?![^\W\d_])", re.IGNORECASE)
_LETTER: Final = re.compile(r"[^\W\d_]")
_WORD: Final = re.compile(r"([^\W\d_]+)[\s.:]*")
# Also written in one: "MobileNo", "PhNo".
_KNOWN_WORD: Final = re.compile(r"(?:mobile|mob|phone|ph|tel|cell|contact|number|no|whatsapp|wa)+", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"[\s,;(-]*(?:extension|extn|ext|x|#)[\s.:=-]*(?P<digits>\d{1,9})[\s.)#]*$", re.IGNORECASE
)
_BODY: Final = re.compile(r"[+\d].*\d|\d")
# The punctuation that the library itself allows between digits, without `x`.
_SHAPE: Final = re.compile(r"(?P<pluses>\+*)[-\d+ .()\[\]/~*\u2010-\u2015\u2212\u2053\u223c\u30fc]+")
# What a spreadsheet makes of a long number.
_DECIMAL: Final = re.compile(r"(\+?\d{6,})\.0+")


@dataclass(frozen=True, slots=True)
class Spelled:
    """One number as it was spelled: its ASCII `digits`, and whether a plus stood before them.

    `stray` says that a plus stands between the digits too.
    """

    digits: str
    plus: bool = False
    stray: bool = False
    extension: str | None = None

    __repr__ = unshown


def clean(raw: str) -> str | None:
    """Apply rule 1: plain characters, ASCII digits, no controls; None where this cannot be a number.

    None means longer than 64 characters, or a lone surrogate, which no reply could carry.
    """
    text = raw.strip()
    if len(text) > _MAX_RAW:
        return None
    text = text.translate(_ASCII) if text.isascii() else _plain(text)
    text = text.strip()
    return text if len(text) <= MAX_LENGTH and not _has_surrogate(text) else None


def parts(text: str) -> list[str]:
    """Split at `/ , ; | &` and "or" (rule 2); only parts that hold a digit are given."""
    return [part for piece in _SEPARATOR.split(text) if any(map(str.isdigit, part := piece.strip()))]


def is_divided(text: str) -> bool:
    """Tell whether the text holds anything that could part two numbers."""
    return _SEPARATOR.search(text) is not None


def spell(text: str) -> Spelled | None:
    """Take the words (rule 3) and the extension (rule 2) off a cleaned text; None: no number stands here."""
    if _LETTER.search(text):
        text = _WORD.sub(_without_known_word, text)
    text, extension = _split_extension(text)
    body = _BODY.search(text)
    if body is None or _LETTER.search(text):
        return None
    shape = _SHAPE.fullmatch(_DECIMAL.sub(r"\1", body[0]) if _DECIMAL.fullmatch(body[0]) else body[0])
    if shape is None:
        return None
    rest = shape[0][shape.end("pluses") :]
    digits = "".join(filter(str.isdigit, rest))
    return Spelled(digits, plus=bool(shape["pluses"]), stray="+" in rest, extension=extension)


def _plain(text: str) -> str:
    return "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in _BLANKS or category[0] == "Z":
        return " "
    # A keycap emoji is a digit, a variation selector and an enclosing mark.
    if category in _DROPPED or ord(character) in _VARIATION_SELECTORS:
        return ""
    digit = unicodedata.digit(character, None)
    return character if digit is None else str(digit)


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _without_known_word(word: re.Match[str]) -> str:
    return " " if _KNOWN_WORD.fullmatch(word[1]) else word[0]


def _split_extension(text: str) -> tuple[str, str | None]:
    found = _EXTENSION.search(text)
    if found is None or not any(map(str.isdigit, text[: found.start()])):
        return text, None
    return text[: found.start()], found["digits"]
