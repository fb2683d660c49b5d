"""What the schema does not see: the rules of CAP 1.2 and of the field that twelve of fourteen broken alerts break.

``lint`` never raises and reports every finding, each under the name of its rule (``RULES``). It reads any sender's alert; ``region``
adds the rules that need to know where the region lies, ``known`` those that need the alerts that went before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from warning.alerts.lint_area import area_findings, bounds_of
from warning.alerts.parsed import NAMESPACE, ParsedAlert, ParsedInfo, alert_of, local_name, read, time_ms
from warning.errors import InputError
from warning.region import Region

LONGEST_S = 81_000  # 22.5 h
HEADLINE_CHARACTERS = 140  # a headline is shorter

RULES = {
    "xml": "well-formed XML without a document type",
    "namespace": "the namespace of CAP 1.2",
    "mandatory": "the elements that every alert has are there",
    "empty-element": "no element is empty",
    "identifier-characters": "an identifier has no space, comma, < or &",
    "sender-characters": "a sender has no space, comma, < or &",
    "identifier-reuse": "an identifier is never used twice",
    "references-missing": "Update and Cancel refer to their predecessors",
    "references-format": "a reference is sender,identifier,sent",
    "references-incomplete": "every unexpired predecessor is named",
    "scope": "a Restricted alert says for whom",
    "exercise-note": "an exercise says so in its note",
    "info-missing": "Alert, Update and Cancel have an info",
    "language-repeated": "one info per language",
    "category-differs": "the same category in every language",
    "event-code-differs": "the same event code in every language",
    "headline-long": "a headline has fewer than 140 characters",
    "time-format": "times have seconds and a numeric offset, no Z and no fraction",
    "time-order": "sent <= effective <= onset < expires",
    "expires-missing": "every alert expires",
    "expires-late": "an alert expires within 22.5 h, and is renewed",
    "area-missing": "an alert says where",
    "polygon-format": "a polygon is lat,lon lat,lon ... within the globe",
    "polygon-points": "a polygon has at least 4 points",
    "polygon-open": "a polygon ends where it begins",
    "polygon-crossing": "a polygon does not cross itself",
    "polygon-axes": "a polygon is lat,lon and not lon,lat",
    "polygon-outside": "a polygon lies inside the region",
    "circle-format": "a circle is lat,lon radius_km within the globe",
    "circle-outside": "a circle lies inside the region",
}

_MANDATORY = {
    "alert": ("identifier", "sender", "sent", "status", "msgType", "scope"),
    "info": ("category", "event", "urgency", "severity", "certainty"),
    "area": ("areaDesc",),
}
_FORBIDDEN = re.compile(r"[\s,<&]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: its name, where in the document, what is wrong."""

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.rule}]"


def lint(xml: str | bytes, region: Region | None = None, known: Iterable[ParsedAlert] = (), *, longest_s: int = LONGEST_S) -> list[Finding]:
    """All findings of one document, [] if it is good.

    ``known``: alerts of the same sender that went before, of any chain; those that share an incident or a reference with this one
    must be named in its references if they had not expired.
    """
    try:
        root = read(xml)
    except InputError as error:
        return [Finding("xml", "document", str(error))]
    if local_name(root) != "alert":
        return [Finding("namespace", "document", f"the root is {root.tag}, not alert of {NAMESPACE}")]
    findings = list(_elements(root))
    if root.tag != f"{{{NAMESPACE}}}alert":
        findings.append(Finding("namespace", "alert", f"{root.tag} is not of {NAMESPACE}"))
    alert = alert_of(root)
    before = list(known)
    rules: Sequence[Callable[[], Iterator[Finding]]] = (
        lambda: _identity(alert, before),
        lambda: _references(alert, before),
        lambda: _header(alert),
        lambda: _languages(alert),
        lambda: _times(alert, longest_s),
    )
    for rule in rules:
        findings.extend(rule())
    box = None if region is None else bounds_of(region)
    for number, info in enumerate(alert.infos, 1):
        for place, area in enumerate(info.areas, 1):
            where = f"info {number}, area {place}"
            findings.extend(Finding(rule, where, what) for rule, what in area_findings(area, box))
    return findings


def _elements(root: Any) -> Iterator[Finding]:
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        name = local_name(element)
        if "{http://www.w3.org/2000/09/xmldsig#}" in element.tag:
            continue
        if len(element) == 0 and not (element.text or "").strip():
            yield Finding("empty-element", name, f"<{name}> has no content: leave it out")
        has = {local_name(child) for child in element if isinstance(child.tag, str)}
        for wanted in _MANDATORY.get(name, ()):
            if wanted not in has:
                yield Finding("mandatory", name, f"<{wanted}> is missing")


def _identity(alert: ParsedAlert, known: list[ParsedAlert]) -> Iterator[Finding]:
    for name, text in (("identifier", alert.identifier), ("sender", alert.sender)):
        if _FORBIDDEN.search(text):
            yield Finding(f"{name}-characters", name, f"{text!r} has a space, comma, < or &")
    if any(one.identifier == alert.identifier and one.sender == alert.sender for one in known):
        yield Finding("identifier-reuse", "identifier", f"{alert.identifier} was used before")


