"""A real SMTP server on loopback that takes mails, or answers as it is told to.

async with Mailbox(tls=context, user="leads", password="s3cret") as mailbox: ...
"""

import asyncio
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Says = str | None


@dataclass
class Mailbox:
    """`answers` by command (`MAIL`, `RCPT`, `DATA`, or a recipient's address) come in place of a yes.

    `lets_in`: user and password, None: nobody need log in. `breaks_off`: the connection goes when a mail has come.
    """

    answers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    lets_in: tuple[str, str] | None = None
    waits_s: float = 0.0
    breaks_off: bool = False
    refused: int = 0
    taken: list[Envelope] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        tls = self.tls if self.is_implicit else None
        self._server = await loop.create_server(self._speak, "127.0.0.1", 0, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(cast("bytes", taken.content), policy=default) for taken in self.taken]

    def _speak(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # passwords without TLS: on loopback
            return SMTP(
            self, hostname="mx.example", tls_context=None if self.is_implicit else self.tls,
            require_starttls=self.tls is not None and not self.is_implicit, auth_required=self.lets_in is not None,
            auth_require_tls=False, authenticator=self._authenticate, auth_exclude_mechanism=["CRAM-MD5"],
        )  # fmt: skip

    def _authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_known = (data.login.decode(), data.password.decode()) == self.lets_in
        return AuthResult(success=is_known, handled=False)

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802 -- the server's name for it
        if answer := self.answers.get("MAIL"):
            self.refused += 1
            return answer
        envelope.mail_from, envelope.mail_options = address, options
        return "250 ok"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802 -- the server's name for it
        if answer := self.answers.get(address) or self.answers.get("RCPT"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802 -- the server's name for it
        await asyncio.sleep(self.waits_s)
        if answer := self.answers.get("DATA"):
            return answer
        self.taken.append(envelope)
        if self.breaks_off:
            cast("asyncio.Transport", server.transport).abort()
        return "250 2.0.0 queued as 4711"
