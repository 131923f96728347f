"""In which encoding a body was written, and its texts.

Invariant: bytes are read as their sender says (`Content-Type`, or a `_charset_` field: labels of the WHATWG Encoding
Standard); where nobody says, as UTF-8, and as windows-1252 where no part of them can be UTF-8. Nothing is refused for
one broken sequence: it becomes U+FFFD, and is flagged.
"""

import html
import re
from dataclasses import dataclass, field
from typing import Final

import webencodings  # type: ignore[import-untyped]  # it has no types of its own

from service.lib.text import is_unicode

RECODED: Final = "recoded"
"""The flag of a lead whose body was not UTF-8."""
REPAIRED: Final = "repaired_text"
"""The flag of a lead in which a broken sequence was replaced."""

_WHOLE_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}",
)
_REFERENCE: Final = re.compile(r"&#(?:\d{1,7}|[xX][0-9a-fA-F]{1,6});")
# What windows-1252 cannot write travels as references (HTML, "encoding-parse a URL"), and nobody types two in a row.
_REFERENCES: Final = re.compile(r"(?:&#\d{3,7};\s?){2,}")
_LAST_LATIN: Final = 0x2FF
_REPLACEMENT: Final = "\ufffd"


@dataclass(slots=True)
class Decoder:
    """Reads the texts of one body; `flags` tell afterwards what had to be done for it."""

    encoding: webencodings.Encoding | None
    flags: set[str] = field(default_factory=set)

    @property
    def is_utf8(self) -> bool:
        """Whether the body is UTF-8, as far as anybody knows."""
        return self.encoding is None or self.encoding.name == "utf-8"

    def text(self, raw: bytes) -> str:
        """Return a name or a value as text."""
        if self.encoding is None or self.encoding.name == "utf-8":
            return self._utf8(raw)
        text = self.encoding.codec_info.decode(raw, "replace")[0].removeprefix("\ufeff")
        self.flags.add(RECODED)
        return self.mend(_REFERENCE.sub(lambda found: html.unescape(found[0]), text))

    def mend(self, text: str) -> str:
        """Return a text that can be written as UTF-8: JSON can name half a character."""
        mended = text if is_unicode(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if mended != text or (_REPLACEMENT in text and not self.is_utf8):
            self.flags.add(REPAIRED)
        return mended

    def _utf8(self, raw: bytes) -> str:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.flags.add(REPAIRED)
            return raw.decode("utf-8-sig", "replace")
        return self._unwritten(text) if "&#" in text and raw.isascii() and self.encoding is None else text

    def _unwritten(self, text: str) -> str:
        """Decode letters that a page of another encoding could not write, in a body that says nothing of its own."""

        def letters(found: re.Match[str]) -> str:
            read = html.unescape(found[0])
            if not all(ord(sign) > _LAST_LATIN or sign.isspace() for sign in read):
                return found[0]
            self.flags.add(RECODED)
            return read

        return self.mend(_REFERENCES.sub(letters, text))


def decoder_for(raw: bytes, *labels: str) -> Decoder:
    """Return what reads a body; `labels` are what its sender calls the encoding: the first that is known counts."""
    for label in labels:
        encoding = webencodings.lookup(label.strip(" '\"")) if label.strip(" '\"") else None
        if encoding is not None:
            return Decoder(encoding)
    if _is_utf8(raw):
        return Decoder(None)
    return Decoder(webencodings.UTF8 if _WHOLE_SEQUENCE.search(raw) else webencodings.lookup("windows-1252"))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
