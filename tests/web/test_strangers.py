"""What strangers send down a connection, however broken, is no fault of ours: it writes no line at level error."""

import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crm import Crm
from processes import Process, Processes, answers, free_port, until
from workshop import one_crm

CONNECTIONS = 400
PATHS = (b"/f/get-in-touch", b"/f/get-in-touch/phone", b"/f/get-in-touch/check", b"/demo/crm", b"/sign-in", b"/held")
PIECES = (b"\r\n", b"\x00", b"\xff", b":", b" ", b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"9")
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def posted(body: bytes, more: bytes = b"", path: bytes = b"/f/get-in-touch") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\n%s%sContent-Length: %d\r\n\r\n%s" % (path, FORM, more, len(body), body)


CHUNKED = b"POST /f/get-in-touch HTTP/1.1\r\nHost: x\r\n" + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = (
    posted(b"name=Asha&phone=8951047001"),
    posted(b"name=" + b"a" * 200_000),
    posted(b"name=" + b"a" * 300_000),
    posted(b"number=8951047001", path=b"/f/get-in-touch/phone"),
    posted(b"name=Asha", b"Expect: 100-continue\r\n"),
    posted(b"name=Asha", b"Content-Encoding: gzip\r\n"),
    posted(b"name=Asha", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    CHUNKED + b"19\r\nname=Asha&phone=895104700\r\n1\r\n1\r\n0\r\n\r\n",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"5;" + b"x" * 3_000_000,
    b"GET /f/get-in-touch HTTP/1.1\r\nHost: x\r\n\r\n" * 40,
    b"GET /lead-form.js HTTP/1.1\r\nHost: x\r\n\r\n" * 16,
    b"GET / HTTP/1.1\r\nHost: " + b"x" * 20_000 + b"\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET /f/\xff%ff%00 HTTP/1.1\r\nHost: \xff\r\nX-Forwarded-For: \xff\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /readyz HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 70_000,
)


def broken(whole: bytes, chance: random.Random) -> bytes:
    """Cut, change, double or swap pieces of what would be a request."""
    raw = bytearray(whole)
    for _ in range(chance.choice((0, 0, 1, 3))):
        place = chance.randrange(min(len(raw), 400))
        raw[place : place + chance.choice((0, 1, 5))] = chance.choice(PIECES)
    return bytes(raw[: chance.choice((len(raw), len(raw), chance.randrange(len(raw) + 1)))])


def meet(port: int, number: int) -> None:
    """Send something, and leave in one of the ways in which clients leave."""
    chance = random.Random(number)
    raw = broken(chance.choice(WHOLE).replace(PATHS[0], chance.choice(PATHS)), chance)
    leaves, step = chance.choice(("closes", "resets", "shuts", "reads")), chance.choice((1_000, 65_536, 1 << 22))
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2) as line:
        for start in range(0, len(raw), step):
            line.sendall(raw[start : start + step])
        if leaves == "resets":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif leaves == "shuts":
            line.shutdown(socket.SHUT_WR)
        while leaves in {"shuts", "reads"} and line.recv(65_536):
            pass


@pytest.fixture(params=["web", "desk"])
def process(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Process]:
    with Crm() as crm, Processes(tmp_path, redis_url, one_crm(crm), LEADS_DEMO=str(tmp_path)) as here:
        if request.param == "web":
            yield here.serve()
        else:
            port = free_port()
            desk = here.start("desk", "--port", str(port), port=port)
            until(lambda: answers(port, "/sign-in") in {200, 303}, 30, desk.said)
            yield desk


def test_nothing_that_strangers_send_is_told_as_a_fault(process: Process) -> None:
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda number: meet(process.port, number), range(CONNECTIONS)))
    until(lambda: answers(process.port))
    assert [line for line in process.lines() if line["level"] == "error"] == []
    assert process.lines("listening")
