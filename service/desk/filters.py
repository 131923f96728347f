"""Which leads are meant: the filters of `/leads`.

Invariant: pure. What an address asks for that makes no sense is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import urlencode

from service.config.config import Config
from service.desk.words import STATES
from service.model.form import Form
from service.model.lead import Content
from service.store.archive import KeptLead

LONGEST_WORDS: Final = 200
CHOSEN: Final = ("choice", "choices")
"""The types of the fields of choices."""
SOMETHING_ELSE: Final = "Something else"
"""What is none of the choices of a field."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What `/leads` was asked for, "" for anything; days are `YYYY-MM-DD`, the first and the last that count.

    `choice` is a field and what was chosen in it, `FIELD=CHOICE`; `FIELD=` for whatever is none of its choices.

    `after` is where to go on: of the last lead that was looked at, when its latest version came, and its id.
    """

    form: str = ""
    since: str = ""
    until: str = ""
    state: str = ""
    campaign: str = ""
    choice: str = ""
    flag: str = ""
    q: str = ""
    after: str = ""

    @property
    def looks_inside(self) -> bool:
        """Whether leads must be read to know which are meant."""
        return bool(self.state or self.campaign or self.choice or self.flag or self.q)

    def address(self, path: str = "/leads", **changed: str) -> str:
        """Return the address that asks for this, with something changed."""
        asked = replace(self, **{"after": "", **changed})
        pairs = [(name, value) for name in self.__slots__ if (value := getattr(asked, name))]
        return f"{path}?{urlencode(pairs)}" if pairs else path


def read_filter(query: Mapping[str, str], config: Config) -> Filter:
    """Read what an address asks for; what makes no sense is left out."""
    given = {name: query.get(name, "").strip()[:LONGEST_WORDS] for name in Filter.__slots__}
    form = given["form"] if given["form"] in config.forms else ""
    state = given["state"] if given["state"] in STATES else ""
    is_choice = any(given["choice"] in choices for _, choices in choices_in(config.forms.values()))
    days = {name: given[name] if is_day(given[name]) else "" for name in ("since", "until")}
    return Filter(**{**given, "form": form, "state": state, "choice": given["choice"] if is_choice else "", **days})


def choices_in(forms: Iterable[Form]) -> list[tuple[str, dict[str, str]]]:
    """Return for each field of choices what it is called, and its choices: as a filter and as people read them."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for field in (field for form in forms for field in form.fields.values() if field.type in CHOSEN):
        _, choices = found.setdefault(field.name, (field.label or field.words, {}))
        choices.update({f"{field.name}={choice}": field.label_of(choice) for choice in field.choices})
    return [(words, {**choices, f"{name}=": SOMETHING_ELSE}) for name, (words, choices) in found.items()]


def is_day(text: str) -> bool:
    """Tell whether this is a day that a filter can have."""
    return day_in(text) is not None


def day_in(text: str) -> date | None:
    """Read a day of a filter, None if it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def fits(lead: KeptLead, form: Form, asked: Filter, shown: Callable[[str], str]) -> bool:
    """Tell whether a lead is one that was asked for."""
    if not asked.looks_inside:
        return True
    if lead.erased_at is not None or not lead.versions:
        return False
    content = lead.versions[-1].content
    states = {delivery.state for delivery in lead.deliveries}
    campaign = content.source.utm.get("campaign", "")
    return (
        asked.state in {"", *states}
        and asked.campaign.casefold() in {"", campaign.casefold()}
        and (not asked.choice or _chose(content, form, *asked.choice.split("=", 1)))
        and asked.flag in {"", *flags_of(lead)}
        and _says(content, asked.q, shown)
    )


def _chose(content: Content, form: Form, name: str, choice: str) -> bool:
    """Tell whether this was chosen, "" for whatever is none of the choices."""
    if name not in content.fields or name not in form.fields or form.fields[name].type not in CHOSEN:
        return False
    answer, choices = content.fields[name], form.fields[name].choices
    made = answer.value if isinstance(answer.value, tuple) else (answer.text,)
    return choice in made if choice else any(one not in choices for one in made)


def _says(content: Content, words: str, shown: Callable[[str], str]) -> bool:
    texts = [*(answer.text for answer in content.fields.values()), *content.extra.values()]
    said = shown("\n".join(texts)).casefold()
    return all(word in said for word in words.casefold().split())


def flags_of(lead: KeptLead) -> list[str]:
    """Return what is to be known of a lead's latest version, each once: flags of the whole and of its answers."""
    if not lead.versions:
        return []
    content = lead.versions[-1].content
    flags = [*content.flags]
    for answer in content.fields.values():
        flags += [*answer.flags, *(answer.phone.flags if answer.phone else ())]
    return list(dict.fromkeys([*flags, *lead.versions[-1].signals]))
