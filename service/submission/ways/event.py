"""What a sender tells of one submission becomes the fields that its visitor filled in.

Invariant: pure. The visitor was thanked already, so nothing is refused: of a body that says more than a form takes, the
rest is left out; one that is not as its way says is kept as far as it can be read. Both are flagged.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from service.fields.field_name import Rank, meaning, names_of
from service.lib import json_text
from service.lib.json_text import Node, Object
from service.lib.secret import unshown
from service.lib.text import decode, writable
from service.model.form import Form
from service.model.problem import Code
from service.model.way import Way
from service.submission.body import MAX_FIELDS, MAX_VALUES
from service.submission.form_data import Posted, gather
from service.submission.ways.message import NAMED, Message, at, find, read_document, text_of, without
from service.submission.ways.table import WAYS

UNREAD: Final = "body"
"""The extra that keeps what nobody can read."""
TEST: Final = "test"
CANCELLED: Final = "cancelled"

_Holder: TypeAlias = list[Node] | Object


@dataclass(frozen=True, slots=True)
class Event:
    """One submission as its sender tells it: `id` is the same on each of its retries, "" if it has none.

    `held` is why it is kept and not delivered, "" where it is.
    """

    posted: Posted
    id: str
    page: str
    held: str = ""

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: its names, the most stable first, its value, and the item that it was."""

    names: tuple[str, ...]
    node: Node
    item: Node

    __repr__ = unshown


@dataclass(frozen=True, slots=True)
class _Named:
    """An answer under one name; `owner` is the field that it is, `is_spelled` whether its name alone tells so."""

    name: str
    owner: str | None
    is_spelled: bool
    answer: _Answer

    __repr__ = unshown


def read(way: Way, message: Message, form: Form) -> Event:
    """Return what a message tells; what it says elsewhere than its way knows is kept under the names it has."""
    document, flags = read_document(message)
    document = without(document, way.key)
    answers = list(islice(_answers(way, document), MAX_VALUES + 1))
    kind, mark = (text_of(find(place, document, message.headers)) for place in (way.event, way.test))
    if not _places(way, document) and kind not in way.pings:
        answers += _unforeseen(document, message.raw)
        flags += (str(Code.UNREADABLE_BODY if message.raw else Code.EMPTY),)
    is_test, is_cancelled = kind in way.pings or mark.strip().lower() in {"true", "1"}, kind in way.cancels
    if is_cancelled:
        answers.append(_Answer(("event",), kind, kind))
    posted = _posted(way, form, answers)
    return Event(
        replace(posted, flags=(*flags, *posted.flags, *(TEST,) * is_test, *(CANCELLED,) * is_cancelled)),
        text_of(find(way.id, document, message.headers)),
        next(filter(None, (text_of(find(place, document, message.headers)) for place in way.page)), ""),
        _held(way, is_test=is_test, is_cancelled=is_cancelled),
    )


def _held(way: Way, *, is_test: bool, is_cancelled: bool) -> str:
    if is_test and way.tests == "quarantine":
        return TEST
    return CANCELLED if is_cancelled and way.cancelled == "quarantine" else ""


def of_webflow(raw: bytes, form: Form) -> Event | None:
    """Return Webflow's event in a body that came to the form itself, None where it is something else."""
    if b"form_submission" not in raw:
        return None
    found, way = json_text.parse_object(decode(raw) or ""), WAYS["webflow"]
    payload = found.get("payload") if found and found.get("triggerType") == "form_submission" else None
    if not isinstance(payload, Object):
        return None
    return Event(
        _posted(way, form, list(islice(_answers(way, found), MAX_VALUES + 1))),
        text_of(payload.get("id")),
        text_of(payload.get("pageUrl")),
    )


def _posted(way: Way, form: Form, answers: list[_Answer]) -> Posted:
    named = list(_named(form, answers[:MAX_VALUES]))
    taken = _within_limits(named, {one.name for one in named if one.owner})
    pairs = ((one.name, text) for one in taken for text in _texts(way, form, one))
    sent = list(islice(pairs, MAX_VALUES + 1))
    is_cut = len(taken) < len(answers) or len(sent) > MAX_VALUES
    known = {one.name: one.owner for one in taken if one.owner and not one.is_spelled}
    posted = gather(sent[:MAX_VALUES], known=known, honeypot=form.honeypot)
    return replace(posted, flags=(str(Code.TOO_MANY_FIELDS),) if is_cut else ())


def _places(way: Way, document: Node) -> list[_Holder]:
    """Return the objects and lists that hold answers; the whole body only where there is no other."""
    found = [_holder(at(document, place)) for place in way.answers if place]
    inner = [node for node in found if node is not None]
    whole = _holder(document) if "" in way.answers and not inner else None
    return inner if whole is None else [whole]


def _holder(node: Node) -> _Holder | None:
    node = json_text.parse(node) if isinstance(node, str) else node
    return node if isinstance(node, list | Object) else None


def _answers(way: Way, document: Node) -> Iterator[_Answer]:
    labels, lists = _labels(way, document), set[str]()
    for place in _places(way, document):
        for key, item in place.members if isinstance(place, Object) else [("", item) for item in place]:
            names = _names(way, item, key, labels, left=way.leave if place is document else ())
            value = _value(way, item)
            if names and not (isinstance(value, bool) and names[0].rpartition("_")[0] in lists):
                yield _Answer(names, value, item)
            if names and _options(item):  # Each of its choices stands again beside it, ticked or not.
                lists.add(names[0])
    for name, where in way.beside.items():
        yield _Answer((name,), node := at(document, where), node)


