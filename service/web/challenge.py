"""Whether the sender of a form has solved its challenge, asking Cloudflare where that is the one who knows.

Invariant: what it asks goes where the configuration says and nowhere else, within a deadline; nothing that a visitor
typed goes along. A verifier that does not answer turns nobody away: the lead is let through with a flag, and the reason
is reported. More to ask than can be asked is no such silence, or a flood would switch the challenge off: whoever finds
no place is told to come again.
"""

import asyncio
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from service.config.forms.captcha import is_loopback
from service.destinations.rules import Response
from service.lib.network import host_of
from service.lib.secret import Secret
from service.lib.signature import keyed_hash
from service.model.form import Altcha, Form, Turnstile
from service.model.problem import Code, Problems, refuse
from service.submission import captcha
from service.submission.captcha import Shown
from service.submission.check import Checked

if TYPE_CHECKING:
    from service.delivery.sender import Sender

UNVERIFIED: Final = "captcha_unverified"
ANSWER_WITHIN_MS: Final = 3_000
PLACE_WITHIN_S: Final = 1.0
AT_ONCE: Final = 32
# Whose fault it is: ours, or theirs.
# https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
_NOT_THE_VISITORS: Final = frozenset({"missing-input-secret", "invalid-input-secret", "bad-request", "internal-error"})
_SERVER_ERROR: Final = 500
_TOO_OFTEN: Final = 429
_NOT_TAKEN: Final = frozenset({401, 403})

Worth = Literal["passed", "failed"]


class Unverified(str):
    """Why nobody knows what a token is worth: a sentence for the operator."""

    __slots__ = ()


class Overloaded(str):
    """Why a token cannot be asked about now: a sentence for the operator."""

    __slots__ = ()


class _Verification(msgspec.Struct, frozen=True, rename="kebab"):
    success: bool
    error_codes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Verifier:
    """One verifier, asked about `AT_ONCE` tokens at once. `is_silent`: it gave no answer when last asked."""

    sender: "Sender"
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    is_silent: bool = False


@dataclass(slots=True)
class Challenger:
    """Makes challenges and checks their solutions. `clock` gives ms; `tell` gets a form and why it is unverified."""

    secret: Secret
    clock: Callable[[], int]
    tell: Callable[[str, str], None]
    _verifiers: dict[str, _Verifier] = field(default_factory=dict)

    def issue(self, form: Form) -> Mapping[str, str | int] | None:
        """Make a challenge; None for a form that has none to solve."""
        if not isinstance(form.captcha, Altcha):
            return None
        draw = secrets.token_bytes(captcha.RANDOM_BYTES)
        return captcha.issue(form, form.captcha, self.secret, now=self.clock(), draw=draw)

    async def prove(self, form: Form, token: str, checked: Checked | Problems) -> Shown | Problems:
        """Return the content as it may be kept, or every problem of it and of the solution `token`.

        `UNAVAILABLE`: there is more to ask the verifier about than it can be asked.
        """
        shown = captcha.look(form, token, checked, self.secret, now=self.clock())
        if isinstance(shown, Problems) or shown.token is None or not isinstance(form.captcha, Turnstile):
            return shown
        match await self._ask(form, form.captcha, shown.token):
            case "passed":
                return shown
            case Overloaded() as why:
                self.tell(form.name, why)
                return refuse(Code.UNAVAILABLE)
            case Unverified() as why:
                self.tell(form.name, why)
                content = shown.checked.content
                flagged = replace(content, flags=(*content.flags, UNVERIFIED))
                return replace(shown, checked=replace(shown.checked, content=flagged))
            case _:
                return Problems((captcha.failed(form),))

    async def close(self) -> None:
        """Close what is open to verifiers."""
        for verifier in self._verifiers.values():
            await verifier.sender.__aexit__()

    async def _ask(self, form: Form, turnstile: Turnstile, token: str) -> "Worth | Unverified | Overloaded":
        import httpx  # noqa: PLC0415 -- it takes long to import, and few forms need it

        # The same token is asked about under the same key, so that a second try of the same lead gets the same answer;
        # that it serves one person only is seen to when the lead is taken.
        key = uuid.uuid5(uuid.NAMESPACE_OID, keyed_hash(self.secret, "turnstile", form.name, token))
        said = {"secret": turnstile.secret.reveal(), "response": token, "idempotency_key": str(key)}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = httpx.Request("POST", turnstile.url, content=urlencode(said).encode(), headers=headers)
        verifier = self._verifier(turnstile.url)
        try:
            async with asyncio.timeout(PLACE_WITHIN_S):
                await verifier.places.acquire()
        except TimeoutError:
            if verifier.is_silent:
                return Unverified("The verifier does not answer.")
            return Overloaded("More was sent at once than the verifier can be asked about.")
        try:
            answer = await verifier.sender.send(request)
        finally:
            verifier.places.release()
        verifier.is_silent = not isinstance(answer, Response)
        if isinstance(answer, Response):
            return worth(answer)
        return Unverified(f"The verifier did not answer ({type(answer).__name__}).")

    def _verifier(self, url: str) -> _Verifier:
        from service.delivery.sender import Sender  # noqa: PLC0415 -- it imports httpx

        if url not in self._verifiers:
            is_here = is_loopback(host_of(urlsplit(url)) or "")
            sender = Sender(concurrency=AT_ONCE, timeout=ANSWER_WITHIN_MS, allow_private=is_here)
            self._verifiers[url] = _Verifier(sender)
        return self._verifiers[url]


def worth(answer: "Response") -> "Worth | Unverified | Overloaded":
    """Read what the verifier answered: the token is good, or not, or that cannot be known from it."""
    if answer.status == _TOO_OFTEN:
        return Overloaded("The verifier answered 429: it is asked more often than it allows.")
    if answer.status in _NOT_TAKEN:
        return Unverified(f"The verifier answered {answer.status}: it does not let us ask. Look at the form's captcha.")
    if answer.status >= _SERVER_ERROR:
        return Unverified(f"The verifier answered {answer.status}.")
    try:
        verification = msgspec.json.decode(answer.text, type=_Verification)
    except ValueError:
        return Unverified(f"The verifier answered {answer.status}, and nothing that could be read.")
    ours = sorted(_NOT_THE_VISITORS.intersection(verification.error_codes))
    if ours and not verification.success:
        return Unverified(f"The verifier answered {', '.join(ours)}.")
    return "passed" if verification.success else "failed"
