"""Beats of one partition: runs of the log in, closed beats out. Used by the worker, the file replay and the tests alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import force_setattr

from warning.model import AlertEvent, ManualFlag, Rejected, Switch, Tick, to_json
from warning.pipeline.adopt import Adoption, TakeOver
from warning.pipeline.beat import Hazards, Outputs, Readings
from warning.stream.codec import Decoder, reject
from warning.stream.ports import Pipeline

LEAP_MS = 3_600_000  # of time from one tick to the next; a replay's are ten minutes apart


@dataclass(frozen=True, slots=True)
class Closed:
    """One beat and all that it decided. ``offset``: of its tick, N."""

    partition: int
    offset: int
    tick: Tick
    outputs: Outputs
    rejected: tuple[Rejected, ...]  # of decoding, then of quality control
    hazards: Hazards  # with n = N
    readings: int

    @property
    def alerts(self) -> tuple[AlertEvent, ...]:
        return self.outputs.alerts


class Beats:
    """The state of one partition and the beat that is open. The state always stands at the end of a closed beat."""

    def __init__(self, partition: int, pipeline: Pipeline, plan: Any, state: Any, next_offset: int, tick: str = "") -> None:
        self.partition, self.plan, self.state = partition, plan, state
        self.next = next_offset  # N + 1: the first record that the state has not seen
        self.tick = tick  # the tick at N, as ``identity`` has it
        self.position = next_offset  # the next record to come
        self.met: Callable[[int, Switch], None] = lambda offset, switch: None  # told of each switch before the next beat is decided
        self.taking: TakeOver | None = None  # under way: the state is of no use to another, and no checkpoint is made
        self._step, self._decoder = pipeline.step, Decoder(plan)
        self._open: list[Readings] = []
        self._said: list[ManualFlag] = []
        self._rejected: list[Rejected] = []
        self._doubted: tuple[Tick, int] | None = None

    def take(self, keys: Sequence[bytes | None], values: Sequence[bytes | None], first: int) -> Iterator[Closed]:
        """The beats that end in this run. Raises ``ValueError`` if the run does not follow on the last one."""
        if first != self.position:
            raise ValueError(f"partition {self.partition}: a run starts at record {first}, not at {self.position}")
        for segment in self._decoder.run(keys, values, first):
            self.position = segment.offset + 1
            self._rejected += segment.rejected
            self._said += segment.flags
            if len(segment.readings):
                self._open.append(segment.readings)
            if isinstance(segment.mark, Tick):
                if self._believed(segment.mark, segment.offset):
                    yield self._close(segment.mark, segment.offset)
            elif isinstance(segment.mark, Switch):
                self.met(segment.offset, segment.mark)

    def adopt(self, adoption: Adoption) -> None:
        """What another configuration or code published after record N is fact."""
        if adoption.told:
            self.taking = TakeOver(self.state, adoption)

    def rewind(self) -> None:
        """Forgets the open beat: its records come again."""
        self._open, self._said, self._rejected, self._doubted, self.position = [], [], [], None, self.next

    def _believed(self, tick: Tick, offset: int) -> bool:
        """Time in the log never goes back: one tick of a clock gone wrong would hold it still for as long as it was ahead.

        So a leap that no reading supports (its gateway's clock) counts when the next tick says the same, as after an outage of days: a
        quarter of a second later, live. A worker whose clock is wrong has ended by then: the brokers told it so with the first. A doubted
        tick belongs to the open beat: whoever reads it again judges the same.
        """
        now_ms, doubted = self.state.now_ms, self._doubted
        leap = now_ms > 0 and tick.tick_ms > now_ms + LEAP_MS and tick.tick_ms > self._received_ms() + LEAP_MS
        self._doubted = None
        if not leap or (doubted is not None and abs(tick.tick_ms - doubted[0].tick_ms) <= LEAP_MS):
            if doubted is not None and not leap:
                self._disbelieve(*doubted)
            return True
        if doubted is not None:
            self._disbelieve(*doubted)
        self._doubted = (tick, offset)
        return False

    def _received_ms(self) -> int:
        return max((int(part.received_ms.max()) for part in self._open), default=0)

    def _disbelieve(self, tick: Tick, offset: int) -> None:
        ahead_s = (tick.tick_ms - self.state.now_ms) // 1000
        words = f"record {offset}: a tick {ahead_s} s ahead of the last one, which neither a reading nor the next tick supports"
        self._rejected.append(reject("leap", words, to_json(tick), offset))

    def _close(self, tick: Tick, offset: int) -> Closed:
        readings = Readings.concatenate(self._open)
        outputs = self._decide(readings, max(self.state.now_ms, tick.tick_ms))
        for each in self._rejected:  # nobody else has them yet, and copies would cost more than to read a good record
            force_setattr(each, "at_ms", outputs.now_ms)
            force_setattr(each, "partition", self.partition)
        rejected = (*self._rejected, *outputs.rejected)
        hazards = outputs.hazards.numbered(offset)
        self._open, self._said, self._rejected, self.next, self.tick = [], [], [], offset + 1, identity(tick)
        return Closed(self.partition, offset, tick, outputs, rejected, hazards, len(readings))

    def _decide(self, readings: Readings, now_ms: int) -> Outputs:
        if self.taking is not None and self.taking.settled(now_ms):
            return replace(self._stepped(readings, now_ms), alerts=())
        if self.taking is not None:
            self.taking.finish(self.state)
            self.taking = None
        return self._stepped(readings, now_ms)

    def _stepped(self, readings: Readings, now_ms: int) -> Outputs:
        if self._said:
            return self._step(self.plan, self.state, readings, now_ms, tuple(self._said))
        return self._step(self.plan, self.state, readings, now_ms)


def identity(tick: Tick) -> str:
    """Tells one log from another: no two ticks of one log are the same."""
    return f"{tick.tick_ms}:{tick.writer}"
