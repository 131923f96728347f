"""A lead, or a quarantined submission, as it stands under the first secret and the first key.

Invariant: pure. What it says stays as it is, to the letter: only hashes, and what seals it, are others. What no key
opens is left alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from service.intake.counted import LABEL, campaign_label_hash, choice_hash, name_hash
from service.intake.intake import under_another
from service.lib.secret import Secret, unshown
from service.model.form import Form
from service.store.cipher import Cipher, UnreadableError
from service.store.keys import EXCERPT, RECORD
from service.store.records import IDEMPOTENCY_MS
from service.submission.facts import content_of, facts, restate
from service.submission.person import identities_ever, person_hash

_COMPARED: Final = ("version", "kept", "persons", "index")
"""Fields of a lead that tell whether it is still as it was read: whatever is said of it writes one of them."""
_OVER: Final = ("earlier", "same_text", "once")
"""What is asked of a submission only once, before it lies in quarantine."""

Counted = Literal["campaigns", "choices", "names"]
COUNTED: Final[tuple[Counted, ...]] = get_args(Counted)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The secrets and keys of an installation: all is to be under `secret`, and the first key of `cipher`."""

    secret: Secret
    earlier: Sequence[Secret]
    cipher: Cipher


@dataclass(slots=True)
class Rekeyed:
    """What is to be written: `texts` by field, as they stand and as they are to be; `hashes` of persons alike.

    `is_lost`: it is found by something of which no more is known than the hash, perhaps under an earlier secret.
    `is_unreadable`: no key opens something of it.
    """

    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    is_under_another_secret: bool = False
    is_under_another_key: bool = False
    is_lost: bool = False
    is_unreadable: bool = False

    __repr__ = unshown

    @property
    def is_news(self) -> bool:
        """Whether anything of it is to be written."""
        return bool(self.hashes) or any(old != new for old, new in self.texts.values())


def rekey_lead(keys: Keyring, form: Form, kept: Mapping[str, str]) -> Rekeyed:
    """Return what becomes of a lead, whose fields are `kept`, under the first of the keys."""
    work = _Work(keys, form)
    texts = {name: kept.get(name, "") for name in _COMPARED} | _contents(work, kept)
    # Lua writes an empty list as an empty object.
    persons, index = [*msgspec.json.decode(texts["persons"] or "[]")], texts["index"].split("\n")[:-1]
    work.find_hashes([*persons, *index])
    if work.came_to.hashes:
        texts["persons"] = msgspec.json.encode(work.renamed(persons)).decode()
        texts["index"] = "".join(f"{name}\n" for name in work.renamed(index))
    for name, text in texts.items():
        if name in _COMPARED or text != kept[name]:
            work.came_to.texts[name] = kept.get(name, ""), text
    return work.came_to


def _contents(work: "_Work", kept: Mapping[str, str]) -> dict[str, str]:
    """Return what was said, what was tried, and how each destination stands, as they are to be."""
    texts = work.said({name: text for name, text in kept.items() if name.startswith("v:") or name == "kept"})
    texts |= {name: work.attempts(text) for name, text in kept.items() if name.startswith("a:")}
    return texts | {name: work.record(text) for name, text in kept.items() if name.startswith("d:")}


def rekey_line(keys: Keyring, form: Form, id_: str, text: str, *, now: int, is_let_in: bool = False) -> Rekeyed:
    """Return what becomes of a quarantined submission, a `Line` as JSON, under the first of the keys; `now` in ms.

    One that is about to be let in keeps what each earlier secret makes of it: whoever it is from may be known by that.
    """
    work = _Work(keys, form)
    line: dict[str, Any] = msgspec.json.decode(text)
    line["facts"] = work.facts(line["facts"])
    work.find_hashes([*line["persons"].values(), *line.get("also", ())])
    if work.came_to.is_under_another_secret or "earlier" in line:
        line["persons"] = {type_: work.came_to.hashes.get(name, name) for type_, name in line["persons"].items()}
        if "also" in line:
            line["also"] = work.renamed(line["also"])
        for name in (*_OVER, *(["key"] if line["at"] + IDEMPOTENCY_MS < now else [])):
            line.pop(name, None)
    if is_let_in:
        line["earlier"] = work.earlier()
    if "campaign" in line:
        line["campaign"] = _rekey_name(keys, form, campaign_label_hash, *line["campaign"])
    if "choices" in line:
        became = _rekey_choices(keys, form)
        line["choices"] = [became.get(name, name) for name in line["choices"]]
    work.came_to.texts[id_] = text, _written(text, line)
    return work.came_to


