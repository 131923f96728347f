"""The links in a digest to something that is held back: signed, for one submission, and good for a while.

Invariant: pure. A link shows nothing by itself: whoever follows it signs in first, and decides by pressing a button.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.store.records import DAY_MS

GOOD_FOR_MS: Final = 8 * DAY_MS
"""Longer than from one weekly digest to the next."""


def held_link(secret: Secret, form: str, submission: str, until: int) -> str:
    """Return the path of a link to a held submission that is good until then (ms)."""
    return f"/held/{until}.{_signature(secret, form, submission, until)}.{submission}.{form}"


def held_by(secrets: Sequence[Secret], name: str, now: int) -> tuple[str, str] | None:
    """Return the form and the submission of a link that ends in `name`, None if it is not ours or too old."""
    until, signature, submission, form = [*name.split(".", 3), "", "", ""][:4]
    if not (until.isascii() and until.isdigit() and len(until) < 16 and int(until) > now):  # noqa: PLR2004 -- ms fit into 15 digits
        return None
    signed = (_signature(secret, form, submission, int(until)) for secret in secrets)
    is_ours = any(hmac.compare_digest(one.encode(), signature.encode()) for one in signed)
    return (form, submission) if is_ours else None


def _signature(secret: Secret, form: str, submission: str, until: int) -> str:
    return keyed_hash(secret, "held", form, submission, str(until))
