"""A worker's surroundings for a test: a configuration, a real store, the real worker in this loop.

async with Workshop(redis_url, one_crm(crm)) as shop:
    taken = await shop.submit(name="Asha", phone="8951047001")
    async with shop.worker():
        await until(lambda: crm.requests)
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import structlog
from crm import Crm

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.intake.intake import Intake, Taken
from service.lib.secret import Secret
from service.process.settings import read_file
from service.process.wiring import clock
from service.process.worker import Worker
from service.store.accounts import DestinationAccount, FormAccount
from service.store.archive import Archive, DeadDelivery, KeptLead
from service.store.cipher import PLAIN, Cipher
from service.store.leads import Store
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission import body
from service.submission import check as validate
from service.submission.check import Checked
from service.submission.form_data import Posted

if TYPE_CHECKING:
    from service.delivery.courier import Attempted

SIGNING = "whsec_7y0Jk3uQ4pVbXc1eZtR8mHnW2sLdGfAo"
ENVIRON = {"CRM_SECRET": SIGNING, "LEADS_SECRET": "5b1e0c7a93d84f2e6a17c0d9b35f8e24"}
FORM = """
[forms.{name}]
deliver = {deliver}
fields.name = {{ type = "text" }}
fields.phone = {{ type = "phone" }}
fields.email = {{ type = "email" }}
fields.message = {{ type = "text", multiline = true }}
{more}
"""
DESTINATION = """
[destinations.{name}]
type = "webhook"
url = "{url}"
secret = "$CRM_SECRET"
allow_private = true
{more}
"""
QUICK = 'retry = ["200ms", "400ms"]\ntimeout = "2s"'


def form(name: str = "get-in-touch", *, deliver: tuple[str, ...] = ("crm",), more: str = "") -> str:
    """Write a form of the configuration."""
    return FORM.format(name=name, deliver=json.dumps(list(deliver)), more=more)


def destination(url: str, name: str = "crm", *, more: str = QUICK) -> str:
    """Write a destination of the configuration."""
    return DESTINATION.format(name=name, url=url, more=more)


def one_crm(crm: Crm, *, more: str = QUICK) -> str:
    """Write a configuration of one form that delivers to one CRM."""
    return form() + destination(crm.url, more=more)


async def until(is_so: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it is so; fail after `seconds`, which is ten times what it should take or more."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        await asyncio.sleep(0.005)


async def until_async(is_so: Callable[[], Awaitable[object]], seconds: float = 10.0) -> None:
    """Wait until it is so, by a question that takes a while itself."""
    deadline = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        await asyncio.sleep(0.02)


class Workshop:
    """The store, the intake and as many workers as the test asks for; `clock` in ms is every part's time."""

    def __init__(self, redis_url: str, text: str, *, now: Callable[[], int] = clock) -> None:
        self.redis_url, self._now = redis_url, now
        self.config = self.read(text)
        self.server = Server(connect(redis_url), clock=now)
        self.use(PLAIN)
        self.attempts: list[Attempted] = []
        self.log: list[Mapping[str, Any]] = []

    @staticmethod
    def read(text: str) -> Config:
        config = parse(text, ENVIRON, read_file)
        assert not isinstance(config, Mistakes), config
        return config

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    def use(self, cipher: Cipher) -> None:
        """Let everything that is made from now on seal and open with these keys."""
        self._cipher = cipher
        self.store = Store(self.server, cipher=cipher)
        self.archive = Archive(self.server, cipher)
        self.intake = Intake(self.store, Secret(ENVIRON["LEADS_SECRET"]), cipher=cipher)

    def check(self, to: str, **fields: str) -> Checked:
        posted = body.read("application/x-www-form-urlencoded", urlencode(fields).encode())
        assert isinstance(posted, Posted)
        checked = validate.check(self.config.forms[to], posted)
        assert isinstance(checked, Checked), checked
        return checked

    async def submit(self, to: str = "get-in-touch", **fields: str) -> Taken:
        checked = self.check(to, **fields)
        taken = await self.intake.submit(
            self.config.forms[to], checked.content, quarantine=checked.quarantine, signals=checked.signals
        )
        assert isinstance(taken, Taken), taken
        return taken

    async def submit_many(self, count: int, to: str = "get-in-touch") -> list[Taken]:
        """Submit for `count` different people, one after the other, each in a millisecond of its own."""
        taken = []
        for number in range(count):
            taken.append(await self.submit(to, name=f"N{number}", phone=f"89510{number:05d}"))
            await asyncio.sleep(0.001)
        return taken

    @contextlib.asynccontextmanager
    async def worker(self, config: Config | None = None) -> AsyncIterator[asyncio.Event]:
        """Run a worker until the block ends; it has a server connection of its own, as a process would."""
        server, stop = Server(connect(self.redis_url), clock=self._now), asyncio.Event()
        worker = Worker(
            config or self.config,
            server,
            secret=Secret(ENVIRON["LEADS_SECRET"]),
            cipher=self._cipher,
            log=self._open_log(),
            jitter=lambda: 0.5,
            on_attempt=self.attempts.append,
        )
        task = asyncio.create_task(worker.run(stop))
        try:
            yield stop
        finally:
            stop.set()
            async with asyncio.timeout(25):
                await task
            await server.close()

    def _open_log(self) -> Any:
        def keep(_: object, method: str, event: Mapping[str, Any]) -> str:
            self.log.append({**event, "level": method})
            return ""

        return structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep])

    def events(self, event: str) -> list[Mapping[str, Any]]:
        """Return the log's lines of that kind."""
        return [each for each in self.log if each["event"] == event]

    async def form(self, name: str = "get-in-touch") -> FormAccount:
        """Return the form's account, which must add up."""
        account = await self.store.account(name, self.config.forms[name].deliver, {})
        assert account.is_whole, account
        return account

    async def account(self, name: str = "crm", form: str = "get-in-touch") -> DestinationAccount:
        """Return the form's account at a destination, which must add up."""
        return (await self.form(form)).destinations[name]

    async def settled(self, name: str = "crm", form: str = "get-in-touch") -> DestinationAccount:
        """Wait until nothing waits there; return the account."""
        await until_async(lambda: self._nothing_waits(name, form))
        return await self.account(name, form)

    async def _nothing_waits(self, name: str, form: str) -> bool:
        return (await self.account(name, form)).waiting == 0

    async def lead(self, lead: str, form: str = "get-in-touch") -> KeptLead:
        kept = await self.archive.lead(self.config.forms[form], lead)
        assert kept is not None
        return kept

    async def dead(self, name: str = "crm", form: str = "get-in-touch") -> list[DeadDelivery]:
        return await self.archive.dead(form, name)


class Hands:
    """A clock whose hands a test can move: real time and what was added."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return clock() + self.ahead
