"""`[forms.NAME]` ► Form.

Invariant: pure; every mistake goes to the table's report, and what comes back is only used if there is none.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

from service.config.env_secrets import Environment
from service.config.forms.captcha import read_captcha, read_consent
from service.config.forms.field import LONGEST_NAME, read_fields
from service.config.forms.ways import read_ways
from service.config.table import (
    Table,
    Wrong,
    flag,
    guess,
    listing,
    quoted,
    several,
    text,
    what,
    whole,
    wrong,
)
from service.config.validators import (
    duration,
    in_languages,
    one_of,
    page_origin,
    rate,
    region,
    show,
    tables_by_language,
    timezone,
)
from service.fields.field_name import owner_of
from service.model import languages
from service.model.form import SIGNALS, Altcha, Canary, Field, Form, Limits, Messages, Spam, Theme, Turnstile
from service.submission.form_data import control_of

_REPEATS: Final[tuple[Literal["update", "drop"], ...]] = ("update", "drop")
_JUNK: Final[tuple[Literal["accept", "quarantine", "reject"], ...]] = ("accept", "quarantine", "reject")
_TEXTS: Final = ("success", "failure", "valid", "check", "next_steps")
_LONGEST_TITLE: Final = 200
HEAVIEST: Final = 1_000
MOST_FONTS: Final = 8
_COLOUR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_LENGTH: Final = re.compile(r"0|[0-9]{1,2}(?:\.[0-9]{1,3})?(?:px|rem|em)")
_FONT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,62}[A-Za-z0-9])?")
_DEFAULT: Final = Form("", {}, ())

Names = tuple[str, ...]


def read_form(name: str, keys: Table, destinations: Collection[str], environment: Environment) -> Form:
    """Return the form at `keys`. `destinations` are the names that `deliver` may hold."""
    country, countries = _countries(keys)
    language = keys.read("language", one_of((*languages.codes(), languages.AUTO)), _DEFAULT.language)
    own = languages.own(language)
    messages, (window, quiet) = _messages(keys.below("messages"), own), _times(keys)
    fields, titles = read_fields(keys, own), keys.read("title", in_languages(_LONGEST_TITLE), _DEFAULT.titles)
    form = Form(
        name=name,
        title=titles.get("") or titles.get(own) or _title(name),
        titles=titles,
        country=country,
        countries=countries,
        origins=_origins(keys),
        redirects=keys.read("redirects", several(page_origin), ()),
        deliver=_deliver(keys, destinations),
        window=window,
        quiet=quiet,
        repeat=keys.read("repeat", one_of(_REPEATS), _DEFAULT.repeat),
        allow_extra=keys.read("allow_extra", flag, _DEFAULT.allow_extra),
        honeypot=_honeypot(keys, fields),
        junk=keys.read("junk", one_of(_JUNK), _DEFAULT.junk),
        spam=_spam(keys),
        fields=fields,
        language=language,
        messages=messages.pop(own),
        translations=messages,
        theme=_theme(keys),
        webflow=keys.read("webflow", flag, _DEFAULT.webflow),
        webflow_secret=keys.read("webflow_secret", environment.secret, None),
        limits=_limits(keys.below("limits")),
        captcha=read_captcha(keys, environment),
        consent=read_consent(keys, fields),
        timezone=keys.read("timezone", timezone, _DEFAULT.timezone),
        ways=read_ways(keys, environment),
        canary=_canary(keys),
    )
    keys.finish()
    return form


def _times(keys: Table) -> tuple[int, int]:
    """Return `window` and `quiet`."""
    window = keys.read("window", duration("1s", "3650d"), _DEFAULT.window)
    quiet = keys.read("quiet", duration("0s", "3650d"), min(_DEFAULT.quiet, window))
    if quiet > window:
        keys.add(f"must not be longer than `window`, which is {show(window)}", "quiet")
    return window, quiet


def _countries(keys: Table) -> tuple[str, Names]:
    country = keys.read("country", region, _DEFAULT.country)
    countries = keys.read("countries", several(region), _DEFAULT.countries)
    return country, countries if country in countries else (country, *countries)


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split("-") if word)


def _honeypot(keys: Table, fields: Mapping[str, Field]) -> str:
    name = keys.read("honeypot", text(LONGEST_NAME), _DEFAULT.honeypot)
    control = control_of(name, _DEFAULT.honeypot)
    owner = owner_of(fields, name) if control is None else None
    if owner:
        keys.add(f"is the field {quoted(owner)}, which people fill in", "honeypot")
    elif name in {Altcha.FIELD, Turnstile.FIELD} or control not in {None, "gotcha"}:
        keys.add(f"{quoted(name)} means something else here", "honeypot")
    return name


def _origins(keys: Table) -> Names | None:
    none: Names | None = None
    return keys.read("origins", several(page_origin), none)


def _deliver(keys: Table, destinations: Collection[str]) -> Names:
    none: Names = ()

    def existing(value: object) -> str | Wrong:
        if not isinstance(value, str):
            return wrong(f"must be the name of a destination, not {what(value)}")
        if value in destinations:
            return value
        there = f"There are {listing(destinations)}." if destinations else f"Add a table `[destinations.{value}]`."
        return wrong(f"there is no destination {quoted(value)}.{guess(value, destinations)} {there}")

    names = keys.need("deliver", several(existing, at_least=1), none, 'a list of destinations, such as `["crm"]`')
    if len(set(names)) < len(names):
        keys.add("names a destination twice", "deliver")
    return names


def _canary(form: Table) -> Canary | None:
    """Return the canary of the form at `form`, None without one: how often, or a table that says more."""
    every = duration("5m", "30d")
    if not isinstance(form.keys.get("canary"), dict):
        often = form.read("canary", every, 0)
        return Canary(often) if often else None
    keys, none, deliver = form.below("canary"), Names(), form.keys.get("deliver")
    canary = Canary(
        keys.need("every", every, 0, 'how often, such as "6h"'),
        keys.read("deliver", several(one_of(deliver if isinstance(deliver, list) else ())), none),
    )
    keys.finish()
    return canary


def _messages(keys: Table, own: str) -> dict[str, Messages]:
    """Return the texts by the code of their language; those that stand for themselves are of the form's `own`."""
    found, tables = tables_by_language(keys, _texts, _TEXTS)
    texts, also = _texts(keys, hidden=tables), found.pop(own, Messages())
    for key in _TEXTS:
        if getattr(texts, key) and getattr(also, key):
            keys.add(f"is `messages.{key}` a second time: {quoted(own)} is the form's own language", own, key)
    return found | {own: Messages(*(getattr(texts, key) or getattr(also, key) for key in _TEXTS))}


