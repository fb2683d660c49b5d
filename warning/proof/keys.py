"""The keys that sign: a folder with NAME.crt and NAME.key (PEM, ECDSA on P-256). The certificates' dates are the rotation.

The key that signs is the one whose certificate is valid now and began last, so the next pair is laid down before its day and takes over
by itself. A retired one loses its NAME.key; its NAME.crt stays, for documents that it signed are read for years. The folder is read again
every minute. Trust comes from a certificate that the reader pinned, so a self-signed one is enough.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from warning.errors import Problem

log = logging.getLogger(__name__)

SOON = timedelta(days=30)
READABLE_BY_ALL = 0o004


@dataclass(frozen=True, slots=True)
class Key:
    """One pair; ``private`` None: it only verifies any more."""

    name: str
    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey | None

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as OpenSSL writes it: what is compared over the telephone."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def signs(self, at: datetime) -> bool:
        return self.private is not None and self.certificate.not_valid_before_utc <= at < self.certificate.not_valid_after_utc

    def state(self, at: datetime) -> str:
        """next | valid | past; ``current`` is for ``signer`` to say."""
        if at < self.certificate.not_valid_before_utc:
            return "next"
        return "valid" if self.signs(at) else "past"


def read(folder: Path) -> tuple[list[Key], list[Problem]]:
    """The pairs of a folder by name, and what is wrong with the others. Raises nothing: one bad file must not silence the rest."""
    keys, problems = [], []
    try:
        names = sorted(path.stem for path in folder.iterdir() if path.suffix == ".crt")
        alone = sorted(path.name for path in folder.glob("*.key") if path.stem not in names)
    except OSError as error:
        return [], [Problem(f"signing_keys {folder}", f"cannot be read: {error.strerror}", "warning signing new makes a key")]
    problems += [Problem(str(folder / name), "has no certificate beside it", f"lay {Path(name).stem}.crt there") for name in alone]
    for name in names:
        try:
            keys.append(_key(folder, name))
        except (OSError, ValueError, TypeError) as error:
            problems.append(Problem(str(folder / name), f"is no pair of ECDSA on P-256 in PEM: {error}", "warning signing new makes one"))
    return keys, problems


def _key(folder: Path, name: str) -> Key:
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise ValueError("the certificate's key is another one")
    path = folder / f"{name}.key"
    if not path.exists():
        return Key(name, certificate, None)
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != public:
        raise ValueError("key and certificate do not belong together")
    return Key(name, certificate, private)


def signer(keys: list[Key], at: datetime) -> Key | None:
    """Who signs at that time: of the valid ones the one that began last."""
    able = [key for key in keys if key.signs(at)]
    return max(able, key=lambda key: (key.certificate.not_valid_before_utc, key.name), default=None)


def problems(folder: str, at: datetime) -> Iterator[Problem]:
    """What ``warning check`` says of a deployment's keys. Fatal: nothing would be signed."""
    if not folder:
        return
    keys, wrong = read(Path(folder))
    yield from wrong
    now = signer(keys, at)
    if now is None:
        ends = max((key.certificate.not_valid_after_utc for key in keys), default=None)
        told = f": the last one ended {ends:%Y-%m-%d}" if ends is not None and ends <= at else ""
        yield Problem(f"signing_keys {folder}", f"no key is valid now{told}; CAP goes unsigned", "warning signing new makes one")
        return
    last = max(key.certificate.not_valid_after_utc for key in keys if key.private is not None)
    if last < at + SOON:
        what = f"the last key ends {last:%Y-%m-%d %H:%M} UTC"
        yield Problem(f"signing_keys {folder}", what, "lay the next one there, and tell who pinned the old one", fatal=False)
    for key in keys:
        path = Path(folder) / f"{key.name}.key"
        if key.private is not None and path.stat().st_mode & READABLE_BY_ALL:
            yield Problem(str(path), "can be read by everybody on this machine", f"chmod 600 {path}", fatal=False)


def make(folder: Path, name: str, subject: str, begins: datetime, ends: datetime) -> Key:
    """A new pair with a certificate that it signed itself. Raises ``FileExistsError``, ``OSError``; a pair is there whole or not at all."""
    private = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder(who, who, private.public_key(), x509.random_serial_number(), begins, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = builder.add_extension(usage, critical=True).sign(private, hashes.SHA256())
    key = Key(name, certificate, private)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for path, content, mode in ((folder / f"{name}.key", pem, 0o600), (folder / f"{name}.crt", key.pem.encode(), 0o644)):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    return key


def ends(pem: bytes) -> datetime:
    """When a certificate ends. Raises ValueError for what is none."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def today() -> datetime:
    """The wall clock: how long a key is valid is a matter of this world, also in a replay."""
    return datetime.now(UTC)
