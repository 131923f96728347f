"""`leads up`: a whole installation under one command, and `leads dev`, the same with the demo.

Invariant: this process carries no lead. It makes what an installation needs in its data folder, starts the embedded
server, the web part, the worker and, where there is a `[desk]`, the desk, starts again what ended, and stops all of it
in order: desk, web, worker, server. On SIGHUP, web, worker and desk are followed by such as have read the configuration
anew, if it is right.
Its children hold the other end of a pipe as their standard input and end by themselves when this process is
killed (`lifetime.watch_stdin`); a server left behind by a kill is dealt with at the next start (`embedded`).
"""

import asyncio
import base64
import contextlib
import http.client
import os
import secrets
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from service.lib.errors import CannotStart
from service.process.settings import read_settings
from service.process.wiring import cipher_of, clock, load_config, look_at_port
from service.up import installation
from service.up.embedded import Embedded
from service.up.supervisor import PATIENCE, Child, Watch, say

HOST: Final = "127.0.0.1"
DESK_BEYOND: Final = 10
WORKER_BEYOND: Final = 20
"""The ports of desk and worker are so many above the web part's: 8010 and 8020 beside 8000. Two installations never
want the same one, and none takes one that other programs expect for themselves."""
DEMO_CONFIG: Final = Path(__file__).parents[1] / "demo" / "demo.toml"
PROGRAM: Final = (sys.executable, "-m", "service")


def run(
    *, port: int, data: Path, demo: bool, config: Path | None, environ: Mapping[str, str],
    program: Sequence[str] = PROGRAM, more: Sequence[str] = (), sample: int = 0,
) -> int:  # fmt: skip
    """Run an installation in `data` until SIGINT or SIGTERM; return the exit status, 0 after an orderly stop.

    `more` are words for each of our own processes. `sample`: so many made-up leads are there before they start.
    `config` None means the demo's own with `demo`, else `LEADS_CONFIG`, else `leads.toml`. What cannot start is said
    in one sentence on standard error, status 1. Call it from the main thread: it takes the signals.
    """
    stop, again = threading.Event(), threading.Event()
    data = data.absolute()
    with _taking_signals(stop, again), contextlib.ExitStack() as ending:
        try:
            server = Embedded(data, abandon=stop)
            ending.callback(server.stop)
            _claim(server, port, stop)
            environment = prepare(data, port=port, demo=demo, config=config, environ=environ)
            has_desk = load_config(Path(environment["LEADS_CONFIG"]), environment).desk is not None
            read_settings({**environment, "LEADS_REDIS_URL": server.url})
            ending.callback((data / "running").unlink, missing_ok=True)
            server.start()
            environment["LEADS_REDIS_URL"] = server.url
            ending.callback((data / installation.FILE).unlink, missing_ok=True)
            installation.describe(data, environment)
            if sample:
                say(_make_up(sample, environment))
        except CannotStart as error:
            return 0 if stop.is_set() else _complain(error)
        except OSError as error:
            return _complain(CannotStart(f"The data folder {data} cannot be used: {error}."))
        ports = {"web": port, "desk": _free_port(port + DESK_BEYOND) if has_desk else 0}
        ports["worker"] = _free_port(port + WORKER_BEYOND)
        parts = list(_parts(ports, environment, program, more))
        for part in reversed(parts):
            ending.callback(part.stop)
        watches = [Watch(server, time.monotonic()), *map(Watch, parts)]
        welcome = Welcome(ports, demo, Path(environment["LEADS_CONFIG"]))
        return _watch(watches, welcome, Renewal(again, data, environment, parts), stop)


def _make_up(number: int, environment: Mapping[str, str]) -> str:
    """Make up leads, and say how many."""
    from service.demo.sample import fill  # noqa: PLC0415 -- only for `leads dev --sample`

    settings = read_settings(environment)
    config = load_config(settings.config, environment)
    made = asyncio.run(
        fill(
            settings.redis_url, config, settings.secret, cipher_of(settings.encryption), number=number, end=clock()
        )
    )  # fmt: skip
    return f"{made} submissions of a month were made up." if made else "There are leads already: none were made up."


def _parts(
    ports: Mapping[str, int], environment: Mapping[str, str], program: Sequence[str], more: Sequence[str]
) -> Iterator[Child]:
    """Yield our own processes, in the order in which they end."""
    if ports["desk"]:
        words = [*program, "desk", "--host", HOST, "--port", str(ports["desk"]), *more]
        yield Child("desk", words, environment)
    yield Child("web", [*program, "serve", "--host", HOST, "--port", str(ports["web"]), *more], environment)
    yield Child("worker", [*program, "work", "--port", str(ports["worker"]), *more], environment)


