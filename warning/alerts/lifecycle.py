"""The life of one zone's chain of alerts: raise, upgrade, downgrade, arrival, certainty, renew, clear, expire.

One pure function decides. A class is raised at once and lowered late: good data must have been below it for ``clear_after_s``,
the newest of them measured after that time began, so that one low reading ends nothing. While the gauge is silent (UNKNOWN) the observation
lowers nothing: the chain is renewed, with lower certainty, until good data or an operator end it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from warning.alerts.message import words
from warning.model import Alert, Certainty, EventKind, Hazard, Level, Reason, Reference
from warning.region import AlertRules, Region, Zone

# An arrival that moves by less is no news, however short the lead. Sooner changes what people do, later hardly; and a gauge that is read
# every hour moves its arrival by an hour with each reading that does not cross. (Ditwah 2025, 39 gauges, nine days: 79 such revisions so,
# 179 with half an hour both ways.)
SOONER_FLOOR_MS, LATER_FLOOR_MS = 30 * 60_000, 120 * 60_000
LIKELY_FROM = 0.5  # CAP: "likely" is more probable than not

# Every ``Transition.why``; bounded, so it may be a metric label.
WHYS = (
    "quiet",
    "raised",
    "escalated",
    "over_while_expired",
    "below_long_enough",
    "lower_class",
    "expired_and_lasts",
    "arrived",
    "arrival_moved",
    "fell_silent",
    "speaks_again",
    "renewal_due",
    "unchanged",
    "below_waiting",
    "silence_holds",
)


@dataclass(frozen=True, slots=True)
class Transition:
    """What a hazard does to a zone's chain.

    ``alert``: the chain's state afterwards, None when there is none or it ended. ``event``: the revision to publish, if any; of a CLEAR or
    EXPIRE the chain's state afterwards is None. ``why``: one of ``WHYS``. ``deadline_ms``: when the zone must be looked at again
    even if nothing arrives; None when there is no chain.
    """

    alert: Alert | None
    event: Alert | None
    why: str
    deadline_ms: int | None


def transition(alert: Alert | None, hazard: Hazard, zone: Zone, region: Region, now_ms: int, waves: Iterable[str] = ()) -> Transition:
    """The next state of a zone's chain, and the revision to publish.

    ``alert`` is the chain's state as an earlier call returned it; ``waves`` are the event ids of active alerts upstream whose water
    the hazard rests on. ``now_ms`` never runs backwards for one zone. Deterministic, raises nothing.
    """
    waves = tuple(dict.fromkeys(waves))
    if alert is None or not alert.active:
        if hazard.warn_level < region.alert.warn_from:
            return Transition(None, None, "quiet", None)
        return _publish(_raise(hazard, zone, region, now_ms, waves), region.alert, "raised")
    return _proceed(alert, hazard, region, now_ms, waves)


def _proceed(alert: Alert, hazard: Hazard, region: Region, now_ms: int, waves: tuple[str, ...]) -> Transition:
    rules = region.alert
    silent = hazard.level is Level.UNKNOWN
    alert = _timed(alert, hazard, silent, now_ms)

    def publish(kind: EventKind, level: Level, why: str) -> Transition:
        return _publish(_revise(alert, kind, level, hazard, region, now_ms, waves), rules, why)

    if hazard.warn_level > alert.level:
        return publish(EventKind.UPGRADE, hazard.warn_level, "escalated")
    expired = now_ms >= alert.expires_ms
    if expired and not silent and standing(hazard) < rules.warn_from:
        return publish(EventKind.EXPIRE, Level.NORMAL, "over_while_expired")
    if _below_long_enough(alert, hazard, rules, now_ms) and alert.below_level is not None:
        if alert.below_level < rules.warn_from:
            return publish(EventKind.CLEAR, Level.NORMAL, "below_long_enough")
        return publish(EventKind.DOWNGRADE, alert.below_level, "lower_class")
    if expired:
        return publish(EventKind.RENEW, alert.level, "expired_and_lasts")
    news = _arrival_news(alert, hazard, rules)
    if news:
        return publish(EventKind.ARRIVAL, alert.level, news)
    if silent is not (alert.hazard.level is Level.UNKNOWN):
        return publish(EventKind.CERTAINTY, alert.level, "fell_silent" if silent else "speaks_again")
    if now_ms >= _renew_at(alert, rules):
        return publish(EventKind.RENEW, alert.level, "renewal_due")
    why = "below_waiting" if alert.below_since_ms is not None else "unchanged"
    return Transition(alert, None, "silence_holds" if silent and hazard.warn_level < alert.level else why, _deadline(alert, rules, now_ms))


def standing(hazard: Hazard) -> Level:
    """The highest class that still holds an alert: with hysteresis in level and in probability. NORMAL if none."""
    return max(hazard.warn_level, hazard.level_cleared, hazard.level_expected_cleared, key=lambda level: level.rank)


def _timed(alert: Alert, hazard: Hazard, silent: bool, now_ms: int) -> Alert:
    """The alert with its clock of "good data are below": started, kept running or put back."""
    stands = standing(hazard)
    if silent or stands >= alert.level:
        return alert if alert.below_since_ms is None else replace(alert, below_since_ms=None, below_level=None)
    if alert.below_since_ms is None or alert.below_level is None:
        return replace(alert, below_since_ms=now_ms, below_level=stands)
    return alert if stands <= alert.below_level else replace(alert, below_level=stands)


def _below_long_enough(alert: Alert, hazard: Hazard, rules: AlertRules, now_ms: int) -> bool:
    if alert.below_since_ms is None or hazard.observed_ms is None:
        return False
    # measured after the clock began: a second good reading says so, not the first one over again
    return now_ms >= _clear_at(alert.below_since_ms, rules) and hazard.observed_ms >= alert.below_since_ms


def _clear_at(below_since_ms: int, rules: AlertRules) -> int:
    # never within the second of the raise: the next chain of this zone would get the same identifier
    return below_since_ms + max(rules.clear_after_s, 1) * 1000


def _renew_at(alert: Alert, rules: AlertRules) -> int:
    return alert.expires_ms - min(rules.renew_before_s, rules.expires_after_s // 2) * 1000


def _deadline(alert: Alert, rules: AlertRules, now_ms: int) -> int:
    renew = _renew_at(alert, rules)
    if alert.below_since_ms is None:
        return renew
    clear = _clear_at(alert.below_since_ms, rules)
    return min(renew, clear) if clear > now_ms else renew  # run out already: what is missing is a reading, not time


def _observed(alert: Alert | None, level: Level, hazard: Hazard) -> bool:
    """The class is observed: confirmed now, or it was and the water is within the margin below its limit."""
    if hazard.level_confirmed >= level:
        return True
    return alert is not None and alert.told_observed and alert.level >= level and hazard.level_cleared >= level


def _arrival_news(alert: Alert, hazard: Hazard, rules: AlertRules) -> str:
    """Why the arrival is news to those who were told, or "".

    News: the water is there; a time where none was known; a time that moved by ``arrival_change_s``, or by ``arrival_change`` of the
    lead that was told and at least half an hour sooner or two hours later.
    """
    if alert.told_observed:
        return ""
    if _observed(alert, alert.level, hazard):
        return "arrived"
    if hazard.arrival_ms is None or hazard.level_expected < alert.level:
        return ""  # nothing better is known than what was told
    if alert.told_arrival_ms is None:
        return "arrival_moved"
    later = hazard.arrival_ms - alert.told_arrival_ms
    moved, floor = abs(later), LATER_FLOOR_MS if later > 0 else SOONER_FLOOR_MS
    lead = max(alert.told_arrival_ms - alert.told_ms, 0)
    material = moved >= rules.arrival_change_s * 1000 or (moved >= floor and moved >= rules.arrival_change * lead)
    return "arrival_moved" if material else ""


def _certainty(observed: bool, level: Level, hazard: Hazard) -> Certainty:
    if observed and hazard.level is not Level.UNKNOWN:
        return Certainty.OBSERVED
    # a silent gauge whose water is expected from upstream is as likely as the forecast says; what only was observed once is possible
    return Certainty.LIKELY if hazard.level_expected >= level and hazard.probability >= LIKELY_FROM else Certainty.POSSIBLE


def chain_of(identifier: str) -> str:
    """The part of an alert's identifier that all revisions of its chain share; it is the event id of a wave that begins with it."""
    return identifier.rpartition(".")[0]


