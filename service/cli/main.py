"""The command line `leads`: the commands that run something, and where each of the others is.

Invariant: wiring. Whatever cannot be done ends with sentences on standard error and status 1, never with a traceback.
To import every command takes a second: each is imported when it is called, and what it does is said here as there.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.settings import look_up

COMMANDS: Final = (
    (
        "check",
        "check",
        "Read the configuration and the secrets and print every mistake in them; exit 1 if there is one.",
    ),
    ("status", "leads", "Print the accounts of every form and destination, whether they add up, and what is wrong."),
    ("dead", "leads", "List what died, and why: the destination, the lead, the reason and what was answered."),
    (
        "show",
        "leads",
        "Show what became of a receipt or a lead: submissions, versions, deliveries, attempts, what happens next.",
    ),
    ("list", "listing", "List the leads, newest first: when, which, and how each delivery stands."),
    (
        "replay",
        "sending",
        "Send again what died (or, by id or --since, what was delivered); the webhook-id stays the same.",
    ),
    (
        "repair",
        "sending",
        "Look at every lead at once and put back what is owed and in no queue; the worker does so slowly by itself.",
    ),
    ("preview", "sending", "Print the request, or the mail, that a lead would make at a destination, secrets masked."),
    (
        "test",
        "sending",
        "Send a lead marked as a test to a destination and print what it answered; exit 1 if it was not delivered.",
    ),
    ("resume", "sending", "Open a paused destination now: what waited there goes out."),
    ("new", "sending", "Print the lines for leads.toml of a destination by name, and what to make there."),
    (
        "quarantine",
        "quarantine",
        "List what looked like spam and was not delivered: when, which, why, and what it says.",
    ),
    ("release", "quarantine", "Deliver quarantined submissions as if they had just been let in; safe to repeat."),
    ("drop", "quarantine", "Delete quarantined submissions for good."),
    ("person", "person", "Show everything that is held about a person, found by phone or email at every form."),
    (
        "erase",
        "person",
        "Erase a person everywhere in the service, tell the destinations that had it, and say what is left to do.",
    ),
    (
        "backup",
        "keeping.backup",
        "Write everything that is kept into a file, while all goes on; LEADS_SECRET and keys are not in it.",
    ),
    (
        "restore",
        "keeping.backup",
        "Bring a backup back into an empty server; if it is broken off, give the same command again.",
    ),
    (
        "move",
        "keeping.move",
        "Move everything to another server while all goes on; if it is broken off, give the same command again.",
    ),
    ("reconcile", "reconcile", "Compare a CRM's export with what was delivered there; exit 1 if it lacks a lead."),
    (
        "doctor",
        "doctor.command",
        "Read a page, find its forms, and say exactly what to change; exit 1 if what visitors send does not come in.",
    ),
    (
        "rekey",
        "keeping.rekey",
        "Move all that is kept to the first LEADS_SECRET and LEADS_ENCRYPTION_KEY, while everything runs.",
    ),
    ("ways", "ways", "Print the address of every way in, and what to set at its sender."),
    ("desk", "desk", "The pages for whoever owns the leads."),
)
"""Each command that is not below: its name, the module of this room that has it, what it does."""


@cache
def _imported(module: str) -> dict[str, Any]:
    """Import a module of this room and return its commands."""
    of_module = typer.Typer(cls=TyperGroup, rich_markup_mode=None)
    import_module(f"service.cli.{module}").add_to(of_module)
    group: Any = typer.main.get_group(of_module)
    return dict(group.commands)


class _Commands(TyperGroup):
    """All commands, the imported ones and those of `COMMANDS`."""

    def __init__(self, *, commands: MutableMapping[str, Any], **settings: Any) -> None:  # noqa: ANN401 -- whatever typer hands on
        super().__init__(**settings)
        self._here = commands
        self._modules = {name: module for name, module, _ in COMMANDS}

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own kind of context
        """Return the names, without importing anything."""
        del ctx
        return [*self._modules, *self._here]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401 -- typer's
        """Return a command, imported now."""
        del ctx
        module = self._modules.get(cmd_name)
        return self._here.get(cmd_name) if module is None else _imported(module)[cmd_name]

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401 -- typer's
        """Write what `--help` says of the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([
                *((name, sentence) for name, _, sentence in COMMANDS),
                *((name, command.help) for name, command in self._here.items()),
            ])  # fmt: skip


