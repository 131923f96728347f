"""A way in: how a form builder, an ad platform or a calendar tells of a submission.

Invariant: frozen values. They say where things stand in a body, and never what they mean for a form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from service.lib.secret import Secret
from service.lib.signature import Scheme

Held = Literal["quarantine", "accept"]


@dataclass(frozen=True, slots=True)
class Labels:
    """A list beside the answers that has further names for them: those of `label`, found by `key`.

    `key` of its items is what stands at `by` in an answer; `by` "": the answer's own name.
    """

    at: str
    key: str
    label: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """Where things stand in what a sender posts.

    A place is a path of names with dots, an item of a list by its number; "" is the whole body, or of a name the key
    itself. A text that is JSON is looked into. `{Name}` is the header of that name.

    `answers` are the places of objects and lists of answers; "" there is for a body that has none of the others.
    `names` are the places of an answer's names, the most stable first; "@" is that of `labels`. `value` is where an
    item's value is; `{type}`: the member that another one names. `text` are the members that say a value which is an
    object; without any, all of its parts do. `beside` are single answers by name. `leave` are names of the whole body
    that are no answers; `pattern` matches those that are, and captures a further name. `separator` parts several
    choices.

    `id` and `page` are where those stand (`page`: the first that says one), `test` where a mark of a test does.

    `event` is where the kind of a message stands; those of `cancels` take something back, those of `pings` are tests.
    `key` is where the secret stands, if it is in the body, `signature` how it signs.
    """

    name: str = ""
    type: str = "custom"
    title: str = ""
    setup: str = ""
    answers: tuple[str, ...] = ("",)
    names: tuple[str, ...] = ("", "name")
    value: str = "value"
    labels: Labels | None = None
    text: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    leave: frozenset[str] = frozenset()
    pattern: str = ""
    separator: str = ""
    id: str = ""
    page: tuple[str, ...] = ()
    test: str = ""
    event: str = ""
    cancels: frozenset[str] = frozenset()
    pings: frozenset[str] = frozenset()
    key: str = ""
    signature: Scheme | None = None
    secret: Secret | None = None
    tests: Held = "quarantine"
    cancelled: Held = "quarantine"
