"""A token that a destination wants with each request: how one is asked for, and what the answer means.

Invariant: pure; no secret is ever repeated. Source: RFC 6749, sections 2.3.1, 4.4, 5 and 6. A vendor that answers 200
with an `error` in it (Zoho) is read like all others.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from service.destinations.outcome import Outcome, Retry, Scope, retry_after
from service.destinations.rules import Response, value_at
from service.lib.secret import Secret, masked

if TYPE_CHECKING:
    import httpx

_ACCESS: Final = re.compile(r"[!-~]{1,8192}")
UNAUTHORIZED: Final = 401
_LONGEST_LIFE_S: Final = 366 * 86_400
_DESCRIBED: Final = 200
_ANEW: Final = "it does not accept the refresh token any longer: have a new one made there, and set it"
_CLIENT: Final = "it does not accept the client id with this client secret: set both as they stand there"
_MAY_NOT: Final = "this client may not ask for a token in this way: allow it there"
_REFUSALS: Final[Mapping[str, str]] = {
    "invalid_grant": _ANEW,
    "invalid_code": _ANEW,
    "invalid_client": _CLIENT,
    "invalid_client_secret": _CLIENT,
    "unauthorized_client": _MAY_NOT,
    "unsupported_grant_type": _MAY_NOT,
    "invalid_scope": "it does not give what `scope` asks for",
}
"""What to do about each `error` of RFC 6749, section 5.2; `invalid_code` and `invalid_client_secret` are Zoho's."""
_LATER: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_TOO_OFTEN: Final = "too many requests"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token server gave: the token, a refresh token if it gave another one, and how long the token lives, ms.

    `lifetime` None: it did not say.
    """

    access: Secret
    refresh: Secret | None
    lifetime: int | None


@dataclass(frozen=True, slots=True)
class TokenServer:
    """`oauth` of a destination. With a refresh token that is turned into tokens, without one the client's own word is.

    `is_basic`: the client proves itself with a header, not in the body.
    """

    url: str
    client_id: str
    client_secret: Secret
    refresh_token: Secret | None = None
    scope: str = ""
    is_basic: bool = False

    @property
    def host(self) -> str:
        """The name it is spoken of by."""
        return urlsplit(self.url).netloc

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is never to be shown."""
        return tuple(secret for secret in (self.client_secret, self.refresh_token) if secret)

    @property
    def grant(self) -> str:
        """The `grant_type` that it is asked with."""
        return "refresh_token" if self.refresh_token else "client_credentials"

    @property
    def key(self) -> bytes:
        """What seals its tokens where they are kept. It comes from what they came from: another secret starts anew."""
        client = (self.client_id, self.client_secret.reveal(), self.scope)
        origin = (self.refresh_token.reveal(),) if self.refresh_token else client
        return hashlib.sha256("\0".join(("leads oauth", self.url, *origin)).encode()).digest()

    def request(self, refresh: Secret | None) -> "httpx.Request":
        """Return what asks for a token; `refresh` is the refresh token that came with an earlier one, if any did."""
        import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

        used, pairs = refresh or self.refresh_token, {"grant_type": self.grant}
        if used:
            pairs["refresh_token"] = used.reveal()
        if self.scope:
            pairs["scope"] = self.scope
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client = (self.client_id, self.client_secret.reveal())
        if self.is_basic:
            proof = base64.b64encode(":".join(quote_plus(part) for part in client).encode()).decode()
            headers["Authorization"] = f"Basic {proof}"
        else:
            pairs |= dict(zip(("client_id", "client_secret"), client, strict=True))
        return httpx.Request("POST", self.url, headers=headers, content=urlencode(pairs).encode())

    def judge(self, answer: Response, used: Secret | None, now: int) -> Token | Retry:
        """Return the token, or why there is none. `used` is the refresh token that was sent, if any was."""
        access = value_at(answer.text, "access_token")
        if answer.status in range(200, 300) and isinstance(access, str) and _ACCESS.fullmatch(access):
            refresh = value_at(answer.text, "refresh_token")
            is_new = isinstance(refresh, str) and refresh != (used.reveal() if used else "")
            return Token(Secret(access), Secret(str(refresh)) if is_new else None, _lifetime(answer))
        scope, words = _meaning(answer)
        described = [value_at(answer.text, key) for key in ("error", "error_description")]
        said = ": ".join(text[:_DESCRIBED] for text in described if isinstance(text, str))
        known = (*self.secrets, *([used] if used else []))
        reason = f"no token came from {self.host}, which answered {answer.status}: {words}"
        return Retry(reason, retry_after(answer.headers, now), scope, answer.status, masked(said, known))


def _meaning(answer: Response) -> tuple[Scope, str]:
    error = value_at(answer.text, "error")
    if answer.status == 429 or _TOO_OFTEN in answer.text.lower():  # noqa: PLR2004  by its name in RFC 6585
        return "load", "it was asked for too many"
    if answer.status in {408, 425} or answer.status >= 500 or error in _LATER:  # noqa: PLR2004  RFC 9110
        return "delivery", "it asks to be asked later"
    if isinstance(error, str):
        return "token", _REFUSALS.get(error, "it refuses to give one")
    if answer.status in {401, 403}:
        return "token", _CLIENT
    return "token", "it does not speak OAuth 2.0: see that `oauth.url` is where tokens are asked for"


def _lifetime(answer: Response) -> int | None:
    # Zoho's older products say milliseconds in `expires_in`, and seconds beside it.
    said = value_at(answer.text, "expires_in_sec") or value_at(answer.text, "expires_in")
    try:
        seconds = int(said) if isinstance(said, int | str) else 0
    except ValueError:
        return None
    return min(seconds, _LONGEST_LIFE_S) * 1000 if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class TokenAsk:
    """What a conversation yields to be given a token; `refused` names one that the destination does not accept."""

    server: TokenServer
    refused: str = ""


@dataclass(frozen=True, slots=True)
class TokenHeld:
    """The answer: the token, the name it is known by, and whether it was fetched for this very try."""

    access: Secret
    name: str
    is_new: bool = False


def refuses_token(outcome: Outcome) -> bool:
    """Return whether another token may help: a rule says so, or 401 that no rule reads otherwise."""
    if not isinstance(outcome, Retry):
        return False
    return outcome.scope == "token" or (outcome.scope == "setup" and outcome.status == UNAUTHORIZED)
