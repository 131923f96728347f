"""Signatures and keyed hashes: Standard Webhooks for what we send, the schemes of others for what they send us.

Invariant: pure. Bytes and a secret go in, a signature or a yes or no comes out; the clock is an argument.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from service.lib.secret import MASK, Secret

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)
TOLERANCE_S: Final = 300
LONGEST_TIMESTAMP: Final = 16
MOST_BEGUN: Final = 16
"""So many secrets are in use at once: ours, and those of before."""


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
    digest = hmac.digest(key_of(secret), signed, "sha256")
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
    begun = _begun(secret).copy()
    for part in map(str.encode, parts):
        begun.update(len(part).to_bytes(4, "big") + part)
    return urlsafe_b64encode(begun.digest()[:18]).decode()


@lru_cache(MOST_BEGUN)
def _begun(secret: Secret) -> hmac.HMAC:
    """Return HMAC-SHA256 as it is behind the key alone: that takes longest, and a submission has a dozen."""
    return hmac.new(secret.reveal().encode(), digestmod="sha256")


def fingerprint(secret: Secret) -> str:
    """Return what a secret is known again by: in Redis, and in the head of a backup."""
    return keyed_hash(secret, "backup")


MAX_AGE: Final = 5 * 60_000
"""How old, in ms, what others signed may be, where they sign the time."""
JWS: Final = "{jws}"
_PLACEHOLDER: Final = re.compile(r"(\{[^{}]+\})")
_GIVEN: Final = {"{hex}": "(?P<hex>[0-9a-f]{64})", "{base64}": "(?P<base64>[A-Za-z0-9+/]{43}=)", "{t}": "(?P<t>[0-9]+)"}


@dataclass(frozen=True, slots=True)
class Scheme:
    """How somebody signs what they send, by HMAC-SHA256 under the text of a secret.

    `header` carries the signature as `form` shows: `{hex}` or `{base64}` is the digest, `{t}` the time in s. `of` is
    what is signed: `{body}`, `{t}`, and `{Name}` for the header of that name. `time` is a header that has the time
    in ms, where `form` has none. A `form` of `{jws}` is a JSON Web Signature by HS256, issued by `of`, whose claim
    `sha256` is that of the body (RFC 7515).
    """

    header: str
    form: str = "{hex}"
    of: str = "{body}"
    time: str = ""


def is_signed(scheme: Scheme, secret: Secret, headers: Mapping[str, str], raw: bytes, now: int) -> bool:
    """Tell whether somebody who knows the secret signed these bytes; where the time is signed, in the last 5 minutes.

    `headers` are by their names in lower case; `now` in ms.
    """
    given = headers.get(scheme.header.lower(), "")
    if scheme.form == JWS:
        return _is_jws_of(raw, given, secret, scheme.of)
    found = re.fullmatch("".join(_GIVEN.get(piece, re.escape(piece)) for piece in _pieces(scheme.form)), given)
    if found is None:
        return False
    said = found.groupdict()
    time = headers.get(scheme.time.lower(), "") if scheme.time else said.get("t")
    if time is not None and not _is_fresh(time, 1 if scheme.time else 1_000, now):
        return False
    digest = _digest(scheme, secret, headers, raw, time or "")
    expected = base64.b64encode(digest).decode() if said.get("base64") else digest.hex()
    return hmac.compare_digest(expected, said.get("base64") or said["hex"])


def _digest(scheme: Scheme, secret: Secret, headers: Mapping[str, str], raw: bytes, time: str) -> bytes:
    known = {"{body}": raw, "{t}": time.encode("latin-1")}
    signed = b"".join(_signed(piece, known, headers) for piece in _pieces(scheme.of))
    return hmac.digest(secret.reveal().encode(), signed, "sha256")


def header_of(
    secrets: Sequence[Secret],
    scheme: Scheme | None,
    id: str,  # noqa: A002  the specification's word
    timestamp_s: int,
    body: bytes | None,
) -> tuple[str, str]:
    """Return the header that signs an attempt, by Standard Webhooks without a scheme; with `body` None it is masked."""
    if scheme is None:
        signed = [f"v1,{MASK}" if body is None else sign(secret, id, timestamp_s, body) for secret in secrets]
        return "webhook-signature", " ".join(signed)
    said = {"{hex}": MASK, "{base64}": MASK, "{t}": str(timestamp_s)}
    if body is not None:
        digest = _digest(scheme, secrets[0], {"webhook-id": id}, body, str(timestamp_s))
        said |= {"{hex}": digest.hex(), "{base64}": base64.b64encode(digest).decode()}
    return scheme.header, "".join(said.get(piece, piece) for piece in _pieces(scheme.form))


def _pieces(pattern: str) -> list[str]:
    return _PLACEHOLDER.split(pattern)


def _signed(piece: str, known: Mapping[str, bytes], headers: Mapping[str, str]) -> bytes:
    if piece in known:
        return known[piece]
    is_header = piece.startswith("{") and piece.endswith("}")
    return (headers.get(piece[1:-1].lower(), "") if is_header else piece).encode("latin-1", "replace")


def _is_fresh(time: str, unit: int, now: int) -> bool:
    signed_at = timestamp_of(time)
    return signed_at is not None and now - signed_at * unit <= MAX_AGE


def _is_jws_of(raw: bytes, token: str, secret: Secret, issuer: str) -> bool:
    """Tell whether a token speaks of these bytes. Its own word for the algorithm is never read (RFC 8725, 3.1)."""
    signed, _, signature = token.rpartition(".")
    digest = hmac.digest(secret.reveal().encode(), signed.encode("latin-1", "replace"), "sha256")
    expected = urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(expected, signature.encode("latin-1", "replace")):
        return False
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="), type=dict[str, object])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return False
    return claims.get("iss") == issuer and claims.get("sha256") == hashlib.sha256(raw).hexdigest()
