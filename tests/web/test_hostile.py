"""A running `leads serve` under hostile requests: what is sent back, in which headers, and what it costs.

One server for the whole file: whatever was done to it, the next request is answered.
"""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from processes import FORM_TYPE, Process, Processes, Reply, request
from redis import Redis
from workshop import destination

from service.up.embedded import Embedded

FORM = """
[forms.get-in-touch]
deliver = ["crm"]
language = "auto"
redirects = ["https://www.example.com"]
fields.name = { type = "text", required = true }
fields.phone = { type = "phone", required = true }
fields.visits = { type = "number" }
fields.message = { type = "text", multiline = true }

[forms.strict]
deliver = ["crm"]
origins = ["https://www.example.com"]
allow_extra = false
captcha = { type = "altcha" }
fields.email = { type = "email", required = true }
fields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }
"""
GOOD = urlencode({"name": "Asha Rao", "phone": "089510 47001"}).encode()
JSON = "application/json"
HTML = {"Accept": "text/html"}
PATH = "/f/get-in-touch"
INJECTED = "x\r\nX-Injected: yes\r\n\r\n<script>"


@pytest.fixture(scope="module")
def web(redis_server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    folder = tmp_path_factory.mktemp("hostile")
    with Processes(folder, redis_server.url, FORM + destination("http://127.0.0.1:9/")) as here:
        yield here.serve()


def post(web: Process, body: bytes, kind: str = FORM_TYPE, path: str = PATH, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(web.port, "POST", path, body, {"Content-Type": kind, **named})


# --- headers

ROUTES = [
    ("GET", PATH, 200, {}),
    ("HEAD", PATH, 200, {}),
    ("GET", f"{PATH}/thanks", 200, {}),
    ("GET", "/f/strict", 200, {}),
    ("POST", PATH, 422, {}),
    ("POST", PATH, 422, HTML),
    ("POST", "/f/strict", 403, {"Origin": "https://evil.example"}),
    ("POST", "/f/strict", 403, {"Origin": "https://evil.example", **HTML}),
    ("POST", f"{PATH}/phone", 200, {}),
    ("OPTIONS", PATH, 204, {}),
    ("PUT", PATH, 405, {}),
    ("PUT", PATH, 405, HTML),
    ("GET", "/f/nothing", 404, {}),
    ("GET", "/f/nothing", 404, HTML),
    ("GET", "/", 404, {}),
    ("GET", "/%2e%2e/etc/passwd", 404, HTML),
    ("GET", f"{PATH}/challenge", 404, {}),
    ("GET", "/f/strict/challenge", 200, {}),
    ("GET", "/lead-form-altcha.js", 200, {}),
    ("GET", "/lead-form.js", 200, {}),
    ("GET", "/lead-form.js", 304, {"If-None-Match": "*"}),
    ("POST", "/lead-form.js", 405, {}),
    ("GET", "/healthz", 200, {}),
    ("GET", "/readyz", 200, {}),
    ("GET", "/metrics", 200, {}),
    ("GET", "/metrics", 404, {"X-Forwarded-For": "127.0.0.1"}),
    ("GET", "/openapi.json", 200, {}),
]


@pytest.mark.parametrize(("method", "path", "status", "headers"), ROUTES)
def test_every_answer_says_how_it_may_be_used(
    method: str, path: str, status: int, headers: dict[str, str], web: Process
) -> None:
    answer = request(web.port, method, path, b"" if method in {"POST", "PUT"} else None, headers)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    if path.endswith(".js") and status < 400:
        assert answer.headers["cache-control"] == "public, max-age=3600"
        return
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors " in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "script-src 'self'; " in policy
        assert "base-uri 'none'" in policy


def test_a_success_has_the_same_headers_as_json_and_as_a_way_on(web: Process) -> None:
    as_json, on = post(web, GOOD), post(web, GOOD, Accept="text/html")
    assert (as_json.status, on.status) == (200, 303)
    for each in (as_json, on):
        assert each.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert each.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("path", "ancestors"), [(PATH, "*"), ("/f/strict", "'self' https://www.example.com")])
def test_who_may_frame_a_form_is_who_may_post_to_it(path: str, ancestors: str, web: Process) -> None:
    policy = request(web.port, "GET", path).headers["content-security-policy"]
    assert policy.endswith(f"frame-ancestors {ancestors}")


# --- line ends


def raw(port: int, head: bytes, body: bytes = b"") -> bytes:
    """Send bytes as they are and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as door:
        door.sendall(head + body)
        answer = b""
        while piece := door.recv(65_536):
            answer += piece
        return answer


@pytest.mark.parametrize("accept", [b"text/html", b"application/json"])
@pytest.mark.parametrize("phone", ["089510 47001", "12"])
def test_a_line_end_in_any_field_reaches_no_header(accept: bytes, phone: str, web: Process) -> None:
    names = ["name", "message", "_next", "_id", "_language", "_source", "_confirm", "_gotcha", INJECTED]
    body = urlencode({**dict.fromkeys(names, INJECTED), "phone": phone}).encode()
    head = (
        (
            f"POST {PATH}?_language=x%0d%0aX-Injected:yes&language=%0d%0a HTTP/1.1\r\nHost: forms.example\r\n"
            f"Content-Type: {FORM_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            "Origin: https://www.example.com%0d%0aX-Injected: yes\r\nReferer: https://www.example.com/%0d%0aX-Injected:yes\r\n"
            "Idempotency-Key: a%0d%0aX-Injected: yes\r\nAccept-Language: hi%0d%0aX-Injected: yes\r\n"
        ).encode()
        + b"Accept: "
        + accept
        + b"\r\n\r\n"
    )
    answer = raw(web.port, head, body)
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[0].split()[1] in {b"200", b"303", b"422"}
    assert not [line for line in lines if line.lower().startswith(b"x-injected")]
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "sent", ["/%0d%0aX-Injected:%20yes", "https://www.example.com/%0d%0aX-Injected:%20yes", "\r\nX: y"]
)
def test_a_line_end_in_the_way_on_goes_nowhere(sent: str, web: Process) -> None:
    answer = post(web, GOOD + b"&" + urlencode({"_next": sent}).encode(), Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, f"{PATH}/thanks")


# --- bodies


def multipart(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


def part(name: bytes, text: bytes = b"x", more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"\r\n' + more + b"\r\n" + text


KIND = "multipart/form-data; boundary=b"
FULL = 250 * 1024
BODIES: dict[str, tuple[bytes | str, str, int]] = {
    "parts by the thousand": (multipart(*(part(b"n%d" % n) for n in range(1_000))), KIND, 422),
    "more parts than are read": (multipart(*(part(b"n") for _ in range(4_000))), KIND, 422),
    "no part": (b"--b--\r\n", KIND, 422),
    "no boundary in the type": (multipart(part(b"name")), "multipart/form-data", 422),
    "another boundary than named": (multipart(part(b"name")), "multipart/form-data; boundary=other", 422),
    "a boundary of 10,000 signs": (multipart(part(b"name")), f"multipart/form-data; boundary={'b' * 10_000}", 422),
    "a part that does not end": (multipart(part(b"name"), end=b""), KIND, 400),
    "a part's head of 250 KiB": (multipart(part(b"name", more=b"X: " + b"x" * FULL + b"\r\n")), KIND, 400),
    "a thousand heads in a part": (multipart(part(b"name", more=b"X: y\r\n" * 30_000)), KIND, 400),
    "a name of 250 KiB": (multipart(part(b"n" * FULL)), KIND, 400),
    "a file": (multipart(part(b"name", more=b"").replace(b'"name"', b'"name"; filename="a.exe"')), KIND, 422),
    "deep JSON": (b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 400),
    "deep JSON, not closed": (b'{"a":' * 50_000, JSON, 400),
    "a JSON number of 100,000 digits": (
        b'{"name":"A","phone":"8951047001","visits":' + b"9" * 100_000 + b"}",
        JSON,
        422,
    ),
    "a JSON number beyond all": (b'{"name":"A","phone":"8951047001","visits":1e999999}', JSON, 422),
    "a phone of 100,000 digits": (b'{"name":"A","phone":' + b"9" * 100_000 + b"}", JSON, 422),
    "infinity": (b'{"name":"A","phone":"8951047001","visits":Infinity}', JSON, 400),
    "a number in words": (b"name=A&phone=8951047001&visits=1e999999", FORM_TYPE, 422),
    "digits of another script": ("name=A&phone=8951047001&visits=" + "९" * 5_000, FORM_TYPE, 422),
    "JSON names by the thousand": (json.dumps({f"n{n}": 1 for n in range(10_000)}).encode(), JSON, 422),
    "one JSON name 20,000 times": (b"{" + b",".join([b'"a":"b"'] * 20_000) + b"}", JSON, 422),
    "nothing but &": (b"&" * FULL, FORM_TYPE, 422),
    "nothing but =": (b"=" * FULL, FORM_TYPE, 422),
    "nothing but %": (b"%" * FULL, FORM_TYPE, 422),
    "nothing but +": (b"a=" + b"+" * FULL, FORM_TYPE, 422),
    "marks on one letter": (("name=a" + "%CC%81" * 40_000).encode(), FORM_TYPE, 422),
    "marks of two kinds on one letter": (("name=a" + "%CC%81" * 20_000 + "%CC%96" * 20_000).encode(), FORM_TYPE, 422),
    "marks of two kinds in JSON": (('{"name":"a' + "\u0301\u0316" * 60_000 + '"}').encode(), JSON, 422),
    "marks of two kinds on a name": (('{"a' + "\u0301\u0316" * 60_000 + '":"b"}').encode(), JSON, 422),
    "marks that only normalising brings out": (('{"a' + "\u0f73" * 80_000 + '":"b"}').encode(), JSON, 422),
    "the same of half width": (('{"a' + "\uff9e\u0301" * 50_000 + '":"b"}').encode(), JSON, 422),
    "blanks of two kinds": (('{"name":"a' + " \u200b" * 60_000 + '"}').encode(), JSON, 422),
    "zeros": (b"\x00" * FULL, FORM_TYPE, 422),
    "blanks before a number": (b"name=A&phone=" + b"%20" * 80_000 + b"1", FORM_TYPE, 422),
    "an address of 250 KiB": (b"email=" + b"a." * 100_000 + b"@example.com", FORM_TYPE, 422),
    "half a surrogate": (b'{"name":"\\ud800","phone":"8951047001"}', JSON, 200),
    "another character set": (GOOD, f"{FORM_TYPE}; charset=utf-16", 200),
    "a type of 10,000 signs": (GOOD, "application/" + "x" * 10_000, 415),
    "a type of many parameters": (GOOD, FORM_TYPE + "; a=b" * 2_000, 200),
    "packed": (gzip.compress(GOOD), FORM_TYPE, 422),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_answered_quickly(what: str, web: Process) -> None:
    body, kind, status = BODIES[what]
    path = "/f/strict" if what == "an address of 250 KiB" else PATH
    before = processor_time(web.pid)
    answer = post(web, body if isinstance(body, bytes) else body.encode(), kind, path)
    assert answer.status == status
    assert answer.json()["ok"] is (status == 200)
    assert processor_time(web.pid) - before < 1.0


def processor_time(pid: int) -> float:
    """Return the seconds of a processor that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 -- one line of the kernel's
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "GZIP", "x"])
def test_a_compressed_body_is_refused_before_it_is_read(encoding: str, web: Process) -> None:
    answer = post(web, gzip.compress(b"name=" + b"x" * 10_000_000), Content_Encoding=encoding)
    assert answer.status == 415
    assert answer.json()["errors"][0]["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert post(web, GOOD, Content_Encoding="identity").status == 200


HEADS = {
    "a language of 15,000 signs": ("Accept-Language", "en-" * 5_000),
    "languages by the thousand": ("Accept-Language", "hi;q=0.1," * 1_600),
    "weights that are no numbers": ("Accept-Language", "hi;q=nan,en;q=inf,kn;q=-1"),
    "types by the thousand": ("Accept", "text/plain;q=0.0001," * 700),
    "an origin of 15,000 signs": ("Origin", "https://" + "a" * 15_000),
    "an origin of many labels": ("Origin", "https://" + "a." * 7_000),
    "a referer of 15,000 signs": ("Referer", "https://www.example.com/?" + "utm_source=a&" * 1_100),
    "a broken referer": ("Referer", "https://[::1"),
    "a host that is none": ("Host", "]["),
    "a key of 15,000 signs": ("Idempotency-Key", "k" * 15_000),
    "a length that is none": ("X-Forwarded-For", "," * 15_000),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_hostile_header_is_answered_quickly(what: str, web: Process) -> None:
    name, value = HEADS[what]
    before = processor_time(web.pid)
    for accept in ("application/json", "text/html"):
        answer = request(web.port, "POST", PATH, GOOD, {"Content-Type": FORM_TYPE, "Accept": accept, name: value})
        assert answer.status in {200, 303}
    assert processor_time(web.pid) - before < 1.0


def test_after_all_that_a_person_is_answered_and_nothing_of_it_was_logged(web: Process) -> None:
    began = time.monotonic()
    assert post(web, GOOD).status == 200
    assert time.monotonic() - began < 5
    assert not web.lines("fault")
    assert not re.search("X-Injected|evil|<script", web.said())
