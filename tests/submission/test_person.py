"""Who a submission is from and what it says, as keyed hashes."""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import FORM, SECRET, content_of

from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.model.form import Field
from service.model.lead import Answer, Content, Source
from service.submission.facts import content_of as content_read_back
from service.submission.facts import facts
from service.submission.person import idempotency_key, identities, person_hash, person_keys, receipt_of

OTHER_SECRET = Secret("what only another clinic knows")
OTHER_FORM = replace(FORM, name="other")
TEXTS = st.text(max_size=20)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_no_part_of_a_hash_can_run_into_the_next(one: list[str], other: list[str]) -> None:
    assert (keyed_hash(SECRET, *one) == keyed_hash(SECRET, *other)) == (one == other)


@pytest.mark.parametrize("secret", ["short", "s" * 64, "s" * 65, "ключ" * 20])
def test_a_hash_is_hmac_sha256_of_its_parts_with_their_lengths(secret: str) -> None:
    named = b"\0\0\0\x06person\0\0\0\x03\xe0\xa4\x86"
    digest = hmac.digest(secret.encode(), named, "sha256")
    assert keyed_hash(Secret(secret), "person", "आ") == urlsafe_b64encode(digest[:18]).decode()


def test_a_hash_is_24_url_safe_characters() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{24}", keyed_hash(SECRET, "a"))


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ({"phone": "8951047001"}, {"phone"}),
        ({"email": "asha@example.com"}, {"email"}),
        ({"phone": "8951047001", "email": "asha@example.com", "name": "Asha"}, {"phone", "email"}),
        ({"name": "Asha"}, {"words"}),
        ({"colour": "red"}, {"words"}),
    ],
)
def test_a_person_is_known_by_phone_and_email_else_by_all_words(said: dict[str, str], kinds: set[str]) -> None:
    assert set(person_keys(SECRET, FORM, content_of(FORM, said))) == kinds


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("89510 47001 / 89510 47002", ("+918951047001", "+918951047002")),
        ("89510 47001, 080 2222 3333 or +1 212 736 5000", ("+918951047001", "+918022223333", "+12127365000")),
        ("89510 47001 / after six", ("+918951047001",)),
    ],
)
def test_every_number_in_one_field_finds_the_person_and_the_first_is_who_it_is(
    typed: str, numbers: tuple[str, ...]
) -> None:
    content = content_of(FORM, {"phone": typed})
    hashes = tuple(person_hash(SECRET, FORM.name, "phone", each) for each in numbers)
    assert identities(SECRET, FORM, content) == hashes
    assert person_keys(SECRET, FORM, content) == {"phone": hashes[0]}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"phone": "89510 47001"}, {"phone": "+91 (8951) 047001"}, True),
        ({"phone": "89510 47001"}, {"phone": "89510 47002"}, False),
        ({"email": "Asha.Rao+site@gmail.com"}, {"email": "asharao@googlemail.com"}, True),
        ({"email": "asha.rao@example.com"}, {"email": "asharao@example.com"}, False),
        ({"name": "Asha  Rao", "colour": "red"}, {"colour": " red", "name": "Asha Rao"}, True),
        ({"name": "Asha"}, {"message": "Asha"}, False),
        ({"name": "Asha"}, {"colour": "Asha"}, False),
    ],
)
def test_two_spellings_of_one_person_are_one(one: dict[str, str], other: dict[str, str], is_same: bool) -> None:
    keys = [person_keys(SECRET, FORM, content_of(FORM, said)) for said in (one, other)]
    assert (keys[0] == keys[1]) == is_same


def test_a_number_that_could_not_be_read_makes_no_person() -> None:
    content = Content({"phone": Answer("12", ("PHONE_TOO_SHORT",))}, {})
    assert set(person_keys(SECRET, FORM, content)) == {"words"}


