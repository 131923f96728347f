"""What a visitor asks while they type: whether one number, or one field, would be taken.

Invariant: pure. A field is read as if it had been sent, by the same code.
"""

from service.fields import phone
from service.fields.phone_country import region_of
from service.fields.types import suggestion_for
from service.model.form import Form, fold
from service.model.problem import Code, Problem, Problems
from service.submission.check import check_field
from service.submission.field_match import match
from service.submission.form_data import Posted


def verdict_on_number(form: Form, posted: Posted | Problems) -> phone.Verdict:
    """Read the number of a phone check; whatever holds none is no number."""
    if isinstance(posted, Problems):
        return phone.read("", country=form.country, countries=form.countries)
    number = posted.fields.get("number", "")
    country = "" if number.strip().startswith("+") else region_of(posted.fields.get("country", "")) or ""
    lost = posted.is_url and number[:1] == " "
    return phone.read_at(form, number.strip(), country=country, confirm=posted.control.confirm, has_lost_plus=lost)


def verdict_on_field(form: Form, posted: Posted, name: str) -> tuple[Problem | None, str]:
    """Read one field as if it had been sent: what is wrong with it, and how it was likely meant."""
    matched = match(form, posted)
    field = next((known for known, found in matched.fields.items() if name in {found.sent, known}), None)
    field = field or next((known for known in form.fields if fold(known) == fold(name)), None)
    if field is None:
        return Problem(Code.UNKNOWN_FIELD, name), ""
    answer = check_field(form, posted, matched, field)
    if isinstance(answer, Problem):
        return answer, answer.suggestion or ""
    return None, suggestion_for(answer) if answer else ""
