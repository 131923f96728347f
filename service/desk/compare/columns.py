"""Which columns of a CRM's export say who a row is about: guessed from their names and what stands in them.

Invariant: pure; a guess is only ever shown, and whoever compares may choose otherwise.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from service.desk.compare.moments import Moments
from service.lib.times import UTC

Role = Literal["id", "phone", "email", "name", "time"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
SHOWN: Final = 3
"""So many cells of a column are shown for an example."""
LONGEST_SHOWN: Final = 40
OUR_ID: Final = re.compile(r"lead_[0-9a-z]{8,40}(?:\.\d{1,9})?")
"""A lead's id, or the `webhook-id` of one of its versions."""
LOOKS_LIKE_SOMEBODY: Final = re.compile(rf"{OUR_ID.pattern}|[^@\s]+@[^@\s]+|\+?\d[\d\s().-]{{7,30}}")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_PHONE: Final = re.compile(r"(?:p:|tel:|')?\+?[\d\s().\-/]{6,30}(?:\.0)?")
_WITH_PLUS: Final = re.compile(r"\+[\d\s().-]{7,20}")
_WORDS: Final[Mapping[Role, re.Pattern[str]]] = {
    "id": re.compile(r"webhook.?id|external.?(?:lead.?)?id|lead.?capture"),
    "phone": re.compile(r"phone|mobile|\bmob\b|\btel|\bcell|whats.?app|msisdn|contact.?(?:no|num)|handy|telefon"),
    "email": re.compile(r"e.?mail"),
    "time": re.compile(r"creat|added|received|submitted|\bdate\b|\btime\b|timestamp|erstellt|angelegt"),
    "name": re.compile(r"\bname\b|fullname|firstname|lastname"),
}
_NOT_A_NAME: Final = re.compile(r"company|campaign|account|owner|file|form|source|user|page|ad.?(?:set|name)")
_MOST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its place from 0, its name, what it is for ("": nothing), and some of what stands in it."""

    place: int
    name: str
    role: Role | Literal[""] = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says of whom it is about; `number` is its line in the file, the first line is 1."""

    number: int
    id: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    name: str = ""
    time: str = ""


def recognise(names: Sequence[str], sample: Sequence[Sequence[str]]) -> list[Column]:
    """Guess what each column is for, by its name and the rows of a sample."""
    cells = [[row[place].strip() for row in sample if place < len(row)] for place in range(len(names))]
    guessed = {place: _guess(name, [cell for cell in cells[place] if cell]) for place, name in enumerate(names)}
    for role in ("id", "time"):  # there can be one alone: that whose name says most, else the first
        _keep_one(guessed, names, role)
    return [
        Column(place, name or f"Column {place + 1}", guessed[place], _examples(cells[place]))
        for place, name in enumerate(names)
    ]


def _examples(cells: Iterable[str]) -> tuple[str, ...]:
    return tuple(cell[:LONGEST_SHOWN] for cell in dict.fromkeys(filter(None, cells)))[:SHOWN]


def _keep_one(guessed: dict[int, Role | Literal[""]], names: Sequence[str], role: Role) -> None:
    places = [place for place, guess in guessed.items() if guess == role]
    best = next((place for place in places if re.search(r"webhook|creat|added", names[place].lower())), None)
    for place in places:
        if place != (places[0] if best is None else best):
            guessed[place] = ""


def _guess(name: str, cells: Sequence[str]) -> Role | Literal[""]:
    words = re.sub(r"[_\s-]+", " ", name).strip().lower()
    return next((role for role, fits in _FITS.items() if fits(words, cells)), "")


def _is_called(role: Role, words: str) -> bool:
    return _WORDS[role].search(words) is not None


def _is_phone(words: str, cells: Sequence[str]) -> bool:
    if _is_called("phone", words):
        return not cells or _share(_PHONE, cells) > 0
    return _share(_WITH_PLUS, cells) > _MOST


_FITS: Final[Mapping[Role, Callable[[str, Sequence[str]], bool]]] = {
    "id": lambda words, cells: _share(OUR_ID, cells) > 0 or (_is_called("id", words) and not cells),
    "email": lambda words, cells: _share(_EMAIL, cells) > _MOST or (_is_called("email", words) and not cells),
    "phone": _is_phone,
    "time": lambda words, cells: _is_called("time", words) and bool(cells) and _are_moments(cells),
    "name": lambda words, _: _is_called("name", words) and not _NOT_A_NAME.search(words),
}


def _share(pattern: re.Pattern[str], cells: Sequence[str]) -> float:
    return sum(bool(pattern.fullmatch(cell)) for cell in cells) / max(1, len(cells))


def _are_moments(cells: Sequence[str]) -> bool:
    moments = Moments(UTC, "day first")
    for cell in cells:
        moments.add(cell)
    return moments.unread < len(cells) * _MOST


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns are for what: places by role."""

    places: Mapping[Role, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Iterable[Column]) -> "Layout":
        """Take what each column is for."""
        listed = list(columns)
        return cls({role: tuple(column.place for column in listed if column.role == role) for role in ROLES})

    @property
    def can_match(self) -> bool:
        """Whether a row can be told whose it is."""
        return any(self.places.get(role) for role in ("id", "phone", "email"))

    def read(self, number: int, cells: Sequence[str]) -> Row:
        """Return what a row says."""
        said = {
            role: [cells[place].strip() for place in self.places.get(role, ()) if place < len(cells)] for role in ROLES
        }
        return Row(
            number,
            next(filter(None, said["id"]), ""),
            tuple(filter(None, said["phone"])),
            tuple(filter(None, said["email"])),
            " ".join(filter(None, said["name"])),
            next(filter(None, said["time"]), ""),
        )
