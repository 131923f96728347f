"""A CRM's export is read whatever wrote it, bounded whoever did, and compared on a page and by a command."""

import codecs
import csv
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from crm import Crm
from desk import ORIGIN, Browser, OpenDesk, open_desk
from processes import Processes
from workshop import Workshop, destination, form, until_async
from xlsxwriter import Workbook

from service.cli import reconcile
from service.desk.compare.columns import Column
from service.desk.compare.table import LONGEST_ROW, NoTableError, Table, open_table
from service.desk.compare.workbook import MOST_ROWS
from service.lib.errors import CannotStart
from service.store.cipher import Cipher

pytestmark = pytest.mark.anyio

TEXT = 'Name,Phone,E-Mail\r\nJürgen,8951047001,j@example.com\r\n"Rao, Asha",8951047002,\r\n'
ROWS = [(2, ["Jürgen", "8951047001", "j@example.com"]), (3, ["Rao, Asha", "8951047002", ""])]
HOSTILE = '"><script>alert(1)</script>=cmd|calc\x1b[31m\u202e'


def table_of(raw: bytes) -> Table:
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the table closes it
    file.write(raw)
    return open_table(file)


def workbook(rows: Sequence[Any], *, at: tuple[int, int] = (0, 0), hidden: bool = False, far: str = "") -> bytes:
    made = io.BytesIO()
    book = Workbook(made, {"default_date_format": "dd/mm/yyyy hh:mm"})
    if hidden:
        book.add_worksheet("First").hide()
        book.add_worksheet("Empty")
    sheet = book.add_worksheet("Leads")
    sheet.activate()
    for number, row in enumerate(rows):
        sheet.write_row(at[0] + number, at[1], row)
    if far:
        sheet.write_string(1_048_575, 16_383, far)
    book.close()
    return made.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        TEXT.encode(), codecs.BOM_UTF8 + TEXT.encode(), TEXT.encode("windows-1252"), TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"), TEXT.encode("utf-16-be"), TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        *(TEXT.replace(",", sign).replace(f"Rao{sign}", "Rao,").encode() for sign in ";\t|"),
    ],
)  # fmt: skip
async def test_a_csv_is_read_in_every_usual_encoding_and_with_every_usual_separator(raw: bytes) -> None:
    table = table_of(raw)
    assert [column.name for column in table.columns] == ["Name", "Phone", "E-Mail"]
    assert [column.role for column in table.columns] == ["name", "phone", "email"]
    assert (table.rows, list(table.read()), list(table.read())) == (2, ROWS, ROWS)
    table.close()


@pytest.mark.parametrize(
    ("text", "names", "numbers"),
    [
        ("sep=;\nName;Phone\nA;8951047001\n", ["Name", "Phone"], [2]),
        ("Leads of November\n\nName,Phone,City\nA,8951047001,X\n", ["Name", "Phone", "City"], [4]),
        ("8951047001\n8951047002\n", ["Column 1"], [1, 2]),
        ("Name,Phone\n", ["Name", "Phone"], []),
        ("Name,Phone\nA,8951047001,more\n\n,\nB,8951047002\n", ["Name", "Phone", "Column 3"], [2, 5]),
        ('Name,Words\nA,"two\nlines"\nB,x\u2028y\n', ["Name", "Words"], [2, 3]),
    ],
)
async def test_the_names_of_columns_are_found_where_they_stand(text: str, names: list[str], numbers: list[int]) -> None:
    table = table_of(text.encode())
    assert [column.name for column in table.columns] == names
    assert [number for number, _ in table.read()] == numbers
    table.close()


async def test_a_workbook_is_read_as_people_see_it() -> None:
    rows = [["Phone", "Created Time", "Score"], [8951047001, "2026-11-22 10:00:00", 1.5], ["+91 89510 47002", "", True]]
    table = table_of(workbook(rows, at=(2, 1), hidden=True))
    assert [column.role for column in table.columns] == ["", "phone", "time", ""]
    assert list(table.read()) == [
        (4, ["", "8951047001", "2026-11-22 10:00:00", "1.5"]), (5, ["", "+91 89510 47002", "", "True"]),
    ]  # fmt: skip
    table.close()


