"""The outgoing mail: hands one mail in, keeps to a deadline.

Invariant: knows no lead and decides nothing: what the server said last comes back with the step that it was said to, a
failure as the exception that it was, in httpx's words. Nothing is sent but to the host that the mail names, a password
and a mail only over TLS where that is asked for, and all recipients get a mail or none does, but those whom the server
does not know at all.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final, Self

import httpx
from aiosmtplib import SMTP, errors

from service.delivery.connections import PrivateAddressError, PrivateError, socket_to, socket_to_public, trusting
from service.destinations.email import Mail, Reply, Step
from service.lib.secret import Secret

_STEPS: Final[tuple[tuple[type[errors.SMTPResponseException], Step], ...]] = (
    (errors.SMTPConnectResponseError, "greeting"),
    (errors.SMTPHeloError, "hello"),
    (errors.SMTPAuthenticationError, "password"),
    (errors.SMTPSenderRefused, "sender"),
    (errors.SMTPRecipientRefused, "recipient"),
    (errors.SMTPDataError, "message"),
    (errors.SMTPResponseException, "starttls"),
)
"""To which step a refusal was said; the first that fits. The last is what STARTTLS raises."""
_MALFORMED: Final = -1
"""What the library gives for a code where what came is no reply of SMTP."""


class Mailer:
    """Hands mails in, each over a connection of its own."""

    def __init__(self, *, timeout: int, allow_private: bool, ca: str = "") -> None:
        """Allow each mail `timeout` ms in all; `ca` (PEM) is trusted beside what the system trusts."""
        self._timeout_s = timeout / 1000
        self._socket_to = socket_to if allow_private else socket_to_public
        self._tls = trusting(ca)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is kept."""

    async def send(self, mail: Mail, *, within_s: float | None = None) -> Reply | httpx.RequestError | TimeoutError:
        """Hand it in and return what came of it, in what is left of the time; never raises for the network."""
        try:
            async with asyncio.timeout(self._timeout_s if within_s is None else within_s):
                with _failures_in_httpx_words():
                    return await self._hand_in(mail)
        except (httpx.RequestError, TimeoutError) as error:
            return error

    async def _hand_in(self, mail: Mail) -> Reply:
        server = mail.server
        try:
            async with self._connected(mail) as client:
                if server.tls == "starttls":
                    await client.ehlo()
                    if not client.supports_extension("starttls"):
                        return Reply("starttls", 0)
                    await client.starttls()
                if server.user and server.password:
                    await _log_in(client, server.user, server.password)
                return await _hand_over(client, mail)
        except errors.SMTPResponseException as refusal:
            if refusal.code == _MALFORMED:
                return Reply("greeting", 0, "what it says is no SMTP")
            step = next(step for kind, step in _STEPS if isinstance(refusal, kind))
            return Reply(step, refusal.code, _words(refusal))

    @contextlib.asynccontextmanager
    async def _connected(self, mail: Mail) -> AsyncIterator[SMTP]:
        """Connect, and leave politely; that the server does not wait for it means nothing any more."""
        server = mail.server
        door = await self._connect(server.host, server.port)
        here = door.getsockname()[0]
        client = SMTP(
            hostname=server.host, sock=door, tls_context=self._tls, use_tls=server.tls == "implicit", start_tls=False,
            local_hostname=f"[IPv6:{here}]" if ":" in here else f"[{here}]", timeout=None,
        )  # fmt: skip
        try:
            await client.connect()
            yield client
            with contextlib.suppress(errors.SMTPException):
                await client.quit()
        finally:
            client.close()
            door.close()

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of a host that takes one; raises an OSError."""
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for found in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                door = self._socket_to(found)
            except OSError as error:
                failure = failure or error
                continue
            door.setblocking(False)  # noqa: FBT003 -- the way of the standard library
            try:
                await loop.sock_connect(door, found[4])
            except OSError as error:
                door.close()
                failure = error
            except BaseException:
                door.close()
                raise
            else:
                return door
        raise failure or OSError("no address")


async def _log_in(client: SMTP, user: str, password: Secret) -> None:
    await client.ehlo()
    try:
        await client.login(user, password.reveal())
    except errors.SMTPResponseException:
        raise
    except errors.SMTPException as error:  # it offers no way of logging in, or none that we know
        if isinstance(error, ConnectionError | TimeoutError):
            raise
        raise errors.SMTPAuthenticationError(0, "it offers no way of logging in that is known here") from error


async def _hand_over(client: SMTP, mail: Mail) -> Reply:
    await client.mail(mail.sender)
    refused = []
    for recipient in mail.to:
        try:
            await client.rcpt(recipient)
        except errors.SMTPRecipientRefused as refusal:
            refused.append(refusal)
    not_now = [refusal for refusal in refused if refusal.code // 100 == 4]  # noqa: PLR2004 -- RFC 5321: for a while
    if not_now or len(refused) == len(mail.to):
        raise (not_now or refused)[0]
    taken = await client.data(mail.content)
    return Reply(
        "message", taken.code, taken.message, tuple(f"{no.recipient}: {no.code} {_words(no)}" for no in refused)
    )


def _words(refusal: errors.SMTPResponseException) -> str:
    return refusal.message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextlib.contextmanager
def _failures_in_httpx_words() -> Iterator[None]:
    """Raise what breaks a conversation as what httpx would have called it, with its cause."""
    try:
        yield
    except PrivateError:
        raise PrivateAddressError("the address is private") from None
    except (errors.SMTPServerDisconnected, ConnectionResetError, BrokenPipeError) as error:
        raise httpx.ReadError(type(error).__name__) from error
    except TimeoutError:
        raise
    except OSError as error:
        raise httpx.ConnectError(type(error).__name__) from error
