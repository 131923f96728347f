"""`spam` of a form ► what looks like spam weighs there, and how much is too much.

Law: pure; every mistake goes to the table's report.
"""

from typing import Final

from service.config.table import Table, whole
from service.model.form import SIGNALS, Spam

HEAVIEST: Final = 1_000


def read_spam(form: Table) -> Spam:
    """Return what the form at `form` makes of signals; a weight that it does not name is the usual one."""
    keys = form.below("spam")
    none: int | None = None
    limit = keys.read("limit", whole(0, HEAVIEST), none)
    weights = keys.below("weights")
    spam = Spam(limit, {name: weights.read(name, whole(0, HEAVIEST), weight) for name, weight in SIGNALS.items()})
    weights.finish()
    keys.finish()
    return spam
