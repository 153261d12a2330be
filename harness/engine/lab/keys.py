"""A certificate authority of the lab's own, and a certificate for each host.

DIR/ca.pem  DIR/ca.key           the authority; ca.key stays where it was made
DIR/HOST/ca.pem cert.pem key.pem     for one host or one person, to be copied there
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.text import plain_name
from harness.engine.lab.address import CA, CERTIFICATE, KEY
from harness.system.files import writing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

CA_KEY = "ca.key"
VALID_DAYS = 825
CA_VALID_DAYS = 3650


def make(folder: Path, hosts: Iterable[str]) -> list[Path]:
    """Make the authority in `folder` if there is none, and a folder for each of `hosts`; existing
    files stay. Returns the folders. Raises UsageError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        authority, signing = _authority(folder)
        return [_host(folder, host, authority, signing) for host in hosts]


def _authority(folder: Path) -> tuple[Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate, key = folder / CA, folder / CA_KEY
    if certificate.exists() or key.exists():
        try:
            signing = serialization.load_pem_private_key(key.read_bytes(), None)
            assert isinstance(signing, ec.EllipticCurvePrivateKey)
            return x509.load_pem_x509_certificate(certificate.read_bytes()), signing
        except (OSError, ValueError, AssertionError):
            raise UsageError(
                f"{folder} has only a part of an authority: {CA} and {CA_KEY} belong together",
                "give the folder where both were made, or an empty one",
            ) from None
    signing = ec.generate_private_key(ec.SECP256R1())
    made = _signed("mobile-bench lab", signing, None, signing, CA_VALID_DAYS)
    _write(key, _private(signing))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made, signing


def _host(
    folder: Path, host: str, authority: Certificate, signing: EllipticCurvePrivateKey
) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if not host or plain_name(host) != host or host.startswith("."):
        raise UsageError(f"{host!r} cannot be the name of a host", "use letters, digits, - and .")
    place = folder / host
    place.mkdir(exist_ok=True)
    if (place / CERTIFICATE).exists():
        return place
    own = ec.generate_private_key(ec.SECP256R1())
    made = _signed(host, own, authority, signing, VALID_DAYS)
    _write(place / KEY, _private(own))
    pem = serialization.Encoding.PEM
    (place / CA).write_bytes(authority.public_bytes(pem))
    (place / CERTIFICATE).write_bytes(made.public_bytes(pem))
    return place


def _signed(
    name: str,
    own: EllipticCurvePrivateKey,
    authority: Certificate | None,
    signing: EllipticCurvePrivateKey,
    days: int,
) -> Certificate:
    """A certificate for `own`. Without an authority above it, it may sign others."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    issuer = subject if authority is None else authority.subject
    is_authority = authority is None
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of the hosts may differ a little.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                encipher_only=False,
                decipher_only=False,
            ),
            True,
        )
        .sign(signing, hashes.SHA256())
    )


def _private(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, from the first moment."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
