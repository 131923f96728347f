"""What carries the messages of a destination: HTTP or SMTP."""

from contextlib import AbstractAsyncContextManager
from typing import assert_never

from service.config.config import Config
from service.delivery.attempt import Sends
from service.delivery.sender import Sender
from service.destinations.destination import Destination


def carrier_to(destination: Destination, config: Config) -> AbstractAsyncContextManager[Sends]:
    """Return what carries the messages of a destination; it is to be entered before it sends."""
    timeout, allow_private, ca = destination.timeout, destination.allow_private, destination.ca
    match destination.carrier:
        case "http":
            return Sender(
                concurrency=destination.concurrency, timeout=timeout, allow_private=allow_private, ca=ca,
                proxy=config.proxy_to(destination),
            )  # fmt: skip
        case "smtp":
            from service.delivery.mailer import Mailer  # noqa: PLC0415 -- aiosmtplib is for those who send mail

            return Mailer(timeout=timeout, allow_private=allow_private, ca=ca)
    assert_never(destination.carrier)
