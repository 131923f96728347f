"""What the code promises about itself: the ladder, purity, headers of scripts, reasons of exceptions, complete docs."""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import service
from service.problem import CATALOGUE

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "service"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((PACKAGE / "lua").glob("*.lua"))
LAST_PURE_RUNG = 5
WIRING_RUNG = 10
LONGEST_MODULE = 300

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


def ladder() -> Mapping[str, tuple[int, int]]:
    """Read the map: module ► (rung, place on it)."""
    rungs = re.findall(r"^    (\d+) +([a-z_ ]+)$", service.__doc__ or "", re.MULTILINE)
    return {name: (int(rung), place) for rung, names in rungs for place, name in enumerate(names.split())}


LADDER = ladder()


def module_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


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


def below(path: Path) -> bool:
    """Return whether the module does I/O, by its rung."""
    return LADDER[module_of(path)][0] > LAST_PURE_RUNG


MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]
ON_THE_MAP = [path for path in MODULES if module_of(path) in LADDER]
PURE = [path for path in ON_THE_MAP if not below(path)]


def test_every_module_stands_on_the_map() -> None:
    missing = sorted({module_of(path) for path in MODULES} - LADDER.keys())
    assert not missing, f"give these a place in the docstring of service/__init__.py: {', '.join(missing)}"


@pytest.mark.parametrize("path", named(ON_THE_MAP))
def test_imports_climb_one_way(path: Path) -> None:
    here = module_of(path)
    upwards = [
        f"line {line}: {here} (rung {LADDER[here][0]}) imports {name} (rung {LADDER.get(name, ('?', 0))[0]})"
        for line, name in own_imports(path)
        if name != here and (name not in LADDER or LADDER[name] >= LADDER[here])
    ]
    assert not upwards


@pytest.mark.parametrize("path", named(PURE))
def test_what_decides_imports_nothing_that_acts(path: Path) -> None:
    roots = {(line, name.split(".")[0]) for line, name in imports(parse(path))}
    forbidden = IMPURE | {"socket"}
    wrong = [pair for pair in roots if pair[1] in forbidden and (module_of(path), pair[1]) not in MAY_IMPORT]
    assert not wrong


@pytest.mark.parametrize("path", named(PURE))
def test_what_decides_awaits_nothing(path: Path) -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(parse(path)) if isinstance(node, waits)]


@pytest.mark.parametrize("path", named(ON_THE_MAP))
def test_only_the_wiring_reads_the_environment_and_the_real_clock(path: Path) -> None:
    if LADDER[module_of(path)][0] >= WIRING_RUNG:
        return
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
def test_every_module_says_its_law_or_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("path", named([*SOURCES, *sorted((ROOT / "tests").glob("*.py"))]))
def test_every_exception_to_a_rule_carries_its_reason(path: Path) -> None:
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    reasons = [(number, match["reason"]) for number, line in lines if (match := EXCEPTION.search(line))]
    assert not [number for number, reason in reasons if len(reason.strip(" -#")) < len("table")]


@pytest.mark.parametrize("path", named(SCRIPTS))
def test_a_script_says_what_it_takes_and_gives(path: Path) -> None:
    text = path.read_text("utf-8")
    first, *rest = text.splitlines()
    if path.name.startswith("_"):  # a piece that others include
        assert first.startswith("--")
        return
    header = "\n".join(line for line in rest[:20] if line.startswith("--"))
    assert header.startswith(f"-- {path.stem}: ")
    assert "-- KEYS[1]" in header
    assert "-- result" in header
    used = set(re.findall(r"ARGV\[(\d+)\]", text.replace(header, "")))
    assert used <= set(re.findall(r"ARGV\[(\d+)\]", header))


@pytest.mark.parametrize("path", named([path for path in SCRIPTS if not path.name.startswith("_")]))
def test_a_full_server_still_delivers_and_frees_and_only_accepting_waits(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("#!lua")
    assert ("allow-oom" in first) == (path.stem != "accept")


@cache
def docs() -> str:
    return "\n".join(path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def keys_of_the_file() -> set[str]:
    """Return every key that the readers of `leads.toml` ask for."""
    calls = [
        node for path in PACKAGE.glob("*_table.py") for node in ast.walk(parse(path)) if isinstance(node, ast.Call)
    ]
    words = [each.value for call in calls if is_reading(call) for each in call.args if isinstance(each, ast.Constant)]
    return {word for word in words if isinstance(word, str) and re.fullmatch("[a-z_]+", word)}


def is_reading(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in {"read", "need", "below"}
    return isinstance(call.func, ast.Name) and call.func.id == "_statuses"


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
    is_named = bool(re.search(rf"`{key}`|`[a-z.]*\.{key}`|\b{key}\s*=", docs()))
    assert is_named


def test_no_setting_is_read_that_this_list_forgets() -> None:
    read = {name for path in SOURCES for name in re.findall(r'"(LEADS_[A-Z_]+)"', path.read_text("utf-8"))}
    assert {name.removesuffix("_FILE") for name in read} <= {*SETTINGS, *INSIDE}


def test_the_locks_name_hashes_and_no_place_to_fetch_from() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
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
