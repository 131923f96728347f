"""`leads rekey`: what is moved, what is left, and what may be taken out now.

Invariant: prints; `service.backup.rekey` moves.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from service.backup.rekey import Found, OnProgress, Rekeying
from service.backup.rekeyed import Keyring
from service.cli.context import ask, configuration
from service.config.config import Config
from service.intake.drain import empty
from service.intake.spool import Spool
from service.lib.errors import CannotStart
from service.lib.text import many
from service.lib.times import at
from service.model.form import Form
from service.process.settings import Settings, read_settings
from service.process.wiring import cipher_of, clock, say
from service.store.cipher import WITNESS, keys_of
from service.store.leads import Store
from service.store.server.agreement import first_since, let_go, see_secrets
from service.store.server.server import Server
from service.up.installation import environment_of

MOST_WALKS: Final = 5
SAY_EVERY_MS: Final = 2_000
NOT_STARTED: Final = (
    "No process was started with this list yet, and one that lacks the first secret or key would find nobody who is "
    "moved to it. Restart web, worker and desk with the list first."
)
STILL_WRITTEN: Final = (
    "After {} walks there is still something to move: a process runs with another first secret or key. Restart web, "
    "worker and desk with this list."
)
ALONE: Final = "{} lists one alone: everything is under that."
SECRETS_UNUSED: Final = "Nobody is known by another secret than the first: take the others out of LEADS_SECRET."
KEYS_UNUSED: Final = (
    "Nothing is under another key than the first: take the others out of LEADS_ENCRYPTION_KEY. Backups made until now "
    "need them: keep them with those."
)
REPEATS: Final = (
    "Everything is under the first secret, but requests of before may be repeated until {} UTC, and are known by an "
    "earlier one: take the others out of LEADS_SECRET after that."
)
LOST: Final = (
    "Everything is under the first secret, but of {} not all that finds it is kept in words: numbers or addresses of "
    "before are known by their hashes alone, under an earlier secret. Keep it in LEADS_SECRET {}; or give up finding "
    "by those: take it out and start once with --another-secret."
)
UNREADABLE: Final = (
    "{} hold something that no key in LEADS_ENCRYPTION_KEY opens: add the one it was sealed with behind the others, "
    "restart, then say `leads rekey` again."
)
AGAIN: Final = "The others are needed until that is done: then say `leads rekey` again."


@dataclass(slots=True)
class _Result:
    found: Found
    repeats_until: int | None = None
    """Until when (ms) requests are known by an earlier secret."""
    left: tuple[str, ...] = ()
    """What is not moved, in sentences."""


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command()(rekey)


def rekey(
    look: Annotated[bool, typer.Option("--check", help="Move nothing: count what is to be moved.")] = False,
) -> None:
    """Move all that is kept to the first LEADS_SECRET and LEADS_ENCRYPTION_KEY, while everything runs."""
    config, settings = configuration(), read_settings(environment_of(os.environ))

    async def work(server: Server) -> _Result:
        await see_secrets(server, settings.secrets)
        return await _look(server, config, settings) if look else await _move(server, config, settings)

    result = ask(work)
    for sentence in _counted(result.found) if look else _told(result, config, settings):
        typer.echo(sentence)
    if result.left or (result.found.unreadable and not look):
        raise typer.Exit(1)


async def _look(server: Server, config: Config, settings: Settings) -> _Result:
    since = await first_since(server, settings.secrets)
    rekeying = await _rekeying(server, config, settings, server.now() if since is None else since)
    return _Result(await rekeying.walk(_progress(), writes=False))


async def _move(server: Server, config: Config, settings: Settings) -> _Result:
    since = await first_since(server, settings.secrets)
    witness = await server.client.get(WITNESS)
    cipher = cipher_of(settings.encryption)
    if since is None or not (cipher.is_current(str(witness)) if witness else not cipher.is_on):
        raise CannotStart(NOT_STARTED)
    left = await _empty_spool(server, config, settings)
    rekeying = await _rekeying(server, config, settings, since)
    for number in range(MOST_WALKS):
        found = await rekeying.walk(_progress(), writes=True)
        say(f"Walk {number + 1}: {found.looked_at} looked at, {found.moved} moved.")
        if not found.moved:
            break
    else:
        left += (STILL_WRITTEN.format(MOST_WALKS),)
    result = _Result(found, await rekeying.repeats_until(), left)
    if not left and not found.lost and not found.unreadable:
        await let_go(server, settings.secret, result.repeats_until)
    return result


async def _rekeying(server: Server, config: Config, settings: Settings, since: int) -> Rekeying:
    # Of a form that is configured no longer the fields are not known, but what was said is kept under their names.
    forms = {name: Form(name, {}, ()) for name in await Store(server).known_forms()} | dict(config.forms)
    keys = Keyring(settings.secret, settings.secrets[1:], cipher_of(settings.encryption))
    return Rekeying(server, keys, forms, since=since, replicas=config.service.replicas)


async def _empty_spool(server: Server, config: Config, settings: Settings) -> tuple[str, ...]:
    """See that nothing lies in the spool of this machine; returns sentences about what does."""
    folder = settings.spool
    if folder is None or not folder.exists():
        return ()
    spool = Spool(folder, clock)
    service = config.service
    left = await empty(spool, Store(server, replicas=service.replicas, takes_risk=not service.durable), config.forms)
    aside = spool.aside()
    return (
        *([left] if left else ()),
        *([f"Lines set aside in the spool ({', '.join(aside)}) are as they came: look through them."] if aside else ()),
    )


def _counted(found: Found) -> Iterator[str]:
    yield (
        f"Of {found.looked_at} leads and submissions in quarantine {found.under_another_secret} are under another "
        f"secret than the first, {found.under_another_key} under another key."
    )


def _told(result: _Result, config: Config, settings: Settings) -> Iterator[str]:
    found = result.found
    yield from result.left
    if found.unreadable:
        yield UNREADABLE.format(found.unreadable)
    if result.left or found.unreadable:
        yield AGAIN
        return
    if len(settings.secrets) == 1:
        yield ALONE.format("LEADS_SECRET")
    elif found.lost:
        yield LOST.format(many(found.lost, "lead"), _while_kept(found.lost_last, config.service.retention))
    elif result.repeats_until:
        yield REPEATS.format(at(result.repeats_until))
    else:
        yield SECRETS_UNUSED
    if settings.encryption:
        yield ALONE.format("LEADS_ENCRYPTION_KEY") if len(keys_of(settings.encryption)) == 1 else KEYS_UNUSED


def _while_kept(last: int, retention: int | None) -> str:
    return (
        "for as long as they are kept" if retention is None else f"until {at(last + retention)} UTC, when they are old"
    )


def _progress() -> OnProgress:
    said_at = clock()

    def on_progress(form: str, looked_at: int, number: int) -> None:
        nonlocal said_at
        if clock() - said_at > SAY_EVERY_MS:
            said_at = clock()
            say(f"  {form}: {looked_at} of {many(number, 'lead')}")

    return on_progress
