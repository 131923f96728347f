"""The whole as processes: real `serve`, `work`, `up` and `dev`, a real server and a real CRM over loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from crm import Crm, Received
from processes import ENVIRON, FORM_TYPE, Process, Processes, Reply, is_alive, post, request, until
from standardwebhooks import Webhook
from workshop import QUICK, form, one_crm

from service.up.embedded import Embedded

ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
FORM_KEYS = {
    "received", "rejected", "unavailable", "quarantined", "repeated", "updated", "created", "erased", "balanced",
    "destinations",
}  # fmt: skip
DESTINATION_KEYS = {
    "owed", "delivered", "waiting", "dead", "superseded", "erased", "oldest_waiting_s", "next_try_s", "paused",
    "balanced",
}  # fmt: skip


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as double:
        yield double


def verified(got: Received) -> Any:
    return Webhook(ENVIRON["CRM_SECRET"]).verify(got.body, dict(got.headers))


def test_a_hundred_identical_posts_at_one_moment_over_two_processes_are_one_lead(
    tmp_path: Path, redis_url: str, crm: Crm
) -> None:
    with Processes(tmp_path, redis_url, one_crm(crm)) as here:
        web, worker = here.serve("--workers", "2"), here.work()
        until(lambda: len(web.children()) >= 2)
        together = threading.Barrier(100, timeout=30)

        def send(_: int) -> Reply:
            together.wait()
            return post(web.port, **ASHA)

        with ThreadPoolExecutor(100) as visitors:
            replies = list(visitors.map(send, range(100)))
        assert Counter(each.status for each in replies) == {200: 100}
        assert len({each.json()["receipt"] for each in replies}) == 100
        crm.wait_for(1, 10)
        until(lambda: here.status()["forms"]["get-in-touch"]["destinations"]["crm"]["waiting"] == 0, 20)
        told = here.status()
        results = Counter(line["result"] for line in web.lines("submission"))
        assert worker.stop() == 0
        assert web.stop() == 0
        until(lambda: not web.children())
        assert "Traceback" not in web.said() + worker.said()
    account = told["forms"]["get-in-touch"]
    assert told.keys() == {"forms", "spooled", "workers", "trouble"}
    assert account.keys() == FORM_KEYS
    assert account["destinations"]["crm"].keys() == DESTINATION_KEYS
    assert (account["received"], account["created"], account["repeated"]) == (100, 1, 99)
    assert account["balanced"] is True
    assert account["destinations"]["crm"]["delivered"] == account["destinations"]["crm"]["owed"] == 1
    assert results == {"created": 1, "repeated": 99}
    [got] = crm.requests
    assert verified(got)["data"]["fields"]["phone"] == "+918951047001"


def test_a_worker_told_to_stop_finishes_what_is_in_flight_and_exits_0(tmp_path: Path, redis_url: str, crm: Crm) -> None:
    crm.answer(200, stall=1.0)
    with Processes(tmp_path, redis_url, one_crm(crm)) as here:
        web, worker = here.serve(), here.work()
        post(web.port, **ASHA)
        crm.wait_for(1, 10)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        account = here.status()["forms"]["get-in-touch"]["destinations"]["crm"]
        assert web.stop() == 0
    assert (account["delivered"], account["waiting"]) == (1, 0)
    assert len(crm.requests) == 1


def test_a_worker_killed_in_flight_is_followed_by_one_that_sends_the_same_again_after_the_lease(
    tmp_path: Path, redis_url: str, crm: Crm
) -> None:
    crm.answer(200, stall=30, times=1)
    more = 'timeout = "500ms"\nretry = ["100ms"]\nconcurrency = 1'
    with Processes(tmp_path, redis_url, one_crm(crm, more=more)) as here:
        web, worker = here.serve(), here.work()
        post(web.port, **ASHA)
        crm.wait_for(1, 10)
        worker.kill()
        killed = time.time_ns() // 1_000_000
        here.work()
        post(web.port, name="Other", phone="8951047002")
        crm.wait_for(2, 20)
        slot_back = crm.requests[1].at - killed
        crm.wait_for(3, 20)
    lost, *later = crm.requests
    same = [each for each in later if each.headers["webhook-id"] == lost.headers["webhook-id"]]
    assert len(same) == 1
    assert same[0].body == lost.body
    assert same[0].at - lost.at >= 5_400  # the time-out and five seconds
    assert slot_back < 10_000  # the killed worker's only slot is given back in seconds


def test_what_happens_is_logged_without_what_was_said(tmp_path: Path, redis_url: str, crm: Crm) -> None:
    crm.answer(422, body="Asha Rao is not a name")
    with Processes(tmp_path, redis_url, one_crm(crm)) as here:
        web, worker = here.serve(), here.work()
        post(web.port, **ASHA, message="My knee hurts", colour="mauve")
        post(web.port, name="Asha Rao", phone="12")
        until(lambda: worker.lines("attempt") and len(web.lines("submission")) == 2)
        taken, refused = web.lines("submission")
        [attempt] = worker.lines("attempt")
        said = web.said() + worker.said()
    assert taken["result"] == "created"
    assert {"form", "receipt", "lead", "version", "took_ms", "timestamp", "level"} <= taken.keys()
    assert (refused["result"], refused["codes"]) == ("refused", ["PHONE_TOO_SHORT"])
    assert (attempt["result"], attempt["status"], attempt["destination"]) == ("dead", 422, "crm")
    assert attempt["lead"] == taken["lead"]
    for word in ("Asha", "knee", "mauve", "47001", "not a name"):
        assert word not in said


def test_web_and_worker_survive_a_restart_of_redis(tmp_path: Path, own_redis: Embedded, crm: Crm) -> None:
    with Processes(tmp_path / "here", own_redis.url, one_crm(crm)) as here:
        web, worker = here.serve(), here.work()
        assert post(web.port, **ASHA).status == 200
        crm.wait_for(1, 10)
        own_redis.stop()
        away = post(web.port, name="Away", phone="8951047002")
        assert away.status == 503
        assert away.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert request(web.port, "GET", "/readyz").status == 503
        assert request(worker.port, "GET", "/readyz").status == 503
        for port in (web.port, worker.port):
            stranger = {"X-Forwarded-For": "10.0.0.1"}
            assert request(port, "GET", "/metrics", headers=stranger).status == 404
            assert request(port, "GET", "/readyz", headers=stranger).json() == {"ready": False}
        own_redis.start()
        until(lambda: post(web.port, name="Back", phone="8951047003").status == 200, 20)
        crm.wait_for(2, 20)
        until(lambda: here.status()["forms"]["get-in-touch"]["unavailable"] == 1)
        account = here.status()["forms"]["get-in-touch"]
    assert account["balanced"]
    assert account["created"] == 2


def test_a_port_in_use_is_said_in_a_sentence(tmp_path: Path, redis_url: str, crm: Crm) -> None:
    with Processes(tmp_path, redis_url, one_crm(crm)) as here:
        refused = [here.start(command, "--port", str(crm.port)) for command in ("serve", "work")]
        refused += [here.start("serve", "--port", str(crm.port), "--workers", "2")]
        for process in refused:
            assert process.wait() == 1
            assert f"Port {crm.port}" in process.said()
            assert "cannot be used" in process.said()
            assert "Traceback" not in process.said()


# --- bad input through a real `serve` ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Processes, Process]]:
    """One web process for all bad input, on a server of its own."""
    folder = tmp_path_factory.mktemp("site")
    server = Embedded(folder / "redis")
    server.start()
    text = form(deliver=("crm",)) + '[destinations.crm]\ntype = "webhook"\nurl = "https://crm.invalid/"\n'
    with Processes(folder, server.url, text) as here:
        yield here, here.serve()
    server.stop()


JSON_TYPE = "application/json"
MULTIPART = "multipart/form-data; boundary=b"
BAD: list[tuple[str, bytes, int, str]] = [
    (FORM_TYPE, b"", 422, "EMPTY"),
    (FORM_TYPE, b"&&&", 422, "EMPTY"),
    (FORM_TYPE, b"name=%20", 422, "EMPTY"),
    (FORM_TYPE, b"name=A&phone=12", 422, "PHONE_TOO_SHORT"),
    (FORM_TYPE, b"&".join(b"n%d=1" % number for number in range(1_000)), 422, "TOO_MANY_FIELDS"),
    (FORM_TYPE, b"name=" + b"x" * 300 * 1024, 413, "BODY_TOO_LARGE"),
    (FORM_TYPE, b"name=" + b"x" * 6_000, 422, "TOO_LONG"),
    (JSON_TYPE, b"", 422, "EMPTY"),
    (JSON_TYPE, b"{", 400, "UNREADABLE_BODY"),
    (JSON_TYPE, b"[1, 2]", 400, "UNREADABLE_BODY"),
    (JSON_TYPE, b"null", 400, "UNREADABLE_BODY"),
    (JSON_TYPE, b'"text"', 400, "UNREADABLE_BODY"),
    (JSON_TYPE, b"{" + b'"a":{' * 5_000 + b"}" * 5_001, 400, "UNREADABLE_BODY"),
    (JSON_TYPE, b"{}", 422, "EMPTY"),
    (MULTIPART, b"not multipart at all", 400, "UNREADABLE_BODY"),
    (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nA', 400, "UNREADABLE_BODY"),
    ("multipart/form-data", b"--b--\r\n", 400, "UNREADABLE_BODY"),
    (
        MULTIPART,
        b'--b\r\nContent-Disposition: form-data; name="cv"; filename="a.pdf"\r\n\r\nPDF\r\n--b--\r\n',
        422,
        "NO_FILE_UPLOADS",
    ),
    ("application/xml", b"<a/>", 415, "UNSUPPORTED_MEDIA_TYPE"),
]


def is_failure(reply: Reply, status: int, code: str) -> bool:
    told = reply.json()
    return (
        reply.status == told["code"] == status
        and told["ok"] is told["success"] is False
        and isinstance(told["message"], str)
        and told["error"] == told["errors"][0]["message"]
        and told["errors"][0]["code"] == code
        and all(set(each) - {"suggestion"} == {"field", "code", "message"} for each in told["errors"])
    )


@pytest.mark.parametrize(("kind", "body", "status", "code"), BAD)
def test_bad_input_gets_the_right_status_and_shape(
    site: tuple[Processes, Process], kind: str, body: bytes, status: int, code: str
) -> None:
    _, web = site
    headers = {"Origin": "https://www.example.com", **({"Content-Type": kind} if kind else {})}
    reply = request(web.port, "POST", "/f/get-in-touch", body, headers)
    assert is_failure(reply, status, code), (reply.status, reply.body)
    assert reply.headers["access-control-allow-origin"] == "https://www.example.com"


def test_what_looks_odd_and_is_fine_is_taken(site: tuple[Processes, Process]) -> None:
    _, web = site
    for kind, body in [
        (FORM_TYPE, b"name=A%00B&phone=8951047001"),
        (FORM_TYPE, b"name=A&name=B&phone=8951047002"),
        (JSON_TYPE, b'{"name": "A\\u0000B", "phone": 8951047003}'),
        (JSON_TYPE + "; charset=utf-8", b'\xef\xbb\xbf{"name": "A", "phone": "8951047004"}'),
        (FORM_TYPE.upper(), b"name=A&phone=8951047005"),
    ]:
        reply = request(web.port, "POST", "/f/get-in-touch", body, {"Content-Type": kind})
        assert reply.status == 200, (kind, body, reply.body)
        assert len(reply.json()["receipt"]) >= 24


def test_a_chunked_body_that_is_too_large_is_refused(site: tuple[Processes, Process]) -> None:
    _, web = site
    chunks = (b"name=" + b"x" * 60_000 for _ in range(5))
    reply = request(web.port, "POST", "/f/get-in-touch", chunks, {"Content-Type": FORM_TYPE})
    assert is_failure(reply, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/f/nobody", 404, "FORM_NOT_FOUND"),
        ("POST", "/f/", 404, "FORM_NOT_FOUND"),
        ("POST", "/f/get-in-touch/", 404, "FORM_NOT_FOUND"),
        ("POST", "/f/%2e%2e%2f%00", 404, "FORM_NOT_FOUND"),
        ("POST", "/f/" + "x" * 5_000, 404, "FORM_NOT_FOUND"),
        ("PUT", "/f/get-in-touch", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/f/get-in-touch", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_the_wrong_address_or_method(
    site: tuple[Processes, Process], method: str, path: str, status: int, code: str
) -> None:
    _, web = site
    assert is_failure(request(web.port, method, path, b"name=A", {"Content-Type": FORM_TYPE}), status, code)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "-1"},
        {"Content-Length": "abc"},
        {"Content-Length": "9" * 5_000},
        {"Transfer-Encoding": "gzip, chunked"},
        {"Origin": "\u00ff\u00fe"},
        {"Accept": "text/html;q=banana, */*;q=-1"},
        {"Referer": "http://[::1"},
        {"Host": "a b c"},
        {"Idempotency-Key": "k" * 10_000},
        {"Content-Encoding": "gzip"},
        {"Cookie": "x" * 10_000},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_odd_headers_never_make_a_5xx(site: tuple[Processes, Process], headers: dict[str, str]) -> None:
    _, web = site
    all_headers = {"Content-Type": FORM_TYPE, **headers}
    try:
        reply = request(web.port, "POST", "/f/get-in-touch", b"name=A&phone=8951047009", all_headers, timeout=10)
    except (ConnectionError, TimeoutError):
        reply = None  # The server may simply hang up on what is no HTTP.
    assert reply is None or reply.status < 500
    assert request(web.port, "GET", "/healthz").status == 200


def test_the_account_has_every_refusal_within_a_second_and_adds_up(site: tuple[Processes, Process]) -> None:
    here, web = site
    time.sleep(1)  # What the tests before this one sent is counted by then.
    before = here.status()["forms"]["get-in-touch"]
    for kind, body, *_ in BAD:
        request(web.port, "POST", "/f/get-in-touch", body, {"Content-Type": kind} if kind else {})
    request(web.port, "PUT", "/f/get-in-touch", b"")  # 405 is nobody's submission
    time.sleep(1)
    after = here.status()["forms"]["get-in-touch"]
    assert after["rejected"] - before["rejected"] == len(BAD)
    assert after["received"] - before["received"] == len(BAD)
    assert after["balanced"]
    assert "Traceback" not in web.said()


# --- `leads up` and `leads dev` --------------------------------------------------------------------------------


def pids_of(here: Processes, process: Process) -> list[int]:
    """Return the process, its parts and its server."""
    server = int((here.folder / "data" / "server.pid").read_text())
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return [process.pid, server, *(pid for pid, parent in parents.items() if parent == process.pid and pid != server)]


def test_the_demo_keeps_its_data_over_ctrl_c_and_kill_9_and_leaves_no_process(tmp_path: Path) -> None:
    with Processes(tmp_path, "", "") as here:
        del here.environ["LEADS_REDIS_URL"], here.environ["LEADS_SECRET"]
        first = here.up("dev")
        assert post(first.port, **ASHA).status == 200
        until(lambda: len(request(first.port, "GET", "/demo/crm.json").json()) == 1)
        [entry] = request(first.port, "GET", "/demo/crm.json").json()
        assert entry["verified"] is True
        pids = pids_of(here, first)
        assert len(pids) == 5  # the supervisor, its server, the web part, the worker and the desk
        first.signal(signal.SIGINT)
        assert first.wait() == 0
        assert not any(map(is_alive, pids))

        second = here.up("dev")
        repeated = post(second.port, **ASHA)
        assert repeated.status == 200
        assert post(second.port, **ASHA, message="New").status == 200
        until(lambda: len(request(second.port, "GET", "/demo/crm.json").json()) == 2)
        latest = request(second.port, "GET", "/demo/crm.json").json()
        assert {each["body"]["data"]["version"] for each in latest} == {1, 2}
        parts = [pid for pid in pids_of(here, second) if pid != second.pid]
        os.kill(second.pid, signal.SIGKILL)
        second.wait()

        third = here.up("dev")
        until(lambda: not any(map(is_alive, parts)), 30)
        assert post(third.port, **ASHA, message="Newer").status == 200
        until(lambda: len(request(third.port, "GET", "/demo/crm.json").json()) == 3)
        pids = pids_of(here, third)
        third.signal(signal.SIGINT)
        assert third.wait() == 0
        assert not any(map(is_alive, pids))
        assert "Traceback" not in first.said() + second.said() + third.said()


def test_up_runs_a_whole_installation_from_a_configuration(tmp_path: Path, crm: Crm) -> None:
    with Processes(tmp_path, "", one_crm(crm, more=QUICK)) as here:
        del here.environ["LEADS_REDIS_URL"], here.environ["LEADS_SECRET"]
        process = here.up()
        assert "/f/get-in-touch" in process.said()
        assert post(process.port, **ASHA).status == 200
        crm.wait_for(1, 10)
        assert verified(crm.requests[0])["data"]["fields"]["name"] == "Asha Rao"
        pids = pids_of(here, process)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert not any(map(is_alive, pids))


def test_a_worker_of_a_whole_installation_delivers_even_if_its_port_is_taken(
    tmp_path: Path, redis_url: str, crm: Crm
) -> None:
    with Processes(tmp_path, redis_url, one_crm(crm)) as here, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [sys.executable, "-m", "service", "work", "--port", port, "--until-stdin-closes"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, cwd=tmp_path, env=here.environ) as worker:
            try:
                post(here.serve().port, **ASHA)
                crm.wait_for(1, 20)
                assert worker.stdin
                worker.stdin.close()
                assert worker.wait(20) == 0
            finally:
                worker.kill()


def test_with_another_key_nothing_is_taken_though_redis_was_away_at_the_start(
    tmp_path: Path, own_redis: Embedded, crm: Crm
) -> None:
    key, other = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=", "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI="
    spool = tmp_path / "spool"
    environ = {"LEADS_ENCRYPTION_KEY": key, "LEADS_SPOOL": str(spool)}
    with Processes(tmp_path / "here", own_redis.url, one_crm(crm), **environ) as here:
        here.serve().stop()
        own_redis.stop()
        here.environ["LEADS_ENCRYPTION_KEY"] = other
        web = here.serve()
        assert post(web.port, **ASHA).status == 200
        own_redis.start()
        until(lambda: web.lines("redis cannot be used"))
        refused = post(web.port, name="Ravi", phone="8951047002")
        assert (refused.status, refused.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
        ready = request(web.port, "GET", "/readyz")
        assert (ready.status, "No key in LEADS_ENCRYPTION_KEY opens" in ready.json()["redis"]) == (503, True)
        web.stop()
        assert [path.read_bytes().count(b"\n") for path in spool.iterdir()] == [1]
        here.environ["LEADS_ENCRYPTION_KEY"] = f"{key},{other}"
        here.serve()
        here.work()
        [got] = crm.wait_for(1, 20)
        assert got.json()["data"]["fields"]["name"] == ASHA["name"]


def test_up_keeps_the_key_of_what_is_encrypted_out_of_its_folder(tmp_path: Path, crm: Crm) -> None:
    key = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
    with Processes(tmp_path, "redis://127.0.0.1:1/0", one_crm(crm), LEADS_ENCRYPTION_KEY=key) as here:
        del here.environ["LEADS_REDIS_URL"]
        running = here.up()
        assert post(running.port, **ASHA).status == 200
        crm.wait_for(1, 10)
        held = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix != ".sock"]
        assert not [path for path in held if key.encode() in path.read_bytes() or b"Asha" in path.read_bytes()]
        here.environ["LEADS_DATA"] = str(tmp_path / "data")
        assert "Asha Rao" in here.run("person", "--phone", ASHA["phone"])
        del here.environ["LEADS_ENCRYPTION_KEY"]
        told = here.start("person", "--phone", ASHA["phone"])
        assert told.wait() == 1
        assert "encrypted: set LEADS_ENCRYPTION_KEY to the key it was encrypted with" in told.said()
        running.stop()
