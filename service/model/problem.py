"""The catalogue of everything that can be wrong with a request: a code and its HTTP status.

Invariant: a code is stable for ever. Its sentence stands in `languages/`, a file a language; it tells the visitor
what to do and may be reworded. `{…}` in a sentence is filled from `Problem.values`; `country` there is a region code
("IN") that the sentence names in its own language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Final


class Code(StrEnum):
    """Every code a caller can meet. The value is the code as it is sent."""

    @staticmethod
    def _generate_next_value_(name: str, *_: object) -> str:
        return name

    REQUIRED_FIELD_MISSING = auto()
    REQUIRED_FIELD_EMPTY = auto()
    TYPE_EMAIL = auto()
    TYPE_NUMERIC = auto()
    TYPE_TEXT = auto()
    TYPE_DATE = auto()
    TOO_LONG = auto()
    NOT_A_CHOICE = auto()
    UNKNOWN_FIELD = auto()
    EMPTY = auto()
    TOO_MANY_FIELDS = auto()
    NO_FILE_UPLOADS = auto()
    CONSENT_REQUIRED = auto()
    CAPTCHA_MISSING = auto()
    CAPTCHA_FAILED = auto()
    VALID = auto()
    PHONE_VALID = auto()
    PHONE_TOO_SHORT = auto()
    PHONE_TOO_LONG = auto()
    PHONE_INVALID_LENGTH = auto()
    PHONE_MISSING_AREA_CODE = auto()
    PHONE_INVALID_COUNTRY_CODE = auto()
    PHONE_NOT_A_NUMBER = auto()
    PHONE_INVALID_BUT_POSSIBLE = auto()
    PHONE_UNSUPPORTED_TYPE = auto()
    UNREADABLE_BODY = auto()
    UNAUTHORIZED = auto()
    ORIGIN_NOT_ALLOWED = auto()
    WEBHOOK_NOT_ALLOWED = auto()
    FORM_NOT_FOUND = auto()
    METHOD_NOT_ALLOWED = auto()
    BODY_TOO_LARGE = auto()
    UNSUPPORTED_MEDIA_TYPE = auto()
    TOO_MANY_REQUESTS = auto()
    UNAVAILABLE = auto()


CATALOGUE: Final[Mapping[Code, int]] = MappingProxyType(
    {
        Code.REQUIRED_FIELD_MISSING: 422,
        Code.REQUIRED_FIELD_EMPTY: 422,
        Code.TYPE_EMAIL: 422,
        Code.TYPE_NUMERIC: 422,
        Code.TYPE_TEXT: 422,
        Code.TYPE_DATE: 422,
        Code.TOO_LONG: 422,
        Code.NOT_A_CHOICE: 422,
        Code.UNKNOWN_FIELD: 422,
        Code.EMPTY: 422,
        Code.TOO_MANY_FIELDS: 422,
        Code.NO_FILE_UPLOADS: 422,
        Code.CONSENT_REQUIRED: 422,
        Code.CAPTCHA_MISSING: 422,
        Code.CAPTCHA_FAILED: 422,
        Code.VALID: 200,
        Code.PHONE_VALID: 200,
        Code.PHONE_TOO_SHORT: 422,
        Code.PHONE_TOO_LONG: 422,
        Code.PHONE_INVALID_LENGTH: 422,
        Code.PHONE_MISSING_AREA_CODE: 422,
        Code.PHONE_INVALID_COUNTRY_CODE: 422,
        Code.PHONE_NOT_A_NUMBER: 422,
        Code.PHONE_INVALID_BUT_POSSIBLE: 422,
        Code.PHONE_UNSUPPORTED_TYPE: 422,
        Code.UNREADABLE_BODY: 400,
        Code.UNAUTHORIZED: 401,
        Code.ORIGIN_NOT_ALLOWED: 403,
        Code.WEBHOOK_NOT_ALLOWED: 403,
        Code.FORM_NOT_FOUND: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.BODY_TOO_LARGE: 413,
        Code.UNSUPPORTED_MEDIA_TYPE: 415,
        Code.TOO_MANY_REQUESTS: 429,
        Code.UNAVAILABLE: 503,
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `field` as the browser named it ("" for the whole request)."""

    code: Code
    field: str = ""
    values: Mapping[str, str] = attribute(default_factory=dict)
    suggestion: str | None = None

    def __repr__(self) -> str:
        """Show the code alone: the rest may be what a visitor typed."""
        return f"Problem({self.code})"

    @property
    def status(self) -> int:
        """The HTTP status that this problem alone would have."""
        return CATALOGUE[self.code]


@dataclass(frozen=True, slots=True)
class Problems:
    """Why a request is refused: one or more problems, all of one status, in the order of the form."""

    items: tuple[Problem, ...]

    def __post_init__(self) -> None:
        """Refuse to be empty: a refusal always says why."""
        if not self.items:
            msg = "a refusal needs at least one problem"
            raise ValueError(msg)

    @property
    def status(self) -> int:
        """The HTTP status of the refusal: that of its first problem."""
        return self.items[0].status


def refuse(code: Code, field: str = "", **values: str) -> Problems:
    """Make a refusal of a single problem."""
    return Problems((Problem(code, field, values),))
