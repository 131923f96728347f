"""What the pages of the desk show and do: leads, one lead, what is held, what is in trouble, today."""

import csv
import io
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from crm import Crm
from desk import PASSWORD, Browser, OpenDesk, open_desk
from workshop import ENVIRON, Hands, destination, form, until_async

from service.desk.filters import Filter
from service.desk.held import GRACE_MS, UNDONE_WITHIN_MS
from service.desk.search import SLICE
from service.desk.words import as_it_is, cover
from service.intake.intake import Intake, Taken
from service.intake.spool import open_spool
from service.lib.secret import Secret
from service.lib.times import length
from service.model.lead import Source, Touch
from service.notices.links import held_link
from service.process.wiring import clock
from service.store.accounts import SUBMISSIONS
from service.store.breaker import Gate, Pace
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.overview import read_held
from service.store.server.connection import connect
from service.store.server.server import Server
from service.store.tallies import read_counts

pytestmark = pytest.mark.anyio

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>=cmd|calc'
LINKS = "https://a.example/ https://b.example/ https://c.example/"
SPAM = {"name": "Casino", "phone": "9845098450", "message": f"visit {LINKS} <a href=x>x</a> [url=x]y[/url]"}
DAY_MS = 86_400_000


@pytest.fixture(params=["plain", "sealed"])
async def desk(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenDesk]:
    """Open the desk; what people said is encrypted in one of the two runs."""
    cipher = Cipher((b"k" * 32,)) if request.param == "sealed" else Cipher()
    async with open_desk(redis_url, cipher=cipher) as opened:
        yield opened


@pytest.fixture
async def open_only(redis_url: str) -> AsyncIterator[OpenDesk]:
    async with open_desk(redis_url) as opened:
        yield opened


def listed(page: str) -> list[str]:
    """Return the names in a list of leads, in order."""
    return re.findall(r'<span class="who">([^<]*)</span>', page)


async def test_a_lead_is_found_by_phone_email_receipt_and_id_however_they_are_written(desk: OpenDesk) -> None:
    browser = await desk.enter("Asha", "editor")
    mina = await desk.shop.submit(name="Mina", phone="8951047001", email="Mina.S@example.com")
    await desk.shop.submit("callback", name="Mina again", phone="+91 89510 47001")
    await desk.shop.submit(name="Ravi", phone="8951047002")
    for said in ("8951047001", "+91 89510-47001", "089510 47001"):
        assert set(listed((await browser.get(f"/leads?q={said.replace('+', '%2B')}")).text)) == {"Mina", "Mina again"}
    for said in ("mina.s@EXAMPLE.com", mina.receipt, mina.lead or "", f"{mina.lead}.1"):
        assert listed((await browser.get(f"/leads?q={said}")).text) == ["Mina"]
    assert listed((await browser.get("/leads?q=8951047009")).text) == []


async def test_words_are_found_in_what_was_said_and_a_filter_is_an_address(desk: OpenDesk) -> None:
    browser = await desk.enter("Asha", "editor")
    spring = Source(utm={"campaign": "Spring"})
    await desk.submit_from(spring, name="Mina", phone="8951047001", message="My KNEE hurts")
    await desk.shop.submit("callback", name="Ravi", phone="8951047002", message="A knee, too")
    await desk.shop.submit(name="Lila", phone="8951047003", message="My back")
    for query, names in (
        ("q=knee", ["Ravi", "Mina"]), ("q=knee+my", ["Mina"]), ("q=nowhere", []), ("form=callback", ["Ravi"]),
        ("campaign=spring", ["Mina"]), ("state=waiting", ["Lila", "Ravi", "Mina"]), ("state=delivered", []),
        ("state=nonsense&form=nothing&since=never", ["Lila", "Ravi", "Mina"]), ("since=2999-01-01", []),
        ("until=2001-01-01", []), ("flag=junk", []), ("after=x", ["Lila", "Ravi", "Mina"]),
        ("until=9999-12-31&since=0001-01-01", ["Lila", "Ravi", "Mina"]),
    ):  # fmt: skip
        assert listed((await browser.get(f"/leads?{query}")).text) == names, query


