#!/usr/bin/env bash
# uvicorn with `--host ::` answers IPv4 with two workers and refuses it with one: asyncio sets IPV6_V6ONLY on a socket
# that it makes itself, and leaves alone one that it is handed. Seen with uvicorn 0.54.0 on
# Python 3.11.7, Linux. Exits 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv venv
venv/bin/pip install --quiet uvicorn==0.54.0 2> /dev/null
venv/bin/python --version
venv/bin/uvicorn --version
cat > app.py << 'PY'
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
PY
cat > try.py << 'PY'
import socket, subprocess, sys, time

def reached(address, port):
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True

found = {}
for workers in (1, 2):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "uvicorn", "app:app", "--host", "::", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen([*words, "--log-level", "critical"])
    deadline = time.monotonic() + 30
    while not reached("::1", port) and time.monotonic() < deadline:
        time.sleep(0.1)
    found[workers] = (reached("::1", port), reached("127.0.0.1", port))
    process.terminate()
    process.wait()
    print(f"--host :: --workers {workers}: IPv6 {found[workers][0]}, IPv4 {found[workers][1]}")
sys.exit(found != {1: (True, False), 2: (True, True)})
PY
venv/bin/python try.py
