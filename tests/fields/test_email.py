import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from service.fields import email
from service.fields.email import Email

QUICK = settings(max_examples=200, deadline=None, derandomize=True)

anything = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("abAB.+@,;<> \r\n\"'gmailyhoocé\ud800\u0301\uff0d"), max_size=40),
    st.builds("{}@{}.{}".format, st.text(max_size=20), st.text(max_size=20), st.sampled_from(["com", "co.in", "con"])),
    st.emails(),
)


def read(raw: str) -> Email:
    found = email.read(raw)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("raw", "address", "key"),
    [
        ("asha@example.com", "asha@example.com", "asha@example.com"),
        ("  asha@example.com\r\n", "asha@example.com", "asha@example.com"),
        ("Asha.Rao@Example.COM", "Asha.Rao@example.com", "asha.rao@example.com"),
        ("Asha.Rao+clinic@GMAIL.com", "Asha.Rao+clinic@gmail.com", "asharao@gmail.com"),
        ("asha.rao@googlemail.com", "asha.rao@googlemail.com", "asharao@gmail.com"),
        ("asha+clinic@example.com", "asha+clinic@example.com", "asha+clinic@example.com"),
        ("+clinic@gmail.com", "+clinic@gmail.com", "+clinic@gmail.com"),
        ("rene\u0301@example.com", "ren\u00e9@example.com", "ren\u00e9@example.com"),
        ("asha@xn--bcher-kva.de", "asha@bücher.de", "asha@bücher.de"),
    ],
)
def test_an_address_is_delivered_as_it_was_meant_and_known_by_its_key(raw: str, address: str, key: str) -> None:
    assert read(raw) == Email(address, key)


LOCALS = ["asha", "a.b+c", "Postmaster", "info", "x" * 64, "x" * 65, ".a", "a..b", "", '"q q"', "é", "(c)a"]
DOMAINS = [
    "example.com", "Example.COM", "gmial.con", "xn--bcher-kva.de", "bücher.de", "\uff45xample.com", "localhost",
    "-a.com", "a.com.", "[127.0.0.1]", "1.2.3.4", "", "a@b.com", "a b.com", "y" * 64 + ".com", "z." * 94 + "com",
]  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_that_is_remembered_changes_no_answer(domain: str) -> None:
    for sent in [f"{local}@{domain}" for local in LOCALS] * 2:
        found = email.read(sent)
        try:
            whole = (
                validate_email(sent, check_deliverability=False).normalized if len(sent) <= email.MAX_LENGTH else None
            )
        except EmailNotValidError:
            whole = None
        assert (found and found.address) == whole


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "asha",
        "asha@",
        "@example.com",
        "asha@gmail",
        "asha@gmail,com",
        "asha@@gmail.com",
        "as ha@gmail.com",
        "asha@gmail.com, ravi@gmail.com",
        "Asha <asha@gmail.com>",
        "asha@[127.0.0.1]",
        '"as ha"@example.com',
        "asha@gmail.com\r\nBcc: x@example.com",
        "as\nha@example.com",
        "as\rha@example.com",
        "asha\x00@example.com",
        "asha@exa\nmple.com",
        "asha\ud800@example.com",
        "asha@\udfff.com",
        "a" * 245 + "@gmail.com",
        "a@b" * 100_000,
    ],
)
def test_what_is_no_address_is_none(raw: str) -> None:
    assert email.read(raw) is None


def test_254_characters_are_an_address_and_255_are_not() -> None:
    label = "b" * 47
    longest = f"{'a' * 58}@{'.'.join([label] * 4)}.com"
    assert len(longest) == 254
    assert email.read(longest) is not None
    assert email.read(f"a{longest}") is None


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.cm", "gmail.com"),
        ("gmail.co.in", "gmail.com"),
        ("GMIAL.COM", "gmail.com"),
        ("gnail.con", "gmail.com"),
        ("yaho.com", "yahoo.com"),
        ("yahooo.co.in", "yahoo.co.in"),
        ("yahoo.con", "yahoo.com"),
        ("hotmial.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("rediffmai.com", "rediffmail.com"),
        ("redifmail.com", "rediffmail.com"),
        ("iclould.com", "icloud.com"),
        ("protonmial.com", "protonmail.com"),
        ("yahoo.co.inn", "yahoo.co.in"),
        ("clinic.example.con", "clinic.example.com"),
    ],
)
def test_a_domain_that_looks_mistyped_is_accepted_with_a_suggestion(domain: str, meant: str) -> None:
    found = read(f"Asha.Rao@{domain}")
    assert found.address == f"Asha.Rao@{domain.lower()}"
    assert found.suggestion == f"Asha.Rao@{meant}"
    assert email.suggest(f"Asha.Rao@{domain}") == f"Asha.Rao@{meant}"


@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com",
        "GMail.com",
        "googlemail.com",
        "yahoo.com",
        "yahoo.co.in",
        "yahoo.in",
        "yahoo.co.uk",
        "ymail.com",
        "outlook.com",
        "outlook.in",
        "hotmail.com",
        "hotmail.co.uk",
        "rediff.com",
        "rediffmail.com",
        "icloud.com",
        "mail.com",
        "gmx.com",
        "example.com",
        "example.co",
        "live.in",
        "yahoo.fr",
        "gmail.example.com",
    ],
)
def test_a_right_domain_gets_no_suggestion(domain: str) -> None:
    assert read(f"asha@{domain}").suggestion is None
    assert email.suggest(f"asha@{domain}") is None


@pytest.mark.parametrize(
    "raw",
    [
        "asha@gmail,com",
        "asha@gmail",
        "asha@gmial",
        "asha@gmailcom",
        "asha@gmail com",
        "asha@@gmail.com",
        "asha @gmail.com",
        "asha@gmail..com",
        "asha@gmail.com.",
        "asha@gmail.com,",
        "<asha@gmail.com>",
        "mailto:asha@gmail,com",
        "asha\uff20gmail.com",
        ".asha@gmail.com",
        "asha.@gmail.com",
        "asha@gmail,con",
    ],
)
def test_an_invalid_address_is_suggested_mended(raw: str) -> None:
    assert email.read(raw) is None
    assert email.suggest(raw) == "asha@gmail.com"


@pytest.mark.parametrize(
    "raw", ["", "asha", "asha@", "@gmail.com", "asha@clinic", "asha@gmail.com, ravi@gmail.com", "@" * 300]
)
def test_what_nobody_can_guess_is_not_suggested(raw: str) -> None:
    assert email.suggest(raw) is None


@QUICK
@given(anything)
def test_any_text_is_an_address_that_reads_as_itself_or_none(raw: str) -> None:
    found = email.read(raw)
    if found is not None:
        again = read(found.address)
        assert (again.address, again.key) == (found.address, found.key)
        assert not any(character in found.address for character in "\r\n\0")


@QUICK
@given(anything)
def test_a_suggestion_is_valid_and_final(raw: str) -> None:
    suggestion = email.suggest(raw)
    if suggestion is not None:
        assert read(suggestion).suggestion is None
