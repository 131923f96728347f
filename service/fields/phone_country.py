"""What stands beside a phone number ► the region it belongs to: a region code, a calling code, the name of a country.

Invariant: nothing is guessed; a text that names no country is None, and so is a name that may mean something else.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Final

import phonenumbers

from service.fields.country_names import OTHER_NAMES
from service.lib.text import normalise, without_format
from service.model import languages

_LONGEST: Final = 80
_LONGEST_CODE: Final = 3
_CODE: Final = re.compile(r"\+\s?(1[- ]?\d{3}|\d{1,3})(?!\d)|^(?:00)?(1[- ]?\d{3}|\d{1,3})$")
_REGION: Final = re.compile(r"^[a-z]{2,3}$|\(([A-Z]{2,3})\)$", re.IGNORECASE)
_BOTH: Final = re.compile(r"^\d{1,3}[\W_]+([a-z]{2})$|^([a-z]{2})[\W_]+\d{1,3}$", re.IGNORECASE)
_ONLY_CODE: Final = re.compile(r"(?:\+|00)?\s*\d{1,3}|\+1[- ]?\d{3}")
_DOTTED: Final = re.compile(r"(?:[a-z]\.\s?){2,}[a-z]?", re.IGNORECASE)
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_FIRST_FLAG_LETTER: Final = 0x1F1E6
_AROUND_NAME: Final = " \t-,;:0123456789"

# How pages name the input of a country: these words and no others, before, behind or without the number's own name.
_COUNTRY: Final = (
    "country|dial|dialing|dialling|calling|isd|iso|iso2|iso3|cc"
    "|land|vorwahl|ländervorwahl|landesvorwahl|pays|indicatif|país|pais|prefijo|paese|prefisso|देश|ದೇಶ|దేశం"
)
_FILLER: Final = "code|prefix|name|value|selected|alpha2"
_NUMBERS: Final = (
    "phone", "mobile", "telephone", "tel", "cell", "contact", "whatsapp", "number", "no", "intl", "international",
)  # fmt: skip


def region_of(text: str) -> str | None:
    """Return the region code ("GB") that a text names.

    `GB`, `gb`, `GBR`, a flag, `+44`, `0044`, `44`, `44|GB`, `United Kingdom (+44)`, `United Kingdom (GB)`, `England`.
    """
    named = without_format(normalise("NFKC", text[:_LONGEST])).strip() if len(text) <= _LONGEST else ""
    if not named:
        return None
    named = _FLAG.sub(lambda flag: "".join(chr(ord(sign) - _FIRST_FLAG_LETTER + ord("A")) for sign in flag[0]), named)
    named = named.replace(".", "") if _DOTTED.fullmatch(named) else named
    if found := _CODE.search(named):
        return _region_of_code("".join(filter(str.isdigit, found[1] or found[2])))
    if found := _BOTH.search(named) or _REGION.search(named):
        letters = next(filter(None, found.groups()), found[0]).upper()
        region = letters if letters in phonenumbers.SUPPORTED_REGIONS else _alias_of(letters)
        if region:
            return region
    return _region_named(named)


def is_calling_code(text: str) -> bool:
    """Tell whether a text is a calling code and nothing else: `+44`, `0044`, `44`."""
    return _ONLY_CODE.fullmatch(text.strip()) is not None and region_of(text) is not None


def country_beside(owns: Iterable[str], others: Iterable[str], texts: Mapping[str, str]) -> tuple[str, str]:
    """Return the name, of those whose texts are given, that says which country a number is of, and its region.

    `owns` are the folded names of the number, `others` those of other numbers; the names of `texts` are folded too.
    What is named after this number counts before what is not, and a code before a country; ("", "") if nothing says it.
    """
    pattern = _names_of_countries(frozenset(owns), frozenset(others))
    named = sorted((rank, name) for name in texts if (rank := _rank(pattern, name)) is not None)
    said = ((name, region_of(texts[name])) for _, name in named if _may_be_country(name, texts[name]))
    return next(((name, region) for name, region in said if region), ("", ""))


def _rank(pattern: re.Pattern[str], name: str) -> int | None:
    found = pattern.fullmatch(name)
    if found is None:
        return None
    is_own, is_country = found["own"] or found["own_behind"], name.endswith("country") or name.startswith("country")
    return 4 * (not is_own) + 2 * (not (found["before"] or found["behind"])) + (is_country and "code" not in name)


def _may_be_country(name: str, text: str) -> bool:
    """Tell whether a prefix is one of numbers: `prefix=Mr` is none, and no Mauritanian."""
    return name != "prefix" or text.strip().startswith(("+", "00"))


@lru_cache(maxsize=256)
def _names_of_countries(owns: frozenset[str], others: frozenset[str]) -> re.Pattern[str]:
    own = "|".join(map(re.escape, sorted(owns, key=len, reverse=True)))
    number = "|".join(word for word in _NUMBERS if word not in others)
    core = rf"(?:{_FILLER})*(?:{_COUNTRY})(?:{_COUNTRY}|{_FILLER})*"
    return re.compile(
        rf"(?P<before>(?P<own>{own})|(?:{number})+)?(?:{core}|(?(before)(?:code|prefix)|prefix))"
        rf"(?P<behind>(?P<own_behind>{own})|(?:{number})+)?"
    )


def _region_of_code(digits: str) -> str | None:
    """Return the region of a calling code, or of one with the area that tells islands apart, such as 1242."""
    code, area = (digits[:1], digits[1:]) if len(digits) > _LONGEST_CODE else (digits, "")
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    among = (region for region in regions if area and _begins_with(region, area))
    region = next(among, regions[0] if regions else None)
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


def _begins_with(region: str, area: str) -> bool:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return bool(metadata and metadata.leading_digits and re.match(metadata.leading_digits, area))


def _region_named(named: str) -> str | None:
    outside, _, inside = named.rstrip(" )").partition("(")
    before_comma = outside.partition(",")[0]
    names = (_fold(part) for part in (named, outside, inside, before_comma))
    return next((region for name in names if (region := _regions_by_name().get(name))), None)


def _fold(name: str) -> str:
    """Return what counts of a country's name: `U.S.A.` is `usa`, `The Netherlands` is `netherlands`."""
    plain = " ".join(name.casefold().replace("\u2019", "'").replace("&", "and").split()).strip(_AROUND_NAME)
    return plain.removeprefix("the ").replace(".", "")


def _alias_of(letters: str) -> str | None:
    """Return the region of a code of three letters, or of one that is not its own, such as `UK`."""
    from babel.core import get_global  # noqa: PLC0415  its tables are large, and few pages send such a code

    regions = get_global("territory_aliases").get(letters, ())
    return regions[0] if len(regions) == 1 and regions[0] in phonenumbers.SUPPORTED_REGIONS else None


@cache
def _regions_by_name() -> Mapping[str, str]:
    from babel import Locale  # noqa: PLC0415  its tables are large, and few pages send a name

    said = {code: Locale(code).territories for code in languages.codes()}
    names = {_fold(normalise("NFKC", str(name))): region for table in said.values() for region, name in table.items()}
    others = {_fold(name): region for region, also in OTHER_NAMES.items() for name in also}
    return {name: region for name, region in (names | others).items() if region in phonenumbers.SUPPORTED_REGIONS}
