"""What the topics say right now, in bounded memory: the newest hazard per zone, recent readings per series, deliveries, rejections.

Reads no clock and no network: ``reader.Reader`` feeds it, ``present`` and ``audit`` read it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from statistics import median

import msgspec

from warning.alerts.lifecycle import chain_of
from warning.alerts.manual import by_hand
from warning.model import Alert, AlertEvent, Cause, Hazard, Level, Parameter, Reading, Receipt, Rejected

PER_SERIES = 3_000  # readings kept in memory: 16 bytes each
RECEIPTS = 20_000  # deliveries kept in memory
RECENT = 200  # rejected records kept word for word
REFUSED = 10_000  # (station, reason) counted; stations are the senders' words
_WIDEST = 100  # so much of a sender's word
_PAUSES = 33  # readings that tell a series' usual pause

_reading = msgspec.json.Decoder(Reading)


class _Named(msgspec.Struct):
    station: str = ""


_named = msgspec.json.Decoder(_Named)


@dataclass(frozen=True, slots=True)
class Point:
    """One reading of a hydrograph; ``cause`` is set where quality control failed it or the sender said "missing"."""

    time_ms: int
    value: float | None
    cause: str = ""


class Track:
    """The recent readings of one series in the order of their phenomenon time; a revision replaces the value it revises."""

    def __init__(self, most: int = PER_SERIES) -> None:
        self._times, self._values = array("q"), array("d")
        self._failed: OrderedDict[int, tuple[float | None, str]] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_ms: int, value: float | None) -> None:
        number = nan if value is None else value
        if not self._times or time_ms > self._times[-1]:
            self._times.append(time_ms)
            self._values.append(number)
        else:
            place = bisect_left(self._times, time_ms)
            if self._times[place] == time_ms:
                self._values[place] = number
            else:
                self._times.insert(place, time_ms)
                self._values.insert(place, number)
        if len(self._times) > self._most * 5 // 4:  # now and then, for cutting the front moves everything
            del self._times[: -self._most], self._values[: -self._most]

    def fail(self, time_ms: int, value: float | None, cause: str) -> None:
        """Quality control failed this value; it may come before the reading itself, which travels on another topic."""
        self._failed[time_ms] = (value, cause)
        if len(self._failed) > self._most:
            self._failed.popitem(last=False)

    def _cause(self, time_ms: int, value: float | None) -> str:
        if value is None:
            return Cause.MISSING.value
        failed = self._failed.get(time_ms)
        return failed[1] if failed is not None and failed[0] == value else ""

    def points(self, since_ms: int, until_ms: int) -> list[Point]:
        """Readings with since_ms <= time <= until_ms, oldest first."""
        first, last = bisect_left(self._times, since_ms), bisect_right(self._times, until_ms)
        found = []
        for place in range(first, last):
            value = self._values[place] if self._values[place] == self._values[place] else None
            found.append(Point(self._times[place], value, self._cause(self._times[place], value)))
        return found

    def last_good_ms(self, now_ms: int) -> int | None:
        """Time of the newest value that is not missing, not failed and not of the future."""
        for place in range(bisect_right(self._times, now_ms) - 1, -1, -1):
            value = self._values[place]
            if value == value and not self._cause(self._times[place], value):
                return self._times[place]
        return None

    @property
    def newest_ms(self) -> int | None:
        return self._times[-1] if self._times else None

    def usual_s(self) -> float | None:
        """Median of the pauses between the last readings by their own times; None below three of them."""
        last = self._times[-_PAUSES:]
        pauses = [after - before for before, after in pairwise(last)]
        return median(pauses) / 1000 if len(pauses) >= 3 else None


class View:
    """The present picture. ``log_ms`` is the clock in the log (newest tick of any partition), None before the first one."""

    def __init__(self, per_series: int = PER_SERIES, receipts: int = RECEIPTS) -> None:
        self._per_series, self._most_receipts = per_series, receipts
        self.newest: dict[str, AlertEvent] = {}  # zone -> newest revision of its newest chain; from the store, and not cleared
        self.manual: dict[str, AlertEvent] = {}  # chain -> newest revision of what people raised; the same
        self.called_off: dict[
            str, tuple[Level, str]
        ] = {}  # chain of the pipeline -> up to which class a person's chain stands in its place
        self.clear()

    def clear(self) -> None:
        """Forget what the log said: it is another log now. Alerts stay, they are in the store."""
        self.log_ms: int | None = None
        self.tracks: dict[tuple[str, Parameter], Track] = {}
        self.heard: dict[tuple[str, Parameter], Reading] = {}  # the reading that was received last
        self.refused: Counter[tuple[str, str]] = Counter()  # (station, reason), of what was not taken and says a station
        self.hazards: dict[str, Hazard] = {}
        self.receipts: OrderedDict[tuple[str, str, str], Receipt] = OrderedDict()
        self.rejected: Counter[tuple[str, str]] = Counter()  # (stage, reason)
        self.flagged: Counter[tuple[str, str, str]] = Counter()  # (station, parameter, cause)
        self.recent: deque[Rejected] = deque(maxlen=RECENT)

    def tick(self, tick_ms: int) -> None:
        self.log_ms = tick_ms if self.log_ms is None else max(self.log_ms, tick_ms)

    def track(self, station: str, parameter: Parameter) -> Track:
        key = (station, parameter)
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(self._per_series)
        return track

    def usual_s(self, station: str, parameter: Parameter) -> float | None:
        """Median pause between the last readings of a series."""
        track = self.tracks.get((station, parameter))
        return None if track is None else track.usual_s()

    def reading(self, reading: Reading) -> None:
        self.track(reading.station, reading.parameter).add(reading.time_ms, reading.value)
        key = (reading.station, reading.parameter)
        if (known := self.heard.get(key)) is None or reading.received_ms >= known.received_ms:
            self.heard[key] = reading
        if reading.value is None:
            cause = reading.cause if reading.cause is not Cause.NONE else Cause.MISSING
            self.flagged[reading.station, reading.parameter.value, cause.value] += 1

    def hazard(self, hazard: Hazard) -> None:
        """Take it unless a newer one is known: ``n`` is the offset of the tick that decided it."""
        known = self.hazards.get(hazard.zone)
        if known is None or hazard.n >= known.n:
            self.hazards[hazard.zone] = hazard

    def alert(self, event: AlertEvent) -> None:
        if by_hand(event.alert):
            self._by_hand(event)
            return
        known = self.newest.get(event.alert.zone)
        if known is None or _order(event) > _order(known):
            self.newest[event.alert.zone] = event

    def receipt(self, receipt: Receipt) -> None:
        """The newest state of each (alert, contact, channel); the oldest fall out of memory, not out of the topic."""
        key = (receipt.alert, receipt.contact, receipt.channel)
        self.receipts[key] = receipt
        self.receipts.move_to_end(key)
        if len(self.receipts) > self._most_receipts:
            self.receipts.popitem(last=False)

    def reject(self, rejected: Rejected) -> None:
        self.rejected[rejected.stage, rejected.reason] += 1
        self.recent.append(rejected)
        if rejected.stage != "qc":
            self._refused(rejected)
            return
        try:
            reading = _reading.decode(rejected.record)
        except msgspec.DecodeError:
            return  # counted and kept above; it only cannot be marked in a hydrograph
        self.flagged[reading.station, reading.parameter.value, rejected.reason] += 1
        self.track(reading.station, reading.parameter).fail(reading.time_ms, reading.value, rejected.reason)

    def _refused(self, rejected: Rejected) -> None:
        said = rejected.item if isinstance(rejected.item, str) else rejected.record
        try:
            key = (_named.decode(said).station[:_WIDEST], rejected.reason)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return  # it names no station that could be told
        if key[0] and (key in self.refused or len(self.refused) < REFUSED):
            self.refused[key] += 1

    def _by_hand(self, event: AlertEvent) -> None:
        """A person's alert stands beside the zone's own chain; a correction or cancel takes the place of the chain that it names."""
        alert, chain = event.alert, chain_of(event.alert.identifier)
        known = self.manual.get(chain)
        if known is None or alert.revision > known.alert.revision:
            self.manual[chain] = event
        for reference in alert.references:
            if (named := chain_of(reference.identifier)) != chain:
                self.called_off[named] = max(alert.level, alert.previous_level, key=lambda level: level.rank), chain

    def holding(self, now_ms: int) -> list[AlertEvent]:
        """What has neither ended nor run out: of a zone several, where people raised alerts beside its own."""
        every = (*self.newest.values(), *self.manual.values())
        return [event for event in every if event.alert.active and event.alert.expires_ms > now_ms]

    def active(self, now_ms: int) -> dict[str, AlertEvent]:
        """zone -> the alert that holds there now by the log alone; what people decided, ``release.Gate.active`` knows."""
        return highest(event for event in self.holding(now_ms) if not self.replaced(event.alert, now_ms))

    def replaced(self, alert: Alert, now_ms: int) -> bool:
        """Whether a person's alert stands in its place, by the log. What was said by hand and ran out calls nothing off any more."""
        level, chain = self.called_off.get(chain_of(alert.identifier), (None, ""))
        said = self.manual.get(chain)
        ran_out = said is not None and said.alert.expires_ms <= now_ms
        return level is not None and alert.level <= level and not ran_out


def highest(events: Iterable[AlertEvent]) -> dict[str, AlertEvent]:
    """zone -> the alert of the highest class, and of equal ones what a person raised, which come last."""
    held: dict[str, AlertEvent] = {}
    for event in events:
        before = held.get(event.alert.zone)
        if before is None or event.alert.level >= before.alert.level:
            held[event.alert.zone] = event
    return held


def _order(event: AlertEvent) -> tuple[int, int]:
    return event.alert.raised_ms, event.alert.revision
