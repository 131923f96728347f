"""What is no mistake in a configuration and still worth telling: open doors, and secrets that anybody could guess.

Invariant: no secret is ever repeated.
"""

from collections.abc import Iterator
from typing import Final

from service.config.config import Config, Remark
from service.config.notify import NAMES as NOTICES
from service.config.table import Mistake
from service.config.validators import show
from service.destinations.destination import Destination
from service.lib.secret import Secret
from service.lib.weak_secrets import weakness
from service.model.form import Limits, Turnstile

SHORTEST_SECRET: Final = 16


def remarks(config: Config) -> Iterator[Remark]:
    """Yield what is worth telling of a configuration, in the order of the file."""
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
        yield from _of_destination(name, config.destinations[name], is_used=bool(users) or name in NOTICES)


def _of_destination(name: str, destination: Destination, *, is_used: bool) -> Iterator[Remark]:
    path = f"notify.{name.removeprefix('notify-')}" if name in NOTICES else f"destinations.{name}"
    if not is_used:
        yield Remark(path, "is not used: no form names it in `deliver`")
    yield from (Remark(f"{path}.{key}", message) for key, message in destination.remarks())


def _without_limit(path: str, limits: Limits) -> Remark:
    if limits.form:
        return Remark(
            f"{path}.address", 'is not set: one address may use up what all may post together. Add address = "30/m"'
        )
    anybody = "anybody may post as often as they like"
    if limits.person:
        return Remark(f"{path}.address", f'is not set, and {anybody}: `person` refuses nobody. Add address = "30/m"')
    return Remark(path, f'is not set, and {anybody}: add limits = {{ address = "30/m" }}')


def guessable(config: Config) -> tuple[Mistake, ...]:
    """Return which secrets of the forms and destinations anybody could guess, and why."""
    owned = [
        (f"destinations.{name}.{key}", secret)
        for name, destination in config.destinations.items()
        for key, secret in destination.own_secrets()
    ]
    owned += [
        (f"forms.{name}.webflow_secret", form.webflow_secret)
        for name, form in config.forms.items()
        if form.webflow_secret
    ]
    owned += [
        (f"forms.{name}.ways.{way.name}.secret", way.secret)
        for name, form in config.forms.items()
        for way in form.ways.values()
        if way.secret
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
