"""A record written from pieces is the record of the reading, byte for byte; and so is what is refused."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from regions import write_region

from warning import config
from warning.deployment import Deployment
from warning.errors import InputError
from warning.ingest.formats import SENTINELS, Formats, Item
from warning.ingest.gateway import Gateway, Sender, shortened
from warning.ingest.log import Place, Record, TooLarge
from warning.ingest.written import Records, Writer
from warning.model import Reading, Rejected, to_json
from warning.region import Region

NOW_MS = 1_756_800_000_000  # 2025-09-02T08:00:00Z
PLACES: dict[str, tuple[Place, bytes]] = {one: (("readings", number % 2), b"basin") for number, one in enumerate("ABCD")}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    """Oak valley; Birch's gauge zero lies at 100 m above mean sea level."""
    plain = config.load(write_region(tmp_path_factory.mktemp("region")))
    stations = [dataclasses.replace(one, zero_elevation_m=100.0) if one.id == "B" else one for one in plain.stations]
    return dataclasses.replace(plain, stations=tuple(stations))


values = st.none() | st.floats(allow_nan=True) | st.sampled_from([*SENTINELS, 0.0, -0.0, 1e15, 1e16, 1e-7, 5e-324]) | st.floats(-1000, 1e6)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5)), timezone(timedelta(hours=-3, minutes=-30))])
moments = st.datetimes(datetime(1899, 12, 30), datetime(2025, 9, 2, 14), timezones=zones)
edges = [datetime(2025, 9, 2, 8, 5, second, tzinfo=UTC) for second in (0, 1)]
now = st.sampled_from([datetime(2025, 9, 2, 12, tzinfo=UTC), *edges])
units, datums = st.sampled_from(["m", "cm", "ft", "mi", ""]), st.sampled_from(["gauge_zero", "msl", ""])
stages = st.tuples(st.sampled_from("ABCD?"), st.just("stage"), units, datums)
flows = st.tuples(st.sampled_from('ADÜ"'), st.sampled_from(["inflow", "x"]), st.sampled_from(["cusec", "m3/s", "", "m"]), st.just(""))
items = st.builds(
    lambda named, time, value: Item(named[0], named[1], time, value, named[2], named[3]), stages | flows, moments | now, values
)


@given(st.lists(items | st.just(InputError("no", reason="malformed", field="", fix="")), max_size=30), st.sampled_from(["", "AB"]))
def test_pieces_make_the_whole(region: Region, some: list[Item | InputError], only: str) -> None:
    """Every one twice: as the first of its series, and as one that is known."""
    formats, provider = Formats(region), 'a "provider" \U0001f30a'
    writer = Writer(formats, PLACES)
    for _ in range(2):
        found: Records = defaultdict(list)
        refused, newest_ms = writer.write(some, provider, frozenset(only), NOW_MS, found)
        expected: defaultdict[Place, list[Record]] = defaultdict(list)
        why: list[tuple[int, str, str]] = []
        newest = NOW_MS
        for index, one in enumerate(some):
            try:
                if isinstance(one, InputError):
                    raise one
                if only and one.station in "ABCD" and one.station not in only:
                    raise InputError("", reason="station_forbidden", field="station", fix="")
                reading = formats.reading(one, provider=provider, received_ms=NOW_MS)
            except InputError as error:
                why.append((index, error.reason, error.field))
                continue
            newest = max(newest, reading.time_ms)
            place, key = PLACES[reading.station]
            expected[place].append((key, to_json(reading)))
        assert found == expected
        assert [(index, error.reason, error.field) for index, error in refused] == why
        assert newest_ms == newest


def test_the_plain_ones_do_not_go_the_whole_way(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above holds nothing together."""
    writer = Writer(Formats(region), PLACES)
    asked: list[Item] = []
    whole = Formats.reading

    def reading(self: Formats, item: Item, **given: Any) -> Reading:
        asked.append(item)
        return whole(self, item, **given)

    monkeypatch.setattr(Formats, "reading", reading)
    at = datetime(2025, 9, 2, 7, tzinfo=UTC)
    some: list[Item | InputError] = [Item("A", "stage", at, float(value), "cm", "gauge_zero") for value in range(100)]
    found: Records = defaultdict(list)
    writer.write(some, "p", frozenset(), NOW_MS, found)
    assert (len(found["readings", 0]), len(asked)) == (100, 1)
    writer.write([Item("A", "stage", at, math.nan, "cm", "gauge_zero")], "p", frozenset(), NOW_MS, found)
    assert len(asked) == 2


REJECTED = (Deployment().rejected, 0)


class Narrow:
    """A log whose topic of refusals takes 2,000 bytes a record."""

    def __init__(self) -> None:
        self.records: dict[Place, Sequence[Record]] = {}

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        for place, those in records.items():
            if place == REJECTED and max(len(key or b"") + len(value) for key, value in those) > 2000:
                raise TooLarge(place, 2000)
        self.records.update(records)


@pytest.mark.parametrize(("body", "encoding"), [(b"\x01" * 60_000, "utf-8"), (b"\xff" * 60_000, "base64"), (b"x", "utf-8")])
async def test_what_is_refused_is_kept_as_far_as_the_brokers_take_it(region: Region, body: bytes, encoding: str) -> None:
    log = Narrow()
    gateway = Gateway(region, Deployment(), log, lambda: NOW_MS)
    await gateway.keep(body, InputError("no text", reason="malformed", field="", fix=""), Sender("p"))
    [(key, value)] = log.records[REJECTED]
    kept = msgspec.json.decode(value, type=Rejected)
    assert key is None and len(value) <= 2000
    assert (kept.reason, kept.provider, kept.encoding) == ("malformed", "p", encoding)
    assert ("2000 bytes" in kept.detail) == (len(body) > 1)
    assert kept.record and (len(body) > 1 or kept.record == "x")


def test_a_letter_that_fits_is_left_alone() -> None:
    letter = to_json(Rejected(reason="r", stage="inbox", detail="d", record="x"))
    assert shortened(b"key", letter, 1000) == (b"key", letter)
    key, value = shortened(b"k" * 1000, letter, 1000)
    assert key is None and msgspec.json.decode(value, type=Rejected).record == "x"
