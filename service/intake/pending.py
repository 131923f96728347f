"""What one web process counts in its memory until the store has it: what it refused and why, and how fields arrive.

Invariant: bounded, whatever strangers send and however long the store is away. What is being reported does not change
until it was counted; what comes meanwhile waits for the next report.
"""

import re
import secrets
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from service.lib.text import clean, cut, without_format, writable
from service.model.form import Form
from service.model.lead import CLICK_IDS
from service.submission.field_match import Matched

MOST_NAMES: Final = 200
LONGEST_NAME: Final = 60
_IS_NO_FIELD: Final = re.compile(rf"_|(?:utm_\w+|{'|'.join(CLICK_IDS)})$", re.IGNORECASE)
"""What says where a visitor came from, and control fields."""
_OF_A_PERSON: Final = re.compile(r"@|(?:\d\D?){6}")

Key = TypeVar("Key", bound=Hashable)
Counted = TypeVar("Counted")


@dataclass(slots=True)
class Refused:
    """How many submissions were not taken, and for how many of them each "FIELD CODE" was a reason."""

    number: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, codes: Iterable[str]) -> None:
        """Count one more."""
        self.number += 1
        self.codes.update(set(codes))


@dataclass(slots=True)
class Arrived:
    """How many submissions were looked at, how many had each configured field, and under which names things came.

    A name is the field that it means, "" for none, and what was sent; ("", "") are all for which there was no place.
    """

    looked: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    names: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, form: Form, matched: Matched) -> None:
        """Count what one more submission brought. One without any field of the form says nothing about those."""
        if matched.fields:
            self.looked += 1
            self.fields.update({name: int(name in matched.fields) for name in form.fields})
        for name, found in matched.fields.items():
            self._count(name, found.sent)
        for sent in matched.extra:
            if sent not in matched.read and not _IS_NO_FIELD.match(sent):
                self._count("", sent)

    def _count(self, name: str, sent: str) -> None:
        named = (name, sent[:LONGEST_NAME])
        self.names[named if named in self.names or len(self.names) < MOST_NAMES else ("", "")] += 1

    def shown(self) -> Counter[tuple[str, str]]:
        """Return the names, clean; one that may say who somebody is, or that shows nothing, counts as none."""
        shown: Counter[tuple[str, str]] = Counter()
        for (name, sent), number in self.names.items():
            plain = cut(clean(without_format(writable(sent)), multiline=False), LONGEST_NAME)
            shown[(name, plain) if plain and not _OF_A_PERSON.search(plain) else ("", "")] += number
        return shown


@dataclass(frozen=True, slots=True)
class Report(Generic[Counted]):
    """What is to be counted once under an `id`; `at` is when it was made (ms)."""

    id: str
    at: int
    counted: Counted


class Pending(Generic[Key, Counted]):
    """What waits to be reported, and what is on its way."""

    def __init__(self, make: Callable[[], Counted]) -> None:
        self._make = make
        self._waiting: dict[Key, Counted] = {}
        self._sending: dict[Key, Report[Counted]] = {}

    def of(self, key: Key) -> Counted:
        """Return what is being counted under a key."""
        return self._waiting.setdefault(key, self._make())

    def reports(self, now: int) -> list[tuple[Key, Report[Counted]]]:
        """Return what is to be sent now: first what was sent before, and not counted for all we know."""
        for key in [key for key in self._waiting if key not in self._sending]:
            self._sending[key] = Report(secrets.token_urlsafe(12), now, self._waiting.pop(key))
        return list(self._sending.items())

    def forget(self, key: Key) -> None:
        """Take note that the report under this key was counted."""
        del self._sending[key]
