"""A secret that changed in its file is read again at 401, and the lead is delivered in the same attempt."""

from pathlib import Path
from typing import Any

import pytest
from crm import Answer, Crm, Received
from workshop import ENVIRON, QUICK, Workshop, destination, form

from service.config.config import Config
from service.config.read import parse
from service.delivery.renewal import renewing
from service.destinations.destination import Destination
from service.destinations.outcome import Delivered, Outcome
from service.destinations.rules import Response
from service.destinations.sample import sample_delivery
from service.model.form import Form
from service.process.settings import read_file

pytestmark = pytest.mark.anyio
KEYED = f'{QUICK}\nheaders = {{ Authorization = "Bearer $KEY" }}'


def knows_the_new_key(request: Received) -> Answer:
    return Answer(200 if request.headers["authorization"] == "Bearer new" else 401)


def read(text: str, file: Path) -> Config:
    config = parse(text, ENVIRON | {"KEY_FILE": str(file)}, read_file)
    assert isinstance(config, Config), config
    return config


def hold(destination: Destination, status: int) -> tuple[Outcome, list[str]]:
    """Hold a conversation in which only the key `new` is taken, others are answered `status`; and the keys sent."""
    keys: list[str] = []
    talk: Any = destination.conversation(sample_delivery(Form("get-in-touch", {}, ()), 0), lambda: 0)
    try:
        request = next(talk)
        while True:
            keys.append(request.headers["authorization"].removeprefix("Bearer "))
            request = talk.send(Response(200 if keys[-1] == "new" else status, {}, ""))
    except StopIteration as end:
        return end.value, keys


async def test_a_key_that_was_changed_in_its_file_delivers_without_a_restart_or_a_pause(
    redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("old\n")
    with Crm() as crm:
        crm.decide = knows_the_new_key
        text = form() + destination(crm.url, more=KEYED)
        async with Workshop(redis_url, form() + destination(crm.url)) as shop, shop.worker(read(text, file)):
            file.write_text("new\n")
            await shop.submit(phone="8951047001")
            account = await shop.settled()
            await shop.submit(phone="8951047002")
            await shop.settled()
    assert account.delivered == 1
    assert [request.headers["authorization"][7:] for request in crm.requests] == ["old", "new", "new"]
    assert [attempted.conclusion.attempt.result for attempted in shop.attempts] == ["delivered", "delivered"]


@pytest.mark.parametrize("then", ["old", "", None, "\udcff"])
def test_a_key_that_is_the_same_or_cannot_be_read_is_not_tried_twice(then: str | None, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    config = read(form() + destination("https://crm.example.com", more=KEYED), file)
    crm = renewing(config, config.destinations["crm"])
    file.unlink() if then is None else file.write_bytes(then.encode("utf-8", "surrogateescape"))
    outcome, keys = hold(crm, 401)
    assert (outcome.status, keys) == (401, ["old"])
    file.write_text("new")
    outcome, keys = hold(crm, 401)
    assert (outcome, keys) == (Delivered(200), ["old", "new"])


@pytest.mark.parametrize("status", [200, 403, 422, 500])
def test_no_other_answer_has_the_file_read(status: int, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    config = read(form() + destination("https://crm.example.com", more=KEYED), file)
    file.write_text("new")
    outcome, keys = hold(renewing(config, config.destinations["crm"]), status)
    assert (outcome.status, keys) == (status, ["old"])


def test_who_was_answered_401_while_another_found_the_new_key_tries_it_too(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    config = read(form() + destination("https://crm.example.com", more=KEYED), file)
    crm = renewing(config, config.destinations["crm"])
    one: Any = crm.conversation(sample_delivery(Form("get-in-touch", {}, ()), 0), lambda: 0)
    next(one)
    file.write_text("new")
    hold(crm, 401)
    assert one.send(Response(401, {}, "")).headers["authorization"] == "Bearer new"
