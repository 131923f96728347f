"""The command that moves everything to another server while it goes on, and back.

Invariant: prints, and finds out which servers are meant; `service.backup.move` moves.
"""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Final

import typer

from service.backup.move import move as move_leads
from service.backup.move import take_back
from service.backup.route import End, Route, follow
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.text import many
from service.process.server import connect_server
from service.process.settings import address_of_server, config_path, redis_url, secrets_of, spool_path
from service.process.wiring import load_config
from service.store.server.agreement import first_since, see_secrets
from service.store.server.forwarding import MOVE, Note, sealer_of, url_in
from service.store.server.health import FAILURES, Finding, sentence_of, verdict
from service.store.server.server import Server
from service.up.installation import environment_of

IN_FLIGHT_BEYOND_TIMEOUT_S: Final = 15.0
NO_SPOOL: Final = (
    "There is no spool (LEADS_SPOOL): for the seconds of the change visitors get 503 and when to come again."
)
BEGUN: Final = "A move to another server was begun from here. Give `leads move --back` first, or that server's address."
NOT_READ_BY_ALL: Final = (
    "No process was started with the first of these LEADS_SECRET: none could read where the leads went. Give the list "
    "that web, worker and desk have."
)
NOT_MOVED: Final = (
    "Nothing has moved from this server. To go back to an earlier one, give `leads move --to` its address."
)
DONE: Final = """\
Moved: the accounts are equal, and every process that runs has followed. What is left to do:
  1. Set LEADS_REDIS_URL to the new address wherever a process or a command is started; until then each finds its way by
     a note on the old server.
  2. Restart them, one after another.
  3. Then the old server, with its data, can go. Until then `leads move --back` brings everything back to it.\
"""
BACK: Final = "Moved back: the accounts are equal, and every process that runs has followed."
UP: Final = (
    "`leads up` always starts a server of its own; from now on run `leads serve`, `leads work` and `leads desk`."
)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(move)


def move(
    to: Annotated[
        str, typer.Option("--to", help="The new server, as LEADS_REDIS_URL names it; - reads that from standard input.")
    ] = "",
    back: Annotated[bool, typer.Option("--back", help="To the server that LEADS_REDIS_URL names.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Move everything to another server while all goes on; if it is broken off, give the same command again."""
    if bool(to) == back:
        raise CannotStart("Say --to with the address of the new server, or --back.")
    environ = environment_of(os.environ)
    if spool_path(environ) is None and not yes:
        typer.echo(NO_SPOOL, err=True)
        typer.confirm("Move all the same?", abort=True, err=True)
    if to == "-":
        to = sys.stdin.readline().strip()
    try:
        asyncio.run(_Command(environ).run(address_of_server(to, "--to").reveal() if to else ""))
    except FAILURES as error:
        raise CannotStart(
            f"{sentence_of(error)} Where the leads are, all goes on. Give the same command again."
        ) from None


class _Command:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._secrets = secrets_of(environ)
        if not self._secrets:
            raise CannotStart("LEADS_SECRET is not set: with it the new address is sealed for all who follow.")
        self._sealer = sealer_of(self._secrets)
        self._config = load_config(config_path(environ), environ)
        self._opened: list[Server] = []

    async def run(self, to: str) -> None:
        """Move to a URL; "" for back to where LEADS_REDIS_URL points."""
        async with self._closing():
            path = await follow(redis_url(self._environ).reveal(), self._open, self._sealer)
            if not to and len(path) == 1:
                await self._give_up(path[0])
                return
            goal = to or path[0].url
            if len(path) == 1 or path[-1].url != goal:  # else it was done but for what `follow` has made good
                await self._move(path[-1], goal)
            typer.echo(DONE if to else BACK)
            if to and self._environ is not os.environ:
                typer.echo(UP)

    async def _move(self, here: End, to: str) -> None:
        if here.note and url_in(here.note, self._sealer) != to:
            raise CannotStart(BEGUN)
        target = self._open(to)
        service = self._config.service
        for server in (here.server, target):
            findings = await self._see(server, is_new=server is target and to != redis_url(self._environ).reveal())
            is_fit, why = verdict(findings, takes_risk=not service.durable)
            if server is target and not is_fit:
                raise CannotStart(f"The new server is not as it must be. {why}")
        if await first_since(here.server, self._secrets) is None:
            raise CannotStart(NOT_READ_BY_ALL)
        note = here.note or Note(secrets.token_hex(8), self._sealer.seal(to, MOVE))
        longest = max((each.timeout / 1000 for each in self._config.destinations.values()), default=0.0)
        route = Route(
            here.server, target, note, self._config.destinations, longest + IN_FLIGHT_BEYOND_TIMEOUT_S,
            service.replicas, not service.durable,
        )  # fmt: skip
        for form, held in sorted((await move_leads(route, typer.echo)).items()):
            typer.echo(f"  {form}: {many(held['leads'], 'lead')}, {held['quarantined']} in quarantine")

    async def _see(self, server: Server, *, is_new: bool) -> Sequence[Finding]:
        try:
            findings = await server.open(replicas=self._config.service.replicas)
            await see_secrets(server, self._secrets)
        except FAILURES as error:
            if not is_new:
                raise
            why = sentence_of(error).replace("LEADS_REDIS_URL", "--to")
            raise CannotStart(f"The new server cannot be used. {why} Where the leads are, all goes on.") from None
        return findings

    async def _give_up(self, here: End) -> None:
        if here.note is None:
            raise CannotStart(NOT_MOVED)
        is_cleared = await take_back(here.server, self._open(url_in(here.note, self._sealer)), here.note)
        left = "" if is_cleared else " What was copied to the other one is still there."
        typer.echo(f"Given up: the leads are where they were.{left}")

    def _open(self, url: str) -> Server:
        server = connect_server(Secret(url), self._secrets, follows=False)
        self._opened.append(server)
        return server

    @contextlib.asynccontextmanager
    async def _closing(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for server in self._opened:
                await server.close()
