"""Origins: which one is which, however it is spelled.

Invariant: pure. An origin is `scheme://host[:port]` (RFC 6454) in one spelling: lower case, ASCII, no default port.
"""

import re
from functools import lru_cache
from typing import Final

from service.lib.network import ascii_host

MAX_LENGTH: Final = 300
MAX_PORT: Final = 65_535

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s\x00-\x1f/\\?#@:\[\]%]+)(?::(?P<port>\d{0,5}))?/?",
    re.IGNORECASE | re.ASCII,
)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST: Final = re.compile(rf"\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*")
_GOOGLES: Final = (".translate.goog", ".cdn.ampproject.org")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


@lru_cache(maxsize=1_024)
def normalise(text: str) -> str | None:
    """Return an http(s) origin in its one spelling, None for anything else; a single `/` at the end is forgiven."""
    found = _ORIGIN.fullmatch(text) if len(text) <= MAX_LENGTH else None
    host = ascii_host(found["host"]) if found else None
    if not (found and host and _HOST.fullmatch(host)):
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"] or _DEFAULT_PORT[scheme])
    if port > MAX_PORT:
        return None
    return f"{scheme}://{host}" if port == _DEFAULT_PORT[scheme] else f"{scheme}://{host}:{port}"


def of_url(url: str) -> str | None:
    """Return the origin of an absolute http(s) URL, None for anything else."""
    found = re.match(r"https?://[^/?#\\]+", url, re.IGNORECASE | re.ASCII)
    return normalise(found[0]) if found else None


@lru_cache(maxsize=64)
def own(scheme: str, host: str, public_url: str | None) -> tuple[str, ...]:
    """Return the origins of the service itself, the best first: `public_url`, then the request's `Host`.

    The host under either scheme, because TLS ends at a proxy that need not tell.
    """
    named = (
        public_url and of_url(public_url),
        *(normalise(f"{known}://{host}") for known in (scheme, "https", "http")),
    )
    return tuple(dict.fromkeys(origin for origin in named if origin))


def shown_by_google(page: str) -> str | None:
    """Return the origin that a page of Google's translation proxy or of the AMP cache shows, None for any other page.

    The host of the page is written with `-` for `.` and `--` for `-`
    (https://amp.dev/documentation/guides-and-tutorials/learn/amp-caches-and-cors/amp-cache-urls).
    """
    for end in _GOOGLES:
        name = page.removeprefix("https://").removesuffix(end)
        if page.startswith("https://") and page.endswith(end) and "." not in name:
            host = name.replace("--", "\0").replace("-", ".").replace("\0", "-")
            return normalise(f"https://{host}")
    return None
