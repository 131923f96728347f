"""`[service]` ► what concerns the installation as a whole.

Law: pure; every mistake goes to the table's report.
"""

from dataclasses import dataclass
from typing import Final

from service.config.table import Table, Wrong, say, several, what, whole, wrong
from service.config.validators import duration, page_origin
from service.lib.network import Network, network

_MOST_REPLICAS: Final = 5


@dataclass(frozen=True, slots=True)
class Service:
    """`[service]`: `replicas` must have a lead on their disks before its visitor is thanked.

    `public_url` is the origin under which visitors find the service, None if the request's `Host` tells it.
    `trusted_proxies` may say whose request they hand on. `retention` (ms): how long what is settled is kept, None: for
    good.
    """

    replicas: int = 0
    public_url: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    retention: int | None = None


def read_service(keys: Table) -> Service:
    """Return the service at `keys`."""
    no_url: str | None = None
    no_end: int | None = None
    service = Service(
        replicas=keys.read("replicas", whole(0, _MOST_REPLICAS), 0),
        public_url=keys.read("public_url", page_origin, no_url),
        trusted_proxies=keys.read("trusted_proxies", several(_network), ()),
        retention=keys.read("retention", duration("1s", "3650d"), no_end),
    )
    keys.finish()
    return service


def _network(value: object) -> Network | Wrong:
    allowed = 'an address or a network such as "127.0.0.1", "10.0.0.0/8" or "2001:db8::/32"'
    if not isinstance(value, str):
        return wrong(f"must be {allowed}, not {what(value)}")
    try:
        return network(value)
    except ValueError:
        return wrong(f"{say(value)} is no network: it must be {allowed}")
