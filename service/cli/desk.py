"""`leads desk`: the pages for whoever owns the leads, and who may enter them.

Invariant: wiring, and the link of an invitation is printed once and kept nowhere.
"""

import os
from typing import Annotated

import typer

from service.cli.context import ask, configuration
from service.desk.people.journal import Journal
from service.desk.people.members import Invitation, Members, Passwords, Role, problem_of_name
from service.lib.errors import CannotStart
from service.process.server import WAIT_FOR_REDIS_S, open_server
from service.process.settings import read_settings
from service.process.wiring import cipher_of, load_config
from service.store.server.agreement import agree_on_keys, agree_on_secrets
from service.store.server.server import Server

group = typer.Typer(help="The pages for whoever owns the leads.", invoke_without_command=True, no_args_is_help=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.add_typer(group, name="desk")


@group.callback()
def desk(
    context: typer.Context,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8010,
    another_secret: Annotated[
        bool, typer.Option("--another-secret", help="The LEADS_SECRET of before is lost: nobody will be known.")
    ] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Run the pages for whoever owns the leads; `leads desk invite NAME` lets somebody in."""
    if context.invoked_subcommand:
        return
    import asyncio  # noqa: PLC0415 -- only to look at the server before anything starts

    from service.process import serve_desk  # noqa: PLC0415 -- uvicorn and starlette take long to import

    settings = read_settings(os.environ)
    config = load_config(settings.config, os.environ)

    async def look() -> None:
        server = await open_server(settings.redis_url, settings.secrets, wait_s=WAIT_FOR_REDIS_S)
        try:
            await agree_on_keys(server, cipher_of(settings.encryption))
            await agree_on_secrets(server, settings.secrets, is_another=another_secret)
        finally:
            await server.close()

    asyncio.run(look())
    serve_desk.run_desk(config, settings, host, port, until_stdin_closes=until_stdin_closes)


@group.command()
def invite(
    name: str,
    role: Annotated[str, typer.Option(help="reader, editor or owner.")] = "reader",
) -> None:
    """Print a link that lets somebody in: it works once, within 3 days. Under a known name, it gives a new password."""
    if problem := problem_of_name(name):
        raise CannotStart(problem)
    config = configuration()
    invited = Invitation(name, _role(role))

    async def make(server: Server) -> tuple[str, str]:
        await Journal(server).note("the command line", f"invited {name} as {invited.role}")
        kept = await server.client.get("leads:{desk}:address")
        return await Members(server, Passwords()).invite(invited), str(kept or "")

    token, address = ask(make)
    public = config.desk.public_url if config.desk else None
    typer.echo(f"{public or address or 'http://127.0.0.1:8010'}/invitation/{token}")


def _role(text: str) -> Role:
    match text:
        case "reader" | "editor" | "owner":
            return text
        case _:
            raise CannotStart(f"{text} is no role: it must be reader, editor or owner.")
