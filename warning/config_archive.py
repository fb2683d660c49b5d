"""A Region as one JSON document, so that an exported log can be replayed where its folder is not. Contacts stay at home."""

from __future__ import annotations

import dataclasses

import msgspec

from warning.config_digest import digest
from warning.errors import ConfigError, Problem
from warning.region import Region


def pack(region: Region) -> bytes:
    """JSON of the region without its contacts: nothing that ``pipeline`` decides depends on one, and telephone numbers do not travel."""
    return msgspec.json.encode(dataclasses.replace(region, contacts=(), folder=""))


def unpack(document: bytes, where: str) -> Region:
    """The region of ``pack``. Raises ConfigError if it is not what its digest says, as when this code knows other rules."""
    try:
        region = msgspec.json.decode(document, type=Region)
    except msgspec.MsgspecError as error:
        raise ConfigError([Problem(where, f"its region cannot be read: {error}", "read it with the version that wrote it")]) from error
    found = digest(region)
    if found != region.digest:
        words = f"its region {region.id} has digest {region.digest[:12]}, this version makes {found[:12]} of it"
        raise ConfigError([Problem(where, words, "read it with the version that wrote it")])
    return region
