"""Beats of one partition: runs of the log in, closed beats out. Used by the worker, the file replay and the tests alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from warning.model import AlertEvent, Rejected, Switch, Tick
from warning.pipeline.adopt import Adoption, TakeOver
from warning.pipeline.beat import Hazards, Outputs, Readings
from warning.stream.codec import Decoder
from warning.stream.ports import Pipeline


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
        self._rejected: list[Rejected] = []

    def take(self, keys: Sequence[bytes | None], values: Sequence[bytes | None], first: int) -> Iterator[Closed]:
        """The beats that end in this run. Raises ``ValueError`` if the run does not follow on the last one."""
        if first != self.position:
            raise ValueError(f"partition {self.partition}: a run starts at record {first}, not at {self.position}")
        for segment in self._decoder.run(keys, values, first):
            self.position = segment.offset + 1
            self._rejected += segment.rejected
            if len(segment.readings):
                self._open.append(segment.readings)
            if isinstance(segment.mark, Tick):
                yield self._close(segment.mark, segment.offset)
            elif isinstance(segment.mark, Switch):
                self.met(segment.offset, segment.mark)

    def adopt(self, adoption: Adoption) -> None:
        """What another configuration or code published after record N is fact."""
        if adoption.told:
            self.taking = TakeOver(self.state, adoption)

    def rewind(self) -> None:
        """Forgets the open beat: its records come again."""
        self._open, self._rejected, self.position = [], [], self.next

    def _close(self, tick: Tick, offset: int) -> Closed:
        readings = Readings.concatenate(self._open)
        outputs = self._decide(readings, max(self.state.now_ms, tick.tick_ms))
        found = (*self._rejected, *outputs.rejected)
        partition = self.partition
        rejected = tuple(each if each.at_ms else msgspec.structs.replace(each, at_ms=outputs.now_ms, partition=partition) for each in found)
        hazards = outputs.hazards.numbered(offset)
        self._open, self._rejected, self.next, self.tick = [], [], offset + 1, identity(tick)
        return Closed(self.partition, offset, tick, outputs, rejected, hazards, len(readings))

    def _decide(self, readings: Readings, now_ms: int) -> Outputs:
        if self.taking is not None and self.taking.settled(now_ms):
            return replace(self._step(self.plan, self.state, readings, now_ms), alerts=())
        if self.taking is not None:
            self.taking.finish(self.state)
            self.taking = None
        return self._step(self.plan, self.state, readings, now_ms)


def identity(tick: Tick) -> str:
    """Tells one log from another: no two ticks of one log are the same."""
    return f"{tick.tick_ms}:{tick.writer}"
