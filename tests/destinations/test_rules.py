"""Rules look into an answer before its status counts: an error inside a 2xx is never delivered."""

import json

import pytest
from test_webhook import NOW, from_file

from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.rules import Response, value_at

OK = 200


def means(rules: str, status: int, text: str = "", **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_file(f"rules = [{rules}]").judge(Response(status, named, text), NOW)


def kind(outcome: Outcome) -> str:
    return outcome.scope if isinstance(outcome, Retry) else type(outcome).__name__


ERRORS = [
    ("JSON-RPC", '{ json = "error", means = "rejected" }', 200, '{"jsonrpc": "2.0", "error": {"code": -32602}}'),
    ("GraphQL", '{ json = "errors", exists = true, means = "rejected" }', 200, '{"data": null, "errors": [{}]}'),
    ("a record in a 202", '{ json = "data.0.status", is = "error", means = "rejected" }', 202,
     '{"data": [{"status": "error", "code": "INVALID_DATA"}]}'),
    ("a record in a 207", '{ json = "numErrors", is = 1, means = "rejected" }', 207, '{"numErrors": 1}'),
    ("success: false", '{ json = "success", is = false, means = "rejected" }', 200, '{"success": false}'),
    ("a sentence", '{ text = "not a valid", means = "rejected" }', 200, "Not a valid module directory"),
    ("a sign-in page", '{ text = "<html", means = "setup" }', 200, "<!doctype html><HTML><form>"),
    ("no id", '{ json = "id", exists = false, means = "retried" }', 200, "{}"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "status", "text"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_an_error_inside_a_2xx_is_not_delivered(rule: str, status: int, text: str) -> None:
    assert isinstance(means("", status, text), Delivered)
    assert not isinstance(means(rule, status, text), Delivered)


def test_a_header_and_the_host_of_a_redirect_are_read() -> None:
    rule = '{ header = "is-processed", has = "exception", means = "rejected" }'
    assert isinstance(means(rule, OK, Is_Processed="true Exception: common"), Rejected)
    assert isinstance(means(rule, OK, Is_Processed="true"), Delivered)
    script = (
        '{ location = "script.googleusercontent.com", means = "delivered" }, '
        '{ location = "accounts.google.com", means = "setup" }, { status = 200, means = "retried" }'
    )
    assert isinstance(means(script, 302, Location="https://script.googleusercontent.com/macros/echo?k=1"), Delivered)
    assert kind(means(script, 302, Location="https://accounts.google.com/?n=script.googleusercontent.com")) == "setup"
    assert kind(means(script, 302, Location="https://script.googleusercontent.com.evil.example/")) == "setup"
    assert kind(means(script, OK, "<html>")) == "delivery"


def test_the_first_that_fits_decides_and_without_one_the_lists_do() -> None:
    rules = '{ json = "a", is = 1, means = "load" }, { json = "a", exists = true, means = "setup" }'
    assert [kind(means(rules, 400, text)) for text in ('{"a": 1}', '{"a": 2}', "{}")] == ["load", "setup", "Rejected"]
    webhook = from_file('delivered = [409]\nrules = [{ status = 409, text = "twin", means = "rejected" }]')
    assert isinstance(webhook.judge(Response(409, {}, "a twin"), NOW), Rejected)
    assert isinstance(webhook.judge(Response(409, {}, "exists"), NOW), Delivered)


def test_a_retry_after_counts_and_the_reason_is_in_our_words() -> None:
    rule = '{ json = "error", means = "load", why = "the day\'s calls are used up" }'
    outcome = means(rule, 403, '{"error": "Asha"}', Retry_After="60")
    assert outcome == Retry(
        "the CRM answered 403: the day's calls are used up", NOW + 60_000, "load", 403, '{"error": "Asha"}'
    )


@pytest.mark.parametrize("text", ["", "[", "null", "3", '"a"', "[" * 90_000, '{"a": ' * 20_000, "\ud800"])
def test_a_rule_about_json_fits_no_answer_that_is_none(text: str) -> None:
    assert value_at(text, "a.0.b") is None
    assert isinstance(means('{ json = "a.0.b", means = "rejected" }', OK, text), Delivered)


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [({"a": [{"b": 0}]}, "a.0.b", 0), ({"a": [1]}, "a.1", None), ({"a": [1]}, "a.-1", None), ([{"c": ""}], "0.c", ""),
     ({"0": 5}, "0", 5), ({"a": None}, "a", None), ({"a": "text"}, "a.0", None), ([1], "9" * 5_000, None)],
)  # fmt: skip
def test_a_path_leads_through_tables_and_lists(document: object, path: str, value: object) -> None:
    assert value_at(json.dumps(document), path) == value


@pytest.mark.parametrize(
    ("wanted", "text", "fits"),
    [("1", '{"a": true}', False), ("true", '{"a": 1}', False), ("true", '{"a": true}', True), ('"1"', '{"a": 1}', True),
     ('"OK"', '{"a": "ok"}', False), ("0", '{"a": null}', False), ("false", '{"a": null}', False)],
)  # fmt: skip
def test_a_json_value_is_compared_as_what_it_is(wanted: str, text: str, *, fits: bool) -> None:
    outcome = means(f'{{ json = "a", is = {wanted}, means = "rejected" }}', OK, text)
    assert isinstance(outcome, Rejected) is fits
