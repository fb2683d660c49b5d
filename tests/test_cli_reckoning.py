"""The reckoning that ends a demo: it must see what is lost, doubled, late or different. Built on evidence of its own making."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from warning import config
from warning.model import Alert, AlertEvent, Cause, DeliveryState, EventKind, Level, Parameter, Reading, Receipt, Rejected, to_json
from warning.region import Region
from warning.rehearsal import summary
from warning.rehearsal.crossings import crossings, observations, stretch_start
from warning.rehearsal.evidence import Evidence, LoggedReading
from warning.rehearsal.reckoning import Decided, Offered, Reckoning, reckon
from warning.stream.replay import log_with_ticks, replay_file

HOUR = 3_600_000
START = 1_756_684_800_000  # 2025-09-01T00:00:00Z
CUSEC = 0.028316846592


@pytest.fixture(scope="module")
def region() -> Region:
    return config.load("indus")


def at_guddu(*thousand_cusec: float, parameter: Parameter = Parameter.INFLOW) -> list[Reading]:
    """A reading an hour."""
    return [
        Reading(
            station="IND-GUDDU",
            parameter=parameter,
            time_ms=START + hour * HOUR,
            value=value * 1000 * CUSEC,
            received_ms=START + hour * HOUR,
            provider="test",
        )
        for hour, value in enumerate(thousand_cusec)
    ]


class Case:
    """A flood at Guddu that went as it should; tests take something away or add something."""

    def __init__(self, region: Region, *thousand_cusec: float) -> None:
        self.region = region
        readings = at_guddu(*thousand_cusec)
        beats = list(replay_file(region, log_with_ticks(region, readings)))
        alerts = tuple(event for beat in beats for event in beat.alerts)
        flags: dict[tuple[str, str], int] = {}
        for beat in beats:
            for key, count in beat.outputs.flags.items():
                flags[key] = flags.get(key, 0) + count
        self.offered = Offered(len(readings), len(readings))
        self.decided = Decided(flags, {}, len(readings), alerts)
        logged = tuple(LoggedReading(reading, 0, number, reading.time_ms) for number, reading in enumerate(readings))
        self.evidence = Evidence(logged, len(beats), (), alerts, tuple(self.receipts(alerts)))

    def receipts(self, alerts: tuple[AlertEvent, ...]) -> list[Receipt]:
        out = []
        for event in alerts:
            districts = set(self.region.zone_by_id[event.alert.zone].districts)
            for contact in self.region.contacts:
                if (
                    event.alert.kind.told
                    and event.alert.level >= contact.level
                    and (not contact.districts or districts & set(contact.districts))
                ):
                    for channel in ("sms",) * bool(contact.phone) + ("webhook",) * bool(contact.webhook):
                        out.append(receipt(event.alert, contact.id, channel))
        return out

    def reckon(self, **changed: Any) -> Reckoning:
        return reckon(self.region, changed.pop("offered", self.offered), replace(self.evidence, **changed), self.decided, 1.0)


def receipt(alert: Alert, contact: str, channel: str, state: DeliveryState = DeliveryState.DELIVERED) -> Receipt:
    return Receipt(
        region="indus",
        alert=alert.identifier,
        zone=alert.zone,
        level=alert.level,
        contact=contact,
        channel=channel,
        state=state,
        attempt=1,
        at_ms=alert.sent_ms,
        parts=2,
        parts_delivered=2,
    )


@pytest.fixture(scope="module")
def case(region: Region) -> Case:
    return Case(region, 150, 210, 220, 360, 380, 510, 520)


def test_all_is_well(case: Case) -> None:
    found = case.reckon()
    assert found.passed, found.losses
    assert found.figures["readings_sent"] == found.figures["readings_applied"] == 7
    assert found.figures["crossings_high"] == found.figures["crossings_high_warned"] == found.figures["crossings_ahead"] == 1
    assert found.figures["alerts"] == len(case.decided.alerts) > 3


def test_a_reading_that_no_beat_closed_is_lost(case: Case) -> None:
    last = replace(case.evidence.readings[-1], beat_ms=None)
    found = case.reckon(readings=(*case.evidence.readings[:-1], last))
    assert found.figures["lost"] == 1
    assert "no beat" in found.losses[0]


def test_a_reading_that_is_not_in_the_log_is_lost(case: Case) -> None:
    assert case.reckon(offered=Offered(8, 8)).figures["lost"] == 1
    assert case.reckon(offered=Offered(8, 7)).figures["lost"] == 1
    assert case.reckon(offered=Offered(8, 7, {"unit_unknown": 1})).passed


def test_an_alert_that_was_not_published_is_lost(case: Case) -> None:
    found = case.reckon(alerts=case.evidence.alerts[1:])
    assert any("was not published" in line for line in found.losses)
    assert not found.passed


def test_a_document_that_differs_by_a_byte_is_seen(case: Case) -> None:
    first = case.evidence.alerts[0]
    other = msgspec.structs.replace(first, cap=first.cap.replace("Guddu", "Gaddu", 1))
    found = case.reckon(alerts=(*case.evidence.alerts, other))
    assert found.figures["differing"] == 1
    assert case.reckon(alerts=(*case.evidence.alerts, first)).passed, "the same again is no harm"


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.ACCEPTED, DeliveryState.WAITING])
def test_a_delivery_without_a_good_end_is_lost(case: Case, state: DeliveryState) -> None:
    bad = msgspec.structs.replace(case.evidence.receipts[0], state=state)
    assert case.reckon(receipts=(bad, *case.evidence.receipts[1:])).figures["lost"] == 1
    assert case.reckon(receipts=(bad, *case.evidence.receipts)).passed, "delivered at last"


def test_a_contact_that_nobody_tried_is_lost(case: Case) -> None:
    raised = case.evidence.alerts[0].alert.identifier
    kept = tuple(each for each in case.evidence.receipts if each.alert != raised)
    found = case.reckon(receipts=kept)
    assert found.figures["lost"] == len(case.evidence.receipts) - len(kept) > 0
    assert all("never tried" in line for line in found.losses)


@pytest.mark.parametrize("state", [DeliveryState.REFUSED, DeliveryState.OVERTAKEN])
def test_refused_and_overtaken_are_settled(case: Case, state: DeliveryState) -> None:
    settled = msgspec.structs.replace(case.evidence.receipts[0], state=state)
    assert case.reckon(receipts=(settled, *case.evidence.receipts[1:])).passed


def test_what_came_twice_is_doubled(case: Case) -> None:
    sms = {"destination": "+99910000020", "text": "Flood at Guddu A1B2"}
    assert case.reckon(messages=(sms, {**sms, "destination": "+99910000021"}, {**sms, "text": "Flood at Guddu A1B3"})).passed
    assert case.reckon(messages=(sms, sms, sms)).figures["doubled"] == 2
    hook = {"name": "ndma", "webhook_id": "a.0.ndma", "verified": True, "status": 204}
    assert case.reckon(webhooks=(hook, {**hook, "name": "pdma"}, {**hook, "status": 500}, {**hook, "verified": False})).passed
    assert case.reckon(webhooks=(hook, hook)).figures["doubled"] == 1


def test_a_high_flood_without_a_warning_is_late(case: Case) -> None:
    low = tuple(event for event in case.evidence.alerts if event.alert.level < Level.HIGH)
    found = case.reckon(alerts=low)
    assert [crossing.zone for crossing in found.late] == ["IND-GUDDU"]
    assert found.figures["crossings_high_warned"] == 0
    assert not found.passed


def test_failed_readings_are_no_observation(region: Region, case: Case) -> None:
    wild = at_guddu(9_999)[0]
    logged = LoggedReading(wild, 0, 99, wild.time_ms)
    failed = Rejected(reason=Cause.GROSS_RANGE.value, stage="qc", detail="", record=to_json(wild).decode())
    assert len(case.reckon(readings=(logged, *case.evidence.readings)).crossings) > len(case.reckon().crossings)
    assert case.reckon(readings=(logged, *case.evidence.readings), rejected=(failed,)).crossings == case.reckon().crossings


def test_value_of_a_barrage_is_the_larger_of_inflow_and_outflow(region: Region) -> None:
    pairs = [(reading, START) for reading in (*at_guddu(100, 100), *at_guddu(90, 300, parameter=Parameter.OUTFLOW))]
    values = [round(value.value / CUSEC) for value in observations(region, pairs)["IND-GUDDU"]]
    assert values == [100_000, 300_000]


def test_crossings_by_hand(region: Region) -> None:
    """200 is LOW, 350 MEDIUM, 500 HIGH at Guddu (thousand cusec): up through two limits at once, down, and up again."""
    observed = observations(region, [(reading, reading.time_ms) for reading in at_guddu(400, 190, 200, 510, 499, 500)])
    found = [(crossing.level, (crossing.time_ms - START) // HOUR, crossing.seen_below_high) for crossing in crossings(region, observed, ())]
    assert found == [
        (Level.LOW, 0, False),
        (Level.LOW, 2, True),
        (Level.MEDIUM, 0, False),
        (Level.MEDIUM, 3, True),
        (Level.HIGH, 3, True),
        (Level.HIGH, 5, True),
    ]


def test_the_stretch_that_counts_is_unbroken(case: Case) -> None:
    base = case.evidence.alerts[0].alert

    def alert(revision: int, hour: int, level: Level, kind: EventKind = EventKind.UPGRADE) -> Alert:
        return msgspec.structs.replace(base, revision=revision, sent_ms=START + hour * HOUR, level=level, kind=kind)

    said = [alert(0, 1, Level.HIGH), alert(1, 2, Level.LOW), alert(2, 4, Level.HIGH), alert(3, 5, Level.VERY_HIGH)]
    assert stretch_start(said, Level.HIGH, START) is None
    assert stretch_start(said, Level.HIGH, START + HOUR) == START + HOUR
    assert stretch_start(said, Level.HIGH, START + 3 * HOUR) is None
    assert stretch_start(said, Level.HIGH, START + 9 * HOUR) == START + 4 * HOUR
    assert stretch_start(said, Level.LOW, START + 9 * HOUR) == START + HOUR
    assert stretch_start([*said, alert(4, 6, Level.NORMAL, EventKind.CLEAR)], Level.LOW, START + 9 * HOUR) is None


def test_tables_and_document_show_it(region: Region, case: Case) -> None:
    found = case.reckon(offered=Offered(8, 7, {"unit_unknown": 1}))
    text = "\n".join(line for table in summary.tables(region, found) for line in summary.plain(table))
    for words in ("at the gateway: unit_unknown", "Guddu", "HIGH", "Passed", "01 Sep 10:00"):
        assert words in text
    document = summary.document(region, found)
    assert document["passed"] is True
    assert document["figures"]["readings_refused"] == 1
    late = case.reckon(alerts=())
    assert "FAILED" in "\n".join(line for table in summary.tables(region, late) for line in summary.plain(table))
