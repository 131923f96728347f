"""A lead as a mail: the same mail on every try, read right by whoever parses mails, and safe from what was typed."""

import re
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from test_webhook import NOW, PHONE, SOURCE, delivery

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations.email import RECIPE, Email, Reply, Step
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.model.lead import Answer, Delivery

FORM = """
[forms.get-in-touch]
deliver = ["desk"]
fields.name = { type = "text" }
fields.phone = { type = "phone" }
fields.email = { type = "email" }
fields.message = { type = "text", multiline = true }

[destinations.desk]
type = "email"
"""
SERVER = """
host = "smtp.example.com"
user = "leads"
password = "$SMTP_PASSWORD"
from = "Klinik Süd <leads@example.com>"
to = ["Front desk <desk@example.com>", "doctor@example.org"]
"""
ASHA = {
    "name": Answer("Asha Rao"),
    "phone": Answer("+918951047001", phone=PHONE),
    "email": Answer("asha@example.net"),
    "message": Answer("Knee pain\nsince May"),
}


def read(more: str = "", server: str = SERVER) -> Config | Mistakes:
    return parse(f"{FORM}{server}\n{more}", {"SMTP_PASSWORD": "s3cret"}, lambda _: "")


def email(more: str = "") -> Email:
    config = read(more)
    assert isinstance(config, Config), config
    return cast("Email", config.destinations["desk"])


def mistakes(more: str = "", server: str = SERVER) -> list[str]:
    found = read(more, server)
    assert isinstance(found, Mistakes)
    return [f"{mistake.path.removeprefix('destinations.desk.')}: {mistake.message}" for mistake in found.items]


def mail_of(destination: Email, told: Delivery) -> EmailMessage:
    sent = next(destination.conversation(told, lambda: NOW)).content
    assert sent.isascii()
    assert b"\r\n" in sent
    assert b"\n" not in sent.replace(b"\r\n", b"")
    return message_from_bytes(sent, policy=default)


def first(fields: Any = ASHA, **more: Any) -> Delivery:
    told = delivery(dict(fields), type="lead.created", changed=(), source=SOURCE, **more)
    return replace(told, lead=replace(told.lead, version=1))


def test_a_lead_is_read_as_it_was_typed() -> None:
    mail = mail_of(email(), first(ASHA | {"name": Answer("आशा Rao")}))
    assert mail["From"] == "Klinik Süd <leads@example.com>"
    assert mail["To"] == "Front desk <desk@example.com>, doctor@example.org"
    assert mail["Reply-To"] == "asha@example.net"
    assert mail["Subject"] == "get-in-touch: आशा Rao"
    assert mail["Date"] == "Sun, 22 Nov 2026 10:42:07 -0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == (
        "name: आशा Rao\nphone: +91 89510 47001\nemail: asha@example.net\nmessage: Knee pain\n  since May\n\n"
        "Page: https://www.example.com/contact\nForm: get-in-touch\nLead: lead_7.1\n"
    )


def test_every_try_is_the_same_mail_and_later_versions_answer_the_first() -> None:
    target = email()
    tries = [next(target.conversation(first(), lambda: NOW)).content, next(target.conversation(first(), int)).content]
    assert tries[0] == tries[1]
    created, updated = mail_of(target, first()), mail_of(target, delivery(ASHA))
    assert created["Message-ID"] == "<lead_7.1@example.com>"
    assert created["References"] is None
    assert updated["Message-ID"] == "<lead_7.2@example.com>"
    assert updated["References"] == updated["In-Reply-To"] == created["Message-ID"]
    assert updated["Subject"] == f"Re: {created['Subject']}"
    assert "Changed: message, extra.colour" in updated.get_content()


OWN = '''
subject = "{fields.name:first} wants a call"
text = """
Ring {phone.e164}
Colour: {extra.colour}

{fields.message}
"""'''


