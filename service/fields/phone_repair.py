"""A number that is not valid as written ► the valid one it was meant to be, if that is sure or likely.

Invariant: a repair is sure and leads only into a valid number (rule 6 of the phone rules: a doubled country
code, a missing plus, `00`); a suggestion is likely, and only ever offered.
"""

from collections.abc import Iterator
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

from service.fields.phone_number import Found, Place, Refused, classify, leading_code, parse
from service.fields.phone_text import Spelled
from service.lib.secret import unshown


class _Reading(NamedTuple):
    """Another way to read a number: with a plus and without a region, or the other way round."""

    text: str
    region: str | None = None
    only_expected: bool = False

    def __repr__(self) -> str:
        """Show nothing of the number."""
        return unshown(self)


def repair(spelled: Spelled, place: Place) -> Found | Refused | None:
    """Repair a number into a valid one, flagged `repaired`; None if no repair makes it valid.

    Refused only if every repair that is valid is of a type that nobody can be called on.
    """
    refused = None
    for reading in _repairs(spelled, place):
        judged = _classify_reading(reading, place)
        if isinstance(judged, Found):
            return judged
        refused = refused or judged
    return refused


def suggest(spelled: Spelled, number: PhoneNumber | None, place: Place) -> str | None:
    """Suggest a valid number, in E.164, that somebody who typed an invalid one has likely meant."""
    for reading in _likely(spelled, number, place):
        judged = _classify_reading(reading, place)
        if isinstance(judged, Found):
            return phonenumbers.format_number(judged.number, PhoneNumberFormat.E164)
    return None


def _classify_reading(reading: _Reading, place: Place) -> Found | Refused | None:
    number = parse(reading.text, reading.region)
    if isinstance(number, int):
        return None
    if reading.only_expected and phonenumbers.region_code_for_number(number) not in place.regions:
        return None
    return classify(number, "repaired")


def _repairs(spelled: Spelled, place: Place) -> Iterator[_Reading]:
    bare = spelled.digits.removeprefix("00")
    has_prefix = bare != spelled.digits
    code = leading_code(bare)
    if has_prefix:
        yield _Reading(f"+{bare}")
    if spelled.plus or has_prefix or code in place.codes:
        yield from map(_Reading, _without_doubled_code(bare, str(code)))
    if not spelled.plus and not spelled.stray and code in place.codes:
        yield _Reading(f"+{bare}", only_expected=True)


def _without_doubled_code(bare: str, code: str) -> Iterator[str]:
    """Drop one of two calling codes, also where the second was written with its own `0` or `00`."""
    rest = bare.removeprefix(code)
    return (f"+{rest[len(zeros) :]}" for zeros in ("", "0", "00") if rest.startswith(f"{zeros}{code}"))


def _likely(spelled: Spelled, number: PhoneNumber | None, place: Place) -> Iterator[_Reading]:
    bare = spelled.digits.lstrip("0")
    code = leading_code(bare)
    if place.region is not None:
        yield _Reading(bare, place.region)
    # Without a plus, only an expected code makes a foreign number likely: 988… may be an Indian one too long.
    if code in place.codes or (spelled.plus and code):
        national = bare.removeprefix(str(code))
        yield _Reading(f"+{bare}")
        yield _Reading(f"+{code}{national.lstrip('0')}")
    if number is not None and place.region is not None:
        yield _Reading(phonenumbers.national_significant_number(number), place.region)
