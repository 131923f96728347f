"""A destination whose secrets may be changed where they lie: they are read again when they are refused.

That is at 401, at 535 to a mail, or when no token is given.

Invariant: only a secret's file is read again, never leads.toml: what else stands there waits for a restart. A new
secret is tried in the same attempt, an old one never twice.
"""

from collections.abc import Callable, Generator
from typing import Any, Final, cast

from service.config.config import Config
from service.destinations.destination import Destination
from service.destinations.outcome import Outcome, Retry
from service.model.lead import Delivery

UNAUTHORIZED: Final = (401, 535)
"""What says that a secret is wrong, over HTTP and over SMTP (RFC 4954)."""


def renewing(config: Config, destination: Destination) -> Destination:
    """Return the destination as it is, but for the conversation that it holds after a 401."""
    return cast("Destination", _Renewing(destination, lambda: _read_again(config, destination.name)))


def _read_again(config: Config, name: str) -> Destination | None:
    """Return the destination with its secrets as they are now; None while one of them cannot be read."""
    found = config.again() if config.again else None
    return found.destinations.get(name) if isinstance(found, Config) else None


class _Renewing:
    def __init__(self, destination: Destination, read_again: Callable[[], Destination | None]) -> None:
        self._destination = destination
        self._read_again = read_again

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever it is asked for, the destination has it
        return getattr(self._destination, name)

    def conversation(self, delivery: Delivery, clock: Callable[[], int]) -> Generator[Any, Any, Outcome]:
        used = self._destination
        outcome = yield from used.conversation(delivery, clock)
        is_token_refused = isinstance(outcome, Retry) and outcome.scope == "token"
        if outcome.status not in UNAUTHORIZED and not is_token_refused:
            return outcome
        self._destination = self._read_again() or self._destination
        if self._destination == used:
            return outcome
        return (yield from self._destination.conversation(delivery, clock))
