"""What every test may lean on: a durable server of our own, the same examples in every run, no silent skip."""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import engines
import pytest
from hypothesis import settings
from ledger import Ledger, open_ledger
from redis import Redis

from service.up.embedded import Embedded

MAY_SKIP_IN_CI: dict[str, str] = {
    "tests/faults/test_forgotten.py::"
    "test_a_firewall_that_forgets_every_connection_to_redis_costs_no_visitor_and_no_lead": "CI is not root",
}
"""The test's node id, and why CI cannot run it. Everything else that skips there fails."""

settings.register_profile("same-every-time", derandomize=True, deadline=None, database=None)
settings.load_profile("same-every-time")
engines.choose()


LONGEST = ("browser", "whole", "faults", "process", "backup", "cli")
"""Rooms whose tests wait for real processes: they begin first, so that none of them is alone at the end."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep a file, and all that shares one browser, on one core."""
    shared = "browser" if item.path.parent.name == "browser" else item.path.name
    item.add_marker(pytest.mark.xdist_group(shared))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    rank = {room: number for number, room in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One durable server for the whole run, on a socket in a folder of its own."""
    server = Embedded(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: Embedded) -> str:
    """Where an empty server answers. It may be emptied because this run started it."""
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
        redis.script_flush()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Embedded]:
    """A durable server for one test alone, which may stop, kill or spoil it."""
    server = Embedded(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """A store on the empty server, on a clock that the test sets."""
    async with open_ledger(redis_url) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        fail_a_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_a_skip(report)
    return report


def fail_a_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") == "true" and report.nodeid not in MAY_SKIP_IN_CI:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} is skipped, and in CI nothing may be: {report.longrepr}"
