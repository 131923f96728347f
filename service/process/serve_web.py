"""The two processes as servers: applications wired to the store, a port each, signals and their order.

Law: wiring; with the other modules of its rung the only reader of the environment and of the real clock.
"""

import asyncio
import contextlib
import functools
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.config.read import Config
from service.fields import phone
from service.intake.drain import Drain, Drained
from service.intake.intake import Intake
from service.intake.spool import open_spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.lifetime import watch_parent, watch_stdin
from service.process.log import Log, catch_faults, log_drained, log_fault, log_submission, log_unverified, open_log
from service.process.metrics import CONTENT_TYPE, WebFigures, WorkerFigures
from service.process.settings import log_format, look_up, read_settings
from service.process.wiring import cipher_of, clock, listen, load_config, look_at_port
from service.replies.reply import NO_PAGE
from service.store.cipher import Cipher
from service.store.connection import connect
from service.store.health import FAILURES, sentence_of, verdict
from service.store.leads import Store
from service.store.overview import read_accounts
from service.store.server import Server
from service.web.app import create_app
from service.web.challenge import Challenger
from service.web.protocol import BoundedProtocol

DRAIN_EVERY_S: Final = 1.0
BROKEN_S: Final = 30.0
"""Until the spool is tried again after a fault of ours."""
FINISH_WITHIN_S: Final = 20


def create_web() -> Starlette:
    """Make the web application that the environment describes; each of several processes calls this."""
    watch_parent(_end)
    settings = read_settings(os.environ)
    config = load_config(settings.config, os.environ)
    server = Server(connect(settings.redis_url.reveal()), clock=clock)
    spool = open_spool(settings.spool, clock) if settings.spool else None
    cipher = cipher_of(os.environ)
    store = Store(server, replicas=config.service.replicas, cipher=cipher)
    intake = Intake(store, settings.secret, spool, cipher)
    own_log = open_log(settings.log, "web")
    log = log_submission(own_log)
    catch_faults(own_log)
    challenger = Challenger(settings.secret, clock, log_unverified(own_log))
    figures = WebFigures(is_shared="PROMETHEUS_MULTIPROC_DIR" in os.environ)

    async def attend() -> None:
        """Drain into a server that we know we may use, and into no other."""
        if await _get_acquainted(store, cipher, config, intake, own_log) and spool:
            await _keep_draining(Drain(spool, store, config.forms), own_log, figures)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        phone.warm({region for form in config.forms.values() for region in (form.country, *form.countries)})
        tasks = [
            asyncio.create_task(intake.keep_reporting()),
            asyncio.create_task(server.keep_time()),
            asyncio.create_task(attend()),
        ]
        for task in tasks:
            task.add_done_callback(functools.partial(_tell_of_its_end, own_log))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await challenger.close()
        await server.close()
        if spool:
            spool.close()

    def note(**said: Any) -> None:  # noqa: ANN401 -- `app.OnSubmission` says what is in it
        log(**said)
        figures.submission(said["form"], said["result"], said["codes"])

    async def metrics(_: Request) -> Response:
        return Response(await asyncio.to_thread(figures.render), headers={**NO_PAGE, "Content-Type": CONTENT_TYPE})

    folder = os.environ.get("LEADS_DEMO")
    app = create_app(
        config, intake, challenger,
        secret=settings.secret, clock=clock, on_submission=note, is_script_readable=bool(folder),
    )  # fmt: skip
    app.router.lifespan_context = lifespan
    app.router.routes.append(Route("/metrics", metrics))
    if folder:
        secret = look_up(os.environ, "CRM_WEBHOOK_SECRET")
        from service.demo.app import demo_routes  # noqa: PLC0415 -- only `leads dev` shows pages of its own

        app.router.routes += demo_routes(folder=Path(folder), secret=Secret(secret) if secret else None, clock=clock)
    return app


