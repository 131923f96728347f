"""What a CRM lost is sent again by age, under the same ids; and an account that does not add up is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crm import Crm
from ledger import DAY
from processes import Processes
from workshop import QUICK, Hands, Workshop, destination, form

pytestmark = pytest.mark.anyio


class Past(Hands):
    """A clock two days behind, until it is set right."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = -2 * DAY


class Both:
    """A form that delivers to two CRMs, and the commands of its installation."""

    def __init__(self, shop: Workshop, here: Processes, crm: Crm, other: Crm) -> None:
        self.shop, self.here, self.crm, self.other = shop, here, crm, other

    async def deliver(self) -> None:
        """Deliver everything that is due."""
        async with self.shop.worker():
            await self.shop.settled("crm")
            await self.shop.settled("other")

    async def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its status and what it said."""
        process = self.here.start(*words)
        return await asyncio.to_thread(process.wait), process.said()

    def ids(self, crm: Crm) -> list[str]:
        """Return the webhook-ids that came to a CRM since the last time, in order of their names."""
        came = sorted(each.headers["webhook-id"] for each in crm.requests)
        crm.clear()
        return came


@asynccontextmanager
async def open_both(redis_url: str, folder: Path) -> AsyncIterator[tuple[Both, Past]]:
    past = Past()
    with Crm() as crm, Crm() as other:
        text = form(deliver=("crm", "other")) + destination(crm.url) + destination(other.url, "other", more=QUICK)
        with Processes(folder / "here", redis_url, text) as here:
            async with Workshop(redis_url, text, now=past) as shop:
                yield Both(shop, here, crm, other), past


async def test_what_was_accepted_since_goes_again_to_that_destination_under_the_same_ids(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_both(redis_url, tmp_path) as (both, past):
        shop = both.shop
        await shop.submit(name="Old", phone="8951047001")
        again = await shop.submit(name="Old and new", phone="8951047002")
        await both.deliver()
        past.ahead = 0
        assert (await shop.submit(name="Old and new", phone="8951047002", message="Hello?")).lead == again.lead
        new = await shop.submit(name="New", phone="8951047003")
        await both.deliver()
        bodies = {each.headers["webhook-id"]: each.body for each in both.crm.requests}
        assert len(both.ids(both.crm)) == len(both.ids(both.other)) == 4

        for _ in range(2):  # asked twice before the worker comes, it is sent once
            assert await both.run("replay", "--since", "24h", "--destination", "crm") == (
                0,
                "2 deliveries are due now.\n",
            )
        await both.deliver()
        assert {each.headers["webhook-id"]: each.body for each in both.crm.requests}.items() <= bodies.items()
        assert both.ids(both.crm) == sorted([f"{again.lead}.2", f"{new.lead}.1"])
        assert both.ids(both.other) == []
        for name in ("crm", "other"):
            account = await shop.account(name)
            assert (account.owed, account.delivered, account.waiting) == (4, 4, 0)


async def test_without_a_destination_it_goes_to_all_and_the_dead_are_among_it(redis_url: str, tmp_path: Path) -> None:
    async with open_both(redis_url, tmp_path) as (both, past):
        await both.shop.submit(name="Old", phone="8951047001")
        await both.deliver()
        past.ahead = 0
        new = await both.shop.submit(name="New", phone="8951047003")
        both.crm.answer(422)
        await both.deliver()
        assert (await both.shop.account("crm")).dead == 1
        both.crm.clear()
        both.other.clear()
        assert await both.run("replay", "--since", "1d") == (0, "2 deliveries are due now.\n")
        await both.deliver()
        assert both.ids(both.crm) == both.ids(both.other) == [f"{new.lead}.1"]
        assert (await both.shop.account("crm")).dead == 0


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Commands without a server: what is wrong with the words is told before it is asked."""
    text = form() + destination("http://127.0.0.1:9/")
    with Processes(tmp_path_factory.mktemp("words"), "unix:///nonexistent/s", text) as made:
        yield made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--since", "soon"), "--since soon: it must be"),
        (("lead_1", "--since", "24h"), "Name leads, or say --all"),
        ((), "Name leads, or say --all"),
        (("--since", "24h", "--destination", "erp"), "There is no destination erp; there is crm."),
    ],
)
def test_words_that_mean_nothing_are_answered_with_a_sentence(
    here: Processes, words: tuple[str, ...], sentence: str
) -> None:
    process = here.start("replay", *words)
    assert process.wait() == 1
    assert process.said().startswith(sentence)


@pytest.mark.parametrize(
    ("counter", "by", "gap"),
    [
        ("created", 1, ": 2 received, but its columns add up to 3, a difference of -1"),
        (
            "crm:waiting",
            -1,
            ", destination crm: 2 owed, but its columns add up to 1, a difference of +1",
        ),
    ],
)
async def test_an_account_that_does_not_add_up_is_told_with_form_and_difference(
    redis_url: str, tmp_path: Path, counter: str, by: int, gap: str
) -> None:
    text = form() + destination("http://127.0.0.1:9/")
    with Processes(tmp_path / "here", redis_url, text) as here:
        async with Workshop(redis_url, text) as shop:
            await shop.submit_many(2)
            whole = here.start("status", "--check=accounts")
            assert await asyncio.to_thread(whole.wait) == 0, whole.said()
            assert "DOES NOT ADD UP" not in whole.said()
            await shop.server.client.hincrby("leads:{get-in-touch}:count", counter, by)
            bad, unasked = here.start("status", "--check=accounts"), here.start("status")
            assert await asyncio.to_thread(bad.wait) == 1
            assert await asyncio.to_thread(unasked.wait) == 0
    assert bad.said().splitlines()[-1] == f"form get-in-touch{gap}"
    assert "DOES NOT ADD UP" in bad.said()
