"""A notice to whoever looks after the leads: a few words that are no lead, by mail or to a chat.

Invariant: pure, and nothing of any visitor's is in it. A notice is the same mail on every try.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from service.destinations.destination import Destination
from service.destinations.email import Email, Mail
from service.destinations.message import Letter
from service.destinations.outcome import Outcome
from service.destinations.template import fill_line
from service.destinations.webhook import USER_AGENT, Webhook
from service.lib.secret import Secret


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told. `at` is ms; `follows` is the id of the notice that this one answers, "" for none."""

    id: str
    subject: str
    text: str
    at: int
    follows: str = ""


def announcing(channel: Destination, notice: Notice, clock: Callable[[], int]) -> Generator[Any, Any, Outcome]:
    """Return the conversation that brings a notice to a channel.

    Raises:
        TypeError: the channel is neither a mail nor a chat.
    """
    match channel:
        case Email():
            return _by_mail(channel, notice)
        case Webhook():
            return _to_chat(channel, notice, clock)
    raise TypeError(type(channel).__name__)


def _by_mail(channel: Email, notice: Notice) -> Generator[Any, Any, Outcome]:
    domain = channel.sender.domain
    letter = Letter(
        sender=channel.sender, to=channel.to, subject=notice.subject, text=notice.text,
        message_id=f"{notice.id}@{domain}", sent_at=notice.at,
        follows=f"{notice.follows}@{domain}" if notice.follows else "",
    )  # fmt: skip
    to = tuple(recipient.address for recipient in channel.to)
    return channel.judge((yield Mail(channel.server, channel.sender.address, to, letter.content())))


def _to_chat(channel: Webhook, notice: Notice, clock: Callable[[], int]) -> Generator[Any, Any, Outcome]:
    import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

    url = fill_line(channel.url, {}, Secret.reveal, str)
    said = {"text": f"*{notice.subject}*\n{notice.text}"}
    answer = yield httpx.Request("POST", url, json=said, headers={"User-Agent": USER_AGENT})
    return channel.judge(answer, clock())
