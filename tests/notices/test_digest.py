"""What came is told every morning, or on Mondays, once to each channel, beside what is usual."""

import json
import re
from datetime import date, datetime
from mailbox import Mailbox
from zoneinfo import ZoneInfo

import pytest
from crm import Crm
from workshop import ENVIRON, Hands, Workshop, one_crm

from service.config.config import Every
from service.delivery.carrier import carrier_to
from service.lib.secret import Secret
from service.notices.digest import Held, Period, latest, worded
from service.notices.digests import Digests
from service.notices.links import held_by
from service.notices.teller import Told
from service.store.accounts import Accounts, DestinationAccount, FormAccount, Trouble
from service.store.overview import read_accounts
from service.store.tallies import Count

pytestmark = pytest.mark.anyio
ZONE = ZoneInfo("Asia/Kolkata")
DAY_MS = 86_400_000


def at(day: int, hour: int, minute: int = 0) -> int:
    """Return a moment of November 2026, in which the 23rd is a Monday, ms."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=ZONE).timestamp() * 1000)


@pytest.mark.parametrize(
    ("every", "now", "first", "last", "due"),
    [
        ("daily", at(25, 7), 24, 24, at(25, 7)),
        ("daily", at(25, 6, 59), 23, 23, at(24, 7)),
        ("daily", at(25, 23), 24, 24, at(25, 7)),
        ("weekly", at(23, 7), 16, 22, at(23, 7)),
        ("weekly", at(23, 6, 59), 9, 15, at(16, 7)),
        ("weekly", at(29, 23), 16, 22, at(23, 7)),
    ],
)
def test_it_is_about_the_last_whole_day_or_week(every: Every, now: int, first: int, last: int, due: int) -> None:
    assert latest(every, now, ZONE) == Period(date(2026, 11, first), date(2026, 11, last), due)


def test_it_says_what_came_what_is_usual_and_what_waits_for_somebody() -> None:
    counts = [Count(at(24, 10) - week * 7 * DAY_MS, "contact", "created", 4) for week in (1, 2, 3)]
    counts += [Count(at(24, hour), "contact", end, 1) for hour, end in ((0, "created"), (23, "rejected"))]
    counts += [Count(at(25, 0), "contact", "created", 9), Count(at(23, 23), "contact", "created", 9)]
    crm = DestinationAccount(waiting=2, dead=1)
    forms = {"contact": FormAccount(quarantined=3, destinations={"crm": crm}), "other": FormAccount()}
    accounts = Accounts(forms=forms, trouble=[Trouble("DEAD", "1 is dead at crm.", "")])
    period = latest("daily", at(25, 7), ZONE)
    held = [Held(at(24, 23), "contact", "https://desk.example.com/held/x")]
    notice = worded(period, counts, accounts, ZONE, "https://desk.example.com", held=held)
    assert notice.subject == "1 lead, Tuesday, 24 November"
    assert notice.text.splitlines() == [
        "contact: 1 new lead, 1 refused (usually 4 leads)",
        "other: nothing came",
        "",
        "Leads a day:",
        *(f"{day} 0" for day in ("Wed 11", "Thu 12", "Fri 13", "Sat 14", "Sun 15", "Mon 16")),
        "Tue 17 4 " + 9 * "█",
        *(f"{day} 0" for day in ("Wed 18", "Thu 19", "Fri 20", "Sat 21", "Sun 22")),
        "Mon 23 9 " + 20 * "█",
        "Tue 24 1 ███",
        "",
        "Waiting now: 2; dead: 1",
        "Held back as likely spam: 3, https://desk.example.com/held",
        "- of 24 November, 23:00, contact: https://desk.example.com/held/x",
        "DEAD: 1 is dead at crm.",
        "https://desk.example.com/",
    ]
    assert notice.id == "digest.2026-11-24.2026-11-24"


async def test_each_channel_is_told_once_and_one_that_is_away_later(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands()
    with Crm() as crm, Crm() as chat:
        monkeypatch.setitem(ENVIRON, "CHAT_URL", chat.url)
        chat.answer(503, times=1)
        async with Mailbox() as mailbox:
            mail = (
                f'host = "127.0.0.1", port = {mailbox.port}, tls = "none", from = "a@example.com", to = "b@example.com"'
            )
            more = 'chat = "$CHAT_URL"\nallow_private = true\ndigest = "daily"\n'
            text = f"{one_crm(crm)}[notify]\nmail = {{ {mail}, allow_private = true }}\n{more}"
            async with Workshop(redis_url, text, now=hands) as shop:
                await shop.submit(name="Asha Rao", phone="089510 47001")
                await shop.submit(name="Spam", phone="089510 47002", _gotcha="x")
                hands.ahead += DAY_MS
                told = await told_by(shop)
                again = await told_by(shop)
                hands.ahead += 60_000
                again += await told_by(shop)
                after = await told_by(shop)
                hands.ahead += DAY_MS
                next_day = await told_by(shop)
    assert [(each.channel, each.part) for each in told] == [("notify-mail", "digest"), ("notify-chat", "digest")]
    assert [each.channel for each in again] == ["notify-chat"]
    assert after == []
    (link,) = re.findall(r"https://desk\.example\.com/held/(\S+)", mailbox.mails[0].get_content())
    found = held_by([Secret(ENVIRON["LEADS_SECRET"])], link, hands())
    assert found is not None
    assert found[0] == "get-in-touch"
    assert len(next_day) == 2
    assert mailbox.mails[0]["Message-ID"] == f"<digest.{told[0].about}@example.com>"
    assert "get-in-touch: " in json.loads(chat.requests[-1].body)["text"]


async def told_by(shop: Workshop) -> list[Told]:
    """Let a worker have a round."""

    async def read() -> Accounts:
        return await read_accounts(shop.server, shop.config)

    assert shop.config.notify is not None
    mail, chat = shop.config.notify.channels
    async with carrier_to(mail, shop.config) as by_mail, carrier_to(chat, shop.config) as to_chat:
        channels = [(mail, by_mail), (chat, to_chat)]
        digests = Digests(
            shop.server,
            "one",
            channels,
            "daily",
            ZONE,
            read=read,
            desk="https://desk.example.com",
            secret=Secret(ENVIRON["LEADS_SECRET"]),
        )
        return [told async for told in digests.tell()]
