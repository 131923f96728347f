"""How long the pages of the desk take with many leads behind them: in one process, on a server of its own."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from desk import Browser, OpenDesk, open_desk
from workshop import Hands, destination, form

from service.model.lead import Source
from service.up.embedded import Embedded

LEADS: Final = 100_000
DAYS: Final = 365
AT_ONCE: Final = 50
PAGES: Final = {
    "/": "/", "/ over a year": "/?days=365", "/ by campaign over a year": "/?days=365&by=campaign",
    "/ by choice": "/?by=get-in-touch.branch", "/leads": "/leads", "/held": "/held", "/trouble": "/trouble",
    "/forms/NAME": "/forms/get-in-touch",
}  # fmt: skip
_TURNS: Final = 15
_CONFIG: Final = (
    form(more='quiet = "0s"\nfields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }')
    + form("callback")
    + destination("http://127.0.0.1:9/")
    + '[desk]\ntimezone = "Asia/Kolkata"\n'
)


def lines(number: int = LEADS) -> Iterator[str]:
    """Yield a line for each page: ms at the median of several calls, the first one left out, and of the first."""
    with tempfile.TemporaryDirectory(prefix="leads-pages-") as folder:
        server = Embedded(Path(folder) / "redis")
        server.start()
        try:
            for name, (first, rest) in asyncio.run(_measure(server.url, number)).items():
                yield f"page {name} with {number:,} leads of {DAYS} days: {rest:.0f} ms (the first time {first:.0f} ms)"
        finally:
            server.stop()


async def _measure(url: str, number: int) -> dict[str, tuple[float, float]]:
    hands = Hands()
    async with open_desk(url, _CONFIG, now=hands) as desk:
        hands.ahead -= DAYS * 86_400_000
        for begin in range(0, number, AT_ONCE):
            hands.ahead += DAYS * 86_400_000 * AT_ONCE // number
            await asyncio.gather(*(_submit(desk, each) for each in range(begin, begin + AT_ONCE)))
        browser = await desk.enter("Asha", "editor")
        return {name: await _times(browser, path) for name, path in PAGES.items()}


async def _submit(desk: OpenDesk, number: int) -> None:
    source = Source(utm={"campaign": f"campaign {number % 12}"})
    branch = ("Bangalore", "Hyderabad")[number % 3 == 0]
    await desk.submit_from(source, name="N", phone=f"8951{number:06d}", branch=branch, message="My knee hurts.")


async def _times(browser: Browser, path: str) -> tuple[float, float]:
    took = []
    for _ in range(_TURNS):
        began = time.perf_counter()
        await browser.get(path)
        took.append((time.perf_counter() - began) * 1_000)
    return took[0], statistics.median(took[1:])
