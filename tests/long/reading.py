"""What it costs to read a body by its encoding, beside reading its pairs alone, in turns in one process."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode

from service.submission import body
from service.submission.form_data import gather

FORM_TYPE: Final = "application/x-www-form-urlencoded"
_SAID: Final = {"name": "Asha Rao", "phone": "089510 47001", "email": "asha@example.com"}
BODIES: Final = {
    "plain ASCII": urlencode(_SAID | {"message": "My knee hurts since March. " * 20}).encode(),
    "UTF-8": urlencode(_SAID | {"message": "\u092e\u0947\u0930\u093e \u0918\u0941\u091f\u0928\u093e " * 10}).encode(),
    "windows-1252": urlencode(_SAID | {"message": "It\u2019s my knee. " * 30}, encoding="cp1252").encode(),
}
_TURNS: Final = 60
_EACH: Final = 200


def lines() -> Iterator[str]:
    """Yield a line for each body: microseconds, and the ratio to its pairs alone."""
    for name, raw in BODIES.items():
        read, pairs = _in_turns(partial(body.read, FORM_TYPE, raw), partial(_pairs, raw))
        yield f"reading {len(raw):,} bytes of {name}: {read:.1f} µs, {read / pairs:.2f} of its pairs alone"


def _pairs(raw: bytes) -> object:
    return gather(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="replace"))


def _in_turns(*calls: Callable[[], object]) -> list[float]:
    """Return the median time of each call, µs."""
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(_TURNS):
        for call, times in zip(calls, took, strict=True):
            began = time.perf_counter()
            for _ in range(_EACH):
                call()
            times.append((time.perf_counter() - began) / _EACH * 1e6)
    return [statistics.median(times) for times in took]
