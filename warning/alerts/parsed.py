"""CAP 1.2 XML -> a frozen noun. What comes from outside is read with a parser that loads, resolves and expands nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from warning.errors import InputError

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MOST_BYTES = 1_000_000

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ParsedArea:
    """Polygons and circles as written; ``ring`` reads a polygon."""

    description: str
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()
    geocodes: Pairs = ()


@dataclass(frozen=True, slots=True)
class ParsedInfo:
    """One language's block. Times as written; absent texts are ""."""

    language: str
    categories: tuple[str, ...]
    event: str
    response_types: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    event_codes: Pairs
    effective: str
    onset: str
    expires: str
    sender_name: str
    headline: str
    description: str
    instruction: str
    web: str
    contact: str
    parameters: Pairs
    areas: tuple[ParsedArea, ...]

    def parameter(self, name: str) -> str:
        """The first value of that parameter, "" if there is none."""
        return next((value for known, value in self.parameters if known == name), "")


@dataclass(frozen=True, slots=True)
class ParsedAlert:
    """One CAP message. ``references``: (sender, identifier, sent) as written."""

    identifier: str
    sender: str
    sent: str
    status: str
    msg_type: str
    scope: str
    restriction: str
    note: str
    references: tuple[tuple[str, str, str], ...]
    incidents: tuple[str, ...]
    infos: tuple[ParsedInfo, ...]

    @property
    def expires(self) -> str:
        """The last moment at which any part of it is valid, as written; "" if it never says."""
        return max((info.expires for info in self.infos if info.expires), key=time_ms, default="")


def time_ms(text: str) -> int:
    """A CAP time in ms since 1970; ValueError if it is none, or has no offset."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text}: no offset")
    return round(time.timestamp() * 1000)


def ring(polygon: str) -> tuple[tuple[float, float], ...]:
    """A polygon's points (lat, lon) as written; ValueError if a point is not two numbers."""
    points = []
    for pair in polygon.split():
        lat, lon = pair.split(",")
        points.append((float(lat), float(lon)))
    return tuple(points)


def read(xml: str | bytes) -> Any:
    """The root element of well-formed XML without a document type; InputError for anything else."""
    data = xml.encode("utf-8", "surrogatepass") if isinstance(xml, str) else xml
    if len(data) > MOST_BYTES:
        raise InputError(f"{len(data)} bytes are too many", reason="too_large", field="body", fix=f"at most {MOST_BYTES} bytes")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"not well-formed XML: {error}", reason="xml", field="body", fix="send one CAP 1.2 document") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InputError("a document type is not taken", reason="doctype", field="body", fix="leave <!DOCTYPE> out")
    return root


def parse(xml: str | bytes) -> ParsedAlert:
    """A CAP 1.2 message as a noun. Missing parts are empty: ``lint`` names them. InputError if it is no CAP 1.2 alert at all."""
    root = read(xml)
    if root.tag != f"{{{NAMESPACE}}}alert":
        raise InputError(f"{root.tag} is no CAP 1.2 alert", reason="namespace", field="alert", fix=f'<alert xmlns="{NAMESPACE}">')
    return alert_of(root)


def alert_of(root: Any) -> ParsedAlert:
    """The noun of an ``alert`` element of any CAP namespace."""
    return ParsedAlert(
        identifier=_text(root, "identifier"),
        sender=_text(root, "sender"),
        sent=_text(root, "sent"),
        status=_text(root, "status"),
        msg_type=_text(root, "msgType"),
        scope=_text(root, "scope"),
        restriction=_text(root, "restriction"),
        note=_text(root, "note"),
        references=tuple(_reference(part) for part in _text(root, "references").split()),
        incidents=tuple(_text(root, "incidents").split()),
        infos=tuple(_info(info) for info in _all(root, "info")),
    )


def _info(info: Any) -> ParsedInfo:
    return ParsedInfo(
        language=_text(info, "language"),
        categories=_texts(info, "category"),
        event=_text(info, "event"),
        response_types=_texts(info, "responseType"),
        urgency=_text(info, "urgency"),
        severity=_text(info, "severity"),
        certainty=_text(info, "certainty"),
        event_codes=_pairs(info, "eventCode"),
        effective=_text(info, "effective"),
        onset=_text(info, "onset"),
        expires=_text(info, "expires"),
        sender_name=_text(info, "senderName"),
        headline=_text(info, "headline"),
        description=_text(info, "description"),
        instruction=_text(info, "instruction"),
        web=_text(info, "web"),
        contact=_text(info, "contact"),
        parameters=_pairs(info, "parameter"),
        areas=tuple(
            ParsedArea(_text(area, "areaDesc"), _texts(area, "polygon"), _texts(area, "circle"), _pairs(area, "geocode"))
            for area in _all(info, "area")
        ),
    )


def _reference(part: str) -> tuple[str, str, str]:
    fields = [*part.split(","), "", ""]
    return fields[0], fields[1], ",".join(fields[2:]).rstrip(",")


def local_name(element: Any) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _all(parent: Any, name: str) -> list[Any]:
    return list(parent.iterchildren(f"{{*}}{name}"))


def _texts(parent: Any, name: str) -> tuple[str, ...]:
    return tuple((child.text or "").strip() for child in _all(parent, name))


def _text(parent: Any, name: str) -> str:
    return next(iter(_texts(parent, name)), "")


def _pairs(parent: Any, name: str) -> Pairs:
    return tuple((_text(child, "valueName"), _text(child, "value")) for child in _all(parent, name))
