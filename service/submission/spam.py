"""What about a submission looks like spam: signals by their name, with what each weighs at the form.

Invariant: pure. A signal is only ever something that is there: what a client does not send speaks for nobody and
against nobody. Nothing here decides; `accept.lua` adds up, and knows the one signal that no submission shows alone.
"""

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Final

import msgspec

from service.lib.network import ascii_host
from service.lib.secret import Secret
from service.lib.signature import hmac_hex
from service.lib.text import clean, fold_blanks
from service.model.form import Form, fold
from service.model.lead import Content
from service.submission.form_data import Control

TOO_FAST_MS: Final = 2_000
TOKEN_AGE_MS: Final = 24 * 3_600_000
LONG_TEXT: Final = 60
MOST_LINKS: Final = 3

_TOKEN: Final = re.compile(r"([0-9a-f]{1,12})-([0-9a-f]{32})")
_ELAPSED: Final = re.compile(r"[0-9]{1,12}")
_LONGEST_SESSION: Final = 2_000
_LONGEST_DOMAIN: Final = 255

_LINK: Final = re.compile(
    r"\b(?:https?://|www\.|(?:t\.me|wa\.me|bit\.ly|goo\.gl|tinyurl\.com)/)[^\s<>\[\]\"']+", re.IGNORECASE
)
# Names of what is asked for an address, or filled by a script with the page's.
_ADDRESSES: Final = re.compile(r"url|website|homepage|link|referr?er|^(?:web|site|page|landing|source)$|page$")
_TAG: Final = (
    r"<(?=/?[abdefhilopstu])/?+(?>a|body|br|b|div|em|font|form|h[1-6]|html|iframe|img|input|i|li|object|p|script|span|strong|style|table|ul|u)"
    r"(?:[\s/][^<>]*+)?+>"
)
_BBCODE: Final = r"\[(?:url|link|img|email)(?:=[^\[\]]*)?\]|\[/(?:b|code|color|i|quote|size|u)\]"
_MARKUP: Final = re.compile(f"{_TAG}|{_BBCODE}", re.IGNORECASE)


class _Session(msgspec.Struct, frozen=True):
    """The header `Formspree-Session-Data` of Formspree's clients: when the page was loaded, and by what."""

    loadedAt: int | float | None = None  # noqa: N815  their word
    webdriver: bool | None = None


def of_content(form: Form, control: Control, content: Content) -> dict[str, int]:
    """Return the signals that stand in what was sent."""
    links = len({link.lower() for text in _searched(form, content) for link in _LINK.findall(text)})
    emails = (answer for name, answer in content.fields.items() if _is(form, name, "email"))
    addresses = (answer.text for answer in emails if "typo" not in answer.flags)  # a slip is no disposable address
    phones = (answer.phone for answer in content.fields.values() if answer.phone)
    return _weighed(form, {
        "honeypot": bool(clean(control.gotcha, multiline=True)),
        "trap": bool(clean(control.remark, multiline=True)),
        "links": min(links, MOST_LINKS),
        "markup": any(map(_has_markup, _texts(content))),
        "disposable": any(map(_is_disposable, addresses)),
        "junk_phone": any("junk" in phone.flags for phone in phones),
    })  # fmt: skip


def of_visit(form: Form, control: Control, session: str, *, secret: Secret, now: int) -> dict[str, int]:
    """Return the signals of how it was sent; `session` is the header `Formspree-Session-Data`, `now` in ms.

    Our own token says how long the form was open. Where there is none, the browser's word is taken, the longest time
    that it names. A `_token` of another shape is not ours: web frameworks have one of that name.
    """
    session_data, age = _read_session(session), read_token(secret, form, control.token, now)
    times = [_elapsed(control.elapsed), None if session_data.loadedAt is None else now - session_data.loadedAt]
    open_for = age if age is not None else max((elapsed for elapsed in times if elapsed is not None), default=None)
    return _weighed(form, {
        "too_fast": open_for is not None and 0 <= open_for < TOO_FAST_MS,
        "stale_token": age is None and _TOKEN.fullmatch(control.token.strip()) is not None,
        "webdriver": session_data.webdriver is True or control.webdriver.strip() in {"1", "true"},
    })  # fmt: skip


