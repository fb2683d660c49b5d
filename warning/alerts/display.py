"""Values, times and names as people of a region read them: their units, their local time, their language."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from babel.numbers import get_decimal_symbol, get_group_symbol

from warning.alerts.languages import DRAFT_LANGUAGES, LANGUAGES, WEATHER, language_of, phrases
from warning.alerts.phrases import Phrases
from warning.model import Level
from warning.region import QUANTITIES, Names, Region, Zone, named

__all__ = ["DRAFT_LANGUAGES", "LANGUAGES", "WEATHER", "language_of", "phrases"]

LTR, END = "\u2066", "\u2069"  # isolates of Unicode: what stands between is written from left to right, and moves nothing around it

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


def hazard_of(quantity: str) -> str:
    """The hazard that is judged by a quantity; flood where nobody knows it."""
    return QUANTITIES[quantity].hazard if quantity in QUANTITIES else "flood"


def amount(value: float, quantity: str, region: Region, language: str, *, signed: bool = False) -> str:
    """``value`` (as inside the system) in the region's unit for ``quantity`` (one of a zone or of a parameter), with thousands separators.

    Digits are Latin in every language: so Pakistan and Sri Lanka write them, so the code in the message and the keypad are written, and a
    message must not mix two sets of digits.
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
    texts = phrases(language, "heat")
    return f"{'+' if signed and shown >= 0 else ''}{figure(shown, decimals, texts)} {texts.units.get(unit, unit)}".rstrip()


def figure(value: float, decimals: int, texts: Phrases) -> str:
    """A number with the marks of its language: 690,000.5 or 690 000,5. In a language that SMS can write in GSM-7 no blank is a hard one."""
    text = f"{value:,.{decimals}f}"
    return text if not texts.numbers else _marked(text, texts.numbers)


def decimal(text: str, texts: Phrases) -> str:
    """A number that is already a text, with the decimal mark of its language."""
    return text if not texts.numbers else _marked(text, texts.numbers)


def _marked(text: str, locale: str) -> str:
    group, point = _marks(locale)
    return text.translate({ord(","): group, ord("."): point})


@functools.cache
def _marks(locale: str) -> tuple[str, str]:
    """(between thousands, before decimals), by CLDR; a hard blank is a plain one, for it alone would make UCS-2 of GSM-7."""
    return get_group_symbol(locale).replace("\xa0", " ").replace("\u202f", " "), get_decimal_symbol(locale)


def local(ms: int, region: Region) -> datetime:
    """The region's local time, without zone; for texts."""
    return datetime.fromtimestamp(0, UTC).replace(tzinfo=None) + timedelta(milliseconds=ms, seconds=region.utc_offset_s)


def local_time(ms: int, region: Region, language: str) -> str:
    """``27 Aug 15:00``, the region's local time."""
    time = local(ms, region)
    texts = phrases(language)
    return texts.date.format(day=time.day, month=texts.months[time.month - 1], time=f"{time:%H:%M}")


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
    """The zone's name in the language of the texts, or in one that stands in for it."""
    return name_of(zone.names, phrases(language)) if zone is not None and zone.names else zone_id


def name_of(names: Names, texts: Phrases) -> str:
    """The name in the language of ``texts``, else in one that stands in for it, else in English, marked as left to right where it stands
    in a text that runs the other way."""
    known = next((one for one in (texts.language, *texts.instead) if one in names), None)
    if known is not None:
        return clean(names[known])
    name = clean(named(names, texts.language))
    return f"{LTR}{name}{END}" if texts.isolated else name


def clean(text: str) -> str:
    """Without control characters and lone surrogates, white space as single spaces: fit for XML and for a phone.

    The zero width joiner stays: it is part of Sinhala spelling.
    """
    return " ".join(_UNFIT.sub("", text).split())


def clip(text: str, most: int) -> str:
    """At most so many characters, cut at a word if there is one, never between a letter and its marks; what is marked as left to right
    ends within it."""
    if len(text) <= most:
        return text
    cut = _clipped(text, most)
    if cut.count(LTR) == cut.count(END):
        return cut
    cut = _clipped(text, most - 1)
    opened = cut.rfind(LTR)
    return cut if opened < 0 else cut + END if len(cut) - opened > 1 else cut[:opened].rstrip()


def _clipped(text: str, most: int) -> str:
    cut = text[:most]
    if not text[most].isspace():
        head = cut.rpartition(" ")[0]
        cut = head if len(head) > most // 2 else cut
        while cut and len(cut) == most and unicodedata.category(text[len(cut)])[0] == "M":
            cut, most = cut[:-1], most - 1
    return cut.rstrip(" ,،:-")
