"""The intake: a submission is on disk when it says so, or nobody is thanked."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger import FORM, SECRET, START, Ledger, content_of, open_ledger
from proxy import Proxy
from redis.exceptions import ConnectionError as RedisConnectionError
from workshop import until_async

from service.intake.drain import Drain
from service.intake.intake import Intake, Taken, Unavailable, Used
from service.intake.spool import Spool, open_spool
from service.lib.secret import Secret
from service.store.leads import Store
from service.store.records import Limited
from service.store.server.connection import ANSWER_WITHIN_S
from service.store.server.health import NotDurableError
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

ASHA = content_of(FORM, {"phone": "89510 47001"})
GONE = "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it."


@pytest.fixture
async def away(own_redis: Any) -> AsyncIterator[Ledger]:
    """Return the ledger of a server that has just gone."""
    async with open_ledger(own_redis.url) as opened:
        own_redis.stop()
        yield opened


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return open_spool(tmp_path / "spool", lambda: START)


def taken(result: Taken | Limited | Used | Unavailable) -> Taken:
    assert isinstance(result, Taken), result
    return result


async def test_what_is_taken_has_a_receipt_that_tells_nothing(ledger: Ledger) -> None:
    intake = Intake(ledger.store, SECRET)
    one = taken(await intake.submit(FORM, ASHA))
    two = taken(await intake.submit(FORM, ASHA))
    assert (one.result, two.result, one.version) == ("created", "repeated", 1)
    assert one.lead == two.lead
    assert one.receipt != two.receipt
    for each in (one, two):
        assert re.fullmatch(r"[A-Za-z0-9_-]{24}", each.receipt)
    await ledger.check()


async def test_with_a_key_every_process_gives_the_same_receipt(ledger: Ledger) -> None:
    one = taken(await Intake(ledger.store, SECRET).submit(FORM, ASHA, key="k"))
    two = taken(await Intake(ledger.store, SECRET).submit(FORM, ASHA, key="k"))
    other = taken(await Intake(ledger.store, Secret("another")).submit(FORM, ASHA, key="k"))
    assert one.receipt == two.receipt != other.receipt
    assert (two.result, two.lead) == ("repeated", one.lead)


async def test_what_looks_like_spam_is_held(ledger: Ledger) -> None:
    held = taken(await Intake(ledger.store, SECRET).submit(FORM, ASHA, quarantine=("honeypot",)))
    assert (held.result, held.lead, held.version) == ("quarantined", "", 0)
    assert await ledger.counts() == {"received": 1, "quarantined": 1}


async def test_without_redis_and_spool_nobody_is_thanked(away: Ledger) -> None:
    assert await Intake(away.store, SECRET).submit(FORM, ASHA) == Unavailable(GONE)


async def test_without_redis_it_lies_in_the_spool(away: Ledger, spool: Spool) -> None:
    intake = Intake(away.store, SECRET, spool)
    one = taken(await intake.submit(FORM, ASHA))
    assert (one.result, one.version, spool.count()) == ("spooled", 0, 1)
    assert one.lead.startswith("lead_")
    spool.close()


async def test_a_key_gives_the_same_receipt_redis_or_not(ledger: Ledger, away: Ledger, spool: Spool) -> None:
    spooled = taken(await Intake(away.store, SECRET, spool).submit(FORM, ASHA, key="k"))
    accepted = taken(await Intake(ledger.store, SECRET).submit(FORM, ASHA, key="k"))
    assert spooled.receipt == accepted.receipt
    spool.close()


async def test_refusals_are_counted_with_what_was_received(ledger: Ledger) -> None:
    intake = Intake(ledger.store, SECRET)
    for _ in range(3):
        intake.count_refusal(FORM)
    intake.count_refusal(replace(FORM, name="other"))
    await intake.report_counts()
    await intake.report_counts()
    assert await ledger.counts() == {"received": 3, "rejected": 3}
    intake.count_refusal(FORM)
    await intake.report_counts()
    assert (await ledger.counts())["rejected"] == 4
    await ledger.check()


async def test_refusals_of_a_time_without_redis_are_reported_later(own_redis: Any) -> None:
    async with open_ledger(own_redis.url) as ledger:
        intake = Intake(ledger.store, SECRET)
        own_redis.stop()
        intake.count_refusal(FORM)
        await intake.report_counts()
        intake.count_refusal(FORM)
        intake.count_refusal(FORM, "unavailable")
        own_redis.start()
        await intake.report_counts()
        await intake.report_counts()
        assert await ledger.counts() == {"received": 3, "rejected": 2, "unavailable": 1}
        assert (await ledger.store.account(FORM.name, ("crm",), {})).balanced


async def test_a_report_whose_answer_got_lost_is_counted_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake(ledger.store, SECRET)
    run = ledger.server.run

    async def lose_the_answer(*args: Any) -> Any:
        await run(*args)
        raise RedisConnectionError

    intake.count_refusal(FORM)
    with monkeypatch.context() as patched:
        patched.setattr(ledger.server, "run", lose_the_answer)
        await intake.report_counts()
    ledger.now += 86_400_000
    intake.count_refusal(FORM)
    await intake.report_counts()
    await intake.report_counts()
    assert await ledger.counts() == {"received": 2, "rejected": 2}


async def test_the_last_refusals_are_reported_when_the_process_ends(ledger: Ledger) -> None:
    intake = Intake(ledger.store, SECRET)
    reporting = asyncio.create_task(intake.keep_reporting())
    await asyncio.sleep(0)
    intake.count_refusal(FORM)
    reporting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reporting
    assert (await ledger.counts())["rejected"] == 1


async def test_ready_with_a_durable_redis(ledger: Ledger) -> None:
    readiness = await Intake(ledger.store, SECRET).readiness()
    assert (readiness.ready, readiness.redis) == (True, "Redis answers and is durable.")
    assert "LEADS_SPOOL" in readiness.spool


@pytest.mark.parametrize("has_spool", [True, False])
async def test_without_redis_only_a_spool_makes_it_ready(away: Ledger, spool: Spool, has_spool: bool) -> None:
    readiness = await Intake(away.store, SECRET, spool if has_spool else None).readiness()
    assert (readiness.ready, readiness.redis) == (has_spool, GONE)
    spool.close()


NOT_DURABLE = [
    ("appendonly", "no", "Redis keeps no append-only file: a crash loses leads. Set `appendonly yes`."),
    ("appendfsync", "everysec", "Redis has `appendfsync everysec`: a crash loses leads. Set `appendfsync always`."),
    ("maxmemory-policy", "allkeys-lru", "Redis may evict leads (`allkeys-lru`). Set `maxmemory-policy noeviction`."),
]
TAKES_RISK = "`[service] durable = false` takes that risk."


@pytest.mark.parametrize(("name", "value", "sentence"), NOT_DURABLE)
async def test_nobody_is_thanked_on_the_word_of_a_redis_that_is_not_durable(
    own_redis: Embedded, name: str, value: str, sentence: str
) -> None:
    async with open_ledger(own_redis.url) as ledger:
        await ledger.server.client.config_set(name, value)
        intake = Intake(ledger.store, SECRET)
        await ledger.server.look()
        assert await intake.submit(FORM, ASHA) == Unavailable(sentence)
        readiness = await intake.readiness()
        assert (readiness.ready, readiness.redis) == (False, sentence)
        assert await ledger.counts() == {}


async def test_a_redis_is_looked_at_before_the_first_visitor_is_taken(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as before:
        await before.server.client.config_set("appendonly", "no")
        async with open_ledger(own_redis.url) as ledger:
            assert await Intake(ledger.store, SECRET).submit(FORM, ASHA) == Unavailable(NOT_DURABLE[0][2])
        assert await before.counts() == {}


async def test_what_comes_to_a_redis_that_is_not_durable_stays_in_the_spool_until_it_is(
    own_redis: Embedded, spool: Spool
) -> None:
    async with open_ledger(own_redis.url) as ledger:
        intake, drain = Intake(ledger.store, SECRET, spool), Drain(spool, ledger.store, {FORM.name: FORM})
        await ledger.server.client.config_set("appendonly", "no")
        await ledger.server.look()
        one = taken(await intake.submit(FORM, ASHA))
        assert (one.result, (await intake.readiness()).ready) == ("spooled", True)
        assert isinstance((await drain.run_once()).failure, NotDurableError)
        assert (spool.count(), await ledger.counts()) == (1, {})
        await ledger.server.client.config_set("appendonly", "yes")
        await ledger.server.look()
        [(line, accepted)] = (await drain.run_once()).taken
        assert (line.receipt, accepted.result, spool.count()) == (one.receipt, "created", 0)

        async def is_written() -> bool:  # Until then the server does not end.
            return not (await ledger.server.client.info("persistence"))["aof_rewrite_in_progress"]

        await until_async(is_written)
    spool.close()


async def test_a_redis_that_comes_back_without_its_file_is_noticed_on_the_connection_that_finds_it(
    tmp_path: Path, own_redis: Embedded, spool: Spool
) -> None:
    async with open_ledger(own_redis.url) as ledger:
        intake = Intake(ledger.store, SECRET, spool)
        assert taken(await intake.submit(FORM, ASHA)).result == "created"
        own_redis.stop()
        forgetful = Embedded(tmp_path / "redis", settings={"appendonly": "no"})
        forgetful.start()
        try:
            assert taken(await intake.submit(FORM, ASHA)).result == "spooled"
        finally:
            forgetful.stop()
    spool.close()


async def test_visitors_are_taken_over_fresh_connections_where_the_kept_ones_were_forgotten_without_a_word(
    own_redis: Embedded,
) -> None:
    people = [content_of(FORM, {"phone": f"89510 4700{number}"}) for number in range(4)]
    with Proxy(Path(own_redis.url.removeprefix("unix://"))) as way:
        async with open_ledger(way.url) as ledger:
            intake = Intake(ledger.store, SECRET)
            for each in people:
                taken(await intake.submit(FORM, each))
            await asyncio.sleep(ANSWER_WITHIN_S)  # Now they are kept ones.
            way.forget()
            again = await asyncio.gather(*(intake.submit(FORM, each) for each in people))
            assert [taken(each).result for each in again] == ["repeated"] * 4
            assert await ledger.counts() == {
                "received": 8,
                "created": 4,
                "repeated": 4,
                "crm:owed": 4,
                "crm:waiting": 4,
            }


async def test_whoever_takes_the_risk_is_told_it_each_time(own_redis: Embedded) -> None:
    async with open_ledger(own_redis.url) as ledger:
        await ledger.server.client.config_set("appendonly", "no")
        await ledger.server.look()
        intake = Intake(Store(ledger.server, takes_risk=True), SECRET)
        assert taken(await intake.submit(FORM, ASHA)).result == "created"
        readiness = await intake.readiness()
        assert (readiness.ready, readiness.redis) == (True, f"{NOT_DURABLE[0][2]} {TAKES_RISK}")


async def test_strangers_who_ask_whether_all_is_well_share_one_look(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, inspect = [], ledger.store.inspect

    async def counted() -> tuple[bool, str]:
        looks.append(1)
        return await inspect()

    monkeypatch.setattr(ledger.store, "inspect", counted)
    intake = Intake(ledger.store, SECRET)
    answers = await asyncio.gather(*(intake.readiness(at_most_s=60) for _ in range(50)))
    assert all(answer.ready for answer in answers)
    assert len(looks) == 1
    await intake.readiness()
    assert len(looks) == 2
