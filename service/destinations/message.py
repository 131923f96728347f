"""A mail as bytes: its headers, and what is said of a lead where no words of one's own are configured.

Invariant: pure, and the same bytes for the same delivery. What a visitor typed stands in the body, in the subject (one
line, encoded) and, if it is a plain address, in `Reply-To`: it adds no header, no recipient and no line to the head.
Sources: RFC 5322, RFC 2047 (encoded words), RFC 3834 (`Auto-Submitted`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.policy import compat32
from email.utils import formataddr, formatdate
from typing import Any, Final

from email_validator import EmailNotValidError, validate_email

from service.destinations.envelope import lines, said
from service.lib.text import one_line
from service.model.lead import Answer, Delivery

LONGEST_SUBJECT: Final = 200
_UTF_8: Final = Charset("utf-8")
_UTF_8.body_encoding = QP
# `compat32` alone takes a header as it is: the newer ones read an encoded word that a visitor typed, line ends and all.
_AS_SENT: Final = compat32.clone(linesep="\r\n", mangle_from_=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody's address, ASCII, and the name before it, "" for none."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the `@`."""
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        """Return `Name <address>` as people read it."""
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, and to whom. `message_id` and `follows` are without their brackets; `sent_at` is ms."""

    sender: Address
    to: tuple[Address, ...]
    subject: str
    text: str
    message_id: str
    sent_at: int
    follows: str = ""
    reply_to: str = ""

    def headers(self) -> Iterator[tuple[str, str]]:
        """Yield the headers as people read them."""
        yield "From", str(self.sender)
        yield "To", ", ".join(map(str, self.to))
        if self.reply_to:
            yield "Reply-To", self.reply_to
        yield "Subject", self.subject
        yield "Date", formatdate(self.sent_at / 1000)
        yield "Message-ID", f"<{self.message_id}>"
        if self.follows:
            yield "In-Reply-To", f"<{self.follows}>"
            yield "References", f"<{self.follows}>"
        yield "Auto-Submitted", "auto-generated"

    def content(self) -> bytes:
        """Return the mail as it is sent: ASCII, lines that end in CRLF."""
        encoded = {
            "From": _encoded(self.sender),
            "To": ", ".join(map(_encoded, self.to)),
            "Subject": Header(self.subject, _UTF_8, header_name="Subject"),
        }
        mail: Message[Any, Any] = Message(policy=_AS_SENT)
        for name, value in self.headers():
            mail[name] = encoded.get(name, value)
        mail.set_payload(self.text, _UTF_8)
        return mail.as_bytes()


def subject_line(text: str) -> str:
    """Return a text as the subject of a mail: one line, not too long."""
    return " ".join(one_line(text).split())[:LONGEST_SUBJECT]


def replies_to(answers: Iterator[Answer]) -> str:
    """Return the first of these answers that is an address every mail program can reply to, else ""."""
    for answer in answers:
        try:
            found = validate_email(str(answer.value), check_deliverability=False).ascii_email
        except EmailNotValidError:
            continue
        if found:
            return found
    return ""


def told(delivery: Delivery) -> str:
    """Return a lead as a text: everything that was said, where it came from, which lead it is."""
    lead, source = delivery.lead, delivery.lead.content.source
    about = [
        ("Changed", ", ".join(delivery.changed)), ("Page", source.page), ("Campaign", source.utm.get("campaign", "")),
        ("Form", lead.form), ("Lead", delivery.webhook_id),
    ]  # fmt: skip
    return "\n".join([said(delivery), "", *lines(about), ""])


def _encoded(address: Address) -> str:
    return formataddr((address.name, address.address))
