"""`[notify]` ► who is told without looking: a mail and a chat, which are destinations of their own.

Invariant: pure. Their names are not for the file, so that no form can name them.
"""

from dataclasses import replace
from typing import Final, Literal
from urllib.parse import urlsplit

from service.config.config import Config, Every, Notify
from service.config.destinations.body import reach
from service.config.destinations.email import read_email
from service.config.env_secrets import Environment
from service.config.table import Keys, Table, Wrong, flag, wrong
from service.config.validators import one_of
from service.destinations.email import Email
from service.destinations.template import Placeholder, Template, split
from service.destinations.webhook import Webhook
from service.lib.network import host_of
from service.lib.secret import Secret

MAIL: Final = "notify-mail"
CHAT: Final = "notify-chat"
NAMES: Final = (MAIL, CHAT)
Lead = Literal["whole", "anonymous"]
_LEADS: Final[tuple[Lead, ...]] = ("whole", "anonymous")
_EVERY: Final[tuple[Every, ...]] = ("daily", "weekly")
_WHOLE: Final = "*{form}*\n{said:max(3000):slack}"
_ANONYMOUS: Final = "A lead came to {form}."
_SUBJECT: Final = "A lead came to {form}"


def read_notify(keys: Table, tree: Keys, desk: str | None, environment: Environment) -> Notify:
    """Return what `[notify]` says. `desk` is the origin of the desk, to which a message without words leads."""
    nothing: Lead | Literal[""] = ""
    no_url: Secret | None = None
    lead = keys.read("lead", one_of(_LEADS), nothing)
    url = keys.read("chat", lambda value: _url(value, environment), no_url)
    alarms = keys.read("alarms", flag, Notify().tells_of_trouble)
    no_digest: Every | None = None
    digest = keys.read("digest", one_of(_EVERY), no_digest)
    allow_private = keys.read("allow_private", flag, False)  # noqa: FBT003 -- the default of a setting
    words = (_ANONYMOUS, *([f"{desk}/leads/{{id}}"] if desk else []))
    channels: list[Email | Webhook] = []
    if "mail" in keys.keys:
        channels.append(_mail(keys.below("mail"), tree, environment, words if lead == "anonymous" else None))
    else:
        keys.read("mail", lambda _: None, None)
    if url:
        text = "\n".join(words) if lead == "anonymous" else _WHOLE
        channels.append(Webhook(CHAT, (url,), body={"text": _template(text)}, allow_private=allow_private))
    keys.finish()
    if keys.keys and not {"mail", "chat"} & {*keys.keys}:
        keys.add("tells nobody: name a `mail` or a `chat`")
    return Notify(tuple(channels), tells_of_leads=bool(lead), tells_of_trouble=alarms, digest=digest)


def with_notices(config: Config) -> Config:
    """Return the configuration with the destinations of `[notify]`, and every form delivering to them if it is to."""
    if config.notify is None:
        return config
    channels = {channel.name: channel for channel in config.notify.channels}
    owed = channels if config.notify.tells_of_leads else {}
    forms = {name: replace(form, deliver=(*form.deliver, *owed)) for name, form in config.forms.items()}
    return replace(config, forms=forms, destinations={**config.destinations, **channels})


def _mail(keys: Table, tree: Keys, environment: Environment, words: tuple[str, ...] | None) -> Email:
    forms = tree.get("forms")
    mail = read_email(MAIL, keys, reach(forms.values() if isinstance(forms, dict) else ()), environment)
    if words is None:
        return mail
    text = tuple(_template(line) for line in words)
    return replace(mail, subject=_template(_SUBJECT), text=text, addresses=())


def _template(text: str) -> Template:
    return Template(tuple(part for part in split(text) if isinstance(part, str | Placeholder)))


def _url(value: object, environment: Environment) -> Secret | Wrong:
    """Take a `$NAME` that holds the address of a chat."""
    secret = environment.secret(value)
    if isinstance(secret, Wrong):
        return secret
    try:
        parts = urlsplit(secret.reveal())
        is_web = parts.scheme in {"http", "https"} and parts.port != 0
        fits = is_web and bool(host_of(parts)) and "@" not in parts.netloc
    except ValueError:
        fits = False
    return secret if fits else wrong(f"{value} is no address: it must begin with `https://` and a host")
