"""The environment, read once into a value: where Redis is, the secret, the spool, how to log.

Invariant: takes the environment as an argument; reads nothing by itself but the files that NAME_FILE names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.weak_secrets import RANDOM_TEXT

SHORTEST_SECRET = 32
USUAL_REDIS = "redis://127.0.0.1:6379/0"
SUPPORTED_URLS = ("redis://", "rediss://", "redis+sentinel://", "redis+cluster://", "unix://")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. `redis_url` hides a password it may hold.

    The first of `secrets` keys every hash; whoever is known by another of them is found all the same.
    """

    config: Path
    redis_url: Secret
    secrets: tuple[Secret, ...]
    log: Literal["json", "text"]
    spool: Path | None = None
    encryption: Secret | None = None

    @property
    def secret(self) -> Secret:
        """The one that keys and signs."""
        return self.secrets[0]


def read_file(name: str) -> str:
    """Return a secret file's text without the line end; raises OSError or UnicodeError."""
    return Path(name).read_text("utf-8").rstrip("\r\n")


def look_up(environ: Mapping[str, str], name: str) -> str | None:
    """Return the value of NAME, or of the file that NAME_FILE names, without the blanks around it; None for neither."""
    if value := environ.get(name, "").strip():
        return value
    file = environ.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return read_file(file).strip()
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"{name}_FILE names a file that cannot be read ({type(error).__name__}).") from error


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read every setting of a web or worker process. Raises CannotStart for the first that is wrong."""
    secrets = secrets_of(environ)
    if not secrets:
        raise CannotStart(
            "LEADS_SECRET is not set. It keys everything that recognises people: make one with "
            f"`{RANDOM_TEXT}`, keep it for good, and give every process the same one."
        )
    return Settings(
        config_path(environ),
        redis_url(environ),
        secrets,
        log_format(environ),
        spool_path(environ),
        encryption_keys(environ),
    )


def secrets_of(environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """Return what LEADS_SECRET lists, commas or blanks between; nothing without one. Raises CannotStart if too short.

    It is a list only if each part is long enough to be a secret: one may have a comma or a blank in it.
    """
    secret = look_up(environ, "LEADS_SECRET")
    if secret is None:
        return ()
    if len(secret) < SHORTEST_SECRET:
        raise CannotStart(
            f"LEADS_SECRET is too short: it needs at least {SHORTEST_SECRET} characters. Make one with `{RANDOM_TEXT}`."
        )
    listed = secret.replace(",", " ").split()
    is_list = all(len(part) >= SHORTEST_SECRET for part in listed)
    return tuple(map(Secret, listed)) if is_list else (Secret(secret),)


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the configuration: LEADS_CONFIG, or leads.toml here."""
    return Path(environ.get("LEADS_CONFIG") or "leads.toml")


def spool_path(environ: Mapping[str, str]) -> Path | None:
    """Return the folder LEADS_SPOOL; None: no spool."""
    return Path(environ["LEADS_SPOOL"]) if environ.get("LEADS_SPOOL") else None


def encryption_keys(environ: Mapping[str, str]) -> Secret | None:
    """Return LEADS_ENCRYPTION_KEY, a list of keys as `cipher.keys_of` reads it; None: nothing is encrypted."""
    listed = look_up(environ, "LEADS_ENCRYPTION_KEY")
    return Secret(listed) if listed else None


def redis_url(environ: Mapping[str, str]) -> Secret:
    """Return LEADS_REDIS_URL, or the usual address on this machine."""
    return address_of_server(look_up(environ, "LEADS_REDIS_URL") or USUAL_REDIS, "LEADS_REDIS_URL")


def address_of_server(url: str, name: str) -> Secret:
    """Return the address of a server, which is called `name` where it is wrong."""
    if not url.startswith(SUPPORTED_URLS):
        raise CannotStart(f"{name} must begin with one of {', '.join(SUPPORTED_URLS)}.")
    return Secret(url)


def log_format(environ: Mapping[str, str]) -> Literal["json", "text"]:
    """Return LEADS_LOG, which is "json" or "text"."""
    match environ.get("LEADS_LOG") or "json":
        case "json":
            return "json"
        case "text":
            return "text"
        case other:
            raise CannotStart(f"LEADS_LOG is {other!r}; it must be json or text.")
