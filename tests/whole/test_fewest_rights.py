"""The user of docs/redis-acl.txt may do all that the service does, and nothing else.

Its commands are those that the code runs, by what stands in the code, so a new one that is not listed fails here; and
without any of them something is refused.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from desk import CONFIG, open_desk
from desk import PASSWORD as PASSWORD_OF_ASHA
from journey import go_all_the_way
from ledger import FORM, open_ledger
from moving import back_up, bring_back, live, open_server_at
from processes import ROOT
from redis import Redis

from service.delivery.upkeep import walk
from service.desk.people.members import Invitation
from service.store.breaker import Gate, Pace
from service.store.erasure import Eraser
from service.store.keys import WAKE
from service.store.server.agreement import agree_on_secrets
from service.store.server.health import NotReplicatedError
from service.store.server.server import PROOF
from service.up.embedded import Embedded

USER: Final = (ROOT / "docs" / "redis-acl.txt").read_text("utf-8").split()
GRANTED: Final = sorted(word[1:] for word in USER if word.startswith("+"))
NAME: Final = USER[1]
PASSWORD: Final = USER[3].removeprefix(">")
NAMED_OTHERWISE: Final = {
    "client_kill_filter": "client|kill", "client_list": "client|list", "config_get": "config|get", "delete": "del",
    "hscan_iter": "hscan", "incr": "incrby", "pubsub": "subscribe", "scan_iter": "scan", "zscan_iter": "zscan",
}  # fmt: skip
"""Method of the client ► the command it sends."""
OF_THE_CLIENT: Final = {"client|setinfo", "client|setname", "exec", "multi"}
"""What it sends by itself: who it is, and what stands around a pipeline that is a transaction."""
OF_A_CLUSTER: Final = {"cluster|info", "cluster|slots"}
OF_A_MOVE: Final = {"client|kill", "client|list", "unlink"}
"""What only a cluster needs, and only `leads move`: docs/running.md adds it for them."""


@contextlib.contextmanager
def as_user(server: Embedded, *changes: str) -> Iterator[tuple[str, "Redis"]]:
    """Let the user of the docs in, with these changes; yield where it goes in, and a client that may do everything."""
    with Redis.from_url(server.url, decode_responses=True) as redis:
        redis.execute_command("ACL", "DELUSER", NAME)
        redis.execute_command("ACL", "SETUSER", *USER[1:], *changes)
        redis.execute_command("ACL", "LOG", "RESET")
        yield server.url.replace("unix://", f"unix://{NAME}:{PASSWORD}@"), redis


def refused(redis: "Redis") -> set[str]:
    """Return what anybody was refused."""
    told: Any = redis.acl_log()
    return {entry["object"] for entry in told}


def test_with_this_user_a_lead_goes_all_the_way(tmp_path: Path, redis_server: Embedded, own_redis: Embedded) -> None:
    with as_user(redis_server) as (url, redis), as_user(own_redis) as (other_url, other):
        redis.flushall()
        go_all_the_way(tmp_path, url, other_url)
        assert refused(redis) | refused(other) == set()


def commands_of_the_code() -> set[str]:
    """Return every word by which a script or the client is told a command, as ACL names it, and some that are none."""
    python, scripts = (
        "".join(path.read_text("utf-8") for path in (ROOT / "service").rglob(f"*.{kind}")) for kind in ("py", "lua")
    )
    by_hand = "".join(path.read_text("utf-8") for path in (ROOT / "service" / "store" / "server").glob("*.py"))
    methods = re.findall(r"(?:\.client|\bnode|\bpipe)\.([a-z_]+)\(", python)
    spelled = re.findall(r"""['"]([A-Z]{2,}(?: [A-Z]+)?)['"]""", scripts + by_hand)
    return {
        *(NAMED_OTHERWISE.get(name, name) for name in methods),
        *(word.lower().replace(" ", "|") for word in spelled),
        *OF_THE_CLIENT,
    }


def test_it_has_every_command_that_the_code_runs_and_no_other(redis_server: Embedded) -> None:
    with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        told: Any = redis.execute_command("COMMAND LIST")
    known = {*told, *OF_THE_CLIENT, *NAMED_OTHERWISE.values(), *OF_A_CLUSTER} - {
        "client",
        "hello",
    }  # of it parts; and anybody may
    assert commands_of_the_code() & known == {*GRANTED, *OF_A_CLUSTER, *OF_A_MOVE}


async def do_everything(url: str, other_url: str) -> None:
    """Do what makes the service run every command it has, at the quickest."""
    long = "My back has hurt since the monsoon, on the left side, when I get up in the morning."
    async with open_ledger(url) as ledger, open_server_at(other_url) as to:
        server, base = ledger.server, ledger.base
        await server.open()
        await agree_on_secrets(server, ledger.secrets)
        await live(ledger, 10)
        for number in range(12):  # so many versions that the first is shortened
            await ledger.post(phone="8951000009", message=f"{long} {number}" if number else long)
        assert [each async for each in walk(ledger.store, [FORM.name], pause_s=0)] == []
        for name in ("leads", "count", "noted"):
            await server.client.sadd(f"{base}noted", "k count")
            await server.run("slice", base, FORM.name, "", name, "0")
        await bring_back(await back_up(server), to)
        gate = Gate(server, "other", Pace(8, 100, 1_000))
        [slot] = (await gate.ask(1, "holder")).slots
        await gate.report(slot, "unclaimed", is_probe=False)
        with pytest.raises(NotReplicatedError):
            await server.run("prove", PROOF, replicas=1)
        assert await Eraser(server).rewrite()
        async with server.client.pubsub() as wakes:
            await wakes.subscribe(WAKE)
    async with open_desk(url, CONFIG) as desk:
        members = desk.desk.members
        assert await desk.desk.sessions.may_try("203.0.113.7", "Asha")
        await members.accept(await members.invite(Invitation("Asha", "owner")), PASSWORD_OF_ASHA)
        asha = await desk.enter("Asha", "owner")
        for page in ("/", "/leads", "/held", "/people"):
            await asha.get(page)


@pytest.mark.anyio
async def test_it_is_refused_nothing(redis_server: Embedded, own_redis: Embedded) -> None:
    with as_user(redis_server) as (url, redis), as_user(own_redis) as (other_url, other):
        redis.flushall()
        await do_everything(url, other_url)
        assert refused(redis) | refused(other) == set()


@pytest.mark.long
@pytest.mark.anyio
@pytest.mark.parametrize("command", GRANTED)
async def test_without_any_of_them_something_is_refused(
    command: str, redis_server: Embedded, own_redis: Embedded
) -> None:
    with as_user(redis_server, f"-{command}") as (url, redis), as_user(own_redis, f"-{command}") as (other_url, other):
        redis.flushall()
        with contextlib.suppress(Exception):  # or it is only done without, as PUBLISH is
            await do_everything(url, other_url)
        assert refused(redis) | refused(other) == {command}
