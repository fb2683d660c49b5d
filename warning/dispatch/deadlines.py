"""By when a contact must have heard: when the water is there. Pure.

``deadline_ms`` is the zone's expected crossing (the alert's ``arrival_ms``; the water is there already: its sent time) and the way of the
water from the zone's gauge to the contact's village. That way is known only where the village's position is, and the next gauge
downstream has a travel time: then it is the village's part of it, at the fast end (``travel_low_s``), for early is the safe side. A
village at or above the gauge, or one of unknown position, has no way: 0.

``urgency_ms`` puts class beside time: a class higher counts as CREDIT_MS nearer. So of two contacts of one class the earlier deadline
goes first, and EXCEPTIONAL in two hours goes before LOW in one; an all-clear yields to every warning. What is overdue counts as due when
it was queued (``due_ms``), or those whose water came yesterday would hold up whom it reaches in ten minutes.
"""

from __future__ import annotations

import math

from warning.model import Alert, Level
from warning.region import Contact, Region

CREDIT_MS = 30 * 60_000


def deadline_ms(alert: Alert, contact: Contact, region: Region) -> int:
    """When the water of this alert is at this contact, ms since 1970 UTC."""
    crossing_ms = alert.sent_ms if alert.arrival_ms is None else alert.arrival_ms
    return crossing_ms + travel_ms(contact, alert.zone, region)


def urgency_ms(level: Level, deadline_ms: int, due_ms: int) -> int:
    """What the queue is ordered by: the smaller the sooner.

    >>> urgency_ms(Level.EXCEPTIONAL, 7_200_000, 0) < urgency_ms(Level.LOW, 3_600_000, 0) < urgency_ms(Level.NORMAL, 3_600_000, 0)
    True
    >>> urgency_ms(Level.LOW, -86_400_000, 0) == urgency_ms(Level.LOW, 0, 0)
    True
    """
    return max(deadline_ms, due_ms) - CREDIT_MS * max(level.rank, 0)


def travel_ms(contact: Contact, zone: str, region: Region) -> int:
    """From the zone's gauge to the contact's village; 0 where it is not known."""
    if contact.lat is None or contact.lon is None or zone not in region.zone_by_id:
        return 0
    here = region.zone_by_id[zone]
    reach = next((reach for reach in region.reaches_into.get(here.downstream or "", ()) if reach.upstream == zone), None)
    if reach is None or reach.travel_low_s is None:
        return 0
    above = _place(region, here.station)
    below = _place(region, region.zone_by_id[reach.downstream].station)
    if above is None or below is None:
        return 0
    village = (contact.lat, contact.lon)
    done, left, whole = _far(above, village), _far(village, below), _far(above, below)
    if left >= whole or done + left == 0:
        return 0
    return round(1000 * reach.travel_low_s * done / (done + left))


def _place(region: Region, station: str) -> tuple[float, float] | None:
    found = region.station_by_id.get(station)
    return None if found is None or found.lat is None or found.lon is None else (found.lat, found.lon)


def _far(one: tuple[float, float], other: tuple[float, float]) -> float:
    """In degrees of latitude, on a plane: only ratios within one reach count."""
    east = ((one[1] - other[1] + 180.0) % 360.0 - 180.0) * math.cos(math.radians((one[0] + other[0]) / 2))
    return math.hypot(one[0] - other[0], east)
