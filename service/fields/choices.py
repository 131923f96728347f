"""What can be chosen: what was sent ► the choice that it names, and how choices are shown.

Invariant: pure. A choice has one value, which is what a lead says, and may have labels in several languages.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from service.lib.text import without_format
from service.model.form import Field

_SPLIT_BY: Final = re.compile(r"\s*[,;\n]\s*")


def choice_of(field: Field, text: str) -> str | None:
    """Return the choice that `text` names, by itself or by one of its labels, whatever its case and blanks."""
    meant = _fold(text)
    named = (choice for choice in field.choices if _fold(choice) == meant)
    return next(named, None) or next(
        (choice for choice, labels in field.choice_labels.items() if meant in map(_fold, labels.values())), None
    )


def choices_of(field: Field, texts: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each thing that `texts` name and the choice that it is, None if it is none.

    A text may name several, with commas between them; a choice that has commas itself is found whole, and so is a
    text that names no choice at all.
    """
    for text in filter(str.strip, texts):
        found = list(_split(field, text))
        yield from found if any(choice for _, choice in found) else [(text.strip(), None)]


def _split(field: Field, text: str) -> Iterator[tuple[str, str | None]]:
    pieces = [piece for piece in _SPLIT_BY.split(text.strip()) if piece]
    while pieces:
        known = (size for size in range(len(pieces), 0, -1) if choice_of(field, ", ".join(pieces[:size])))
        size = next(known, 1)
        named = ", ".join(pieces[:size])
        yield named, choice_of(field, named)
        del pieces[:size]


def in_words(field: Field) -> Mapping[str, str]:
    """Return the choices as a sentence names them: `choices`, and `choices.hi` where there are labels in Hindi."""
    codes = dict.fromkeys(code for labels in field.choice_labels.values() for code in labels if code)
    keys = {"choices": "", **{f"choices.{code}": code for code in codes}}
    return {key: ", ".join(field.label_of(choice, code) for choice in field.choices) for key, code in keys.items()}


def _fold(text: str) -> str:
    return " ".join(without_format(text).casefold().split())