class Count(NamedTuple):
    """What is counted under a hash and may have a label; both as they stand, and as they are to be."""

    hash: str
    label: str
    new_hash: str
    new_label: str


def rekey_counts(keys: Keyring, form: Form, what: Counted, kept: Mapping[str, str]) -> list[Count]:
    """Return what is to be counted under other hashes, or under other seals, of what is `kept` of a day."""
    if what == "choices":
        return [Count(name, "", new, "") for name, new in _rekey_choices(keys, form).items() if name in kept]
    hashed = campaign_label_hash if what == "campaigns" else name_hash
    counts = []
    for name, text in kept.items():
        if name.startswith("="):
            since, label = text.split(" ", 1)
            new_hash, new_label = _rekey_name(keys, form, hashed, name[1:], label)
            counts.append(Count(name[1:], text, new_hash, f"{since} {new_label}"))
    return [count for count in counts if count[:2] != count[2:]]


def _rekey_name(
    keys: Keyring, form: Form, hashed: Callable[[Secret, str, str], str], hash_: str, label: str
) -> tuple[str, str]:
    try:
        text = keys.cipher.open(label, form.name, LABEL)
    except UnreadableError:
        return hash_, label
    is_earlier = hash_ in {hashed(secret, form.name, text) for secret in keys.earlier}
    return (
        hashed(keys.secret, form.name, text) if is_earlier else hash_,
        label if keys.cipher.is_current(label) else keys.cipher.seal(text, form.name, LABEL),
    )


def _rekey_choices(keys: Keyring, form: Form) -> dict[str, str]:
    """Return what the hash of each choice becomes; of one that is configured no longer nobody asks."""
    choices = [(name, choice) for name, field in form.fields.items() for choice in (*field.choices, "")]
    return {
        choice_hash(secret, form.name, *choice): choice_hash(keys.secret, form.name, *choice)
        for secret in keys.earlier
        for choice in choices
    }


