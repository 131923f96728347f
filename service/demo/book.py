"""What the demo's CRM was sent, and the leads that it shows of it.

Invariant: it keeps at most `KEPT` requests, of `KEPT_BYTES` together; its file grows to twice that at most.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from service.lib.secret import unshown

KEPT: Final = 10_000
KEPT_BYTES: Final = 16 << 20
SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came. `body` is its JSON, or its text when it was none; `at` in ms."""

    at: int
    headers: Mapping[str, str]
    body: Any
    verified: bool

    __repr__ = unshown

    def public(self) -> dict[str, Any]:
        """Return what `/demo/crm.json` says of it."""
        return {"headers": dict(self.headers), "body": self.body, "verified": self.verified}


@dataclass(frozen=True, slots=True)
class Row:
    """A lead as the CRM's page shows it: the latest version that arrived, by `data.id`."""

    lead: str
    name: str
    phone: str
    branch: str
    message: str
    type: str
    version: str
    verified: bool
    at: str

    __repr__ = unshown


class Book:
    """What was received, in order of arrival; with a folder it is also a file there and survives a restart."""

    def __init__(self, folder: Path | None) -> None:
        self._entries: deque[tuple[Received, int]] = deque()
        self._size = self._written = 0
        self._file = folder / "demo-crm.jsonl" if folder else None
        self._run = token_hex(4)
        self.count = 0
        if self._file and self._file.exists():
            self._load(self._file)

    def __iter__(self) -> Iterator[Received]:
        """Go through what is kept, oldest first."""
        return (received for received, _ in self._entries)

    def add(self, received: Received) -> None:
        """Keep one more; of more than is kept the oldest go. One that truly says so erases what came about its lead."""
        if received.verified and _is_erasure(received.body):
            self.forget(_text(_data(received.body).get("id")))
        line = _line(received)
        self._keep(received, len(line))
        self.count += 1
        if self._file:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(line)
            self._written += len(line)
            if self._written > 2 * KEPT_BYTES:
                self._write(self._file)

    def forget(self, lead: str) -> None:
        """Delete everything that came about a lead."""
        kept = [(received, size) for received, size in self._entries if _data(received.body).get("id") != lead]
        self._entries, self._size = deque(kept), sum(size for _, size in kept)
        if self._file and self._file.exists():
            self._write(self._file)

    @property
    def tag(self) -> str:
        """What changes with every addition, and with every start: an HTTP entity tag."""
        return f'"{self._run}-{self.count}"'

    def rows(self) -> list[Row]:
        """Return one row a lead, the newest arrival first, `SHOWN` at most."""
        rows: dict[str, Received] = {}
        for received in self:
            key = _text(_data(received.body).get("id")) or f"#{id(received)}"
            earlier = rows.pop(key, None)
            rows[key] = received if earlier is None or _version(earlier) <= _version(received) else earlier
        rows = {key: row for key, row in rows.items() if not _is_erasure(row.body)}
        return [_row(key, rows[key]) for key in list(reversed(rows))[:SHOWN]]

    def _keep(self, received: Received, size: int) -> None:
        self._entries.append((received, size))
        self._size += size
        while len(self._entries) > KEPT or self._size > KEPT_BYTES:
            self._size -= self._entries.popleft()[1]

    def _load(self, file: Path) -> None:
        lines = 0
        with file.open(encoding="utf-8", errors="replace") as source:
            for line in source:
                lines += 1
                self._written += len(line)
                try:
                    self._keep(Received(**json.loads(line)), len(line))
                except (ValueError, TypeError, RecursionError):
                    continue  # A line cut short by a `kill -9`; the CRM gets that request again.
        self.count = len(self._entries)
        if lines != self.count:
            self._write(file)

    def _write(self, file: Path) -> None:
        spare = file.with_suffix(".new")
        spare.write_text("".join(map(_line, self)), encoding="utf-8")
        spare.replace(file)
        self._written = self._size


def _line(received: Received) -> str:
    entry = {"at": received.at, "headers": dict(received.headers), "body": received.body, "verified": received.verified}
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _data(body: object) -> dict[str, Any]:
    return _dict(_dict(body).get("data"))


def _is_erasure(body: object) -> bool:
    return _dict(body).get("type") == "lead.erased"


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


def _version(received: Received) -> int:
    version = _data(received.body).get("version")
    return version if isinstance(version, int) else 0


def _row(key: str, received: Received) -> Row:
    data = _data(received.body)
    fields, phone = _dict(data.get("fields")), _dict(data.get("phone"))
    return Row(
        lead=key,
        name=_text(fields.get("name")),
        phone=_text(phone.get("international")) or _text(fields.get("phone")),
        branch=_text(fields.get("branch")),
        message=_text(fields.get("message")),
        type=_text(_dict(received.body).get("type")).removeprefix("lead.") or "unknown",
        version=_text(data.get("version")),
        verified=received.verified,
        at=datetime.fromtimestamp(received.at / 1000, UTC).strftime("%d %b, %H:%M:%S UTC"),
    )
