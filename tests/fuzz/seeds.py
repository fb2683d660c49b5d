"""What is mutated: records as the gateway writes them, ticks and switches, and the words that break parsers."""

from __future__ import annotations

from warning.model import Cause, Parameter, Reading, Switch, Tick, to_json

START_MS = 1_756_684_800_000
LEAP_MS = 1_483_228_800_000  # 2017-01-01, one second after 23:59:60

NUMBERS = [
    *(
        b"0",
        b"-0",
        b"-0.0",
        b"-1",
        b"1",
        b"0.1",
        b"1e3",
        b"1E+3",
        b"1e-3",
        b"123456789012345",
        b"1234567890123456",
        b"99999999999999999999",
    ),
    *(b"9007199254740993", b"18446744073709551616", b"-9223372036854775809", b"1e308", b"1.7976931348623157e308", b"1e309", b"-1e309"),
    *(b"5e-324", b"1e-400", b"1e999999999", b"0.1234567890123456789", b"1" * 400, b"0." + b"0" * 400 + b"1", b"01", b"1.", b".5", b"1e"),
    *(b"+1", b"0x10", b"1_000", b"NaN", b"Infinity", b"-Infinity", b"nan", b"null", b"true", b'"1.5"', b"[]", b"{}", b"[1.5]", b"-", b""),
    *(b"-999", b"-9999.0", b"1e6", b"100.0000000000001", b"2.5e2"),
]
TIMES = [
    *(b"0", b"1", b"-1", b"-62135596800000", b"-62167219200000", b"4102444800000", b"4102444800001", b"253402300799999", b"1000000000000"),
    *(b"%d" % LEAP_MS, b"%d" % (LEAP_MS - 1), b"%d.5" % LEAP_MS, b"999999999999", b"1.7566848e12", b"17566848000000", b"9" * 30),
    *(b'"2016-12-31T23:59:60Z"', b'"0000-01-01T00:00:00Z"', b'"%d"' % START_MS, b"null", b"true", b"-0", b"01756684800000", b""),
]
TEXTS = [
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\0"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\"', b'"\\x41"', b'"\n"', b"'G00020'", b"null", b"1"),
    *(b'"\xef\xbb\xbfG00020"', b'"G00020 "', b'" G00020"', b'"g00020"', b'"G00020\\u0000"', b'"\\u004700020"', b'"\\u0047\\u00300020"'),
    *(b'"' + b"x" * 5000 + b'"', b'"' + "گیج".encode() + b'"', b'"\\ud83c\\udf0a"', b'["G00020"]', b"G00020", b'"G00020', b"{}", b"true"),
    *(b'"G00040"', b'"G99999"', b'"discharge"', b'"d\\u0069scharge"', b'"DISCHARGE"', b'"stage"', b'"rain"', b'"none"', b'"sentinel"'),
]
MORE = [
    *(b"", b',"value":7.5', b',"station":"G00021"', b',"cause":"sentinel"', b',"cause":"missing"', b',"cause":"x"', b',"cause":null'),
    *(b',"x":' + b"[" * 300 + b"]" * 300, b',"x":' + b'{"a":' * 100 + b"1" + b"}" * 100, b',"":0', b',"\\u0076alue":8.5', b',"time_ms":-1'),
    *(b',"tick_ms":1', b",", b',"x"', b',"x":NaN', b',"x":1e999', b',"x":"\\ud800"', b',"x":"\xff"', b',"x":"' + b"y" * 3000 + b'"'),
]
WRAPS = [
    *(
        (b"", b""),
        (b" \t\r\n", b" \t\r\n"),
        (b"\xef\xbb\xbf", b""),
        (b"", b"\0"),
        (b"\0", b""),
        (b"[", b"]"),
        (b"", b"}"),
        (b"", b","),
        (b"", b"{}"),
    ),
    *((b"\xff\xfe", b""), (b"/**/", b""), (b"", b"//"), (b"(", b")"), (b'{"x":', b"}"), (b"", b"\xff"), (b"", b" " * 500), (b"\x0c", b"")),
]
HEAVY = [
    *(
        b"[" * 100_000,
        b'{"station":' * 50_000,
        b'{"station":"' + b"x" * 200_000 + b'"}',
        b"\xff" * 1_000_000,
        b"\x01" * 500_000,
        b"1" * 300_000,
    ),
    *(b'{"value":' + b"9" * 100_000 + b"}", b'"' + b"\\u0041" * 50_000 + b'"', b"{" + b'"a":1,' * 50_000 + b'"b":2}', b" " * 300_000),
]
INTERESTING = bytes(range(9)) + b'{}[],:\\"/ 0123456789-+.eEtfnuNI\xff\xfe\xef\xbb\xbf\xc0\xed\xa0\x80\x7f\xf4\x90'


def readings(stations: list[str]) -> list[bytes]:
    """As ``ingest`` writes them: many of its plain shape, some of each other kind."""
    found = []
    for number, station in enumerate(stations):
        fields = {
            "station": station,
            "parameter": Parameter.DISCHARGE,
            "time_ms": START_MS + 60_000 * number,
            "received_ms": START_MS + 61_000,
        }
        for value, provider in ((200.5, "gauges"), (1234.0, "gauges"), (0.001, "agency north"), (-3.25, "inbox:wapda"), (17, "gauges")):
            found.append(to_json(Reading(**fields, value=value, provider=provider)))  # type: ignore[arg-type]
        found.append(to_json(Reading(**fields, value=None, provider="gauges", cause=Cause.MISSING)))  # type: ignore[arg-type]
        found.append(to_json(Reading(**fields, value=None, provider="gauges", cause=Cause.SENTINEL)))  # type: ignore[arg-type]
    return found


def marks() -> list[bytes]:
    ticks = [to_json(Tick(tick_ms=START_MS + number, writer="w" * number)) for number in range(3)]
    return [*ticks, to_json(Switch(switch_ms=START_MS, writer="w", config="c", code="k"))]


def items(stations: list[str]) -> list[bytes]:
    """As their owners send them to ``readings.inbox``."""
    words = ['"2025-09-01T00:%02d:00Z"', '"2025-09-01T05:%02d:00+05:00"', '"2025-09-01T00:%02d:00.123456Z"']
    return [
        f'{{"station": "{station}", "parameter": "discharge", "time": {word % (number % 60)}, "value": {value}, "unit": "{unit}"}}'.encode()
        for number, station in enumerate(stations)
        for word in words
        for value, unit in ((350.5, "m3/s"), (12000, "cusec"), ("null", "m3/s"), (-999, "m3/s"))
    ]


ITEM_TIMES = [
    *(
        b'"0000-01-01T00:00:00Z"',
        b'"0001-01-01T00:00:00Z"',
        b'"1899-12-31T23:59:59Z"',
        b'"9999-12-31T23:59:59Z"',
        b'"2100-01-01T00:00:00Z"',
    ),
    *(b'"2016-12-31T23:59:60Z"', b'"2025-02-29T00:00:00Z"', b'"2025-09-01T24:00:00Z"', b'"2025-09-01T00:00:00"', b'"2025-09-01"', b"0"),
    *(b'"2025-09-01T00:00:00+99:99"', b'"2025-09-01T00:00:00-23:59"', b'"-2025-09-01T00:00:00Z"', b'"2025-09-01 00:00:00Z"', b"1756684800"),
    *(
        b'"0001-01-01T00:00:00+23:59"',
        b'"9999-12-31T23:59:59-23:59"',
        b'"2025-09-01T00:00:00.9999999999Z"',
        b'"\\u0032025-09-01T00:00:00Z"',
    ),
]
