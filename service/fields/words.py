"""Words that visitors, and scripts in their place, have for yes, for no and for nothing.

Invariant: only words that cannot mean anything else; what is none of them is None.
"""

import re
from collections.abc import Iterable
from typing import Final

_NOT_WORDS: Final = re.compile(r"[\W_]+")


def _fold(text: str) -> str:
    """Return what counts of a word: letters and digits alone, so that `N/A.` is `na` and `—` is empty."""
    return _NOT_WORDS.sub("", text.casefold())


def _folded(*words: str) -> frozenset[str]:
    return frozenset(_fold(word) for line in words for word in line.split(", "))


_YES: Final = _folded(
    "on, true, 1, yes, y, t, ok, agree, agreed, accept, accepted, accepts, checked, selected, ticked, consent",
    "confirmed, confirm, हाँ, हां, जी हाँ, ಹೌದು, అవును, ja, oui, si, sí, sim",
) | {"✓", "✔", "☑"}
_NO: Final = _folded(
    "off, false, 0, no, n, f, disagree, disagreed, decline, declined, unchecked, unticked",
    "नहीं, ಇಲ್ಲ, లేదు, కాదు, nein, non, não",
)
_BEGINS_YES: Final = re.compile(r"(?:yes|(?:i|we)\s(?:do\s)?(?:hereby\s)?(?:agree|accept|consent|confirm))\b")
_BEGINS_NO: Final = re.compile(r"(?:no|(?:i|we)\s(?:do\snot|don['\u2019]t|disagree|decline))\b")
# What JavaScript makes a text of where nothing is.
_OF_SCRIPTS: Final = _folded("null, undefined, NaN, [object Object], Invalid Date")
_NONE: Final = _OF_SCRIPTS | _folded(
    "-, na, none, nil, no, nope, nothing, not available, not applicable, no email, no mail, no mail id, no email id",
    "no phone, no number, dont have, don't have one, i don't have, i don't have one, नहीं, ಇಲ್ಲ, లేదు",
)


def ticks(text: str) -> bool | None:
    """Tell whether the value of a box is yes or no; of several words with commas between them, whether any is yes."""
    pieces = [_word(piece) for piece in text.split(",") if piece.strip()]
    if pieces and None not in pieces:
        return True in pieces
    return _phrase(" ".join(text.casefold().split()))


def _word(text: str) -> bool | None:
    word = _fold(text) or text.strip()
    return True if word in _YES else False if word in _NO else _phrase(" ".join(text.casefold().split()))


def _phrase(text: str) -> bool | None:
    return True if _BEGINS_YES.match(text) else False if _BEGINS_NO.match(text) else None


def is_none(text: str) -> bool:
    """Tell whether a text is a word for nothing, or has no letter and no digit at all."""
    return _fold(text) in _NONE


def is_of_script(texts: Iterable[str]) -> bool:
    """Tell whether texts are what a script sends where nothing was filled in."""
    return all(_fold(text) in _OF_SCRIPTS for text in texts)
