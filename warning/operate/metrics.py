"""Facts -> Prometheus. The table of all metrics is in ``deploy/prometheus/README.md``; a test holds the two together.

Every label set that can be known beforehand (partitions, flags and causes, kinds, levels, channels, states and the reasons that we
know of; zones and series of all but large regions) starts at zero, so that ``rate()`` sees the first failure. The registry is
handed in: two of these live in one process without meeting.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from warning import __version__, facts
from warning.model import Cause, DeliveryState, EventKind, Flag, Level
from warning.operate.edges import EdgeMetrics
from warning.operate.sensors_shown import SensorsShown
from warning.operate.shown import Shown
from warning.operate.sources import SourceMetrics
from warning.operate.trust import CashMetrics, CodeMetrics, ReportMetrics, SealMetrics
from warning.operate.verified import VerifiedMetrics
from warning.people.told import HELD, JOINS, TEXTED, KannelHeld, KannelLater, OperatorTexted, Reconciled, SmsJoin
from warning.people.unreached import STEPS, UNREACHABLE
from warning.region import Region

PROCESSES = ("ingest", "worker", "dispatch", "api", "pull")
CHANNELS = ("sms", "webhook")
WAYS = ("http", "mqtt", "lorawan", "sensorthings", "pull", "sms", "form", "edge")
FRAMES = ("repeated", "lost")  # by their counters, as our gateway saw them
HOW_LOADED = ("memory", "committed", "older", "newest", "empty")
STATUSES = ("200", "201", "202", "304", "400", "401", "403", "404", "405", "408", "413", "415", "422", "429", "500", "503")

# Why a reading is refused at the door, and why a delivery fails: the words that the rooms use; others appear when they come.
REFUSED = (
    *("malformed", "field_missing", "field_unknown", "field_type", "value_type", "value_not_finite", "station_unknown"),
    *("station_forbidden", "parameter_unknown", "parameter_not_at_station", "unit_missing", "unit_unknown", "unit_mismatch"),
    *("datum_missing", "datum_unknown", "datum_unexpected", "time_format", "time_future", "time_too_old"),
    *("device_unknown", "payload", "ambiguous", "not_observed"),
)
REFUSED_INBOX = (*REFUSED, "empty", "unreadable", "internal")
DECODED = ("bad_json", "bad_field", "empty", "missing_key", "unknown_series")
FAILED = (
    *("timeout", "reset", "throttled", "unavailable", "stopped", "rejected", "malformed", "gateway_error"),
    *("connect", "endpoint", "secret", "forbidden_address", "gone", "redirect", "server_error", "client_error", "internal"),
    *("undeliv", "expired", "rejectd", "deleted", "unknown"),  # SMPP's words in receipts
)

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """A Listener of ``warning.facts`` that keeps Prometheus metrics.

    Parameters: ``registry`` to register in; ``region`` for the label values; ``process`` (one of ``PROCESSES``) registers only what
    that process can tell, so that no process shows zeros for another's work; "" registers everything (a process that does it all).
    ``clock`` gives Unix seconds, for the "when last" gauges.
    """

    def __init__(self, registry: CollectorRegistry, region: Region, process: str = "", clock: Callable[[], float] = time.time) -> None:
        if process and process not in PROCESSES:
            raise ValueError(f"process {process!r} is none of {PROCESSES}")
        self._registry, self._region, self._clock = registry, region, clock
        self._told: dict[type[facts.Fact], Callable[[Any], None]] = {}
        self._any()
        rooms = {"ingest": self._ingest, "worker": self._worker, "dispatch": self._dispatch, "api": self._api, "pull": self._pull}
        for name, register in rooms.items():
            if process in ("", name):
                register()

    def __call__(self, fact: facts.Fact) -> None:
        """Take one fact; one that this process has no metric for is nobody's."""
        take = self._told.get(type(fact))
        if take is not None:
            take(fact)

    def _make(self, kind: type[M], name: str, text: str, labels: tuple[str, ...] = (), *values: Iterable[str], **options: Any) -> M:
        metric = kind(f"warning_{name}", text, labels, registry=self._registry, **options)
        if values:
            for combination in itertools.product(*values):
                metric.labels(*combination)
        return metric

    def _any(self) -> None:
        info = self._make(Gauge, "build_info", "1, with version and digest of the region's files", ("version", "region", "config"))
        info.labels(__version__, self._region.id, self._region.digest).set(1)
        self._broker: Gauge | None = None  # made when first told: a process that never asks must not say "down"
        self._part = self._make(Gauge, "part_ready", "1 if this part of the process is ready for work", ("part",))
        self._told[facts.BrokerState] = self._broker_state
        self._told[facts.Ready] = lambda fact: self._part.labels(fact.part).set(int(fact.ready))

    def _broker_state(self, fact: facts.BrokerState) -> None:
        if self._broker is None:
            self._broker = self._make(Gauge, "broker_up", "1 if the broker answered when last asked")
        self._broker.set(int(fact.up))

    # --- ingest

    def _ingest(self) -> None:
        self._requests = self._make(Counter, "ingest_requests_total", "Requests answered by the gateway", ("status",), STATUSES)
        self._accepted = self._make(Counter, "ingest_readings_accepted_total", "Readings that the broker has (acks=all)")
        self._refused = self._make(Counter, "ingest_readings_refused_total", "Readings that the gateway refused", ("reason",), REFUSED)
        self._request_s = self._make(Histogram, "ingest_request_seconds", "Time from request to answer", buckets=_SHORT)
        self._told[facts.Received] = self._received
        self._mqtt: Gauge | None = None  # likewise
        self._told[facts.MqttState] = self._mqtt_state
        self._readers_sms: Gauge | None = None  # likewise
        self._told[facts.ReadersSmsState] = self._readers_sms_state
        partitions = self._partitions()
        self._inbox = self._make(
            Counter, "inbox_readings_taken_total", "Records of readings.inbox that the log has", ("partition",), partitions
        )
        self._inbox_refused = self._make(
            Counter, "inbox_records_refused_total", "Records of readings.inbox that are in readings.rejected", ("reason",), REFUSED_INBOX
        )
        self._inbox_waiting = self._make(
            Gauge, "inbox_waiting_records", "Records of readings.inbox that wait for this process", ("partition",), partitions
        )
        self._devices = self._make(Counter, "devices_heard_total", "Times that a device spoke, by its way in", ("way",), WAYS)
        self._frames = self._make(Counter, "lorawan_frames_total", "LoRaWAN frames that came again, or never", ("outcome",), FRAMES)
        self._told[facts.DeviceHeard] = self._device_heard
        held = self._make(Gauge, "kannel_held_messages", "Messages of phones that Kannel was told to bring later, in SQL now")
        self._told[KannelHeld] = lambda fact: held.set(fact.messages)
        later = self._make(Counter, "kannel_later_messages_total", "Messages of phones that could not be taken at once", ("outcome",), HELD)
        self._told[KannelLater] = lambda fact: later.labels(fact.outcome).inc(fact.messages)
        joins = self._make(Counter, "sms_joins_total", "JOINs by SMS, by what became of them", ("outcome",), JOINS)
        self._told[SmsJoin] = lambda fact: joins.labels(fact.outcome).inc()
        self._told[facts.EdgeReported] = EdgeMetrics(self._registry).reported
        self._told[facts.InboxTaken] = self._inbox_taken
        self._told[facts.InboxWaiting] = lambda fact: self._inbox_waiting.labels(str(fact.partition)).set(fact.waiting)
        self._told[facts.InboxOwned] = self._inbox_owned

    def _device_heard(self, fact: facts.DeviceHeard) -> None:
        self._devices.labels(fact.way).inc()
        self._frames.labels("repeated").inc(fact.repeated)
        self._frames.labels("lost").inc(fact.lost_frames)

    def _inbox_taken(self, fact: facts.InboxTaken) -> None:
        self._inbox.labels(str(fact.partition)).inc(fact.taken)
        for reason, count in fact.refused.items():
            self._inbox_refused.labels(reason).inc(count)

    def _inbox_owned(self, fact: facts.InboxOwned) -> None:
        """What another process reads now is no longer ours to tell."""
        for partition in self._partitions():
            if int(partition) not in fact.partitions:
                self._inbox_waiting.labels(partition).set(0)

    def _mqtt_state(self, fact: facts.MqttState) -> None:
        if self._mqtt is None:
            self._mqtt = self._make(Gauge, "mqtt_up", "1 if we are subscribed at the MQTT broker")
        self._mqtt.set(int(fact.up))

    def _readers_sms_state(self, fact: facts.ReadersSmsState) -> None:
        if self._readers_sms is None:
            self._readers_sms = self._make(Gauge, "readers_sms_up", "1 if gauge readers' SMS reach us from the SMS centre")
        self._readers_sms.set(int(fact.up))

    def _received(self, fact: facts.Received) -> None:
        self._requests.labels(str(fact.status)).inc()
        self._accepted.inc(fact.accepted)
        for reason, count in fact.refused.items():
            self._refused.labels(reason).inc(count)
        self._request_s.observe(fact.seconds)

    # --- pull

    def _pull(self) -> None:
        sources = SourceMetrics(self._registry, self._clock)
        self._told[facts.SourceKnown] = sources.known
        self._told[facts.SourcePolled] = sources.polled

    # --- worker

    def _worker(self) -> None:
        self._beat_metrics()
        self._zone_metrics()
        self._state_metrics()

    def _partitions(self) -> tuple[str, ...]:
        return tuple(map(str, range(self._region.partitions)))

    def _beat_metrics(self) -> None:
        partitions = self._partitions()
        causes = tuple(cause.value for cause in Cause)
        self._beats = self._make(Counter, "beats_total", "Beats closed by a tick", ("partition",), partitions)
        self._in = self._make(Counter, "readings_total", "Readings that beats were given", ("partition",), partitions)
        self._applied = self._make(Counter, "readings_applied_total", "Readings that beats applied", ("partition",), partitions)
        self._flags = self._make(
            Counter, "reading_flags_total", "Readings by quality flag and cause", ("flag", "cause"), [flag.value for flag in Flag], causes
        )
        self._rejected = self._make(Counter, "readings_rejected_total", "Records sent to readings.rejected", ("stage", "reason"))
        for stage, reasons in (("decode", DECODED), ("qc", causes)):
            for reason in reasons:
                self._rejected.labels(stage, reason)
        self._alerts = self._make(Counter, "alerts_total", "Events in the life of alerts", ("kind",), [kind.value for kind in EventKind])
        self._beat_s = self._make(Histogram, "beat_seconds", "Time to compute one beat", buckets=_SHORT)
        self._log_time = self._make(Gauge, "log_time_seconds", "The clock in the log: time of the newest tick", ("partition",))
        self._offset = self._make(Gauge, "log_offset", "Offset of the newest tick that closed a beat", ("partition",))
        self._beat_at = self._make(Gauge, "last_beat_time_seconds", "When a beat was last closed", ("partition",))
        self._told[facts.BeatClosed] = self._beat

    def _beat(self, fact: facts.BeatClosed) -> None:
        partition = str(fact.partition)
        self._beats.labels(partition).inc()
        self._in.labels(partition).inc(fact.readings)
        self._applied.labels(partition).inc(fact.applied)
        for labels, count in fact.flags.items():
            self._flags.labels(*labels).inc(count)
        for labels, count in fact.rejected.items():
            self._rejected.labels(*labels).inc(count)
        for kind, count in fact.alerts.items():
            self._alerts.labels(kind.value).inc(count)
        self._beat_s.observe(fact.seconds)
        self._log_time.labels(partition).set(fact.now_ms / 1000)
        self._offset.labels(partition).set(fact.offset)
        self._beat_at.labels(partition).set(self._clock())

    def _zone_metrics(self) -> None:
        self._shown = Shown(self._region)
        self._registry.register(self._shown)
        self._owned = self._make(Gauge, "partition_owned", "1 if this worker owns the partition", ("partition",), self._partitions())
        self._mine: frozenset[int] = frozenset()
        self._told[facts.ZoneObserved] = lambda fact: self._shown.observed(fact.zone, fact.level)
        self._told[facts.SeriesOutOfService] = lambda fact: self._shown.out_of_service(fact.station, fact.parameter)
        self._told[facts.PartitionsOwned] = self._ownership

    def _ownership(self, fact: facts.PartitionsOwned) -> None:
        mine = frozenset(fact.partitions)
        for partition in range(self._region.partitions):
            self._owned.labels(str(partition)).set(int(partition in mine))
        for partition in self._mine - mine:
            self._backlog.labels(str(partition)).set(0)
        self._shown.owned(mine)
        self._mine = mine

    def _state_metrics(self) -> None:
        partitions = self._partitions()
        self._backlog = self._make(Gauge, "backlog_records", "Records that wait in the log behind the state", ("partition",), partitions)
        self._written = self._make(Counter, "checkpoints_total", "Checkpoints written and committed", ("partition",), partitions)
        self._refusals = self._make(
            Counter, "checkpoints_refused_total", "Checkpoints not written or not committed", ("partition",), partitions
        )
        self._written_at = self._make(Gauge, "last_checkpoint_time_seconds", "When a checkpoint was last committed", ("partition",))
        self._bytes = self._make(Gauge, "checkpoint_bytes", "Size of the last checkpoint", ("partition",), partitions)
        self._write_s = self._make(Histogram, "checkpoint_seconds", "Time to write and commit a checkpoint", buckets=_LONG)
        self._pause_s = self._make(Histogram, "checkpoint_pause_seconds", "Time that a checkpoint held the work up", buckets=_SHORT)
        self._loads = self._make(Counter, "state_loads_total", "Loads of a partition's state, by where from", ("how",), HOW_LOADED)
        self._load_s = self._make(Histogram, "state_load_seconds", "Time to load a partition's state", buckets=_LONG)
        self._clock_offset = self._make(Gauge, "clock_offset_seconds", "Our clock less the brokers' and gateways'")
        self._told[facts.Backlog] = lambda fact: self._backlog.labels(str(fact.partition)).set(fact.waiting)
        self._told[facts.CheckpointWritten] = self._checkpoint
        self._told[facts.CheckpointRefused] = lambda fact: self._refusals.labels(str(fact.partition)).inc()
        self._told[facts.StateLoaded] = self._loaded
        self._told[facts.ClockOffset] = lambda fact: self._clock_offset.set(fact.seconds)

    def _checkpoint(self, fact: facts.CheckpointWritten) -> None:
        partition = str(fact.partition)
        self._written.labels(partition).inc()
        self._written_at.labels(partition).set(self._clock())
        self._bytes.labels(partition).set(fact.bytes)
        self._write_s.observe(fact.seconds)
        self._pause_s.observe(fact.pause_seconds)

    def _loaded(self, fact: facts.StateLoaded) -> None:
        self._loads.labels(fact.how).inc()
        self._load_s.observe(fact.seconds)

    # --- dispatch

    def _dispatch(self) -> None:
        states = [state.value for state in DeliveryState]
        levels = [level.value for level in Level]
        kinds = [kind.value for kind in EventKind]
        self._deliveries = self._make(
            Counter, "deliveries_total", "Delivery attempts and receipts, by outcome", ("channel", "state"), CHANNELS, states
        )
        self._failures = self._make(
            Counter,
            "delivery_failures_total",
            "Attempts that reached nobody, by reason",
            ("channel", "reason"),
            CHANNELS,
            FAILED,
        )
        self._parts = self._make(Counter, "message_parts_total", "Parts of messages that a gateway accepted", ("channel",), CHANNELS)
        self._delivery_s = self._make(Histogram, "delivery_seconds", "Time of one delivery attempt", ("channel",), CHANNELS, buckets=_LONG)
        self._handled = self._make(
            Counter, "alerts_handled_total", "Alert revisions that were dispatched", ("level", "kind"), levels, kinds
        )
        self._contacts = self._make(
            Counter,
            "contacts_total",
            "Contacts of dispatched alerts: told, refused by rules, or without a way",
            ("level", "outcome"),
            levels,
            ("told", "refused", "without_way"),
        )
        self._without = self._make(Counter, "contacts_without_way_total", "Who should hear and cannot be reached", ("reason",), UNREACHABLE)
        untold = self._make(Gauge, "alerts_untold", "Alerts in force that nobody at all is told of")
        self._told[facts.AlertsUntold] = lambda fact: untold.set(fact.alerts)
        self._told[facts.Attempted] = self._attempted
        self._told[facts.AlertHandled] = self._alert_handled
        self._waits()

    def _waits(self) -> None:
        self._channel = self._make(Gauge, "channel_up", "1 if the channel's gateway answers", ("channel",))
        self._notices = self._make(Counter, "operator_notices_total", "Zones that operators were told of", ("what",), ("silent", "back"))
        texted = self._make(Counter, "operator_sms_total", "Notices to operators by SMS", ("outcome",), TEXTED)
        self._told[OperatorTexted] = lambda fact: texted.labels(fact.outcome).inc()
        self._undelivered = self._make(Gauge, "deliveries_waiting", "Deliveries with an attempt still to come")
        self._told[facts.OperatorNotice] = self._operator_notice
        self._told[facts.Undelivered] = lambda fact: self._undelivered.set(fact.waiting)
        self._approvals = self._make(Gauge, "approvals_waiting", "Chains of alerts that wait for a person's release")
        self._approval_s = self._make(Gauge, "approval_waiting_seconds", "How long the oldest of them has waited")
        self._told[facts.ApprovalsWaiting] = self._approvals_waiting
        self._told[facts.ChannelState] = lambda fact: self._channel.labels(fact.channel).set(int(fact.up))
        self._trusted()
        self._told[Reconciled] = ReportMetrics(self._registry).told
        cash = CashMetrics(self._registry)
        self._told[facts.CashMoved], self._told[facts.CashWaiting] = cash.moved, cash.waiting
        routes = self._make(Gauge, "route_up", "1 if the route of the channel is well", ("channel", "route"))
        why = ("no_receipt", "never_taken", "failed", *UNREACHABLE)
        words = "Steps for contacts whom a warning had not reached"
        self._steps = self._make(Counter, "escalations_total", words, ("step", "why"), STEPS, why)
        self._told[facts.Escalated] = self._escalated
        self._told[facts.RouteState] = lambda fact: routes.labels(fact.channel, fact.route).set(int(fact.up))

    def _escalated(self, fact: facts.Escalated) -> None:
        for (step, why), number in fact.steps.items():
            self._steps.labels(step, why).inc(number)

    def _approvals_waiting(self, fact: facts.ApprovalsWaiting) -> None:
        self._approvals.set(fact.chains)
        self._approval_s.set(fact.oldest_s)

    def _operator_notice(self, fact: facts.OperatorNotice) -> None:
        self._notices.labels("silent").inc(len(fact.silent))
        self._notices.labels("back").inc(len(fact.back))

    def _attempted(self, fact: facts.Attempted) -> None:
        self._deliveries.labels(fact.channel, fact.state.value).inc()
        self._delivery_s.labels(fact.channel).observe(fact.seconds)
        if fact.state is DeliveryState.ACCEPTED:
            self._parts.labels(fact.channel).inc(fact.parts)
        if fact.state in (DeliveryState.FAILED, DeliveryState.WAITING) and fact.reason:
            self._failures.labels(fact.channel, fact.reason).inc()

    def _alert_handled(self, fact: facts.AlertHandled) -> None:
        self._handled.labels(fact.level.value, fact.kind.value).inc()
        self._contacts.labels(fact.level.value, "told").inc(fact.told)
        self._contacts.labels(fact.level.value, "refused").inc(fact.refused)
        self._contacts.labels(fact.level.value, "without_way").inc(sum(fact.without_way.values()))
        for reason, number in fact.without_way.items():
            self._without.labels(reason).inc(number)

    # --- api

    def _api(self) -> None:
        self._answers = self._make(Counter, "api_requests_total", "Requests answered by the API", ("route", "status"))
        self._answer_s = self._make(Histogram, "api_request_seconds", "Time from request to answer", buckets=_SHORT)
        self._conflicts = self._make(Counter, "document_conflicts_total", "Alert identifiers that came again with another document")
        self._verified = VerifiedMetrics()
        self._registry.register(self._verified)
        self._told[facts.WarningVerified] = self._verified.take
        sensors = SensorsShown()
        self._registry.register(sensors)
        self._told[facts.SensorsJudged] = sensors.take
        self._told[facts.VerificationForgotten] = lambda fact: self._verified.forget()
        self._told[facts.Ready] = self._ready
        self._told[facts.Answered] = self._answered
        self._told[facts.DocumentConflict] = lambda fact: self._conflicts.inc()
        self._trusted()
        self._told[facts.CodeAsked] = CodeMetrics(self._registry).asked

    def _trusted(self) -> None:
        """Of both that documents leave from."""
        if facts.DocumentSealed not in self._told:
            self._told[facts.DocumentSealed] = SealMetrics(self._registry).sealed

    def _ready(self, fact: facts.Ready) -> None:
        self._part.labels(fact.part).set(int(fact.ready))
        if fact.part == "log" and fact.ready:
            self._verified.show()

    def _answered(self, fact: facts.Answered) -> None:
        self._answers.labels(fact.route, str(fact.status)).inc()
        self._answer_s.observe(fact.seconds)
