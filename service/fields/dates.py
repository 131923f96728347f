"""A date as people type it ► a day.

Invariant: ISO 8601 is read everywhere; slashes, dots and another order only as the form's country writes them (Unicode
CLDR), so that no date is read as another one. A year has four digits.
"""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final

_YEAR_FIRST: Final = re.compile(r"(\d{4})([/.-])(\d\d?)\2(\d\d?)")
_YEAR_LAST: Final = re.compile(r"(\d\d?)([/.-])(\d\d?)\2(\d{4})")
_EXAMPLES: Final = {"dmy": "31/01/2000", "mdy": "01/31/2000", "ymd": "2000-01-31"}


def read(text: str, country: str) -> date | None:
    """Return the day that a text names at a form of this country (a region code), None for anything else."""
    text = unicodedata.normalize("NFKC", text)
    order = _order_in(country)
    if found := _YEAR_FIRST.fullmatch(text):
        year, mark, month, day = found.groups()
        return _day(year, month, day) if mark == "-" or order == "ymd" else None
    if order != "ymd" and (found := _YEAR_LAST.fullmatch(text)):
        first, _, second, year = found.groups()
        return _day(year, second, first) if order == "dmy" else _day(year, first, second)
    return None


def example(country: str) -> str:
    """Return a date as the country writes it."""
    return _EXAMPLES[_order_in(country)]


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


@lru_cache(maxsize=512)
def _order_in(country: str) -> str:
    """Return in which order a country writes day, month and year: "dmy", "mdy" or "ymd"; "ymd" if nobody knows."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  its tables are large, and few forms ask for a date

    try:
        pattern = str(Locale.parse(f"und_{country}").date_formats["short"].pattern).lower()
    except UnknownLocaleError:  # of AC, BQ and TA, which have telephone numbers, CLDR has no locale
        return "ymd"
    order = "".join(sorted("dmy", key=pattern.find))
    return order if order in _EXAMPLES else "ymd"