def prepare(data: Path, *, port: int, demo: bool, config: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Make the secrets that `data` lacks and return the environment of the parts, but for LEADS_REDIS_URL."""
    chosen = config or (DEMO_CONFIG if demo else Path(environ.get("LEADS_CONFIG") or "leads.toml"))
    environment = {**environ, "LEADS_CONFIG": str(chosen.absolute())}
    environment.setdefault("LEADS_SPOOL", str(data / "spool"))
    if not (environ.get("LEADS_SECRET") or environ.get("LEADS_SECRET_FILE")):
        environment["LEADS_SECRET"] = _kept(data / "secret", lambda: secrets.token_urlsafe(32))
    if demo:
        environment["LEADS_DEMO"] = str(data)
        environment["DEMO_CRM_URL"] = f"http://{HOST}:{port}/demo/crm"
        environment.setdefault("LEADS_LOG", "text")
        environment.pop("CRM_WEBHOOK_SECRET_FILE", None)
        if not environ.get("CRM_WEBHOOK_SECRET"):
            environment["CRM_WEBHOOK_SECRET"] = _kept(data / "demo-crm-secret", _webhook_secret)
    return environment


class Welcome:
    """Says once where everything is, as soon as the web part is ready."""

    def __init__(self, ports: Mapping[str, int], demo: bool, config: Path) -> None:
        self.said = False
        self._ports, self._demo, self._config = ports, demo, config
        self._patience = time.monotonic() + 20

    def look(self, now: float) -> None:
        """Ask `/readyz` and say the addresses when it answers 200; complain once when that takes long."""
        status, answer = self._ask()
        if status == http.HTTPStatus.OK:
            self.said = True
            say(self._addresses())
        elif now > self._patience:
            self._patience = float("inf")
            say(f"Not ready yet. /readyz says: {answer or 'nothing'}")

    def _ask(self) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self._ports["web"], timeout=1)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read(4096).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def _addresses(self) -> str:
        base = f"http://{HOST}:{self._ports['web']}"
        if self._demo:
            places = [("The clinic's form", "/"), ("The demo CRM", "/demo/crm"), ("The same as JSON", "/demo/crm.json")]
        else:
            forms = tomllib.loads(self._config.read_text(encoding="utf-8")).get("forms", {})
            places = [(f"Form {name}", f"/f/{name}") for name in forms]
        lines = [f"  {what:<20} {base}{path}" for what, path in [*places, ("State", "/readyz")]]
        if port := self._ports["worker"]:
            lines += [f"  {'State of the worker':<20} http://{HOST}:{port}/readyz   figures: /metrics"]
        if port := self._ports["desk"]:
            lines += [f"  {'Your leads':<20} http://{HOST}:{port}/   leads desk invite NAME --role owner"]
        return "\n".join(["Ready.", *lines, "Ctrl-C stops everything in order."])


class Renewal:
    """Has the parts read the configuration again once that was asked for, if it is right; a mistake changes nothing."""

    def __init__(
        self, asked: threading.Event, data: Path, environment: Mapping[str, str], parts: Sequence[Child]
    ) -> None:
        self._asked, self._data, self._environment, self._parts = asked, data, environment, parts

    def look(self) -> None:
        """Tell the web part to be followed, and the others to end, since what ended is started again."""
        if not self._asked.is_set():
            return
        self._asked.clear()
        try:
            load_config(read_settings(self._environment).config, self._environment)
            installation.describe(self._data, self._environment)
        except (CannotStart, OSError) as error:
            say(f"All stays as it was. {error}")
            return
        say("Reading the configuration again.")
        for part in self._parts:
            part.signal(signal.SIGHUP if part.name == "web" else signal.SIGTERM)


def _watch(watches: Sequence[Watch], welcome: Welcome, renewal: Renewal, stop: threading.Event) -> int:
    while not stop.wait(0.2 if welcome.said else 0.05):
        for watch in watches:
            # Before all is ready, a part that says why it cannot start would say the same again.
            if watch.look(time.monotonic(), final=() if welcome.said else (1, 2)):
                return 1
        if welcome.said:
            renewal.look()
        else:
            welcome.look(time.monotonic())
    say("Stopping.")
    return 0


def _claim(server: Embedded, port: int, stop: threading.Event) -> None:
    """Take the folder and see that the port is free; the parts of a run that was killed may take a while to go."""
    marker = server.folder / "running"
    was_cut_off = server.claim() or marker.exists()
    deadline = time.monotonic() + (PATIENCE + 5 if was_cut_off else 0)
    while True:
        try:
            look_at_port(HOST, port)
        except CannotStart:
            if time.monotonic() >= deadline or stop.wait(0.1):
                raise
        else:
            break
    marker.touch()


def _free_port(usual: int) -> int:
    """Return a port that nobody listens on, the usual one if it can be; 0: there is none."""
    for port in range(usual, min(usual + 10, 65_536)):
        with contextlib.suppress(CannotStart):
            look_at_port(HOST, port)
            return port
    return 0


@contextlib.contextmanager
def _taking_signals(stop: threading.Event, again: threading.Event) -> Iterator[None]:
    wanted = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` means to go on.
        wanted[signal.SIGHUP] = stop if _has_terminal() else again
    earlier = {number: signal.signal(number, lambda *_, event=event: event.set()) for number, event in wanted.items()}
    try:
        yield
    finally:
        for number, action in earlier.items():
            signal.signal(number, action)


def _has_terminal() -> bool:
    """Tell whether there is a terminal that SIGHUP could say is gone."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _kept(file: Path, make: Callable[[], str]) -> str:
    """Return the secret kept in `file`, made now if there is none; never half of one."""
    if not file.exists():
        spare = file.with_suffix(".new")
        spare.unlink(missing_ok=True)
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(make() + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        spare.rename(file)
    return file.read_text().strip()


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _complain(error: Exception) -> int:
    with contextlib.suppress(OSError):
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - the same
    return 1
