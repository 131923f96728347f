"""The log: one line an event, as JSON or as text, and never what a visitor typed or a CRM answered."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from service.delivery.attempt import Conclusion
from service.delivery.courier import Attempted
from service.model.lead import Answer, Content, Delivery, Lead
from service.process.log import log_attempt, log_submission, log_unverified, open_log
from service.store.breaker import GateState
from service.store.records import Attempt, Claim

SAID = Content({"name": Answer("Asha Rao")}, {"colour": "mauve"})
LEAD = Lead("lead_1", "callback", 2, SAID, 0, 0, 0, 1)
CLAIM = Claim("callback", "crm", Delivery(LEAD, "lead.created"), 0, refused_at=0, token="t")


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    """Open each log anew: it writes to the standard error of its own test."""
    yield
    structlog.reset_defaults()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def attempted(
    result: Literal["delivered", "retry", "dead"], state: GateState = "open", status: int | None = 422
) -> Attempted:
    attempt = Attempt(1, 2, result, 37, status, "it finds a value wrong", "Asha Rao has no surname")
    return Attempted(CLAIM, Conclusion(attempt), "settled", state)


def test_a_submission_is_one_line_of_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    note = log_submission(open_log("json", "web"))
    note(form="callback", result="created", receipt="r1", lead="lead_1", version=1, codes=(), duration_ms=4)
    told = capsys.readouterr()
    assert told.out == ""
    [line] = lines(told.err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "process": "web", "form": "callback", "result": "created", "receipt": "r1", "lead": "lead_1", "version": 1,
        "took_ms": 4, "event": "submission", "level": "info",
    }  # fmt: skip


def test_a_refused_one_names_its_codes_and_leaves_out_what_there_is_none_of(capsys: pytest.CaptureFixture[str]) -> None:
    note = log_submission(open_log("json", "web"))
    note(form="callback", result="refused", receipt="", lead="", version=0, codes=("EMPTY",), duration_ms=0)
    [line] = lines(capsys.readouterr().err)
    assert line["codes"] == ["EMPTY"]
    assert not {"receipt", "lead", "version"} & line.keys()
    assert line["took_ms"] == 0


@pytest.mark.parametrize(
    ("what", "levels"),
    [
        (attempted("delivered"), ["info"]),
        (attempted("retry"), ["warning"]),
        (attempted("dead"), ["warning"]),
        (attempted("retry", "paused"), ["warning", "error"]),
        (attempted("retry", "closed"), ["warning"]),
        (attempted("delivered", "opened"), ["info", "info"]),
    ],
)
def test_an_attempt_is_one_line_and_a_pause_is_loud(
    what: Attempted, levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log_attempt(open_log("json", "worker"), what)
    told = capsys.readouterr().err
    assert [line["level"] for line in lines(told)] == levels
    first = lines(told)[0]
    assert (first["lead"], first["version"], first["destination"]) == ("lead_1", 2, "crm")
    assert (first["result"], first["status"], first["took_ms"]) == (what.conclusion.attempt.result, 422, 37)
    for word in ("Asha", "surname", "mauve"):
        assert word not in told


def test_the_text_is_for_people_and_has_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    log_attempt(open_log("text", "worker"), attempted("dead"))
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "lead_1" in told
    assert "it finds a value wrong" in told
    assert "\x1b" not in told  # no colours where nobody looks


class Writes(io.StringIO):
    """A stream that keeps each write apart, as a file that several processes share would."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        self.parts.append(text)
        return len(text)


@pytest.mark.parametrize("how", ["json", "text"])
def test_a_line_is_one_write_so_that_processes_do_not_cut_into_each_others(
    how: Literal["json", "text"], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Writes()
    monkeypatch.setattr(sys, "stderr", shared)
    open_log(how, "web").info("submission", form="callback")
    [line] = shared.parts
    assert line.endswith("\n")


@pytest.mark.parametrize("how", ["json", "text"])
def test_an_exceptions_text_never_reaches_the_log(
    how: Literal["json", "text"], capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_log(how, "web")
    try:
        int("Asha Rao")
    except ValueError:
        log.exception("trouble")
    told = capsys.readouterr().err
    assert "trouble" in told
    assert "Asha" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("how", ["json", "text"])
def test_a_line_break_in_a_value_makes_no_second_line(
    how: Literal["json", "text"], capsys: pytest.CaptureFixture[str]
) -> None:
    open_log(how, "web").info("submission", form="a\nb\x1b[2J")
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "\x1b" not in told


def test_a_lead_let_through_unverified_is_a_warning_that_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    log_unverified(open_log("json", "web"))("callback", "The verifier answered 503.")
    [line] = lines(capsys.readouterr().err)
    assert (line["level"], line["event"], line["form"]) == ("warning", "captcha not verified", "callback")
    assert line["reason"] == "The verifier answered 503."
