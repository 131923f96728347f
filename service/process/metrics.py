"""What happened ► figures for Prometheus, safe over several processes.

Invariant: no label that a visitor can choose: forms, destinations, results and codes are ours. The processes of one
`leads serve` share the folder that PROMETHEUS_MULTIPROC_DIR names; the library reads that when it is first imported.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.store.accounts import Accounts

if TYPE_CHECKING:
    from service.delivery.courier import Attempted

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library does not type it

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 36_000, 86_400)


RESULTS: Final = (
    "created", "updated", "repeated", "quarantined", "erased", "spooled", "refused", "unavailable",
)  # fmt: skip
"""What may come of a submission."""


class WebFigures:
    """Counts submissions and problems. `is_shared`: with the other processes of PROMETHEUS_MULTIPROC_DIR."""

    def __init__(self, *, is_shared: bool, forms: Iterable[str] = ()) -> None:
        self._own = CollectorRegistry()
        self._is_shared = is_shared
        self._submissions = Counter(
            "leads_submissions", "POSTs to a form by what came of them.", ["form", "result"], registry=self._own
        )
        self._problems = Counter(
            "leads_problems", "Why submissions were refused, by code.", ["form", "code"], registry=self._own
        )
        for form, result in itertools.product(forms, RESULTS):  # Prometheus sees no growth from nothing to one.
            self._submissions.labels(form, result)

    def submission(self, form: str, result: str, codes: tuple[str, ...]) -> None:
        """Count one POST to a form."""
        self._submissions.labels(form, result).inc()
        for code in codes:
            self._problems.labels(form, code).inc()

    def render(self) -> bytes:
        """Return the figures of every process in the Prometheus text format."""
        if not self._is_shared:
            return generate_latest(self._own)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it is not typed
        return generate_latest(registry)


class WorkerFigures:
    """Counts attempts and times deliveries; what waits is read from the accounts when asked for."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._attempts = Counter(
            "leads_attempts", "Attempts to deliver, by outcome.", ["destination", "outcome"], registry=self._own
        )
        self._seconds = Histogram(
            "leads_receipt_to_delivery_seconds",
            "From the receipt of a submission to its delivery.",
            ["destination"],
            buckets=SECONDS,
            registry=self._own,
        )

    def attempt(self, attempted: "Attempted", now: int) -> None:
        """Count one attempt; `now` in ms."""
        claim, attempt = attempted.claim, attempted.conclusion.attempt
        self._attempts.labels(claim.destination, attempt.result).inc()
        if attempt.result == "delivered" and attempted.settled == "settled":
            waited = max(0, now - claim.delivery.lead.received_at) / 1000
            self._seconds.labels(claim.destination).observe(waited)

    def render(self, accounts: Accounts | None) -> bytes:
        """Return the figures in the Prometheus text format; without accounts (Redis is away) only this process's."""
        if accounts is None:
            return generate_latest(self._own)
        registry = CollectorRegistry()
        registry.register(_Standing(accounts))
        return generate_latest(self._own) + generate_latest(registry)


class _Standing(Collector):
    """How the deliveries stand, as gauges."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily("leads_waiting", "Versions owed and not settled.", labels=["form", "destination"])
        dead = GaugeMetricFamily("leads_dead", "Dead versions.", labels=["form", "destination"])
        oldest = GaugeMetricFamily(
            "leads_oldest_waiting_seconds", "Age of the oldest waiting version.", labels=["form", "destination"]
        )
        paused = GaugeMetricFamily(
            "leads_destination_paused", "1: only probes and what was never tried are sent.", labels=["destination"]
        )
        balanced = GaugeMetricFamily("leads_account_balanced", "1: the form's account adds up.", labels=["form"])
        is_paused: dict[str, bool] = {}
        for form, account in self._accounts.forms.items():
            balanced.add_metric([form], account.is_whole)
            for name, destination in account.destinations.items():
                waiting.add_metric([form, name], destination.waiting)
                dead.add_metric([form, name], destination.dead)
                oldest.add_metric([form, name], destination.oldest_waiting_s or 0)
                is_paused[name] = destination.paused is not None
        for name, value in is_paused.items():
            paused.add_metric([name], value)
        yield from (waiting, dead, oldest, paused, balanced)
