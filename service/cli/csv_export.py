"""Leads as a spreadsheet: the CSV that `leads list --csv` prints.

Invariant: decides nothing about leads and prints nothing. No cell is a formula: programs that open a CSV take what
begins with `=`, `+`, `-` or `@` for one (OWASP, "CSV Injection"), so such a cell gets a `'` before it, numbers too.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from service.destinations.template import as_text
from service.lib.times import timestamp
from service.model.form import Form
from service.model.lead import Content
from service.store.archive import KeptLead

_BEGINS_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def sheet(leads: Iterable[KeptLead], forms: Sequence[Form]) -> str:
    """Return the CSV (RFC 4180): a row that names the columns, then a row for the latest version of each lead.

    The columns are `first_seen_at`, `form`, `id`, `version`, each field of the forms as `fields.NAME`, `extra` as JSON,
    and for each destination how the latest version owed to it stands, as `destinations.NAME`.
    """
    listed = list(leads)
    fields = list(dict.fromkeys(name for form in forms for name in form.fields))
    owed = [each.destination for lead in listed for each in lead.deliveries]
    destinations = list(dict.fromkeys([*(name for form in forms for name in form.deliver), *owed]))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    columns = [*(f"fields.{name}" for name in fields), "extra", *(f"destinations.{name}" for name in destinations)]
    writer.writerow(map(safe, ["first_seen_at", "form", "id", "version", *columns]))
    for lead in listed:
        writer.writerow(map(safe, [*_beginning(lead), *_said(lead, fields), *_states(lead, destinations)]))
    return text.getvalue()


def safe(cell: str) -> str:
    """Return the cell so that no program takes it for a formula."""
    return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) else cell


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
