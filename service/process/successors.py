"""Several web processes over one port, and how each is followed by another without a visitor noticing.

Invariant: the port is held by the process above them, which serves nobody; so whoever connects while one goes waits for
the next. A process is told to end when the one that follows it has started, never before.
"""

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from uvicorn.supervisors.multiprocess import Multiprocess

from service.lib.errors import CannotStart
from service.process.log import open_log
from service.process.settings import Settings, log_format, read_settings
from service.process.wiring import cipher_of, connect_server, load_config
from service.store.server.agreement import see_secrets
from service.store.server.health import FAILURES

if TYPE_CHECKING:
    import uvicorn


class _Successors(Multiprocess):
    """uvicorn's processes; a SIGHUP replaces them, one after another, if what they would read is right."""

    def handle_hup(self) -> None:
        """Let new processes read the configuration and the code as they are now; a mistake changes nothing."""
        log = open_log(log_format(os.environ), "web")
        try:
            settings = read_settings(os.environ)
            load_config(settings.config, os.environ)
            cipher_of(settings.encryption)
            asyncio.run(_see_secrets(settings))
        except CannotStart as error:
            log.error("the old configuration stays", reason=str(error))  # noqa: TRY400 -- it is a sentence, not a fault
            return
        before = [process.pid for process in self.processes]
        self.restart_all()
        replaced = sum(process.pid not in before for process in self.processes)
        if replaced == len(before):
            log.info("the configuration was read again", processes=replaced)
        else:
            log.error("the old configuration stays", reason=f"{len(before) - replaced} of {len(before)} did not start.")


async def _see_secrets(settings: Settings) -> None:
    server = connect_server(settings.redis_url, settings.secrets)
    try:
        await server.open()
        await see_secrets(server, settings.secrets)
    except FAILURES:
        pass  # Redis is away: each process looks for itself when it is back.
    finally:
        await server.close()


def serve_with_several(config: "uvicorn.Config", listening: socket.socket) -> None:
    """Serve over a port with `config.workers` processes until SIGTERM or SIGINT."""
    _Successors(config, [listening]).run()
