"""Random histories go on while a backup is made: what is restored is what stood there at its last step."""

import io
from typing import TYPE_CHECKING, Any

import pytest
from history import History, run_histories
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from ledger import Ledger
from moving import bring_back, head_of
from redis import Redis

from service.backup.file import Writer
from service.backup.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class BackedUpHistory(History):
    """A history that is copied, a few records at a time, while it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: Snapshot | None = None
        self.records: AsyncIterator[str] | None = None
        self.read: list[str] = []
        self.stood: Any = None
        self.taken = 0

    def teardown(self) -> None:
        while self.snapshot:
            self.the_backup_goes_on(1_000)
        super().teardown()

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def a_backup_begins(self) -> None:
        self.snapshot = Snapshot(self.ledger.server, f"backup-{self.taken}")
        self.run(self.snapshot.begin())
        self.records, self.read, self.stood = self.snapshot.records(), [], None

    @precondition(lambda self: self.snapshot is not None)
    @rule(records=st.sampled_from([1, 1, 3, 10]))
    def the_backup_goes_on(self, records: int) -> None:
        assert self.records is not None
        for _ in range(records):
            record = self.run(anext(self.records, None))
            if record is None:
                break
            self.read.append(record)
            if self.stood is None and not self.run(self.ledger.server.client.exists(f"{self.ledger.base}copy")):
                self.stood = self.run(self.ledger.dump())
            if '"holds":' in record:
                self.compare_with_backup()
        else:
            return
        self.snapshot = None

    def compare_with_backup(self) -> None:
        assert self.snapshot is not None
        file = io.BytesIO()
        writer = Writer(file, None, head_of(self.snapshot, f"backup-{self.taken}"))
        for each in self.read:
            writer.write(each.encode())
        writer.finish()
        self.taken += 1
        other = Ledger(f"{self.url}?db=1", self.ledger.form)
        other.now, other.forgets = self.ledger.now, self.ledger.forgets
        with Redis.from_url(f"{self.url}?db=1") as redis:
            redis.flushdb()
        try:
            self.run(bring_back(file, other.server))
            kept = self.run(other.dump())
            del kept["leads:restored"]
            assert kept == self.stood
            self.run(other.check())
        finally:
            self.run(other.server.close())


def test_what_is_restored_is_what_stood_there_when_the_backup_ended(redis_url: str) -> None:
    run_histories(BackedUpHistory, redis_url, 30, 80)


@pytest.mark.long
def test_what_is_restored_is_what_stood_there_after_many_histories(redis_url: str) -> None:
    run_histories(BackedUpHistory, redis_url, 1_000, 80, derandomize=False)
