"""Alert -> the words, per language and channel, counted in SMS segments.

Every text of an exercise begins with that word. English stands in where a language lacks a name or a text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import smsutil

from warning.alerts import exposed, hand_words
from warning.alerts.display import (
    DRAFT_LANGUAGES,
    LANGUAGES,
    amount,
    class_name,
    clean,
    clip,
    duration,
    hazard_of,
    local_time,
    name_of,
    phrases,
    place,
)
from warning.alerts.languages import told_in
from warning.alerts.phrases import Phrases
from warning.alerts.reasons import words
from warning.model import Alert, EventKind, Level, Reason, Status
from warning.region import Region, Zone

__all__ = [
    "CODE_LETTERS",
    "DRAFT_LANGUAGES",
    "LANGUAGES",
    "MOST_PARTS",
    "Message",
    "check_code",
    "description",
    "headline",
    "instruction",
    "sms",
    "what",
    "words",
]

MOST_PARTS = 2  # 306 GSM-7 septets or 134 UTF-16 units
CODE_LETTERS = 7  # of ``proof.codes``, for which every text must have room
_PASSED_MS = 30 * 60_000
HEADLINE_CHARACTERS = 139  # CAP clients cut at 140


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS: ``units`` are septets of GSM-7 or UTF-16 units of UCS-2, ``parts`` the segments that are paid and receipted.

    ``complete`` False: even the shortest form was too long and a name had to be cut.
    """

    text: str
    language: str
    encoding: str  # GSM-7 | UCS-2
    parts: int
    units: int
    complete: bool = True


def check_code(identifier: str) -> str:
    """Five letters and digits (no 0, 1, 8, 9) that lead from a message to its alert on the page. It proves nothing by itself."""
    return base64.b32encode(hashlib.blake2b(identifier.encode(), digest_size=5).digest()).decode()[:5]


def sms(alert: Alert, region: Region, language: str, role: str = "", code: str = "", *, again: bool = False) -> Message:
    """The SMS of a revision: action, what and where, one time, the value, the check code; two parts at most.

    ``code``: ``proof.codes.code_of`` it, which can be confirmed; without one ``check_code`` stands in, which only leads to the alert.

    Too long: first the value goes, then the word that the class or the time is new, then the word before the code, then the place name is
    cut. Action, class, time and code always stay. ``role``: an operator is told which assets are at risk, as many as the two parts hold,
    and the value gives way to the first; officials and responders how many people live there, where that costs no further part and
    nothing gives way. ``again``: it says before the code that it is sent again, if need be in one word; for want of room not at all
    rather than that the name is cut. ``language`` is not the public's where its texts are unreviewed drafts (``languages.told_in``).
    """
    language, code = told_in(language, role, region), code or check_code(alert.identifier)
    plain = _sms(alert, region, language, role, code)
    if not again:
        return plain
    marks = [hand_words.again(language, short=short) + " " for short in (False, True)]
    marked = [_sms(alert, region, language, role, code, mark) for mark in marks]
    whole = (said for said, mark in zip(marked, marks, strict=True) if said.text.replace(mark, "") == plain.text)
    return next(whole, marked[1] if marked[1].complete >= plain.complete else plain)


def _sms(alert: Alert, region: Region, language: str, role: str, code: str, mark: str = "") -> Message:
    """``mark``: before the code."""
    texts = _texts(alert, language)
    start = _mark(alert, language) + texts.actions[alert.level if alert.active else Level.NORMAL]
    labelled, code = mark + texts.words["code"].format(code=code), mark + code
    full, plain = situation(alert, to_contact=True), situation(alert, to_contact=True, course=False)
    name = place(region.zone_by_id.get(alert.zone), alert.zone, language)

    def message(which: str, name: str, *more: str, complete: bool = True, code: str = labelled) -> Message:
        pieces = (start, _sentence(which, alert, region, language, name), *more, code)
        return _count(" ".join(filter(None, pieces)), language, complete=complete)

    value = _value(alert, region, language)
    for which, more in ((full, value), (full, ""), (plain, "")):
        said = message(which, name, more)
        if said.parts <= MOST_PARTS:
            most = MOST_PARTS if role == "operator" else said.parts
            told = dict.fromkeys((more, "" if role == "operator" else more))  # to an operator an asset is worth more than the value
            fuller = (message(which, name, kept, line) for kept in told for line in _at_risk(alert, region, language, role))
            return next((one for one in fuller if one.parts <= most), said)
    if (said := message(plain, name, code=code)).parts <= MOST_PARTS:
        return said
    for most in range(len(name) - 1, 0, -1):
        said = message(plain, clip(name, most), complete=False, code=code)
        if said.parts <= MOST_PARTS:
            return said
    return _count(f"{start} {code}", language, complete=False)


