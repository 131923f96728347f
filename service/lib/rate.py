"""How often something may happen, and a meter that says when it may again.

Invariant: pure; the time comes in. The meter is the generic cell rate algorithm (ITU-T I.371): it allows `requests`
at once, then one each `per / requests`, and never more than `requests` beyond that pace.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

MOST_KEYS: Final = 20_000


class Rate(NamedTuple):
    """At most `requests` in `per` milliseconds."""

    requests: int
    per: int


@dataclass(slots=True)
class Meter:
    """Counts for many keys at once, in bounded memory: of too many keys the longest known are forgotten."""

    rate: Rate
    _until: dict[str, float] = field(default_factory=dict)

    def take(self, key: str, now: int) -> int:
        """Count one for `key` and return 0, or return how long it must wait, in ms, and count nothing."""
        until = max(self._until.pop(key, 0.0), now) + self.rate.per / self.rate.requests
        wait = until - now - self.rate.per
        if wait > 0:
            self._until[key] = until - self.rate.per / self.rate.requests
            return max(1, round(wait))
        if len(self._until) >= MOST_KEYS:
            self._forget(now)
        self._until[key] = until
        return 0

    def _forget(self, now: int) -> None:
        past = [key for key, until in self._until.items() if until <= now]
        for key in past or list(self._until)[: MOST_KEYS // 10]:
            del self._until[key]
