"""The nouns that travel: from a reading to a receipt.

All are frozen and are what stands as JSON on the Kafka topics. UTC and SI inside: times are ``*_ms``, milliseconds since
1970-01-01T00:00:00Z; stages are metres above the station's gauge zero, discharges m3/s, rain mm. Levels, flags and
kinds are always written by name.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec


class Level(enum.Enum):
    """Class of a flood, as Pakistan's flood forecasters name them. UNKNOWN is about the observation, not a class.

    Arrays hold ``rank`` (-1 for UNKNOWN, 0 NORMAL ... 5 EXCEPTIONAL) as int8; nothing outside the process ever sees it.
    """

    UNKNOWN = "UNKNOWN"
    NORMAL = "NORMAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    VERY_HIGH = "VERY_HIGH"
    EXCEPTIONAL = "EXCEPTIONAL"

    __hash__ = object.__hash__  # each is one object; Enum's own, in Python, is a third of what the limits of a large region cost

    @property
    def rank(self) -> int:
        return _RANK[self]

    @staticmethod
    def of_rank(rank: int) -> Level:
        return _LEVELS[int(rank) + 1]

    def __lt__(self, other: Level) -> bool:
        return self.rank < other.rank

    def __le__(self, other: Level) -> bool:
        return self.rank <= other.rank

    def __gt__(self, other: Level) -> bool:
        return self.rank > other.rank

    def __ge__(self, other: Level) -> bool:
        return self.rank >= other.rank


_LEVELS = tuple(Level)
_RANK = {level: number - 1 for number, level in enumerate(_LEVELS)}
CLASSES = _LEVELS[2:]  # LOW ... EXCEPTIONAL: what has a limit


class Flag(enum.Enum):
    """Quality of a reading, the words of QARTOD (``number`` is QARTOD's)."""

    GOOD = "GOOD"
    NOT_EVALUATED = "NOT_EVALUATED"
    SUSPECT = "SUSPECT"
    FAIL = "FAIL"
    MISSING = "MISSING"

    @property
    def number(self) -> int:
        return _FLAG_NUMBER[self]


_FLAG_NUMBER = {Flag.GOOD: 1, Flag.NOT_EVALUATED: 2, Flag.SUSPECT: 3, Flag.FAIL: 4, Flag.MISSING: 9}


class Cause(enum.Enum):
    """Why a reading has its flag."""

    NONE = "none"
    MISSING = "missing"
    SENTINEL = "sentinel"
    FUTURE = "future"
    STALE = "stale"
    GROSS_RANGE = "gross_range"
    DUPLICATE = "duplicate"
    REVISION = "revision"
    SPIKE = "spike"
    RATE_OF_RISE = "rate_of_rise"
    RATE_OF_FALL = "rate_of_fall"
    FLAT_LINE = "flat_line"
    MANUAL = "manual"
    INTERNAL = "internal"
    GAP = "gap"
    CLIMATOLOGY = "climatology"
    RISE_WITHOUT_RAIN = "rise_without_rain"
    RAIN_WITHOUT_RISE = "rain_without_rise"
    NEIGHBOUR = "neighbour"
    ATTENUATED = "attenuated"
    DATUM_SHIFT = "datum_shift"
    OUTSIDE_RATING = "outside_rating"
    WRONG_UNIT = "wrong_unit"


class Parameter(enum.Enum):
    """What a series measures. A barrage's discharge is the larger of its inflow and outflow."""

    STAGE = "stage"
    DISCHARGE = "discharge"
    INFLOW = "inflow"
    OUTFLOW = "outflow"
    RAIN = "rain"
    TEMPERATURE = "temperature"  # of the air, in the shade
    HUMIDITY = "humidity"  # relative, over water

    __hash__ = object.__hash__  # as for Level

    @property
    def unit(self) -> str:
        """The unit that readings of it have inside the system: SI, but degrees Celsius and percent."""
        return _PARAMETER_UNIT.get(self.value, "m3/s")

    @property
    def quantity(self) -> str:
        """``stage``, ``discharge``, ``rain``, ``temperature`` or ``humidity``: what its values are."""
        return _PARAMETER_QUANTITY[self]

    @property
    def resolution(self) -> float:
        """Values are rounded to this before they are compared with a limit (1 mm, 0.1 m3/s, 0.1 mm of rain, 0.1 degC, 0.1 %)."""
        return 0.001 if self is Parameter.STAGE else 0.1


_PARAMETER_UNIT = {"stage": "m", "rain": "mm", "temperature": "degC", "humidity": "%"}
_PARAMETER_QUANTITY = {each: each.value if each.value in _PARAMETER_UNIT else "discharge" for each in Parameter}


class Status(enum.Enum):
    """CAP status. Only ACTUAL reaches live contacts."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    TEST = "Test"


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of one series at one time: one record of topic ``readings``.

    ``value`` is None where the sender said "missing" or sent a sentinel (``cause``). Identity: station, parameter, time; the same
    value again is a duplicate, another value a revision.
    """

    station: str
    parameter: Parameter
    time_ms: int
    value: float | None
    received_ms: int
    provider: str
    cause: Cause = Cause.NONE


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The clock in the log: closes a beat. Has no key."""

    tick_ms: int
    writer: str = ""


class ManualFlag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator says about a sensor: one record of ``readings`` beside them, under their key. Times are event times of readings.

    ``fail``: out of order in ``from_ms`` <= time < ``to_ms`` (None: until further notice); its readings fail, those that counted are taken
    back. ``withdraw``: what was said about that stretch is not so. ``accept``: a datum shift is the new level of the sensor.
    """

    flag_ms: int  # when it was said
    station: str
    parameter: Parameter
    action: Literal["fail", "withdraw", "accept"]
    who: str
    because: str
    from_ms: int = 0
    to_ms: int | None = None


class Switch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another configuration or code decides, from record ``next`` on: the first one after the checkpoint that it took over. Has no key.

    After a crash it says what had been published after that checkpoint (see ``pipeline.adopt``): ``told`` names it, ``adopted`` is the
    newest revision of each zone, and up to ``until_ms`` of log time nothing is decided again. A long one is several records.
    """

    switch_ms: int
    writer: str
    config: str  # digest of the region
    code: str  # fingerprint of the decision code
    next: int = -1  # -1: from here on
    until_ms: int = -1
    told: tuple[str, ...] = ()
    adopted: tuple[Alert, ...] = ()
    part: int = 0
    parts: int = 1


class Rejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record of ``readings.rejected``: what came, why it was not taken, and where."""

    reason: str
    stage: str  # ingest | inbox | decode | qc
    detail: str
    record: str  # the text as received, or base64 where it is not UTF-8 (``encoding``)
    encoding: str = "utf-8"
    provider: str = ""
    at_ms: int = 0
    partition: int = -1  # of ``readings.inbox`` (stage inbox) or ``readings`` (stage decode), where the record stands
    offset: int = -1
    item: str | msgspec.UnsetType = msgspec.UNSET  # of another format than ours: how its way in understood it, JSON


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One ground of a hazard: a code that ``alerts.message`` puts into words, and its numbers (SI, names carry the unit)."""

    code: str
    values: dict[str, float | int | str | None] = {}


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Expected course of a zone's quantity: median and standard deviation at each lead time, in the quantity's SI unit."""

    issued_ms: int
    lead_h: tuple[float, ...]
    median: tuple[float | None, ...]
    sigma: tuple[float | None, ...]


class Hazard(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one zone at one moment: the value on topic ``hazards``; the newest one counts (``n``)."""

    region: str
    zone: str
    at_ms: int
    quantity: str  # a name of ``region.QUANTITIES``
    value: float | None  # newest good reading (SI); a barrage: the larger of inflow and outflow; derived: what the newest readings make
    observed_ms: int | None  # its time
    level: Level  # class of the newest good reading; UNKNOWN when the gauge is silent or never spoke
    level_confirmed: Level  # class that a second reading, a second sensor or a neighbour confirms, or that needs none
    level_cleared: Level  # class after hysteresis: the highest whose limit less the margin is still reached
    level_expected: Level  # highest class whose exceedance probability within the horizon is enough; NORMAL if none
    level_expected_cleared: Level  # the same, with the smaller probability that keeps an alert alive
    probability: float  # of exceeding the limit of level_expected within the horizon
    arrival_ms: int | None  # when the limit of level_expected is expected to be crossed
    silent_since_ms: int | None  # the newest good reading's time if the gauge is silent
    peak_value: float | None = None  # highest of the median forecast
    peak_ms: int | None = None
    reasons: tuple[Reason, ...] = ()
    words: tuple[str, ...] = ()  # the reasons in English; empty where a good reading below all limits is all there is to say
    upstream: tuple[str, ...] = ()  # zones whose water the expectation rests on
    forecast: Forecast | None = None  # as far as there is evidence: a wave on its way, a trend
    windows: dict[str, dict[str, float | int | None]] = {}  # "1h" -> count min max mean last rate (of the deciding series)
    config: str = ""
    n: int = -1  # offset of the tick in the partition

    @property
    def warn_level(self) -> Level:
        """What a warning should say now: the observed, confirmed class or the expected one, whichever is higher."""
        return max(self.level_confirmed, self.level_expected, Level.NORMAL, key=lambda level: level.rank)


class EventKind(enum.Enum):
    """What happened to an alert. ``told`` says whether contacts hear of it."""

    RAISE = "raise"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    ARRIVAL = "arrival"  # material change of the arrival time
    CERTAINTY = "certainty"  # the gauge fell silent, or speaks again
    RENEW = "renew"  # would expire, and the hazard lasts
    CLEAR = "clear"
    EXPIRE = "expire"  # ran out while nobody could renew it, and the hazard is over

    @property
    def told(self) -> bool:
        return self not in (EventKind.CERTAINTY, EventKind.RENEW, EventKind.EXPIRE)


class Certainty(enum.Enum):
    """CAP certainty, the values that we use."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A predecessor in a chain of alerts, as CAP names it."""

    identifier: str
    sent_ms: int
    expires_ms: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of one zone's chain of alerts. ``identifier`` = namespace.zone.raised.revision: from meaning, not from offsets."""

    identifier: str
    region: str
    zone: str
    revision: int
    kind: EventKind
    event_ids: tuple[str, ...]  # waves that this chain belongs to; CAP <incidents>
    status: Status
    level: Level
    previous_level: Level
    certainty: Certainty
    raised_ms: int
    sent_ms: int
    expires_ms: int
    arrival_ms: int | None  # when the water is expected at the limit; None: it is there
    told_arrival_ms: int | None  # what contacts were last told
    hazard: Hazard  # as it was when this revision was made
    references: tuple[Reference, ...] = ()  # all unexpired predecessors
    below_since_ms: int | None = None  # since when good data have been below (hysteresis in time)
    silent_since_ms: int | None = None
    below_level: Level | None = None  # the highest class that stood since ``below_since_ms``: what a downgrade goes to
    told_ms: int = 0  # when contacts were last told of this chain: the lead that they were given starts here
    told_observed: bool = False  # contacts were told that the water is there

    @property
    def active(self) -> bool:
        return self.kind not in (EventKind.CLEAR, EventKind.EXPIRE)


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The value on topic ``alerts`` (key: identifier): one revision with its canonical, unsigned CAP document.

    ``cap`` is empty for EXPIRE only: nothing unexpired is left that a document could refer to.
    """

    alert: Alert
    cap: str
    config: str
    code: str


class DeliveryState(enum.Enum):
    """State of one alert revision on its way to one contact over one channel."""

    WAITING = "waiting"
    SENDING = "sending"  # written before the send: a crash leaves it so
    ACCEPTED = "accepted"  # the gateway has it; not yet the phone
    DELIVERED = "delivered"
    FAILED = "failed"  # for good
    UNKNOWN = "unknown"  # a crash in between: may or may not have been sent
    OVERTAKEN = "overtaken"  # a newer revision went instead
    REFUSED = "refused"  # alerts.rules said no


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt or one delivery receipt: the value on topic ``receipts`` (key: alert identifier)."""

    region: str
    alert: str
    zone: str
    level: Level
    contact: str
    channel: str  # sms | webhook
    state: DeliveryState
    attempt: int
    at_ms: int
    parts: int = 1
    parts_delivered: int = 0
    language: str = ""
    doubled: bool = False  # may have reached the contact twice: a crash hid the outcome of an earlier attempt
    resent: int = 0  # an operator had it sent again after so many attempts; 0: nobody did
    reason: str = ""
    message_ids: tuple[str, ...] = ()
    route: str = ""  # which of the channel's ways
    origin: str = ""  # "" the dispatcher; "reconciliation": the SMS centre's own report, afterwards
    chain: str = ""  # SEQ:SHA-256, head of the audit's chain: the topic keeps it where the database cannot be changed


def to_json(noun: Any) -> bytes:
    """Canonical JSON of a noun: fields in their declared order, floats as Python writes them."""
    return msgspec.json.encode(noun)
