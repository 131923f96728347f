"""What a visitor typed, as a chat gets it: it has no link for those who read chats (npm), and nothing rings.

They are markdown-it and linkify-it, slack-message-parser, and Microsoft's own renderer of Adaptive Cards.
"""

import json
import subprocess
from typing import Any

import npm
import pytest
from test_presets import ASHA, sent

from service.model.lead import Answer

pytestmark = pytest.mark.long
TYPED = (
    "see https://evil.com/a now", "www.evil.com", "evil.com", "Evil.com/x?y=1", "evil.com:8080/x", "//evil.com/a",
    "ftp://evil.com", "[click](https://evil.com)", "[click](evil.com)", "[click](//evil.com)",
    "![i](https://evil.com/i)",
    "[a]: https://evil.com\n[a]", "[x][a]\n\n[a]: /b", "[click](<https://evil.com>)",
    "<https://evil.com|click>",
    "<https://evil.com>", "<a href='https://evil.com'>x</a>", "xn--e1awd7f.com", "пример.рф", "evil.com.",
    "a_b.evil.com",
    "user@evil.com/path https://evil.com",
)  # fmt: skip
RINGS = ("<!channel> <!here>", "@channel", "@everyone", "<users/all>", "@all", "@Here", "<@U024BE7LH>", "<#C024BE7LR>")
MARKED = (
    "**bold** _slanted_ `code`",
    "<b>bold</b>",
    "<at>Everyone</at>",
    "{{DATE(2026-11-28T09:00:00Z)}}",
    "# title\n- one",
)
CHATS = {"slack": "markdown", "google-chat": "markdown", "telegram": "plain"}


def said(name: str, typed: str) -> str:
    """Return the text that a chat is sent of somebody who typed that as name and message."""
    return str(sent(name, {**ASHA, "name": Answer(typed), "message": Answer(typed)})["text"])


def card(typed: str, kind: str = "RichTextBlock") -> Any:
    """Return the card that Teams is sent of that, or, as another kind of block, what the words would be there."""
    content = sent("teams", {**ASHA, "name": Answer(typed), "message": Answer(typed)})["attachments"][0]["content"]
    return content if kind == "RichTextBlock" else {**content, "body": [{"type": kind, "text": typed}]}


def read_by_others(messages: list[Any]) -> list[dict[str, list[str]]]:
    npm.packages()
    done = subprocess.run(
        ["node", "links.js"], cwd=npm.FOLDER, input=json.dumps(messages), capture_output=True, text=True, check=True
    )
    found: list[dict[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CHATS)
def test_nothing_that_a_visitor_typed_becomes_a_link(name: str) -> None:
    as_typed: list[Any] = [links[CHATS[name]] for links in read_by_others([*TYPED])]
    assert sum(bool(links) for links in as_typed) > len(TYPED) / 2
    for typed, links in zip(TYPED, read_by_others([said(name, typed) for typed in TYPED]), strict=True):
        assert all(link.startswith("mailto:") for link in links[CHATS[name]]), typed


def test_nothing_that_a_visitor_typed_is_a_link_or_a_mention_in_slacks_markup() -> None:
    typed = [*TYPED, *RINGS]
    assert sum(bool(found["slack"]) for found in read_by_others(typed)) >= 5
    for text, found in zip(typed, read_by_others([said("slack", text) for text in typed]), strict=True):
        assert found["slack"] == [], text


def test_a_card_shows_what_a_visitor_typed_as_it_was_typed() -> None:
    typed = [*TYPED, *RINGS, *MARKED]
    as_typed = read_by_others([card(text, "TextBlock") for text in typed])
    assert sum(bool({*found["marks"]} - {"p"}) for found in as_typed) > 5
    for text, found in zip(typed, read_by_others([card(text) for text in typed]), strict=True):
        assert found["marks"] == [], text
        assert text in found["shown"][0].replace("\N{WORD JOINER}", ""), text


@pytest.mark.parametrize("typed", RINGS)
def test_nothing_that_a_visitor_typed_rings_a_team(typed: str) -> None:
    for name in ("slack", "google-chat"):
        text = said(name, typed)
        assert "<" not in text
        assert typed not in text
