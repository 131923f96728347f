"""`rules`, `keep`, `delivered`, `rejected` and `retried` of a destination ► what its answers mean.

Invariant: pure; every mistake goes to the table's report, a rule by its number, counted from 1.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from service.config.table import Keys, Table, Wrong, flag, listing, several, table, text, what, whole, wrong
from service.config.validators import one_of
from service.destinations.rules import MEANINGS, Keep, Place, Rule

KEPT_FROM: Final[tuple[Place, ...]] = ("json", "header", "location")
PLACES: Final[tuple[Place, ...]] = ("json", "header", "location", "text")
MOST_RULES: Final = 50
_LONGEST: Final = 200


def read_rules(keys: Table) -> tuple[Rule, ...]:
    """Return the rules in the order in which they are asked."""
    none: tuple[Keys, ...] = ()
    given = keys.read("rules", several(table), none)
    if len(given) > MOST_RULES:
        keys.add(f"must not be more than {MOST_RULES}", "rules")
    read = [_rule(Table((*keys.path, "rules", str(number)), rule, keys.report)) for number, rule in enumerate(given, 1)]
    return tuple(rule for rule in read if rule is not None)


def _rule(keys: Table) -> Rule:
    nothing: str | bool = ""
    no_value: str | float | bool = ""
    looked = {place: keys.read(place, _looked_for, nothing) for place in PLACES}
    wanted = keys.read("is", _scalar, no_value)
    rule = Rule(
        place="status",
        path="",
        means=keys.need("means", one_of(MEANINGS), MEANINGS[0], f"one of {listing(MEANINGS)}"),
        equals=wanted if "is" in keys.keys else None,
        contains=keys.read("has", text(_LONGEST), "") or None,
        exists=keys.read("exists", flag, "exists" not in keys.keys),
        status=keys.read("status", whole(100, 599), 0) or None,
        why=keys.read("why", text(_LONGEST), ""),
    )
    keys.finish()
    _look_for_too_much(keys)
    place = next((place for place in PLACES if place in keys.keys), None)
    return rule if place is None else _placed(keys, rule, place, looked[place])


def _look_for_too_much(keys: Table) -> None:
    places = [place for place in PLACES if place in keys.keys]
    if not places and "status" not in keys.keys:
        keys.add(f"looks nowhere: name one of {listing((*PLACES, 'status'))}")
    if len(places) > 1:
        keys.add(f"looks at several places, {listing(places)}: write a rule for each")
    if sum(key in keys.keys for key in ("is", "has", "exists")) > 1:
        keys.add("has more than one of `is`, `has`, `exists`: write a rule for each")


def _placed(keys: Table, rule: Rule, place: Place, looked_for: str | bool) -> Rule:
    if place in {"json", "header"} and not isinstance(looked_for, str):
        keys.add("must be a text: what to look for there", place)
    rule = replace(rule, place=place, path=str(looked_for))
    if isinstance(looked_for, bool) or place in {"json", "header"}:
        return rule
    # Said in one: the host of an address, the words in a text.
    return replace(rule, equals=looked_for) if place == "location" else replace(rule, contains=looked_for)


def _looked_for(value: object) -> str | bool | Wrong:
    """Take a text, or `true` where there is nothing to name."""
    return value if value is True else text(_LONGEST)(value)


def _scalar(value: object) -> str | float | bool | Wrong:
    if isinstance(value, bool | int | float | str):
        return value
    return wrong(f"must be a text, a number, true or false, not {what(value)}")


def read_keep(keys: Table) -> Keep | None:
    """Return where an answer names the record, None if nothing is to be kept."""
    below = keys.below("keep")
    if "keep" not in keys.keys:
        return None
    keep = read_place(below)
    below.finish()
    return keep


def read_place(below: Table) -> Keep | None:
    """Return the one place that a table names, where an answer names a record; None if it is wrong."""
    nothing: str | bool = ""
    looked = {place: below.read(place, _looked_for, nothing) for place in KEPT_FROM}
    places = [place for place in KEPT_FROM if place in below.keys]
    if len(places) != 1:
        below.add(f"must look at one of {listing(KEPT_FROM)}")
        return None
    place = places[0]
    if isinstance(looked[place], str) == (place == "location"):
        below.add("must be `true`" if place == "location" else "must be a text: what to look for there", place)
    return Keep(place, str(looked[place]))


def read_statuses(keys: Table) -> Mapping[str, frozenset[int]]:
    """Return the three lists of statuses, by their keys; no status is in two."""
    none: tuple[int, ...] = ()
    statuses = several(whole(100, 599))
    lists = {
        "delivered": frozenset(keys.read("delivered", statuses, none)),
        "rejected": frozenset(keys.read("rejected", statuses, none)),
        "retried": frozenset(keys.read("retried", statuses, none)),
    }
    for key, earlier in (("rejected", ["delivered"]), ("retried", ["delivered", "rejected"])):
        for other in earlier:
            for status in sorted(lists[key] & lists[other]):
                keys.add(f"{status} is already in `{other}`: an answer means one thing", key)
    return lists
