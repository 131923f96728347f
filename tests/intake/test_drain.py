"""From the spool back into a real store: in order, once, whatever breaks on the way."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from workshop import ENVIRON, QUICK, Workshop, destination, form, until_async

from service.intake.drain import Drain, Drained
from service.intake.intake import Intake, Taken, Unavailable, Used
from service.intake.spool import Spool, open_spool
from service.lib.secret import Secret
from service.model.form import Form
from service.process import serve_web
from service.process.log import open_log
from service.process.metrics import WebFigures
from service.process.wiring import clock
from service.store.leads import Store
from service.store.records import Accepted, Limited, Line
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission import body, check
from service.submission.check import Checked
from service.submission.form_data import Posted, gather
from service.up.embedded import Embedded

pytestmark = pytest.mark.anyio

TEXT = form() + destination("http://127.0.0.1:9/", more=QUICK)
BUSY = "#!lua\nwhile true do end"


class Desk(Workshop):
    """A workshop with a spool, whose server can be taken away: `away()` and `back()` say where it is sought."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        super().__init__(redis_url, TEXT)
        self.spool = open_spool(folder, clock)
        self.drain = Drain(self.spool, self.store, self.config.forms)
        self.intake = Intake(self.store, Secret(ENVIRON["LEADS_SECRET"]), self.spool)
        self._there = self.server.client

    def away(self) -> None:
        self.server.client = connect("unix:///nowhere.sock")

    def back(self) -> None:
        self.server.client = self._there

    async def spooled(self, **fields: str) -> Taken:
        """Submit while the server is away."""
        self.away()
        taken = await self.submit(**fields)
        self.back()
        assert taken.result == "spooled"
        return taken

    async def drain_all(self) -> list[tuple[Line, Accepted]]:
        """Drain until there is nothing left."""
        taken: list[tuple[Line, Accepted]] = []
        while (drained := await self.drain.run_once()).taken or drained.set_aside:
            assert drained.failure is None
            taken += drained.taken
        assert drained == Drained()
        return taken

    def lines(self) -> list[Line]:
        """Read what lies in the folder, oldest first."""
        texts = [path.read_bytes() for path in sorted(self.spool.folder.glob("*.jsonl"))]
        return [msgspec.json.decode(line, type=Line) for text in texts for line in text.splitlines()]


