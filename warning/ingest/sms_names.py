"""Names of stations as people write them: case, spelling and script forgiven, but never a choice between two stations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warning.config_readers import Reader
from warning.errors import InputError
from warning.people.spelling import distance, folded, plain
from warning.region import Region, Station, named

__all__ = ["Names", "distance", "folded", "plain", "spellings"]

_BRACKET = re.compile(r"\(([^)]*)\)")


def spellings(region: Region) -> Mapping[str, tuple[str, ...]]:
    """Folded name -> the region's stations of that name; made once for all readers."""
    found: dict[str, tuple[str, ...]] = {}
    for station in region.stations:
        for name in _names(station):
            key = folded(name)
            if key and station.id not in found.get(key, ()):
                found[key] = (*found.get(key, ()), station.id)
    return found


@dataclass(frozen=True)
class Names:
    """The names that one reader may write. ``all``: what ``spellings`` gives; ``aliases``: folded -> his station."""

    all: Mapping[str, tuple[str, ...]]
    mine: frozenset[str]
    aliases: Mapping[str, str]
    shown: tuple[str, ...]  # what his stations are called in his language

    @staticmethod
    def of(region: Region, reader: Reader, all: Mapping[str, tuple[str, ...]] | None = None) -> Names:
        aliases = {folded(name): station for station, name in reader.aliases}
        shown = tuple(named(region.station_by_id[one].names, reader.language) for one in reader.stations)
        return Names(spellings(region) if all is None else all, frozenset(reader.stations), aliases, shown)

    def exact(self, words: Sequence[str]) -> str:
        """His station of that very name; "" for none. Raises InputError for two of his, or another's."""
        key = folded("".join(words))
        if key in self.aliases:
            return self.aliases[key]
        meant = self.all.get(key, ())
        his = tuple(one for one in meant if one in self.mine)
        if len(his) > 1:
            raise _which(words, his)
        if his:
            return his[0]
        if meant and len(key) > 1:
            what = f"you are not registered for {', '.join(meant[:3])}"
            raise InputError(what, reason="station_forbidden", field="station", fix=self.fix())
        return ""

    def near(self, words: Sequence[str]) -> str:
        """The one station of his that the words can mean, a letter or two misspelt, and no other as well; "" for none.

        Nothing with a digit in it: ``G1`` and ``G2`` are two gauges, and a digit may be of the value.
        """
        key = folded("".join(words))
        most = 0 if len(key) < 4 or not key.isalpha() else 1 if len(key) < 8 else 2
        letters = set(key)
        meant: set[str] = set()
        for name in (*self.all, *self.aliases) if most else ():
            if abs(len(name) - len(key)) <= most and len(letters ^ set(name)) <= 2 * most and distance(key, name, most) <= most:
                meant.update(self.all.get(name, ()))
                meant.update({self.aliases[name]} if name in self.aliases else ())
        if len(meant) > 1:
            raise _which(words, tuple(sorted(meant)))
        return next((one for one in meant if one in self.mine), "")

    def fix(self) -> str:
        """What to write instead."""
        return "write one of: " + ", ".join(self.shown[:6])


def _names(station: Station) -> list[str]:
    """Its id, the last part of it (IND-SUKKUR: SUKKUR), its names, and these without what stands in brackets."""
    found = [station.id, station.id.rpartition("-")[2] if station.id.count("-") == 1 else station.id]
    for name in station.names.values():
        found += [name, _BRACKET.sub("", name), *(_BRACKET.findall(name) if station.id.count("-") == 1 else [])]
    return [name for name in found if name.strip()]


def _which(words: Sequence[str], stations: tuple[str, ...]) -> InputError:
    what = f"{' '.join(words)[:40]!r} may be {' or '.join(stations[:3])}"
    return InputError(what, reason="station_unknown", field="station", fix="write the station's id")
