"""The command line `leads`: the commands that run something. `leads` has those that ask about leads.

Invariant: wiring. Whatever cannot be done ends with sentences on standard error and status 1, never with a traceback.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from service.cli import backup, check, desk, leads, listing, person, quarantine, reconcile, sending, ways
from service.cli.check import troubles_of_keys
from service.cli.doctor import command as doctor
from service.cli.rekey import command as rekey
from service.config.advice import guessable
from service.config.config import Config
from service.intake.spool import open_spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.weak_secrets import weakness
from service.process.settings import Settings, look_up, read_settings
from service.process.wiring import WAIT_FOR_REDIS_S, cipher_of, clock, load_config, open_server, say
from service.store.server.agreement import agree_on_keys, agree_on_secrets
from service.store.server.health import FAILURES

app = typer.Typer(
    help="Takes a website form's submissions and brings every lead to your CRM.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
check.add_to(app)
leads.add_to(app)
listing.add_to(app)
sending.add_to(app)
quarantine.add_to(app)
person.add_to(app)
desk.add_to(app)
backup.add_to(app)
reconcile.add_to(app)
doctor.add_to(app)
rekey.add_to(app)
ways.add_to(app)

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
    settings, _ = _prepare(is_web=True, another_secret=another_secret)
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
    settings, config = _prepare(is_web=False, another_secret=another_secret)
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


def _prepare(*, is_web: bool, another_secret: bool = False) -> tuple[Settings, Config]:
    """Look at everything before anything starts; returns what was read."""
    settings = read_settings(os.environ)
    config = load_config(settings.config, os.environ)
    if "LEADS_DEMO" not in os.environ:
        weak = ["LEADS_SECRET"] * any(map(weakness, settings.secrets))
        weak += ["LEADS_ENCRYPTION_KEY"] * any(troubles_of_keys(os.environ))
        for path in (*[warning.path for warning in guessable(config)], *weak):
            say(f"warning: {path}: anybody could guess this secret; `leads check` says why.")

    cipher = cipher_of(settings.encryption)
    may_be_away = is_web and settings.spool is not None
    if is_web and settings.spool:
        open_spool(settings.spool, clock)

    async def look() -> None:
        server = await open_server(
            settings.redis_url, wait_s=WAIT_FOR_REDIS_S, may_be_away=may_be_away, replicas=config.service.replicas
        )
        try:
            await agree_on_keys(server, cipher)
            await agree_on_secrets(server, settings.secrets, is_another=another_secret)
        except FAILURES:
            if not may_be_away:
                raise
        finally:
            await server.close()

    asyncio.run(look())
    return settings, config
