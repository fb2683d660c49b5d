"""The base map of a region: the GeoJSON layers and the towns that lie in its folder, as the page draws them."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

import msgspec

from warning.region import Region

LAYERS = ("countries", "lakes", "rivers")
PLACES = "places"
_TOWNS = 250  # the most populous ones; more would be a wall of words

log = logging.getLogger(__name__)


class BaseMap:
    """Read once, served from memory. A region without such files has a page without a base map."""

    def __init__(self, region: Region) -> None:
        folder = Path(region.folder)
        self._layers = {name: body for name in LAYERS if (body := _geojson(folder / f"{name}.geojson")) is not None}
        if (folder / f"{PLACES}.csv").is_file():
            self._layers[PLACES] = _places(folder / f"{PLACES}.csv")

    @property
    def names(self) -> list[str]:
        return sorted(self._layers)

    def layer(self, name: str) -> bytes | None:
        """GeoJSON, UTF-8; None if the region has no such layer."""
        return self._layers.get(name)


def _geojson(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    body = path.read_bytes()
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        log.error("%s is not JSON, the map does without it: %s", path, error)
        return None
    return body


def _places(path: Path) -> bytes:
    """The most populous places as points; a population of 0 means unknown, and such places are left out."""
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    found: list[tuple[int, str, float, float]] = []
    for number, row in enumerate(rows, start=2):
        try:
            found.append((int(row["population"]), row["name"], float(row["lon"]), float(row["lat"])))
        except (KeyError, TypeError, ValueError) as error:
            log.error("%s line %d is left out of the map: %s", path, number, error)
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": {"name": name, "population": people}}
        for people, name, lon, lat in sorted(found, reverse=True)[:_TOWNS]
        if people
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})
