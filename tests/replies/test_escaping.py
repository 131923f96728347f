"""Whatever is typed, configured or received stands on a page as text: no tag, attribute or address of its making."""

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, PackageLoader

from service.demo.book import Book, Received
from service.model import languages
from service.model.form import Field, Form, Messages
from service.model.problem import CATALOGUE, Code, Problem, Problems
from service.replies import next_url, page, reply, wording
from service.replies.wording import Voice
from service.submission.field_match import match
from service.submission.form_data import Posted, gather

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus='",
    "</textarea><svg/onload=alert(1)>",
    "</title></style><script src=//evil.example></script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "javascript:alert(1)",
    "&lt;script&gt;&#60;b&#62;",
    "\u2028</option><b>",
)
SCRIPT = {"src": "/lead-form.js", "defer": None}
LINKS = ("#field-", "/f/")


def again(form: Form, voice: Voice, posted: Posted, problems: Problems, *, next_url: str, **more: str) -> str:
    return page.again(form, voice, posted, match(form, posted), problems, next_url=next_url, **more)


class Seen(HTMLParser):
    """A page as a browser reads it: its tags with their attributes, and all of its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def shape(self) -> list[tuple[str, frozenset[str]]]:
        """Return what a text must not change: every tag and the names of its attributes."""
        return [(tag, frozenset(names) - {"selected", "checked"}) for tag, names in self.tags]


def form_of(text: str) -> Form:
    """Return a form with the text in every place that the configuration has for one."""
    fields = {
        "name": Field("name", required=True, label=text),
        "phone": Field("phone", "phone", label=text),
        "branch": Field("branch", "choice", choices=("Bangalore", text), label=text),
        "visits": Field("visits", "number", label=text),
        "again": Field("again", "boolean", label=text),
        "parts": Field("parts", "choices", choices=("Knee", text), label=text),
        "day": Field("day", "date", label=text),
        "message": Field("message", multiline=True, label=text),
    }
    return Form("get-in-touch", fields, ("crm",), title=text, messages=Messages(text, text, text))


def pages_of(form: Form, typed: str) -> Iterator[str]:
    """Yield every page with the text typed into every field, hidden and control fields and problems too."""
    for code in languages.codes():
        spoken = replace(form, language=code, translations={})
        told = wording.of(spoken)
        yield page.hosted(spoken, told, referrer=typed)
        yield page.thanks(spoken, told)
        yield from refusals(spoken, told, typed)


def refusals(form: Form, told: Voice, typed: str) -> Iterator[str]:
    names = [*form.fields, "extra", "_id", "_gotcha", "_confirm", "_language"]
    posted = gather([(name, typed) for name in names])
    values = dict.fromkeys(("n", "choices", "country", "code", "origin", "method", "allowed", "example", "why"), typed)
    items = [Problem(Code.NOT_A_CHOICE, name, values, suggestion=typed) for name in form.fields]
    for code in CATALOGUE:
        problems = Problems((Problem(code, "", values), *items))
        yield again(form, told, posted, problems, next_url="https://www.example.com/", source=typed)
        yield page.refusal(problems, told, form)


PLAIN = [Seen(html).shape() for html in pages_of(form_of("plain"), "plain")]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_on_a_page_becomes_a_part_of_the_page(attack: str) -> None:
    for html, shape in zip(pages_of(form_of(attack), attack), PLAIN, strict=True):
        seen = Seen(html)
        assert seen.shape() == shape
        assert all(found == SCRIPT for tag, found in seen.tags if tag == "script")
        hrefs = [found["href"] or "" for _, found in seen.tags if "href" in found]
        assert all(href.startswith(LINKS) for href in hrefs)


@given(st.text(min_size=1, max_size=40))
def test_whatever_is_typed_comes_back_as_it_was(typed: str) -> None:
    form = Form("a", {"name": Field("name"), "phone": Field("phone", "phone")}, ())
    html = again(
        form, wording.of(form), gather([("name", typed)]), Problems((Problem(Code.EMPTY),)), next_url="", source=typed
    )
    seen = Seen(html)
    sources = [found["value"] for _, found in seen.tags if found.get("name") == "_source"]
    assert sources in ([typed], [typed.replace("\r\n", "\n").replace("\r", "\n")])
    assert [tag for tag, _ in seen.tags].count("input") == 5


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_demo_crm_received_is_text(attack: str) -> None:
    templates = Environment(loader=PackageLoader("service.demo"), autoescape=True)

    def show(text: str) -> Seen:
        book = Book(None)
        fields = {"name": text, "phone": text, "branch": text, "message": text}
        data: dict[str, Any] = {"id": text, "version": text, "fields": fields, "phone": {"international": text}}
        book.add(Received(0, {"webhook-id": text}, {"type": text, "data": data}, verified=False))
        return Seen(templates.get_template("demo-crm.html").render(rows=book.rows(), count=1, secret_known=True))

    assert show(attack).shape() == show("plain").shape()
    assert attack in show(attack).texts


@given(st.text(max_size=60))
def test_no_header_of_a_reply_is_made_of_what_was_typed(typed: str) -> None:
    form = Form("get-in-touch", {"phone": Field("phone", "phone")}, (), language="auto")
    told = wording.of(form, asked=typed, accepted=typed)
    problems = Problems((Problem(Code.NOT_A_CHOICE, typed, {"choices": typed}, suggestion=typed),))
    replies = [
        reply.success(told, typed, typed),
        reply.failure(problems, told),
        reply.see_other(next_url.resolve(typed, form, referer=typed, own=()) or next_url.thanks_path(form, typed)),
    ]
    for each in replies:
        assert all(value.isprintable() and value.isascii() for value in each.headers.values())