def _unforeseen(document: Node, raw: bytes) -> Iterator[_Answer]:
    if isinstance(document, Object):
        yield from (_Answer((name,), node, node) for name, node in document.members)
    elif raw:
        yield _Answer((UNREAD,), raw.decode("utf-8", "replace"), None)


def _labels(way: Way, document: Node) -> dict[str, str]:
    items = at(document, way.labels.at) if way.labels else None
    if way.labels is None or not isinstance(items, list):
        return {}
    return {text_of(at(item, way.labels.key)): text_of(at(item, way.labels.label)) for item in items}


def _names(way: Way, item: Node, key: str, labels: Mapping[str, str], *, left: Container[str]) -> tuple[str, ...]:
    """Return the names of an answer; none for what is no answer."""
    found = re.fullmatch(way.pattern or ".*", key, re.DOTALL)
    if key in left or found is None:
        return ()
    by = way.labels.by if way.labels else ""
    own = {"": key, "@": labels.get(text_of(at(item, by)) if by else key, "")}
    names = (own[place] if place in own else text_of(at(item, place)) for place in way.names)
    return tuple(name for name in (*names, *found.groups()) if name.strip()) or (UNREAD,)


def _value(way: Way, item: Node) -> Node:
    if not isinstance(item, Object):
        return item
    named = NAMED.fullmatch(way.value)
    place = text_of(item.get(named[1])) if named else way.value
    return _listed(item.get(place) if any(name == place for name, _ in item.members) else item)


def _listed(node: Node) -> Node:
    """Read as a list what PHP makes an object of: a list with a gap, or with an answer of one's own beside it."""
    names = [name for name, _ in node.members] if isinstance(node, Object) else []
    is_list = any(map(str.isdecimal, names)) and all(name.isdecimal() or name == "other" for name in names)
    return _children(node) if isinstance(node, Object) and is_list else node


def _named(form: Form, answers: Iterable[_Answer]) -> Iterator[_Named]:
    """Give each answer one name: the last, which people read, or a stable one where two have the same.

    It is the field that has its element id in Webflow, or else the first of its names.
    """
    elements = {field.webflow: (field.name, Rank.KNOWN) for field in form.fields.values() if field.webflow}
    names, taken = names_of(form.fields), set[str]()
    for answer in answers:
        known = [elements.get(name) for name in answer.names] + [meaning(names, name) for name in answer.names]
        meant = next(filter(None, known), None)
        name = next((name for name in reversed(answer.names) if name not in taken), answer.names[0])
        taken.add(name)
        yield _Named(writable(name), meant[0] if meant else None, meaning(names, name) == meant, answer)


def _within_limits(named: list[_Named], own: Container[str]) -> list[_Named]:
    """Return the answers under as many names as a form takes, the form's `own` first."""
    ranked = sorted(named, key=lambda one: one.name not in own)
    names = frozenset(islice(dict.fromkeys(one.name for one in ranked), MAX_FIELDS))
    return [one for one in ranked if one.name in names]


def _texts(way: Way, form: Form, named: _Named) -> Iterator[str]:
    """Yield what was answered, one text a choice; that a box was ticked, whatever stands beside it."""
    node = named.answer.node
    if named.owner and form.fields[named.owner].type == "boolean" and isinstance(node, list) and node:
        yield "true"
        return
    shown = _options(named.answer.item)
    for choice in node if isinstance(node, list) and all(map(_is_flat, node)) else [node]:
        for text in _said(way, choice):
            said = shown.get(text, text)
            yield from said.split(way.separator) if way.separator else [said]


def _options(item: Node) -> dict[str, str]:
    """Return the texts of an answer's options by their ids, where it brings them along."""
    options = item.get("options") if isinstance(item, Object) else None
    listed = options if isinstance(options, list) else []
    return {text_of(at(option, "id")): text_of(at(option, "text")) for option in listed}


def _said(way: Way, node: Node) -> Iterator[str]:
    if not isinstance(node, Object):
        yield from [] if node is None else [text_of(node)]
        return
    telling = [child for name in way.text if (child := node.get(name)) is not None]
    for child in telling:
        yield from map(text_of, child if isinstance(child, list) else [child])
    if not telling:
        yield _joined(node) if _is_flat(node) else text_of(node)


def _joined(node: Object) -> str:
    """Return the parts of an answer as one text, those of a day as ISO 8601."""
    parts = {name: text for name, child in node.members if (text := text_of(child))}
    if {"year", "month", "day"} <= parts.keys():
        parts["year"] += f"-{parts.pop('month'):0>2}-{parts.pop('day'):0>2}"
        parts = {"year": parts.pop("year"), **parts}
    return " ".join(parts.values())


def _is_flat(node: Node) -> bool:
    """Tell whether a node is a scalar, or an object of nothing else."""
    return not (isinstance(node, list) or (isinstance(node, Object) and any(map(json_text.is_nested, _children(node)))))


def _children(node: Object) -> list[Node]:
    return [child for _, child in node.members]
