"""OGC WaterML 2.0 (OGC 10-126r4): measurement time series, by themselves, in a collection or in an answer of a SOS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lxml import etree

from warning.config_agency import Agency
from warning.errors import InputError
from warning.ingest.agency import Said, moment, number
from warning.ingest.paths import not_this_format

_WML = "{http://www.opengis.net/waterml/2.0}"
_OM = "{http://www.opengis.net/om/2.0}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TIMES = ("GetObservationResponse", "Collection", "OM_Observation", "MeasurementTimeseries")  # what an answer without readings is


def read(body: bytes, agency: Agency) -> list[Said]:
    """All points. A station is the last part of featureOfInterest's reference, what is measured of observedProperty's.

    Raises InputError ``format`` for what is no such XML.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise not_this_format(f"no XML: {error}") from None
    if b"<!DOCTYPE" in body[:4096] or b"<!ENTITY" in body:
        raise not_this_format("XML with a document type, which WaterML has not")
    name = etree.QName(root).localname
    if name not in _TIMES:
        raise not_this_format(f"no WaterML 2.0: {name}: {' '.join(' '.join(map(str, root.itertext())).split())[:200]}")
    series = list(root.iter(f"{_WML}MeasurementTimeseries"))
    if not series and next(root.iter(f"{_OM}result"), None) is not None:
        raise not_this_format("results, and none of them a MeasurementTimeseries")
    return [said for one in series for said in _series(one, agency)]


def _series(series: Any, agency: Agency) -> Iterator[Said]:
    around = next(series.iterancestors(f"{_OM}OM_Observation"), None)
    station = _last(around, "featureOfInterest")
    what = _last(around, "observedProperty")
    defaults = series.find(f"{_WML}defaultPointMetadata")
    unit = _code(defaults) if defaults is not None else ""
    for point in series.iter(f"{_WML}MeasurementTVP"):
        time, value = point.find(f"{_WML}time"), point.find(f"{_WML}value")
        own = _code(point) or unit
        raw = {"station": station, "what": what, "time": _text(time), "value": _text(value), "unit": own}
        source = json.dumps(raw, ensure_ascii=False).encode()
        nil = value is None or value.get(_NIL) in ("true", "1")
        try:
            at = moment(raw["time"], agency)
            yield Said(source, station, what, at, None if nil or at is None else number(raw["value"], agency), own)
        except InputError as error:
            yield Said(source, station, what, wrong=error)


def _last(observation: Any, name: str) -> str:
    """The last part of a reference: of a path, or of a URN."""
    found = None if observation is None else observation.find(f"{_OM}{name}")
    reference = "" if found is None else found.get(_HREF) or ""
    return str(reference.rstrip("/").rsplit("/", 1)[-1] if "/" in reference else reference.rsplit(":", 1)[-1])


def _code(metadata: Any) -> str:
    found = next(metadata.iter(f"{_WML}uom"), None)
    return "" if found is None else str(found.get("code") or found.get(_HREF) or "")


def _text(element: Any) -> str | None:
    return None if element is None or element.text is None else str(element.text).strip()
