"""A secret that was never random is told from one that was; no real secret is ever suspected."""

import base64
import random
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lib.secret import Secret
from service.lib.weak_secrets import weakness


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize(
    "text",
    [
        "changeme", "changeme" * 4, "change-me-change-me-change-me-1234", "CHANGE_ME_TO_A_RANDOM_STRING_OF_32_CHARS",
        "secretsecretsecretsecretsecretsecret", "your-secret-key-goes-here-0123456789",
        "replace-this-with-your-own-secret",
        "please change this secret in production", "password-password-password-password1", "x" * 32, "0" * 64,
        "abababababababababababababababab", "0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrstuvwxyz012345",
        "98765432109876543210987654321098", "zyxwvutsrqponmlkjihgfedcba987654", "insert_secret_here_insert_secret_",
        "default-secret-default-secret-123", "placeholder placeholder placeholder", "my-secret-key-my-secret-key-00000",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_" + "QUJD" * 10,
        whsec(bytes(32)), whsec(b"n" * 32), whsec(b"changeme-changeme-changeme-changeme"), whsec(bytes(range(32))),
        whsec(b"this is a very secret test key for you"), "whsec_" + "changeme" * 4, "",
    ],
)  # fmt: skip
def test_what_was_never_random_is_found(text: str) -> None:
    why = weakness(Secret(text))
    assert bool(why) is bool(text)
    assert not text or text not in why


@pytest.mark.parametrize(
    "text",
    [
        "correct horse battery staple and seventeen geese", "my secret is that I like rasam more than sambar",
        "9e107d9d372bb6826bd81d3542a419d6", "31415926535897932384626433832795",
    ],
)  # fmt: skip
def test_what_only_its_owner_can_know_is_not(text: str) -> None:
    assert weakness(Secret(text)) == ""


def test_no_secret_made_by_chance_is_suspected() -> None:
    dice = random.Random(6)
    for _ in range(3_000):
        key = dice.randbytes(32)
        made = (key.hex(), base64.urlsafe_b64encode(key).decode(), base64.b64encode(key).decode(), whsec(key[:24]))
        assert not [text for text in made if weakness(Secret(text))]
    assert weakness(Secret(secrets.token_urlsafe(32))) == ""


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_looked_at_without_a_fault(text: str, is_signing: bool) -> None:
    assert weakness(Secret(f"whsec_{text}" if is_signing else text)) in {
        "", "is one piece over and over", "only counts up or down", "is a placeholder", "stands in a published example",
    }  # fmt: skip
