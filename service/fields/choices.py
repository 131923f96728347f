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
    return _by_words(field).get(_fold(text))


def choices_of(field: Field, texts: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each thing that `texts` name and the choice that it is, None if it is none.

    A text may name several, with commas between them; a choice that has commas itself is found whole, and so is a
    text that names no choice at all.
    """
    choices = _by_words(field)
    longest = max((words.count(",") + 1 for words in choices), default=1)
    for text in dict.fromkeys(filter(None, map(str.strip, texts))):
        found = list(_split(text, choices, longest))
        yield from found if any(choice for _, choice in found) else [(text, None)]


def _by_words(field: Field) -> Mapping[str, str]:
    """Return the choices by what counts of them and of their labels; a choice before a label, the first before others.

    Made once for many texts: what a text costs must not grow with how many choices there are.
    """
    labels = [(label, choice) for choice, shown in field.choice_labels.items() for label in shown.values()]
    named = [*((choice, choice) for choice in field.choices), *labels]
    return {_fold(words): choice for words, choice in reversed(named)}


def _split(text: str, choices: Mapping[str, str], longest: int) -> Iterator[tuple[str, str | None]]:
    """Yield the pieces of a text between commas, of which a choice has as many as `longest` together."""
    pieces = [piece for piece in _SPLIT_BY.split(text) if piece]
    start = 0
    while start < len(pieces):
        for size in range(min(longest, len(pieces) - start), 0, -1):
            named = ", ".join(pieces[start : start + size])
            choice = choices.get(_fold(named))
            if choice or size == 1:
                yield named, choice
                start += size
                break


def in_words(field: Field) -> Mapping[str, str]:
    """Return the choices as a sentence names them: `choices`, and `choices.hi` where there are labels in Hindi."""
    codes = dict.fromkeys(code for labels in field.choice_labels.values() for code in labels if code)
    keys = {"choices": "", **{f"choices.{code}": code for code in codes}}
    return {key: ", ".join(field.label_of(choice, code) for choice in field.choices) for key, code in keys.items()}


def _fold(text: str) -> str:
    return " ".join(without_format(text).casefold().split())
