"""A CRM's export as a table: CSV in any usual encoding and with any usual separator, or a workbook.

Invariant: what is read stands in a file without a name, which is gone when it is closed or the process ends. What is in
it is bounded before anybody looks at it: bytes, rows, columns, a cell's length, the time that reading takes.
"""

import codecs
import contextlib
import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO, Final, TextIO, cast

from service.desk.compare.columns import LOOKS_LIKE_SOMEBODY, Column, recognise
from service.desk.compare.workbook import HEAD_ROWS, MOST_COLUMNS, MOST_ROWS, MOST_SECONDS, TOO_LARGE, TOO_MANY, WORDS

MOST_BYTES: Final = 64 * 1024 * 1024
SAMPLE: Final = 200
"""So many rows say what the columns are for."""
_CHUNK: Final = 256 * 1024
_HEAD: Final = 64 * 1024
_SEPARATORS: Final = ",;\t|"
_NAMES_SEPARATOR: Final = re.compile(r"sep=([,;\t|])\s*")
LONGEST_ROW: Final = 1024 * 1024
_TOO_LONG: Final = "A row of it is too long, or a quote in it is never closed."
_NO_TABLE: Final = "This is neither CSV nor a workbook (XLSX). Save it as one of the two."


class NoTableError(Exception):
    """Why a file cannot be compared, in a sentence."""


@dataclass(frozen=True, slots=True)
class Table:
    """An export: the names of its columns and their guessed roles, how many rows it has, and where these begin."""

    columns: tuple[Column, ...]
    rows: int
    _text: TextIO
    _separator: str
    _begin: int

    def read(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that says anything, with its number: the first line of the file is 1."""
        numbered = enumerate(_cells(self._text, self._separator), 1)
        return ((number, row) for number, row in islice(numbered, self._begin, None) if any(map(str.strip, row)))

    def close(self) -> None:
        """Forget it."""
        self._text.close()


def open_table(file: BinaryIO) -> Table:
    """Read what somebody brought; raises NoTableError. The table takes the file over, also where it cannot be read."""
    try:
        return _table(_as_csv(file))
    except BaseException:
        file.close()
        raise


def _as_csv(file: BinaryIO) -> BinaryIO:
    if file.seek(0, os.SEEK_END) > MOST_BYTES:
        raise NoTableError(f"This is larger than {MOST_BYTES // 1024 // 1024} MB: export fewer days or columns.")
    file.seek(0)
    beginning = file.read(8)
    file.seek(0)
    if beginning.startswith(b"PK\x03\x04"):
        return _read_workbook(file)
    if beginning.startswith((b"\xd0\xcf\x11\xe0", b"%PDF", b"<")):
        raise NoTableError(_NO_TABLE)
    return file


def _read_workbook(file: BinaryIO) -> BinaryIO:
    """Return the workbook's rows as CSV, which another process reads: what is too much ends it alone."""
    lines = tempfile.TemporaryFile()  # noqa: SIM115 -- the table closes it
    program = [sys.executable, "-m", "service.desk.compare.workbook"]
    file.flush()
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # where it stands is a matter of its buffer so far
    try:
        done = subprocess.run(  # noqa: S603 -- our own program, and the file is its input
            program, stdin=file, stdout=lines, stderr=subprocess.DEVNULL, timeout=MOST_SECONDS, check=False
        )
        status = done.returncode
    except subprocess.TimeoutExpired:
        status = TOO_LARGE
    file.close()
    if status:
        lines.close()
        raise NoTableError(WORDS.get(status, WORDS[TOO_LARGE]))
    return cast("BinaryIO", lines)


def _table(file: BinaryIO) -> Table:
    text = io.TextIOWrapper(file, _encoding_of(file), "replace", newline="")
    separator = _separator_of(text)
    sample = list(islice(_cells(text, separator), SAMPLE + HEAD_ROWS))
    head = _head_of(sample)
    if head is None:
        raise NoTableError("There is nothing in it.")
    has_names = not _is_somebody(sample[head])
    names, begin = (sample[head], head + 1) if has_names else ([], head)
    rows = _count(text, separator) - begin
    width = max(map(len, sample[head:]))
    if rows > MOST_ROWS or width > MOST_COLUMNS:
        raise NoTableError(WORDS[TOO_MANY])
    named = [*map(str.strip, names), *[""] * (width - len(names))]
    return Table(tuple(recognise(named, sample[begin:])), rows, text, separator, begin)


def _encoding_of(file: BinaryIO) -> str:
    """Return how the bytes are to be read: as their mark says, as UTF-8 if all are, else as windows-1252."""
    file.seek(0)
    beginning = file.read(_HEAD)
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in beginning:
        zeros = [beginning[start::2].count(0) for start in (0, 1)]
        if max(zeros) < len(beginning) // 4 or min(zeros) * 4 > max(zeros):
            raise NoTableError(_NO_TABLE)
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while beginning:
            decoder.decode(beginning)
            beginning = file.read(_CHUNK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8-sig"


def _separator_of(text: TextIO) -> str:
    """Return what parts the cells: what parts the first lines into the most cells, as many in each."""
    lines = list(islice(_lines(text), HEAD_ROWS))
    if lines and (named := _NAMES_SEPARATOR.fullmatch(lines[0])):
        return named[1]

    def worth(separator: str) -> int:
        with contextlib.suppress(NoTableError):
            widths = Counter(len(row) for row in _parsed(lines, separator) if len(row) > 1)
            return max((width * times for width, times in widths.items()), default=0)
        return 0

    return max(_SEPARATORS, key=worth)


def _lines(text: TextIO) -> Iterator[str]:
    """Yield the lines from the beginning, each with its end, and one without an end only so far as a row may be."""
    text.seek(0)
    return iter(partial(text.readline, LONGEST_ROW + 1), "")


def _cells(text: TextIO, separator: str) -> Iterator[list[str]]:
    """Yield the rows from the beginning, but for the line in which Excel names the separator."""
    rows = _parsed(_lines(text), separator)
    first = next(rows, None)
    if first is not None and first != ["sep=", ""]:
        yield first
    yield from rows


def _parsed(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    taken = 0

    def bounded() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += len(line)
            if taken > LONGEST_ROW:
                raise NoTableError(_TOO_LONG)
            yield line

    try:
        for row in csv.reader(bounded(), delimiter=separator):
            taken = 0
            yield row
    except csv.Error:
        raise NoTableError(_TOO_LONG) from None


def _head_of(sample: Sequence[Sequence[str]]) -> int | None:
    """Return the place of the row with the columns' names: the first that fills at least half as many as any does."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in sample]
    return next((place for place, cells in enumerate(filled[:HEAD_ROWS]) if cells and cells * 2 >= max(filled)), None)


def _is_somebody(row: Sequence[str]) -> bool:
    """Tell whether a row is about somebody already: an export without names of its columns."""
    return any(LOOKS_LIKE_SOMEBODY.fullmatch(cell.strip()) for cell in row)


def _count(text: TextIO, separator: str) -> int:
    """Return how many rows there are, as far as that matters."""
    return sum(1 for _ in islice(_cells(text, separator), MOST_ROWS + HEAD_ROWS + 1))
