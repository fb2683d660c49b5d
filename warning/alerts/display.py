"""Values, times and names as people of a region read them: their units, their local time, their language."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from warning.alerts.english import ENGLISH
from warning.alerts.english_weather import ENGLISH_WEATHER
from warning.alerts.phrases import HazardTexts, Phrases
from warning.alerts.sinhala import SINHALA
from warning.alerts.sinhala_weather import SINHALA_WEATHER
from warning.alerts.urdu import URDU
from warning.alerts.urdu_weather import URDU_WEATHER
from warning.model import Level
from warning.region import QUANTITIES, Region, Zone, named

LANGUAGES: Mapping[str, Phrases] = {phrases.language: phrases for phrases in (ENGLISH, URDU, SINHALA)}
DRAFT_LANGUAGES = frozenset(phrases.language for phrases in LANGUAGES.values() if phrases.draft)

WEATHER: Mapping[str, Mapping[str, HazardTexts]] = {"en": ENGLISH_WEATHER, "ur": URDU_WEATHER, "si": SINHALA_WEATHER}

_SI_UNIT = {"stage": "m", "discharge": "m3/s", "inflow": "m3/s", "outflow": "m3/s", "rain": "mm"}
_SI_UNIT |= {"temperature": "degC", "humidity": "%", "ratio": "ratio"}
# SI value of one unit, and the decimals that are worth showing. 1 ft = 0.3048 m (international foot), 1 cusec = 1 ft3/s.
_UNITS: Mapping[str, tuple[float, int]] = {
    "m": (1.0, 2),
    "ft": (0.3048, 1),
    "mm": (1.0, 0),
    "m3/s": (1.0, 0),
    "cusec": (0.3048**3, 0),
    "degC": (1.0, 1),
    "degF": (1.0 / 1.8, 0),
    "%": (1.0, 0),
    "ratio": (0.01, 0),
}

# By number and not by Unicode category, which changes with Python's version: a document must not.
_UNFIT = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@functools.cache  # languages times hazards
def phrases(language: str, hazard: str = "flood") -> Phrases:
    """The texts of a language (``ur-PK`` is ``ur``) for a hazard; English where there are none."""
    base = LANGUAGES.get(language) or LANGUAGES.get(language.split("-")[0]) or ENGLISH
    other = WEATHER[base.language].get(hazard)
    if other is None:
        return base
    return dataclasses.replace(
        base,
        event=other.event,
        classes=other.classes,
        actions=other.actions,
        instructions=other.instructions,
        sentences={**base.sentences, **other.sentences},
        reasons={**base.reasons, **other.reasons},
        parameters={**base.parameters, **other.parameters},
        units={**base.units, **other.units},
        words={**base.words, **other.words},
    )


def hazard_of(quantity: str) -> str:
    """The hazard that is judged by a quantity; flood where nobody knows it."""
    return QUANTITIES[quantity].hazard if quantity in QUANTITIES else "flood"


def amount(value: float, quantity: str, region: Region, language: str, *, signed: bool = False) -> str:
    """``value`` (as inside the system) in the region's unit for ``quantity`` (one of a zone or of a parameter), with thousands separators.

    Digits are Latin in every language: that is how Pakistan and Sri Lanka write them, and they cost one character each.
    """
    if not math.isfinite(value):
        return "?"
    quantity = QUANTITIES[quantity].shown if quantity in QUANTITIES else quantity
    si = _SI_UNIT.get(quantity, "")
    group = "discharge" if si == "m3/s" else quantity
    unit = region.display_units.get(quantity) or region.display_units.get(group) or si
    if unit not in _UNITS:
        unit = si
    factor, decimals = _UNITS.get(unit, (1.0, 2))
    shown = value / factor + (32.0 if unit == "degF" else 0.0)
    if unit == "m3/s" and abs(shown) < 100:
        decimals = 1
    text = f"{shown:{'+' if signed else ''},.{decimals}f}"
    name = phrases(language, "heat").units.get(unit, unit)
    return f"{text} {name}".rstrip()


def local(ms: int, region: Region) -> datetime:
    """The region's local time, without zone; for texts."""
    return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(milliseconds=ms, seconds=region.utc_offset_s)


def local_time(ms: int, region: Region, language: str) -> str:
    """``27 Aug 15:00``, the region's local time."""
    time = local(ms, region)
    return f"{time.day} {phrases(language).months[time.month - 1]} {time:%H:%M}"


def duration(ms: int, language: str) -> str:
    """``35 min``, ``5 h``, ``3 days``; rounded down."""
    texts = phrases(language).words
    minutes = max(ms, 0) // 60_000
    if minutes < 120:
        return texts["minutes"].format(number=minutes)
    if minutes < 48 * 60:
        return texts["hours"].format(number=minutes // 60)
    return texts["days"].format(number=minutes // 1440)


def class_name(level: Level, region: Region, language: str, hazard: str = "flood") -> str:
    """The region's official name of the class of a flood in the language of the texts; else our own word for it."""
    texts = phrases(language, hazard)  # where English stands in for a language, it does so with English names: no mixture, no UCS-2
    official = region.class_names.get(level, {}).get(texts.language) if hazard == "flood" else None
    return clean(official or texts.classes[level])


def place(zone: Zone | None, zone_id: str, language: str) -> str:
    """The zone's name in the language of the texts, English if it has none."""
    return clean(named(zone.names, phrases(language).language)) if zone is not None and zone.names else zone_id


def clean(text: str) -> str:
    """Without control characters and lone surrogates, white space as single spaces: fit for XML and for a phone.

    The zero width joiner stays: it is part of Sinhala spelling.
    """
    return " ".join(_UNFIT.sub("", text).split())


def clip(text: str, most: int) -> str:
    """At most so many characters, cut at a word if there is one, never between a letter and its marks."""
    if len(text) <= most:
        return text
    cut = text[:most]
    if not text[most].isspace():
        head = cut.rpartition(" ")[0]
        cut = head if len(head) > most // 2 else cut
        while cut and len(cut) == most and unicodedata.category(text[len(cut)])[0] == "M":
            cut, most = cut[:-1], most - 1
    return cut.rstrip(" ,،:-")
