"""The audit's file, and its verification by the file alone: JSON lines, a link of the chain (``chain``) each, between a first and a last.

    {"audit": 1, "region": "indus", "exported_at": "…Z", "after": 0, "digest": "000…"}
    {"line": {"seq": 1, "kind": "transition", …}, "digest": "…"}
    {"contact": "TAG", "id": "…", …}                                  only where contacts were asked for; then the first line has the salt,
                                                                      and this one where it is another's (contacts in a file of their own)
    {"head": {"seq": 812, "digest": "…"}, "lines": 812, "certificate": "PEM", "signature": "base64"}

The signature is ECDSA on P-256 with SHA-256 over the canonical form of ``head`` with the region. A tail that was cut, with a last line made
anew, fails by the signature, or by a head that is known from elsewhere: receipts on the topic ``receipts`` carry them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from warning.proof import chain
from warning.proof.keys import Key

FORMAT = 1
MOST_NAMED = 20  # faults that are worded; after so many the rest is only counted


def first(region: str, exported_at: str, salt: str = "") -> dict[str, Any]:
    return {"audit": FORMAT, "region": region, "exported_at": exported_at, "after": 0, "digest": chain.FIRST} | (
        {"salt": salt} if salt else {}
    )


def last(region: str, seq: int, digest: str, key: Key | None) -> dict[str, Any]:
    """Signed where there is a key that may sign."""
    head = {"seq": seq, "digest": digest}
    made: dict[str, Any] = {"head": head, "lines": seq}
    if key is not None and key.private is not None:
        signature = key.private.sign(_signed(region, head), ec.ECDSA(hashes.SHA256()))
        made |= {"certificate": key.pem, "signature": base64.b64encode(signature).decode("ascii")}
    return made


def _signed(region: str, head: Mapping[str, Any]) -> bytes:
    return chain.canonical({"region": region, **head})


@dataclass
class Found:
    """What a verification found. ``signed_by``: SHA-256 of the certificate, for a person to compare; "" if nobody signed."""

    region: str = ""
    lines: int = 0
    seq: int = 0
    digest: str = chain.FIRST
    signed_by: str = ""
    faults: list[str] = field(default_factory=list)
    more: int = 0  # faults beyond ``MOST_NAMED``

    def fault(self, words: str) -> None:
        if len(self.faults) < MOST_NAMED:
            self.faults.append(words)
        else:
            self.more += 1


def verify(lines: Iterable[bytes], known: Mapping[int, str] | None = None, certificate: str = "") -> Found:
    """Reads a file line by line. ``known``: seq -> digest from elsewhere. ``certificate``: fingerprint that must have signed."""
    found, anchors = Found(), dict(known or {})
    salt, ended = "", False
    for number, item in _objects(lines, found):
        if ended:
            found.fault(f"line {number}: stands after the last line")
        elif number == 1:
            salt = _begin(item, found)
        elif "line" in item:
            _link(number, item, found, anchors)
        elif "contact" in item:
            if not salt or chain.tag(str(item.get("salt", salt)), str(item.get("id", ""))) != item["contact"]:
                found.fault(f"line {number}: contact {item.get('id')!r} is not who the lines mean by {item['contact']!r}")
        elif "head" in item:
            ended = True
            _end(number, item, found)
        else:
            found.fault(f"line {number}: is none of audit, line, contact, head")
    if not ended:
        found.fault(f"the file is cut: it ends after seq {found.seq} without its last line")
    for seq in sorted(anchors):
        found.fault(f"cut or changed: seq {seq} is known from elsewhere, and the file ends at {found.seq}")
    if certificate and found.signed_by != certificate.upper():
        found.fault(f"signed by {found.signed_by or 'nobody'}, not by {certificate.upper()}")
    return found


def _objects(lines: Iterable[bytes], found: Found) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, 1):
        try:
            item = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found.fault(f"line {number}: is no JSON: {error}")
            continue
        if isinstance(item, dict):
            yield number, item
        else:
            found.fault(f"line {number}: is no JSON object")


def _begin(item: dict[str, Any], found: Found) -> str:
    if item.get("audit") != FORMAT:
        found.fault(f"line 1: is not the first line of an audit of format {FORMAT}")
    found.region = str(item.get("region", ""))
    return str(item.get("salt", ""))


def _link(number: int, item: dict[str, Any], found: Found, anchors: dict[int, str]) -> None:
    """After a fault it goes on from what stands there, so that each fault is named once, where it is."""
    line, digest = item["line"], str(item.get("digest", ""))
    seq = line.get("seq") if isinstance(line, dict) else None
    if not isinstance(seq, int):
        found.fault(f"line {number}: has no seq")
        return
    found.lines += 1
    if seq > found.seq + 1:
        missing = f"seq {found.seq + 1}" if seq == found.seq + 2 else f"seq {found.seq + 1} to {seq - 1}"
        found.fault(f"line {number}: {missing} removed before seq {seq}")
    elif seq <= found.seq:
        found.fault(f"line {number}: seq {seq} inserted or moved: it stands after seq {found.seq}")
    elif chain.link(found.digest, line) != digest:
        found.fault(f"line {number}: seq {seq} changed: its content does not give its digest after the line before")
    if (elsewhere := anchors.pop(seq, digest)) != digest:
        found.fault(f"line {number}: seq {seq} is known from elsewhere with digest {elsewhere}: it or a line before it was changed")
    found.seq, found.digest = seq, digest


def _end(number: int, item: dict[str, Any], found: Found) -> None:
    head = item["head"]
    if not isinstance(head, dict) or (head.get("seq"), head.get("digest")) != (found.seq, found.digest):
        where = f"seq {head.get('seq')}" if isinstance(head, dict) else "nowhere"
        found.fault(f"line {number}: cut: the head is {where}, the lines end at seq {found.seq}")
        return
    if "signature" not in item:
        return
    try:
        certificate = x509.load_pem_x509_certificate(str(item["certificate"]).encode())
        public = certificate.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise ValueError("the certificate's key is no ECDSA")
        public.verify(base64.b64decode(item["signature"], validate=True), _signed(found.region, head), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, KeyError, binascii.Error) as error:
        found.fault(f"line {number}: the signature does not hold: {error or 'the head is not what was signed'}")
    else:
        found.signed_by = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
