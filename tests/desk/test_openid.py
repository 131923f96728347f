"""Signing in through a provider: only a member whom it vouches for comes in, whatever else is sent."""

import json
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from desk import CONFIG, Browser, OpenDesk, open_desk
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from workshop import ENVIRON, destination, form

from service.config.config import Mistakes, OpenId
from service.config.read import parse
from service.desk.people.openid import LEEWAY_S, NotSignedInError, checked, vouched_address
from service.lib.secret import Secret
from service.process.settings import read_file

NOW = 1_795_348_800
OURS = OpenId("https://login.example.com", "desk", Secret("a secret of ours that is long enough"))
KEY, OTHER = (RSAKey.generate_key(2048, {"kid": name}) for name in ("one", "one"))
CURVE = ECKey.generate_key("P-256", {"kid": "two"})
KEYS = KeySet([KEY, CURVE]).as_dict(private=False)
CLAIMS = {
    "iss": OURS.issuer, "aud": OURS.client_id, "sub": "asha", "nonce": "n", "iat": NOW, "exp": NOW + 300,
    "email": "asha@example.com", "email_verified": True,
}  # fmt: skip


def token(key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, said, key, ["RS256", "ES256", "HS256", "none"])


def unsigned(**header: str) -> str:
    parts = ({"alg": "none", **header}, CLAIMS)
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    "text",
    [
        token(), token(CURVE, {"alg": "ES256", "kid": "two"}), token(aud=["desk"]),
        token(aud=["desk", "x"], azp="desk"),
        token(exp=NOW - LEEWAY_S + 5), token(iat=NOW + LEEWAY_S - 5),
    ],
)  # fmt: skip
def test_a_token_of_the_provider_for_us_is_taken(text: str) -> None:
    assert checked(OURS, {"id_token": text}, KEYS, "n", NOW)["sub"] == "asha"


@pytest.mark.parametrize(
    "text",
    [
        token(iss="https://evil.example"), token(iss=f"{OURS.issuer}/"), token(iss=None), token(aud="another"),
        token(aud=["another"]), token(aud=["desk", "x"], azp="x"), token(aud=None), token(nonce="m"), token(nonce=None),
        token(exp=NOW - LEEWAY_S - 5), token(exp=None), token(exp="soon"), token(iat=NOW + LEEWAY_S + 60),
        token(iat=None),
        token(nbf=NOW + 600), token(sub=None), token(OTHER), token(header={"kid": "nobody's"}), unsigned(),
        token(OctKey.import_key(OURS.secret.reveal()), {"alg": "HS256"}),
        unsigned(kid="one"), token()[:-4] + "AAAA", token() + ".x", "", "x.y.z", token(at_hash="of another"),
    ],
)  # fmt: skip
def test_any_other_token_proves_nothing(text: str) -> None:
    with pytest.raises(NotSignedInError, match="proves nothing"):
        checked(OURS, {"id_token": text, "access_token": "a"}, KEYS, "n", NOW)


