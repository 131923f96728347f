"""What one attempt came to, and when to try again.

Invariant: a failure says only whether, when and for whom to try again. Nothing here sends or keeps anything.
A reason is for the person on call: our own words, never the destination's, which may echo what a visitor typed.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from service.lib.network import host_of
from service.lib.secret import unshown

Scope = Literal["delivery", "load", "setup", "token", "fault"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has it. `status` is the HTTP status it said so with, `excerpt` the beginning of its words.

    `record` is its own id of the lead, None if it named none that is to be kept.
    """

    status: int
    excerpt: str = field(default="", compare=False)
    record: str | int | None = None

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. `after` (ms since 1970) is the earliest the destination asked for, None if it did not ask.

    `scope` says whom it is about: "delivery", this one alone; "load", the destination asks everybody to
    slow down (429, 503); "setup", our configuration is wrong and nothing will get through (401, 404, a
    certificate …); "token", the same, but of a token, so that another one may help; "fault", a fault of this
    service, which says nothing about the destination.
    """

    reason: str
    after: int | None = None
    scope: Scope = "delivery"
    status: int | None = None
    excerpt: str = ""

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: this lead is refused as it is. `excerpt` is what the destination answered, 500 characters at most."""

    reason: str
    status: int | None = None
    excerpt: str = ""

    __repr__ = unshown


Outcome = Delivered | Retry | Rejected

EXCERPT: Final = 500
LONGEST_RETRY_AFTER: Final = 3_600_000
_SECONDS: Final = re.compile(r"([0-9]+)(?:\.([0-9]*))?")
"""Whole ones by RFC 9110; some servers write `3.0`."""

_MEANINGS: Final[Mapping[int, tuple[Scope, str]]] = MappingProxyType(
    {
        401: ("setup", "it does not accept our key"),
        403: ("setup", "our key may not do this there, or a firewall stands before it"),
        404: ("setup", "nothing is at this address: look at it, and at the ids in it"),
        405: ("setup", "this address takes no POST"),
        407: ("setup", "the proxy before it does not accept our user and password"),
        408: ("delivery", "it waited too long for our request"),
        409: ("delivery", "it says that it already has this or is still busy with it"),
        410: ("setup", "this address is gone for good"),
        425: ("delivery", "it asks to be sent this later"),
        429: ("load", "it asks us to send more slowly"),
        500: ("delivery", "it broke on its side"),
        502: ("delivery", "the gateway before it got no answer from it"),
        503: ("load", "it is overloaded or being worked on"),
        504: ("delivery", "the gateway before it waited too long for it"),
    }
)
"""What retried answers mean. Source: RFC 9110, section 15."""

_REFUSALS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "it cannot read this lead",
        413: "this lead is too large for it",
        415: "it does not take this format",
        422: "it finds a value of this lead wrong",
    }
)


def judge(
    status: int,
    headers: Mapping[str, str],
    excerpt: str,
    *,
    delivered: Collection[int] = (),
    rejected: Collection[int] = (),
    retried: Collection[int] = (),
    now: int,
) -> Outcome:
    """Return what an answer means. The three lists are the destination's own and come first.

    `excerpt` is the beginning of the answer's body, as text; at most 500 characters of it are kept.
    A status that the destination itself lists as `retried` is about this delivery alone, unless it is 429 or 503.
    """
    if status in delivered:
        return Delivered(status, excerpt[:EXCERPT])
    if status in rejected:
        return _reject(status, excerpt, "this destination means a refusal by it")
    if status in retried:
        scope: Scope = "load" if _MEANINGS.get(status, ("delivery",))[0] == "load" else "delivery"
        return _retry(status, excerpt, (scope, "this destination means a later try by it"), retry_after(headers, now))
    if status // 100 == 2:  # noqa: PLR2004 -- RFC 9110, section 15.3
        return Delivered(status, excerpt[:EXCERPT])
    return _judge_by_standard(status, excerpt, retry_after(headers, now), _redirected(headers))


def _judge_by_standard(status: int, excerpt: str, after: int | None, redirected: str) -> Outcome:
    if status in _MEANINGS:
        return _retry(status, excerpt, _MEANINGS[status], after)
    match status // 100:
        case 3:
            return _retry(status, excerpt, ("setup", f"it sends us to {redirected}, and we do not follow"), after)
        case 1 | 4:
            return _reject(status, excerpt, _REFUSALS.get(status, "it refuses this lead"))
        case _:
            return _retry(status, excerpt, ("delivery", "something is wrong on its side"), after)


def _redirected(headers: Mapping[str, str]) -> str:
    """Name where a redirect leads: its origin alone, since what stands behind it may hold a secret of our address."""
    location = next((value.strip() for name, value in headers.items() if name.lower() == "location"), "")
    try:
        parts = urlsplit(location)
        host, port = host_of(parts), parts.port
    except ValueError:
        return "an address that is none"
    if not location:
        return "another address"
    if not parts.scheme and not parts.netloc:
        return "another path of the same host"
    if parts.scheme not in {"http", "https", ""} or not host:
        return "an address that is none"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}{':' if parts.scheme else ''}//{shown}{f':{port}' if port else ''}"


def _retry(status: int, excerpt: str, meaning: tuple[Scope, str], after: int | None) -> Retry:
    scope, words = meaning
    return Retry(f"the CRM answered {status}: {words}", after, scope, status, excerpt[:EXCERPT])


def _reject(status: int, excerpt: str, words: str) -> Rejected:
    return Rejected(f"the CRM answered {status}: {words}", status, excerpt[:EXCERPT])


def retry_after(headers: Mapping[str, str], now: int) -> int | None:
    """Return when `Retry-After` (seconds or a date, RFC 9110 section 10.2.3) allows the next try, in ms since 1970.

    At most an hour from `now`. None where there is none, it cannot be read, or it asks for no pause.
    """
    text = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    seconds = _SECONDS.fullmatch(text)
    asked = now + _seconds(seconds[1], seconds[2] or "") * 1000 if seconds else _date(text)
    if asked is None or asked <= now:
        return None
    return min(asked, now + LONGEST_RETRY_AFTER)


def _seconds(digits: str, fraction: str) -> int:
    whole = int(digits.lstrip("0")[:6] or "0")  # a longer one is capped anyway; int() refuses 5,000 digits
    return whole + bool(fraction.strip("0"))


def _date(text: str) -> int | None:
    try:
        moment = parsedate_to_datetime(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def next_try(attempts_made: int, retry: Sequence[int], now: int, jitter: float, not_before: int | None) -> int | None:
    """Return when a delivery that failed `attempts_made` times (1 or more) is due again, in ms; None: no try is left.

    `retry` holds the pauses in ms. `jitter` in [0, 1) lengthens the pause by 0 to 20 %; it is never shortened, and
    `not_before` (ms since 1970) can only make it later.

    Raises:
        ValueError: nothing was tried yet.
    """
    if attempts_made < 1:
        msg = f"{attempts_made} attempts cannot have failed"
        raise ValueError(msg)
    if attempts_made > len(retry):
        return None
    pause = retry[attempts_made - 1]
    due = now + pause + int(pause * jitter / 5)
    return due if not_before is None else max(due, not_before)
