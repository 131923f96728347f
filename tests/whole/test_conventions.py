"""What the code promises about itself: the rooms, purity, headers of scripts, reasons of exceptions, complete docs."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from radon.complexity import cc_visit
from radon.visitors import Function

import service
from service.model.problem import CATALOGUE

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "service"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((PACKAGE / "store" / "lua").rglob("*.lua"))
LONGEST_MODULE = 300
LONGEST_FUNCTION = 40
MOST_COMPLEX = 12
MOST_FILES = 14
BESIDE_THE_ROOMS = {"browser", "faults", "fuzz", "long", "support", "whole"}
PROGRAMS = {"fuzz", "long"}
READS_ENVIRONMENT_AND_CLOCK = {"process", "up", "cli", "demo"}

IMPURE = {
    "anyio", "asyncio", "http", "multiprocessing", "os", "random", "redis", "secrets", "selectors", "starlette",
    "subprocess", "tempfile", "threading", "time", "uvicorn",
}  # fmt: skip
MAY_IMPORT = {
    ("destinations", "socket"): "names the exceptions of a failed lookup; opens nothing",
}
CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
SETTINGS = (
    "LEADS_CONFIG", "LEADS_REDIS_URL", "LEADS_SECRET", "LEADS_ENCRYPTION_KEY", "LEADS_SPOOL", "LEADS_LOG", "LEADS_DATA",
)  # fmt: skip
INSIDE = {"LEADS_DEMO": "passes between `leads dev` and its parts alone"}

RULES = r"[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*"
EXCEPTION = re.compile(rf"#\s*(?:noqa:\s*{RULES}|type:\s*ignore\[[a-z, -]+\])(?P<reason>.*)")


def rooms() -> tuple[list[str], set[str]]:
    """Read the map: the rooms in their order, and which of them are pure."""
    above, _, below = (service.__doc__ or "").partition("--- I/O below this line ---")
    pure, acting = (re.findall(r"^    ([a-z]+) {2,}\S", part, re.MULTILINE) for part in (above, below))
    return pure + acting, set(pure)


ROOMS, PURE_ROOMS = rooms()


def room_of(path: Path) -> str:
    """Return the room of a module, "" for the two files that stand above all rooms."""
    return parts[0] if len(parts := path.relative_to(PACKAGE).parts) > 1 else ""


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports(parse(path)):
        parts = name.split(".")
        if parts[0] == "service" and not name.startswith("service.__"):
            yield line, parts[1]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


IN_ROOMS = [path for path in SOURCES if room_of(path)]
PURE = [path for path in IN_ROOMS if room_of(path) in PURE_ROOMS]


def test_every_package_is_a_room_of_the_map_and_nothing_stands_outside() -> None:
    assert {room_of(path) for path in IN_ROOMS} == set(ROOMS)
    assert {path.name for path in SOURCES if not room_of(path)} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_in_a_sentence_what_belongs_there(room: str) -> None:
    words = ast.get_docstring(parse(PACKAGE / room / "__init__.py")) or ""
    assert words.endswith(".")
    assert "\n" not in words


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_seen_at_a_glance(room: str) -> None:
    folders = [PACKAGE / room, *(path.parent for path in (PACKAGE / room).glob("*/__init__.py"))]
    assert not [str(folder) for folder in folders if len([*folder.glob("*.py")]) > MOST_FILES]


def test_a_folder_of_tests_is_a_room_and_what_tests_share_is_in_support() -> None:
    paths = list((ROOT / "tests").glob("*/*.py"))
    assert {path.parent.name for path in paths} <= {*ROOMS, *BESIDE_THE_ROOMS}
    tests = [path for path in paths if path.parent.name not in PROGRAMS | {"support"}]
    assert not [path for path in tests if not path.name.startswith(("test_", "conftest", "__init__"))]


@pytest.mark.parametrize("path", named(IN_ROOMS))
def test_a_room_imports_only_from_those_above_it(path: Path) -> None:
    here = room_of(path)
    wrong = [
        f"line {line}: {here} imports {room}"
        for line, room in own_imports(path)
        if room not in ROOMS or ROOMS.index(room) > ROOMS.index(here)
    ]
    assert not wrong


@pytest.mark.parametrize("path", named(PURE))
def test_what_decides_imports_nothing_that_acts(path: Path) -> None:
    roots = {(line, name.split(".")[0]) for line, name in imports(parse(path))}
    forbidden = IMPURE | {"socket"}
    wrong = [pair for pair in roots if pair[1] in forbidden and (room_of(path), pair[1]) not in MAY_IMPORT]
    assert not wrong


@pytest.mark.parametrize("path", named(PURE))
def test_what_decides_awaits_nothing(path: Path) -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(parse(path)) if isinstance(node, waits)]


@pytest.mark.parametrize("path", named([path for path in IN_ROOMS if room_of(path) not in READS_ENVIRONMENT_AND_CLOCK]))
def test_only_the_processes_read_the_environment_and_the_real_clock(path: Path) -> None:
    read = {
        (node.lineno, text)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute)
        and ((text := ast.unparse(node)) in CLOCKS or text in {"os.environ", "os.getenv"})
    }
    assert not read


@pytest.mark.parametrize("path", named(SOURCES))
def test_a_module_is_a_screen_or_two(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", named(SOURCES))
def test_no_function_is_long_or_tangled(path: Path) -> None:
    blocks = [block for block in cc_visit(path.read_text("utf-8")) if isinstance(block, Function)]
    assert not [block.name for block in blocks if block.complexity > MOST_COMPLEX]
    functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION]


@pytest.mark.parametrize("path", named(SOURCES))
def test_every_module_says_its_invariant_or_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("path", named([*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]))
def test_every_exception_to_a_rule_carries_its_reason(path: Path) -> None:
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    reasons = [(number, match["reason"]) for number, line in lines if (match := EXCEPTION.search(line))]
    assert not [number for number, reason in reasons if len(reason.strip(" -#")) < len("table")]


@pytest.mark.parametrize("path", named(SCRIPTS))
def test_a_script_says_what_it_takes_and_gives(path: Path) -> None:
    text = path.read_text("utf-8")
    first, *rest = text.splitlines()
    if path.parent.name == "shared":  # a piece that others include
        assert first.startswith("--")
        return
    header = "\n".join(line for line in rest[:20] if line.startswith("--"))
    assert header.startswith(f"-- {path.stem}: ")
    assert "-- KEYS[1]" in header
    assert "-- result" in header
    used = set(re.findall(r"ARGV\[(\d+)\]", text.replace(header, "")))
    assert used <= set(re.findall(r"ARGV\[(\d+)\]", header))


@pytest.mark.parametrize("path", named([path for path in SCRIPTS if path.parent.name != "shared"]))
def test_a_full_server_still_delivers_and_frees_and_only_accepting_waits(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("#!lua")
    assert ("allow-oom" in first) == (path.stem not in {"accept", "prove"})


@pytest.mark.parametrize("path", named([path for path in SCRIPTS if path.parent.name == "lead"]))
def test_whatever_writes_to_a_form_is_noted_for_a_backup(path: Path) -> None:
    first, *rest = path.read_text("utf-8").splitlines()
    code = [line for line in rest if line.startswith("--@include") or not line.startswith("--")]
    assert ("no-writes" in first) == (code[0] != "--@include copy")


@cache
def docs() -> str:
    return "\n".join(path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def keys_of_the_file() -> set[str]:
    """Return every key that the readers of `leads.toml` ask for."""
    calls = [
        node
        for path in (PACKAGE / "config").rglob("*.py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
    ]
    words = [each.value for call in calls if is_reading(call) for each in call.args if isinstance(each, ast.Constant)]
    return {word for word in words if isinstance(word, str) and re.fullmatch("[a-z_]+", word)}


def is_reading(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in {"read", "need", "below"}


@pytest.mark.parametrize("code", [str(code) for code in CATALOGUE])
def test_the_docs_name_every_code(code: str) -> None:
    is_named = f"`{code}`" in docs()
    assert is_named


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_docs_name_every_setting_of_the_environment(setting: str) -> None:
    is_named = f"`{setting}`" in docs()
    assert is_named


@pytest.mark.parametrize("key", sorted(keys_of_the_file()))
def test_the_docs_name_every_setting_of_the_file(key: str) -> None:
    is_named = bool(re.search(rf"`\[?{key}\]?`|`[a-z.]*\.{key}`|\b{key}\s*=", docs()))
    assert is_named


def test_no_setting_is_read_that_this_list_forgets() -> None:
    read = {name for path in SOURCES for name in re.findall(r'"(LEADS_[A-Z_]+)"', path.read_text("utf-8"))}
    assert {name.removesuffix("_FILE") for name in read} <= {*SETTINGS, *INSIDE}


def test_the_locks_name_hashes_and_no_place_to_fetch_from() -> None:
    for name in sorted(path.name for path in ROOT.glob("requirements*.lock")):
        lines = (ROOT / name).read_text("utf-8").splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
        pinned = [number for number, line in enumerate(lines) if "==" in line]
        assert pinned
        assert all("--hash=sha256:" in lines[number + 1] for number in pinned)


def test_what_a_run_leaves_behind_is_not_in_the_repository() -> None:
    if not (ROOT / ".git").exists():
        return  # an unpacked archive has nothing to ignore
    left = [".data/secret", ".venv/bin/python", ".env"]
    ignored = subprocess.run(["git", "check-ignore", *left], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == left
