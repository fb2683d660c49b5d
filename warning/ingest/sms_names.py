"""Names of stations as people write them: case, spelling and script forgiven, but never a choice between two stations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warning.config_readers import Reader
from warning.errors import InputError
from warning.region import Region, Station, named

# One letter, several code points: what keyboards of Arabic, Urdu and Sindhi write for the same.
_SAME = str.maketrans(
    {"ي": "ی", "ى": "ی", "ئ": "ی", "ك": "ک", "ه": "ہ", "ة": "ہ", "ۃ": "ہ", "ۂ": "ہ", "ھ": "ہ", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا"}
    | {"ؤ": "و", "ـ": "", "\u200c": "", "\u200d": "", "ء": ""}
)
_MARKS = {ord(mark): None for mark in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\ufeff"}
_DECIMAL = re.compile(r"(?<=\d)[٫·](?=\d)|(?<=\d)۔(?=\d)")
_GROUP = re.compile(r"(?<=\d)[،٬](?=\d)")
_MINUS = re.compile(r"(?<!\w)[−–](?=\d)")
_BRACKET = re.compile(r"\(([^)]*)\)")


def plain(text: str) -> str:
    """The text with our digits, ``.`` and ``,`` as marks in numbers, composed letters, without marks of direction."""
    # What looks like a digit and is none (5² is not 52, ½ not 1 2) stays what it is: no number is made of it.
    text = "".join(
        letter if unicodedata.category(letter) == "No" else unicodedata.normalize("NFKC", letter)
        for letter in unicodedata.normalize("NFC", text.translate(_MARKS))
    )
    digits = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)
    return _MINUS.sub("-", _GROUP.sub(",", _DECIMAL.sub(".", digits)))


def folded(word: str) -> str:
    """A word so that spellings of it meet: small letters without accents, one code point a letter, no blanks and hyphens."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", word).casefold().translate(_SAME))
    return "".join(letter for letter in parts if letter.isalnum() or letter in "%/")


def distance(one: str, other: str, most: int) -> int:
    """Letters to change, add, drop or swap with their neighbour to make the one the other (optimal string alignment); more: most + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, its in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)


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
