"""The campaign of `make hostile`: its requests can be sent again, and it notices what it is there to notice."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hostile import Figures, statuses_in
from malformed import Attempt, attempt

PROGRAM = Path(__file__).parents[1] / "long" / "hostile.py"
CLEAN = Attempt((b"x",), 0, "wait", is_clean=True)


def test_an_attempt_is_the_same_for_the_same_numbers_and_another_for_others() -> None:
    assert [attempt(number, 1) for number in range(50)] == [attempt(number, 1) for number in range(50)]
    assert len({attempt(number, seed) for number in range(50) for seed in (1, 2)}) == 100
    kinds = Counter(attempt(number, 1).is_clean for number in range(1000))
    assert 200 < kinds[True] < 400


@pytest.mark.parametrize(
    ("came", "statuses"),
    [
        (b"", []),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 HTTP/1.1 422 U\r\n\r\n", [200, 422]),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", [100, 204, 200]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 404 N\r\n\r\n", [200, 404]),
        (b"HTTP/1.1 503 S\r\ncontent-length: 2\r\n\r\nno", [503]),
    ],
)
def test_the_answers_of_a_connection_are_told_apart(came: bytes, statuses: list[int]) -> None:
    assert statuses_in(came) == statuses


def test_every_kind_of_harm_is_noticed() -> None:
    harmless = Figures()
    harmless.note(1, CLEAN, [200])
    assert harmless.is_good()
    harms: list[dict[str, object]] = [{"faults": Counter({"fault": 1})}, {"not_thanked": 1}, {"adds_up": False}]
    assert not any(Figures(clean=Counter({200: 1}), **harm).is_good() for harm in harms)  # type: ignore[arg-type]  # of each its own
    for statuses in (None, [200, 503]):
        harmed = Figures()
        harmed.note(2, CLEAN, [200])
        harmed.note(3, CLEAN, statuses)
        assert not harmed.is_good()
        assert "--only 3" in harmed.told()


@pytest.mark.long
def test_a_short_campaign_does_no_harm_and_ends_with_its_figures() -> None:
    words = [sys.executable, str(PROGRAM), "--seconds", "20", "--seed", "7"]
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("hostile: 20 s, seed 7; memory ")
    assert last == "the accounts add up"
    assert "hangs 0, answers of 500 or more 0, faults in the log 0" in done.stdout
