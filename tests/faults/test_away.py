"""The server or the CRM away for a while: every visitor is thanked truthfully, and all arrives afterwards."""

import random
import resource
import time
from functools import partial
from pathlib import Path

import pytest
from crm import Crm
from harness import Installation, Load, audit, post, post_and_read, seed, summary, until

FAILURE = "Oops! Something went wrong while submitting the form."


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.long)])
def test_with_a_spool_everybody_is_thanked_while_the_server_is_away(tmp_path: Path, seconds: float) -> None:
    with Crm() as crm, Installation(tmp_path, crm) as site:
        with Load(site, seed=seed(2)) as load:
            load.wait_for(20)
            with site.server_away(seconds):
                load.wait_for(load.sent.thanked + 40)
                assert site.web.ask("/readyz") == 200
            load.wait_for(load.sent.thanked + 20)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert set(load.sent.statuses) == {200}, load.sent


def test_a_web_process_killed_while_it_drains_loses_and_doubles_nothing(tmp_path: Path) -> None:
    drain_with_kills(tmp_path, people=250, kills=2, drawn=seed(3))


@pytest.mark.long
@pytest.mark.parametrize("number", range(5))
def test_web_processes_killed_again_and_again_while_they_drain(tmp_path: Path, number: int) -> None:
    drain_with_kills(tmp_path, people=1500, kills=10, drawn=seed(100) + number)


def has_received(site: Installation, number: int) -> bool:
    return site.counts().get("received", 0) >= number


def drain_with_kills(folder: Path, *, people: int, kills: int, drawn: int) -> None:
    """Spool under a load from two web processes, then kill both again and again while they drain."""
    chance = random.Random(drawn)
    with Crm() as crm, Installation(folder, crm) as site:
        other = site.another_web()
        try:
            other.start()
            with Load(site, seed=drawn, a_second=300) as load:
                site.kill_server()
                load.wait_for(people)
                assert post(other.port, {"name": "Other", "phone": "+919845000000", "message": "word 0"}) == 200
                load.sent.thanked += 1
            site.server.start()
            drained = 0
            for _ in range(kills):
                drained += chance.randrange(1, max(2, people // (2 * kills)))
                until(partial(has_received, site, drained), "it drains")
                for part in (site.web, other):
                    part.kill()
                for part in (site.web, other):
                    part.start(wait=False)
            site.quiet()
            assert audit(site, load) == [], f"LEADS_FAULT_SEED={drawn}: {summary(site, load)}"
            assert site.counts()["received"] == load.sent.thanked
        finally:
            other.kill()


def test_without_a_spool_and_with_a_full_disk_the_answer_is_503_and_when_to_come_again(tmp_path: Path) -> None:
    visitor = {"name": "Asha", "phone": "+918951047001"}
    with Crm() as crm, Installation(tmp_path, crm) as site:
        site.kill_server()
        _, hard = resource.prlimit(site.web.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(site.web.pid, resource.RLIMIT_FSIZE, (0, hard))
        status, headers, told = post_and_read(site.web.port, visitor)
        assert (status, told["message"]) == (503, FAILURE)
        assert int(headers["retry-after"]) > 0
        assert "receipt" not in told
        assert site.web.ask("/readyz") == 503
        resource.prlimit(site.web.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert post(site.web.port, visitor) == 200
        site.server.start()
        site.quiet()
        assert len(crm.requests) == 1


def test_a_crm_gone_for_longer_than_the_first_tries_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with Crm() as crm, Installation(tmp_path, crm) as site:
        with Load(site, seed=seed(5), a_second=20) as load:
            load.wait_for(10)
            with crm.gone():
                time.sleep(3)
            load.wait_for(load.sent.thanked + 10)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)


@pytest.mark.long
def test_a_crm_gone_for_long_is_asked_rarely_and_gets_everything_without_a_stampede(tmp_path: Path) -> None:
    with Crm() as crm, Installation(tmp_path, crm) as site:
        with Load(site, seed=seed(6), a_second=10) as load:
            load.wait_for(10)
            with crm.gone():
                time.sleep(30)
            load.wait_for(load.sent.thanked + 10)
            crm.most_at_once = 0
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert crm.most_at_once <= 8


@pytest.mark.long
@pytest.mark.parametrize("is_killed", [False, True], ids=["no kill", "a kill as it opens"])
def test_five_hundred_leads_of_half_a_minutes_outage_are_there_half_a_minute_after_it(
    tmp_path: Path, is_killed: bool
) -> None:
    """By the usual `retry` list, whose second pause is five minutes."""
    count = 500
    with Crm() as crm, Installation(tmp_path, crm, more="") as site:
        crm.answer(503)
        began = time.monotonic()
        for number in range(count):
            assert post(site.web.port, {"name": "Asha", "phone": f"+9189510{number:05d}"}) == 200
            time.sleep(max(0.0, began + 30 * (number + 1) / count - time.monotonic()))
        crm.answer(200)
        back, before = time.monotonic(), len(crm.requests)
        if is_killed:
            until(lambda: len(crm.requests) > before, "the first comes")
            site.worker.kill()
            site.worker.start()
        site.quiet(30.0)
        took = time.monotonic() - back
        assert site.counts()["crm:delivered"] == count
        assert took < 30, took
