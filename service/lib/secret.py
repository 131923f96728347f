"""A text that must not be shown: it hides itself in every `repr`, f-string and log line."""

import functools
import hmac
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

MASK: Final = "***"
_SHORTEST: Final = 4
"""What is shorter stands in any text by chance."""


class Secret:
    """Holds one secret text; only `reveal()` gives it back.

    Two secrets are equal when their texts are, so that configurations can be compared.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap `text`."""
        self._text: Final = text

    def reveal(self) -> str:
        """Return the text itself, for the one line that signs or sends it."""
        return self._text

    def __repr__(self) -> str:
        """Show that there is something, never what."""
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        """Compare by text, in a time that tells nothing of it."""
        return isinstance(other, Secret) and hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        """Hash by text."""
        return hash(self._text)


def unshown(value: object) -> str:
    """Return what stands for a value that holds a stranger's words: in a `repr`, a traceback, a log line."""
    return f"{type(value).__name__}({MASK})"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


Text = tuple[str | Secret, ...]
"""A text of which some parts are secret, such as the value of an `Authorization` header."""


def reveal(text: Text) -> str:
    """Return the whole text with its secrets, for the one line that sends it."""
    return "".join(part.reveal() if isinstance(part, Secret) else part for part in text)


def mask(text: Text) -> str:
    """Return the text with `***` where a secret stands, for people."""
    return "".join(MASK if isinstance(part, Secret) else part for part in text)


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """Return what somebody else said with `***` where it repeats one of our secrets, as it is or percent-encoded."""
    for one in _spellings(tuple(secrets)):
        text = text.replace(one, MASK)
    return text


@functools.lru_cache(maxsize=128)
def _spellings(secrets: tuple[Secret, ...]) -> list[str]:
    """Return everything that would give one of the secrets away, the longest first."""
    said = {secret.reveal() for secret in secrets}
    # What stands behind the host of an address that is secret as a whole may come back by itself.
    parts = {part for one in said for part in re.split("[?&]", one.partition("://")[2].partition("/")[2])}
    said |= parts | {part.partition("=")[2] for part in parts}
    said |= {unquote(one) for one in said} | {quote(one, safe="") for one in said}
    return sorted((one for one in said if len(one) >= _SHORTEST), key=len, reverse=True)
