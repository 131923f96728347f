"""`leads ways`: the address of every way in, to paste at a form builder, an ad platform or a calendar.

Invariant: prints; a secret only where that is asked for.
"""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

import typer

from service.cli.context import configuration
from service.config.config import Config
from service.lib.errors import CannotStart
from service.lib.secret import MASK
from service.model.way import Way
from service.submission.ways.message import KEY


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command()(ways)


def ways(
    reveal: Annotated[bool, typer.Option("--reveal", help="With the keys in the addresses, for pasting.")] = False,
) -> None:
    """Print the address of every way in, and what to set at its sender."""
    config = configuration()
    lines = list(_lines(config, reveal=reveal))
    if not lines:
        raise CannotStart("No form has a way in: add a table `[forms.NAME.ways.WAY]` to leads.toml.")
    typer.echo("\n".join(lines))
    if any(line.endswith(f"={MASK}") for line in lines):
        typer.echo(f"Where {MASK} stands belongs the key: `leads ways --reveal` prints what is to be pasted.")
    if config.service.public_url is None:
        typer.echo("Before each belongs the address of the service: name it as `public_url` in `[service]`.")


def _lines(config: Config, *, reveal: bool) -> Iterator[str]:
    for form in config.forms.values():
        for way in form.ways.values():
            yield f"{config.service.public_url or ''}/f/{form.name}/from/{way.name}{_key(way, reveal=reveal)}"
            yield f"  {way.title}: {way.setup}"


def _key(way: Way, *, reveal: bool) -> str:
    """Return the part of an address that proves a sender who cannot do so otherwise."""
    if way.signature or way.key or way.secret is None:
        return ""
    return f"?{KEY}={quote(way.secret.reveal(), safe='') if reveal else MASK}"
