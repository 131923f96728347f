"""Parts killed with SIGKILL at random moments: what was thanked is at the CRM, once, and the accounts add up."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from crm import Crm
from harness import QUICK, Installation, Load, Part, audit, failing_one_in, post, seed, summary, until
from processes import is_alive

KINDS = ("web", "worker", "server")
ONE_FAILS_IN = 9


def kill_at_random(folder: Path, *, kills: int, drawn: int, has_spool: bool = True) -> None:
    """Run a load, kill and start again `kills` parts at moments drawn from the seed, and audit."""
    chance = random.Random(drawn)
    victims = [KINDS[number % len(KINDS)] for number in range(kills)]
    chance.shuffle(victims)
    with Crm() as crm, Installation(folder, crm, has_spool=has_spool) as site:
        crm.decide = failing_one_in(ONE_FAILS_IN)
        with Load(site, seed=drawn) as load:
            load.wait_for(10)
            for victim in victims:
                time.sleep(chance.uniform(0.05, 0.9))
                kill_and_start(site, victim, chance)
            load.wait_for(load.sent.thanked + 10)
        site.quiet()
        found = audit(site, load, failed=lambda number: number % ONE_FAILS_IN == 0)
        assert found == [], f"LEADS_FAULT_SEED={drawn} {victims}: {summary(site, load)}"
        assert load.sent.thanked > 5 * kills


def kill_and_start(site: Installation, victim: str, chance: random.Random) -> None:
    if victim == "server":
        site.kill_server()
        time.sleep(chance.uniform(0, 0.5))
        site.server.start()
        return
    part = site.web if victim == "web" else site.worker
    part.kill()
    part.start()


def test_eight_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=8, drawn=seed(4))


@pytest.mark.long
@pytest.mark.parametrize("number", range(4))
def test_fifty_kills_each_with_four_seeds_lose_nothing_and_double_nothing(tmp_path: Path, number: int) -> None:
    kill_at_random(tmp_path, kills=50, drawn=seed(1000) + number, has_spool=number % 2 == 0)


def test_without_an_append_only_file_the_audit_reports_the_loss(tmp_path: Path) -> None:
    careless = f"{QUICK}\n[service]\ndurable = false"
    with Crm() as crm, Installation(tmp_path, crm, settings={"appendonly": "no"}, more=careless) as site:
        site.worker.kill()
        with Load(site) as load:
            load.wait_for(20)
        site.kill_server()
        site.server.start()
        site.worker.start()
        site.quiet()
        found = audit(site, load)
    assert sum(line.startswith("lost: ") for line in found) >= 10, found


def test_web_processes_end_with_the_one_that_started_them_and_its_port_is_free(tmp_path: Path) -> None:
    with Crm() as crm, Installation(tmp_path, crm) as site:
        several = Part("web", site.environ, "serve", "--workers", "2")
        several.start()
        children = children_of(several.pid)
        assert len(children) >= 2
        try:
            several.kill()
            until(lambda: not any(is_alive(pid) for pid in children), "the others end")
            several.start()
            children += children_of(several.pid)
            assert post(several.port, {"name": "Asha", "phone": "+918951047001"}) == 200
            several.kill()
            until(lambda: not any(is_alive(pid) for pid in children), "the others end")
        finally:
            several.kill()
            for pid in filter(is_alive, children):
                os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
