"""A rate and its meter, and whose request it is."""

from ipaddress import ip_network

import pytest

from service.lib.network import PRIVATE, UNKNOWN, Network, address_of, is_among
from service.lib.rate import MOST_KEYS, Meter, Rate
from service.model.form import Form, Limits
from service.web.limiter import CHECKS_A_POST, Limiter

MINUTE = 60_000
PROXIES: list[Network] = [ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("2001:db8:1::/48")]


def test_as_many_as_the_rate_says_may_come_at_once_and_then_one_at_a_time() -> None:
    meter = Meter(Rate(3, MINUTE))
    assert [meter.take("a", 0) for _ in range(5)] == [0, 0, 0, 20_000, 20_000]
    assert meter.take("a", 19_999) == 1
    assert meter.take("a", 20_000) == 0
    assert meter.take("a", 20_000) == 20_000


def test_one_key_does_not_wait_for_another() -> None:
    meter = Meter(Rate(1, MINUTE))
    assert [meter.take(key, 0) for key in "aba"] == [0, 0, MINUTE]


def test_a_rate_is_never_exceeded_over_any_stretch_by_more_than_its_number() -> None:
    meter = Meter(Rate(10, 1_000))
    passed = [now for now in range(0, 10_000, 7) if meter.take("a", now) == 0]
    assert len(passed) <= 10 + 100
    assert all(len([each for each in passed if start <= each < start + 1_000]) <= 20 for start in passed)


def test_a_meter_is_bounded_and_forgets_first_what_is_over() -> None:
    meter = Meter(Rate(1, MINUTE))
    for number in range(3 * MOST_KEYS):
        meter.take(f"key-{number}", number)
    assert len(meter._until) <= MOST_KEYS


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, junk"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.0.1"], "10.1.0.1"),
        ("127.0.0.1", ["2001:db8:2:3:4:5:6:7"], "2001:db8:2:3::/64"),
        ("127.0.0.1", ["[2001:db8:2:3:4:5:6:7]:443"], "2001:db8:2:3::/64"),
        ("2001:db8:1::5", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:198.51.100.7", [], "198.51.100.7"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["198.51.100.1"], UNKNOWN),
        ("/run/leads.sock", [], UNKNOWN),
        ("127.0.0.1", [""], "127.0.0.1"),
    ],
)
def test_the_client_is_who_the_last_trusted_proxy_says(peer: str, forwarded: list[str], client: str) -> None:
    assert address_of(peer, forwarded, PROXIES) == client


def test_without_a_trusted_proxy_nobody_is_believed() -> None:
    assert address_of("127.0.0.1", ["198.51.100.1"], []) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_inside"),
    [
        ("127.0.0.1", None, True),
        ("192.168.0.9", None, True),
        ("::1", None, True),
        ("fe80::1%eth0", None, True),
        ("fd00::5", None, True),
        ("203.0.113.9", None, False),
        ("2400:1::1", None, False),
        ("", None, False),
        ("/run/leads.sock", None, False),
        # A proxy that nobody named may pass on whoever it likes; one that says nothing of whom, too.
        ("192.168.0.9", ["127.0.0.1"], False),
        ("127.0.0.1", [], False),
        ("127.0.0.1", ["junk"], False),
        ("127.0.0.1", ["10.9.9.9, 198.51.100.1"], False),
        ("127.0.0.1", ["198.51.100.1"], False),
        ("127.0.0.1", ["198.51.100.1, 10.1.2.3"], False),
        ("127.0.0.1", ["10.200.0.1"], True),
        ("203.0.113.9", ["10.200.0.1"], False),
    ],
)
def test_who_may_inspect_comes_from_a_private_network_and_no_proxy_hides_that_it_does_not(
    peer: str, forwarded: list[str] | None, is_inside: bool
) -> None:
    told, is_handed_on = forwarded or [], forwarded is not None
    assert is_among(PRIVATE, peer, told, PROXIES, is_handed_on=is_handed_on) is is_inside


def test_a_process_counts_each_form_and_each_address_by_itself() -> None:
    limiter = Limiter()
    form = Form("a", {}, (), limits=Limits(address=Rate(2, MINUTE), form=Rate(3, MINUTE)))
    other = Form("b", {}, (), limits=form.limits)
    assert [limiter.post(form, "1.1.1.1", 0) > 0 for _ in range(3)] == [False, False, True]
    assert [limiter.post(other, "1.1.1.1", 0) > 0 for _ in range(2)] == [False, False]
    assert [limiter.post(other, "2.2.2.2", 0) > 0 for _ in range(2)] == [False, True]


def test_phone_checks_are_counted_apart_and_more_of_them_are_allowed() -> None:
    limiter = Limiter()
    form = Form("a", {}, (), limits=Limits(address=Rate(2, MINUTE)))
    waits = [limiter.check(form, "1.1.1.1", 0) > 0 for _ in range(2 * CHECKS_A_POST + 1)]
    assert waits == [False] * (2 * CHECKS_A_POST) + [True]
    assert limiter.post(form, "1.1.1.1", 0) == 0


def test_no_spelling_of_an_address_not_even_an_empty_one_is_without_a_limit() -> None:
    form = Form("a", {}, (), limits=Limits(address=Rate(1, MINUTE)))
    for address in ("", UNKNOWN, "1.1.1.1"):
        limiter = Limiter()
        assert [limiter.post(form, address, 0) > 0 for _ in range(2)] == [False, True]
        waits = [limiter.check(form, address, 0) > 0 for _ in range(CHECKS_A_POST + 1)]
        assert waits == [False] * CHECKS_A_POST + [True]
