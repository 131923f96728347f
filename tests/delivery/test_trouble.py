"""What is wrong is told with what to do about it, and nothing is told when all is well."""

from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from crm import Crm
from processes import ROOT
from workshop import Hands, Workshop, destination, form, one_crm, until, until_async

from service import __version__
from service.delivery import trouble
from service.delivery.heartbeat import WORKERS, beat, leave
from service.delivery.trouble import CODES, read_troubles
from service.intake.spool import Spool, open_spool
from service.process.wiring import clock
from service.store.accounts import Trouble, WorkerSeen
from service.store.overview import read_accounts
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
MINUTE = 60_000
NOWHERE = form() + destination("http://127.0.0.1:9/")


async def look(shop: Workshop, spool: Spool | None = None) -> tuple[list[WorkerSeen], list[Trouble]]:
    return await read_troubles(shop.server, shop.config, await read_accounts(shop.server, shop.config), spool)


async def told(shop: Workshop, spool: Spool | None = None) -> list[tuple[str, str]]:
    """Return code and message of what is wrong, but that no worker is alive."""
    return [(each.code, each.message) for each in (await look(shop, spool))[1] if each.code != "NO_WORKER"]


async def test_a_worker_that_is_alive_is_named_and_nothing_is_wrong(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop:
            async with shop.worker():
                await until_async(lambda: shop.server.client.exists(WORKERS))
                [worker], wrong = await look(shop)
            assert (worker.host, worker.version, wrong) == (gethostname(), __version__, [])
            assert 0 <= worker.seen_s < 10
            workers, [wrong_now] = await look(shop)  # It stopped in order, and is not missed any longer.
            assert workers == []
            assert wrong_now.code == "NO_WORKER"
            assert wrong_now.message == "No worker is alive: nothing is delivered."


async def test_a_worker_of_a_full_redis_is_not_missed_nor_one_that_cannot_say_that_it_is_alive(
    own_redis: Embedded,
) -> None:
    async with Workshop(own_redis.url, NOWHERE) as shop:
        await shop.server.open()
        await shop.server.client.config_set("maxmemory", "1")
        await beat(shop.server, "a", "here", __version__)
        workers, [wrong] = await look(shop)
        assert ([worker.host for worker in workers], wrong.code) == (["here"], "REDIS_FULL")
        await leave(shop.server, "a")
        await shop.server.client.config_set("maxmemory", "0")
        await shop.server.client.config_set("min-replicas-to-write", "1")
        assert [each.code for each in (await look(shop))[1]] == ["NO_WRITE"]


async def test_when_the_last_worker_was_heard_of_is_told(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm), now=hands) as shop:
            async with shop.worker():
                await until_async(lambda: shop.server.client.exists(WORKERS))
                [kept] = await shop.server.client.hvals(WORKERS)
            await shop.server.client.hset(WORKERS, "killed", kept)
            hands.ahead = 23 * MINUTE
            workers, [wrong] = await look(shop)
    assert workers == []
    assert wrong.message.endswith(f"nothing is delivered. The last was seen 23 min ago, on {gethostname()}.")


async def test_what_was_due_long_ago_is_overdue(redis_url: str) -> None:
    hands = Hands()
    async with Workshop(redis_url, NOWHERE, now=hands) as shop:
        await shop.submit(**ASHA)
        hands.ahead = MINUTE
        assert await told(shop) == []
        hands.ahead = 3 * MINUTE
        assert await told(shop) == [("OVERDUE", "1 is due at crm; the next try was due 3 min ago.")]


