"""Every answer and every failure has one meaning, and the next try is never early."""

import socket
import ssl
from email.utils import formatdate

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.destinations.failure import judge_failure
from service.destinations.outcome import Delivered, Rejected, Retry, judge, next_try, retry_after

NOW = 1_790_000_000_000
HOUR = 3_600_000
RETRIES = (5_000, 300_000, 1_800_000)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert judge(status, {}, "thanks", now=NOW) == Delivered(status)


@pytest.mark.parametrize(
    ("status", "scope"),
    [
        *[(status, "delivery") for status in (408, 409, 425, 500, 501, 502, 504, 520, 599, 999)],
        *[(status, "load") for status in (429, 503)],
        *[(status, "setup") for status in (300, 301, 302, 304, 307, 308, 401, 403, 404, 405, 407, 410)],
    ],
)
def test_these_are_tried_again_and_say_whom_they_are_about(status: int, scope: str) -> None:
    match judge(status, {}, "x" * 600, now=NOW):
        case Retry(reason, None, found, found_status, excerpt):
            assert (found, found_status, excerpt) == (scope, status, "x" * 500)
            assert reason.startswith(f"the CRM answered {status}: ")
        case other:
            pytest.fail(f"{other}")


@pytest.mark.parametrize("status", [100, 103, 400, 402, 406, 411, 413, 415, 418, 422, 431, 451])
def test_other_4xx_are_dead_with_the_first_500_characters(status: int) -> None:
    outcome = judge(status, {"Retry-After": "5"}, "é" * 600, now=NOW)
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.excerpt) == (status, "é" * 500)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(status=st.integers(100, 999), excerpt=st.text(min_size=4), header=st.text())
def test_every_answer_means_something_and_no_reason_repeats_it(status: int, excerpt: str, header: str) -> None:
    outcome = judge(status, {"retry-after": header}, f"~{excerpt}~", now=NOW)
    assert isinstance(outcome, Delivered) or f"~{excerpt}~" not in outcome.reason


@pytest.mark.parametrize(
    ("status", "expected"),
    [(409, Delivered), (302, Delivered), (500, Rejected), (200, Rejected), (404, Retry), (422, Retry), (201, Retry)],
)
def test_what_a_destination_means_differently_comes_first(status: int, expected: type) -> None:
    lists = {"delivered": {409, 302}, "rejected": {500, 200}, "retried": {404, 422, 201}}
    outcome = judge(status, {}, "", **lists, now=NOW)
    assert isinstance(outcome, expected)
    assert not isinstance(outcome, Retry) or outcome.scope == "delivery"


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://www.crm.example.com/hooks/leads?key=k-3f9a", "https://www.crm.example.com"),
        ("http://user:k-3f9a@[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080"),
        ("//crm.example.com/k-3f9a", "//crm.example.com"),
        ("/hooks/k-3f9a/", "another path of the same host"),
        ("mailto:asha@example.com", "an address that is none"),
        ("https://<k-3f9a>/", "an address that is none"),
        ("ftp://crm.example.com/", "an address that is none"),
        ("http://crm.example.com:k-3f9a/", "an address that is none"),
        ("http://[k-3f9a/", "an address that is none"),
        ("", "another address"),
    ],
)
def test_where_a_redirect_leads_is_named_and_nothing_that_may_be_secret(location: str, named: str) -> None:
    outcome = judge(308, httpx.Headers({"location": location}), "", now=NOW)
    assert isinstance(outcome, Retry)
    assert outcome.reason == f"the CRM answered 308: it sends us to {named}, and we do not follow"


def test_what_was_said_by_a_status_that_means_delivered_here_is_kept() -> None:
    outcome = judge(409, {}, "x" * 600, delivered={409}, now=NOW)
    assert isinstance(outcome, Delivered)
    assert outcome.excerpt == "x" * 500


