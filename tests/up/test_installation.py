"""Which installation a command asks, and what it says where it cannot."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.lib.errors import CannotStart
from service.up.installation import FILE, environment_of

KEPT = {"LEADS_REDIS_URL": "unix:///data/server.sock", "LEADS_CONFIG": "/etc/leads/leads.toml", "CRM_SECRET": "x"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an installation that runs, ./data."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / FILE).write_text(json.dumps(KEPT))
    monkeypatch.chdir(tmp_path)
    return folder


@contextmanager
def as_another_user(folder: Path) -> Iterator[None]:
    """Do something as a user whom the folder does not let in."""
    folder.chmod(0)
    was_root = os.geteuid() == 0
    try:
        if was_root:
            os.seteuid(65_534)
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.parametrize("environ", [{}, {"LEADS_DATA": "data"}, {"LEADS_CONFIG": "/etc/leads/leads.toml"}])
def test_the_installation_that_runs_here_is_meant(data: Path, environ: dict[str, str]) -> None:
    assert data.is_dir()
    assert environment_of(environ) == environ | KEPT


def test_another_redis_or_another_file_are_what_the_environment_says(data: Path) -> None:
    assert data.is_dir()
    for name in ("LEADS_REDIS_URL", "LEADS_REDIS_URL_FILE"):
        assert environment_of({name: "x"}) == {name: "x"}
    assert environment_of({"LEADS_CONFIG": "new.toml"})["LEADS_CONFIG"] == "new.toml"


def test_where_none_runs_that_is_said_and_a_check_goes_on_without(data: Path) -> None:
    (data / FILE).unlink()
    with pytest.raises(CannotStart, match="No installation runs in data"):
        environment_of({"LEADS_DATA": "data"})
    assert environment_of({"LEADS_DATA": "data"}, may_be_stopped=True) == {"LEADS_DATA": "data"}
    assert environment_of({}) == {}


@pytest.mark.parametrize("environ", [{}, {"LEADS_DATA": "data"}])
def test_a_folder_of_another_user_is_not_said_to_be_empty(data: Path, environ: dict[str, str]) -> None:
    with as_another_user(data), pytest.raises(CannotStart, match=r"^data belongs to another user"):
        environment_of(environ)
