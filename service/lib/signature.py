"""Signatures and keyed hashes: Standard Webhooks for what we send, Webflow's for what Webflow sends us.

Invariant: pure. Bytes and a secret go in, a signature or a yes or no comes out; the clock is an argument.

Sources: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
and https://developers.webflow.com/data/docs/working-with-webhooks
"""

import base64
import binascii
import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Final

from service.lib.secret import Secret

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)
TOLERANCE_S: Final = 300
LONGEST_TIMESTAMP: Final = 16


def key_of(secret: Secret) -> bytes:
    """Return the signing key in a `whsec_…` secret; its padding may be left out.

    Raises:
        ValueError: it is no `whsec_` and base64 of 24 to 64 bytes. The message never holds the secret.
    """
    text = secret.reveal()
    if not text.startswith(PREFIX):
        msg = f"it does not begin with {PREFIX}"
        raise ValueError(msg)
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        msg = f"what follows {PREFIX} is not base64"
        raise ValueError(msg) from None  # the cause may quote the secret
    if len(key) not in KEY_BYTES:
        msg = f"what follows {PREFIX} is {len(key)} bytes, not 24 to 64"
        raise ValueError(msg)
    return key


def sign(secret: Secret, id: str, timestamp_s: int, body: bytes) -> str:  # noqa: A002  the specification's word
    """Return the `v1,…` signature of one attempt at `timestamp_s` (whole seconds) to send `body`.

    Raises:
        ValueError: the secret is no `whsec_` secret (`config` never lets one through).
    """
    signed = f"{id}.{timestamp_s}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def verify(
    secrets: Iterable[Secret],
    *,
    id: str,  # noqa: A002  the specification's word
    timestamp: str,
    signatures: str,
    body: bytes,
    now: int,
    tolerance_s: int = TOLERANCE_S,
) -> bool:
    """Return whether one of the space-separated `signatures` was made with one of the secrets.

    `timestamp` is the header as it came; it must be within `tolerance_s` of `now` (ms), either way.
    Every comparison takes the same time, whatever the signature.
    """
    signed_at = timestamp_of(timestamp)
    if signed_at is None or abs(now // 1000 - signed_at) > tolerance_s:
        return False
    given = [signature.encode("utf-8", "replace") for signature in signatures.split()]
    expected = [sign(secret, id, signed_at, body).encode() for secret in secrets]
    return any([hmac.compare_digest(one, other) for one in given for other in expected])  # noqa: C419  no early end


def timestamp_of(header: str) -> int | None:
    """Return the whole number that a timestamp's header spells, None if it is none of a sensible length."""
    return int(header) if header.isascii() and header.isdigit() and len(header) <= LONGEST_TIMESTAMP else None


def hmac_hex(secret: Secret, message: bytes) -> str:
    """Return the HMAC-SHA256 of `message` under the secret's text, in hexadecimal digits."""
    return hmac.new(secret.reveal().encode(), message, hashlib.sha256).hexdigest()


def keyed_hash(secret: Secret, *parts: str) -> str:
    """Return 24 URL-safe characters (144 bits) that stand for `parts`; no part can run into the next."""
    named = b"".join(len(part).to_bytes(4, "big") + part for part in (part.encode() for part in parts))
    digest = hmac.digest(secret.reveal().encode(), named, "sha256")
    return urlsafe_b64encode(digest[:18]).decode()


def fingerprint(secret: Secret) -> str:
    """Return what a secret is known again by: in Redis, and in the head of a backup."""
    return keyed_hash(secret, "backup")


def webflow_signature(secret: Secret, timestamp: str, raw: bytes) -> str:
    """Return what Webflow puts into `x-webflow-signature` for `x-webflow-timestamp` and the raw body.

    Compare it with `hmac.compare_digest`.
    """
    return hmac_hex(secret, timestamp.encode() + b":" + raw)
