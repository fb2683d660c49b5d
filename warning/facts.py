"""Facts that the processes tell whoever listens; ``operate.metrics`` and ``operate.health`` turn them into metrics and probes.

The core emits facts and knows nothing of Prometheus. A listener must not raise and must not block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from warning.model import DeliveryState, EventKind, Level


@dataclass(frozen=True, slots=True)
class Fact:
    pass


# --- ingest


@dataclass(frozen=True, slots=True)
class Received(Fact):
    """A request was answered: so many readings accepted (the broker has them), so many refused by reason."""

    accepted: int
    refused: dict[str, int]
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DeviceHeard(Fact):
    """A device spoke, whatever became of its readings; None: it does not say. ``way``: http, mqtt, lorawan, pull, sms, form, edge."""

    device: str
    way: str
    at_ms: int
    battery_v: float | None = None
    battery_percent: float | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None
    gateways: int | None = None  # of a LoRaWAN network: how many heard it
    clock_skew_s: float | None = None  # its clock less ours
    silent: bool = False  # its last will: the line is dead
    station: str = ""  # that it reads; empty: several, or nobody says
    repeated: bool = False  # a frame that came before, by its counter
    lost_frames: int = 0  # frames between the newest before and this one that never came


@dataclass(frozen=True, slots=True)
class SourceKnown(Fact):
    """``warning pull`` asks this source; an alarm is due when its newest reading is older than ``silent_after_s``."""

    source: str
    silent_after_s: float


@dataclass(frozen=True, slots=True)
class SourcePolled(Fact):
    """A round of requests to a source ended. ``outcome``: taken, unchanged, empty, or why not. ``newest_ms``: None, nothing of it yet."""

    source: str
    outcome: str
    accepted: int
    refused: dict[str, int]
    newest_ms: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class MqttState(Fact):
    """We are subscribed at the MQTT broker, or are not."""

    up: bool


@dataclass(frozen=True, slots=True)
class ReadersSmsState(Fact):
    """There is a session with the SMS centre that hands us what gauge readers send, or there is none."""

    up: bool


@dataclass(frozen=True, slots=True)
class EdgeReported(Fact):
    """What an edge node says of its outbox, clock and sirens; counts are since it was set up. ``oldest_s``: age of the oldest waiting."""

    node: str
    waiting: int
    oldest_s: float | None
    refused: int
    thinned: int  # for want of room; they will never come
    undated: int  # nobody can say when they were
    clock_sure: bool
    sirens_on: int
    sirens_failing: int


@dataclass(frozen=True, slots=True)
class InboxTaken(Fact):
    """Records of one partition of ``readings.inbox`` are done with: so many in ``readings``, so many in ``readings.rejected``."""

    partition: int
    taken: int
    refused: dict[str, int] = field(default_factory=dict)  # reason -> records


@dataclass(frozen=True, slots=True)
class InboxWaiting(Fact):
    """Records that wait in a partition of ``readings.inbox`` that is ours; told about once a second."""

    partition: int
    waiting: int


@dataclass(frozen=True, slots=True)
class InboxOwned(Fact):
    """The partitions of ``readings.inbox`` that this process reads. ``joined`` False: none yet, its group is still sharing them out."""

    partitions: tuple[int, ...]
    joined: bool = True


@dataclass(frozen=True, slots=True)
class BrokerState(Fact):
    """The broker answers, or does not."""

    up: bool


# --- stream


@dataclass(frozen=True, slots=True)
class BeatClosed(Fact):
    partition: int
    now_ms: int
    offset: int
    readings: int
    applied: int
    flags: dict[tuple[str, str], int] = field(default_factory=dict)  # (flag, cause) -> readings
    rejected: dict[tuple[str, str], int] = field(default_factory=dict)  # (stage, reason) -> records
    alerts: dict[EventKind, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ZoneObserved(Fact):
    """A zone's observation class as last published; UNKNOWN is for operators to hear of."""

    zone: str
    level: Level
    previous: Level | None
    silent_since_ms: int | None


@dataclass(frozen=True, slots=True)
class SeriesOutOfService(Fact):
    """A computation raised on this series; it is UNKNOWN until a worker with other code takes over."""

    station: str
    parameter: str
    error: str


@dataclass(frozen=True, slots=True)
class CheckpointWritten(Fact):
    partition: int
    next_offset: int
    bytes: int
    pause_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class CheckpointRefused(Fact):
    partition: int
    why: str


@dataclass(frozen=True, slots=True)
class StateLoaded(Fact):
    partition: int
    next_offset: int
    how: str  # memory | committed | older | newest | empty
    seconds: float


