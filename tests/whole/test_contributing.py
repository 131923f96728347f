"""What CONTRIBUTING.md and docs/architecture.md name is there, and the version is the newest of CHANGELOG.md."""

import re
from pathlib import Path

import pytest

import service

ROOT = Path(__file__).parents[2]
PLACEHOLDERS = ("NAME", "CODE")
PAGES = [path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if path.name != "CHANGELOG.md"]


def named_files(page: Path, pattern: str, prefix: str = "") -> list[str]:
    text = page.read_text("utf-8")
    return [prefix + name for name in re.findall(pattern, text) if not any(word in name for word in PLACEHOLDERS)]


def test_every_file_of_a_recipe_is_there() -> None:
    named = named_files(ROOT / "CONTRIBUTING.md", r"`((?:service|tests|docs)/[\w/.-]+)`")
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_file_that_a_change_touches_is_there() -> None:
    page = ROOT / "docs" / "architecture.md"
    table = page.read_text("utf-8").partition("## Where to change what")[2]
    named = [name for name in re.findall(r"`([a-z]+/[\w/]+\.(?:py|lua))`", table) if "NAME" not in name]
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / "service" / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_page_that_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", page.read_text("utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_no_code_names_a_page_that_is_not_there() -> None:
    known = {path.name for path in ROOT.rglob("*.md") if ".venv" not in path.parts and "node_modules" not in path.parts}
    for path in [*(ROOT / "service").rglob("*.*"), *(ROOT / "tests").rglob("*.py")]:
        if path.suffix in {".py", ".lua", ".toml", ".js", ".html"} and "node_modules" not in path.parts:
            named = set(re.findall(r"\b[A-Z][\w-]*\.md\b|docs/([\w-]+\.md)", path.read_text("utf-8")))
            assert {name for name in named if name} <= known, path


def test_the_version_is_the_newest_of_the_changelog() -> None:
    headings = re.findall(r"^## (\d+\.\d+\.\d+), (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0][0] == service.__version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in headings)
    assert sorted(headings, key=lambda each: [*map(int, each[0].split("."))], reverse=True) == headings