@pytest.mark.parametrize(
    "keys", [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, {"keys": [{"kty": "RSA"}]}]
)
def test_keys_that_are_none_prove_nothing(keys: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError, match="proves nothing"):
        checked(OURS, {"id_token": token()}, keys, "n", NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"email": "asha@example.com"}, {"email": "asha@example.com", "email_verified": False},
        {"email": "asha@example.com", "email_verified": "true"}, {"email": "", "email_verified": True},
        {"email": 1, "email_verified": True}, {"email": "a" * 300, "email_verified": True},
        {"preferred_username": "asha@example.com", "name": "Asha"},
    ],
)  # fmt: skip
def test_only_a_verified_address_says_who_somebody_is(claims: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError, match="vouches for no"):
        vouched_address(claims)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('oidc = { issuer = "http://login.example.com", client_id = "x", secret = "$CRM_SECRET" }', "https"),
        ('oidc = { issuer = "https://login.example.com", client_id = "x", secret = "literal" }', "$NAME"),
        ('oidc = { issuer = "https://login.example.com/?a" }', "without"), ("oidc = {}", "is missing"),
        ('oidc = { colour = "blue" }', "is not known here"), ("oidc = true", "must be a table"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told(text: str, words: str) -> None:
    config = parse(form() + destination("http://127.0.0.1:9/") + f"[desk]\n{text}\n", ENVIRON, read_file)
    assert isinstance(config, Mistakes)
    assert any(words in mistake.message and mistake.path.startswith("desk.oidc") for mistake in config.items)


class Provider:
    """A provider on loopback that hands out codes and checks PKCE; `claims` and `said` are what it tells."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.nonces: dict[str, tuple[str, str]] = {}
        provider = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(provider.told.get(self.path, lambda: None)())

            def do_POST(self) -> None:
                said = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._say(provider.exchange(said, self.headers["Authorization"]))

            def _say(self, said: Any) -> None:
                body = json.dumps(said).encode()
                self.send_response(200 if said is not None else 400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.told: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": self.metadata, "/keys": lambda: KEYS, "/me": lambda: self.userinfo,
        }  # fmt: skip
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def metadata(self) -> dict[str, str]:
        ends = {
            "authorization_endpoint": "/go",
            "token_endpoint": "/token",
            "jwks_uri": "/keys",
            "userinfo_endpoint": "/me",
        }
        return {"issuer": self.issuer, **{name: f"{self.issuer}{path}" for name, path in ends.items()}}

    def let_in(self, address: str) -> dict[str, str]:
        """Return what the browser brings back from where it was sent."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["redirect_uri"] == "http://localhost/sign-in/openid/back"
        assert asked["code_challenge_method"] == "S256"
        self.nonces["code"] = asked["nonce"], asked["code_challenge"]
        return {"code": "code", "state": asked["state"], "iss": self.issuer}

    def exchange(self, said: dict[str, list[str]], authorization: str) -> Any:
        nonce, challenge = self.nonces.pop(said["code"][0], ("", ""))
        proof = urlsafe_b64encode(sha256(said["code_verifier"][0].encode()).digest()).decode().rstrip("=")
        if (
            proof != challenge
            or authorization != "Basic " + b64encode(f"desk:{ENVIRON['CRM_SECRET']}".encode()).decode()
        ):
            return None
        own = {"iss": self.issuer, "nonce": nonce, "iat": NOW, "exp": NOW + 300, **self.claims}
        return {"access_token": "a", "token_type": "Bearer", "id_token": token(**own)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


def config_of(provider: Provider) -> str:
    return CONFIG + f'oidc = {{ issuer = "{provider.issuer}", client_id = "desk", secret = "$CRM_SECRET" }}\n'


async def come_back(desk: OpenDesk, provider: Provider, status: int, **changed: str) -> tuple[Browser, str]:
    browser = desk.browser()
    begun = await browser.get("/sign-in/openid", 303)
    said = provider.let_in(begun.headers["location"]) | changed
    answer = await browser.client.get("/sign-in/openid/back", params=said)
    assert answer.status_code == status, answer.text
    assert 'begun=""' in str(answer.headers), "the cookie of what was begun goes"
    return browser, answer.text


@pytest.mark.anyio
async def test_a_member_whom_the_provider_vouches_for_comes_in_once(redis_url: str, provider: Provider) -> None:
    async with open_desk(redis_url, config_of(provider), now=lambda: NOW * 1000) as desk:
        await desk.enter("Asha@example.com", "editor")
        assert "Sign in with your organisation" in (await desk.browser().get("/sign-in")).text
        browser, _ = await come_back(desk, provider, 303)
        assert "Asha@example.com" in (await browser.get("/leads")).text
        provider.claims = {"email": None, "email_verified": None}
        provider.userinfo = {"sub": "asha", "email": "asha@example.com", "email_verified": True}
        await come_back(desk, provider, 303)
        owner = await desk.enter("Olga", "owner")
        assert "signed in through OpenID Connect" in (await owner.get("/people")).text
        await owner.post("/people/remove", name="Asha@example.com")
        await browser.get("/leads", 303)


@pytest.mark.anyio
async def test_whoever_else_comes_back_is_told_why_not(redis_url: str, provider: Provider) -> None:
    async with open_desk(redis_url, config_of(provider), now=lambda: NOW * 1000) as desk:
        for claims, changed, words in (
            ({}, {}, "no member of that name"), ({}, {"state": "x"}, "not begun in this browser"),
            ({}, {"iss": "https://evil.example"}, "another provider"), ({}, {"code": "unknown"}, "does not answer"),
            ({}, {"code": "", "error": "access_denied"}, "not let through"),
            ({"email_verified": False}, {}, "vouches for no"), ({"exp": NOW - 600}, {}, "proves nothing"),
            ({"nonce": "x"}, {}, "proves nothing"), ({"email": None}, {}, "somebody else"),
        ):  # fmt: skip
            provider.claims, provider.userinfo = claims, {"sub": "ravi", "email": "ravi@example.com"}
            browser, text = await come_back(desk, provider, 403, **changed)
            assert words in text, claims
            await browser.get("/leads", 303)
        await desk.browser().get("/sign-in/openid/back?code=code&state=x", 403)
        provider.told["/.well-known/openid-configuration"] = lambda: {
            **provider.metadata(),
            "issuer": "https://evil.example",
        }
        assert "another provider" in (await desk.browser().get("/sign-in/openid", 502)).text
        provider.told.clear()
        assert "does not answer" in (await desk.browser().get("/sign-in/openid", 502)).text
    async with open_desk(redis_url) as desk:
        for path in ("/sign-in/openid", "/sign-in/openid/back"):
            assert "Nobody signs in" in (await desk.browser().get(path, 404)).text