def _tell_of_its_end(log: Log, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log_fault(log, error)


async def _get_acquainted(store: Store, cipher: Cipher, config: Config, intake: Intake, log: Log) -> bool:
    """Look at a server that may have been away when we started, and tell it which forms we serve.

    False: we may not use it. Had it been there, we would not have started; so nothing is taken any more.
    """
    while True:
        try:
            findings = await store.server.open(replicas=config.service.replicas)
            await cipher.agree(store.server)
            await store.remember_forms(config.forms)
        except CannotStart as error:
            log.error("redis cannot be used", reason=str(error))  # noqa: TRY400 -- it is a sentence, not a fault
            intake.take_nothing(str(error))
            return False
        except FAILURES:
            await asyncio.sleep(1)
            continue
        if not any(each.level == "away" for each in findings):
            return True
        await asyncio.sleep(1)


async def _keep_draining(drain: Drain, log: Log, figures: WebFigures) -> None:
    told = None
    while True:
        trouble = None
        try:
            drained = await drain.run_once()
        except OSError as error:
            drained, trouble = Drained(), f"The spool cannot be emptied ({error.strerror})."
        except Exception as error:  # noqa: BLE001 -- whatever breaks us, what lies in the spool must be tried again
            log_fault(log, error)
            await asyncio.sleep(BROKEN_S)
            continue
        trouble = sentence_of(drained.failure) if drained.failure else trouble
        if trouble and trouble != told:
            log.warning("the spool waits", reason=trouble)
        told = trouble
        log_drained(log, drained)
        for line, accepted in drained.taken:
            figures.submission(line.form, accepted.result, ())
        if drained.failure or not (drained.taken or drained.set_aside):
            await asyncio.sleep(DRAIN_EVERY_S)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def run_web(host: str, port: int, workers: int, *, until_stdin_closes: bool) -> None:
    """Serve until SIGTERM or SIGINT; finish what was begun, for 20 s at most. Raises CannotStart for a port in use."""
    look_at_port(host, port)
    _allow_many_connections()
    signal.signal(signal.SIGTERM, _leave)
    if until_stdin_closes:
        watch_stdin(_end)
    open_log(log_format(os.environ), "web").info("listening", host=host, port=port, processes=workers)
    uvicorn.run(
        "service.process.serve_web:create_web", factory=True, host=host, port=port, workers=workers, lifespan="on",
        http=BoundedProtocol, ws="none", access_log=False, log_config=None, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
    )  # fmt: skip


def _allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: each connection is a file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _leave(*_: object) -> None:
    """End in order: uvicorn raises the signal that ended it once more when all is done, and that is no failure."""
    sys.exit(0)


def run_demo(host: str, port: int, secret: Secret | None, *, folder: Path | None, form_url: str) -> None:
    """Serve the demo CRM alone; the arguments are those of `demo.demo_routes`. Raises CannotStart for a port in use."""
    look_at_port(host, port)
    _allow_many_connections()
    signal.signal(signal.SIGTERM, _leave)
    from service.demo.app import create_demo_app  # noqa: PLC0415 -- only `leads demo` needs it

    app = create_demo_app(folder=folder, secret=secret, clock=clock, form_url=form_url)
    uvicorn.run(app, host=host, port=port, access_log=False, log_level="critical", server_header=False)


def run_worker(config: Config, host: str, port: int, *, until_stdin_closes: bool) -> None:
    """Deliver until SIGTERM or SIGINT; `port` answers `/healthz` and `/readyz`, 0: none.

    Raises CannotStart for a port in use; but under `leads up`, whose leads matter more than figures, it goes without.
    """
    try:
        door = listen(host, port) if port else None
    except CannotStart:
        if not until_stdin_closes:
            raise
        door = None
    asyncio.run(_work(config, door, until_stdin_closes=until_stdin_closes))


async def _work(config: Config, door: socket.socket | None, *, until_stdin_closes: bool) -> None:
    from service.process.worker import Worker  # noqa: PLC0415 -- httpx takes long to import, and the web part never sends

    settings = read_settings(os.environ)
    server = Server(connect(settings.redis_url.reveal()), clock=clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    if until_stdin_closes:
        watch_stdin(lambda: _call(loop, stop))
    cipher = cipher_of(os.environ)
    await server.open()
    await cipher.agree(server)
    figures = WorkerFigures()
    log = open_log(settings.log, "worker")
    log.info("delivering", destinations=list(config.destinations), port=door.getsockname()[1] if door else 0)
    catch_faults(log)
    worker = Worker(
        config,
        server,
        cipher=cipher,
        log=log,
        jitter=random.random,
        told=lambda attempted: figures.attempt(attempted, server.now()),
    )
    try:
        async with _answering(door, _worker_app(server, config, figures)):
            await worker.run(stop)
    finally:
        await server.close()


def _call(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stop.set)


class _QuietServer(uvicorn.Server):
    """A server inside a process that takes its signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _answering(door: socket.socket | None, app: Starlette) -> AsyncIterator[None]:
    if door is None:
        yield
        return
    listener = _QuietServer(uvicorn.Config(app, access_log=False, log_level="critical", lifespan="off"))
    task = asyncio.create_task(listener.serve(sockets=[door]))
    try:
        yield
    finally:
        listener.should_exit = True
        await task


def _worker_app(server: Server, config: Config, figures: WorkerFigures) -> Starlette:
    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True}, headers=NO_PAGE)

    async def readyz(_: Request) -> JSONResponse:
        is_ready, told = verdict(await server.inspect())
        return JSONResponse({"ready": is_ready, "redis": told}, 200 if is_ready else 503, headers=NO_PAGE)

    async def metrics(_: Request) -> Response:
        try:
            accounts = await read_accounts(server, config)
        except FAILURES:
            accounts = None
        return Response(figures.render(accounts), headers={**NO_PAGE, "Content-Type": CONTENT_TYPE})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