def _at_risk(alert: Alert, region: Region, language: str, role: str) -> Iterator[str]:
    """What a role is told of what lies there, the longest first."""
    texts = phrases(language)
    found = next((reason.values for reason in alert.hazard.reasons if reason.code == "exposure"), None)
    if found is None or not alert.active:
        return
    if role == "operator":
        names = [exposed.name(one, region, texts) for one in exposed.ids(found)]
        for most in range(len(names), 0, -1):
            more = f" +{len(names) - most}" if most < len(names) else ""
            yield texts.words["at_risk"].format(assets=texts.words["comma"].join(names[:most]) + more)
    elif role in ("official", "responder"):
        people = found.get("people")
        if isinstance(people, int) and people > 0:
            yield texts.words["people"].format(people=exposed.number(people, texts))


def _count(text: str, language: str, *, complete: bool = True) -> Message:
    split = smsutil.split(text)
    narrow = split.encoding == "gsm0338"
    units = int(split.total_bytes) if narrow else int(split.total_bytes) // 2
    return Message(text, language, "GSM-7" if narrow else "UCS-2", len(split.parts), units, complete)


def _texts(alert: Alert, language: str) -> Phrases:
    return phrases(language, hazard_of(alert.hazard.quantity))


def _mark(alert: Alert, language: str) -> str:
    texts = phrases(language)
    return {Status.EXERCISE: texts.exercise, Status.TEST: texts.test}.get(alert.status, "")


def _value(alert: Alert, region: Region, language: str) -> str:
    hazard = alert.hazard
    if hazard.value is None or hazard.level is Level.UNKNOWN:  # the last word of a silent gauge is not "now"
        return ""
    text = _texts(alert, language).words.get(f"value_{hazard.quantity}", "{value}.")
    return text.format(value=amount(hazard.value, hazard.quantity, region, language))


def situation(alert: Alert, *, to_contact: bool = False, course: bool = True) -> str:
    """Which of ``Phrases.sentences`` says what happened; ``course``: and what is new in it.

    ``to_contact``: a contact only gets a RENEW or CERTAINTY in place of something that it never heard, so it says what is, if anybody
    knows. A time that has passed without the water is not repeated.
    """
    if not alert.active:
        return "withdrawn" if any(reason.code == "manual" for reason in alert.hazard.reasons) else "clear"
    observed = alert.told_observed
    if alert.kind is EventKind.ARRIVAL and course:
        return "arrived" if observed else "arrival" if arrival_ms(alert) is not None else "expected_untimed"
    still = alert.hazard.level_confirmed >= alert.level or alert.hazard.level_expected >= alert.level
    if to_contact and not alert.kind.told and not still:
        return "in_force"
    if not alert.kind.told and not to_contact:
        silent = alert.kind is EventKind.CERTAINTY and alert.hazard.level is Level.UNKNOWN
        return "silent" if silent else "stands"
    prefix = {EventKind.UPGRADE: "upgrade_", EventKind.DOWNGRADE: "downgrade_"}.get(alert.kind, "") if course else ""
    if observed:
        return f"{prefix}observed"
    return f"{prefix}expected" if arrival_ms(alert) is not None else f"{prefix}expected_untimed"


