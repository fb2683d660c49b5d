"""An SMS of anybody -> the command that it is, in ten languages. It guesses nothing: the first word is a keyword, or it is no command.

::

    subscribe [place]    stop ...    language [name]    status [place]    acknowledge [code]    check [code]    help

Pure: no clock, no database. Stop counts with a please behind it and nothing else, but for English: «بند» is an embankment too, and who
writes that it broke must not fall silent for it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from warning.people.spelling import distance, folded, plain
from warning.people.vocabulary import KEYWORDS, LANGUAGE_NAMES
from warning.region import Region, named

MOST_CHARACTERS = 200  # longer ones are no commands
MOST_WORDS = 3  # of a keyword
MOST_PLACE_WORDS = 4  # «river Sukkur» asks; «river has come over the embankment at our village» tells, and is kept for people to read
_PARTS = re.compile(r"[\s.,;:!?\"'()\[\]*#=«»“”،؛؟۔。，：！？、]+")
_WITHOUT_BLANKS = "zh"
_NO_ARGUMENT = ("help",)
_PLEASE = (
    "please pls plz sms all messages warnings کریں کرو کردیں کردو کر دیں دو پلیز karo karein kardo kardein kar den dein do"
    " کړئ ڪريو کنید کن لطفا пожалуйста всё iltimos 请 請 短信"
)
_CODES = (5, 7)  # letters of a code: ``check_code``, ``proof.codes``


@dataclass(frozen=True, slots=True)
class Command:
    """``kind``: one of ``vocabulary.KINDS``. ``languages``: those that the keyword is a word of. ``argument``: what follows, as typed."""

    kind: str
    languages: tuple[str, ...]
    argument: str = ""


def command(text: str) -> Command | None:
    """The command that ``text`` is; None: it is none.

    >>> command("Join Sukkur")
    Command(kind='subscribe', languages=('en',), argument='Sukkur')
    >>> command("۱").kind, command("1 or 2"), command("54.2 ft")
    ('acknowledge', None, None)
    """
    if not text or len(text) > MOST_CHARACTERS:
        return None
    words = [word for word in _PARTS.split(_straight(plain(text))) if word]
    for length in range(min(MOST_WORDS, len(words)), 0, -1):
        found = _keywords().get(folded("".join(words[:length])))
        if found is not None:
            return _whole(found[0], found[1], words[length:])
    return _joined(words)


def language(name: str) -> str:
    """The language that goes by that name or code; "" for none."""
    return _languages().get(folded(_straight(plain(name))), "")


def _straight(text: str) -> str:
    """The apostrophes of Uzbek are letters there: o' and o‘ are one."""
    return re.sub("(?<=[^\\W\\d_])[’‘ʻʼ`´']", "", text)


def _whole(kind: str, languages: tuple[str, ...], rest: list[str]) -> Command | None:
    """With what follows, if that may follow it."""
    if kind == "acknowledge" and (len(rest) > 1 or not all(_code(word) for word in rest)):
        return None
    if kind in _NO_ARGUMENT and rest:
        return None
    if kind in ("status", "subscribe") and len(rest) > MOST_PLACE_WORDS:
        return None
    if kind == "stop" and "en" not in languages and not all(folded(word) in _please() for word in rest):
        return None
    return Command(kind, languages, " ".join(rest))


def _code(word: str) -> bool:
    return word.isascii() and word.isalnum() and len(word) in _CODES


@functools.cache
def _please() -> frozenset[str]:
    return frozenset(map(folded, _PLEASE.split()))


def _joined(words: list[str]) -> Command | None:
    """Chinese: the keyword and its argument without a blank."""
    text = "".join(words)
    starts = [(key, found) for key, found in _keywords().items() if _WITHOUT_BLANKS in found[1] and len(key) > 1 and text.startswith(key)]
    if not starts:
        return None
    key, (kind, languages) = max(starts, key=lambda one: len(one[0]))
    return _whole(kind, languages, [text[len(key) :]])


@functools.cache
def _keywords() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for spoken, kinds in KEYWORDS.items():
        for kind, words in kinds.items():
            for word in words.split():
                key = folded(_straight(word.replace("_", "")))
                found[key] = (kind, (*found.get(key, ("", ()))[1], spoken))
    return found


@functools.cache
def _languages() -> Mapping[str, str]:
    found = {spoken: spoken for spoken in LANGUAGE_NAMES}
    for spoken, names in LANGUAGE_NAMES.items():
        found |= {folded(_straight(name.replace("_", ""))): spoken for name in names.split()}
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere that one can be told of. ``zones``: whose warnings concern it."""

    id: str
    names: Mapping[str, str]
    districts: tuple[str, ...]
    zones: tuple[str, ...]

    def name(self, language: str) -> str:
        return named(self.names, language) if self.names else self.id


class Places:
    """The region's districts and gauges, by what people call them."""

    def __init__(self, region: Region) -> None:
        self._by_name: dict[str, dict[str, Place]] = {}
        self._zones: dict[str, dict[str, None]] = {}
        of_district: dict[str, list[str]] = {}
        for zone in region.zones:
            for district in zone.districts:
                of_district.setdefault(district, []).append(zone.id)
        self.districts = {one.id: Place(one.id, one.names, (one.id,), tuple(of_district.get(one.id, ()))) for one in region.districts}
        for place in self.districts.values():
            self._enter(place, (place.id, *place.names.values()))
        for zone in region.zones:  # of one name the district comes first: there people live
            names = [
                zone.id,
                zone.id.rpartition("-")[2],
                *zone.names.values(),
                *(re.sub(r"\(.*?\)", "", one) for one in zone.names.values()),
            ]
            for key in map(folded, names):
                self._zones.setdefault(key, {})[zone.id] = None
            known = [name for name in names if not any(one in self.districts for one in self._by_name.get(folded(name), ()))]
            self._enter(Place(zone.id, zone.names, zone.districts, (zone.id,)), known)

    def _enter(self, place: Place, names: tuple[str, ...] | list[str]) -> None:
        for name in names:
            if key := folded(name):
                self._by_name.setdefault(key, {})[place.id] = place

    def called(self, name: str) -> list[Place]:
        """Those of exactly that name (case and spelling of letters forgiven): none, one, or several that nobody may choose between."""
        return list(self._by_name.get(folded(plain(name)), {}).values())

    def zones(self, name: str) -> tuple[str, ...]:
        """All zones that the name can mean: of its district, and of a gauge that is called so; to know of one too many does no harm."""
        key = folded(plain(name))
        return tuple(dict.fromkeys((*(zone for place in self.called(name) for zone in place.zones), *self._zones.get(key, {}))))

    def like(self, name: str, most: int = 3) -> list[Place]:
        """Those whose name is a letter or two away: to be asked about, never to be taken."""
        key = folded(plain(name))[:40]
        allowed = 0 if len(key) < 4 else 1 if len(key) < 7 else 2
        found = {
            place.id: place
            for known, places in self._by_name.items()
            if allowed and abs(len(known) - len(key)) <= allowed and distance(key, known, allowed) <= allowed
            for place in places.values()
        }
        return list(found.values())[:most]
