"""Leads as a spreadsheet: every value where its column says, none of it a formula, and all of it kept when opened."""

import csv
import io
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.desk.sheet import MOST_ROWS, Workbook, columns_of, csv_line, is_column, safe
from service.fields import phone
from service.model.form import Field, Form
from service.model.lead import CLICK_IDS, UTM, Answer, Content, Source
from service.store.archive import KeptDelivery, KeptLead, KeptVersion

INDIA = ZoneInfo("Asia/Kolkata")
FIELDS = {"name": Field("name"), "phone": Field("phone", "phone"), "age": Field("age", "number")}
FORM = Form("get-in-touch", FIELDS, ("crm",), timezone=INDIA)
OTHER = Form("call-me", {"phone": Field("phone", "phone"), "again": Field("again", "boolean")}, ("crm", "mail"))
SOURCE = Source(
    "https://www.example.com/knee", "https://search.example/", {"campaign": "monsoon"}, {"gclid": "Cj0"},
)  # fmt: skip


def number(typed: str) -> Answer:
    read = phone.read(typed, country="IN", countries=("IN",), confirm="").phone
    assert read
    assert read.e164
    return Answer(read.e164, (), read)


def kept(
    form: Form, extra: dict[str, str] | None = None, source: Source = SOURCE, **fields: str | float | bool | Answer
) -> KeptLead:
    said = {name: value if isinstance(value, Answer) else Answer(value) for name, value in fields.items()}
    content = Content(said, extra or {}, source, flags=("captcha_unverified",))
    old = KeptVersion(1, 0, 0, 1, Content({"name": Answer("before")}, {}))
    latest = KeptVersion(2, 1_795_381_200_000, 1_795_381_199_000, 2, content, {"links": 3})
    states = {1: "superseded", 2: "delivered"}
    sent = tuple(KeptDelivery(name, states, 0, None, leased=False, attempts=(), why={}) for name in form.deliver)
    return KeptLead("lead_1", form.name, 1_795_344_127_120, 0, (), (old, latest), sent)


def text_of(*leads: KeptLead, forms: tuple[Form, ...] = (FORM,)) -> str:
    columns = columns_of(forms, ())
    return "".join(map(csv_line, [columns.names, *map(columns.row, leads)]))


def rows(*leads: KeptLead, forms: tuple[Form, ...] = (FORM,)) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(*leads, forms=forms)), strict=True))


def test_a_row_is_a_lead_as_its_latest_version_says() -> None:
    name = 'Asha "A" Rao\nsecond line'
    lead = kept(FORM, {"colour": "blue, or green"}, name=name, phone=number("089510 47001"), age=41)
    assert rows(lead) == [
        {
            "first_seen_at": "2026-11-22 16:12:07",
            "received_at": "2026-11-23 02:29:59",
            "timezone": "Asia/Kolkata",
            "form": "get-in-touch",
            "id": "lead_1",
            "version": "2",
            "fields.name": 'Asha "A" Rao\nsecond line',
            "fields.phone": "+91 8951047001",
            "fields.age": "41",
            "extra": '{"colour":"blue, or green"}',
            "flags": "captcha_unverified, links",
            "source.page": "https://www.example.com/knee",
            "source.referrer": "https://search.example/",
            **{f"source.utm.{each}": "monsoon" if each == "campaign" else "" for each in UTM},
            **{f"source.click_ids.{each}": "Cj0" if each == "gclid" else "" for each in CLICK_IDS},
            "destinations.crm": "delivered",
        }
    ]


def test_of_several_forms_each_has_its_columns_and_its_time_zone() -> None:
    first, second = rows(kept(FORM, name="Asha"), kept(OTHER, again=True), forms=(FORM, OTHER))
    assert (first["fields.name"], first["fields.again"], first["destinations.mail"]) == ("Asha", "", "")
    assert (second["fields.name"], second["fields.again"], second["destinations.mail"]) == ("", "true", "delivered")
    assert (first["first_seen_at"], first["timezone"]) == ("2026-11-22 16:12:07", "Asia/Kolkata")
    assert (second["first_seen_at"], second["timezone"]) == ("2026-11-22 10:42:07", "UTC")