def test_hashes_of_other_secrets_forms_and_purposes_never_meet() -> None:
    content = content_of(FORM, {"phone": "8951047001", "email": "asha@example.com"})
    hashes = [
        *person_keys(SECRET, FORM, content).values(),
        *person_keys(OTHER_SECRET, FORM, content).values(),
        *person_keys(SECRET, OTHER_FORM, content).values(),
        *(fact[0] for fact in facts(SECRET, FORM, content).values()),
        *(fact[0] for fact in facts(SECRET, OTHER_FORM, content).values()),
        idempotency_key(SECRET, FORM, "k", content),
        idempotency_key(SECRET, OTHER_FORM, "k", content),
        receipt_of(SECRET, FORM, "k", content),
        receipt_of(OTHER_SECRET, FORM, "k", content),
    ]
    given_hashes = [each for each in hashes if each]
    assert len(set(given_hashes)) == len(given_hashes)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"key": "k", "name": "Asha"}, {"key": "k", "name": " Asha "}, True),
        ({"key": "k", "name": "Asha"}, {"key": "K", "name": "Asha"}, False),
        ({"key": "k", "name": "Asha"}, {"key": "k", "name": "Ravi"}, False),
        ({"key": "k", "name": "Asha"}, {"key": "k", "name": "Asha", "colour": "red"}, False),
        ({"key": "k", "phone": "8951047001"}, {"key": "k", "phone": "+91 8951047001"}, True),
    ],
)
def test_an_idempotency_key_stands_for_itself_with_its_content(
    one: dict[str, str], other: dict[str, str], is_same: bool
) -> None:
    def both(said: dict[str, str]) -> tuple[str, str]:
        content = content_of(FORM, {name: text for name, text in said.items() if name != "key"})
        return idempotency_key(SECRET, FORM, said["key"], content), receipt_of(SECRET, FORM, said["key"], content)

    assert (both(one) == both(other)) == is_same
    assert both(one)[0] != both(one)[1]


def test_where_a_submission_came_from_is_not_part_of_what_a_key_stands_for() -> None:
    hashes = {idempotency_key(SECRET, FORM, "k", content_of(FORM, {"name": "Asha"}, page)) for page in ("", "/a", "/b")}
    assert len(hashes) == 1


def test_a_source_has_no_fingerprint() -> None:
    assert facts(SECRET, FORM, content_of(FORM, {"name": "Asha"}, "/a"))["source"][0] == ""


@given(
    name=st.text(min_size=1, max_size=30),
    extra=st.dictionaries(st.text(min_size=1, max_size=10), TEXTS, max_size=3),
    page=TEXTS,
)
def test_what_was_said_is_read_back_as_it_was(name: str, extra: dict[str, str], page: str) -> None:
    phone = content_of(FORM, {"phone": "8951047001"}).fields["phone"]
    said = Content({"name": Answer(name), "phone": phone}, dict(sorted(extra.items())), Source(page=page))
    packed = {each: fact[1] for each, fact in facts(SECRET, FORM, said).items()}
    assert content_read_back(FORM, json.loads(json.dumps(packed))) == said


@pytest.mark.parametrize("value", [7, 7.5, True, False, "7", "true", "", "j{", "s"])
def test_values_keep_their_type_and_flags(value: str | float | bool) -> None:
    form = replace(FORM, fields={**FORM.fields, "age": Field("age", "number")})
    for flags in ((), ("typo",)):
        content = Content({"age": Answer(value, flags)}, {})
        read = content_read_back(form, {name: fact[1] for name, fact in facts(SECRET, form, content).items()})
        assert read.fields["age"] == Answer(value, flags)
        assert type(read.fields["age"].value) is type(value)


def test_fields_are_read_back_in_the_forms_order_and_strangers_last() -> None:
    packed = {
        "fields.old": "sx",
        "fields.message": "shi",
        "fields.name": "sAsha",
        "extra.1": 'x["b","2"]',
        "extra.2": 'x["a","1"]',
    }
    content = content_read_back(FORM, packed)
    assert list(content.fields) == ["name", "message", "old"]
    assert list(content.extra) == ["a", "b"]
    assert content.source == Source()
