"""Where the processes listen: on both families for `::`, whatever the number of processes."""

import socket
from pathlib import Path

import pytest
from processes import Processes, free_port, until
from workshop import destination, form

CONFIG = form(more='limits.address = "2/h"') + destination("http://127.0.0.1:9/hooks")
BODY = "name=Asha&phone=89510470{}"


def status(address: str, port: int, path: str, body: str = "") -> int:
    """Ask at an address; return the status, 0 where nobody answers."""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        with socket.create_connection((address, port), timeout=20) as connection:
            connection.sendall(f"{head}{body}".encode())
            return int(connection.recv(100).split(b" ")[1])
    except (OSError, IndexError):
        return 0


@pytest.mark.parametrize(
    "words",
    [("serve",), ("serve", "--workers", "2"), ("work",), ("desk",), ("demo",)],
    ids=" ".join,
)
def test_two_colons_are_every_address_of_both_families(tmp_path: Path, redis_url: str, words: tuple[str, ...]) -> None:
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        port = free_port()
        process = here.start(*words, "--host", "::", "--port", str(port), port=port)
        for address in ("127.0.0.1", "::1"):
            until(lambda: status(address, port, "/healthz") == 200 or process.ended(), 30, process.said)  # noqa: B023 -- called at once
            assert not process.ended(), process.said()


def test_an_address_of_the_fourth_version_is_itself_behind_two_colons(tmp_path: Path, redis_url: str) -> None:
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        web = here.serve("--host", "::")
        posts = [status(address, web.port, "/f/get-in-touch", BODY.format(number)) for number, address in
                 enumerate(["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"], 10)]  # fmt: skip
        assert posts == [200, 200, 429, 200]
