"""A lead that nobody sent: what `leads preview` shows and `leads test` sends.

Invariant: it fills every field of its form, and is always marked as a test.
"""

from service.fields.types import TYPES
from service.model import languages
from service.model.form import Form
from service.model.lead import Content, Delivery, Lead, Source
from service.submission import check


def sample_delivery(form: Form, now: int) -> Delivery:
    """Return a first delivery of a made-up lead that fills every field of `form`."""
    fields = {name: TYPES[field.type].example(field) for name, field in form.fields.items()}
    content = Content(fields, {}, Source(page="https://www.example.com/contact"))
    content = check.with_consent(form, content, language=languages.own(form.language), now=now)
    lead = Lead(f"lead_test{now}", form.name, 1, content, now, now, now, 1)
    return Delivery(lead, "lead.created", test=True)
