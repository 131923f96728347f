"""The builders, embedded forms and captchas that a page shows, each by a mark of its own, and what to do there.

Invariant: data, and looking for it. A way in that is known by name is one of `submission.ways`.
"""

import re
from dataclasses import dataclass
from typing import Final

from service.cli.doctor.markup import FormFound, Page
from service.submission.ways.table import WAYS


@dataclass(frozen=True, slots=True)
class Builder:
    """What made a form: its name, how it is known by attributes or the classes around it, and its way in, if any."""

    name: str
    mark: re.Pattern[str]
    way: str = ""


_FORMS: Final = (
    Builder("Webflow", re.compile(r"\bw-form\b|wf-form-"), "webflow"),
    Builder("Elementor", re.compile(r"elementor-form"), "elementor"),
    Builder("Contact Form 7", re.compile(r"wpcf7"), "cf7"),
    Builder("WPForms", re.compile(r"wpforms"), "wpforms"),
    Builder("Fluent Forms", re.compile(r"frm-fluent-form|fluentform"), "fluent"),
    Builder("Forminator", re.compile(r"forminator"), "forminator"),
    Builder("Ninja Forms", re.compile(r"nf-form|ninja-forms"), "ninja"),
    Builder("Formidable", re.compile(r"frm_forms|frm-show-form"), "formidable"),
    Builder("Gravity Forms", re.compile(r"gform"), "gravity"),
    Builder("Netlify", re.compile(r"data-netlify|netlify"), "netlify"),
    Builder("Framer", re.compile(r"framer-"), "framer"),
    Builder("HubSpot", re.compile(r"hs-form|hbspt-form"), "custom"),
    Builder("Squarespace", re.compile(r"sqs-|react-form-contents"), "custom"),
)
_FRAMES: Final = (
    Builder("Typeform", re.compile(r"typeform\.com"), "typeform"),
    Builder("Jotform", re.compile(r"jotform\.com"), "jotform"),
    Builder("Tally", re.compile(r"tally\.so"), "tally"),
    Builder("Calendly", re.compile(r"calendly\.com"), "calendly"),
    Builder("Cal.com", re.compile(r"//(?:app\.)?cal\.com"), "cal"),
    Builder("HubSpot", re.compile(r"hsforms\.(?:net|com)"), "custom"),
    Builder("Google Forms", re.compile(r"docs\.google\.com/forms"), "custom"),
)
_CAPTCHAS: Final = {
    "turnstile": re.compile(r"cf-turnstile|challenges\.cloudflare\.com/turnstile"),
    "altcha": re.compile(r"<altcha-widget|data-captcha\b|lead-form-altcha"),
    "reCAPTCHA": re.compile(r"g-recaptcha|google\.com/recaptcha|recaptcha\.net"),
    "hCaptcha": re.compile(r"h-captcha|hcaptcha\.com"),
}


def builder_of(form: FormFound) -> Builder | None:
    """Return what made a form, None for one that was written by hand."""
    said = " ".join([*form.attributes, *form.attributes.values(), form.is_inside]).lower()
    return next((builder for builder in _FORMS if builder.mark.search(said)), None)


def embedded_in(page: Page) -> list[Builder]:
    """Return whose forms the page shows in frames, or by a script of theirs."""
    addresses = " ".join([*page.frames, *(script.get("src", "") for script in page.scripts)]).lower()
    return [builder for builder in _FRAMES if builder.mark.search(addresses)]


def captchas_in(page: Page) -> set[str]:
    """Return which captchas a page has."""
    return {name for name, mark in _CAPTCHAS.items() if mark.search(page.text)}


def setup_of(builder: Builder) -> str:
    """Return what to set there, so that it sends what it takes here."""
    return WAYS[builder.way].setup
