"""Whether a secret could be guessed by somebody who knows how secrets are made up.

Invariant: pure, and no sentence holds the secret. It finds what was never random (a placeholder, a repeated sign, a
text from a manual), not what is merely short: a secret made by chance is never suspected.
"""

import base64
import binascii
import re
from itertools import pairwise
from typing import Final

from service.lib.secret import Secret
from service.lib.signature import PREFIX

# The commands that make one by chance.
RANDOM_TEXT: Final = "openssl rand -hex 32"
RANDOM_KEY: Final = "openssl rand -base64 32"
RANDOM_WHSEC: Final = f'echo "{PREFIX}$({RANDOM_KEY})"'

# What people write where a secret belongs, until they have one. Longer words first: `changeme` before `change`.
_WORDS: Final = re.compile(
    r"changeme|changethis|change|placeholder|passphrase|password|passwd|secrets?|default|example|sample|replace|insert|"
    r"webhook|whsec|signing|leads?|capture|service|random|string|value|token|least|characters?|chars?|dummy|testing|"
    r"test|todo|fixme|please|production|development|clinic|admin|here|this|with|your|that|long|some|very|more|"
    r"key|the|own|min|for|crm|dev|abc|xyz|foo|bar|baz|put|not|use|one|me|my|to|at|in|it|is|be|an|or|of|x+|a"
)
_TELLING: Final = re.compile(
    r"change|placeholder|pass(?:phrase|word|wd)|secret|default|example|sample|replace|insert|dummy|todo|fixme|your|"
    r"xxx|foobar|testing"
)
_SPARE_LETTERS: Final = 6
_LOOKED_AT: Final = 500
# From the specification of Standard Webhooks and the manuals of those who use it; and Cloudflare's for trying Turnstile
# out, which let everything or nothing pass (https://developers.cloudflare.com/turnstile/troubleshooting/testing/).
_PUBLISHED: Final = frozenset(
    {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "plJ3nmyCDGBKInavdOK15jsl"}
    | {f"{prefix}x0000000000000000000000000000000AA" for prefix in (1, 2, 3)}
)


def weakness(secret: Secret) -> str:
    """Return why anybody could guess this secret, as the end of a sentence; "" for one that may well be random."""
    text = secret.reveal()[:_LOOKED_AT].removeprefix(PREFIX)
    if text.rstrip("=") in _PUBLISHED:
        return "stands in a published example"
    for candidate in (text, _decoded(text) if secret.reveal().startswith(PREFIX) else ""):
        if candidate and (why := _why(candidate)):
            return why
    return ""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""


def _why(text: str) -> str:
    if _period(text) <= len(text) // 2:
        return "is one piece over and over"
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    if sum(step in {1, -1} for step in steps) > len(steps) / 2:
        return "only counts up or down"
    letters = re.sub(r"[^a-z]", "", text.casefold())
    if _TELLING.search(letters) and len(_WORDS.sub("", letters)) < _SPARE_LETTERS:
        return "is a placeholder"
    return ""


def _period(text: str) -> int:
    """Return the length of the shortest piece that makes the text by being repeated (its last time maybe not whole)."""
    return next(length for length in range(1, len(text) + 1) if text[length:] == text[: len(text) - length])
