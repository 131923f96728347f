"""The outgoing HTTP: sends one request, reads the beginning of the answer, keeps to a deadline.

Invariant: knows no CRM and decides nothing: an answer comes back as it was, a failure as the exception it was.
No redirects, no proxy from the environment, certificates checked, private addresses only where allowed.
"""

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from typing import Any, Self

import httpx

from service.lib.network import is_public
from service.lib.secret import unshown

READ_AT_MOST = 16 * 1024


class PrivateAddressError(httpx.RequestError):
    """The name of a public destination led to a private or link-local address; nothing was sent there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers and the first 16 KiB of the body as text."""

    status: int
    headers: httpx.Headers
    text: str

    __repr__ = unshown


class Sender:
    """Sends to one destination; holds its connections. Used by a fixed number of tasks, `concurrency`."""

    def __init__(self, *, concurrency: int, timeout: int, allow_private: bool) -> None:
        """Allow each request `timeout` ms in all, from the first look-up to the last byte read."""
        self._timeout_s = timeout / 1000
        self._allow_private = allow_private
        # httpcore leaks slots of a contended pool when requests are cancelled (encode/httpcore#1093): twice as many.
        limits = httpx.Limits(max_connections=2 * concurrency + 2, max_keepalive_connections=concurrency)
        # A connection cancelled in its TLS handshake is never closed by httpcore; one that times out there is.
        timeouts = httpx.Timeout(self._timeout_s, connect=0.9 * self._timeout_s)
        self._client = httpx.AsyncClient(
            timeout=timeouts, limits=limits, trust_env=False, follow_redirects=False,
            verify=ssl.create_default_context(),
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, request: httpx.Request) -> Answer | httpx.RequestError | TimeoutError:
        """Send it and return what came of it; never raises for what the network does."""
        if not self._allow_private:
            request.extensions["trace"] = _refuse_private_addresses
        answered: httpx.Response | None = None
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                answered = await self._client.send(request, stream=True)
                await _read_beginning(answered, body)
        except (httpx.RequestError, TimeoutError) as error:
            if answered is None:
                return error
            # The status has been said; a body that breaks off or does not end in time does not unsay it.
        finally:
            if answered is not None:
                await answered.aclose()
        text = bytes(body[:READ_AT_MOST]).decode("utf-8", "replace")
        return Answer(answered.status_code, answered.headers, text)


async def _read_beginning(response: httpx.Response, body: bytearray) -> None:
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= READ_AT_MOST:
            return


async def _refuse_private_addresses(event: str, info: dict[str, Any]) -> None:
    if event != "connection.connect_tcp.complete":
        return
    address = ipaddress.ip_address(str(info["return_value"].get_extra_info("server_addr")[0]).split("%")[0])
    if not is_public(address):
        await info["return_value"].aclose()
        raise PrivateAddressError("the address is private")
