"""CAP documents signed once: XML-DSig, enveloped, ECDSA on P-256 with SHA-256, exclusive C14N, the certificate in KeyInfo.

The canonical document on ``alerts`` is unsigned, so that every replay makes the same bytes. It is signed when it first leaves the house,
whoever is first (the API or the dispatcher, of two at once the database's first), stored under its identifier, and from then on those bytes
are what everybody gets. **A warning never waits for its signature:** without a valid key, or when the database is away, the
unsigned document goes; that is told (``DocumentSealed``), and it is signed as soon as that works again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import sqlalchemy as sql
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner

from warning.database import Tables
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import DocumentSealed, Listener, nobody
from warning.model import AlertEvent
from warning.proof.keys import Key, read, signer, today
from warning.proof.register import address

log = logging.getLogger(__name__)

READ_AGAIN_S = 60.0
WITHIN_S = 2.0  # so long a warning may wait for the database
AWAY_S = 5.0  # so long it is not asked again after that
MOST_KEPT = 2_000
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

_metadata = sql.MetaData()
_signed = sql.Table(
    "signed_documents",
    _metadata,
    sql.Column("identifier", sql.String(255), primary_key=True),
    sql.Column("canonical", sql.String(64), nullable=False),  # SHA-256 of what was signed
    sql.Column("certificate", sql.String(95), nullable=False),  # fingerprint of whose signature it is
    sql.Column("signed_ms", sql.BigInteger, nullable=False),
    sql.Column("document", sql.LargeBinary, nullable=False),
)


def sign(document: bytes, key: Key) -> bytes:
    """The document with its signature as the last child, as CAP's schema allows. Raises ``ValueError`` for a key that only verifies."""
    if key.private is None:
        raise ValueError(f"{key.name} has no private key")
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    made = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ).sign(root, key=key.private, cert=[key.certificate])
    return DECLARATION + etree.tostring(made, method="c14n")


class Signed:
    """The signed documents of a deployment. Without ``deployment.signing_keys`` it does nothing. ``now``: the wall clock."""

    def __init__(self, deployment: Deployment, listen: Listener = nobody, now: Callable[[], datetime] = today) -> None:
        self.folder = Path(deployment.signing_keys) if deployment.signing_keys else None
        self._tables = Tables(address(deployment), _metadata, "signed documents", WITHIN_S)
        self._listen, self._now = listen, now
        self._keys: list[Key] = []
        self._told_s: float | None = None
        self._read_s = self._away_s = float("-inf")
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, asyncio.Task[bytes]] = {}

    @property
    def configured(self) -> bool:
        return self.folder is not None

    async def close(self) -> None:
        await self._tables.close()

    def pairs(self) -> list[Key]:
        """Every pair and every certificate, as the folder says now."""
        if self.folder is not None and time.monotonic() - self._read_s >= READ_AGAIN_S:
            self._keys, wrong = read(self.folder)
            for problem in wrong:
                log.error("%s", problem)
            self._read_s = time.monotonic()
        return self._keys

    def current(self) -> Key | None:
        return signer(self.pairs(), self._now())

    def watch(self) -> None:
        """Tells when the last key ends, also while there is nothing to sign: in a quiet season nobody would see it go."""
        if (ends_s := self._ends_s()) != self._told_s:
            self._told_s = ends_s
            self._listen(DocumentSealed("", ends_s))

    def _ends_s(self) -> float | None:
        return max((key.certificate.not_valid_after_utc.timestamp() for key in self.pairs() if key.private is not None), default=None)

    async def seal(self, event: AlertEvent) -> AlertEvent:
        """The event with the document that leaves the house. Never raises, and takes two seconds at most."""
        if self.folder is None or not event.cap:
            return event
        document = await self.document(event.alert.identifier, event.cap.encode())
        return msgspec.structs.replace(event, cap=document.decode())

    async def document(self, identifier: str, canonical: bytes) -> bytes:
        """The stored bytes, signed now if nobody did before; ``canonical`` where that cannot be."""
        if self.folder is None or not canonical:
            return canonical
        digest = hashlib.sha256(canonical).hexdigest()
        name = f"{identifier} {digest}"
        if (known := self._kept.get(name)) is not None:
            return known
        making = self._making.get(name)
        if making is None:
            making = self._making[name] = asyncio.create_task(self._sealed(identifier, canonical, digest))
            making.add_done_callback(lambda _: self._making.pop(name, None))
        return await asyncio.shield(making)

    async def _sealed(self, identifier: str, canonical: bytes, digest: str) -> bytes:
        try:
            async with asyncio.timeout(WITHIN_S):  # of all its questions together
                return await self._stored(identifier, canonical, digest)
        except (Unavailable, TimeoutError) as error:
            self._away_s = time.monotonic()
            why, words = "database", str(error) or f"no answer within {WITHIN_S:g} s"
        except Exception as error:  # whatever it is, it must not hold a warning back
            log.exception("%s cannot be signed", identifier)
            why, words = "internal", repr(error)
        return self._unsigned(identifier, canonical, why, words)

    async def _stored(self, identifier: str, canonical: bytes, digest: str) -> bytes:
        if time.monotonic() - self._away_s < AWAY_S:
            return self._unsigned(identifier, canonical, "database", "it was away a moment ago")
        if (found := await self._found(identifier)) is None:
            key = self.current()
            if key is None:
                why = "no_key" if not any(one.private for one in self.pairs()) else "key_expired"
                return self._unsigned(identifier, canonical, why, f"no key of {self.folder} is valid now")
            row = {
                "identifier": identifier,
                "canonical": digest,
                "certificate": key.fingerprint,
                "signed_ms": round(self._now().timestamp() * 1000),
                "document": await asyncio.to_thread(sign, canonical, key),
            }
            await self._tables.run(self._tables.insert(_signed).values(row).on_conflict_do_nothing())
            found = await self._found(identifier)
            assert found is not None
            self._listen(DocumentSealed("signed", self._ends_s()))
        document, of = found
        if of != digest:  # the alarm is the caller's (DocumentConflict): the first one stays, and is not passed off as this one
            return self._unsigned(identifier, canonical, "conflict", "another document was signed under this identifier")
        self._kept[f"{identifier} {digest}"] = document
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return document

    async def _found(self, identifier: str) -> tuple[bytes, str] | None:
        rows = await self._tables.run(sql.select(_signed.c.document, _signed.c.canonical).where(_signed.c.identifier == identifier))
        return (bytes(rows[0].document), rows[0].canonical) if rows else None

    def _unsigned(self, identifier: str, canonical: bytes, why: str, words: str) -> bytes:
        log.error("%s goes out unsigned: %s", identifier, words)
        self._listen(DocumentSealed(why))
        return canonical
