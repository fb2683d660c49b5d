"""Colours of the classes (those of the page) and the direction of a language's script; for mails and cards."""

from __future__ import annotations

from collections.abc import Mapping

from warning.model import Level

_GROUND: Mapping[Level, str] = {
    Level.UNKNOWN: "#6b7280",
    Level.NORMAL: "#1f6fa8",
    Level.LOW: "#f4cf3a",
    Level.MEDIUM: "#f08a24",
    Level.HIGH: "#d3222a",
    Level.VERY_HIGH: "#8d1b6e",
    Level.EXCEPTIONAL: "#2c0b45",
}
_DARK, _LIGHT = "#16202a", "#ffffff"
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "prs", "ps", "sd", "ug", "ur"})


def ground(level: Level) -> str:
    return _GROUND[level]


def ink(level: Level) -> str:
    """What can be read on it: contrast 4.5 and more (WCAG 2.2, 1.4.3)."""
    return _DARK if level in (Level.LOW, Level.MEDIUM) else _LIGHT


def right_to_left(language: str) -> bool:
    return language.split("-")[0] in _RIGHT_TO_LEFT