def bomb() -> bytes:
    """Return a workbook of a few KB whose sheet is half a gigabyte of blanks."""
    with ZipFile(io.BytesIO(workbook([["Phone"], [1]]))) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED, compresslevel=9) as book:
        for name, part in parts.items():
            with book.open(name, "w") as file:
                if name == "xl/sharedStrings.xml":
                    file.write(part[: part.index(b"Phone") + 5])
                    for _ in range(1900):
                        file.write(b"x" * 1024 * 1024)
                    file.write(part[part.index(b"Phone") + 5 :])
                else:
                    file.write(part)
    return made.getvalue()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"", "nothing"), (lambda: b"\n\n", "nothing"), (lambda: b"%PDF-1.7", "neither"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "neither"), (lambda: b"<html><table>", "neither"),
        (lambda: bytes(range(256)) * 9, "neither"), (lambda: b"PK\x03\x04 and no more", "no workbook"),
        (lambda: workbook([]), "nothing"), (lambda: b"Phone\n" + b"1\n" * (MOST_ROWS + 1), "more than"),
        (lambda: b"Phone" + b"," * 600 + b"\n1\n", "more than"),
        (lambda: b'Phone\n"' + b"1\n" * 200_000, "never closed"),
        (lambda: b"Phone\n" + b"," * (LONGEST_ROW + 1), "too long"),
        (lambda: b"Phone\n" + b'"\n",' * LONGEST_ROW, "too long"),
        (lambda: workbook([["Phone"], [1]], far="here"), "too large"),
    ],
)  # fmt: skip
async def test_what_is_too_much_or_no_table_is_refused_in_a_sentence(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(NoTableError, match=words):
        table_of(make())


@pytest.mark.long
async def test_a_workbook_that_unpacks_to_gigabytes_ends_alone() -> None:
    with pytest.raises(NoTableError, match="too large"):
        table_of(bomb())


@pytest.mark.long
def test_a_csv_of_libreoffice_is_read_as_what_it_was_made_of(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not here: apt-get install libreoffice-calc")
    rows = [
        ["Name", "Phone", "Created"],
        ["Jürgen", 8951047001, "22/11/2026 10:00"],
        ["Rao; Asha", "+91 89510 47002", ""],
    ]
    (tmp_path / "leads.xlsx").write_bytes(workbook(rows))
    for number, options in enumerate(("44,34,76", "59,34,1", "9,34,65535")):  # separator, quote, encoding
        words = [office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to"]
        made = tmp_path / str(number)
        subprocess.run(
            [*words, f"csv:Text - txt - csv (StarCalc):{options}", "--outdir", made, tmp_path / "leads.xlsx"],
            check=True, capture_output=True,
        )  # fmt: skip
        table = table_of((made / "leads.csv").read_bytes())
        assert [cells for _, cells in table.read()] == [["Jürgen", "8951047001", "22/11/2026 10:00"], rows[2]]
        table.close()


@pytest.fixture(params=["plain", "sealed"])
async def desk(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenDesk]:
    cipher = Cipher((b"k" * 32,)) if request.param == "sealed" else Cipher()
    async with open_desk(redis_url, cipher=cipher) as opened:
        yield opened


async def bring(browser: Browser, raw: bytes, status: int = 303, *, to: str = "crm", **more: Any) -> Any:
    data = {"csrf": browser.csrf, "destination": to}
    answer = await browser.client.post(
        "/compare", data=data, files={"file": ("leads.csv", raw)}, headers={"Origin": ORIGIN, **more}
    )
    assert answer.status_code == status, answer.text
    return answer


async def compared(browser: Browser, raw: bytes, **chosen: str) -> tuple[str, str]:
    """Return the address of a comparison and its report."""
    place = (await bring(browser, raw)).headers["location"]
    page = (await browser.get(place)).text
    guessed = dict(re.findall(r'name="(c\d+)".*?<option value="(\w+)" selected', page))
    await browser.post(place, **{**guessed, **chosen})

    async def is_done() -> bool:
        return "Which days" in (await browser.get(place)).text

    await until_async(is_done)
    return place, (await browser.get(place)).text


async def test_an_editor_sees_what_the_crm_lacks_and_sends_it_again(redis_url: str) -> None:
    with Crm() as crm:
        async with open_desk(redis_url, form() + destination(crm.url) + "[desk]\n") as desk:
            browser = await desk.enter("Asha", "editor")
            taken = [
                await desk.shop.submit(name=name, phone=f"895104700{number}")
                for number, name in enumerate(("Mina", HOSTILE[:40], "Lila"))
            ]
            async with desk.shop.worker():
                await desk.shop.settled()
            await desk.shop.submit(name="Tara", phone="8951047005")
            crm.clear()
            rows = ["Full Name,Mobile", "Mina,089510 47000", "Lila,+918951047002", "Lila,8951047002"]
            text = "\n".join([*rows, f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",9845098450'])
            place, page = await compared(browser, text.encode())
            assert "<script" not in page
            figures = re.findall(r"<b>(\d+)</b> <span>([^<]+)</span>", page)
            assert figures == [
                ("2", "of your leads are there"), ("1", "is missing"), ("1", "there more than once"),
                ("1", "never came from here"),
            ]  # fmt: skip
            assert "rows 3, 4" in page
            assert f"/leads/{taken[1].lead}" in page
            answer = await browser.post(f"{place}/send")
            assert "1 delivery is due now" in (await browser.get(answer.headers["location"])).text
            async with desk.shop.worker():
                await desk.shop.settled()
            ids = [each.json()["data"]["id"] for each in crm.requests]
            assert taken[1].lead in ids
            assert taken[0].lead not in ids
            nobody = (await browser.get(f"{place}?since=2001-01-01&until=2001-01-02")).text
            assert "missing</span>" in nobody
            assert "Send the missing again" not in nobody


async def test_columns_are_shown_and_may_be_chosen_otherwise(desk: OpenDesk) -> None:
    browser = await desk.enter("Asha", "editor")
    await desk.shop.submit(name="Mina", phone="8951047001")
    place = (await bring(browser, b"Who,Where\nMina,8951047001\n")).headers["location"]
    page = (await browser.get(place)).text
    assert "8951047001" in page
    assert " selected" not in page
    assert "Say which column" in (await browser.post(place, 422, c0="name")).text
    _, page = await compared(browser, b"Who,Where\nMina,8951047001\n", c1="phone")
    assert "<b>1</b> <span>of your leads is there" in page


async def test_an_export_is_for_its_session_alone_and_goes_with_the_next(desk: OpenDesk) -> None:
    asha, ravi = await desk.enter("Asha", "editor"), await desk.enter("Ravi", "owner")
    place = (await bring(asha, TEXT.encode())).headers["location"]
    await ravi.get(place, 404)
    await ravi.post(place, 404, c1="phone")
    await ravi.post(f"{place}/send", 404)
    other = (await bring(asha, TEXT.encode())).headers["location"]
    await asha.get(place, 404)
    await asha.get(other)


async def test_what_cannot_be_compared_is_said_where_it_was_brought(desk: OpenDesk) -> None:
    editor, reader = await desk.enter("Asha", "editor"), await desk.enter("Ravi", "reader")
    assert "neither CSV nor" in (await bring(editor, b"%PDF-1.7", 422)).text
    assert "Choose the CRM" in (await bring(editor, b"Phone\n1\n", 422, to="nowhere")).text
    await bring(reader, TEXT.encode(), 403)
    await reader.get("/compare", 403)
    await bring(editor, TEXT.encode(), 403, Origin="http://evil.example")
    editor.csrf = "another"
    await bring(editor, TEXT.encode(), 403)
    await editor.get("/compare")
    await editor.post("/compare", 413, destination="crm")  # no file: no multipart


@pytest.fixture
async def kept(redis_url: str, tmp_path: Path) -> tuple[Processes, list[str]]:
    """Keep three leads that were delivered and one that waits."""
    with Crm() as crm:
        text = form() + destination(crm.url) + '[desk]\ntimezone = "Asia/Kolkata"\n'
        async with Workshop(redis_url, text) as shop:
            taken = [str(each.lead) for each in await shop.submit_many(3)]
            async with shop.worker():
                await shop.settled()
            taken += [str((await shop.submit(name="W", phone="8951099999")).lead)]
    return Processes(tmp_path, redis_url, text), taken


def run(here: Processes, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "service", "reconcile", *words], cwd=here.folder, env=here.environ, capture_output=True,
        check=False, timeout=60, text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


async def test_the_command_names_what_the_crm_lacks_and_sends_it(kept: tuple[Processes, list[str]]) -> None:
    here, leads = kept
    with (here.folder / "crm.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Mob", "Ref"], ["8951000000", ""], ["", f"{leads[2]}.1"], ["8951000009", ""]])
    status, said, told = run(here, "crm.csv", "--destination", "crm")
    assert (status, told) == (1, "phone: Mob (8951000000, 8951000009)\nid: Ref (" + leads[2] + ".1)\n")
    assert said.startswith("3 rows; 2 leads are at crm.\n")
    assert "1 not there, though delivered:\n  2026-" in said
    assert leads[1] in said
    assert "1 never came from here, rows:\n  4  8951000009" in said
    status, said, _ = run(here, "crm.csv", "--destination", "crm", "--send", "--json", "--until", "2999-01-01")
    assert status == 0
    assert f'"waiting":[{{"id":"{leads[3]}"' in said


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda _: reconcile._chosen([Column(0, "Mob"), Column(1, "Ref")], ["Rev=phone"]), "Did you mean `Ref`?"),
        (lambda _: reconcile._chosen([Column(0, "Ref")], ["Ref=colour"]), "it can be id, phone"),
        (lambda _: reconcile._day("--since", "soon"), "a day such as"),
        (lambda folder: reconcile._open(folder / "none.csv"), "cannot be read"),
        (lambda folder: reconcile._open(folder / "x.pdf"), "neither CSV"),
    ],
)
def test_the_command_says_what_it_cannot_do(ask: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(CannotStart, match=re.escape(sentence)):
        ask(tmp_path)
