"""What a gauge reader writes -> what he says: a small grammar over words and numbers that guesses nothing.

::

    message  = { courtesy } reading { reading } [ "yes" ]          "yes" alone confirms what was asked
    reading  = [ station ] [ parameter ] number [ "lakh" | "thousand" ] [ unit ]
    time     = [ date ] HH:MM [ "am" | "pm" ] | "yesterday" HH:MM   anywhere between readings; of all of them

English and Urdu, any digits, ``. , ٫ ۔`` as decimal marks. A mark that may as well part thousands is refused, and so is a name that may
mean two stations. Times are local; without a date the newest such time that has passed. Pure: no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from warning.errors import InputError
from warning.ingest.sms_names import Names, folded, plain
from warning.model import Parameter

MOST_READINGS = 12  # in one message
MOST_WORDS = 6  # in the name of a station

_UNITS = {
    "ft": "ft feet foot fit فٹ فیٹ",
    "m": "m meter metre meters metres mtr میٹر",
    "cm": "cm centimeter centimetre سنٹیمیٹر سینٹیمیٹر",
    "cusec": "cusec cusecs cusek cuseks kusik kusek qusec cfs کیوسک کیوسکس",
    "m3/s": "m3/s cumec cumecs kumek کیومک کیومکس",
    "mm": "mm millimeter millimetre ملیمیٹر",
    "in": "in inch inches انچ",
    "degC": "degc celsius",
    "%": "% percent فیصد",
}
_PARAMETERS = {
    Parameter.INFLOW: "inflow amad aamad آمد اپسٹریم upstream u/s",
    Parameter.OUTFLOW: "outflow ikhraj akhraj اخراج ڈاؤنسٹریم downstream d/s",
    Parameter.DISCHARGE: "discharge flow bahao bahaw بہاؤ",
    Parameter.STAGE: "stage level gauge gage height satah سطح لیول گیج",
    Parameter.RAIN: "rain rainfall barish baarish بارش",
    Parameter.TEMPERATURE: "temperature temp درجہحرارت",
    Parameter.HUMIDITY: "humidity نمی",
}
_MULTIPLIERS = {100_000.0: "lakh lac lakhs لاکھ", 1000.0: "thousand hazar hazaar ہزار k"}
_YESTERDAY, _TODAY = "yesterday kal کل", "today now aaj abhi آج ابھی"
_YES = "yes ok okay ji haan han جی ہاں ہاں درست sahi"
_COURTESY = (
    "is at the of ka ki ke par pr pe mein hai he h water pani salam assalam salaam o alaikum sir time waqt reading re"
    " پانی پر ہے میں کا کی کے وقت سلام السلام علیکم جناب ریڈنگ"
)


def _table(words: Mapping[object, str]) -> dict[str, object]:
    return {folded(word): meaning for meaning, listed in words.items() for word in listed.split()}


UNIT_WORDS: Mapping[str, object] = _table(_UNITS)  # type: ignore[arg-type]
_PARAMETER_WORDS = _table(_PARAMETERS)  # type: ignore[arg-type]
_MULTIPLIER_WORDS = _table(_MULTIPLIERS)  # type: ignore[arg-type]
_SETS = {"yesterday": _YESTERDAY, "today": _TODAY, "yes": _YES, "courtesy": _COURTESY}
_OTHER_WORDS = _table(_SETS)  # type: ignore[arg-type]

_TOKEN = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?!\d)|(?P<time>\d{1,2}:\d\d)(?![\d:])|(?P<number>(?<![\w.,])-?\d+(?:[.,]\d+)*)(?![\d:/])"
    r"|(?P<word>%|[^\W\d_](?:[\w/'’-]*\w)?)|(?P<odd>\S)"
)
_SILENT = set(".,;:!?\"'()[]*#=–—-_|،؛؟۔")  # punctuation that says nothing by itself


@dataclass(frozen=True, slots=True)
class Said:
    """One reading as said. "" or None: he did not say it."""

    station: str
    parameter: Parameter | None
    value: float
    unit: str
    written: str  # the number as he wrote it, in our digits


@dataclass(frozen=True, slots=True)
class When:
    """A local time: minutes of the day, on that date, or yesterday, or neither. ``minute`` None: he gave none."""

    minute: int | None = None
    date: str = ""  # YYYY-MM-DD
    yesterday: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What was understood. No readings: he only said yes."""

    readings: tuple[Said, ...]
    when: When
    confirmed: bool = False


