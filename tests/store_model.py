"""What the store promises, as a few lines of plain Python: no keys, no scripts, one thing after the other."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger import DAY

Said = Mapping[str, str]


@dataclass
class Queue:
    """What one destination is owed of one lead: a state a version, and who holds it."""

    states: list[str] = field(default_factory=list)
    due: int = 0
    token: str | None = None
    till: int = 0
    version: int = 0
    tries: int = 0
    before: dict[int, int] = field(default_factory=dict)

    def last(self, state: str) -> int:
        return max((version for version, each in enumerate(self.states, 1) if each == state), default=0)

    def is_leased(self, now: int) -> bool:
        return self.token is not None and self.till > now

    def move(self, version: int, state: str) -> bool:
        changed = self.states[version - 1] != state
        self.states[version - 1] = state
        return changed

    def make_due(self, now: int) -> None:
        if not self.is_leased(now):
            self.due = now

    def supersede(self, before: int) -> None:
        for version in range(1, before):
            if self.states[version - 1] == "w":
                self.move(version, "s")


@dataclass
class Person:
    """A lead: what is known and when it was last said, its versions, and what each destination is owed."""

    last: int
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    queues: dict[str, Queue] = field(default_factory=dict)
    has_phone: bool = False


class Model:
    """One form with the policy that it is asked with."""

    def __init__(self, window: int, quiet: int, destinations: tuple[str, ...]) -> None:
        self.window = window
        self.quiet = quiet
        self.destinations = destinations
        self.people: dict[str, Person] = {}
        self.keys: dict[str, str] = {}
        self.answered: dict[tuple[str, str], tuple[int, str]] = {}
        self.seen: dict[str, tuple[str, str, int]] = {}
        self.counts: Counter[str] = Counter()

    def accept(
        self, name: str, lead: str, said: Said, *, at: int, now: int, key: str | None, is_spam: bool, drops: bool
    ) -> tuple[str, str, int]:
        if name not in self.seen:
            result = ("quarantined", "", 0) if is_spam else self._take(lead, said, at, now, key, drops=drops)
            self.seen[name] = result
            self.counts["received"] += 1
            self.counts[result[0]] += 1
        return self.seen[name]

    def _take(
        self, lead: str, said: Said, at: int, now: int, key: str | None, *, drops: bool
    ) -> tuple[str, str, int]:  # fmt: skip
        asked = (key or "", repr(sorted(said.items())))
        if key and asked in self.answered and at - self.answered[asked][0] < DAY:
            return self._again(self.answered[asked][1], said, at)
        found = self._find(said, at)
        if key and (asked not in self.answered or at - self.answered[asked][0] >= DAY):
            self.answered[asked] = (at, found or lead)
        if not found:
            self.people[lead] = Person(at)
            self._hear(self.people[lead], said, at)
            return self._next_version(lead, said, at, now, "created")
        person = self.people[found]
        is_echo = at - person.last < self.quiet
        is_news = self._hear(person, said, at)
        if drops or (is_echo and not is_news):
            return self._again(found, said, at)
        return self._next_version(found, said, at, now, "updated")

    def _find(self, said: Said, at: int) -> str | None:
        by_phone, by_email = (self._living(f"{kind} {said.get(kind)}", at) for kind in ("phone", "email"))
        if not said.get("phone"):
            return by_email
        return by_phone or (by_email if by_email and not self.people[by_email].has_phone else None)

    def _living(self, key: str, at: int) -> str | None:
        lead = self.keys.get(key)
        return lead if lead and at - self.people[lead].last < self.window else None

    def _hear(self, person: Person, said: Said, at: int) -> bool:
        is_news = False
        for name, value in said.items():
            known, when = person.known.get(name, ("", at))
            if at >= when:
                is_news |= known != value
                person.known[name] = (value, at)
        return is_news

    def _again(self, lead: str, said: Said, at: int) -> tuple[str, str, int]:
        self._remember(lead, said, at)
        return "repeated", lead, len(self.people[lead].versions)

    def _remember(self, lead: str, said: Said, at: int) -> None:
        person = self.people[lead]
        person.last = max(person.last, at)
        for kind in ("phone", "email"):
            key = f"{kind} {said.get(kind)}"
            if kind in said and self._living(key, at) in {None, lead}:
                self.keys[key] = lead
                person.has_phone |= kind == "phone"

    def _next_version(self, lead: str, said: Said, at: int, now: int, result: str) -> tuple[str, str, int]:
        person = self.people[lead]
        person.versions.append({name: value for name, (value, _) in person.known.items()})
        self._remember(lead, said, at)
        for destination in self.destinations:
            queue = person.queues.setdefault(destination, Queue())
            queue.states.append("w")
            queue.make_due(now)
            self.counts[f"{destination}:owed"] += 1
        return result, lead, len(person.versions)

    def queues(self, destination: str) -> dict[str, Queue]:
        return {lead: person.queues[destination] for lead, person in self.people.items()}

    def claim(
        self, destination: str, order: str, limit: int, *, now: int, till: int, token: str, takes_updates: bool
    ) -> list[tuple[str, Queue, int]]:
        """Lease what is due first; returns lead, queue and version of each."""
        queues = self.queues(destination)
        due = sorted((each.due, lead) for lead, each in queues.items() if each.last("w") and each.due <= now)
        chosen = [lead for _, lead in (reversed(due) if order == "newest" else due)][:limit]
        claimed = [(lead, queues[lead], queues[lead].last("w")) for lead in chosen]
        return [each for each in claimed if self._lease(each[1], each[2], token, till, takes_updates=takes_updates)]

    def _lease(self, queue: Queue, version: int, token: str, till: int, *, takes_updates: bool) -> bool:
        if not takes_updates and queue.last("d"):
            queue.supersede(version + 1)
            return False
        queue.supersede(version)
        if queue.version != version:
            queue.version, queue.tries = version, 0
        queue.before.setdefault(version, queue.last("d"))
        queue.token, queue.till, queue.due = token, till, till
        return True

    def settle(self, queue: Queue, token: str, version: int, result: str, *, now: int, due: int) -> str:
        is_holder = queue.token == token and queue.version == version
        if not is_holder:
            return "settled" if result == "delivered" and queue.move(version, "d") else (
                "known" if result == "delivered" else "lost"
            )  # fmt: skip
        queue.token = None
        is_owed = queue.states[version - 1] == "w"
        if result == "delivered":
            queue.move(version, "d")
        elif is_owed and result == "dead":
            queue.move(version, "x")
        elif is_owed:
            queue.tries += 1
        queue.due = due if result == "retry" and queue.last("w") == version else now
        return "settled" if is_owed or result == "delivered" else "known"

    def replay(self, queue: Queue, *, only_dead: bool, now: int) -> int:
        version = max(queue.last(state) for state in "wxd")
        if not version or (only_dead and not queue.last("x")):
            return 0
        for before in range(1, version):
            if queue.states[before - 1] == "x":
                queue.move(before, "s")
        if queue.move(version, "w"):
            queue.tries = 0
        queue.make_due(now)
        return version

    def account(self) -> Counter[str]:
        names = {"w": "waiting", "d": "delivered", "x": "dead", "s": "superseded"}
        counts = Counter(self.counts)
        for person in self.people.values():
            for destination, queue in person.queues.items():
                counts.update(f"{destination}:{names[state]}" for state in queue.states)
        return counts
