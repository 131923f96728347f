"""What a Redis server must be like, and what is wrong with one, in sentences that tell what to change.

Invariant: reads what a server said, or the error it gave; asks it nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.lib.times import length
from service.store.server.connection import ANSWER_WITHIN_S

NEEDS_VERSION = (7, 2)
_NEEDS = "needs Redis {0} or Valkey {0} or later.".format(".".join(map(str, NEEDS_VERSION)))
SCHEMA = 1
CLOCKS_MAY_DIFFER_MS = 30_000
Failure = RedisError | TimeoutError | OSError
FAILURES = (RedisError, TimeoutError, OSError)
_FULL = "Redis is full. Raise `maxmemory` of the server, or give it more memory."
_READ_ONLY = "This Redis is a read-only replica. Point LEADS_REDIS_URL at the primary."
_CANNOT_WRITE = "Redis cannot write its append-only file. Check its disk."
_CANNOT_SAVE = (
    "Redis takes no write because its last snapshot failed (`stop-writes-on-bgsave-error`). Check its disk and the "
    'rights to its folder, or set `save ""`: the append-only file alone is enough.'
)
_FEW_REPLICAS = (
    "Redis takes no write because fewer replicas are connected than its `min-replicas-to-write`. "
    "Bring them back, or lower that."
)
NO_WRITE = (
    f"Redis answers, but confirmed no write within {ANSWER_WITHIN_S:g} s. Is it paused (`CLIENT PAUSE`, a failover), "
    "or its disk stuck?"
)
UNREACHABLE = "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it."
_NOT_LET_IN = "Redis does not let us in. Check user name and password in LEADS_REDIS_URL."
_NOT_ALLOWED = (
    "Redis lets us in, but not do what the service needs. "
    "Give its user what docs/redis-acl.txt lists: commands, the keys `leads:*` and the channels `leads:*`."
)
_CLOSED = (
    "A backup is being restored into this Redis. If that was broken off, give `leads restore` again; or `leads move`, "
    "if it was that."
)
_CLUSTER_DOWN = (
    "The cluster has no node for this now: a primary is down and no replica is promoted yet, or slots have no node. "
    "`CLUSTER INFO` says more."
)
_ON_ITS_WAY = (
    "What this belongs to is being moved from one node of the cluster to another. It waits until that is done: see "
    "that the move of that slot is not left half-way."
)
_IN_A_CLUSTER = "This Redis is a node of a cluster: write redis+cluster://host:port,host:port in LEADS_REDIS_URL."
_NO_CLUSTER = "This Redis is no node of a cluster: write redis://host:port/0 in LEADS_REDIS_URL."
RISK_TAKEN = "`[service] durable = false` takes that risk."
_LOGIN = (AuthenticationError, AuthorizationError)
_NOT_OVER_WHAT_IT_WAS_GIVEN = ("ACL failure", "Script killed", "Unknown", "MISCONF", "NOREPLICAS", "MASTERDOWN")


class NotReplicatedError(RedisError):
    """Too few replicas have a write on their disks in time."""


class NotDurableError(RedisError):
    """The server may lose what it confirms, so nobody is thanked on its word; says in a sentence what to change."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the server that its operator should change.

    `level`: "unusable", we refuse to start; "away", it does not answer now; "unsafe", a thanked visitor could be
    lost; "full"; "unknown", the server would not tell; "clock", its clock is not ours, which keeps nobody from being
    thanked.
    """

    level: Literal["unusable", "away", "unsafe", "full", "unknown", "clock"]
    sentence: str


def is_script_fault(error: Failure) -> bool:
    """Tell whether a script broke over what it was given: it would again, however often it is called.

    A server that is busy with a script, ends one, or lets us run it but not its commands, says "script" as well.
    """
    text = str(error)
    return type(error) is ResponseError and "@user_script" in text and not text.startswith(_NOT_OVER_WHAT_IT_WAS_GIVEN)


_BY_KIND: Final = (
    (NotReplicatedError, "Too few replicas have it on their disks. Check the replicas, or lower `[service] replicas`."),
    (BusyLoadingError, "Redis is loading its data and will be back by itself."),
    (ReadOnlyError, _READ_ONLY),
    (OutOfMemoryError, _FULL),
    (MasterDownError, "This Redis is a replica that has lost its primary, and answers nothing until it has one."),
    (AskError, _ON_ITS_WAY),
    (TryAgainError, _ON_ITS_WAY),
    (ClusterDownError, _CLUSTER_DOWN),
)

_BY_TEXT: Final = (("NOREPLICAS", _FEW_REPLICAS), ("cluster support disabled", _NO_CLUSTER))


def sentence_of(error: Failure) -> str:  # noqa: PLR0911 -- one sentence a kind of error
    """Say what a failed call to the server means and what to do about it, without repeating what was sent."""
    if said := next((sentence for kind, sentence in _BY_KIND if isinstance(error, kind)), None):
        return said
    match error:
        case NotDurableError():
            return str(error)
        case RedisTimeoutError() | TimeoutError() | RedisConnectionError(__cause__=RedisTimeoutError()):
            return f"Redis did not answer within {ANSWER_WITHIN_S:g} s. Check the server and the way to it."
        case RedisError() if isinstance(error, _LOGIN) or "username-password" in str(error):  # some come as other kinds
            return _NOT_LET_IN
        case RedisConnectionError(__cause__=AuthenticationError()):  # a server that wants a password, and we sent none
            return _NOT_LET_IN
        case RedisConnectionError() | OSError():
            return UNREACHABLE
        case _:
            return _sentence_of_refusal(error)


def _sentence_of_refusal(error: Failure) -> str:
    text = str(error)
    if isinstance(error, NoPermissionError) or text.startswith("ACL failure"):  # the latter from within a script
        return _NOT_ALLOWED
    if _is_ancient(error):
        return f"This Redis is older than 6; the service {_NEEDS}"
    if "MISCONF" in text:
        return _CANNOT_WRITE if "AOF" in text else _CANNOT_SAVE
    if said := next((sentence for words, sentence in _BY_TEXT if words in text), None):
        return said
    if text.startswith("CLOSED"):
        return _CLOSED
    return f"Redis refused a command ({type(error).__name__}). Its log says more."


def finding_of(error: Failure) -> Finding:
    """Return what a failed question says about the server: it is away, or too old even to be asked."""
    return Finding("unusable" if _is_ancient(error) else "away", sentence_of(error))


def _is_ancient(error: Failure) -> bool:
    """Tell whether the server knows no HELLO, the first thing a client says: it came with Redis 6."""
    return type(error) is ResponseError and "unknown command" in str(error) and "HELLO" in str(error)


def of_node(name: str, finding: Finding) -> Finding:
    """Return a finding that says which node of a cluster it is about; "" is the one server that there is."""
    return Finding(finding.level, f"The node at {name}: {finding.sentence}") if name else finding


def findings_of(
    info: dict[str, Any], settings: dict[str, str] | None, schema: str | None, *, is_cluster: bool = False
) -> list[Finding]:
    """Return what is wrong with a server by its INFO, its CONFIG (None: it would not tell) and our schema in it."""
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < NEEDS_VERSION:
        return [Finding("unusable", f"This Redis is {version}; the service {_NEEDS}")]
    if int(info.get("cluster_enabled", 0)) and not is_cluster:
        return [Finding("unusable", _IN_A_CLUSTER)]
    if schema is not None and (not schema.isdigit() or int(schema) > SCHEMA):
        return [
            Finding("unusable", "The data in this Redis was written by a newer version of the service. Upgrade it.")
        ]
    found = list(durability_of(info, settings))
    if info.get("role") == "slave":
        found.append(Finding("away", _READ_ONLY))
    limit = int(info.get("maxmemory", 0))
    if limit and int(info.get("used_memory", 0)) >= limit:
        found.append(Finding("full", _FULL))
    return found


def durability_of(info: dict[str, Any], settings: dict[str, str] | None) -> list[Finding]:
    """Return what could lose a write that a server, primary or replica, has confirmed."""
    known = settings or {
        "appendonly": "yes" if int(info.get("aof_enabled", 0)) else "no",
        "maxmemory-policy": str(info.get("maxmemory_policy", "noeviction")),
    }
    found = []
    if known.get("appendonly") == "no":
        found.append(Finding("unsafe", "Redis keeps no append-only file: a crash loses leads. Set `appendonly yes`."))
    elif "appendfsync" not in known:
        found.append(
            Finding(
                "unknown",
                "This Redis does not tell its `appendfsync`. Make sure with its provider that it is `always`.",
            )
        )
    elif known["appendfsync"] != "always":
        found.append(
            Finding(
                "unsafe",
                f"Redis has `appendfsync {known['appendfsync']}`: a crash loses leads. Set `appendfsync always`.",
            )
        )
    if known.get("no-appendfsync-on-rewrite") == "yes":
        found.append(
            Finding("unsafe", "Redis does not fsync while it rewrites its file. Set `no-appendfsync-on-rewrite no`.")
        )
    if known.get("maxmemory-policy", "noeviction") != "noeviction":
        found.append(
            Finding(
                "unsafe", f"Redis may evict leads (`{known['maxmemory-policy']}`). Set `maxmemory-policy noeviction`."
            )
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        found.append(Finding("unsafe", _CANNOT_WRITE))
    return found


def verdict(findings: Sequence[Finding], *, takes_risk: bool = False) -> tuple[bool, str]:
    """Return whether a visitor could be thanked by a server with these findings, and why in sentences.

    `takes_risk`: also by one that could lose what it confirms.
    """
    risky = any(finding.level == "unsafe" for finding in findings)
    allowed = {"unknown", "clock"} | ({"unsafe"} if takes_risk else set())
    bad = [finding.sentence for finding in findings if finding.level not in allowed]
    sentences = bad or [finding.sentence for finding in findings] + [RISK_TAKEN] * risky
    return not bad, " ".join(sentences) or "Redis answers and is durable."


def difference_of_clocks(offset: int) -> Finding | None:
    """Return what is wrong if the server's clock is so many ms ahead of this machine's (or behind, below 0)."""
    if abs(offset) <= CLOCKS_MAY_DIFFER_MS:
        return None
    side = "ahead of" if offset > 0 else "behind"
    return Finding(
        "clock",
        f"The clock of Redis is {length(abs(offset))} {side} this machine's. Set both "
        "by NTP: what is sent is signed with this machine's time, and a CRM refuses a signature that is minutes off.",
    )


def lack_of_replicas(connected: int, wanted: int) -> Finding | None:
    """Return what is wrong if fewer replicas are connected than each lead is to wait for."""
    if connected >= wanted:
        return None
    return Finding(
        "unsafe",
        f"`[service] replicas` is {wanted}, but {connected} are connected: no visitor can be thanked by this Redis. "
        "Bring the replicas back, or lower the number.",
    )
