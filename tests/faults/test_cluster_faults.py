"""A cluster is resharded, and loses a primary, under load: whoever was thanked is at the CRM, once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Clustered, Nodes
from crm import Crm
from harness import Load, audit, seed, summary, until

FORM = "get-in-touch"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with Nodes(tmp_path_factory.mktemp("c"), replicas=1) as started:
        yield started


def see_that_it_goes_on(site: Clustered, load: Load) -> None:
    """Wait until leads are taken into the cluster as if nothing had been."""
    before = site.counts().get("received", 0)
    until(lambda: site.counts().get("received", 0) >= before + 20, f"leads are taken again: {load.sent}", 30)
    until(lambda: site.web.ask("/readyz") == 200, "it is ready")


@pytest.mark.parametrize("has_spool", [True, False], ids=["spool", "no spool"])
def test_a_slot_that_stays_half_way_makes_its_form_wait_and_splits_nothing(
    tmp_path: Path, nodes: Nodes, has_spool: bool
) -> None:
    with Crm() as crm, Clustered(tmp_path, crm, nodes, has_spool=has_spool) as site:
        with Load(site, seed=seed(1)) as load:
            load.wait_for(40)
            with nodes.on_its_way(FORM):
                time.sleep(10)
            see_that_it_goes_on(site, load)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert load.sent.statuses.keys() <= ({200} if has_spool else {200, 503}), load.sent


def test_a_slot_that_moves_at_once_is_noticed_by_nobody(tmp_path: Path, nodes: Nodes) -> None:
    with Crm() as crm, Clustered(tmp_path, crm, nodes, has_spool=False) as site:
        with Load(site, seed=seed(2)) as load:
            for _ in range(4):
                load.wait_for(load.sent.thanked + 20)
                nodes.move_at_once(FORM)
            see_that_it_goes_on(site, load)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert load.sent.statuses.keys() == {200}, load.sent


@pytest.mark.parametrize("has_spool", [True, False], ids=["spool", "no spool"])
def test_a_primary_of_a_cluster_killed_under_load_takes_nothing_acknowledged_with_it(
    tmp_path: Path, nodes: Nodes, has_spool: bool
) -> None:
    with Crm() as crm, Clustered(tmp_path, crm, nodes, replicas=1, has_spool=has_spool) as site:
        with Load(site, seed=seed(3)) as load:
            load.wait_for(25)
            killed = nodes.kill_primary_of(FORM)
            until(lambda: nodes.primary_of(FORM) is not killed, "a replica takes over", 30)
            nodes.mend()
            see_that_it_goes_on(site, load)
        site.quiet()
        assert audit(site, load) == [], summary(site, load)
        assert load.sent.statuses.keys() <= ({200} if has_spool else {200, 503}), load.sent
        assert load.sent.longest_s < 4, load.sent