def arrival_ms(alert: Alert) -> int | None:
    """When the water is expected, unless that has passed for long: then nobody knows."""
    known = alert.arrival_ms
    return None if known is None or known < alert.sent_ms - _PASSED_MS else known


def what(alert: Alert, region: Region, language: str) -> str:
    """What happened or will, in one sentence: class, one place name, one local time."""
    return _sentence(situation(alert), alert, region, language, place(region.zone_by_id.get(alert.zone), alert.zone, language))


def _sentence(which: str, alert: Alert, region: Region, language: str, name: str) -> str:
    if which.endswith("expected") or which == "arrival":
        time_ms = alert.arrival_ms
    elif which == "silent":
        time_ms = alert.silent_since_ms
    elif which in ("stands", "in_force", "clear", "withdrawn"):
        time_ms = alert.sent_ms
    else:
        time_ms = alert.hazard.observed_ms
    template = hand_words.withdrawn(language) if which == "withdrawn" else _texts(alert, language).sentences[which]
    time = local_time(alert.sent_ms if time_ms is None else time_ms, region, language)
    level = class_name(alert.level, region, language, hazard_of(alert.hazard.quantity))
    return template.format(level=level, place=name, time=time)


def headline(alert: Alert, region: Region, language: str) -> str:
    """CAP headline, under 140 characters."""
    said = what(alert, region, language).rstrip(phrases(language).words["stop"])
    return clip(_mark(alert, language) + said, HEADLINE_CHARACTERS)


def instruction(alert: Alert, region: Region, language: str) -> str:
    """What to do, for the class."""
    return _mark(alert, language) + _texts(alert, language).instructions[alert.level if alert.active else Level.NORMAL]


def description(alert: Alert, region: Region, language: str) -> str:
    """What is known and why: the reasons with their numbers, how old the newest reading is, the official limits, the districts."""
    texts = _texts(alert, language)
    stop = texts.words["stop"]
    zone = region.zone_by_id.get(alert.zone)
    said = [_mark(alert, language) + what(alert, region, language)]
    if alert.kind in (EventKind.UPGRADE, EventKind.DOWNGRADE, EventKind.CLEAR):
        before = class_name(alert.previous_level, region, language, hazard_of(alert.hazard.quantity))
        said.append(texts.words["before"].format(level=before))
    for reason in alert.hazard.reasons:
        short = {name: value for name, value in reason.values.items() if name != "source"}  # the line of limits names it
        text = words(Reason(code=reason.code, values=short), region, language, alert.hazard.quantity)
        said.append(text[:1].upper() + text[1:] + stop)
    if alert.hazard.observed_ms is not None:
        said.append(texts.words["age"].format(age=duration(alert.sent_ms - alert.hazard.observed_ms, language)))
    if zone is not None:
        said.append(_limits(zone, region, language))
    said.append(texts.words["code"].format(code=check_code(alert.identifier)) + stop)
    return " ".join(filter(None, said))


def _limits(zone: Zone, region: Region, language: str) -> str:
    texts = phrases(language)
    if not zone.limits.values:
        return ""
    limits = texts.words["comma"].join(
        f"{class_name(level, region, language, zone.hazard)} {amount(value, zone.limits.quantity, region, language)}"
        for level, value in sorted(zone.limits.values.items(), key=lambda item: item[0].rank)
    )
    source = clean(" ".join(filter(None, (zone.limits.source, zone.limits.date))))
    return texts.words["limits"].format(place=place(zone, zone.id, language), limits=limits, source=source)


def area_words(zone: Zone, region: Region, language: str) -> str:
    """CAP areaDesc: the reach or place and its districts."""
    texts = phrases(language, zone.hazard)
    known = [region.district_by_id[district] for district in zone.districts if district in region.district_by_id]
    districts = texts.words["comma"].join(name_of(district.names, texts) for district in known)
    which = "area" if districts else "area_alone"
    return texts.words[which].format(river=clean(zone.river), place=place(zone, zone.id, language), districts=districts)
