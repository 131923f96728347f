"""A stream sealed with a key: pieces of AES-256-GCM, each with its number, the last one marked as the last.

Invariant: knows bytes and a key. After "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (STREAM;
Hoang, Reyhanitabar, Rogaway, Vizár, 2015): a nonce is 7 random bytes of the stream, the number of the piece in 4, and
1 for the last piece. So no piece can be changed, moved, left out or cut off unnoticed.
"""

import io
import secrets
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"leads-sealed-1\n"
PIECE: Final = 1 << 20
_TAG: Final = 16
_PREFIX: Final = 7


class BrokenSealError(Exception):
    """The key does not open this stream, or it was changed or cut."""


class SealingWriter(io.RawIOBase):
    """Seals what is written into `file`; closing it writes the last piece, and leaves `file` open."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        super().__init__()
        self._file = file
        self._cipher = AESGCM(key)
        self._prefix = secrets.token_bytes(_PREFIX)
        self._number = 0
        self._pending = bytearray()
        file.write(MAGIC + self._prefix)

    def writable(self) -> bool:
        """Return True: it takes bytes."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Seal what there is of whole pieces; the last one is held back, whole or not."""
        self._pending += data
        while len(self._pending) > PIECE:
            self._put(bytes(self._pending[:PIECE]), is_last=False)
            del self._pending[:PIECE]
        return len(memoryview(data))

    def close(self) -> None:
        """Seal the last piece."""
        if not self.closed:
            self._put(bytes(self._pending), is_last=True)
        super().close()

    def _put(self, piece: bytes, *, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._prefix, self._number, is_last=is_last), piece, None))
        self._number += 1


class SealedReader(io.RawIOBase):
    """Opens what `SealingWriter` wrote into `file`. Reading raises BrokenSealError."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        super().__init__()
        self._file = file
        self._cipher = AESGCM(key)
        if file.read(len(MAGIC)) != MAGIC:
            raise BrokenSealError
        self._prefix = file.read(_PREFIX)
        self._number = 0
        self._ahead = file.read(PIECE + _TAG)
        self._opened = b""
        self._is_over = False

    def readable(self) -> bool:
        """Return True: it gives bytes."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill `buffer` with what comes next; returns how many bytes, 0 at the end."""
        while not self._opened and not self._is_over:
            self._open_next()
        view = memoryview(buffer)
        number = min(len(view), len(self._opened))
        view[:number] = self._opened[:number]
        self._opened = self._opened[number:]
        return number

    def _open_next(self) -> None:
        piece, self._ahead = self._ahead, self._file.read(PIECE + _TAG)
        self._is_over = not self._ahead
        try:
            nonce = _nonce(self._prefix, self._number, is_last=self._is_over)
            self._opened = self._cipher.decrypt(nonce, piece, None)
        except (InvalidTag, ValueError) as error:
            raise BrokenSealError from error
        self._number += 1


def _nonce(prefix: bytes, number: int, *, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])
