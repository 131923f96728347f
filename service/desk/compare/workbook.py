"""A workbook (XLSX) ► lines of CSV: a program of its own, which `table` runs, with little memory and little time.

Invariant: reads standard input, writes standard output, and knows nothing else. A cell in the last corner of a sheet
has calamine 0.9 ask for memory for all cells before it, and Rust ends the process if there is none: so this is not done
where the desk would end with it. Exit status: 0, or one of `WORDS`.
"""

import csv
import io
import resource
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

MOST_MEMORY: Final = 1536 * 1024 * 1024
MOST_SECONDS: Final = 40
MOST_ROWS: Final = 100_000
MOST_COLUMNS: Final = 500
HEAD_ROWS: Final = 20
"""So many rows may stand above the first of the export: titles, and the names of the columns."""
UNREADABLE, EMPTY, TOO_MANY, TOO_LARGE = 3, 4, 5, 6
WORDS: Final = {
    UNREADABLE: "This is no workbook that can be read, or it asks for a password. Save it as CSV and take that.",
    EMPTY: "There is nothing in this workbook.",
    TOO_MANY: f"This has more than {MOST_ROWS:,} rows or {MOST_COLUMNS} columns: export fewer days or columns.",
    TOO_LARGE: "This is too large to be read. Save it as CSV and take that, or export fewer days.",
}


def main() -> int:
    """Write the rows of the first sheet that shows any."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415 -- only where it runs

    limit_resources()
    lines = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
    try:
        book = CalamineWorkbook.from_filelike(sys.stdin.buffer)
        for sheet in book.sheets_metadata:
            if sheet.visible == SheetVisibleEnum.Visible and (found := book.get_sheet_by_name(sheet.name)).height:
                if found.total_height > MOST_ROWS + HEAD_ROWS or found.total_width > MOST_COLUMNS:
                    return TOO_MANY
                csv.writer(lines).writerows(map(_texts, found.to_python(skip_empty_area=False)))
                lines.flush()
                return 0
    except CalamineError:
        return UNREADABLE
    return EMPTY


def limit_resources() -> None:
    """Let this process have so much memory and time, and not more."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _texts(cells: Sequence[object]) -> list[str]:
    return [_text(cell) for cell in cells]


def _text(cell: object) -> str:
    """Write a cell as people see it: a whole number without a point, a time as ISO 8601."""
    match cell:
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime():
            return cell.isoformat(" ", "seconds")
        case timedelta():
            return ""
        case _:
            return str(cell)


if __name__ == "__main__":
    sys.exit(main())
