"""A firewall forgets the connections to Redis, as NATs and balancers do: a real one, between two network namespaces.

Needs root, `ip` and `nft`; elsewhere the same is tried through a proxy that forgets (`Proxy.forget`).
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from crm import Crm
from harness import until
from processes import ENVIRON, FORM_TYPE, ROOT
from redis import Redis
from workshop import one_crm

from service.store.server.connection import ANSWER_WITHIN_S
from service.up.embedded import Embedded

NAME = f"leads{os.getpid()}"
OUTSIDE, INSIDE = "10.213.77.1", "10.213.77.2"
PORT = 8000


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)


@contextlib.contextmanager
def open_namespace() -> Iterator[None]:
    """Make a network namespace that reaches this one over one link, or skip."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nft")):
        pytest.skip("network namespaces and a firewall need root, `ip` and `nft`")
    try:
        run("ip", "netns", "add", NAME)
    except subprocess.CalledProcessError:
        pytest.skip("root may make no network namespaces here")
    try:
        run("ip", "link", "add", NAME, "type", "veth", "peer", "name", "inside", "netns", NAME)
        run("ip", "address", "add", f"{OUTSIDE}/30", "dev", NAME)
        run("ip", "link", "set", NAME, "up")
        for words in (f"address add {INSIDE}/30 dev inside", "link set inside up", "link set lo up"):
            run("ip", "-netns", NAME, *words.split())
        run("nft", "add", "table", "ip", NAME)
        run("nft", "add", "chain", "ip", NAME, "in", "{ type filter hook input priority 0; }")
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", NAME], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", NAME], check=False, capture_output=True)
        run("ip", "netns", "delete", NAME)


@contextlib.contextmanager
def inside(folder: Path, *words: str, url: str) -> Iterator[None]:
    """Run a part in the namespace."""
    environ = os.environ | ENVIRON | {"LEADS_CONFIG": str(folder / "leads.toml"), "LEADS_REDIS_URL": url}
    process = subprocess.Popen(
        ["ip", "netns", "exec", NAME, sys.executable, "-m", "service", *words, "--until-stdin-closes"],
        cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.communicate(timeout=30)


def post(number: int) -> int:
    connection = HTTPConnection(INSIDE, PORT, timeout=10)
    with contextlib.closing(connection):
        said = urlencode({"name": "Asha", "phone": f"+9189510{number:05d}"})
        connection.request("POST", "/f/get-in-touch", said, {"Content-Type": FORM_TYPE})
        return connection.getresponse().status


def is_up() -> bool:
    try:
        return post(0) == 200
    except OSError:
        return False


@pytest.mark.long
def test_a_firewall_that_forgets_every_connection_to_redis_costs_no_visitor_and_no_lead(tmp_path: Path) -> None:
    with open_namespace(), Crm(host=OUTSIDE) as crm:
        (tmp_path / "leads.toml").write_text(one_crm(crm))
        server = Embedded(tmp_path / "redis", settings={"bind": OUTSIDE, "port": "6399", "protected-mode": "no"})
        server.start()
        url = f"redis://{OUTSIDE}:6399/0"
        serve, work = ("serve", "--host", INSIDE, "--port", str(PORT)), ("work", "--port", "0")
        try:
            with inside(tmp_path, *serve, url=url), inside(tmp_path, *work, url=url):
                until(is_up, "it takes a lead")
                crm.wait_for(1, 30)
                time.sleep(1.5 * ANSWER_WITHIN_S)  # What was opened is kept.
                with Redis.from_url(server.url) as redis:
                    ports = [
                        str(each["addr"]).rsplit(":")[-1] for each in redis.client_list() if INSIDE in each["addr"]
                    ]
                run("nft", "add", "rule", "ip", NAME, "in", "tcp", "sport", "{ " + ", ".join(ports) + " }", "drop")
                with ThreadPoolExecutor(4) as visitors:
                    assert list(visitors.map(post, range(1, 5))) == [200] * 4
                crm.wait_for(5, 30)
        finally:
            server.stop()
