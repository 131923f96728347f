"""The languages that a visitor can be spoken to in: one file each, `en.toml` being the source of all.

Invariant: pure but for the files, each read once and only when somebody needs it. Every text that a visitor can see
stands there and nowhere else, but for what a form's owner writes. What a file lacks is said in English.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from service.model.problem import Code

DEFAULT: Final = "en"
AUTO: Final = "auto"
FOLDER: Final = Path(__file__).parent

_MOST_RANGES: Final = 20

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Language:
    """Every text of one language by its key; `code` as in `<html lang>`, `direction` "ltr" or "rtl".

    `name` is what the language calls itself.
    """

    code: str
    name: str
    direction: str
    messages: Texts
    sentences: Mapping[Code, str]
    page: Texts
    labels: Texts


@cache
def codes() -> tuple[str, ...]:
    """Return the codes of all languages there are, English first."""
    found = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@cache
def load(code: str) -> Language:
    """Return the language of a code that `codes` names."""
    own, english = _read(code), _read(DEFAULT)
    sentences = {**english["sentences"], **own.get("sentences", {})}
    return Language(
        code,
        str(own.get("name", code)),
        str(own.get("direction", "ltr")),
        {"valid": sentences[Code.PHONE_VALID], **english["messages"], **own.get("messages", {})},
        {key: sentences[key] for key in Code},
        {**english["page"], **own.get("page", {})},
        {**english["labels"], **own.get("labels", {})},
    )


def own(setting: str) -> str:
    """Return the code of the language that the texts of a form with this setting are written in."""
    return DEFAULT if setting == AUTO else setting


def named(text: str) -> str | None:
    """Return the code of the language that a tag such as `hi`, `hi-IN` or `HI_in` names, None if it is not there.

    What is not there whole is looked for without its last part (RFC 4647, "Lookup").
    """
    known = {code.casefold(): code for code in codes()}
    parts = text.strip().replace("_", "-").casefold().split("-", 4)
    tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((known[tag] for tag in tags if tag in known), None)


def choose(setting: str, asked: str = "", accepted: str = "") -> str:
    """Return the code to speak in: a form's `setting`; for "auto" what was asked for, else what is accepted, else "en".

    `accepted` is an `Accept-Language` header (RFC 9110, section 12.5.4).
    """
    if setting != AUTO:
        return setting
    return named(asked) or next(filter(None, map(_wanted, _by_weight(accepted))), DEFAULT)


def _wanted(tag: str) -> str | None:
    return DEFAULT if tag == "*" else named(tag)


def _by_weight(accepted: str) -> list[str]:
    """Return the tags of an `Accept-Language`, the most wanted first, those of one weight in their order."""
    weighted = list(_ranges(accepted))
    return [tag for tag, weight in sorted(weighted, key=lambda pair: -pair[1]) if weight > 0]


def _ranges(accepted: str) -> Iterator[tuple[str, float]]:
    for part in accepted.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        tag, _, rest = part.partition(";")
        name, _, value = rest.replace(" ", "").partition("=")
        yield tag.strip(), _weight(value) if name.lower() == "q" else 1.0


def _weight(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0


@cache
def _read(code: str) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))
    return tables
