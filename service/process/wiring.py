"""What every command needs: the configuration, the keys, the time; or a sentence why it cannot be had.

Invariant: with the other modules of its room the only reader of the environment and of the real clock.
"""

import socket
import time
from collections.abc import Mapping
from pathlib import Path

import typer

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.settings import read_file
from service.store.cipher import PLAIN, Cipher, keys_of


def clock() -> int:
    """Return this machine's time in ms."""
    return time.time_ns() // 1_000_000


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration; `environ` has what it names as `$NAME`. Raises CannotStart with every mistake in it."""
    match parse(_text_of(path), environ, read_file):
        case Mistakes(items):
            lines = "\n".join(f"  {mistake.path}: {mistake.message}".replace("  : ", "  ") for mistake in items)
            many = "a mistake" if len(items) == 1 else f"{len(items)} mistakes"
            raise CannotStart(f"{path} has {many}:\n{lines}")
        case config:
            return config


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise CannotStart(f"There is no configuration at {path}. Set LEADS_CONFIG to its path.") from None
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"{path} cannot be read ({type(error).__name__}).") from None


def cipher_of(keys: Secret | None) -> Cipher:
    """Return what seals and opens what is kept, with the keys it is given. Raises CannotStart for a wrong one."""
    return Cipher(keys_of(keys)) if keys else PLAIN


def look_at_port(host: str, port: int) -> None:
    """See that we can listen there. Raises CannotStart, since uvicorn would only end without a word."""
    try:
        for family, type_, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, type_, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise _port_in_use(host, port, error) from None


def listen(host: str, port: int) -> socket.socket:
    """Take a port and hold it; `::` stands for every address of both families. Raises CannotStart."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        is_both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((host, port), family=family, dualstack_ipv6=is_both)
    except OSError as error:
        raise _port_in_use(host, port, error) from None


def _port_in_use(host: str, port: int, error: OSError) -> CannotStart:
    return CannotStart(f"Port {port} of {host} cannot be used ({error.strerror}). Choose another one with --port.")


def say(text: str) -> None:
    """Write a line for the person at the terminal."""
    typer.echo(text, err=True)
