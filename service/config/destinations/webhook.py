"""`[destinations.NAME]` with `type = "webhook"` ► Webhook.

Invariant: pure; every mistake goes to the table's report. Values of `url`, `secret` and `headers` are never repeated.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from service.config.destinations.answers import read_keep, read_place, read_rules, read_statuses
from service.config.destinations.body import Reach, Words
from service.config.destinations.oauth import read_oauth
from service.config.destinations.signature import read_secrets, read_signature
from service.config.env_secrets import Environment, asks_for_secret, header_asks_for_secret
from service.config.table import Table, Wrong, flag, listing, quoted, several, text, whole, wrong
from service.config.validators import duration, one_of, rate
from service.destinations.envelope import PLAIN_PATHS, RECORD, TOKEN
from service.destinations.presets import PRESETS
from service.destinations.template import Node, Path, Pattern, Placeholder, split
from service.destinations.webhook import METHODS, Webhook
from service.lib.network import host_of
from service.lib.secret import Secret

RESERVED_HEADERS: Final = (
    "host", "content-length", "content-type", "transfer-encoding", "connection",
    "webhook-id", "webhook-timestamp", "webhook-signature",
)  # fmt: skip
_NAME: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_SETTING: Final = 200
_UNSET: Final = "unset"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_CONTENT_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+(; ?charset=[a-zA-Z0-9-]+)?")
_MAY_STAND_IN_A_PATH: Final = "/:@"
_URL: Final = re.compile(r"[!-~\u00a1-\U0010ffff]{1,2000}")
_FORMATS: Final[tuple[Literal["json", "form"], ...]] = ("json", "form")
_TOKEN_HERE: Final = Placeholder((Path(TOKEN),))
_DEFAULT: Final = Webhook("", ())


def read_named(name: str, keys: Table, reach: Reach, environment: Environment) -> Webhook:
    """Return the destination at `keys` whose type is the name of a preset: the file's own lines come before those."""
    preset = PRESETS[str(keys.keys["type"])]
    own: dict[str, Any] = dict(keys.keys)
    secret = partial(_secret_name, environment=environment)
    settings = {
        key: keys.need(key, secret if setting.is_secret else text(_LONGEST_SETTING), _UNSET, setting.means)
        for key, setting in preset.settings.items()
    }
    given = preset.filled(settings)
    if _UNSET in settings.values():  # Reported; what is made of it would be wrong once more.
        own = {key: value for key, value in own.items() if key not in settings}
        given = {"url": "https://unset.example/", "body": {"id": "{id}"}}
    for key in ("headers", "update"):
        if isinstance(own.get(key), dict):
            given[key] = given.get(key, {}) | own.pop(key)
    if isinstance(own.get("rules"), list):
        given["rules"] = own.pop("rules") + given.get("rules", [])
    body = given.pop("body")
    keys.keys = given | own
    return replace(read_webhook(name, keys, reach, environment, body=body), needs_proof=False)


def _secret_name(value: object, environment: Environment) -> str | Wrong:
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        return wrong('must be a `$NAME`: a secret is never written into this file. Write "$NAME", and set it outside')
    found = environment.find(value.removeprefix("$"))
    return found if isinstance(found, Wrong) else value


def read_webhook(name: str, keys: Table, reach: Reach, environment: Environment, *, body: object = None) -> Webhook:
    """Return the webhook at `keys`. `reach` is what the forms that deliver to it can tell, `body` that of a preset."""
    keys.read("type", lambda _: None, None)
    form = keys.read("format", one_of(_FORMATS), _DEFAULT.format)
    own = frozenset(path for path, key in ((RECORD, "keep"), (RECORD, "find"), (TOKEN, "oauth")) if key in keys.keys)
    words = Words(keys, environment, replace(reach, own=own), flat=form == "form")
    statuses, scheme = read_statuses(keys), read_signature(keys, RESERVED_HEADERS)
    as_new = keys.read("repeat_as", one_of(("new",)), "") == "new"
    webhook = Webhook(
        name=name,
        url=_url(keys, words),
        secrets=read_secrets(keys, scheme, environment),
        signature=scheme,
        headers=_headers(keys.below("headers"), words),
        format=form,
        body=_body(keys, words) if body is None else _body_over(body, keys, words),
        method=keys.read("method", one_of(METHODS), _DEFAULT.method),
        content_type=keys.read("content_type", _content_type, ""),
        timeout=keys.read("timeout", duration("100ms", "5m"), _DEFAULT.timeout),
        retry=keys.read("retry", several(duration("1ms", "30d")), _DEFAULT.retry),
        rate=keys.read("rate", rate, None),
        concurrency=keys.read("concurrency", whole(1, 64), _DEFAULT.concurrency),
        allow_private=keys.read("allow_private", flag, _DEFAULT.allow_private),
        ca=keys.read("ca", environment.authorities, _DEFAULT.ca),
        proxy=keys.read("proxy", lambda value: Secret("") if value == "" else environment.proxy(value), _DEFAULT.proxy),
        updates=keys.read("updates", flag, _DEFAULT.updates) or as_new,
        rules=read_rules(keys),
        keep=read_keep(keys),
        as_new=as_new,
        oauth=read_oauth(keys, environment),
        delivered=statuses["delivered"],
        rejected=statuses["rejected"],
        retried=statuses["retried"],
    )
    _look_at_what_is_named(keys, webhook)
    words = words if body is None else _any(words)
    webhook = replace(webhook, update=_update(keys, words, webhook), find=_find(keys, words, webhook))
    keys.finish()
    return webhook


