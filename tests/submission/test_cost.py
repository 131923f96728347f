"""What a body costs to read, at its worst: whatever stands in 256 KiB, the processor is soon free for the next."""

import gc
import json
import time
from collections.abc import Iterator

import pytest

from service.lib import json_text
from service.lib.json_text import MAX_NESTED, Object
from service.lib.secret import Secret
from service.model.form import Field, Form
from service.model.problem import Problems
from service.replies import page, wording
from service.submission import body, check, source
from service.submission.body import MAX_BYTES
from service.submission.facts import facts
from service.submission.field_match import match
from service.submission.person import identities, person_keys, text_hash
from service.submission.ways.event import of_webflow

SECRET = Secret("a secret of the tests, 32 and more")
CHOICES = tuple(f"choice {number}" for number in range(200))
FORM = Form(
    "a",
    {
        "name": Field("name", required=True, aliases=tuple(f"alias {number}" for number in range(30))),
        "phone": Field("phone", "phone", required=True),
        "other": Field("other", "phone", aliases=tuple(f"tel {number}" for number in range(20))),
        "email": Field("email", "email", max_length=100_000, invalid="flag"),
        "tags": Field("tags", "choices", choices=CHOICES, other=True),
        "message": Field("message", multiline=True, max_length=100_000),
    },
    ("crm",),
    webflow=True,
)
URLENCODED, JSON = "application/x-www-form-urlencoded", "application/json"
GOOD = "name=Asha&phone=8951047001&"
WIDE = "\ufdfa"  # one sign that stands for eighteen
UNIT = "\u3316"  # one that stands for six, as no sentence does
MARKS = "\u0301\u0316"
MOST_S = 0.05
"""Processor time of one body, on a machine that needs `YARDSTICK_S` for the `yardstick`; the costliest takes half."""
YARDSTICK_S = 0.05


def many(number: int, pair: str) -> str:
    return "&".join(pair.format(each) for each in range(number))


def named(number: int, name: str) -> dict[str, str]:
    return {name.format(each): "x" for each in range(number)}


def as_json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False)


def event(data: object) -> str:
    return as_json({"triggerType": "form_submission", "payload": {"id": "1", "data": data, "schema": []}})


BODIES: dict[str, tuple[str, str | bytes]] = {
    "choices in one value": (URLENCODED, f"{GOOD}tags={'c,' * 100_000}"),
    "choices in many values": (URLENCODED, many(995, "tags=choice {}")),
    "names that unfold": (URLENCODED, GOOD + many(60, f"{{}}{WIDE * 900}=1")),
    "marks on one sign": (URLENCODED, f"{GOOD}message=a{MARKS * 60_000}"),
    "no sign that is one": (URLENCODED, GOOD.encode() + "message=ä".encode() + b"\xff" * 200_000),
    "an address of labels": (URLENCODED, f"{GOOD}email=a@{'a.' * 40_000}in"),
    "tags that do not end": (URLENCODED, GOOD + many(60, f"x{{}}={'<a ' * 1_300}")),
    "nothing but tags' beginnings": (URLENCODED, f"{GOOD}message={'<' * 100_000}"),
    "links": (URLENCODED, f"{GOOD}message={'http://a+' * 11_000}"),
    "references": (URLENCODED, f"{GOOD}message={'%26%232310%3B' * 18_000}"),
    "numbers beside a number": (URLENCODED, "name=A&phone=1234567&" + many(60, f"x{{}}=%2B{'9' * 4_000}")),
    "numbers of one field": (URLENCODED, "name=A&" + many(990, "phone=89510{}")),
    "lines": ("text/plain", "\r\n".join(["a=b"] * 50_000)),
    "values of one name": (JSON, json.dumps({"x": ["v"] * 40_000})),
    "pairs": (JSON, json.dumps([{"name": f"n{each % 60}", "value": "v"} for each in range(7_000)])),
    "lists in a list": (JSON, json.dumps({"name": "A", "phone": "8951047001", "x": [[1]] * 40_000})),
    "names": (JSON, json.dumps(named(17_000, "n{}"))),
    "objects that may hold a person": (
        JSON,
        as_json({f"x{each}": named(22, f"{{}}{UNIT * 50}") for each in range(60)}),
    ),
    "an object that may hold a person": (JSON, as_json({"x": named(400, f"{{}}{UNIT * 90}"), "name": "Asha"})),
    "objects in a list": (JSON, as_json({"x": [{"a": {"b": {"c": 1}}}] * 8_000})),
    "objects in objects": (
        JSON,
        as_json({f"x{each}": {f"y{more}": {"z": 1} for more in range(60)} for each in range(60)}),
    ),
    "long names in objects": (JSON, as_json({f"x{each}": named(20, f"{{}}{UNIT * 60}") for each in range(55)})),
    "too deep": (JSON, "[" * 200_000),
    "halves of signs": (JSON, '{"name":"A","phone":"8951047001","message":"' + "\\ud800" * 40_000 + '"}'),
    "values from Webflow": (JSON, event({"x": ["v"] * 40_000})),
    "names from Webflow": (JSON, event(named(17_000, "n{}"))),
    "names from Webflow that unfold": (JSON, event(named(2_500, f"{{}}{WIDE * 30}"))),
}


