"""A request that got no answer: what the exception means for the delivery.

Invariant: looks at exceptions, does no I/O. Every reason is our own sentence; an exception's text is never repeated.
"""

import socket
import ssl
from collections.abc import Iterator

from service.destinations.outcome import Retry


def judge_failure(error: BaseException) -> Retry:
    """Return what the exception of an attempt means. Certificates are about our setup, all else about this try."""
    import httpx  # noqa: PLC0415  the web part never sends, and httpx takes long to import

    chain = list(_chain(error))
    for kinds, retry in (
        ((ssl.SSLCertVerificationError,), Retry("the CRM's certificate is not valid for this address", scope="setup")),
        ((httpx.UnsupportedProtocol, httpx.InvalidURL), Retry("the address of the CRM cannot be used", scope="setup")),
        ((socket.gaierror,), Retry("the name of the CRM's host could not be looked up")),
        ((httpx.ConnectTimeout,), Retry("no connection to the CRM could be made in time")),
        ((httpx.PoolTimeout,), Retry("no connection to the CRM was free in time")),
        ((TimeoutError, httpx.TimeoutException), Retry("the CRM did not answer in time")),
        ((ssl.SSLError,), Retry("no secure connection to the CRM could be agreed on")),
        ((ConnectionRefusedError,), Retry("the CRM refused the connection")),
        ((httpx.ConnectError,), Retry("no connection to the CRM could be made")),
        ((httpx.DecodingError,), Retry("the CRM's answer could not be read")),
        ((httpx.ProtocolError, ConnectionError, httpx.NetworkError), Retry("the CRM broke the connection off")),
    ):
        if any(isinstance(cause, kinds) for cause in chain):
            return retry
    return Retry("the request to the CRM failed")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception and what caused it: httpx hides the reason two causes deep, anyio in a group."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
