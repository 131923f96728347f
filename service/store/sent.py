"""What one destination has of each lead, or should have, read in slices for whoever compares.

Invariant: only reads, and opens only what a person can be recognised by. Times: ms of the server.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from service.lib.secret import unshown
from service.model.form import Form
from service.store.cipher import Cipher
from service.store.keys import base_of
from service.store.records import Attempt, Record, Version
from service.store.server.server import Server
from service.submission.facts import content_of
from service.submission.person import reach_of

SLICE: Final = 200
Standing = Literal["delivered", "waiting", "dead", "erased"]
_STANDING: Final[tuple[tuple[str, Standing], ...]] = (("d", "delivered"), ("w", "waiting"), ("x", "dead"))


@dataclass(frozen=True, slots=True)
class Sent:
    """One lead at one destination; of an erased one nothing else is known.

    `standing` is "delivered" as soon as any version arrived. `at` is when the first one did; of a lead that never
    arrived, when it was accepted. `reach` are its numbers (E.164) and addresses (`email.key_of`), of every version.
    """

    id: str
    form: str
    standing: Standing
    at: int = 0
    reach: frozenset[tuple[str, str]] = frozenset()

    __repr__ = unshown


async def sent_to(server: Server, cipher: Cipher, form: Form, destination: str) -> AsyncIterator[list[Sent]]:
    """Yield slices of all leads of a form that a destination has, or is or was to get.

    Raises UnreadableError for a lead that no key opens.
    """
    names = [str(name) for name in await server.client.zrange(f"{base_of(form.name)}leads", 0, -1)]
    for start in range(0, len(names), SLICE):
        pipe = server.client.pipeline(transaction=False)
        for name in names[start : start + SLICE]:
            pipe.hgetall(f"{base_of(form.name)}lead:{name}")
        kept = zip(names[start : start + SLICE], await pipe.execute(), strict=True)
        yield [sent for name, lead in kept if (sent := _sent(cipher, form, destination, name, lead))]


def _sent(cipher: Cipher, form: Form, destination: str, name: str, kept: Mapping[str, str]) -> Sent | None:
    if "erased" in kept:
        return Sent(name, form.name, "erased")
    record = msgspec.json.decode(kept.get(f"d:{destination}", '{"s":"","v":0,"n":0}'), type=Record)
    standing = next((words for letter, words in _STANDING if letter in record.s), None)
    if standing is None:
        return None
    versions = {
        int(key[2:]): msgspec.json.decode(text, type=Version) for key, text in kept.items() if key.startswith("v:")
    }
    reach = frozenset(said for version in versions.values() for said in _reach(cipher, form, version))
    return Sent(name, form.name, standing, _at(kept.get(f"a:{destination}", ""), record, versions), reach)


def _reach(cipher: Cipher, form: Form, version: Version) -> list[tuple[str, str]]:
    wanted = {f"fields.{name}" for name, field in form.fields.items() if field.type in {"phone", "email"}}
    said = {
        name: cipher.open(fact[1], form.name, name)
        for name, fact in version.facts.items()
        if name in wanted or name.startswith("extra.")
    }
    return reach_of(form, content_of(form, said))


def _at(attempts: str, record: Record, versions: Mapping[int, Version]) -> int:
    """Return when it first arrived. Of many attempts the oldest are forgotten; then a version's own time must do."""
    arrived = [
        attempt.at
        for line in attempts.split("\n")[:-1]
        if (attempt := msgspec.json.decode(line, type=Attempt)).result == "delivered"
    ]
    first = record.s.find("d") + 1
    accepted = versions[first].at if first in versions else min(version.at for version in versions.values())
    return arrived[0] if arrived else accepted
