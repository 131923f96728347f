"""`leads list` for spreadsheets writes every lead, or says that it did not."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import forks
import pytest
from processes import Processes
from workshop import Workshop, destination, form

from service.model.lead import Source
from service.store.cipher import Cipher

CONFIG = (
    form(more='timezone = "Asia/Kolkata"') + form("callback", deliver=("crm", "mail"))
    + destination("http://127.0.0.1:9/") + destination("http://127.0.0.1:9/mail", "mail")
)  # fmt: skip
MIDNIGHT_IN_INDIA = 1_795_372_200_000  # 2026-11-23
PEOPLE = 45


class Hands:
    def __init__(self) -> None:
        self.now = MIDNIGHT_IN_INDIA - PEOPLE * 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def kept(redis_url: str) -> list[str]:
    """Keep more leads than are listed, one a second, the last one at midnight; return their ids, newest first."""
    hands = Hands()
    ids = []
    async with Workshop(redis_url, CONFIG, now=hands) as shop:
        for number in range(PEOPLE):
            hands.now += 1000
            to = ("get-in-touch", "callback")[number % 2]
            said = shop.check(to, name=f"N{number}", phone=f"89510{number:05d}", colour="blue").content
            source = Source("https://www.example.com/", "", {"campaign": "monsoon"}, {"gclid": "Cj0"})
            taken: Any = await shop.intake.submit(shop.config.forms[to], replace(said, source=source))
            ids.append(taken.lead)
    return ids[::-1]


def run(here: Processes, *words: str) -> tuple[int, bytes, str]:
    """Run `leads list` and return its status, what it wrote and what it said."""
    status, written, said = forks.run(("list", *words), here.folder, here.environ, 60)
    assert b"Traceback" not in said
    return status, written, said.decode()


def table(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode()), strict=True))


pytestmark = pytest.mark.anyio


async def test_a_csv_has_every_lead_with_where_it_came_from_and_how_it_stands(
    kept: list[str], redis_url: str, tmp_path: Path
) -> None:
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        status, written, said = run(here, "--csv")
        assert (status, said, [row["id"] for row in table(written)]) == (0, "", kept)
        last = table(written)[0]
        assert (last["source.utm.campaign"], last["source.click_ids.gclid"]) == ("monsoon", "Cj0")
        assert (last["first_seen_at"], last["timezone"]) == ("2026-11-23 00:00:00", "Asia/Kolkata")
        assert (last["destinations.crm"], last["destinations.mail"]) == ("waiting", "")
        assert last["fields.phone"] == "+91 8951000044"
        assert len(run(here)[1].splitlines()) == 20
        status, written, said = run(here, "--csv", "--limit", "7")
        assert (status, len(table(written))) == (0, 7)
        assert said == f"The latest 7 of {PEOPLE} leads were written, as --limit says.\n"


async def test_days_are_those_of_the_forms_time_zone(kept: list[str], redis_url: str, tmp_path: Path) -> None:
    def ids(*words: str) -> list[str]:
        return [row["id"] for row in table(run(here, "--csv", *words)[1])]

    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        india, utc = kept[::2], kept[1::2]
        assert ids("--form", "get-in-touch", "--since", "2026-11-23") == india[:1]
        assert ids("get-in-touch", "--until", "2026-11-22") == india[1:]
        assert ids("--form", "callback", "--since", "2026-11-22", "--until", "2026-11-22") == utc
        assert ids("--since", "2026-11-23") == india[:1]


async def test_columns_are_chosen_by_their_paths(kept: list[str], redis_url: str, tmp_path: Path) -> None:
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        status, written, _ = run(here, "--csv", "--columns", "id, extra.colour,phone.country")
        assert (status, table(written)[0]) == (0, {"id": kept[0], "extra.colour": "blue", "phone.country": "IN"})


async def test_a_workbook_has_the_same_rows(kept: list[str], redis_url: str, tmp_path: Path) -> None:
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        (tmp_path / "leads.xlsx").write_bytes(run(here, "--xlsx")[1])
    with ZipFile(tmp_path / "leads.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 1 + len(kept)
    assert all(lead in sheet for lead in kept)


async def test_what_cannot_be_read_is_said_whatever_is_written(kept: list[str], redis_url: str, tmp_path: Path) -> None:
    async with Workshop(redis_url, CONFIG) as shop:
        shop.use(Cipher([b"1" * 32]))
        sealed = (await shop.submit(name="Asha", phone="8951047001")).lead
    with Processes(tmp_path / "here", redis_url, CONFIG) as here:
        for kind in ("--csv", "--xlsx"):
            status, _, said = run(here, kind)
            assert (status, said.startswith(f"{sealed} is not listed: What is kept is encrypted")) == (1, True)
        assert [row["id"] for row in table(run(here, "--csv")[1])] == kept
