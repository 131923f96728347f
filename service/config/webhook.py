"""`[destinations.NAME]` with `type = "webhook"` ► Webhook.

Invariant: pure; every mistake goes to the table's report. Values of `url`, `secret` and `headers` are never repeated.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from service.config.body import Body, Reach
from service.config.env_secrets import Environment, asks_for_secret, header_asks_for_secret
from service.config.table import Table, Wrong, flag, listing, say, several, table, whole, wrong
from service.config.validators import duration, one_of, rate
from service.destinations.envelope import PLAIN_PATHS
from service.destinations.template import Node
from service.destinations.webhook import Webhook
from service.lib.network import host_of
from service.lib.secret import Secret, Text, reveal

RESERVED_HEADERS: Final = (
    "host", "content-length", "content-type", "transfer-encoding", "connection",
    "webhook-id", "webhook-timestamp", "webhook-signature",
)  # fmt: skip
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_URL: Final = re.compile(r"[!-~\u00a1-\U0010ffff]{1,2000}")
_FORMATS: Final[tuple[Literal["json", "form"], ...]] = ("json", "form")
_DEFAULT: Final = Webhook("", ())


def read_webhook(name: str, keys: Table, reach: Reach, environment: Environment) -> Webhook:
    """Return the webhook at `keys`. `reach` is what the forms that deliver to it can tell."""
    keys.read("type", lambda _: None, None)
    form = keys.read("format", one_of(_FORMATS), _DEFAULT.format)
    webhook = Webhook(
        name=name,
        url=keys.need("url", lambda value: _url(value, environment), (), "the address that takes the leads"),
        secrets=keys.read("secret", lambda value: _secrets(value, environment), ()),
        headers=_headers(keys.below("headers"), environment),
        format=form,
        body=_body(keys, environment, reach, flat=form == "form"),
        timeout=keys.read("timeout", duration("100ms", "5m"), _DEFAULT.timeout),
        retry=keys.read("retry", several(duration("1ms", "30d")), _DEFAULT.retry),
        rate=keys.read("rate", rate, None),
        concurrency=keys.read("concurrency", whole(1, 64), _DEFAULT.concurrency),
        allow_private=keys.read("allow_private", flag, _DEFAULT.allow_private),
        updates=keys.read("updates", flag, _DEFAULT.updates),
        delivered=_statuses(keys, "delivered"),
        rejected=_statuses(keys, "rejected"),
        retried=_statuses(keys, "retried"),
    )
    _look_for_status_in_two(keys, webhook)
    keys.finish()
    return webhook


def _url(value: object, environment: Environment) -> Text | Wrong:
    url = environment.text(value)
    return url if isinstance(url, Wrong) else _problem_of_url(url) or url


def _problem_of_url(url: Text) -> Wrong | None:
    """Say what is wrong with an address, without repeating it. What passes here, httpx takes."""
    text = reveal(url)
    try:
        parts = urlsplit(text)
        is_address = parts.port != 0 and _URL.fullmatch(text) and parts.scheme in {"http", "https"} and host_of(parts)
    except ValueError:
        return wrong("must be an address such as `https://crm.example.com/hooks/leads`")
    if not is_address:
        return wrong("must be an address that begins with `https://` or `http://` and a host, without spaces")
    if "@" in parts.netloc:
        return wrong('must not have a user and password in it: write headers = { Authorization = "Basic $NAME" }')
    if names := _literal_secrets(url):
        return wrong(f"holds a literal where a secret belongs, at {listing(names)}: write `$NAME` there")
    return None


def _literal_secrets(url: Text) -> list[str]:
    """Return the parameters of an address that ask for a secret and stand there in the open."""
    if any(isinstance(part, Secret) for part in url):
        return []
    return [key for key, text in parse_qsl(urlsplit(reveal(url)).query) if asks_for_secret(key) and text]


def _secrets(value: object, environment: Environment) -> tuple[Secret, ...] | Wrong:
    if isinstance(value, list):
        return several(environment.signing_secret, at_least=1)(value)
    one = environment.signing_secret(value)
    return one if isinstance(one, Wrong) else (one,)


def _headers(keys: Table, environment: Environment) -> Mapping[str, Text]:
    headers: dict[str, Text] = {}
    for name in keys.keys:
        headers[name] = keys.read(name, environment.text, ())
        problem = _problem_of_header(name, headers[name], [each.lower() for each in headers if each != name])
        if problem:
            keys.add(problem, name)
    return headers


def _problem_of_header(name: str, value: Text, others: Collection[str]) -> str | None:
    return _problem_of_header_name(name, others) or _problem_of_header_value(name, value)


def _problem_of_header_name(name: str, others: Collection[str]) -> str | None:
    if not _TOKEN.fullmatch(name):
        return "is no name for a header: use letters, digits and `-`"
    if name.lower() in RESERVED_HEADERS:
        return f"is set by the service and cannot be changed; so are {listing(RESERVED_HEADERS)}"
    if name.lower() in others:
        return "is named twice: case does not count in the name of a header"
    return None


def _problem_of_header_value(name: str, value: Text) -> str | None:
    if not _VALUE.fullmatch(reveal(value)):
        return "must have plain ASCII characters only, no line breaks, and no blanks at its ends"
    if value and name.lower() == "idempotency-key":
        return 'would be the same for every lead: leave it out, or write "" to send none'
    if value and header_asks_for_secret(name) and not any(isinstance(part, Secret) for part in value):
        return (
            'holds a literal where a secret belongs: write "$NAME", or "Bearer $NAME", and put it into the environment'
        )
    return None


def _body(keys: Table, environment: Environment, reach: Reach, *, flat: bool) -> Mapping[str, Node] | None:
    body = keys.read("body", table, None)
    if body is not None:
        return Body(keys.below("body"), environment, reach, flat).read()
    taken = sorted(set(reach.fields or ()) & set(PLAIN_PATHS)) if flat and "body" not in keys.keys else []
    for name in taken:
        keys.add(
            f"the field {say(name)} would be sent under a name that is ours: name what is sent in `body`", "format"
        )
    return None


def _statuses(keys: Table, key: str) -> frozenset[int]:
    none: tuple[int, ...] = ()
    return frozenset(keys.read(key, several(whole(100, 599)), none))


def _look_for_status_in_two(keys: Table, webhook: Webhook) -> None:
    lists = {"delivered": webhook.delivered, "rejected": webhook.rejected, "retried": webhook.retried}
    for key, earlier in (("rejected", ["delivered"]), ("retried", ["delivered", "rejected"])):
        for other in earlier:
            for status in sorted(lists[key] & lists[other]):
                keys.add(f"{status} is already in `{other}`: an answer means one thing", key)
