"""The desk for a test: the real pages over a real store, asked without a port, and browsers without a screen.

async with open_desk(redis_url, CONFIG) as desk:
    asha = await desk.enter("Asha", "owner")
    page = await asha.get("/leads")
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Self

import httpx
import msgspec
from argon2 import PasswordHasher
from workshop import ENVIRON, Workshop, destination, form

from service.desk.app import create_desk
from service.desk.people.members import BASE, Member, Role
from service.intake.intake import Taken
from service.intake.spool import Spool
from service.lib.secret import Secret
from service.model.lead import Source
from service.process.wiring import clock
from service.store.cipher import PLAIN, Cipher

if TYPE_CHECKING:
    from service.desk.visit import Desk

CONFIG = (
    form(more='title = "Get In Touch"\nspam.limit = 10')
    + form("callback", more='title = "Call me back"')
    + destination("http://127.0.0.1:9/")
    + '[desk]\ntimezone = "Asia/Kolkata"\n'
)
PASSWORD = "violet harbour unmade trestle"
ORIGIN = "http://localhost"
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@cache
def hashed() -> str:
    """Return the hash of `PASSWORD`."""
    return PasswordHasher().hash(PASSWORD)


@dataclass(slots=True)
class Browser:
    """A browser of one member, with its cookies and the token of its session."""

    client: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str, status: int = 200, **headers: str) -> httpx.Response:
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        if found := TOKEN.search(answer.text):
            self.csrf = found[1]
        return answer

    async def post(self, path: str, status: int = 303, *, origin: str = ORIGIN, **fields: Any) -> httpx.Response:
        """Send a form as a page of the session would."""
        answer = await self.client.post(path, data={"csrf": self.csrf, **fields}, headers={"Origin": origin})
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer


class OpenDesk:
    """The pages and what stands behind them."""

    def __init__(self, shop: Workshop, cipher: Cipher, spool: Spool | None = None) -> None:
        self.shop, self.faults = shop, list[Exception]()
        self.app = create_desk(
            shop.config,
            shop.server,
            secrets=[Secret(ENVIRON["LEADS_SECRET"])],
            cipher=cipher,
            on_fault=self.faults.append,
            spool=spool,
        )
        self.desk: Desk = self.app.state.desk
        self._browsers: list[httpx.AsyncClient] = []
        self._entries = count()

    def browser(self, origin: str = ORIGIN, address: str = "203.0.113.7") -> Browser:
        """Return a browser that nobody is signed in with."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1234))
        client = httpx.AsyncClient(transport=transport, base_url=origin)
        self._browsers.append(client)
        return Browser(client)

    async def enter(self, name: str, role: Role, origin: str = ORIGIN) -> Browser:
        """Return the browser of a member who is signed in; made without hashing a password anew, which takes long."""
        member = Member(name, role, hashed(), self.shop.server.now(), f"entry {next(self._entries)}")
        await self.shop.server.client.hset(f"{BASE}members", name, msgspec.json.encode(member).decode())
        browser = self.browser(origin)
        browser.client.cookies.set(
            "leads" if origin == ORIGIN else "__Host-leads", await self.desk.sessions.begin(member)
        )
        await browser.get("/held")
        return browser

    async def submit_from(self, source: Source, to: str = "get-in-touch", **fields: str) -> Taken:
        """Submit as somebody who came from somewhere."""
        said = self.shop.check(to, **fields).content
        taken = await self.shop.intake.submit(self.shop.config.forms[to], replace(said, source=source))
        assert isinstance(taken, Taken)
        return taken

    async def close(self) -> Self:
        for each in self._browsers:
            await each.aclose()
        self.desk.uploads.close()
        assert self.faults == []
        return self


@contextlib.asynccontextmanager
async def open_desk(
    redis_url: str,
    text: str = CONFIG,
    *,
    cipher: Cipher = PLAIN,
    now: Callable[[], int] = clock,
    spool: Spool | None = None,
) -> AsyncIterator[OpenDesk]:
    """Open the desk over an empty server, on a clock that the test may set."""
    async with Workshop(redis_url, text, now=now) as shop:
        shop.use(cipher)
        desk = OpenDesk(shop, cipher, spool)
        yield desk
        await desk.close()
