"""Fields as configured beside fields as they arrive: which one was renamed, vanished or is new, and what mends it.

Invariant: pure. What strangers sent stands here as text; the lines for leads.toml are valid whatever that is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.model.form import Field, Form, fold

FEWEST_WITHOUT: Final = 5
"""So many submissions in a row must lack a field before anything is said of it."""
CHANCE: Final = 0.001
"""A field is missed when it would be absent so long by chance no more often than this."""
_SURELY: Final = 0.98
"""No field counts as surer than this: a robot that leaves something out now and then tells nothing."""
_TOGETHER_MS: Final = 3_600_000
"""A field that goes and a name that comes within so long may be one."""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Seen:
    """A name under which something came: the field that it means, "" for none; since when (ms), how often."""

    field: str
    name: str
    since: int
    number: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many submissions were looked at, on how many each field came; when it last did, and how many lacked it since.

    `began` is when the first of them came (ms).
    """

    looked: int
    began: int
    fields: Mapping[str, int]
    last: Mapping[str, tuple[int, int]]
    names: Sequence[Seen]


@dataclass(frozen=True, slots=True)
class Row:
    """One configured field: its share of the submissions, the names it comes under, since when it is missed (ms)."""

    field: Field
    share: float | None
    names: tuple[str, ...]
    missed_since: int | None = None
    without: int = 0
    renamed: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A name that no field has, since when it comes (ms; None: from the beginning), and the line that makes it one."""

    name: str
    number: int
    since: int | None
    line: str


def compare(form: Form, arrivals: Arrivals) -> tuple[list[Row], list[Stranger]]:
    """Return the form's fields as they arrive, and the names that are none, the most frequent first."""
    strangers = sorted((seen for seen in arrivals.names if not seen.field and seen.name), key=lambda seen: -seen.number)
    rows = [_row(field, arrivals, strangers) for field in form.fields.values()]
    renamed = {row.renamed for row in rows}
    return rows, [
        Stranger(seen.name, seen.number, seen.since if _is_new(seen, arrivals) else None, _line_of_new(form, seen.name))
        for seen in strangers
        if seen.name not in renamed
    ]


def _row(field: Field, arrivals: Arrivals, strangers: Sequence[Seen]) -> Row:
    came = arrivals.fields.get(field.name, 0)
    names = tuple(seen.name for seen in arrivals.names if seen.field == field.name and seen.name)
    share = came / arrivals.looked if arrivals.looked else None
    last_at, without = arrivals.last.get(field.name, (0, 0))
    if not is_missed(came, arrivals.looked, without):
        return Row(field, share, names)
    successor = _successor(last_at, without, strangers)
    line = f"aliases = {json.dumps([*field.aliases, successor], ensure_ascii=False)}" if successor else ""
    return Row(field, share, names, last_at, without, successor, line)


def is_missed(came: int, looked: int, without: int) -> bool:
    """Tell whether a field that came on so many of the submissions looked at is absent too long for chance."""
    before = looked - without
    if without < FEWEST_WITHOUT or before <= 0 or not came:
        return False
    return (1 - min(came / before, _SURELY)) ** without < CHANCE


def _successor(gone_at: int, without: int, strangers: Sequence[Seen]) -> str:
    """Return the name that came when a field went, on most of the submissions that lack it; "" for none."""
    able = [seen for seen in strangers if seen.since >= gone_at - _TOGETHER_MS and 2 * seen.number >= without]
    return min(able, key=lambda seen: abs(seen.number - without)).name if able else ""


def _is_new(seen: Seen, arrivals: Arrivals) -> bool:
    return seen.since > arrivals.began + _TOGETHER_MS


def _line_of_new(form: Form, name: str) -> str:
    """Return the line that makes a field of a name, "" where it cannot be one."""
    plain = " ".join(re.sub(r"[.{}]", " ", name).split()).lstrip("_ ")
    if not fold(plain) or any(fold(plain) == fold(field) for field in form.fields):
        return ""
    key = plain if _BARE.fullmatch(plain) else json.dumps(plain, ensure_ascii=False)
    more = "" if fold(plain) == fold(name) else f", aliases = [{json.dumps(name, ensure_ascii=False)}]"
    return f'fields.{key} = {{ type = "text"{more} }}'
