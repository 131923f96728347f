"""A page beside the configuration ► what must change, in sentences, with the line to paste.

Invariant: pure. "mend": a submission would be refused, or would not come; "look": it comes, and something is lost or
might be. Nothing is said of a form that has nothing to do with leads, such as a search.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from service.cli.doctor.builders import builder_of, captchas_in, embedded_in, setup_of
from service.cli.doctor.fields import advise_fields, likeness
from service.cli.doctor.finding import Finding, look, mend
from service.cli.doctor.markup import Attributes, FormFound, Page
from service.cli.doctor.security import allows, digest_fits
from service.config.config import Config
from service.lib.origin import of_url
from service.model.form import Altcha, Form, Turnstile
from service.replies.assets import SCRIPT
from service.submission.ways.table import WAYS

LEAST_LIKE: Final = 2
"""So many fields of ours a form that posts elsewhere must have, to be taken for one that should post here."""


class Target(NamedTuple):
    """Which form of ours a form of a page is meant for, and whether it says so itself."""

    form: Form
    posts_here: bool


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found: of each form that matters which of ours it is for, and all findings."""

    url: str
    forms: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_fine(self) -> bool:
        """Whether what visitors send comes in."""
        return bool(self.forms) and not any(finding.level == "mend" for finding in self.findings)


def diagnose(page: Page, headers: Mapping[str, str], config: Config, service: str) -> Diagnosis:
    """Look at a page; `headers` by lower-case name, `service` is the origin of the service, "" if nobody knows it."""
    targets = [(form, target) for form in page.forms if (target := _target(page, form, config))]
    findings = list(_of_the_page(page, headers, [form for form, _ in targets]))
    for form, target in targets:
        findings += [finding.at(form.title) for finding in _of_a_form(page, form, target, headers, service)]
    if any(target.posts_here for _, target in targets):
        findings += _of_the_script(page, headers, service)
    findings += _of_embedded(page, config, service)
    if not targets and not embedded_in(page):
        findings.append(mend("No form of this page has fields of yours. One that a script makes is not seen here."))
    return Diagnosis(page.url, tuple(target.form.name for _, target in targets), tuple(dict.fromkeys(findings)))


def _target(page: Page, form: FormFound, config: Config) -> Target | None:
    named = form.attributes.get("data-lead-form", "") or _name_in(page.resolve(form.attributes.get("action", "")))
    if named in config.forms:
        return Target(config.forms[named], posts_here=True)
    likely = max(config.forms.values(), key=lambda ours: likeness(form, ours))
    if named or likeness(form, likely) >= LEAST_LIKE:
        return Target(likely, posts_here=False)
    return None


def _name_in(address: str) -> str:
    parts = urlsplit(address).path.strip("/").split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "f" else ""


def _of_the_page(page: Page, headers: Mapping[str, str], forms: list[FormFound]) -> Iterator[Finding]:
    said = headers.get("content-type", "").lower().partition("charset=")[2].strip(' "') or page.charset.lower()
    if not forms:
        return
    if not said:
        yield look("The page names no encoding: browsers guess one.", '<meta charset="utf-8">')
    elif said not in {"utf-8", "utf8"} and not all(form.attributes.get("accept-charset") for form in forms):
        yield look(
            f"The page is in {said}: what cannot be written in it reaches you as codes.",
            '<form … accept-charset="utf-8">',
        )


def _of_a_form(
    page: Page, form: FormFound, target: Target, headers: Mapping[str, str], service: str
) -> Iterator[Finding]:
    ours = target.form
    address = f"{service or 'https://SERVICE'}/f/{ours.name}"
    if not target.posts_here:
        yield from _elsewhere(form, ours, address)
        yield from advise_fields(form, ours)
        return
    action = page.resolve(form.attributes.get("action", "")) if "data-lead-form" not in form.attributes else address
    if service and of_url(action) not in {of_url(service), *_downgraded(page, service)}:
        yield mend(f"It posts to {_origin(action)}, and the service is at {service}.", f'action="{address}"')
    yield from _of_the_way(page, form, action)
    if ours.origins is not None and (own := of_url(page.url)) and own not in ours.origins:
        listed = ", ".join(f'"{origin}"' for origin in (*ours.origins, own))
        yield mend(f"{ours.name} takes nothing from {own}.", f"[forms.{ours.name}]\norigins = [{listed}]")
    for policy in _policies(page, headers):
        if not allows(policy, "form-action", action, page.url):
            told = "The page's Content-Security-Policy forbids the form to post there: add to it"
            yield mend(told, f"form-action {_origin(action)}")
    yield from _of_next(page, form, ours)
    yield from _of_captcha(page, ours)
    yield from advise_fields(form, ours)


def _downgraded(page: Page, service: str) -> list[str | None]:
    """Return the service's origin without TLS, of which `_of_the_way` tells."""
    return [of_url(service.replace("https:", "http:", 1))] if page.url.startswith("https:") else []


