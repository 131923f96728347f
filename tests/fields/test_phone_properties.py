import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from service.fields import phone
from service.fields.phone import Verdict
from service.model import languages
from service.model.problem import CATALOGUE, Problem
from service.replies.wording import sentence

EXPECTED = ("IN", "US", "GB", "AE")
QUICK = settings(max_examples=150, deadline=None, derandomize=True)

DIGIT_SCRIPTS = ["0123456789", "०१२३४५६७८९", "೦೧೨೩೪೫೬೭೮೯", "٠١٢٣٤٥٦٧٨٩", "".join(map(chr, range(0xFF10, 0xFF1A)))]
NUMBERS = ["+918951047001", "+919886012345", "+918022223333", "+14155552671", "+447400123457", "+971501234568"]

junk_alphabet = st.sampled_from("0123456789+-()./,;|&#x or\t\u200dextmobMOBphno⑧८\ud800\u0301@*~")
anything = st.one_of(st.text(max_size=80), st.text(junk_alphabet, max_size=70), st.from_regex(r"[+0]{0,3}[0-9]{0,16}"))
regions = st.sampled_from(["IN", "US", "GB", "AE", "DE", "BR", "IT", "AR", "MX", "SG", "XX", ""])


def read(raw: str, country: str = "IN", confirm: str | None = None) -> Verdict:
    return phone.read(raw, country=country, countries=EXPECTED, confirm=confirm)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a valid number and one way to write it down."""
    e164 = draw(st.sampled_from(NUMBERS))
    number = phonenumbers.parse(e164)
    digits = phonenumbers.national_significant_number(number)
    code = str(number.country_code)
    prefixes = [f"+{code} ", f"+{code}-", f"(+{code})", f"00{code}", f"+{code}{code}", f"+{code} +{code} ", f"{code} "]
    if code == "91":
        prefixes += ["", "0", "+91 0", "+91 (0)"]
    script = str.maketrans(DIGIT_SCRIPTS[0], draw(st.sampled_from(DIGIT_SCRIPTS)))
    gaps = st.sampled_from(["", "", "", " ", "-", ".", "\u2013", "\t", "\u200d", "\u00a0", ") ", " ("])
    spelled = "".join(digit + draw(gaps) for digit in digits)
    word = draw(st.sampled_from(["", "Mob.: ", "Ph. No. ", "tel:", "WhatsApp ", "\u202a", "  "]))
    return e164, f"{word}{draw(st.sampled_from(prefixes))}{spelled}".translate(script)


@QUICK
@given(anything, regions, st.booleans())
def test_any_text_gets_a_verdict_of_the_catalogue(raw: str, country: str, confirm: bool) -> None:
    verdict = read(raw, country, raw if confirm else None)
    assert verdict.code in CATALOGUE
    assert verdict.code.startswith("PHONE_")
    assert verdict.valid == (verdict.phone is not None)
    assert "{" not in sentence(Problem(verdict.code, values=verdict.values), languages.load("en"))


@QUICK
@given(spellings())
def test_any_spelling_of_a_number_is_that_number(case: tuple[str, str]) -> None:
    e164, raw = case
    found = read(raw).phone
    assert found is not None
    assert (found.e164, found.raw, found.rest) == (e164, raw, None)


@QUICK
@given(anything, regions)
def test_what_is_accepted_reads_as_itself_again_in_every_form(raw: str, country: str) -> None:
    found = read(raw, country).phone
    if found is not None:
        assert found.e164 is not None
        for spelled in (found.e164, found.international):
            assert spelled is not None
            again = read(spelled, country).phone
            assert again is not None
            assert (again.e164, again.type, again.country) == (found.e164, found.type, found.country)


@QUICK
@given(anything, regions)
def test_a_suggestion_is_a_valid_number_written_in_e164(raw: str, country: str) -> None:
    suggestion = read(raw, country).suggestion
    if suggestion is not None:
        suggested = read(suggestion, country).phone
        assert suggested is not None
        assert suggested.e164 == suggestion


@QUICK
@given(anything)
def test_the_same_text_always_gets_the_same_verdict(raw: str) -> None:
    assert read(raw) == read(raw)


@QUICK
@given(st.from_regex(r"[6-9][0-9]{9}", fullmatch=True))
def test_ten_digits_from_six_to_nine_are_a_number_of_india(digits: str) -> None:
    verdict = read(digits)
    assert verdict.phone is not None
    assert verdict.phone.e164 == f"+91{digits}"


@pytest.mark.parametrize("kind", [PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.VOIP])
def test_the_example_numbers_of_every_region_are_accepted_and_read_as_themselves(kind: int) -> None:
    phonenumbers.enable_pattern_cache()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            found = read(e164).phone
            assert found is not None, e164
            assert found.e164 == e164
            # Of the regions that share a calling code, the library names the first that fits.
            assert found.country in phonenumbers.region_codes_for_country_code(number.country_code or 0)
            assert found.country != region or "junk" in found.flags
