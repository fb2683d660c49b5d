"""What a log decides, whoever decided it: one configuration and code after the other, as its switch records say.

An epoch is the time of one of them: from its base, the checkpoint that it took over, to the next switch in the log. What it decided
after the base of a later one counts only as far as that one adopted it; what nobody was told of, the later one decided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from warning.errors import ExitCode, StateError
from warning.model import AlertEvent, Switch
from warning.region import Region
from warning.stream.beats import Beats, Closed
from warning.stream.decisions import PIPELINE
from warning.stream.ports import Pipeline
from warning.stream.takeover import adoption_of

Run = tuple[int, list[bytes | None], list[bytes | None]]  # offset of the first record, keys, values


class Begin(NamedTuple):
    """The state at the start of a log: ``head`` None is the empty one."""

    first: int
    config: str
    code: str
    tick: str = ""
    head: dict[str, Any] | None = None
    arrays: dict[str, Any] | None = None


class Told(NamedTuple):
    """A beat, and which of its alerts count."""

    closed: Closed
    alerts: tuple[AlertEvent, ...]


class Log(Protocol):
    """One partition's records, to be read more than once."""

    @property
    def partition(self) -> int: ...

    def runs(self, first: int) -> Iterable[Run]:
        """All from ``first`` on, in order, without a gap."""
        ...


@dataclass(slots=True)
class _Epoch:
    base: int
    config: str
    code: str
    begins: int  # offset of its switch
    switch: Switch | None = None
    start: Begin | None = None  # once its parent has come to its base
    told: frozenset[str] = field(default_factory=frozenset)


def replay(
    log: Log, begin: Begin, switches: Sequence[tuple[int, Switch]], region_of: Callable[[str], Region], pipeline: Pipeline = PIPELINE
) -> Iterator[Told]:
    """Every beat of every epoch. ``switches``: (offset of its last record, the whole switch), in the order of the log.

    ``region_of``: the region of a configuration's digest. Raises ``StateError`` if the log begins after the base of one of them.
    """
    epochs = [_Epoch(begin.first, begin.config, begin.code, begin.first, start=begin)]
    for offset, switch in switches:
        base = offset + 1 if switch.next < 0 else switch.next
        if base < begin.first and (switch.config, switch.code) == (begin.config, begin.code):
            continue  # the state at the start is its own: it wrote the switch at the end of a log that was long by then
        epochs.append(_Epoch(base, switch.config, switch.code, offset, switch, told=frozenset(switch.told)))
    parents = [_parent(epochs, number) for number in range(len(epochs))]
    for number, epoch in enumerate(epochs):
        if epoch.start is None:
            raise StateError(
                f"record {epoch.begins} says that another configuration decides from record {epoch.base} on, and the log given begins at "
                f"{begin.first}: it has to begin at a checkpoint before {epoch.base}",
                exit_code=ExitCode.LOG_TRUNCATED,
                reason="log_truncated",
            )
        heirs = [later for place, later in enumerate(epochs) if parents[place] == number and place != number]
        yield from _one(log, epoch, heirs, epochs[number + 1 :], region_of(epoch.config), pipeline)


def _parent(epochs: list[_Epoch], number: int) -> int:
    """Whose state stood at the base: the last one before it that had come so far."""
    return max((place for place in range(number) if epochs[place].base < epochs[number].base), default=0)


def _one(log: Log, epoch: _Epoch, heirs: list[_Epoch], later: list[_Epoch], region: Region, pipeline: Pipeline) -> Iterator[Told]:
    begin = epoch.start
    assert begin is not None
    plan = pipeline.plan(region, log.partition)
    state = pipeline.empty(plan) if begin.head is None else pipeline.thaw(plan, begin.head, begin.arrays or {})
    beats = Beats(log.partition, pipeline, plan, state, epoch.base, begin.tick)
    for heir in heirs:
        if heir.base == epoch.base:
            heir.start = begin._replace(config=epoch.config, code=epoch.code)
    if epoch.switch is not None:
        beats.adopt(adoption_of(epoch.switch))
    end = later[0].begins if later else None
    for first, keys, values in log.runs(epoch.base):
        many = len(keys) if end is None else min(len(keys), end - first)
        if many <= 0:
            return
        for closed in beats.take(keys[:many], values[:many], first):
            for heir in heirs:
                if heir.base == beats.next:
                    heir.start = _snapshot(beats, epoch)
            against = [other.told for other in later if other.base <= closed.offset]
            yield Told(closed, tuple(event for event in closed.alerts if all(event.alert.identifier in told for told in against)))


def _snapshot(beats: Beats, epoch: _Epoch) -> Begin:
    head, arrays = beats.state.freeze()
    return Begin(beats.next, epoch.config, epoch.code, beats.tick, dict(head), {name: np.copy(array) for name, array in arrays.items()})
