"""The month of `leads dev --sample` is a plausible one, adds up, and is the same in every run."""

import random
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from workshop import ENVIRON, Workshop

from service.demo import sample
from service.lib.secret import Secret
from service.store.cipher import PLAIN
from service.up.run import DEMO_CONFIG

pytestmark = pytest.mark.anyio

NUMBER, END = 160, 1_795_348_800_000
TEXT = DEMO_CONFIG.read_text("utf-8").replace("$DEMO_CRM_URL", "http://127.0.0.1:9/").replace("CRM_WEBHOOK", "CRM")


async def made_up(redis_url: str) -> tuple[int, list[Counter[str]]]:
    """Return how many were made up, and the account of each form with its destination's."""
    secret = Secret(ENVIRON["LEADS_SECRET"])
    async with Workshop(redis_url, TEXT, now=lambda: END) as shop:
        made = await sample.fill(Secret(redis_url), shop.config, secret, PLAIN, number=NUMBER, end=END)
        accounts = []
        for name in shop.config.forms:
            form = await shop.form(name)
            there = form.destinations["crm"]
            words = ("received", "rejected", "quarantined", "repeated", "updated", "created")
            count = Counter({word: getattr(form, word) for word in words})
            accounts.append(count + Counter({word: getattr(there, word) for word in ("delivered", "dead", "waiting")}))
        return made, accounts


async def test_a_month_has_of_everything_adds_up_and_is_the_same_in_every_run(redis_url: str) -> None:
    made, first = await made_up(redis_url)
    assert made == NUMBER
    both = sum(first, Counter[str]())
    assert both["received"] == NUMBER
    happened = {word for word, count in both.items() if count}
    assert {"rejected", "quarantined", "repeated", "updated", "created", "delivered", "dead"} <= happened
    assert both["waiting"] == 0
    assert both["created"] > NUMBER / 2
    assert (await made_up(redis_url)) == (0, first), "where there are leads, none are made up"
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    assert (await made_up(redis_url))[1] == first


def test_leads_come_by_day_and_on_working_days() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    found = sample.moments(random.Random(1), 3000, END, zone)
    assert found == sorted(found)
    assert END - sample.DAYS * 86_400_000 - 86_400_000 < found[0] < found[-1] < END
    local = [datetime.fromtimestamp(each / 1000, zone) for each in found]
    assert sum(9 <= each.hour < 21 for each in local) > 2000
    by_day = Counter(each.weekday() for each in local)
    assert by_day[6] < min(by_day[day] for day in range(5)) / 1.5
