"""The bytes of a request become fields, or the reason why they cannot.

Invariant: safe on any bytes under any content type. What is plain ASCII pays for no other encoding.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from python_multipart.multipart import parse_options_header

from service.lib import json_text
from service.model.form import Form
from service.model.problem import Code, Problems, refuse
from service.submission import json_body
from service.submission.encoding import Decoder, decoder_for
from service.submission.form_data import HONEYPOT, Posted, control_of, gather, is_control
from service.submission.multipart import MAX_PARTS, Piece, boundary_of, read_parts

MAX_BYTES: Final = 256 * 1024
MOST_TYPES: Final = 64
"""So many content types are remembered: that of one request is asked three times, and most send the same."""
MAX_FIELDS: Final = 64
MAX_VALUES: Final = 1_000
MOST_MEMBERS: Final = 5_000
"""So many names a JSON body may have, in all its depth, that those of fields are looked for below its top."""
MOST_FOREIGN: Final = 10_000
"""The same of signs in names that are not plain ASCII: to fold one may make eighteen of it."""
MOST_PAIRS: Final = 8 * MAX_VALUES
"""So many pairs are read where one answer is told by several of them, as Elementor does by six."""

UNREADABLE: Final = refuse(Code.UNREADABLE_BODY, why="form")
_BROKEN_JSON: Final = refuse(Code.UNREADABLE_BODY, why="json")
_TOO_MANY: Final = refuse(Code.TOO_MANY_FIELDS, n=str(MAX_FIELDS))
TOO_LARGE: Final = refuse(Code.BODY_TOO_LARGE, n=str(MAX_BYTES // 1024))

_CHARSET: Final = "_charset_"
_LISTED: Final = re.compile(r"([^\[\]]*)\[(\d+)\]\[(name|value)\]")

Pairs = list[tuple[str, str]]


def read(content_type: str, raw: bytes, form: Form | None = None) -> Posted | Problems:
    """Read an urlencoded, multipart, JSON or plain body of at most 256 KiB and 64 names.

    `form` says what its honeypot is called and which members of JSON are fields.
    """
    if len(raw) > MAX_BYTES:
        return TOO_LARGE
    if not raw:
        return refuse(Code.EMPTY)
    media_type, options = _media_type(content_type)
    charset = options.get(b"charset", b"").decode("latin-1")
    if raw[:2] == b"--" and (boundary := boundary_of(raw)):
        # A FormData under a header of its sender's own: another type, no boundary, or that of an example.
        media_type, options = b"multipart/form-data", {b"boundary": boundary}
    match media_type:
        case b"multipart/form-data":
            posted = _multipart(options.get(b"boundary", b""), raw, charset, form)
        case b"application/x-www-form-urlencoded":
            posted = _json_by_mistake(raw, charset, form) or _urlencoded(raw, charset, form)
        case b"" | b"text/plain":
            posted = _plain(raw, charset, form)
        case _:
            posted = _json(raw, charset, form) if _names_json(media_type) else refuse(Code.UNSUPPORTED_MEDIA_TYPE)
    return posted


def pairs_of(content_type: str, raw: bytes) -> tuple[Pairs, Decoder] | None:
    """Return the names and values of a body that has pairs, 8,000 at most and one more, and what read them.

    None: it has none.
    """
    media_type, options = _media_type(content_type)
    charset = options.get(b"charset", b"").decode("latin-1")
    if media_type == b"multipart/form-data":
        boundary = options.get(b"boundary", b"")
        parts = read_parts(boundary, raw) if boundary else None
        byte_pairs = None if parts is None else [(part.name, part.content) for part in parts if part.filename is None]
    else:
        byte_pairs = _byte_pairs(raw, MOST_PAIRS) if b"=" in raw and raw.lstrip()[:1] not in {b"{", b"["} else None
    if byte_pairs is None:
        return None
    decoder = _decoder(byte_pairs, charset)
    return _decoded(byte_pairs, decoder), decoder


def is_json(content_type: str) -> bool:
    """Tell whether a content type names JSON: `application/json`, `application/…+json`, `text/json`."""
    return _names_json(_media_type(content_type)[0])


def _names_json(media_type: bytes) -> bool:
    is_suffixed = media_type.startswith(b"application/") and media_type.endswith(b"+json")
    return is_suffixed or media_type in {b"application/json", b"text/json"}


@lru_cache(MOST_TYPES)
def _media_type(content_type: str) -> tuple[bytes, Mapping[bytes, bytes]]:
    media_type, options = parse_options_header(content_type.encode("latin-1", "replace"))
    return media_type.strip(), MappingProxyType(options)


def _urlencoded(raw: bytes, charset: str, form: Form | None) -> Posted | Problems:
    if raw.count(b"&") >= MAX_VALUES:
        return _TOO_MANY
    if raw.isascii() and b"%26%23" not in raw and not charset and _CHARSET.encode() not in raw:
        try:
            return _posted(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict"), form, is_url=True)
        except UnicodeDecodeError:
            pass  # percent-encoded, and no UTF-8
    byte_pairs = _byte_pairs(raw, MAX_VALUES)
    decoder = _decoder(byte_pairs, charset)
    return _flagged(_posted(_decoded(byte_pairs, decoder), form, is_url=True), decoder)


def _byte_pairs(raw: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """Return the pairs of an urlencoded body, of more than `most` the first and one more."""
    pairs = raw.removeprefix(b"\xef\xbb\xbf").split(b"&", most + 1)[: most + 1]
    halves = [pair.replace(b"+", b" ").partition(b"=") for pair in pairs if pair]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in halves]


def _decoder(pairs: list[tuple[bytes, bytes]], charset: str) -> Decoder:
    named = (value.decode("latin-1") for name, value in pairs if name == _CHARSET.encode())
    # No browser writes a form as UTF-16, whatever its page was (Encoding Standard, "get an output encoding").
    labels = [label for label in (charset, next(named, "")) if "16" not in label]
    return decoder_for(b"&".join(part for pair in pairs for part in pair), *labels)


def _decoded(pairs: Iterable[tuple[bytes, bytes]], decoder: Decoder) -> Pairs:
    return [(decoder.text(name), decoder.text(value)) for name, value in pairs]


def _multipart(boundary: bytes, raw: bytes, charset: str, form: Form | None) -> Posted | Problems:
    parts = read_parts(boundary, raw) if boundary else None
    if parts is None:
        return UNREADABLE
    if len(parts) > MAX_PARTS:
        return _TOO_MANY
    values = [part for part in parts if _is_value(part)]
    decoder = _decoder([(part.name, part.content) for part in values], charset)
    posted = _posted([pair for part in values for pair in _pairs_of_part(part, decoder, form)], form)
    if isinstance(posted, Problems):
        return posted
    return _flagged(replace(posted, files=_files(parts)), decoder)


def _is_value(part: Piece) -> bool:
    """Tell whether a part is no file: a `Blob` of text, which FormData calls so, is none."""
    is_text = part.media_type.startswith(b"text/") or _names_json(part.media_type)
    return part.filename is None or (part.filename == b"blob" and is_text)


def _pairs_of_part(part: Piece, decoder: Decoder, form: Form | None) -> Pairs:
    name = decoder.text(part.name)
    own = decoder_for(part.content, part.charset) if part.charset else decoder
    text = own.text(part.content)
    decoder.flags |= own.flags
    document = json_text.parse(text) if _names_json(part.media_type) else None
    return [(name, text)] if document is None else list(json_body.pairs_of(name, document, form))


def _files(parts: list[Piece]) -> tuple[str, ...]:
    """Return the names of the file inputs that were filled."""
    files = (part for part in parts if part.filename is not None and not _is_value(part))
    return tuple(dict.fromkeys(part.name.decode("utf-8", "replace") for part in files if part.filename or part.content))


def _json(raw: bytes, charset: str, form: Form | None) -> Posted | Problems:
    decoder = decoder_for(raw, charset)
    document = json_text.parse(decoder.text(raw))
    # To compare each name that lies deeper is work: of thousands nobody looks there.
    is_small = raw.count(b":") <= MOST_MEMBERS and json_body.foreign_in(document) <= MOST_FOREIGN
    inside = form if is_small else None
    members = json_body.members_of(document, inside)
    if members is None:
        return _BROKEN_JSON
    honeypot = form.honeypot if form else HONEYPOT
    told = (
        (decoder.mend(sent), decoder.mend(text))
        for name, node in members
        # A control field that is false, such as a honeypot not ticked, was left out.
        if not (node is False and (is_control(name) or control_of(name, honeypot)))
        for sent, text in json_body.pairs_of(name, node, inside)
    )
    pairs = list(islice(told, MAX_VALUES + 1))
    booleans = [name for name, node in members if isinstance(node, bool)]
    return _flagged(_posted(pairs, form, booleans=booleans), decoder)


def _json_by_mistake(raw: bytes, charset: str, form: Form | None) -> Posted | None:
    """Read JSON that was sent under the name of the other: the default of clients that are handed a text."""
    if raw[:1] not in {b"{", b"["}:
        return None
    posted = _json(raw, charset, form)
    return posted if isinstance(posted, Posted) else None


def _plain(raw: bytes, charset: str, form: Form | None) -> Posted | Problems:
    """Read what says nothing of itself, as `sendBeacon` and `fetch` with a text do: JSON, or pairs if it looks so."""
    text = raw.lstrip()
    if text[:1] in {b"{", b"["}:
        return _json(raw, charset, form)
    if b"=" not in text:
        return refuse(Code.UNSUPPORTED_MEDIA_TYPE)
    lines = [line for line in text.split(b"\r\n") if line]
    if len(lines) > 1 and all(b"=" in line for line in lines):  # <form enctype="text/plain">
        if len(lines) > MAX_VALUES:
            return _TOO_MANY
        byte_pairs = [(name, value) for name, _, value in (line.partition(b"=") for line in lines)]
        decoder = _decoder(byte_pairs, charset)
        return _flagged(_posted(_decoded(byte_pairs, decoder), form), decoder)
    return _urlencoded(text.rstrip(b"\r\n"), charset, form)


def _posted(
    pairs: Pairs, form: Form | None, *, booleans: Iterable[str] = (), is_url: bool = False
) -> Posted | Problems:
    if len(pairs) > MAX_VALUES or len({name for name, _ in pairs}) > MAX_FIELDS:
        return _TOO_MANY
    honeypot = form.honeypot if form else HONEYPOT
    return gather(_unlisted(pairs), booleans=booleans, honeypot=honeypot, is_url=is_url)


def _unlisted(pairs: Pairs) -> Pairs:
    """Return what a list of names and values says that was written as pairs: `data[0][name]=phone&data[0][value]=…`."""
    if not any(name.endswith("[name]") for name, _ in pairs):
        return pairs
    by_name = dict(pairs)
    listed = {name: found for name, _ in pairs if (found := _LISTED.fullmatch(name))}
    said = {name: by_name.get(f"{found[1]}[{found[2]}][name]", "") for name, found in listed.items()}
    return [
        (f"{listed[name][1]}[{said[name]}]" if said.get(name) else name, text)
        for name, text in pairs
        if not (said.get(name) and listed[name][3] == "name")
    ]


def _flagged(posted: Posted | Problems, decoder: Decoder) -> Posted | Problems:
    if isinstance(posted, Problems) or not decoder.flags:
        return posted
    return replace(posted, flags=tuple(sorted(decoder.flags)))
