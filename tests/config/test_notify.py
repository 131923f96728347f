"""`[notify]`: who is told of leads, with what was said or without a word of it."""

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations.sample import sample_delivery
from service.model.lead import Delivery

if TYPE_CHECKING:
    from service.destinations.email import Email
    from service.destinations.webhook import Webhook

FILE = """
[forms.contact]
deliver = ["crm"]
fields.name = { type = "text" }
fields.email = { type = "email" }

[destinations.crm]
type = "webhook"
url = "https://crm.example.com/"
secret = "$CRM_SECRET"
"""
ENVIRON = {
    "CRM_SECRET": "whsec_" + "QUJD" * 10,
    "CHAT_URL": "https://chat.example.com/hook/s3cret",
    "SMTP_PASSWORD": "s3cret",
    "NO_URL": "chat.example.com",
}
MAIL = 'mail = { host = "smtp.example.com", from = "a@example.com", to = "b@example.com" }'


def read(notify: str, file: str = FILE) -> Config | Mistakes:
    return parse(f"{file}\n[notify]\n{notify}", ENVIRON, lambda _: "")


def config(notify: str) -> Config:
    found = read(notify)
    assert isinstance(found, Config), found
    return found


def sample(found: Config) -> Delivery:
    return sample_delivery(found.forms["contact"], 1_795_344_127_120)


def test_who_is_told_is_a_destination_of_every_form() -> None:
    found = config(f'{MAIL}\nchat = "$CHAT_URL"\nlead = "whole"')
    assert found.forms["contact"].deliver == ("crm", "notify-mail", "notify-chat")
    assert [*found.destinations] == ["crm", "notify-mail", "notify-chat"]
    assert found.again is not None
    assert found.again() == found


def test_without_lead_no_form_delivers_there() -> None:
    found = config(MAIL)
    assert found.forms["contact"].deliver == ("crm",)
    assert [*found.destinations] == ["crm", "notify-mail"]  # so that `leads test` knows it
    assert not [remark for remark in found.warnings if "not used" in remark.message]


def test_whole_says_everything_and_anonymous_not_a_word() -> None:
    both = f'{MAIL}\nchat = "$CHAT_URL"'
    for lead, is_said in (("whole", True), ("anonymous", False)):
        found = config(f'{both}\nlead = "{lead}"')
        letter = cast("Email", found.destinations["notify-mail"]).letter(sample(found))
        chat = cast("Webhook", found.destinations["notify-chat"]).content(sample(found))
        mail = "\n".join([*(f"{name}: {value}" for name, value in letter.headers()), letter.text])
        told = sample(found).lead.content.fields
        for answer in told.values():
            assert (answer.text in mail, answer.text in msgspec.json.decode(chat)["text"]) == (is_said, is_said)
        assert bool(letter.reply_to) == is_said


def test_without_a_word_it_leads_to_the_desk() -> None:
    desk = f'{FILE}\n[desk]\npublic_url = "https://desk.example.com"'
    found = read(f'{MAIL}\nlead = "anonymous"', desk)
    assert isinstance(found, Config)
    letter = cast("Email", found.destinations["notify-mail"]).letter(sample(found))
    assert letter.text == f"A lead came to contact.\nhttps://desk.example.com/leads/{sample(found).lead.id}"
    assert letter.subject == "[test] A lead came to contact"


@pytest.mark.parametrize(
    ("notify", "path", "words"),
    [
        ('lead = "whole"', "notify", "tells nobody"),
        (f'{MAIL}\nlead = "some"', "notify.lead", "`some` is not allowed here"),
        ('chat = "https://chat.example.com/x"', "notify.chat", "must be a `$NAME`"),
        ('chat = "$NO_URL"', "notify.chat", "$NO_URL is no address"),
        ("mail = 1", "notify.mail", "must be a table"),
        ('mail = { host = "smtp.example.com", from = "a@example.com" }', "notify.mail.to", "is missing"),
        (f"{MAIL}\nsms = 1", "notify.sms", "is not known here"),
    ],
)
def test_a_mistake_is_told_at_its_place(notify: str, path: str, words: str) -> None:
    found = read(notify)
    assert isinstance(found, Mistakes)
    assert [item.path for item in found.items if words in item.message] == [path]


def test_its_names_are_not_for_the_file() -> None:
    found = read(MAIL, FILE.replace("crm", "notify-mail"))
    assert isinstance(found, Mistakes)
    assert "the name of a destination that `[notify]` makes" in found.items[0].message
