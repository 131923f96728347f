"""The commands that send something: what died or was lost again, a test, a look at what would be sent.

Invariant: prints; what is sent is decided by `replay.lua`, `repair.lua` and the destination.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final

import typer

from service.cli.context import TAKES_RECEIPTS, archive_on, ask, configuration, destination_in, find_lead, pairs_of
from service.config.config import Config
from service.config.table import Wrong
from service.config.validators import duration
from service.delivery.upkeep import walk
from service.destinations.destination import Destination
from service.destinations.email import RECIPE as EMAIL
from service.destinations.outcome import Delivered, Outcome
from service.destinations.presets import PRESETS
from service.destinations.sample import sample_delivery
from service.lib.errors import CannotStart
from service.lib.text import many, one_line
from service.lib.times import at
from service.model.lead import Delivery
from service.process.wiring import clock
from service.store.leads import Store
from service.store.overview import gate_at, read_pauses
from service.store.records import Mended
from service.store.server.server import Server

RECIPES: Final = {**PRESETS, "email": EMAIL}


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    for command in (replay, repair, preview, test, resume, new):
        app.command(context_settings=TAKES_RECEIPTS if command is replay else None)(command)


def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Lead ids, webhook-ids or receipts.")] = None,
    destination: Annotated[str | None, typer.Option(help="Only there.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is dead.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Everything accepted in the last 24h (or 30m, 7d), delivered or not.")
    ] = None,
) -> None:
    """Send again what died (or, by id or --since, what was delivered); the webhook-id stays the same."""
    chosen = bool(ids) + every + (since is not None)
    if chosen > 1 or not (chosen or destination):
        raise CannotStart(
            "Name leads, or say --all for everything that is dead, --destination NAME for all dead there, "
            "or --since 24h for everything that was accepted since, delivered or not."
        )
    length = None if since is None else _length(since)
    config = configuration()
    if destination is not None:
        destination_in(config, destination)

    async def send_again(server: Server) -> tuple[Counter[str], dict[str, str]]:
        pairs = [pair for pair in await pairs_of(server, config) if destination in (None, pair[1])]
        sent: Counter[str] = Counter()
        if ids:
            for lead in ids:
                sent.update(await _replay_one(server, config, pairs, lead))
        for form, name in () if ids else pairs:
            if length is None:
                sent[name] += await _replay_dead(server, form, name)
            else:
                sent[name] += await _replay_since(server, form, name, server.now() - length)
        return sent, await read_pauses(server, config)

    sent, pauses = ask(send_again)
    typer.echo(f"{many(sent.total(), 'delivery is', 'deliveries are')} due now.")
    for name in sorted(name for name in pauses if sent[name]):
        typer.echo(f"But {name} is paused {one_line(pauses[name])}. Once it is mended: `leads resume {name}`.")


async def _replay_one(server: Server, config: Config, pairs: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Return the destinations that it is sent to again."""
    form, lead = await find_lead(server, config, name)
    store, places = Store(server), [destination for owner, destination in pairs if owner == form]
    dead = [destination for destination in places if await store.replay(form, destination, lead, what="dead")]
    # Where nothing of it is dead, it was delivered, and is wanted again.
    return dead or [destination for destination in places if await store.replay(form, destination, lead, what="any")]


async def _replay_dead(server: Server, form: str, destination: str) -> int:
    leads = {dead.lead for dead in await archive_on(server).dead(form, destination)}
    sent = [await Store(server).replay(form, destination, lead, what="dead") for lead in sorted(leads)]
    return sum(version > 0 for version in sent)


async def _replay_since(server: Server, form: str, destination: str, begin: int) -> int:
    leads = await archive_on(server).since(form, begin)
    sent = [await Store(server).replay(form, destination, lead, what="any") for lead in leads]
    return sum(version > 0 for version in sent)


def _length(text: str) -> int:
    length = duration("1s", "3650d")(text)
    if isinstance(length, Wrong):
        raise CannotStart(f"--since {text}: it {length.messages[0]}.")
    return length


def repair() -> None:
    """Look at every lead at once and put back what is owed and in no queue; the worker does so slowly by itself."""
    config = configuration()

    async def mend(server: Server) -> list[Mended]:
        return [mend async for mend in walk(Store(server), config.forms, pause_s=0)]

    mended = ask(mend)
    for found in mended:
        typer.echo(f"{found.form}  {found.lead}  {found.destination}  {found.what}")
    typer.echo(f"{len(mended)} mended." if mended else "Nothing had to be mended.")


