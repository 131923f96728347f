"""What is kept, as it is written (a submission's line, a version, an attempt), and what the scripts in `lua/` answer.

Invariant: plain records; nothing here reads or writes them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from service.lib.secret import unshown
from service.model.lead import Delivery

Result = Literal["created", "updated", "repeated", "quarantined", "erased"]
Refusal = Literal["rejected", "unavailable"]
"""Why a submission was not taken: for what it said, or because we could not keep it."""

DAY_MS = 86_400_000
IDEMPOTENCY_MS = DAY_MS
SLACK_MS = 30 * DAY_MS
"""How long a submission may lie in a spool and still be known as the one it is."""
ONCE_MS = DAY_MS + 3_600_000
"""Longer than any challenge lives."""


class Earlier(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an earlier secret makes of a submission: hashes as of its `Line`; of each fact, name and fingerprint."""

    persons: dict[str, str]
    facts: dict[str, tuple[str, str]]
    also: tuple[str, ...] = ()
    key: str | None = None

    __repr__ = unshown


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One submission as the store takes it, whole: everything that is decided about it is decided from this.

    `at` is when it was received; `lead` the id it gets if it makes a new lead; `persons`, `also`, `facts` and `key`
    come from `submission.person` and `submission.facts`, `signals` from `submission.spam`; above `spam_limit` they
    quarantine it, None: never. `same_text` is the hash of its longest text, and what that weighs when many persons sent
    it. `score` is written by the script: what the signals of a quarantined one weigh, if that is why it is there.
    `once` is the hash of what may serve only one person. `earlier` is what it is known by under earlier secrets.
    It is counted on `day`, as the desk counts days; `campaign` is the hash of its campaign and, sealed, what that is
    called, `choices` are the hashes of what it chose.
    """

    id: str
    form: str
    at: int
    receipt: str
    lead: str
    persons: dict[str, str]
    facts: dict[str, tuple[str, str]]
    also: tuple[str, ...] = ()
    key: str | None = None
    quarantine: tuple[str, ...] | None = None
    signals: dict[str, int] = {}
    spam_limit: int | None = None
    same_text: tuple[str, int] | None = None
    score: int | None = None
    once: str | None = None
    earlier: tuple[Earlier, ...] = ()
    day: int | None = None
    campaign: tuple[str, str] | None = None
    choices: tuple[str, ...] = ()

    __repr__ = unshown


def read_line(text: bytes) -> Line | None:
    """Read a line of a spool; None for one that is broken."""
    try:
        return msgspec.json.decode(text, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, as it is kept with the lead; `took` in ms."""

    at: int
    version: int
    result: Literal["delivered", "retry", "dead"]
    took: int
    status: int | None = None
    reason: str = ""
    excerpt: str = ""

    __repr__ = unshown


class Version(msgspec.Struct, frozen=True):
    """One version as kept: accepted and received (ms), enquiries, facts (fingerprint, value, time said), signals.

    `news` are the facts that were new in it; the first, in which all are, lists them only once it is old. Of an old
    version that is all there is, with the `sha1` of what was kept.
    `erased`: it says that the lead was erased, and nothing else.
    """

    at: int
    got: int
    enquiries: int
    facts: dict[str, tuple[str, str, int]] = {}
    signals: dict[str, int] = {}
    news: tuple[str, ...] = ()
    sha1: str = ""
    erased: bool = False

    __repr__ = unshown


class Said(msgspec.Struct, frozen=True):
    """What was said since the latest version and is not forwarded (yet)."""

    facts: dict[str, tuple[str, str, int]]
    signals: dict[str, int] = {}

    __repr__ = unshown


class Record(msgspec.Struct, frozen=True):
    """The delivery record of a lead at one destination, as `shared/states.lua` explains it."""

    s: str
    v: int
    n: int
    b: dict[str, int] = {}
    token: str | None = None
    till: int | None = None
    refused: int | None = None
    probed: int | None = None
    failed: tuple[int, ...] = ()
    back: int = 0
    why: dict[str, tuple[int, str, str]] = {}
    id: str = ""

    __repr__ = unshown

    def last(self, letters: str) -> int:
        """Return the latest version in one of these states, 0 if none is."""
        return max((number for number, letter in enumerate(self.s, 1) if letter in letters), default=0)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a submission. `lead` is "" for a quarantined one.

    "used": nothing was stored; the challenge whose hash is `Line.once` had served somebody else.
    """

    result: Result | Literal["used"]
    lead: str
    version: int
    receipt: str


@dataclass(frozen=True, slots=True)
class Limited:
    """A submission was not taken: whoever sent it must wait so many ms."""

    wait: int


class Limit(NamedTuple):
    """Something that is limited over all processes: its name in Redis, how many in how many ms."""

    name: str
    requests: int
    per: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery leased to us under `token`, after `tries` charged attempts.

    `refused_at`: when it was last refused as if everybody was (ms), 0: never; `given_back`: how often it got its tries
    back. `unreadable`: why its content cannot be read, as a sentence, "" if it can; if not, `delivery` is without
    content and must not be sent.
    """

    form: str
    destination: str
    delivery: Delivery
    tries: int
    refused_at: int
    token: str
    unreadable: str = ""
    given_back: int = 0


class Due(NamedTuple):
    """When the earliest delivery of a form to a destination is due or its lease ends (ms), and how many are due now."""

    at: int
    number: int


class Promoted(NamedTuple):
    """A version that was held back until its person's limit allowed it."""

    form: str
    lead: str
    version: int


class Mended(NamedTuple):
    """Something that the repair put right."""

    form: str
    lead: str
    destination: str
    what: str
