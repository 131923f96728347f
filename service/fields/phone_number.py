"""One spelled number ► found or refused, as `phonenumbers` sees it.

Invariant: the questions asked of the library's metadata, and none of its private names. Rules 4, 5, 7, 8
and 10 of the phone rules; nothing is repaired here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import phonenumbers
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult

from service.fields.phone_text import Spelled
from service.lib.secret import unshown
from service.model.problem import Code

_UNSUPPORTED: Final = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.PAGER,
    }
)
_LENGTH_CODES: Final = {
    ValidationResult.TOO_SHORT: Code.PHONE_TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: Code.PHONE_TOO_SHORT,
    ValidationResult.TOO_LONG: Code.PHONE_TOO_LONG,
    ValidationResult.INVALID_LENGTH: Code.PHONE_INVALID_LENGTH,
}
# India's landlines begin with these after their area code, its mobile numbers with 6 to 9.
_INDIA: Final = 91
_INDIAN_LANDLINES: Final = frozenset("2345")
_INDIAN_MOBILES: Final = frozenset("6789")
_MAX_CODE_LENGTH: Final = 3
# ITU-T E.164 leaves 15 digits to a number with its country code.
_ANY_LENGTH: Final = "4 to 14"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number is written: the region of numbers without a plus, the expected regions, their calling codes.

    `region` is None where no known region is named; then only numbers with a plus can be read.
    """

    region: str | None
    regions: frozenset[str]
    codes: frozenset[int]

    @classmethod
    def of(cls, country: str, countries: Sequence[str]) -> "Place":
        """Take the known ones among the region codes, the first of them for numbers without a plus."""
        named = (region.upper() for region in (country, *countries))
        known = [region for region in named if region in phonenumbers.SUPPORTED_REGIONS]
        codes = frozenset(map(phonenumbers.country_code_for_region, known))
        return cls(known[0] if known else None, frozenset(known), codes)


@dataclass(frozen=True, slots=True)
class Found:
    """A number that is accepted; `number_type` is its PhoneNumberType."""

    number: PhoneNumber
    number_type: int = PhoneNumberType.UNKNOWN
    flags: tuple[str, ...] = ()

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Refused:
    """A number that is not accepted, and why; `number` is what could be made of it."""

    code: Code
    values: Mapping[str, str] = field(default_factory=dict)
    number: PhoneNumber | None = None

    __repr__ = unshown


def parse(text: str, region: str | None) -> PhoneNumber | int:
    """Parse digits, with or without a plus; where that fails, the error type of NumberParseException."""
    try:
        return phonenumbers.parse(text, region, keep_raw_input=True)
    except NumberParseException as error:
        return error.error_type


def classify(number: PhoneNumber | int, *flags: str) -> Found | Refused | None:
    """Accept a valid number (rule 5) unless nobody can be called on its type (rule 10); None if it is not valid."""
    if isinstance(number, int):
        return None
    # Valid is what has a type: the library's is_valid_number asks this same question.
    number_type = phonenumbers.number_type(number)
    if number_type == PhoneNumberType.UNKNOWN:
        return None
    return (
        Refused(Code.PHONE_UNSUPPORTED_TYPE, number=number)
        if number_type in _UNSUPPORTED
        else Found(number, number_type, flags)
    )


def judge_as_written(spelled: Spelled, place: Place) -> Found | Refused:
    """Judge a number as it is spelled, without repairing it."""
    if spelled.stray:
        return Refused(Code.PHONE_NOT_A_NUMBER)
    number = parse(f"+{spelled.digits}" if spelled.plus else spelled.digits, place.region)
    if isinstance(number, int):
        return _explain_unparsed(number, spelled, place)
    flags = ("repaired",) if _lacks_plus(number, place) else ()
    return classify(number, *flags) or _explain(number, place)


def _lacks_plus(number: PhoneNumber, place: Place) -> bool:
    """Tell whether the library read the region's own calling code without a plus, which is a repair."""
    if number.country_code_source != CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN or place.region is None:
        return False
    # In North America a 1 is also how a number is dialled at home.
    return phonenumbers.ndd_prefix_for_region(place.region, strip_non_digits=True) != str(number.country_code)


def leading_code(digits: str) -> int:
    """Return the calling code that the digits of an international number begin with; 0 where none is known."""
    if digits.startswith("0"):
        return 0
    starts = (int(digits[:length]) for length in range(1, min(len(digits), _MAX_CODE_LENGTH) + 1))
    return next((start for start in starts if start in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), 0)


def _explain(number: PhoneNumber, place: Place) -> Found | Refused:
    """Say why a number that could be parsed is not valid (rule 7), or let it pass all the same (rule 8)."""
    code = number.country_code or 0
    first = phonenumbers.national_significant_number(number)[:1]
    if _is_local_landline(number) and (code != _INDIA or first in _INDIAN_LANDLINES):
        return Refused(Code.PHONE_MISSING_AREA_CODE, number=number)
    refusal = _LENGTH_CODES.get(_mobile_length(number))
    if refusal is not None:
        return Refused(refusal, _length_values(code, place), number)
    if code == _INDIA and first in _INDIAN_MOBILES:
        return Found(number)
    return Refused(Code.PHONE_INVALID_BUT_POSSIBLE, number=number)


def _is_local_landline(number: PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.FIXED_LINE)
    return reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY


def _mobile_length(number: PhoneNumber) -> int:
    """Test the length against the region's mobile numbers, or all its numbers where it has no mobile ones."""
    reason = phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.MOBILE)
    if reason == ValidationResult.INVALID_LENGTH and not _mobile_lengths(number.country_code or 0):
        return phonenumbers.is_possible_number_with_reason(number)
    return reason


def _explain_unparsed(error: int, spelled: Spelled, place: Place) -> Refused:
    international = spelled.plus or spelled.digits.startswith("00")
    bare = spelled.digits.removeprefix("00")
    if error == NumberParseException.INVALID_COUNTRY_CODE:
        return Refused(Code.PHONE_INVALID_COUNTRY_CODE, {"code": _unknown_code(bare)})
    code = leading_code(bare) if international else 0
    # The library's NOT_A_NUMBER can only mean too few digits: all else was refused as text.
    too_long = error == NumberParseException.TOO_LONG
    return Refused(Code.PHONE_TOO_LONG if too_long else Code.PHONE_TOO_SHORT, _length_values(code, place))


def _unknown_code(digits: str) -> str:
    return "0" if digits.startswith("0") else digits[:_MAX_CODE_LENGTH]


def _length_values(code: int, place: Place) -> Mapping[str, str]:
    """Name the region of a calling code (0: that of the place) and the digits of its mobile numbers."""
    if place.region is not None and code in {0, phonenumbers.country_code_for_region(place.region)}:
        region = place.region
    else:
        region = phonenumbers.region_code_for_country_code(code)
    lengths = _mobile_lengths(phonenumbers.country_code_for_region(region) or code)
    if not lengths:
        return {"country": region, "n": _ANY_LENGTH}
    shortest, longest = lengths[0], lengths[-1]
    return {"country": region, "n": str(shortest) if shortest == longest else f"{shortest} to {longest}"}


def _mobile_lengths(code: int) -> tuple[int, ...]:
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    return () if metadata is None or metadata.mobile is None else metadata.mobile.possible_length
