"""Text made clean: what every value goes through before it is measured, checked or kept.

Law: pure; cleaning what is clean changes nothing. What is clean is NFC, has no blank at either end, and no
control character but, in text of several lines, LF.
"""

import re
import unicodedata
from typing import Final

_LINE_END: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL: Final = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\n")}
# Zero-width space, word joiner, byte order mark: pasted along, never meant. The joiners U+200C and U+200D stay:
# Indic words may end in one.
_INVISIBLE_END: Final = "\u200b\u2060\ufeff"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def clean(text: str, *, multiline: bool) -> str:
    """Return `text` clean; one that shows nothing at all comes back empty."""
    lines = _LINE_END.sub("\n", text).replace("\t", " ")
    kept = (lines if multiline else lines.replace("\n", " ")).translate(_CONTROL)
    if kept.isascii():
        return kept.strip()
    trimmed = _trim(unicodedata.normalize("NFC", kept))
    return trimmed if any(unicodedata.category(sign) not in _UNSEEN for sign in trimmed) else ""


def cut(text: str, length: int) -> str:
    """Return the beginning of a clean text, clean, `length` characters at most."""
    return _trim(text[:length])


def decode(raw: bytes) -> str | None:
    """Return the text of UTF-8 bytes without a byte order mark, None where they are no UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def is_unicode(text: str) -> bool:
    """Tell whether `text` can be written as UTF-8, which lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_line(text: str) -> str:
    """Return a text as one line that cannot move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _trim(text: str) -> str:
    while (shorter := text.strip().strip(_INVISIBLE_END)) != text:
        text = shorter
    return text
