from collections.abc import Sequence

import phonenumbers
import pytest

from service.fields import phone
from service.fields.phone import Verdict
from service.model.lead import Phone
from service.model.problem import Code

EXPECTED = ("IN", "US", "GB", "AE")


def read(raw: str, country: str = "IN", countries: Sequence[str] = EXPECTED, confirm: str | None = None) -> Verdict:
    return phone.read(raw, country=country, countries=countries, confirm=confirm)


def accepted(verdict: Verdict) -> Phone:
    assert verdict.valid
    assert verdict.code is Code.PHONE_VALID
    assert verdict.phone is not None
    assert verdict.suggestion is None
    return verdict.phone


def e164(raw: str, country: str = "IN", countries: Sequence[str] = EXPECTED) -> str | None:
    return accepted(read(raw, country, countries)).e164


ONE_NUMBER = [
    "+91 89510 47001",
    "089510 47001",
    "8951047001",
    "91 89510 47001",
    "918951047001",
    "+91 91 89510 47001",
    "+91+91 89510 47001",
    "91+91 89510 47001",
    "91 91 89510 47001",
    "0091-89510-47001",
    "0091 91 89510 47001",
    "+0091 89510 47001",
    "00+91 89510 47001",
    "+91 0091 89510 47001",
    "++91 89510 47001",
    "+91 0 89510 47001",
    "+91 (0) 89510-47001",
    "(+91) 89510 47001",
    "[+91] 89510.47001",
    "tel:+91-89510-47001",
    "8951047001.0",
    "+918951047001.00",
    "8951047001.",
    "'8951047001",
    '"8951047001"',
    "89510 47001 /",
    "89510/47001",
    "89510,47001",
    "89510 \N{EN DASH} 47001",
    "89510\N{MINUS SIGN}47001",
    "89510\N{NO-BREAK SPACE}47001",
    "\N{TELEPHONE RECEIVER} 89510 47001",
    "8 9 5 1 0 4 7 0 0 1",
    "89510\t47001",
    "89510\n47001",
    "89510\r\n47001",
    "89510\N{ZERO WIDTH JOINER}47001",
    "\N{LEFT-TO-RIGHT EMBEDDING}+91 89510 47001\N{POP DIRECTIONAL FORMATTING}",
    "\N{ZERO WIDTH NO-BREAK SPACE}8951047001",
    "89510\N{SOFT HYPHEN}47001",
    "89510\x0047001",
    "८९५१०४७००१",  # Devanagari
    "೮೯೫೧೦೪೭೦೦೧",  # Kannada
    "٨٩٥١٠٤٧٠٠١",  # Arabic
    "۸۹۵۱۰۴۷۰۰۱",  # Persian
    "\uff18\uff19\uff15\uff11\uff10\uff14\uff17\uff10\uff10\uff11",  # full-width
    "\uff0b\uff19\uff11 ८९५१० 47001",
    "⑧⑨⑤①⓪④⑦⓪⓪①",
    "❽❾❺❶⓿❹❼⓿⓿❶",
    "8\ufe0f\u20e39\ufe0f\u20e35\ufe0f\u20e31\ufe0f\u20e30\ufe0f\u20e3 47001",  # keycap emoji
    " " * 300 + "8951047001" + "\n" * 300,
]


@pytest.mark.parametrize("raw", ONE_NUMBER)
def test_however_it_is_spelled_it_is_one_number(raw: str) -> None:
    found = accepted(read(raw))
    assert (found.e164, found.country, found.type) == ("+918951047001", "IN", "MOBILE")
    assert (found.national, found.international) == ("089510 47001", "+91 89510 47001")
    assert (found.raw, found.rest, found.extension) == (raw, None, None)


# Rule 1


def test_sixty_four_characters_are_read_and_sixty_five_are_not() -> None:
    assert e164("8951047001".center(64, "-")) == "+918951047001"
    assert read("8951047001".center(65, "-")).code is Code.PHONE_NOT_A_NUMBER


@pytest.mark.parametrize(
    "raw",
    ["", " ", "\n", "+", "-", "()", "\ud800", "8951047001\udfff", "9" * 65, "9" * 1_000_000, "\u0301" * 100_000],
)
def test_no_text_no_digit_and_no_end_are_no_number(raw: str) -> None:
    verdict = read(raw)
    assert verdict.code is Code.PHONE_NOT_A_NUMBER
    assert (verdict.valid, verdict.phone, verdict.suggestion) == (False, None, None)


