"""`make scaling`: how the costs of this build change with what there is of everything, one thing at a time.

CPU a lead is what to read: what comes out in a second depends on what else the machine does.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from outside import Outside
from rig import CONFIG, Running, Site, say, this_build, wait_until

WINDOW_S = 4.0
WARM = 300
STORED = (1_000, 10_000, 100_000)
ON_DISK = 5_000
HEAD = f"{'':<36} {'leads/s':>8} {'p50, ms':>8} {'p99, ms':>8} {'CPU, µs':>8} {'of Redis':>8} {'MB':>6}"
DESTINATION = """
[destinations.crm{number}]
type = "webhook"
url = "$BENCH_CRM"
allow_private = true
"""


class Scaling:
    """Prints a line for each amount."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._next = 0

    def people(self) -> int:
        """Return the number of the first of 200,000 visitors who were never here."""
        self._next += 200_000
        return self._next

    @contextlib.contextmanager
    def site(self, config: str = CONFIG) -> Iterator[Site]:
        """Run a new server."""
        with (
            tempfile.TemporaryDirectory(prefix="leads-bench-") as folder,
            Site(this_build(), Path(folder), crm=self._outside.crm, config=config) as site,
        ):
            yield site

    def fill(self, site: Site, web: Running, number: int) -> None:
        """Post until so many leads wait, and say what one takes."""
        held = site.leads()
        before = site.data_bytes()
        answers = self._outside.post(web.port, first=self.people(), most=number - held)["answers"]
        say(f"  a lead that waits, up to {number:,}: {(site.data_bytes() - before) / answers:,.0f} bytes of Redis")

    def accept(self, what: str, site: Site, web: Running, *, connections: int = 64, more: int = 0) -> None:
        """Post for a while."""
        self._outside.post(web.port, first=self.people(), most=WARM)
        before = web.cpu_s(), site.redis.cpu_s()
        load = self._outside.post(
            web.port, first=self.people(), seconds=WINDOW_S, connections=connections, more=more
        )  # fmt: skip
        number = load["answers"]
        cpu = [1e6 * (now - then) / number for now, then in zip((web.cpu_s(), site.redis.cpu_s()), before, strict=True)]
        say(
            f"{what:<36} {number / load['seconds']:>8,.0f} {load['p50']:>8.1f} {load['p99']:>8.1f}"
            f" {cpu[0]:>8,.0f} {cpu[1]:>8,.0f} {web.resident_mb():>6,.0f}"
        )

    def deliver(self, what: str, site: Site, workers: int = 1) -> None:
        """Deliver what waits for a while."""
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(site.work()) for _ in range(workers)]
            already = self._outside.count()["number"]
            wait_until(lambda: self._outside.count()["number"] >= already + WARM)
            before = sum(each.cpu_s() for each in running), site.redis.cpu_s(), self._outside.count()
            time.sleep(WINDOW_S / 2)
            after = sum(each.cpu_s() for each in running), site.redis.cpu_s(), self._outside.count()
            number = after[2]["number"] - before[2]["number"]
            memory = sum(each.resident_mb() for each in running)
        say(
            f"{what:<36} {number / (after[2]['at'] - before[2]['at']):>8,.0f} {'':>8} {'':>8}"
            f" {1e6 * (after[0] - before[0]) / number:>8,.0f} {1e6 * (after[1] - before[1]) / number:>8,.0f}"
            f" {memory:>6,.0f}"
        )


def processes(scaling: Scaling) -> None:
    """1, 2 and 4 of each."""
    for number in (1, 2, 4):
        with scaling.site() as site:
            with site.serve(number) as web:
                scaling.accept(f"web processes: {number}", site, web)
            scaling.deliver(f"workers: {number}", site, number)


def connections(scaling: Scaling) -> None:
    """From one visitor to a thousand at once; long messages."""
    with scaling.site() as site, site.serve() as web:
        for number in (1, 8, 64, 256, 1_000):
            scaling.accept(f"connections: {number:,}", site, web, connections=number)
        for more in (0, 1_000, 4_000):
            scaling.accept(f"a submission of {220 + more:,} bytes", site, web, more=more)


def stored(scaling: Scaling) -> None:
    """What waits already."""
    with scaling.site() as site, site.serve() as web:
        for number in STORED:
            scaling.fill(site, web, number)
            scaling.accept(f"leads that wait: {number:,}", site, web)


def destinations(scaling: Scaling) -> None:
    """How many are owed each lead."""
    for number in (1, 2, 4, 8):
        names = ", ".join(f'"crm{each}"' for each in range(number))
        more = "".join(DESTINATION.format(number=each) for each in range(number))
        with scaling.site(CONFIG.replace('["crm"]', f"[{names}]", 1) + more) as site:
            with site.serve() as web:
                scaling.accept(f"destinations of a form: {number}", site, web)
            scaling.deliver(f"deliveries, destinations: {number}", site)


def disk(scaling: Scaling) -> None:
    """How large the server's file is with so many leads: as it grew, and written anew."""
    with scaling.site() as site:
        with site.serve() as web:
            scaling.fill(site, web, ON_DISK)
        waiting = site.file_bytes()
        with site.work():
            wait_until(lambda: site.waiting() == 0)
        for what, size in (
            ("that waits", waiting), ("that was delivered", site.file_bytes()),
            ("that was delivered, written anew", site.file_bytes(rewritten=True)),
        ):  # fmt: skip
            say(f"  a lead {what}, of {ON_DISK:,}: {size / ON_DISK:,.0f} bytes of the file")


def main() -> None:
    """Print all of it."""
    say(HEAD)
    with Outside() as outside:
        for part in (processes, connections, destinations, disk, stored):
            part(Scaling(outside))


if __name__ == "__main__":
    main()
