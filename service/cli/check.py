"""`leads check`: every mistake in the configuration and the secrets, before anything starts.

Invariant: prints; no secret is ever printed.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer

from service.config.advice import guessable
from service.config.config import Config
from service.intake.spool import open_spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.signature import PREFIX
from service.lib.weak_secrets import RANDOM_TEXT, weakness
from service.process.settings import (
    Settings,
    config_path,
    encryption_keys,
    look_up,
    read_settings,
    redis_url,
    secrets_of,
)
from service.process.wiring import WAIT_FOR_REDIS_S, cipher_of, clock, connect_server, load_config, open_server, say
from service.store.cipher import HOW_TO_MAKE as HOW_TO_MAKE_KEY
from service.store.cipher import listed_in
from service.store.server.agreement import agree_on_keys, agree_on_secrets
from service.store.server.health import FAILURES, Finding, difference_of_clocks, verdict
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
        _check_redis(config, redis_url(environ), secrets_of(environ))
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


def _check_redis(config: Config, url: Secret, secrets: Sequence[Secret]) -> None:
    async def look() -> tuple[Finding, ...]:
        server = connect_server(url, secrets)
        try:
            findings = await server.inspect(replicas=config.service.replicas)
            if not verdict(findings)[0]:
                return findings
            with contextlib.suppress(*FAILURES):
                await server.measure_clock()
            differing = difference_of_clocks(server.offset)
            return (*findings, differing) if differing else findings
        finally:
            await server.close()

    findings = asyncio.run(look())
    is_fit, told = verdict(findings, takes_risk=not config.service.durable)
    for sentence in [told] if is_fit else [finding.sentence for finding in findings]:
        typer.echo(f"redis: {sentence}")
    if not is_fit:
        raise CannotStart("Redis is not as it must be.")


def prepare(*, is_web: bool, another_secret: bool = False) -> tuple[Settings, Config]:
    """Look at everything before anything starts; returns what was read."""
    settings = read_settings(os.environ)
    config = load_config(settings.config, os.environ)
    if "LEADS_DEMO" not in os.environ:
        weak = ["LEADS_SECRET"] * any(map(weakness, settings.secrets))
        weak += ["LEADS_ENCRYPTION_KEY"] * any(troubles_of_keys(os.environ))
        for path in (*[warning.path for warning in guessable(config)], *weak):
            say(f"warning: {path}: anybody could guess this secret; `leads check` says why.")

    cipher = cipher_of(settings.encryption)
    may_be_away = is_web and settings.spool is not None
    if is_web and settings.spool:
        open_spool(settings.spool, clock)

    async def look() -> None:
        server = await open_server(
            settings.redis_url, settings.secrets,
            wait_s=WAIT_FOR_REDIS_S, may_be_away=may_be_away, replicas=config.service.replicas,
        )  # fmt: skip
        try:
            await agree_on_keys(server, cipher)
            await agree_on_secrets(server, settings.secrets, is_another=another_secret)
        except FAILURES:
            if not may_be_away:
                raise
        finally:
            await server.close()

    asyncio.run(look())
    return settings, config
