"""`leads reconcile`: a CRM's export held beside the leads that were sent there.

Invariant: prints; the file is read and never kept.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Final, get_args
from zoneinfo import ZoneInfo

import msgspec
import typer

from service.cli.context import ask, cipher, configuration, destination_in
from service.config.table import guess, listing
from service.desk.compare.columns import Column, Layout, Role
from service.desk.compare.matching import Report
from service.desk.compare.run import Kept, bounds, compare, send_again
from service.desk.compare.table import NoTableError, Table, open_table
from service.lib.errors import CannotStart
from service.lib.text import many, one_line
from service.lib.times import at
from service.store.sent import Sent
from service.store.server.server import Server

NAMED: Final = 20
"""So many under each heading are printed; `--json` has all."""

_SOURCES: Final = {"asked": "", "times": ", the times of the rows", "leads": ", the times of the leads that it has"}


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command()(reconcile)


def reconcile(
    file: Annotated[Path, typer.Argument(help="What the CRM exports: CSV or XLSX.")],
    destination: Annotated[str, typer.Option(help="Which CRM it is of.")],
    *,
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME=ROLE", help="What a column is for, if it was guessed wrong.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Miss leads from this day on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="And up to this day.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send what is missing again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare a CRM's export with what was delivered there; exit 1 if it lacks a lead."""
    config = configuration()
    destination_in(config, destination)
    days = (_day("--since", since), _day("--until", until))
    table = _open(file)
    columns = _chosen(table.columns, column or [])
    layout = Layout.of(columns)
    for line in _layout_as_text(columns):
        typer.echo(line, err=True)
    if not layout.can_match:
        raise CannotStart("No column says whom a row is about: name one, such as --column Mobile=phone.")

    async def hold(server: Server) -> tuple[Report, int, ZoneInfo]:
        kept = Kept(config, server, cipher())
        comparison = await compare(table, layout, kept, destination, _tell)
        report = comparison.report(*bounds(*days, kept.zone))
        return report, await send_again(kept, destination, report.missing) if send else 0, kept.zone

    try:
        report, sent, zone = ask(hold)
    except NoTableError as error:
        raise CannotStart(f"{file}: {error}") from None
    lines = [msgspec.json.encode(report).decode()] if json else _report_as_text(report, destination, zone)
    typer.echo("\n".join(lines))
    if sent:
        typer.echo(f"{many(sent, 'delivery is', 'deliveries are')} due now.", err=json)
    if report.missing and not sent:
        raise typer.Exit(1)


def _open(file: Path) -> Table:
    try:
        return open_table(file.open("rb"))
    except OSError as error:
        raise CannotStart(f"{file} cannot be read ({error.strerror}).") from None
    except NoTableError as error:
        raise CannotStart(f"{file}: {error}") from None


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise CannotStart(f"{option} {text}: it must be a day such as 2026-11-22.") from None


def _chosen(columns: Sequence[Column], said: Sequence[str]) -> list[Column]:
    """Return the columns with what was said of them."""
    chosen = {column.name: column for column in columns}
    for text in said:
        name, _, role = text.rpartition("=")
        if name not in chosen:
            raise CannotStart(f"There is no column {name}.{guess(name, chosen)} There are {listing(chosen)}.")
        if role not in {"", *get_args(Role)}:
            raise CannotStart(f"--column {text}: it can be {', '.join(get_args(Role))}, or nothing.")
        chosen[name] = replace(chosen[name], role=role)  # type: ignore[arg-type]  # looked at in the line above
    return list(chosen.values())


def _layout_as_text(columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        if column.role:
            yield one_line(f"{column.role}: {column.name} ({', '.join(column.examples)})")


def _tell(progress: str) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{progress}\033[K", err=True, nl=False)


def _report_as_text(report: Report, destination: str, zone: ZoneInfo) -> Iterator[str]:
    yield f"{many(report.rows, 'row')}; {many(report.there, 'lead is', 'leads are')} at {destination}."
    if report.span is None:
        yield "Nothing says which days these are: name them with --since and --until."
    else:
        span = f"{at(report.span.first, zone)} to {at(report.span.last, zone)}, {zone}"
        yield f"Looked for are leads of {span}{_SOURCES[report.span.source]}."
    yield from _leads("not there, though delivered", report.missing, zone)
    yield from _leads("not there, and still waiting here", report.waiting, zone)
    yield from _leads("not there, and dead here", report.dead, zone)
    yield from _leads("there under another phone number", report.renumbered, zone)
    yield from _rows("there more than once", [", ".join(map(str, twice.rows)) for twice in report.twice])
    who = [f"{stranger.number}  {one_line(stranger.who)}" for stranger in report.strangers]
    yield from _rows("never came from here", who, report.foreign)
    yield from _rows("of leads that were erased here", list(map(str, report.erased)))
    if report.unreadable:
        yield f"{many(report.unreadable, 'row says', 'rows say')} nothing that anybody could be recognised by."
    if report.beyond:
        yield f"{many(report.beyond, 'lead')} of other times not there either: not looked at."


def _leads(what: str, leads: Sequence[Sent], zone: ZoneInfo) -> Iterator[str]:
    if leads:
        yield f"{len(leads)} {what}:"
        yield from (f"  {at(lead.at, zone)}  {lead.form}  {lead.id}" for lead in leads[:NAMED])
        yield from _more(len(leads))


def _rows(what: str, rows: Sequence[str], number: int = 0) -> Iterator[str]:
    if rows:
        yield f"{number or len(rows)} {what}, rows:"
        yield from (f"  {row}" for row in rows[:NAMED])
        yield from _more(number or len(rows))


def _more(number: int) -> Iterator[str]:
    if number > NAMED:
        yield f"  and {number - NAMED} more"
