"""The form builders, ad platforms and calendars that are known by name, a row each.

Invariant: data. Where a shape comes from stands above its row; `docs/ways-in.md` says how sure that is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from service.lib.signature import JWS, Scheme
from service.model.way import Labels, Way

_PASTE: Final = "paste the address, which carries the key"

_ROWS: Final = {
    "custom": Way(title="Any other", setup=_PASTE),
    # Webflow's Data API v2, "form_submission" and "Webhook signatures".
    "webflow": Way(
        title="Webflow",
        setup="a webhook for form_submission that an app made: `secret` is the app's client secret",
        answers=("payload.data",),
        names=("@", ""),
        labels=Labels("payload.schema", "fieldName", "fieldElementId"),
        id="payload.id",
        page=("payload.pageUrl",),
        signature=Scheme("x-webflow-signature", of="{x-webflow-timestamp}:{body}", time="x-webflow-timestamp"),
    ),
    # Elementor Pro, modules/forms/actions/webhook.php and classes/form-record.php.
    "elementor": Way(
        title="Elementor Pro",
        setup=f"Actions After Submit, Webhook: {_PASTE}; switch on Advanced Data",
        answers=("fields", ""),
        names=("", "title"),
        leave=frozenset({"form", "form_id", "form_name", "meta", "Page URL", "User Agent", "Remote IP"}),
        page=("meta.page_url.value", "Page URL"),
    ),
    # Typeform's webhooks, "Example payload" and "Secure your webhooks".
    "typeform": Way(
        title="Typeform",
        setup="Connect, Webhooks: paste the address, set `secret` as its secret, and switch it on",
        answers=("form_response.answers", "form_response.hidden"),
        names=("", "field.ref", "@"),
        value="{type}",
        labels=Labels("form_response.definition.fields", "id", "title", "field.id"),
        text=("label", "labels", "other"),
        id="form_response.token",
        signature=Scheme("Typeform-Signature", "sha256={base64}"),
    ),
    # developers.google.com/google-ads/webhook/docs/implementation
    "google-ads": Way(
        title="Google Ads lead forms",
        setup="the lead form's Lead delivery, Webhook: paste the address as URL, and `secret` as Key",
        answers=("user_column_data",),
        names=("column_id", "column_name"),
        value="string_value",
        beside={
            "_gclid": "gcl_id", "campaign_id": "campaign_id", "adgroup_id": "adgroup_id",
            "creative_id": "creative_id", "asset_group_id": "asset_group_id", "form_id": "form_id",
        },
        id="lead_id",
        test="is_test",
        key="google_key",
    ),
    # Calendly's webhooks, "Webhook payload" and "Webhook signatures".
    "calendly": Way(
        title="Calendly",
        setup="a webhook subscription for invitee.created and invitee.canceled: `secret` is its signing_key",
        answers=("payload.questions_and_answers", "payload.tracking"),
        names=("", "question"),
        value="answer",
        beside={"name": "payload.name", "email": "payload.email", "phone": "payload.text_reminder_number"},
        id="payload.uri",
        event="event",
        cancels=frozenset({"invitee.canceled"}),
        signature=Scheme("Calendly-Webhook-Signature", "t={t},v1={hex}", "{t}.{body}"),
    ),
    # mariovalney/cf7-to-zapier 4.1.0, "CF7 to Webhook".
    "cf7": Way(
        title="Contact Form 7, CF7 to Webhook",
        setup=f"the form's Webhook tab: {_PASTE}; list _url among the special mail tags",
        leave=frozenset({"_url", "_post_url", "_remote_ip", "_user_agent"}),
        page=("_url", "_post_url"),
    ),
    # WPForms Webhooks, Process.php.
    "wpforms": Way(
        title="WPForms",
        setup="Settings, Webhooks: paste the address, format JSON, `secret` as its Secret",
        leave=frozenset({"entry_id"}),
        separator="||",
        id="entry_id",
        signature=Scheme("X-WPForms-Webhook-Signature", "t={t},v={hex}", "{t}.{body}"),
    ),
    # Fluent Forms Pro, NotifyTrait.php.
    "fluent": Way(
        title="Fluent Forms Pro",
        setup=f"the form's Settings, WebHook: {_PASTE}; JSON, all fields",
        leave=frozenset({
            "__submission", "_wp_http_referer", "g-recaptcha-response", "h-captcha-response", "cf-turnstile-response",
        }),
        id="__submission.id",
        page=("__submission.source_url",),
    ),
    # Forminator, class-forminator-webhook-form-hooks.php.
    "forminator": Way(
        title="Forminator",
        setup=f"Integrations, Webhook: {_PASTE}",
        leave=frozenset({"form_title", "entry_time"}),
        test="{X-Hook-Test}",
    ),
    # Ninja Forms Webhooks, SotWebhooks.
    "ninja": Way(title="Ninja Forms", setup=f"Emails & Actions, Webhooks: {_PASTE}; name each key as a field here"),
    # Formidable API, FrmAPIAppController.php.
    "formidable": Way(
        title="Formidable Forms",
        setup=f"Settings, Actions & Notifications, Send API data: {_PASTE}; name each key as a field here",
        test="{X-Hook-Test}",
    ),
    # Gravity Forms Webhooks 1.4, and the entry object.
    "gravity": Way(
        title="Gravity Forms",
        setup=f"the form's Settings, Webhooks: {_PASTE}; JSON, and select fields to name their keys",
        leave=frozenset({
            "id", "form_id", "post_id", "date_created", "date_updated", "is_starred", "is_read", "ip", "source_url",
            "user_agent", "currency", "payment_status", "payment_date", "payment_amount", "payment_method",
            "transaction_id", "transaction_type", "is_fulfilled", "created_by",
        }),
        id="id",
        page=("source_url",),
    ),
    # Public receivers of Jotform's webhook.
    "jotform": Way(
        title="Jotform",
        setup=f"Settings, Integrations, WebHooks: {_PASTE}",
        answers=("rawRequest",),
        pattern="q[0-9]+_(.+)",
        id="submissionID",
    ),
    # framer.com/help/articles/framer-form-webhook-setup
    "framer": Way(
        title="Framer",
        setup="the form's Send To, Webhook: paste the address, and `secret` (32 characters or more) as its secret",
        id="{Framer-Webhook-Submission-Id}",
        signature=Scheme("Framer-Signature", "sha256={hex}", "{body}{Framer-Webhook-Submission-Id}"),
    ),
    # Public Netlify payloads; the signature as n8n checks it.
    "netlify": Way(
        title="Netlify Forms",
        setup="Forms, Form notifications, HTTP POST request: paste the address, and `secret` as JWS secret token",
        answers=("data",),
        pattern="(?!(?:ip|user_agent|referrer)$).*",
        text=("url",),
        id="id",
        page=("data.referrer",),
        signature=Scheme("X-Webhook-Signature", JWS, "netlify"),
    ),
    # documentation.unbounce.com, "Using a Webhook".
    "unbounce": Way(
        title="Unbounce",
        setup=f"the page's Integrations, Webhooks: {_PASTE}; content type application/x-www-form-urlencoded",
        answers=("data.json",),
        pattern="(?!(?:ip_address|page_uuid|page_url|time_submitted|date_submitted)$).*",
        page=("page_url",),
    ),
    # Cal.com's webhooks, and its testTrigger.handler.ts; the signature as n8n checks it.
    "cal": Way(
        title="Cal.com",
        setup="Settings, Webhooks: paste the address, and `secret` as Secret; leave the payload template as it is",
        answers=("payload.responses",),
        names=("", "label"),
        beside={
            "name": "payload.attendees.0.name", "email": "payload.attendees.0.email", "start_time": "payload.startTime",
        },
        id="payload.uid",
        event="triggerEvent",
        cancels=frozenset({"BOOKING_CANCELLED", "BOOKING_REJECTED"}),
        pings=frozenset({"PING"}),
        signature=Scheme("X-Cal-Signature-256"),
    ),
    # tally.so/help/webhooks, and public receivers.
    "tally": Way(
        title="Tally",
        setup="Integrations, Webhooks: paste the address, and `secret` as Signing secret",
        answers=("data.fields",),
        names=("key", "label"),
        text=("url",),
        id="data.submissionId",
        signature=Scheme("Tally-Signature", "{base64}"),
    ),
}  # fmt: skip

WAYS: Final[Mapping[str, Way]] = {name: replace(row, type=name) for name, row in _ROWS.items()}
"""Each by the name that `type` has in leads.toml."""