async def test_a_lead_that_is_refused_as_the_only_one_is_told(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(401)
        async with Workshop(redis_url, one_crm(crm)) as shop:
            async with shop.worker():
                await shop.submit(**ASHA)
                await until(lambda: shop.events("destination refuses the only lead"))
            [alone] = [each for each in (await look(shop))[1] if each.code != "NO_WORKER"]
            assert (alone.code, "does not accept our key" in alone.message) == ("REFUSED_ALONE", True)
            crm.answer(200)
            await shop.submit(name="Ravi", phone="089510 47002")
            async with shop.worker():
                await shop.settled()
            assert [each.code for each in (await look(shop))[1]] == ["NO_WORKER"]


async def test_a_pause_and_the_dead_are_told_with_what_to_do(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(422, times=1)
        async with Workshop(redis_url, one_crm(crm)) as shop:
            async with shop.worker():
                await shop.submit(**ASHA)
                await shop.settled()
                crm.answer(401)
                await shop.submit(name="Ravi", phone="089510 47002")
                await shop.submit(name="Meera", phone="089510 47003")
                await until(lambda: shop.events("destination paused"))
            [paused, dead] = [each for each in (await look(shop))[1] if each.code != "NO_WORKER"]
    assert paused.code == "PAUSED"
    assert paused.message.startswith("crm is paused for ")
    assert "(refused): " in paused.message
    assert "The next probe is in " in paused.message
    assert (dead.code, dead.message) == ("DEAD", "1 is dead at crm: refused, or no try was left.")
    assert dead.do == "`leads dead` says why; `leads replay --destination crm` sends them again."


async def test_a_spool_that_is_not_emptied_and_lines_set_aside_are_told(redis_url: str, tmp_path: Path) -> None:
    hands = Hands()
    spool = open_spool(tmp_path / "spool", hands)
    async with Workshop(redis_url, NOWHERE) as shop:
        spool.append(b"{}")
        assert await told(shop, spool) == []
        hands.ahead = 5 * MINUTE
        (spool.folder / "1-a.aside").write_text("half a line")
        waits, aside = await told(shop, spool)
    spool.close()
    assert waits == ("SPOOL_WAITS", "1 submission lies in the spool, the oldest for 5 min.")
    assert aside == ("SET_ASIDE", "Lines of the spool could not be taken: 1-a.aside.")


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"maxmemory": 100, "used_memory": 89}, None),
        ({"maxmemory": 100, "used_memory": 93}, "Redis uses 93% of its `maxmemory`; "),
        ({"maxmemory": 100, "used_memory": 100}, None),  # It is full: that is told by itself.
        ({"maxmemory": 0, "used_memory": 95, "total_system_memory": 100}, "Redis uses 95% of the machine's memory; "),
        ({"maxmemory": 0, "used_memory": 5, "total_system_memory": 100}, None),
        ({}, None),
    ],
)
def test_memory_that_is_nearly_full_is_told(info: dict[str, Any], said: str | None) -> None:
    found = [each.message for each in trouble._of_memory(info)]
    assert [each.startswith(said) for each in found] == [True] if said else found == []


async def test_a_disk_that_is_nearly_full_is_told_of_the_spool_and_of_a_redis_on_this_machine(
    redis_server: Embedded, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "FREE_OF_DISK", 1.1)
    spool = open_spool(tmp_path, clock)
    async with Workshop(redis_url, NOWHERE) as shop:
        found = await told(shop, spool)
    assert [code for code, _ in found] == ["DISK_NEARLY_FULL"] * 2
    assert [message.split()[3] for _, message in found] == [str(tmp_path), str(redis_server.folder)]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("appendonly", "no", "NOT_DURABLE"),
        ("min-replicas-to-write", "1", "NO_WRITE"),
        ("maxmemory", "1", "REDIS_FULL"),
    ],
)
async def test_what_is_wrong_with_redis_is_told_and_what_to_set(
    own_redis: Embedded, setting: str, value: str, code: str
) -> None:
    async with Workshop(own_redis.url, NOWHERE) as shop:
        await shop.server.open()
        await shop.server.client.config_set(setting, value)
        [wrong] = [each for each in (await look(shop))[1] if each.code != "NO_WORKER"]
    assert wrong.code == code
    assert wrong.message.endswith((".", "`."))
    assert wrong.do


async def test_a_risk_that_is_taken_on_purpose_is_told_as_one(own_redis: Embedded) -> None:
    async with Workshop(own_redis.url, NOWHERE + "\n[service]\ndurable = false") as shop:
        await shop.server.client.config_set("appendonly", "no")
        [(code, message)] = await told(shop)
    assert code == trouble.TAKEN_ON_PURPOSE
    assert message.endswith("a crash loses leads. `[service] durable = false` takes that risk.")


async def test_a_clock_that_is_off_is_told(redis_url: str) -> None:
    async with Workshop(redis_url, NOWHERE, now=lambda: clock() - 10 * MINUTE) as shop:
        await shop.server.open()
        [(code, message)] = await told(shop)
    assert (code, message) == ("CLOCK_OFF", "The clock of Redis is 10 min ahead of this machine's.")


def test_every_code_stands_in_the_documentation_with_whether_somebody_must_come() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [code for code in CODES if f"| `{code}` |" not in text] == []
