"""Facts of the contacts' side, for whoever listens (``facts``)."""

from __future__ import annotations

from dataclasses import dataclass

from warning.facts import Fact

JOINS = ("entered", "old", "foreign", "number_limit", "hour_limit", "full")


@dataclass(frozen=True, slots=True)
class SmsJoin(Fact):
    """A JOIN by SMS was taken or not; ``outcome``: one of ``JOINS``. ``old``: sent before the stop that it came after."""

    outcome: str