app = typer.Typer(
    cls=_Commands, help="Takes a website form's submissions and brings every lead to your CRM.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

Port = Annotated[int, typer.Option(min=1, max=65_535)]
AnyPort = Annotated[int, typer.Option(min=0, max=65_535, help="0: none.")]
AnotherSecret = Annotated[
    bool, typer.Option("--another-secret", help="The LEADS_SECRET of before is lost: nobody will be known.")
]
Data = Annotated[Path, typer.Option(help="Folder for everything it keeps.")]
UntilStdinCloses = Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)]


@app.command()
def up(port: Port = 8000, data: Data = Path("data"), another_secret: AnotherSecret = False) -> None:
    """Run a whole installation on this machine: durable server, web and worker."""
    _supervise(port, data, demo=False, another_secret=another_secret)


@app.command()
def dev(
    port: Port = 8000,
    data: Data = Path(".data"),
    another_secret: AnotherSecret = False,
    sample: Annotated[
        int, typer.Option(min=0, max=20_000, help="A month with so many made-up submissions, if there are no leads.")
    ] = 0,
) -> None:
    """Run `up` with the demo: the clinic's page at / and a CRM at /demo/crm."""
    _supervise(port, data, demo=True, another_secret=another_secret, sample=sample)


def _supervise(port: int, data: Path, *, demo: bool, another_secret: bool, sample: int = 0) -> None:
    from service.up import run  # noqa: PLC0415 -- the embedded server is an extra

    chosen = os.environ.get("LEADS_CONFIG")
    config = Path(chosen) if chosen else None
    more = ("--another-secret",) if another_secret else ()
    status = run.run(
        port=port, data=data, demo=demo, config=config, environ=os.environ, more=more, sample=sample
    )  # fmt: skip
    raise typer.Exit(status)


@app.command()
def serve(
    host: str = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    another_secret: AnotherSecret = False,
    until_stdin_closes: UntilStdinCloses = False,
) -> None:
    """Run the web part."""
    from service.cli.readiness import prepare  # noqa: PLC0415 -- Redis's client takes long to import

    settings, _ = prepare(is_web=True, another_secret=another_secret)
    with _shared_figures(workers):
        from service.process import serve_web  # noqa: PLC0415 -- uvicorn and starlette take long to import

        serve_web.run_web(settings, host, port, workers, until_stdin_closes=until_stdin_closes)


@contextlib.contextmanager
def _shared_figures(workers: int) -> Iterator[None]:
    """Give several processes a folder to count in together; prometheus-client looks for it when it is imported."""
    name = "PROMETHEUS_MULTIPROC_DIR"
    if workers == 1 or name in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="leads-metrics-") as folder:
        os.environ[name] = folder
        yield


@app.command()
def work(
    port: AnyPort = 9100,
    host: str = "127.0.0.1",
    another_secret: AnotherSecret = False,
    until_stdin_closes: UntilStdinCloses = False,
) -> None:
    """Run the worker, which delivers; several may run."""
    from service.cli.readiness import prepare  # noqa: PLC0415 -- Redis's client takes long to import

    settings, config = prepare(is_web=False, another_secret=another_secret)
    from service.process import serve_worker  # noqa: PLC0415 -- uvicorn, starlette and httpx take long to import

    serve_worker.run_worker(settings, config, host, port, until_stdin_closes=until_stdin_closes)


@app.command()
def demo(
    port: Port = 8001,
    host: str = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(help="Folder for what it receives; left out, a restart forgets.")] = None,
    form_url: Annotated[str, typer.Option(help="Where its page posts to.")] = "http://127.0.0.1:8000/f/get-in-touch",
) -> None:
    """Run the demo CRM alone; CRM_WEBHOOK_SECRET is the secret it checks signatures with."""
    from service.process import serve_demo  # noqa: PLC0415 -- uvicorn and starlette take long to import

    secret = look_up(os.environ, "CRM_WEBHOOK_SECRET")
    serve_demo.run_demo(host, port, Secret(secret) if secret else None, folder=data, form_url=form_url)


@app.command()
def healthcheck(
    url: Annotated[str, typer.Argument(help="What to ask.")] = "http://127.0.0.1:8000/readyz",
) -> None:
    """Ask an address and exit 0 if it answers 2xx; for a container without curl."""
    from http.client import HTTPException  # noqa: PLC0415 -- only this command needs it
    from urllib.error import URLError  # noqa: PLC0415 -- only `healthcheck` needs it
    from urllib.request import urlopen  # noqa: PLC0415 -- only `healthcheck` needs it

    if not url.startswith(("http://", "https://")):
        raise CannotStart(f"{url} is no http address.")
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 -- the scheme was looked at
            typer.echo(answer.read(4096).decode("utf-8", "replace").strip())
    except (URLError, OSError, ValueError, HTTPException) as error:
        raise CannotStart(f"{url} is not well: {error}") from None
