"""The recipes of CONTRIBUTING.md, followed in a copy: what is forgotten is noticed, and nothing else fails."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("service", "tests", "docs", "pyproject.toml", "leads.toml", *(path.name for path in ROOT.glob("*.md")))
LANGUAGES = "service/model/languages"
REFERENCE = "docs/reference.md"
CHECKS = (
    "tests/fields/test_types.py", "tests/model/test_languages.py", "tests/whole/test_conventions.py",
    "tests/whole/test_docs.py",
)  # fmt: skip
CHECKED = "row or schema_of or example_of or translated or sentence or told or catalogue or a_script_says or docs_name"

COLOUR = """
        "colour": Type(
            read=lambda given: Answer(given.text) if given.text[:1] == "#" else given.problem(Code.TYPE_COLOUR),
            input="color",
            schema=_long,
            example=lambda _: Answer("#0a7f5a"),
        ),
"""
DESTINATION = '''"""A destination that wants a number first, and then the lead at the address that it answers with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from service.destinations.destination import Conversation
from service.destinations.outcome import Delivered, Rejected
from service.lib.rate import Rate
from service.lib.secret import Secret
from service.model.lead import Delivery


@dataclass(frozen=True, slots=True)
class Line:
    """One `[destinations.NAME]` with `type = "line"`."""

    name: str
    url: str
    timeout: int = 5_000
    retry: Sequence[int] = (1_000,)
    rate: Rate | None = None
    concurrency: int = 1
    allow_private: bool = True
    ca: str = ""
    proxy: Secret | None = None
    updates: bool = False
    is_told_of_erasure: bool = False

    def conversation(self, delivery: Delivery, clock: Callable[[], int]) -> Conversation:
        """Ask for an address, and put the lead there."""
        answer = yield httpx.Request("POST", self.url, content=self.preview(delivery, clock()).encode())
        answer = yield httpx.Request("PUT", answer.headers["location"], content=delivery.webhook_id.encode())
        return Delivered(answer.status) if answer.status == 201 else Rejected("it would not", answer.status)

    def preview(self, delivery: Delivery, _now: int) -> str:
        """Return what the first request says."""
        return delivery.lead.content.fields["phone"].text

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield nothing."""
        yield from ()

    def own_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield nothing."""
        yield from ()
'''
DESTINATION_TABLE = '''"""`[destinations.NAME]` with `type = "line"` ► Line."""

from service.config.destinations.body import Reach
from service.config.env_secrets import Environment
from service.config.table import Table, text
from service.destinations.line import Line


def read_line(name: str, keys: Table, _reach: Reach, _environment: Environment) -> Line:
    """Return the destination at `keys`."""
    keys.read("type", lambda _: None, None)
    line = Line(name, keys.need("url", text(200), "", "where the lines go"))
    keys.finish()
    return line
'''
SCRIPT = """#!lua flags=allow-oom,no-writes
-- many: how many leads a form has.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- result   how many

return redis.call('ZCARD', KEYS[1] .. 'leads')
"""
FILE = """
[forms.a]
deliver = ["lines"]
language = "mr"
motto = "Knees first"
fields.phone = {type = "phone"}
fields.paint = {type = "colour"}
[destinations.lines]
type = "line"
url = "http://127.0.0.1:1/"
"""
USE = f'''
from service.config.config import Config
from service.config.read import parse
from service.destinations.outcome import Delivered
from service.destinations.rules import Response
from service.destinations.sample import sample_delivery
from service.model.problem import Problems
from service.replies import openapi, page, wording
from service.store.server.scripts import script
from service.submission.check import Checked, check
from service.submission.form_data import gather

config = parse("""{FILE}""", {{}}, lambda _: "")
assert isinstance(config, Config), config
form, line = config.forms["a"], config.destinations["lines"]
assert form.motto == "Knees first"
assert isinstance(check(form, gather([("phone", "8951047001"), ("paint", "#fff")])), Checked)
wrong = check(form, gather([("phone", "8951047001"), ("paint", "white")]))
assert isinstance(wrong, Problems)
voice = wording.of(form)
assert voice.say(wrong.items[0]).startswith("mr ")
assert 'type="color"' in page.hosted(form, voice)
assert openapi.document(config.forms.values())
talk = line.conversation(sample_delivery(form, 0), lambda: 0)
assert next(talk).content == b"+918951047001"
assert talk.send(Response(200, {{"location": "http://127.0.0.1:1/2"}}, "")).url.path == "/2"
try:
    talk.send(Response(201, {{}}, ""))
except StopIteration as end:
    assert end.value == Delivered(201)
