"""The web part as a process: the application wired to the store and the spool, its background tasks, its port.

Invariant: wiring; with the other modules of this room the only reader of the environment and of the real clock.
"""

import asyncio
import contextlib
import functools
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.config.config import Config
from service.fields import phone
from service.intake.drain import Drain, Drained
from service.intake.intake import Intake
from service.intake.spool import Spool, open_spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.lifetime import allow_many_connections, end, leave, watch_parent, watch_stdin
from service.process.log import (
    Log,
    catch_faults,
    log_clocks,
    log_drained,
    log_fault,
    log_risk,
    log_submission,
    log_unverified,
    open_log,
)
from service.process.metrics import CONTENT_TYPE, WebFigures
from service.process.server import connect_server
from service.process.settings import Settings, log_format, look_up, read_settings
from service.process.successors import serve_alone, serve_with_several
from service.process.wiring import cipher_of, clock, listen, load_config
from service.replies.reply import NO_PAGE
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.server.agreement import agree_on_keys, agree_on_secrets
from service.store.server.ending import end_all
from service.store.server.health import FAILURES, sentence_of
from service.web.app import create_app
from service.web.challenge import Challenger
from service.web.protocol import BoundedProtocol
from service.web.request import may_inspect

DRAIN_EVERY_S: Final = 1.0
BROKEN_S: Final = 30.0
"""Until the spool is tried again after a fault of ours."""
FINISH_WITHIN_S: Final = 20
READY_WITHIN_S: Final = 30


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the web process is made of."""

    config: Config
    store: Store
    cipher: Cipher
    secrets: tuple[Secret, ...]
    intake: Intake
    spool: Spool | None
    challenger: Challenger
    log: Log
    figures: WebFigures


def create_web() -> Starlette:
    """Make the web application that the environment describes.

    Each process calls this and reads for itself: the environment is all that a started process is handed (secrets are
    in no argument), and one that follows another reads what is written there by then.
    """
    watch_parent(end)
    try:
        settings = read_settings(os.environ)
        parts = _parts_of(settings)
    except CannotStart as error:  # Several of us start again by themselves, and the file may have changed since.
        open_log(log_format(os.environ), "web").error("cannot start", reason=str(error))
        sys.exit(1)  # With 3, uvicorn would end those that serve beside it.
    folder = os.environ.get("LEADS_DEMO")
    app = create_app(
        parts.config,
        parts.intake,
        parts.challenger,
        secret=settings.secret,
        clock=clock,
        on_submission=_Notes(log_submission(parts.log), parts.figures),
        is_script_readable=bool(folder),
    )
    app.router.lifespan_context = functools.partial(_lifespan, parts)
    app.router.routes.append(Route("/metrics", functools.partial(_metrics, parts)))
    if folder:
        secret = look_up(os.environ, "CRM_WEBHOOK_SECRET")
        from service.demo.app import demo_routes  # noqa: PLC0415 -- only `leads dev` shows pages of its own

        app.router.routes += demo_routes(folder=Path(folder), secret=Secret(secret) if secret else None, clock=clock)
    return app


def _parts_of(settings: Settings) -> _Parts:
    config = load_config(settings.config, os.environ)
    cipher = cipher_of(settings.encryption)
    service = config.service
    store = Store(
        connect_server(settings.redis_url, settings.secrets),
        replicas=service.replicas, cipher=cipher, takes_risk=not service.durable, zone=config.zone,
    )  # fmt: skip
    spool = open_spool(settings.spool, clock) if settings.spool else None
    log = open_log(settings.log, "web")
    catch_faults(log)
    return _Parts(
        config=config,
        store=store,
        cipher=cipher,
        secrets=settings.secrets,
        intake=Intake(store, settings.secret, spool, cipher, settings.secrets[1:]),
        spool=spool,
        challenger=Challenger(settings.secret, clock, log_unverified(log)),
        log=log,
        figures=WebFigures(is_shared="PROMETHEUS_MULTIPROC_DIR" in os.environ, forms=config.forms),
    )


@contextlib.asynccontextmanager
async def _lifespan(parts: _Parts, _: Starlette) -> AsyncIterator[None]:
    """Run what goes on beside requests, and close everything in order."""
    phone.warm({region for form in parts.config.forms.values() for region in (form.country, *form.countries)})
    gc.collect()
    gc.freeze()  # What lives as long as the process is not looked through again: it took 30 ms of some requests.
    beside: tuple[Coroutine[Any, Any, None], ...] = (
        parts.intake.keep_reporting(),
        parts.store.server.keep_time(functools.partial(log_clocks, parts.log)),
        parts.store.server.keep_looking(functools.partial(log_risk, parts.log)),
        _attend(parts),
    )
    tasks = [asyncio.create_task(work) for work in beside]
    for task in tasks:
        task.add_done_callback(functools.partial(_log_its_end, parts.log))
    yield
    await end_all(tasks)
    await parts.challenger.close()
    await parts.store.server.close()
    if parts.spool:
        parts.spool.close()


@dataclass(frozen=True, slots=True)
class _Notes:
    """Notes what became of a submission, as `account.OnSubmission` has it: in the log and in the figures."""

    write: Any
    figures: WebFigures

    def __call__(self, **what: Any) -> None:  # noqa: ANN401 -- `account.OnSubmission` says what is in it
        self.write(**what)
        self.figures.submission(what["form"], what["result"], what["codes"])


async def _metrics(parts: _Parts, request: Request) -> Response:
    if not may_inspect(request, parts.config.service):
        raise HTTPException(404)
    return Response(await asyncio.to_thread(parts.figures.render), headers={**NO_PAGE, "Content-Type": CONTENT_TYPE})


async def _attend(parts: _Parts) -> None:
    """Drain into a server that we know we may use, and into no other."""
    if await _get_acquainted(parts) and parts.spool:
        await _keep_draining(Drain(parts.spool, parts.store, parts.config.forms), parts.log, parts.figures)


async def _get_acquainted(parts: _Parts) -> bool:
    """Look at a server that may have been away when we started, and tell it which forms we serve.

    False: we may not use it. Had it been there, we would not have started; so nothing is taken any more.
    """
    store = parts.store
    while True:
        try:
            findings = await store.server.open(replicas=parts.config.service.replicas)
            await agree_on_keys(store.server, parts.cipher)
            await agree_on_secrets(store.server, parts.secrets)
            await store.remember_forms(parts.config.forms)
        except CannotStart as error:
            parts.log.error("redis cannot be used", reason=str(error))  # noqa: TRY400 -- it is a sentence, not a fault
            parts.intake.take_nothing(str(error))
            return False
        except FAILURES:
            await asyncio.sleep(1)
            continue
        if not any(finding.level == "away" for finding in findings):
            return True
        await asyncio.sleep(1)


async def _keep_draining(drain: Drain, log: Log, figures: WebFigures) -> None:
    reported = None
    while True:
        trouble = None
        try:
            drained = await drain.run_once()
        except OSError as error:
            drained, trouble = Drained(), f"The spool cannot be emptied ({error.strerror})."
        except Exception as error:  # noqa: BLE001 -- an unexpected error must not stop the draining of the spool
            log_fault(log, error)
            await asyncio.sleep(BROKEN_S)
            continue
        trouble = sentence_of(drained.failure) if drained.failure else trouble
        if trouble and trouble != reported:
            log.warning("the spool waits", reason=trouble)
        reported = trouble
        log_drained(log, drained)
        for line, accepted in drained.taken:
            figures.submission(line.form, accepted.result, ())
        if drained.failure or not (drained.taken or drained.set_aside):
            await asyncio.sleep(DRAIN_EVERY_S)


def _log_its_end(log: Log, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log_fault(log, error)


def run_web(settings: Settings, host: str, port: int, workers: int, *, until_stdin_closes: bool) -> None:
    """Serve until SIGTERM or SIGINT; finish what was begun, for 20 s at most. Raises CannotStart for a port in use."""
    listening = listen(host, port)
    allow_many_connections()
    signal.signal(signal.SIGTERM, leave)
    if until_stdin_closes:
        watch_stdin(end)
    open_log(settings.log, "web").info("listening", host=host, port=port, processes=workers)
    how: dict[str, Any] = {
        "app": "service.process.serve_web:create_web", "factory": True, "workers": workers, "lifespan": "on",
        "http": BoundedProtocol, "ws": "none", "access_log": False, "log_config": None, "server_header": False,
        "proxy_headers": False, "timeout_graceful_shutdown": FINISH_WITHIN_S,
        "timeout_worker_healthcheck": READY_WITHIN_S,
    }  # fmt: skip
    with listening:
        serve_here = serve_alone if workers == 1 else serve_with_several
        serve_here(uvicorn.Config(**how), listening)
