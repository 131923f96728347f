"""The worker against a real CRM and a real server: what arrives, in which order, how often, what the accounts say."""

import asyncio
import json
import socket
import statistics
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from mailbox import Mailbox
from pathlib import Path
from typing import Any

import pytest
from crm import Answer, Crm, Received
from processes import frozen
from proxy import Proxy
from standardwebhooks import Webhook
from workshop import ENVIRON, SIGNING, Hands, Workshop, destination, form, one_crm, until, until_async

from service.delivery import upkeep
from service.process import worker
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
SECONDS_FOR_A_WAKE = 0.05


def verified(request: Received) -> Any:
    """Check a request's signature with the standard's own package; its age is not looked at."""
    at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    signature = Webhook(SIGNING).sign(request.headers["webhook-id"], at, request.body.decode())
    assert signature in request.headers["webhook-signature"].split(" ")
    return Webhook(SIGNING).verify(request.body, dict(request.headers))


async def test_a_lead_arrives_signed_so_that_the_standards_own_package_verifies_it(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA, message="Bitte rufen Sie an: 🙂")
            account = await shop.settled()
    [request] = crm.requests
    told = verified(request)
    assert told["type"] == "lead.created"
    assert told["data"]["id"] == taken.lead
    assert told["data"]["fields"]["message"] == "Bitte rufen Sie an: 🙂"
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == f"{taken.lead}.1"
    assert int(request.headers["content-length"]) == len(request.body)
    assert (account.owed, account.delivered) == (1, 1)