def _references(alert: ParsedAlert, known: list[ParsedAlert]) -> Iterator[Finding]:
    if alert.msg_type in ("Update", "Cancel") and not alert.references:
        yield Finding("references-missing", "references", f"{alert.msg_type} does not say what it replaces")
    for sender, identifier, sent in alert.references:
        if not sender or not identifier or not _TIME.fullmatch(sent):
            yield Finding("references-format", "references", f"{sender},{identifier},{sent} is not sender,identifier,sent")
    if not alert.references or _ms(alert.sent) is None:
        return
    named = {(sender, identifier) for sender, identifier, _ in alert.references}
    for one in _chain(alert, known):
        if (one.sender, one.identifier) not in named and not _expired(one, alert) and _earlier(one, alert):
            yield Finding("references-incomplete", "references", f"{one.identifier} had not expired and is not named")


def _chain(alert: ParsedAlert, known: list[ParsedAlert]) -> list[ParsedAlert]:
    """Everything known that belongs to the alert's chain: what it names, and what those name, and so on."""
    by_key = {(one.sender, one.identifier): one for one in known}
    todo = [(sender, identifier) for sender, identifier, _ in alert.references]
    seen: dict[tuple[str, str], ParsedAlert] = {}
    while todo:
        key = todo.pop()
        if key in by_key and key not in seen:
            seen[key] = by_key[key]
            todo.extend((sender, identifier) for sender, identifier, _ in by_key[key].references)
    for one in known:  # siblings: what refers to a member of the chain belongs to it
        if any((sender, identifier) in seen for sender, identifier, _ in one.references):
            seen.setdefault((one.sender, one.identifier), one)
    seen.pop((alert.sender, alert.identifier), None)
    return list(seen.values())


def _expired(one: ParsedAlert, alert: ParsedAlert) -> bool:
    try:
        return bool(one.expires) and time_ms(one.expires) <= time_ms(alert.sent)
    except ValueError:
        return False


def _earlier(one: ParsedAlert, alert: ParsedAlert) -> bool:
    then, now = _ms(one.sent), _ms(alert.sent)
    return then is not None and now is not None and then < now


def _header(alert: ParsedAlert) -> Iterator[Finding]:
    if alert.scope == "Restricted" and not alert.restriction:
        yield Finding("scope", "scope", "Restricted without <restriction>")
    if alert.status == "Exercise" and not alert.note:
        yield Finding("exercise-note", "note", "an exercise without a note that says which")
    if alert.msg_type in ("Alert", "Update", "Cancel") and not alert.infos:
        yield Finding("info-missing", "alert", f"{alert.msg_type} without info")


def _languages(alert: ParsedAlert) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, info in enumerate(alert.infos, 1):
        where = f"info {number}"
        language = (info.language or "en-US").lower()  # CAP's default
        if language in seen:
            yield Finding("language-repeated", where, f"{language} has an info already")
        seen.add(language)
        first = alert.infos[0]
        if set(info.categories) != set(first.categories):
            yield Finding("category-differs", where, f"{info.categories} is not {first.categories}")
        if set(info.event_codes) != set(first.event_codes):
            yield Finding("event-code-differs", where, f"{info.event_codes} is not {first.event_codes}")
        if len(info.headline) >= HEADLINE_CHARACTERS:
            yield Finding("headline-long", where, f"the headline has {len(info.headline)} characters")
        if not info.areas:
            yield Finding("area-missing", where, "no area")


def _times(alert: ParsedAlert, longest_s: int) -> Iterator[Finding]:
    yield from _formats("alert", {"sent": alert.sent})
    sent = _ms(alert.sent)
    for number, info in enumerate(alert.infos, 1):
        where = f"info {number}"
        yield from _formats(where, {"effective": info.effective, "onset": info.onset, "expires": info.expires})
        if not info.expires:
            yield Finding("expires-missing", where, "no <expires>")
        yield from _order(where, sent, info)
        expires = _ms(info.expires)
        if sent is not None and expires is not None and expires - sent > longest_s * 1000:
            yield Finding(
                "expires-late", where, f"expires {(expires - sent) / 3_600_000:.1f} h after sent, at most {longest_s / 3600:.1f} h"
            )


def _formats(where: str, times: dict[str, str]) -> Iterator[Finding]:
    for name, text in times.items():
        if text and (not _TIME.fullmatch(text) or _ms(text) is None):
            yield Finding("time-format", f"{where}, {name}", f"{text!r} is not like 2025-08-27T15:00:00+05:00")


def _order(where: str, sent: int | None, info: ParsedInfo) -> Iterator[Finding]:
    course = [("sent", sent), ("effective", _ms(info.effective)), ("onset", _ms(info.onset)), ("expires", _ms(info.expires))]
    given = [(name, at) for name, at in course if at is not None]
    for (first, earlier), (second, later) in pairwise(given):
        if later < earlier or (second == "expires" and later == earlier):
            yield Finding("time-order", where, f"{second} {getattr(info, second)} is before {first}, or the same")


def _ms(text: str) -> int | None:
    try:
        return time_ms(text)
    except ValueError:
        return None
