"""A language's texts as one plain table -> ``Phrases``: what languages are made of since there are more than three.

::

    name: text                      a setting: language, locale, numbers, date, instead, direction
    [section]                       then ``name: text`` for each of its names; what is indented goes on from the line above
    observed: {level} at {place}[ ({time})]

What stands in brackets in a reason is left out where one of its values is unknown; ``|`` parts a text from a poorer one. Sentences that
only say what is new in another (raised, lowered, a new time) and instructions are put together here, the same way in each language:
a reviewer reads every sentence once. Nouns stand before their number ("bridges: 3"), which needs no plural form in any language.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from babel import Locale

from warning.alerts.advice import ADVICE
from warning.alerts.phrases import HazardTexts, Phrases
from warning.model import CLASSES, Level

Sections = Mapping[str, Mapping[str, str]]

_LEVELS = (Level.NORMAL, *CLASSES)
_STATION = ("silent_since", "never_spoke")
_RAIN_HOURS = (1, 3, 6, 24, 72)
_WEATHER_UNITS = ("degC", "degF", "%", "ratio")
_OF_HAZARD = {"flash_flood": "flash_flood", "heat": "heat_of", "heavy_rain": "rain_fell"}  # the reason that only it has


def sections(table: str) -> Sections:
    """section -> name -> text; the settings are section "". Raises ValueError for a line that is neither, or a name that stands twice."""
    found: dict[str, dict[str, str]] = {"": {}}
    section = name = ""
    for number, line in enumerate(table.splitlines(), 1):
        text = line.strip()
        if not text:
            continue
        if line.startswith("["):
            section, name = text.strip("[]"), ""
            found.setdefault(section, {})
        elif line[0].isspace() and name:
            found[section][name] += " " + text
        else:
            name, colon, rest = text.partition(":")
            if not colon or name in found[section]:
                raise ValueError(f"line {number} of a language's table: {text[:60]!r}")
            found[section][name] = rest.strip().replace("\\s", " ")  # a blank at an end
    return found


def variants(text: str) -> tuple[str, ...]:
    """The texts that a reason may take, the richest first.

    >>> variants("rising[ by {rate}][ over {points}]|up")
    ('rising by {rate} over {points}', 'rising by {rate}', 'rising over {points}', 'rising', 'up')
    """
    found: list[str] = []
    for alternative in text.split("|"):
        pieces = re.split(r"\[([^\]]*)\]", alternative.strip())
        choices = [(piece, "") if at % 2 else (piece,) for at, piece in enumerate(pieces)]
        made = ["".join(chosen) for chosen in itertools.product(*choices)]
        found += sorted(made, key=lambda one: -one.count("{"))
    return tuple(dict.fromkeys(found))


def phrases_of(table: str) -> Phrases:
    """The language that ``table`` holds. Raises ValueError or KeyError for a table that is not whole."""
    found = sections(table)
    set_, words = found[""], found["words"]
    locale = Locale.parse(set_["locale"])
    return Phrases(
        language=set_["language"],
        draft=True,
        event=found["events"]["flood"],
        exercise=words["exercise"] + set_.get("join", " "),
        test=words["test"] + set_.get("join", " "),
        exercise_note=words["exercise_note"],
        classes=_levels(found["flood"], unknown=found["risk"]["UNKNOWN"]),
        actions=_levels(found["act flood"]),
        instructions=_instructions("flood", found["advice"], set_.get("join", " ")),
        sentences=_sentences(found["sentences"], set_.get("join", " ")),
        reasons={code: variants(text) for code, text in found["reasons"].items() if code not in _not_of_floods()},
        parameters={name: found["parameters"][name] for name in _PARAMETERS},
        causes=found["causes"],
        units={name: found["units"][name] for name in ("m", "ft", "m3/s", "cusec", "mm")},
        months=tuple(locale.months["format"]["wide" if set_["months"] == "wide" else "abbreviated"][month] for month in range(1, 13)),
        likelihoods=found["likelihoods"],
        assets={kind: f"{text}: {{number}}" for kind, text in found["assets"].items()},
        counts=tuple((int(unit), text) for unit, text in found["counts"].items()),
        words={name: words[name] for name in _WORDS} | {"comma": words["comma"] + set_.get("join", " ")},
        date=set_["date"],
        numbers=set_.get("numbers", ""),
        instead=tuple(set_.get("instead", "").split()),
        isolated=locale.character_order == "right-to-left",
    )


def weather_of(table: str) -> Mapping[str, HazardTexts]:
    """What the same table says of other hazards. Raises as ``phrases_of``."""
    found = sections(table)
    return {hazard: _hazard(hazard, found) for hazard in _OF_HAZARD}


_PARAMETERS = ("stage", "discharge", "inflow", "outflow", "rain", "temperature", "humidity")
_WORDS = (
    "value_stage",
    "value_discharge",
    "code",
    "limits",
    "districts",
    "age",
    "minutes",
    "hours",
    "days",
    "before",
    "area",
    "area_alone",
    "area_polygon",
    "area_distance",
    "area_districts",
    "one_town",
    "towns",
    "unsized",
    "no_town",
    "at_risk",
    "people",
    "stop",
)


def _not_of_floods() -> frozenset[str]:
    return frozenset((*_OF_HAZARD.values(), "station_silent_since", "station_never_spoke"))


def _levels(texts: Mapping[str, str], unknown: str | None = None) -> dict[Level, str]:
    found = {level: texts[level.value] for level in _LEVELS}
    return found if unknown is None else {Level.UNKNOWN: unknown, **found}


def _instructions(hazard: str, advice: Mapping[str, str], join: str) -> dict[Level, str]:
    return {level: join.join(advice[name] for name in names.split()) for level, names in ADVICE[hazard].items()}


def _sentences(texts: Mapping[str, str], join: str) -> dict[str, str]:
    found = {name: text for name, text in texts.items() if name not in ("raised", "lowered", "new_time") and not name.startswith("clear_")}
    del found["station_silent"]
    for kind, prefix in (("upgrade", texts["raised"]), ("downgrade", texts["lowered"])):
        found |= {f"{kind}_{which}": f"{prefix}{join}{texts[which]}" for which in ("expected", "expected_untimed", "observed")}
    return {**found, "arrival": f"{texts['new_time']}{join}{texts['expected']}"}


def _hazard(hazard: str, found: Sections) -> HazardTexts:
    words, event, reason = found["words"], found["events"][hazard], _OF_HAZARD[hazard]
    joined = found[""].get("join", " ")
    pause = found[""].get("pause", words["comma"] + joined)
    risk = {level: f"{event}{pause}{text}" for level, text in _levels(found["risk"]).items()}
    reasons = {f: variants(found["reasons"][f"station_{f}"]) for f in _STATION} | {reason: variants(found["reasons"][reason])}
    rain = {f"rain_{hours}h": found["parameters"]["rain_hours"].format(hours=hours) for hours in _RAIN_HOURS}
    own = {
        "flash_flood": {"value_flash_flood": words["value_flash_flood"], "area": words["area_streams"]},
        "heat": {name: words[name] for name in ("value_heat_index", "value_wet_bulb")} | {"area": words["area_place"]},
        "heavy_rain": {f"value_rain_{hours}h": words["value_rain"].replace("{hours}", str(hours)) for hours in _RAIN_HOURS}
        | {"area": words["area_place"]},
    }[hazard]
    alone = words["area_streams_alone"] if hazard == "flash_flood" else "{place}"
    return HazardTexts(
        event=event,
        classes={Level.UNKNOWN: found["risk"]["UNKNOWN"], **(_levels(found["rain"]) if hazard == "heavy_rain" else risk)},
        actions=_levels(found[f"act {hazard}"]),
        instructions=_instructions(hazard, found["advice"], joined),
        sentences={"silent": found["sentences"]["station_silent"], "clear": found["sentences"][f"clear_{hazard}"]},
        reasons=reasons,
        parameters={name: found["parameters"][name] for name in ("temperature", "humidity", "heat_index", "wet_bulb", "flash_flood")}
        | rain,
        units={name: found["units"][name] for name in _WEATHER_UNITS},
        words={**own, "area_alone": alone, "area_distance": words["area_station"]},
    )
