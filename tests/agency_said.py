"""What a message of an agency says, for tests: its parts, short. The real messages lie in data/ways."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

from warning import config_sources
from warning.config_agency import Agency
from warning.config_sources import Source, Theirs
from warning.errors import InputError
from warning.ingest.agency import Mapped, mapped
from warning.ingest.formats import Item
from warning.ingest.gateway import Part
from warning.ingest.pushed import reader

WAYS = Path(__file__).parent / "data" / "ways"
NAMES = ("usgs", "uk-ea", "nwps", "dmc-lk", "shef", "waterml2")
SHIPPED = config_sources.shipped(*NAMES)


def understood(agency: Agency | str, body: bytes | str, stations: dict[str, Theirs | str], others: str = "ignore") -> Mapped:
    agency = SHIPPED[agency] if isinstance(agency, str) else agency
    theirs = {id: Theirs(one) if isinstance(one, str) else one for id, one in stations.items()}
    source = Source("test", agency, "", theirs, others=others)  # type: ignore[arg-type]
    return mapped(reader(agency)((WAYS / body).read_bytes() if isinstance(body, str) else body), source)


def items(found: Mapped) -> list[tuple[str, str, str, float | None, str, str]]:
    assert all(isinstance(part.item, Item) for part in found.parts), found.parts
    return [shown(part) for part in found.parts]


def shown(part: Part) -> Any:
    one = part.item
    if isinstance(one, InputError):
        return one.reason
    return one.station, one.parameter, one.time.astimezone(UTC).isoformat(), one.value, one.unit, one.datum
