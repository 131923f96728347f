"""What the first page counts beside the days: by form, by campaign, by choice, where people fail, how long it took."""

import re
from datetime import date

import pytest
from crm import Crm
from desk import open_desk
from workshop import Hands, destination, form

from service.desk.breakdown import SHOWN, Series, gathered
from service.intake.intake import Intake
from service.lib.secret import Secret
from service.model.lead import Source
from service.store.cipher import Cipher

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
HOSTILE = '"><script>alert(1)</script>'
BRANCH = 'fields.branch = { type = "choice", choices = ["North", "South"], other = true }'


def shown(page: str) -> dict[str, str]:
    """Return the parts that leads are told apart by, with how many each has."""
    (table,) = re.findall(r'<table class="ends parts">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r'<th scope="row">(.*?)</th><td>([\d,]+)</td>', table)
    return {re.sub(r"<[^>]*>", "", name): number for name, number in rows}


async def test_leads_are_told_apart_by_form_campaign_and_choice_and_each_leads_to_its_leads(redis_url: str) -> None:
    cipher = Cipher((b"k" * 32,))
    text = form(more=BRANCH) + form("callback") + destination("http://127.0.0.1:9/") + "[desk]\n"
    async with open_desk(redis_url, text, cipher=cipher) as desk:
        for number, (campaign, branch) in enumerate(
            (("easter", "North"), ("EASTER", "South"), ("", "North"), (HOSTILE, "Elsewhere"), ("x@example.com", ""))
        ):
            source = Source(utm={"campaign": campaign} if campaign else {})
            await desk.submit_from(source, name="N", phone=f"895104700{number}", branch=branch)
        before = Intake(desk.shop.store, Secret("another secret than this clinic's"), cipher=cipher)
        said = desk.shop.check("callback", name="N", phone="8951047009").content
        await before.submit(desk.shop.config.forms["callback"], said)
        browser = await desk.enter("Asha", "editor")
        page = (await browser.get("/?by=campaign")).text
        escaped = "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
        assert shown(page) == {"easter": "2", "No campaign": "2", escaped: "1", "Other campaigns": "1"}
        assert '<a href="/leads?campaign=easter&amp;since=' in page
        assert "<script" not in page
        assert shown((await browser.get("/?by=form")).text) == {"Get In Touch": "5", "Callback": "1"}
        page = (await browser.get("/?by=get-in-touch.branch")).text
        assert shown(page) == {"North": "2", "South": "1", "Something else": "1"}
        assert "/leads?form=get-in-touch&amp;choice=branch%3DNorth&amp;" in page
        for choice, leads in {"North": 2, "South": 1, "": 1, "West": 5}.items():
            assert f">{leads} lead" in (await browser.get(f"/leads?form=get-in-touch&choice=branch%3D{choice}")).text
        for nonsense in ("nowhere.branch", "get-in-touch.name", "x"):
            assert "ends parts" not in (await browser.get(f"/?by={nonsense}&form=callback")).text


async def test_campaigns_are_counted_on_the_days_of_the_desk(redis_url: str) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands) as desk:
        browser = await desk.enter("Asha", "reader")
        for _ in range(3):
            await desk.submit_from(Source(utm={"campaign": "easter"}), name="N", phone="8951047001")
            hands.ahead += 8 * 3_600_000
            one = (await browser.get("/?by=campaign")).text
            again = (await browser.get("/")).text
            total = re.search(r"([\d,]+) leads? in 30 days", again)
            assert total
            assert shown(one) == {"easter": total[1]}


async def test_it_is_shown_where_people_fail_and_how_long_deliveries_took(redis_url: str) -> None:
    with Crm() as crm:
        async with open_desk(redis_url, form() + destination(crm.url) + "[desk]\n") as desk:
            intake, store = desk.shop.intake, desk.shop.config.forms["get-in-touch"]
            for _ in range(3):
                intake.count_refusal(store, codes=["phone PHONE_TOO_SHORT", " CAPTCHA_FAILED"])
            intake.count_refusal(store, codes=["phone PHONE_TOO_SHORT"])
            await intake.report_counts()
            await desk.shop.submit(name="N", phone="8951047001")
            async with desk.shop.worker():
                await desk.shop.settled()
            page = (await (await desk.enter("Asha", "reader")).get("/")).text
            assert re.search(r">Phone</a>: too few digits</th><td>4</td>", page)
            assert re.search(r">The whole form</a>: the challenge was answered wrong</th><td>3</td>", page)
            assert re.search(r"half of all deliveries arrived within \d+", page)


async def test_the_largest_have_colours_of_their_own_and_nothing_is_lost() -> None:
    day = date(2026, 11, 28)
    series = [Series(str(number)) for number in range(SHOWN + 4)]
    for each in series:
        each.by_date[day] = 2
    drawn = gathered(series)
    assert [each.name for each in drawn] == ["0", "1", "2", "3", "4", "All others"]
    assert sum(each.total for each in drawn) == 2 * len(series)
    assert len(gathered(series[: SHOWN + 1])) == SHOWN + 1
