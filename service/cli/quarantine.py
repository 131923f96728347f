"""The commands about what looked like spam: see it, let it through, delete it.

Invariant: prints; `accept.lua` and `drop.lua` decide.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from service.backup import rekey
from service.cli.context import TAKES_RECEIPTS, archive_on, ask, configuration, keyring
from service.config.config import Config
from service.lib.errors import CannotStart
from service.lib.json_text import pretty
from service.lib.text import one_line
from service.lib.times import at
from service.model.form import Form
from service.store.archive import Quarantined
from service.store.leads import Store
from service.store.server.server import Server

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Submission ids, as `quarantine` lists them.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command()(quarantine)
    for command in (release, drop):
        app.command(context_settings=TAKES_RECEIPTS)(command)


def quarantine(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List what looked like spam and was not delivered: when, which, why, and what it says."""
    config = configuration()
    found = ask(lambda server: _all(server, config))
    if json:
        typer.echo(pretty(found))
        return
    for submission in found:
        typer.echo(
            f"{at(submission.at)}  {submission.form}  {submission.id}  "
            f"{', '.join(submission.reasons)}{_score(submission)}"
        )
        for name, answer in submission.content.fields.items():
            typer.echo(f"    {name}: {one_line(answer.text)[:200]}")
    typer.echo(f"{len(found)} in quarantine." + (" Let them through with `leads release ID`." if found else ""))


def release(ids: Ids) -> None:
    """Deliver quarantined submissions as if they had just been let in; safe to repeat."""
    keys = keyring()

    async def let_in(store: Store, form: Form, submission: str) -> str:
        accepted = await rekey.release(store, keys, form, submission)
        return f"{submission} is {accepted.result}: {accepted.lead}" if accepted else f"{submission} is let in already"

    _each(ids, let_in)


def drop(ids: Ids) -> None:
    """Delete quarantined submissions for good."""

    async def delete(store: Store, form: Form, submission: str) -> str:
        await store.drop(form.name, submission)
        return f"{submission} is deleted"

    _each(ids, delete)


def _score(held: Quarantined) -> str:
    return "" if held.score is None else f" (score {held.score}, limit {held.limit})"


def _each(ids: list[str], do: Callable[[Store, Form, str], Awaitable[str]]) -> None:
    config = configuration()

    async def work(server: Server) -> list[str]:
        found = {
            name: submission
            for submission in await _all(server, config)
            for name in (submission.id, submission.receipt)
        }
        if unknown := [name for name in ids if name not in found]:
            raise CannotStart(f"Not in quarantine: {', '.join(unknown)}. Nothing was done.")
        return [await do(Store(server), config.forms[found[name].form], found[name].id) for name in ids]

    for line in ask(work):
        typer.echo(line)


async def _all(server: Server, config: Config) -> list[Quarantined]:
    return [submission for form in config.forms.values() for submission in await archive_on(server).quarantined(form)]
