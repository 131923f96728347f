"""A paused destination is told by mail and in a chat, once over all workers, and so is that it is open again."""

import json
from mailbox import Mailbox

import pytest
from crm import Crm
from msgspec import structs
from workshop import ENVIRON, Hands, Workshop, one_crm, until, until_async

from service.delivery.carrier import carrier_to
from service.delivery.trouble import read_troubles
from service.notices.teller import Teller, Told
from service.process import worker
from service.store.accounts import Accounts, Trouble
from service.store.alarms import ALARMS, TELLER, read_alarms
from service.store.overview import gate_at, read_accounts

pytestmark = pytest.mark.anyio
MINUTE = 60_000


def notify(port: int, alarms: str = "false") -> str:
    """Return a `[notify]` of which the worker itself tells nothing, but where `alarms` is "true"."""
    mail = f'host = "127.0.0.1", port = {port}, tls = "none", from = "a@example.com", to = "b@example.com"'
    chat = f'chat = "$CHAT_URL"\nallow_private = true\nalarms = {alarms}\n'
    return f"[notify]\nmail = {{ {mail}, allow_private = true }}\n{chat}"


async def told_by(shop: Workshop, name: str = "one") -> list[Told]:
    """Let a worker have a round."""

    async def read() -> Accounts:
        accounts = await read_accounts(shop.server, shop.config)
        found = (await read_troubles(shop.server, shop.config, accounts, None))[1]
        return structs.replace(accounts, trouble=[trouble for trouble in found if trouble.code != "NO_WORKER"])

    assert shop.config.notify is not None
    carriers = [(channel, carrier_to(channel, shop.config)) for channel in shop.config.notify.channels]
    async with carriers[0][1] as mail, carriers[1][1] as chat:
        channels = [(carriers[0][0], mail), (carriers[1][0], chat)]
        return [told async for told in Teller(shop.server, name, channels, read=read, desk=None).tell()]


async def test_a_pause_is_told_once_and_its_end_too(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    with Crm() as crm, Crm() as chat:
        monkeypatch.setitem(ENVIRON, "CHAT_URL", chat.url)
        async with Mailbox() as mailbox, Workshop(redis_url, one_crm(crm) + notify(mailbox.port), now=hands) as shop:
            crm.answer(401)
            async with shop.worker():
                await shop.submit(name="Asha Rao", phone="089510 47001")
                await shop.submit(name="Ravi Das", phone="089510 47002")
                await until(lambda: shop.events("destination paused"))
            await told_by(shop)
            hands.ahead += 2 * MINUTE
            mailbox.answers = {"MAIL": "451 4.3.0 later"}
            assert await told_by(shop, "another") == []  # one tells for all
            first = await told_by(shop)
            mailbox.answers = {}
            hands.ahead += MINUTE
            again = await told_by(shop)
            assert [(each.channel, each.part) for each in (*first, *again)] == [
                ("notify-mail", "begun"), ("notify-chat", "begun"), ("notify-mail", "begun"),
            ]  # fmt: skip
            assert await told_by(shop) == []
            await gate_at(shop.server, "crm").resume()
            hands.ahead += 11 * MINUTE
            await shop.server.client.delete(TELLER)  # it was killed a minute and a half ago
            ends = [told for told in await told_by(shop, "another") if told.code == "PAUSED"]
            assert [(each.channel, each.part) for each in ends] == [("notify-mail", "ended"), ("notify-chat", "ended")]
            assert "PAUSED:crm" not in await read_alarms(shop.server)
    begun, ended = mailbox.mails
    assert begun["Subject"] == "Trouble at crm: PAUSED"
    assert ended["References"] == begun["Message-ID"]
    said = [json.loads(request.body)["text"] for request in chat.requests]
    assert "does not accept our key" in said[0]
    assert said[1].startswith("*Re: Trouble at crm: PAUSED*\nThis is over")
    assert not any("Asha" in text or "Ravi" in text for text in [*said, begun.get_content(), ended.get_content()])


async def test_who_cannot_be_told_stands_in_the_status(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    with Crm() as crm, Crm() as chat:
        monkeypatch.setitem(ENVIRON, "CHAT_URL", chat.url)
        chat.answer(404)
        crm.answer(422)
        async with Mailbox() as mailbox, Workshop(redis_url, one_crm(crm) + notify(mailbox.port), now=hands) as shop:
            async with shop.worker():
                await shop.submit(name="Asha Rao", phone="089510 47001")
                await shop.settled()
            for _ in range(7):
                await told_by(shop)
                hands.ahead += 2 * MINUTE
            untold = [each for each in (await _wrong(shop)) if each.code == "UNTOLD"]
    assert [each.about for each in untold] == ["notify-chat"]
    assert "notify-chat could not be told, " in untold[0].message
    assert "Trouble at notify-chat: UNTOLD" in [mail["Subject"] for mail in mailbox.mails]


async def test_a_worker_tells(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    monkeypatch.setattr(worker, "TELL_EVERY_S", 0.05)
    with Crm() as crm, Crm() as chat:
        monkeypatch.setitem(ENVIRON, "CHAT_URL", chat.url)
        crm.answer(422)
        async with Mailbox() as mailbox:
            text = one_crm(crm) + notify(mailbox.port, "true")
            async with Workshop(redis_url, text, now=hands) as shop, shop.worker():
                await shop.submit(name="Asha Rao", phone="089510 47001")
                await shop.settled()
                await until_async(lambda: shop.server.client.exists(ALARMS))
                hands.ahead += 2 * MINUTE
                await until(lambda: shop.events("told"))
    assert mailbox.mails[0]["Subject"] == "Trouble at crm: DEAD"


async def _wrong(shop: Workshop) -> list[Trouble]:
    return (await read_troubles(shop.server, shop.config, await read_accounts(shop.server, shop.config), None))[1]
