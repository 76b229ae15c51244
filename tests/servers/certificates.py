"""A certificate authority of one's own, and certificates for servers and clients."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Certificate"]

# Around now, in a wide circle: no test depends on the day.
SINCE, UNTIL = datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) + timedelta(days=2)


@dataclass(frozen=True)
class Certificate:
    """Two files in PEM format."""

    cert_file: Path
    key_file: Path


class Authority:
    """Signs certificates.

    Args:
        folder: where its files go; readable by everybody, as servers run as other users.
        name: of the authority.

    Attributes:
        ca_file: what whoever trusts it has to know.
    """

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self._folder, self._name = folder, f"authority of the {name}"
        self._key = _key()
        self._certificate = _built(self._name, self._name, self._key, self._key, authority=True)
        self.ca_file = folder / f"{name}-ca.pem"
        self.ca_file.write_bytes(_pem(self._certificate))
        self.ca_file.chmod(0o644)

    def issue(self, name: str, host: str = "127.0.0.1") -> Certificate:
        """Return a certificate for a server at `host` (an address or a name), or for a client."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = _key()
        found = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        found.cert_file.write_bytes(_pem(_built(name, self._name, key, self._key, host=host)))
        found.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        found.key_file.chmod(0o600)
        return found


def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(certificate.public_bytes(Encoding.PEM))


def _built(name: str, by: str, key: Any, signing: Any, *, host: str = "", authority: bool = False) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder(named(by), named(name), key.public_key(), x509.random_serial_number(), SINCE, UNTIL)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if authority:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
    return builder.sign(signing, hashes.SHA256())


def _alternative(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
