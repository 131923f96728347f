"""What is restored is what was kept, whatever server it goes into; what is no whole backup is refused in a sentence."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from engines import open_engine
from ledger import FORM, Ledger, open_ledger
from moving import PACE, back_up, bring_back, live, open_server_at
from msgspec import structs
from redis import Redis
from redis.exceptions import ResponseError

from service.backup import restore as restoring
from service.backup.file import check, read_head
from service.backup.restore import RESTORED
from service.backup.snapshot import Snapshot
from service.delivery.upkeep import walk
from service.lib.errors import CannotStart
from service.store.breaker import Gate
from service.store.server.health import is_script_fault, sentence_of
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))


async def kept_in(ledger: Ledger) -> dict[str, object]:
    kept: dict[str, object] = dict(await ledger.dump())
    return {name: value for name, value in kept.items() if name != RESTORED and not name.endswith(":slots")}


async def test_all_that_is_kept_comes_back(ledger: Ledger, own_redis: Embedded) -> None:
    await live(ledger, 400)  # queues, receipts and the index are then larger than one slice
    before = await kept_in(ledger)
    file = await back_up(ledger.server)
    assert await kept_in(ledger) == before
    async with open_ledger(own_redis.url) as other:
        await bring_back(file, other.server)
        assert await kept_in(other) == before
        other.now, other.forgets, other.checks_each_call = ledger.now, True, False
        await other.check()
        assert [each async for each in walk(other.store, [FORM.name], pause_s=0)] == []
        assert await Gate(other.server, "crm", PACE).pause() == await Gate(ledger.server, "crm", PACE).pause()
        again = structs.replace(other.line({"phone": "8951000001"}, key="key-1"), id="another", lead="lead_another")
        assert (await other.accept(again)).result == "repeated"


async def test_from_valkey_into_redis_8_and_back(
    ledger: Ledger, own_redis: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(ledger, 60)
    before = await kept_in(ledger)
    with open_engine("redis-8.2", tmp_path / "eight", monkeypatch) as eight:
        with Redis.from_url(eight.url) as redis:
            assert redis.info("server")["redis_version"].startswith("8.")
            assert "valkey_version" not in redis.info("server")
        async with open_ledger(eight.url) as other, open_ledger(own_redis.url) as back:
            await bring_back(await back_up(ledger.server), other.server)
            assert await kept_in(other) == before
            await bring_back(await back_up(other.server), back.server)
            assert await kept_in(back) == before


async def test_a_sealed_backup_opens_with_its_key_alone(ledger: Ledger, own_redis: Embedded) -> None:
    await live(ledger, 20)
    before = await kept_in(ledger)
    file = await back_up(ledger.server, key=KEY)
    assert b"gzip" not in file.getvalue()
    with pytest.raises(CannotStart, match="sealed: name the file of its key"):
        check(file, None)
    with pytest.raises(CannotStart, match="This key does not open"):
        check(file, KEY[::-1])
    async with open_ledger(own_redis.url) as other:
        await bring_back(file, other.server, key=KEY)
        assert await kept_in(other) == before


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "sealed"])
async def test_a_backup_that_was_cut_anywhere_is_refused(ledger: Ledger, key: bytes | None) -> None:
    await live(ledger, 6)
    whole = (await back_up(ledger.server, key=key)).getvalue()
    for length in range(0, len(whole), 1 + len(whole) // 500):
        with pytest.raises(CannotStart):
            check(io.BytesIO(whole[:length]), key)
    # gzip itself says what its last bytes are for: without them nothing of the content is missing.
    for length in range(len(whole) - 40, len(whole)):
        with pytest.raises(CannotStart):
            check(io.BytesIO(whole[:length]), key)


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "sealed"])
async def test_a_backup_in_which_a_bit_has_turned_is_refused_or_says_the_same(
    ledger: Ledger, key: bytes | None
) -> None:
    await live(ledger, 6)
    whole = (await back_up(ledger.server, key=key)).getvalue()
    contents, refused = check(io.BytesIO(whole), key), 0
    for place in range(0, len(whole), 1 + len(whole) // 300):
        turned = bytearray(whole)
        turned[place] ^= 4
        try:
            # A few bits of gzip's own mean nothing: then the lines are the same, to their SHA-256.
            assert check(io.BytesIO(bytes(turned)), key) == contents
        except CannotStart:
            refused += 1
    assert refused > 200


async def test_lines_left_out_added_or_changed_are_refused(ledger: Ledger) -> None:
    await live(ledger, 6)
    lines = gzip.decompress((await back_up(ledger.server)).getvalue()).splitlines(keepends=True)
    others = [
        [*lines[:4], *lines[5:]],
        [*lines[:4], lines[3], *lines[4:]],
        [*lines, lines[3]],
        [line.replace(b"89510", b"89511") for line in lines],
        [lines[1], lines[0], *lines[2:]],
        lines[:-1],
        [],
    ]
    check(io.BytesIO(gzip.compress(b"".join(lines))), None)
    for changed in others:
        with pytest.raises(CannotStart):
            check(io.BytesIO(gzip.compress(b"".join(changed))), None)


async def test_a_later_format_is_refused_before_anything_is_written(ledger: Ledger, own_redis: Embedded) -> None:
    await live(ledger, 3)
    lines = gzip.decompress((await back_up(ledger.server)).getvalue()).splitlines(keepends=True)
    head = {**json.loads(lines[0]), "format": 2, "unheard": "of"}
    file = io.BytesIO(gzip.compress(b"".join([json.dumps(head).encode() + b"\n", *lines[1:]])))
    with pytest.raises(CannotStart, match="format 2, and this version of the service reads up to 1: upgrade it"):
        read_head(file, None)
    async with open_server_at(own_redis.url) as other:
        with pytest.raises(CannotStart):
            await bring_back(file, other)
        assert await other.client.dbsize() == 0


async def test_a_restore_needs_an_empty_server(ledger: Ledger, own_redis: Embedded) -> None:
    await live(ledger, 3)
    file = await back_up(ledger.server)
    before = await kept_in(ledger)
    with pytest.raises(CannotStart, match="not empty: it holds submissions to the form clinic"):
        await bring_back(file, ledger.server)
    assert await kept_in(ledger) == before
    async with open_ledger(own_redis.url) as other:
        await other.post(phone="8951099999")
        with pytest.raises(CannotStart, match="not empty"):
            await bring_back(file, other.server)
        assert (await other.post(phone="8951099998")).result == "created"


async def test_a_restore_broken_off_anywhere_is_begun_again(
    ledger: Ledger, own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(ledger, 30)
    before, file = await kept_in(ledger), await back_up(ledger.server)
    monkeypatch.setattr(restoring, "BATCH", 3)

    class BrokenOffError(Exception):
        pass

    async with open_ledger(own_redis.url) as other:
        other.now = ledger.now
        real, left = other.server.run, 0

        async def run(*words: Any) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise BrokenOffError
            return await real(*words)

        for steps in (2, 3, 6, 9, 14):  # the first one closes the form
            left = steps
            monkeypatch.setattr(other.server, "run", run)
            with pytest.raises(BrokenOffError):
                await bring_back(file, other.server)
            monkeypatch.setattr(other.server, "run", real)
            with pytest.raises(ResponseError, match="CLOSED") as refused:
                await other.accept(other.line({"phone": "8951099999"}))
            assert not is_script_fault(refused.value)
            assert sentence_of(refused.value).startswith("A backup is being restored into this Redis.")
        await bring_back(file, other.server)
        assert await kept_in(other) == before
        await bring_back(file, other.server)  # Whoever does not know whether it was done may say it again.
        assert await kept_in(other) == before


async def test_a_form_that_is_soon_read_is_not_forgotten_while_another_takes_its_time(ledger: Ledger) -> None:
    await live(ledger, 3)
    await ledger.store.remember_forms(["another"])
    snapshot = Snapshot(ledger.server, "first")
    await snapshot.begin()
    await ledger.server.client.pexpire("leads:{another}:copy", 5_000)
    ledger.now += 11_000
    async for _ in snapshot.standing():
        break
    assert await ledger.server.client.pttl("leads:{another}:copy") > 50_000


async def test_another_backup_waits_for_its_turn(ledger: Ledger) -> None:
    await live(ledger, 3)
    first, second = Snapshot(ledger.server, "first"), Snapshot(ledger.server, "second")
    await first.begin()
    with pytest.raises(CannotStart, match="Another backup is being made"):
        await second.begin()
    await first.abandon()
    await back_up(ledger.server)


async def test_a_backup_whose_notes_are_lost_says_so(ledger: Ledger) -> None:
    await live(ledger, 3)
    snapshot = Snapshot(ledger.server, "first")
    await snapshot.begin()
    await ledger.server.client.delete(f"{ledger.base}copy")
    with pytest.raises(CannotStart, match="Begin again"):
        [each async for each in snapshot.records()]


async def test_what_a_broken_off_backup_leaves_goes_by_itself(ledger: Ledger) -> None:
    await live(ledger, 3)
    await Snapshot(ledger.server, "first").begin()
    await ledger.post(phone="8951012345")
    for name in ("copy", "noted"):
        assert 0 < await ledger.server.client.pttl(f"{ledger.base}{name}") <= 60_000


async def test_visitors_are_noted_and_leave_the_account_of_the_backup_whole(
    redis_url: str, own_redis: Embedded
) -> None:
    async with open_ledger(redis_url) as ledger, open_ledger(own_redis.url) as other:
        await live(ledger, 300)
        snapshot, records = Snapshot(ledger.server, "first"), []
        await snapshot.begin()
        async for record in snapshot.records():
            records.append(record)
            if len(records) % 10 == 1 and len(records) < 500:
                await ledger.post(phone=f"89512{len(records):05d}")
                for claim in await ledger.claim(2):
                    await ledger.settle(claim, "delivered")
        for record in records:
            if '"holds":' not in record:
                await other.server.run("put", ledger.base, record)
        other.now, other.forgets = ledger.now, True
        await other.check()