def test_ones_own_words_take_the_place_of_ours() -> None:
    mail = mail_of(email(OWN), first())
    assert mail["Subject"] == "Asha wants a call"
    assert mail.get_content() == "Ring +918951047001\r\n\r\nKnee pain\r\nsince May"
    assert "Colour" not in mail.get_content()
    assert mail_of(email(OWN), first(test=True))["Subject"] == "[test] Asha wants a call"


HOSTILE = [
    "Asha\r\nBcc: evil@example.net",
    "Asha\nBcc: evil@example.net\n\nbody",
    "=?utf-8?q?Asha=0D=0ABcc:_evil=40example.net?=",
    "=?utf-8?b?QXNoYQ0KQmNjOiBldmlsQGV4YW1wbGUubmV0?=",
    "Asha\u2028Bcc: evil@example.net\x0b\x0c\x1c\x85Bcc: evil@example.net",
    "\u202eevil" + "ä" * 400,
    "x" * 5_000,
    ".\r\n.\r\nMAIL FROM:<evil@example.net>",
    "From here on",
    "\"><script>'; \x00\x07 \udcff".encode("utf-8", "replace").decode(),
]
"""What tries to end a header, a line or a mail."""


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("field", ["name", "email", "message"])
def test_nothing_that_was_typed_adds_a_header_a_recipient_or_a_line(words: str, field: str) -> None:
    target = email('subject = "{fields.name} {fields.email} {fields.message}"')
    told = first(ASHA | {field: Answer(words)})
    plain, mail = mail_of(target, first()), mail_of(target, told)
    assert set(mail.keys()) <= set(plain.keys())
    assert [(mail["From"], mail["To"], mail["Message-ID"])] == [(plain["From"], plain["To"], plain["Message-ID"])]
    assert mail["Reply-To"] == (None if field == "email" else "asha@example.net")
    assert "evil@example.net" not in str([mail["To"], mail["Cc"], mail["Bcc"], mail["Reply-To"]])
    assert next(target.conversation(told, lambda: NOW)).to == ("desk@example.com", "doctor@example.org")
    sent = next(target.conversation(told, lambda: NOW)).content
    assert max(map(len, sent.split(b"\r\n"))) <= 998  # RFC 5322


def test_what_was_typed_as_an_encoded_word_is_shown_as_it_was_typed() -> None:
    typed = "=?utf-8?q?Asha=0D=0ABcc:_evil=40example.net?="
    sent = next(email('subject = "{fields.name}"').conversation(first({"name": Answer(typed)}), lambda: NOW)).content
    head = sent.partition(b"\r\n\r\n")[0]
    assert b"Asha=0D" not in head
    assert typed in message_from_bytes(sent, policy=default).get_content()


@pytest.mark.parametrize(
    ("typed", "replies_to"),
    [
        ("asha@exämple.net", "asha@xn--exmple-cua.net"),
        ("äsha@example.net", None),  # no mail program without SMTPUTF8 could reply to it
        ("asha@example.net, evil@example.net", None),
        ("no address", None),
    ],
)
def test_a_reply_goes_to_the_visitor_if_they_have_a_plain_address(typed: str, replies_to: str | None) -> None:
    assert mail_of(email(), first(ASHA | {"email": Answer(typed)}))["Reply-To"] == replies_to


def judged(step: Step, code: int, text: str = "") -> Outcome:
    talk = email().conversation(first(), lambda: NOW)
    next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send(Reply(step, code, text))
    return cast("Outcome", end.value.value)


