"""After LEADS_SECRET was changed, with the one of before behind it, everybody is known as if nothing had happened."""

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from crm import Crm
from workshop import ENVIRON, Workshop, one_crm

from service.intake.intake import Intake, Taken
from service.lib.secret import Secret
from service.store.cipher import PLAIN, Cipher
from service.store.erasure import Eraser
from service.submission.person import person_hash

pytestmark = pytest.mark.anyio

FORM = "get-in-touch"
THEN = Secret(ENVIRON["LEADS_SECRET"])
NOW = Secret("a new one that is long enough 0000000000")
SEALED = Cipher([bytes(32)])
COLOUR = "Favourite Colour"
ASHA = {"name": "Asha Rao", "phone": "089510 47001", "message": "My back hurts.", COLOUR: "deep  blue"}


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as opened:
        yield opened


@pytest.fixture(params=[PLAIN, SEALED], ids=["plain", "sealed"])
async def shop(redis_url: str, crm: Crm, request: pytest.FixtureRequest) -> AsyncIterator[Workshop]:
    async with Workshop(redis_url, one_crm(crm)) as opened:
        opened.use(request.param)
        yield opened


def change_secret(shop: Workshop) -> None:
    """Let what is submitted from now on be taken under the new secret, the one of before listed behind it."""
    shop.intake = Intake(shop.store, NOW, cipher=shop._cipher, earlier=[THEN])


async def test_who_says_the_same_is_a_repeat_and_who_says_more_an_update_of_that_alone(
    shop: Workshop, crm: Crm
) -> None:
    async with shop.worker():
        first = await shop.submit(**ASHA)
        await shop.settled()
        change_secret(shop)
        again = await shop.submit(**ASHA | {"phone": "+91 89510 47001"})
        assert (again.result, again.lead) == ("repeated", first.lead)
        for number, more in enumerate(({"message": "And my neck."}, {COLOUR: "red"}), 2):
            taken = await shop.submit(**ASHA | more)
            assert (taken.result, taken.lead, taken.version) == ("updated", first.lead, number)
            await shop.settled()
            assert len(crm.requests) == number
    told = [request.json()["data"] for request in crm.requests]
    assert [data["changed"] for data in told] == [[], ["message"], ["extra.Favourite Colour", "message"]]
    assert [data["extra"] for data in told] == [{COLOUR: text} for text in ("deep  blue", "deep  blue", "red")]
    assert (await shop.form()).created == 1


async def test_a_key_is_answered_with_the_lead_of_then(shop: Workshop) -> None:
    form, said = shop.config.forms[FORM], shop.check(FORM, **ASHA).content
    first = await shop.intake.submit(form, said, key="k")
    change_secret(shop)
    again = await shop.intake.submit(form, said, key="k")
    assert isinstance(first, Taken)
    assert isinstance(again, Taken)
    assert (again.result, again.lead) == ("repeated", first.lead)


async def test_a_person_is_found_under_each_secret_and_what_was_on_its_way_when_they_were_erased_is_not_kept(
    shop: Workshop,
) -> None:
    await shop.submit(**ASHA)
    change_secret(shop)
    await shop.submit(**ASHA | {"message": "And my neck."})
    late = shop.intake._line(shop.config.forms[FORM], shop.check(FORM, **ASHA).content, None, (), {})
    late = msgspec.structs.replace(late, at=late.at - 1)  # not in the millisecond of what follows
    eraser = Eraser(shop.server)
    for secret in (NOW, THEN):
        assert len(await eraser.find(FORM, [person_hash(secret, FORM, "phone", "+918951047001")])) == 1
    erased = await eraser.erase(FORM, [person_hash(THEN, FORM, "phone", "+918951047001")], ())
    assert len(erased.leads) == 1
    assert await shop.server.client.hlen(f"leads:{{{FORM}}}:index") == 0
    accepted = await shop.store.accept(shop.config.forms[FORM], msgspec.json.encode(late), is_thanked=True)
    assert accepted.result == "erased"


async def test_a_quarantined_submission_of_then_is_released_to_its_person(shop: Workshop) -> None:
    first = await shop.submit(**ASHA)
    change_secret(shop)
    held = await shop.intake.submit(
        shop.config.forms[FORM], shop.check(FORM, **ASHA | {"message": "New."}).content, quarantine=("honeypot",)
    )
    assert isinstance(held, Taken)
    [kept] = await shop.archive.quarantined(shop.config.forms[FORM])
    released = await shop.store.release(shop.config.forms[FORM], kept.id)
    assert released is not None
    assert (released.result, released.lead) == ("updated", first.lead)