def preview(
    destination: str,
    lead: Annotated[str | None, typer.Option(help="A lead id or receipt; else a made-up lead.")] = None,
) -> None:
    """Print the request, or the mail, that a lead would make at a destination, secrets masked."""
    config = configuration()
    target = destination_in(config, destination)
    delivery = _sample(config, target) if lead is None else ask(lambda server: _kept(server, config, lead, destination))
    typer.echo(target.preview(delivery, clock()))


async def _kept(server: Server, config: Config, name: str, destination: str) -> Delivery:
    form, lead = await find_lead(server, config, name)
    delivery = await archive_on(server).delivery(config.forms[form], lead, destination)
    if delivery is None:
        raise CannotStart(f"{lead} is no longer kept.")
    return delivery


def _sample(config: Config, destination: Destination) -> Delivery:
    forms = config.forms_by_destination[destination.name] or tuple(config.forms.values())
    return sample_delivery(forms[0], clock())


def new(
    what: Annotated[str, typer.Argument(help="destination")],
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The CRM or chat, by name.")],
) -> None:
    """Print the lines for leads.toml of a destination by name, and what to make there."""
    if what != "destination":
        raise CannotStart(f"There is no `leads new {what}`; there is `leads new destination TYPE`.")
    if type_ not in RECIPES:
        raise CannotStart(f"There is no destination by the name {type_}; there is {', '.join(RECIPES)}.")
    preset = RECIPES[type_]
    typer.echo(f"# {preset.title}. To make there: {preset.needs}")
    typer.echo(preset.lines())
    secrets = [setting.example.removeprefix("$") for setting in preset.settings.values() if setting.is_secret]
    set_them = f"set {' and '.join(secrets)} in the environment, " if secrets else ""
    typer.echo(f'# Then: {set_them}add "{type_}" to `deliver` of a form, and send a test: leads test {type_}')


def test(destination: str) -> None:
    """Send a lead marked as a test to a destination and print what it answered; exit 1 if it was not delivered."""
    from service.delivery.attempt import (  # noqa: PLC0415 -- httpx takes long to import
        LEASE_BEYOND_TIMEOUT,
        GivesToken,
        attempt,
        describe,
        foretell,
    )
    from service.delivery.carrier import carrier_to  # noqa: PLC0415 -- aiohttp takes long to import
    from service.delivery.tokens import Tokens  # noqa: PLC0415 -- httpx takes long to import

    config = configuration()
    target = destination_in(config, destination)

    async def send(token: GivesToken | None = None) -> Outcome:
        async with carrier_to(target, config) as carrier:
            return await attempt(target, carrier, _sample(config, target), clock, token)

    async def send_with_token(server: Server) -> Outcome:
        tokens = Tokens(server, destination, target.timeout + LEASE_BEYOND_TIMEOUT)
        outcome = await send(tokens.answer)
        if tokens.told:
            typer.echo(tokens.told)
        return outcome

    # A token, and the refresh token that came with it, is shared with the workers.
    outcome = ask(send_with_token) if target.oauth else asyncio.run(send())
    typer.echo(describe(outcome))
    typer.echo(foretell(outcome, target.retry))
    with contextlib.suppress(CannotStart):  # A destination may be tried out before there is a Redis.
        for line in ask(lambda server: _obstacles(server, config, target, is_delivered=isinstance(outcome, Delivered))):
            typer.echo(line)
    if not isinstance(outcome, Delivered):
        raise typer.Exit(1)


async def _obstacles(server: Server, config: Config, target: Destination, *, is_delivered: bool) -> list[str]:
    """Return what stands in the way of real leads, in sentences; a pause ends with what was delivered."""
    name, lines = target.name, []
    pause = (await read_pauses(server, config)).get(name)
    if is_delivered and await gate_at(server, name).confirm():
        lines += [f"{name} was paused; it is open now, and what waited goes out."]
    elif pause:
        lines += [f"It would wait: {name} is paused {one_line(pause)}."]
    until = await gate_at(server, name).not_before()
    if until > server.now():
        lines += [f"It would wait until {at(until)}: {name} asked everybody to."]
    return lines


def resume(destination: str) -> None:
    """Open a paused destination now: what waited there goes out."""
    destination_in(configuration(), destination)
    if ask(lambda server: gate_at(server, destination).resume()):
        typer.echo(f"{destination} is open: what waited there goes out.")
    else:
        typer.echo(f"{destination} is not paused.")
