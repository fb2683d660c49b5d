"""An SMS of a gauge reader -> readings in the log -> his answer. Whatever carries it (SMPP, Kannel) acknowledges it after ``take`` returns.

A registered number is the reader's credential, as far as his network vouches for it: he may send for his own stations only, and the
answer goes to the phone that is registered, so that he hears of what was sent in his name. The same words of the same phone again within
half an hour (three hours where it could not be taken) are the same message sent again. A number that nobody registered gets one answer a
day; what it wrote is kept.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from warning import config_units
from warning.config_readers import Reader, by_phone, e164
from warning.errors import InputError, Unavailable
from warning.facts import DeviceHeard, Listener, Received, nobody
from warning.ingest import sms_words
from warning.ingest.formats import Formats, Item
from warning.ingest.gateway import Gateway, Part, Sender
from warning.ingest.reader_level import Levels
from warning.ingest.reader_memory import DAY_MS, Memory
from warning.ingest.sms_grammar import Message, Said, When, of_a_discharge, read
from warning.ingest.sms_names import Names, spellings
from warning.ingest.two_way import TwoWay
from warning.model import Parameter, Reading
from warning.region import Region

MOST_CHARACTERS = 1000
SAME_MS = 30 * 60_000  # the same words within this are one message
WAITS_MS = 3 * 3_600_000  # the same of a message that could not be taken, since it last came: centres ask ever more seldom
ASKED_MS = 30 * 60_000  # so long a "yes" answers what was asked
_LATE_MS = DAY_MS  # a centre's own time counts so far back
_AHEAD_MS = 5 * 60_000
_MOST_ANSWERS = 30  # an hour and phone: two machines that answer each other must not go on for ever
_MOST_STRANGERS = 200  # a day are answered: senders can be forged, and each answer costs
_HOUR_S = 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one message comes to before the gateway has judged it."""

    parts: tuple[Part, ...]
    said: Message | None


