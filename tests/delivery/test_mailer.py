"""A mail is handed in to a real SMTP server, and whatever that says or does comes to the right outcome."""

import asyncio
from dataclasses import replace
from mailbox import Mailbox
from pathlib import Path
from typing import Any, cast

import pytest
from authority import DAY, Authority

from service.config.config import Config
from service.config.read import parse
from service.delivery.attempt import attempt
from service.delivery.carrier import carrier_to
from service.delivery.mailer import Mailer
from service.destinations.email import Email
from service.destinations.failure import CERTIFICATES
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.sample import sample_delivery

pytestmark = pytest.mark.anyio
CONFIG = parse(
    """
[forms.contact]
deliver = ["desk"]
fields.email = { type = "email" }

[destinations.desk]
type = "email"
host = "mx.example.com"
user = "leads"
password = "$SMTP_PASSWORD"
from = "leads@example.com"
to = ["desk@example.com", "doctor@example.org"]
""",
    {"SMTP_PASSWORD": "s3cret"},
    lambda _: "",
)
assert isinstance(CONFIG, Config)
HERE = cast("Email", CONFIG.destinations["desk"])
LEAD = sample_delivery(CONFIG.forms["contact"], 1_795_344_127_120)


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Send on the loop that the worker has."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def told(mailbox: Mailbox, *, destination: Email | None = None, within: int = 5_000, **server: Any) -> Outcome:
    base = destination or replace(HERE, allow_private=True)
    plain: dict[str, Any] = {"host": "127.0.0.1", "tls": "none", "user": "", "password": None}
    at = replace(base.server, port=mailbox.port, **(plain | server))
    target = replace(base, server=at, timeout=within)
    carrier = carrier_to(target, Config({}, {}))
    assert isinstance(carrier, Mailer)
    async with carrier:
        return await attempt(target, carrier, LEAD, lambda: 0)


async def test_a_mail_arrives_whole_at_everybody() -> None:
    async with Mailbox() as mailbox:
        outcome = await told(mailbox)
    assert outcome == Delivered(250, "2.0.0 queued as 4711")
    assert outcome.excerpt == "2.0.0 queued as 4711"
    assert [taken.mail_from for taken in mailbox.taken] == ["leads@example.com"]
    assert [taken.rcpt_tos for taken in mailbox.taken] == [["desk@example.com", "doctor@example.org"]]
    assert mailbox.mails[0]["Message-ID"] == f"<{LEAD.webhook_id}@example.com>"


@pytest.mark.parametrize(("tls", "is_implicit"), [("starttls", False), ("implicit", True)])
async def test_it_goes_over_tls_with_user_and_password(
    tls: str, is_implicit: bool, authority: Authority, tmp_path: Path
) -> None:  # fmt: skip
    context = authority.server(tmp_path)
    base = replace(HERE, allow_private=True, ca=authority.pem.decode())
    known: dict[str, Any] = {"user": "leads", "password": HERE.server.password, "tls": tls}
    async with Mailbox(tls=context, is_implicit=is_implicit, lets_in=("leads", "s3cret")) as mailbox:
        assert await told(mailbox, destination=base, **known) == Delivered(250)
    async with Mailbox(tls=context, is_implicit=is_implicit, lets_in=("leads", "other")) as mailbox:
        refused = await told(mailbox, destination=base, **known)
    assert isinstance(refused, Retry)
    assert (refused.scope, refused.status) == ("setup", 535)
    assert mailbox.taken == []


@pytest.mark.parametrize(("tls", "is_implicit"), [("starttls", False), ("implicit", True)])
async def test_a_certificate_that_is_not_trusted_is_told_as_a_webhooks(
    tls: str, is_implicit: bool, authority: Authority, tmp_path: Path
) -> None:  # fmt: skip
    base = replace(HERE, allow_private=True, ca=authority.pem.decode())
    async with Mailbox(tls=authority.server(tmp_path, since=-2 * DAY, until=-DAY), is_implicit=is_implicit) as mailbox:
        refused = await told(mailbox, destination=base, tls=tls)
    assert isinstance(refused, Retry)
    assert (refused.reason, refused.scope) == (CERTIFICATES[10].replace("the CRM", "the mail server"), "setup")
    assert mailbox.taken == []


