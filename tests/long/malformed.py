"""Requests for a campaign: clean ones of every kind that the web part knows, and what chance makes of them.

`attempt(number, seed)` is the same for the same numbers, so that one of a campaign can be sent again.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

FORM_TYPE = "application/x-www-form-urlencoded"
BOUNDARY = "----7d4a6d158c9"
ODD = ["", " ", "\u202e", "\x00", "'; --", "<script>", "=1+1", "{{x}}", "%00", "\ud83d\ude00", "9" * 400, "a" * 9000]
PATHS = ["/f/get-in-touch", "/f/strict", "/f/builder", "/f/nowhere"]
CLEAN = 0.3
"""The share of attempts that nothing is done to."""
Ending = Literal["wait", "half", "reset"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is sent down one connection: pieces with a pause between them, and how the sending ends.

    `is_clean`: nothing was done to the requests in it.
    """

    pieces: tuple[bytes, ...]
    pause_s: float
    ending: Ending
    is_clean: bool


def attempt(number: int, seed: int) -> Attempt:
    """Return the attempt of this number in the campaign of this seed."""
    chance = random.Random(f"{seed}.{number}")
    is_clean = chance.random() < CLEAN
    many = chance.choice([1, 1, 1, 1, 2, 5]) if is_clean else chance.choice([1, 1, 1, 1, 2, 30])
    raw = b"".join(_clean(chance) for _ in range(many))
    if not is_clean:
        for _ in range(chance.randint(1, 4)):
            raw = chance.choice(MUTATIONS)(raw, chance)
    cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(chance.choice([0, 0, 1, 3])))
    pieces = tuple(raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True))
    ending: Ending = "wait" if is_clean else chance.choice(("wait", "wait", "half", "half", "half", "reset"))
    return Attempt(pieces, chance.choice([0, 0, 0.01, 0.2]), ending, is_clean)


def _clean(chance: random.Random) -> bytes:
    return chance.choice(KINDS)(chance)


def _fields(chance: random.Random) -> dict[str, str]:
    said = {"name": "Asha Rao", "phone": f"89{chance.randrange(10**8):08d}", "email": "asha@example.com"}
    said |= {"message": "knee", "utm_source": "x", "_gotcha": "", "branch": "Bangalore", "when": "2026-12-01"}
    for _ in range(chance.choice([0, 0, 1, 3])):
        said[chance.choice([*said, chance.choice(ODD)])] = chance.choice(ODD)
    chosen = chance.sample(list(said), chance.randint(2, len(said)))
    return {name: said[name] for name in chosen}


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: leads.example.com",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    length = [f"Content-Length: {len(body)}"] if body or method == "POST" else []
    return "\r\n".join([*lines, *length, "", ""]).encode("utf-8", "replace") + body


def _about(chance: random.Random) -> dict[str, str]:
    headers = {
        "Accept": chance.choice(["text/html", "application/json", "*/*", "text/html;q=0.1, */*"]),
        "Origin": chance.choice(["https://www.example.com", "null", "https://evil.example"]),
        "Accept-Language": chance.choice(["hi", "en-GB,en;q=0.5", "*"]),
        "Idempotency-Key": str(chance.randrange(1000)),
        "X-Forwarded-For": "203.0.113.7, 127.0.0.1",
    }
    return {name: headers[name] for name in chance.sample(list(headers), chance.randint(0, 3))}


def _urlencoded(chance: random.Random) -> bytes:
    body = urlencode(_fields(chance), errors="surrogatepass").encode()
    return _request("POST", chance.choice(PATHS), {"Content-Type": FORM_TYPE, **_about(chance)}, body)


def _multipart(chance: random.Random) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in _fields(chance).items()
    ]
    body = "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode("utf-8", "replace")
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return _request("POST", chance.choice(PATHS), {**kind, **_about(chance)}, body)


def _json(chance: random.Random) -> bytes:
    told: Any = _fields(chance)
    for _ in range(chance.choice([0, 0, 1, 80])):
        told = chance.choice([{"data": told}, [told]])
    kind = chance.choice(["application/json", "text/plain;charset=UTF-8", "application/json; charset=utf-16"])
    return _request("POST", chance.choice(PATHS), {"Content-Type": kind, **_about(chance)}, json.dumps(told).encode())


def _webhook(chance: random.Random) -> bytes:
    body = json.dumps({"triggerType": "form_submission", "payload": {"name": "Contact", "data": _fields(chance)}})
    kind = {"Content-Type": "application/json", "x-webflow-signature": "0" * 64, "x-webflow-timestamp": "1"}
    return _request("POST", "/f/builder", kind, body.encode())