def _look_at_what_is_named(keys: Table, webhook: Webhook) -> None:
    """Report a record that nobody can know yet, and a token that goes nowhere."""
    lines = [(("url",), webhook.url), *((("headers", name), line) for name, line in webhook.headers.items())]
    for place, line in lines:
        if any(part == Placeholder((Path(RECORD),)) for part in line):
            keys.add("needs `{record}`, which the first request has yet to make: name it in `update`", *place)
    if webhook.oauth and not any(_TOKEN_HERE in line for _, line in lines):
        keys.add("fetches a token that nothing names: write `{token}` in a header", "oauth")


def _update(keys: Table, words: Words, webhook: Webhook) -> Webhook | None:
    """Return what is sent once the record is known: the same, but for what `update` says."""
    below = keys.below("update")
    if "update" not in keys.keys:
        return None
    if not {"keep", "find"}.intersection(keys.keys):
        below.add("needs `keep` or `find`, which say where an answer names the record that is updated")
    words = replace(words, keys=below)
    update = replace(
        webhook,
        url=_url(below, words) if "url" in below.keys else webhook.url,
        method=below.read("method", one_of(METHODS), webhook.method),
        body=_body(below, words) if "body" in below.keys else webhook.body,
        follows=below.read("follows", flag, _DEFAULT.follows),
    )
    below.read("url", lambda _: None, None)
    below.read("body", lambda _: None, None)
    below.finish()
    return update


def _find(keys: Table, words: Words, webhook: Webhook) -> Webhook | None:
    """Return what asks whether the lead has a record already, and whose answer names that."""
    below = keys.below("find")
    if "find" not in keys.keys:
        return None
    if "update" not in keys.keys:
        below.add("needs `update`, which says what is sent for the record that is found")
    url, keep, none = _url(below, replace(words, keys=below)), read_place(below), frozenset[int]()
    below.finish()
    return replace(webhook, url=url, method="GET", keep=keep, rules=(), delivered=none, rejected=none, retried=none)


def _url(keys: Table, words: Words) -> Pattern:
    missing: object = None
    written = keys.need("url", lambda value: value, missing, "the address that takes the leads")
    if written is missing:
        return ()
    url = _in_place(words.line(written, "url"))
    if isinstance(written, str) and _is_whole(written, url) and (problem := _problem_of_url(url)):
        keys.add(problem, "url")
        return ()
    return url


def _in_place(url: Pattern) -> Pattern:
    """Return an address whose secrets behind the host are percent-encoded, so that they stay what they are.

    One that begins the address, or is part of its host, is taken as it is.
    """
    parts: list[str | Secret | Placeholder] = []
    for part in url:
        _, is_address, behind = _example(tuple(parts), "a").partition("://")
        if isinstance(part, Secret) and is_address and "/" in behind:
            parts.append(Secret(quote(part.reveal(), safe="" if "?" in behind else _MAY_STAND_IN_A_PATH)))
        else:
            parts.append(part)
    return tuple(parts)


def _is_whole(written: str, line: Pattern) -> bool:
    """Tell whether each piece of a line could be read; what could not is reported already."""
    return len([*split(written)]) == len(line)


