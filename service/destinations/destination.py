"""What the service asks of a kind of destination: the plug that every CRM fits into.

A delivery is a conversation: messages are yielded, each answer is given back, and it ends in an outcome. It decides
without sending; it is begun anew on every try, so each of its steps must be safe to repeat. What a message and an
answer are depends on the carrier: over HTTP a request and a `Response`, over SMTP a `Mail` and a `Reply`.

Invariant: pure. `httpx` is imported where a request is built, since the web part reads the configuration but never
sends. A kind is a frozen dataclass here that has what `Destination` asks for, and a reader of its table in
`config/NAME.py`, which `config/read.KINDS` names; CONTRIBUTING.md has the steps.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from service.destinations.oauth import TokenAsk, TokenHeld, TokenServer
from service.destinations.outcome import Outcome, Retry
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.lead import Delivery

if TYPE_CHECKING:
    import httpx

    from service.destinations.rules import Response


Carrier = Literal["http", "smtp"]
Conversation: TypeAlias = Generator["httpx.Request | TokenAsk", "Response | TokenHeld | Retry", Outcome]
"""One over HTTP. A request is answered by a response; who asks for a token gets one, or why there is none."""
Lookup: TypeAlias = Generator["httpx.Request", "Response | TokenHeld | Retry", "str | int | Retry | None"]
"""The part of it that asks for the record of a lead."""


class Destination(Protocol):
    """What the worker needs of a destination. `timeout` (of a whole conversation) and `retry` are milliseconds.

    `retry` is the pause after each failed try; a destination with `updates` False gets the first version of a
    lead that reaches it and no later one; `allow_private` says that its address may be a private one;
    `ca` holds certificates (PEM) that are trusted there beside the system's, "" for none; `proxy` is the address of the
    proxy that leads there, None for that of `[service]`, an empty secret for none; `carrier` carries its messages;
    `oauth` is where tokens for it are fetched, None if it wants none;
    `is_told_of_erasure`, that it understands a delivery of type `lead.erased`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  the class says it
    @property
    def carrier(self) -> Carrier: ...  # noqa: D102  the class says it
    @property
    def timeout(self) -> int: ...  # noqa: D102  the class says it
    @property
    def retry(self) -> Sequence[int]: ...  # noqa: D102  the class says it
    @property
    def rate(self) -> Rate | None: ...  # noqa: D102  the class says it
    @property
    def concurrency(self) -> int: ...  # noqa: D102  the class says it
    @property
    def allow_private(self) -> bool: ...  # noqa: D102  the class says it
    @property
    def ca(self) -> str: ...  # noqa: D102  the class says it
    @property
    def proxy(self) -> Secret | None: ...  # noqa: D102  the class says it
    @property
    def updates(self) -> bool: ...  # noqa: D102  the class says it
    @property
    def is_told_of_erasure(self) -> bool: ...  # noqa: D102  the class says it
    @property
    def oauth(self) -> TokenServer | None: ...  # noqa: D102  the class says it

    def conversation(self, delivery: Delivery, clock: Callable[[], int]) -> Generator[Any, Any, Outcome]:
        """Say what this try sends and what comes of it. Bodies depend on the delivery and earlier answers alone."""
        ...

    def preview(self, delivery: Delivery, now: int) -> str:
        """Return the first request as text, with `***` for every secret."""
        ...

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what is no mistake in its configuration and still worth telling: a key of its table and a sentence."""
        ...

    def own_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield the secrets that are made for this service alone, so that nobody may guess them, by their key."""
        ...
