"""The nouns that a language's texts are. They stand in english.py, urdu.py, sinhala.py and NAME_weather.py, whose bytes documents are held
to, and of all other languages as one plain table in the language's module (``table``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warning.model import Level


@dataclass(frozen=True, slots=True)
class HazardTexts:
    """What a language says otherwise of one hazard than of a flood: as ``Phrases``; what is not here is said as there."""

    event: str
    classes: Mapping[Level, str]
    actions: Mapping[Level, str]
    instructions: Mapping[Level, str]
    sentences: Mapping[str, str]
    reasons: Mapping[str, tuple[str, ...]]
    parameters: Mapping[str, str]
    units: Mapping[str, str]
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Phrases:
    """All fixed texts of one language, as ``str.format`` templates.

    ``sentences``: what happened, by situation (``message.situation``). ``reasons``: per code, variants from the richest to the poorest; the
    first whose placeholders are all known is taken. ``draft``: no native speaker has reviewed them.
    """

    language: str
    draft: bool
    event: str  # CAP event
    exercise: str  # before every text of an exercise
    test: str
    exercise_note: str
    classes: Mapping[Level, str]
    actions: Mapping[Level, str]  # SMS: the first thing it says; NORMAL = the end
    instructions: Mapping[Level, str]
    sentences: Mapping[str, str]
    reasons: Mapping[str, tuple[str, ...]]
    parameters: Mapping[str, str]
    causes: Mapping[str, str]
    units: Mapping[str, str]
    months: tuple[str, ...]
    likelihoods: Mapping[str, str]  # terms of science.likelihood
    assets: Mapping[str, str]  # kind -> several of them, {number}
    counts: tuple[tuple[int, str], ...]  # large numbers of people: unit, {number} of it; the largest unit first
    words: Mapping[str, str]  # value_stage, value_discharge, code, limits, districts, age, minutes, hours, days, before, comma, stop
    date: str = "{day} {month} {time}"
    numbers: str = ""  # CLDR locale whose marks part its numbers; "": 690,000.5
    instead: tuple[str, ...] = ()  # languages that stand in for it, before English
    isolated: bool = False  # written from right to left: names in other languages are marked as left to right
