"""Mutated bodies through the HTTP handler, in this process: every item of JSON and row of CSV is answered, and is in one of two topics."""

from __future__ import annotations

import asyncio
import gzip
import math
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import Mock

import msgspec
from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from fuzz import course, seeds
from fuzz.inside import Found
from fuzz.judged import NOW_MS, PLACE
from fuzz.mutate import Mutator
from warning.facts import nobody
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import Place, Record
from warning.ingest.rate import Limits
from warning.model import Reading

KINDS = {"json": "application/json", "csv": "text/csv"}
BATCH = 500
_HEADERS = (
    b"station,parameter,time,value,unit",
    b"value;unit;station;parameter;time;datum",
    b"\xef\xbb\xbfstation\tparameter\ttime\tvalue\tunit",
)
_NOISE = (
    b'"',
    b'""',
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b",",
    b";",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"'",
    b"=1+1",
    b"1,5",
    b"NaN",
    b"-0",
    b"1e999",
)


class _Memory:
    def __init__(self) -> None:
        self.records: dict[str, list[bytes]] = {}

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        for (topic, _), those in records.items():
            self.records.setdefault(topic, []).extend(value for _, value in those)


class Requests:
    """``chunk`` raises ``Found``. ``kind``: json or csv."""

    def __init__(self, seed: int, kind: str) -> None:
        self._seed, self._kind, self._region = seed, kind, course.region()
        self._stations = {station.id for station in self._region.stations}
        self._memory = _Memory()

    def chunk(self, number: int, count: int) -> dict[str, Any]:
        return asyncio.run(self._chunk(number, count))

    async def _chunk(self, number: int, count: int) -> dict[str, Any]:
        mutator = Mutator(seeds.items(sorted(self._stations)), self._seed * 1_000_003 + number)
        chance = random.Random(self._seed * 7919 + number)
        tally: dict[str, Any] = {"records": 0, "accepted": 0, "refused": 0, "answers": Counter()}
        with tempfile.TemporaryDirectory() as folder:
            keys = KeyStore(f"sqlite+aiosqlite:///{folder}/keys.db", lambda: NOW_MS, remember_s=1e9)
            _, key = await keys.create("fuzz", per_minute=0)
            app = create_app(Gateway(self._region, PLACE, self._memory, lambda: NOW_MS), keys, nobody, limits=Limits(lambda: 0.0))
            headers = {"Authorization": f"Bearer {key}", "Content-Type": KINDS[self._kind]}
            while tally["records"] < count:
                for items in _groups(mutator.batch(BATCH), chance):
                    body = _json(items, chance) if self._kind == "json" else _csv(items, chance)
                    await self._one(app, headers, body, chance.random() < 0.1, tally)
                    tally["records"] += len(items)
            await keys.close()
        return tally

    async def _one(self, app: web.Application, headers: dict[str, str], body: bytes, zipped: bool, tally: dict[str, Any]) -> None:
        payload = StreamReader(Mock(_reading_paused=False), 1 << 16, loop=asyncio.get_running_loop())
        payload.feed_data(gzip.compress(body, 1) if zipped else body)
        payload.feed_eof()
        sent = headers | ({"Content-Encoding": "gzip"} if zipped else {})
        request = make_mocked_request("POST", PATH, sent, payload=payload, app=app)
        self._memory.records.clear()
        response = await app._handle(request)
        assert isinstance(response, web.Response)
        tally["answers"][str(response.status)] += 1
        self._hold(body, response, tally)

    def _hold(self, body: bytes, response: web.Response, tally: dict[str, Any]) -> None:
        if response.status not in (202, 400, 413, 422):
            raise Found(f"{body[:500]!r} is answered {response.status} {response.body!r}")
        answer = msgspec.json.decode(response.body)  # type: ignore[arg-type]
        readings, kept = self._memory.records.get(PLACE.readings, []), self._memory.records.get(PLACE.rejected, [])
        if response.status in (400, 413):
            accepted, refused = 0, 1
        else:
            accepted, refused = answer["accepted"], len(answer["refused"])
        if (len(readings), len(kept)) != (accepted, refused) or (response.status == 202) != (accepted > 0):
            raise Found(f"{body[:500]!r}: {accepted} accepted, {refused} refused; in the log {len(readings)} and {len(kept)}")
        for value in readings:
            reading = msgspec.json.decode(value, type=Reading)
            if reading.station not in self._stations or reading.time_ms > NOW_MS + 300_000 or not math.isfinite(reading.value or 0.0):
                raise Found(f"{body[:500]!r} brought {value!r}")
        tally["accepted"] += accepted
        tally["refused"] += refused


def _groups(items: list[bytes], chance: random.Random) -> list[list[bytes]]:
    groups: list[list[bytes]] = [[]]
    for item in items:
        if not _is_json(item) and chance.random() < 0.85:  # one such item refuses a whole array
            continue
        if len(groups[-1]) >= chance.randrange(1, 8):
            groups.append([])
        groups[-1].append(item)
    return [group for group in groups if group]


def _is_json(item: bytes) -> bool:
    try:
        msgspec.json.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _json(items: list[bytes], chance: random.Random) -> bytes:
    body = b"[" + b",".join(items) + b"]"
    if chance.random() < 0.2:
        body = b'{"readings":' + body + b"}"
    return _spoilt(body, chance) if chance.random() < 0.1 else body


def _csv(items: list[bytes], chance: random.Random) -> bytes:
    """Rows of what the mutated items say as far as they are still JSON, of their bytes otherwise."""
    header = chance.choice(_HEADERS)
    separator = next(each for each in (b";", b"\t", b",") if each in header)
    names = header.removeprefix(b"\xef\xbb\xbf").split(separator)
    rows = [_row(item, names, separator, chance) for item in items]
    body = chance.choice((b"\n", b"\r\n", b"\r")).join([header, *rows])
    return _spoilt(body, chance) if chance.random() < 0.1 else body


def _row(item: bytes, names: list[bytes], separator: bytes, chance: random.Random) -> bytes:
    try:
        fields = msgspec.json.decode(item)
        cells = [_cell(fields.get(name.decode(), "")) for name in names]
    except (ValueError, AttributeError, RecursionError, msgspec.MsgspecError):
        cells = item.split(b",")
    if chance.random() < 0.3:
        cells.insert(chance.randrange(len(cells) + 1), chance.choice(_NOISE))
    if chance.random() < 0.2:
        at = chance.randrange(len(cells))
        cells[at] = b'"' + cells[at] + chance.choice((b'"', b"", b'""'))
    return separator.join(cells)


def _cell(value: Any) -> bytes:
    return b"" if value is None else str(value).encode("utf-8", "surrogatepass")


def _spoilt(body: bytes, chance: random.Random) -> bytes:
    at, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return chance.choice((body[:at], body[:at] + chance.choice(_NOISE) + body[at:], body[:at] + body[end:], body[:end] + body[at:]))