async def test_days_are_those_of_the_desks_time_zone(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=lambda: at) as desk:
        at = int(datetime(2026, 11, 22, 18, 29, tzinfo=UTC).timestamp() * 1000)  # 23:59 in Kolkata
        await desk.shop.submit(name="Late", phone="8951047001")
        at += 60_000
        await desk.shop.submit(name="Early", phone="8951047002")
        browser = await desk.enter("Asha", "editor")
        assert listed((await browser.get("/leads?since=2026-11-23")).text) == ["Early"]
        assert listed((await browser.get("/leads?until=2026-11-22")).text) == ["Late"]
        assert listed((await browser.get("/leads?since=2026-11-22&until=2026-11-23")).text) == ["Early", "Late"]
        page = (await browser.get("/")).text
        assert "<b>1</b> <span>lead today</span>" in page
    assert hands.ahead == 0


async def test_every_lead_is_shown_once_over_all_pages_those_of_one_millisecond_too(redis_url: str) -> None:
    async with open_desk(redis_url, now=lambda: at) as desk:
        at = 1_790_000_000_000
        wanted = []
        for number in range(SLICE + 60):
            at += number % 100 == 0
            taken = await desk.shop.submit(
                ("get-in-touch", "callback")[number % 2], name="N", phone=f"89510{number:05d}"
            )
            wanted.append(taken.lead)
        found: list[str] = []
        after = ""
        while True:
            page = await desk.desk.search.look(Filter(after=after), as_it_is)
            found += [each.id for each in page.leads]
            if not (after := page.after):
                break
        assert sorted(found) == sorted(map(str, wanted))
        bounded = await desk.desk.search.look(Filter(q="nowhere"), as_it_is, for_s=0)
        assert bounded.among == len(wanted)
        assert bounded.looked < len(wanted)
        browser = await desk.enter("Asha", "editor")
        assert "Earlier leads" in (await browser.get("/leads")).text
        rows = list(csv.reader(io.StringIO((await browser.get("/leads.csv")).text)))
        assert len(rows) == 1 + len(wanted)


async def test_a_reader_sees_numbers_and_addresses_covered_and_finds_nothing_by_them(desk: OpenDesk) -> None:
    taken = await desk.shop.submit(
        name="Mina", phone="8951047001", email="mina@example.com", message="call 98450 12345 or me@home.example"
    )
    reader, editor = await desk.enter("Ravi", "reader"), await desk.enter("Asha", "editor")
    for path in ("/leads", f"/leads/{taken.lead}"):
        text = (await reader.get(path)).text
        assert not [secret for secret in ("8951047001", "mina@example.com", "98450 12345", "me@home") if secret in text]
        assert "Mina" in text
    assert "8951047001" in (await editor.get(f"/leads/{taken.lead}")).text.replace(" ", "")
    assert listed((await reader.get("/leads?q=call+12345")).text) == []
    assert listed((await editor.get("/leads?q=call+12345")).text) == ["Mina"]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("+918951047001", "+•••••••••001"), ("089510 47001", "•••••• ••001"),
        ("ring 89510-47001 soon", "ring •••••-••001 soon"),
        ("asha.rao@example.com", "a•••@example.com"), ("room 12, 3 pm", "room 12, 3 pm"), ("", ""),
        ("८९५१०४७००१", "•••••••००१"), ("(022) 2345 6789", "(•••) •••• •789"),
    ],
)  # fmt: skip
async def test_what_is_covered(text: str, covered: str) -> None:
    assert cover(text) == covered


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (-5, "0 ms"),
        (340, "340 ms"),
        (4_240, "4.2 s"),
        (42_000, "42 s"),
        (300_000, "5 min"),
        (10_800_000, "3 h"),
        (5 * DAY_MS, "5 days"),
    ],
)
async def test_how_long_something_took(ms: float, said: str) -> None:
    assert length(ms) == said


