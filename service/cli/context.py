"""What the commands that ask about leads share: which configuration, which server, which lead is meant.

Invariant: prints nothing.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from service.config.config import Config
from service.destinations.destination import Destination
from service.lib.errors import CannotStart
from service.process.server import with_server
from service.process.settings import USUAL_REDIS, config_path, encryption_keys, redis_url, secrets_of
from service.process.wiring import cipher_of, load_config
from service.store.archive import Archive
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.server.health import UNREACHABLE
from service.store.server.server import Server
from service.up.installation import environment_of

if TYPE_CHECKING:
    from service.backup.rekeyed import Keyring

T = TypeVar("T")

TAKES_RECEIPTS: Final = {"ignore_unknown_options": True}
"""Settings of a command that takes receipts: one that begins with `-` is no option."""


def configuration() -> Config:
    """Return the configuration of the installation that is meant; raises CannotStart with its mistakes."""
    environ = environment_of(os.environ)
    return load_config(config_path(environ), environ)


def ask(work: Callable[[Server], Awaitable[T]]) -> T:
    """Run `work` with the server of the installation that is meant."""
    environ = environment_of(os.environ)
    try:
        return with_server(redis_url(environ), secrets_of(environ), work)
    except CannotStart as error:
        raise CannotStart(_as_they_know_it(str(error), environ)) from None


def _as_they_know_it(told: str, environ: Mapping[str, str]) -> str:
    """Return what cannot be done, for somebody who knows of `leads up` and of no Redis too."""
    url = "LEADS_REDIS_URL"
    if told != UNREACHABLE or {url, f"{url}_FILE"} & os.environ.keys():
        return told
    if url in environ:
        return (
            "The server of this `leads up` does not answer. What it says at its terminal or in its journal tells why."
        )
    return (
        "No `leads up` runs in ./data or ./.data, and without LEADS_REDIS_URL no other Redis is known than "
        f"{USUAL_REDIS}, where none answers. Beside a `leads up` on another folder, say LEADS_DATA=FOLDER."
    )


def destination_in(config: Config, name: str) -> Destination:
    """Return a destination of the configuration; raises CannotStart if there is none of that name."""
    if name not in config.destinations:
        raise CannotStart(f"There is no destination {name}; there is {', '.join(config.destinations)}.")
    return config.destinations[name]


def archive_on(server: Server) -> Archive:
    """Return what reads there, with the keys of the installation that is meant."""
    return Archive(server, cipher())


def keyring() -> "Keyring | None":
    """Return the secrets and keys of the installation that is meant; None if no secret is known here."""
    from service.backup.rekeyed import Keyring  # noqa: PLC0415 -- few commands need it, and it knows all that is kept

    secrets = secrets_of(environment_of(os.environ))
    return Keyring(secrets[0], secrets[1:], cipher()) if secrets else None


def cipher() -> Cipher:
    """Return what opens what is kept, with the keys of the installation that is meant."""
    return cipher_of(encryption_keys(environment_of(os.environ)))


async def pairs_of(server: Server, config: Config) -> list[tuple[str, str]]:
    """Return each form with each destination it owes or owed something, in the configuration or not."""
    store = Store(server)
    return [
        (name, destination)
        for name, form in config.forms.items()
        for destination in (await store.account(name, form.deliver, {})).destinations
    ]


async def find_lead(server: Server, config: Config, name: str) -> tuple[str, str]:
    """Return (form, lead id) for a receipt, a lead id or a webhook-id; raises CannotStart if there is none."""
    found = await Archive(server).find(config.forms, name)
    if found is None:
        raise CannotStart(f"Nothing is kept under {name}: it is no receipt, lead or webhook-id of these forms.")
    if found[1].startswith("?"):
        raise CannotStart(f"{name} looked like spam and is kept in quarantine: see `leads quarantine`.")
    return found
