"""The languages that there are, and the texts of one for a hazard. A language that is a table is read when it is first asked for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping

from warning.alerts import chinese, dari, pashto, russian, sindhi, table, tamil, uzbek
from warning.alerts.english import ENGLISH
from warning.alerts.english_weather import ENGLISH_WEATHER
from warning.alerts.phrases import HazardTexts, Phrases
from warning.alerts.sinhala import SINHALA
from warning.alerts.sinhala_weather import SINHALA_WEATHER
from warning.alerts.urdu import URDU
from warning.alerts.urdu_weather import URDU_WEATHER
from warning.region import Region

_WRITTEN = {"en": (ENGLISH, ENGLISH_WEATHER), "ur": (URDU, URDU_WEATHER), "si": (SINHALA, SINHALA_WEATHER)}
_TABLES = {
    "ps": pashto.TABLE,
    "sd": sindhi.TABLE,
    "fa": dari.TABLE,
    "ru": russian.TABLE,
    "uz": uzbek.TABLE,
    "zh": chinese.TABLE,
    "ta": tamil.TABLE,
}
_ALSO = {"prs": "fa"}  # ISO 639-3 of Dari


@functools.cache
def _phrases(language: str) -> Phrases:
    return _WRITTEN[language][0] if language in _WRITTEN else table.phrases_of(_TABLES[language])


@functools.cache
def _weather(language: str) -> Mapping[str, HazardTexts]:
    return _WRITTEN[language][1] if language in _WRITTEN else table.weather_of(_TABLES[language])


class _Languages(Mapping[str, Phrases]):
    def __getitem__(self, language: str) -> Phrases:
        return _phrases(language)

    def __iter__(self) -> Iterator[str]:
        return iter((*_WRITTEN, *_TABLES))

    def __len__(self) -> int:
        return len(_WRITTEN) + len(_TABLES)


class _Weather(Mapping[str, Mapping[str, HazardTexts]]):
    def __getitem__(self, language: str) -> Mapping[str, HazardTexts]:
        return _weather(language)

    def __iter__(self) -> Iterator[str]:
        return iter(LANGUAGES)

    def __len__(self) -> int:
        return len(LANGUAGES)


LANGUAGES: Mapping[str, Phrases] = _Languages()
WEATHER: Mapping[str, Mapping[str, HazardTexts]] = _Weather()
DRAFT_LANGUAGES = frozenset(("ur", "si", *_TABLES))  # no native speaker has reviewed them
UNREVIEWED = frozenset(_TABLES)  # and none is sent to the public before one has


def language_of(code: str) -> str:
    """Whose texts are used for a language as contacts and headers write it: ``ur-PK`` is ur, ``prs`` fa; English where there are none.

    >>> [language_of(code) for code in ("ur-PK", "prs-AF", "de", "zh_CN")]
    ['ur', 'fa', 'en', 'zh']
    """
    base = code.replace("_", "-").split("-")[0].lower()
    base = _ALSO.get(base, base)
    return base if base in LANGUAGES else "en"


def told_in(language: str, role: str, region: Region) -> str:
    """The language in which one is told: his own, but the public never in a draft that the region does not say is reviewed.

    Then in the first language of the region that stands in for it, else in English. Urdu and Sinhala are drafts from the first day, which
    stand in here: what a region says of them is said by its languages.
    """
    own = language_of(language)
    if role != "public" or own not in UNREVIEWED or own in region.reviewed_languages:
        return language
    return next((one for one in _phrases(own).instead if one in region.languages), "en")


@functools.cache  # languages times hazards
def phrases(language: str, hazard: str = "flood") -> Phrases:
    """The texts of a language (as ``language_of`` reads its code) for a hazard; English where there are none."""
    base = _phrases(language_of(language))
    other = _weather(base.language).get(hazard)
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
