"""The packages of `tests/node`, installed once: as locked, without running anything of theirs."""

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "node"


@cache
def packages() -> Path:
    """Return the folder with the packages; the test that asks is skipped where there is no Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node here")
    modules, lock = FOLDER / "node_modules", FOLDER / "package-lock.json"
    done = modules / ".of"
    with (FOLDER / ".installing").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        if not done.exists() or done.read_bytes() != lock.read_bytes():
            subprocess.run(["npm", "ci", "--silent"], cwd=FOLDER, check=True, timeout=300, stdin=subprocess.DEVNULL)
            done.write_bytes(lock.read_bytes())
    return modules