class _Work:
    """One lead or submission on its way; what was opened and sealed once is not again."""

    def __init__(self, keys: Keyring, form: Form) -> None:
        self.came_to = Rekeyed()
        self._keys, self._form = keys, form
        self._names: dict[str, str] = {}
        self._values: list[dict[str, str]] = []
        self._known: dict[tuple[str, str, str], tuple[str, str, str, str]] = {}

    def said(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return versions, and what was said since, with facts as they are to be."""
        versions: dict[str, dict[str, Any]] = {name: msgspec.json.decode(text) for name, text in texts.items()}
        for version in versions.values():
            if "facts" in version:
                version["facts"] = self.facts(version["facts"])
        for version in versions.values():  # An old one has only the names of its facts, which the others tell.
            if "news" in version:
                version["news"] = [*dict.fromkeys(self._names.get(name, name) for name in version["news"])]
        return {name: _written(texts[name], version) for name, version in versions.items()}

    def facts(self, facts: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return facts with names, fingerprints and seals as they are to be; where two become one, the later counts."""
        restated: dict[str, list[Any]] = {}
        values: dict[str, str] = {}
        for name, (fingerprint, sealed, *at) in facts.items():
            try:
                now, *fact, text = self._fact(name, fingerprint, sealed)
            except UnreadableError:
                self.came_to.is_unreadable = True
                restated[name] = [fingerprint, sealed, *at]
                continue
            if now not in restated or restated[now][2:] <= at:
                restated[now], values[now] = [*fact, *at], text
        self._values.append(values)
        return restated

    def earlier(self) -> list[Any]:
        """Return what each earlier secret makes of what was said last; nothing if no key opens all of it."""
        if self.came_to.is_unreadable:
            return []
        content = content_of(self._form, self._values[-1])
        names = list(facts(self._keys.secret, self._form, content))
        return [
            msgspec.to_builtins(under_another(secret, self._form, content, None, names))
            for secret in self._keys.earlier
        ]

    def attempts(self, text: str) -> str:
        """Return attempts, a line of JSON each, with what was answered sealed as it is to be."""
        return "".join(f"{self._attempt(line)}\n" for line in text.split("\n")[:-1])

    def _attempt(self, line: str) -> str:
        attempt: dict[str, Any] = msgspec.json.decode(line)
        if "excerpt" in attempt:
            attempt["excerpt"] = self._resealed(attempt["excerpt"], EXCERPT)
        return _written(line, attempt)

    def record(self, text: str) -> str:
        """Return a delivery record, JSON, with what was answered sealed as it is to be."""
        record: dict[str, Any] = msgspec.json.decode(text)
        for why in record.get("why", {}).values():
            why[2] = self._resealed(why[2], EXCERPT)
        if "id" in record:
            record["id"] = self._resealed(record["id"], RECORD)
        return _written(text, record)

    def find_hashes(self, listed: Iterable[str]) -> None:
        """Find what those of the `listed` hashes are to be that are under an earlier secret."""
        secret, form = self._keys.secret, self._form.name
        said = {one for values in self._values for one in identities_ever(self._form, content_of(self._form, values))}
        others = {*listed} - {person_hash(secret, form, *one) for one in said}
        for earlier in self._keys.earlier if others else ():
            found = {person_hash(earlier, form, *one): person_hash(secret, form, *one) for one in said}
            self.came_to.hashes |= {name: found[name] for name in others & found.keys()}
        self.came_to.is_under_another_secret |= bool(self.came_to.hashes)
        # Who left neither number nor address is known by all their words together, and found by nothing else.
        self.came_to.is_lost = bool(others - self.came_to.hashes.keys()) and any(type_ != "words" for type_, _ in said)

    def renamed(self, hashes: Iterable[str]) -> list[str]:
        """Return person hashes as they are to be."""
        return [*dict.fromkeys(self.came_to.hashes.get(name, name) for name in hashes)]

    def _fact(self, name: str, fingerprint: str, sealed: str) -> tuple[str, str, str, str]:
        known = name, fingerprint, sealed
        if known not in self._known:
            keys, form = self._keys, self._form
            text = keys.cipher.open(sealed, form.name, name)
            now, restated = restate(keys.secret, keys.earlier, form, (name, fingerprint), text)
            self.came_to.is_under_another_secret |= (now, restated) != (name, fingerprint)
            self.came_to.is_under_another_key |= not keys.cipher.is_current(sealed)
            is_as_before = now == name and keys.cipher.is_current(sealed)
            self._names[name] = now
            self._known[known] = now, restated, sealed if is_as_before else keys.cipher.seal(text, form.name, now), text
        return self._known[known]

    def _resealed(self, sealed: str, what: str) -> str:
        cipher, place = self._keys.cipher, (self._form.name, what)
        if not sealed or cipher.is_current(sealed):
            return sealed
        try:
            text = cipher.open(sealed, *place)
        except UnreadableError:
            self.came_to.is_unreadable = True
            return sealed
        self.came_to.is_under_another_key = True
        return cipher.seal(text, *place)


def _written(text: str, said: Mapping[str, Any]) -> str:
    """Return what is said as JSON; as the `text` that stood there, if it is the same."""
    return text if msgspec.json.decode(text) == said else msgspec.json.encode(said).decode()
