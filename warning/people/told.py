"""Facts of the contacts' side, for whoever listens (``facts``)."""

from __future__ import annotations

from dataclasses import dataclass

from warning.facts import Fact

JOINS = ("entered", "old", "foreign", "number_limit", "hour_limit", "full")


@dataclass(frozen=True, slots=True)
class SmsJoin(Fact):
    """A JOIN by SMS was taken or not; ``outcome``: one of ``JOINS``. ``old``: sent before the stop that it came after."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Reconciled(Fact):
    """A route's newest report of its SMS centre was held against the ledger; or, ``error``, could not be taken: then nothing else counts.

    ``corrected``: parts that the ledger had otherwise; ``unknown``: messages that it does not have; ``unsettled``: parts that the gateway
    took one to eight days ago, of which neither a receipt nor a report said anything.
    """

    route: str
    at_ms: int
    lines: int = 0
    corrected: int = 0
    unknown: int = 0
    unsettled: int = 0
    error: str = ""


HELD = ("held", "kannel_alone", "taken_late")


@dataclass(frozen=True, slots=True)
class KannelHeld(Fact):
    """Messages of phones that could not be taken and that SQL holds now, of all gateways."""

    messages: int


@dataclass(frozen=True, slots=True)
class KannelLater(Fact):
    """What became of messages that Kannel was told to bring later; ``outcome``: one of ``HELD``. ``kannel_alone``: SQL did not take one;
    ``taken_late``: Kannel did not bring it again, so its phone has no answer."""

    outcome: str
    messages: int = 1


TEXTED = ("sent", "failed", "kept_back")


@dataclass(frozen=True, slots=True)
class OperatorTexted(Fact):
    """A notice to an operator by SMS; ``outcome``: one of ``TEXTED``. ``kept_back``: he had enough of them this hour."""

    outcome: str
