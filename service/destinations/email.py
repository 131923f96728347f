"""A destination that takes each lead as a mail, by SMTP.

Invariant: pure. It makes the mail and reads what the server says to it; it never sends. Who gets it is a setting
alone. Every try of a delivery is the same mail under the same `Message-ID`, and later versions of a lead answer the
first, so that mail programs show them together.
Sources: RFC 5321 (replies), RFC 3463 (enhanced status codes).
"""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from service.destinations.destination import Carrier
from service.destinations.envelope import values
from service.destinations.message import Address, Letter, replies_to, subject_line, told
from service.destinations.outcome import EXCERPT, Delivered, Outcome, Rejected, Retry
from service.destinations.presets import Preset, Setting
from service.destinations.template import Node, Template, as_text, fill
from service.destinations.webhook import RETRY
from service.lib.network import is_private
from service.lib.rate import Rate
from service.lib.secret import MASK, Secret, unshown
from service.model.lead import Delivery

Tls = Literal["starttls", "implicit", "none"]
PORTS: Final[dict[Tls, int]] = {"starttls": 587, "implicit": 465, "none": 25}
RECIPE: Final = Preset(
    "email", "E-mail",
    "A mailbox, or a relay that takes mail for your domain, and its user and password; for most providers a password "
    "for programs, not the one that people type.",
    "A mail for each version of a lead, from the first on in one thread; a reply goes to the visitor. Delivered means "
    "that the mail server took it: whether it then ends among spam, that server decides. What it says "
    "against the user, the sender or the recipients pauses the destination; what it says against one mail makes that "
    "lead dead.",
    {
        "host": Setting("smtp.example.com", "the mail server"),
        "user": Setting("website@example.com", "who sends"),
        "password": Setting("$SMTP_PASSWORD", "the password for it"),
        "from": Setting("Website <website@example.com>", "the address that the mails come from"),
        "to": Setting("front.desk@example.com", "who gets them; a list for several"),
    },
    {},
)  # fmt: skip
"""What `leads new destination email` prints."""
Step = Literal["greeting", "hello", "starttls", "password", "sender", "recipient", "message"]
_REFUSALS: Final[dict[Step, str]] = {
    "greeting": "it does not serve us",
    "hello": "it does not take the name that we give",
    "starttls": "it has no STARTTLS, without which nothing is sent",
    "password": "it does not accept our user and password",
    "sender": "it does not take mail from the address in `from`",
    "recipient": "it does not take mail for the addresses in `to`",
    "message": "it refuses this mail",
}
_POLICY: Final = re.compile(r"\b5\.7\.\d+\b|not verified", re.IGNORECASE)
"""RFC 3463: the sender may not do this. Amazon says in words alone that it does not know the sender."""
_TOO_LARGE: Final = 552
_CLOSING: Final = 421


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed in, and who hands them in; no `user`: nobody in particular."""

    host: str
    port: int
    tls: Tls = "starttls"
    user: str = ""
    password: Secret | None = None

    def remarks(self, *, allow_private: bool) -> Iterator[tuple[str, str]]:
        """Yield what is no mistake and still worth telling."""
        if self.tls == "none" and not is_private(self.host):
            yield "tls", 'is "none" to a public host: whoever is on the way can read the leads'
        if not allow_private and is_private(self.host):
            yield "host", "looks like a private address, which is never sent to without `allow_private = true`"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail on its way: where it is handed in, who it is from and for, and its bytes."""

    server: MailServer
    sender: str
    to: tuple[str, ...]
    content: bytes

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Reply:
    """What a mail server said last, and to which step; `code` 0: nothing, it cannot do that step.

    `refused` are recipients whom it did not take while it took others, each with its words.
    """

    step: Step
    code: int
    text: str = ""
    refused: tuple[str, ...] = ()

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Email:
    """One `[destinations.NAME]` with `type = "email"`. Durations in ms.

    `subject` and `text` None: the service's own words. `addresses` are the fields that hold a visitor's address.
    """

    name: str
    server: MailServer
    sender: Address
    to: tuple[Address, ...]
    subject: Template | None = None
    text: tuple[Template, ...] | None = None
    addresses: tuple[str, ...] = ()
    timeout: int = 30_000
    retry: tuple[int, ...] = RETRY
    rate: Rate | None = None
    concurrency: int = 2
    allow_private: bool = False
    ca: str = ""
    updates: bool = True
    proxy: Secret | None = field(default=Secret(""), init=False)
    carrier: Carrier = field(default="smtp", init=False)
    oauth: None = field(default=None, init=False)
    is_told_of_erasure: bool = field(default=False, init=False)

    def conversation(self, delivery: Delivery, clock: Callable[[], int]) -> Generator[Mail, Reply, Outcome]:  # noqa: ARG002 -- a mail bears the time of its lead, not of the try
        """Hand one mail in; what the server says last decides."""
        content = self.letter(delivery).content()
        reply = yield Mail(self.server, self.sender.address, tuple(to.address for to in self.to), content)
        return self.judge(reply)

    def letter(self, delivery: Delivery) -> Letter:
        """Return the mail of a delivery."""
        lead = delivery.lead
        given = (lead.content.fields[name] for name in self.addresses if name in lead.content.fields)
        return Letter(
            sender=self.sender,
            to=self.to,
            subject=self._subject(delivery),
            text=told(delivery) if self.text is None else "\n".join(_texts(self.text, delivery)),
            message_id=f"{delivery.webhook_id}@{self.sender.domain}",
            sent_at=lead.accepted_at,
            follows=f"{lead.id}.1@{self.sender.domain}" if lead.version > 1 else "",
            reply_to=replies_to(given),
        )

    def _subject(self, delivery: Delivery) -> str:
        """Return the subject; mail programs take an answer for one by its `Re:`."""
        lead = delivery.lead
        first = next((answer.text for answer in lead.content.fields.values()), "")
        own = " ".join(_texts((self.subject,), delivery)) if self.subject else ""
        before = ("[test] " if delivery.test else "") + ("Re: " if lead.version > 1 else "")
        return subject_line(before + (own or (f"{lead.form}: {first}" if first else lead.form)))

    def preview(self, delivery: Delivery, now: int) -> str:  # noqa: ARG002 -- a mail bears the time of its lead
        """Return the mail as people read it, and where it is handed in."""
        letter, server = self.letter(delivery), self.server
        by = f", as {server.user} with password {MASK}" if server.user else ""
        head = [f"{name}: {value}" for name, value in letter.headers()]
        return "\n".join([f"SMTP {server.host}:{server.port}, tls {server.tls}{by}", *head, "", letter.text])

    def judge(self, reply: Reply) -> Outcome:
        """Return what a server's last words mean."""
        said = "\n".join([reply.text, *(f"not taken: {who}" for who in reply.refused)]).strip()
        words = self._unsecret(said)[:EXCERPT]
        if reply.step == "message" and reply.code // 100 == 2:  # noqa: PLR2004 -- RFC 5321: it has it
            return Delivered(reply.code, words)
        if reply.code // 100 == 4:  # noqa: PLR2004 -- RFC 5321: not now
            busy = "it asks us to come again later"
            return Retry(_answered(reply, busy), None, _scope(reply.code), reply.code, words)
        reason = _answered(reply, _REFUSALS[reply.step])
        if reply.code and _is_about_mail(reply):
            return Rejected(reason, reply.code, words)
        return Retry(reason, None, "setup", reply.code or None, words)

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what is no mistake and still worth telling: a key of its table and a sentence."""
        yield from self.server.remarks(allow_private=self.allow_private)
        if not self.retry:
            yield "retry", "is empty: a lead that cannot be delivered at once is dead"

    def own_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield nothing: the password is the mail provider's."""
        yield from ()

    def _unsecret(self, text: str) -> str:
        password = self.server.password.reveal() if self.server.password else ""
        return text.replace(password, MASK) if password else text


def _is_about_mail(reply: Reply) -> bool:
    """Tell whether a refusal is of this mail alone, not of whoever sends any."""
    if reply.step == "sender":
        return reply.code == _TOO_LARGE
    return reply.step == "message" and not _POLICY.search(reply.text)


def _scope(code: int) -> Literal["load", "delivery"]:
    return "load" if code == _CLOSING else "delivery"


def _answered(reply: Reply, meaning: str) -> str:
    return f"the mail server answered {reply.code}: {meaning}" if reply.code else f"the mail server: {meaning}"


def _texts(lines: tuple[Template, ...], delivery: Delivery) -> list[str]:
    """Return the lines with their values; one whose placeholders all have none goes whole."""
    node: Node = lines
    filled = fill(node, values(delivery), lambda _: MASK)  # no secret is ever mailed
    return [as_text(line) for line in filled] if isinstance(filled, list) else []
