"""Many readings at once give exactly what msgspec gives one by one: the same bits, the same rejects, in the same places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warning.model import Cause, Parameter, Reading, to_json
from warning.pipeline.beat import Readings
from warning.stream import codec, shape
from warning.stream.codec import Decoder
from warning.stream.frames import Frames

NAMES = ("g", "s0001", "s0002", "a-gauge-with-a-longer-name", "x" * 28 + "1", "x" * 28 + "2", "y" * 60, "بند", 'q"uote', "back\\slash")


class Plan:
    def __init__(self, names: Sequence[str] = NAMES, parameters: int = 3) -> None:
        pairs = [(name, parameter) for name in names for parameter in list(Parameter)[:parameters]]
        self.row = {pair: number for number, pair in enumerate(pairs)}


def decoder(*providers: str, parameters: int = 3) -> Decoder:
    """It has seen these providers before."""
    made = Decoder(Plan(NAMES, parameters))
    taken = [to_json(reading(provider=provider)) for provider in providers for _ in range(shape.FEWEST)]
    made.run([b"k"] * len(taken), taken, 0)
    return made


def reading(**more: object) -> Reading:
    fields: dict[str, object] = {"station": "s0001", "parameter": Parameter.STAGE, "time_ms": 1_753_920_000_060, "value": 20.123}
    return Reading(**(fields | {"received_ms": 1_753_920_000_160, "provider": "p"} | more))  # type: ignore[arg-type]


def same(these: Readings, those: Readings) -> bool:
    pairs = [(getattr(these, name), getattr(those, name)) for name in Readings.__slots__]
    return all(one.dtype == other.dtype and one.tobytes() == other.tobytes() for one, other in pairs)


def agree(values: list[bytes], some: Decoder) -> None:
    readings, rejected, _ = some._by_msgspec(values, np.arange(7, 7 + len(values)))
    for given_as in (values, Frames.of(values)):
        [segment] = some.run([b"k"] * len(values), given_as, 7)
        assert same(segment.readings, readings) and list(segment.rejected) == rejected


DIGITS = st.text("0123456789", min_size=1, max_size=18)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-9999, 9999).map(lambda value: f"{value:.3f}"),
    st.builds(lambda sign, whole, part: sign + whole + part, st.sampled_from(["", "-", "+", "--"]), DIGITS, st.just("")),
    st.builds(lambda sign, whole, part: f"{sign}{whole}.{part}", st.sampled_from(["", "-"]), DIGITS, DIGITS),
    st.sampled_from(
        [
            "null",
            "-0",
            "-0.0",
            "0",
            "0.0",
            "00.1",
            "-.5",
            "5.",
            ".",
            "-",
            "",
            "1e5",
            "1E5",
            "1.5e-3",
            "1..2",
            "1-2",
            "NaN",
            '"1"',
            " 1",
            "1 ",
        ]
    ),
)
TIMES = st.one_of(
    st.integers(0, codec.LAST_MS + 2), st.integers(10**12 - 2, 10**12 + 2), st.sampled_from(["0123456789012", "1753920000 60"])
)
RECORDS = st.builds(
    lambda name, parameter, time, number, received, provider, rest: (
        f'{{"station":"{name}","parameter":"{parameter}","time_ms":{time},"value":{number},"received_ms":{received},"provider":"{provider}"{rest}}}'
    ).encode(),
    st.sampled_from([*NAMES, "unknown", ""]),
    st.sampled_from(["stage", "stage", "discharge", "rain", "colour"]),
    TIMES,
    NUMBERS,
    TIMES,
    st.sampled_from(["p", "agency", "a provider with a name that is long", 'p"', "p\\", "p\x1f", "پ", ""]),
    st.sampled_from(["", "", "", ',"cause":"none"', ',"cause":"sentinel"', ',"station":"g"', " "]),
)
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["change", "cut", "add", "none", "none"]), st.integers(0, 255))
)


def changed(record: bytes, changes: list[tuple[float, str, int]]) -> bytes:
    raw = bytearray(record)
    for place, how, byte in changes:
        at = int(place * len(raw))
        if how == "change" and raw:
            raw[at] = byte
        elif how == "cut" and raw:
            del raw[at]
        elif how == "add":
            raw.insert(at, byte)
    return bytes(raw)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.builds(changed, RECORDS, CHANGES), max_size=60))
@example([])
def test_it_reads_what_msgspec_reads(records: list[bytes]) -> None:
    agree(
        [*records, *[to_json(reading(value=at / 8, station=NAMES[at % 5])) for at in range(shape.FEWEST)], *records], decoder("p", "agency")
    )


@pytest.mark.parametrize("byte", range(0, 256, 5))
def test_every_byte_of_a_record_counts(byte: int) -> None:
    record = to_json(reading(value=-20.125))
    records = [record[:at] + bytes([byte]) + record[at + 1 :] for at in range(len(record))]
    agree([*records, *[record] * shape.FEWEST], decoder("p"))


def test_numbers_to_the_last_bit() -> None:
    chance = np.random.default_rng(1)
    decimals = chance.integers(0, 12, 40_000)
    texts = [f"{value:.{places}f}" for value, places in zip(10 ** chance.uniform(-4, 6, 40_000), decimals, strict=True)]
    texts += [
        f"-{text}.0" if text.isdecimal() else f"-{text}" for text in texts
    ]  # an integer -0 is 0 for msgspec + [repr(float(text) / 3) for text in texts[:2000]]
    values = [to_json(reading(value=0.5)).replace(b"0.5", text.encode()) for text in texts]
    some = decoder("p")
    columns = some._shape.read(Frames.of(values))
    assert columns is not None and columns.good.mean() > 0.9
    [segment] = some.run([b"k"] * len(values), values, 0)
    assert segment.readings.value.tobytes() == np.array([float(text) for text in texts]).tobytes()


def test_what_the_gateway_writes_is_read_at_once() -> None:
    """Else all of the above would be true of msgspec alone."""
    values = [
        to_json(reading(station=name, parameter=parameter, value=value, provider=provider))
        for name in NAMES[:4]
        for parameter in (Parameter.STAGE, Parameter.DISCHARGE)  # with a third one, a long name is msgspec's
        for value in (0.0, 3, -1.25, 20.123, 15432.1, 1234567.890625, 0.001)
        for provider in ("p", "agency", "another one")
        for _ in range(4)
    ]
    columns = decoder("p", "agency", "another one", parameters=2)._shape.read(Frames.of(values))
    assert columns is not None and columns.good.all() and len(columns.row) == len(values)


def test_missing_values_and_marks_between_have_their_places() -> None:
    some = decoder("p")
    values = [to_json(reading(value=float(at))) for at in range(1000)]
    values[500] = to_json(reading(value=None, cause=Cause.SENTINEL))
    values[600], values[601] = b'{"tick_ms":5}', b"broken"
    keys = [None if at == 600 else b"k" for at in range(1000)]
    first, second = some.run(keys, Frames.of(values), 0)
    assert np.isnan(first.readings.value[500]) and first.readings.sentinel[500] and first.readings.value[501] == 501.0
    assert first.offset == 600 and len(first.readings) == 600
    assert len(second.readings) == 398 and second.readings.value[0] == 602.0 and "record 601" in second.rejected[0].detail


def test_providers_are_remembered_up_to_a_number() -> None:
    some = decoder(*(f"provider {number}" for number in range(shape.MOST_PROVIDERS + 5)))
    assert sum(map(len, some._shape._providers.values())) == shape.MOST_PROVIDERS
    agree([to_json(reading(provider=f"provider {at % 40}")) for at in range(400)], some)


def test_a_great_many_series() -> None:
    some = Decoder(Plan([f"gauge-{number}" for number in range(30_000)], 1))
    values = [to_json(reading(station=f"gauge-{number}")) for number in range(30_000)]
    for _ in range(2):  # by msgspec, then at once
        [segment] = some.run([b"k"] * len(values), values, 0)
        assert segment.readings.row.tolist() == list(range(30_000))
    columns = some._shape.read(Frames.of(values))
    assert columns is not None and columns.good.mean() > 0.98


def test_a_plan_without_a_series_of_that_kind() -> None:
    for names in ([], ["بند"], ["y" * 90]):
        values = [to_json(reading(station=names[0] if names else "g"))] * 300
        agree(values, Decoder(Plan(names, 1)))