async def test_without_starttls_nothing_is_sent() -> None:
    async with Mailbox() as mailbox:
        refused = await told(mailbox, tls="starttls")
    assert isinstance(refused, Retry)
    assert refused.scope == "setup"
    assert "has no STARTTLS" in refused.reason
    assert mailbox.taken == []


async def test_a_server_without_passwords_takes_none() -> None:
    async with Mailbox() as mailbox:
        refused = await told(mailbox, user="leads", password=HERE.server.password)
    assert isinstance(refused, Retry)
    assert refused.scope == "setup"
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("answers", "kind", "scope"),
    [
        ({"MAIL": "451 4.3.0 later"}, Retry, "delivery"),
        ({"MAIL": "550 5.1.8 bad sender"}, Retry, "setup"),
        ({"RCPT": "450 4.2.1 greylisted"}, Retry, "delivery"),
        ({"RCPT": "550 5.1.1 unknown"}, Retry, "setup"),
        ({"DATA": "421 4.3.2 closing"}, Retry, "load"),
        ({"DATA": "554 5.6.0 spam"}, Rejected, ""),
    ],
)
async def test_a_refusal_is_known_by_its_step(answers: dict[str, str], kind: type[Outcome], scope: str) -> None:
    async with Mailbox(answers=answers) as mailbox:
        outcome = await told(mailbox)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "scope", "") == scope
    assert outcome.excerpt == next(iter(answers.values()))[4:]
    assert mailbox.taken == []


async def test_one_address_that_is_not_there_keeps_it_from_nobody_else_and_is_named() -> None:
    async with Mailbox(answers={"doctor@example.org": "550 5.1.1 unknown"}) as mailbox:
        outcome = await told(mailbox)
    assert isinstance(outcome, Delivered)
    assert "not taken: doctor@example.org: 550 5.1.1 unknown" in outcome.excerpt
    assert [taken.rcpt_tos for taken in mailbox.taken] == [["desk@example.com"]]


async def test_where_one_is_put_off_nobody_gets_it_twice() -> None:
    async with Mailbox(answers={"doctor@example.org": "450 4.2.1 greylisted"}) as mailbox:
        assert isinstance(await told(mailbox), Retry)
    assert mailbox.taken == []


async def test_what_breaks_off_behind_the_mail_is_sent_again_as_the_same_mail() -> None:
    async with Mailbox(breaks_off=True) as mailbox:
        broken = await told(mailbox)
        await told(mailbox)
    assert broken == Retry("the mail server broke the connection off")
    assert mailbox.taken[0].content == mailbox.taken[1].content


async def test_a_slow_server_costs_no_more_than_its_time() -> None:
    async with Mailbox(waits_s=30) as mailbox:
        assert await told(mailbox, within=300) == Retry("the mail server did not answer in time")


async def test_what_is_no_mail_server_is_told() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    web = await asyncio.start_server(speak, "127.0.0.1", 0)
    mailbox = Mailbox()
    mailbox.port = web.sockets[0].getsockname()[1]
    async with web:
        outcome = await told(mailbox)
    assert isinstance(outcome, Retry)
    assert (outcome.scope, outcome.excerpt) == ("setup", "what it says is no SMTP")


async def test_nobody_there_and_a_name_that_is_none() -> None:
    async with Mailbox() as mailbox:
        pass
    assert await told(mailbox) == Retry("the mail server refused the connection")
    nowhere = await told(mailbox, host="nowhere.invalid")
    assert nowhere == Retry("the name of the mail server's host could not be looked up")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_a_private_address_is_not_connected_to(host: str) -> None:
    async with Mailbox() as mailbox:
        refused = await told(mailbox, destination=HERE, host=host)
    assert isinstance(refused, Retry)
    assert refused.reason == "its address is a private one, which needs `allow_private = true`"
