"""What is written about the code is so: whatever page, file or module is named is there, and so is the version."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import service
from service.config.config import Service

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
WRITTEN = {".py", ".lua", ".toml", ".js", ".html", ".css", ".md", ".yml", ".yaml", ".example", ""}
FOLDERS = ("service", "tests", "docs", "deploy", ".ci")

PAGE = re.compile(r"(?<![\w./*-])[\w./-]*\w\.md\b")
FILE = re.compile(r"(?<![\w./-])(?:service|tests|docs|deploy)/[\w./-]*\w")
MODULE = re.compile(r"`(service(?:\.[a-z_]+)+)\b")
PLACEHOLDER = re.compile(r"\b(?:NAME|CODE)\b")


def texts() -> Iterator[Path]:
    """Yield whatever people read: code, docs, and what stands beside them."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in WRITTEN)
    for folder in FOLDERS:
        found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in WRITTEN)
        yield from (path for path in found if not {"node_modules", "__pycache__"} & set(path.parts))


TEXTS = {path: re.sub(r"https?://\S+", "", path.read_text("utf-8")) for path in sorted(texts())}


def lost_pages(text: str, folder: Path) -> set[str]:
    """Return the pages that a text in `folder` names and that are nowhere."""
    places = (folder, ROOT, ROOT / "docs", ROOT / "docs" / "decisions")
    return {name for name in PAGE.findall(text) if not any((place / name).is_file() for place in places)}


def lost_files(text: str) -> set[str]:
    named = (name for name in FILE.findall(text) if not PLACEHOLDER.search(name))
    return {name for name in named if not (ROOT / name).exists()}


def lost_modules(text: str) -> set[str]:
    settings = {f"service.{name}" for name in Service.__dataclass_fields__}
    return {name for name in MODULE.findall(text) if name not in settings and not is_there(name)}


def is_there(name: str) -> bool:
    """Tell whether a dotted name is a module or something in one."""
    module, _, rest = name.rpartition(".")
    try:
        import_module(name)
    except ModuleNotFoundError:
        return "." in module and is_there(module) and hasattr(import_module(module), rest)
    return True


def test_what_is_not_there_is_noticed() -> None:
    assert lost_pages("see LOST.md, README.md and docs/lost.md", ROOT) == {"LOST.md", "docs/lost.md"}
    assert lost_files("in `service/lost.py`, service/store/lua/ and service/NAME.py") == {"service/lost.py"}
    assert lost_modules("`service.lost` `service.store.keys.lost`, `service.store.keys`") == {
        "service.lost",
        "service.store.keys.lost",
    }


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    if path == Path(__file__):
        return
    text = TEXTS[path]
    assert lost_pages(text, path.parent) == set()
    assert lost_files(text) == set() or path.name == "test_recipes.py"
    assert lost_modules(text) == set()


def changes() -> list[tuple[str, list[str], int]]:
    """Return the usual changes of the table, their files and how many it says they are."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| \d+ \| (\d+) \|$", ARCHITECTURE, re.MULTILINE)
    return [(change, re.findall(r"`([\w/]+\.(?:py|lua|toml))`", files), int(now)) for change, files, now in rows]


def test_a_dozen_changes_are_told() -> None:
    assert len(changes()) >= 12


@pytest.mark.parametrize(("change", "files", "now"), changes(), ids=lambda each: each if isinstance(each, str) else "")
def test_a_change_touches_the_files_that_are_counted(change: str, files: list[str], now: int) -> None:
    assert len(set(files)) == now, change
    places = (ROOT / "service", ROOT / "service" / "model" / "languages")
    there = [name for name in files if PLACEHOLDER.search(name) or any((place / name).exists() for place in places)]
    assert files == there


def test_the_version_is_the_newest_of_the_changelog() -> None:
    headings = re.findall(r"^## (\d+\.\d+\.\d+), (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0][0] == service.__version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in headings)
    assert sorted(headings, key=lambda each: [*map(int, each[0].split("."))], reverse=True) == headings