class SmsIn:
    """``take`` each message. ``clock``: ms since 1970 UTC."""

    def __init__(
        self,
        region: Region,
        readers: Sequence[Reader],
        gateway: Gateway,
        memory: Memory,
        clock: Callable[[], int],
        listen: Listener = nobody,
        two_way: TwoWay | None = None,
    ) -> None:
        self._region, self._gateway, self._memory, self._clock, self._listen = region, gateway, memory, clock, listen
        self._two_way = two_way
        self._by_phone = by_phone(tuple(readers))
        self._names_of_all = spellings(region)
        self._names: dict[str, Names] = {}
        self._formats, self._levels = Formats(region), Levels.of(region)
        self._answered: dict[str, deque[float]] = {}
        self._strangers_answered: deque[int] = deque(maxlen=_MOST_STRANGERS)

    async def take(self, sender: str, text: str, sent_ms: int | None = None, came_ms: int | None = None) -> str:
        """The answer, "" for none. ``sent_ms``: when the centre says that it was sent. Raises Unavailable: then it must come again.

        ``came_ms``: when it came here first, where that is known: held for two days, it is none of today.
        """
        began, now_ms = time.monotonic(), self._clock()
        came_ms = now_ms if came_ms is None else min(came_ms, now_ms)
        phone = e164(sender, self._region.country)
        reader = self._by_phone.get(phone)
        if self._two_way is not None:
            answer = await self._two_way.take(phone, text, now_ms, reader=reader is not None, sent_ms=sent_ms, came_ms=came_ms)
            if answer is not None:
                return self._answer(phone, answer) if answer else ""
        if reader is None:
            return await self._stranger(phone, text, now_ms, began)
        asked = await self._asked(reader, text, came_ms, sent_ms)
        provider = Sender(reader.id, frozenset(reader.stations))
        try:
            taken = await self._gateway.offer(asked.parts, provider)
        except Unavailable:
            await self._waits(phone, text, came_ms, True)
            self._listen(Received(0, {"unavailable": 1}, 503, time.monotonic() - began))
            raise
        self._listen(DeviceHeard(reader.id, "sms", now_ms, station=reader.stations[0] if len(reader.stations) == 1 else ""))
        self._listen(Received(taken.accepted, taken.reasons, 202 if taken.accepted else 422, time.monotonic() - began))
        wrong = {one.index: one for one in taken.refused}
        first = next((InputError(one.detail, reason=one.reason, field=one.field, fix=one.fix) for one in taken.refused), None)
        if not taken.accepted:
            assert first is not None  # a message comes to at least one part
            return self._answer(phone, sms_words.refusal(self._region, reader, first))
        items = [part.item for index, part in enumerate(asked.parts) if index not in wrong and isinstance(part.item, Item)]
        assert asked.said is not None
        await self._waits(phone, text, came_ms, False)
        understood = [await self._understood(reader, item, taken.received_ms, asked.said.confirmed) for item in items]
        if asked.said.readings and not any(one.ask for one in understood):
            await self._no_question(phone)
        answer = sms_words.taken(self._region, reader, understood, confirmed=asked.said.confirmed, refused=first)
        return self._answer(phone, answer)

    async def delivered(self, sender: str, sent_ms: int | None = None) -> None:
        """What ``take`` answered is with the centre, which has therefore our acknowledgement, too. Raises Unavailable.

        ``sent_ms``: by the centre; where that can be, it alone says what was written when.
        """
        now_ms = self._clock()
        if self._two_way is not None and (sent_ms is None or sent_ms - now_ms > _AHEAD_MS):
            await self._two_way.delivered(e164(sender, self._region.country), now_ms)

    async def keep(self, sender: str, raw: bytes, error: InputError) -> str:
        """A message that could not even be read as text. The answer to it. Raises Unavailable."""
        phone = e164(sender, self._region.country)
        reader = self._by_phone.get(phone)
        if reader is None:
            return await self._stranger(phone, raw.hex()[:MOST_CHARACTERS], self._clock(), time.monotonic())
        await self._gateway.keep(raw, error, Sender(reader.id))
        self._listen(Received(0, {error.reason: 1}, 422, 0.0))
        return self._answer(phone, sms_words.refusal(self._region, reader, error))

    # --- what he said

    async def _heard(self, phone: str, text: str, now_ms: int, sent_ms: int | None) -> int:
        """The moment of this message; of one that came before, the moment of that one."""
        name = _heard_name(phone, text)
        before = await self._memory.get("heard", name)
        if before is not None and 0 <= now_ms - before[0] <= (WAITS_MS if before[1].get("waits") else SAME_MS):
            return int(before[1]["at_ms"])
        at_ms = sent_ms if sent_ms is not None and -_LATE_MS <= sent_ms - now_ms <= _AHEAD_MS else now_ms
        at_ms -= at_ms % 1000
        await self._memory.put("heard", name, now_ms, {"at_ms": at_ms})
        return at_ms

    async def _waits(self, phone: str, text: str, now_ms: int, waits: bool) -> None:
        """Not taken, it comes again, hours later perhaps: then it still is of the moment when it was first heard."""
        name = _heard_name(phone, text.strip())
        before = await self._memory.get("heard", name)
        if before is not None and (waits or before[1].get("waits")):
            await self._memory.put("heard", name, now_ms, {**before[1], "waits": waits})

    async def _asked(self, reader: Reader, text: str, now_ms: int, sent_ms: int | None) -> _Asked:
        source = text.encode("utf-8", "replace")
        try:
            if len(text) > MOST_CHARACTERS:
                raise InputError(f"{len(text)} characters", reason="too_large", field="", fix="one reading in a message")
            if reader.id not in self._names:
                self._names[reader.id] = Names.of(self._region, reader, self._names_of_all)
            said = read(text, self._names[reader.id], reader.parameter)
            if not said.readings:
                return _Asked((Part(source, await self._confirmed(reader, text, now_ms, sent_ms)),), said)
            at = moment(said.when, await self._heard(reader.phone, text.strip(), now_ms, sent_ms), self._region.utc_offset_s)
        except InputError as error:
            return _Asked((Part(source, error),), None)
        return _Asked(tuple(Part(source, self._item(reader, one, at)) for one in said.readings), said)

    def _item(self, reader: Reader, said: Said, at: datetime) -> Item | InputError:
        try:
            station = said.station or self._only(reader)
            parameter = said.parameter or self._parameter(reader, station, said)
            if parameter.quantity == "discharge":
                of_a_discharge(said)
        except InputError as error:
            return error
        mine = reader.parameter is not None and reader.parameter.quantity == parameter.quantity
        unit = said.unit or (reader.unit if mine else "")
        return Item(station, parameter.value, at, said.value, unit, reader.datum if parameter is Parameter.STAGE else "")

    @staticmethod
    def _only(reader: Reader) -> str:
        if len(reader.stations) > 1:
            raise InputError(
                "which station? he reads several", reason="station_unknown", field="station", fix=f"one of {', '.join(reader.stations)}"
            )
        return reader.stations[0]

    def _parameter(self, reader: Reader, station: str, said: Said) -> Parameter:
        """What he means where he does not say it: what the unit or his row of readers.csv leaves no doubt of."""
        has = [series.parameter for series in self._region.station_by_id[station].series]
        if said.unit:
            has = [one for one in has if _fits(said.unit, one)] or has
        if reader.parameter in has:
            assert reader.parameter is not None
            return reader.parameter
        if len(has) == 1:
            return has[0]
        words = ", ".join(one.value for one in has)
        raise InputError(f"which of {words}?", reason="field_missing", field="parameter", fix=f"write one of {words}")

    async def _confirmed(self, reader: Reader, text: str, now_ms: int, sent_ms: int | None) -> Item:
        """His "yes": he has looked again, so it is a reading of its own, of now. Raises InputError if nothing was asked."""
        asked = await self._memory.get("asked", reader.phone)
        if asked is None or not 0 <= now_ms - asked[0] <= ASKED_MS:
            raise InputError("nothing was asked", reason="nothing_asked", field="", fix="send the reading again")
        at_ms = await self._heard(reader.phone, f"{asked[0]} {text.strip()}", now_ms, sent_ms)  # each question has its own yes
        item = msgspec.convert(asked[1], Item)
        of_then = at_ms - item.time.timestamp() * 1000 > ASKED_MS  # a reading of the past is of its own time
        return item if of_then else msgspec.structs.replace(item, time=_utc(at_ms))

    async def _no_question(self, phone: str) -> None:
        """He has sent a reading that leaves no doubt: an "ok" after it is no yes to what was asked before it."""
        asked = await self._memory.get("asked", phone)
        if asked is not None and asked[0]:
            await self._memory.put("asked", phone, 0, {})

    # --- what it comes to

    async def _understood(self, reader: Reader, item: Item, received_ms: int, confirmed: bool) -> sms_words.Understood:
        reading = self._formats.reading(item, provider=reader.id, received_ms=received_ms)
        name = f"{reading.station} {reading.parameter.value}"
        before = await self._memory.get("last", name)
        last = (int(before[1]["time_ms"]), float(before[1]["si"])) if before else None
        ask = not confirmed and self._levels.doubt(reading, last)
        if ask:
            await self._memory.put("asked", reader.phone, received_ms, msgspec.to_builtins(item))
        elif reading.value is not None and (last is None or reading.time_ms >= last[0]):
            now = {"time_ms": reading.time_ms, "si": reading.value, "value": item.value, "unit": self._unit(item)}
            await self._memory.put("last", name, received_ms, now)
        compared = (float(before[1]["value"]), str(before[1]["unit"])) if ask and before and before[1]["value"] is not None else None
        return self._shown(reading, item, ask, compared)

    def _shown(self, reading: Reading, item: Item, ask: bool, last: tuple[float, str] | None) -> sms_words.Understood:
        station = self._region.station_by_id[reading.station]
        level = self._levels.level(reading)
        value = None if reading.value is None else item.value
        return sms_words.Understood(station, reading.parameter, value, self._unit(item), reading.time_ms, level, ask, last)

    def _unit(self, item: Item) -> str:
        """As sent, else what the region's configuration lets him leave out."""
        series = self._region.station_by_id[item.station].series
        return item.unit or next(one.unit for one in series if one.parameter.value == item.parameter)

    def _answer(self, phone: str, text: str) -> str:
        """``text``, unless this phone has had too many answers within the hour."""
        now = time.monotonic()
        given = self._answered.setdefault(phone, deque(maxlen=_MOST_ANSWERS))
        if len(given) == _MOST_ANSWERS and now - given[0] < _HOUR_S:
            _log.warning("a reader's phone has had %d answers within an hour; it gets no more for now", _MOST_ANSWERS)
            return ""
        given.append(now)
        return text

    async def _stranger(self, phone: str, text: str, now_ms: int, began: float) -> str:
        """Counted, kept, and answered once a day; not at all where nobody can remember that it was."""
        error = InputError(
            f"{phone} is not registered", reason="unregistered", field="phone", fix="add the number to readers.csv, then replay it"
        )
        body = msgspec.json.encode({"from": phone, "text": text[:MOST_CHARACTERS]})
        await self._gateway.keep(body, error, Sender("sms:unregistered"))
        self._listen(Received(0, {error.reason: 1}, 403, time.monotonic() - began))
        before = await self._memory.get("stranger", phone)
        counted = dict(before[1]) if before else {"messages": 0, "answered_ms": 0}
        due = now_ms - int(counted["answered_ms"]) >= DAY_MS and _dialled(phone)
        full = len(self._strangers_answered) == _MOST_STRANGERS and now_ms - self._strangers_answered[0] < DAY_MS
        counted["messages"] = int(counted["messages"]) + 1
        if due and not full:
            counted["answered_ms"] = now_ms
        try:
            await self._memory.put("stranger", phone, now_ms, counted, durable=True)
        except Unavailable:
            return ""
        if not due or full:
            return ""
        self._strangers_answered.append(now_ms)
        if self._two_way is not None:
            return await self._two_way.not_understood(phone, text, now_ms)
        return sms_words.stranger(self._region, any("\u0600" <= letter <= "\u06ff" for letter in text))