def _raise(hazard: Hazard, zone: Zone, region: Region, now_ms: int, waves: tuple[str, ...]) -> Alert:
    sent_ms = now_ms // 1000 * 1000
    level = hazard.warn_level
    observed = _observed(None, level, hazard)
    arrival_ms = None if observed else hazard.arrival_ms
    chain = f"{region.namespace}.{zone.id}.{datetime.fromtimestamp(sent_ms // 1000, UTC):%Y%m%dT%H%M%SZ}"
    return Alert(
        identifier=f"{chain}.0",
        region=region.id,
        zone=zone.id,
        revision=0,
        kind=EventKind.RAISE,
        event_ids=waves or (chain,),
        status=region.status,
        level=level,
        previous_level=Level.NORMAL,
        certainty=_certainty(observed, level, hazard),
        raised_ms=sent_ms,
        sent_ms=sent_ms,
        expires_ms=sent_ms + region.alert.expires_after_s * 1000,
        arrival_ms=arrival_ms,
        told_arrival_ms=arrival_ms,
        hazard=_with_grounds(hazard, level, region),
        silent_since_ms=hazard.silent_since_ms if hazard.level is Level.UNKNOWN else None,
        told_ms=sent_ms,
        told_observed=observed,
    )


def _revise(alert: Alert, kind: EventKind, level: Level, hazard: Hazard, region: Region, now_ms: int, waves: tuple[str, ...]) -> Alert:
    """The next revision of a chain: refers to every unexpired predecessor, and is sent at least a second after the last one."""
    sent_ms = max(now_ms // 1000 * 1000, alert.sent_ms + 1000)  # CAP knows no fractions
    predecessors = (*alert.references, Reference(identifier=alert.identifier, sent_ms=alert.sent_ms, expires_ms=alert.expires_ms))
    ends = kind in (EventKind.CLEAR, EventKind.EXPIRE)
    observed = not ends and _observed(alert, level, hazard)
    arrival_ms = None if ends or observed else _arrival(alert, level, hazard)
    return replace(
        alert,
        identifier=f"{chain_of(alert.identifier)}.{alert.revision + 1}",
        revision=alert.revision + 1,
        kind=kind,
        event_ids=(*alert.event_ids, *(wave for wave in waves if wave not in alert.event_ids)),
        level=level,
        previous_level=alert.level,
        certainty=Certainty.OBSERVED if ends else _certainty(observed, level, hazard),
        sent_ms=sent_ms,
        expires_ms=sent_ms + region.alert.expires_after_s * 1000,
        arrival_ms=arrival_ms,
        told_arrival_ms=arrival_ms if kind.told else alert.told_arrival_ms,
        hazard=_with_grounds(hazard, level, region),
        references=tuple(reference for reference in predecessors if reference.expires_ms > sent_ms),
        # a lower class starts its own clock
        below_since_ms=None if kind in (EventKind.DOWNGRADE, EventKind.UPGRADE) or ends else alert.below_since_ms,
        below_level=None if kind in (EventKind.DOWNGRADE, EventKind.UPGRADE) or ends else alert.below_level,
        silent_since_ms=hazard.silent_since_ms if hazard.level is Level.UNKNOWN else None,
        told_ms=sent_ms if kind.told else alert.told_ms,
        told_observed=observed if kind in (EventKind.UPGRADE, EventKind.DOWNGRADE) else alert.told_observed or (kind.told and observed),
    )


def _arrival(alert: Alert, level: Level, hazard: Hazard) -> int | None:
    """When the water is expected at the limit of ``level``, as far as anybody can say."""
    if hazard.level_expected >= level and hazard.arrival_ms is not None:
        return hazard.arrival_ms
    return alert.arrival_ms if level == alert.level else None


def _with_grounds(hazard: Hazard, level: Level, region: Region) -> Hazard:
    """The hazard with the reasons that only the chain knows: the gauge is silent, and no reading confirms an end."""
    if hazard.level is not Level.UNKNOWN:
        return hazard
    known = {reason.code for reason in hazard.reasons}
    added: list[Reason] = []
    if not known & {"silent_since", "never_spoke"}:
        silent = hazard.silent_since_ms
        added.append(Reason(code="never_spoke") if silent is None else Reason(code="silent_since", values={"observed_ms": silent}))
    if hazard.warn_level < level and "end_unconfirmed" not in known:
        added.append(Reason(code="end_unconfirmed"))
    english = tuple(words(reason, region, "en", hazard.quantity) for reason in added)
    return replace(hazard, reasons=(*hazard.reasons, *added), words=(*hazard.words, *english)) if added else hazard


def _publish(event: Alert, rules: AlertRules, why: str) -> Transition:
    if not event.active:
        return Transition(None, event, why, None)
    return Transition(event, event, why, _deadline(event, rules, event.sent_ms))
