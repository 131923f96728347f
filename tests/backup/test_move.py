"""Leads move from one running server to another: nobody notices, and ended anywhere it is begun again or taken back."""

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from crm import Crm
from engines import open_engine
from harness import Installation, Load, audit, seed, summary
from ledger import SECRET, Ledger, open_ledger
from processes import ROOT
from redis import Redis
from redis.exceptions import RedisError

from service.backup import move as moving
from service.backup.move import move, take_back
from service.backup.route import Route, follow
from service.lib.errors import CannotStart
from service.store.server.connection import connect
from service.store.server.forwarding import MOVE, Note, sealer_of
from service.store.server.server import Server
from service.up.embedded import Embedded

PASSES: Final = (":slots", ":hold", "leads:restored", "leads:move", "leads:mover", "leads:moving", "leads:schema")


def leads(site: Installation, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "service", *words], cwd=ROOT, env=site.environ, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def said(process: "subprocess.Popen[str]", status: int = 0) -> str:
    told, _ = process.communicate(timeout=60)
    assert process.returncode == status, told
    return told


def raw(url: str) -> Redis:
    """Ask a server without being taken for a process that would not follow."""
    return Redis.from_url(url, decode_responses=True, client_name="test")


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as opened:
        yield opened


@pytest.fixture
def eight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    with open_engine("redis-8.2", tmp_path / "eight", monkeypatch) as opened:
        yield opened


def settle(site: Installation, load: Load, server: Embedded) -> None:
    """Let everything come to its end at the server where the leads are, and hold all against each other."""
    load.stop()
    site.server = server
    site.quiet()
    assert audit(site, load) == [], summary(site, load)


def test_visitors_and_crm_notice_nothing_of_a_move_to_redis_8(tmp_path: Path, crm: Crm, eight: Embedded) -> None:
    with Installation(tmp_path, crm) as site:
        old = site.server
        try:
            with Load(site, seed=seed(1)) as load:
                load.wait_for(40)
                told = said(leads(site, "move", "--to", eight.url))
                assert "the accounts are equal" in told
                with raw(old.url) as redis:
                    left = redis.hgetall("leads:{get-in-touch}:count")
                load.wait_for(load.sent.thanked + 40)
                with raw(old.url) as redis:
                    assert redis.hgetall("leads:{get-in-touch}:count") == left
                another = site.another_web()
                another.start()  # with the old address
                try:
                    assert another.ask("/readyz") == 200
                finally:
                    another.kill()
                site.environ["LEADS_REDIS_URL"] = eight.url  # as whoever moves is told to
                old.stop()
                load.wait_for(load.sent.thanked + 20)
            settle(site, load, eight)
            assert load.sent.statuses.keys() == {200}, load.sent
            assert max(Counter(each.headers["webhook-id"] for each in crm.requests).values()) == 1
        finally:
            site.server = old


class EndedError(BaseException):
    """The mover was killed."""


async def kept_in(ledger: Ledger) -> dict[str, Any]:
    return {name: value for name, value in (await ledger.dump()).items() if not name.endswith(PASSES)}


@contextlib.asynccontextmanager
async def ends_of(ledger: Ledger, url: str) -> AsyncIterator[tuple[Server, Server]]:
    """Open both servers as whoever moves does."""
    source, target = (Server(connect(each), clock=lambda: ledger.now, follows=False) for each in (ledger.url, url))
    try:
        yield source, target
    finally:
        await source.close()
        await target.close()


async def move_to(url: str, ledger: Ledger) -> None:
    note = Note("the-move", sealer_of([SECRET]).seal(url, MOVE))
    async with ends_of(ledger, url) as (source, target):
        await target.open()
        await move(Route(source, target, note, ("crm",)), lambda _: None)


async def ended_at(call: int, url: str, ledger: Ledger, patch: pytest.MonkeyPatch) -> bool:
    """Move, and end at this script; False if there were fewer, and it ended at the very last step."""
    left, real = call, Server.run

    async def run(self: Server, *words: Any, **named: Any) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise EndedError
        return await real(self, *words, **named)

    async def end(*_: object) -> None:
        raise EndedError

    async def say_nothing(*_: object) -> None:
        """Whoever is killed cannot let go."""

    with patch.context() as changed:
        changed.setattr(Server, "run", run)
        changed.setattr(moving, "open_forms", end)
        changed.setattr(moving, "_let_go", say_nothing)
        with pytest.raises(EndedError):
            await move_to(url, ledger)
    return left < 0


