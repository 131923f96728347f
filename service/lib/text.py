"""Text made clean: what every value goes through before it is measured, checked or kept.

Invariant: pure; cleaning what is clean changes nothing. What is clean is NFC, has no blank at either end, and no
control character but, in text of several lines, LF.
"""

import re
import unicodedata
from typing import Final, Literal

_LINE_END: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")
# Zero-width space, word joiner, byte order mark: pasted along, never meant. The joiners U+200C and U+200D stay:
# Indic words may end in one.
_INVISIBLE_END: Final = "\u200b\u2060\ufeff"
JOINERS: Final = "\u200c\u200d"
MOST_MARKS: Final = 30
_HIDDEN_MARKS: Final = "\u0f73\u0f75\u0f81\uff9e\uff9f"  # signs of their own that are normalised to marks
_END: Final = _INVISIBLE_END + "".join(filter(str.isspace, map(chr, range(0x3001))))
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def clean(text: str, *, multiline: bool) -> str:
    """Return `text` clean; one that shows nothing at all comes back empty."""
    if text.isascii() and text.isprintable():
        return text.strip()
    lines = _LINE_END.sub("\n", text).replace("\t", " ")
    kept = _CONTROL.sub("", lines if multiline else lines.replace("\n", " "))
    if kept.isascii():
        return kept.strip()
    trimmed = _trim(normalise("NFC", kept))
    return "" if is_blank(trimmed) else trimmed


def is_blank(text: str) -> bool:
    """Tell whether a text shows nothing at all: it comes back empty when it is cleaned."""
    return all(unicodedata.category(sign) in _UNSEEN for sign in text)


def fold_blanks(text: str) -> str:
    """Return a text in NFC with single blanks: what counts when two are compared."""
    return " ".join(normalise("NFC", text).split())


def without_format(text: str, keep: str = "") -> str:
    """Return a text without signs that nobody sees, but those of `keep`: marks of direction, blanks of no width."""
    if text.isascii():
        return text
    hidden = {ord(sign): None for sign in set(text) if sign not in keep and unicodedata.category(sign) == "Cf"}
    return text.translate(hidden) if hidden else text


def normalise(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return a text in a normal form, in time proportional to its length.

    Unicode sorts the marks on one sign, in time quadratic in their number: 60 KB took seconds. No language puts more
    than 30 on one (UAX #15, "Stream-Safe Text Format"); what is more than that is dropped.
    """
    if text.isascii():
        return text
    # Twice as many before: a sign may bring marks of its own along, and what is clean must stay as it is.
    return _with_few_marks(unicodedata.normalize(form, _with_few_marks(text, 2 * MOST_MARKS)), MOST_MARKS)


def _with_few_marks(text: str, most: int) -> str:
    if not any(map(_is_mark, text[::most])):
        return text  # so many in a row would have one at each such place
    kept, run = [], 0
    for sign in text:
        run = run + 1 if _is_mark(sign) else 0
        if run <= most:
            kept.append(sign)
    return "".join(kept)


def _is_mark(sign: str) -> bool:
    return unicodedata.combining(sign) != 0 or sign in _HIDDEN_MARKS


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


def writable(text: str) -> str:
    """Return a text that can be written as UTF-8: half a character, which JSON can name, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def many(number: int, one: str, several: str = "") -> str:
    """Return a number with the words that go with it: "1 lead", "1,200 leads"; `several`, if it is not one and an s."""
    return f"1 {one}" if number == 1 else f"{number:,} {several or one + 's'}"


def one_line(text: str) -> str:
    """Return a text as one line that cannot move a terminal's cursor, nor turn the direction of what is beside it."""
    return text.translate(dict.fromkeys(map(ord, unprintable(text)), " "))


def unprintable(text: str) -> set[str]:
    """Return the signs of a text that show nothing and may act on what shows it; the joiners of Indic words do not."""
    return {sign for sign in set(text) if not sign.isprintable() and sign not in JOINERS}


def _trim(text: str) -> str:
    return text.strip(_END)
