"""Who signs otherwise than Standard Webhooks is known by what they publish, and by nothing else."""

import base64
import hashlib
import hmac
import json

import pytest

from service.lib.secret import Secret
from service.lib.signature import Scheme, header_of, is_signed

BODY = b'{"a":1}'
DIGEST = "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494"
TIMED = "7900dcfa0dd8e32ee0ef71db511fc5d7b91ed98221ea7eb400f3072f0d7dd39d"
BASE64 = "qp4uNXX11wmLbKzNeQiIw21f22M0KnO62i1qUXR6hJQ="
FRAMER = "83930e31b86753d9da282346b3f595228ab02ed2b1fcafede9eb8968a907feb4"
LINKEDIN = "f2d9a5026c4b83880f40f6453d1467f17be0e906ea8841d7ba8a4560f8220fd6"


@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        pytest.param(Scheme("X", "sha256={base64}"), f"sha256={BASE64}", id="typeform"),
        pytest.param(Scheme("X", "{base64}"), BASE64, id="tally"),
        pytest.param(Scheme("X", "sha256={hex}"), f"sha256={DIGEST}", id="meta"),
        pytest.param(Scheme("X", "{hex}"), DIGEST, id="cal"),
        pytest.param(Scheme("X", "sha256={hex}", "{body}{Y-Id}"), f"sha256={FRAMER}", id="framer"),
        pytest.param(Scheme("X", "t={t},v1={hex}", "{t}.{body}"), f"t=1,v1={TIMED}", id="calendly"),
        pytest.param(Scheme("X", "{hex}", "hmacsha256={body}"), LINKEDIN, id="linkedin"),
    ],
)
def test_what_others_sign_is_known_by_the_answers_that_they_publish(scheme: Scheme, given: str) -> None:
    headers, secret = {"x": given, "y-id": "0fbbb90e"}, Secret("secret")
    assert is_signed(scheme, secret, headers, BODY, 1_000)
    assert not is_signed(scheme, Secret("other"), headers, BODY, 1_000)
    assert not is_signed(scheme, secret, headers, BODY + b" ", 1_000)
    assert not is_signed(
        scheme, secret, {**headers, "x": given.replace("=", "=0", 1) if "=" in given else "0"}, BODY, 1
    )
    assert not is_signed(scheme, secret, {"y-id": "0fbbb90e"}, BODY, 1_000)


def test_a_time_that_is_signed_holds_for_five_minutes() -> None:
    scheme, headers = Scheme("X", "t={t},v1={hex}", "{t}.{body}"), {"x": f"t=1,v1={TIMED}"}
    assert is_signed(scheme, Secret("secret"), headers, BODY, 301_000)
    assert not is_signed(scheme, Secret("secret"), headers, BODY, 301_001)
    assert not is_signed(scheme, Secret("secret"), {"x": f"t=2,v1={TIMED}"}, BODY, 1_000)


def jws(claims: object, secret: bytes = b"secret", head: object = None) -> str:
    """Make a token as RFC 7515 has it, by hand."""
    pieces = [json.dumps(part).encode() for part in (head or {"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(base64.urlsafe_b64encode(piece).decode().rstrip("=") for piece in pieces)
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


CLAIMS = {"iss": "netlify", "sha256": hashlib.sha256(BODY).hexdigest()}


@pytest.mark.parametrize(
    ("token", "holds"),
    [
        (jws(CLAIMS), True),
        (jws(CLAIMS, b"other"), False),
        (jws(CLAIMS, b"", {"alg": "none"}), False),
        (jws(CLAIMS, head={"alg": "none"}).rpartition(".")[0] + ".", False),
        (jws({**CLAIMS, "iss": "another"}), False),
        (jws({**CLAIMS, "sha256": hashlib.sha256(b"{}").hexdigest()}), False),
        (jws([1]), False),
        (jws("\ud800"), False),
        ("", False),
        ("a.b.c", False),
        ("é.é.é", False),
    ],
)
def test_a_json_web_signature_holds_for_one_body_of_one_issuer(token: str, holds: bool) -> None:
    scheme = Scheme("X", "{jws}", "netlify")
    assert is_signed(scheme, Secret("secret"), {"x": token}, BODY, 0) is holds


def test_what_we_sign_as_github_does_is_the_answer_that_it_publishes() -> None:
    """Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""
    secret, scheme = Secret("It's a Secret to Everybody"), Scheme("X-Hub-Signature-256", "sha256={hex}")
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert header_of([secret], scheme, "", 0, b"Hello, World!") == ("X-Hub-Signature-256", f"sha256={digest}")


@pytest.mark.parametrize(
    "scheme",
    [Scheme("X", "t={t},v1={hex}", "{t}.{body}"), Scheme("X", "{base64}", "{webhook-id}.{body}"), Scheme("X")],
)
def test_what_we_sign_is_known_as_ours_and_masked_where_it_is_shown(scheme: Scheme) -> None:
    name, given = header_of([Secret("s")], scheme, "lead_7.2", 1_000, BODY)
    headers = {name.lower(): given, "webhook-id": "lead_7.2"}
    assert is_signed(scheme, Secret("s"), headers, BODY, 1_000_000)
    assert not is_signed(scheme, Secret("s"), headers, BODY + b" ", 1_000_000)
    shown = header_of([Secret("s")], scheme, "lead_7.2", 1_000, None)[1]
    assert shown == scheme.form.replace("{hex}", "***").replace("{base64}", "***").replace("{t}", "1000")
