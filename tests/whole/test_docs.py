"""The documentation says what the service does: every name in it exists, every name that exists is in it, and what a
reader pastes works.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest
import typer.main

from service.cli.main import COMMANDS, app
from service.config.config import Config, Mistakes, Service
from service.config.destinations.body import _PATHS as TEMPLATE_PATHS
from service.config.read import KINDS, parse
from service.config.validators import show
from service.delivery import trouble
from service.delivery.sender import READ_AT_MOST
from service.destinations import outcome
from service.destinations.envelope import CONSENT_KEYS, NUMBER_PARTS, PHONE_KEYS, SOURCE_GROUPS, TOUCH_KEYS, envelope
from service.destinations.failure import ALONE, CERTIFICATES, OTHERWISE_REFUSED
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.presets import PRESETS
from service.destinations.webhook import Webhook
from service.fields.types import TYPES
from service.lib.json_text import MAX_DEPTH
from service.lib.secret import Secret
from service.lib.text import MOST_MARKS
from service.model import languages
from service.model.form import SIGNALS, Agreement, Altcha, Field, Form, Limits, Messages, Spam, Theme, Turnstile
from service.model.lead import Answer, Content, Delivery, Lead
from service.model.problem import CATALOGUE
from service.model.way import Way
from service.process.settings import SUPPORTED_URLS
from service.replies.reply import preflight
from service.submission import body
from service.submission.form_data import CONTROLS
from service.submission.multipart import MAX_PARTS
from service.submission.ways.table import WAYS
from service.web import phases, protocol

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "service"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
RUNNING_S = 30.0

# Passed between `leads dev` and its parts; not for people.
INSIDE = {"LEADS_DEMO"}
ENVIRON = {
    "CRM_WEBHOOK_SECRET": "whsec_" + "QUJD" * 10, "CRM_KEY": "key", "NEW": "whsec_" + "QUJD" * 9,
    "OLD": "whsec_" + "QUJD" * 8, "CRM_CLIENT_SECRET": "secret", "CRM_REFRESH_TOKEN": "refresh",
    "SMTP_PASSWORD": "key", "DESK_OIDC_SECRET": "key", "CHAT_URL": "https://chat.example.com/hook",
}  # fmt: skip
SECRETS = {
    setting.example.removeprefix("$"): f"https://{name}.example.com/hook"
    for name, preset in PRESETS.items()
    for setting in preset.settings.values()
    if setting.is_secret
}
FORM = '[forms.get-in-touch]\ndeliver = ["crm"]\nfields.name = {type = "text"}\nfields.phone = {type = "phone"}\n'
FORM += 'fields.message = {type = "text"}\n'
TOLD_IN_WORDS = {"type", "messages", "spam", "weights", "limits", "secret"}
DESTINATION = '[destinations.crm]\ntype = "webhook"\nurl = "https://crm.example.com/leads"\n'
MEANINGS: Mapping[str, tuple[type, str | None]] = {
    "delivered": (Delivered, None),
    "not now": (Retry, "delivery"),
    "too much": (Retry, "load"),
    "our configuration": (Retry, "setup"),
    "this lead is refused": (Rejected, None),
}


def section(heading: str) -> str:
    """Return what stands below a heading of the reference, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference.md has no heading {heading}"
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables below a heading, without their heads."""
    text = re.sub(r"^\|[^\n]*\|\n\|[-|]+\|\n", "", section(heading), flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def spans(text: str) -> list[str]:
    """Return the pieces of code within lines."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def allowed(text: str) -> set[str]:
    """Return the settings that the reader of a table names when it meets one that it does not know."""
    read = parse(text, {}, lambda _: "")
    assert isinstance(read, Mistakes)
    told = next(mistake.message for mistake in read.items if mistake.path.endswith("zzz"))
    return set(spans(told.partition("Allowed are")[2]))