@dataclass(slots=True)
class _Course:
    """How far a message has been read."""

    usual: Parameter | None
    station: str = ""
    parameter: Parameter | None = None
    readings: list[Said] = field(default_factory=list)
    minute: int | None = None
    date: str = ""
    yesterday: bool = False
    confirmed: bool = False


def wrong(reason: str, field: str, detail: str, fix: str = "") -> InputError:
    """A refusal of the whole message."""
    return InputError(detail, reason=reason, field=field, fix=fix or "write: STATION number unit HH:MM")


def read(text: str, names: Names, usual: Parameter | None = None) -> Message:
    """What ``text`` says, by one who may write ``names`` and means ``usual`` where he names no parameter.

    Raises InputError (``field``: station, value, unit, time, parameter or "").
    """
    tokens = list(_tokens(text))
    course, at = _Course(usual), 0
    while at < len(tokens):
        at = _step(tokens, at, course, names)
    if course.parameter is not None:  # a parameter behind the number: clear only where there is one number
        if len(course.readings) != 1 or course.readings[0].parameter is not None:
            raise wrong("value_type", "value", f"no number after {course.parameter.value}")
        first = course.readings[0]
        course.readings[0] = Said(first.station, course.parameter, first.value, first.unit, first.written)
    if not course.readings and not course.confirmed:
        raise wrong("field_missing", "value", "there is no number in it")
    if course.station and not any(said.station == course.station for said in course.readings):
        raise wrong("field_missing", "value", f"no number for {course.station}")
    if course.yesterday and course.minute is None:
        raise wrong("time_format", "time", "yesterday at what time?", "write yesterday HH:MM")
    if course.date and course.minute is None:
        raise wrong("time_format", "time", f"{course.date} at what time?", "write the date and HH:MM")
    return Message(tuple(course.readings), When(course.minute, course.date, course.yesterday), course.confirmed)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(plain(text)):
        kind, token = found.lastgroup or "odd", found[0]
        if kind == "odd" and token in _SILENT:
            continue
        yield kind, token


def _step(tokens: list[tuple[str, str]], at: int, course: _Course, names: Names) -> int:
    """Reads on from token ``at``; returns the next one."""
    kind, token = tokens[at]
    if kind == "number":
        return _number(tokens, at, course)
    if kind == "time":
        return _time(tokens, at, course)
    if kind == "date":
        if course.date:
            raise wrong("time_format", "time", "two dates in one message")
        course.date = token
        return at + 1
    if kind == "odd":
        raise wrong("malformed", "", f"cannot read {token!r}")
    return _word(tokens, at, course, names)


def _word(tokens: list[tuple[str, str]], at: int, course: _Course, names: Names) -> int:
    run = []  # the words from here to the next number
    for kind, token in tokens[at:]:
        if kind != "word":
            break
        run.append(token)
    for length in range(min(len(run), MOST_WORDS), 0, -1):
        station = names.exact(run[:length])
        if station:
            return _station(station, at + length, course)
    key = folded(run[0])
    if key in _PARAMETER_WORDS:
        if course.parameter is not None:
            raise wrong("value_type", "value", f"no number after {course.parameter.value}")
        course.parameter = _PARAMETER_WORDS[key]  # type: ignore[assignment]
        return at + 1
    meaning = _OTHER_WORDS.get(key)
    if meaning is not None:
        course.yesterday |= meaning == "yesterday"
        course.confirmed |= meaning == "yes"
        return at + 1
    for length in range(min(len(run), MOST_WORDS), 0, -1):
        if all(folded(word) not in _PARAMETER_WORDS and folded(word) not in _OTHER_WORDS for word in run[:length]):
            station = names.near(run[:length])
            if station:
                return _station(station, at + length, course)
    if at and tokens[at - 1][0] == "number":
        raise wrong("unit_unknown", "unit", f"no unit {run[0][:30]!r}", "ft, m, cusec ...")
    raise wrong("station_unknown", "station", f"no station {' '.join(run[:3])[:40]!r}", names.fix())


def _station(station: str, after: int, course: _Course) -> int:
    if course.station and not any(said.station == course.station for said in course.readings):
        raise wrong("field_missing", "value", f"no number for {course.station}")
    course.station = station
    return after


