"""A notice dressed as an alert, for those who know alerts alone: the gate that lets things leave, and the channels."""

from __future__ import annotations

from warning.model import Alert, Certainty, EventKind, Hazard, Level, Status
from warning.region import Region


def dressed(region: Region, zone: str, name: str, at_ms: int, status: Status) -> Alert:
    """Of no class: who runs the system hears of whatever goes wrong. ``name``: apart from others of the zone; valid for an hour."""
    hazard = Hazard(
        region=region.id,
        zone=zone,
        at_ms=at_ms,
        quantity="",
        value=None,
        observed_ms=None,
        level=Level.UNKNOWN,
        level_confirmed=Level.UNKNOWN,
        level_cleared=Level.UNKNOWN,
        level_expected=Level.NORMAL,
        level_expected_cleared=Level.NORMAL,
        probability=0.0,
        arrival_ms=None,
        silent_since_ms=None,
    )
    return Alert(
        identifier=f"{region.namespace}.{zone}.notice.{name}",
        region=region.id,
        zone=zone,
        revision=0,
        kind=EventKind.RAISE,
        event_ids=(),
        status=status,
        level=Level.UNKNOWN,
        previous_level=Level.UNKNOWN,
        certainty=Certainty.OBSERVED,
        raised_ms=at_ms,
        sent_ms=at_ms,
        expires_ms=at_ms + 3_600_000,
        arrival_ms=None,
        told_arrival_ms=None,
        hazard=hazard,
    )
