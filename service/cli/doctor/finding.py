"""One thing that is worth telling about a page.

Invariant: plain frozen values.
"""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What is so and what to do: "mend", or the form does not work; "look", or something might be lost.

    `where` is the form it is about, "" for the whole page; `paste` what to write there, or into leads.toml.
    """

    level: Literal["mend", "look"]
    sentence: str
    paste: str = ""
    where: str = ""

    def at(self, where: str) -> "Finding":
        """Return the same, of a form."""
        return replace(self, where=where)


def mend(sentence: str, paste: str = "") -> Finding:
    """Say what must change."""
    return Finding("mend", sentence, paste)


def look(sentence: str, paste: str = "") -> Finding:
    """Say what is worth a look."""
    return Finding("look", sentence, paste)
