"""Tokens of a real server (npm `oidc-provider`): for the client, and of refresh tokens that change."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import npm
import pytest
from token_server import TEXT
from workshop import ENVIRON, Workshop, form, until

from service.config.config import Config, Mistakes
from service.config.read import parse
from service.destinations.oauth import TokenHeld
from service.process.settings import read_file
from service.store.tokens import TokenStore

pytestmark = [pytest.mark.anyio, pytest.mark.long]
SECRET = ENVIRON["CRM_SECRET"]


@pytest.fixture
def provider() -> Iterator[dict[str, str]]:
    """Return where it is, and a refresh token of it."""
    npm.packages()
    command = ["node", "--no-warnings", "token-provider.js"]
    environ = {**os.environ, "SECRET": SECRET}
    with subprocess.Popen(
        command, cwd=npm.FOLDER, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as node:
        assert node.stdout is not None
        yield json.loads(node.stdout.readline())
        node.terminate()


async def forget(shop: Workshop, root: str) -> None:
    """Let the server forget the token that is kept."""
    oauth = shop.config.destinations["crm"].oauth
    assert oauth is not None
    held = await TokenStore(shop.server, "crm", oauth.key).take("", "", 0)
    assert isinstance(held, TokenHeld)
    headers = {"Authorization": f"Bearer {held.access.reveal()}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{root}/forget", headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("client", "how", "kind"),
    [
        ("client_secret_post", 'scope = "leads"', "ClientCredentials"),
        ("client_secret_basic", 'auth = "basic"', "ClientCredentials"),
        ("client_secret_post", 'refresh_token = "$REFRESH"', "AccessToken"),
    ],
)
async def test_a_real_server_gives_tokens_and_new_ones_for_those_it_forgot(
    redis_url: str, provider: dict[str, str], client: str, how: str, kind: str
) -> None:
    class Shop(Workshop):
        @staticmethod
        def read(text: str) -> Config:
            config = parse(text, {**ENVIRON, "REFRESH": provider["refresh"]}, read_file)
            assert not isinstance(config, Mistakes), config
            return config

    text = form() + TEXT.format(root=provider["root"], how=how).replace('"clinic"', f'"{client}"')
    async with Shop(redis_url, text) as shop, shop.worker(), shop.worker():
        taken: Any = None
        for number in range(3):
            taken = await shop.submit(name="Asha", phone=f"895104700{number}")
            account = await shop.settled()
            assert (account.delivered, account.dead) == (number + 1, 0)
            await forget(shop, provider["root"])
        kept = await shop.lead(taken.lead)
    [last] = kept.deliveries[0].attempts
    assert json.loads(last.excerpt)["leads"] == [{"by": client, "kind": kind}] * 3


async def test_a_client_that_a_real_server_does_not_know_pauses_with_what_to_do(
    redis_url: str, provider: dict[str, str]
) -> None:
    text = form() + TEXT.format(root=provider["root"], how='scope = "leads"')
    async with Workshop(redis_url, text) as shop, shop.worker():
        taken = await shop.submit(name="Asha", phone="8951047000")
        await until(lambda: shop.attempts)
        kept = await shop.lead(taken.lead)
    reason = kept.deliveries[0].attempts[0].reason
    assert reason.endswith(
        "which answered 401: it does not accept the client id with this client secret: set both as they stand there"
    )
