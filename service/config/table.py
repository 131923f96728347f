"""One table of the configuration while it is read: every mistake in it is collected, none ends the reading.

Invariant: knows TOML's values and nothing of forms or destinations. A mistake names a value only where `say` is used,
which is never for a value that may be a secret.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

T = TypeVar("T")
Path = tuple[str, ...]
Keys = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: the path of the setting, and what is wrong and what is allowed there."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a value cannot be taken; one sentence for each thing that is wrong with it."""

    messages: tuple[str, ...]


Validator = Callable[[object], T | Wrong]
"""Reads one value of the file: what it is, or what is wrong with it."""


def wrong(message: str) -> Wrong:
    """Say the one thing that is wrong with a value."""
    return Wrong((message,))


def quoted(value: object) -> str:
    """Quote a value that is no secret, shortened."""
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"  # noqa: PLR2004  what fits on a line beside the sentence


def listing(names: Iterable[str]) -> str:
    """Name what is allowed: `a`, `b`, `c`."""
    return ", ".join(f"`{name}`" for name in names)


def guess(name: str, names: Collection[str]) -> str:
    """Return " Did you mean `…`?" where one of the names holds this one or is close, else nothing."""
    longer = [known for known in names if f"_{name}_" in f"_{known}_"]
    found = longer or difflib.get_close_matches(name[:64], names, 1)  # the search is quadratic in what is typed
    return f" Did you mean `{found[0]}`?" if found else ""


def what(value: object) -> str:
    """Name what a TOML value is, without saying it."""
    match value:
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return "a date or time"


@dataclass(slots=True)
class Report:
    """The mistakes found so far in one file."""

    tree: Keys
    found: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Take down one mistake."""
        self.found.append((path, message))

    def mistakes(self) -> tuple[Mistake, ...]:
        """Return all mistakes in the order of the file; what is missing stands at the table that lacks it."""
        places = {path: place for place, path in enumerate(_paths(self.tree, ()))}
        ordered = sorted(dict.fromkeys(self.found), key=lambda mistake: _place(mistake[0], places))
        return tuple(Mistake(spell(path), message) for path, message in ordered)


def _paths(tree: Keys, above: Path) -> Iterable[Path]:
    for key, value in tree.items():
        yield (*above, key)
        if isinstance(value, dict) and len(above) < 8:  # noqa: PLR2004  deeper than anything we read
            yield from _paths(value, (*above, key))


def _place(path: Path, places: Mapping[Path, int]) -> int:
    known = (places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in places)
    return next(known, -1)


_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def spell(path: Path) -> str:
    """Write a path as TOML does: `forms.contact.fields."Phone Number"`."""
    return ".".join(key if _BARE.fullmatch(key) else '"' + key.replace('"', '\\"') + '"' for key in path)


class Table:
    """One table being read. Every key that is asked for is thereby known; `finish` reports all others."""

    def __init__(self, path: Path, keys: Keys, report: Report) -> None:
        self.path, self.keys, self.report = path, keys, report
        self._known: list[str] = []

    def add(self, message: str, *below: str) -> None:
        """Report a mistake of this table, or of a key in it."""
        self.report.add((*self.path, *below), message)

    def read(self, key: str, validator: Validator[T], default: T) -> T:
        """Return what stands at `key`; `default` if nothing does, or something wrong, which is reported."""
        self._known.append(key)
        if key not in self.keys:
            return default
        value = validator(self.keys[key])
        if not isinstance(value, Wrong):
            return value
        for message in value.messages:
            self.add(message, key)
        return default

    def need(self, key: str, validator: Validator[T], default: T, why: str) -> T:
        """Do as `read` does, and report it if nothing stands at `key`; `why` says what belongs there."""
        if key not in self.keys:
            self.add(f"is missing: {why}", key)
        return self.read(key, validator, default)

    def below(self, key: str) -> "Table":
        """Return the table at `key`, an empty one if nothing or something else stands there."""
        return Table((*self.path, key), self.read(key, table, {}), self.report)

    def finish(self, hidden: Sequence[str] = ()) -> None:
        """Report every key that nothing asked for, with what is allowed; `hidden` ones are not offered."""
        allowed = [key for key in dict.fromkeys(self._known) if key not in hidden]
        for key in self.keys:
            if key not in self._known:
                self.add(f"is not known here.{guess(key, allowed)} Allowed are {listing(allowed)}.", key)


def table(value: object) -> Keys | Wrong:
    """Take a table."""
    return value if isinstance(value, dict) else wrong(f"must be a table, not {what(value)}")


def flag(value: object) -> bool | Wrong:
    """Take true or false."""
    return value if isinstance(value, bool) else wrong(f"must be true or false, not {what(value)}")


def text(at_most: int) -> Validator[str]:
    """Take a text of 1 to `at_most` characters that can be shown."""

    def validate(value: object) -> str | Wrong:
        if not isinstance(value, str):
            return wrong(f"must be a text, not {what(value)}")
        if not value.strip() or len(value) > at_most:
            return wrong(f"must be a text of 1 to {at_most} characters")
        return value if is_one_line(value) else wrong("must not have line breaks or other control characters in it")

    return validate


def is_one_line(value: str) -> bool:
    """Return whether a text has no line break or other control character in it; joiners, as Hindi has, are fine."""
    return not any(unicodedata.category(item) in {"Cc", "Cs", "Zl", "Zp"} for item in value)


def whole(lowest: int, highest: int) -> Validator[int]:
    """Take a whole number in the range."""

    def validate(value: object) -> int | Wrong:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            return wrong(f"must be a whole number from {lowest} to {highest}")
        return value

    return validate


def several(validator: Validator[T], at_least: int = 0) -> Validator[tuple[T, ...]]:
    """Take a list of at least that many; each wrong item is reported with its place, counted from 1."""

    def kinds(value: object) -> tuple[T, ...] | Wrong:
        if not isinstance(value, list):
            return wrong(f"must be a list, not {what(value)}")
        if len(value) < at_least:
            return wrong("must not be empty")
        read = [validator(item) for item in value]
        bad = [f"item {n}: {why}" for n, item in enumerate(read, 1) if isinstance(item, Wrong) for why in item.messages]
        return Wrong(tuple(bad)) if bad else tuple(item for item in read if not isinstance(item, Wrong))

    return kinds