@pytest.mark.parametrize(
    ("step", "code", "text", "means"),
    [
        ("message", 250, "queued", "delivered"),
        ("message", 450, "", "delivery"),
        ("recipient", 451, "4.7.1 greylisted", "delivery"),
        ("greeting", 421, "4.7.0 too many connections", "load"),
        ("password", 454, "", "delivery"),
        ("greeting", 554, "no service for you", "setup"),
        ("hello", 550, "", "setup"),
        ("starttls", 0, "", "setup"),
        ("password", 535, "5.7.8", "setup"),
        ("sender", 550, "5.1.8", "setup"),
        ("sender", 552, "5.3.4 too large", "dead"),
        ("recipient", 550, "5.1.1 no such user", "setup"),
        ("message", 552, "5.3.4 too large", "dead"),
        ("message", 554, "5.6.0 looks like spam", "dead"),
        ("message", 550, "5.7.1 not allowed to send as that", "setup"),
        ("message", 554, "Message rejected: Email address is not verified.", "setup"),
    ],
)
def test_what_a_mail_server_says_is_about_now_this_mail_or_the_setup(
    step: Step, code: int, text: str, means: str
) -> None:
    outcome = judged(step, code, text)
    match outcome:
        case Delivered():
            assert (means, outcome.status) == ("delivered", code)
        case Rejected():
            assert means == "dead"
        case Retry():
            assert means == outcome.scope
    assert outcome.excerpt == text


def test_an_answer_shows_no_password() -> None:
    assert "s3cret" not in judged("password", 535, "s3cret is wrong").excerpt


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (
            'host = "smtp.example.com:587"',
            "host: must be the name of a host such as `smtp.example.com`, without a port",
        ),
        ('from = "nobody"', "from: `nobody` is no address"),
        ('from = "äsha@example.com"', "from: `äsha@example.com` is no address"),
        ("to = []", "to: must not be empty"),
        ('to = ["{fields.email}"]', "to: item 1: `{fields.email}` is no address"),
        ('password = "s3cret"', "password: must be a `$NAME`"),
        ('tls = "none"', "tls: would show `password` to everybody on the way"),
        ('subject = "{fields.colour}"', "subject: no form that delivers here has a field `colour`"),
        ('text = "$SMTP_PASSWORD"', "text: must not name a secret"),
        ('text = ""', "text: must not be empty"),
        ("url = 1", "url: is not known here"),
    ],
)
def test_a_mistake_is_told_at_its_place(line: str, mistake: str) -> None:
    key = line.partition(" ")[0]
    server = "\n".join(kept for kept in SERVER.splitlines() if not kept.startswith(f"{key} "))
    assert [found[: len(mistake)] for found in mistakes(line, server)] == [mistake]


def test_what_is_missing_is_told_at_once() -> None:
    assert [found.split(":")[0] for found in mistakes(server="")] == ["host", "from", "to"]
    lonely = "\n".join(line for line in SERVER.splitlines() if "password" not in line)
    assert "`user` and `password` belong together" in str(read(server=lonely))


@pytest.mark.parametrize(
    ("line", "port", "tls"),
    [
        ("", 587, "starttls"),
        ("port = 465", 465, "implicit"),
        ('tls = "implicit"', 465, "implicit"),
        ("port = 2525", 2525, "starttls"),
    ],
)
def test_port_and_tls_follow_from_each_other(line: str, port: int, tls: str) -> None:
    assert (email(line).server.port, email(line).server.tls) == (port, tls)


def test_a_preview_is_what_people_read() -> None:
    shown = email().preview(first(), NOW)
    assert shown.startswith(
        "SMTP smtp.example.com:587, tls starttls, as leads with password ***\nFrom: Klinik Süd <leads@"
    )
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("server", "remark"),
    [
        ('host = "mail.local"', "host"),
        ('host = "mx.example.com"\ntls = "none"', "tls"),
        ('host = "mx.example.com"\nretry = []', "retry"),
    ],
)
def test_open_doors_are_worth_a_look(server: str, remark: str) -> None:
    config = read(server=f'{server}\nfrom = "a@example.com"\nto = ["b@example.com"]')
    assert isinstance(config, Config), config
    assert f"destinations.desk.{remark}" in [each.path for each in config.warnings]


def test_the_recipe_is_what_the_docs_say_and_reads_without_a_mistake() -> None:
    page = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text("utf-8")
    part = page.partition(f"## {RECIPE.title}\n")[2]
    assert RECIPE.needs in part
    assert RECIPE.says in part
    recipe = re.findall(r"```toml\n(.*?)```", part, re.DOTALL)[0]
    assert recipe.strip() == RECIPE.lines()
