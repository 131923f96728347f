"""What a visitor agreed to, in the words that they read.

Law: pure. The boolean field itself is an answer like any other; this says what it was an answer to.
"""

import hashlib
from dataclasses import replace

from service.lib.times import timestamp
from service.model.form import Form
from service.model.lead import Consent, Content


def noted(form: Form, content: Content, *, language: str, now: int) -> Content:
    """Return the content with what its consent field was an answer to, as it was if that was not answered.

    `language` is the visitor's; `now` (ms) is when the submission was received.
    """
    answer = content.fields.get(form.consent.field) if form.consent else None
    if form.consent is None or answer is None or not isinstance(answer.value, bool):
        return content
    text, language = form.agreement_in(language)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return replace(content, consent=Consent(answer.value, form.consent.version, digest, timestamp(now), language))
