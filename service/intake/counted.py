"""By what submissions are counted beside their outcome: campaign, choices, names of fields.

Invariant: what stands in Redis of it is a hash that says nothing without the service's secret, and a sealed name; of a
choice the hash alone, for the configuration knows its name.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.lib.text import cut
from service.model.form import Form
from service.model.lead import Content
from service.store.cipher import Cipher

LABEL: Final = "counted"
"""What a name is sealed for, as a fact is for its own."""
LONGEST_CAMPAIGN: Final = 80
_MARK: Final = "="
"""What a campaign's label begins with: no text that is kept plain may be taken for a sealed one."""
_MANY: Final = 2_000
_CHOSEN: Final = frozenset({"choice", "choices"})


def campaign_of(secret: Secret, cipher: Cipher, form: Form, content: Content) -> tuple[str, str] | None:
    """Return the hash of a submission's campaign, spelled in any case, and its sealed name; None if it has none.

    One with an `@` may be a single person's, as mail programs write them: it has no name.
    """
    campaign = cut(content.source.utm.get("campaign", ""), LONGEST_CAMPAIGN)
    if not campaign:
        return None
    campaign = "" if "@" in campaign else campaign
    return campaign_hash(secret, form.name, campaign), cipher.seal(_MARK + campaign, form.name, LABEL)


def campaign_in(label: str) -> str:
    """Return the campaign that an opened label names, "" for all without a name."""
    return label.removeprefix(_MARK)


def campaign_hash(secret: Secret, form: str, campaign: str) -> str:
    """Return what a campaign is counted under, "" for all without a name."""
    return _campaign_hash(secret, form, campaign.casefold())


def campaign_label_hash(secret: Secret, form: str, label: str) -> str:
    """Return what a campaign is counted under that has this label."""
    return campaign_hash(secret, form, campaign_in(label))


@lru_cache(_MANY)
def _campaign_hash(secret: Secret, form: str, campaign: str) -> str:
    return keyed_hash(secret, "campaign", form, campaign)


def choices_of(secret: Secret, form: Form, content: Content) -> tuple[str, ...]:
    """Return a hash for each configured choice that a submission makes; all others of a field have one together."""
    return tuple(
        dict.fromkeys(
            choice_hash(secret, form.name, name, choice if choice in form.fields[name].choices else "")
            for name, answer in content.fields.items()
            if form.fields[name].type in _CHOSEN
            for choice in (answer.value if isinstance(answer.value, tuple) else (answer.text,))
        )
    )


@lru_cache(_MANY)
def choice_hash(secret: Secret, form: str, field: str, choice: str) -> str:
    """Return what one choice of a field is counted under, "" for whatever is no choice."""
    return keyed_hash(secret, "choice", form, field, choice)


def name_of(secret: Secret, cipher: Cipher, form: str, named: Sequence[str]) -> tuple[str, str]:
    """Return the hash and the sealed label of a field, "" for none, and the name that it came under."""
    label = msgspec.json.encode(named).decode()
    return name_hash(secret, form, label), cipher.seal(label, form, LABEL)


def name_hash(secret: Secret, form: str, label: str) -> str:
    """Return what a name is counted under that has this label."""
    return keyed_hash(secret, "name", form, *msgspec.json.decode(label, type=list[str]))
