"""`[forms.NAME.ways]` ► ways in, each a row of `submission.ways` with what the file says laid over it.

Invariant: pure; every mistake goes to the table's report. A secret is never repeated.
"""

import re
from dataclasses import replace
from typing import Final, get_args

from service.config.env_secrets import Environment
from service.config.table import Table, Wrong, listing, quoted, several, text, what, wrong
from service.config.validators import check_name, one_of
from service.lib.signature import JWS, Scheme
from service.model.way import Held, Way
from service.submission.ways.table import WAYS

_HELD: Final[tuple[Held, ...]] = get_args(Held)
_LONGEST_PLACE: Final = 200
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,100}")


def read_ways(form: Table, environment: Environment) -> dict[str, Way]:
    """Return the ways into the form at `form`, by name."""
    below = form.below("ways")
    ways: dict[str, Way] = {}
    for name in below.keys:
        if problem := check_name(name):
            below.add(problem, name)
        keys = below.below(name)
        if isinstance(below.keys[name], dict):
            ways[name] = _way(name, keys, environment)
    return ways


def _way(name: str, keys: Table, environment: Environment) -> Way:
    type_ = keys.need("type", one_of(tuple(WAYS)), "", f"one of {listing(WAYS)}")
    row = WAYS[type_ or "custom"]
    if row.type == "forminator" and "zapier" in f"{keys.path}":
        keys.add("has `zapier` in its address, for which Forminator gives its answers other names: call it otherwise")
    way = replace(
        row,
        name=name,
        secret=keys.need("secret", environment.secret, None, 'a `$NAME`, such as `"$FORM_KEY"`: what proves a sender'),
        answers=keys.read("answers", several(_place, at_least=1), row.answers),
        names=keys.read("names", several(_place, at_least=1), row.names),
        value=keys.read("value", text(_LONGEST_PLACE), row.value),
        id=keys.read("id", text(_LONGEST_PLACE), row.id),
        page=keys.read("page", several(_place), row.page),
        test=keys.read("test", text(_LONGEST_PLACE), row.test),
        key=keys.read("key", text(_LONGEST_PLACE), row.key),
        signature=_signature(keys, row.signature),
        tests=keys.read("tests", one_of(_HELD), row.tests),
        cancelled=keys.read("cancelled", one_of(_HELD), row.cancelled),
    )
    keys.finish()
    return way


def _place(value: object) -> str | Wrong:
    return value if value == "" and isinstance(value, str) else text(_LONGEST_PLACE)(value)


def _signature(way: Table, usual: Scheme | None) -> Scheme | None:
    keys = way.below("signature")
    if not isinstance(way.keys.get("signature"), dict):
        return usual
    plain = usual or Scheme("")
    scheme = Scheme(
        header=keys.need("header", _header, plain.header, "the name of the header that carries it"),
        form=keys.read("form", _form, plain.form),
        of=keys.read("of", _signed, plain.of),
        time=keys.read("time", _header, plain.time),
    )
    keys.finish()
    has_time = bool(scheme.time) or "{t}" in scheme.form
    if scheme.form != JWS and has_time != ("{t}" in scheme.of or f"{{{scheme.time}}}" in scheme.of):
        keys.add("names a time in one of `form` and `of` and not in the other: what is not signed proves nothing")
    return scheme


def _header(value: object) -> str | Wrong:
    if isinstance(value, str) and _HEADER.fullmatch(value):
        return value
    return wrong("must be the name of a header, such as `X-Signature`")


def _form(value: object) -> str | Wrong:
    if isinstance(value, str) and sum(value.count(part) for part in ("{hex}", "{base64}", JWS)) == 1:
        return value
    return wrong(
        f"must have one of `{{hex}}`, `{{base64}}` or be `{JWS}`, such as `sha256={{hex}}`, not {_shown(value)}"
    )


def _signed(value: object) -> str | Wrong:
    if isinstance(value, str) and "{body}" in value:
        return value
    return wrong(f"must have `{{body}}` in it, such as `{{t}}.{{body}}`, not {_shown(value)}")


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else what(value)
