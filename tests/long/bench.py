"""`make bench`: what the service costs, beside another build of it or beside the bare floor, in one run.

    make bench                       # beside a bare Starlette route and a bare httpx loop
    make bench AGAINST=v0.1.0        # beside that commit, built in a folder of its own
    make bench AGAINST=v0.1.0 ROUNDS=1 WINDOW=2      # a first impression, in about a minute

It asserts nothing: figures depend on the machine and on what else runs there, so the two take turns, and what counts
is the ratio of their medians.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import node_red
import pages
import reading
from comparison import table
from outside import Outside
from rig import Build, Running, Site, bare_build, build_of, say, this_build, wait_until

WARM = 300
STORED = 3_000
COMMANDS = ("help", "check", "status")
WORDS = {"help": "--help", "check": "check", "status": "status"}


class Measuring:
    """Measures one build after another; `window` is how long a figure is looked at, in seconds."""

    def __init__(self, outside: Outside, window: float) -> None:
        self._outside = outside
        self._window = window
        self._next = 0

    def people(self) -> int:
        """Return the number of the first of 200,000 visitors who were never here."""
        self._next += 200_000
        return self._next

    def round(self, build: Build, folder: Path) -> dict[str, float]:
        """Measure all that depends on load."""
        with Site(build, folder, crm=self._outside.crm) as site:
            with site.serve() as web:
                figures = self.accepting(site, web)
            figures |= self.delivering(site)
            if build.is_ours:
                with site.serve() as web, site.work() as worker:
                    figures |= self.both(site, web, worker)
                figures |= {name: site.run(WORDS[name]) for name in COMMANDS}
        return figures

    def once(self, build: Build, folder: Path) -> dict[str, float]:
        """Measure what hardly differs from round to round."""
        with Site(build, folder, crm=self._outside.crm) as site:
            figures = self.memory(site)
            with site.serve() as web, site.work():
                figures |= self.way(web)
            return figures | {"start": site.start_up(folder / "data")}

    def accepting(self, site: Site, web: Running) -> dict[str, float]:
        """64 visitors at once, then one alone."""
        self._outside.post(web.port, first=self.people(), most=WARM)
        before = web.cpu_s(), site.redis.cpu_s()
        load = self._outside.post(web.port, first=self.people(), seconds=self._window)
        used = web.cpu_s() - before[0], site.redis.cpu_s() - before[1]
        memory = web.resident_mb()
        alone = self._outside.post(web.port, first=self.people(), seconds=self._window / 2, connections=1)
        return {
            "accepted": load["answers"] / load["seconds"], "p99": load["p99"], "p50_alone": alone["p50"],
            "web_cpu": 1e6 * used[0] / load["answers"], "redis_cpu_accepted": 1e6 * used[1] / load["answers"],
            "web_memory": memory,
        }  # fmt: skip

    def delivering(self, site: Site) -> dict[str, float]:
        """One worker, with what was accepted until then before it."""
        with site.work() as worker:
            self._wait_for(self._outside.count()["number"] + WARM)
            before = worker.cpu_s(), site.redis.cpu_s(), self._outside.count()
            time.sleep(self._window)
            after = worker.cpu_s(), site.redis.cpu_s(), self._outside.count()
            number = after[2]["number"] - before[2]["number"]
            return {
                "delivered": number / (after[2]["at"] - before[2]["at"]),
                "worker_cpu": 1e6 * (after[0] - before[0]) / number,
                "redis_cpu_delivered": 1e6 * (after[1] - before[1]) / number,
                "worker_memory": worker.resident_mb(),
            }

    def both(self, site: Site, web: Running, worker: Running) -> dict[str, float]:
        """Visitors who post no faster than their leads arrive; then visitors who post as fast as they can."""
        del site, worker
        self.empty()
        before = self._outside.count()
        self._outside.post(web.port, first=self.people(), seconds=5 * self._window, ahead=500)
        after = self._outside.count()
        load = self._outside.post(web.port, first=self.people(), seconds=self._window)
        return {
            "both": (after["number"] - before["number"]) / (after["at"] - before["at"]),
            "beside": load["answers"] / load["seconds"],
        }

    def memory(self, site: Site) -> dict[str, float]:
        """What a lead takes while it waits, and when it was delivered."""
        with site.serve() as web:
            warm = self._outside.post(web.port, first=self.people(), most=WARM)["answers"]
            before = site.data_bytes()
            stored = self._outside.post(web.port, first=self.people(), most=STORED)["answers"]
            waiting = site.data_bytes() - before
        arrived = self._outside.count()["number"]
        with site.work():
            self._wait_for(arrived + warm + stored)
            kept = site.data_bytes() - before
        return {"waiting": waiting / stored, "kept": kept / stored}

    def way(self, web: Running) -> dict[str, float]:
        """From the visitor to the CRM with nothing else to do, and beside a destination that is slow."""
        self._outside.way(web.port, first=self.people(), tries=5)
        alone = self._outside.way(web.port, first=self.people(), tries=40)
        beside = self._outside.way(web.port, first=self.people(), tries=40, path="/f/in-company")
        return {"way": alone["p50"], "way_beside": beside["p50"]}

    def empty(self) -> None:
        """Wait until nothing has arrived for a quarter of a second."""
        while (number := self._outside.count()["number"]) is not None:
            time.sleep(0.25)
            if self._outside.count()["number"] == number:
                return

    def _wait_for(self, number: float) -> None:
        wait_until(lambda: self._outside.count()["number"] >= number)


def measured(what: str, measure: Callable[[Path], dict[str, float]]) -> dict[str, float]:
    """Measure in a folder of its own, and say so."""
    say(f"{what} ...")
    with tempfile.TemporaryDirectory(prefix="leads-bench-") as folder:
        return measure(Path(folder))


def main() -> None:
    """Measure both in turn and print the table."""
    words = argparse.ArgumentParser()
    words.add_argument("--against", metavar="COMMIT", default="")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--window", type=float, default=4.0, help="seconds that a figure is looked at")
    told = words.parse_args()
    mine, other = this_build(), build_of(told.against) if told.against else bare_build()
    samples: dict[str, list[dict[str, float]]] = {mine.name: [], other.name: []}
    with Outside() as outside:
        measuring = Measuring(outside, told.window)
        for turn in range(told.rounds):
            for build in (other, mine) if turn % 2 == 0 else (mine, other):
                what = f"round {turn + 1} of {told.rounds}, {build.name}"
                samples[build.name].append(measured(what, partial(measuring.round, build)))
        for build in (other, mine):
            if build.is_ours:
                samples[build.name].append(
                    measured(f"memory, way and start, {build.name}", partial(measuring.once, build))
                )
        beside = list(node_red.lines(outside, told.window))
    for line in table(
        samples[mine.name], samples[other.name], names=(other.name, mine.name), has_targets=other.is_ours
    ):
        say(line)
    for line in (*beside, *reading.lines(), *pages.lines()):
        say(line)


if __name__ == "__main__":
    main()
