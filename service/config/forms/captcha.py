"""`captcha` and `consent` of a form ► Altcha, Turnstile, Agreement.

Invariant: pure; every mistake goes to the table's report. A secret is never repeated.
"""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from service.config.env_secrets import Environment
from service.config.table import Table, Wrong, guess, is_one_line, listing, quoted, text, what, whole, wrong
from service.config.validators import duration, one_of, tables_by_language
from service.lib.network import host_of
from service.lib.secret import Secret
from service.model.form import Agreement, Altcha, Field, Turnstile

_KINDS: Final[tuple[Literal["altcha", "turnstile"], ...]] = ("altcha", "turnstile")
_ALTCHA: Final = Altcha()
_TURNSTILE: Final = Turnstile("", Secret(""))
_LONGEST: Final = 2_000


def read_captcha(form: Table, environment: Environment) -> Altcha | Turnstile | None:
    """Return the challenge that stands at `captcha` of a form, None where there is none."""
    keys = form.below("captcha")
    if not isinstance(form.keys.get("captcha"), dict):
        return None
    none: Literal["altcha", "turnstile"] | None = None
    type_ = keys.need("type", one_of(_KINDS), none, f"one of {listing(_KINDS)}")
    if type_ is None:
        return None
    captcha = _altcha(keys) if type_ == "altcha" else _turnstile(keys, environment)
    keys.finish()
    return captcha


def _altcha(keys: Table) -> Altcha:
    return Altcha(
        max_number=keys.read("max_number", whole(1_000, 10_000_000), _ALTCHA.max_number),
        expires=keys.read("expires", duration("1m", "1d"), _ALTCHA.expires),
    )


def _turnstile(keys: Table, environment: Environment) -> Turnstile:
    return Turnstile(
        sitekey=keys.need("sitekey", text(200), "", "the site key that Cloudflare shows for your website"),
        secret=keys.need("secret", environment.secret, _TURNSTILE.secret, 'a `$NAME`, such as `"$TURNSTILE_SECRET"`'),
        url=keys.read("url", _verifier, _TURNSTILE.url),
    )


def _verifier(value: object) -> str | Wrong:
    """Take the address that is asked about tokens: what goes there proves who we are, so it is encrypted."""
    if not isinstance(value, str):
        return wrong(f"must be an address such as `{_TURNSTILE.url}`, not {what(value)}")
    try:
        parts = urlsplit(value)
        host, fits = host_of(parts), value.isascii() and is_one_line(value) and " " not in value and parts.port != 0
    except ValueError:
        host, fits = None, False
    if not fits or host is None or "@" in parts.netloc or parts.scheme not in {"http", "https"}:
        return wrong(f"must be an address such as `{_TURNSTILE.url}`")
    if parts.scheme == "http" and not is_loopback(host):
        return wrong("must begin with `https://`: the secret goes there. `http://` is for this machine itself")
    return value


def is_loopback(host: str) -> bool:
    """Tell whether a host, as `host_of` spells it, is this machine itself."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def read_consent(form: Table, fields: Mapping[str, Field]) -> Agreement | None:
    """Return what a visitor of the form agrees to, None where nothing is asked."""
    keys = form.below("consent")
    if not isinstance(form.keys.get("consent"), dict):
        return None
    field = keys.need("field", text(64), "", "the field of type `boolean` by which a visitor agrees")
    agreement = Agreement(
        field=field,
        version=keys.need("version", text(64), "", 'a name for this wording, such as `"2026-11"`'),
        text=keys.need("text", text(_LONGEST), "", "what a visitor agrees to"),
        translations=_translations(keys),
    )
    if field and fields and (field not in fields or fields[field].type != "boolean"):
        boolean = [name for name, field in fields.items() if field.type == "boolean"]
        there = f" There is {listing(boolean)}." if boolean else f' Add fields.{field} = {{ type = "boolean" }}.'
        keys.add(f"{quoted(field)} is no field of type `boolean` of this form.{guess(field, boolean)}{there}", "field")
    return agreement


def _translations(keys: Table) -> dict[str, str]:
    found, tables = tables_by_language(keys, _translation, {"field", "version", "text"})
    keys.finish(hidden=tables)
    return found


def _translation(keys: Table) -> str:
    translated = keys.need("text", text(_LONGEST), "", "the text in this language")
    keys.finish()
    return translated