assert script("many")[0].startswith("#!lua")
'''


class Copy:
    """The code in a folder of its own, with the changes that a recipe asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "written_by_*", "*.png")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder / name)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, "utf-8")

    def put(self, name: str, before: str, text: str) -> None:
        """Put a text before the first place of a file where `before` stands."""
        old = (self.folder / name).read_text("utf-8")
        assert before in old, f"{name} has no {before!r}"
        self.write(name, old.replace(before, text + before, 1))

    def run(self, *words: str) -> str:
        """Run Python in the copy; returns what it prints, whatever its status."""
        environ: Mapping[str, str] = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        words = (sys.executable, *words)
        done = subprocess.run(words, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def failing(self) -> set[str]:
        """Return the names of the checks that fail, without what they were tried with."""
        told = self.run("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *CHECKS, "-k", CHECKED)
        assert re.search(r"\d+ passed", told), told
        return set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", told, re.MULTILINE))


def begin(copy: Copy) -> None:
    """Follow every recipe but for one step of each, which is easily forgotten."""
    add_type(copy, languages=("en", "hi", "kn"))
    add_language(copy)
    copy.write("service/destinations/line.py", DESTINATION)
    copy.write("service/config/destinations/line.py", DESTINATION_TABLE)
    line = "from service.config.destinations.line import read_line\n"
    copy.put("service/config/read.py", "from service.destinations.dest", line)
    copy.put("service/config/read.py", '"webhook": read_webhook', '"line": read_line, ')
    copy.put("service/model/form.py", '    honeypot: str = "_gotcha"', '    motto: str = "Health"\n')
    copy.put(
        "service/config/forms/form.py",
        "        junk=keys.read",
        '        motto=keys.read("motto", text(50), "Health"),\n',
    )
    copy.write("service/store/lua/lead/many.lua", SCRIPT.replace("-- result   how many\n", ""))


def add_type(copy: Copy, languages: Iterable[str]) -> None:
    copy.put("service/model/form.py", '"number", "boolean"', '"colour", ')
    copy.put("service/fields/types.py", '\n        "number": Type(', COLOUR.rstrip())
    copy.put("service/model/problem.py", "    TYPE_DATE = auto()", "    TYPE_COLOUR = auto()\n")
    copy.put("service/model/problem.py", "        Code.TYPE_DATE: 422", "        Code.TYPE_COLOUR: 422,\n")
    for code in languages:
        copy.put(f"{LANGUAGES}/{code}.toml", "TYPE_DATE", f'TYPE_COLOUR = "Enter a colour ({code})."\n')


def add_language(copy: Copy) -> None:
    english = (copy.folder / LANGUAGES / "en.toml").read_text("utf-8")
    translated = re.sub(r'^(\w+ = )"', r'\1"mr ', english, flags=re.MULTILINE)
    copy.write(f"{LANGUAGES}/mr.toml", "# Marathi. A native speaker has yet to check these texts.\n" + translated)


def finish(copy: Copy) -> None:
    """Do what was left out."""
    copy.put(f"{LANGUAGES}/te.toml", "TYPE_DATE", 'TYPE_COLOUR = "Enter a colour (te)."\n')
    copy.put(REFERENCE, "| `TYPE_DATE`", "| `TYPE_COLOUR` | 422 | Enter a colour (en). |\n")
    copy.put(REFERENCE, '`"number"`, `"boolean"` or', '`"colour"`, ')
    copy.put(REFERENCE, '`"te"`, or', '`"mr"`, ')
    copy.put(REFERENCE, '`"webhook"`, `"email"', '`"line"`, ')
    copy.put(REFERENCE, '| `junk` | text | `"accept"`', '| `motto` | text | `"Health"` | to 50 characters |\n')
    copy.write("service/store/lua/lead/many.lua", SCRIPT)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Give a copy in which every recipe was begun."""
    copy = Copy(tmp_path_factory.mktemp("copy"))
    begin(copy)
    return copy


def test_what_a_recipe_asks_for_is_all_it_takes_and_what_is_left_out_is_noticed(copy: Copy) -> None:
    assert copy.failing() == {
        "test_every_text_is_translated_with_its_placeholders",
        "test_the_table_of_codes_is_the_catalogue",
        "test_the_docs_name_every_code",
        "test_every_type_of_field_is_told",
        "test_every_language_is_told",
        "test_every_kind_of_destination_is_told",
        "test_every_setting_is_told_with_its_default",
        "test_the_docs_name_every_setting_of_the_file",
        "test_a_script_says_what_it_takes_and_gives",
    }
    finish(copy)
    assert copy.failing() == set()
    assert copy.run("-c", USE) == ""


def test_the_copy_has_followed_the_recipes_and_no_more(copy: Copy) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Recipes")[2].partition("\n## ")[0]
    named = [re.sub(r"NAME|CODE", r"[^/]+", re.escape(name)) for name in re.findall(r"`((?:service|docs)/\S+?)`", text)]
    here, there = (contents(folder) for folder in (ROOT, copy.folder))
    changed = {name for name in there if there[name] != here.get(name)}
    assert len(changed) > len(["a type", "a language", "a destination", "a setting", "a script"])
    assert not [name for name in changed if not any(re.fullmatch(each, name) for each in named)]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of the code and its docs by their names."""
    paths = (path for room in ("service", "docs") for path in (folder / room).rglob("*"))
    kept = (path for path in paths if path.is_file() and path.suffix in {".py", ".lua", ".toml", ".md"})
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}
