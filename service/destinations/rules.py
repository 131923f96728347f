"""What an answer of a CRM means by what stands in it: the rules that are asked before the lists of statuses.

Invariant: pure. The first rule that fits decides; a rule that cannot be read against an answer does not fit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from service.destinations.outcome import EXCERPT, Delivered, Outcome, Rejected, Retry, retry_after
from service.destinations.template import Json, as_text
from service.lib.secret import unshown

Place = Literal["json", "header", "location", "text", "status"]
Meaning = Literal["delivered", "rejected", "retried", "setup", "load", "token", "gone"]
MEANINGS: Final[tuple[Meaning, ...]] = ("delivered", "rejected", "retried", "setup", "load", "token", "gone")
LONGEST_RECORD: Final = 200
_UNKNOWN_THERE: Final = frozenset({404, 410})
_WORDS: Final[Mapping[Meaning, str]] = {
    "delivered": "it has it",
    "rejected": "what it says refuses this lead",
    "retried": "what it says asks for a later try",
    "setup": "what it says is about our setup there, not about this lead",
    "load": "what it says asks us to send more slowly",
    "token": "it does not accept the token",
    "gone": "it says that there is no such record, and we named none",
}

_SAYS_WHY: Final = re.compile(r"location|www-authenticate|error|exception|reason|message|detail|warning|problem")
_LONGEST_HEADER: Final = 200


@dataclass(frozen=True, slots=True)
class Response:
    """What a CRM answered: the status, the headers and the beginning of the body as text."""

    status: int
    headers: Mapping[str, str]
    text: str

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `rules`. `place` says where to look, `path` what for there (a JSON path, the name of a header).

    Of `equals`, `contains` and `exists` one is set; with none, that there is something decides. `status` narrows it to
    answers of that status; `why` is what the person on call reads. Case counts in nothing but what JSON `equals`.
    """

    place: Place
    path: str
    means: Meaning
    equals: Json = None
    contains: str | None = None
    exists: bool = True
    status: int | None = None
    why: str = ""

    def fits(self, answer: Response) -> bool:
        """Return whether it speaks of this answer."""
        if self.status is not None and self.status != answer.status:
            return False
        found = _looked_up(answer, self.place, self.path)
        if self.contains is not None:
            return found is not None and self.contains.casefold() in as_text(found).casefold()
        if self.equals is not None:
            return _is(found, self.equals, exactly=self.place == "json")
        return (found is not None) == self.exists


@dataclass(frozen=True, slots=True)
class Keep:
    """Where an answer names the destination's own id of a lead: a JSON path, a header, or the end of `Location`."""

    place: Place
    path: str

    def found(self, answer: Response) -> str | int | None:
        """Return the id; None if there is none, or something that cannot be one."""
        if self.place == "location":
            return _last_of_path(header(answer.headers, "location") or "")
        found = _looked_up(answer, self.place, self.path)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        return found if isinstance(found, str) and _may_be_id(found) else None


def _may_be_id(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_RECORD and text.isprintable()


def _last_of_path(address: str) -> str | None:
    try:
        last = unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return None
    return last if _may_be_id(last) else None


def _looked_up(answer: Response, place: Place, path: str) -> Json:
    match place:
        case "json":
            return value_at(answer.text, path)
        case "header":
            return header(answer.headers, path)
        case "location":
            return _host(header(answer.headers, "location") or "")
        case "text":
            return answer.text
        case "status":
            return answer.status


def says_gone(rule: Rule | None, answer: Response, outcome: Outcome) -> bool:
    """Return whether an answer to a request that named a record says that there is no such record any more."""
    if rule is not None and rule.means == "gone":
        return True
    return answer.status in _UNKNOWN_THERE and isinstance(outcome, Retry) and outcome.scope == "setup"


def first_that_fits(rules: Sequence[Rule], answer: Response) -> Rule | None:
    """Return the rule that decides about an answer, None if none does."""
    return next((rule for rule in rules if rule.fits(answer)), None)


def judge_by(rule: Rule, answer: Response, now: int) -> Outcome:
    """Return what an answer means by the rule that fits it."""
    status, excerpt, after = answer.status, answer.text[:EXCERPT], retry_after(answer.headers, now)
    reason = f"the CRM answered {status}: {rule.why or _WORDS.get(rule.means, '')}"
    match rule.means:
        case "delivered":
            return Delivered(status, excerpt)
        case "rejected":
            return Rejected(reason, status, excerpt)
        case "retried":
            return Retry(reason, after, "delivery", status, excerpt)
        case "gone":
            return Retry(reason, after, "setup", status, excerpt)
        case _:
            return Retry(reason, after, rule.means, status, excerpt)


def words_of(answer: Response, rule: Rule | None) -> str:
    """Return what an answer says to people: of a failure the headers that say why, that of its rule, and its text."""
    is_failure = answer.status not in range(200, 300)
    decided_by = rule.path.lower() if rule and rule.place == "header" else None
    if not is_failure and decided_by is None:
        return answer.text
    said = [
        f"{name}: {value.strip()[:_LONGEST_HEADER]}\n"
        for name, value in answer.headers.items()
        if value.strip() and (name.lower() == decided_by or (is_failure and _SAYS_WHY.search(name.lower())))
    ]
    return "".join(said) + answer.text


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header whatever the case of its name."""
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def value_at(text: str, path: str) -> Json:
    """Return what stands in a JSON text at `data.0.id`; None if nothing, or null, does."""
    try:
        node: Json = msgspec.json.decode(text)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply
        return None
    for step in path.split("."):
        match node:
            case dict():
                node = node.get(step)
            case list() if step.isascii() and step.isdigit() and int(step[:6]) < len(node):
                node = node[int(step[:6])]
            case _:
                return None
    return node


def _is(found: Json, wanted: Json, *, exactly: bool) -> bool:
    if found is None:
        return False
    if exactly and not isinstance(wanted, str):
        return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted
    one, other = as_text(found), as_text(wanted)
    return one == other if exactly else one.strip().casefold() == other.strip().casefold()


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
