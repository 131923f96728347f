"""The host of an address, in one spelling, and whether it looks private.

Law: pure; nothing is looked up, so a name that leads to a private address still looks public here.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PRIVATE_ENDS: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def host_of(url: SplitResult) -> str | None:
    """Return the host of a split address, lower case and ASCII, IPv6 without brackets; None if it cannot be one."""
    host = url.hostname or ""
    if ":" in host:
        return host if _ip(host) else None
    name = _ascii(host)
    fits = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))  # noqa: PLR2004  RFC 1035
    return name if fits and (_ip(name) or not name.rpartition(".")[2].isdigit()) else None


def is_private(host: str) -> bool:
    """Return whether a host, as `host_of` spells it, is by its look on this machine or network."""
    ip = _ip(host)
    return not ip.is_global if ip else "." not in host or host.endswith(_PRIVATE_ENDS)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    import idna  # noqa: PLC0415  its tables are large, and few hosts need them

    try:
        return idna.encode(host).decode("ascii")
    except idna.IDNAError:
        return ""
