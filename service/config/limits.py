"""`limits` of a form ► how often one address, all together, and one person may post.

Law: pure; every mistake goes to the table's report.
"""

from service.config.table import Table
from service.config.validators import rate
from service.model.form import Limits


def read_limits(keys: Table) -> Limits:
    """Return the limits at `keys`; none where they are left out."""
    none = Limits()
    limits = Limits(
        address=keys.read("address", rate, none.address),
        form=keys.read("form", rate, none.form),
        person=keys.read("person", rate, none.person),
    )
    keys.finish()
    return limits
