"""Workers that stop and go on, and CRMs that answer as no CRM should."""

import signal
import time
from pathlib import Path

import pytest
from crm import Answer, Crm, Received
from harness import Installation, Load, audit, post, seed, summary, until

VISITOR = {"name": "Asha", "phone": "+918951047001"}
MANY = b"x" * 10_000_000


@pytest.mark.parametrize(
    "status", [500, pytest.param(200, marks=pytest.mark.long), pytest.param(400, marks=pytest.mark.long)]
)
def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on(tmp_path: Path, status: int) -> None:
    """It was told `status`; by then another worker has delivered the same, which is what counts."""
    with Crm() as crm, Installation(tmp_path, crm) as site:
        crm.answer(status, stall=0.3, times=1)
        other = site.another_worker()
        try:
            assert post(site.web.port, VISITOR) == 200
            crm.wait_for(1, timeout=30)
            site.worker.signal(signal.SIGSTOP)
            other.start()
            first, second = crm.wait_for(2, timeout=60)
            site.quiet()
            site.worker.signal(signal.SIGCONT)
            time.sleep(1.5)
            crm_account = site.status()["forms"]["get-in-touch"]["destinations"]["crm"]
        finally:
            other.kill()
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
        assert second.at - first.at >= 4_500  # its lease was kept: the timeout of 1 s and 5 s, less the way to it
        assert len(crm.requests) == 2
        assert crm_account == crm_account | {"owed": 1, "delivered": 1, "waiting": 0, "dead": 0, "balanced": True}


def test_a_crm_that_drips_sends_ten_megabytes_or_resets_gets_every_lead_once(tmp_path: Path) -> None:
    odd = [
        Answer(drip=0.4), Answer(body=MANY), Answer(500, body=MANY), Answer(cut="after"),
        Answer(500, drip=0.4), Answer(stall=3.0), Answer(204, body=b""), Answer(429, headers={"Retry-After": "soon"}),
        Answer(200, headers={"Content-Length": "5"}), Answer(503, headers={"Retry-After": "1"}),
    ]  # fmt: skip

    def decide(_: Received) -> Answer | None:
        return odd.pop(0) if odd else None

    with Crm() as crm, Installation(tmp_path, crm) as site:
        crm.decide = decide
        crm.answer(cut="before", times=2)
        with Load(site, seed=seed(7), a_second=20) as load:
            load.wait_for(25)
        until(lambda: not odd, "every odd answer was given")
        site.quiet()
        assert audit(site, load) == [], summary(site, load)


@pytest.mark.long
def test_a_worker_told_to_stop_finishes_what_is_in_flight_and_exits_with_0(tmp_path: Path) -> None:
    with Crm() as crm, Installation(tmp_path, crm) as site:
        crm.answer(stall=0.6)
        with Load(site, seed=seed(8), a_second=30) as load:
            crm.wait_for(3, timeout=30)
            site.worker.signal(signal.SIGTERM)
            until(lambda: not site.worker.is_running, "the worker ends")
            assert site.worker.status == 0
            with site.redis() as redis:
                assert redis.zcard("leads:{destination:crm}:slots") == 0  # every slot was given back
            sent = len(crm.requests)
            assert site.counts()["crm:delivered"] == sent
            site.worker.start()
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert len({each.headers["webhook-id"] for each in crm.requests}) == len(crm.requests)
