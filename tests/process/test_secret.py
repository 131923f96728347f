"""A LEADS_SECRET that changed is noticed, by whatever starts and whoever asks about a person."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import ENVIRON, Processes, post, until
from redis import Redis
from workshop import destination, form

CONFIG = form() + destination("http://127.0.0.1:9/hooks")
ANOTHER = "another one that is long enough 00000000"
NOT_THAT_ONE = "LEADS_SECRET is not the one that people are recognised by here"
PHONE = ("--phone", "089510 47001")


@pytest.fixture
def here(tmp_path: Path, redis_url: str) -> Iterator[Processes]:
    with Processes(tmp_path / "here", redis_url, CONFIG) as opened:
        web = opened.serve()
        assert post(web.port, name="Asha", phone="89510 47001").status == 200
        assert web.stop() == 0
        yield opened


def refused(here: Processes, *words: str) -> str:
    process = here.start(*words)
    assert process.wait() == 1, process.said()
    return process.said()


def test_nothing_starts_with_another_secret_and_nobody_is_told_that_a_person_is_not_known(here: Processes) -> None:
    here.environ["LEADS_SECRET"] = ANOTHER
    for words in (("serve",), ("work", "--port", "0"), ("desk",), ("person", *PHONE), ("erase", *PHONE)):
        said = refused(here, *words)
        assert NOT_THAT_ONE in said
        assert "0 leads" not in said
    here.environ.update(ENVIRON)
    assert "1 lead" in here.run("person", *PHONE)


def test_a_secret_that_is_lost_is_given_up_once_and_the_new_one_is_that_from_then_on(here: Processes) -> None:
    here.environ["LEADS_SECRET"] = ANOTHER
    web = here.serve("--another-secret")
    assert web.stop() == 0
    web = here.serve()
    assert web.stop() == 0
    assert "0 leads" in here.run("person", *PHONE)
    here.environ.update(ENVIRON)
    assert NOT_THAT_ONE in refused(here, "serve")


def test_a_secret_is_changed_by_listing_the_one_of_before_behind_the_new_one(here: Processes) -> None:
    here.environ["LEADS_SECRET"] = f"{ANOTHER.replace(' ', '-')}, {ENVIRON['LEADS_SECRET']}"
    web = here.serve()
    assert post(web.port, name="Asha", phone="+91 89510 47001").status == 200
    until(lambda: here.status()["forms"]["get-in-touch"]["repeated"] == 1)
    assert web.stop() == 0
    assert "1 lead, and 0 in quarantine" in here.run("person", *PHONE)
    here.environ["LEADS_SECRET"] = ANOTHER.replace(" ", "-")
    assert NOT_THAT_ONE in refused(here, "serve")  # Some may still be known by the other alone.
    here.environ["LEADS_SECRET"] += f" {ENVIRON['LEADS_SECRET']}"
    assert "Erased on" in here.run("erase", *PHONE)
    assert "0 leads" in here.run("person", *PHONE)


def test_an_installation_of_an_earlier_version_has_its_secret_noted_by_the_first_start(
    here: Processes, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.delete("leads:secrets")
        here.environ["LEADS_SECRET"] = ANOTHER
        here.run("person", *PHONE)  # Whoever only asks notes nothing.
        assert redis.exists("leads:secrets") == 0
    here.environ.update(ENVIRON)
    web = here.serve()
    assert web.stop() == 0
    here.environ["LEADS_SECRET"] = ANOTHER
    assert NOT_THAT_ONE in refused(here, "serve")


def test_a_secret_is_taken_out_once_all_that_is_kept_was_moved_to_the_new_one(here: Processes) -> None:
    new = ANOTHER.replace(" ", "-")
    here.environ["LEADS_SECRET"] = f"{new},{ENVIRON['LEADS_SECRET']}"
    assert "No process was started with this list yet" in refused(here, "rekey")
    assert "1 are under another secret than the first, 0 under another key" in here.run("rekey", "--check")
    web = here.serve()
    assert post(web.port, name="Ravi", phone="89510 47002", _id="once").status == 200
    said = here.run("rekey")
    assert "Nobody is known by another secret than the first: take the others out of LEADS_SECRET." in said
    assert web.stop() == 0
    here.environ["LEADS_SECRET"] = new
    web = here.serve()
    assert post(web.port, name="Asha", phone="+91 89510 47001").status == 200
    until(lambda: here.status()["forms"]["get-in-touch"]["repeated"] == 1)
    assert "LEADS_SECRET lists one alone: everything is under that." in here.run("rekey")
    here.environ["LEADS_SECRET"] = ENVIRON["LEADS_SECRET"]
    assert NOT_THAT_ONE in refused(here, "person", *PHONE)
