#!/usr/bin/env bash
# A task that is cancelled while redis-py's asyncio client has just sent a command may go on as if nothing had happened:
# task.cancel() returns True, no CancelledError is ever raised, and whoever awaits the end of a background loop waits for
# ever. redis-py sends through asyncio.wait_for wherever socket_timeout is set, and on Python 3.11 that answers a cancel
# with the result if there is one by then; Python 3.12 wrote wait_for anew. Seen with redis-py 8.1.0 on Python 3.11.7:
# cancelled one, two or three turns of the loop after it began, a task that sends and then waits is not cancelled.
# Needs Python 3.11. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

import redis
from redis.asyncio import Connection


async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a server that hears and never answers."""
    try:
        while await reader.read(1000):
            pass
    finally:
        writer.close()


async def greet_nobody(connection: Connection) -> None:
    connection._parser.on_connect(connection)


async def goes_on(port: int, turns: int) -> bool:
    """Return whether a task goes on that is cancelled so many turns after it began to send."""
    connection = Connection(host="127.0.0.1", port=port, socket_timeout=2, redis_connect_func=greet_nobody)
    await connection.connect()

    async def work() -> None:
        await connection.send_packed_command(b"PING\r\n", check_health=False)
        await asyncio.sleep(0.1)

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    assert task.cancel()
    await asyncio.wait([task])
    await connection.disconnect()
    return not task.cancelled()


async def main() -> list[int]:
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        lost = [turns for turns in range(6) if await goes_on(port, turns)]
        await asyncio.sleep(0.1)  # whoever listened hears that all is over
    return lost


lost = asyncio.run(main())
print(f"redis-py {redis.__version__}, Python {sys.version.split()[0]}: the cancel is lost after {lost} turns")
sys.exit(0 if lost == [1, 2, 3] else 1)
PYTHON