def make_token(secret: Secret, form: Form, opened_at: int) -> str:
    """Return the token of a form that was opened at `opened_at` (ms): the time, and the service's word for it."""
    return f"{opened_at:x}-{hmac_hex(secret, f'token:{form.name}:{opened_at:x}'.encode())[:32]}"


def read_token(secret: Secret, form: Form, token: str, now: int) -> int | None:
    """Return for how many ms the form was open; None for a token that is not ours, or older than a day."""
    found = _TOKEN.fullmatch(token.strip())
    if found is None:
        return None
    opened_at = int(found[1], 16)
    is_ours = hmac.compare_digest(make_token(secret, form, opened_at), token.strip())
    return now - opened_at if is_ours and now - opened_at <= TOKEN_AGE_MS else None


def renew_token(secret: Secret, form: Form, token: str, now: int) -> str:
    """Return the token of a form that is shown again: the clock runs on, and nobody who corrects a slip is too fast."""
    if read_token(secret, form, token, now) is not None:
        return token.strip()
    return make_token(secret, form, now - TOO_FAST_MS)


def long_text(form: Form, content: Content) -> str | None:
    """Return what counts of the longest text in the form's fields; None if it is too short to be known again."""
    texts = (_folded(answer.text) for name, answer in content.fields.items() if _is(form, name, "text"))
    longest = max(texts, key=len, default="")
    return longest if len(longest) >= LONG_TEXT else None


def by_weight(signals: Mapping[str, int]) -> tuple[str, ...]:
    """Return the names of signals, the heaviest first."""
    return tuple(sorted(signals, key=lambda name: (-signals[name], name)))


def _weighed(form: Form, found: Mapping[str, int]) -> dict[str, int]:
    """Return what each signal found weighs, times how often it was; one that weighs nothing is switched off."""
    weighed = {name: times * form.spam.weights[name] for name, times in found.items()}
    return {name: weight for name, weight in weighed.items() if weight}


def _is(form: Form, name: str, type_: str) -> bool:
    field = form.fields.get(name)
    return field is not None and field.type == type_


def _texts(content: Content) -> Iterator[str]:
    yield from (answer.value for answer in content.fields.values() if isinstance(answer.value, str))
    yield from content.extra.values()


def _has_markup(text: str) -> bool:
    return ("<" in text or "[" in text) and _MARKUP.search(text) is not None


def _searched(form: Form, content: Content) -> Iterator[str]:
    """Yield the texts in which nobody was asked for a link; an extra that is one and no more is some script's."""
    for name, answer in content.fields.items():
        if _is(form, name, "text") and not _asks_for_address(name, *form.fields[name].aliases):
            yield str(answer.value)
    for name, text in content.extra.items():
        if not (_ADDRESSES.search(fold(name)) or _LINK.fullmatch(text)):
            yield text


@lru_cache(maxsize=1_000)
def _asks_for_address(*names: str) -> bool:
    return any(_ADDRESSES.search(fold(name)) for name in names)


def _folded(text: str) -> str:
    return fold_blanks(text).casefold()


def _is_disposable(address: str) -> bool:
    """Tell whether the domain of an address, or one above it, is on the list."""
    labels = _labels(address[-_LONGEST_DOMAIN:])
    return any(".".join(labels[place:]) in _disposable() for place in range(len(labels) - 1))


def _labels(address: str) -> list[str]:
    domain = address.rpartition("@")[2].lower()
    return (ascii_host(domain) or domain).split(".")


@cache
def _disposable() -> frozenset[str]:
    from disposable_email_domains import blocklist  # noqa: PLC0415  1 MB that only addresses ask for

    return frozenset(blocklist)


def _read_session(header: str) -> _Session:
    """Read the header; what is broken says nothing."""
    try:
        return msgspec.json.decode(b64decode(header[:_LONGEST_SESSION], validate=True), type=_Session)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return _Session()


def _elapsed(text: str) -> int | None:
    found = _ELAPSED.fullmatch(text.strip())  # int() knows fewer blanks than strip() does
    return int(found[0]) if found else None
