"""`leads check`: every mistake in the configuration and the secrets, before anything starts.

Invariant: prints; no secret is ever printed.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from service.config.advice import guessable
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.signature import PREFIX
from service.lib.weak_secrets import RANDOM_TEXT, weakness
from service.process.settings import config_path, encryption_keys, look_up, redis_url, secrets_of
from service.process.wiring import cipher_of, load_config
from service.store.cipher import HOW_TO_MAKE as HOW_TO_MAKE_KEY
from service.store.cipher import listed_in
from service.up.installation import environment_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check)


def check(
    redis: Annotated[bool, typer.Option("--redis", help="Also look whether Redis is durable.")] = False,
) -> None:
    """Read the configuration and the secrets and print every mistake in them; exit 1 if there is one."""
    environ = environment_of(os.environ, may_be_stopped=True)
    path, troubles = config_path(environ), list(_troubles_of_secrets(environ))
    try:
        config = load_config(path, environ)
    except CannotStart as error:
        raise CannotStart("\n".join([str(error), *troubles])) from None
    troubles += [f"{mistake.path}: {mistake.message}." for mistake in guessable(config)]
    if troubles:
        raise CannotStart("\n".join(troubles))
    for remark in config.warnings:
        typer.echo(f"worth a look: {remark.path}: {remark.message}")
    if look_up(environ, "LEADS_SECRET") is None:
        typer.echo("worth a look: LEADS_SECRET: is not set here, and `leads serve` and `leads work` need it")
    if redis:
        from service.cli.readiness import check_redis  # noqa: PLC0415 -- Redis's client takes long to import

        check_redis(config, redis_url(environ), secrets_of(environ))
    typer.echo(f"{path} is fine: forms {', '.join(config.forms)}; destinations {', '.join(config.destinations)}.")


def _troubles_of_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    try:
        secrets = secrets_of(environ)
    except CannotStart as error:
        secrets = ()
        yield str(error)
    for why in filter(None, map(weakness, secrets)):
        yield f"LEADS_SECRET: it {why}. Make one with `{RANDOM_TEXT}`."
    try:
        cipher_of(encryption_keys(environ))
    except CannotStart as error:
        yield str(error)
    else:
        yield from troubles_of_keys(environ)


def troubles_of_keys(environ: Mapping[str, str]) -> Iterator[str]:
    """Say of each encryption key that anybody could guess why that is."""
    listed = encryption_keys(environ)
    for number, key in enumerate(listed_in(listed) if listed else (), 1):
        # A key is the base64 of its bytes, as a webhook's secret is: both are looked at.
        if why := weakness(Secret(f"{PREFIX}{key}")):
            yield f"LEADS_ENCRYPTION_KEY: key {number} {why}. {HOW_TO_MAKE_KEY}"
