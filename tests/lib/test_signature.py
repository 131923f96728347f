"""Signatures are those of Standard Webhooks, and hold only for what was signed."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook as Reference

from service.lib.secret import Secret
from service.lib.signature import hmac_hex, key_of, sign, timestamp_of, verify

KNOWN = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = Secret("whsec_" + base64.b64encode(b"x" * 32).decode())


def test_the_known_answer_comes_out() -> None:
    assert sign(KNOWN, ID, AT, BODY) == SIGNATURE


@settings(max_examples=60, derandomize=True, deadline=None)
@given(key=st.binary(min_size=24, max_size=64), text=st.text(), at=st.integers(0, 4_000_000_000))
def test_the_reference_library_makes_the_same_signature(key: bytes, text: str, at: int) -> None:
    secret = Secret("whsec_" + base64.b64encode(key).decode())
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    expected = Reference(secret.reveal()).sign("lead_1.1", datetime.fromtimestamp(at, UTC), text)
    assert sign(secret, "lead_1.1", at, body) == expected
    assert verify([secret], id="lead_1.1", timestamp=str(at), signatures=expected, body=body, now=at * 1000)


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, True),
        ({"signatures": f"v1,AAAA {SIGNATURE}"}, True),
        ({"secrets": [OTHER, KNOWN]}, True),
        ({"now": (AT + 300) * 1000}, True),
        ({"now": (AT - 300) * 1000}, True),
        ({"now": (AT + 301) * 1000}, False),
        ({"now": (AT - 301) * 1000}, False),
        ({"secrets": [OTHER]}, False),
        ({"secrets": []}, False),
        ({"signatures": ""}, False),
        ({"signatures": SIGNATURE.replace("v1", "v2")}, False),
        ({"signatures": "ü"}, False),
        ({"signatures": "\udc80"}, False),
        ({"id": "msg_other"}, False),
        ({"body": b'{"test": 2432232315}'}, False),
        ({"timestamp": ""}, False),
        ({"timestamp": "1614265330.0"}, False),
        ({"timestamp": "-1"}, False),
        ({"timestamp": "١٦١٤٢٦٥٣٣٠"}, False),
        ({"timestamp": "9" * 5_000}, False),
    ],
)
def test_a_signature_holds_only_for_what_was_signed_and_only_for_a_while(changed: dict[str, Any], holds: bool) -> None:
    asked: dict[str, Any] = {"id": ID, "timestamp": str(AT), "signatures": SIGNATURE, "body": BODY, "now": AT * 1000}
    secrets = changed.pop("secrets", [KNOWN])
    assert verify(secrets, **(asked | changed)) is holds


@pytest.mark.parametrize("size", [24, 25, 32, 63, 64])
def test_a_key_of_24_to_64_bytes_is_taken_with_or_without_padding(size: int) -> None:
    encoded = base64.b64encode(b"k" * size).decode()
    assert key_of(Secret(f"whsec_{encoded}")) == key_of(Secret(f"whsec_{encoded.rstrip('=')}")) == b"k" * size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
        ("whsec_", "0 bytes"),
        ("whsec_c2hvcnQ=", "5 bytes"),
        ("whsec_" + base64.b64encode(b"k" * 65).decode(), "65 bytes"),
        ("whsec_not base64 at all, no", "not base64"),
        ("whsec_üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü", "not base64"),
        ("whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(), "not base64"),
    ],
)
def test_any_other_key_is_refused_without_being_repeated(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        key_of(Secret(text))
    assert text.removeprefix("whsec_") not in str(refusal.value) or text == "whsec_"
    assert refusal.value.__cause__ is None


def test_a_hexadecimal_hmac_has_the_answer_of_rfc_4231() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_hex(Secret("Jefe"), b"what do ya want for nothing?") == expected


@pytest.mark.parametrize("header", ["", "-1", "1.5", "1e3", " 1", "٣", "9" * 17])
def test_a_timestamp_is_ascii_digits_and_not_too_many(header: str) -> None:
    assert timestamp_of("1722370035529") == 1_722_370_035_529
    assert timestamp_of(header) is None
