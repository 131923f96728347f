"""The commands that ask about leads and their deliveries, or set them going again.

Invariant: prints; what is kept is read by `archive`, what is counted by `store`. Times are shown in UTC.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from msgspec import structs
from typer.core import TyperCommand

from service.cli.context import TAKES_RECEIPTS, archive_on, ask, configuration, find_lead, pairs_of
from service.cli.render import lead_as_text
from service.config.config import Config
from service.delivery.trouble import TAKEN_ON_PURPOSE, read_troubles
from service.intake.spool import Spool
from service.lib.errors import CannotStart
from service.lib.json_text import pretty
from service.lib.text import many, one_line
from service.lib.times import at, length
from service.process.settings import spool_path
from service.process.wiring import clock
from service.store.accounts import SUBMISSIONS, VERSIONS, Accounts, DestinationAccount
from service.store.archive import DeadDelivery, KeptLead
from service.store.overview import read_accounts, read_pauses, read_waits
from service.store.server.server import Server
from service.up.installation import environment_of

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command(cls=_CheckAlone)(status)
    for command in (dead, show):
        app.command(context_settings=TAKES_RECEIPTS if command is show else None)(command)


class What(StrEnum):
    """What `leads status --check` looks at."""

    ALL = "all"
    ACCOUNTS = "accounts"


class _CheckAlone(TyperCommand):
    """A command whose `--check` may stand alone, which typer itself cannot say: it means `--check=all` then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- typer's own, which it does not export
        """Read the words of the command line."""
        return super().parse_args(ctx, [f"--check={What.ALL}" if word == "--check" else word for word in args])


def status(
    json: Json = False,
    check: Annotated[
        What | None,
        typer.Option("--check", help="Exit 1 if there is trouble, or an account does not add up (or that alone)."),
    ] = None,
) -> None:
    """Print the accounts of every form and destination, whether they add up, and what is wrong."""
    config = configuration()
    folder = spool_path(environment_of(os.environ))
    spool = Spool(folder, clock) if folder else None
    spooled = spool.count() if spool else 0

    async def read(server: Server) -> tuple[Accounts, dict[str, int]]:
        accounts = await read_accounts(server, config, spooled)
        workers, trouble = await read_troubles(server, config, accounts, spool)
        return structs.replace(accounts, workers=workers, trouble=trouble), await read_waits(server, config)

    try:
        accounts, waits = ask(read)
    except CannotStart as error:
        raise CannotStart(f"{error} {_lying(spooled)} in the spool." if folder else str(error)) from None
    as_text = _accounts_as_text(accounts, {name: until for name, until in waits.items() if until > clock()})
    typer.echo(pretty(accounts) if json else as_text)
    if wrong := _wrong(accounts, check):
        raise CannotStart("\n".join(wrong))


def _wrong(accounts: Accounts, check: What | None) -> list[str]:
    """Return what makes a check fail, in sentences."""
    troubles = accounts.trouble if check is What.ALL else ()
    gaps = accounts.gaps() if check else []
    return [*gaps, *(one_line(trouble.message) for trouble in troubles if trouble.code != TAKEN_ON_PURPOSE)]


def _lying(submissions: int) -> str:
    return many(submissions, "submission lies", "submissions lie")


def _accounts_as_text(accounts: Accounts, waits: Mapping[str, int]) -> str:
    lines = []
    for name, form in accounts.forms.items():
        columns = " + ".join(f"{getattr(form, result)} {result}" for result in SUBMISSIONS)
        lines += [f"{name}: {form.received} received = {columns}   {_verdict(form.balanced)}"]
        for destination, account in form.destinations.items():
            lines += [f"  {_destination_as_text(destination, account)}"]
            lines += [f"    it asked everybody to wait until {at(waits[destination])}"] if destination in waits else []
    if accounts.spooled:
        lines += [f"{_lying(accounts.spooled)} in the spool, to be decided when Redis is back"]
    for worker in accounts.workers:
        lines += [f"worker on {worker.host}, {worker.version}: last seen {length(worker.seen_s * 1000)} ago"]
    for trouble in accounts.trouble:
        lines += [f"{trouble.code}: {one_line(trouble.message)}", f"    {trouble.do}"]
    return "\n".join(lines)


def _destination_as_text(name: str, account: DestinationAccount) -> str:
    columns = " + ".join(f"{getattr(account, state)} {state}" for state in VERSIONS)
    text = f"{name}: {account.owed} owed = {columns}   {_verdict(account.balanced)}"
    if account.oldest_waiting_s is not None:
        text += f"\n    the oldest has waited for {length(account.oldest_waiting_s * 1000)}"
        if not account.paused and account.next_try_s is not None:
            text += ", the next try is " + (
                f"in {length(account.next_try_s * 1000)}" if account.next_try_s else "due now"
            )
    return text + (f"\n    paused {one_line(account.paused)}" if account.paused else "")


def _verdict(is_balanced: bool) -> str:
    return "adds up" if is_balanced else "DOES NOT ADD UP"


def dead(json: Json = False) -> None:
    """List what died, and why: the destination, the lead, the reason and what was answered."""
    config = configuration()

    async def read(server: Server) -> list[DeadDelivery]:
        archive = archive_on(server)
        return [dead for form, name in await pairs_of(server, config) for dead in await archive.dead(form, name)]

    found = ask(read)
    if json:
        typer.echo(pretty(found))
        return
    for dead in found:
        typer.echo(f"{at(dead.at)}  {dead.destination}  {dead.lead}.{dead.version}  {one_line(dead.reason)}")
        if dead.excerpt:
            typer.echo(f"    it answered: {one_line(dead.excerpt)}")
    typer.echo(f"{len(found)} dead." + (" Send them again with `leads replay --all` or by id." if found else ""))


def show(name: Annotated[str, typer.Argument(metavar="RECEIPT|LEAD")], json: Json = False) -> None:
    """Show what became of a receipt or a lead: submissions, versions, deliveries, attempts, what happens next."""
    config = configuration()

    async def read(server: Server) -> KeptLead | None:
        form, lead = await find_lead(server, config, name)
        kept = await archive_on(server).lead(config.forms[form], lead)
        return kept and kept.with_obstacles(await _obstacles(server, config, kept), await read_waits(server, config))

    lead = ask(read)
    if lead is None:
        raise CannotStart(f"{name} is no longer kept.")
    typer.echo(pretty(lead) if json else lead_as_text(lead))


async def _obstacles(server: Server, config: Config, lead: KeptLead) -> dict[str, str]:
    """Say why nothing is sent to a destination of this lead: it is paused, or configured no longer."""
    gone = [delivery.destination for delivery in lead.deliveries if delivery.destination not in config.destinations]
    return dict.fromkeys(gone, "it is not in the configuration") | await read_pauses(server, config)
