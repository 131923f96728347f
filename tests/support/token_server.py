"""A CRM's double that wants a token, and gives them out: `POST /token` as RFC 6749 says, `POST /leads` for all else."""

import json
from urllib.parse import parse_qs

from crm import Answer, Crm, Received

TEXT = """
[destinations.crm]
type = "webhook"
url = "{root}/leads"
allow_private = true
retry = ["50ms", "50ms", "50ms"]
headers = {{ Authorization = "Bearer {{token}}" }}
body = {{ name = "{{fields.name}}", key = "{{webhook_id}}" }}
oauth = {{ url = "{root}/token", client_id = "clinic", client_secret = "$CRM_SECRET", {how} }}
"""
REFRESHED = 'refresh_token = "$REFRESH"'


class TokenServer(Crm):
    """Gives `token-1`, `token-2` … to whoever has the secret, and takes leads with the one it gave last.

    `refresh` is the refresh token that it takes; where it `rotates`, another one each time, once. `lives_s` None: it
    does not say for how long a token is good. `says` is what it answers to each request for a token instead.
    """

    def __init__(self, secret: str, *, refresh: str | None = None, rotates: bool = False) -> None:
        super().__init__()
        self.secret, self.refresh, self.rotates = secret, refresh, rotates
        self.lives_s: int | str | None = 3_600
        self.says: Answer | None = None
        self.given = 0
        self.leads: dict[str, str] = {}
        self.valid: set[str] = set()
        self.decide = self.take

    @property
    def root(self) -> str:
        return self.url.removesuffix("/hooks/leads")

    @property
    def asked(self) -> list[dict[str, list[str]]]:
        """What it was asked for tokens with."""
        return [parse_qs(request.body.decode()) for request in self.requests if request.path == "/token"]

    def take(self, request: Received) -> Answer:
        if request.path == "/token":
            return self.says or self._give({key: values[0] for key, values in parse_qs(request.body.decode()).items()})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid:
            return Answer(401, body=b'{"error": "INVALID_TOKEN"}')
        said = request.json()
        self.leads[said["key"]] = said["name"]
        return Answer(201, body=b'{"id": 1}')

    def _give(self, asked: dict[str, str]) -> Answer:
        if (asked.get("client_id"), asked.get("client_secret")) != ("clinic", self.secret):
            return Answer(401, body=b'{"error": "invalid_client"}')
        if asked.get("refresh_token") != self.refresh:
            return Answer(400, body=b'{"error": "invalid_grant", "error_description": "expired"}')
        self.given += 1
        self.valid = {f"token-{self.given}"}
        said: dict[str, object] = {"access_token": f"token-{self.given}", "token_type": "Bearer"}
        said |= {} if self.lives_s is None else {"expires_in": self.lives_s}
        if self.rotates:
            self.refresh = f"refresh-{self.given}"
            said["refresh_token"] = self.refresh
        return Answer(200, body=json.dumps(said).encode())
