"""Whose request it is, as far as an address tells: the client itself, or the one a trusted proxy names.

Law: pure. `X-Forwarded-For` is believed from the right, as far as the proxies named in the configuration wrote it;
what stands further left anybody may have made up.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

IPV6_PREFIX: Final = 64
"""A household or a server has at least so much of IPv6 to itself (RFC 6177): it counts as one address."""
_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")


def network(text: str) -> Network:
    """Return `10.0.0.0/8`, `2001:db8::/32` or a single address as a network; raises ValueError."""
    return ip_network(text, strict=False)


def address_of(peer: str, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the client's address, "" if it has none (a Unix socket). IPv6 comes as its /64.

    `peer` is the other end of the connection, `forwarded` the values of `X-Forwarded-For` in the order sent.
    """
    client = _ip(peer)
    if client is None:
        return ""
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and _is_trusted(client, trusted):
        told = _ip(hops.pop())
        if told is None:
            break
        client = told
    return str(client) if isinstance(client, IPv4Address) else str(ip_network((client, IPV6_PREFIX), strict=False))


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == each.version and address in each for each in trusted)


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    with_port = _PORT.fullmatch(text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without its scope
    return address
