"""Sends a made-up lead through the public address of a form, as a visitor would, and on to where it is asked for.

Invariant: one worker does so for all. What is on its way is kept before it is sent, and what came of it before the next
thing is, so that a kill repeats one step at most, under the same id. It is no submission, and counts as none.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import structs

from service.config.config import Config
from service.delivery.attempt import LEASE_BEYOND_TIMEOUT, attempt, converse
from service.delivery.carrier import carrier_to
from service.delivery.tokens import Tokens
from service.destinations.outcome import Delivered, Outcome
from service.destinations.sample import sample_delivery
from service.destinations.webhook import USER_AGENT, Webhook
from service.model.form import Canary, Form
from service.store.alarms import CANARY_HEADER, Flight, has_arrived, keep_flight, read_flights, tells
from service.store.server.server import Server

FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 600_000
"""The first and the longest pause before a canary that did not arrive is sent again."""
_ADDRESS: Final = "canary"
_ANOTHER: Final = "something took it there, but not this service"


class Canaries:
    """Sends on behalf of one worker."""

    def __init__(self, server: Server, worker: str, config: Config) -> None:
        self._server = server
        self._worker = worker
        self._config = config

    async def send(self) -> AsyncIterator[tuple[str, Flight]]:
        """Send what is due; yield the form, and how its canary stands then."""
        flights = await read_flights(self._server)
        for form in self._config.forms.values():
            before = flights.get(form.name)
            if form.canary is None or (before and before.due > self._server.now()):
                continue
            if not await tells(self._server, self._worker):
                return
            yield form.name, await self._send(form, form.canary, before)

    async def _send(self, form: Form, canary: Canary, before: Flight | None) -> Flight:
        now = self._server.now()
        flight = before if before and not before.is_over else Flight(secrets.token_urlsafe(18), now, 0)
        flight = await self._keep(form, structs.replace(flight, due=now + FIRST_PAUSE_MS))
        problem = "" if await has_arrived(self._server, form.name, flight.id) else await self._enter(form, flight)
        for name in form.deliver if not problem else ():
            if name not in canary.deliver:
                self._config.destinations[name].preview(sample_delivery(form, now), now)
            elif name not in flight.delivered:
                outcome = await self._deliver(form, name, flight)
                if isinstance(outcome, Delivered):
                    flight = await self._keep(form, structs.replace(flight, delivered=(*flight.delivered, name)))
                else:
                    problem = problem or f"{name}: {outcome.reason}"
        return await self._keep(form, _landed(flight, problem, canary.every, self._server.now()))

    async def _enter(self, form: Form, flight: Flight) -> str:
        """Post it as a page would; return why it did not arrive, "" if it did."""
        url = f"{self._config.service.public_url}/f/{form.name}"
        there = Webhook(_ADDRESS, (url,), allow_private=True)
        async with carrier_to(there, self._config) as carrier:
            outcome = await converse(there, carrier, partial(_posting, there, url, form, flight, self._server.clock))
        if isinstance(outcome, Delivered):
            return "" if await has_arrived(self._server, form.name, flight.id) else f"{url}: {_ANOTHER}"
        return f"{url}: {outcome.reason.replace('the CRM', 'the service')}"

    async def _deliver(self, form: Form, name: str, flight: Flight) -> Outcome:
        target, clock = self._config.destinations[name], self._server.clock
        tokens = Tokens(self._server, name, target.timeout + LEASE_BEYOND_TIMEOUT) if target.oauth else None
        delivery = sample_delivery(form, flight.begun)
        async with carrier_to(target, self._config) as carrier:
            return await attempt(target, carrier, delivery, clock, tokens.answer if tokens else None)

    async def _keep(self, form: Form, flight: Flight) -> Flight:
        await keep_flight(self._server, form.name, flight)
        return flight


def _posting(
    there: Webhook, url: str, form: Form, flight: Flight, clock: Callable[[], int]
) -> Generator[Any, Any, Outcome]:
    import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

    fields = sample_delivery(form, flight.begun).lead.content.fields
    pairs = [
        (name, text)
        for name, answer in fields.items()
        for text in (answer.value if isinstance(answer.value, tuple) else (answer.text,))
    ]
    headers = {
        "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "User-Agent": USER_AGENT,
        CANARY_HEADER: flight.id,
    }  # fmt: skip
    answer = yield httpx.Request("POST", url, content=urlencode(pairs), headers=headers)
    return there.judge(answer, clock())


def _landed(flight: Flight, problem: str, every: int, now: int) -> Flight:
    """Return a flight after it arrived where it should, or did not."""
    if not problem:
        return structs.replace(flight, due=max(now, flight.begun + every), problem="", tries=0, is_over=True)
    pause = min(FIRST_PAUSE_MS << min(flight.tries, 10), LONGEST_PAUSE_MS)
    return structs.replace(flight, due=now + pause, problem=problem, tries=flight.tries + 1)
