"""`oauth` of a destination ► where its tokens are fetched.

Invariant: pure; every mistake goes to the table's report. No value of it is repeated: it may be a secret.
"""

from typing import Final
from urllib.parse import urlsplit

from service.config.env_secrets import Environment
from service.config.table import Table, Wrong, text, wrong
from service.config.validators import one_of
from service.destinations.oauth import TokenServer
from service.lib.network import host_of
from service.lib.secret import Secret

_LONGEST: Final = 1_000
_UNSET: Final = Secret("")


def read_oauth(keys: Table, environment: Environment) -> TokenServer | None:
    """Return where tokens are fetched, None if none are wanted."""
    below = keys.below("oauth")
    if "oauth" not in keys.keys:
        return None
    none: Secret | None = None
    server = TokenServer(
        url=below.need("url", _address, "", "where tokens are asked for"),
        client_id=below.need("client_id", lambda value: _text(value, environment), "", "the id of the client"),
        client_secret=below.need("client_secret", environment.secret, _UNSET, "the secret of the client"),
        refresh_token=below.read("refresh_token", environment.secret, none),
        scope=below.read("scope", text(_LONGEST), ""),
        is_basic=below.read("auth", one_of(("form", "basic")), "form") == "basic",
    )
    below.finish()
    return server


def _text(value: object, environment: Environment) -> str | Wrong:
    """Take a text, or a `$NAME` that holds it."""
    if not str(value).startswith("$"):
        return text(_LONGEST)(value)
    found = environment.secret(value)
    return found if isinstance(found, Wrong) else found.reveal()


def _address(value: object) -> str | Wrong:
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
        fits = (
            parts and parts.scheme in {"http", "https"} and host_of(parts) and parts.port != 0 and " " not in str(value)
        )
    except ValueError:
        fits = False
    if not fits or (parts and "@" in parts.netloc):
        return wrong("must be an address such as `https://accounts.example.com/oauth/token`, without a user in it")
    return str(value)
