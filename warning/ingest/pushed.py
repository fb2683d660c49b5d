"""SHEF and WaterML 2.0 that somebody sends to us: their station ids are ours, their words are those of the shipped agencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from warning import config_sources
from warning.config_agency import Agency
from warning.config_sources import Source, Theirs
from warning.errors import InputError
from warning.ingest import shef, waterml
from warning.ingest.agency import Said, mapped
from warning.ingest.body import MOST_ITEMS
from warning.ingest.gateway import Part
from warning.ingest.paths import Paths

Parser = Callable[[bytes], list[Part]]
MOST_SHEF = 128 << 10  # about 3 s of a core, in a thread of its own
TYPES = {"text/x-shef": "shef", "application/x-shef": "shef", "application/waterml+xml": "waterml2", "application/x-waterml2": "waterml2"}


class _AsTheyAre(dict[str, Theirs]):
    """Every station of theirs is one of ours by the same name; the gateway knows which are."""

    def __missing__(self, name: str) -> Theirs:
        return Theirs(name)

    def get(self, name: str, default: object = None) -> Theirs:
        return Theirs(name)


def reader(agency: Agency) -> Callable[[bytes], list[Said]]:
    """Reads the messages of an agency: bytes -> all that they say. Raises InputError where they are none of its format."""
    if agency.format == "shef":
        return shef.read
    if agency.format == "waterml2":
        return partial(waterml.read, agency=agency)
    return Paths(agency).read


def shipped() -> dict[str, Parser]:
    """As ``parsers``, of the agencies that are shipped. Raises ConfigError."""
    return parsers(config_sources.shipped(*sorted(set(TYPES.values()))))


def parsers(agencies: Mapping[str, Agency]) -> dict[str, Parser]:
    """Content type -> its parser: bytes -> parts. ``agencies``: the shipped ones by name. A parser raises InputError."""
    return {kind: partial(_parts, agency=agencies[name], read=reader(agencies[name])) for kind, name in TYPES.items() if name in agencies}


def _parts(body: bytes, agency: Agency, read: Callable[[bytes], list[Said]]) -> list[Part]:
    if agency.format == "shef" and len(body) > MOST_SHEF:
        words = f"a SHEF text of {len(body)} bytes"
        raise InputError(words, reason="too_large", field="", fix=f"at most {MOST_SHEF}: it is read slowly")
    source = Source(agency.format, agency, "", _AsTheyAre(), others="refuse")
    parts = mapped(read(body), source).parts
    if not parts:
        raise InputError("no readings in the body", reason="empty", field="", fix="send at least one")
    if len(parts) > MOST_ITEMS:
        raise InputError(f"{len(parts)} readings in one body", reason="too_many", field="", fix=f"at most {MOST_ITEMS}")
    return parts
