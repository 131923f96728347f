"""What a visitor asks while they type: whether one number, or one field, would be taken.

Invariant: pure. A field is read as if it had been sent, by the same code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from service.fields import phone
from service.fields.phone_country import country_beside
from service.fields.types import suggestion_for
from service.lib import json_text
from service.model.form import Form, fold
from service.model.problem import Code, Problem, Problems
from service.submission import json_body
from service.submission.check import check_field
from service.submission.field_match import match
from service.submission.form_data import Posted


def verdict_on_number(form: Form, posted: Posted | Problems) -> phone.Verdict:
    """Read the number of a phone check; whatever holds none is no number."""
    if isinstance(posted, Problems):
        return phone.read("", country=form.country, countries=form.countries)
    number = posted.fields.get("number", "")
    country = "" if number.strip().startswith("+") else _country_of(posted)
    lost = posted.is_url and number[:1] == " "
    return phone.read_at(form, number.strip(), country=country, confirm=posted.control.confirm, has_lost_plus=lost)


def _country_of(posted: Posted) -> str:
    """Return the region that stands beside the number, under any name that a submission may have for it."""
    texts = {fold(name): text for name, text in posted.fields.items() if name != "number"}
    return country_beside(("phone",), (), texts)[1]


def verdict_on_field(form: Form, posted: Posted) -> tuple[Problem | None, str]:
    """Read the field of a check as if it had been sent: what is wrong with it, and how it was likely meant.

    `name` and `value` say which field and what; all else stands beside it.
    """
    name = posted.fields.get("name", "")
    asked = replace(posted, fields=dict(_as_sent(form, name, posted.fields))) if name else posted
    matched = match(form, asked)
    field = next((known for known, found in matched.fields.items() if name in {found.sent, known}), None)
    field = field or next((known for known in form.fields if fold(known) == fold(name)), None)
    if field is None:
        return Problem(Code.UNKNOWN_FIELD, name), ""
    answer = check_field(form, asked, matched, field)
    if isinstance(answer, Problem):
        return answer, answer.suggestion or ""
    return None, suggestion_for(answer) if answer else ""


def _as_sent(form: Form, name: str, posted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields with the value under the name that it is asked about; JSON in it as that name would have it."""
    for key, text in {"value": "", **posted}.items():
        document = json_text.parse_object(text) if key == "value" and text[:1] == "{" else None
        if document:
            yield from json_body.pairs_of(name, document, form)
        elif key != "name":
            yield name + key.removeprefix("value") if key == "value" or key.startswith("value[") else key, text
