"""What is kept of a lead, in words for people: what happened at each destination and what happens next, signals, flags.

Invariant: pure; moments come as ms and go out in the desk's time zone. What a reader may not see is covered here, and
nowhere else: `cover` knows an address and a number wherever they stand in a text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from service.lib.text import many
from service.lib.times import length
from service.model.form import Form
from service.model.lead import Content, Source
from service.store.archive import KeptDelivery, KeptVersion
from service.submission.spam import by_weight

SIGNALS: Final = {
    "honeypot": "a field that no person can see was filled in",
    "trap": "a field that only robots fill in was filled in",
    "webdriver": "a program drove the browser",
    "too_fast": "it was filled in within two seconds",
    "markup": "it has the markup of a page in it",
    "same_text": "many people sent the same text that day",
    "links": "it has several links in it",
    "disposable": "the e-mail address is one to throw away",
    "junk_phone": "the phone number is made up",
    "stale_token": "the page had been open for more than a day",
    "rate": "too many came from there at once",
    "test": "whoever sent it says that it is a test",
    "cancelled": "a booking was cancelled",
    "signature": "it is not signed as it should be",
    "junk": "the phone number is made up",
}  # fmt: skip
"""Why something looks like spam, by the name of the signal."""
STATES: Final = {
    "waiting": "on its way",
    "delivered": "delivered",
    "dead": "not delivered",
    "superseded": "replaced by a newer version",
    "erased": "erased",
    "not owed": "not sent there",
}
CODES: Final = {
    "REQUIRED_FIELD_MISSING": "it did not come with the form", "REQUIRED_FIELD_EMPTY": "left empty",
    "TYPE_EMAIL": "no e-mail address", "TYPE_NUMERIC": "no number", "TYPE_TEXT": "no text", "TYPE_DATE": "no date",
    "TOO_LONG": "too long", "NOT_A_CHOICE": "none of the choices", "UNKNOWN_FIELD": "a field that is not the form's",
    "EMPTY": "nothing was filled in", "TOO_MANY_FIELDS": "too many fields", "NO_FILE_UPLOADS": "a file was attached",
    "CONSENT_REQUIRED": "not agreed to", "CAPTCHA_MISSING": "the challenge was not answered",
    "CAPTCHA_FAILED": "the challenge was answered wrong", "PHONE_TOO_SHORT": "too few digits",
    "PHONE_TOO_LONG": "too many digits", "PHONE_INVALID_LENGTH": "a wrong number of digits",
    "PHONE_MISSING_AREA_CODE": "without its area code", "PHONE_INVALID_COUNTRY_CODE": "no such country code",
    "PHONE_NOT_A_NUMBER": "no phone number", "PHONE_INVALID_BUT_POSSIBLE": "no such phone number",
    "PHONE_UNSUPPORTED_TYPE": "a kind of number that cannot be called back", "UNREADABLE_BODY": "it could not be read",
    "UNAUTHORIZED": "whoever told us could not prove who they are",
    "ORIGIN_NOT_ALLOWED": "from a page that may not post here", "WEBHOOK_NOT_ALLOWED": "a webhook nobody asked for",
    "BODY_TOO_LARGE": "too much at once", "UNSUPPORTED_MEDIA_TYPE": "in an encoding that is not known",
    "TOO_MANY_REQUESTS": "too many at once",
}  # fmt: skip
"""Why a submission, or one field of it, was refused, by the code of the problem."""
FLAGS: Final = {
    "repaired": "the phone number was put right as it was read", "unverified": "the phone number may not exist",
    "junk": "the phone number is made up", "typo": "the e-mail address may be mistyped",
    "disposable": "the e-mail address is one to throw away", "recoded": "its page does not say how it writes letters",
    "repaired_text": "a letter of it could not be read", "captcha_unverified": "its challenge could not be checked",
}  # fmt: skip
"""What is to be known of a lead, by the name of the flag; codes and signals are flags, too."""
_EMAIL: Final = re.compile(r"([^\s@<>(),;:]{1,64})@([^\s@<>(),;:]{1,255})")
_NUMBER: Final = re.compile(r"\+?\d(?:[\s().\-/\u00a0\u2010-\u2015]{0,3}\d){5,}")
_SHOWN_DIGITS: Final = 3


def cover(text: str) -> str:
    """Cover every e-mail address and every number of six digits or more: `a•••@example.com`, `•••••••001`."""
    return _NUMBER.sub(_cover_number, _EMAIL.sub(lambda found: f"{found[1][:1]}•••@{found[2]}", text))


def _cover_number(found: re.Match[str]) -> str:
    left = sum(touch.isdigit() for touch in found[0]) - _SHOWN_DIGITS
    covered = []
    for touch in found[0]:
        covered.append("•" if touch.isdigit() and left > 0 else touch)
        left -= touch.isdigit()
    return "".join(covered)


def as_it_is(text: str) -> str:
    """Cover nothing."""
    return text


@dataclass(frozen=True, slots=True)
class Times:
    """Writes moments for people in one time zone, seen from `now` (ms)."""

    zone: ZoneInfo
    now: int

    def local(self, ms: int) -> datetime:
        """Return a moment there."""
        return datetime.fromtimestamp(ms / 1000, self.zone)

    def moment(self, ms: int) -> str:
        """Write a moment: `10:42`, `yesterday, 10:42`, `3 November, 10:42`; of another year with it."""
        then, today = self.local(ms), self.local(self.now).date()
        days = (today - then.date()).days
        if days == 0:
            return f"{then:%H:%M}"
        if days == 1:
            return f"yesterday, {then:%H:%M}"
        if days == -1:
            return f"tomorrow, {then:%H:%M}"
        year = "" if then.year == today.year else f" {then.year}"
        return f"{then.day} {then:%B}{year}, {then:%H:%M}"

    def exact(self, ms: int) -> str:
        """Write a moment to the second, with its zone."""
        return f"{self.local(ms):%Y-%m-%d %H:%M:%S %Z}"

    def said(self, text: str) -> str:
        """Write a moment that is told in ISO 8601; what is none stays as it is."""
        try:
            return self.moment(int(datetime.fromisoformat(text).timestamp() * 1000))
        except (ValueError, OverflowError, OSError):
            return text

    def iso(self, ms: int) -> str:
        """Write a moment for programs."""
        return self.local(ms).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one delivery stands: a sentence, and what happens next, "" for nothing more."""

    sentence: str
    then: str = ""


