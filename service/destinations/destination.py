"""Where leads go: one file a kind.

To add a kind of destination, say a CRM's own API:

1. Write `destinations/NAME.py` with a frozen dataclass that has what `Destination` below asks for. `request` turns a
   delivery into an `httpx.Request`: a pure function of the delivery, the configuration and `now`, the body without
   `now`, so that a retry repeats it byte for byte. `judge` reads the answer; `service.outcome.judge` knows what HTTP
   statuses commonly mean, add only what this CRM means differently. Neither sends anything.
2. Write `NAME_table.py` beside `webhook_table.py`, which reads `[destinations.…]` with `type = "NAME"` into it, and
   name it in `config._KINDS`.
3. Test it with tables, as `tests/test_webhook.py` does, and describe it in the README.

Law: pure. `httpx` is imported where a request is built, since the web part reads the configuration but never sends.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from service.destinations.outcome import Outcome
from service.lib.rate import Rate
from service.model.lead import Delivery

if TYPE_CHECKING:
    import httpx


class Destination(Protocol):
    """What the worker needs of a destination. `timeout` and `retry` are milliseconds.

    `retry` is the pause after each failed try; a destination with `updates` False gets the first version of a
    lead that reaches it and no later one; `allow_private` says that its address may be a private one;
    `is_told_of_erasure`, that it understands a delivery of type `lead.erased`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  the class says it
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
    def updates(self) -> bool: ...  # noqa: D102  the class says it
    @property
    def is_told_of_erasure(self) -> bool: ...  # noqa: D102  the class says it

    def request(self, delivery: Delivery, now: int) -> "httpx.Request":
        """Return the request that this try sends; its body depends on the delivery alone."""
        ...

    def preview(self, delivery: Delivery, now: int) -> str:
        """Return the same request as text, with `***` for every secret."""
        ...

    def judge(self, status: int, headers: Mapping[str, str], excerpt: str, now: int) -> Outcome:
        """Return what the answer means."""
        ...
