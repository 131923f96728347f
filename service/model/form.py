"""A form and its fields, as the configuration names them.

Invariant: frozen values that cannot be wrong (`config` makes them). Durations are milliseconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import field as attribute
from functools import lru_cache
from typing import ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from service.lib.rate import Rate
from service.lib.secret import Secret
from service.lib.text import normalise, without_format
from service.lib.times import UTC
from service.model import languages
from service.model.way import Way

FieldType = Literal["text", "email", "phone", "choice", "choices", "number", "boolean", "date"]
MAX_LENGTH = 5_000
LONGEST_ALIAS = 200
_SENTENCES: Final = frozenset("\ufdfa\ufdfb")
"""Signs that stand for eight letters and more, each a whole phrase: work, and in no field's name."""
_NO_MATTER: Final = re.compile(r"[-_\[\]\s]+")


@lru_cache(maxsize=4_096)  # every submission brings the same few names
def fold(name: str) -> str:
    """Return what counts of a field's name or alias: not case, blanks, `-`, `_`, `[` or `]`; all of one too long."""
    if len(name) > LONGEST_ALIAS or not _SENTENCES.isdisjoint(name):
        return name  # it is no field's, and folding it is work
    plain = normalise("NFKC", name)
    return _NO_MATTER.sub("", without_format(plain).casefold()) if len(plain) <= LONGEST_ALIAS else name


@dataclass(frozen=True, slots=True)
class Field:
    """One named field. `webflow` is the element id in Webflow.

    `other`: what is none of the choices is kept and flagged. `invalid` "flag": so is whatever is wrong with it.

    `label` is what the hosted page shows; "": the word that the visitor's language has for it, or `words`. `labels` are
    those of an owner who wrote one for each language, by code; then `label` is only for languages that have no word.
    `choice_labels` are what is shown of some choices, by code, "" for every language that has none.
    """

    name: str
    type: FieldType = "text"
    required: bool = False
    max_length: int = MAX_LENGTH
    multiline: bool = False
    choices: tuple[str, ...] = ()
    other: bool = False
    invalid: Literal["refuse", "flag"] = "refuse"
    aliases: tuple[str, ...] = ()
    label: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    choice_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    webflow: str | None = None

    @property
    def words(self) -> str:
        """The name in words: "Preferred time" for `preferred_time`."""
        words = " ".join(self.name.replace("_", " ").replace("-", " ").split())
        return words[:1].upper() + words[1:]

    def label_of(self, choice: str, language: str = "") -> str:
        """Return what is shown of a choice in a language; of what is no choice, itself."""
        labels = self.choice_labels.get(choice, {})
        return labels.get(language) or labels.get("", choice)


@dataclass(frozen=True, slots=True)
class Messages:
    """The texts of a form's owner in one language, word for word; None: what that language itself says."""

    success: str | None = None
    failure: str | None = None
    valid: str | None = None
    check: str | None = None
    next_steps: str | None = None


@dataclass(frozen=True, slots=True)
class Theme:
    """How the pages of a form look: `accent` as `#rrggbb`, `radius` as a CSS length, `font` as names of fonts."""

    accent: str | None = None
    radius: str | None = None
    font: tuple[str, ...] = ()


SIGNALS: Final[dict[str, int]] = {
    "honeypot": 20, "trap": 11, "webdriver": 6, "too_fast": 5, "markup": 5, "same_text": 5, "links": 3, "disposable": 3,
    "junk_phone": 3, "stale_token": 1,
}  # fmt: skip
"""What may look like spam, and what it weighs where a form says nothing else: made for a limit of 10."""


@dataclass(frozen=True, slots=True)
class Spam:
    """What a form makes of what looks like spam: whose `weights` are more than `limit` together is quarantined.

    `limit` None: signals are only written down. A weight of 0 switches a signal off.
    """

    limit: int | None = None
    weights: Mapping[str, int] = field(default_factory=SIGNALS.copy)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one address, everybody together, and one person may post; None: as often as they like.

    Above `person` nobody is refused: what is said is kept, and goes out as one update when the limit allows it.
    """

    address: Rate | None = None
    form: Rate | None = None
    person: Rate | None = None


@dataclass(frozen=True, slots=True)
class Altcha:
    """A proof of work: the browser finds one number of 0 to `max_number`, and sends it within `expires` ms."""

    FIELD: ClassVar = "altcha"

    max_number: int = 50_000
    expires: int = 20 * 60_000


@dataclass(frozen=True, slots=True)
class Turnstile:
    """Cloudflare's challenge: its widget has the `sitekey`; `url` is asked, with `secret`, what a token is worth."""

    FIELD: ClassVar = "cf-turnstile-response"

    sitekey: str
    secret: Secret
    url: str = "https://challenges.cloudflare.com/turnstile/v0/siteverify"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a visitor agrees to by the boolean field `field`: a version, and its text, in other languages by code."""

    field: str
    version: str
    text: str
    translations: Mapping[str, str] = attribute(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Canary:
    """How often (ms) a made-up lead goes through a form's public address, and to which destinations from there."""

    every: int
    deliver: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One entry `[forms.NAME]`. `origins` None: any page may post; `window` and `quiet` in ms.

    `honeypot` is a name that only robots fill in. `language` is a code or "auto"; `messages` are of its own language,
    `translations` of others by their code. `timezone` is that of the days and times of its exports.
    """

    name: str
    fields: Mapping[str, Field]
    deliver: tuple[str, ...]
    title: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    country: str = "IN"
    countries: tuple[str, ...] = ("IN", "US", "GB", "AE")
    origins: tuple[str, ...] | None = None
    redirects: tuple[str, ...] = ()
    window: int = 30 * 86_400_000
    quiet: int = 3_600_000
    repeat: Literal["update", "drop"] = "update"
    allow_extra: bool = True
    honeypot: str = "_gotcha"
    junk: Literal["accept", "quarantine", "reject"] = "accept"
    spam: Spam = field(default_factory=Spam)
    language: str = languages.DEFAULT
    messages: Messages = field(default_factory=Messages)
    translations: Mapping[str, Messages] = field(default_factory=dict)
    theme: Theme | None = None
    webflow: bool = False
    webflow_secret: Secret | None = None
    limits: Limits = Limits()
    captcha: Altcha | Turnstile | None = None
    consent: Agreement | None = None
    timezone: ZoneInfo = UTC
    ways: Mapping[str, Way] = field(default_factory=dict)
    canary: Canary | None = None

    @property
    def takes_webflow(self) -> bool:
        """Whether Webflow's webhook is for this form: asked for, or to be known by what only that has."""
        named = any(field.webflow for field in self.fields.values())
        return self.webflow or named or self.webflow_secret is not None

    def agreement_in(self, language: str) -> tuple[str, str]:
        """Return the text to agree to that a visitor of this language is shown, and the language it is in."""
        if self.consent is None:
            return "", language
        text = self.consent.translations.get(language)
        return (text, language) if text else (self.consent.text, languages.own(self.language))

    def messages_in(self, language: str) -> Messages:
        """Return the owner's texts in a language, as far as there are any."""
        is_own = language == languages.own(self.language)
        return self.messages if is_own else self.translations.get(language, Messages())