async def test_a_lead_tells_what_was_said_what_changed_and_where_it_stands(redis_url: str) -> None:
    with Crm() as crm:
        text = form(more='title = "Get In Touch"\nquiet = "0s"') + destination(crm.url) + "[desk]\n"
        async with open_desk(redis_url, text) as desk:
            news = Source(
                utm={"source": "news"}, first_touch=Touch(page="https://www.example.com/", at="2026-11-01T10:00:00Z")
            )
            taken = await desk.submit_from(news, name="Mina", phone="8951047001", message="knee")
            await desk.shop.submit(name="Mina", phone="8951047001", message="back", colour="blue")
            browser = await desk.enter("Asha", "editor")
            async with desk.shop.worker():
                await desk.shop.settled()
            text = (await browser.get(f"/leads/{taken.lead}")).text
            assert "At crm since" in text
            assert "<del>knee</del> back" in text
            assert "with something new" in text
            assert "Campaign source" in text
            assert re.search(r"First visit</dt><dd>.*1 November, 10:00 · https://www.example.com/", text)
            crm.clear()
            await browser.post(f"/leads/{taken.lead}/send", destination="crm")
            assert "It is due now." in (await browser.get(f"/leads/{taken.lead}")).text
            await browser.post(f"/leads/{taken.lead}/send", 404, destination="nowhere")
            async with desk.shop.worker():
                await desk.shop.settled()
            assert len(crm.requests) == 1


async def test_a_lead_tells_each_thing_once(open_only: OpenDesk) -> None:
    touch = Touch("https://clinic.example/knee", utm={"source": "google"})
    source = Source(utm={"campaign": "Easter", "medium": "cpc"}, first_touch=touch, last_touch=touch)
    said = open_only.shop.check("get-in-touch", name="Mina", phone="9999999999", message="<a href=x>x</a>")
    content = replace(said.content, source=source)
    taken = await open_only.shop.intake.submit(
        open_only.shop.config.forms["get-in-touch"], content, signals={"markup": 5, "junk_phone": 3}
    )
    assert isinstance(taken, Taken)
    page = (await (await open_only.enter("Asha", "editor")).get(f"/leads/{taken.lead}")).text
    for once in ("the phone number is made up", "it has the markup of a page in it", "https://clinic.example/knee"):
        assert page.count(once) == 1, once
    for label, text in (("Campaign", "Easter"), ("Campaign medium", "cpc")):
        assert f"<dt>{label}</dt><dd>{text}</dd>" in page