@pytest.fixture
async def desk(redis_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(redis_url, tmp_path / "spool") as made:
        yield made
        made.spool.close()


@pytest.fixture
async def own_desk(own_redis: Embedded, tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(own_redis.url, tmp_path / "spool") as made:
        yield made
        made.spool.close()


def person(number: int) -> dict[str, str]:
    return {"name": f"N{number}", "phone": f"89510{number:05d}"}


async def run_for_ever(url: str) -> None:
    client = connect(url)
    with contextlib.suppress(ResponseError):
        await client.eval(BUSY, 0)
    await client.aclose(close_connection_pool=True)


async def run_command(url: str, command: str) -> None:
    client = connect(url)
    await client.execute_command(*command.split(" "))  # type: ignore[no-untyped-call] # redis-py leaves it untyped
    await client.aclose(close_connection_pool=True)


async def try_to_submit(desk: Desk, **fields: str) -> Taken | Limited | Used | Unavailable:
    posted = body.read("application/json", msgspec.json.encode(fields))
    assert isinstance(posted, Posted)
    checked = check.check(desk.config.forms["get-in-touch"], posted)
    assert isinstance(checked, Checked)
    return await desk.intake.submit(desk.config.forms["get-in-touch"], checked.content)


async def test_what_was_spooled_is_taken_in_order_with_its_own_receipt_lead_and_time(desk: Desk) -> None:
    thanked = [await desk.spooled(**person(number)) for number in range(20)]
    lines = desk.lines()
    assert [(line.receipt, line.lead) for line in lines] == [(each.receipt, each.lead) for each in thanked]
    taken = await desk.drain_all()
    assert [line for line, _ in taken] == lines
    assert [accepted for _, accepted in taken] == [Accepted("created", t.lead, 1, t.receipt) for t in thanked]
    for line, each in zip(lines, thanked, strict=True):
        kept = await desk.lead(each.lead)
        assert [version.received_at for version in kept.versions] == [line.at]
    account = await desk.form()
    assert (account.received, account.created, account.destinations["crm"].waiting) == (20, 20, 20)
    assert list(desk.spool.folder.iterdir()) == []


async def test_a_line_that_cannot_even_be_set_aside_holds_up_nobody_else(desk: Desk) -> None:
    """The disk is full: what lies there and can be taken is what would make room."""
    folder = desk.spool.folder
    good = []
    for number in range(3):
        good.append((await desk.spooled(**person(number))).lead)
        desk.spool.close()
    first, *_ = sorted(folder.glob("*.jsonl"))
    first.write_bytes(b"no line\n" + first.read_bytes())
    first.with_suffix(".aside").mkdir()  # Nothing can be written there.
    for _ in range(2):
        assert len((await desk.drain.run_once()).taken) == 1
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            await desk.drain.run_once()
    assert [each.name for each in folder.glob("*.jsonl")] == [first.name]
    assert sorted(await desk.store.latest("get-in-touch", 0, 10)) == sorted(good)
    first.with_suffix(".aside").rmdir()
    assert (await desk.drain.run_once()).set_aside == 1
    assert (await desk.form()).created == len(good)


async def test_a_spool_that_cannot_be_emptied_is_not_told_as_redis_away(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk.spool.folder / "000.jsonl"
    path.write_bytes(b"no line\n")
    path.with_suffix(".aside").mkdir()
    figures = WebFigures(is_shared=False)
    task = asyncio.create_task(serve_web._keep_draining(desk.drain, open_log("json", "web"), figures))
    await asyncio.sleep(1.3)
    task.cancel()
    said = [msgspec.json.decode(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["event"], each["reason"]) for each in said] == [
        ("the spool waits", "The spool cannot be emptied (Is a directory).")
    ]


async def test_an_older_word_that_is_drained_later_does_not_replace_a_newer_one(desk: Desk) -> None:
    await desk.spooled(**person(1), message="First")
    await asyncio.sleep(0.002)
    newer = await desk.submit(**person(1), message="Second")
    [(_, accepted)] = await desk.drain_all()
    assert accepted.lead == newer.lead
    kept = await desk.lead(newer.lead)
    assert kept.versions[-1].content.fields["message"].value == "Second"


async def test_repeats_and_updates_are_recognised_when_they_are_drained(desk: Desk) -> None:
    known = await desk.submit(**person(1))
    again = await desk.spooled(**person(1))
    told = await desk.spooled(**person(1), message="Something new")
    stranger = await desk.spooled(**person(2))
    twice = await desk.spooled(**person(2))
    taken = [accepted for _, accepted in await desk.drain_all()]
    assert [(each.result, each.lead, each.version) for each in taken] == [
        ("repeated", known.lead, 1), ("updated", known.lead, 2),
        ("created", stranger.lead, 1), ("repeated", stranger.lead, 1),
    ]  # fmt: skip
    assert [each.receipt for each in taken] == [again.receipt, told.receipt, stranger.receipt, twice.receipt]


async def test_an_idempotency_key_is_honoured_over_the_spool(desk: Desk) -> None:
    content = person(1) | {"_id": "once"}
    posted = body.read("application/json", msgspec.json.encode(content))
    assert isinstance(posted, Posted)
    checked = check.check(desk.config.forms["get-in-touch"], posted)
    assert isinstance(checked, Checked)
    at = desk.config.forms["get-in-touch"]
    first = await desk.intake.submit(at, checked.content, key="once")
    desk.away()
    second = await desk.intake.submit(at, checked.content, key="once")
    desk.back()
    assert isinstance(first, Taken)
    assert isinstance(second, Taken)
    assert first.receipt == second.receipt
    assert [accepted.result for _, accepted in await desk.drain_all()] == ["repeated"]


async def test_what_cannot_be_taken_is_set_aside_and_the_rest_is_taken(desk: Desk) -> None:
    first = await desk.spooled(**person(1))
    [good] = desk.lines()
    strange = msgspec.json.encode(msgspec.structs.replace(good, id="other", form="no-such-form"))
    unfit = msgspec.json.encode(msgspec.structs.replace(good, id="unfit", persons={"phone": "1"}, facts={}))
    last = msgspec.json.encode(msgspec.structs.replace(good, id="last"))
    unfit = unfit.replace(b'"facts":{}', b'"facts":{"fields.name":["a","b"]},"at":0').replace(b'"at":0', b'"at":1e300')
    [path] = desk.spool.folder.glob("*.jsonl")
    desk.spool.close()
    with path.open("ab") as file:
        file.write(b'{"broken": \n' + strange + b"\n\xff\xfe\n" + unfit + b"\n" + last + b'\n{"half')
    drained = await desk.drain.run_once()
    assert drained.failure is None
    assert [accepted.result for _, accepted in drained.taken] == ["created", "repeated"]
    assert [accepted.lead for _, accepted in drained.taken] == [first.lead] * 2
    assert drained.set_aside == 5
    [aside] = desk.spool.folder.iterdir()
    assert aside.read_bytes() == b'{"broken": \n' + strange + b"\n\xff\xfe\n" + unfit + b'\n{"half\n'
    assert desk.spool.aside() == [aside.name]


async def test_a_broken_line_is_set_aside_once_however_long_redis_stays_away(desk: Desk) -> None:
    desk.spool.append(b"broken")
    await desk.spooled(**person(1))
    desk.away()
    rounds = [await desk.drain.run_once() for _ in range(5)]
    desk.back()
    assert [each.set_aside for each in rounds] == [1, 0, 0, 0, 0]
    assert all(each.failure for each in rounds)
    assert len(await desk.drain_all()) == 1
    [aside] = desk.spool.folder.iterdir()
    assert aside.read_bytes() == b"broken\n"


async def test_a_script_that_breaks_over_one_line_stops_only_that_line(desk: Desk) -> None:
    await desk.spooled(**person(1))
    await desk.spooled(**person(2))
    first, _ = desk.lines()
    await desk.server.client.set(f"leads:{{get-in-touch}}:lead:{first.lead}", "no hash")
    drained = await desk.drain.run_once()
    assert (len(drained.taken), drained.set_aside, drained.failure) == (1, 1, None)


async def test_a_server_busy_with_a_script_is_waited_for_and_no_line_is_set_aside(own_desk: Desk) -> None:
    desk = own_desk
    await desk.spooled(**person(1))
    await desk.server.client.config_set("busy-reply-threshold", 50)
    busy = asyncio.create_task(run_for_ever(desk.redis_url))
    await asyncio.sleep(0.3)
    drained = await desk.drain.run_once()
    await desk.server.client.script_kill()
    await busy
    assert drained.failure is not None
    assert (drained.taken, drained.set_aside, desk.spool.aside()) == ((), 0, [])
    assert len(await desk.drain_all()) == 1


FULL = ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "Redis is full. ")
READ_ONLY = ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "This Redis is a read-only replica. ")


@pytest.mark.parametrize(("spoil", "mend", "sentence"), [FULL, READ_ONLY])
async def test_a_redis_that_takes_nothing_now_is_as_good_as_away(
    own_desk: Desk, spoil: str, mend: str, sentence: str
) -> None:
    desk = own_desk
    await desk.submit(**person(0))
    await run_command(desk.redis_url, spoil)
    taken = await desk.submit(**person(1))
    drained = await desk.drain.run_once()
    ready = await desk.intake.readiness()
    await run_command(desk.redis_url, mend)
    assert taken.result == "spooled"
    assert drained.failure is not None
    assert (drained.taken, drained.set_aside) == ((), 0)
    assert (ready.ready, ready.redis.startswith(sentence)) == (True, True), ready
    assert [accepted.lead for _, accepted in await desk.drain_all()] == [taken.lead]


@pytest.mark.parametrize("is_executed", [False, True])
async def test_draining_ended_at_any_line_loses_and_doubles_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_executed: bool
) -> None:
    for number in range(6):
        await desk.spooled(**person(number))
    await desk.spooled(**person(0))
    await desk.spooled(**person(1), message="New")
    really, calls = desk.store.accept, 0

    for ends_at in range(1, 9):
        calls = 0

        async def accept(to: Form, line: bytes, ends_at: int = ends_at, **how: bool) -> Accepted:
            nonlocal calls
            calls += 1
            if calls == ends_at:
                if is_executed:
                    await really(to, line, **how)
                raise asyncio.CancelledError if ends_at % 2 else RedisConnectionError
            return await really(to, line, **how)

        monkeypatch.setattr(desk.store, "accept", accept)
        if ends_at % 2:
            with pytest.raises(asyncio.CancelledError):
                await desk.drain.run_once()
        else:
            assert (await desk.drain.run_once()).failure is not None
    monkeypatch.setattr(desk.store, "accept", really)
    assert len(await desk.drain_all()) == 8
    account = await desk.form()
    assert (account.received, account.created, account.repeated, account.updated) == (8, 6, 1, 1)
    assert account.destinations["crm"].owed == 7


