"""Raw text from a phone field ► a verdict: the number, or what to tell the visitor.

Invariant: pure and total. Any text gets a verdict, none an exception, and the same text always the same
one: nothing here remembers. The package `phonenumbers` (Google's libphonenumber) decides what can
be decided; length is the hard test and the prefix a warning, because its metadata ages. Rules 1 to
3 are in `phone_text`; 4, 5, 7, 8 and 10 in `phone_number`; 6 in `phone_repair`. Here they are put in
their order, with two numbers in one field (2), confirmation (8) and junk (9).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Final

import phonenumbers
from msgspec import structs
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from service.fields.phone_number import Found, Place, Refused, judge_as_written
from service.fields.phone_repair import repair, suggest
from service.fields.phone_text import Spelled, clean, is_divided, parts, spell
from service.lib.secret import unshown
from service.model.form import Form
from service.model.lead import Phone
from service.model.problem import Code

# One of these steps from each digit to the next, all along: 9999999999, 1234567890, 9876543210.
_EVEN_STEPS: Final = ({0}, {1}, {9})

# ITU-T E.164: no number is longer. More digits than that in one field are more numbers than one.
_MAX_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a phone field holds: `phone` if and only if the code is PHONE_VALID.

    `values` fill the code's sentence: `country` (a region code), `n` ("10", "7 to 11"), `code`.
    `suggestion` is a valid number in E.164 that the visitor may have meant.
    """

    code: Code
    phone: Phone | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    suggestion: str | None = None

    __repr__ = unshown

    @property
    def valid(self) -> bool:
        """Whether the number is accepted."""
        return self.code is Code.PHONE_VALID


def read(raw: str, *, country: str, countries: Sequence[str], confirm: str | None = None) -> Verdict:
    """Read one phone field by the ten rules.

    Args:
        raw: What was typed, untouched; any text at all.
        country: Region code ("IN") of numbers written without a plus; if it is unknown, the first
            known one of `countries` stands in.
        countries: The regions whose numbers may lack their plus.
        confirm: What the visitor sent as `_confirm`; equal to `raw` after cleaning, it accepts a
            number of the right length with an unknown prefix.
    """
    text = clean(raw)
    if text is None:
        return Verdict(Code.PHONE_NOT_A_NUMBER)
    confirmed = confirm is not None and clean(confirm) == text
    place = Place.of(country, countries)
    if is_divided(text):
        return _read_divided(raw, text, place, confirmed=confirmed)
    return _conclude(raw, spell(text), place, confirmed=confirmed)


def read_at(form: Form, text: str, *, country: str = "", confirm: str = "", has_lost_plus: bool = False) -> Verdict:
    """Read a number as a form does; `country` (a region code) is what stands beside it, "" for nothing.

    Beside a country it is never read as a number of another one, unless it says so itself.
    """
    if has_lost_plus and text[:1].isdigit():
        full = read(f"+{text}", country=form.country, countries=form.countries, confirm=confirm or None)
        if full.valid and full.phone:
            flags = tuple(dict.fromkeys((*full.phone.flags, "repaired")))
            return replace(full, phone=structs.replace(full.phone, raw=text, flags=flags))
    countries = (country,) if country else form.countries
    return read(text, country=country or form.country, countries=countries, confirm=confirm or None)


def warm(regions: Iterable[str]) -> None:
    """Load the metadata of these regions and compile their patterns, so that the first visitor does not wait."""
    phonenumbers.enable_pattern_cache()
    for region in phonenumbers.SUPPORTED_REGIONS.intersection(regions):
        example = phonenumbers.example_number(region)
        if example is not None:
            national = phonenumbers.format_number(example, PhoneNumberFormat.NATIONAL)
            for text in (national, f"{national}9", national[:-2]):
                read(text, country=region, countries=(region,))


def _read_divided(raw: str, text: str, place: Place, *, confirmed: bool) -> Verdict:
    """Rule 2: the whole if it is valid as it stands, else its first valid part, else the whole all the same."""
    spelled = spell(text)
    whole = _judge_as_spelled(spelled, place)
    if isinstance(whole, Found):
        return _accept(raw, whole, spelled)
    pieces = parts(text)
    for index, piece in enumerate(pieces):
        spelled = spell(piece)
        judged = _judge(spelled, place)
        if isinstance(judged, Found):
            return _accept(raw, judged, spelled, rest=_others(pieces, index))
    # Commas may also group the digits of one number.
    spelled = spell(text.replace(",", " "))
    if spelled is not None and len(spelled.digits) <= _MAX_DIGITS:
        return _conclude(raw, spelled, place, confirmed=confirmed)
    first = spell(pieces[0]) if pieces else None
    return _conclude(raw, first, place, confirmed=confirmed, rest=_others(pieces, 0))


def _others(pieces: list[str], taken: int) -> str | None:
    return ", ".join((*pieces[:taken], *pieces[taken + 1 :])) or None


def _conclude(raw: str, spelled: Spelled | None, place: Place, *, confirmed: bool, rest: str | None = None) -> Verdict:
    """Judge a number for good: accepted, confirmed by the visitor, or refused with a suggestion."""
    judged = _judge(spelled, place)
    if isinstance(judged, Found):
        return _accept(raw, judged, spelled, rest=rest)
    if confirmed and judged.code is Code.PHONE_INVALID_BUT_POSSIBLE and judged.number is not None:
        return _accept(raw, Found(judged.number, flags=("unverified",)), spelled, rest=rest)
    is_hopeless = spelled is None or judged.code is Code.PHONE_UNSUPPORTED_TYPE
    suggestion = None if is_hopeless or spelled is None else suggest(spelled, judged.number, place)
    return Verdict(judged.code, values=judged.values, suggestion=suggestion)


def _judge_as_spelled(spelled: Spelled | None, place: Place) -> Found | Refused:
    return Refused(Code.PHONE_NOT_A_NUMBER) if spelled is None else judge_as_written(spelled, place)


def _judge(spelled: Spelled | None, place: Place) -> Found | Refused:
    judged = _judge_as_spelled(spelled, place)
    if spelled is None or isinstance(judged, Found) or judged.code is Code.PHONE_UNSUPPORTED_TYPE:
        return judged
    return repair(spelled, place) or judged


def _accept(raw: str, found: Found, spelled: Spelled | None, *, rest: str | None = None) -> Verdict:
    number, region = found.number, phonenumbers.region_code_for_number(found.number)
    phone = Phone(
        raw=raw,
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        national=phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        international=phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        # Satellite and international numbers belong to no country.
        country=None if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else region,
        type=PhoneNumberType.to_string(found.number_type),
        flags=(*found.flags, "junk") if _is_junk(number, region) else found.flags,
        extension=None if spelled is None else spelled.extension,
        rest=rest,
    )
    return Verdict(Code.PHONE_VALID, phone)


def _is_junk(number: PhoneNumber, region: str | None) -> bool:
    """Rule 9: even steps, a short period repeated at least three times, or the library's own example."""
    digits = phonenumbers.national_significant_number(number)
    if {(int(after) - int(before)) % 10 for before, after in pairwise(digits)} in _EVEN_STEPS:
        return True
    if any(digits[period:] == digits[:-period] for period in range(2, len(digits) // 3 + 1)):
        return True
    return region is not None and digits in _examples(region)


@cache
def _examples(region: str) -> frozenset[str]:
    """Return the library's example numbers of a region, of every type. There are only some 250 regions."""
    examples = (phonenumbers.example_number_for_type(region, type_) for type_ in PhoneNumberType.values())
    return frozenset(phonenumbers.national_significant_number(example) for example in examples if example is not None)
