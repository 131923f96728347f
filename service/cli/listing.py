"""`leads list`: the leads for the eye, for programs and for spreadsheets.

Invariant: prints every lead that was asked for, or says that it did not and exits 1.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer

from service.cli.context import archive_on, ask, configuration
from service.config.config import Config
from service.config.table import guess, listing
from service.desk.filters import Filter, is_day
from service.desk.search import Search, Unread
from service.desk.sheet import Cell, Columns, Workbook, columns_of, csv_line, is_column
from service.lib.errors import CannotStart
from service.lib.json_text import pretty
from service.lib.times import at
from service.store.archive import KeptLead
from service.store.leads import Store
from service.store.server.server import Server

LISTED: Final = 20
_Take = Callable[[KeptLead], object]


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("list")(list_leads)


def list_leads(
    form: Annotated[str | None, typer.Argument(help="A form; else every form.")] = None,
    *,
    form_too: Annotated[str | None, typer.Option("--form", metavar="FORM", help="The same.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="With a version of this day or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="And of this day or earlier.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"The latest so many; else {LISTED}, and all for a spreadsheet.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="The same as a workbook, for a file.")] = False,
    columns: Annotated[str | None, typer.Option(help="Of a spreadsheet, with commas between them.")] = None,
) -> None:
    """List the leads, newest first: when, which, and how each delivery stands."""
    _look_at_choices(json + csv + xlsx, columns, is_sheet=csv or xlsx)
    config = configuration()
    if form and form_too not in {None, form}:
        raise CannotStart(f"Choose one form: {form} or {form_too}.")
    asked = _asked(config, form or form_too, since, until)
    if csv or xlsx:
        _write_sheet(config, asked, limit, columns, as_workbook=xlsx)
        return
    leads: list[KeptLead] = []
    unread = ask(lambda server: _read(_search(config, server), asked, limit or LISTED, leads.append))
    typer.echo(pretty(leads) if json else "".join(f"{_line(lead)}\n" for lead in leads), nl=json)
    _complain(unread)


def _look_at_choices(kinds: int, columns: str | None, *, is_sheet: bool) -> None:
    if kinds > 1:
        raise CannotStart("Choose one of --json, --csv and --xlsx.")
    if columns is not None and not is_sheet:
        raise CannotStart("--columns are those of --csv and --xlsx.")


def _asked(config: Config, form: str | None, since: str | None, until: str | None) -> Filter:
    if form is not None and form not in config.forms:
        raise CannotStart(f"There is no form {form}; there is {', '.join(config.forms)}.")
    for option, day in (("--since", since), ("--until", until)):
        if day is not None and not is_day(day):
            raise CannotStart(f"{option} {day}: it must be a day such as 2026-11-22.")
    if since and until and since > until:
        raise CannotStart(f"--since {since} is after --until {until}: there is no day between them.")
    return Filter(form=form or "", since=since or "", until=until or "")


def _search(config: Config, server: Server) -> Search:
    return Search(config, server, archive_on(server), ())


async def _read(search: Search, asked: Filter, most: int | None, take: _Take) -> list[Unread]:
    """Take each lead that is meant; return those that cannot be read, none of which hides the rest."""
    unread = []
    async for lead in search.every(asked, str, most=most):
        if isinstance(lead, Unread):
            unread.append(lead)
        else:
            take(lead)
    return unread


def _complain(unread: list[Unread]) -> None:
    if unread:
        raise CannotStart("\n".join(f"{lead.id} is not listed: {lead.why}" for lead in unread))


def _line(lead: KeptLead) -> str:
    version = f"version {lead.version}" if lead.erased_at is None else "erased"
    states = "  ".join(f"{delivery.destination}: {delivery.state}" for delivery in lead.deliveries)
    return f"{at(lead.first_seen_at)}  {lead.form}  {lead.id}  {version}  {states}"


class _Printed:
    """A CSV on standard output, written as a workbook is."""

    def __init__(self, names: Sequence[str]) -> None:
        self.add(names)

    def add(self, cells: Sequence[Cell]) -> None:
        typer.echo(csv_line(cells), nl=False)

    def close(self) -> None:
        """Do nothing: all of it is written."""


def _write_sheet(config: Config, asked: Filter, most: int | None, chosen: str | None, *, as_workbook: bool) -> None:
    """Write the leads to standard output as they are read, and say of which there is no row."""
    if as_workbook and sys.stdout.isatty():
        raise CannotStart("A workbook is a file: leads list --xlsx > leads.xlsx")
    written = 0

    async def write(server: Server) -> tuple[int, list[Unread]]:
        columns, search = await _columns(config, server, asked, chosen), _search(config, server)
        names = columns.names
        book: Workbook | _Printed
        book = Workbook(sys.stdout.buffer, names) if as_workbook else _Printed(names)

        def add(lead: KeptLead) -> None:
            nonlocal written
            book.add(columns.row(lead))
            written += 1

        among, unread = await search.count(asked), await _read(search, asked, most, add)
        book.close()
        return among, unread

    try:
        among, unread = ask(write)
    except CannotStart as error:
        raise CannotStart(f"{error}\nNot all leads were written, only {written}." if written else f"{error}") from None
    if most is not None and among > most:
        typer.echo(f"The latest {most} of {among} leads were written, as --limit says.", err=True)
    _complain(unread)


async def _columns(config: Config, server: Server, asked: Filter, chosen: str | None) -> Columns:
    """Return the columns that were chosen, the usual ones for None."""
    forms = [config.forms[asked.form]] if asked.form else list(config.forms.values())
    accounts = [await Store(server).account(form.name, form.deliver, {}) for form in forms]
    usual = columns_of(forms, (name for account in accounts for name in account.destinations))
    if chosen is None:
        return usual
    names = tuple(name.strip() for name in chosen.split(","))
    for name in names:
        if not is_column(name, usual):
            raise CannotStart(f"There is no column {name}.{guess(name, usual.names)} There are {listing(usual.names)}.")
    return Columns(names, usual.zones)
