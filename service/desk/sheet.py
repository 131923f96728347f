"""Leads as a spreadsheet: what `leads list` prints with `--csv` and `--xlsx`, and what the desk exports.

Invariant: decides nothing about leads and prints nothing. No cell is a formula: programs that open a CSV take what
begins with `=`, `+`, `-` or `@` for one (OWASP, "CSV Injection"), so there such a cell gets a `'` before it. So does
one that they would take for a number, a date or a time and not keep as it is. In XLSX each text is written as it is.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

import msgspec

from service.config.destinations.body import Reach
from service.desk.filters import flags_of
from service.destinations.envelope import SOURCE_GROUPS, values
from service.destinations.template import Json, as_text
from service.lib.times import at
from service.model.form import Form
from service.model.lead import Delivery, Lead, Phone
from service.store.archive import KeptLead, KeptVersion

Cell = str | int | float

LONGEST_CELL: Final = 32_767
"""Characters that a cell of XLSX can have (ECMA-376, and what Excel opens)."""
MOST_ROWS: Final = 1_048_576
"""Rows that a sheet of XLSX can have (the same)."""
LARGEST_NUMBER: Final = 10**15
"""Programs keep 15 digits of a number; one with more is written as text."""
TIMES: Final = ("first_seen_at", "received_at", "timestamp")
_OF_A_DELIVERY: Final = {"type", "changed", "webhook_id", "test"}
_BEGINS_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_PHONE: Final = re.compile(r"\+[0-9]{1,3} [0-9]{4,}")
"""A number that no program takes for a formula or, whatever separates thousands in its language, for a number."""
_KEPT: Final = re.compile(
    r"(?![0-9]{1,3}\.[0-9]{3}$)(?=.{1,15}$)(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?"
)
"""Figures that are the same number, day or time when they are read as one, in every language."""
_READ_AS_ANOTHER: Final = re.compile(
    r"[0-9.,]+e[+-]?[0-9]+|[0-9:. ]+[ap]\.?m\.?"
    r"|(?:[0-9]+[-/., ]*)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/.,: 0-9]*",
    re.IGNORECASE,
)
"""Figures with letters that are read as a number, a time or a day."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns there are, by the paths that placeholders of destinations have, and by a few names of its own.

    `zone` None: times are those of each form's own time zone.
    """

    names: tuple[str, ...]
    zones: dict[str, ZoneInfo]

    def row(self, lead: KeptLead) -> list[Cell]:
        """Return the row of the latest version of a lead."""
        zone = self.zones[lead.form]
        known = _known(lead, zone) | (_said(lead.versions[-1], lead, zone) if lead.versions else {})
        return [known.get(name, "") for name in self.names]


def columns_of(forms: Sequence[Form], owed: Iterable[str], *, zone: ZoneInfo | None = None) -> Columns:
    """Return the usual columns for leads of these forms; `owed` are destinations that have or had any of them to get.

    Times are those of `zone`; None: of each form's own.
    """
    destinations = [*(name for form in forms for name in form.deliver), *owed]
    names = [
        *("first_seen_at", "received_at", "timezone", "form", "id", "version"),
        *(f"fields.{name}" for form in forms for name in form.fields),
        *("extra", "flags", "source.page", "source.referrer"),
        *(f"source.{group}.{name}" for group, names in SOURCE_GROUPS.items() for name in names),
        *(f"destinations.{name}" for name in destinations),
    ]
    return Columns(tuple(dict.fromkeys(names)), {form.name: zone or form.timezone for form in forms})


def is_column(path: str, usual: Columns) -> bool:
    """Tell whether there is such a column, usual or not."""
    if path in usual.names:
        return True
    may_be = not path.startswith(("fields.", "destinations.")) and path not in _OF_A_DELIVERY
    return may_be and Reach(None, phone=True, never_extra=frozenset()).problem(path) is None


def csv_line(cells: Iterable[Cell]) -> str:
    """Return a row of a CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(safe(cell) if isinstance(cell, str) else cell for cell in cells)
    return text.getvalue()


