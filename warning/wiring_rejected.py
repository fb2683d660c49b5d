"""``warning rejected``: the letters of ``readings.rejected`` listed, mended on trial, and sent again through the gate of all readings."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from warning import config_devices, config_readers
from warning.deployment import Deployment
from warning.errors import InputError, Unavailable
from warning.ingest import dead_letters, mending
from warning.ingest.dead_letters import Letter, Selection
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.keys import KeyStore
from warning.ingest.log import Place, Record
from warning.ingest.mending import Edits
from warning.ingest.replays import Order, Replays
from warning.model import Reading
from warning.region import Region
from warning.wiring import clock_ms, readings_log

PATIENCE_S = 20.0
_PORTION = 500
_MOST_GROUPS = 1000  # senders name themselves: those who come later are counted together
_TRIES = 5
FORBIDDEN = "station_forbidden"
UNKNOWN = "unknown"  # of a letter that does not say who sent it
_ALL: frozenset[str] = frozenset()

Group = tuple[str, str, str]  # stage, reason, sender


@dataclass
class Listing:
    """``groups``: letters by stage, reason and sender; ``newest``: the newest of them; ``replayed``: name -> order, of these."""

    groups: Counter[Group] = field(default_factory=Counter)
    newest: deque[Letter] = field(default_factory=deque)
    replayed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gate says of a mended letter: the readings that it takes, and the first refusal if there is one."""

    letter: Letter
    readings: tuple[Reading, ...]
    records: tuple[tuple[Place, Record], ...]
    refusal: InputError | None


@dataclass
class Judged:
    """``refused``: reason -> letters. ``shown``: the first few."""

    letters: int = 0
    taken: int = 0
    readings: int = 0
    before: int = 0  # letters that were replayed earlier: left alone
    refused: Counter[str] = field(default_factory=Counter)
    shown: list[Outcome] = field(default_factory=list)


async def listing(deployment: Deployment, selection: Selection, most: int) -> Listing:
    """Counts all that are selected and keeps the newest ``most``."""
    found = Listing(newest=deque(maxlen=most))
    async for letter in dead_letters.read(deployment, selection):
        group = (letter.rejected.stage, letter.rejected.reason, letter.sender)
        if group not in found.groups and len(found.groups) >= _MOST_GROUPS:
            group = (letter.rejected.stage, letter.rejected.reason, "(others)")
        found.groups[group] += 1
        found.newest.append(letter)
    async with AsyncExitStack() as stack:
        found.replayed = await (await _replays(stack, deployment)).replayed(list(found.newest))
    return found


async def one(deployment: Deployment, name: str) -> tuple[Letter, Order | None]:
    """The letter of that name, and the order that sent it again, if one did. Raises InputError if it is not there (any more)."""
    place = dead_letters.place_of(name)
    async for letter in dead_letters.read(deployment, Selection(names=frozenset({place}))):
        async with AsyncExitStack() as stack:
            replays = await _replays(stack, deployment)
            sent = await replays.replayed([letter])
            orders = {order.id: order for order in await replays.orders()} if sent else {}
        return letter, orders.get(sent.get(letter.name, -1))
    fix = "see `warning rejected list`; they are kept for 30 days"
    raise InputError(f"there is no rejected record {name}", reason="name", field="ID", fix=fix)


def fix_of(region: Region, deployment: Deployment, letter: Letter) -> str:
    """What the gate would say to do about it, as it is now."""
    found = outcome(Gateway(region, deployment, _Nothing(), clock_ms), letter, Edits())
    return found.refusal.fix if found.refusal is not None else "the gate would take it now: send it again with `warning rejected replay`"


async def audit(deployment: Deployment) -> tuple[Order, ...]:
    async with AsyncExitStack() as stack:
        return await (await _replays(stack, deployment)).orders()


async def preview(region: Region, deployment: Deployment, selection: Selection, edits: Edits, most: int) -> Judged:
    """What a replay would do now; nothing is sent."""
    found = Judged()
    async with AsyncExitStack() as stack:
        replays = await _replays(stack, deployment)
        gateway = Gateway(region, deployment, _Nothing(), clock_ms)
        async for outcomes in _judged(region, gateway, replays, deployment, selection, edits, found):
            found.shown += outcomes[: max(0, most - len(found.shown))]
    return found


async def keep(deployment: Deployment, who: str, why: str, selection: Selection, edits: Edits) -> int:
    """Keeps a fix for ``replay``; its number."""
    async with AsyncExitStack() as stack:
        return await (await _replays(stack, deployment)).order("fix", who, why, as_text(selection), as_text(edits))


async def kept(deployment: Deployment, number: int) -> tuple[Selection, Edits]:
    """The fix of that number. Raises InputError if there is none."""
    async with AsyncExitStack() as stack:
        order = await (await _replays(stack, deployment)).fix(number)
    return msgspec.json.decode(order.selection, type=Selection), msgspec.json.decode(order.edits, type=Edits)


