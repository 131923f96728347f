"""CRMs and chats by name: what `presets.toml` says of each, with the settings of a file put into it.

Invariant: pure data. A preset says nothing that a file could not say of `type = "webhook"`, and a file may override it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

_SETTING: Final = re.compile(r"<([a-z_]+)>")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a file must say of its own account there: an example, which is a `$NAME` for a secret, and what it is."""

    example: str
    means: str

    @property
    def is_secret(self) -> bool:
        """Whether it must be a `$NAME`."""
        return self.example.startswith("$")


@dataclass(frozen=True, slots=True)
class Preset:
    """One CRM by name; `table` is what the file would say of it."""

    name: str
    title: str
    needs: str
    says: str
    settings: Mapping[str, Setting]
    table: Mapping[str, Any]

    def filled(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Return its table with these settings in it."""
        return {key: _filled(value, values) for key, value in self.table.items()}

    def lines(self) -> str:
        """Return the lines for leads.toml."""
        wide = max(len(f'{key} = "{setting.example}"') for key, setting in self.settings.items())
        settings = [(f'{key} = "{setting.example}"', setting.means) for key, setting in self.settings.items()]
        lines = [f"[destinations.{self.name}]", f'type = "{self.name}"', *(f"{a:<{wide}}  # {b}" for a, b in settings)]
        return "\n".join(lines)


def _filled(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401  any value that TOML has
    match value:
        case str():
            return _SETTING.sub(lambda found: values.get(found[1], found[0]), value)
        case list():
            return [_filled(item, values) for item in value]
        case dict():
            return {key: _filled(item, values) for key, item in value.items()}
        case _:
            return value


def _presets() -> dict[str, Preset]:
    tables = tomllib.loads((files(__package__) / "presets.toml").read_text("utf-8"))
    return {
        name: Preset(
            name, table["title"], table["needs"], table["says"],
            {key: Setting(*both) for key, both in table["settings"].items()}, table["table"],
        )
        for name, table in tables.items()
    }  # fmt: skip


PRESETS: Final[Mapping[str, Preset]] = _presets()