@dataclass(frozen=True, slots=True)
class Backlog(Fact):
    """Records that wait in the log behind a partition's state; told about once a second."""

    partition: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PartitionsOwned(Fact):
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClockOffset(Fact):
    seconds: float


# --- dispatch


@dataclass(frozen=True, slots=True)
class Attempted(Fact):
    channel: str
    state: DeliveryState
    reason: str
    seconds: float
    parts: int = 1


@dataclass(frozen=True, slots=True)
class AlertHandled(Fact):
    """All deliveries of a revision are decided: so many contacts told, so many refused by the rules; ``without_way``: why -> how many
    should hear and cannot be reached (``dispatch.audience``)."""

    level: Level
    kind: EventKind
    told: int
    refused: int
    without_way: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelState(Fact):
    channel: str
    up: bool


@dataclass(frozen=True, slots=True)
class RouteState(Fact):
    """One route of a channel (an SMS centre, a mail relay) is well, or is not; the channel goes on by another."""

    channel: str
    route: str
    up: bool


@dataclass(frozen=True, slots=True)
class OperatorNotice(Fact):
    """Operators are told: these zones have no observation any more, these have one again."""

    silent: tuple[str, ...]
    back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalsWaiting(Fact):
    """Chains of alerts that wait for a person's release, and how long the oldest has; told about once a second where a region asks."""

    chains: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Escalated(Fact):
    """What was done about deliveries that brought no receipt and no answer: (step, why) -> how many; see ``dispatch.steps``."""

    level: Level
    steps: dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class AlertsUntold(Fact):
    """So many alerts in force that nobody at all is told of; told about every few seconds."""

    alerts: int


@dataclass(frozen=True, slots=True)
class Undelivered(Fact):
    """Deliveries with an attempt still to come, told about once a second."""

    waiting: int


# --- proof and cash


@dataclass(frozen=True, slots=True)
class DocumentSealed(Fact):
    """A CAP document left: signed, or no_key, key_expired, database, conflict, internal; "": none did. ``ends_s``: of the last key."""

    outcome: str
    ends_s: float | None = None


@dataclass(frozen=True, slots=True)
class CodeAsked(Fact):
    answer: str  # a state of proof.register, or malformed, document_mark, rate_limited, unavailable


@dataclass(frozen=True, slots=True)
class CashMoved(Fact):
    phase: str  # case | readiness | activation | stand_down
    state: str


@dataclass(frozen=True, slots=True)
class CashWaiting(Fact):
    approvals: int  # cases that wait for a person
    unsettled: int  # orders whose outcome is not known


# --- api


@dataclass(frozen=True, slots=True)
class Answered(Fact):
    """A request to the API was answered. ``route`` is the pattern, never the path that was asked for: it stays bounded."""

    route: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DocumentConflict(Fact):
    """An alert's identifier came again with another document. The first one stays; somebody has to find out why."""

    identifier: str


@dataclass(frozen=True, slots=True)
class WarningVerified(Fact):
    """What became of one class of one chain of alerts (see ``operate.verified``). ``lead_s``: from the warning to the water, if it came."""

    level: Level
    outcome: str  # hit | miss | false_alarm
    lead_s: float | None


@dataclass(frozen=True, slots=True)
class VerificationForgotten(Fact):
    """The log is another one: what was verified is counted anew."""


@dataclass(frozen=True, slots=True)
class SensorState:
    """``state``: ok, silent, never, out (of service); ``age_s`` since its newest good reading, ``overdue`` times what is expected."""

    station: str
    parameter: str
    state: str
    age_s: float | None = None
    overdue: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device last said; None: it never did. ``age_s`` since it was heard."""

    device: str
    way: str
    station: str = ""
    age_s: float | None = None
    battery_v: float | None = None
    battery_percent: float | None = None
    rssi_dbm: float | None = None
    clock_skew_s: float | None = None
    silent: bool = False
    overdue: float | None = None  # times what its region says


@dataclass(frozen=True, slots=True)
class SensorsJudged(Fact):
    """How the sensors and devices are now: all by their state, the worst of many by name. ``blind``: zones out of service as a whole."""

    counts: dict[str, int]
    sensors: tuple[SensorState, ...] = ()
    devices: tuple[DeviceState, ...] = ()
    blind: tuple[str, ...] = ()


# --- any process


@dataclass(frozen=True, slots=True)
class Ready(Fact):
    """This part of the process is ready for work, or is not (``why``)."""

    part: str
    ready: bool
    why: str = ""


Listener = Callable[[Fact], None]


def nobody(fact: Fact) -> None:
    """The listener of whoever does not listen."""
