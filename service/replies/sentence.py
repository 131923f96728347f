"""A problem becomes the sentence that its visitor reads.

Invariant: pure; every word comes from a language, every name of a country from Unicode's CLDR (by way of Babel).
"""

import re
from functools import cache
from typing import Final

from service.model.languages import Language
from service.model.problem import Problem

_RANGE: Final = re.compile(r"(?P<low>\d+) to (?P<high>\d+)")


def sentence(problem: Problem, language: Language) -> str:
    """Return the sentence of a problem with its values filled in; `country` is named in the language."""
    values = dict(problem.values)
    if "country" in values:
        values["country"] = country_name(values["country"], language.code)
    if found := _RANGE.fullmatch(values.get("n", "")):
        values["n"] = language.page["range"].format_map(found.groupdict())
    return language.sentences[problem.code].format_map(values)


@cache
def country_name(region: str, language: str) -> str:
    """Return the name of a region code in a language, the code itself where it has none."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  20 ms and 4 MB that most visitors never need

    try:
        names = Locale.parse(language, sep="-").territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    return str(names.get(region, region))
