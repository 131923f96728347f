"""The connections to one destination, and their failures in httpx's words.

Invariant: what goes out is what was given and nothing else: no header, cookie, redirect, proxy or second try of the
client library's own; what comes back is not unpacked. A private address is refused before anything connects to it,
however it was spelled or looked up. Every failure is an `httpx.RequestError` whose cause is what happened.
"""

import asyncio
import contextlib
import functools
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from service.destinations.failure import LoneCertificateError
from service.lib.network import is_private, is_public
from service.lib.secret import Secret

KEPT_IDLE_S: Final = 5.0
LONGEST_LINE: Final = 64 * 1024
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_NO_ISSUER: Final = 20
"""OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY."""
_OF_ITS_OWN: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
"""Headers that the library would add."""


class NotHttpError(httpx.DecodingError):
    """What came is no HTTP that can be read: bytes before its first line, a blank before a colon."""


_KINDS: Final[tuple[tuple[type[BaseException], type[httpx.RequestError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectorCertificateError, httpx.ConnectError),
    (aiohttp.ClientConnectorSSLError, httpx.ConnectError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, NotHttpError),
    (aiohttp.ClientError, httpx.ReadError),
)
"""What a failure is called; the first that fits."""


class PrivateAddressError(httpx.RequestError):
    """The name of a public destination led to a private or link-local address; nothing was sent there."""


class PrivateError(OSError):
    """The address that was about to be connected to is a private one."""


class _Handshake(ssl.SSLObject):
    """A TLS connection that tells a certificate that came alone from one of an unknown authority."""

    def do_handshake(self) -> None:
        """Shake hands; raises an ssl.SSLError."""
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            # Public from Python 3.13 on: `get_verified_chain()`, here as far as it could be built.
            chain = getattr(self, "_sslobj").get_verified_chain()  # noqa: B009 -- typeshed does not know it
            if error.verify_code == _NO_ISSUER and len(chain or ()) == 1:
                raise LoneCertificateError(*error.args) from error
            raise


class _Reading(ResponseHandler):
    """Reads an answer head first, so that what is wrong behind a clean head in one piece with it does not unsay it."""

    def data_received(self, data: bytes) -> None:
        """Take what came: the head by itself, if it ends here."""
        head = _END_OF_HEAD.search(data)
        end = head.end() if head else len(data)
        super().data_received(data[:end])
        if end < len(data):
            super().data_received(data[end:])


class Connections:
    """Connections to one destination, `most` at once; each is kept for the next request."""

    def __init__(
        self, *, most: int, connect_within_s: float, allow_private: bool, ca: str = "", proxy: Secret | None = None
    ) -> None:
        """Trust what `ca` holds (PEM) too; send by way of `proxy`, an http:// address with its user and password."""
        self._most = most
        self._connect_within_s = connect_within_s
        self._allow_private = allow_private
        self._tls = trusting(ca)
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: httpx.Request) -> aiohttp.ClientResponse:
        """Send a request whose content is at hand; returns the answer once its head is there. It must be released.

        Raises an httpx.RequestError.
        """
        if self._proxy and not self._allow_private and is_private(request.url.host):
            raise PrivateAddressError("the address is private")  # what a name leads to, the proxy alone knows
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw]
        with failures_in_httpx_words(is_proxied=self._proxy is not None):
            return await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                data=request.content or None,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy.reveal() if self._proxy else None,
            )

    async def close(self) -> None:
        """Close every connection."""
        if self._session:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # only where a loop runs can one be made
            connector = aiohttp.TCPConnector(
                limit=self._most, ssl=self._tls, use_dns_cache=False, keepalive_timeout=KEPT_IDLE_S,
                socket_factory=socket_to if self._allow_private or self._proxy else socket_to_public,
            )  # fmt: skip
            handler = functools.partial(cast("type[ResponseHandler]", _Reading), loop=asyncio.get_running_loop())
            connector._factory = handler  # noqa: SLF001 -- aiohttp 3.14 has no other way to see bytes before its parser
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_within_s),
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
                skip_auto_headers=_OF_ITS_OWN, max_line_size=LONGEST_LINE, max_field_size=LONGEST_LINE,
            )  # fmt: skip
            # It would send a PUT a second time where the first had found its connection closed.
            self._session._retry_connection = False  # noqa: SLF001 -- there is no other way to say so in aiohttp 3.14
        return self._session


@contextlib.contextmanager
def failures_in_httpx_words(*, is_proxied: bool = False) -> Iterator[None]:
    """Raise what the client library raises as what httpx would have called it."""
    try:
        yield
    except aiohttp.ClientError as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PrivateError):
            raise PrivateAddressError("the address is private") from None
        if is_proxied and isinstance(error, aiohttp.ClientConnectorDNSError):
            raise httpx.ProxyError(type(error).__name__) from error
        failure = next(words for own, words in _KINDS if isinstance(error, own))
        raise failure(type(error).__name__) from error


def trusting(ca: str) -> ssl.SSLContext:
    """Return what checks certificates: it trusts what the system trusts and what `ca` (PEM) holds."""
    tls = ssl.create_default_context()
    tls.sslobject_class = _Handshake
    if ca:
        tls.load_verify_locations(cadata=ca)
        # An intermediate certificate, or the server's own, is enough.
        tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return tls


def socket_to(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket for an address as `getaddrinfo` spells it."""
    family, type_, protocol, _, _ = address
    return socket.socket(family, type_, protocol)


def socket_to_public(address: tuple[Any, ...]) -> socket.socket:
    """Make one unless the address is a private one."""
    host = str(address[4][0]).split("%")[0]
    if not is_public(ipaddress.ip_address(host)):
        raise PrivateError("the address is private")
    return socket_to(address)
