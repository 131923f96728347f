"""Clients that others wrote, unchanged, by Node's own test runner against a real `leads serve`."""

import json
import os
import re
import subprocess
from pathlib import Path

import npm
from processes import Processes
from workshop import destination

FORM = """
[forms.get-in-touch]
deliver = ["crm"]
fields.name = { type = "text", required = true }
fields.phone = { type = "phone", required = true }
fields.email = { type = "email" }
"""


def test_the_clients_of_others_work_here_as_they_are(redis_url: str, tmp_path: Path) -> None:
    npm.packages()
    with Processes(tmp_path, redis_url, FORM + destination("http://127.0.0.1:9/")) as here:
        environ = {**os.environ, "SERVICE": f"http://127.0.0.1:{here.serve().port}"}
        words = ["node", "--test", "--test-reporter=tap", "--test-concurrency=1"]
        tests = sorted(path.name for path in npm.FOLDER.glob("*.test.js"))
        run = subprocess.run(
            [*words, *tests], cwd=npm.FOLDER, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        counts = dict(re.findall(r"^# (\w+) (\d+)$", run.stdout, re.MULTILINE))
        assert (counts["pass"], counts["skipped"], counts["todo"]) == (counts["tests"], "0", "0")
        assert here.status()["forms"]["get-in-touch"]["created"] == 1


def test_the_packages_are_pinned_and_no_line_says_where_they_are_fetched_from() -> None:
    wanted = json.loads((npm.FOLDER / "package.json").read_text("utf-8"))["devDependencies"]
    locked = json.loads((npm.FOLDER / "package-lock.json").read_text("utf-8"))["packages"]
    pinned = {name: version.rpartition("@")[2] for name, version in wanted.items()}
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in pinned.items())
    assert all("integrity" in package and "resolved" not in package for name, package in locked.items() if name)
