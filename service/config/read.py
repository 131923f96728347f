"""`leads.toml` ► Config, or every mistake in it at once.

Invariant: pure; the text, the environment and the reading of files are passed in. Nothing starts with a mistake in
it, and no message repeats what may be a secret. A value is checked here, once, and never again.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from service.config.advice import remarks
from service.config.config import Config, Desk, Mistakes, OpenId, Service
from service.config.destinations.body import Reach, reach
from service.config.destinations.email import read_email
from service.config.destinations.webhook import read_named, read_webhook
from service.config.env_secrets import Environment
from service.config.forms.form import read_form
from service.config.notify import NAMES as NOTICES
from service.config.notify import read_notify, with_notices
from service.config.table import Keys, Mistake, Report, Table, Wrong, flag, quoted, several, table, what, whole, wrong
from service.config.table import text as line
from service.config.validators import check_name, duration, one_of, page_origin, timezone
from service.destinations.destination import Destination
from service.destinations.presets import PRESETS
from service.lib.network import PRIVATE, Network, network
from service.lib.secret import Secret
from service.lib.times import UTC

MOST_REPLICAS: Final = 5
_TAKEN: Final = "is the name of a destination that `[notify]` makes: choose another one"
_NO_ADDRESS: Final = "has no address to go through: set `public_url` in `[service]`"
_CURLY: Final = frozenset("\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb")
KINDS: Final[Mapping[str, Callable[[str, Table, Reach, Environment], Destination]]] = {
    "webhook": read_webhook, "email": read_email, **dict.fromkeys(PRESETS, read_named),
}  # fmt: skip


def parse(text: str, environ: Mapping[str, str], read_file: Callable[[str], str]) -> Config | Mistakes:
    """Read a configuration. `$NAME` is looked up in `environ`, or read by `read_file` from what NAME_FILE names.

    `read_file` raises OSError or ValueError for a file that cannot be read.
    """
    try:
        tree = tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        return Mistakes((Mistake("", "this is nested too deeply"),))
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        broken = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long"
        broken = broken.replace("at end of document", f"at line {text.count(chr(10)) + 1}, the end of the file")
        return Mistakes((Mistake("", f"this is not TOML: {broken}{_about_quotes(text, broken)}"),))
    found = _read(tree, Environment(environ, read_file))
    return replace(found, again=partial(parse, text, environ, read_file)) if isinstance(found, Config) else found


def _about_quotes(text: str, broken: str) -> str:
    """Return the hint that the line has quotes of a word processor, "" if it has none."""
    place = re.search(r"at line (\d+)", broken)
    line = text.split("\n")[int(place[1]) - 1] if place else ""
    return ". Quotes must be straight: \" or ', not curly" if _CURLY & set(line) else ""


def _read(tree: Keys, environment: Environment) -> Config | Mistakes:
    report = Report(tree)
    top = Table((), tree, report)
    forms, destinations = _tables(top, "forms"), _tables(top, "destinations")
    service = _service(top.below("service"), environment)
    desk = _desk(top.below("desk"), environment)
    notify = read_notify(top.below("notify"), tree, desk.public_url, environment)
    top.finish()
    given = tree.get("destinations")
    names = list(given) if isinstance(given, dict) else []
    config = Config(
        {name: read_form(name, keys, names, environment) for name, keys in forms.items()},
        {
            name: destination
            for name, keys in destinations.items()
            if (destination := _read_destination(keys, tree, environment))
        },
    )
    for name, form in config.forms.items() if service.public_url is None else ():
        if form.canary:
            top.add(_NO_ADDRESS, "forms", name, "canary")
    if mistakes := report.mistakes():
        return Mistakes(mistakes)
    config = replace(
        config, service=service, desk=desk if "desk" in tree else None, notify=notify if "notify" in tree else None
    )
    told = with_notices(config)
    return replace(told, warnings=tuple(remarks(told)))


def _tables(top: Table, key: str) -> dict[str, Table]:
    """Return the tables `[forms.NAME]` or `[destinations.NAME]`, those with a bad name too."""
    none: Keys = {}
    given = top.need(key, table, none, f"add at least one table `[{key}.NAME]`")
    if not given and given == top.keys.get(key):
        top.add(f"must have at least one table `[{key}.NAME]`", key)
    below = top.below(key)
    for name in given:
        problem = check_name(name) or (_TAKEN if key == "destinations" and name in NOTICES else None)
        if problem:
            top.add(problem, key, name)
    read = {name: below.below(name) for name in given}
    return {name: keys for name, keys in read.items() if isinstance(given[name], dict)}


def _read_destination(keys: Table, tree: Keys, environment: Environment) -> Destination | None:
    name = keys.path[-1]
    type_ = keys.need("type", one_of(tuple(KINDS)), "", 'write type = "webhook"')
    if "type" in keys.keys and not type_:
        return None
    return KINDS[type_ or "webhook"](name, keys, reach(_forms_to(name, tree)), environment)


def _forms_to(destination: str, tree: Keys) -> Iterator[object]:
    forms = tree.get("forms")
    for form in forms.values() if isinstance(forms, dict) else ():
        deliver = form.get("deliver") if isinstance(form, dict) else None
        if isinstance(deliver, list) and destination in deliver:
            yield form


def _service(keys: Table, environment: Environment) -> Service:
    """Return the service at `keys`."""
    no_url: str | None = None
    no_end: int | None = None
    service = Service(
        replicas=keys.read("replicas", whole(0, MOST_REPLICAS), 0),
        public_url=keys.read("public_url", page_origin, no_url),
        trusted_proxies=keys.read("trusted_proxies", several(_network), ()),
        monitoring=keys.read("monitoring", several(_network), PRIVATE),
        retention=keys.read("retention", duration("1s", "3650d"), no_end),
        durable=keys.read("durable", flag, True),  # noqa: FBT003 -- the default of a setting
        proxy=keys.read("proxy", environment.proxy, Service().proxy),
    )
    keys.finish()
    return service


def _network(value: object) -> Network | Wrong:
    allowed = 'an address or a network such as "127.0.0.1", "10.0.0.0/8" or "2001:db8::/32"'
    if not isinstance(value, str):
        return wrong(f"must be {allowed}, not {what(value)}")
    try:
        return network(value)
    except ValueError:
        return wrong(f"{quoted(value)} is no network: it must be {allowed}")


def _desk(keys: Table, environment: Environment) -> Desk:
    """Return the desk at `keys`."""
    no_url: str | None = None
    desk = Desk(
        public_url=keys.read("public_url", page_origin, no_url),
        timezone=keys.read("timezone", timezone, UTC),
        masked=keys.read("masked", flag, True),  # noqa: FBT003 -- the default of a setting
        oidc=_openid(keys.below("oidc"), environment) if "oidc" in keys.keys else None,
    )
    keys.finish()
    return desk


def _openid(keys: Table, environment: Environment) -> OpenId:
    nothing = Secret("")
    openid = OpenId(
        issuer=keys.need("issuer", _issuer, "", "the address by which the provider calls itself"),
        client_id=keys.need("client_id", line(200), "", "the id that the provider has for this desk"),
        secret=keys.need("secret", environment.secret, nothing, 'write secret = "$NAME"'),
    )
    keys.finish()
    return openid


def _issuer(value: object) -> str | Wrong:
    """Take the provider's address word for word: it must be what its tokens say."""
    allowed = "must be the address by which the provider calls itself, such as `https://login.example.com`"
    if not isinstance(value, str):
        return wrong(f"{allowed}, not {what(value)}")
    parts = urlsplit(value)
    is_plain = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or is_plain):
        return wrong(f"{allowed}: https, without `?` or `#`")
    return value
