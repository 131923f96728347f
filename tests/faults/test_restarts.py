"""Web, worker and server are restarted again and again, as on a day of updates: nobody who was thanked is lost."""

import random
import signal
import time
from pathlib import Path
from typing import Final

import pytest
from crm import Crm
from harness import Installation, Load, Part, audit, seed, summary, until

HOURS: Final = 24
HOUR_TAKES_S: Final = 5.0


def restart(part: Part) -> None:
    """End it in order, and start it again."""
    part.signal(signal.SIGTERM)
    until(lambda: part.status is not None, f"{part.name} ends")
    assert part.status == 0, part.said
    part.start()


@pytest.mark.long
def test_of_a_days_worth_of_restarts_in_two_minutes_nothing_is_lost(tmp_path: Path) -> None:
    chance = random.Random(seed(700))
    with Crm() as crm, Installation(tmp_path, crm) as site, Load(site, seed=seed(700)) as load:
        began = time.monotonic()
        for hour in range(HOURS):
            for name in chance.sample(["web", "worker", "server"], 3):
                if name == "server":
                    site.server.stop()
                    site.server.start()
                else:
                    restart(site.web if name == "web" else site.worker)
            time.sleep(max(0.0, began + (hour + 1) * HOUR_TAKES_S - time.monotonic()))
        load.wait_for(load.sent.thanked + 10)
        load.stop()
        site.quiet()
        found = audit(site, load)
        assert found == [], f"LEADS_FAULT_SEED={seed(700)}: {summary(site, load)}"
        assert load.sent.thanked > HOURS * 10