# Rule 2


@pytest.mark.parametrize(
    "between", [" / ", "/", ",", ", ", " ; ", ";", " | ", "|", " & ", "&", " or ", " OR ", "or", " / / ", ", Mob: "]
)
def test_of_two_numbers_the_first_is_taken_and_the_other_kept(between: str) -> None:
    raw = f"98860 12345{between}89510 47001"
    found = accepted(read(raw))
    assert (found.e164, found.raw) == ("+919886012345", raw)
    assert found.rest in {"89510 47001", "Mob: 89510 47001"}


@pytest.mark.parametrize(
    ("raw", "number", "rest"),
    [
        ("1234 / 98860 12345", "+919886012345", "1234"),
        ("1800 123 456 / 98860 12345", "+919886012345", "1800 123 456"),
        ("9886012345/46", "+919886012345", "46"),
        ("080 2222 3333 / 34", "+918022223333", "34"),
        ("98860 12345, 89510 47001, 080 2222 3333", "+919886012345", "89510 47001, 080 2222 3333"),
        ("+91 98860 12345, +91 89510 47001", "+919886012345", "+91 89510 47001"),
        ("91 91 98860 12345 or 89510 47001", "+919886012345", "89510 47001"),
    ],
)
def test_the_first_valid_part_is_taken(raw: str, number: str, rest: str) -> None:
    found = accepted(read(raw))
    assert (found.e164, found.rest) == (number, rest)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("080/22223333", "+918022223333"),
        ("+91/98860/12345", "+919886012345"),
        ("98860,12345", "+919886012345"),
        ("9,886,012,345", "+919886012345"),
        ("1/415/555/2671", "+14155552671"),
        ("Ph/Mob: 98860 12345", "+919886012345"),
    ],
)
def test_a_separator_inside_one_number_parts_nothing(raw: str, number: str) -> None:
    found = accepted(read(raw))
    assert (found.e164, found.rest) == (number, None)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("98860 1234 / 89510 4700", Code.PHONE_TOO_SHORT),
        ("98860 1234 or 89510 4700", Code.PHONE_TOO_SHORT),
        ("2222 3333 & 4444 5555", Code.PHONE_MISSING_AREA_CODE),
        ("this or that", Code.PHONE_NOT_A_NUMBER),
        ("080/2222333", Code.PHONE_TOO_SHORT),
    ],
)
def test_where_no_part_is_valid_the_whole_or_the_first_says_why(raw: str, code: Code) -> None:
    assert read(raw).code is code


@pytest.mark.parametrize(
    "ending",
    [
        "ext 12",
        " ext 12",
        " ext. 12",
        " ext: 12",
        " Extn. 12",
        " extn 12",
        "x12",
        " X 12",
        "#12",
        " # 12",
        ";ext=12",
        ", ext 12",
        " (ext 12)",
        " ext. no. 12",
        " extension 12",
    ],
)
def test_an_extension_is_kept_apart(ending: str) -> None:
    found = accepted(read(f"080 2222 3333{ending}"))
    assert (found.e164, found.extension, found.rest) == ("+918022223333", "12", None)
    assert found.national == "080 2222 3333"


def test_an_extension_belongs_to_the_part_it_ends() -> None:
    found = accepted(read("080 2222 3333 ext 12 / 98860 12345 ext 7"))
    assert (found.e164, found.extension, found.rest) == ("+918022223333", "12", "98860 12345 ext 7")


def test_a_number_sign_before_the_number_is_no_extension() -> None:
    found = accepted(read("# 98860 12345"))
    assert (found.e164, found.extension) == ("+919886012345", None)


# Rule 3


@pytest.mark.parametrize(
    "words",
    [
        "mob",
        "Mob.:",
        "MOBILE",
        "ph",
        "Ph.",
        "Ph. No:",
        "Phone number:",
        "tel",
        "Tel.",
        "Tel :",
        "cell",
        "contact",
        "Contact No.",
        "number",
        "no.",
        "WhatsApp",
        "wa:",
        "Mobile/WhatsApp:",
        "MobileNo.",
        "PhNo",
        "\u2121",
        "\u2116",
    ],
)
def test_usual_words_are_dropped_before_and_behind(words: str) -> None:
    assert e164(f"{words} 98860 12345") == "+919886012345"
    assert e164(f"98860 12345 ({words})") == "+919886012345"
    assert e164(f"+91 {words} 98860 12345") == "+919886012345"