def _number(tokens: list[tuple[str, str]], at: int, course: _Course) -> int:
    written, factor, unit, after = tokens[at][1], 1.0, "", at + 1
    if after < len(tokens) and tokens[after][0] == "word":
        factor_word = _MULTIPLIER_WORDS.get(folded(tokens[after][1]))
        if isinstance(factor_word, float):
            factor, after = factor_word, after + 1
    for length in (2, 1):  # "milli meter" is one word or two
        words = tokens[after : after + length]
        if len(words) == length and all(kind == "word" for kind, _ in words):
            found = UNIT_WORDS.get(folded("".join(word for _, word in words)))
            if isinstance(found, str):
                unit, after = found, after + length
                break
    parameter = course.parameter or course.usual
    flow = unit in ("cusec", "m3/s") or (not unit and parameter is not None and parameter.quantity == "discharge")
    if flow and not unit and course.parameter is None and factor == 1.0 and re.search(r"[.,]\d{1,2}$", written):
        raise wrong("unit_missing", "unit", f"{written} of what?", "write the unit: ft, m or cusec")  # a stage, to all appearances
    value = number(written, whole=flow and factor == 1.0) * factor
    if len(course.readings) >= MOST_READINGS:
        raise wrong("too_many", "value", f"more than {MOST_READINGS} numbers", "send them in several messages")
    for other in course.readings:
        if (other.station, other.parameter) == (course.station, course.parameter):
            raise wrong("value_type", "value", f"two numbers, {other.written} and {written}: which one?")
    course.readings.append(Said(course.station, course.parameter, value, unit, written))
    course.parameter = None
    return after


def number(written: str, *, whole: bool) -> float:
    """A number as people write it. ``whole``: of a discharge, which nobody writes to the thousandth. Raises InputError (value_type).

    >>> number("54,2", whole=False), number("5,54,000", whole=True), number("1,234.5", whole=False)
    (54.2, 554000.0, 1234.5)
    """
    sign, digits = (-1.0, written[1:]) if written.startswith("-") else (1.0, written)
    if len(digits) > 15:
        raise wrong("value_type", "value", f"{written[:20]} is too long for a number")
    if re.match(r"0\d", digits):
        raise wrong("value_type", "value", f"{written}: a time?", "a time as 06:30, a number without 0 before it")
    body, point, decimals = digits.rpartition(".")
    if not point:
        body, decimals = digits, ""
    elif "." in body or "," in decimals:
        raise wrong("value_type", "value", f"{written}: which is the decimal mark?")
    groups = body.split(",")
    if len(groups) == 1:
        if point and whole and len(decimals) == 3:
            raise wrong("value_type", "value", f"{written}: thousands or decimals?", "write it without the mark")
        return sign * float(f"{body}.{decimals or 0}")
    parted = re.fullmatch(r"\d{1,3}(,\d{2,3})*,\d{3}", body) is not None
    if parted and (len(groups) > 2 or point or whole):
        return sign * float("".join(groups) + f".{decimals or 0}")
    if parted or len(groups) > 2 or point:
        raise wrong("value_type", "value", f"{written}: thousands or decimals?", "write it with a point, or without the mark")
    return sign * float(f"{groups[0]}.{groups[1]}")


def of_a_discharge(said: Said) -> None:
    """Refuses ``250.000`` of which it turns out only afterwards that it is a discharge (``number`` with ``whole``). Raises InputError."""
    if re.fullmatch(r"-?\d+\.\d{3}", said.written) and float(said.written) == said.value:
        number(said.written, whole=True)


def _time(tokens: list[tuple[str, str]], at: int, course: _Course) -> int:
    hours, minutes = map(int, tokens[at][1].split(":"))
    after = at + 1
    half = folded(tokens[after][1]) if after < len(tokens) and tokens[after][0] == "word" else ""
    if half in ("am", "pm"):
        after += 1
        if not 1 <= hours <= 12:
            raise wrong("time_format", "time", f"no time {tokens[at][1]} {half}", "HH:MM, from 00:00 to 23:59")
        hours = hours % 12 + (12 if half == "pm" else 0)
    if hours > 23 or minutes > 59:
        raise wrong("time_format", "time", f"no time {tokens[at][1]}", "HH:MM, from 00:00 to 23:59")
    if course.minute is not None:
        raise wrong("time_format", "time", "two times in one message", "send one message for each time")
    course.minute = hours * 60 + minutes
    return after