def _example(line: Pattern, standing_for_a_value: str) -> str:
    """Return a line as it may come out."""
    shown = (part.reveal() if isinstance(part, Secret) else part for part in line)
    return "".join(part if isinstance(part, str) else standing_for_a_value for part in shown)


def _problem_of_url(url: Pattern) -> str | None:
    """Say what is wrong with an address, without repeating it. What passes here, httpx takes."""
    example = _example(url, "a")
    try:
        parts, other = urlsplit(example), urlsplit(_example(url, "b"))
        if parts.netloc != other.netloc:
            return "must not have a placeholder in its host: what a visitor types would say where leads go"
        is_address = (
            parts.port != 0 and _URL.fullmatch(example) and parts.scheme in {"http", "https"} and host_of(parts)
        )
    except ValueError:
        return "must be an address such as `https://crm.example.com/hooks/leads`"
    if not is_address:
        return "must be an address that begins with `https://` or `http://` and a host, without spaces"
    if "@" in parts.netloc:
        return 'must not have a user and password in it: write headers = { Authorization = "Basic $NAME" }'
    if names := _literal_secrets(url):
        return f"holds a literal where a secret belongs, at {listing(names)}: write `$NAME` there"
    return None


def _literal_secrets(url: Pattern) -> list[str]:
    """Return the parameters of an address that ask for a secret and stand there in the open."""
    if any(isinstance(part, Secret) for part in url):
        return []
    return [key for key, value in parse_qsl(urlsplit(_example(url, "")).query) if asks_for_secret(key) and value]


def _content_type(value: object) -> str | Wrong:
    if isinstance(value, str) and _CONTENT_TYPE.fullmatch(value):
        return value
    return wrong("must be a type such as `application/vnd.api+json`")


def _headers(keys: Table, words: Words) -> Mapping[str, Pattern]:
    headers: dict[str, Pattern] = {}
    for name in keys.keys:
        written = keys.read(name, lambda value: value, None)
        headers[name] = words.line(written, "headers", name)
        problem = _problem_of_header_name(name, [other.lower() for other in headers if other != name])
        if not problem and isinstance(written, str) and _is_whole(written, headers[name]):
            problem = _problem_of_header_value(name, headers[name])
        if problem:
            keys.add(problem, name)
    return headers


def _problem_of_header_name(name: str, others: Collection[str]) -> str | None:
    if not _TOKEN.fullmatch(name):
        return "is no name for a header: use letters, digits and `-`"
    if name.lower() in RESERVED_HEADERS:
        return f"is set by the service and cannot be changed; so are {listing(RESERVED_HEADERS)}"
    if name.lower() in others:
        return "is named twice: case does not count in the name of a header"
    return None


def _problem_of_header_value(name: str, value: Pattern) -> str | None:
    if not _VALUE.fullmatch(_example(value, "a")):
        return "must have plain ASCII characters only, no line breaks, and no blanks at its ends"
    if value and name.lower() == "idempotency-key" and not any(isinstance(part, Placeholder) for part in value):
        return 'would be the same for every lead: leave it out, or write "" to send none'
    is_given = any(isinstance(part, Secret) or part == _TOKEN_HERE for part in value)
    if value and header_asks_for_secret(name) and not is_given:
        return (
            'holds a literal where a secret belongs: write "$NAME", or "Bearer $NAME", and put it into the environment'
        )
    return None


def _any(words: Words) -> Words:
    """Return what reads texts that may name any field, as those of a preset do."""
    return replace(words, reach=replace(words.reach, fields=None, phone=True, never_extra=frozenset(), consent=True))


def _body_over(body: object, keys: Table, words: Words) -> "Node | None":
    """Return a preset's body with what the file says laid over it; the preset may name fields that no form has."""
    below = _any(words).body(body)
    above = _body(keys, words)
    return below if above is None else _laid_over(below, above)


def _laid_over(below: Node, above: Node) -> Node:
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {
        **below,
        **{key: _laid_over(below.get(key, ()), node) for key, node in above.items()},
    }


def _body(keys: Table, words: Words) -> "Node | None":
    missing: object = None
    written = keys.read("body", lambda value: value, missing)
    if written is not missing:
        return words.body(written)
    taken = sorted(set(words.reach.fields or ()) & set(PLAIN_PATHS)) if words.flat else []
    for name in taken:
        keys.add(
            f"the field {quoted(name)} would be sent under a name that is ours: name what is sent in `body`", "format"
        )
    return None
