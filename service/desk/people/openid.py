"""Signing in through OpenID Connect: who the provider says it is, once everything about that was looked at.

Invariant: only an e-mail address that the provider vouches for comes out; whether there is such a member is asked
elsewhere. State, nonce and PKCE's verifier lie in the browser that began, in a cookie for ten minutes, and only there.
Sources: OpenID Connect Core 1.0, 3.1; Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (`iss`).
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from service.config.config import OpenId

if TYPE_CHECKING:
    import httpx

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
"""Signatures with a key of the provider's own; never "none", and none that whoever knows our secret could make."""
_ENDPOINTS: Final = {"authorization_endpoint", "token_endpoint", "jwks_uri"}
LEEWAY_S: Final = 60
WAITS_S: Final = 10.0
LONGEST_ADDRESS: Final = 254
BEGUN_FOR_S: Final = 600
_NOT_OURS: Final = "This sign-in was not begun in this browser, or more than ten minutes ago. Begin it again."
_SILENT: Final = "The provider of sign-ins does not answer as it should. Try again later, or use your password."
_NO_PROOF: Final = "What the provider sent proves nothing: {why}. Whoever runs the service looks at `[desk] oidc`."
_NOBODY: Final = "The provider vouches for no e-mail address of yours, so nobody here knows who you are."


class NotSignedInError(Exception):
    """Why nobody is signed in, in a sentence for whoever tried."""


class Begun(NamedTuple):
    """What a browser keeps of a sign-in that it began."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def anew(cls) -> "Begun":
        """Begin one."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def read(cls, cookie: str) -> "Begun":
        """Read the cookie; raises NotSignedInError for none of ours."""
        parts = cookie.split(".")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 -- the three of this tuple
            raise NotSignedInError(_NOT_OURS)
        return cls(*parts)


async def address_to_begin(openid: OpenId, back: str, begun: Begun) -> str:
    """Return where the browser goes to sign in; the provider sends it `back`. Raises NotSignedInError."""
    from authlib.oauth2.rfc7636 import (  # type: ignore[import-untyped]  # noqa: PLC0415 -- only where it is configured
        create_s256_code_challenge,
    )

    async with _client() as client:
        endpoint = str((await _metadata(client, openid))["authorization_endpoint"])
    asked = {
        "response_type": "code", "client_id": openid.client_id, "redirect_uri": back, "scope": "openid email",
        "state": begun.state, "nonce": begun.nonce, "code_challenge_method": "S256",
        "code_challenge": create_s256_code_challenge(begun.verifier),
    }  # fmt: skip
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


async def who_came(openid: OpenId, back: str, begun: Begun, said: Mapping[str, str], now_s: int) -> str:
    """Return the e-mail address of whom the provider sent back with `said`. Raises NotSignedInError."""
    if not hmac.compare_digest(said.get("state", "").encode(), begun.state.encode()):
        raise NotSignedInError(_NOT_OURS)
    if said.get("iss", openid.issuer) != openid.issuer:
        raise NotSignedInError(_NO_PROOF.format(why="another provider sent it"))
    if not said.get("code"):
        why = {"access_denied": "You were not let through, or did not agree."}.get(said.get("error", ""), _SILENT)
        raise NotSignedInError(why)
    async with _client() as client:
        metadata = await _metadata(client, openid)
        tokens = await _json(
            client, "POST", str(metadata["token_endpoint"]),
            data={
                "grant_type": "authorization_code", "code": said["code"], "redirect_uri": back,
                "code_verifier": begun.verifier,
            },
            auth=(openid.client_id, openid.secret.reveal()),
        )  # fmt: skip
        keys = await _json(client, "GET", str(metadata["jwks_uri"]))
        claims = checked(openid, tokens, keys, begun.nonce, now_s)
        if "email" not in claims and "userinfo_endpoint" in metadata:
            bearer = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
            more = await _json(client, "GET", str(metadata["userinfo_endpoint"]), headers=bearer)
            if more.get("sub") != claims["sub"]:
                raise NotSignedInError(_NO_PROOF.format(why="it tells of somebody else"))
            claims = {**more, **claims}
    return vouched_address(claims)


def checked(
    openid: OpenId, tokens: Mapping[str, Any], keys: Mapping[str, Any], nonce: str, now_s: int
) -> Mapping[str, Any]:
    """Return what an ID token says, if it is the provider's, for us, of this sign-in, and not too old."""
    from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # noqa: PLC0415 -- only where configured
    from joserfc import jwt  # noqa: PLC0415 -- only where it is configured
    from joserfc.errors import JoseError  # noqa: PLC0415 -- only where it is configured
    from joserfc.jwk import KeySet  # noqa: PLC0415 -- only where it is configured

    signing = [key for key in keys.get("keys", ()) if key.get("kty") in {"RSA", "EC"} and key.get("use") != "enc"]
    wanted = {name: {"essential": True, "value": value} for name, value in _wanted(openid).items()}
    about = {"nonce": nonce, "client_id": openid.client_id, "access_token": tokens.get("access_token", "")}
    try:
        token = jwt.decode(str(tokens.get("id_token", "")), KeySet.import_key_set({"keys": signing}), [*ALGORITHMS])
        CodeIDToken(token.claims, token.header, wanted, about).validate(now=now_s, leeway=LEEWAY_S)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise NotSignedInError(_NO_PROOF.format(why=getattr(error, "error", "") or type(error).__name__)) from None
    return token.claims


def _wanted(openid: OpenId) -> dict[str, str]:
    return {"iss": openid.issuer, "aud": openid.client_id}


def vouched_address(claims: Mapping[str, Any]) -> str:
    """Return the address that the provider says it has verified: anybody can claim another one."""
    address = claims.get("email")
    is_address = isinstance(address, str) and 0 < len(address) <= LONGEST_ADDRESS
    if not is_address or claims.get("email_verified") is not True:
        raise NotSignedInError(_NOBODY)
    return str(address)


def _client() -> "httpx.AsyncClient":
    import httpx  # noqa: PLC0415 -- only where it is configured

    return httpx.AsyncClient(timeout=WAITS_S, follow_redirects=False, trust_env=False)


async def _metadata(client: "httpx.AsyncClient", openid: OpenId) -> Mapping[str, Any]:
    """Return what the provider says of itself; it must be the one that is configured."""
    found = await _json(client, "GET", f"{openid.issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != openid.issuer or not set(found) >= _ENDPOINTS:
        raise NotSignedInError(_NO_PROOF.format(why="it is another provider than the one that was named"))
    return found


async def _json(client: "httpx.AsyncClient", method: str, address: str, **how: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- httpx's own
    import httpx  # noqa: PLC0415 -- only where it is configured

    try:
        answer = await client.request(method, address, **how)
        found = answer.json() if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        found = None
    if not isinstance(found, dict):
        raise NotSignedInError(_SILENT)
    return found
