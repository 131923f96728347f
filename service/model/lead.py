"""What a person told one form: an answer, a content, a submission, a lead, a delivery.

Invariant: plain frozen values. Nothing here knows how they are checked, kept or sent.
Times are integers: milliseconds since 1970-01-01 UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from service.lib.secret import unshown

Value = str | int | float | bool | tuple[str, ...]


class Phone(msgspec.Struct, frozen=True, omit_defaults=False):
    """The `phone` object of a delivery. `e164` is None for a number that could not be read (Webflow only).

    `raw` is what was typed; `type` is the library's number type ("MOBILE", "FIXED_LINE", …);
    `flags` are of "repaired", "unverified", "junk"; `rest` is what followed the number in the same
    field and `extension` its extension, each None where there was none.
    """

    raw: str
    e164: str | None = None
    national: str | None = None
    international: str | None = None
    country: str | None = None
    type: str | None = None
    flags: tuple[str, ...] = ()
    extension: str | None = None
    rest: str | None = None

    __repr__ = unshown


class Answer(msgspec.Struct, frozen=True):
    """One field's cleaned answer. `flags` are codes that did not refuse it ("typo", "NOT_A_CHOICE")."""

    value: Value
    flags: tuple[str, ...] = ()
    phone: Phone | None = None

    __repr__ = unshown

    @property
    def text(self) -> str:
        """The value as people read it: several choices with commas between them."""
        return ", ".join(self.value) if isinstance(self.value, tuple) else str(self.value)


class Touch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One visit to the website, as its script remembers it: `at` is ISO 8601, every value "" or empty if unknown."""

    page: str = ""
    referrer: str = ""
    utm: dict[str, str] = msgspec.field(default_factory=dict)
    click_ids: dict[str, str] = msgspec.field(default_factory=dict)
    at: str = ""

    __repr__ = unshown


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a submission came from; never news.

    `utm` and `click_ids` by the names in `UTM` and `CLICK_IDS`; the touches are the first and the last visit that
    a campaign, a click or another website led to, None where the page does not ask for them.
    """

    page: str = ""
    referrer: str = ""
    utm: dict[str, str] = msgspec.field(default_factory=dict)
    click_ids: dict[str, str] = msgspec.field(default_factory=dict)
    first_touch: Touch | None = None
    last_touch: Touch | None = None

    __repr__ = unshown


class Consent(msgspec.Struct, frozen=True):
    """What was agreed to, or not; never news. The hash is of the UTF-8 text that was read, `at` is ISO 8601."""

    agreed: bool
    version: str
    text_sha256: str
    at: str
    language: str


UTM = ("source", "medium", "campaign", "term", "content", "id")
CLICK_IDS = ("gclid", "gbraid", "wbraid", "fbclid", "msclkid")


@dataclass(frozen=True, slots=True)
class Content:
    """What was said, checked and cleaned: named fields by their configured name, extras by their own.

    Only what was given and is not empty stands here.
    """

    fields: Mapping[str, Answer]
    extra: Mapping[str, str]
    source: Source = field(default_factory=Source)
    consent: Consent | None = None
    flags: tuple[str, ...] = ()
    """What is to be known of the whole, such as "captcha_unverified"."""

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Lead:
    """One version of one person's enquiry at one form, whole.

    `signals` are what looked like spam about the submission that made it, with their weights; never news.
    """

    id: str
    form: str
    version: int
    content: Content
    accepted_at: int
    received_at: int
    first_seen_at: int
    enquiries: int
    signals: Mapping[str, int] = field(default_factory=dict)


EventType = Literal["lead.created", "lead.updated", "lead.erased"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One lead version owed to one destination, as it is to be rendered.

    `changed` names what differs from the version this destination got last: `name` for a field,
    `extra.colour` for an extra. Type and `changed` never differ between two tries. `record` is the destination's own
    id of this lead, None as long as it is not known.
    """

    lead: Lead
    type: EventType
    changed: tuple[str, ...] = ()
    test: bool = False
    record: str | int | None = None

    @property
    def webhook_id(self) -> str:
        """The id of this delivery at its receiver: the same on every try."""
        return f"{self.lead.id}.{self.lead.version}"

    def with_record(self, record: str | int | None) -> "Delivery":
        """Return it to a destination that has the lead under this id of its own."""
        return self if self.record == record else replace(self, record=record)