def delivery_in_words(delivery: KeptDelivery, received_at: int, times: Times) -> Standing:
    """Tell how a delivery stands; `received_at` (ms) is when its latest version was sent to us."""
    name, state = delivery.destination, delivery.state
    match state:
        case "delivered":
            return _delivered(delivery, received_at, times)
        case "waiting":
            return Standing(f"On its way to {name}.", _next(delivery, times))
        case "dead":
            why = max(delivery.why.items(), key=lambda death: int(death[0]), default=("", (0, "", "")))[1]
            reason = f" since {times.moment(why[0])}: {why[1]}" if why[0] else ""
            return Standing(f"Not delivered to {name}{reason}.", "Nothing more is tried until somebody sends it again.")
        case "superseded":
            return Standing(f"{name} has an earlier version, and takes no later ones.")
        case "erased":
            return Standing(f"Erased before {name} had it.")
        case _:
            return Standing(f"Not sent to {name}.")


def _delivered(delivery: KeptDelivery, received_at: int, times: Times) -> Standing:
    done = next((attempt for attempt in reversed(delivery.attempts) if attempt.result == "delivered"), None)
    if done is None:
        return Standing(f"At {delivery.destination}.")
    tries = sum(attempt.version == done.version for attempt in delivery.attempts)
    how_often = f" It took {tries} tries." if tries > 1 else ""
    after = length(done.at + done.took - received_at)
    return Standing(f"At {delivery.destination} since {times.moment(done.at)}, {after} after it was sent.{how_often}")


def _next(delivery: KeptDelivery, times: Times) -> str:
    if delivery.leased:
        return "It is being sent at this moment."
    if delivery.paused:
        return f"{delivery.destination} is paused: {delivery.paused}"
    if delivery.due_at is None:
        return ""
    if delivery.due_at <= times.now:
        return "It is due now."
    tries = f" after {many(delivery.tries, 'try', 'tries')}" if delivery.tries else ""
    return f"The next try{tries} is at {times.moment(delivery.due_at)}."


def signals_in_words(signals: Mapping[str, int]) -> list[str]:
    """Return why something looked like spam, the weightiest first."""
    return [reason_in_words(name) for name in by_weight(dict(signals))]


def reason_in_words(name: str) -> str:
    """Return why something was held, by the name of the reason."""
    return SIGNALS.get(name, name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said in a version: was there `before`, and what, if it changed."""

    label: str
    text: str
    before: str | None = None
    is_new: bool = False


def said_in(version: KeptVersion, earlier: KeptVersion | None, covered: Callable[[str], str]) -> list[Said]:
    """Return what a version says, each beside what the version before it said."""
    earlier = None if earlier and earlier.sha1 else earlier  # what that said is not kept
    before = dict(_spoken(earlier.content)) if earlier else {}
    return [
        Said(
            label,
            covered(text),
            covered(before[label]) if label in before and before[label] != text else None,
            earlier is not None and before.get(label) != text,
        )
        for label, text in _spoken(version.content)
    ]


def _spoken(content: Content) -> Iterator[tuple[str, str]]:
    for name, answer in content.fields.items():
        yield name, answer.text
    yield from content.extra.items()


def origin_of(source: Source, covered: Callable[[str], str], times: Times) -> list[tuple[str, str]]:
    """Return where a submission came from, a row for each thing that is known."""
    rows = [("Page", source.page), ("Came from", source.referrer)]
    rows += [("Campaign" if name == "campaign" else f"Campaign {name}", text) for name, text in source.utm.items()]
    rows += [(f"Click on an ad ({name})", text) for name, text in source.click_ids.items()]
    touches = {"First visit": source.first_touch, "Last visit": source.last_touch}
    if source.first_touch == source.last_touch:
        touches = {"First and last visit": source.first_touch}
    for title, touch in touches.items():
        if touch:
            seen = [times.said(touch.at), touch.page, touch.referrer and f"from {touch.referrer}"]
            seen += [*touch.utm.values(), *touch.click_ids]
            rows.append((title, " · ".join(filter(None, seen))))
    return [(name, covered(text)) for name, text in rows if text]


def flag_in_words(name: str) -> str:
    """Return what is to be known of a lead, by the name of the flag, the code or the signal."""
    return FLAGS.get(name) or CODES.get(name) or reason_in_words(name)


def words_of_field(form: Form, name: str) -> str:
    """Return what a field is called, "the whole form" for none."""
    return (form.fields[name].label or form.fields[name].words) if name in form.fields else name or "The whole form"
