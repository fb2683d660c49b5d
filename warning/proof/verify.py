"""Is this CAP document as the holder of a pinned certificate signed it? For readers, and for ourselves."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature as InvalidKey
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidInput, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from warning.alerts.parsed import NAMESPACE
from warning.errors import InputError

_ONLY = SignatureConfiguration(
    signature_methods=frozenset((SignatureMethod.ECDSA_SHA256,)),
    digest_algorithms=frozenset((DigestAlgorithm.SHA256,)),
    location="./",  # the signature stands right under the root: what stands elsewhere signs something else
)


def verified(document: bytes, certificate: bytes) -> str:
    """Its identifier, read from what was signed and from nothing else. The certificate's dates are not judged: a document is read for
    years, and its ``sent`` is signed. Raises ``InputError`` (reason ``signature``)."""
    try:
        pinned = x509.load_pem_x509_certificate(certificate)
        root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
        result = XMLVerifier().verify(root, x509_cert=pinned, expect_config=_ONLY)
        signed = None if isinstance(result, list) else result.signed_xml
    except (InvalidSignature, InvalidInput, InvalidKey, ValueError, etree.XMLSyntaxError) as error:
        raise InputError(
            f"not signed by the holder of this certificate: {error}", reason="signature", field="Signature", fix="do not trust it"
        ) from None
    if signed is None or signed.tag != f"{{{NAMESPACE}}}alert":
        raise InputError("what is signed is no CAP alert", reason="signature", field="Signature", fix="do not trust it")
    return str(signed.findtext(f"{{{NAMESPACE}}}identifier") or "")
