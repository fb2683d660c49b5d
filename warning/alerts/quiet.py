"""Quiet hours of a contact: what can wait until morning does, what saves lives does not. Pure."""

from __future__ import annotations

from warning.model import Alert, EventKind
from warning.region import Contact, Region

_DAY_MIN = 1440
_MIN_MS = 60_000


def quiet_until(contact: Contact, alert: Alert, region: Region, now_ms: int) -> int | None:
    """When the quiet hours end that hold this message back (ms); None: it may go now.

    They hold back nothing of the classes of ``AlertRules.at_once`` but a step down or an end, and no warning of water that arrives
    before they are over. Quiet is between ``contact.quiet`` minutes of the region's day, also over midnight; its last minute is not in it.
    """
    if contact.quiet is None:
        return None
    begin, end = contact.quiet
    minute = (now_ms // _MIN_MS + region.utc_offset_s // 60) % _DAY_MIN
    if (minute - begin) % _DAY_MIN >= (end - begin) % _DAY_MIN:
        return None
    until_ms = (now_ms // _MIN_MS + (end - minute) % _DAY_MIN) * _MIN_MS
    if alert.kind in (EventKind.DOWNGRADE, EventKind.CLEAR):
        return until_ms
    if alert.level in region.alert.at_once or (alert.arrival_ms is not None and alert.arrival_ms < until_ms):
        return None
    return until_ms
