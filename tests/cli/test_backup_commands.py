"""`leads backup` and `leads restore`: files, keys, secrets, processes that end by `kill -9`, and what they print."""

import random
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crm import Crm
from processes import Process, Processes, post, until
from redis import Redis
from workshop import one_crm

from service.up.embedded import Embedded

KEY = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
SLOW = 'retry = ["2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s"]'
PASSES = (":slots", ":state", ":synced", "leads:restored", "leads:schema", "leads:forms", "leads:secrets")


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as opened:
        yield opened


@pytest.fixture
def here(tmp_path: Path, redis_url: str, crm: Crm) -> Iterator[Processes]:
    with Processes(tmp_path / "here", redis_url, one_crm(crm, more=SLOW)) as opened:
        yield opened


@pytest.fixture
def there(tmp_path: Path, own_redis: Embedded, crm: Crm) -> Iterator[Processes]:
    with Processes(tmp_path / "there", own_redis.url, one_crm(crm, more=SLOW)) as opened:
        yield opened


def dump(place: Processes) -> dict[str, Any]:
    """Return what every key holds, but what passes by itself."""
    kept: dict[str, Any] = {}
    with Redis.from_url(place.environ["LEADS_REDIS_URL"], decode_responses=True) as redis:
        for key in redis.scan_iter("leads:*"):
            if key.endswith(PASSES):
                continue
            match redis.type(key):
                case "hash":
                    kept[key] = redis.hgetall(key)
                case "zset":
                    kept[key] = redis.zrange(key, 0, -1, withscores=True)
                case _:
                    kept[key] = redis.get(key)
    return kept


def refused(place: Processes, *words: str) -> str:
    process = place.start(*words)
    assert process.wait() == 1
    assert "Traceback" not in process.said()
    return process.said()


def fill(place: Processes, number: int) -> Process:
    """Start a web part and let so many people write."""
    web = place.serve()
    for each in range(number):
        assert post(web.port, name="Asha", phone=f"89510{each:05d}").status == 200
    return web


def ids(crm: Crm) -> list[str]:
    return [each.headers["webhook-id"] for each in crm.requests]


def test_one_installation_goes_on_where_another_was(
    here: Processes, there: Processes, tmp_path: Path, crm: Crm
) -> None:
    file = str(tmp_path / "leads.backup")
    web, worker = fill(here, 5), here.work()
    crm.wait_for(5)
    until(lambda: here.status()["forms"]["get-in-touch"]["destinations"]["crm"]["delivered"] == 5)
    crm.answer(503)
    receipt = post(web.port, name="Ravi", phone="8951099999").json()["receipt"]
    crm.wait_for(6)
    until(lambda: "503" in here.run("show", receipt))
    worker.stop()
    said = here.run("backup", file)
    assert "get-in-touch: 6 leads, 0 in quarantine; of what is owed 1 wait and 0 are dead" in said, said
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert "is whole" in there.run("backup", "--check", file)
    accounts = here.status()["forms"]

    assert "is restored" in there.run("restore", file)
    restored = there.status()["forms"]
    for account in (accounts, restored):
        for passing in ("oldest_waiting_s", "next_try_s"):
            account["get-in-touch"]["destinations"]["crm"].pop(passing, None)
    assert restored == accounts
    assert "Ravi" in there.run("show", receipt)
    crm.answer(200)
    sent = ids(crm)
    there.work()
    until(lambda: there.status()["forms"]["get-in-touch"]["destinations"]["crm"]["delivered"] == 6)
    assert ids(crm)[len(sent) :] == [sent[5]], "what was delivered stays so, and what waited keeps its id"
    known = there.serve()
    assert post(known.port, name="Ravi", phone="089510 99999").status == 200
    assert there.status()["forms"]["get-in-touch"]["repeated"] == 1


def test_what_does_not_fit_is_refused_and_writes_nothing(here: Processes, there: Processes, tmp_path: Path) -> None:
    file, key = tmp_path / "leads.backup", tmp_path / "key"
    key.write_text(KEY)
    fill(here, 1).stop()  # and with it comes what it has not reported yet
    here.run("backup", str(file), "--key", str(key))
    assert "sealed: name the file of its key with --key" in refused(there, "restore", str(file))
    there.environ["LEADS_SECRET"] = "another one that is long enough 00000000"
    assert "under another LEADS_SECRET" in refused(there, "restore", str(file), "--key", str(key))
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert "cut off or damaged" in refused(there, "restore", str(file), "--key", str(key), "--another-secret")
    assert "cannot be read (No such file" in refused(there, "backup", "--check", str(tmp_path / "none"))
    assert "cannot be written (No such file" in refused(there, "backup", str(tmp_path / "none" / "leads.backup"))
    assert dump(there) == {}
    file.write_bytes(whole)
    there.run("restore", str(file), "--key", str(key), "--another-secret")
    assert dump(there) == dump(here)
    assert "This server is not empty" in refused(here, "restore", str(file), "--key", str(key))


def test_values_sealed_with_a_key_come_back_sealed_and_that_key_is_asked_for(
    here: Processes, there: Processes, tmp_path: Path
) -> None:
    file = str(tmp_path / "leads.backup")
    here.environ["LEADS_ENCRYPTION_KEY"] = KEY
    fill(here, 1).stop()  # and with it comes what it has not reported yet
    here.run("backup", file)
    assert "What is kept is encrypted: set LEADS_ENCRYPTION_KEY" in refused(there, "restore", file)
    there.environ["LEADS_ENCRYPTION_KEY"] = KEY
    there.run("restore", file)
    assert dump(there) == dump(here)
    assert "Asha" not in str(dump(there))
    [lead] = [key.rpartition(":")[2] for key in dump(there) if ":lead:" in key]
    assert "Asha" in there.run("show", lead)


def killed_at_random(place: Processes, seed: int, *words: str) -> bool:
    """Run a command and end it by `kill -9` at some moment; True: it had not ended by itself."""
    process = place.start(*words)
    time.sleep(random.Random(seed).uniform(0, 0.5))
    has_ended = process.ended()
    process.kill()
    return not has_ended


def backup_and_restore_with_kills(here: Processes, there: Processes, tmp_path: Path, seeds: range) -> int:
    """Kill backups and restores; what is there in the end must be all there was."""
    file, cut = tmp_path / "leads.backup", 0
    fill(here, 300).stop()
    before = dump(here)
    for seed in seeds:
        file.unlink(missing_ok=True)
        cut += killed_at_random(here, seed, "backup", str(file))
        if file.exists():
            here.run("backup", "--check", str(file))
        with Redis.from_url(here.environ["LEADS_REDIS_URL"]) as redis:  # instead of waiting for the minute
            redis.delete("leads:{get-in-touch}:copy", "leads:{get-in-touch}:noted")
        here.run("backup", str(file))
        with Redis.from_url(there.environ["LEADS_REDIS_URL"]) as redis:
            redis.flushdb()
        cut += killed_at_random(there, -seed, "restore", str(file))
        there.run("restore", str(file))
        assert dump(there) == before
        assert dump(here) == before
    return cut


def test_backups_and_restores_that_are_killed_are_begun_again(
    here: Processes, there: Processes, tmp_path: Path
) -> None:
    backup_and_restore_with_kills(here, there, tmp_path, range(1, 2))


@pytest.mark.long
def test_of_two_hundred_backups_and_restores_that_are_killed_none_loses_or_doubles_anything(
    here: Processes, there: Processes, tmp_path: Path
) -> None:
    assert backup_and_restore_with_kills(here, there, tmp_path, range(100)) > 0
