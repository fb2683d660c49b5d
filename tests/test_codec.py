"""Records to columns: every kind of broken record costs only itself."""

from __future__ import annotations

import base64
import json
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_regions import region
from stream_standin import Plan

from warning.model import Cause, Parameter, Reading, Rejected, Switch, Tick, to_json
from warning.stream import codec
from warning.stream.codec import MOST_BYTES, Decoder, Segment, reject

PLAN = Plan.of(region(stations=4), 0)
DECODER = Decoder(PLAN)


def reading(station: str = "s001", value: float | None = 1.5, **more: object) -> Reading:
    fields: dict[str, object] = {"parameter": Parameter.STAGE, "time_ms": 1_000, "received_ms": 2_000, "provider": "p"}
    return Reading(station=station, value=value, **(fields | more))  # type: ignore[arg-type]


def decode(*records: tuple[bytes | None, bytes | None], first: int = 10) -> list[Segment]:
    return DECODER.run([key for key, _ in records], [value for _, value in records], first)


def test_the_fast_structs_say_what_the_model_says() -> None:
    assert set(get_args(codec._Cause)) == {cause.value for cause in Cause}
    assert set(get_args(codec._Parameter)) == {parameter.value for parameter in Parameter}
    assert codec._Line.__struct_fields__ == Reading.__struct_fields__
    assert set(codec._Mark.__struct_fields__) == {*Tick.__struct_fields__, Switch.__struct_fields__[0]}


def test_a_run_with_marks() -> None:
    tick, switch = Tick(tick_ms=9, writer="w"), Switch(switch_ms=8, writer="w", config="c", code="k")
    found = decode(
        (b"b", to_json(reading())),
        (b"b", to_json(reading("s003", None, cause=Cause.SENTINEL, time_ms=7))),
        (None, to_json(tick)),
        (None, to_json(switch)),
        (b"b", to_json(reading("s000", -2, received_ms=5))),
    )
    assert [(segment.mark, segment.offset, segment.records) for segment in found] == [(tick, 12, 3), (switch, 13, 1), (None, 14, 1)]
    columns = found[0].readings
    assert columns.row.tolist() == [1, 3] and columns.row.dtype == np.int32
    assert columns.time_ms.tolist() == [1_000, 7] and columns.received_ms.tolist() == [2_000, 2_000]
    assert columns.value[0] == 1.5 and np.isnan(columns.value[1]) and columns.sentinel.tolist() == [False, True]
    assert len(found[1].readings) == 0 and found[2].readings.value.tolist() == [-2.0]
    assert not any(segment.rejected for segment in found)


BROKEN = [
    (b"b", b"{", "bad_json"),
    (b"b", b"", "bad_json"),
    (b"b", b'{"else":' + b"[" * 100_000, "bad_json"),
    (b"b", b"[]", "bad_field"),
    (b"b", b"{}", "bad_field"),
    (b"b", b"\xff\xfe", "bad_json"),
    (b"b", to_json(reading()).replace(b"1.5", b"NaN"), "bad_json"),
    (b"b", to_json(reading()).replace(b"1.5", b"1e999"), "bad_field"),
    (b"b", to_json(reading()).replace(b"1.5", b'"1.5"'), "bad_field"),
    (b"b", to_json(reading()).replace(b"1000", b"1000.5"), "bad_field"),
    (b"b", to_json(reading()).replace(b"1000", b"-1"), "bad_field"),
    (b"b", to_json(reading()).replace(b"1000", b"99999999999999999999999"), "bad_field"),
    (b"b", to_json(reading()).replace(b"stage", b"colour"), "bad_field"),
    (b"b", to_json(reading()).replace(b"s001", b"s\xff01"), "bad_json"),
    (b"b", to_json(reading()).replace(b"s001", b"s999"), "unknown_series"),
    (b"b", to_json(reading(parameter=Parameter.RAIN)), "unknown_series"),
    (b"b", None, "empty"),
    (None, None, "empty"),
    (None, to_json(reading()), "missing_key"),
    (None, b'{"tick_ms":"soon"}', "bad_field"),
    (None, b'{"tick_ms":99999999999999}', "bad_field"),
    (None, b"tick", "bad_json"),
]


@pytest.mark.parametrize(("key", "value", "reason"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_record_costs_only_itself(key: bytes | None, value: bytes | None, reason: str) -> None:
    good = (b"b", to_json(reading()))
    found = decode(good, (key, value), good, (None, b'{"tick_ms":5}'))
    rejected = [each for segment in found for each in segment.rejected]
    assert [each.reason for each in rejected] == [reason] and rejected[0].stage == "decode" and "record 11" in rejected[0].detail
    assert sum(len(segment.readings) for segment in found) == 2 and found[-1].mark == Tick(tick_ms=5) and found[-1].offset == 13
    if value:
        each = rejected[0]
        assert (base64.b64decode(each.record) if each.encoding == "base64" else each.record.encode()) == value[:MOST_BYTES]
    to_json(rejected[0])  # can be written


def test_what_is_rejected_fits_into_a_record_and_says_that_it_was_cut() -> None:
    for record in (b"\x01" * 3_000_000, b"\xff" * 3_000_000):
        each = reject("bad_json", "record 1", record)
        assert len(to_json(each)) < 1_000_000 and "of 3000000 bytes" in each.detail


@given(st.lists(st.tuples(st.sampled_from([None, b"b"]), st.one_of(st.none(), st.binary(max_size=40))), max_size=30))
def test_it_never_raises_and_loses_no_record(records: list[tuple[bytes | None, bytes | None]]) -> None:
    found = decode(*records)
    assert sum(segment.records for segment in found) == len(records)
    assert sum(len(s.readings) + len(s.rejected) + (s.mark is not None) for s in found) == len(records)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3)
)
FIELDS = st.sampled_from([*Reading.__struct_fields__, "tick_ms", "else"])


@given(st.lists(st.tuples(st.sampled_from([None, b"b"]), st.dictionaries(FIELDS, JSON)), max_size=10))
def test_it_takes_what_the_model_takes(records: list[tuple[bytes | None, dict[str, object]]]) -> None:
    base = msgspec.to_builtins(reading())
    for key, changes in records:
        value = json.dumps({**base, **changes}).encode()
        [segment] = decode((b"b", value))
        try:
            strict = msgspec.json.decode(value, type=Reading)
        except msgspec.DecodeError:
            assert len(segment.readings) == 0
        else:
            possible = strict.station in {"s000", "s001", "s002", "s003"} and strict.parameter is Parameter.STAGE
            times = 0 <= strict.time_ms <= codec.LAST_MS and 0 <= strict.received_ms <= codec.LAST_MS
            assert len(segment.readings) == (possible and times)
        assert all(isinstance(each, Rejected) for each in decode((key, value))[0].rejected)
