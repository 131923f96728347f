"""The installation that runs in a data folder: what its environment is, for whoever asks about it.

Invariant: `up` writes the description while it runs, readable by its owner alone; the asking commands read it, so that
`leads status` beside a running `leads up` needs no environment of its own.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from service.lib.errors import CannotStart

FILE: Final = "installation.json"
USUAL: Final = ("data", ".data")
_OURS: Final = re.compile(r"LEADS_[A-Z_]+")
_NAMED: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def describe(data: Path, environment: Mapping[str, str]) -> None:
    """Write down what a command needs to ask about this installation: our variables, and those the file names.

    But not the key that opens what persons said: it must not lie beside what it opens.
    """
    named = _NAMED.findall(Path(environment["LEADS_CONFIG"]).read_text("utf-8"))
    wanted = {*named, *(f"{name}_FILE" for name in named)}
    ours = {name for name in environment if _OURS.fullmatch(name)} - {"LEADS_ENCRYPTION_KEY"}
    kept = {name: value for name, value in environment.items() if name in ours | wanted}
    file = os.open(data / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(msgspec.json.encode(kept))


def environment_of(environ: Mapping[str, str], *, may_be_stopped: bool = False) -> Mapping[str, str]:
    """Return the environment to ask with: that of the installation in LEADS_DATA, else `environ` as it is.

    With neither LEADS_DATA nor LEADS_REDIS_URL, an installation that runs in ./data or ./.data is meant. LEADS_CONFIG
    is what `environ` says. `may_be_stopped`: where none runs in LEADS_DATA, `environ` is returned as well.
    """
    if folder := environ.get("LEADS_DATA"):
        runs = Path(folder)
    elif "LEADS_REDIS_URL" in environ or "LEADS_REDIS_URL_FILE" in environ:
        return environ
    else:
        usual = next((Path(name) for name in USUAL if _may_hold_one(Path(name))), None)
        if usual is None:
            return environ
        runs = usual
    if may_be_stopped and not _may_hold_one(runs):
        return environ
    chosen = {"LEADS_CONFIG": environ["LEADS_CONFIG"]} if environ.get("LEADS_CONFIG") else {}
    return {**environ, **_described(runs), **chosen}


def _may_hold_one(data: Path) -> bool:
    """Tell whether an installation runs there, as far as this user may know."""
    try:
        return (data / FILE).exists()
    except PermissionError:
        return True


def _described(data: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=dict[str, str])
    except PermissionError:
        raise CannotStart(
            f"{data} belongs to another user. Ask as that one: sudo -u USER env LEADS_DATA={data} leads …"
        ) from None
    except (OSError, msgspec.DecodeError):
        raise CannotStart(f"No installation runs in {data}. Start it with `leads up --data {data}`.") from None
