"""The noun that a language's texts are, and which languages there are. The texts stand in english.py, urdu.py and sinhala.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warning.model import Level


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
    words: Mapping[str, str]  # value_stage, value_discharge, code, limits, districts, age, minutes, hours, days, before, comma, stop
