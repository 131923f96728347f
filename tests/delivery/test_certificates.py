"""Why a certificate is refused, each reason in its own sentence, by real handshakes; and nothing was sent before."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from authority import DAY, Authority
from crm import Crm
from cryptography.x509.oid import ExtendedKeyUsageOID

from service.delivery.sender import Sender
from service.destinations.failure import ALONE, CERTIFICATES, TLS, judge_failure
from service.destinations.outcome import Retry
from service.destinations.rules import Response

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Send on the loop that the worker has."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this machine know the authority."""
    file = tmp_path / "trusted.pem"
    file.write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


async def send(url: str, ca: str = "") -> Response | httpx.RequestError | TimeoutError:
    async with Sender(concurrency=1, timeout=5_000, allow_private=True, ca=ca) as sender:
        return await sender.send(httpx.Request("POST", url, content=b'{"a": 1}'))


async def refusal_of(tls: ssl.SSLContext) -> Retry:
    with Crm(tls=tls) as crm:
        answer = await send(crm.url)
    assert isinstance(answer, httpx.ConnectError)
    assert crm.requests == []
    return judge_failure(answer)


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_that_the_system_trusts_is_fine(authority: Authority, tmp_path: Path) -> None:
    with Crm(tls=authority.server(tmp_path)) as crm:
        answer = await send(crm.url)
    assert isinstance(answer, Response)
    assert answer.status == 200


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("about_it", "sentence"),
    [
        ({"since": -2 * DAY, "until": timedelta(hours=-1)}, CERTIFICATES[10]),
        ({"since": timedelta(hours=1)}, CERTIFICATES[9]),
        ({"host": "crm.example.com"}, CERTIFICATES[64]),
        ({"host": "10.0.0.9"}, CERTIFICATES[64]),
        ({"signs_itself": True, "sends": ()}, CERTIFICATES[18]),
        ({"sends": ()}, ALONE),
        ({"purpose": ExtendedKeyUsageOID.CLIENT_AUTH}, CERTIFICATES[26]),
    ],
)
async def test_a_certificate_is_refused_in_its_own_sentence(
    about_it: dict[str, Any], sentence: str, authority: Authority, tmp_path: Path
) -> None:
    refused = await refusal_of(authority.server(tmp_path, **about_it))
    assert (refused.reason, refused.scope) == (sentence, "setup")


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_host_is_refused_for_its_name(authority: Authority, tmp_path: Path) -> None:
    with Crm(tls=authority.server(tmp_path)) as crm:
        answer = await send(crm.url.replace("127.0.0.1", "localhost"))
    assert isinstance(answer, httpx.ConnectError)
    assert judge_failure(answer).reason == CERTIFICATES[62]


async def test_an_old_intermediate_certificate_is_told_as_one_that_is_missing(
    authority: Authority, tmp_path: Path
) -> None:
    """The server sends two certificates: none of them signed its own, so no sentence may say that it came alone."""
    other = authority.server(tmp_path, of_another=True)
    assert (await refusal_of(other)).reason == ALONE
    assert "alone" not in ALONE


async def test_an_authority_that_is_none_may_not_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Authority(may_sign=False)
    (tmp_path / "trusted.pem").write_bytes(none.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    assert (await refusal_of(none.server(tmp_path))).reason == CERTIFICATES[79]


@pytest.mark.parametrize(
    ("begins", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "WRONG_VERSION_NUMBER"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLSV1_ALERT_PROTOCOL_VERSION"),  # as `openssl s_server -tls1` says it
    ],
)
async def test_why_no_secure_connection_came_about_is_told(begins: bytes, reason: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(begins)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        failed = await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(failed, httpx.RequestError)
    assert judge_failure(failed).reason == TLS[reason]


@pytest.mark.parametrize("sends", [("intermediate",), ("intermediate", "root")])
async def test_an_authority_that_nobody_here_knows_is_told_as_that(
    sends: tuple[str, ...], authority: Authority, tmp_path: Path
) -> None:
    refused = await refusal_of(authority.server(tmp_path, sends=sends))
    assert (refused.reason, refused.scope) == (CERTIFICATES[20], "setup")


@pytest.mark.usefixtures("trusted")
async def test_what_python_3_13_refuses_is_told_as_that(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ssl.create_default_context

    def make_as_python_3_13_does() -> ssl.SSLContext:
        context = make()
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    tls = authority.server(tmp_path, names_issuer_key=False)
    monkeypatch.setattr(ssl, "create_default_context", make_as_python_3_13_does)
    refused = await refusal_of(tls)
    assert (refused.reason, refused.scope) == (CERTIFICATES[85], "setup")
    assert "Python 3.13" in refused.reason


def test_no_two_kinds_of_refusal_share_a_sentence() -> None:
    kinds = [CERTIFICATES[number] for number in (7, 9, 10, 18, 20, 26, 62, 66, 79, 85)]
    assert len({*kinds, ALONE}) == 11


async def test_an_authority_that_a_destination_names_is_trusted_there(authority: Authority, tmp_path: Path) -> None:
    with Crm(tls=authority.server(tmp_path)) as crm:
        assert isinstance(await send(crm.url, ca=authority.pem.decode()), Response)
        assert not isinstance(await send(crm.url, ca=Authority().pem.decode()), Response)


@pytest.mark.parametrize("about_it", [{"signs_itself": True, "sends": ()}, {"sends": ()}])
async def test_a_servers_own_certificate_may_be_named_as_the_authority(
    about_it: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    tls = authority.server(tmp_path, **about_it)
    [own, *_] = (tmp_path / "server.pem").read_text().split("-----BEGIN PRIVATE KEY-----")
    with Crm(tls=tls) as crm:
        assert isinstance(await send(crm.url, ca=own), Response)


@pytest.mark.usefixtures("trusted")
async def test_who_names_an_authority_still_trusts_the_systems(authority: Authority, tmp_path: Path) -> None:
    with Crm(tls=authority.server(tmp_path)) as crm:
        assert isinstance(await send(crm.url, ca=Authority().pem.decode()), Response)
