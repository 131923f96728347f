"""A backup as a file: JSON lines, packed with gzip, sealed with a key if one is given.

Invariant: knows lines, not servers. The first line is the head; then come records, as `lua/shared/record.lua` explains
them, and for each form what it holds; the last line has the number of all before it and their SHA-256. The whole is
read once before anything is believed: a file that is cut, changed or of a later format is refused in a sentence.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, Final, TypeVar

import msgspec

from service.backup.seal import MAGIC, BrokenSealError, SealedReader, SealingWriter
from service.lib.errors import CannotStart
from service.lib.secret import unshown

T = TypeVar("T")

FORMAT: Final = 1
_LEVEL: Final = 5
"""Of gzip: what 9 would save is a hundredth of the file, for several times the time."""
_NO_BACKUP: Final = "This is no backup, or it is damaged at its beginning."
_CUT: Final = "This backup is cut off or damaged: take another one. Nothing of it was restored."
_SEALED: Final = "This backup is sealed: name the file of its key with --key."
_OTHER_KEY: Final = "This key does not open the backup, or the backup is cut off or damaged."


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    `format` is that of the file, `schema` that of the keys. `id` names this backup. `secret` has a fingerprint of
    each LEADS_SECRET that people are known by, blanks between; `cipher` a text that the key sealed which seals what
    people said.
    """

    format: int
    id: str
    version: str
    made_at: str
    forms: tuple[str, ...]
    schema: int
    secret: str | None = None
    cipher: str | None = None


class Record(msgspec.Struct, frozen=True):
    """What stands in a key, or in some of its members; or, with `holds`, what a form holds in all."""

    of: str
    key: str = ""
    text: str | None = None
    hash: dict[str, str] | None = None
    scores: dict[str, str] | None = None
    set: list[str] | None = None
    until: int | None = None
    gone: bool | list[str] | None = None
    holds: dict[str, int] | None = None

    __repr__ = unshown


class End(msgspec.Struct, frozen=True):
    """The last line: how many lines stand before it, and their SHA-256."""

    lines: int
    sha256: str


class _LastLine(msgspec.Struct, frozen=True):
    end: End


class Writer:
    """Writes a backup into `file`, which stays open. `lines` is how many were written."""

    def __init__(self, file: IO[bytes], key: bytes | None, head: Head) -> None:
        self._sealed = SealingWriter(file, key) if key else None
        packed = self._sealed or file
        self._packed = gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=_LEVEL, filename="", mtime=0)
        self._hash = hashlib.sha256()
        self.lines = 0
        self.write(msgspec.json.encode(head))

    def write(self, line: bytes) -> None:
        """Add a line, which has no line end."""
        line += b"\n"
        self._hash.update(line)
        self._packed.write(line)
        self.lines += 1

    def finish(self) -> None:
        """Write the last line and all that is still held back."""
        end = _LastLine(End(self.lines, self._hash.hexdigest()))
        self._packed.write(msgspec.json.encode(end) + b"\n")
        self._packed.close()
        if self._sealed:
            self._sealed.close()


class Contents(msgspec.Struct, frozen=True):
    """What a whole backup has: its head, its end, and what each form holds."""

    head: Head
    end: End
    forms: dict[str, dict[str, int]]


def read_head(file: IO[bytes], key: bytes | None) -> Head:
    """Return the head of the backup in `file`. Raises CannotStart for what is none, or one of a later format."""
    file.seek(0)
    text = next(_lines(file, key), b"")
    try:
        kept = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        number = msgspec.json.decode(kept["format"], type=int)
        if number > FORMAT:
            raise CannotStart(
                f"This backup has format {number}, and this version of the service reads up to {FORMAT}: upgrade it."
            )
        return msgspec.json.decode(text, type=Head)
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError):
        raise CannotStart(_NO_BACKUP) from None


def read_lines(file: IO[bytes], key: bytes | None) -> Iterator[bytes | End]:
    """Yield the records of the backup in `file` as they stand there and, when all of it was seen to be whole, its end.

    Raises CannotStart where it is not.
    """
    file.seek(0)
    lines = _lines(file, key)
    digest, number, is_over = hashlib.sha256(next(lines, b"")), 1, False
    for line in lines:
        if is_over:
            break
        if line.startswith(b'{"end":'):
            end = _decoded(line, _LastLine).end
            if (end.lines, end.sha256) != (number, digest.hexdigest()):
                break
            is_over = True
            yield end
            continue
        digest.update(line)
        number += 1
        yield line
    else:
        if is_over:
            return
    raise CannotStart(_CUT)


def check(file: IO[bytes], key: bytes | None) -> Contents:
    """Read the backup in `file` from its beginning to its end. Raises CannotStart if it is not whole."""
    head = read_head(file, key)
    forms, end = {}, None
    for line in read_lines(file, key):
        if isinstance(line, End):
            end = line
        elif (record := _decoded(line, Record)).holds is not None:
            forms[record.of] = record.holds
    if end is None or sorted(forms) != sorted(head.forms):
        raise CannotStart(_CUT)
    return Contents(head, end, forms)


def _decoded(line: bytes, of: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CannotStart(_CUT) from None


def _lines(file: IO[bytes], key: bytes | None) -> Iterator[bytes]:
    """Yield the lines of what is packed in `file`, which begins where it stands."""
    is_sealed = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    if is_sealed and key is None:
        raise CannotStart(_SEALED)
    try:
        packed = io.BufferedReader(SealedReader(file, key)) if is_sealed and key else file
        with gzip.GzipFile(fileobj=packed) as opened:
            yield from opened
    except BrokenSealError:
        raise CannotStart(_OTHER_KEY) from None
    except gzip.BadGzipFile:
        raise CannotStart(_NO_BACKUP if file.tell() < io.DEFAULT_BUFFER_SIZE * 2 else _CUT) from None
    except (EOFError, zlib.error):
        raise CannotStart(_CUT) from None
    except OSError as error:
        raise CannotStart(f"The backup cannot be read ({error.strerror}).") from None
