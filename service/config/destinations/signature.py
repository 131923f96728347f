"""`secret` and `signature` of a destination ► how what it is sent is signed.

Invariant: pure; every mistake goes to the table's report. No value of `secret` is repeated.
"""

import re
from collections.abc import Collection
from typing import Final

from service.config.env_secrets import Environment
from service.config.table import Table, Wrong, listing, several, wrong
from service.lib.secret import Secret
from service.lib.signature import Scheme

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
_SIGNED: Final = ("{body}", "{t}", "{webhook-id}")
_LONGEST: Final = 100
_DIGESTS: Final = ("{hex}", "{base64}")


def read_signature(keys: Table, taken: Collection[str]) -> Scheme | None:
    """Return the scheme at `signature`, None for Standard Webhooks. `taken` are headers that are set by the service."""
    below = keys.below("signature")
    if "signature" not in keys.keys:
        return None
    plain = Scheme("")
    scheme = Scheme(
        header=below.need("header", _header, plain.header, "the name of the header that carries it"),
        form=below.read("form", _form, plain.form),
        of=below.read("of", _of, plain.of),
    )
    below.finish()
    if scheme.header.lower() in taken:
        below.add("is set by the service and cannot be changed", "header")
    if "{t}" in scheme.form and "{t}" not in scheme.of:
        below.add("does not have the time that `form` has: what is not signed proves nothing", "of")
    if "secret" not in keys.keys:
        below.add("needs `secret`, which it signs with")
    return scheme


def read_secrets(keys: Table, scheme: Scheme | None, environment: Environment) -> tuple[Secret, ...]:
    """Return the secrets that sign: one for a scheme of its own, else several, `whsec_`."""

    def validate(value: object) -> tuple[Secret, ...] | Wrong:
        if scheme is None and isinstance(value, list):
            return several(environment.signing_secret, at_least=1)(value)
        one = environment.signing_secret(value) if scheme is None else environment.secret(value)
        return one if isinstance(one, Wrong) else (one,)

    return keys.read("secret", validate, ())


def _header(value: object) -> str | Wrong:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    return wrong("must be the name of a header, such as `X-Signature-256`")


def _form(value: object) -> str | Wrong:
    digests = sum(str(value).count(digest) for digest in _DIGESTS)
    if _is_short(value) and digests == 1 and _knows(value, "{t}", *_DIGESTS):
        return str(value)
    return wrong("must have one of `{hex}`, `{base64}` in it, and may have `{t}`, such as `sha256={hex}`")


def _of(value: object) -> str | Wrong:
    if _is_short(value) and "{body}" in str(value) and _knows(value, *_SIGNED):
        return str(value)
    return wrong(f"must have `{{body}}` in it, and no other placeholder than {listing(_SIGNED)}")


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isascii() and value.isprintable()


def _knows(value: object, *names: str) -> bool:
    return set(re.findall(r"\{[^{}]*\}", str(value))) <= set(names)
