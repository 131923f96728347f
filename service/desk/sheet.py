"""Leads as a spreadsheet: the CSV that `leads list --csv` prints, and what the desk exports, as CSV or XLSX.

Invariant: decides nothing about leads and prints nothing. No cell is a formula: programs that open a CSV take what
begins with `=`, `+`, `-` or `@` for one (OWASP, "CSV Injection"), so there such a cell gets a `'` before it, numbers
too; in XLSX each cell is written as the text it is.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from service.destinations.template import as_text
from service.lib.times import timestamp
from service.model.form import Form
from service.model.lead import Content
from service.store.archive import KeptLead

LONGEST_CELL: Final = 32_767
"""Characters that a cell of XLSX can have (ECMA-376, and what Excel opens)."""
_BEGINS_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns: what a lead is, each field of the forms, extras as JSON, how it stands at each destination."""

    fields: tuple[str, ...]
    destinations: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        said = [*(f"fields.{name}" for name in self.fields), "extra"]
        return [
            "first_seen_at",
            "form",
            "id",
            "version",
            *said,
            *(f"destinations.{name}" for name in self.destinations),
        ]

    def row(self, lead: KeptLead) -> list[str]:
        """Return the row of the latest version of a lead."""
        return [*_beginning(lead), *_said(lead, self.fields), *_states(lead, self.destinations)]


def columns_of(forms: Sequence[Form], owed: Iterable[str]) -> Columns:
    """Return the columns for leads of these forms; `owed` are destinations that have or had any of them to get."""
    fields = dict.fromkeys(name for form in forms for name in form.fields)
    return Columns(tuple(fields), tuple(dict.fromkeys([*(name for form in forms for name in form.deliver), *owed])))


def sheet(leads: Iterable[KeptLead], forms: Sequence[Form]) -> str:
    """Return the CSV (RFC 4180): a row that names the columns, then a row for the latest version of each lead."""
    listed = list(leads)
    columns = columns_of(forms, (each.destination for lead in listed for each in lead.deliveries))
    return "".join(csv_line(cells) for cells in (columns.names, *map(columns.row, listed)))


def csv_line(cells: Iterable[str]) -> str:
    """Return a row of a CSV."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(map(safe, cells))
    return text.getvalue()


def safe(cell: str) -> str:
    """Return the cell so that no program takes it for a formula."""
    return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) else cell


class Workbook:
    """An XLSX file that is written row by row, each once, so that it takes no more memory the longer it gets."""

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        """Write to `file`; `names` are those of the columns."""
        from xlsxwriter import Workbook as Writer  # noqa: PLC0415 -- only for who exports

        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = Writer(file, options)
        self._sheet = self._book.add_worksheet("Leads")
        self._sheet.freeze_panes(1, 0)
        self._bold = self._book.add_format({"bold": True})
        self._rows = 0
        self._write(names, self._bold)

    def add(self, cells: Sequence[str]) -> None:
        """Write the next row."""
        self._write(cells, None)

    def close(self) -> None:
        """Finish the file."""
        self._book.close()

    def _write(self, cells: Sequence[str], style: object) -> None:
        for number, cell in enumerate(cells):
            fitting = cell if len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"
            self._sheet.write_string(self._rows, number, fitting, style)
        self._rows += 1


def _beginning(lead: KeptLead) -> list[str]:
    return [timestamp(lead.first_seen_at), lead.form, lead.id, str(len(lead.versions))]


def _said(lead: KeptLead, fields: Sequence[str]) -> list[str]:
    content = lead.versions[-1].content if lead.versions else Content({}, {})  # of an erased one nothing is left
    answers = [content.fields.get(name) for name in fields]
    extra = msgspec.json.encode(dict(content.extra)).decode() if content.extra else ""
    return [*("" if answer is None else as_text(answer.value) for answer in answers), extra]


def _states(lead: KeptLead, destinations: Sequence[str]) -> list[str]:
    states: Mapping[str, str] = {each.destination: each.state for each in lead.deliveries}
    return [states.get(name, "") for name in destinations]