async def replay(
    region: Region,
    deployment: Deployment,
    who: str,
    why: str,
    selection: Selection,
    edits: Edits,
    of: int | None = None,
    told: Callable[[Judged], None] = lambda _: None,
) -> tuple[int, Judged]:
    """Sends what the gate takes, a portion at a time: log, then the database. Returns the order's number and what became of the letters.

    Killed anywhere, it may be said again: what was entered is left alone, what was not is sent once more, as duplicates. A letter with
    an item that is refused counts as refused, though its other items are sent; it stays where it is.
    """
    found = Judged()
    async with AsyncExitStack() as stack:
        replays = await _replays(stack, deployment)
        log = readings_log(region, deployment, "rejected", topics={deployment.readings: region.partitions})
        await log.start()
        stack.push_async_callback(log.stop)
        if not await log.until_up(PATIENCE_S):
            raise Unavailable(f"nothing was sent: {log.why}")
        gateway = Gateway(region, deployment, log, clock_ms)
        order = await replays.order("replay", who, why, as_text(selection), as_text(edits), of)
        async for outcomes in _judged(region, gateway, replays, deployment, selection, edits, found):
            await _append(gateway, outcomes)
            await replays.enter(order, [each.letter for each in outcomes if each.refusal is None])
            told(found)
        await replays.end(order, found.taken)
    return order, found


async def _replays(stack: AsyncExitStack, deployment: Deployment) -> Replays:
    replays = Replays(deployment.database, deployment.rejected, clock_ms)
    stack.push_async_callback(replays.close)
    return replays


async def _judged(
    region: Region, gateway: Gateway, replays: Replays, deployment: Deployment, selection: Selection, edits: Edits, found: Judged
) -> AsyncIterator[list[Outcome]]:
    """Portions of outcomes; ``found`` counts them."""
    portion: list[Letter] = []
    meant = bool(selection.names) or FORBIDDEN in selection.reasons
    narrow: Mapping[str, frozenset[str]] = {} if meant else await _narrow(region, deployment)

    async def outcomes() -> list[Outcome]:
        before = await replays.replayed(portion)
        judged = [outcome(gateway, each, edits, narrow.get(each.sender, _ALL)) for each in portion if each.name not in before]
        found.letters += len(portion)
        found.before += len(before)
        found.taken += sum(each.refusal is None for each in judged)
        found.readings += sum(len(each.readings) for each in judged)
        found.refused.update(each.refusal.reason for each in judged if each.refusal is not None)
        portion.clear()
        return judged

    async for letter in dead_letters.read(deployment, selection):
        if letter.rejected.reason == FORBIDDEN and not meant:
            continue  # whose key may not send for a station may be a forger: only who names that reason means these
        portion.append(letter)
        if len(portion) == _PORTION:
            yield await outcomes()
    if portion:
        yield await outcomes()


async def _narrow(region: Region, deployment: Deployment) -> Mapping[str, frozenset[str]]:
    """Sender -> all stations that its keys may ever send for, or its row of devices or readers; of those who never might for all. What was
    refused for something else may be of a station that is not its sender's, and must not come in by being mended."""
    keys = KeyStore(deployment.database, clock_ms)
    found: dict[str, list[frozenset[str]]] = {}
    try:
        for key in await keys.list():
            found.setdefault(key.provider, []).append(key.stations)
    finally:
        await keys.close()
    folder = Path(region.folder)
    for device in config_devices.load(folder, region):
        found.setdefault(device.id, []).append(device.stations)
    for reader in config_readers.load(folder, region):
        found.setdefault(reader.id, []).append(frozenset(reader.stations))
    return {sender: _ALL.union(*several) for sender, several in found.items() if all(several)}


def outcome(gateway: Gateway, letter: Letter, edits: Edits, stations: frozenset[str] = _ALL) -> Outcome:
    """What the gate says of it; its readings are received now, from the sender that they came from, who may send for ``stations``."""
    records: list[tuple[Place, Record]] = []
    refusal: InputError | None = None
    try:
        for text in mending.mended(letter, edits):
            try:
                records.append(gateway.placed(text, Sender(letter.sender or UNKNOWN, stations)))
            except InputError as error:
                refusal = refusal or error
    except InputError as error:
        refusal = error
    readings = tuple(msgspec.json.decode(value, type=Reading) for _, (_, value) in records)
    return Outcome(letter, readings, tuple(records), refusal)


async def _append(gateway: Gateway, outcomes: Sequence[Outcome]) -> None:
    records: dict[Place, list[Record]] = {}
    for each in outcomes:
        for place, record in each.records:
            records.setdefault(place, []).append(record)
    for again in range(_TRIES):
        try:
            await gateway.append(records)
            break
        except Unavailable as error:
            if again == _TRIES - 1:
                raise
            await asyncio.sleep(error.retry_after_s or 1.0)


class _Nothing:
    """The log of a trial: nothing may be appended."""

    async def append(self, records: object) -> None:
        raise AssertionError("a trial sends nothing")


def as_text(noun: Selection | Edits) -> str:
    """JSON, for the audit."""
    return msgspec.json.encode(noun, order="sorted").decode()
