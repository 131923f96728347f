"""A lead that nobody sent: what `leads preview` shows and `leads test` sends.

Law: pure, and always marked as a test.
"""

from service.model import languages
from service.model.form import Field, Form
from service.model.lead import Answer, Content, Delivery, Lead, Phone, Source
from service.submission import consent

NUMBER = Phone("089510 47001", "+918951047001", "089510 47001", "+91 89510 47001", "IN", "MOBILE", flags=("test",))
TEXTS = {"name": "Asha Rao (test)", "email": "asha@example.com", "message": "This is a test of the website's form."}


def sample_delivery(form: Form, now: int) -> Delivery:
    """Return a first delivery of a made-up lead that fills every field of `form`."""
    fields = {name: _answer(each) for name, each in form.fields.items()}
    content = Content(fields, {}, Source(page="https://www.example.com/contact"))
    content = consent.noted(form, content, language=languages.own(form.language), now=now)
    lead = Lead(f"lead_test{now}", form.name, 1, content, now, now, now, 1)
    return Delivery(lead, "lead.created", test=True)


def _answer(field: Field) -> Answer:
    match field.type:
        case "phone":
            return Answer(NUMBER.e164 or "", (), NUMBER)
        case "email":
            return Answer(TEXTS["email"])
        case "choice":
            return Answer(field.choices[0])
        case "number":
            return Answer(1)
        case "boolean":
            return Answer(value=True)
        case "text":
            return Answer(TEXTS.get(field.name, f"{field.label or field.name} (test)")[: field.max_length])