def moment(when: When, at_ms: int, utc_offset_s: int) -> datetime:
    """The time that he means, with its zone: by default that of the message. Raises InputError for a date that does not exist."""
    zone = timezone(timedelta(seconds=utc_offset_s))
    now = datetime.fromtimestamp(at_ms / 1000, zone)
    if when.minute is None:
        return now
    try:
        day = (
            datetime.fromisoformat(when.date).replace(tzinfo=zone) if when.date else now.replace(hour=0, minute=0, second=0, microsecond=0)
        )
    except ValueError:
        raise InputError(f"no date {when.date}", reason="time_format", field="time", fix="YYYY-MM-DD HH:MM") from None
    at = day + timedelta(minutes=when.minute)
    if when.date:
        return at
    if when.yesterday:
        return at - timedelta(days=1)
    return at if at - now <= timedelta(milliseconds=_AHEAD_MS) else at - timedelta(days=1)


def _heard_name(phone: str, text: str) -> str:
    return f"{phone} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def _fits(unit: str, parameter: Parameter) -> bool:
    return unit in config_units.units_of(parameter.quantity)


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _dialled(phone: str) -> bool:
    """A number that an answer can go to: no short code and no name, behind which machines are."""
    return phone.startswith("+") and phone[1:].isdigit() and len(phone) >= 8
