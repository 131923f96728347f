"""On SIGHUP a web process follows another under load: no visitor notices, and a mistake in the file changes nothing."""

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import pytest
from processes import FORM_TYPE, Process, Processes, answers, free_port, post, until
from workshop import destination, form

CONFIG = form() + destination("http://127.0.0.1:9/hooks")
HAPROXY = """
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen all
    bind 127.0.0.1:{port}
    server web 127.0.0.1:{web}
"""


class Load:
    """Visitors on so many connections that stay open, over the ports in turn; each asks so long after its answer."""

    def __init__(self, ports: Sequence[int], connections: int, every_s: float) -> None:
        self.came: Counter[int | str] = Counter()
        self._ports, self._every_s = ports, every_s
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(number,)) for number in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, visitor: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[visitor % len(self._ports)], timeout=20)
        number = 0
        while not self._is_over.wait(self._every_s):
            number += 1
            body = urlencode({"name": "Asha", "phone": f"89{visitor:02d}{number:06d}"})
            try:
                connection.request("POST", "/f/get-in-touch", body, {"Content-Type": FORM_TYPE})
                answer = connection.getresponse()
                answer.read()
                self.came[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.came[type(error).__name__] += 1
                connection.close()
        connection.close()


@pytest.fixture
def here(tmp_path: Path, redis_url: str) -> Iterator[Processes]:
    with Processes(tmp_path / "here", redis_url, CONFIG) as opened:
        yield opened


def replaced(web: Process) -> int:
    return len(web.lines("the configuration was read again"))


@contextmanager
def doors_to(port: int, folder: Path) -> Iterator[list[int]]:
    """Yield the port, and that of a HAProxy before it, where there is one on this machine."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        yield [port]
        return
    before, file = free_port(), folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(port=before, web=port), "utf-8")
    proxy = subprocess.Popen([program, "-f", str(file)])
    try:
        until(lambda: answers(before) == 200)
        yield [port, before]
    finally:
        proxy.terminate()
        proxy.wait()


def hand_over_under_load(here: Processes, web: Process, posts: int, times: int) -> None:
    """Replace all processes several times while visitors post; everybody must be thanked and counted."""
    with doors_to(web.port, here.folder) as ports, Load(ports, 8, 0.02) as load:
        for _ in range(times):
            until(lambda: load.came[200] > 100)
            before = replaced(web)
            web.signal(signal.SIGHUP)
            until(lambda was=before: replaced(web) > was, 60, web.said)  # type: ignore[misc]  # mypy infers no default
        until(lambda: load.came[200] >= posts, 300)
    assert set(load.came) == {200}, load.came
    assert here.status()["forms"]["get-in-touch"]["received"] == load.came[200]
    assert web.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_visitor_notices_that_every_process_is_replaced(here: Processes, workers: str) -> None:
    hand_over_under_load(here, here.serve("--workers", workers), 300, 1)


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_of_ten_thousand_visitors_none_notices(here: Processes, workers: str) -> None:
    hand_over_under_load(here, here.serve("--workers", workers), 10_000, 5)


@pytest.mark.long
def test_of_ten_thousand_visitors_of_one_box_none_notices(here: Processes) -> None:
    here.environ["LEADS_DATA"] = str(here.folder / "data")
    hand_over_under_load(here, here.up(), 10_000, 5)


def test_what_the_file_says_now_holds_after_sighup_and_a_mistake_changes_nothing(here: Processes) -> None:
    web, file = here.serve("--workers", "2"), here.folder / "leads.toml"
    file.write_text(CONFIG.replace("[forms.get-in-touch]", "[forms.get-in-touch]\ncolour = 1"), "utf-8")
    web.signal(signal.SIGHUP)
    until(lambda: web.lines("the old configuration stays"), 20, web.said)
    assert "forms.get-in-touch.colour" in web.lines("the old configuration stays")[0]["reason"]
    assert post(web.port, name="Asha", phone="8951047001").status == 200
    file.write_text(form("another") + destination("http://127.0.0.1:9/hooks"), "utf-8")
    web.signal(signal.SIGHUP)
    until(lambda: replaced(web) == 1, 60, web.said)
    assert post(web.port, name="Asha", phone="8951047001").status == 404
    assert post(web.port, "another", name="Asha", phone="8951047001").status == 200
    file.write_text(CONFIG.replace("[forms.get-in-touch]", "[forms.get-in-touch]\ncolour = 2"), "utf-8")
    one = next(pid for pid in web.children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(one, signal.SIGSTOP)
    time.sleep(1)  # Twice as long as between two looks: whoever looks after it waits for its answer now.
    os.kill(one, signal.SIGKILL)
    until(lambda: web.lines("cannot start"), 20, web.said)  # Its successor says why, in a sentence.
    assert "forms.get-in-touch.colour" in web.lines("cannot start")[0]["reason"]
    assert "Traceback" not in web.said()
    began = time.monotonic()
    assert web.stop() == 0
    assert time.monotonic() - began < 10, "it waited for an answer of one that has ended"


def test_a_secret_that_cannot_be_read_or_is_another_at_sighup_changes_nothing_either(here: Processes) -> None:
    secret = here.folder / "secret"
    secret.write_text(here.environ.pop("LEADS_SECRET"), "utf-8")
    here.environ["LEADS_SECRET_FILE"] = str(secret)
    web = here.serve("--workers", "1")
    web.signal(signal.SIGHUP)
    until(lambda: replaced(web) == 1, 60, web.said)  # Now each of them has read the secret.
    kept = secret.rename(here.folder / "moved")
    web.signal(signal.SIGHUP)
    until(lambda: web.ended() or web.lines("the old configuration stays"), 20, web.said)
    assert not web.ended(), web.said()
    assert "LEADS_SECRET_FILE" in web.lines("the old configuration stays")[0]["reason"]
    secret.write_text(kept.read_text()[::-1], "utf-8")
    web.signal(signal.SIGHUP)
    until(lambda: web.ended() or len(web.lines("the old configuration stays")) == 2, 20, web.said)
    assert "LEADS_SECRET is not the one" in web.lines("the old configuration stays")[1]["reason"]
    assert post(web.port, name="Asha", phone="8951047001").status == 200
    assert web.stop() == 0
