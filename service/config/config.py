"""A whole configuration as values, and what may be said about one.

Invariant: what stands here was checked by `read`, and is never checked again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from service.config.table import Mistake
from service.destinations.destination import Destination
from service.lib.network import PRIVATE, Network
from service.lib.secret import Secret
from service.lib.times import UTC
from service.model.form import Form


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no mistake and still worth telling: the path of the setting and a sentence."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Service:
    """`[service]`: `replicas` must have a lead on their disks before its visitor is thanked.

    `public_url` is the origin under which visitors find the service, None if the request's `Host` tells it.
    `trusted_proxies` may say whose request they hand on. Requests from `monitoring` may read how the service is, and
    nobody else's. `retention` (ms): how long what is settled is kept, None: for good. `durable` False: visitors are
    thanked on the word of a server that may lose what it confirms. `proxy` leads to destinations that name none.
    """

    replicas: int = 0
    public_url: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    monitoring: tuple[Network, ...] = PRIVATE
    retention: int | None = None
    durable: bool = True
    proxy: Secret | None = None


@dataclass(frozen=True, slots=True)
class OpenId:
    """`[desk] oidc`: the provider's `issuer` as it calls itself, and what it calls us."""

    issuer: str
    client_id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Desk:
    """`[desk]`: `public_url` is the origin under which it is opened, None: as its request says.

    Days and hours are those of `timezone`. `masked`: readers see phone numbers and addresses covered. `oidc` None:
    everybody signs in with a password.
    """

    public_url: str | None = None
    timezone: ZoneInfo = UTC
    masked: bool = True
    oidc: OpenId | None = None


Every = Literal["daily", "weekly"]


@dataclass(frozen=True, slots=True)
class Notify:
    """`[notify]`: who is told, by mail, in a chat or both, and of what.

    Both are destinations, for every form where `tells_of_leads`; `tells_of_trouble`: of what is wrong, and its end;
    `digest`: how often of what came.
    """

    channels: tuple[Destination, ...] = ()
    tells_of_leads: bool = False
    tells_of_trouble: bool = True
    digest: Every | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration without a mistake, forms and destinations by name in the order of the file."""

    forms: Mapping[str, Form]
    destinations: Mapping[str, Destination]
    warnings: tuple[Remark, ...] = ()
    service: Service = field(default_factory=Service)
    desk: Desk | None = None
    """None: nobody looks at leads in a browser."""
    notify: Notify | None = None
    """None: nobody is told without looking."""
    again: "Callable[[], Config | Mistakes] | None" = field(default=None, repr=False, compare=False)
    """Reads the same text again, with what the files of its secrets hold by then."""

    @property
    def zone(self) -> ZoneInfo:
        """Whose days are counted: those of the desk."""
        return self.desk.timezone if self.desk else UTC

    @property
    def forms_by_destination(self) -> dict[str, tuple[Form, ...]]:
        """For each destination the forms that deliver to it; none for one that nobody uses."""
        forms = self.forms.values()
        return {name: tuple(form for form in forms if name in form.deliver) for name in self.destinations}

    def proxy_to(self, destination: Destination) -> Secret | None:
        """Return the address of the proxy that leads to a destination, None if it is reached directly."""
        proxy = self.service.proxy if destination.proxy is None else destination.proxy
        return proxy if proxy and proxy.reveal() else None


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Why a configuration is refused: every mistake, in the order of the file."""

    items: tuple[Mistake, ...]
