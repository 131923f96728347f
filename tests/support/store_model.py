"""What the store promises, as a few lines of plain Python: no keys, no scripts, one thing after the other."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger import DAY

Said = Mapping[str, str]
Rate = tuple[int, int] | None
NAMES = {"w": "waiting", "d": "delivered", "x": "dead", "s": "superseded", "e": "erased"}


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
    died: dict[int, int] = field(default_factory=dict)

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

    def write_off(self) -> None:
        self.states = ["e" if each in "wx" else each for each in self.states]
        self.died.clear()

    def owe(self, version: int, now: int) -> None:
        self.states += ["-"] * (version - 1 - len(self.states)) + ["w"]
        self.due = self.till if self.is_leased(now) else now

    def is_in_use(self, now: int, before: int) -> bool:
        return self.last("w") > 0 or self.is_leased(now) or any(at > before for at in self.died.values())


@dataclass
class Person:
    """A lead: what is known and when it was last said, its versions, and what each destination is owed."""

    last: int
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    queues: dict[str, Queue] = field(default_factory=dict)
    has_phone: bool = False
    names: set[str] = field(default_factory=set)
    moved: int = 0
    pace: float = 0
    deferred: int | None = None
    is_erased: bool = False

    def wait(self, rate: Rate, now: int) -> int:
        """Return how long the next version must wait; if it need not, it is counted."""
        if rate is None:
            return 0
        requests, per = rate
        until_at = max(self.pace, now) + per / requests
        wait = max(0, math.ceil(until_at - now - per))
        self.pace = self.pace if wait else until_at
        return wait


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
        self.held: dict[str, tuple[int, set[str]]] = {}
        self.erased: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def accept(
        self, name: str, lead: str, said: Said, *,
        at: int, now: int, key: str | None, is_spam: bool, drops: bool, rate: Rate,
    ) -> tuple[str, str, int]:  # fmt: skip
        if name not in self.seen:
            if any(at < self.erased.get(each, 0) for each in names_of(said)):
                result = ("erased", "", 0)
            elif is_spam:
                result = ("quarantined", "", 0)
                self.held[name] = (at, names_of(said))
            else:
                result = self._take(lead, said, at, now, key, drops=drops, rate=rate)
            self.seen[name] = result
            self.counts["received"] += 1
            self.counts[result[0]] += 1
        return self.seen[name]

    def release(
        self, name: str, lead: str, said: Said, *, at: int, now: int, key: str | None, drops: bool, rate: Rate
    ) -> tuple[str, str, int] | None:
        if self.held.pop(name, None) is None:
            return None
        result = self._take(lead, said, at, now, key, drops=drops, rate=rate)
        self.counts["quarantined"] -= 1
        self.counts[result[0]] += 1
        return result

    def _take(
        self, lead: str, said: Said, at: int, now: int, key: str | None, *, drops: bool, rate: Rate
    ) -> tuple[str, str, int]:
        asked = (key or "", repr(sorted(said.items())))
        first_at, answered = self.answered.get(asked, (at, ""))
        if key and at - first_at < DAY and self._is_kept(answered):
            return self._again(answered, said, at)
        found = self._find(said, at)
        if key:
            self.answered[asked] = (at, found or lead)
        if not found:
            person = self.people[lead] = Person(at)
            self._hear(person, said, at)
            person.wait(rate, now)
            return self._next_version(lead, said, at, now, "created")
        person = self.people[found]
        is_echo = at - person.last < self.quiet
        is_news = self._hear(person, said, at)
        if drops or (is_echo and not is_news):
            return self._again(found, said, at)
        if wait := person.wait(rate, now):
            person.deferred = now + wait
            return self._again(found, said, at)
        return self._next_version(found, said, at, now, "updated")

    def _is_kept(self, lead: str) -> bool:
        return lead in self.people and not self.people[lead].is_erased

    def _find(self, said: Said, at: int) -> str | None:
        by_phone, by_email = (self._living(f"{kind} {said.get(kind)}", at) for kind in ("phone", "email"))
        if not said.get("phone"):
            return by_email
        return by_phone or (by_email if by_email and not self.people[by_email].has_phone else None)

    def _living(self, key: str, at: int) -> str | None:
        lead = self.keys.get(key)
        return lead if lead and self._is_kept(lead) and at - self.people[lead].last < self.window else None

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
        person.names |= names_of(said)
        for kind in ("phone", "email"):
            key = f"{kind} {said.get(kind)}"
            if kind in said and self._living(key, at) in {None, lead}:
                self.keys[key] = lead
                person.has_phone |= kind == "phone"

    def _next_version(self, lead: str, said: Said, at: int, now: int, result: str) -> tuple[str, str, int]:
        person = self.people[lead]
        self._write(person, self.destinations, now)
        self._remember(lead, said, at)
        return result, lead, len(person.versions)

    def _write(self, person: Person, destinations: tuple[str, ...], now: int) -> None:
        person.versions.append({name: value for name, (value, _) in person.known.items()})
        person.moved, person.deferred = now, None
        for destination in destinations:
            person.queues.setdefault(destination, Queue()).owe(len(person.versions), now)
            self.counts[f"{destination}:owed"] += 1

    def promote(self, rate: Rate, now: int) -> list[tuple[str, int]]:
        """Make a version of what a limit held back, where it allows that now."""
        due = sorted(
            (each.deferred, lead)
            for lead, each in self.people.items()
            if each.deferred is not None and each.deferred <= now
        )
        promoted = []
        for _, lead in due:
            person = self.people[lead]
            if wait := person.wait(rate, now):
                person.deferred = now + wait
            else:
                self._write(person, self.destinations, now)
                promoted.append((lead, len(person.versions)))
        return promoted

    def erase(self, names: set[str], understands: tuple[str, ...], now: int) -> tuple[set[str], int]:
        """Forget whoever has one of these names; returns the leads, and how many went from quarantine."""
        self.erased |= dict.fromkeys(names, now)
        leads = {lead for lead, person in self.people.items() if person.names & names}
        for lead in leads:
            person = self.people.pop(lead)
            for destination, queue in person.queues.items():
                queue.write_off()
                if queue.version and destination in understands:
                    continue
                self._leave_counted(destination, queue)
            told = {name: each for name, each in person.queues.items() if each.version and name in understands}
            if told:
                self.people[lead] = Person(now, versions=person.versions, queues=told, is_erased=True)
                self._write(self.people[lead], tuple(told), now)
        return leads, self._drop({each for each, (_, theirs) in self.held.items() if theirs & names})

    def expire(self, before: int, now: int) -> tuple[int, int]:
        """Forget what is settled and as old as that; returns how many leads, and how many from quarantine."""
        old = [
            lead
            for lead, person in self.people.items()
            if max(person.moved, 0 if person.is_erased else person.last) <= before
            and person.deferred is None
            and not any(queue.is_in_use(now, before) for queue in person.queues.values())
        ]
        for lead in old:
            self._forget(lead)
        return len(old), self._drop({each for each, (at, _) in self.held.items() if at <= before})

    def _drop(self, held: set[str]) -> int:
        for each in held:
            del self.held[each]
        self.counts["quarantined"] -= len(held)
        self.counts["erased"] += len(held)
        return len(held)

    def _forget(self, lead: str) -> None:
        for destination, queue in self.people.pop(lead).queues.items():
            queue.write_off()
            self._leave_counted(destination, queue)

    def _leave_counted(self, destination: str, queue: Queue) -> None:
        self.counts.update(f"{destination}:{NAMES[each]}" for each in queue.states if each != "-")

    def queues(self, destination: str) -> dict[str, Queue]:
        return {
            lead: person.queues[destination] for lead, person in self.people.items() if destination in person.queues
        }

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

    def settle(self, lead: str, destination: str, token: str, version: int, result: str, *, now: int, due: int) -> str:
        person = self.people.get(lead)
        if person is None or destination not in person.queues:
            return "gone"
        settled = self._settle(person.queues[destination], token, version, result, now=now, due=due)
        is_told = not any(queue.states[-1] in "wx" for queue in person.queues.values())
        if settled != "lost" and person.is_erased and is_told:
            self._forget(lead)
        return settled

    def _settle(self, queue: Queue, token: str, version: int, result: str, *, now: int, due: int) -> str:
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
            queue.died[version] = now
        elif is_owed:
            queue.tries += 1
        queue.due = due if result == "retry" and queue.last("w") == version else now
        return "settled" if is_owed or result == "delivered" else "known"

    def replay(self, lead: str, destination: str, *, only_dead: bool, now: int) -> int:
        queue = self.queues(destination).get(lead)
        if queue is None:
            return 0
        version = max(queue.last(state) for state in "wxd")
        if not version or (only_dead and not queue.last("x")):
            return 0
        for before in range(1, version):
            if queue.states[before - 1] == "x":
                queue.move(before, "s")
        if queue.move(version, "w"):
            queue.tries = 0
            queue.died.pop(version, None)
        queue.make_due(now)
        return version

    def account(self) -> Counter[str]:
        counts = Counter(self.counts)
        for person in self.people.values():
            for destination, queue in person.queues.items():
                counts.update(f"{destination}:{NAMES[state]}" for state in queue.states if state != "-")
        return counts


def names_of(said: Said) -> set[str]:
    """Return what a submission's person can be found by."""
    return {f"{kind} {said[kind]}" for kind in ("phone", "email") if kind in said}