@pytest.mark.anyio
async def test_a_move_ended_at_any_script_is_begun_again_or_taken_back(
    ledger: Ledger, own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await ledger.post(phone=f"89510{number:05d}")
    (claim,) = await ledger.claim(1)
    await ledger.store.remember_forms([ledger.form.name])
    before, call = await kept_in(ledger), 0
    while await ended_at(call, own_redis.url, ledger, monkeypatch):
        with raw(ledger.url) as redis:  # they run out in ten seconds
            redis.delete("leads:moving", "leads:{destination:crm}:hold")
        assert await kept_in(ledger) == before
        if call % 2:
            async with ends_of(ledger, own_redis.url) as (source, target):
                await take_back(source, target, Note("the-move", ""))
                assert set(await target.client.keys()) <= {"leads:schema"}
        call += 1
    assert call > 8
    with pytest.raises(RedisError):  # who asks next finds out where all is, and that it is not open yet
        await ledger.post(phone="8951047001")
    path = await follow(ledger.url, lambda url: Server(connect(url), clock=int, follows=False), sealer_of([SECRET]))
    assert [end.url for end in path] == [ledger.url, own_redis.url]
    for end in path:
        await end.server.close()
    ledger.server.offset = 0
    assert await kept_in(ledger) == before
    assert await ledger.settle(claim, "delivered") == "settled", "a lease goes along"
    assert (await ledger.post(phone="8951047001")).result == "created"


@pytest.mark.anyio
async def test_what_must_not_be_moved_into_is_refused_and_nothing_is_written(
    ledger: Ledger, own_redis: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "GREETED_WITHIN_S", 0.1)
    await ledger.post(phone="8951047001")
    with pytest.raises(CannotStart, match="the same server"):
        await move_to(ledger.url, ledger)
    async with open_ledger(own_redis.url) as other:
        await other.post(phone="8951047002")
        before = await kept_in(other)
        with pytest.raises(CannotStart, match="not empty: it holds submissions to the form clinic"):
            await move_to(own_redis.url, ledger)
        assert await kept_in(other) == before
    with raw(own_redis.url) as redis:
        redis.flushdb()
        redis.hset("leads:{desk}:members", "Asha", "{}")
        with pytest.raises(CannotStart, match="a desk that somebody may enter"):
            await move_to(own_redis.url, ledger)
        assert redis.delete("leads:{desk}:members")
    with raw(ledger.url) as redis:
        assert not redis.exists(MOVE), "nothing has begun, so another server may be named"
    with Redis.from_url(ledger.url) as unnamed:
        unnamed.ping()
        with pytest.raises(CannotStart, match="process of an earlier version"):
            await move_to(own_redis.url, ledger)
    assert (await ledger.post(phone="8951047003")).result == "created"


def move_with_kills(site: Installation, load: Load, servers: tuple[Embedded, Embedded], seeds: range) -> Embedded:
    """Move to and fro, ended by `kill -9` at random, then begun again or taken back; returns where all is."""
    _, new = servers
    to, back = ("move", "--yes", "--to", new.url), ("move", "--yes", "--back")
    for number in seeds:
        chance = random.Random(f"move {number}")
        words, other = (to, back) if chance.random() < 0.5 else (back, to)
        process = leads(site, *words)
        time.sleep(chance.uniform(0.5, 1.6))
        process.kill()
        process.communicate()
        for server in servers:
            with raw(server.url) as redis:  # instead of waiting for its ten seconds
                redis.delete("leads:mover", "leads:moving", "leads:{destination:crm}:hold")
        load.wait_for(load.sent.thanked + 1)
        process = leads(site, *chance.choice([words, other]))
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0 or "Nothing has moved" in told, told
        load.wait_for(load.sent.thanked + 1)
    said(leads(site, *to))
    return new


def test_a_move_that_is_killed_is_begun_again_or_taken_back(tmp_path: Path, crm: Crm, eight: Embedded) -> None:
    with Installation(tmp_path, crm, has_spool=False) as site:
        old = site.server
        assert "There is no spool" in said(leads(site, "move", "--to", eight.url), 1)
        for url, wrong in (("http://there", "--to must begin with"), ("redis://127.0.0.1:1", "and that --to names it")):
            assert wrong in said(leads(site, "move", "--yes", "--to", url), 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(site.environ, "LEADS_SECRET", f"{'n' * 16}{'7' * 16},{site.environ['LEADS_SECRET']}")
            assert "No process was started with" in said(leads(site, "move", "--yes", "--to", eight.url), 1)
        with Load(site, seed=seed(3)) as load:
            load.wait_for(20)
            where = move_with_kills(site, load, (old, eight), range(2))
        assert load.sent.statuses.keys() <= {200, 503}
        settle(site, load, where)
        site.server = old


@pytest.mark.long
def test_of_two_hundred_moves_that_are_killed_none_loses_or_doubles_anything(
    tmp_path: Path, crm: Crm, eight: Embedded
) -> None:
    with Installation(tmp_path, crm) as site:
        old = site.server
        with Load(site, a_second=10, seed=seed(4)) as load:
            load.wait_for(20)
            where = move_with_kills(site, load, (old, eight), range(100, 300))
        settle(site, load, where)
        site.server = old
