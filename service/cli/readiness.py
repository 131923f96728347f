"""What must be fine before anything starts: Redis as `leads check --redis` looks at it, and all that a process needs.

Invariant: prints; no secret is ever printed.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence

import typer

from service.cli.check import troubles_of_keys
from service.config.advice import guessable
from service.config.config import Config
from service.intake.spool import open_spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.weak_secrets import weakness
from service.process.server import WAIT_FOR_REDIS_S, connect_server, open_server
from service.process.settings import Settings, read_settings
from service.process.wiring import cipher_of, clock, load_config, say
from service.store.server.agreement import agree_on_keys, agree_on_secrets
from service.store.server.health import FAILURES, Finding, difference_of_clocks, verdict


def check_redis(config: Config, url: Secret, secrets: Sequence[Secret]) -> None:
    """Print how durable Redis is. Raises CannotStart if it is not as it must be."""

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
