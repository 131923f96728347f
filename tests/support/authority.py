"""Certificates of a test's own: an authority, one between it and the server, and the server's.

authority = Authority()
with Crm(tls=authority.server(tmp_path, "127.0.0.1")) as crm: ...   # who trusts `authority.pem` trusts this
"""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY: Final = timedelta(days=1)
_SIGNS: Final = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


class Authority:
    """A root, and an intermediate that it signed, which signs what servers show."""

    def __init__(self, *, may_sign: bool = True) -> None:
        """Make them; `may_sign` False: the intermediate is no authority."""
        self._root_key, self._key, self._server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = self._authority("root", self._root_key)
        self._intermediate = self._authority("intermediate", self._key, may_sign=may_sign)
        self.pem = _pem(root)

    def server(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        *,
        since: timedelta = -DAY,
        until: timedelta = DAY,
        sends: tuple[str, ...] = ("intermediate",),
        signs_itself: bool = False,
        names_issuer_key: bool = True,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        of_another: bool = False,
    ) -> ssl.SSLContext:
        """Return what a server for `host` speaks TLS with. It `sends` these beside its own certificate.

        `of_another`: they are those of another authority, as after a renewal that left the old file.
        """
        issuer_key = self._server_key if signs_itself else self._key
        own = _named("server", "server" if signs_itself else "intermediate", self._server_key, since, until)
        own = own.add_extension(x509.SubjectAlternativeName([_name(host)]), critical=False)
        own = own.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names_issuer_key:
            known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            own = own.add_extension(known, critical=False)
        key = self._server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        sender = Authority() if of_another else self
        beside = {"intermediate": _pem(sender._intermediate), "root": sender.pem}
        file = folder / "server.pem"
        file.write_bytes(
            b"".join([_pem(own.sign(issuer_key, hashes.SHA256())), *(beside[name] for name in sends), key])
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _authority(self, name: str, key: ec.EllipticCurvePrivateKey, *, may_sign: bool = True) -> x509.Certificate:
        whose = self._root_key.public_key()
        return (
            _named(name, "root", key, -DAY, DAY)
            .add_extension(x509.BasicConstraints(ca=may_sign, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(whose), critical=False)
            .sign(self._root_key, hashes.SHA256())
        )


def _named(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, since: timedelta, until: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
