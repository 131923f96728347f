"""The parts of a multipart/form-data body (RFC 7578).

Invariant: pure; what is broken anywhere is None, never half a form.
"""

import logging
import re
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.lib.secret import unshown

MAX_PARTS: Final = 1_000
_PLAIN: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})
# RFC 2046, 5.1.1: a boundary has 1 to 70 characters.
_FIRST_PART: Final = re.compile(rb"--([^\r\n]{1,70})\r\nContent-Disposition: *form-data;", re.IGNORECASE)
# The parser tells its log what a visitor sent; the refusal says enough.
_SILENCE: Final = logging.Logger("silence", level=logging.CRITICAL + 1)  # noqa: LOG001  ours alone, not in the tree


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a multipart body. `filename` is None where the part is no file input; `charset` is "" if unsaid."""

    name: bytes
    filename: bytes | None
    content: bytes
    media_type: bytes = b""
    charset: str = ""

    __repr__ = unshown


def read_parts(boundary: bytes, raw: bytes) -> list[Piece] | None:
    """Return the parts in order, of more than 1,000 the first 1,001; None if the body is broken or ends early."""
    reading = _Reading()
    try:
        parser = MultipartParser(boundary, reading.callbacks())  # type: ignore[arg-type]  # a dict of the right names
        parser.logger = _SILENCE
        parser.write(raw)
    except _EnoughError:
        return reading.parts
    except (FormParserError, ValueError):
        return None
    return reading.parts if reading.is_whole else None


def boundary_of(raw: bytes) -> bytes | None:
    """Return the boundary by which a body is multipart, whatever its header says; None for any other body."""
    found = _FIRST_PART.match(raw)
    return found[1] if found else None


class _EnoughError(Exception):
    """More parts than are read."""


@dataclass(slots=True)
class _Reading:
    parts: list[Piece] = field(default_factory=list)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    content: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    __repr__ = unshown

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self.begin,
            "on_header_field": lambda data, start, end: self.name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self.value.extend(data[start:end]),
            "on_header_end": self.end_header,
            "on_part_data": lambda data, start, end: self.content.extend(data[start:end]),
            "on_part_end": self.end_part,
            "on_end": self.end,
        }

    def begin(self) -> None:
        if len(self.parts) > MAX_PARTS:
            raise _EnoughError
        self.headers = {}
        self.content = bytearray()

    def end_header(self) -> None:
        self.headers[bytes(self.name).strip().lower()] = bytes(self.value).strip()
        self.name, self.value = bytearray(), bytearray()

    def end_part(self) -> None:
        disposition, options = parse_options_header(self.headers.get(b"content-disposition", b""))
        encoding = self.headers.get(b"content-transfer-encoding", b"").lower()
        if disposition != b"form-data" or b"name" not in options or encoding not in _PLAIN:
            raise ValueError("no form field")
        media_type, said = parse_options_header(self.headers.get(b"content-type", b""))
        charset = said.get(b"charset", b"").decode("latin-1")
        self.parts.append(Piece(options[b"name"], options.get(b"filename"), bytes(self.content), media_type, charset))

    def end(self) -> None:
        self.is_whole = True
