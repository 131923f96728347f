"""Every language says everything, with every placeholder; the one that a visitor prefers is found."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.config import Config
from service.config.read import parse
from service.model import languages
from service.model.form import Form, Messages
from service.model.problem import Code, Problem
from service.replies import wording
from service.replies.wording import country_name, sentence

OTHERS = [code for code in languages.codes() if code != "en"]
TABLES = ("messages", "sentences", "page", "labels")
CONFIG = '[forms.a]\nlanguage = "{}"\ndeliver = ["b"]\nfields.phone = {{ type = "phone" }}\n'
CONFIG += '[destinations.b]\ntype = "webhook"\nurl = "https://crm.example.com/"\n'


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("code", OTHERS)
def test_every_text_is_translated_with_its_placeholders(code: str, table: str) -> None:
    english, own = languages._read("en")[table], languages._read(code).get(table, {})
    assert own.keys() == english.keys()
    assert {key: placeholders(text) for key, text in own.items()} == {
        key: placeholders(text) for key, text in english.items()
    }
    same = [key for key, text in own.items() if text.strip("{}") == english[key].strip("{}") or not text.strip()]
    assert not same


def test_every_code_has_its_sentence_and_nothing_else_has() -> None:
    assert set(languages._read("en")["sentences"]) == set(Code)


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_that_no_native_speaker_has_checked_says_so(code: str) -> None:
    text = (languages.FOLDER / f"{code}.toml").read_text("utf-8")
    assert "A native speaker has yet to check these texts." in text.splitlines()[0]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("en", "This number is too short. A mobile number in India has 7 to 11 digits."),
        ("hi", "इस नंबर में अंक कम हैं। भारत में मोबाइल नंबर 7 से 11 अंकों का होता है।"),
        ("kn", "ಈ ಸಂಖ್ಯೆಯಲ್ಲಿ ಅಂಕಿಗಳು ಕಡಿಮೆ ಇವೆ. ಭಾರತ ದೇಶದ ಮೊಬೈಲ್ ಸಂಖ್ಯೆಯಲ್ಲಿ 7 ರಿಂದ 11 ಅಂಕಿಗಳಿರುತ್ತವೆ."),
        ("te", "ఈ నంబర్‌లో అంకెలు తక్కువగా ఉన్నాయి. మొబైల్ నంబర్‌లో 7 నుండి 11 అంకెలు ఉంటాయి (భారతదేశం)."),
    ],
)
def test_a_sentence_is_whole_in_its_language(code: str, told: str) -> None:
    problem = Problem(Code.PHONE_TOO_SHORT, values={"country": "IN", "n": "7 to 11"})
    assert sentence(problem, languages.load(code)) == told


@pytest.mark.parametrize("code", languages.codes())
@pytest.mark.parametrize("problem", list(Code))
def test_every_sentence_can_be_filled(code: str, problem: Code) -> None:
    language = languages.load(code)
    values = dict.fromkeys(placeholders(language.sentences[problem]), "IN")
    told = sentence(Problem(problem, values=values), language)
    assert told
    assert not re.search("[{}]", told)


def test_the_three_texts_of_the_design_stand_word_for_word() -> None:
    speaks = wording.of(Form("a", {}, ()))
    assert (speaks.success, speaks.failure, speaks.valid) == (
        "Thank you! Your submission has been received!",
        "Oops! Something went wrong while submitting the form.",
        "Valid number",
    )


def test_a_country_is_named_in_every_language() -> None:
    assert [country_name("IN", code) for code in ("en", "hi", "kn", "te")] == ["India", "भारत", "ಭಾರತ", "భారతదేశం"]
    assert country_name("IN", "xx-nowhere") == "India"


@pytest.mark.parametrize(
    ("tag", "code"),
    [("hi", "hi"), ("hi-IN", "hi"), ("HI_in", "hi"), (" te ", "te"), ("kn-Knda-IN", "kn"), ("hin", None), ("", None),
     ("ta", None), ("-", None), ("en-IN", "en"), ("../en", None)],
)  # fmt: skip
def test_a_tag_names_a_language(tag: str, code: str | None) -> None:
    assert languages.named(tag) == code


@pytest.mark.parametrize(
    ("setting", "asked", "accepted", "code"),
    [
        ("en", "hi", "te", "en"),
        ("kn", "hi", "te", "kn"),
        ("auto", "hi", "te", "hi"),
        ("auto", "ta", "te", "te"),
        ("auto", "", "te-IN,te;q=0.9,en;q=0.8", "te"),
        ("auto", "", "en-IN,hi;q=0.9", "en"),
        ("auto", "", "en;q=0.5, kn;q=0.7, hi; q=0.6", "kn"),
        ("auto", "", "ta, fr;q=0.9, hi;q=0.1", "hi"),
        ("auto", "", "hi;q=0", "en"),
        ("auto", "", "hi;q=x, te;Q=0.1", "te"),
        ("auto", "", "*", "en"),
        ("auto", "", "ta, *;q=0.5, hi;q=0.1", "en"),
        ("auto", "", "", "en"),
        ("auto", "", ",;,=;q", "en"),
        ("auto", "", "xx," * 50 + "hi", "en"),
    ],
)
def test_the_language_of_a_visitor_is_found(setting: str, asked: str, accepted: str, code: str) -> None:
    assert languages.choose(setting, asked, accepted) == code


@given(st.text(), st.text())
def test_whatever_is_asked_for_a_language_is_spoken(asked: str, accepted: str) -> None:
    assert languages.choose("auto", asked, accepted) in languages.codes()


def test_an_owner_s_words_are_said_in_their_language_only() -> None:
    form = Form("a", {}, (), language="auto", messages=Messages("Thanks"), translations={"hi": Messages("Shukriya")})
    assert wording.of(form).success == "Thanks"
    assert wording.of(form, asked="hi").success == "Shukriya"
    assert wording.of(form, asked="hi").failure == languages.load("hi").messages["failure"]
    assert wording.of(form, asked="te").success == languages.load("te").messages["success"]


def test_a_reply_says_its_language_and_whether_others_get_another() -> None:
    assert wording.of(Form("a", {}, (), language="kn"), accepted="hi").headers == {"Content-Language": "kn"}
    negotiated = {"Content-Language": "hi", "Vary": "Accept-Language"}
    assert wording.of(Form("a", {}, (), language="auto"), accepted="hi").headers == negotiated
    assert wording.of(accepted="hi").headers == negotiated


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the languages in a folder of their own, for a while."""
    shutil.copytree(languages.FOLDER, tmp_path / "languages")
    monkeypatch.setattr(languages, "FOLDER", tmp_path / "languages")
    forget()
    yield tmp_path / "languages"
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (languages.codes, languages.load, languages._read):
        cached.cache_clear()


def test_a_language_is_added_by_one_file(folder: Path) -> None:
    (folder / "ur.toml").write_text('direction = "rtl"\n[messages]\nsuccess = "شکریہ!"\n', "utf-8")
    found = parse(CONFIG.format("ur"), {}, lambda _: "")
    assert isinstance(found, Config)
    speaks = wording.of(found.forms["a"])
    assert (speaks.success, speaks.language.direction) == ("شکریہ!", "rtl")
    assert speaks.valid == "Valid number"
    assert country_name("IN", "ur") == "بھارت"