def _chunked(chance: random.Random) -> bytes:
    body = urlencode(_fields(chance), errors="surrogatepass").encode()
    size = chance.choice([1, 7, 1000])
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    head = _request("PUT", chance.choice(PATHS), {"Content-Type": FORM_TYPE, "Transfer-Encoding": "chunked"})
    return (
        head.replace(b"PUT", b"POST")
        + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        + b"0\r\n\r\n"
    )


def _question(chance: random.Random) -> bytes:
    path = chance.choice(["/f/get-in-touch/phone", "/f/get-in-touch/check"])
    body = json.dumps({"field": "phone", "value": chance.choice(ODD), "phone": chance.choice(ODD)}).encode()
    return _request("POST", path, {"Content-Type": "application/json", **_about(chance)}, body)


def _read(chance: random.Random) -> bytes:
    paths = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/lead-form.js",
        "/f/get-in-touch",
        "/f/strict/challenge",
        "/openapi.json",
    ]
    path = chance.choice([*paths, "/", "/../etc/passwd", "/f/%2e%2e/x", "/f/" + "x" * 3000, "/f/get-in-touch?lang=xx"])
    return _request(chance.choice(["GET", "GET", "HEAD"]), path, _about(chance))


def _preflight(chance: random.Random) -> bytes:
    asked = {"Origin": "https://www.example.com", "Access-Control-Request-Method": "POST"}
    return _request(
        "OPTIONS", chance.choice(PATHS), {**asked, "Access-Control-Request-Headers": chance.choice(["x", "a" * 2000])}
    )


KINDS: list[Callable[[random.Random], bytes]] = [
    _urlencoded, _urlencoded, _multipart, _json, _webhook, _chunked, _question, _read, _preflight,
]  # fmt: skip


def _slice(raw: bytes, chance: random.Random) -> tuple[int, int]:
    at = chance.randrange(len(raw) + 1)
    return at, min(len(raw), at + chance.choice([1, 2, 10, 200]))


def _flip(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice([1, 1, 8])):
        if changed:
            changed[chance.randrange(len(changed))] = chance.choice(
                [0, 9, 10, 13, 32, 58, 0x80, 0xFF, chance.randrange(256)]
            )
    return bytes(changed)


def _cut_out(raw: bytes, chance: random.Random) -> bytes:
    a, b = _slice(raw, chance)
    return raw[:a] + raw[b:]


def _repeat(raw: bytes, chance: random.Random) -> bytes:
    a, b = _slice(raw, chance)
    return raw[:b] + raw[a:b] * chance.choice([1, 2, 50]) + raw[b:]


def _cut_off(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _another_length(raw: bytes, chance: random.Random) -> bytes:
    length = chance.choice(
        [b"0", b"-1", b"1", b"99999999999999999999", b"1_0", b"0x10", b"5, 6", b"5\r\nContent-Length: 6", b""]
    )
    before, found, after = raw.partition(b"Content-Length: ")
    return before + found + length + after[after.find(b"\r\n") :] if found else raw


def _another_header(raw: bytes, chance: random.Random) -> bytes:
    headers = [
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip",
        b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: close",
        b"Content-Type: multipart/form-data; boundary=", b"X: " + b"a" * 20_000,
        b"Content-Type: text/html; charset=utf-7", b"Cookie: " + b"a=b;" * 900, b" folded: x", b"no colon",
        b": no name", b"X\x00: y", b"Host: b", b"Content-Length: 3", b"Origin: \xff\xfe", b"Accept: " + b"*/*," * 3000,
    ]  # fmt: skip
    line, end, rest = raw.partition(b"\r\n")
    return line + end + chance.choice(headers) + b"\r\n" + rest


def _another_line(raw: bytes, chance: random.Random) -> bytes:
    lines = [
        b"POST /f/get-in-touch", b"POST /f/get-in-touch HTTP/0.9", b"POST /f/get-in-touch HTTP/2.0", b"PRI * HTTP/2.0",
        b"BREW /f/get-in-touch HTTP/1.1", b"GET http://a b/ HTTP/1.1", b"CONNECT x:1 HTTP/1.1", b"POST  /f HTTP/1.1",
        b"POST /f/\xff\xfe HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"", b"*",
        b"POST //f//x HTTP/1.1", b"OPTIONS * HTTP/1.1", b"post /f/get-in-touch http/1.1",
        b"POST /f/get-in-touch HTTP/1.0",
    ]  # fmt: skip
    _, end, rest = raw.partition(b"\r\n")
    return chance.choice(lines) + end + rest


def _line_ends(raw: bytes, chance: random.Random) -> bytes:
    return raw.replace(b"\r\n", chance.choice([b"\n", b"\r", b"\r\n\r\n", b" \r\n"]), chance.choice([1, 3, -1]))


def _noise(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.randbytes(chance.choice([1, 100, 5_000])) + raw[at:]


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip, _flip, _cut_out, _repeat, _cut_off, _another_length, _another_header, _another_line, _line_ends, _noise,
]  # fmt: skip
