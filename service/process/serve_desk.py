"""The desk as a process: its pages wired to the store, what was decided carried out beside them, its port.

Invariant: wiring; with the other modules of this room the only reader of the environment and of the real clock.
"""

import asyncio
import contextlib
import functools
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette

from service.config.config import Config
from service.desk.app import create_desk
from service.desk.compare.table import MOST_BYTES
from service.desk.held import Decisions
from service.desk.people.members import BASE
from service.intake.spool import Spool
from service.process.lifetime import allow_many_connections, end, leave, serve, watch_stdin
from service.process.log import Log, catch_faults, log_clocks, log_fault, open_log
from service.process.server import connect_server
from service.process.settings import Settings
from service.process.wiring import cipher_of, clock, listen
from service.store.server.ending import end_all
from service.store.server.health import FAILURES
from service.web.protocol import WIRE_BYTES, BoundedProtocol

if TYPE_CHECKING:
    from service.desk.visit import Desk

CARRY_OUT_EVERY_S: Final = 2.0
FINISH_WITHIN_S: Final = 20
ADDRESS: Final = f"{BASE}address"
"""Where the desk that was started last is opened: an invitation made at the terminal leads there."""


class UploadProtocol(BoundedProtocol):
    """The same bounds, but for the export of a CRM: it is larger than a form, takes its time, and lies in no memory."""

    allowance = MOST_BYTES // WIRE_BYTES + 1


def run_desk(config: Config, settings: Settings, host: str, port: int, *, until_stdin_closes: bool) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotStart for a port in use."""
    listening = listen(host, port)
    allow_many_connections()
    signal.signal(signal.SIGTERM, leave)
    if until_stdin_closes:
        watch_stdin(end)
    log = open_log(settings.log, "desk")
    catch_faults(log)
    server = connect_server(settings.redis_url, settings.secrets)
    app = create_desk(
        config, server, secrets=settings.secrets, cipher=cipher_of(settings.encryption),
        on_fault=functools.partial(log_fault, log), spool=Spool(settings.spool, clock) if settings.spool else None,
    )  # fmt: skip
    address = (config.desk.public_url if config.desk else None) or f"http://{_shown(host)}:{port}"
    app.router.lifespan_context = functools.partial(_lifespan, log, address)
    log.info("listening", host=host, port=port, processes=1)
    how = uvicorn.Config(
        app, lifespan="on", http=UploadProtocol, ws="none", access_log=False, log_config=None,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=FINISH_WITHIN_S,
    )  # fmt: skip
    with listening:
        serve(uvicorn.Server(how), listening)


def _shown(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host


@contextlib.asynccontextmanager
async def _lifespan(log: Log, address: str, app: Starlette) -> AsyncIterator[None]:
    desk: Desk = app.state.desk
    server = desk.store.server
    beside = [
        asyncio.create_task(server.keep_time(functools.partial(log_clocks, log))),
        asyncio.create_task(_keep_carrying_out(desk.decisions, log)),
    ]
    with contextlib.suppress(*FAILURES):
        await server.client.set(ADDRESS, address)
    yield
    desk.uploads.close()
    await end_all(beside)
    await server.close()


async def _keep_carrying_out(decisions: Decisions, log: Log) -> None:
    while True:
        try:
            await decisions.carry_out()
        except FAILURES:
            pass  # the pages say so to whoever looks, and what was decided is still there
        except Exception as error:  # noqa: BLE001 -- one failing decision must not stop this background job
            log_fault(log, error)
        await asyncio.sleep(CARRY_OUT_EVERY_S)
