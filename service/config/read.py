"""`leads.toml` ► Config, or every mistake in it at once.

Law: pure; the text, the environment and the reading of files are passed in. Nothing starts with a mistake in it, and
no message repeats what may be a secret. A value is checked here, once, and never again.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from service.config.body import reach
from service.config.env_secrets import Environment
from service.config.form import read_form
from service.config.service import Service, read_service
from service.config.table import Keys, Mistake, Report, Table, table
from service.config.validators import check_name, one_of, show
from service.config.webhook import read_webhook
from service.destinations.template import Node, Template
from service.destinations.webhook import Webhook
from service.lib.network import host_of, is_private
from service.lib.secret import Secret, mask
from service.lib.weak_secrets import weakness
from service.model.form import Form, Limits, Turnstile

__all__ = ["Config", "Mistake", "Mistakes", "Remark", "parse"]

SHORTEST_SECRET: Final = 16

_KINDS: Final = {"webhook": read_webhook}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no mistake and still worth telling: the path of the setting and a sentence."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration without a mistake, forms and destinations by name in the order of the file."""

    forms: Mapping[str, Form]
    destinations: Mapping[str, Webhook]
    warnings: tuple[Remark, ...] = ()
    service: Service = field(default_factory=Service)

    @property
    def forms_by_destination(self) -> dict[str, tuple[Form, ...]]:
        """For each destination the forms that deliver to it; none for one that nobody uses."""
        forms = self.forms.values()
        return {name: tuple(form for form in forms if name in form.deliver) for name in self.destinations}


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Why a configuration is refused: every mistake, in the order of the file."""

    items: tuple[Mistake, ...]


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
        return Mistakes((Mistake("", f"this is not TOML: {broken}"),))
    return _read(tree, Environment(environ, read_file))


def _read(tree: Keys, environment: Environment) -> Config | Mistakes:
    report = Report(tree)
    top = Table((), tree, report)
    forms, destinations = _tables(top, "forms"), _tables(top, "destinations")
    service = read_service(top.below("service"))
    top.finish()
    given = tree.get("destinations")
    names = list(given) if isinstance(given, dict) else []
    config = Config(
        {name: read_form(name, keys, names, environment) for name, keys in forms.items()},
        {
            name: webhook
            for name, keys in destinations.items()
            if (webhook := _read_destination(keys, tree, environment))
        },
    )
    mistakes = report.mistakes()
    return (
        Mistakes(mistakes) if mistakes else Config(config.forms, config.destinations, tuple(_remarks(config)), service)
    )


def _tables(top: Table, key: str) -> dict[str, Table]:
    """Return the tables `[forms.NAME]` or `[destinations.NAME]`, those with a bad name too."""
    none: Keys = {}
    given = top.need(key, table, none, f"add at least one table `[{key}.NAME]`")
    if not given and given == top.keys.get(key):
        top.add(f"must have at least one table `[{key}.NAME]`", key)
    below = top.below(key)
    for name in given:
        problem = check_name(name)
        if problem:
            top.add(problem, key, name)
    read = {name: below.below(name) for name in given}
    return {name: keys for name, keys in read.items() if isinstance(given[name], dict)}


def _read_destination(keys: Table, tree: Keys, environment: Environment) -> Webhook | None:
    name = keys.path[-1]
    kind = keys.need("type", one_of(tuple(_KINDS)), "", 'write type = "webhook"')
    if "type" in keys.keys and not kind:
        return None
    return _KINDS[kind or "webhook"](name, keys, reach(_forms_to(name, tree)), environment)


def _forms_to(destination: str, tree: Keys) -> Iterator[object]:
    forms = tree.get("forms")
    for form in forms.values() if isinstance(forms, dict) else ():
        deliver = form.get("deliver") if isinstance(form, dict) else None
        if isinstance(deliver, list) and destination in deliver:
            yield form


def _remarks(config: Config) -> Iterator[Remark]:
    for name, form in config.forms.items():
        if form.origins is None:
            yield Remark(f"forms.{name}.origins", "is not set: pages of any website may post to this form")
        if form.origins is None and form.captcha is None and form.limits.address is None:
            yield _without_limit(f"forms.{name}.limits", form.limits)
    retention = config.service.retention
    longest = max((form.window for form in config.forms.values()), default=0)
    if retention is not None and retention < longest:
        yield Remark(
            "service.retention",
            f"is shorter than a form's `window` ({show(longest)}): a person is known for {show(retention)} only",
        )
    for name, users in config.forms_by_destination.items():
        path, webhook = f"destinations.{name}", config.destinations[name]
        if not users:
            yield Remark(path, "is not used: no form names it in `deliver`")
        yield from (Remark(f"{path}.{key}", message) for key, message in _remarks_on(webhook))


def _without_limit(path: str, limits: Limits) -> Remark:
    if limits.form:
        return Remark(
            f"{path}.address", 'is not set: one address may use up what all may post together. Add address = "30/m"'
        )
    anybody = "anybody may post as often as they like"
    if limits.person:
        return Remark(f"{path}.address", f'is not set, and {anybody}: `person` refuses nobody. Add address = "30/m"')
    return Remark(path, f'is not set, and {anybody}: add limits = {{ address = "30/m" }}')


def _remarks_on(webhook: Webhook) -> Iterator[tuple[str, str]]:
    url = urlsplit(mask(webhook.url))
    host = None if any(isinstance(part, Secret) for part in webhook.url) else host_of(url)
    if host and url.scheme == "http" and not is_private(host):
        yield "url", "is http:// to a public host: whoever is on the way can read the leads"
    if host and not webhook.allow_private and is_private(host):
        yield "url", "looks like a private address, which is never sent to without `allow_private = true`"
    if not _proves_itself(webhook):
        yield "secret", "is not set, and nothing else here proves to the receiver that a lead comes from this service"
    if not webhook.retry:
        yield "retry", "is empty: a lead that cannot be delivered at once is dead"


def guessable(config: Config) -> tuple[Mistake, ...]:
    """Return which secrets of the forms and destinations anybody could guess, and why."""
    owned = [
        (f"destinations.{name}.secret", each) for name, hook in config.destinations.items() for each in hook.secrets
    ]
    owned += [
        (f"forms.{name}.webflow_secret", form.webflow_secret)
        for name, form in config.forms.items()
        if form.webflow_secret
    ]
    owned += [
        (f"forms.{name}.captcha.secret", form.captcha.secret)
        for name, form in config.forms.items()
        if isinstance(form.captcha, Turnstile)
    ]
    return tuple(Mistake(path, f"what it names {why}") for path, secret in owned if (why := _weakness(secret)))


def _weakness(secret: Secret) -> str:
    """Say what is wrong with a secret. Those that others make have no shape of their own, but none of them is short."""
    is_short = len(secret.reveal()) < SHORTEST_SECRET
    return weakness(secret) or (f"is shorter than {SHORTEST_SECRET} characters" if is_short else "")


def _proves_itself(webhook: Webhook) -> bool:
    texts = [webhook.url, *webhook.headers.values()]
    nodes = list((webhook.body or {}).values())
    return (
        bool(webhook.secrets) or any(isinstance(part, Secret) for text in texts for part in text) or _has_secret(nodes)
    )


def _has_secret(nodes: list[Node]) -> bool:
    while nodes:
        node = nodes.pop()
        match node:
            case Template(parts) if any(isinstance(part, Secret) for part in parts):
                return True
            case tuple():
                nodes += node
            case Mapping():
                nodes += node.values()
    return False
