"""What the file names as `$NAME`: secrets from the environment, or from the file that `NAME_FILE` names.

Invariant: the environment and the reading of files are passed in. No message ever holds a value.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from service.config.table import Wrong, what, wrong
from service.lib.network import host_of
from service.lib.secret import Secret, Text
from service.lib.signature import key_of
from service.lib.text import is_unicode
from service.lib.weak_secrets import RANDOM_WHSEC

_WHOLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SECRET_NAMES: Final = re.compile(r".*(token|secret|password|passwd|api-?key|access-?key|auth-?key)")
_SECRET_HEADERS: Final = re.compile(r"(proxy-)?authorization|cookie|(.*[-_])?(key|token|secret|password)|.*apikey")


def asks_for_secret(name: str) -> bool:
    """Return whether a key of a body or query, by its name, holds a secret."""
    return bool(_SECRET_NAMES.fullmatch(name.lower().replace("_", "-")))


def header_asks_for_secret(name: str) -> bool:
    """Return whether a header, by its name, holds a secret."""
    return bool(_SECRET_HEADERS.fullmatch(name.lower()))


@dataclass(frozen=True, slots=True)
class Environment:
    """Where `$NAME` is looked up. `read_file` returns a file's text or raises OSError or ValueError."""

    values: Mapping[str, str]
    read_file: Callable[[str], str]

    def find(self, name: str) -> Secret | Wrong:
        """Return the value of NAME, without the blanks around it."""
        if name in self.values:
            return _full(self.values[name], f"`${name}`")
        file = f"{name}_FILE"
        if file not in self.values:
            return wrong(
                f"`${name}` is not set: set the environment variable {name} (or {file} to a file that holds it)"
            )
        try:
            return _full(self.read_file(self.values[file]), f"the file that {file} names")
        except (OSError, ValueError):
            return wrong(f"the file that {file} names cannot be read")

    def secret(self, value: object) -> Secret | Wrong:
        """Take a secret written as `$NAME`; a literal one is a mistake."""
        found = _WHOLE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return wrong(
                "must be a `$NAME`: a secret is never written into this file. Put it into an environment variable,"
                ' say NAME, and write "$NAME" here'
            )
        return self.find(found[1])

    def signing_secret(self, value: object) -> Secret | Wrong:
        """Take a `$NAME` that holds a Standard Webhooks secret."""
        secret = self.secret(value)
        if isinstance(secret, Wrong):
            return secret
        try:
            key_of(secret)
        except ValueError as reason:
            return wrong(f"{value} is no signing secret: {reason}. Make one with: {RANDOM_WHSEC}")
        return secret

    def proxy(self, value: object) -> Secret | Wrong:
        """Take a `$NAME` that holds the address of a proxy."""
        secret = self.secret(value)
        if isinstance(secret, Wrong):
            return secret
        try:
            parts = urlsplit(secret.reveal())
            fits = parts.scheme == "http" and bool(parts.port and host_of(parts)) and parts.path in {"", "/"}
        except ValueError:
            fits = False
        return secret if fits else wrong(f"{value} is no proxy: it must be as `http://user:password@host:3128`")

    def authorities(self, value: object) -> str | Wrong:
        """Take the name of a file with certificates; returns what it holds, PEM."""
        if not isinstance(value, str):
            return wrong(f"must be the name of a file, not {what(value)}")
        try:
            pem = self.read_file(value)
        except (OSError, ValueError):
            return wrong("names a file that cannot be read")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError):
            return wrong("names a file without a certificate in it: it must hold `-----BEGIN CERTIFICATE-----`")
        return pem

    def text(self, value: object) -> Text | Wrong:
        """Take a text with any number of `$NAME` in it; `$$` is a dollar sign. Braces mean nothing here."""
        if not isinstance(value, str):
            return wrong(f"must be a text, not {what(value)}")
        pieces = [value] if not value else re.split(r"(\$\$|\$[A-Za-z_][A-Za-z0-9_]*)", value)
        parts = [self.part(piece) for piece in pieces if piece]
        bad = [message for part in parts if isinstance(part, Wrong) for message in part.messages]
        return Wrong(tuple(bad)) if bad else tuple(part for part in parts if not isinstance(part, Wrong))

    def part(self, piece: str) -> str | Secret | Wrong:
        """Return one piece of such a text: itself, a dollar sign for `$$`, or the secret that `$NAME` names."""
        if piece == "$$":
            return "$"
        return self.find(piece[1:]) if _WHOLE.fullmatch(piece) else piece


def _full(value: str, whence: str) -> Secret | Wrong:
    stripped = value.strip()
    if not stripped:
        return wrong(f"{whence} is empty")
    # Bytes that are no UTF-8 come from the environment as lone surrogates.
    return Secret(stripped) if is_unicode(stripped) else wrong(f"{whence} is not UTF-8 text")
