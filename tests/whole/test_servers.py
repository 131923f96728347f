"""Every server that can be had here passes what the embedded one passes; docs/running.md has the table of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from authority import Authority
from clusters import Nodes
from engines import ENGINES, SWITCH, MissingEngineError, open_engine, program_of
from journey import go_all_the_way
from processes import ROOT, free_port
from redis import Redis
from redis.exceptions import RedisError
from sentinels import server

from service.up.embedded import Embedded

pytestmark = pytest.mark.long

USER: Final = (ROOT / "docs" / "redis-acl.txt").read_text("utf-8").split()
OF_VALKEY_ALONE: Final = "tests/store/test_earlier_versions.py"
"""It begins with a folder that a Valkey 9.1 wrote, which no other kind opens."""
DOES_NOT_TELL: Final = "This Redis does not tell its `appendfsync`. Make sure with its provider that it is `always`."


EACH: Final = [(engine, "store") for engine in ENGINES]
THE_OLDEST: Final = [("redis-7.2", room) for room in ("intake", "delivery", "backup")]


@pytest.mark.parametrize(("engine", "room"), EACH + THE_OLDEST)
def test_the_tests_of_the_store_pass_on_every_server(engine: str, room: str) -> None:
    try:
        program_of(engine)
    except MissingEngineError as missing:
        pytest.skip(str(missing))
    words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"tests/{room}", f"--ignore={OF_VALKEY_ALONE}")
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {SWITCH: engine}, check=False, capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_over_tls_with_the_fewest_rights(tmp_path: Path, own_redis: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, port, trusted = Authority(), free_port(), tmp_path / "authority.pem"
    authority.server(tmp_path)
    trusted.write_bytes(authority.pem)
    shown = str(tmp_path / "server.pem")
    with open_engine("redis-7.4", tmp_path / "seven", monkeypatch) as opened, Redis.from_url(opened.url) as redis:
        redis.execute_command(
            "CONFIG SET", "tls-port", port, "tls-cert-file", shown, "tls-key-file", shown,
            "tls-ca-cert-file", str(trusted), "tls-auth-clients", "no",
        )  # fmt: skip
        redis.execute_command("ACL", "SETUSER", *USER[1:])
        url = f"rediss://{USER[1]}:{USER[3].removeprefix('>')}@127.0.0.1:{port}/0"
        with Redis.from_url(url) as stranger, pytest.raises(RedisError, match="certificate verify failed"):
            stranger.ping()
        go_all_the_way(tmp_path, f"{url}?ssl_ca_certs={trusted}", own_redis.url)


def test_a_server_without_config(tmp_path: Path, own_redis: Embedded) -> None:
    without = server(tmp_path / "redis")
    without.tell('rename-command CONFIG ""')
    without.start()
    try:
        go_all_the_way(tmp_path, f"unix://{without.socket}", own_redis.url, said=DOES_NOT_TELL)
    finally:
        without.kill()


def test_in_a_cluster_with_the_fewest_rights(tmp_path: Path, own_redis: Embedded) -> None:
    with Nodes(tmp_path / "c") as nodes:
        for node in nodes.nodes:
            node.do("ACL", "SETUSER", *USER[1:], "+cluster|info", "+cluster|slots")
        url = nodes.url.replace("://", f"://{USER[1]}:{USER[3].removeprefix('>')}@")
        go_all_the_way(tmp_path, url, own_redis.url)
        assert [entry["object"] for node in nodes.nodes for entry in node.do("ACL LOG")] == []
