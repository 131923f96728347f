"""Leads as CSV: every value where its column says, and no cell that a spreadsheet takes for a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.desk.sheet import safe, sheet
from service.model.form import Field, Form
from service.model.lead import Answer, Content
from service.store.archive import KeptDelivery, KeptLead, KeptVersion

FORM = Form("get-in-touch", {"name": Field("name"), "phone": Field("phone", "phone"), "age": Field("age")}, ("crm",))
OTHER = Form("call-me", {"phone": Field("phone", "phone"), "again": Field("again", "boolean")}, ("crm", "mail"))


def kept(form: Form, extra: dict[str, str] | None = None, **fields: str | float | bool) -> KeptLead:
    content = Content({name: Answer(value) for name, value in fields.items()}, extra or {})
    old = KeptVersion(1, 0, 0, 1, Content({"name": Answer("before")}, {}))
    states = {1: "superseded", 2: "delivered"}
    sent = tuple(KeptDelivery(name, states, 0, None, leased=False, attempts=(), why={}) for name in form.deliver)
    return KeptLead("lead_1", form.name, 1_795_344_127_120, 0, (), (old, KeptVersion(2, 0, 0, 2, content)), sent)


def rows(*leads: KeptLead, forms: tuple[Form, ...] = (FORM,)) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet(leads, forms)), strict=True))


def test_a_row_is_a_lead_as_its_latest_version_says() -> None:
    lead = kept(FORM, {"colour": "blue, or green"}, name='Asha "A" Rao\nsecond line', phone="+918951047001", age=41)
    assert rows(lead) == [
        {
            "first_seen_at": "2026-11-22T10:42:07.120Z",
            "form": "get-in-touch",
            "id": "lead_1",
            "version": "2",
            "fields.name": 'Asha "A" Rao\nsecond line',
            "fields.phone": "'+918951047001",
            "fields.age": "41",
            "extra": '{"colour":"blue, or green"}',
            "destinations.crm": "delivered",
        }
    ]


def test_of_several_forms_each_has_its_columns() -> None:
    first, second = rows(kept(FORM, name="Asha"), kept(OTHER, again=True), forms=(FORM, OTHER))
    assert (first["fields.name"], first["fields.again"], first["destinations.mail"]) == ("Asha", "", "")
    assert (second["fields.name"], second["fields.again"], second["destinations.mail"]) == ("", "true", "delivered")


def test_without_leads_the_columns_are_named() -> None:
    assert sheet([], [FORM]).startswith('"first_seen_at","form","id","version","fields.name"')


@pytest.mark.parametrize(
    "cell", ["=1+1", "+91 89510", "-5", "@SUM(A1)", "\tx", "\rx", "\n=x", "=cmd|' /C calc'!A0", "\uff1d1", "\uff20x"]
)
def test_what_would_be_a_formula_is_text(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Asha", "'=1", " =1", "a=1", "1-2", "{=}"])
def test_what_is_none_is_left_alone(cell: str) -> None:
    assert safe(cell) == cell


@given(st.text(alphabet=st.sampled_from("=+-@\t\r\n\"',;ab") | st.characters(), max_size=30))
def test_no_cell_begins_a_formula_and_nothing_of_it_is_lost(text: str) -> None:
    text = text.replace("\x00", "")  # never kept: what is typed is cleaned of control characters
    [row] = rows(kept(FORM, {text or "x": text}, name=text, phone=text))
    assert not any(cell.startswith(tuple("=+-@\t\r\n")) for cell in row.values())
    assert (
        row["fields.name"].removeprefix("'" if text.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")) else "")
        == text
    )
