"""A request that got no answer: what the exception means for the delivery.

Invariant: looks at exceptions, does no I/O. Every reason is our own sentence; an exception's text is never repeated.
"""

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from service.destinations.outcome import Retry

_UNKNOWN_AUTHORITY: Final = "the CRM's certificate is signed by an authority that is not known here"
_OTHER_NAME: Final = "the CRM's certificate is for another name than the host of its address"
_TOO_WEAK: Final = "the CRM's certificate has a key or a signature that is too weak"
_NOT_ALLOWED: Final = (
    "the CRM's certificate, or one that it rests on, was signed by an authority that is not allowed to sign it"
)
_STRICT: Final = (
    "the CRM's certificate, or one that it rests on, breaks a rule of RFC 5280; Python 3.13 and later refuse that"
)
CERTIFICATES: Final[Mapping[int, str]] = MappingProxyType(
    {
        7: "the CRM's certificate, or one that it rests on, was changed after it was signed",
        9: "the CRM's certificate, or one that it rests on, is not valid yet, or the clock of this machine is wrong",
        10: "the CRM's certificate, or one that it rests on, has expired",
        18: "the CRM's certificate is self-signed: nobody else vouches for it",
        26: "the CRM's certificate, or one that it rests on, is not meant for servers",
        **dict.fromkeys((25, 47, 48, 79), _NOT_ALLOWED),
        **dict.fromkeys((2, 19, 20, 21), _UNKNOWN_AUTHORITY),
        **dict.fromkeys((62, 64), _OTHER_NAME),
        **dict.fromkeys((66, 67, 68), _TOO_WEAK),
        **dict.fromkeys((*range(76, 79), *range(80, 94)), _STRICT),
    }
)
"""Why a certificate is refused, by OpenSSL's number (x509_vfy.h). What is `_STRICT` needs X509_V_FLAG_X509_STRICT."""
ALONE: Final = (
    "the CRM's server does not send the certificate of who signed its own, and that is not known here: most often an "
    "intermediate certificate is missing there"
)
OTHERWISE_REFUSED: Final = "the CRM's certificate is not valid"
TLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WRONG_VERSION_NUMBER": "what answers at the CRM's port does not speak TLS",
        **dict.fromkeys(
            ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"), "the CRM does not speak TLS 1.2 or later"
        ),
    }
)
"""Why no secure connection came about, by OpenSSL's reason (sslerr.h)."""


class LoneCertificateError(ssl.SSLCertVerificationError):
    """Nobody known here signed a certificate, and the server sent none of who did."""


def judge_failure(error: BaseException, peer: str = "the CRM") -> Retry:
    """Return what the exception of an attempt means. Certificates are about our setup, all else about this try.

    `peer` is what the other end is called in the reason.
    """
    retry = _judged(list(_chain(error)))
    return replace(retry, reason=retry.reason.replace("the CRM", peer))


def _judged(chain: Sequence[BaseException]) -> Retry:
    import httpx  # noqa: PLC0415  the web part never sends, and httpx takes long to import

    for kinds, retry in (
        ((ssl.SSLCertVerificationError,), Retry(_about_certificate(chain), scope="setup")),
        ((httpx.UnsupportedProtocol, httpx.InvalidURL), Retry("the address of the CRM cannot be used", scope="setup")),
        ((httpx.ProxyError,), _about_proxy(chain)),
        ((socket.gaierror,), Retry("the name of the CRM's host could not be looked up")),
        ((httpx.ConnectTimeout,), Retry("no connection to the CRM could be made in time")),
        ((httpx.PoolTimeout,), Retry("no connection to the CRM was free in time")),
        ((TimeoutError, httpx.TimeoutException), Retry("the CRM did not answer in time")),
        ((ssl.SSLError,), Retry(_about_tls(chain))),
        ((ConnectionRefusedError,), Retry("the CRM refused the connection")),
        ((httpx.ConnectError,), Retry("no connection to the CRM could be made")),
        (
            (httpx.DecodingError,),
            Retry("the CRM answered, but not in clean HTTP; it may have this lead all the same", scope="setup"),
        ),
        ((httpx.ProtocolError, ConnectionError, httpx.NetworkError), Retry("the CRM broke the connection off")),
    ):
        if any(isinstance(cause, kinds) for cause in chain):
            return retry
    return Retry("the request to the CRM failed")


def _about_proxy(chain: Sequence[BaseException]) -> Retry:
    status = next((found for cause in chain if (found := getattr(cause, "status", None))), None)
    match status:
        case None:
            return Retry("no connection to the proxy could be made")
        case 407:
            return Retry("the proxy does not accept our user and password", scope="setup")
        case _ if status in range(400, 500):
            return Retry(f"the proxy answered {status}: it does not let us through to the CRM", scope="setup")
        case _:
            return Retry(f"the proxy answered {status}: it has no connection to the CRM")


def _about_certificate(chain: Sequence[BaseException]) -> str:
    if any(isinstance(cause, LoneCertificateError) for cause in chain):
        return ALONE
    numbers = (getattr(cause, "verify_code", 0) for cause in chain)
    return next((CERTIFICATES[number] for number in numbers if number in CERTIFICATES), OTHERWISE_REFUSED)


def _about_tls(chain: Sequence[BaseException]) -> str:
    reasons = (getattr(cause, "reason", "") for cause in chain if isinstance(cause, ssl.SSLError))
    return next((TLS[name] for name in reasons if name in TLS), "no secure connection to the CRM could be agreed on")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception and what caused it: httpx hides the reason two causes deep, anyio in a group."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
