"""The command line: what it prints, the status it ends with, and that whatever goes wrong is a sentence."""

import asyncio
import csv
import hashlib
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from crm import Crm
from ledger import refuse_everybody
from processes import Processes, free_port
from redis import Redis
from token_server import TEXT as TOKEN_TEXT
from token_server import TokenServer
from workshop import ENVIRON, QUICK, SIGNING, Workshop, destination, form, one_crm, until

from service.__main__ import main
from service.cli.readiness import prepare
from service.intake.intake import Taken
from service.lib.times import at
from service.process import server, wiring
from service.store.cipher import Cipher
from service.store.overview import gate_at
from service.submission import check
from service.submission.check import Checked
from service.submission.form_data import gather
from service.up.embedded import Embedded

ASHA = {"name": "Asha Rao", "phone": "089510 47001"}
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x7f\x9b2J\u202e\u2066\u200b\U000e0041"


@dataclass(frozen=True, slots=True)
class Told:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Leads:
    """`leads` in this process, as `python -m service` runs it, with the variables of one test."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capsys = folder, patch, capsys

    def __call__(self, *words: str) -> Told:
        self._patch.setattr(sys, "argv", ["leads", *words])
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        said = self._capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Told(status, said.out, said.err)

    def config(self, text: str | bytes) -> None:
        (self.folder / "leads.toml").write_bytes(text if isinstance(text, bytes) else text.encode())

    def environ(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def without(self, name: str) -> None:
        self._patch.delenv(name)


@pytest.fixture
def leads(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Leads:
    for name in list(os.environ):
        if name.startswith("LEADS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    made = Leads(tmp_path, monkeypatch, capsys)
    made.environ(**ENVIRON, LEADS_REDIS_URL=redis_url, LEADS_CONFIG=str(tmp_path / "leads.toml"))
    made.config(form() + destination("https://crm.invalid/hooks"))
    return made


def work(redis_url: str, text: str, does: Callable[[Workshop], Any]) -> Any:
    """Do something in a workshop and return what came of it."""

    async def run() -> Any:
        async with Workshop(redis_url, text) as shop:
            return await does(shop)

    return asyncio.run(run())


# --- `leads check` --------------------------------------------------------------------------------------------------

TEN_MISTAKES = """
colour = "red"
[forms."Get In Touch"]
deliver = ["crm"]
fields.phone = { type = "phone" }
[forms.callback]
deliver = ["nowhere"]
country = "XX"
window = "soon"
repeat = "always"
fields.name = { type = "words" }
fields.phone = { type = "phone", max_length = -1 }
[destinations.crm]
type = "webhook"
url = "ftp://crm.example.com"
secret = "whsec_in_the_open"
retry = "5s"
concurrency = 0
"""
PATHS = (
    "colour", "forms.Get In Touch", "forms.callback.deliver", "forms.callback.country", "forms.callback.window",
    "forms.callback.repeat", "forms.callback.fields.name.type", "forms.callback.fields.phone.max_length",
    "destinations.crm.url", "destinations.crm.secret", "destinations.crm.retry", "destinations.crm.concurrency",
)  # fmt: skip


def test_check_names_every_mistake_with_its_path_and_exits_1(leads: Leads) -> None:
    leads.config(TEN_MISTAKES)
    told = leads("check")
    assert told.status == 1
    assert told.out == ""
    lines = told.err.splitlines()[1:]
    assert len(lines) >= 10
    for path in PATHS:
        assert any(path in line.replace('"', "") for line in lines), (path, told.err)
    assert all(line.split(": ", 1)[1] for line in lines)
    assert "in_the_open" not in told.err


def test_check_says_that_a_good_file_is_fine_and_what_is_worth_a_look(leads: Leads) -> None:
    told = leads("check")
    assert told.status == 0
    assert "is fine: forms get-in-touch; destinations crm." in told.out
    assert "worth a look: forms.get-in-touch.origins" in told.out


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LEADS_SECRET", "hush", "LEADS_SECRET is too short"),
        ("LEADS_SECRET", "change-me-to-a-secret-of-32-characters", "LEADS_SECRET: it is a placeholder."),
        ("LEADS_SECRET", "x" * 40, "LEADS_SECRET: it is one piece over and over."),
        ("CRM_SECRET", "whsec_" + "QUJD" * 10, "destinations.crm.secret: what it names is one piece over and over."),
        (
            "CRM_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "secret: what it names stands in a published example.",
        ),
        (
            "LEADS_ENCRYPTION_KEY",
            "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=",
            "LEADS_ENCRYPTION_KEY: key 1 only counts up or down. Make one with `openssl rand -base64 32`.",
        ),
    ],
)
def test_check_refuses_a_secret_that_anybody_could_guess(leads: Leads, variable: str, value: str, told: str) -> None:
    leads.environ(**{variable: value})
    said = leads("check")
    assert (said.status, said.out) == (1, "")
    assert told in said.err
    assert value not in said.err


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ('ways.a = { type = "custom", secret = "$THEIRS" }', "test", "ways.a.secret: what it names is shorter"),
        ('webflow_secret = "$THEIRS"', "test", "webflow_secret: what it names is shorter than 16 characters."),
        (
            'captcha = { type = "turnstile", sitekey = "x", secret = "$THEIRS" }',
            "1x0000000000000000000000000000000AA",
            "captcha.secret: what it names stands in a published example.",
        ),
    ],
)
def test_check_looks_at_the_secrets_of_others_too(leads: Leads, setting: str, value: str, told: str) -> None:
    text = (leads.folder / "leads.toml").read_text()
    leads.config(text.replace("[forms.get-in-touch]", f"[forms.get-in-touch]\n{setting}"))
    leads.environ(THEIRS=value)
    said = leads("check")
    assert (said.status, told in said.err) == (1, True), said
    leads.environ(THEIRS="0x4AAAAAAAbCdEfGhIjKlMnOpQrStUv")
    assert leads("check").status == 0


def test_ways_prints_what_to_paste_and_a_key_only_where_it_is_asked_for(leads: Leads) -> None:
    assert "add a table `[forms.NAME.ways.WAY]`" in leads("ways").err
    text = (leads.folder / "leads.toml").read_text()
    ways = ('a = { type = "custom", secret = "$THEIRS" }', 'b = { type = "typeform", secret = "$THEIRS" }')
    leads.config(
        text.replace("[forms.get-in-touch]", "\n".join(["[forms.get-in-touch]", *(f"ways.{each}" for each in ways)]))
    )
    leads.environ(THEIRS="0x4AAA&AAAbCdEfGhIjKlMnOpQrStUv")
    hidden, shown = leads("ways"), leads("ways", "--reveal")
    assert (hidden.status, shown.status) == (0, 0)
    assert [line for line in hidden.out.splitlines() if not line.startswith(" ")] == [
        "/f/get-in-touch/from/a?key=***",
        "/f/get-in-touch/from/b",
        "Where *** stands belongs the key: `leads ways --reveal` prints what is to be pasted.",
        "Before each belongs the address of the service: name it as `public_url` in `[service]`.",
    ]
    assert "***" not in shown.out
    assert "/f/get-in-touch/from/a?key=0x4AAA%26AAAbCdEfGhIjKlMnOpQrStUv\n" in shown.out
    leads.config((leads.folder / "leads.toml").read_text() + '\n[service]\npublic_url = "https://leads.example.com"\n')
    assert leads("ways").out.startswith("https://leads.example.com/f/get-in-touch/from/a?key=***\n")


def test_check_tells_a_weak_secret_together_with_the_mistakes_of_the_file(leads: Leads) -> None:
    leads.config(TEN_MISTAKES)
    leads.environ(LEADS_SECRET="changeme" * 4)
    assert leads("check").err.splitlines()[-1].startswith("LEADS_SECRET: it is")


def test_check_goes_without_the_secret_of_the_service_and_says_so(leads: Leads) -> None:
    leads.without("LEADS_SECRET")
    said = leads("check")
    assert said.status == 0
    assert "worth a look: LEADS_SECRET: is not set here" in said.out


def test_a_guessable_secret_is_a_warning_at_the_start(leads: Leads, capsys: pytest.CaptureFixture[str]) -> None:
    leads.environ(LEADS_SECRET="0123456789abcdef" * 2)
    assert prepare(is_web=False)[1].forms
    assert "warning: LEADS_SECRET: anybody could guess" in capsys.readouterr().err
    leads.environ(LEADS_ENCRYPTION_KEY="YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=")
    assert prepare(is_web=False)[1].forms
    assert "warning: LEADS_ENCRYPTION_KEY: anybody could guess" in capsys.readouterr().err
    leads.environ(LEADS_DEMO=str(leads.folder))
    assert prepare(is_web=False)[1].forms
    assert "warning: LEADS_SECRET" not in capsys.readouterr().err


def test_a_spool_that_cannot_be_written_stops_the_web_part_and_not_the_worker(leads: Leads) -> None:
    (leads.folder / "spool").write_text("a file")
    leads.environ(LEADS_SPOOL=str(leads.folder / "spool"))
    assert "LEADS_SPOOL" in leads("serve").err
    assert prepare(is_web=False)[1].forms


def test_status_names_what_of_the_spool_waits_for_a_person(leads: Leads) -> None:
    (leads.folder / "spool").mkdir()
    leads.environ(LEADS_SPOOL=str(leads.folder / "spool"))
    assert leads("status").err == ""
    (leads.folder / "spool" / "1-a.aside").write_text("half a line")
    told = leads("status", "--json").json()
    assert told["spooled"] == 0
    assert "1-a.aside" in next(each["message"] for each in told["trouble"] if each["code"] == "SET_ASIDE")


def test_status_checks_the_accounts_or_everything(leads: Leads) -> None:
    told = leads("status", "--check")
    assert (told.status, told.err) == (1, "No worker is alive: nothing is delivered.\n")
    assert "NO_WORKER: No worker is alive: nothing is delivered.\n    Start `leads work`" in told.out
    assert leads("status", "--check=all", "--json").status == leads("status", "--json", "--check").status == 1
    assert leads("status", "--check=accounts").status == leads("status").status == 0
    assert leads("status", "--check=something").status == 2


def test_check_can_look_at_redis_too(leads: Leads, own_redis: Embedded) -> None:
    leads.environ(LEADS_REDIS_URL=own_redis.url)
    assert "redis: Redis answers and is durable." in leads("check", "--redis").out
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("appendfsync", "everysec")
    told = leads("check", "--redis")
    assert told.status == 1
    assert "Set `appendfsync always`" in told.out
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("min-replicas-to-write", 1)
    assert "redis: Redis takes no write because fewer replicas" in leads("check", "--redis").out
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("min-replicas-to-write", 0)
    file = leads.folder / "leads.toml"
    file.write_text(f"{file.read_text()}\n[service]\ndurable = false\n")
    told = leads("check", "--redis")
    assert (told.status, told.err) == (0, "")
    assert "Set `appendfsync always`. `[service] durable = false` takes that risk." in told.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "There is no configuration at"),
        (b"\xff\xfe\x00binary", "cannot be read (UnicodeDecodeError)"),
        (b"", "mistake"),
        (b"[forms", "not TOML"),
    ],
)
@pytest.mark.parametrize("command", ["check", "status", "serve", "work", "up"])
def test_a_configuration_that_cannot_be_read_is_a_sentence(
    leads: Leads, command: str, content: bytes | None, told: str
) -> None:
    if content is None:
        (leads.folder / "leads.toml").unlink()
    else:
        leads.config(content)
    said = leads(command)
    assert said.status == 1
    assert told in said.err


# --- what has to be there before anything starts --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "work"])
@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"LEADS_SECRET": ""}, "LEADS_SECRET is not set"),
        ({"LEADS_SECRET": "short"}, "LEADS_SECRET is too short"),
        ({"LEADS_SECRET": "", "LEADS_SECRET_FILE": "/nowhere"}, "LEADS_SECRET_FILE names a file that cannot be read"),
        ({"LEADS_LOG": "xml"}, "LEADS_LOG"),
        ({"LEADS_REDIS_URL": "http://localhost"}, "LEADS_REDIS_URL must begin with"),
        ({"LEADS_REDIS_URL": "redis://localhost:port/0"}, "LEADS_REDIS_URL"),
        ({"LEADS_REDIS_URL": "redis://[::1/0"}, "LEADS_REDIS_URL"),
        ({"LEADS_REDIS_URL": "redis://localhost?socket_timeout=x"}, "LEADS_REDIS_URL"),
        ({"CRM_SECRET": ""}, "destinations.crm.secret"),
    ],
)
def test_a_wrong_environment_is_a_sentence(leads: Leads, command: str, environ: dict[str, str], told: str) -> None:
    leads.environ(**environ)
    said = leads(command)
    assert said.status == 1
    assert told in said.err


@pytest.mark.parametrize("command", ["serve", "work"])
def test_without_redis_it_waits_a_while_and_says_so(
    leads: Leads, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.WAIT_FOR_REDIS_S == 10
    monkeypatch.setattr("service.cli.readiness.WAIT_FOR_REDIS_S", 0.5)
    leads.environ(LEADS_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    told = leads(command)
    assert 0.5 <= time.monotonic() - began < 5
    assert told.status == 1
    assert "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it." in told.err


ASKING = [("status",), ("dead",), ("replay", "--all"), ("list",), ("show", "x"), ("preview", "crm", "--lead", "x")]


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_redis_whoever_asks_is_told_at_once(leads: Leads, words: tuple[str, ...]) -> None:
    leads.environ(LEADS_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    told = leads(*words)
    assert time.monotonic() - began < 3
    assert told.status == 1
    assert "Redis cannot be reached." in told.err


def test_a_port_that_cannot_be_is_a_sentence(leads: Leads) -> None:
    leads.environ(LEADS_REDIS_URL="redis://127.0.0.1:99999/0")
    told = leads("status")
    assert told.status == 1
    assert "Redis" in told.err or "LEADS_REDIS_URL" in told.err


@pytest.mark.parametrize("url", ["unix://:wrong@", "unix://nobody:wrong@", "unix://"])
def test_a_wrong_or_missing_password_is_said(leads: Leads, tmp_path: Path, url: str) -> None:
    server = Embedded(tmp_path / "guarded")
    server.start()
    with Redis.from_url(server.url) as redis:
        redis.config_set("requirepass", "hush")
        leads.environ(LEADS_REDIS_URL=server.url.replace("unix://", url))
        told = leads("status")
        redis.config_set("requirepass", "")
    server.stop()
    assert told.status == 1
    assert told.err == "Redis does not let us in. Check user name and password in LEADS_REDIS_URL.\n"


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Listen on a port and answer whatever comes by `answer`; "" hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection:
            while raw := connection.recv(65_536):
                if not (said := answer(raw)):
                    return
                connection.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_port_of_something_else_is_a_sentence(leads: Leads) -> None:
    with answering(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        leads.environ(LEADS_REDIS_URL=f"redis://127.0.0.1:{port}/0")
        told = leads("status")
    assert told.status == 1
    assert told.err.startswith("Redis ")


def as_old_redis(raw: bytes) -> bytes:
    """Answer as Redis 7.0.15 would, as far as anybody asks."""
    info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\naof_enabled:1\r\nrole:master\r\n"
    words = raw.upper()
    answers = b""
    for command in words.split(b"*")[1:]:
        if b"HELLO" in command:
            answers += b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
            answers += b"$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
            answers += b"$7\r\nmodules\r\n*0\r\n"
        elif b"INFO\r\n" in command and b"CLIENT" not in command:
            answers += f"${len(info)}\r\n{info}\r\n".encode()
        elif b"CONFIG" in command:
            answers += b"%0\r\n"
        elif b"MGET\r\n" in command:
            answers += b"*2\r\n_\r\n_\r\n"
        elif b"GET\r\n" in command:
            answers += b"_\r\n"
        else:
            answers += b"+OK\r\n"
    return answers


@pytest.mark.parametrize("words", [("serve",), ("work",), ("status",), ("check", "--redis")], ids=" ".join)
def test_a_redis_that_is_too_old_is_refused_with_what_is_needed(leads: Leads, words: tuple[str, ...]) -> None:
    with answering(as_old_redis) as port:
        leads.environ(LEADS_REDIS_URL=f"redis://127.0.0.1:{port}/0")
        told = leads(*words)
    assert told.status == 1
    assert "This Redis is 7.0.15; the service needs Redis 7.2 or Valkey 7.2 or later." in told.err + told.out


def test_data_of_a_newer_version_is_left_alone(leads: Leads, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.set("leads:schema", "999")
    told = leads("work")
    assert told.status == 1
    assert "written by a newer version" in told.err


# --- asking ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm() as double:
        yield double


async def _one_delivered_one_dead(shop: Workshop, crm: Crm) -> list[Any]:
    async with shop.worker():
        good = await shop.submit(**ASHA, colour="mauve")
        await shop.settled()
        crm.answer(422, body='{"error": "no surname\x1b[2J"}', times=1)
        bad = await shop.submit(name="Madonna", phone="8951047002")
        await shop.settled()
    return [good, bad]


@pytest.fixture
def history(leads: Leads, redis_url: str, crm: Crm) -> list[Any]:
    """Return what became of two submissions: the first was delivered, the second is dead."""
    text = one_crm(crm)
    leads.config(text)
    made: list[Any] = work(redis_url, text, lambda shop: _one_delivered_one_dead(shop, crm))
    return made


def test_status_tells_the_accounts_as_text_and_as_json(leads: Leads, history: list[Any]) -> None:
    assert len(history) == 2
    told = leads("status")
    assert told.status == 0
    assert (
        "get-in-touch: 2 received = 0 rejected + 0 unavailable + 0 quarantined + 0 repeated + 0 updated + 2 created"
        in told.out
    )
    assert "crm: 2 owed = 1 delivered + 0 waiting + 1 dead + 0 superseded" in told.out
    assert told.out.count("adds up") == 2
    account = leads("status", "--json").json()["forms"]["get-in-touch"]
    assert (account["received"], account["created"], account["balanced"]) == (2, 2, True)
    assert account["destinations"]["crm"] == {
        "owed": 2, "delivered": 1, "waiting": 0, "dead": 1, "superseded": 0, "erased": 0,
        "oldest_waiting_s": None, "next_try_s": None, "paused": None, "balanced": True,
    }  # fmt: skip


def test_a_sum_that_does_not_hold_is_seen(leads: Leads, history: list[Any], redis_url: str) -> None:
    assert history
    with Redis.from_url(redis_url) as redis:
        redis.hincrby("leads:{get-in-touch}:count", "crm:delivered", 1)
    told = leads("status", "--check=accounts")
    assert told.status == 1
    assert "DOES NOT ADD UP" in told.out
    assert leads("status").status == 0


def test_status_says_what_waits_and_what_is_paused(leads: Leads, redis_url: str, crm: Crm) -> None:
    text = one_crm(crm)
    leads.config(text)
    crm.answer(401)

    async def pause(shop: Workshop) -> None:
        async with shop.worker():
            await shop.submit_many(2)
            await until(lambda: shop.events("destination paused"))

    work(redis_url, text, pause)
    told = leads("status")
    assert "2 waiting" in told.out
    assert "the oldest has waited for " in told.out
    assert "paused refused since " in told.out
    assert "it does not accept our key" in told.out
    account = leads("status", "--json").json()["forms"]["get-in-touch"]["destinations"]["crm"]
    assert account["oldest_waiting_s"] >= 0
    assert "it does not accept our key" in account["paused"]


def test_status_says_when_the_next_try_is(leads: Leads, redis_url: str, crm: Crm) -> None:
    text = one_crm(crm, more='retry = ["2h"]')
    leads.config(text)
    crm.answer(500)

    async def fail(shop: Workshop) -> None:
        async with shop.worker():
            await shop.submit(**ASHA)
            await until(lambda: shop.attempts)

    work(redis_url, text, fail)
    assert re.search(r"the oldest has waited for [^\n]+, the next try is in 2 h\n", leads("status").out)
    account = leads("status", "--json").json()["forms"]["get-in-touch"]["destinations"]["crm"]
    assert 7_200 < account["next_try_s"] < 7_200 * 1.2
    leads("replay", "--since", "1h")
    assert "the next try is due now\n" in leads("status").out


def test_dead_lists_why_with_what_was_answered(leads: Leads, history: list[Any]) -> None:
    told = leads("dead")
    assert f"crm  {history[1].lead}.1  the CRM answered 422: it finds a value of this lead wrong" in told.out
    assert 'it answered: {"error": "no surname [2J"}' in told.out
    assert "1 dead. Send them again with `leads replay --all` or by id." in told.out
    assert "\x1b" not in told.out
    [only] = leads("dead", "--json").json()
    assert only.keys() >= {"form", "destination", "lead", "version", "at", "reason", "excerpt"}
    assert only["lead"] == history[1].lead


def test_nothing_dead_is_said_too(leads: Leads) -> None:
    assert leads("dead").out == "0 dead.\n"
    assert leads("dead", "--json").json() == []
    assert leads("list").out == ""


@pytest.mark.parametrize("by", ["lead", "webhook-id", "receipt", "--destination", "--all"])
def test_replay_makes_a_dead_delivery_due_again_and_twice_is_once(
    leads: Leads, history: list[Any], redis_url: str, crm: Crm, by: str
) -> None:
    dead = history[1]
    words = {
        "lead": [dead.lead], "webhook-id": [f"{dead.lead}.1"], "receipt": [dead.receipt],
        "--destination": ["--destination", "crm"], "--all": ["--all"],
    }[by]  # fmt: skip
    assert leads("replay", *words).out == "1 delivery is due now.\n"
    again = leads("replay", *words)
    assert again.status == 0
    before = len(crm.requests)

    async def deliver(shop: Workshop) -> Any:
        async with shop.worker():
            return await shop.settled()

    account = work(redis_url, one_crm(crm), deliver)
    assert (account.owed, account.delivered, account.dead) == (2, 2, 0)
    assert len(crm.requests) == before + 1
    ids = [each.headers["webhook-id"] for each in crm.requests if dead.lead in each.headers["webhook-id"]]
    assert ids == [f"{dead.lead}.1"] * 2
    assert leads("replay", "--all").out == "0 deliveries are due now.\n"


def test_replay_by_id_sends_what_was_delivered_again(
    leads: Leads, history: list[Any], redis_url: str, crm: Crm
) -> None:
    assert leads("replay", history[0].lead, "--destination", "crm").out == "1 delivery is due now.\n"

    async def deliver(shop: Workshop) -> Any:
        async with shop.worker():
            return await shop.settled()

    assert work(redis_url, one_crm(crm), deliver).delivered == 1
    same = [each for each in crm.requests if history[0].lead in each.headers["webhook-id"]]
    assert len(same) == 2
    assert same[0].body == same[1].body


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["replay"], "Name leads, or say --all"),
        (["replay", "x", "--all"], "Name leads, or say --all"),
        (["replay", "lead_unknown"], "Nothing is kept under lead_unknown"),
        (["replay", "--destination", "nowhere"], "There is no destination nowhere; there is crm."),
        (["show", "nothing"], "Nothing is kept under nothing"),
        (["show", "-receipt"], "Nothing is kept under -receipt"),
        (["show", "--receipt"], "Nothing is kept under --receipt"),
        (["replay", "-receipt"], "Nothing is kept under -receipt"),
        (["preview", "crm", "--lead", "-receipt"], "Nothing is kept under -receipt"),
        (["list", "nowhere"], "There is no form nowhere; there is get-in-touch."),
        (["list", "--form", "nowhere"], "There is no form nowhere; there is get-in-touch."),
        (["list", "--since", "24h"], "--since 24h: it must be a day such as 2026-11-22."),
        (["list", "--csv", "--until", "2026-02-30"], "--until 2026-02-30: it must be a day such as 2026-11-22."),
        (["list", "--csv", "--columns", "fields.nmae"], "There is no column fields.nmae. Did you mean `fields.name`?"),
        (["list", "get-in-touch", "--form", "other"], "Choose one form: get-in-touch or other."),
        (["list", "--since", "2026-11-23", "--until", "2026-11-22"], "there is no day between them."),
        (["list", "--columns", "id"], "--columns are those of --csv and --xlsx."),
        (["list", "--csv", "--xlsx"], "Choose one of --json, --csv and --xlsx."),
        (["preview", "nowhere"], "There is no destination nowhere; there is crm."),
        (["preview", "crm", "--lead", "nothing"], "Nothing is kept under nothing"),
        (["test", "nowhere"], "There is no destination nowhere; there is crm."),
        (["healthcheck", "file:///etc/passwd"], "is no http address"),
        (["healthcheck", "http://127.0.0.1:1/"], "is not well"),
        (["healthcheck", "http://a b/"], "is not well"),
        (["healthcheck", "http://[::1/"], "is not well"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_a_sentence_and_status_1(leads: Leads, words: list[str], told: str) -> None:
    said = leads(*words)
    assert said.status == 1
    assert told in said.err
    assert said.out == ""


@pytest.mark.parametrize("words", [["frobnicate"], ["serve", "--port", "99999"], ["status", "--colour"], ["show"]])
def test_a_wrong_command_line_is_told_how_it_should_be(leads: Leads, words: list[str]) -> None:
    said = leads(*words)
    assert said.status == 2
    assert "Usage" in said.err


@pytest.mark.parametrize("by", ["lead", "receipt"])
def test_show_tells_what_became_of_a_receipt_or_a_lead(leads: Leads, history: list[Any], by: str) -> None:
    told = leads("show", getattr(history[1], by))
    assert told.status == 0
    for part in (
        history[1].lead, history[1].receipt, "created, version 1", "name: Madonna", "crm: version 1 dead",
        "version 1: dead 422, took ", "it answered: ",
    ):  # fmt: skip
        assert part in told.out
    assert "mauve" in leads("show", history[0].lead).out
    kept = leads("show", getattr(history[1], by), "--json").json()
    assert kept["id"] == history[1].lead
    assert kept["deliveries"][0]["states"] == {"1": "dead"}
    assert kept["deliveries"][0]["attempts"][0]["status"] == 422
    assert kept["submissions"][0]["receipt"] == history[1].receipt


def test_show_tells_what_was_agreed_to_and_what_is_to_be_known_of_the_lead(leads: Leads, redis_url: str) -> None:
    asks = 'fields.ok = { type = "boolean" }\nconsent = { field = "ok", version = "2026-11", text = "I agree" }'
    text = form(more=asks) + destination("https://crm.invalid/")

    async def submit(shop: Workshop) -> Any:
        to = shop.config.forms["get-in-touch"]
        checked = check.check(to, gather({"phone": "8951047001", "ok": "yes"}.items()))
        assert isinstance(checked, Checked)
        content = check.with_consent(to, checked.content, language="en", now=1_795_344_127_120)
        return await shop.intake.submit(to, replace(content, flags=("captcha_unverified",)))

    leads.config(text)
    told = leads("show", work(redis_url, text, submit).receipt).out
    assert "consent: agreed to version 2026-11 (en) at 2026-11-22T10:42:07.120Z" in told
    assert f"consent: SHA-256 of its text {hashlib.sha256(b'I agree').hexdigest()}" in told
    assert "flag: captcha_unverified" in told


def test_show_says_what_happens_next_and_when(leads: Leads, redis_url: str, crm: Crm) -> None:
    crm.answer(500)
    text = one_crm(crm, more='retry = ["2h", "5h"]')
    leads.config(text)

    async def fail(shop: Workshop) -> Any:
        async with shop.worker():
            taken = await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
        return taken

    taken = work(redis_url, text, fail)
    told = leads("show", taken.receipt)
    assert "crm: version 1 waiting" in told.out
    assert "next try at 20" in told.out
    assert "1 tries so far" in told.out or "1 try so far" in told.out


def test_show_knows_that_a_destination_asked_everybody_to_wait(leads: Leads, redis_url: str, crm: Crm) -> None:
    crm.answer(503, headers={"Retry-After": "1800"})
    text = one_crm(crm, more='retry = ["1s", "5h"]')
    leads.config(text)

    async def overload(shop: Workshop) -> list[Any]:
        async with shop.worker():
            first = await shop.submit(**ASHA)
            await until(lambda: shop.attempts)
        return [first, await shop.submit(name="Ravi", phone="8951047002")]

    for taken in work(redis_url, text, overload):
        [delivery] = leads("show", taken.receipt, "--json").json()["deliveries"]
        assert delivery["due_at"] - wiring.clock() > 1_700_000
        assert f"next try at {at(delivery['due_at'])}" in leads("show", taken.receipt).out


def test_nothing_a_visitor_typed_moves_the_cursor(leads: Leads, redis_url: str) -> None:
    text = form() + destination("https://crm.invalid/")

    async def submit(shop: Workshop) -> Any:
        checked = shop.check("get-in-touch", name=f"A{ESCAPES}", phone="8951047001")
        # As an earlier version kept it: names have come clean since.
        content = replace(checked.content, extra={f"x{ESCAPES}y": f"z{ESCAPES}"})
        return await shop.intake.submit(shop.config.forms["get-in-touch"], content)

    taken = work(redis_url, text, submit)
    for words in (
        ["show", taken.lead],
        ["show", taken.lead, "--json"],
        ["list"],
        ["preview", "crm", "--lead", taken.lead],
    ):
        told = leads(*words)
        assert told.status == 0
        assert all(sign.isprintable() or sign == "\n" for sign in told.out), words


def test_list_is_newest_first_with_how_each_delivery_stands(leads: Leads, history: list[Any]) -> None:
    first, second = leads("list").out.splitlines()
    assert history[1].lead in first
    assert "crm: dead" in first
    assert history[0].lead in second
    assert "crm: delivered" in second
    assert len(leads("list", "get-in-touch", "--limit", "1").out.splitlines()) == 1
    assert [each["id"] for each in leads("list", "--json").json()] == [history[1].lead, history[0].lead]
    listed = list(csv.DictReader(leads("list", "--csv").out.splitlines()))
    assert [each["id"] for each in listed] == [history[1].lead, history[0].lead]
    assert all(each["fields.phone"].startswith("+91 ") for each in listed)
    assert leads("list", "--csv", "--json").err == "Choose one of --json, --csv and --xlsx.\n"


def test_preview_shows_the_request_with_every_secret_masked(leads: Leads, history: list[Any]) -> None:
    for words in (["preview", "crm"], ["preview", "crm", "--lead", history[0].lead]):
        told = leads(*words)
        assert told.status == 0
        assert told.out.startswith("POST http://127.0.0.1:")
        assert "webhook-signature: v1,***" in told.out
        assert SIGNING not in told.out
        assert SIGNING.removeprefix("whsec_") not in told.out
    assert history[0].lead in told.out
    assert "mauve" in told.out
    assert '"test": true' in leads("preview", "crm").out


def test_new_prints_lines_that_check_takes_and_names_what_there_is(leads: Leads) -> None:
    printed = leads("new", "destination", "telecrm")
    assert (printed.status, printed.out.splitlines()[1:3]) == (0, ["[destinations.telecrm]", 'type = "telecrm"'])
    assert printed.out.splitlines()[-1].startswith('# Then: set TELECRM_TOKEN in the environment, add "telecrm" to')
    unknown = leads("new", "destination", "nonesuch")
    assert unknown.status == 1
    assert "leadsquared" in unknown.err
    assert leads("new", "form", "telecrm").status == 1


def test_test_sends_a_lead_marked_as_one_and_prints_the_answer(leads: Leads, crm: Crm) -> None:
    leads.config(one_crm(crm))
    told = leads("test", "crm")
    assert (told.status, told.out.splitlines()) == (
        0, ["delivered: it answered 200", 'in its words: {"ok": true}', "A real lead would be delivered."],
    )  # fmt: skip
    assert crm.requests[0].json()["data"]["test"] is True
    crm.answer(422, body=f"no{ESCAPES}\nway")
    told = leads("test", "crm")
    assert told.status == 1
    assert told.out.startswith("refused: the CRM answered 422")
    assert "it answered: no" in told.out
    assert "\x1b" not in told.out


def test_test_says_where_the_token_came_from(leads: Leads) -> None:
    with TokenServer(ENVIRON["CRM_SECRET"]) as crm:
        leads.config(form() + TOKEN_TEXT.format(root=crm.root, how='scope = "leads"'))
        first, second = leads("test", "crm"), leads("test", "crm")
    host = crm.root.removeprefix("http://")
    assert (first.status, first.out.splitlines()[0]) == (0, f"A token was fetched from {host}; it is good for 60 min.")
    assert second.out.splitlines()[0] == f"A token of {host} was kept, and is used."
    assert crm.given == 1


def pause_at(redis_url: str, text: str) -> list[Taken]:
    """Let a destination refuse two leads, so that it is paused with both waiting."""

    async def pause(shop: Workshop) -> list[Taken]:
        leads = await shop.submit_many(2)
        await refuse_everybody(gate_at(shop.server, "crm"), "the CRM answered 401: it does not accept our key")
        return leads

    return cast("list[Taken]", work(redis_url, text, pause))


def is_open(redis_url: str, text: str) -> bool:
    async def look(shop: Workshop) -> bool:
        return await gate_at(shop.server, "crm").pause() is None

    return bool(work(redis_url, text, look))


def test_resume_opens_a_paused_destination_and_says_so(leads: Leads, crm: Crm, redis_url: str) -> None:
    text = one_crm(crm)
    leads.config(text)
    assert leads("resume", "crm").out == "crm is not paused.\n"
    pause_at(redis_url, text)
    assert not is_open(redis_url, text)
    told = leads("resume", "crm")
    assert (told.status, told.out) == (0, "crm is open: what waited there goes out.\n")
    assert is_open(redis_url, text)
    assert leads("resume", "nonesuch").status == 1


def test_a_test_that_is_delivered_opens_a_paused_destination_and_another_says_what_leads_meet(
    leads: Leads, crm: Crm, redis_url: str
) -> None:
    text = one_crm(crm, more='retry = ["5s", "5m"]')
    leads.config(text)
    pause_at(redis_url, text)
    crm.answer(500)
    told = leads("test", "crm")
    assert told.status == 1
    assert "A real lead would be tried again 2 times, first after 5.0 s, and then be dead." in told.out
    assert "It would wait: crm is paused refused since" in told.out
    assert not is_open(redis_url, text)
    crm.answer(200)
    told = leads("test", "crm")
    assert told.status == 0
    assert told.out.endswith("crm was paused; it is open now, and what waited goes out.\n")
    assert is_open(redis_url, text)


def test_a_test_is_sent_without_redis_too(leads: Leads, crm: Crm) -> None:
    leads.config(one_crm(crm))
    leads.environ(LEADS_REDIS_URL="redis://127.0.0.1:1")
    assert leads("test", "crm").status == 0


def test_replay_says_that_a_destination_is_paused(leads: Leads, crm: Crm, redis_url: str) -> None:
    text = one_crm(crm)
    leads.config(text)
    taken, _ = pause_at(redis_url, text)
    told = leads("replay", taken.lead)
    assert told.out.startswith("1 delivery is due now.\nBut crm is paused refused since ")
    assert told.out.endswith("Once it is mended: `leads resume crm`.\n")
    leads("resume", "crm")
    assert leads("replay", taken.lead).out == "1 delivery is due now.\n"


def test_test_names_what_is_wrong_with_the_way_there(leads: Leads) -> None:
    leads.config(form() + destination("https://crm.invalid/"))
    told = leads("test", "crm")
    assert told.status == 1
    assert "could not be looked up" in told.out
    leads.config(form() + destination("http://localhost:1/").replace("allow_private = true", ""))
    assert "private" in leads("test", "crm").out or "refused the connection" in leads("test", "crm").out


def test_healthcheck_asks_and_tells(leads: Leads, crm: Crm) -> None:
    url = f"http://127.0.0.1:{crm.port}/readyz"
    told = leads("healthcheck", url)
    assert (told.status, told.out) == (0, '{"ok": true}\n')
    crm.answer(503, body="not ready")
    assert leads("healthcheck", url).status == 1
    with answering(lambda _: b"220 mail.example.com ESMTP\r\n") as port:
        assert leads("healthcheck", f"http://127.0.0.1:{port}/").status == 1


def test_help_names_every_command(leads: Leads) -> None:
    told = leads("--help")
    assert told.status == 0
    for command in (
        "up", "dev", "serve", "work", "demo", "check", "status", "dead", "replay", "preview", "list", "show", "test",
        "healthcheck",
    ):  # fmt: skip
        assert f" {command} " in told.out


def test_the_help_of_a_command_looks_as_that_of_all(leads: Leads) -> None:
    assert [leads(*words, "--help").out.split("\n")[0] for words in ((), ("status",), ("desk",))] == [
        "Usage: leads [OPTIONS] COMMAND [ARGS]...",
        "Usage: leads status [OPTIONS]",
        "Usage: leads desk [OPTIONS] COMMAND [ARGS]...",
    ]


def test_as_a_process_a_missing_redis_and_a_closed_pipe_are_no_traceback(tmp_path: Path) -> None:
    gone = f"redis://127.0.0.1:{free_port()}/0"
    with Processes(tmp_path, gone, form() + destination("https://crm.invalid/", more=QUICK)) as here:
        process = here.start("status")
        assert process.wait() == 1
        assert process.said() == "Redis cannot be reached. Check that it runs and that LEADS_REDIS_URL names it.\n"


# --- `leads quarantine`, `leads release`, `leads drop` ---------------------------------------------------------------


def quarantined(leads: Leads, redis_url: str) -> list[str]:
    """Let two robots fill the form; return the ids of what they sent."""

    async def post(shop: Workshop) -> None:
        for number in (1, 2):
            await shop.submit(name=f"Robot {number}{ESCAPES}", phone=f"089510 4700{number}", _gotcha="filled")

    work(redis_url, form() + destination("https://crm.invalid/hooks"), post)
    return [each["id"] for each in leads("quarantine", "--json").json()]


def test_quarantine_lists_what_looked_like_spam_and_why(leads: Leads, redis_url: str) -> None:
    ids = quarantined(leads, redis_url)
    told = leads("quarantine")
    assert all(each in told.out for each in ids)
    assert "honeypot" in told.out
    assert "name: Robot 1" in told.out
    assert "2 in quarantine." in told.out
    assert "\x1b" not in told.out


def test_signals_are_told_by_quarantine_where_they_decided_and_by_show(leads: Leads, redis_url: str) -> None:
    text = form(more="spam = { limit = 6 }") + destination("https://crm.invalid/hooks")
    leads.config(text)

    async def post(shop: Workshop) -> str:
        await shop.submit(phone="089510 47001", message="<b>see</b> https://a.example")
        return (await shop.submit(phone="089510 47002", message="see https://a.example and www.b.example")).lead

    lead = work(redis_url, text, post)
    [held] = leads("quarantine", "--json").json()
    assert (held["reasons"], held["score"], held["limit"]) == (["markup", "links"], 8, 6)
    assert f"{held['id']}  markup, links (score 8, limit 6)\n" in leads("quarantine").out
    assert "looks like spam: 6 (links 6)\n" in leads("show", lead).out
    assert leads("show", lead, "--json").json()["versions"][0]["signals"] == {"links": 6}
    assert json.loads(leads("preview", "crm", "--lead", lead).out.partition("\n\n")[2])["data"]["spam"]["score"] == 6


def test_release_delivers_and_drop_deletes(leads: Leads, redis_url: str) -> None:
    first, second = quarantined(leads, redis_url)
    assert "is created: lead_" in leads("release", first).out
    assert "is deleted" in leads("drop", second).out
    told = leads("status", "--json", "--check=accounts").json()["forms"]["get-in-touch"]
    assert (told["received"], told["quarantined"], told["created"], told["erased"]) == (2, 0, 1, 1)
    assert leads("quarantine").out == "0 in quarantine.\n"


@pytest.mark.parametrize("command", ["release", "drop"])
def test_what_is_not_in_quarantine_is_neither_released_nor_dropped(leads: Leads, redis_url: str, command: str) -> None:
    ids = quarantined(leads, redis_url)
    told = leads(command, ids[0], "-nonsense")
    assert told.status == 1
    assert "Not in quarantine: -nonsense. Nothing was done." in told.err
    assert len(leads("quarantine", "--json").json()) == 2


def test_show_tells_what_is_known_and_was_not_forwarded(leads: Leads, redis_url: str) -> None:
    text = form(more='repeat = "drop"') + destination("https://crm.invalid/hooks")
    leads.config(text)

    async def post(shop: Workshop) -> str:
        await shop.submit(phone="089510 47001")
        return (await shop.submit(phone="089510 47001", name="Asha Rao")).lead

    lead = work(redis_url, text, post)
    told = leads("show", lead).out
    assert "known since, and not forwarded\n" in told
    assert "  name: Asha Rao" in told
    assert leads("show", lead, "--json").json()["unforwarded"]["fields"]["name"]["value"] == "Asha Rao"


def test_show_tells_when_what_a_persons_limit_holds_back_goes_out(leads: Leads, redis_url: str) -> None:
    leads.config(form(more='limits = { person = "1/h" }') + destination("https://crm.invalid/hooks"))

    async def post(shop: Workshop) -> str:
        await shop.submit(phone="089510 47001")
        return (await shop.submit(phone="089510 47001", name="Asha Rao")).lead

    lead = work(redis_url, (leads.folder / "leads.toml").read_text(), post)
    told, kept = leads("show", lead).out, leads("show", lead, "--json").json()
    assert "not forwarded" not in told
    assert f"known since; goes out as one update at {at(kept['goes_out_at'])}, by this person's limit\n" in told
    assert "  name: Asha Rao" in told


# --- `leads person`, `leads erase`, LEADS_ENCRYPTION_KEY --------------------------------------------------------------


def lead_of_asha(leads: Leads, redis_url: str) -> str:
    text = (leads.folder / "leads.toml").read_text()
    return str(work(redis_url, text, lambda shop: shop.submit(**ASHA, email="asha@example.com")).lead)


@pytest.mark.parametrize(
    "who", [("--phone", "+91 89510-47001"), ("--phone", "8951047001"), ("--email", " ASHA@example.com ")]
)
def test_a_person_is_shown_however_the_number_is_written(leads: Leads, redis_url: str, who: tuple[str, str]) -> None:
    lead = lead_of_asha(leads, redis_url)
    told = leads("person", *who)
    assert told.status == 0
    assert lead in told.out
    assert "Asha Rao" in told.out
    assert "Held: 1 lead, and 0 in quarantine." in told.out
    assert [each["id"] for each in leads("person", *who, "--json").json()["leads"]] == [lead]


@pytest.mark.parametrize("typed", ["asha@bücher.example", "asha@xn--bcher-kva.example"])
@pytest.mark.parametrize("asked", ["asha@bücher.example", "Asha@xn--bcher-kva.example"])
def test_a_person_is_found_by_either_spelling_of_a_domain(leads: Leads, redis_url: str, typed: str, asked: str) -> None:
    text = (leads.folder / "leads.toml").read_text()
    work(redis_url, text, lambda shop: shop.submit(email=typed))
    assert "Held: 1 lead," in leads("person", "--email", asked).out
    assert ": 1 lead," in leads("erase", "--email", asked).out


def test_a_person_is_shown_also_at_a_form_that_is_configured_no_longer(leads: Leads, redis_url: str) -> None:
    text = (leads.folder / "leads.toml").read_text()

    async def submit(shop: Workshop) -> str:
        await shop.store.remember_forms(shop.config.forms)
        await shop.submit(**ASHA, message="A spammy word", _gotcha="x")
        return (await shop.submit(**ASHA, message="My knee")).lead

    lead = work(redis_url, text, submit)
    leads.config(text.replace("[forms.get-in-touch]", "[forms.another]"))
    told = leads("person", "--phone", "089510 47001")
    assert (lead in told.out, "message: My knee" in told.out, "A spammy word" in told.out) == (True, True, True)
    assert "Held: 1 lead, and 1 in quarantine." in told.out
    assert ": 1 lead, and 1 in quarantine." in leads("erase", "--phone", "089510 47001").out
    assert "Held: 0 leads, and 0 in quarantine." in leads("person", "--phone", "089510 47001").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say who: --phone NUMBER or --email ADDRESS."),
        (("--phone", "nobody"), "This is no phone number."),
        (("--email", "nobody"), "This is no email address."),
    ],
)
@pytest.mark.parametrize("command", ["person", "erase"])
def test_who_is_meant_must_be_said(leads: Leads, command: str, words: tuple[str, ...], said: str) -> None:
    told = leads(command, *words)
    assert told.status == 1
    assert said in told.err


def test_an_erased_person_is_gone_and_the_print_names_nobody(leads: Leads, redis_url: str) -> None:
    lead = lead_of_asha(leads, redis_url)
    told = leads("erase", "--phone", "089510 47001")
    assert told.status == 0
    assert ": 1 lead, and 0 in quarantine." in told.out
    assert lead in told.out
    assert "The append-only file of Redis was rewritten without them." in told.out
    assert "Backups made before this still hold the person" in told.out
    assert not [word for word in ("Asha", "47001", "asha@") if word in told.out + told.err]
    assert "0 leads" in leads("person", "--email", "asha@example.com").out
    assert leads("show", lead).status == 1
    assert leads("status", "--check=accounts").status == 0
    assert ": 0 leads, and 0 in quarantine." in leads("erase", "--phone", "089510 47001").out


def test_erasing_empties_the_spool_and_what_was_set_aside_of_that_person(leads: Leads, redis_url: str) -> None:
    spool = leads.folder / "spool"
    spool.mkdir()
    leads.environ(LEADS_SPOOL=str(spool))
    lead = lead_of_asha(leads, redis_url)
    text = (leads.folder / "leads.toml").read_text()
    line = work(redis_url, text, lambda shop: spooled_line(shop, **ASHA))
    other = work(redis_url, text, lambda shop: spooled_line(shop, name="Ravi", phone="089510 47002"))
    (spool / "000-a.jsonl").write_bytes(line + b"\n" + other + b"\n")
    (spool / "000-b.aside").write_bytes(line + b"\n" + other + b"\n" + b'{"half\n')
    told = leads("erase", "--phone", "089510 47001")
    assert lead in told.out
    assert "Lines in 000-b.aside cannot be read: look through that file yourself." in told.out
    assert not list(spool.glob("*.jsonl"))
    assert (spool / "000-b.aside").read_bytes() == other + b"\n" + b'{"half\n'
    account = leads("status", "--json").json()["forms"]["get-in-touch"]
    assert (account["created"], account["erased"], account["balanced"]) == (2, 1, True)
    assert "0 leads" in leads("person", "--phone", "089510 47001").out
    assert "1 lead," in leads("person", "--phone", "089510 47002").out


def test_a_file_of_lines_set_aside_that_were_all_erased_waits_for_nobody(leads: Leads, redis_url: str) -> None:
    spool = leads.folder / "spool"
    spool.mkdir()
    leads.environ(LEADS_SPOOL=str(spool))
    text = (leads.folder / "leads.toml").read_text()
    line = work(redis_url, text, lambda shop: spooled_line(shop, **ASHA))
    (spool / "000-a.aside").write_bytes(line + b"\n")
    assert "000-a.aside" in leads("status").out
    assert leads("erase", "--phone", "089510 47001").status == 0
    assert "SET_ASIDE" not in leads("status").out


def test_a_half_line_that_nobody_drained_yet_is_told_when_a_person_is_erased(leads: Leads) -> None:
    spool = leads.folder / "spool"
    spool.mkdir()
    leads.environ(LEADS_SPOOL=str(spool))
    (spool / "000-a.jsonl").write_bytes(b'{"half')
    told = leads("erase", "--phone", "089510 47001")
    assert "Lines in 000-a.aside cannot be read: look through that file yourself." in told.out
    assert [path.name for path in spool.iterdir()] == ["000-a.aside"]


def test_what_erasing_takes_from_the_spool_waits_for_the_replicas_that_a_visitor_waits_for(
    leads: Leads, redis_url: str
) -> None:
    spool = leads.folder / "spool"
    spool.mkdir()
    leads.environ(LEADS_SPOOL=str(spool))
    text = (leads.folder / "leads.toml").read_text()
    leads.config(text + "[service]\nreplicas = 1\n")
    other = work(redis_url, text, lambda shop: spooled_line(shop, name="Ravi", phone="089510 47002"))
    (spool / "000-a.jsonl").write_bytes(other + b"\n")
    told = leads("erase", "--phone", "089510 47001")
    assert "The spool could not be emptied: " in told.out
    assert (spool / "000-a.jsonl").read_bytes() == other + b"\n"


async def spooled_line(shop: Workshop, **said: str) -> bytes:
    line = shop.intake._line(
        shop.config.forms["get-in-touch"], shop.check("get-in-touch", **said).content, None, (), {}
    )
    return msgspec.json.encode(msgspec.structs.replace(line, at=line.at - 60_000))


KEY, NEW_KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=", "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI="


def test_with_a_key_commands_read_what_is_encrypted_and_without_it_they_say_so(leads: Leads, redis_url: str) -> None:
    text = (leads.folder / "leads.toml").read_text()

    async def submit(shop: Workshop) -> str:
        shop.use(Cipher([b"1" * 32]))
        return (await shop.submit(**ASHA)).lead

    lead = work(redis_url, text, submit)
    for command in (("show", lead), ("list",), ("person", "--phone", "089510 47001")):
        told = leads(*command)
        assert (told.status, "encrypted: set LEADS_ENCRYPTION_KEY to the key" in told.err) == (1, True), command
    leads.environ(LEADS_ENCRYPTION_KEY=NEW_KEY)
    told = leads("show", lead)
    assert (told.status, "No key in LEADS_ENCRYPTION_KEY opens what is kept." in told.err) == (1, True)
    leads.environ(LEADS_ENCRYPTION_KEY=f"{NEW_KEY}, {KEY}")
    assert "Asha Rao" in leads("show", lead).out
    assert "Asha Rao" in leads("person", "--phone", "089510 47001").out
    leads.environ(LEADS_ENCRYPTION_KEY="short")
    told = leads("check")
    assert (told.status, told.err.strip()) == (
        1,
        "LEADS_ENCRYPTION_KEY: key 1 is not 32 bytes in base64. Make one with `openssl rand -base64 32`.",
    )


def test_an_erased_lead_that_a_crm_has_yet_to_hear_of_is_listed_as_what_it_is(leads: Leads, redis_url: str) -> None:
    text = (leads.folder / "leads.toml").read_text()
    lead = lead_of_asha(leads, redis_url)

    async def claim(shop: Workshop) -> None:
        await shop.store.claim(shop.config.forms["get-in-touch"], "crm", lease=1, limit=1, token="t")

    work(redis_url, text, claim)
    assert f"{lead} of form get-in-touch; lead.erased goes to crm" in leads("erase", "--phone", "089510 47001").out
    for words in (("list",), ("list", "--csv"), ("list", "--json"), ("show", lead), ("show", lead, "--json")):
        told = leads(*words)
        assert (told.status, lead in told.out, "Asha" in told.out) == (0, True, False), words
    assert "  erased  crm: waiting" in leads("list").out
    assert "was erased" in leads("show", lead).out
    assert '"type": "lead.erased"' in leads("preview", "crm", "--lead", lead).out
    assert leads("replay", lead).status == 0


def test_a_lead_that_no_key_opens_does_not_hide_the_others(leads: Leads, redis_url: str) -> None:
    text = (leads.folder / "leads.toml").read_text()

    async def submit(shop: Workshop) -> tuple[str, str]:
        plain = (await shop.submit(name="Ravi", phone="089510 47002")).lead
        shop.use(Cipher([b"1" * 32]))
        return plain, (await shop.submit(**ASHA)).lead

    plain, sealed = work(redis_url, text, submit)
    for words in (("list",), ("list", "--csv"), ("list", "--json")):
        told = leads(*words)
        assert (told.status, plain in told.out, sealed in told.out) == (1, True, False), words
        assert f"{sealed} is not listed: What is kept is encrypted" in told.err


# --- beside `leads up` ----------------------------------------------------------------------------------------------


def described(leads: Leads, **kept: str) -> None:
    """Write down that an installation runs in ./data."""
    (leads.folder / "data").mkdir(exist_ok=True)
    (leads.folder / "data" / "installation.json").write_text(json.dumps(kept))


def test_who_knows_of_no_redis_is_not_told_to_check_its_address(leads: Leads, monkeypatch: pytest.MonkeyPatch) -> None:
    leads.without("LEADS_REDIS_URL")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        unused = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        monkeypatch.setattr("service.process.settings.USUAL_REDIS", unused)
        monkeypatch.setattr("service.cli.context.USUAL_REDIS", unused)
        told = leads("list")
    assert told.status == 1
    assert told.err == (
        "No `leads up` runs in ./data or ./.data, and without LEADS_REDIS_URL no other Redis is known than "
        f"{unused}, where none answers. Beside a `leads up` on another folder, say LEADS_DATA=FOLDER.\n"
    )
    described(leads, LEADS_REDIS_URL=f"unix://{leads.folder}/data/server.sock")
    told = leads("list")
    assert (told.status, told.err.startswith("The server of this `leads up` does not answer.")) == (1, True)


def test_a_check_beside_leads_up_is_of_its_file_with_its_secrets(leads: Leads) -> None:
    text = (leads.folder / "leads.toml").read_text()
    (leads.folder / "other.toml").write_text(text.replace("CRM_SECRET", "THEIR_SECRET"))
    leads.without("LEADS_CONFIG")
    described(leads, LEADS_CONFIG=str(leads.folder / "other.toml"), THEIR_SECRET=ENVIRON["CRM_SECRET"])
    leads.environ(LEADS_DATA="data")
    assert f"{leads.folder}/other.toml is fine" in leads("check").out
    (leads.folder / "data" / "installation.json").unlink()
    assert "leads.toml is fine" in leads("check").out


# --- `leads desk` ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", ["", '[desk]\npublic_url = "https://leads.example.com"\n'])
def test_an_invitation_is_a_link_to_where_the_desk_is(leads: Leads, desk: str) -> None:
    leads.config(form() + destination("https://crm.invalid/hooks") + desk)
    told = leads("desk", "invite", "Asha Rao", "--role", "owner")
    assert told.status == 0
    base = "https://leads.example.com" if desk else "http://127.0.0.1:8010"
    assert re.fullmatch(rf"{re.escape(base)}/invitation/[\w-]{{43}}\n", told.out)


@pytest.mark.parametrize("words", [("", "--role", "owner"), ("Asha", "--role", "king")])
def test_an_invitation_needs_a_name_and_a_role_that_there_is(leads: Leads, words: tuple[str, ...]) -> None:
    told = leads("desk", "invite", *words)
    assert told.status == 1
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('timezone = "Asia/Bombay"', "desk.timezone"), ('timezone = "../etc"', "desk.timezone"),
        ("timezone = 5", "desk.timezone"), ('masked = "no"', "desk.masked"), ("colour = 1", "desk.colour"),
        ('public_url = "leads"', "desk.public_url"),
    ],
)  # fmt: skip
def test_a_mistake_about_the_desk_is_named(leads: Leads, table: str, path: str) -> None:
    leads.config(form() + destination("https://crm.invalid/hooks") + f"[desk]\n{table}\n")
    told = leads("check")
    assert told.status == 1
    assert path in told.err
