"""Where a partition starts: from its own memory, from a checkpoint, or from nothing; and the checks that this is right."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from warning.errors import ExitCode, StateError
from warning.facts import StateLoaded
from warning.model import Switch, Tick
from warning.region import Region
from warning.stream.beats import Beats, identity
from warning.stream.generations import Topic
from warning.stream.owned import ALERTS_FROM, Identity, Owned, Ports
from warning.stream.ports import Pipeline
from warning.stream.takeover import Overtaken, take_over


@dataclass(frozen=True, slots=True)
class Loaded:
    """An owned partition, ready for its next record; ``switch``: another configuration or code decided before us."""

    owned: Owned
    how: str  # memory | committed | older | newest | empty
    switch: Switch | None = None  # as it stands in the log, all parts of it in one


async def load(ports: Ports, who: Identity, pipeline: Pipeline, region: Region, partition: int, kept: Owned | None, now_ms: int) -> Loaded:
    """``kept``: the partition as we had it, if it was ours before. ``now_ms``: the wall clock, for the switch record only.

    Raises ``StateError`` where only a person can tell what is right (see ``state.choose``; LOG_TRUNCATED if the log has lost the
    state's next record, LOG_OTHER if it is another log); ``Unavailable`` if the brokers do not answer.
    """
    began = time.monotonic()
    while True:
        at = await ports.group.committed(partition)
        try:
            loaded = await _load(ports, who, pipeline, region, partition, kept, now_ms, at)
            break
        except (StateError, Overtaken):
            # Stopped in the middle for so long that another went on, and tombstoned what we were about to read: once more.
            if await ports.group.committed(partition) == at:
                raise
    ports.listen(StateLoaded(partition, loaded.owned.beats.next, loaded.how, time.monotonic() - began))
    return loaded


async def _load(
    ports: Ports,
    who: Identity,
    pipeline: Pipeline,
    region: Region,
    partition: int,
    kept: Owned | None,
    now_ms: int,
    at: tuple[int | None, str],
) -> Loaded:
    committed, note = at
    begin, end = await ports.log.bounds(ports.deployment.readings, partition)
    if kept is not None and kept.whole and kept.beats.taking is None and kept.beats.next >= (committed or 0):
        kept.beats.rewind()
        kept.committed = committed or 0
        owned, how, made_by = kept, "memory", (who.config, who.code)
    else:
        owned, how, made_by = await _from_topic(ports, who, pipeline, region, partition, committed, note, begin)
    await _same_log(ports, owned.beats, begin, end)
    switch = await take_over(ports, who, pipeline, owned, made_by, now_ms, at)
    owned.begin(end, switch)
    return Loaded(owned, how, switch)


MadeBy = tuple[str, str]  # configuration, code


async def _from_topic(
    ports: Ports, who: Identity, pipeline: Pipeline, region: Region, partition: int, committed: int | None, note: str, begin: int
) -> tuple[Owned, str, MadeBy]:
    topic = Topic(ports.log, ports.deployment.checkpoints, partition)
    found = await topic.choose(committed, note, begin)
    plan = pipeline.plan(region, partition)
    generations = topic.index.generations()
    if found is None:
        beats = Beats(partition, pipeline, plan, pipeline.empty(plan), 0)
        return Owned(ports, who, beats, committed or 0, generations), "empty", (who.config, who.code)
    (head, words, arrays), how = found
    beats = Beats(partition, pipeline, plan, pipeline.thaw(plan, words, arrays), head.next, head.tick)
    owned = Owned(ports, who, beats, committed or 0, generations)
    owned.alerts_from = words.get(ALERTS_FROM, 0)
    owned.unread = topic.complete if topic.unread else None
    return owned, how, (head.config, head.code)


async def _same_log(ports: Ports, beats: Beats, begin: int, end: int) -> None:
    """The log still has the state's next record, and its record N is the tick that closed the state's last beat."""
    topic, partition = ports.deployment.readings, beats.partition
    if beats.next < begin:
        raise StateError(
            f"{topic}-{partition} begins at {begin}, but the state needs record {beats.next}: {begin - beats.next} records are lost; "
            "raise the retention of the topic, and start under a new prefix or restore the log",
            exit_code=ExitCode.LOG_TRUNCATED,
            reason="log_truncated",
        )
    last = beats.next - 1
    if last < begin:
        return  # nothing to compare with
    found: list[bytes | None] = []
    await ports.log.read(topic, partition, lambda offset, key, value: found.append(value), last, last + 1)
    try:
        same = bool(found) and identity(msgspec.json.decode(found[0] or b"", type=Tick)) == beats.tick
    except msgspec.MsgspecError:
        same = False
    if not same:
        raise StateError(
            f"{topic}-{partition} is not the log that the state was made from: record {last} should be the tick {beats.tick} "
            f"(the log ends at {end}); was the topic made anew? Start under a new prefix",
            exit_code=ExitCode.LOG_OTHER,
            reason="log_other",
        )
