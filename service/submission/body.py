"""The bytes of a request become fields, or the reason why they cannot.

Invariant: pure, and safe on any bytes under any content type. Nothing here knows what a form asks for.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header

from service.lib import json_text
from service.lib.text import decode, is_unicode
from service.model.problem import Code, Problems, refuse
from service.submission.form_data import HONEYPOT, Posted, gather, is_control
from service.submission.multipart import MAX_PARTS, Piece, read_parts

MAX_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 64
MAX_VALUES: Final = 1_000

_UTF8: Final = frozenset({b"", b"utf-8", b"utf8", b"us-ascii", b"ascii"})
_UNREADABLE: Final = refuse(Code.UNREADABLE_BODY)
_TOO_MANY: Final = refuse(Code.TOO_MANY_FIELDS, n=str(MAX_FIELDS))
TOO_LARGE: Final = refuse(Code.BODY_TOO_LARGE, n=str(MAX_BYTES // 1024))

Pairs = list[tuple[str, str]]


def read(content_type: str, raw: bytes, *, honeypot: str = HONEYPOT) -> Posted | Problems:
    """Read an urlencoded, multipart or JSON body; at most 256 KiB and 64 names, all of it UTF-8.

    `honeypot` is the form's name for what only robots fill in.
    """
    if len(raw) > MAX_BYTES:
        return TOO_LARGE
    if not raw:
        return refuse(Code.EMPTY)
    kind, options = _media_type(content_type)
    if options.get(b"charset", b"").strip(b" '\"").lower() not in _UTF8:
        return _UNREADABLE
    match kind:
        case b"multipart/form-data":
            posted = _multipart(options.get(b"boundary", b""), raw, honeypot)
        case b"application/x-www-form-urlencoded":
            posted = _urlencoded(raw, honeypot)
        case _:
            posted = _json(raw, honeypot) if is_json(content_type) else refuse(Code.UNSUPPORTED_MEDIA_TYPE)
    return posted


def is_json(content_type: str) -> bool:
    """Tell whether a content type names JSON: `application/json` or `application/…+json`."""
    kind, _ = _media_type(content_type)
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _media_type(content_type: str) -> tuple[bytes, dict[bytes, bytes]]:
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    return kind.strip(), options


def _urlencoded(raw: bytes, honeypot: str) -> Posted | Problems:
    text = decode(raw)
    if text is None:
        return _UNREADABLE
    if raw.count(b"&") >= MAX_VALUES:
        return _TOO_MANY
    try:
        return _posted(parse_qsl(text, keep_blank_values=True, errors="strict"), honeypot)
    except UnicodeDecodeError:
        return _UNREADABLE


def _multipart(boundary: bytes, raw: bytes, honeypot: str) -> Posted | Problems:
    parts = read_parts(boundary, raw) if boundary else None
    if parts is None:
        return _UNREADABLE
    if len(parts) > MAX_PARTS:
        return _TOO_MANY
    texts = [(decode(part.name), decode(part.content)) for part in parts if part.filename is None]
    pairs = [(name, text) for name, text in texts if name is not None and text is not None]
    if len(pairs) < len(texts):
        return _UNREADABLE
    posted = _posted(pairs, honeypot)
    return posted if isinstance(posted, Problems) else replace(posted, files=_files(parts))


def _files(parts: list[Piece]) -> tuple[str, ...]:
    """Return the names of the file inputs that were filled."""
    filled = (part for part in parts if part.filename or (part.filename is not None and part.content))
    return tuple(dict.fromkeys(part.name.decode("utf-8", "replace") for part in filled))


def _json(raw: bytes, honeypot: str) -> Posted | Problems:
    found = json_text.parse_object(decode(raw) or "")
    scalars = None if found is None else _scalars(found)
    if found is None or scalars is None:
        return _UNREADABLE
    pairs = [(name, json_text.scalar_text(scalar)) for name, scalar in scalars if _is_given(name, scalar)]
    return _posted(pairs, honeypot, [name for name, node in found.members if isinstance(node, bool)])


def _scalars(found: json_text.Object) -> list[tuple[str, json_text.Scalar]] | None:
    """Return each member's scalar, those of a list one by one; None if anything lies deeper than that."""
    scalars: list[tuple[str, json_text.Scalar]] = []
    for name, member in found.members:
        for node in member if isinstance(member, list) else [member]:
            if isinstance(node, list | json_text.Object):
                return None
            scalars.append((name, node))
    return scalars


def _is_given(name: str, scalar: json_text.Scalar) -> bool:
    """Tell whether a member says something: null is a field left out, and so is a control field that is false."""
    return scalar is not None and (scalar is not False or not is_control(name))


def _posted(pairs: Pairs, honeypot: str, booleans: list[str] | None = None) -> Posted | Problems:
    if not all(is_unicode(name) and is_unicode(text) for name, text in pairs):
        return _UNREADABLE
    if len(pairs) > MAX_VALUES or len({name for name, _ in pairs}) > MAX_FIELDS:
        return _TOO_MANY
    return gather(pairs, booleans=booleans or (), honeypot=honeypot)
