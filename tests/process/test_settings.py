"""The environment, read into a value, or a sentence that names the variable."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from service.lib.errors import CannotStart
from service.process.settings import config_path, log_format, look_up, read_file, read_settings, redis_url

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = {"LEADS_SECRET": SECRET}


def test_what_is_not_said_has_its_usual_value() -> None:
    settings = read_settings(GOOD)
    assert settings.config == Path("leads.toml")
    assert settings.redis_url.reveal() == "redis://127.0.0.1:6379/0"
    assert settings.secret.reveal() == SECRET
    assert (settings.log, settings.spool) == ("json", None)


def test_what_is_said_is_taken() -> None:
    settings = read_settings(
        {
            **GOOD,
            "LEADS_CONFIG": "/etc/leads.toml",
            "LEADS_REDIS_URL": "rediss://user:hush@example.com:6380/2",
            "LEADS_LOG": "text",
            "LEADS_SPOOL": "/var/spool/leads",
        }
    )
    assert settings.config == Path("/etc/leads.toml")
    assert settings.redis_url.reveal() == "rediss://user:hush@example.com:6380/2"
    assert (settings.log, settings.spool) == ("text", Path("/var/spool/leads"))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (f"{SECRET},{SECRET[::-1]}", [SECRET, SECRET[::-1]]),
        (f" {SECRET} {SECRET[::-1]}\n", [SECRET, SECRET[::-1]]),
        (f"{SECRET}, {SECRET[::-1]},", [SECRET, SECRET[::-1]]),
        ("one secret, in words that stand apart", ["one secret, in words that stand apart"]),
        (f"{SECRET},short", [f"{SECRET},short"]),
    ],
)
def test_secrets_are_a_list_where_each_part_is_long_enough_to_be_one(said: str, read: list[str]) -> None:
    assert [secret.reveal() for secret in read_settings({"LEADS_SECRET": said}).secrets] == read


def test_no_secret_shows_when_the_settings_are_printed() -> None:
    settings = read_settings({**GOOD, "LEADS_REDIS_URL": "redis://:hush@example.com/0"})
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in shown
        assert "hush" not in shown


@pytest.mark.parametrize(
    ("environ", "named", "told"),
    [
        ({}, "LEADS_SECRET", "is not set"),
        ({"LEADS_SECRET": ""}, "LEADS_SECRET", "is not set"),
        ({"LEADS_SECRET": "short"}, "LEADS_SECRET", "at least 32 characters"),
        ({"LEADS_SECRET": SECRET[:31]}, "LEADS_SECRET", "at least 32 characters"),
        ({"LEADS_SECRET_FILE": "/nowhere/at/all"}, "LEADS_SECRET_FILE", "FileNotFoundError"),
        ({"LEADS_SECRET_FILE": "/"}, "LEADS_SECRET_FILE", "IsADirectoryError"),
        ({**GOOD, "LEADS_REDIS_URL": "http://localhost"}, "LEADS_REDIS_URL", "must begin with one of redis://"),
        ({**GOOD, "LEADS_REDIS_URL": "localhost:6379"}, "LEADS_REDIS_URL", "must begin with one of redis://"),
        ({**GOOD, "LEADS_LOG": "xml"}, "LEADS_LOG", "json or text"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_variable(environ: Mapping[str, str], named: str, told: str) -> None:
    with pytest.raises(CannotStart) as stopped:
        read_settings(environ)
    assert str(stopped.value).startswith(named)
    assert told in str(stopped.value)
    assert "short" not in str(stopped.value).replace("too short", "")


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        file = tmp_path / "secret"
        file.write_bytes((SECRET + end).encode())
        assert look_up({"LEADS_SECRET_FILE": str(file)}, "LEADS_SECRET") == SECRET


def test_the_variable_itself_goes_before_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file")
    environ = {"A": "from the variable", "A_FILE": str(tmp_path / "secret")}
    assert look_up(environ, "A") == "from the variable"
    assert look_up({**environ, "A": ""}, "A") == "from the file"
    assert look_up({}, "A") is None


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeError):
        read_file(str(tmp_path / "secret"))
    with pytest.raises(CannotStart, match="A_FILE names a file that cannot be read"):
        look_up({"A_FILE": str(tmp_path / "secret")}, "A")


def test_the_address_of_redis_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("unix:///run/redis.sock\n")
    assert redis_url({"LEADS_REDIS_URL_FILE": str(tmp_path / "url")}).reveal() == "unix:///run/redis.sock"


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert config_path({"LEADS_CONFIG": ""}) == Path("leads.toml")
    assert log_format({"LEADS_LOG": ""}) == "json"
