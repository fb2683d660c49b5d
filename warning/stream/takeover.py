"""Another configuration or code takes a partition over: the switch record, and what the one before had told people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from warning.model import Alert, AlertEvent, Switch, to_json
from warning.pipeline.adopt import Adoption, adoption
from warning.stream.owned import Identity, Owned, Ports
from warning.stream.ports import Pipeline

PART_BYTES = 700_000  # of a switch record: brokers take 1 MiB


class Overtaken(Exception):
    """We stood still in the middle of a load, and another has the partition and went on."""


async def take_over(
    ports: Ports,
    who: Identity,
    pipeline: Pipeline,
    owned: Owned,
    made_by: tuple[str, str],
    now_ms: int,
    committed: tuple[int | None, str],
) -> Switch | None:
    """Writes the switch and begins the adoption, if another configuration or code made the state or published after it.

    The switch is in the log before anything else is decided, so the log alone says who decided what. Killed in between, the next one
    does the same again, with what has been published by then. None: whoever was here before decided as we do. Raises ``Overtaken`` if
    the group has committed more than ``committed``, where the load began.
    """
    beats = owned.beats
    after = pipeline.published_after(beats.plan, beats.state, await _published(ports, owned))
    owned.told_until_ms = max((event.alert.sent_ms for event in after), default=-1) + 999
    if all((event.config, event.code) == (who.config, who.code) for event in after) and made_by == (who.config, who.code):
        return None
    if await ports.group.committed(beats.partition) != committed:
        raise Overtaken
    found = adoption(after)
    switch = switch_of(who, beats.next, found, now_ms)
    for part in parts(switch):
        await (await ports.log.send(ports.deployment.readings, to_json(part), None, beats.partition))
    beats.adopt(found)
    return switch


async def _published(ports: Ports, owned: Owned) -> list[AlertEvent]:
    """All on ``alerts`` since the last checkpoints, of whatever partition, that can be read; the first of each identifier counts."""
    events: list[AlertEvent] = []

    def each(offset: int, key: bytes | None, value: bytes | None) -> None:
        if (event := decoded(value)) is not None:
            events.append(event)

    _, end = await ports.log.bounds(ports.deployment.alerts, 0)
    if end > owned.alerts_from:
        await ports.log.read(ports.deployment.alerts, 0, each, owned.alerts_from)
    return events


def decoded(value: bytes | None) -> AlertEvent | None:
    """What stands on ``alerts``; None for what no worker writes."""
    try:
        return msgspec.json.decode(value or b"", type=AlertEvent)
    except (msgspec.MsgspecError, RecursionError):
        return None


def switch_of(who: Identity, next_offset: int, found: Adoption, now_ms: int) -> Switch:
    return Switch(
        switch_ms=now_ms,
        writer=who.writer,
        config=who.config,
        code=who.code,
        next=next_offset,
        until_ms=found.until_ms,
        told=found.told,
        adopted=found.alerts,
    )


def adoption_of(switch: Switch) -> Adoption:
    return Adoption(switch.until_ms, switch.told, switch.adopted)


def parts(switch: Switch) -> list[Switch]:
    """The switch as records, each small enough for a broker; the last one makes it valid."""
    bundles = list(_bundles(switch.adopted)) or [()]
    cuts = [number * len(switch.told) // len(bundles) for number in range(len(bundles) + 1)]
    told = [switch.told[begin:end] for begin, end in pairwise(cuts)]
    return [
        msgspec.structs.replace(switch, adopted=adopted, told=names, part=number, parts=len(bundles))
        for number, (adopted, names) in enumerate(zip(bundles, told, strict=True))
    ]


def _bundles(alerts: tuple[Alert, ...]) -> Iterator[tuple[Alert, ...]]:
    bundle: list[Alert] = []
    size = 0
    for alert in alerts:
        length = len(to_json(alert))
        if bundle and size + length > PART_BYTES:
            yield tuple(bundle)
            bundle, size = [], 0
        bundle.append(alert)
        size += length
    if bundle:
        yield tuple(bundle)


class Switches:
    """Puts the parts of switches together as they come along in a log; one whose writer died before the last part never counts."""

    def __init__(self) -> None:
        self._open: dict[str, list[Switch]] = {}

    def take(self, part: Switch) -> Switch | None:
        """The whole switch, when this was its last part."""
        found = self._open.setdefault(part.writer, [])
        if part.part == 0:
            found.clear()
        if part.part != len(found):
            found.clear()
            return None
        found.append(part)
        if len(found) < part.parts:
            return None
        del self._open[part.writer]
        told = tuple(name for one in found for name in one.told)
        adopted = tuple(alert for one in found for alert in one.adopted)
        return msgspec.structs.replace(part, told=told, adopted=adopted, part=0, parts=1)
