"""Addresses of the network: a host in one spelling, whether it looks private, and whose request one is.

Invariant: nothing is looked up, so a name that leads to a private address still looks public here. `X-Forwarded-For`
is believed from the right, as far as the proxies named in the configuration wrote it; what stands further left anybody
may have made up.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import SplitResult

IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""What counts for the address of whoever has none, such as the peer of a UNIX socket: all of them are one."""
IPV6_PREFIX: Final = 64
"""A household or a server has at least so much of IPv6 to itself (RFC 6177): it counts as one address."""
PRIVATE: Final[tuple[Network, ...]] = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
            "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
"""This machine and networks that nobody reaches from the internet (RFC 1918, 3927, 4193, 4291, 6598)."""
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix; those of a network's own (RFC 8215) lead nowhere public."""
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out of IPv6; an address beyond it only looks public."""
_SPECIAL: Final[tuple[Network, ...]] = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20"))
)
"""Tunnels, relays and documentation within what is public (IANA, "Special-Purpose Address Registry").

Which of them Python knows depends on its version.
"""
_PRIVATE_ENDS: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def host_of(url: SplitResult) -> str | None:
    """Return the host of a split address, lower case and ASCII, IPv6 without brackets; None if it cannot be one."""
    host = url.hostname or ""
    if ":" in host:
        return host if _ip(host) else None
    name = ascii_host(host, is_mapped=False) or ""
    fits = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))  # noqa: PLR2004  RFC 1035
    return name if fits and (_ip(name) or not name.rpartition(".")[2].isdigit()) else None


def is_private(host: str) -> bool:
    """Return whether a host, as `host_of` spells it, is by its look on this machine or network."""
    ip = _ip(host)
    return not is_public(ip) if ip else "." not in host or host.endswith(_PRIVATE_ENDS)


def is_public(ip: IP) -> bool:
    """Return whether an address is on the public internet, and so is the IPv4 address that it stands for, if it does.

    An IPv6 address may lead to an IPv4 one: mapped (RFC 4291), by NAT64 (RFC 6052, RFC 8215) or by 6to4 (RFC 3056).
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not (ip.is_multicast or _is_in(ip, _SPECIAL))
    if ip.ipv4_mapped:
        return is_public(ip.ipv4_mapped)
    if ip in _NAT64:
        return is_public(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    if ip.sixtofour:
        return is_public(ip.sixtofour)
    return ip in _UNICAST and ip.is_global and not _is_in(ip, _SPECIAL)


def network(text: str) -> Network:
    """Return `10.0.0.0/8`, `2001:db8::/32` or a single address as a network; raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def address_of(peer: str, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the client's address, `UNKNOWN` if it has none. IPv6 comes as its /64.

    `peer` is the other end of the connection, `forwarded` the values of `X-Forwarded-For` in the order sent.
    """
    client = _client_ip(peer)
    if client is None:
        return UNKNOWN
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and _is_in(client, trusted):
        address = _client_ip(hops.pop())
        if address is None:
            break
        client = address
    return (
        str(client)
        if isinstance(client, ipaddress.IPv4Address)
        else str(ipaddress.ip_network((client, IPV6_PREFIX), strict=False))
    )


def is_among(
    networks: Sequence[Network], peer: str, forwarded: Sequence[str], trusted: Sequence[Network], *, is_handed_on: bool
) -> bool:
    """Tell whether a request comes from one of `networks`, as far as that is sure; else as `address_of`.

    `is_handed_on`: something shows that a proxy passed it on. It counts only if a trusted one says for whom.
    """
    client = _client_ip(peer)
    hops = [hop for value in forwarded for hop in value.split(",")]
    if is_handed_on and not (hops and client and _is_in(client, trusted)):
        return False
    while hops and client and _is_in(client, trusted):
        client = _client_ip(hops.pop())
    return client is not None and _is_in(client, networks)


def _is_in(address: IP, networks: Sequence[Network]) -> bool:
    return any(address.version == known.version and address in known for known in networks)


def _client_ip(text: str) -> IP | None:
    """Read an address as a connection or a proxy names it: with a port, or a scope."""
    text = text.strip()
    with_port = _WITH_PORT.fullmatch(text)
    address = _ip((with_port[1] or with_port[2]) if with_port else text)
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))  # without its scope
    return address


def _ip(host: str) -> IP | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def ascii_host(host: str, *, is_mapped: bool = True) -> str | None:
    """Return a host's name in ASCII and lower case, None for one that has none.

    `is_mapped`: as browsers write it (UTS 46), where full-width letters are plain ones. Clients that send take no
    name that has to be mapped.
    """
    if host.isascii():
        return host.lower()
    import idna  # noqa: PLC0415  its tables are large, and few hosts need them

    try:
        return idna.encode(host, uts46=is_mapped).decode("ascii")
    except idna.IDNAError:
        return None
