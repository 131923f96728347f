"""Node-RED beside the whole service, in turns, with the same visitors.

Its flow is what people build there for a form: one function that looks at the fields with regular expressions, answers,
and hands the lead on; nothing is kept, no number is read and nobody recognised. Ours keeps each lead on disk before it
thanks, and its worker delivers on the same cores meanwhile.
"""

import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from outside import Outside
from rig import BUILDS, PATIENCE_S, Site, free_port, is_there, say, this_build, wait_until

NODE: Final = (22, 9)
VERSION: Final = "5.0.7"
TURNS: Final = 3
TARGET: Final = 1.0
CHECK: Final = """
const said = msg.payload;
const isFine = /\\S/.test(said.name || "") && /^[0-9+() -]{7,15}$/.test(said.phone || "")
  && /^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$/.test(said.email || "");
msg.statusCode = isFine ? 200 : 422;
msg.payload = { ok: isFine };
return msg;
"""
SETTINGS: Final = (
    "module.exports = { uiHost: '127.0.0.1', httpAdminRoot: false, logging: { console: { level: 'off' } } };"
)


def flow(path: str) -> list[dict[str, Any]]:
    """Return the nodes: in, the function, out."""
    return [
        {"id": "t", "type": "tab", "label": "leads"},
        {"id": "i", "z": "t", "type": "http in", "url": path, "method": "post", "wires": [["f"]]},
        {"id": "f", "z": "t", "type": "function", "func": CHECK, "outputs": 1, "wires": [["o"]]},
        {"id": "o", "z": "t", "type": "http response", "wires": []},
        {"id": "h", "z": "t", "type": "http in", "url": "/healthz", "method": "get", "wires": [["o"]]},
    ]


def installed() -> Path | None:
    """Return the program, fetched from npm once; None: there is no such Node here, or it cannot be fetched."""
    if shutil.which("node") is None or shutil.which("npm") is None or _node() < NODE:
        return None
    folder = BUILDS / f"node-red-{VERSION}"
    program = folder / "node_modules" / "node-red" / "red.js"
    if not program.exists():
        say(f"fetching Node-RED {VERSION} ...")
        folder.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"node-red@{VERSION}"]
        if subprocess.run(words, cwd=folder, check=False, stdin=subprocess.DEVNULL).returncode:
            return None
    return program


def _node() -> tuple[int, ...]:
    told = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(map(int, told.strip().removeprefix("v").split(".")))


@contextlib.contextmanager
def served(program: Path, folder: Path) -> Iterator[int]:
    """Run it; yields its port."""
    port = free_port()
    (folder / "settings.js").write_text(SETTINGS)
    (folder / "flows.json").write_text(json.dumps(flow("/f/get-in-touch")))
    words = ["node", str(program), "--userDir", str(folder), "--port", str(port), str(folder / "flows.json")]
    started = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(partial(is_there, port, "/healthz"), started)
        yield port
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def lines(outside: Outside, window: float) -> Iterator[str]:
    """Yield the row, or why there is none."""
    program = installed()
    if program is None:
        yield "beside Node-RED: left out, for there is no Node of 22.9 or later here, or npm cannot fetch it"
        return
    ours, its = [], []
    for turn in range(TURNS):
        first = 100_000_000 + 400_000 * turn
        with tempfile.TemporaryDirectory(prefix="leads-bench-") as folder, served(program, Path(folder)) as port:
            its.append(_accepted(outside, port, first, window))
        with (
            tempfile.TemporaryDirectory(prefix="leads-bench-") as folder,
            Site(this_build(), Path(folder), crm=outside.crm) as site, site.serve() as web, site.work(),
        ):  # fmt: skip
            ours.append(_accepted(outside, web.port, first, window))
    mine, other = statistics.median(ours), statistics.median(its)
    yield (
        f"accepted/s with a worker beside, and of Node-RED {VERSION}, which keeps nothing: "
        f"{mine:,.0f} and {other:,.0f}, {mine / other:.2f} of it, target ≥ {TARGET:g}"
    )


def _accepted(outside: Outside, port: int, first: int, window: float) -> float:
    outside.post(port, first=first, most=300)
    load = outside.post(port, first=first + 200_000, seconds=window)
    return load["answers"] / load["seconds"]