def _policies(page: Page, headers: Mapping[str, str]) -> list[str]:
    return [*page.policies, *headers.get("content-security-policy", "").split(",")]


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _elsewhere(form: FormFound, ours: Form, address: str) -> Iterator[Finding]:
    builder = builder_of(form)
    if builder is None or builder.way == "webflow":
        where = "in Webflow's Form settings" if builder else "there"
        told = f"It has the fields of {ours.name} and does not post to it: set {where}"
        yield mend(told, f'action="{address}" method="post"')
    elif builder.way:
        yield from _by_way(builder.name, builder.way, setup_of(builder), ours, address)


def _by_way(name: str, type_: str, setup: str, ours: Form, address: str) -> Iterator[Finding]:
    known = next((way.name for way in ours.ways.values() if way.type == type_), None)
    lines = f'[forms.{ours.name}.ways.{type_}]\ntype = "{type_}"\nsecret = "$WAY_SECRET"'
    if known:
        yield look(f"{name} sends it: {setup}. `leads ways --reveal` prints the key.", f"{address}/from/{known}")
    else:
        yield mend(f"{name} sends it, and {ours.name} has no way in for that: {setup}.", lines)


def _of_embedded(page: Page, config: Config, service: str) -> Iterator[Finding]:
    for builder in embedded_in(page):
        ours = next(
            (form for form in config.forms.values() if any(way.type == builder.way for way in form.ways.values())),
            next(iter(config.forms.values())),
        )
        address = f"{service or 'https://SERVICE'}/f/{ours.name}"
        title = WAYS[builder.way].title if builder.way != "custom" else builder.name
        yield from _by_way(f"{title}, in a frame of the page,", builder.way, setup_of(builder), ours, address)


def _of_the_way(page: Page, form: FormFound, action: str) -> Iterator[Finding]:
    """Say what is wrong with how it is sent: by what method, in what kind of body, over what."""
    if form.attributes.get("method", "get").lower() != "post" and "data-lead-form" not in form.attributes:
        yield mend("It is sent in the address, as a search is.", 'method="post"')
    if any(control.type == "file" for control in form.controls):
        yield mend("It has a field for files, which are not taken: NO_FILE_UPLOADS.")
    if form.attributes.get("enctype", "").lower() == "text/plain":
        yield look("Its enctype is text/plain, in which a line of text can pass for a field: take it away.")
    if urlsplit(page.url).scheme == "https" and urlsplit(action).scheme == "http":
        told = "The page is https and posts to http: browsers warn, or stop it."
        yield mend(told, f'action="{action.replace("http:", "https:", 1)}"')


def _of_next(page: Page, form: FormFound, ours: Form) -> Iterator[Finding]:
    said = next((control.values[0] for control in form.controls if control.name == "_next" and control.values), "")
    origin = of_url(page.resolve(said)) if said else None
    if origin and origin not in ours.redirects and origin != of_url(page.url):
        listed = ", ".join(f'"{known}"' for known in (*ours.redirects, origin))
        told = f"_next leads to {origin}, which is not listed: visitors see our own page of thanks."
        yield look(told, f"[forms.{ours.name}]\nredirects = [{listed}]")


def _of_captcha(page: Page, ours: Form) -> Iterator[Finding]:
    there = captchas_in(page)
    wanted = {Altcha: "altcha", Turnstile: "turnstile"}.get(type(ours.captcha), "")
    has_script = any(SCRIPT in script.get("src", "") for script in page.scripts)
    if wanted == "turnstile" and wanted not in there:
        widget = '<div class="cf-turnstile" data-sitekey="…"></div>'
        yield mend(f"{ours.name} asks for Turnstile, and the page has no widget of it.", widget)
    if wanted == "altcha" and wanted not in there and not has_script:
        yield mend(f"{ours.name} asks for a challenge, and the page has neither its widget nor {SCRIPT}.")
    for other in sorted(there - {wanted}):
        if not (other == "altcha" and has_script):
            yield look(f"The page has {other}, which {ours.name} does not check: it keeps nobody out.")


def _of_the_script(page: Page, headers: Mapping[str, str], service: str) -> Iterator[Finding]:
    ours = [script for script in page.scripts if urlsplit(script.get("src", "")).path.endswith(f"/{SCRIPT}")]
    line = f'<script src="{service or "https://SERVICE"}/{SCRIPT}" defer></script>'
    if not ours:
        yield look("Without the script visitors leave the page to be thanked.", line)
        return
    source = page.resolve(ours[0]["src"])
    if service and of_url(source) != of_url(service):
        yield look(f"The script is loaded from {_origin(source)}.", line)
    yield from _of_integrity(ours[0])
    stopping = [
        directive
        for directive in ("script-src", "connect-src")
        if not all(allows(policy, directive, source, page.url) for policy in _policies(page, headers))
    ]
    for directive in stopping:
        told = "The page's Content-Security-Policy stops the script: add to it"
        yield mend(told, f"{directive} {_origin(source)}")


def _of_integrity(script: Attributes) -> Iterator[Finding]:
    said = script.get("integrity", "")
    if said and not digest_fits(said):
        yield mend("The script's integrity is not that of this version: browsers do not run it. Take it away.")
    elif said and "crossorigin" not in script:
        yield mend("A script with integrity needs crossorigin, or browsers do not run it.", "crossorigin")
