"""The soak: a load and every fault at random, for ten minutes or as long as told; prints its account at the end.

    make soak SECONDS=60
    LEADS_FAULT_SEED=7 make soak      # the faults and the load of an earlier run, though not its moments

Exit 1 if anything that was thanked is not at the CRM, anything is there twice, or an account does not add up.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from crm import Answer, Crm
from harness import Installation, Load, Part, audit, summary, until
from proxy import Proxy

SECONDS = 600
QUIET_WITHIN_S = 400
"""The longest pause of a destination that was failing is five minutes."""


class Soak:
    """One installation with two web parts and two workers, and everything that can happen to it."""

    def __init__(self, site: Installation, crm: Crm, proxy: Proxy, chance: random.Random) -> None:
        self.happened: Counter[str] = Counter()
        self._site, self._crm, self._proxy, self._chance = site, crm, proxy, chance
        self.others: list[Part] = [site.another_web(), site.another_worker()]
        self._faults = (
            self.web_killed, self.worker_killed, self.server_killed, self.server_away, self.worker_stopped,
            self.web_stopped, self.reply_lost, self.connections_cut, self.way_stalled, self.crm_gone, self.crm_fails,
            self.crm_odd, self.crm_slow,
        )  # fmt: skip

    def break_something(self) -> None:
        """Let one fault happen and mend it."""
        fault = self._chance.choice(self._faults)
        self.happened[fault.__name__] += 1
        fault()

    def _a_while(self, longest: float) -> None:
        time.sleep(self._chance.uniform(0, longest))

    def _part(self, name: str) -> Part:
        parts = [self._site.web, self._site.worker, *self.others]
        return self._chance.choice([part for part in parts if part.name == name])

    def _kill(self, part: Part) -> None:
        part.kill()
        self._a_while(1)
        part.start()

    def _stop(self, part: Part, longest: float) -> None:
        part.signal(signal.SIGSTOP)
        self._a_while(longest)
        part.signal(signal.SIGCONT)

    def web_killed(self) -> None:
        self._kill(self._part("web"))

    def worker_killed(self) -> None:
        self._kill(self._part("worker"))

    def worker_stopped(self) -> None:
        self._stop(self._part("worker"), 12)

    def web_stopped(self) -> None:
        self._stop(self._part("web"), 4)

    def server_killed(self) -> None:
        with self._site.server_away(0):
            pass

    def server_away(self) -> None:
        with self._site.server_away(self._chance.uniform(0, 20)):
            self._a_while(5)
            if self._chance.random() < 0.5:
                self._part("web").kill()
        for part in (self._site.web, *self.others):
            if not part.is_running:
                part.start()

    def reply_lost(self) -> None:
        self._proxy.lose_nth_reply(self._chance.randrange(1, 60))

    def connections_cut(self) -> None:
        self._proxy.cut()

    def way_stalled(self) -> None:
        self._proxy.stall(self._chance.choice(("commands", "replies")))
        self._a_while(5)
        self._proxy.flow()

    def crm_gone(self) -> None:
        with self._crm.gone():
            self._a_while(8)

    def crm_fails(self) -> None:
        self._crm.answer(self._chance.choice((429, 500, 503)), times=self._chance.randrange(1, 20))

    def crm_odd(self) -> None:
        odd = (Answer(drip=0.3), Answer(body=b"x" * 10_000_000), Answer(cut="before"), Answer(cut="after"))
        told = self._chance.choice(odd)
        self._crm.answer(body=told.body, drip=told.drip, cut=told.cut, times=self._chance.randrange(1, 10))

    def crm_slow(self) -> None:
        self._crm.answer(stall=self._chance.uniform(0, 2), times=self._chance.randrange(1, 20))


def run(folder: Path, *, seconds: float, seed: int) -> list[str]:
    """Run a soak in `folder`; print what happened, return every discrepancy found."""
    chance, proxies = random.Random(seed), list[Proxy]()

    def way_in(socket: Path) -> str:
        proxies.append(Proxy(socket).__enter__())
        return proxies[0].url

    try:
        with Crm() as crm, Installation(folder, crm, way_in=way_in) as site:
            soak = Soak(site, crm, proxies[0], chance)
            try:
                for part in soak.others:
                    part.start()
                with Load(site, seed=seed, a_second=30) as load:
                    end = time.monotonic() + seconds
                    while time.monotonic() < end:
                        soak.break_something()
                        time.sleep(chance.uniform(0, 2))
                    load.wait_for(load.sent.thanked + 20)
                site.quiet(QUIET_WITHIN_S)
                return _tell(site, load, soak)
            finally:
                for part in soak.others:
                    part.kill()
    finally:
        for proxy in proxies:
            proxy.__exit__()


def _tell(site: Installation, load: Load, soak: Soak) -> list[str]:
    until(lambda: site.web.ask("/readyz") == 200, "the web part is ready")
    found = audit(site, load)
    say("What happened: " + ", ".join(f"{name} {times}" for name, times in sorted(soak.happened.items())))
    say(f"What came of it: {summary(site, load)}")
    say("\n".join(["What is wrong:", *found]) if found else "Nothing was lost, nothing doubled; the accounts add up.")
    return found


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Read the command line and run."""
    told = argparse.ArgumentParser(description="All faults at random, under a load.")
    told.add_argument("--seconds", type=float, default=SECONDS)
    told.add_argument("--seed", type=int, default=int(os.environ.get("LEADS_FAULT_SEED") or time.time_ns() % 10**9))
    options = told.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)  # Whatever was started ends with it.
    say(f"seed {options.seed} (LEADS_FAULT_SEED), {options.seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="leads-soak-") as folder:
        return 1 if run(Path(folder), seconds=options.seconds, seed=options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