@pytest.mark.parametrize(
    "raw",
    [
        "call 98860 12345",
        "98860 12345 please",
        "1-800-FLOWERS",
        "98860xxxxx",
        "98860 12345x",
        "x98860 12345",
        "9.88601E+09",
        "phones 98860 12345",
        "दूरभाष 98860 12345",
        "98860 12345 m",
        "no",
        "abc",
        "98860@12345",
        "a" * 64,
        "98860=12345",
        "98860_12345",
    ],
)
def test_any_other_letter_or_sign_is_no_number(raw: str) -> None:
    assert read(raw).code is Code.PHONE_NOT_A_NUMBER


# Rules 4 and 5


@pytest.mark.parametrize(
    ("raw", "country", "number", "kind", "region"),
    [
        ("080 2222 3333", "IN", "+918022223333", "FIXED_LINE", "IN"),
        ("6122 345670", "IN", "+916122345670", "FIXED_LINE", "IN"),
        ("4155552671", "IN", "+914155552671", "FIXED_LINE", "IN"),
        ("415 555 2671", "US", "+14155552671", "FIXED_LINE_OR_MOBILE", "US"),
        ("020 7946 0018", "GB", "+442079460018", "FIXED_LINE", "GB"),
        ("+44 (0)20 7946 0018", "IN", "+442079460018", "FIXED_LINE", "GB"),
        ("011 91 89510 47001", "US", "+918951047001", "MOBILE", "IN"),
        ("+33 6 12 34 56 79", "IN", "+33612345679", "MOBILE", "FR"),
        ("+39 06 1234 5679", "IN", "+390612345679", "FIXED_LINE", "IT"),
        ("+1 416 555 0199", "IN", "+14165550199", "FIXED_LINE_OR_MOBILE", "CA"),
        ("+870 773111632", "IN", "+870773111632", "MOBILE", None),
        ("89510 47001", "in", "+918951047001", "MOBILE", "IN"),
    ],
)
def test_a_valid_number_of_any_country_and_type_is_welcome(
    raw: str, country: str, number: str, kind: str, region: str | None
) -> None:
    found = accepted(read(raw, country))
    assert (found.e164, found.type, found.country, found.flags) == (number, kind, region, ())


def test_without_a_known_country_the_first_known_expected_one_stands_in() -> None:
    assert e164("89510 47001", "XX", ("YY", "IN")) == "+918951047001"
    assert e164("+91 89510 47001", "XX", ()) == "+918951047001"
    assert not read("89510 47001", "XX", ()).valid
    assert not read("8", "", ()).valid


# Rule 6


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("+91 91 89510 47001", "IN", "+918951047001"),
        ("+91+91 89510 47001", "IN", "+918951047001"),
        ("+44 44 7400 123457", "IN", "+447400123457"),
        ("44 44 7400 123457", "IN", "+447400123457"),
        ("91 89510 47001", "IN", "+918951047001"),
        ("9189510 47001", "IN", "+918951047001"),
        ("1 415 555 2671", "IN", "+14155552671"),
        ("44 7400 123457", "IN", "+447400123457"),
        ("971 50 123 4568", "IN", "+971501234568"),
        ("91 89510 47001", "US", "+918951047001"),
        ("0091 89510 47001", "US", "+918951047001"),
    ],
)
def test_a_repair_into_a_valid_number_is_recorded(raw: str, country: str, number: str) -> None:
    found = accepted(read(raw, country))
    assert (found.e164, found.flags, found.raw) == (number, ("repaired",), raw)


@pytest.mark.parametrize("raw", ["0091-89510-47001", "+91 0 89510 47001", "089510 47001", "+918951047001"])
def test_what_can_be_dialled_as_it_is_was_not_repaired(raw: str) -> None:
    assert accepted(read(raw)).flags == ()


@pytest.mark.parametrize("raw", ["1 415 555 2671", "1-415-555-2671", "(415) 555-2671", "+1 415 555 2671"])
def test_the_one_of_north_america_is_no_missing_plus_at_home(raw: str) -> None:
    found = accepted(read(raw, "US"))
    assert (found.e164, found.flags) == ("+14155552671", ())


