"""The power fails: not only the processes end, also what they wrote and did not fsync is gone."""

import time
from pathlib import Path

import pytest
from crm import Crm
from harness import QUICK, Installation, Load, audit, seed, summary
from power import Power

pytestmark = pytest.mark.long


@pytest.mark.parametrize("number", range(3))
def test_a_power_cut_takes_nothing_that_was_thanked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    power = Power(tmp_path, monkeypatch)
    folder = tmp_path / "site"
    folder.mkdir()
    with Crm() as crm, Installation(folder, crm) as site:
        power.begin(folder)
        with Load(site, seed=seed(5) + number) as load:
            for _ in range(3):
                load.wait_for(load.sent.thanked + 30)
                power.cut(site)
            with site.server_away(0):  # and what lies in the spool
                load.wait_for(load.sent.thanked + 60)
                power.cut(site, is_server_there=False)
                load.wait_for(load.sent.thanked + 10)
                power.cut(site, is_server_there=False)
            load.wait_for(load.sent.thanked + 10)
        site.worker.wait()
        site.quiet()
        assert audit(site, load) == [], summary(site, load)


def test_the_test_would_see_a_loss_where_nothing_is_fsynced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    power = Power(tmp_path, monkeypatch)
    folder = tmp_path / "site"
    folder.mkdir()
    careless = f"{QUICK}\n[service]\ndurable = false"
    with Crm() as crm, Installation(folder, crm, settings={"appendfsync": "no"}, more=careless) as site:
        power.begin(folder)
        site.worker.kill()
        with Load(site) as load:
            load.wait_for(20)
        time.sleep(0.1)
        power.cut(site)
        site.quiet()
        found = audit(site, load)
    assert power.taken > 0
    assert sum(line.startswith("lost: ") for line in found) >= 10, found
