"""`/forms/NAME`: a field that was renamed, has vanished or is new is found, with a line that mends it."""

import html
import re
from collections.abc import Mapping
from typing import get_args

import pytest
from crm import Crm
from desk import OpenDesk, open_desk
from workshop import ENVIRON, Hands, destination, form

from service.config.config import Config
from service.config.read import parse
from service.desk.health.arrivals import Arrivals, Seen, compare, is_missed
from service.desk.health.snippet import snippet
from service.model.form import Field, FieldType, Form
from service.process.settings import read_file
from service.submission.field_match import match
from service.submission.form_data import gather

pytestmark = pytest.mark.anyio
HOSTILE = '"><script>alert(1)</script>'
FORM = Form("f", {"phone": Field("phone", "phone", aliases=("mobile",)), "note": Field("note")}, ())
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("came", "looked", "without", "missed"),
    [
        (100, 105, 5, True), (100, 104, 4, False), (10, 110, 10, False), (10, 220, 120, True), (0, 100, 0, False),
        (0, 100, 100, False), (5, 5, 5, False), (100, 100, 0, False),
    ],
)  # fmt: skip
async def test_a_field_is_missed_when_chance_does_not_explain_it(
    came: int, looked: int, without: int, *, missed: bool
) -> None:
    assert is_missed(came, looked, without) is missed


def arrivals(*names: Seen) -> Arrivals:
    return Arrivals(110, 0, {"phone": 100, "note": 2}, {"phone": (50 * HOUR, 10), "note": (60 * HOUR, 1)}, names)


async def test_a_name_that_comes_when_a_field_goes_is_that_field() -> None:
    other, late = Seen("", "Old extra", 0, 90), Seen("", "Late", 70 * HOUR, 2)
    rows, strangers = compare(FORM, arrivals(other, Seen("", "Telefon", 50 * HOUR, 10), late))
    assert [(row.missed_since, row.renamed, row.line) for row in rows] == [
        (50 * HOUR, "Telefon", 'aliases = ["mobile", "Telefon"]'), (None, "", ""),
    ]  # fmt: skip
    assert [(each.name, each.since) for each in strangers] == [("Old extra", None), ("Late", 70 * HOUR)]
    rows, _ = compare(FORM, arrivals(other, late))
    assert (rows[0].missed_since, rows[0].renamed) == (50 * HOUR, "")


NAMES = (
    "Branch office", "a.b", "{x}", "_x", "é", "ब्रांच", '"', "\\", HOSTILE, "x" * 60, "#", "] [forms.x]", "note", "...",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_the_line_for_a_new_field_is_valid_and_takes_it(name: str) -> None:
    _, (stranger,) = compare(FORM, arrivals(Seen("", name, 0, 1)))
    if not stranger.line:
        assert name in {"note", "..."}
        return
    other = f'[forms.other]\ndeliver = ["crm"]\nfields.phone = {{ type = "phone" }}\n{stranger.line}\n'
    config = parse(f"{form()}\n{other}{destination('https://x.example/')}", ENVIRON, read_file)
    assert isinstance(config, Config), config
    matched = match(config.forms["other"], gather([(name, "said")]))
    assert name == "_x" or [found.text for found in matched.fields.values()] == ["said"]


async def submit(desk: OpenDesk, number: int, said: Mapping[str, str]) -> None:
    """Do what the web process does with as many submissions."""
    here = desk.shop.config.forms["get-in-touch"]
    for _ in range(number):
        desk.shop.intake.count_arrival(here, match(here, gather(said.items())))
    await desk.shop.intake.report_counts()


async def test_the_page_says_since_when_what_is_missed_and_what_mends_it(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands) as desk:
        browser, reader = await desk.enter("Asha", "editor"), await desk.enter("Ravi", "reader")
        assert "Nothing has come in 30 days" in (await browser.get("/forms/get-in-touch")).text
        for _ in range(3):  # one at a time, as most come
            await submit(desk, 1, {"name": "N", "phone": "8951047001", "message": "x"})
        assert (await browser.get("/forms/get-in-touch")).text.count("100 of 100") == 3
        await submit(desk, 20, {"name": "N", "phone": "8951047001", "message": "x"})
        hands.ahead += 26 * HOUR
        await submit(
            desk, 6, {"name": "N", "phone": "8951047001", "Ihre Nachricht": "x", HOSTILE: "x", "a@b.example": "x"}
        )
        page = html.unescape((await browser.get("/forms/get-in-touch")).text)
        assert re.search(r"<b>Message</b> has not come since yesterday, \d\d:\d\d: 6 submissions came without it", page)
        assert 'aliases = ["Ihre Nachricht"]' in page
        assert "a@b.example" not in page
        raw = (await reader.get("/forms/get-in-touch")).text
        assert "<script" not in raw
        assert "Send a test lead" not in raw
        await reader.post("/forms/get-in-touch/test", 403)
        await browser.get("/forms/nowhere", 404)
        assert (await browser.get("/forms", 303)).headers["location"] == "/forms/get-in-touch"


async def test_why_submissions_are_refused_and_the_last_lead(redis_url: str) -> None:
    async with open_desk(redis_url) as desk:
        here = desk.shop.config.forms["get-in-touch"]
        taken = await desk.shop.submit(name="N", phone="8951047001")
        desk.shop.intake.count_refusal(here, codes=["phone PHONE_TOO_SHORT"])
        await desk.shop.intake.report_counts()
        page = (await (await desk.enter("Ravi", "reader")).get("/forms/get-in-touch")).text
        assert f'<a href="/leads/{taken.lead}">' in page
        assert "2 submissions in 30 days, 50 of 100 refused" in page
        assert re.search(r"Phone: too few digits</th><td>1 <span class=\"quiet\">50.0 of 100", page)


async def test_a_test_lead_is_marked_and_counted_nowhere(redis_url: str) -> None:
    with Crm() as crm:
        async with open_desk(redis_url, form() + destination(crm.url) + "[desk]\n") as desk:
            browser = await desk.enter("Asha", "editor")
            page = (await browser.post("/forms/get-in-touch/test", 200)).text
            assert "A real lead would be delivered." in page
            assert b'"test":true' in crm.requests[0].body.replace(b" ", b"")
            crm.answer(401, body=b"<b>who</b>")
            page = (await browser.post("/forms/get-in-touch/test", 200)).text
            assert "&lt;b&gt;who" in page
            assert (await desk.shop.form()).received == 0


async def test_the_form_for_a_page_has_every_field_and_nothing_of_it_runs() -> None:
    types: tuple[FieldType, ...] = get_args(FieldType)
    fields = {f"{type_}{HOSTILE}": Field(f"{type_}{HOSTILE}", type_, choices=(HOSTILE,)) for type_ in types}
    lines = snippet(Form("f", fields, ()), "https://x.example")
    assert "<script" not in lines
    assert lines.count("name=") == len(types)
