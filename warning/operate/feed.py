"""The agencies' feed: Atom (RFC 4287) with one entry per CAP document, newest first, paged (RFC 5005).

Built with lxml, for an entry's link must carry its type. A page holds 100 KB at most, and so stays far below the 900 KB that readers take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from warning.model import Level
from warning.operate.present import utc
from warning.operate.store import Document, Text
from warning.region import Region, named

BEST_BYTES = 100_000
MOST_BYTES = 900_000
CAP_TYPE = "application/cap+xml"
ATOM_TYPE = "application/atom+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_NAMESPACES: dict[Any, str] = {None: _ATOM}  # Any: lxml takes None, its stubs do not
_SUMMARY = 1_000  # characters; the whole text is in the document


@dataclass(frozen=True, slots=True)
class Page:
    """``last``: (sent_ms, identifier) after which the next page begins, None if there is none."""

    body: bytes
    entries: int
    last: tuple[int, str] | None


def page(region: Region, documents: Sequence[Document], base: str, own: str, more: tuple[int, str] | None, *, lengths: bool = True) -> Page:
    """One page of the feed from documents, newest first.

    ``base``: address of the API without a slash at its end; ``own``: path and query of this page; ``more``: the last document before the
    next page, None if these are the last ones. ``lengths``: of the documents, which a signature will make longer.
    """
    root = etree.Element(f"{{{_ATOM}}}feed", nsmap=_NAMESPACES)
    _add(root, "id", f"tag:{_authority(region)},2025:{region.namespace}:alerts")
    _add(root, "title", f"Flood warnings: {named(region.names, 'en')}")
    _add(root, "updated", utc(max((document.event.alert.sent_ms for document in documents), default=0)))
    _add(_add(root, "author"), "name", region.sender)
    _add(root, "link", rel="self", type=ATOM_TYPE, href=base + own)
    size, taken = len(etree.tostring(root)) + 300, 0  # 300: the declaration and the link to the next page
    for document in documents:
        entry = _entry(region, document, base, lengths)
        size += len(etree.tostring(entry, encoding="utf-8"))
        if taken and size > BEST_BYTES:
            break
        root.append(entry)
        taken += 1
    last = more
    if taken < len(documents):
        alert = documents[taken - 1].event.alert
        last = (alert.sent_ms, alert.identifier)
    if last is not None:
        _add(root, "link", rel="next", type=ATOM_TYPE, href=f"{base}/v1/alerts.atom?before={cursor(last)}")
    body = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    assert len(body) <= MOST_BYTES, f"a feed page of {len(body)} bytes"
    return Page(body, taken, last)


def cursor(last: tuple[int, str]) -> str:
    return f"{last[0]}_{last[1]}"


def from_cursor(text: str) -> tuple[int, str]:
    """Raises ``ValueError`` for what ``cursor`` did not write."""
    sent, _, identifier = text.partition("_")
    if not (sent.isascii() and sent.isdigit() and identifier):
        raise ValueError("not a cursor")
    return int(sent), identifier


def _entry(region: Region, document: Document, base: str, lengths: bool) -> etree._Element:
    alert = document.event.alert
    text = document.texts.get("en") or next(iter(document.texts.values()), Text())
    entry = etree.Element(f"{{{_ATOM}}}entry", nsmap=_NAMESPACES)
    _add(entry, "id", f"tag:{_authority(region)},2025:{alert.identifier}")
    _add(entry, "title", _clean(text.headline or f"{alert.kind.value} {alert.level.value} {alert.zone}"))
    _add(entry, "updated", utc(alert.sent_ms))
    _add(entry, "published", utc(alert.sent_ms))
    if words := _clean(text.description or " ".join(alert.hazard.words)):
        _add(entry, "summary", words[:_SUMMARY])
    for term in (alert.status.value, alert.kind.value, alert.level.value if alert.level is not Level.UNKNOWN else ""):
        if term:
            _add(entry, "category", term=term)
    length = {"length": str(len(document.cap))} if lengths else {}
    _add(entry, "link", rel="enclosure", type=CAP_TYPE, href=f"{base}/v1/alerts/{alert.identifier}.cap", **length)
    _add(entry, "link", rel="alternate", type=CAP_TYPE, href=f"{base}/v1/alerts/{alert.identifier}.cap")
    return entry


def _authority(region: Region) -> str:
    """Who mints the ids (RFC 4151 allows a mail address or a host)."""
    return region.sender if "@" in region.sender or "." in region.sender else f"{region.sender}.invalid"


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    element.text = text
    return element


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(character for character in text if character >= " " or character in "\t\n")
