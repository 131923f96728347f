"""The table of `make bench`: medians, ratios of medians, and whether a target is reached."""

import os
import time

import pytest
from comparison import ROWS, Row, medians, table
from outside import whole_length
from rig import cpu_s

MORE = Row("accepted", "accepted/s", "more", 3.0)
LESS = Row("p99", "ms", "less", 0.5)


def line_of(words: str, lines: list[str]) -> str:
    return next(line for line in lines if line.startswith(words))


def test_a_figure_is_the_median_of_the_rounds_that_have_it() -> None:
    assert medians([{"a": 1.0, "b": 7.0}, {"a": 100.0}, {"a": 3.0}]) == {"a": 3.0, "b": 7.0}


def test_a_ratio_is_ours_of_the_other_and_one_of_medians() -> None:
    ours, other = [{"accepted": each} for each in (300.0, 330.0, 9.0)], [{"accepted": 100.0}]
    lines = table(ours, other, names=("eb8818d", "here"), has_targets=True)
    assert line_of(ROWS[0].words, lines).split()[-6:] == ["100", "300", "3.00", "≥", "3", "reached"]


@pytest.mark.parametrize(
    ("row", "ratio", "is_reached"),
    [(MORE, 3.0, True), (MORE, 2.996, True), (MORE, 2.99, False), (LESS, 0.5, True), (LESS, 0.51, False)],
)
def test_a_target_is_reached_where_the_digits_that_are_shown_say_so(row: Row, ratio: float, is_reached: bool) -> None:
    assert row.is_reached(ratio) is is_reached


def test_what_only_one_build_can_do_has_no_ratio() -> None:
    lines = table([{"help": 0.2}], [{}], names=("bare", "here"), has_targets=True)
    assert line_of("`leads --help`", lines).split()[-3:] == ["-", "0.200", "-"]


def test_beside_the_floor_there_are_no_targets() -> None:
    lines = table([{"accepted": 1.0}], [{"accepted": 8.0}], names=("bare", "here"), has_targets=False)
    assert line_of(ROWS[0].words, lines).split()[-3:] == ["8", "1", "0.12"]


def test_cpu_counts_work_and_no_waiting() -> None:
    before = cpu_s(os.getpid())
    time.sleep(0.2)
    waited = cpu_s(os.getpid()) - before
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    assert waited < 0.1
    assert cpu_s(os.getpid()) - before >= 0.28


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n", 0),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", 41),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27),
    ],
)
def test_a_message_ends_where_its_head_says(data: bytes, length: int) -> None:
    assert whole_length(data) == length
