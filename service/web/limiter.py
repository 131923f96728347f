"""What one process counts by itself: before anything is asked of Redis, and alone while that is away.

Invariant: pure; the time comes in. A process counts every POST, also what it refuses, and knows nothing of the
others, so it is never stricter than the limit that they share in Redis.
"""

from collections.abc import Iterator
from typing import Final

from service.lib.rate import Meter, Rate
from service.model.form import Form

CHECKS_A_POST: Final = 5
"""So many phone checks are allowed for each submission that is: a number is often typed more than once."""


class Limiter:
    """The meters of one process, one for each limit of each form."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str], Meter] = {}

    def post(self, form: Form, address: str, now: int) -> int:
        """Count a POST to a form from an address and return 0, or how long it must wait, ms.

        Whoever has no address comes as one address of their own (`network.UNKNOWN`): there is none without a limit.
        """
        waits = [meter.take(key, now) for meter, key in self._of_post(form, address)]
        return max(waits, default=0)

    def check(self, form: Form, address: str, now: int) -> int:
        """Count a phone check; else as `post`."""
        rate = form.limits.address
        if rate is None:
            return 0
        return self._meter(form.name, "check", Rate(CHECKS_A_POST * rate.requests, rate.per)).take(address, now)

    def _of_post(self, form: Form, address: str) -> Iterator[tuple[Meter, str]]:
        if form.limits.address:
            yield self._meter(form.name, "address", form.limits.address), address
        if form.limits.form:
            yield self._meter(form.name, "form", form.limits.form), ""

    def _meter(self, form: str, what: str, rate: Rate) -> Meter:
        return self._meters.setdefault((form, what), Meter(rate))