def _texts(keys: Table, hidden: Sequence[str] = ()) -> Messages:
    none: str | None = None
    texts = Messages(*(keys.read(key, text(1_000), none) for key in _TEXTS))
    keys.finish(hidden=hidden)
    return texts


def _spam(form: Table) -> Spam:
    """Return what the form at `form` makes of signals; a weight that it does not name is the usual one."""
    keys = form.below("spam")
    none: int | None = None
    limit = keys.read("limit", whole(0, HEAVIEST), none)
    weights = keys.below("weights")
    spam = Spam(limit, {name: weights.read(name, whole(0, HEAVIEST), weight) for name, weight in SIGNALS.items()})
    weights.finish()
    keys.finish()
    return spam


def _limits(keys: Table) -> Limits:
    """Return the limits at `keys`; none where they are left out."""
    none = Limits()
    limits = Limits(
        address=keys.read("address", rate, none.address),
        form=keys.read("form", rate, none.form),
        person=keys.read("person", rate, none.person),
    )
    keys.finish()
    return limits


def _theme(form: Table) -> Theme | None:
    """Return the theme of the form at `form`, None without one: it can never be other CSS."""
    if "theme" not in form.keys:
        form.below("theme")
        return None
    keys = form.below("theme")
    none: str | None = None
    theme = Theme(
        accent=keys.read("accent", _colour, none),
        radius=keys.read("radius", _length, none),
        font=keys.read("font", _fonts, ()),
    )
    keys.finish()
    return theme


def _colour(value: object) -> str | Wrong:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        return wrong(f"must be a colour such as `#0b6` or `#00bb66`, not {_shown(value)}")
    return value.lower() if len(value) > len("#0b6") else "#" + "".join(digit * 2 for digit in value[1:].lower())


def _length(value: object) -> str | Wrong:
    if not isinstance(value, str) or not _LENGTH.fullmatch(value):
        return wrong(f"must be a length such as `8px`, `0.5rem` or `0`, not {_shown(value)}")
    return value


def _fonts(value: object) -> tuple[str, ...] | Wrong:
    """Take names of fonts that the visitor may have, the best first: a list, or a text with commas."""
    names = several(_font)(value.split(",") if isinstance(value, str) else value)
    if isinstance(names, Wrong):
        return names
    return names if len(names) <= MOST_FONTS else wrong(f"must be {MOST_FONTS} fonts at most")


def _font(value: object) -> str | Wrong:
    name = value.strip() if isinstance(value, str) else ""
    if _FONT.fullmatch(name):
        return name
    return wrong(f"must be the name of a font, such as `Georgia`, not {_shown(value)}")


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else what(value)
