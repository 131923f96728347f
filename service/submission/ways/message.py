"""What a sender posts, before anybody asks what it says: its bytes as a document, and whether they are proved.

Invariant: pure, and safe on any bytes. A secret is compared in a time that tells nothing of it.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.lib import json_text
from service.lib.json_text import Node, Object
from service.lib.secret import unshown
from service.lib.signature import is_signed
from service.lib.text import writable
from service.model.problem import Code
from service.model.way import Way
from service.submission.body import MOST_PAIRS, pairs_of
from service.submission.encoding import decoder_for

KEY: Final = "key"
"""The parameter of the address that carries the secret of a sender who cannot sign."""

_BRACKETED: Final = re.compile(r"([^\[\]\s]+)((?:\[[^\[\]]*\]){1,4})")
NAMED: Final = re.compile(r"\{([\w-]+)\}")


@dataclass(frozen=True, slots=True)
class Message:
    """What came in, before anybody asks what it says; `headers` by their names in lower case."""

    content_type: str
    raw: bytes
    headers: Mapping[str, str]
    query: tuple[tuple[str, str], ...] = ()

    __repr__ = unshown


def is_proved(way: Way, message: Message, now: int) -> bool:
    """Tell whether whoever sent this knows the way's secret: by its signature, or by showing it."""
    if way.secret is None:
        return False
    if way.signature and is_signed(way.signature, way.secret, message.headers, message.raw, now):
        return True
    shown = [text for name, text in message.query if name == KEY]
    if way.key:
        shown.append(text_of(at(read_document(message)[0], way.key)))
    secret = way.secret.reveal().encode()
    return any([hmac.compare_digest(text.encode("utf-8", "replace"), secret) for text in shown])  # noqa: C419  no early end


def read_document(message: Message) -> tuple[Node, tuple[str, ...]]:
    """Read a body as JSON, or as pairs with names as PHP writes them; None: it is neither."""
    found = pairs_of(message.content_type, message.raw)
    if found:
        pairs, decoder = found
        cut = (str(Code.TOO_MANY_FIELDS),) if len(pairs) > MOST_PAIRS else ()
        return _nested(pairs[:MOST_PAIRS]), (*cut, *sorted(decoder.flags))
    decoder = decoder_for(message.raw)
    document = json_text.parse(decoder.text(message.raw))
    return document, tuple(sorted(decoder.flags))


def _nested(pairs: Iterable[tuple[str, str]]) -> Object:
    """Put `fields[tel][value]` and `topics[]` back into what they were (PHP, "http_build_query")."""
    tree: dict[str, Any] = {}
    for name, text in pairs:
        found = _BRACKETED.fullmatch(name)
        *above, last = [found[1], *found[2][1:-1].split("][")] if found else [name]
        branch = tree
        for step in above:
            below = branch.setdefault(step or str(len(branch)), {})
            branch = below if isinstance(below, dict) else branch
        leaf = branch.setdefault(last or str(len(branch)), [])
        (leaf if isinstance(leaf, list) else leaf.setdefault("", [])).append(text)
    return Object([(name, _node(below)) for name, below in tree.items()])


def _node(tree: Any) -> Node:  # noqa: ANN401  texts, or a tree of them
    if isinstance(tree, list):
        return tree[0] if len(tree) == 1 else tree
    nodes = [(name, _node(below)) for name, below in tree.items()]
    return [node for _, node in nodes] if all(name.isdigit() for name in tree) else Object(nodes)


def at(node: Node, place: str) -> Node:
    """Return what stands at a place, None for nothing."""
    if not place:
        return node
    node = _opened(node)
    head, _, rest = place.partition(".")
    if isinstance(node, list):
        return at(node[int(head)], rest) if head.isdecimal() and int(head) < len(node) else None
    if not isinstance(node, Object):
        return None
    members = dict(node.members)
    return members[place] if place in members else at(members.get(head), rest) if rest else None


def _opened(node: Node) -> Node:
    return json_text.parse(node) if isinstance(node, str) and node[:1] in {"{", "["} else node


def without(node: Node, place: str) -> Node:
    """Return a document without what stands at a place: a secret there is no answer."""
    node = _opened(node) if place else node
    if not place or not isinstance(node, Object):
        return node
    head, _, rest = place.partition(".")
    kept = ((name, without(child, rest) if name == head else child) for name, child in node.members)
    return Object([(name, child) for name, child in kept if name != place])


def find(place: str, document: Node, headers: Mapping[str, str]) -> Node:
    """Return what stands at a place of the body, or in the header that `{Name}` names; None for nothing."""
    header = NAMED.fullmatch(place)
    if header:
        return headers.get(header[1].lower())
    return at(document, place) if place else None


def text_of(node: Node) -> str:
    """Return a node as text: what holds others is JSON again."""
    if isinstance(node, list | Object):
        return writable(json_text.dump(node))
    return writable(json_text.scalar_text(node))
