"""Encryption of what persons said: sealed with the first key, opened with any, and refused where none fits."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from crm import Crm
from hypothesis import given
from hypothesis import strategies as st
from workshop import Workshop, destination, form, one_crm

from service.intake.drain import Drain
from service.intake.intake import Intake, Taken
from service.intake.spool import Spool
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.process.wiring import clock
from service.store.archive import Archive
from service.store.cipher import PLAIN, WITNESS, Cipher, UnreadableError, keys_of
from service.store.leads import Store
from service.store.server.agreement import agree_on_keys
from service.store.server.connection import connect
from service.store.server.server import Server

ONE, TWO = b"1" * 32, b"2" * 32
MARKED = {
    "name": "Marked Name",
    "phone": "089510 47001",
    "email": "marked@example.com",
    "message": "Marked words",
    "Marked extra name": "Marked extra",
}
TRACES = [b"Marked", b"marked", b"47001", b"4951047001"]


@given(st.text(), st.lists(st.text(), max_size=3))
def test_what_is_sealed_opens_to_the_same(text: str, place: list[str]) -> None:
    cipher = Cipher([ONE])
    sealed = cipher.seal(text, *place)
    assert cipher.open(sealed, *place) == text
    assert sealed.isascii()
    assert sealed != cipher.seal(text, *place), "the same text twice looks different"


def test_the_first_key_seals_and_every_key_opens() -> None:
    old = Cipher([ONE]).seal("s1", "form")
    new = Cipher([TWO, ONE])
    assert new.open(old, "form") == "s1"
    with pytest.raises(UnreadableError):
        Cipher([ONE]).open(new.seal("s1", "form"), "form")


@pytest.mark.parametrize("change", ["other place", "cut", "one bit", "no base64", "nothing"])
def test_what_was_changed_or_put_elsewhere_does_not_open(change: str) -> None:
    cipher = Cipher([ONE])
    sealed = cipher.seal("s1", "form", "phone")
    place, text = ("form", "phone"), sealed
    match change:
        case "other place":
            place = ("form", "email")
        case "cut":
            text = sealed[:-4]
        case "one bit":
            text = sealed[:-1] + ("A" if sealed[-1] != "A" else "Q")
        case "no base64":
            text = "e?"
        case "nothing":
            text = "e"
    with pytest.raises(UnreadableError):
        cipher.open(text, *place)


def test_without_a_key_nothing_is_changed_and_what_was_plain_stays_readable_with_one() -> None:
    assert PLAIN.seal("s1", "form") == "s1"
    assert Cipher([ONE]).open("s1", "form") == "s1"
    assert not PLAIN.is_on


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(ONE).decode(),
        base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("="),
        f"  {base64.b64encode(ONE).decode()} ,\n{base64.b64encode(TWO).decode()}\n",
    ],
)
def test_keys_are_written_in_base64_with_commas_or_blanks_between_them(text: str) -> None:
    assert all(len(key) == 32 for key in keys_of(Secret(text)))


@pytest.mark.parametrize("text", ["", ",", "short", base64.b64encode(b"1" * 31).decode(), "ä" * 44])
def test_what_is_no_key_is_told_with_how_to_make_one(text: str) -> None:
    with pytest.raises(CannotStart, match="openssl rand -base64 32") as told:
        keys_of(Secret(text))
    assert text not in str(told.value) or not text.strip(",")


# --- on a server ----------------------------------------------------------------------------------------------------


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as running:
        yield running


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Server]:
    made = Server(connect(redis_url), clock=clock)
    yield made
    await made.close()


@pytest.mark.anyio
async def test_processes_must_agree_on_a_key(server: Server) -> None:
    await agree_on_keys(server, PLAIN)
    assert await server.client.get(WITNESS) is None
    await agree_on_keys(server, Cipher([ONE]))
    await agree_on_keys(server, Cipher([TWO, ONE]))
    await agree_on_keys(server, Cipher([TWO]))
    with pytest.raises(CannotStart, match="No key in LEADS_ENCRYPTION_KEY opens what is kept"):
        await agree_on_keys(server, Cipher([ONE]))
    with pytest.raises(CannotStart, match="set LEADS_ENCRYPTION_KEY"):
        await agree_on_keys(server, PLAIN)


async def everything(server: Server) -> bytes:
    """Return all that the server holds, its keys included."""
    client, held = server.client, []
    async for key in client.scan_iter():
        held.append(str(key))
        match await client.type(key):
            case "hash":
                held.append(str(await client.hgetall(key)))
            case "zset":
                held.append(str(await client.zrange(key, 0, -1)))
            case "set":
                held.append(str(await client.smembers(key)))
            case _:
                held.append(str(await client.get(key)))
    return "\n".join(held).encode()


@pytest.mark.anyio
async def test_nothing_of_a_person_can_be_read_from_redis_and_the_crm_gets_it_all_the_same(
    redis_url: str, crm: Crm
) -> None:
    cipher = Cipher([ONE])
    async with Workshop(redis_url, one_crm(crm)) as shop:
        shop.use(cipher)
        await shop.submit(**MARKED)
        await shop.submit(**{**MARKED, "_gotcha": "Marked robot", "message": "Marked spam"})
        async with shop.worker():
            await shop.settled()
        held = await everything(shop.server)
        assert not [trace for trace in TRACES if trace in held]
        [request] = crm.requests
        assert request.json()["data"]["fields"]["message"] == "Marked words"
        assert request.json()["data"]["extra"] == {"Marked extra name": "Marked extra"}
        [held_one] = await Archive(shop.server, cipher).quarantined(shop.config.forms["get-in-touch"])
        assert held_one.content.fields["message"].value == "Marked spam"


@pytest.mark.anyio
async def test_what_a_crm_answered_is_sealed_too_and_read_again(redis_url: str, crm: Crm) -> None:
    cipher = Cipher([ONE])
    crm.answer(422, body=b"Marked Name is no good")
    async with Workshop(redis_url, one_crm(crm)) as shop:
        shop.use(cipher)
        taken = await shop.submit(**MARKED)
        async with shop.worker():
            await shop.settled()
        assert b"Marked" not in await everything(shop.server)
        [dead] = await shop.dead()
        assert dead.excerpt == "Marked Name is no good"
        lead = await shop.lead(taken.lead)
        assert [each.excerpt for each in lead.deliveries[0].attempts] == ["Marked Name is no good"]


@pytest.mark.anyio
async def test_a_later_key_opens_nothing_and_the_lead_is_kept_for_the_right_one(redis_url: str, crm: Crm) -> None:
    async with Workshop(redis_url, one_crm(crm)) as shop:
        shop.use(Cipher([ONE]))
        await shop.submit(**MARKED)
        shop.use(Cipher([TWO]))
        to = shop.config.forms["get-in-touch"]
        [claim] = await shop.store.claim(to, "crm", lease=1, limit=1, token="t")
        assert "LEADS_ENCRYPTION_KEY" in claim.unreadable
        shop.use(Cipher([TWO, ONE]))
        async with shop.worker():
            await shop.settled()
        assert crm.requests[-1].json()["data"]["fields"]["name"] == "Marked Name"


@pytest.mark.anyio
async def test_what_no_key_opens_dies_with_a_reason_that_says_which_key_it_needs(redis_url: str, crm: Crm) -> None:
    async with Workshop(redis_url, one_crm(crm, more='retry = ["100ms"]')) as shop:
        shop.use(Cipher([ONE]))
        await shop.submit(**MARKED)
        shop.use(Cipher([TWO]))
        async with shop.worker():
            await shop.settled()
        [dead] = await shop.dead()
        assert "no key in LEADS_ENCRYPTION_KEY opens what is kept of it" in dead.reason
        assert "bug of the service" not in dead.reason


def spooled(folder: Path) -> bytes:
    [file] = folder.glob("*.jsonl")
    return file.read_bytes()


@pytest.mark.anyio
async def test_the_spool_holds_nothing_readable_and_is_drained_into_the_same_lead(
    redis_url: str, tmp_path: Path
) -> None:
    cipher = Cipher([ONE])
    async with Workshop(redis_url, form() + destination("https://crm.invalid/hooks")) as shop:
        shop.use(cipher)
        to = shop.config.forms["get-in-touch"]
        away = Server(connect("redis://127.0.0.1:1/0"), clock=clock)
        spool = Spool(tmp_path, clock)
        intake = Intake(Store(away), Secret("x" * 32), spool, cipher)
        content = shop.check("get-in-touch", **MARKED).content
        taken = await intake.submit(to, content)
        assert isinstance(taken, Taken)
        assert taken.result == "spooled"
        text = spooled(tmp_path)
        assert not [trace for trace in TRACES if trace in text]
        assert msgspec.json.decode(text)["receipt"] == taken.receipt
        await Drain(spool, shop.store, shop.config.forms).run_once()
        lead = await shop.lead(taken.lead)
        assert lead.versions[0].content == content
        await away.close()