@pytest.mark.parametrize(
    ("raw", "countries", "suggestion"),
    [
        ("1 415 555 2671", ("IN",), None),
        ("44 7400 123457", ("IN", "US"), None),
        ("1 416 555 0199", ("IN", "US"), "+14165550199"),
    ],
)
def test_only_expected_countries_get_their_plus(raw: str, countries: Sequence[str], suggestion: str | None) -> None:
    verdict = read(raw, "IN", countries)
    assert (verdict.valid, verdict.suggestion) == (False, suggestion)


# Rule 7 and its sentences


@pytest.mark.parametrize(
    ("raw", "country", "code", "values"),
    [
        ("9", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("+91", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("00", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("98860 1234", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("9886012", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("+91 98860123", "US", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("07400 12345", "GB", Code.PHONE_TOO_SHORT, {"country": "GB", "n": "10"}),
        ("416 555 019", "CA", Code.PHONE_TOO_SHORT, {"country": "CA", "n": "10"}),
        ("98860 123456", "IN", Code.PHONE_TOO_LONG, {"country": "IN", "n": "10"}),
        ("98860 1234567", "IN", Code.PHONE_TOO_LONG, {"country": "IN", "n": "10"}),
        ("98860 12345 98860 12345", "IN", Code.PHONE_TOO_LONG, {"country": "IN", "n": "10"}),
        ("+44 7400 123456 78901234", "IN", Code.PHONE_TOO_LONG, {"country": "GB", "n": "10"}),
        ("+65 8123 45678", "IN", Code.PHONE_TOO_LONG, {"country": "SG", "n": "8"}),
        ("+55 11 9123", "IN", Code.PHONE_TOO_SHORT, {"country": "BR", "n": "10 to 11"}),
        ("+598 94 231", "IN", Code.PHONE_TOO_SHORT, {"country": "UY", "n": "8"}),
        ("+62 812 3456 7890 12", "IN", Code.PHONE_TOO_LONG, {"country": "ID", "n": "9 to 12"}),
        ("+800 1234 567", "IN", Code.PHONE_TOO_SHORT, {"country": "001", "n": "4 to 14"}),
        ("22223333", "IN", Code.PHONE_MISSING_AREA_CODE, {}),
        ("2222 333", "IN", Code.PHONE_MISSING_AREA_CODE, {}),
        ("+91 5222 3333", "IN", Code.PHONE_MISSING_AREA_CODE, {}),
        ("62223333", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("12223333", "IN", Code.PHONE_TOO_SHORT, {"country": "IN", "n": "10"}),
        ("555-2671", "US", Code.PHONE_MISSING_AREA_CODE, {}),
        ("7946 0018", "GB", Code.PHONE_MISSING_AREA_CODE, {}),
        ("+999 1234 5678", "IN", Code.PHONE_INVALID_COUNTRY_CODE, {"code": "999"}),
        ("00999 1234 5678", "IN", Code.PHONE_INVALID_COUNTRY_CODE, {"code": "999"}),
        ("+0 1234", "IN", Code.PHONE_INVALID_COUNTRY_CODE, {"code": "0"}),
    ],
)
def test_a_wrong_length_is_told_with_the_right_one(raw: str, country: str, code: Code, values: dict[str, str]) -> None:
    verdict = read(raw, country)
    assert (verdict.code, dict(verdict.values), verdict.phone) == (code, values, None)


def test_a_length_between_two_right_ones_is_invalid() -> None:
    # Mobile numbers of Iceland have 7 or 9 digits.
    verdict = read("+354 3812 3456")
    assert (verdict.code, dict(verdict.values)) == (Code.PHONE_INVALID_LENGTH, {"country": "IS", "n": "7 to 9"})


# Rule 8

UNKNOWN_PREFIX = "+1 999 555 2671"


def test_the_right_length_with_an_unknown_prefix_is_asked_about() -> None:
    verdict = read(UNKNOWN_PREFIX)
    assert (verdict.code, verdict.phone) == (Code.PHONE_INVALID_BUT_POSSIBLE, None)
    assert read(UNKNOWN_PREFIX, confirm="+1 999 555 2672").code is Code.PHONE_INVALID_BUT_POSSIBLE
    assert read(UNKNOWN_PREFIX, confirm="").code is Code.PHONE_INVALID_BUT_POSSIBLE


@pytest.mark.parametrize(
    "confirm", [UNKNOWN_PREFIX, f" {UNKNOWN_PREFIX}\t", "+1\t999\u200d 555 \uff12\uff16\uff17\uff11"]
)
def test_the_same_number_confirmed_is_accepted_and_flagged(confirm: str) -> None:
    found = accepted(read(UNKNOWN_PREFIX, confirm=confirm))
    assert (found.e164, found.flags, found.type) == ("+19995552671", ("unverified",), "UNKNOWN")


def test_a_confirmed_number_may_have_company_and_be_junk() -> None:
    found = accepted(read("999-999-9999 & 12", "US", confirm="999-999-9999 & 12"))
    assert (found.e164, found.flags, found.rest) == ("+19999999999", ("unverified", "junk"), "12")


@pytest.mark.parametrize("raw", ["98860 1234", "", "abc", "1800 123 456", "22223333"])
def test_confirming_helps_no_other_refusal(raw: str) -> None:
    assert read(raw, confirm=raw) == read(raw)
    assert not read(raw, confirm=raw).valid


def test_a_confirmation_changes_nothing_about_a_valid_number() -> None:
    assert read("98860 12345", confirm="98860 12345") == read("98860 12345")


def test_an_indian_mobile_with_a_prefix_newer_than_the_metadata_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonenumbers, "number_type", lambda _: phonenumbers.PhoneNumberType.UNKNOWN)
    for raw in ("98860 12345", "+91 6886 012345"):
        found = accepted(read(raw))
        assert (found.type, found.flags, found.country) == ("UNKNOWN", (), "IN")
    assert read("58860 12345").code is Code.PHONE_INVALID_BUT_POSSIBLE
    assert read("+44 7400 123457").code is Code.PHONE_INVALID_BUT_POSSIBLE


# Rule 9


@pytest.mark.parametrize(
    "raw",
    [
        "9999999999",
        "7777777777",
        "1234567890",
        "2345678901",
        "9876543210",
        "+91 98765 43210",
        "9898989898",
        "1231231231",
        "8123456789",
        "7410410123",
        "+1 201 555 0123",
        "+44 7400 123456",
    ],
)
def test_junk_is_accepted_and_flagged(raw: str) -> None:
    assert accepted(read(raw)).flags == ("junk",)


@pytest.mark.parametrize("raw", ["9999999998", "9886098860", "9876543211", "9900990012", "8951047001", "9000000000"])
def test_a_number_easy_to_remember_is_not_junk(raw: str) -> None:
    assert accepted(read(raw)).flags == ()


def test_junk_may_be_repaired_too() -> None:
    assert accepted(read("91 98765 43210")).flags == ("repaired", "junk")


# Rule 10


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        ("1800 123 456", "IN"),  # toll-free
        ("1860 345 1234", "IN"),  # shared cost
        ("1861 1234 56789", "IN"),  # premium rate
        ("140 930 5260", "IN"),  # UAN
        ("+1 888 555 1234", "IN"),
        ("1 888 555 1234", "IN"),
        ("+800 1234 5678", "IN"),
        ("07640 123459", "GB"),  # pager
    ],
)
def test_a_number_that_nobody_can_be_called_on_is_unsupported(raw: str, country: str) -> None:
    verdict = read(raw, country)
    assert (verdict.code, verdict.suggestion, verdict.phone) == (Code.PHONE_UNSUPPORTED_TYPE, None, None)


# Suggestions


@pytest.mark.parametrize(
    ("raw", "suggestion"),
    [
        ("+9886012345", "+919886012345"),
        ("+0 98860 12345", "+919886012345"),
        ("+0 91 98860 12345", "+919886012345"),
        ("091 98860 12345", "+919886012345"),
        ("+1 98860 12345", "+919886012345"),
        ("+44 98860 12345", "+919886012345"),
        ("+91 98860+12345", "+919886012345"),
        ("+91 +98860 12345", "+919886012345"),
        ("98860 1234", None),
        ("988601234567", None),
        ("22223333", None),
        ("98860xxxxx", None),
        ("+999 1234 5678", None),
    ],
)
def test_the_number_that_was_likely_meant_is_suggested(raw: str, suggestion: str | None) -> None:
    verdict = read(raw)
    assert (verdict.valid, verdict.suggestion) == (False, suggestion)


def test_warming_takes_any_region_and_changes_no_verdict() -> None:
    before = [read(raw) for raw in ONE_NUMBER]
    phone.warm(["IN", "US", "XX", ""])
    assert [read(raw) for raw in ONE_NUMBER] == before
