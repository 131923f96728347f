"""What a setting may be: durations, rates, regions, origins, names; each text ► value, or what is wrong with it.

Invariant: pure. A validator says what is allowed. Durations come out in milliseconds.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers

from service.config.table import Table, Validator, Wrong, guess, listing, quoted, text, what, wrong
from service.lib import origin
from service.lib.rate import Rate
from service.model import languages

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_RATE: Final = re.compile(r"([0-9]{1,5})/(s|m|h)")
_MOST_REQUESTS: Final = 10_000

S = TypeVar("S", bound=str)
T = TypeVar("T")


def show(duration: int) -> str:
    """Write a duration in ms as the file does: `5m`."""
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if duration % UNITS[unit] == 0)
    return f"{duration // UNITS[unit]}{unit}" if duration else "0s"


def duration(lowest: str, highest: str) -> Validator[int]:
    """Take a duration in the range, both ends written as in the file."""
    low, high = (_milliseconds(bound) for bound in (lowest, highest))

    def validate(value: object) -> int | Wrong:
        length = _milliseconds(value)
        if length < 0:
            return wrong("must be a duration such as `200ms`, `5s`, `5m`, `2h` or `30d`")
        return length if low <= length <= high else wrong(f"must be from {lowest} to {highest}, not {show(length)}")

    return validate


def _milliseconds(value: object) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * UNITS[found[2]] if found else -1


def rate(value: object) -> Rate | Wrong:
    """Take `10/s`, `30/m` or `100/h`."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= _MOST_REQUESTS:
        return wrong(f"must be a rate such as `10/s`, `30/m` or `100/h`, of 1 to {_MOST_REQUESTS}")
    return Rate(int(found[1]), UNITS[found[2]])


def region(value: object) -> str | Wrong:
    """Take a region that `phonenumbers` knows, by its two capital letters."""
    allowed = "a region code of two capital letters, such as `IN`, `US` or `GB`"
    if not isinstance(value, str):
        return wrong(f"must be {allowed}, not {what(value)}")
    if value in phonenumbers.SUPPORTED_REGIONS:
        return value
    likely = {"UK": "GB", "EN": "GB"}.get(value.upper(), value.upper())
    hint = f" Did you mean `{likely}`?" if likely in phonenumbers.SUPPORTED_REGIONS else ""
    return wrong(f"{quoted(value)} is not a region with telephone numbers: it must be {allowed}.{hint}")


def page_origin(value: object) -> str | Wrong:
    """Take `https://www.example.com`, in the one spelling that browsers send."""
    if not isinstance(value, str):
        return wrong(f"must be an origin such as `https://www.example.com`, not {what(value)}")
    found = origin.normalise(value)
    if found is not None:
        return found
    hint = " Name each origin; without `origins` any page may post." if "*" in value else ""
    return wrong(
        f"{quoted(value)} is not an origin: write scheme, host and port only: `https://www.example.com`.{hint}"
    )


def one_of(names: Sequence[S]) -> Validator[S]:
    """Take one of these texts."""

    def validate(value: object) -> S | Wrong:
        if not isinstance(value, str):
            return wrong(f"must be one of {listing(names)}, not {what(value)}")
        found = next((name for name in names if name == value), None)
        known = f"{guess(value, names)} Allowed are {listing(names)}."
        return found or wrong(f"{quoted(value)} is not allowed here.{known}")

    return validate


def in_languages(at_most: int) -> Validator[Mapping[str, str]]:
    """Take a text for every language, which comes back under "", or a table of texts by the codes of languages."""

    def validate(value: object) -> Mapping[str, str] | Wrong:
        texts = value if isinstance(value, dict) else {"": value}
        read = {code: text(at_most)(words) for code, words in texts.items()}
        wrongs = {code: words for code, words in read.items() if isinstance(words, Wrong)}
        messages = [f"{quoted(code)} {no_language(code)}" for code in texts if code not in {"", *languages.codes()}]
        for code, words in wrongs.items():
            messages += [f"{quoted(code)} {message}" if code else message for message in words.messages]
        if messages or not texts:
            return Wrong(tuple(messages)) if messages else wrong("must name a text, or texts by language")
        return {code: words for code, words in read.items() if isinstance(words, str)}

    return validate


def tables_by_language(
    keys: Table, read: Callable[[Table], T], besides: Collection[str]
) -> tuple[dict[str, T], list[str]]:
    """Return what `read` makes of each table of a language, by its code, and the keys of all tables there are.

    A table that is of no language, nor one of those `besides`, is reported.
    """
    found: dict[str, T] = {}
    tables = [key for key, value in keys.keys.items() if isinstance(value, dict)]
    for key in tables:
        below = keys.below(key)
        if key in languages.codes():
            found[key] = read(below)
        elif key not in besides:
            keys.add(no_language(key), key)
    return found, tables


def no_language(code: str) -> str:
    """Say that a code is of no language that is there."""
    known = languages.codes()
    return f"is no language here.{guess(code.casefold(), known)} Allowed are {listing(known)}."


def check_name(name: str) -> str | None:
    """Say what is wrong with the name of a form or destination; None if nothing is."""
    if NAME.fullmatch(name):
        return None
    return "is no name: use 1 to 64 lower-case letters (a-z), digits and `-`"


def timezone(value: object) -> ZoneInfo | Wrong:
    """Take the name of a time zone, such as `Asia/Kolkata`."""
    allowed = 'the name of a time zone such as "Asia/Kolkata" or "Europe/London"'
    if not isinstance(value, str):
        return wrong(f"must be {allowed}, not {what(value)}")
    with contextlib.suppress(KeyError, OSError, ValueError):  # nothing of that name, a folder, a path
        return ZoneInfo(value)
    return wrong(f"{quoted(value)} is no time zone: it must be {allowed}.{guess(value, available_timezones())}")
