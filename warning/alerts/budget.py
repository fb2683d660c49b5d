"""Which messages of a region are over their SMS budget: every zone, class, kind and language, rendered."""

from __future__ import annotations

from collections.abc import Iterator

from warning.alerts.languages import UNREVIEWED
from warning.alerts.message import CODE_LETTERS, DRAFT_LANGUAGES, LANGUAGES, MOST_PARTS, sms
from warning.errors import Problem
from warning.model import CLASSES, Alert, Certainty, EventKind, Hazard, Level, Status
from warning.region import Region, Zone

_WIDEST_MS = 1_761_910_200_000  # 31 Oct 2025: two digits of a day; the month's name varies by language, so all are tried
_MONTH_MS = 30 * 86_400_000


def budget_problems(region: Region) -> list[Problem]:
    """Fatal: a message that must lose more than its value to fit into two parts.

    Warnings: English that does not fit GSM-7; a language without texts (English stands in), or with texts that no native speaker has
    reviewed. Rendered as Exercise, which is the longer form.
    """
    problems = list(_languages(region))
    spoken = [language for language in region.languages if language in LANGUAGES]
    for zone in region.zones:
        for language in spoken:
            problems.extend(_zone(zone, region, language))
    return problems


def _languages(region: Region) -> Iterator[Problem]:
    for language in region.languages:
        if language not in LANGUAGES:
            yield Problem(
                "languages",
                f"there are no texts in {language!r}, English stands in",
                f"use one of {', '.join(sorted(LANGUAGES))}, or add a module beside warning/alerts/english.py",
                fatal=False,
            )
        elif language in DRAFT_LANGUAGES and language not in region.reviewed_languages:
            yield Problem(
                "languages",
                f"the texts in {language!r} are a draft" + (", the public is told in another language" if language in UNREVIEWED else ""),
                "have a native speaker review them before status Actual (`warning words`), then name it in reviewed_languages",
                fatal=False,
            )


def _zone(zone: Zone, region: Region, language: str) -> Iterator[Problem]:
    """At most one problem per zone and language: the worst message."""
    wide = cut = None
    for alert in samples(zone, region):
        message = sms(alert, region, language, code="W" * CODE_LETTERS)
        if message.parts > MOST_PARTS or not message.complete:
            cut = cut or (alert, message)
        elif language == "en" and message.encoding != "GSM-7":
            wide = wide or (alert, message)
    where = f"zone {zone.id}, {language}"
    if cut:
        alert, message = cut
        yield Problem(
            where,
            f"the SMS for {alert.kind.value} at {alert.level.value} is over {MOST_PARTS} parts ({message.encoding})",
            "shorten the zone's name or the class's name in that language",
        )
    elif wide:
        odd = sorted({character for character in wide[1].text if ord(character) > 127})
        yield Problem(
            where,
            f"English SMS need UCS-2 (70 characters a part instead of 160) because of {' '.join(odd)}",
            "write the English names with plain letters",
            fatal=False,
        )


def samples(zone: Zone, region: Region) -> Iterator[Alert]:
    """Every revision that contacts may hear of: class x situation, the value ten times the highest limit, each month once."""
    highest = max(zone.limits.values.values(), default=1.0)
    sample = 0
    for level in (*CLASSES, Level.NORMAL):
        kinds = (EventKind.CLEAR,) if level is Level.NORMAL else tuple(kind for kind in EventKind if kind is not EventKind.EXPIRE)
        for kind in kinds:
            for observed in (True, False):
                sample += 1
                yield _alert(zone, region, level, kind, observed, 10 * highest, _WIDEST_MS + (sample % 12) * _MONTH_MS)


def _alert(zone: Zone, region: Region, level: Level, kind: EventKind, observed: bool, value: float, at_ms: int) -> Alert:
    now = level if observed or kind.told else Level.NORMAL  # a revision for feeds may stand on nothing but silence
    hazard = Hazard(
        region=region.id,
        zone=zone.id,
        at_ms=at_ms,
        quantity=zone.limits.quantity,
        value=value,
        observed_ms=at_ms,
        level=level if kind is not EventKind.CERTAINTY else Level.UNKNOWN,
        level_confirmed=now,
        level_cleared=now,
        level_expected=now,
        level_expected_cleared=now,
        probability=1.0,
        arrival_ms=at_ms,
        silent_since_ms=None,
    )
    return Alert(
        identifier=f"{region.namespace}.{zone.id}.20251031T000000Z.0",
        region=region.id,
        zone=zone.id,
        revision=0,
        kind=kind,
        event_ids=(),
        status=Status.EXERCISE,
        level=level,
        previous_level=Level.NORMAL,
        certainty=Certainty.OBSERVED,
        raised_ms=at_ms,
        sent_ms=at_ms,
        expires_ms=at_ms + 1000,
        arrival_ms=None if observed else at_ms,
        told_arrival_ms=None,
        hazard=hazard,
        told_observed=observed,
    )
