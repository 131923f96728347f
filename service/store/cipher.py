"""What a person said, encrypted before it is kept and opened again when it is needed.

Invariant: knows texts and keys, not what they mean. AES-256-GCM of the package `cryptography` (NIST SP 800-38D), a
random nonce for each text; where a text belongs is authenticated with it, so that none can be put in another's place.
Without a key a text is kept as it is; what was kept so before there was a key can still be read.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.weak_secrets import RANDOM_KEY

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
NAME_BYTES: Final = 3
SEALED: Final = "e"
"""What a sealed text begins with; a packed one never does."""
WITNESS: Final = "leads:cipher"
"""A text sealed with the first key: it tells a process that has other keys, or none, before it takes anything."""
NO_KEY_OPENS: Final = (
    "No key in LEADS_ENCRYPTION_KEY opens what is kept. Add the key that was used until now behind the new one."
)
NO_KEY_GIVEN: Final = "What is kept is encrypted: set LEADS_ENCRYPTION_KEY to the key it was encrypted with."
HOW_TO_MAKE: Final = f"Make one with `{RANDOM_KEY}`."


class UnreadableError(Exception):
    """No key that we have opens a text, or it was changed. Says in a sentence what to do."""


class Cipher:
    """Seals with the first of its keys and opens with any; without keys it does nothing."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {hashlib.sha256(key).digest()[:NAME_BYTES]: key for key in keys}

    @property
    def is_on(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def seal(self, text: str, *place: str) -> str:
        """Return the text for keeping at `place`, such as a form and a field."""
        if not self._keys:
            return text
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- only where it is asked for

        name, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, text.encode(), _spelled(place))
        return SEALED + base64.urlsafe_b64encode(name + nonce + sealed).decode()

    def is_current(self, text: str) -> bool:
        """Tell whether a text is kept as `seal` would keep it now: under the first key, or plain without one."""
        if not self._keys:
            return not text.startswith(SEALED)
        name = base64.urlsafe_b64encode(next(iter(self._keys))).decode()  # three bytes: four characters of their own
        return text.startswith(SEALED + name)

    def open(self, text: str, *place: str) -> str:
        """Return what was sealed at `place`. Raises UnreadableError."""
        if not text.startswith(SEALED):
            return text
        if not self._keys:
            raise UnreadableError(NO_KEY_GIVEN)
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- only where it is asked for
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- it takes long to import, and few installations encrypt

        try:
            raw = base64.b64decode(text[1:], altchars=b"-_", validate=True)
            name, nonce = raw[:NAME_BYTES], raw[NAME_BYTES : NAME_BYTES + NONCE_BYTES]
            return AESGCM(self._keys[name]).decrypt(nonce, raw[NAME_BYTES + NONCE_BYTES :], _spelled(place)).decode()
        except (KeyError, InvalidTag, ValueError) as error:
            raise UnreadableError(NO_KEY_OPENS) from error


PLAIN: Final = Cipher()


def listed_in(listed: Secret) -> list[str]:
    """Return what is listed, in base64: commas or blanks stand between."""
    return listed.reveal().replace(",", " ").split()


def keys_of(listed: Secret) -> tuple[bytes, ...]:
    """Return the keys of LEADS_ENCRYPTION_KEY, commas or blanks between them. Raises CannotStart for what is none."""
    keys = []
    for number, text in enumerate(listed_in(listed), 1):
        try:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise CannotStart(f"LEADS_ENCRYPTION_KEY: key {number} is not {KEY_BYTES} bytes in base64. {HOW_TO_MAKE}")
        keys.append(key)
    if not keys:
        raise CannotStart(f"LEADS_ENCRYPTION_KEY is empty. {HOW_TO_MAKE}")
    return tuple(keys)


def _spelled(place: Sequence[str]) -> bytes:
    return "\0".join(place).encode()
