"""The outgoing HTTP: sends one request, reads the beginning of the answer, keeps to a deadline.

Invariant: knows no CRM and decides nothing: an answer comes back as it was, but unpacked, a failure as the exception
that it was. No redirects, no proxy from the environment, certificates checked, private addresses only where allowed.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self

import aiohttp
import httpx

from service.delivery.connections import Connections, failures_in_httpx_words
from service.destinations.rules import Response
from service.lib.secret import Secret

READ_AT_MOST = 64 * 1024
_WINDOWS: Final[Mapping[str, Sequence[int]]] = MappingProxyType({"gzip": (47,), "x-gzip": (47,), "deflate": (47, -15)})
"""How zlib is to read a coding of RFC 9110: with any header; `deflate` also without one, as some servers send it."""


class Sender:
    """Sends to one destination; holds its connections. Used by a fixed number of tasks, `concurrency`."""

    def __init__(
        self, *, concurrency: int, timeout: int, allow_private: bool, ca: str = "", proxy: Secret | None = None
    ) -> None:
        """Allow each request `timeout` ms in all, from the first look-up to the last byte read.

        `ca` (PEM) is trusted beside what the system trusts; `proxy` is an http:// address that all goes by.
        """
        self._timeout_s = timeout / 1000
        # Less than all of it, so that a connection that is not made in time differs from an answer that does not come.
        self._connections = Connections(
            most=concurrency, connect_within_s=0.9 * self._timeout_s, allow_private=allow_private, ca=ca, proxy=proxy
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.close()

    async def send(
        self, request: httpx.Request, *, within_s: float | None = None
    ) -> Response | httpx.RequestError | TimeoutError:
        """Send it and return what came of it, in what is left of the time; never raises for what the network does."""
        answered: aiohttp.ClientResponse | None = None
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s if within_s is None else within_s):
                answered = await self._connections.send(request)
                await _read_beginning(answered, body)
        except (httpx.RequestError, TimeoutError) as error:
            if answered is None:
                return error
            # The status has been said; a body that breaks off or does not end in time does not unsay it.
        finally:
            if answered is not None:
                answered.release()  # One that was not read to its end is closed by it.
        headers = httpx.Headers(answered.raw_headers)
        read = _unpacked(bytes(body[:READ_AT_MOST]), headers.get("content-encoding", ""))
        return Response(answered.status, headers, read.decode("utf-8", "replace"))


async def _read_beginning(answered: aiohttp.ClientResponse, body: bytearray) -> None:
    with failures_in_httpx_words():
        async for chunk in answered.content.iter_any():
            body += chunk
            if len(body) >= READ_AT_MOST:
                return


def _unpacked(body: bytes, coding: str) -> bytes:
    """Return the beginning of a body that was compressed, though we asked for none that is; else the body as it came.

    However little it is packed into, no more than `READ_AT_MOST` comes out.
    """
    for bits in _WINDOWS.get(coding.strip().lower(), ()):
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(bits).decompress(body, READ_AT_MOST)
    return body