def test_a_429_that_a_destination_lists_still_speaks_for_all() -> None:
    outcome = judge(429, {}, "", retried={429}, now=NOW)
    assert isinstance(outcome, Retry)
    assert outcome.scope == "load"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("1", NOW + 1_000),
        (" 120 ", NOW + 120_000),
        ("0120", NOW + 120_000),
        ("3600", NOW + HOUR),
        ("3601", NOW + HOUR),
        ("86400", NOW + HOUR),
        ("9" * 5_000, NOW + HOUR),
        (formatdate(NOW / 1000 + 90, usegmt=True), NOW + 90_000),
        (formatdate(NOW / 1000 + 90_000, usegmt=True), NOW + HOUR),
        ("Mon, 21 Sep 2026 14:14:50 -0000", NOW + 90_000),
        ("Mon, 21 Sep 2026 19:44:50 +0530", NOW + 90_000),
        (formatdate(NOW / 1000 - 90, usegmt=True), None),
        ("3.0", NOW + 3_000),
        ("3.", NOW + 3_000),
        ("1.5", NOW + 2_000),
        ("9" * 5_000 + ".5", NOW + HOUR),
        ("0", None),
        ("0.0", None),
        ("-5", None),
        (".5", None),
        ("1.5.2", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Mon, 99 Zzz 2026 25:61:61 GMT", None),
        ("Mon, 21 Sep 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(text: str, after: int | None) -> None:
    assert retry_after({"RETRY-After": text}, NOW) == after


@pytest.mark.parametrize(("status", "scope"), [(429, "load"), (503, "load"), (500, "delivery"), (401, "setup")])
def test_retry_after_counts_on_every_kind_of_refusal(status: int, scope: str) -> None:
    outcome = judge(status, httpx.Headers({"retry-after": "60"}), "", now=NOW)
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.scope) == (NOW + 60_000, scope)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(text=st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ \S*")))
def test_no_retry_after_breaks_anything(text: str) -> None:
    after = retry_after({"retry-after": text}, NOW)
    assert after is None or NOW < after <= NOW + HOUR


@pytest.mark.parametrize(
    ("attempts", "jitter", "not_before", "due"),
    [
        (1, 0.0, None, NOW + 5_000),
        (1, 0.5, None, NOW + 5_500),
        (2, 0.0, None, NOW + 300_000),
        (3, 0.0, None, NOW + 1_800_000),
        (4, 0.0, None, None),
        (9, 0.0, NOW + 1, None),
        (1, 0.0, NOW + 1, NOW + 5_000),
        (1, 0.0, NOW + 60_000, NOW + 60_000),
    ],
)
def test_the_next_try_follows_the_list_and_can_only_be_pushed_later(
    attempts: int, jitter: float, not_before: int | None, due: int | None
) -> None:
    assert next_try(attempts, RETRIES, NOW, jitter, not_before) == due


@settings(max_examples=100, derandomize=True, deadline=None)
@given(pause=st.integers(1, 86_400_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_pause_is_lengthened_by_up_to_a_fifth_and_never_shortened(pause: int, jitter: float) -> None:
    due = next_try(1, [pause], NOW, jitter, None)
    assert due is not None
    assert pause <= due - NOW <= pause * 1.2


def test_nothing_can_be_tried_again_before_it_was_tried() -> None:
    with pytest.raises(ValueError, match="0 attempts"):
        next_try(0, RETRIES, NOW, 0.0, None)


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    for outer, cause in zip((error, *causes), causes, strict=False):
        outer.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "scope", "words"),
    [
        (httpx.ConnectTimeout("x"), "delivery", "no connection to the CRM could be made in time"),
        (httpx.ReadTimeout("x"), "delivery", "the CRM did not answer in time"),
        (httpx.WriteTimeout("x"), "delivery", "the CRM did not answer in time"),
        (httpx.PoolTimeout("x"), "delivery", "no connection to the CRM was free in time"),
        (TimeoutError(), "delivery", "the CRM did not answer in time"),
        (httpx.ConnectError("x"), "delivery", "no connection to the CRM could be made"),
        (caused(httpx.ConnectError("x"), OSError(), ConnectionRefusedError()), "delivery", "refused the connection"),
        (caused(httpx.ConnectError("x"), socket.gaierror()), "delivery", "could not be looked up"),
        (
            caused(httpx.ConnectError("x"), OSError(), ExceptionGroup("all", [ConnectionRefusedError()])),
            "delivery",
            "refused the connection",
        ),
        (caused(httpx.ConnectError("x"), OSError(), ssl.SSLCertVerificationError()), "setup", "certificate"),
        (caused(httpx.ConnectError("x"), ssl.SSLError()), "delivery", "no secure connection"),
        (httpx.ReadError("x"), "delivery", "broke the connection off"),
        (httpx.RemoteProtocolError("x"), "delivery", "broke the connection off"),
        (ConnectionResetError(), "delivery", "broke the connection off"),
        (httpx.DecodingError("x"), "setup", "not in clean HTTP"),
        (httpx.UnsupportedProtocol("x"), "setup", "cannot be used"),
        (RuntimeError("private words"), "delivery", "the request to the CRM failed"),
    ],
)
def test_a_failure_without_an_answer_is_tried_again_and_only_our_setup_pauses_the_destination(
    error: BaseException, scope: str, words: str
) -> None:
    outcome = judge_failure(error)
    assert (outcome.scope, outcome.status, outcome.after) == (scope, None, None)
    assert words in outcome.reason


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert judge_failure(one).scope == "delivery"


def test_a_real_certificate_error_of_httpx_is_found() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        try:
            raise ssl.SSLCertVerificationError
        except ssl.SSLError as error:
            raise httpx.ConnectError("no") from error

    with httpx.Client(transport=httpx.MockTransport(refuse)) as client, pytest.raises(httpx.ConnectError) as failure:
        client.get("https://crm.example.com")
    assert judge_failure(failure.value).scope == "setup"
