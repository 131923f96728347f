"""A lead as text, for whoever asks at the terminal.

Invariant: pure; what a visitor typed comes on one line, without control characters.
"""

from collections.abc import Mapping
from typing import Final

from service.lib.text import one_line
from service.lib.times import at
from service.model.lead import Content
from service.store.archive import KeptDelivery, KeptLead, KeptVersion
from service.submission.spam import by_weight

SHOWN_STATES: Final = 20


def lead_as_text(lead: KeptLead) -> str:
    """Describe a lead in full, a line for each thing."""
    if lead.erased_at is not None:
        lines = [f"{lead.id} at form {lead.form} was erased {at(lead.erased_at)}; these have yet to hear of it"]
        return "\n".join(lines + [line for delivery in lead.deliveries for line in _delivery_as_text(delivery)])
    lines = [f"{lead.id} at form {lead.form}, first seen {at(lead.first_seen_at)}, last {at(lead.last_seen_at)}"]
    lines += ["submissions"]
    lines += [
        f"  {at(submission.at)}  {submission.result}, version {submission.version}, receipt {submission.receipt}"
        for submission in lead.submissions
    ]
    for version in lead.versions:
        lines += _version_as_text(version)
    if lead.goes_out_at is not None:
        lines += [f"known since; goes out as one update at {at(lead.goes_out_at)}, by this person's limit"]
    elif lead.unforwarded:
        lines += ["known since, and not forwarded"]
    if lead.unforwarded:
        lines += _content_as_text(lead.unforwarded)
    for delivery in lead.deliveries:
        lines += _delivery_as_text(delivery)
    return "\n".join(lines)


def _version_as_text(version: KeptVersion) -> list[str]:
    lines = [f"version {version.version}, accepted {at(version.accepted_at)}, enquiry {version.enquiries}"]
    if version.sha1:
        new = one_line(", ".join(dict.fromkeys(version.news))) or "nothing"
        lines += [f"  new in it: {new}; what it said is in later versions, and is not kept (SHA-1 {version.sha1})"]
    lines += _content_as_text(version.content)
    return lines + ([f"  looks like spam: {_signals_as_text(version.signals)}"] if version.signals else [])


def _signals_as_text(signals: Mapping[str, int]) -> str:

    return f"{sum(signals.values())} ({', '.join(f'{name} {signals[name]}' for name in by_weight(signals))})"


def _content_as_text(content: Content) -> list[str]:
    lines = [f"  {name}: {one_line(answer.text)}" for name, answer in content.fields.items()]
    lines += [f"  {one_line(name)} (extra): {one_line(text)}" for name, text in content.extra.items()]
    if agreed := content.consent:
        what = "agreed to" if agreed.agreed else "did not agree to"
        lines += [f"  consent: {what} version {agreed.version} ({agreed.language}) at {agreed.at}"]
        lines += [f"  consent: SHA-256 of its text {agreed.text_sha256}"]
    return lines + [f"  flag: {flag}" for flag in content.flags]


def _delivery_as_text(delivery: KeptDelivery) -> list[str]:
    latest = list(delivery.states.items())[-SHOWN_STATES:]
    states = ", ".join(f"version {number} {state}" for number, state in latest)
    lines = [f"{delivery.destination}: {states}"]
    lines += [] if delivery.record is None else [f"  its record there: {one_line(str(delivery.record))}"]
    for attempt in delivery.attempts:
        status = f" {attempt.status}" if attempt.status else ""
        what = f"version {attempt.version}: {attempt.result}{status}, took {attempt.took} ms"
        lines += [f"  {at(attempt.at)}  {what}  {one_line(attempt.reason)}".rstrip()]
        lines += [f"    it answered: {one_line(attempt.excerpt)}"] if attempt.excerpt else []
    if delivery.due_at is not None and delivery.paused and not delivery.leased:
        lines += [f"  waits: {delivery.paused}"]
    elif delivery.due_at is not None:
        what = "an attempt is under way, and given up" if delivery.leased else "next try"
        lines += [f"  {what} at {at(delivery.due_at)}, {delivery.tries} tries so far"]
    return lines
