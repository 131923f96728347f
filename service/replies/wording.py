"""In which language, and with which words of its owner, a form speaks to one visitor; and each problem's sentence.

Invariant: pure. Who speaks decides nothing about what is said. Every word comes from a language, every name of a
country from Unicode's CLDR (by way of Babel).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from service.model import languages
from service.model.form import Form, Messages
from service.model.languages import Language
from service.model.problem import Problem

_RANGE: Final = re.compile(r"(?P<low>\d+) to (?P<high>\d+)")


@dataclass(frozen=True, slots=True)
class Voice:
    """A language, the owner's own texts in it, and whether another visitor would be spoken to in another one."""

    language: Language
    messages: Messages = field(default_factory=Messages)
    is_negotiated: bool = False

    @property
    def success(self) -> str:
        """The text after success."""
        return self.messages.success or self.language.messages["success"]

    @property
    def failure(self) -> str:
        """The text above every failure."""
        return self.messages.failure or self.language.messages["failure"]

    @property
    def check(self) -> str:
        """The text above problems of fields."""
        return self.messages.check or self.language.messages["check"]

    @property
    def valid(self) -> str:
        """The text beside a valid phone number."""
        return self.messages.valid or self.language.messages["valid"]

    @property
    def headers(self) -> Mapping[str, str]:
        """What a reply says of its language, and to caches (RFC 9110, sections 8.5 and 12.5.5)."""
        varies = {"Vary": "Accept-Language"} if self.is_negotiated else {}
        return {"Content-Language": self.language.code, **varies}

    def meant(self, suggestion: str) -> str:
        """Return the sentence that offers a right spelling."""
        return self.language.page["meant"].format(suggestion=suggestion)

    def say(self, problem: Problem) -> str:
        """Return the sentence of a problem."""
        return sentence(problem, self.language)


def of(form: Form | None = None, *, asked: str = "", accepted: str = "") -> Voice:
    """Return how to speak to a visitor of `form`, or of no form: then as the browser prefers.

    `asked` is the `_language` field, `accepted` the header `Accept-Language`; they count for "auto" only.
    """
    setting = form.language if form else languages.AUTO
    code = languages.choose(setting, asked, accepted)
    messages = form.messages_in(code) if form else Messages()
    return Voice(languages.load(code), messages, setting == languages.AUTO)


def sentence(problem: Problem, language: Language) -> str:
    """Return the sentence of a problem with its values filled in; `country` is named in the language."""
    values = {**problem.values, **_in(language.code, problem.values)}
    if "country" in values:
        values["country"] = country_name(values["country"], language.code)
    if "why" in values:
        values["why"] = language.page.get(f"unreadable_{values['why']}", values["why"])
    if found := _RANGE.fullmatch(values.get("n", "")):
        values["n"] = language.page["range"].format_map(found.groupdict())
    return language.sentences[problem.code].format_map(values)


def _in(language: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the values that are said otherwise in this language: `choices.hi` for `choices`."""
    return {name.removesuffix(f".{language}"): text for name, text in values.items() if name.endswith(f".{language}")}


@cache
def country_name(region: str, language: str) -> str:
    """Return the name of a region code in a language, the code itself where it has none."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  20 ms and 4 MB that most visitors never need

    try:
        names = Locale.parse(language, sep="-").territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    return str(names.get(region, region))
