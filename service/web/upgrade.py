"""`Upgrade` in a request's head is renamed before it is parsed: only HTTP/1.1 is spoken here (RFC 9110, 7.8).

Invariant: pure. httptools drops the body of a request that has one, and Java's HttpClient offers h2c on every first
request.
"""

import re
from typing import Final

_UPGRADE: Final = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)
_OPEN_END: Final = re.compile(rb"\r\n?\r?\Z|\r\n(?:u(?:p(?:g(?:r(?:a(?:d(?:e[ \t]{0,64})?)?)?)?)?)?)\Z", re.IGNORECASE)
"""What may be the beginning of a head's end or of an `Upgrade`, at the end of what came so far."""


def without_upgrade(data: bytes) -> tuple[bytes, bytes]:
    """Return the beginning of a request without `Upgrade` in its head, and what waits for the next piece.

    The head ends at the first empty line; a body is left alone. What may be the beginning of either waits.
    """
    held_back = b""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end and (opened := _OPEN_END.search(head)):
        head, held_back = head[: opened.start()], head[opened.start() :]
    return _UPGRADE.sub(b"\r\nignored", head) + end + rest, held_back