def safe(cell: str) -> str:
    """Return the cell so that no program takes it for a formula, or for what it then keeps as something else."""
    if _PHONE.fullmatch(cell):
        return cell
    return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) or _is_read_as_another(cell) else cell


def _is_read_as_another(cell: str) -> bool:
    """Tell whether a program may read figures as something else: LibreOffice `1,234` as 1234, Excel `3-4` as a day.

    What it makes of figures of any script and the marks around them goes by its language and its settings.
    """
    if cell.startswith("'") or _KEPT.fullmatch(cell) or not any(each.isdecimal() for each in cell):
        return False
    return not any(each.isalpha() for each in cell) or bool(_READ_AS_ANOTHER.fullmatch(cell))


class Workbook:
    """An XLSX file that is written row by row, each once, so that it takes no more memory the longer it gets."""

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        """Write to `file`; `names` are those of the columns."""
        from xlsxwriter import Workbook as Writer  # noqa: PLC0415 -- only for who exports

        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = Writer(file, options)
        self._bold = self._book.add_format({"bold": True})
        self._names = names
        self._begin_sheet("Leads")

    def add(self, cells: Sequence[Cell]) -> None:
        """Write the next row, on another sheet when this one is full."""
        if self._rows == MOST_ROWS:
            self._begin_sheet(f"Leads {len(self._book.worksheets()) + 1}")
        self._write(cells, None)

    def close(self) -> None:
        """Finish the file."""
        self._book.close()

    def _begin_sheet(self, name: str) -> None:
        self._sheet = self._book.add_worksheet(name)
        self._sheet.freeze_panes(1, 0)
        self._rows = 0
        self._write(self._names, self._bold)

    def _write(self, cells: Sequence[Cell], style: object) -> None:
        for number, cell in enumerate(cells):
            if isinstance(cell, str):
                fitting = cell if len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"
                self._sheet.write_string(self._rows, number, fitting, style)
            else:
                self._sheet.write_number(self._rows, number, cell, style)
        self._rows += 1


def _known(lead: KeptLead, zone: ZoneInfo) -> dict[str, Cell]:
    """Return what is known of any lead, of an erased one too."""
    states: dict[str, Cell] = {f"destinations.{delivery.destination}": delivery.state for delivery in lead.deliveries}
    return states | {
        "first_seen_at": at(lead.first_seen_at, zone), "timezone": str(zone), "form": lead.form, "id": lead.id,
        "version": lead.version,
    }  # fmt: skip


def _said(latest: KeptVersion, lead: KeptLead, zone: ZoneInfo) -> dict[str, Cell]:
    """Return what a version says, by its paths."""
    content = latest.content
    whole = Lead(
        lead.id, lead.form, latest.version, content, latest.accepted_at, latest.received_at, lead.first_seen_at,
        latest.enquiries, latest.signals,
    )  # fmt: skip
    said = {path: _cell(value) for path, value in values(Delivery(whole, "lead.created")).items()}
    phones = {name: answer.phone for name, answer in content.fields.items() if answer.phone}
    times = dict(zip(TIMES, (lead.first_seen_at, latest.received_at, latest.accepted_at), strict=True))
    return (
        said
        | {f"fields.{name}": _spaced(phone) for name, phone in phones.items()}
        | {name: at(moment, zone) for name, moment in times.items()}
        | {"flags": ", ".join(flags_of(lead))}
        | ({"extra": msgspec.json.encode(dict(content.extra)).decode()} if content.extra else {})
    )


def _cell(value: Json) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER:
        return value
    return as_text(value)


def _spaced(phone: Phone) -> str:
    """Return a number with a blank behind its calling code: without one, programs take it for a sum and drop the plus.

    With more blanks it is a number again where they separate thousands (LibreOffice 7.4 in Polish, French, Russian).
    """
    if phone.e164 is None:
        return phone.raw
    code = (phone.international or "").partition(" ")[0]
    return f"{code} {phone.e164.removeprefix(code)}" if code and phone.e164.startswith(code) else phone.e164
