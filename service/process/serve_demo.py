"""The demo CRM as a process of its own.

Invariant: wiring; with the other modules of this room the only reader of the environment and of the real clock.
"""

import signal
from pathlib import Path

import uvicorn

from service.demo.app import create_demo_app
from service.lib.secret import Secret
from service.process.lifetime import allow_many_connections, leave, serve
from service.process.wiring import clock, listen


def run_demo(host: str, port: int, secret: Secret | None, *, folder: Path | None, form_url: str) -> None:
    """Serve the demo CRM alone; the arguments are those of `demo.demo_routes`. Raises CannotStart for a port in use."""
    listening = listen(host, port)
    allow_many_connections()
    signal.signal(signal.SIGTERM, leave)
    app = create_demo_app(folder=folder, secret=secret, clock=clock, form_url=form_url)
    with listening:
        how = uvicorn.Config(app, access_log=False, log_level="critical", server_header=False)
        serve(uvicorn.Server(how), listening)
