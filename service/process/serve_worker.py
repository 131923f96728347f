"""The worker as a process: it delivers until it is stopped, and answers on a port of its own how it is.

Invariant: wiring; with the other modules of this room the only reader of the environment and of the real clock.
"""

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.config.config import Config
from service.lib.errors import CannotStart
from service.process.lifetime import watch_stdin
from service.process.log import catch_faults, open_log
from service.process.metrics import CONTENT_TYPE, WorkerFigures
from service.process.server import connect_server
from service.process.settings import Settings
from service.process.wiring import cipher_of, listen
from service.process.worker import Worker
from service.replies.reply import NO_PAGE
from service.store.overview import read_accounts
from service.store.server.agreement import agree_on_keys
from service.store.server.health import FAILURES, verdict
from service.store.server.server import Server
from service.web.protocol import BoundedProtocol
from service.web.request import may_inspect


def run_worker(settings: Settings, config: Config, host: str, port: int, *, until_stdin_closes: bool) -> None:
    """Deliver until SIGTERM or SIGINT; `port` answers `/healthz` and `/readyz`, 0: none.

    Raises CannotStart for a port in use; but under `leads up`, whose leads matter more than figures, it goes without.
    """
    try:
        door = listen(host, port) if port else None
    except CannotStart:
        if not until_stdin_closes:
            raise
        door = None
    uvloop.run(_work(settings, config, door, until_stdin_closes=until_stdin_closes))


async def _work(settings: Settings, config: Config, door: socket.socket | None, *, until_stdin_closes: bool) -> None:
    server = connect_server(settings.redis_url, settings.secrets)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        watch_stdin(lambda: _call(loop, stop))
    cipher = cipher_of(settings.encryption)
    await server.open()
    await agree_on_keys(server, cipher)
    figures = WorkerFigures()
    log = open_log(settings.log, "worker")
    log.info("delivering", destinations=list(config.destinations), port=door.getsockname()[1] if door else 0)
    catch_faults(log)
    worker = Worker(
        config,
        server,
        cipher=cipher,
        secret=settings.secret,
        log=log,
        jitter=random.random,
        on_attempt=lambda attempted: figures.attempt(attempted, server.now()),
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
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
    )
    listener = _QuietServer(config)
    task = asyncio.create_task(listener.serve(sockets=[door]))
    try:
        yield
    finally:
        listener.should_exit = True
        await task


def _worker_app(server: Server, config: Config, figures: WorkerFigures) -> Starlette:
    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True}, headers=NO_PAGE)

    async def readyz(request: Request) -> JSONResponse:
        is_ready, why = verdict(await server.inspect(), takes_risk=not config.service.durable)
        told = {"redis": why} if may_inspect(request, config.service) else {}
        return JSONResponse({"ready": is_ready, **told}, 200 if is_ready else 503, headers=NO_PAGE)

    async def metrics(request: Request) -> Response:
        if not may_inspect(request, config.service):
            raise HTTPException(404)
        try:
            accounts = await read_accounts(server, config)
        except FAILURES:
            accounts = None
        return Response(figures.render(accounts), headers={**NO_PAGE, "Content-Type": CONTENT_TYPE})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