@pytest.mark.parametrize(
    ("path", "there_is"),
    [
        ("fields.name", True), ("extra.colour", True), ("phone.e164", True), ("source.first_touch.at", True),
        ("spam.score", True), ("destinations.crm", True), ("timezone", True), ("enquiries", True),
        ("fields.nmae", False), ("destinations.x", False), ("source.utm.x", False), ("changed", False), ("", False),
    ],
)  # fmt: skip
def test_whatever_a_placeholder_can_say_of_a_lead_may_be_a_column(path: str, there_is: bool) -> None:
    assert is_column(path, columns_of([FORM], ())) is there_is


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+91 89510 47001", "-5", "@SUM(A1)", "\tx", "\rx", "\n=x", "=cmd|' /C calc'!A0", "\uff1d1", "\uff20x"],
)
def test_what_would_be_a_formula_is_text(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Asha", "'=1", " =a", "a=1", "{=}"])
def test_what_is_none_is_left_alone(cell: str) -> None:
    assert safe(cell) == cell


@pytest.mark.parametrize(
    "cell",
    [
        "007", "0895104700", "12345678901234567", "1e5", "1.5E+3", "1,5e3", "1.50", ".5", "5.", "0.1234567890123456",
        "1,234", "1.234", "1 234", "1\u202f234", "1'234", "\u0966\u0966\u096d", "\uff10\uff17", "(5)", "5%", "$5",
        "\u20b95", "1-2", "1/2", "30.12.", "2026.01.02", "1 1/2", "10:30", "09:05 PM", "24:00", "Jan 5", "5-Jan-2026",
        "MARCH1",
    ],
)  # fmt: skip
def test_what_would_be_kept_as_another_number_or_as_a_day_is_text(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell",
    ["+91 8951047001", "0", "41", "1.5", "560001", "999999999999999", "2026-11-22", "2026-11-22 16:12:07", "5th"],
)
def test_what_is_kept_are_left_alone(cell: str) -> None:
    assert safe(cell) == cell


@given(st.text(alphabet=st.sampled_from("=+-@\t\r\n\"',;ab") | st.characters(), max_size=30))
def test_no_cell_begins_a_formula_and_nothing_of_it_is_lost(text: str) -> None:
    text = text.replace("\x00", "")  # never kept: what is typed is cleaned of control characters
    [row] = rows(kept(FORM, {text or "x": text}, name=text, phone=text))
    assert not [
        cell
        for cell in row.values()
        if cell.startswith(tuple("=+-@\t\r\n")) and not re.fullmatch(r"\+[0-9]{1,3} [0-9]+", cell)
    ]
    assert row["fields.name"] in (text, f"'{text}")


def test_a_workbook_has_numbers_as_numbers_and_goes_on_on_another_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_ROWS == 1_048_576
    monkeypatch.setattr("service.desk.sheet.MOST_ROWS", 3)
    with (tmp_path / "leads.xlsx").open("wb") as file:
        book = Workbook(file, ["a", "b"])
        for age in range(5):
            book.add(["=1+1", age])
        book.close()
    with ZipFile(tmp_path / "leads.xlsx") as opened:
        sheets = [opened.read(f"xl/worksheets/sheet{each}.xml").decode() for each in (1, 2, 3)]
    assert [each.count("<row ") for each in sheets] == [3, 3, 2]
    assert '<c r="B2"><v>0</v></c>' in sheets[0]
    assert not any("<f>" in each for each in sheets)


# What people write into forms, and what must stand in the cell when LibreOffice has opened the file.
SAID = [
    "=1+1", "+918951047001", "-5", "@x", "007", "12345678901234567", "1e5", "Asha", "80012", "1.50", "1,234", "1 234",
    "1/2", "10:30", "5%", "\u0966\u0966\u096d", "5 Jan",
]  # fmt: skip
LANGUAGES = {"English": 1033, "Polish": 1045, "French": 1036, "Russian": 1049, "German": 1031, "Hindi": 1081}


@pytest.mark.long
def test_libreoffice_stores_what_was_said_whatever_its_language(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not here: apt-get install libreoffice-calc")
    leads = [kept(FORM, name=said, phone=number("089510 47001"), age=41) for said in SAID]
    leads.append(kept(FORM, name="Jan", phone=number("+48 512 345 678"), age=41))
    columns = columns_of([FORM], ())
    with (tmp_path / "leads.xlsx").open("wb") as file:
        book = Workbook(file, columns.names)
        for lead in leads:
            book.add(columns.row(lead))
        book.close()
    (tmp_path / "leads.csv").write_text(text_of(*leads), "utf-8")

    def stored(name: str, *options: str) -> list[list[tuple[str, str]]]:
        """Return the kind and the value of each cell in the columns name, phone and age, but for the first row."""
        words = [office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", *options]
        subprocess.run(
            [*words, "--convert-to", "fods", "--outdir", tmp_path, tmp_path / name], check=True, capture_output=True
        )
        text = (tmp_path / name).with_suffix(".fods").read_text("utf-8")
        found = re.findall(r"<table:table-row.*?</table:table-row>", text, re.DOTALL)
        at = columns.names.index("fields.name")
        return [_cells(row)[at : at + 3] for row in found[1 : 1 + len(leads)]]

    phones = ["+91 8951047001"] * len(SAID) + ["+48 512345678"]
    names = [*SAID, "Jan"]
    kinds = ["float" if name == "80012" else "string" for name in names]
    assert stored("leads.xlsx") == [
        [("string", name), ("string", tel), ("float", "41")] for name, tel in zip(names, phones, strict=True)
    ]
    for language in LANGUAGES.values():
        for more in ("", ",false,true"):  # whether it looks for days, times and the like
            assert stored("leads.csv", f"--infilter=CSV:44,34,76,1,,{language}{more}") == [
                [(kind, safe(name)), ("string", tel), ("float", "41")]
                for kind, name, tel in zip(kinds, names, phones, strict=True)
            ]


def _cells(row: str) -> list[tuple[str, str]]:
    cells = []
    for attributes, inside in re.findall(r"<table:table-cell([^>]*?)(?:/>|>(.*?)</table:table-cell>)", row, re.DOTALL):
        kind = re.search(r'office:value-type="(\w+)"', attributes)
        many = re.search(r'number-columns-repeated="(\d+)"', attributes)
        value = unescape("\n".join(re.findall(r"<text:p>(.*?)</text:p>", inside, re.DOTALL)))
        cells += [(kind[1] if kind else "", value)] * (int(many[1]) if many else 1)
    return cells
