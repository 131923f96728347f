"""What is measured, as rows; samples of each row ► the table that compares two builds.

Pure: no process is started here and no clock read. A figure is the median of its rounds, a ratio one of two medians.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Sample = Mapping[str, float]
"""One round of one build: figures by the names of their rows; what a build cannot do is left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `target` is a ratio to the other build, None: only looked at.

    `better` says which way it is to go. `digits` are shown behind the point.
    """

    name: str
    words: str
    better: Literal["more", "less"]
    target: float | None = None
    digits: int = 0

    def is_reached(self, ratio: float) -> bool:
        """Tell whether a ratio is as good as the target, to the two digits that are shown."""
        shown = round(ratio, 2)
        return self.target is None or (shown >= self.target if self.better == "more" else shown <= self.target)

    @property
    def wanted(self) -> str:
        """The target in words, "" for none."""
        return "" if self.target is None else f"{'≥' if self.better == 'more' else '≤'} {self.target:g}"


ROWS: Final = (
    Row("accepted", "accepted/s, 64 connections, one web process", "more", 3.0),
    Row("web_cpu", "CPU of the web process for each, µs", "less", 0.30),
    Row("redis_cpu_accepted", "CPU of Redis for each, µs", "less", 0.50),
    Row("p50_alone", "half of the answers to one visitor alone within, ms", "less", 0.65, 2),
    Row("p99", "99 % of the answers at 64 connections within, ms", "less", 0.5, 1),
    Row("delivered", "delivered/s, one worker, 8 in flight, a CRM that answers at once", "more", 3.5),
    Row("worker_cpu", "CPU of the worker for each, µs", "less", 0.25),
    Row("redis_cpu_delivered", "CPU of Redis for each, µs", "less", 0.45),
    Row("both", "both at once: leads/s from form to CRM", "more", 3.5),
    Row("beside", "accepted/s while a worker delivers beside", "more"),
    Row("way", "from a POST to its arrival at the CRM, nothing else to do, half within, ms", "less", None, 2),
    Row("way_beside", "the same beside a destination that takes 10 s, half within, ms", "less", None, 2),
    Row("waiting", "Redis, a waiting lead, bytes", "less", 0.6),
    Row("kept", "Redis, a delivered lead, bytes", "less", 0.5),
    Row("web_memory", "memory of the web process under load, MB", "less"),
    Row("worker_memory", "memory of the worker under load, MB", "less"),
    Row("help", "`leads --help` to its end, s", "less", 0.5, 3),
    Row("check", "`leads check` to its end, s", "less", 0.5, 3),
    Row("status", "`leads status` to its end, s", "less", 0.5, 3),
    Row("start", "`leads dev` to its first page, s", "less", None, 2),
)


def medians(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the median of each figure over the rounds that have it."""
    gathered: dict[str, list[float]] = {}
    for sample in samples:
        for name, figure in sample.items():
            gathered.setdefault(name, []).append(figure)
    return {name: statistics.median(figures) for name, figures in gathered.items()}


def table(ours: Sequence[Sample], others: Sequence[Sample], *, names: tuple[str, str], has_targets: bool) -> list[str]:
    """Return the lines of the table: the other build first, then ours, and what ours is of it.

    `names` are those of the other build and of ours. `has_targets`: say what each ratio is to be, and whether it is.
    """
    measured, compared = medians(ours), medians(others)
    head = f"{'':<75} {names[0]:>10} {names[1]:>10} {'ratio':>7}" + ("  target" if has_targets else "")
    shown = [row for row in ROWS if row.name in measured or row.name in compared]
    return [head, *(_line(row, measured.get(row.name), compared.get(row.name), has_targets) for row in shown)]


def _line(row: Row, mine: float | None, other: float | None, has_targets: bool) -> str:
    ratio = mine / other if mine is not None and other else None
    figures = " ".join(f"{'-' if each is None else f'{each:,.{row.digits}f}':>10}" for each in (other, mine))
    line = f"{row.words:<75} {figures} {'-' if ratio is None else f'{ratio:.2f}':>7}"
    if not has_targets or row.target is None or ratio is None:
        return line
    return f"{line}  {row.wanted:<6} {'reached' if row.is_reached(ratio) else 'short'}"