def written(value: object, kind: str) -> str:
    """Write a default as the file would."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f'"{show(value)}"' if "duration" in kind else str(value)
        case str() | ZoneInfo() | IPv4Network() | IPv6Network():
            return json.dumps(str(value))
        case tuple() | frozenset():
            return f"[{', '.join(written(each, kind) for each in value)}]"
        case _:
            return "{}"


# --- operations


def test_operations_say_what_to_do_about_each_refusal_of_a_certificate() -> None:
    told = set(re.findall(r"^\| (the CRM's (?:certificate|server)[^|]*) \|", OPERATIONS, re.MULTILINE))
    assert told == {*CERTIFICATES.values(), ALONE, OTHERWISE_REFUSED}


# --- the reference


def test_the_table_of_codes_is_the_catalogue() -> None:
    english = languages.load("en").sentences
    assert [(spans(code)[0], int(status), sentence) for code, status, sentence in rows("Codes")] == [
        (str(code), status, english[code]) for code, status in CATALOGUE.items()
    ]


@pytest.mark.parametrize(
    ("heading", "text", "defaults"),
    [
        ("`[forms.NAME]`", "[forms.a]\nzzz = 1", Form("", {}, ())),
        ("`fields.NAME`", "[forms.a]\nfields.b = {zzz = 1}", Field("")),
        ("`[service]`", "[service]\nzzz = 1", Service()),
        ("`limits`", "[forms.a.limits]\nzzz = 1", Limits()),
        ("`messages`", "[forms.a.messages]\nzzz = 1", Messages(**languages.load("en").messages)),
        ('`captcha`, `type = "altcha"`', '[forms.a.captcha]\ntype = "altcha"\nzzz = 1', Altcha()),
        (
            '`captcha`, `type = "turnstile"`',
            '[forms.a.captcha]\ntype = "turnstile"\nzzz = 1',
            Turnstile("", Secret("")),
        ),
        ("`consent`", "[forms.a.consent]\nzzz = 1", Agreement("", "", "")),
        ("`ways.WAY`", '[forms.a.ways.b]\ntype = "custom"\nzzz = 1', Way()),
        ("`theme`", "[forms.a.theme]\nzzz = 1", Theme()),
        ("`spam`", "[forms.a.spam]\nzzz = 1", Spam()),
        ("`[destinations.NAME]`", '[destinations.a]\ntype = "webhook"\nzzz = 1', Webhook("", ())),
    ],
)
def test_every_setting_is_told_with_its_default(heading: str, text: str, defaults: Any) -> None:
    told = {spans(name)[0]: (kind, default) for name, kind, default, _ in rows(heading)}
    assert told.keys() == allowed(text)
    for name, (kind, default) in told.items():
        if default.startswith("`"):
            assert spans(default.replace("24h", "1d")) == [written(getattr(defaults, name), kind)], name
        else:
            assert not getattr(defaults, name, None) or name in {
                "type",
                "messages",
                "spam",
                "weights",
                "limits",
                "secret",
            }, name


def test_every_signal_is_told_with_its_weight() -> None:
    assert {spans(name)[0]: int(weight) for name, weight, _ in rows("Signals")} == SIGNALS


def test_every_control_field_is_told() -> None:
    assert [name for name in CONTROLS if f"`_{name}`" not in REFERENCE] == []


def test_every_language_is_told() -> None:
    means = next(means for name, *_, means in rows("`[forms.NAME]`") if name == "`language`")
    assert {each.strip('"') for each in spans(means)} >= {*languages.codes(), languages.AUTO}


def test_every_type_of_field_is_told() -> None:
    means = next(means for name, *_, means in rows("`fields.NAME`") if name == "`type`")
    assert {each.strip('"') for each in spans(means)} >= {*TYPES}


def test_every_type_of_way_is_told_with_its_own_part() -> None:
    means = next(means for name, *_, means in rows("`ways.WAY`") if name == "`type`")
    assert {each.strip('"') for each in spans(means)} == {*WAYS}
    page = (ROOT / "docs" / "ways-in.md").read_text("utf-8")
    assert {name for name in WAYS if f'type = "{name}"' in page} == {*WAYS}


def test_every_kind_of_destination_is_told() -> None:
    means = next(means for name, *_, means in rows("`[destinations.NAME]`") if name == "`type`")
    assert {each.strip('"') for each in spans(means)} >= {*KINDS} - {*PRESETS}  # those are on a page of their own


def test_every_path_of_a_template_is_told() -> None:
    told = {path.strip("{}") for path, _ in rows("Templates") for path in spans(path)}
    assert told == set(TEMPLATE_PATHS)
    names = {name for group in SOURCE_GROUPS.values() for name in group}
    assert set(spans(section("Templates"))) >= {
        *PHONE_KEYS,
        *CONSENT_KEYS,
        *names,
        *(key for key in TOUCH_KEYS if "." not in key),
    }


def test_every_variable_of_the_environment_is_told() -> None:
    sources = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(LEADS_[A-Z_]+|PROMETHEUS_[A-Z_]+)"', text)}
    assert {spans(name)[0] for name, _, _ in rows("Environment")} == {
        each.removesuffix("_FILE") for each in read
    } - INSIDE


def test_every_way_to_name_a_redis_is_told() -> None:
    told = next(means for name, _, means in rows("Environment") if name == "`LEADS_REDIS_URL`")
    assert all(any(span.startswith(scheme) for span in spans(told)) for scheme in SUPPORTED_URLS)


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return {name: group.get_command(None, name) for name in group.list_commands(None)}


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    for name, _, sentence in COMMANDS:
        assert sentence == " ".join(str(commands()[name].help).split("\n\n")[0].split()), name


def options_of(command: Any) -> dict[str, Any]:
    whole = [command, *getattr(command, "commands", {}).values()]  # of a group, those of its commands too
    return {name: param.default for each in whole for param in each.params if not getattr(param, "hidden", False)
            for name in param.opts if name.startswith("--")}  # fmt: skip


def test_every_command_is_told_with_its_options_and_their_defaults() -> None:
    told = {spans(name)[0].split()[1]: spans(options) for name, options, _ in rows("Commands") if "`leads" in name}
    assert told.keys() == commands().keys()
    for name, options in told.items():
        known = options_of(commands()[name])
        assert {each.split()[0] for each in options} == known.keys(), name
        given = {each.split()[0]: each.split()[1] for each in options if " " in each}
        assert {each: str(known[each]) for each, word in given.items() if not word.isupper()} == {
            each: word for each, word in given.items() if not word.isupper()
        }, name


def test_every_address_is_told() -> None:
    sources = "".join(path.read_text("utf-8") for room in ("web", "process") for path in (PACKAGE / room).rglob("*.py"))
    told = {spans(address)[0].split()[1] for address, _ in rows("HTTP")}
    assert told == set(re.findall(r'Route\(\s*"([^"]+)"', sources))


def test_every_figure_is_told() -> None:
    text = (PACKAGE / "process" / "metrics.py").read_text("utf-8")
    counted = {name + "_total" for name in re.findall(r'Counter\(\s*"(leads_[a-z_]+)"', text)}
    shown = set(re.findall(r'(?:Histogram|GaugeMetricFamily)\(\s*"(leads_[a-z_]+)"', text))
    assert {name for names, *_ in rows("Figures") for name in spans(names)} == counted | shown


def test_the_table_of_answers_is_what_is_judged() -> None:
    told = {int(status): means for answer, means, _ in rows("What an answer means") if means in MEANINGS
            for status in re.findall(r"\b\d{3}\b", answer)}  # fmt: skip
    assert told.keys() >= set(outcome._MEANINGS) | set(outcome._REFUSALS)
    for status, means in told.items():
        kind, scope = MEANINGS[means]
        judged: Outcome = outcome.judge(status, {}, "", now=0)
        assert isinstance(judged, kind), status
        assert getattr(judged, "scope", None) == scope, status


def test_the_envelope_is_told_key_by_key() -> None:
    lead = Lead("lead_1", "a", 1, Content({"name": Answer("Asha")}, {}), 0, 0, 0, 1)
    whole: Any = envelope(Delivery(lead, "lead.created", test=True))
    keys = {"type", "timestamp", *(f"data.{key}" for key in whole["data"])}
    told = {spans(name)[0] for name, _ in rows("What a CRM gets")} - {""}
    assert told >= keys
    shown = json.loads(blocks(section("What a CRM gets"), "json")[0])
    assert shown["data"].keys() == whole["data"].keys() - {"test"}
    assert shown["data"]["phone"].keys() == set(PHONE_KEYS) - {"extension", "rest", *NUMBER_PARTS}


def test_every_header_of_a_delivery_is_told() -> None:
    lead = Lead("lead_1", "a", 1, Content({"name": Answer("Asha")}, {}), 0, 0, 0, 1)
    sent = Webhook("crm", ("https://crm.example.com/",)).request(Delivery(lead, "lead.created"), 0)
    told = {name.lower() for name in spans(section("What a CRM gets"))}
    assert set(sent.headers) - {"host"} <= told


# --- all pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    code = spans(text)
    code += [line for block in blocks(text, "(?:sh|ini|yaml)") for line in re.sub(r"\s#.*", "", block).splitlines()]
    for line in code:
        for name, rest in re.findall(r"(?:^|(?<!-u)\s|/bin/)leads ([a-z]+)([^|#;]*)", line):
            assert name in commands(), line
            options = {word.partition("=")[0] for word in rest.split() if word.startswith("--")}
            assert options <= options_of(commands()[name]).keys() | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("page", "block"),
    [(page.name, block) for page in PAGES for block in blocks(page.read_text("utf-8"), "toml")],
)
def test_every_piece_of_configuration_is_one(page: str, block: str) -> None:
    named = re.search(r"^\[destinations\.([a-z0-9-]+)\]", block, re.MULTILINE)
    whole = (
        block
        if re.search(r"^\[forms\.[a-z0-9-]+\]", block, re.MULTILINE)
        else FORM.replace('"crm"', f'"{named[1] if named else "crm"}"') + block
    )
    whole = whole if "[destinations." in whole else whole + DESTINATION
    keys = dict.fromkeys(re.findall(r'"\$(\w+)"', block), "key") if page == "ways-in.md" else {}
    assert isinstance(parse(whole, {**keys, **SECRETS, **ENVIRON}, lambda _: ""), Config), page


def test_every_piece_of_json_is_json() -> None:
    for page in PAGES:
        for block in blocks(page.read_text("utf-8"), "json"):
            msgspec.json.decode(block)


def test_every_code_on_a_page_exists() -> None:
    pattern = r"`((?:PHONE|TYPE|CAPTCHA|CONSENT|REQUIRED|TOO|NO|NOT|BODY|ORIGIN|FORM|UNREADABLE|UNKNOWN)_[A-Z_]+)`"
    named = {code for page in PAGES for code in re.findall(pattern, page.read_text("utf-8"))}
    assert named <= {*map(str, CATALOGUE), *trouble.CODES}


def test_the_headers_that_a_page_may_send_are_known_to_browsers() -> None:
    assert "Idempotency-Key" in preflight("Accept, Idempotency-Key").headers["Access-Control-Allow-Headers"]


# --- security


def test_the_limits_are_told_in_numbers() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8").partition("## Limits")[2].partition("\n## ")[0]
    table = {what: most for what, most, _ in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)}
    kib, mib = 1024, 1024 * 1024
    told = {
        "request line and headers": f"{protocol.HEAD_BYTES // kib} KiB, {phases.HEAD_S:.0f} s",
        "a body": f"{body.MAX_BYTES // kib} KiB, {phases.BODY_S:.0f} s",
        "a body on the wire, chunk extensions and all": f"{protocol.WIRE_BYTES // mib} MiB",
        "fields, values": f"{body.MAX_FIELDS}, {body.MAX_VALUES:,}",
        "parts of a multipart body": f"{MAX_PARTS:,}",
        "depth of JSON": f"{MAX_DEPTH}",
        "combining marks on one sign": f"{MOST_MARKS}",
        "requests sent ahead on a connection": f"{protocol.MOST_AHEAD}",
        "waiting for somebody to read an answer": f"{phases.ANSWER_S:.0f} s",
        "all bodies together that are not answered yet": f"{protocol.BODIES_BYTES // mib} MiB",
        "our own work on a request": f"{phases.WORK_S:.0f} s",
        "a connection between two requests": f"{phases.IDLE_S:.0f} s",
        "connections": f"{phases.MOST_CONNECTIONS:,}, and {phases.SPARE_FILES} fewer",
        "an answer of a CRM": f"{READ_AT_MOST // kib} KiB",
    }
    assert all(table[what].startswith(most) for what, most in told.items())


def test_what_tries_each_guard_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = re.findall(r"`(tests/[a-z_/]+\.py)`", text)
    assert named
    assert all((ROOT / each).exists() for each in named)


# --- the README, pasted


def test_the_first_screen_of_the_readme_shows_it_working() -> None:
    top = "\n".join(README.splitlines()[:31])
    assert all(each in top for each in ("make run", "curl -s", '"receipt"', "<form action", '"code":422', "make test"))


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run what `make run` runs; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("dev")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "CRM_"))}
    words = [sys.executable, "-m", "service", "dev", "--port", str(port), "--data", str(folder / "data")]
    process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield address_of(port, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=RUNNING_S * 2)
    assert process.returncode == 0


def address_of(port: int, process: "subprocess.Popen[bytes]") -> str:
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + RUNNING_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return address
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("`leads dev` does not get ready")


def curl(line: str, address: str) -> httpx.Response:
    """Do what `curl` would, as far as the README asks it."""
    words = iter(shlex.split(line)[1:])
    url, data, headers = "", [], {}
    for word in words:
        match word:
            case "-s" | "-si":
                pass
            case "-d":
                data.append(next(words))
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name] = value.strip()
            case _:
                url = word.replace("http://127.0.0.1:8000", address)
    assert url.startswith(address), line
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    return httpx.post(url, content="&".join(data), headers=headers)


def examples() -> list[tuple[str, str]]:
    """Return each `curl` of the README with the answer that is shown below it."""
    pairs = re.findall(r"^(curl [^\n]+)\n```\n(?:[^`\n]*\n)*?```json\n(.*?)\n```", README, re.MULTILINE | re.DOTALL)
    assert len(pairs) == README.count("\ncurl ")
    return pairs


@pytest.mark.parametrize(("line", "shown"), examples())
def test_a_curl_of_the_readme_gets_the_answer_that_is_shown(line: str, shown: str, dev: str) -> None:
    answer, expected = curl(line, dev).json(), json.loads(shown)
    if "receipt" in expected:
        assert len(answer.pop("receipt")) == len(expected.pop("receipt"))
    assert answer == expected


def test_the_form_of_the_readme_is_taken_from_any_page_without_a_script(dev: str) -> None:
    form = blocks(README, "html")[0]
    assert len(form.splitlines()) == 6
    action = re.search(r'action="([^"]+)" method="post"', form)
    assert action
    typed = dict(zip(re.findall(r' name="(\w+)"', form), ["Ravi Kumar", "+91 98860 12345", "Hello"], strict=True))
    headers = {"Accept": "text/html", "Origin": "https://www.example.com"}
    answer = httpx.post(action[1].replace("http://127.0.0.1:8000", dev), data=typed, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/f/get-in-touch/thanks")


def test_what_the_readme_posts_is_at_the_demo_crm_within_a_second(dev: str) -> None:
    answer = httpx.post(f"{dev}/f/get-in-touch", data={"name": "Meera", "phone": "+91 99860 12345"})
    deadline = time.monotonic() + 5
    while "Meera" not in (got := httpx.get(f"{dev}/demo/crm.json").text) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert answer.is_success
    arrived = [each for each in json.loads(got) if each["body"]["data"]["fields"]["name"] == "Meera"]
    assert [each["verified"] for each in arrived] == [True]