def read(content_type: str, raw: bytes) -> None:
    """Do all that is done about a submission before it is kept, or its page when it is refused."""
    told = of_webflow(raw, FORM) if content_type == JSON else None
    posted = told.posted if told else body.read(content_type, raw, FORM)
    if isinstance(posted, Problems):
        return
    matched, came_from = match(FORM, posted), source.of(posted, "")
    checked = check.check(FORM, posted, matched, lenient=told is not None)
    if isinstance(checked, Problems):
        page.again(
            FORM, wording.of(FORM), posted, matched, checked, next_url="", source=source.text_of(came_from), token=""
        )
        return
    for work in (person_keys, identities, text_hash, facts):
        work(SECRET, FORM, checked.content)


def yardstick() -> float:
    """Return the processor time of work that is always the same, as this machine does it now beside all else."""
    started = time.process_time()
    json.loads(json.dumps({f"name {number}": [str(number)] * 8 for number in range(12_000)}))
    sum(hash(str(number)) & 1 for number in range(60_000))
    return time.process_time() - started


@pytest.fixture(autouse=True)
def _only_ours() -> Iterator[None]:
    """Look for garbage among what is made meanwhile alone, as the web process does."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", BODIES)
def test_no_body_costs_more_than_a_moment(name: str) -> None:
    content_type, text = BODIES[name]
    raw = text.encode() if isinstance(text, str) else text
    assert len(raw) <= MAX_BYTES
    read(URLENCODED, GOOD.encode())  # what is loaded once
    read(URLENCODED, b"name=")
    costs = []
    for _ in range(3):
        started = time.process_time()
        read(content_type, raw)
        costs.append(time.process_time() - started)
        if costs[-1] < MOST_S or costs[-1] < MOST_S * yardstick() / YARDSTICK_S:
            return
    raise AssertionError(costs)


def test_what_stands_in_a_text_is_no_list_however_many_brackets_it_has() -> None:
    crowded = MAX_NESTED * "[],"
    for said in (crowded, f'"{crowded}', f"\\{crowded}", f'\\"{crowded}\\'):
        assert json_text.parse(json.dumps({"message": said})) == Object([("message", said)])
    for broken in ('{"a":"' + crowded, '{"a":"\\' + crowded, f'"\\"{crowded}\\'):
        assert json_text.parse(broken) is None
    lists = json.dumps([[]] * MAX_NESTED)
    assert json_text.parse(lists) is None
    assert json_text.parse(lists.replace("[], ", "", 1)) == [[]] * (MAX_NESTED - 1)
