"""What stands beside a phone number ► the region it belongs to: a region code, a calling code, the name of a country.

Invariant: nothing is guessed; a text that names no country is None.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import phonenumbers

_LONGEST: Final = 60
_CODE: Final = re.compile(r"\+\s?(\d{1,3})(?!\d)|^(?:00)?(\d{1,3})$")
_REGION: Final = re.compile(r"^[A-Za-z]{2}$|\(([A-Z]{2})\)$")
_ONLY_CODE: Final = re.compile(r"(?:\+|00)?\s*\d{1,3}")
_ALSO: Final = {"UK": "GB"}


def region_of(text: str) -> str | None:
    """Return the region code ("GB") that a text names: `GB`, `gb`, `+44`, `44`, `United Kingdom (+44)`, `India`."""
    named = text.strip()
    if not named or len(named) > _LONGEST:
        return None
    if found := _REGION.search(named):
        code = (found[1] or found[0]).upper()
        code = _ALSO.get(code, code)
        return code if code in phonenumbers.SUPPORTED_REGIONS else None
    if found := _CODE.search(named):
        region = phonenumbers.region_code_for_country_code(int(found[1] or found[2]))
        return region if region in phonenumbers.SUPPORTED_REGIONS else None
    return _regions_by_name().get(named.casefold())


def is_calling_code(text: str) -> bool:
    """Tell whether a text is a calling code and nothing else: `+44`, `0044`, `44`."""
    return _ONLY_CODE.fullmatch(text.strip()) is not None and region_of(text) is not None


@cache
def _regions_by_name() -> Mapping[str, str]:
    from babel import Locale  # noqa: PLC0415  its tables are large, and few pages send a name

    names = Locale("en").territories
    return {str(name).casefold(): code for code, name in names.items() if code in phonenumbers.SUPPORTED_REGIONS}