async def test_a_retry_repeats_the_bytes_under_one_id_with_a_new_timestamp_and_never_early(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(500, times=2)
        async with Workshop(redis_url, one_crm(crm, more='retry = ["1s", "1s"]')) as shop, shop.worker():
            await shop.submit(**ASHA)
            account = await shop.settled()
        first, second, third = crm.requests
    assert first.body == second.body == third.body
    assert len({each.headers["webhook-id"] for each in crm.requests}) == 1
    stamps = [int(each.headers["webhook-timestamp"]) for each in crm.requests]
    assert stamps == sorted(set(stamps))
    assert all(verified(each) for each in crm.requests)
    assert second.at - first.at >= 1_100  # the jitter here is 10 % of the pause
    assert third.at - second.at >= 1_100
    assert third.at - second.at < 10_000
    assert account.delivered == 1


async def test_a_name_that_cannot_be_looked_up_and_then_can_costs_tries_and_no_lead(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = socket.getaddrinfo

    def look_up(host: str | bytes | None, *rest: Any, **named: Any) -> Any:
        if host not in {"crm.example.com", b"crm.example.com"}:
            return real(host, *rest, **named)
        asked.append(host)
        if len(asked) <= 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Crm() as crm:
        text = form() + destination(f"http://crm.example.com:{crm.port}/hooks")
        async with Workshop(redis_url, text) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            account = await shop.settled()
            kept = await shop.archive.lead(shop.config.forms["get-in-touch"], taken.lead)
    assert len(asked) == 3
    [request] = crm.requests
    assert request.headers["webhook-id"] == f"{taken.lead}.1"
    assert account.delivered == 1
    assert kept is not None
    assert [each.reason for each in kept.deliveries[0].attempts][:2] == [
        "the name of the CRM's host could not be looked up"
    ] * 2


async def test_an_update_comes_after_its_creation_and_names_what_changed(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: crm.requests)
            await shop.settled()
            await shop.submit(**ASHA, message="Tomorrow, please")
            account = await shop.settled()
    created, updated = (verified(each) for each in crm.requests)
    assert [created["type"], updated["type"]] == ["lead.created", "lead.updated"]
    assert updated["data"]["version"] == 2
    assert updated["data"]["changed"] == ["message"]
    assert created["data"]["id"] == updated["data"]["id"]
    assert (account.owed, account.delivered) == (2, 2)


async def test_twenty_updates_before_the_first_delivery_are_one_request(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop:
            for number in range(21):
                await shop.submit(**ASHA, message=f"Word {number}")
            async with shop.worker():
                account = await shop.settled()
    [request] = crm.requests
    told = verified(request)
    assert (told["type"], told["data"]["version"], told["data"]["changed"]) == ("lead.created", 21, [])
    assert told["data"]["fields"]["message"] == "Word 20"
    assert (account.owed, account.delivered, account.superseded) == (21, 1, 20)


async def test_an_update_that_comes_while_its_creation_is_on_the_way_follows_it_at_once(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.5, times=1)
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: crm.requests)
            await shop.submit(**ASHA, message="One more thing")
            account = await shop.settled()
    created, updated = crm.requests
    assert created.json()["type"] == "lead.created"
    assert updated.json()["type"] == "lead.updated"
    assert 500 <= updated.at - created.at < 5_000
    assert (account.owed, account.delivered) == (2, 2)


async def test_an_update_while_the_first_waits_for_a_retry_hours_away_is_sent_at_once_as_creation(
    redis_url: str,
) -> None:
    with Crm() as crm:
        crm.answer(500, times=1)
        async with Workshop(redis_url, one_crm(crm, more='retry = ["5h"]')) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            await shop.submit(**ASHA, message="Are you there?")
            account = await shop.settled()
    assert [each.json()["data"]["version"] for each in crm.requests] == [1, 2]
    assert crm.requests[1].json()["type"] == "lead.created"
    assert (account.delivered, account.superseded) == (1, 1)


async def test_a_lead_that_the_crm_finds_wrong_is_dead_with_the_reason_and_nothing_of_it_is_logged(
    redis_url: str,
) -> None:
    with Crm() as crm:
        crm.answer(422, body='{"error": "Asha Rao has no surname"}')
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            account = await shop.account()
            [dead] = await shop.dead()
            kept = await shop.lead(taken.lead)
    assert len(crm.requests) == 1
    assert (account.owed, account.dead) == (1, 1)
    assert dead.reason == "the CRM answered 422: it finds a value of this lead wrong"
    assert dead.excerpt == '{"error": "Asha Rao has no surname"}'
    assert kept.deliveries[0].attempts[0].excerpt == dead.excerpt
    [line] = shop.events("attempt")
    assert line["reason"] == dead.reason
    logged = json.dumps(shop.log)
    for said in ("Asha", "surname", "47001"):
        assert said not in logged


async def test_when_no_try_is_left_the_lead_is_dead_and_no_try_was_early(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(500, body="<h1>database down</h1>")
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            account = await shop.settled()
            [dead] = await shop.dead()
    times = [each.at for each in crm.requests]
    assert len(times) == 3
    assert times[1] - times[0] >= 220  # 200 ms and half of at most 20 %
    assert times[2] - times[1] >= 440
    assert account.dead == 1
    assert dead.reason == "no try is left; at the last one the CRM answered 500: it broke on its side"
    assert dead.excerpt == "<h1>database down</h1>"


async def test_an_update_after_the_first_version_died_is_sent_as_a_creation(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(422, times=1)
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            await shop.submit(**ASHA, message="Is anybody there?")
            account = await shop.settled()
    assert [each.json()["type"] for each in crm.requests] == ["lead.created"] * 2
    assert (account.owed, account.dead, account.delivered) == (2, 1, 1)


async def test_a_replay_sends_what_died_under_the_same_id(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(422, times=1)
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            assert await shop.store.replay("get-in-touch", "crm", taken.lead, what="dead") == 1
            account = await shop.settled()
            assert await shop.store.replay("get-in-touch", "crm", taken.lead, what="dead") == 0
            assert await shop.store.replay("get-in-touch", "crm", taken.lead, what="any") == 1
            await until(lambda: len(crm.requests) == 3)
            again = await shop.settled()
    assert len({each.headers["webhook-id"] for each in crm.requests}) == 1
    assert len({each.body for each in crm.requests}) == 1
    assert account == again


async def test_an_idle_worker_is_awake_within_50_ms_and_asks_redis_at_most_once_a_second(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(name="First", phone="8951000000")
            await until(lambda: crm.requests)
            await shop.settled()
            before = await commands(shop)
            await asyncio.sleep(3)
            asked = {name: count - before.get(name, 0) for name, count in (await commands(shop)).items()}
            delays = []
            for number in range(10):
                await shop.submit(name="Next", phone=f"89510000{number + 10}")
                accepted = time.time_ns() / 1e6
                await until(partial(has, crm, number + 2))
                delays.append(crm.requests[-1].at - accepted)
                await shop.settled()
    assert sum(asked.values()) - asked.get("info", 0) <= 3, asked
    assert statistics.median(delays) <= 10 * 1000 * SECONDS_FOR_A_WAKE


def has(crm: Crm, number: int) -> bool:
    return len(crm.requests) == number


async def commands(shop: Workshop) -> Counter[str]:
    """Count the commands that the server was sent; those inside scripts are left out, as far as they can be told."""
    told = await shop.server.client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in told.items()})


@pytest.mark.parametrize("workers", [1, 2])
async def test_never_more_requests_at_once_than_configured_over_all_workers(redis_url: str, workers: int) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.05)
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 3")) as shop:
            await shop.submit_many(24)
            async with shop.worker():
                if workers == 1:
                    account = await shop.settled()
                else:
                    async with shop.worker():
                        account = await shop.settled()
    assert account.delivered == len(crm.requests) == 24
    assert crm.most_at_once <= 3
    assert crm.most_at_once >= 2


async def test_one_worker_has_a_fixed_number_of_senders_however_much_waits(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.05)
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 64")) as shop:
            await shop.submit_many(60)
            async with shop.worker():
                await shop.settled()
    assert crm.most_at_once == 8
    assert crm.connections <= 8


async def test_a_rate_holds_over_two_workers_together(redis_url: str) -> None:
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm, more='rate = "10/s"')) as shop:
            await shop.submit_many(15)
            async with shop.worker(), shop.worker():
                await shop.settled()
    times = sorted(each.at for each in crm.requests)
    assert len(times) == 15
    assert times[-1] - times[0] >= 14 * 100 - 100  # one may leave at once, after an idle time
    for first, eleventh in zip(times, times[11:], strict=False):
        assert eleventh - first >= 1_000 - 50


async def test_retry_after_on_a_503_holds_the_whole_destination(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(503, headers={"Retry-After": "2"}, times=1)
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
            await shop.submit(name="Other", phone="8951047002")
            account = await shop.settled()
    assert account.delivered == 2
    assert len(crm.requests) == 3
    refused, *later = crm.requests
    assert all(each.at - refused.at >= 1_950 for each in later)
    assert all(each.at - refused.at < 10_000 for each in later)


async def test_a_429_without_a_time_halves_the_concurrency_and_ten_successes_give_one_back(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(429, times=1)
        async with Workshop(redis_url, one_crm(crm, more='concurrency = 4\nretry = ["1ms"]')) as shop:
            async with shop.worker():
                await shop.submit(**ASHA)
                await until(lambda: shop.attempts)
                assert await limit(shop) == 2
                await shop.settled()
            crm.clear()
            crm.answer(200, stall=0.03)
            await shop.submit_many(8)
            async with shop.worker():
                await shop.settled()
            assert crm.most_at_once == 2
            assert await limit(shop) == 2  # nine so far
            await shop.submit(name="Tenth", phone="8951099999")
            async with shop.worker():
                await shop.settled()
                await until_async(lambda: is_limit(shop, 3))


async def is_limit(shop: Workshop, number: int) -> bool:
    return await limit(shop) == number


async def limit(shop: Workshop) -> int:
    return int(await shop.server.client.hget("leads:{destination:crm}:state", "limit") or 0)


async def test_a_refused_key_pauses_the_destination_probes_once_a_pause_and_charges_no_try(redis_url: str) -> None:
    hands = Hands()
    with Crm() as crm:
        crm.answer(401)
        async with Workshop(redis_url, one_crm(crm, more='retry = ["1ms"]\nconcurrency = 1'), now=hands) as shop:
            leads = [each.lead for each in await shop.submit_many(2)]

            async def go_on(ms: int, made: int) -> None:
                hands.ahead += ms
                await shop.server.client.publish("leads:wake", "crm")
                await until(lambda: len(shop.attempts) >= made)
                await asyncio.sleep(0.2)
                assert len(crm.requests) == made

            async with shop.worker():
                await until(lambda: shop.events("destination paused"))
                await go_on(57_500, 2)
                leads.append((await shop.submit(name="Third", phone="8951099999")).lead)
                await go_on(0, 3)  # what was never tried does not wait for the others
                await go_on(3_000, 4)
                await go_on(61_000, 4)  # the pause has doubled
                await go_on(60_000, 5)
                sent = [each.headers["webhook-id"].removesuffix(".1") for each in crm.requests]
                assert sent == [*leads, leads[0], leads[1]]  # each time the one that was probed with longest ago
                assert [(await shop.lead(lead)).deliveries[0].tries for lead in leads] == [0] * 3
                crm.answer(200)
                hands.ahead += 240_000
                await shop.server.client.publish("leads:wake", "crm")
                account = await shop.settled()
    assert account.delivered == 3
    assert len(shop.events("destination paused")) == 1
    assert len(shop.events("destination open again")) == 1
    assert shop.events("destination paused")[0]["level"] == "error"
    assert shop.events("destination paused")[0]["reason"] == "the CRM answered 401: it does not accept our key"


async def test_a_worker_that_starts_probes_a_paused_destination_at_once(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(401)
        async with Workshop(redis_url, one_crm(crm)) as shop:
            await shop.submit_many(3)
            async with shop.worker():
                await until(lambda: shop.events("destination paused"))
            at_once = len(crm.requests)
            crm.answer(200)
            async with shop.worker():
                account = await shop.settled()
    assert at_once <= 3  # those under way when the first refusal came
    assert account.delivered == 3


async def test_a_lead_that_a_firewall_dislikes_stops_only_itself(redis_url: str) -> None:
    with Crm() as crm:
        crm.decide = lambda request: _forbid(request, "DROP TABLE")
        async with Workshop(redis_url, one_crm(crm, more='retry = ["10ms", "10ms"]\nconcurrency = 1')) as shop:
            bad = await shop.submit(name="DROP TABLE", phone="8951047009")
            async with shop.worker():
                await until(lambda: shop.attempts)
                await shop.submit_many(6)
                account = await shop.settled()
                [dead] = await shop.dead()
    assert dead.lead == bad.lead
    assert (account.delivered, account.dead) == (6, 1)
    assert shop.events("destination paused") == []
    others = [each for each in crm.requests if b"DROP TABLE" not in each.body]
    assert len(others) == 6


def _forbid(request: Received, word: str) -> Any:
    return Answer(403) if word.encode() in request.body else None


async def test_two_forms_share_a_destination_and_each_has_its_own_account(redis_url: str) -> None:
    with Crm() as crm:
        text = form("callback") + form("newsletter") + destination(crm.url, more="concurrency = 2")
        async with Workshop(redis_url, text) as shop:
            await shop.submit_many(10, "callback")
            await shop.submit_many(2, "newsletter")
            async with shop.worker():
                one, other = await shop.settled(form="callback"), await shop.settled(form="newsletter")
    assert (one.delivered, other.delivered) == (10, 2)
    order = [each.json()["data"]["form"] for each in crm.requests]
    assert order.index("newsletter") < 4  # the long queue of the one does not make the other wait


async def test_a_destination_taken_out_while_leads_wait_gets_them_when_it_is_put_back(redis_url: str) -> None:
    with Crm() as crm, Crm() as other:
        both = form(deliver=("crm", "other")) + destination(crm.url) + destination(other.url, "other")
        alone = form() + destination(crm.url)
        async with Workshop(redis_url, both) as shop:
            await shop.submit(**ASHA)
            async with shop.worker(shop.read(alone)):
                await shop.settled()
            assert other.requests == []
            assert (await shop.account("other")).waiting == 1
            async with shop.worker(shop.read(both)):
                account = await shop.settled("other")
    assert (account.owed, account.delivered) == (1, 1)
    assert len(crm.requests) == len(other.requests) == 1


async def test_a_destination_added_later_gets_what_comes_from_then_on(redis_url: str) -> None:
    with Crm() as crm, Crm() as other:
        alone = form() + destination(crm.url)
        both = form(deliver=("crm", "other")) + destination(crm.url) + destination(other.url, "other")
        async with Workshop(redis_url, alone) as shop:
            await shop.submit(**ASHA)
            shop.config = shop.read(both)
            await shop.submit(**ASHA, message="Later")
            async with shop.worker():
                await shop.settled()
                account = await shop.settled("other")
    assert (account.owed, account.delivered) == (1, 1)
    [request] = other.requests
    assert (request.json()["type"], request.json()["data"]["version"]) == ("lead.created", 2)


async def test_a_body_edited_between_two_tries_is_sent_as_it_is_now_under_the_same_id(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(500, times=1)
        old = one_crm(crm, more='body = { person = "{fields.name}" }\nretry = ["1s"]')
        new = one_crm(crm, more='body = { full_name = "{fields.name}" }\nretry = ["10ms"]')
        async with Workshop(redis_url, old) as shop:
            await shop.submit(**ASHA)
            async with shop.worker() as stop:
                await until(lambda: crm.requests)
                stop.set()
            async with shop.worker(shop.read(new)):
                account = await shop.settled()
    assert crm.requests[0].json() == {"person": "Asha Rao"}
    assert crm.requests[-1].json() == {"full_name": "Asha Rao"}
    assert len({each.headers["webhook-id"] for each in crm.requests}) == 1
    assert account.delivered == 1


async def test_stopping_finishes_what_is_in_flight_and_claims_nothing_more(redis_url: str) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.5)
        async with Workshop(redis_url, one_crm(crm, more="concurrency = 2")) as shop:
            await shop.submit_many(6)
            async with shop.worker() as stop:
                await until(lambda: len(crm.requests) == 2)
                stop.set()
            account = await shop.account()
    assert len(crm.requests) == account.delivered == 2
    assert account.waiting == 4


async def test_a_background_job_that_fails_is_logged_in_plain_words_and_deliveries_go_on(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Any:
        raise KeyError("something a visitor typed")

    monkeypatch.setattr(upkeep, "promote", failing)
    with Crm() as crm:
        async with Workshop(redis_url, one_crm(crm)) as shop, shop.worker():
            await until(lambda: shop.events("trouble"), 20)
            [line] = shop.events("trouble")
            await shop.submit(**ASHA)
            account = await shop.settled()
    assert line["reason"] == "unexpected error (KeyError)"
    assert account.delivered == 1


async def test_redis_restarted_under_worker_and_intake_needs_no_restart_of_ours(own_redis: Embedded) -> None:
    with Crm() as crm:
        async with Workshop(own_redis.url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await shop.settled()
            own_redis.stop()
            await until(lambda: shop.events("trouble"), 20)
            own_redis.start()
            await shop.submit(name="After", phone="8951047002")
            account = await shop.settled()
    assert account.delivered == 2
    assert shop.events("redis is back")


async def test_redis_gone_while_a_request_is_under_way_and_the_success_is_written_down_later(
    own_redis: Embedded,
) -> None:
    with Crm() as crm:
        crm.answer(200, stall=0.3)
        async with Workshop(own_redis.url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: crm.requests)
            own_redis.stop()
            await asyncio.sleep(0.5)
            own_redis.start()
            account = await shop.settled()
    assert (account.delivered, len(crm.requests)) == (1, 1)


async def test_a_redis_that_hangs_for_a_while_costs_no_lead_and_no_restart(
    own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_AGAIN_S", 0.5)
    with Crm() as crm:
        async with Workshop(own_redis.url, one_crm(crm)) as shop, shop.worker():
            await shop.submit(**ASHA)
            await shop.settled()
            assert own_redis.pid is not None
            with frozen(own_redis.pid):
                await until(lambda: shop.events("trouble"), 30)
            await shop.submit(name="After", phone="8951047002")
            account = await shop.settled()
    assert account.delivered == len(crm.requests) == 2
    assert shop.events("trouble")[0]["reason"].startswith("Redis did not answer within 2 s.")


async def test_a_worker_told_to_stop_while_redis_is_away_ends_all_the_same(
    own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FINISH_WITHIN_S", 0.5)
    loop = asyncio.get_running_loop()
    with Crm() as crm:
        crm.answer(200, stall=0.3)
        async with Workshop(own_redis.url, one_crm(crm)) as shop:
            await shop.submit(**ASHA)
            async with shop.worker() as stop:
                await until(lambda: crm.requests)
                own_redis.stop()
                began = loop.time()
                stop.set()
            assert loop.time() - began < 5
    assert shop.attempts == []  # what could not be written down is decided by the lease


async def test_what_is_older_than_its_retention_goes_by_itself(redis_url: str) -> None:
    with Crm() as crm:
        text = one_crm(crm) + '\n[service]\nretention = "1s"\n'
        async with Workshop(redis_url, text) as shop:
            await shop.store.remember_forms(["get-in-touch"])
            await shop.submit(**ASHA)
            await shop.submit(name="Robot", phone="8951047002", _gotcha="filled")
            async with shop.worker():
                await until(lambda: shop.events("expired"), 20)
            account = await shop.form()
            left = [str(key) async for key in shop.server.client.scan_iter("leads:{get-in-touch}:*")]
    assert (account.received, account.created, account.quarantined, account.erased) == (2, 1, 0, 1)
    assert account.destinations["crm"].delivered == len(crm.requests) == 1
    assert not [key for key in left if not {"count", "seen", "day", "days"} & set(key.split(":"))]


async def test_what_a_person_said_above_their_limit_goes_out_as_one_update(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PROMOTE_EVERY_S", 0.2)
    with Crm() as crm:
        text = form(more='limits = { person = "1/s" }') + destination(crm.url)
        async with Workshop(redis_url, text) as shop, shop.worker():
            for number in range(5):
                await shop.submit(**ASHA, message=f"word {number}")
            await until(lambda: shop.events("promoted"))
            account = await shop.settled()
    assert account.delivered + account.superseded == account.owed == 2
    assert crm.requests[-1].json()["data"]["fields"]["message"] == "word 4"
    assert crm.requests[-1].json()["data"]["version"] == 2


@pytest.mark.parametrize("ahead_s", [600, -600])
async def test_signatures_have_this_machines_time_and_pauses_last_as_long_as_asked_whatever_redis_s_clock_says(
    redis_url: str, ahead_s: int
) -> None:
    hands = Hands()
    hands.ahead = ahead_s * 1000
    with Crm() as crm:
        crm.answer(503, headers={"Retry-After": "1"}, times=1)
        async with Workshop(redis_url, one_crm(crm), now=hands) as shop, shop.worker():
            await until(lambda: shop.events("clocks differ"))
            await shop.server.measure_clock()
            await shop.submit(**ASHA)
            await shop.settled()
            assert len(shop.events("clocks differ")) == 1
    first, second = crm.requests
    for each in (first, second):
        assert abs(int(each.headers["webhook-timestamp"]) - each.at / 1000 - ahead_s) < 10
    assert 900 < second.at - first.at < 10_000


async def test_a_worker_whose_subscription_was_forgotten_without_a_word_listens_again(
    own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ASK_WHEN_SILENT_FOR_S", 0.2)
    with Crm() as crm, Proxy(Path(own_redis.url.removeprefix("unix://"))) as way:
        text = one_crm(crm)
        async with Workshop(way.url, text) as shop, Workshop(own_redis.url, text) as beside, shop.worker():

            async def listening() -> set[str]:
                return {each["id"] for each in await beside.server.client.client_list(_type="pubsub")}

            async def another_listens() -> bool:
                return bool(await listening() - first)

            await until_async(listening)
            first = await listening()
            way.forget()
            await until_async(another_listens, 60)
            await shop.submit(**ASHA)
            await shop.settled()


async def test_a_lead_is_mailed_and_what_follows_it_comes_into_the_same_thread(redis_url: str) -> None:
    async with Mailbox(answers={"MAIL": "451 4.3.0 later"}) as mailbox:
        mail = f"""
[destinations.crm]
type = "email"
host = "127.0.0.1"
port = {mailbox.port}
tls = "none"
from = "leads@example.com"
to = "desk@example.com"
allow_private = true
retry = ["50ms", "50ms"]
"""
        async with Workshop(redis_url, form() + mail) as shop, shop.worker():
            taken = await shop.submit(**ASHA)
            kept = partial(shop.archive.lead, shop.config.forms["get-in-touch"], taken.lead)
            await until(lambda: mailbox.refused)
            mailbox.answers = {}
            await shop.settled()
            await shop.submit(**ASHA, message="Tomorrow, please")
            account = await shop.settled()
            lead = await kept()
    created, updated = mailbox.mails
    assert account.delivered == 2
    assert created["Message-ID"] == f"<{taken.lead}.1@example.com>"
    assert updated["References"] == created["Message-ID"]
    assert lead is not None
    assert lead.deliveries[0].attempts[0].reason == "the mail server answered 451: it asks us to come again later"


async def test_who_is_to_be_told_is_told_of_each_lead_beside_the_crm(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Crm() as crm, Crm() as chat:
        monkeypatch.setitem(ENVIRON, "CHAT_URL", chat.url)
        async with Mailbox() as mailbox:
            notify = f"""
[notify]
mail = {{ host = "127.0.0.1", port = {mailbox.port}, tls = "none", from = "a@example.com", to = "b@example.com", allow_private = true }}
chat = "$CHAT_URL"
allow_private = true
lead = "anonymous"
"""  # noqa: E501 -- a table of TOML 1.0 stands on one line
            async with (
                Workshop(redis_url, one_crm(crm) + notify) as shop,
                shop.worker(),
            ):
                taken = await shop.submit(**ASHA)
                await shop.settled("notify-mail")
                await shop.settled("notify-chat")
                await shop.settled()
    assert mailbox.mails[0]["Message-ID"] == f"<{taken.lead}.1@example.com>"
    assert json.loads(chat.requests[0].body) == {"text": "A lead came to get-in-touch."}
    assert verified(crm.requests[0])["data"]["id"] == taken.lead
