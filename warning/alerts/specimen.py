"""What people would read: the texts of one language for a zone and class, each as it would be sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from warning.alerts import exposed
from warning.alerts.budget import samples
from warning.alerts.message import Message, description, headline, instruction, situation, sms
from warning.model import Alert, EventKind, Level, Reason
from warning.region import Region, Zone

ROLES = ("public", "official", "operator")


@dataclass(frozen=True, slots=True)
class Specimen:
    """The texts of one revision. ``sms``: by role."""

    zone: str
    hazard: str
    level: Level
    kind: EventKind
    situation: str
    sms: dict[str, Message]
    headline: str
    instruction: str
    description: str


def specimens(region: Region, language: str, level: Level | None = None, zone: str = "") -> Iterator[Specimen]:
    """One zone for each hazard of the region (or ``zone``), every class (or ``level``) and situation that contacts hear of, once.

    The language is shown to its reviewer as if he had read it already.
    """
    shown = dataclasses.replace(region, reviewed_languages=(*region.reviewed_languages, language))
    for one in _zones(shown, zone):
        seen = set()
        for sample in samples(one, shown):
            alert = msgspec.structs.replace(sample, hazard=msgspec.structs.replace(sample.hazard, reasons=_reasons(one, sample)))
            which = (alert.level, situation(alert, to_contact=True))
            if which in seen or (level is not None and alert.level is not level) or not alert.kind.told:
                continue
            seen.add(which)
            yield Specimen(
                zone=one.id,
                hazard=one.hazard,
                level=alert.level,
                kind=alert.kind,
                situation=which[1],
                sms={role: sms(alert, shown, language, role) for role in ROLES},
                headline=headline(alert, shown, language),
                instruction=instruction(alert, shown, language),
                description=description(alert, shown, language),
            )


def _reasons(zone: Zone, alert: Alert) -> tuple[Reason, ...]:
    found = [Reason(code="second_reading_confirms", values={})]
    if alert.level in zone.limits.values and alert.hazard.observed_ms is not None:
        values = {"value": alert.hazard.value, "limit": zone.limits.values[alert.level], "level": alert.level.value}
        found.insert(0, Reason(code="observed_above", values={**values, "observed_ms": alert.hazard.observed_ms}))
    return (*found, *([exposed.reason(zone.exposure)] if zone.exposure else []))


def _zones(region: Region, zone: str) -> Iterator[Zone]:
    hazards = set()
    for one in region.zones:
        if one.id == zone or (not zone and one.hazard not in hazards):
            hazards.add(one.hazard)
            yield one
