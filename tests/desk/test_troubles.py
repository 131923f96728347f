"""`/trouble` says whatever `leads status` says is wrong, in its words, and calm where nothing is."""

import html

import pytest
from desk import open_desk
from workshop import Hands

from service.delivery.trouble import read_troubles
from service.intake.spool import open_spool
from service.store.keys import base_of
from service.store.overview import read_accounts

pytestmark = pytest.mark.anyio


async def test_every_trouble_is_shown_in_the_words_of_the_status_with_what_to_do(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hands = Hands()
    async with open_desk(redis_url, now=hands, spool=open_spool(tmp_path_factory.mktemp("spool"), hands)) as desk:
        reader = await desk.enter("Ravi", "reader")
        await desk.shop.submit(name="N", phone="8951047001")
        assert desk.desk.spool
        desk.desk.spool.append(b"{}")
        hands.ahead += 3_600_000
        await desk.shop.server.client.hincrby(f"{base_of('callback')}count", "received", 3)
        accounts = await read_accounts(desk.shop.server, desk.shop.config)
        _, troubles = await read_troubles(desk.shop.server, desk.shop.config, accounts, desk.desk.spool)
        assert {"NO_WORKER", "OVERDUE", "SPOOL_WAITS"} <= {trouble.code for trouble in troubles}
        text = html.unescape((await reader.get("/trouble")).text)
        for trouble in troubles:
            assert trouble.do in text
            assert trouble.code in text
        assert "form callback: 3 received, but its columns add up to 0" in text


async def test_where_nothing_is_wrong_the_page_is_calm(redis_url: str) -> None:
    async with open_desk(redis_url) as desk:
        async with desk.shop.worker():
            page = (await (await desk.enter("Ravi", "reader")).get("/trouble")).text
        assert "Nothing is wrong. This was looked at just now:" in page
        assert "For whoever runs the service" not in page