async def test_a_file_drained_but_not_removed_is_drained_again_without_effect(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.spooled(**person(1))

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("service.intake.spool.Path.unlink", fail)
        with pytest.raises(OSError, match="Input/output"):
            await desk.drain.run_once()
    assert len(await desk.drain_all()) == 1
    account = await desk.form()
    assert (account.received, account.created) == (1, 1)


async def test_two_that_drain_at_once_take_each_line_once(desk: Desk) -> None:
    for number in range(5):
        await desk.spooled(**person(number))
        desk.spool.close()
    other_server = Server(connect(desk.redis_url), clock=clock)
    other = Drain(Spool(desk.spool.folder, clock), Store(other_server), desk.config.forms)

    async def empty(drain: Drain) -> int:
        total = 0
        while taken := (await drain.run_once()).taken:
            total += len(taken)
        return total

    totals = await asyncio.gather(empty(desk.drain), empty(other))
    await other_server.close()
    assert sum(totals) == 5
    account = await desk.form()
    assert (account.received, account.created) == (5, 5)


async def test_a_slow_redis_is_waited_for_two_seconds_then_the_submission_is_spooled(own_desk: Desk) -> None:
    desk = own_desk
    await desk.submit(**person(0))
    await desk.server.client.client_pause(3_000)
    began = time.monotonic()
    slow = await desk.submit(**person(1))
    took = time.monotonic() - began
    assert slow.result == "spooled"
    assert 1.9 < took < 2.6
    began = time.monotonic()
    next_one = await desk.submit(**person(2))
    assert next_one.result == "spooled"
    assert time.monotonic() - began < 0.5  # nobody else waits for what did not answer a moment ago


async def test_what_redis_executes_late_and_what_is_drained_is_one_submission(
    own_desk: Desk, own_redis: Embedded
) -> None:
    desk = own_desk
    await desk.submit(**person(0))
    assert own_redis.pid
    os.kill(own_redis.pid, signal.SIGSTOP)
    late = await desk.submit(**person(1))
    os.kill(own_redis.pid, signal.SIGCONT)
    assert late.result == "spooled"

    async def is_executed() -> bool:
        try:
            return (await desk.form()).received == 2
        except (TimeoutError, OSError, RedisConnectionError):
            return False

    await until_async(is_executed)  # the server had the command already, and runs it when it goes on
    [(line, accepted)] = await desk.drain_all()
    assert (line.receipt, accepted) == (late.receipt, Accepted("created", late.lead, 1, late.receipt))
    account = await desk.form()
    assert (account.received, account.created, account.destinations["crm"].owed) == (2, 2, 2)


async def test_with_a_slow_redis_and_no_spool_the_answer_is_that_nothing_was_kept(own_desk: Desk) -> None:
    desk = own_desk
    desk.intake = Intake(desk.store, Secret(ENVIRON["LEADS_SECRET"]))
    await desk.server.client.client_pause(2_500)
    began = time.monotonic()
    answer = await try_to_submit(desk, **person(1))
    assert time.monotonic() - began < 2.6
    assert answer == Unavailable("Redis did not answer within 2 s. Check the server and the way to it.")


async def test_a_full_disk_and_no_redis_is_said_and_nothing_half_is_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.away()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("service.intake.spool.os.write", full)
        answer = await try_to_submit(desk, **person(1))
        ready = await desk.intake.readiness()
    desk.back()
    assert isinstance(answer, Unavailable)
    assert answer.reason.endswith("The spool cannot be written either (No space left on device).")
    assert not ready.ready
    assert ready.spool == "The spool cannot be written (No space left on device)."
    assert await desk.drain_all() == []
    assert (await desk.form()).received == 0


async def test_readiness_says_where_a_visitor_would_be_kept(desk: Desk) -> None:
    both = await desk.intake.readiness()
    assert (both.ready, both.redis) == (True, "Redis answers and is durable.")
    assert both.spool == "The spool can be written; 0 submissions lie in it."
    await desk.spooled(**person(1))
    await desk.spooled(**person(2))
    desk.away()
    spool_alone = await desk.intake.readiness()
    none = await Intake(desk.store, Secret(ENVIRON["LEADS_SECRET"])).readiness()
    desk.back()
    assert spool_alone.ready
    assert spool_alone.redis == "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it."
    assert spool_alone.spool == "The spool can be written; 2 submissions lie in it."
    assert not none.ready
    assert none.spool == "No spool is configured (LEADS_SPOOL)."


async def test_what_breaks_us_once_does_not_end_the_way_back_and_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        rounds = 0

        async def run_once(self) -> Drained:
            self.rounds += 1
            if self.rounds == 1:
                raise KeyError("Asha Rao")
            return Drained()

    drain: Any = Broken()
    monkeypatch.setattr(serve_web, "BROKEN_S", 0)
    figures = WebFigures(is_shared=False)
    task = asyncio.create_task(serve_web._keep_draining(drain, open_log("json", "web"), figures))
    await asyncio.sleep(0.1)
    task.cancel()
    assert drain.rounds == 2
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "Asha" not in said


async def test_whoever_was_thanked_is_taken_though_their_solution_served_somebody_else(desk: Desk) -> None:
    form_of = desk.config.forms["get-in-touch"]

    async def submit(phone: str) -> Taken | Limited | Used | Unavailable:
        checked = check.check(form_of, gather({"phone": phone}.items()))
        assert isinstance(checked, Checked)
        return await desk.intake.submit(form_of, checked.content, once="solved")

    assert isinstance(await submit("89510 47001"), Taken)
    assert await submit("89510 47002") == Used()
    desk.away()
    assert isinstance(await submit("89510 47003"), Taken)
    desk.back()
    [(line, accepted)] = await desk.drain_all()
    assert accepted.result == "created"
    assert line.once not in {None, "solved"}
    account = await desk.form()
    assert (account.received, account.created) == (2, 2)


@pytest.mark.parametrize("broken", [b'{"id":' * 20_000, b"[" * 20_000, b'{"id":{"a":' * 5_000 + b"1" + b"}}" * 5_000])
async def test_a_line_nested_too_deeply_is_set_aside_and_holds_nobody_up(desk: Desk, broken: bytes) -> None:
    desk.spool.append(broken)
    drained = await desk.drain.run_once()
    assert (drained.set_aside, drained.failure) == (1, None)