async def test_erasing_asks_for_a_word_and_takes_the_person_from_every_form(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    mina = await desk.shop.submit(name="Mina", phone="8951047001", email="mina@example.com")
    await desk.shop.submit("callback", name="Mina", email="MINA@example.com")
    await desk.shop.submit(name="Ravi", phone="8951047002")
    place = f"/leads/{mina.lead}/erase"
    assert "Type <b>erase</b>" in (await owner.get(place)).text
    await owner.post(place, 422, confirmation="yes")
    assert len(listed((await owner.get("/leads")).text)) == 3
    text = (await owner.post(place, 200, confirmation=" Erase ")).text
    assert "2 leads of this person are gone" in text
    assert listed((await owner.get("/leads")).text) == ["Ravi"]
    await owner.get(f"/leads/{mina.lead}", 404)
    for name in ("get-in-touch", "callback"):
        await desk.shop.form(name)


async def test_erasing_empties_the_spool_and_writes_the_servers_file_anew_as_the_command_does(
    redis_url: str, tmp_path: Path
) -> None:
    spool = open_spool(tmp_path, clock)
    async with open_desk(redis_url, spool=spool) as desk:
        owner = await desk.enter("Asha", "owner")
        mina = await desk.shop.submit(name="Mina", phone="8951047001")
        away = Server(connect("redis://127.0.0.1:1/0"), clock=clock)
        intake = Intake(Store(away), Secret(ENVIRON["LEADS_SECRET"]), spool)
        for name, phone in (("Mina", "+91 89510 47001"), ("Ravi", "8951047002")):
            checked = desk.shop.check("callback", name=name, phone=phone)
            await intake.submit(desk.shop.config.forms["callback"], checked.content)
        await away.close()
        assert spool.count() == 2
        text = (await owner.post(f"/leads/{mina.lead}/erase", 200, confirmation="erase")).text
        assert "was written anew without them" in text
        assert spool.count() == 0
        assert listed((await owner.get("/leads")).text) == ["Ravi"]
        account = await desk.shop.form("callback")
        assert (account.created, account.erased) == (1, 1)


async def decide(browser: Browser, choice: str, *submissions: str) -> None:
    await browser.post("/held", do=choice, submission=list(submissions))


def held_in(page: str) -> list[str]:
    return re.findall(r'type="checkbox" id="s\d+" name="submission" value="([^"]+)"', page)


async def test_what_is_held_says_why_and_is_let_through_or_deleted_after_a_minute(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands) as desk:
        browser, reader = await desk.enter("Asha", "editor"), await desk.enter("Ravi", "reader")
        for phone in ("9845098451", "9845098452", "9845098453"):
            await desk.shop.submit(**{**SPAM, "phone": phone})
        page = (await browser.get("/held")).text
        first, second, third = held_in(page)
        assert "several links" in page
        assert "Casino" in page
        assert held_in((await reader.get("/held")).text) == []
        await reader.post("/held", 403, do="release", submission=first)

        await decide(browser, "release", first)
        await decide(browser, "drop", second, "get-in-touch unknown", "nowhere x", "x")
        page = (await browser.get("/held")).text
        assert held_in(page) == [third]
        assert "Undo" in page
        await desk.desk.decisions.carry_out()
        assert (await desk.shop.form()).quarantined == 3

        await decide(browser, "undo", f"drop {second}")
        assert set(held_in((await browser.get("/held")).text)) == {second, third}
        hands.ahead += UNDONE_WITHIN_MS + 1
        await decide(browser, "undo", f"release {first}")  # too late
        hands.ahead += GRACE_MS
        while await desk.desk.decisions.carry_out():
            pass
        account = await desk.shop.form()
        assert (account.quarantined, account.created, account.erased) == (2, 1, 0)
        await decide(browser, "drop", second, third)
        await decide(browser, "release", third)  # the later one counts
        hands.ahead += UNDONE_WITHIN_MS + GRACE_MS + 1
        await desk.desk.decisions.carry_out()
        account = await desk.shop.form()
        assert (account.quarantined, account.created + account.updated + account.repeated, account.erased) == (0, 2, 1)


async def test_a_link_of_a_digest_leads_through_the_sign_in_to_the_one_that_is_held(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands) as desk:
        await desk.shop.submit(**SPAM)
        editor, reader = await desk.enter("Asha", "editor"), await desk.enter("Ravi", "reader")
        secret, form_ = Secret(ENVIRON["LEADS_SECRET"]), "get-in-touch"
        ((_, _, id_),) = await read_held(desk.shop.server, [form_], 9)
        link = held_link(secret, form_, id_, hands() + DAY_MS)
        stranger = desk.browser()
        assert (await stranger.get(link, 303)).headers["location"] == "/sign-in"
        assert (await stranger.post("/sign-in", name="Asha", password=PASSWORD)).headers["location"] == link
        assert (await stranger.post("/sign-in", name="Asha", password=PASSWORD)).headers["location"] == "/"
        page = (await editor.get(link)).text
        assert "Casino" in page
        assert f'value="{form_} {id_}" checked' in page
        page = (await reader.get(link)).text
        assert "9845098450" not in page
        assert "Let through" not in page
        assert await desk.desk.decisions.open() == {}  # looking decides nothing
        await editor.post("/held", do="release", submission=f"{form_} {id_}")
        assert "It is decided" in (await editor.get(link)).text
        others = [
            link[:-1],
            link.replace(id_, "another"),
            held_link(secret, form_, id_, hands()),
            "/held/x",
            "/held/....",
        ]
        others.append(held_link(Secret("another secret than this clinic's"), form_, id_, hands() + DAY_MS))
        for other in others:
            await editor.get(other, 404)


@pytest.mark.parametrize(
    "asked", ["//evil.example/", "/\\evil.example", "https://evil.example/", "/a\r\nSet-Cookie: x=y", ""]
)
async def test_signing_in_leads_to_no_other_site(open_only: OpenDesk, asked: str) -> None:
    browser = open_only.browser()
    await open_only.enter("Asha", "reader")
    browser.client.cookies.set("leads-asked", quote(asked))
    assert (await browser.post("/sign-in", name="Asha", password=PASSWORD)).headers["location"] == "/"


async def test_trouble_shows_the_dead_by_reason_and_sends_all_of_one_again(redis_url: str) -> None:
    with Crm() as crm:
        async with open_desk(redis_url, form() + destination(crm.url) + "[desk]\n") as desk:
            browser = await desk.enter("Asha", "editor")
            assert "No worker is alive: nothing is delivered." in (await browser.get("/trouble")).text
            crm.answer(422, body=b"no <b>such</b> field")
            taken = await desk.shop.submit_many(3)
            async with desk.shop.worker():
                await desk.shop.settled()
            page = (await browser.get("/trouble")).text
            assert "3 leads" in page
            assert "no &lt;b&gt;such&lt;/b&gt; field" in page
            assert f"/leads/{taken[0].lead}" in page
            (reason,) = set(re.findall(r'name="reason" value="([^"]*)"', page))
            crm.answer(200, body=b"")
            answer = await browser.post("/trouble/send", destination="crm", reason=reason)
            assert answer.headers["location"] == "/trouble?sent=3"
            assert "3 deliveries are due now" in (await browser.get("/trouble?sent=3")).text
            async with desk.shop.worker():
                account = await desk.shop.settled()
            assert (account.delivered, account.dead) == (3, 0)


async def is_paused(browser: Browser) -> bool:
    return "Paused" in (await browser.get("/trouble")).text


async def test_a_paused_destination_says_why_and_is_tried_at_once(redis_url: str) -> None:
    with Crm() as crm:
        async with open_desk(redis_url, form() + destination(crm.url) + "[desk]\n") as desk:
            browser = await desk.enter("Asha", "editor")
            crm.answer(401, body=b"who are you")
            await desk.shop.submit_many(2)
            async with desk.shop.worker():
                await until_async(lambda: is_paused(browser))
            assert "2 leads wait" in (await browser.get("/trouble")).text
            gate = Gate(desk.shop.server, "crm", Pace(1, 0, 0))
            before = await gate.pause()
            await browser.post("/trouble/open", destination="crm")
            after = await gate.pause()
            assert before
            assert after
            assert after.probe_at <= desk.shop.server.now() < before.probe_at
            await browser.post("/trouble/open", 404, destination="nowhere")


async def test_hostile_words_do_nothing_anywhere(desk: OpenDesk) -> None:
    owner = await desk.enter("Asha", "owner")
    source = Source(
        HOSTILE, HOSTILE, {"campaign": HOSTILE}, {"gclid": HOSTILE}, Touch(HOSTILE, HOSTILE), Touch(HOSTILE)
    )
    said = {"name": HOSTILE, "phone": "8951047001", "message": HOSTILE, HOSTILE[:40]: HOSTILE}
    taken = await desk.submit_from(source, **said)
    await desk.shop.submit(**{**SPAM, "name": HOSTILE})
    for path in ("/", "/leads", f"/leads/{taken.lead}", "/held", f"/leads/{taken.lead}/erase", "/trouble", "/people"):
        text = (await owner.get(path)).text
        assert "<script" not in text, path
        assert "<img" not in text, path
    query = dict.fromkeys(
        ("q", "campaign", "flag", "form", "since", "state", "after", "days", "sent", "behind"), HOSTILE
    )
    for path in ("/", "/leads", "/trouble", "/people"):
        answer = await owner.client.get(path, params=query)
        assert answer.status_code == 200, path
        assert "<script" not in answer.text, path
    answer = await owner.client.get("/leads.csv", params={"form": "get-in-touch\r\nSet-Cookie: a=b"})
    assert "a=b" not in str(answer.headers)


async def test_an_export_is_what_is_shown_and_no_formula(open_only: OpenDesk, tmp_path: Path) -> None:
    desk = open_only
    owner = await desk.enter("Asha", "editor")
    for number, name in enumerate(["=1+1", "+SUM(A1)", "-2", "@x", "Mina", "\ttab", "x\x01y"]):
        await desk.shop.submit(name=name, phone=f"895104700{number}", message="knee" if number % 2 else "back")
    shown = listed((await owner.get("/leads?q=knee")).text)
    answer = await owner.get("/leads.csv?q=knee")
    assert re.fullmatch(r'attachment; filename="leads-[0-9-]+\.csv"', answer.headers["content-disposition"])
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["fields.name"].removeprefix("'") for each in rows] == [each.replace("&#43;", "+") for each in shown]
    assert {row["timezone"] for row in rows} == {"Asia/Kolkata"}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "-", "@", "\t", "+S"))]
    (tmp_path / "leads.xlsx").write_bytes((await owner.get("/leads.xlsx")).content)
    with ZipFile(tmp_path / "leads.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert sheet.count("<row ") == 8


async def test_an_export_says_what_of_it_no_key_opens(open_only: OpenDesk) -> None:
    desk = open_only
    owner = await desk.enter("Asha", "editor")
    await desk.shop.submit(name="Mina", phone="8951047000")
    desk.shop.use(Cipher([b"1" * 32]))
    sealed = (await desk.shop.submit(name="Ravi", phone="8951047001")).lead
    rows = list(csv.reader(io.StringIO((await owner.get("/leads.csv")).text)))
    assert len(rows) == 3
    assert rows[2] == [f"Not all: no key here opens 1 lead: {sealed}"]
    assert (await owner.get("/leads.xlsx")).status_code == 200


async def test_the_counts_of_days_add_up_to_the_account(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(
        redis_url, form(more='spam.limit = 10\nquiet = "0s"') + destination("http://127.0.0.1:9/"), now=hands
    ) as desk:
        begin = hands()
        for day in range(3):
            for number in range(4):
                await desk.shop.submit(name="N", phone=f"89510470{number:02d}", message=f"day {day}")
                await desk.shop.submit(**{**SPAM, "phone": f"98450984{day}{number}"})
            await desk.shop.submit(name="N", phone="8951047000", message=f"day {day}")
            await desk.shop.store.refuse("get-in-touch", f"report {day}", 5, at=hands())
            hands.ahead += DAY_MS
        store, form_ = desk.shop.store, desk.shop.config.forms["get-in-touch"]
        held = await desk.shop.archive.quarantined(form_)
        for each in held[:3]:
            await store.release(form_, each.id)
        for each in held[3:6]:
            await store.drop("get-in-touch", each.id)
        await store.drop("get-in-touch", held[3].id)
        assert len(await desk.shop.archive.quarantined(form_, latest=2)) == 2
        account = await desk.shop.form()
        counts = await read_counts(desk.shop.server, ["get-in-touch"], begin, hands() + DAY_MS)
        sums = {name: sum(each.number for each in counts if each.name == name) for name in ("received", *SUBMISSIONS)}
        assert sums == {name: getattr(account, name) for name in sums}
        assert account.received > 0
        assert len({each.at // DAY_MS for each in counts}) >= 3


async def test_today_is_shown_beside_what_is_usual(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands) as desk:
        browser = await desk.enter("Asha", "reader")
        assert "usually" not in (await browser.get("/")).text
        hands.ahead -= 21 * DAY_MS
        for week in range(4):
            for number in range(2 if week < 3 else 1):
                await desk.shop.submit(name="N", phone=f"8951047{week}{number:02d}")
            hands.ahead += 7 * DAY_MS
        hands.ahead -= 7 * DAY_MS
        text = (await browser.get("/")).text
        assert "<b>1</b> <span>lead today</span>" in text
        assert "usually 2.0 by this time" in text
        assert "7 leads in 30 days" in text
        for days in (90, 365):
            assert f"in {days} days" in (await browser.get(f"/?days={days}&form=get-in-touch")).text


async def test_with_another_key_the_pages_say_so_and_hide_nothing_else(redis_url: str) -> None:
    async with open_desk(redis_url, cipher=Cipher((os.urandom(32),))) as desk:
        await desk.shop.submit(name="Mina", phone="8951047001", email="mina@example.com")
    async with open_desk(redis_url, cipher=Cipher((os.urandom(32),))) as desk:
        browser = await desk.enter("Asha", "editor")
        assert "1 lead cannot be opened" in (await browser.get("/leads")).text
