"""What a gauge reader is answered: what was understood and its class, or how to write it. Two SMS at most (docs: FIELD, SMS).

Drafts of the Urdu texts, like those of the warnings, are for a native speaker of the agency to approve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import smsutil

from warning.alerts.display import class_name, clean, clip, local_time, phrases
from warning.config_readers import Reader
from warning.errors import InputError
from warning.model import Level, Parameter, Status
from warning.region import Region, Station, named

MOST_PARTS = 2

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "taken": "{place}: {what}, {time}.",
        "missing": "no value",
        "ask": "Last was {last}. If this is right answer YES, else send it again.",
        "ask_bare": "That is unusual. If it is right answer YES, else send it again.",
        "confirmed": "Confirmed.",
        "many": "{number} readings taken, {time}.",
        "refused": "Not taken: {why}.",
        "how": "Write: {example}",
        "stranger": "This number is not registered for gauge readings. Ask the flood office to register it.",
        "comma": ", ",
    },
    "ur": {
        "taken": "{place}: {what}، {time}۔",
        "missing": "کوئی قدر نہیں",
        "ask": "پچھلی: {last}۔ درست ہو تو «ہاں» لکھیں، ورنہ دوبارہ بھیجیں۔",
        "ask_bare": "یہ غیر معمولی ہے۔ درست ہو تو «ہاں» لکھیں، ورنہ دوبارہ بھیجیں۔",
        "confirmed": "تصدیق ہو گئی۔",
        "many": "{number} پیمائشیں مل گئیں، {time}۔",
        "refused": "نہیں لیا گیا: {why}۔",
        "how": "یوں لکھیں: {example}",
        "stranger": "یہ نمبر گیج کی پیمائش کے لیے درج نہیں۔ فلڈ آفس سے درج کروائیں۔",
        "comma": "، ",
    },
}
_WHY: Mapping[str, Mapping[str, str]] = {
    "en": {
        "station_unknown": "which station?",
        "station_forbidden": "you are not registered for that station",
        "parameter": "which of {parameters}?",
        "unit": "which unit? {units}",
        "time_future": "the time is still to come",
        "time": "the time is not clear",
        "field_missing": "there is no number",
        "value_type": "the number is not clear",
        "nothing_asked": "there is nothing to confirm",
        "too_large": "the message is too long",
        "": "not understood",
    },
    "ur": {
        "station_unknown": "کون سا گیج؟",
        "station_forbidden": "آپ اس گیج کے لیے درج نہیں",
        "parameter": "ان میں سے کیا: {parameters}؟",
        "unit": "کون سی اکائی؟ {units}",
        "time_future": "یہ وقت ابھی نہیں آیا",
        "time": "وقت واضح نہیں",
        "field_missing": "کوئی عدد نہیں",
        "value_type": "عدد واضح نہیں",
        "nothing_asked": "تصدیق کے لیے کچھ نہیں",
        "too_large": "پیغام بہت لمبا ہے",
        "": "سمجھ نہیں آیا",
    },
}
_EXAMPLE = {"stage": "54.2", "discharge": "250000", "rain": "12", "temperature": "31", "humidity": "60"}
_UNIT = {"stage": "ft", "discharge": "cusec", "rain": "mm", "temperature": "degC", "humidity": "%"}


@dataclass(frozen=True, slots=True)
class Understood:
    """One reading as the log has it: the number and unit as he sent them. ``last``: what he is asked to compare with."""

    station: Station
    parameter: Parameter
    value: float | None
    unit: str
    time_ms: int
    level: Level | None
    ask: bool = False
    last: tuple[float, str] | None = None


def taken(region: Region, reader: Reader, readings: Sequence[Understood], *, confirmed: bool = False, refused: InputError | None) -> str:
    """The answer to a message of which at least one reading was taken; what was not, too."""
    words, mark = _words(reader.language), _mark(region, reader.language)
    begin = mark + (words["confirmed"] + " " if confirmed else "")
    no = " " + refusal(region, reader, refused, mark=False) if refused else ""
    full = begin + " ".join(_one(region, reader, one, classes=True) for one in readings)
    short = begin + " ".join(_one(region, reader, one, classes=False) for one in readings)
    many = begin + words["many"].format(number=len(readings), time=local_time(readings[-1].time_ms, region, reader.language))
    worst = max((one.level for one in readings if one.level), key=lambda level: level.rank, default=None)
    many += f" {class_name(worst, region, reader.language)}" if worst else ""
    return fitting((full + no, full, short + no, short, many + no, many))


def refusal(region: Region, reader: Reader, error: InputError, *, mark: bool = True) -> str:
    """Why nothing of it was taken, and how to write it."""
    words, why = _words(reader.language), _why(region, reader, error)
    first = (_mark(region, reader.language) if mark else "") + words["refused"].format(why=why).replace("?.", "?").replace("؟۔", "؟")
    return fitting((f"{first} {words['how'].format(example=example(region, reader, error))}", first))


def stranger(region: Region, urdu: bool) -> str:
    """To a number that nobody has registered; in Urdu if it wrote in that script."""
    language = "ur" if urdu and "ur" in region.languages else "en"
    return _mark(region, language) + _words(language)["stranger"]


def example(region: Region, reader: Reader, error: InputError | None = None) -> str:
    """A line that he could send: one of his own stations, in his language."""
    texts, station = phrases(_language(reader.language)), region.station_by_id[reader.stations[0]]
    parameters = [series.parameter for series in station.series]
    parameter = reader.parameter if reader.parameter in parameters else next(iter(parameters), Parameter.STAGE)
    quantity = parameter.quantity
    shown = region.display_units.get(quantity, _UNIT[quantity])
    unit = reader.unit if reader.parameter is parameter and reader.unit else shown
    number = _EXAMPLE[quantity] if unit not in ("m", "m3/s") else {"m": "3.2", "m3/s": "2500"}[unit]
    name = clean(named(station.names, texts.language))
    spoken = [name] if "(" not in name else [station.id]
    spoken += [texts.parameters[parameter.value]] if len(parameters) > 1 and parameter.value in ("inflow", "outflow", "discharge") else []
    return " ".join([*spoken, number, texts.units.get(unit, unit), "06:30"])


def fitting(candidates: Iterable[str]) -> str:
    """The first that two SMS hold; the last one is cut to that."""
    text = ""
    for text in candidates:
        if parts(text) <= MOST_PARTS:
            return text
    most = len(text)
    while parts(clip(text, most)) > MOST_PARTS:
        most -= 1
    return clip(text, most)


def parts(text: str) -> int:
    """How many SMS it takes."""
    return len(smsutil.split(text).parts)


def _one(region: Region, reader: Reader, one: Understood, *, classes: bool) -> str:
    words, language = _words(reader.language), reader.language
    texts = phrases(_language(language))
    what = words["missing"] if one.value is None else _amount(one.value, one.unit, language)
    if len(one.station.series) > 1:
        what = f"{texts.parameters[one.parameter.value]} {what}"
    place = clean(named(one.station.names, texts.language))
    said = words["taken"].format(place=place, what=what, time=local_time(one.time_ms, region, texts.language))
    if one.ask:
        last = _amount(*one.last, language) if one.last else ""
        return said + " " + (words["ask"].format(last=last) if last else words["ask_bare"])
    if classes and one.level is not None:
        said += f" {class_name(one.level, region, texts.language)}{texts.words['stop']}"
    return said


def _amount(value: float, unit: str, language: str) -> str:
    name = phrases(_language(language), "heat").units.get(unit, unit)
    return f"{value:,.0f} {name}" if abs(value) >= 1000 else f"{value:,.2f}".rstrip("0").rstrip(".") + f" {name}"


def _why(region: Region, reader: Reader, error: InputError) -> str:
    whys = _WHY[_language(reader.language)]
    if error.field == "parameter":
        key = "parameter"
    elif error.field in ("unit", "datum"):
        key = "unit"
    elif error.field == "time":
        key = "time_future" if error.reason == "time_future" else "time"
    else:
        key = error.reason if error.reason in whys else ""
    texts, words = phrases(_language(reader.language)), _words(reader.language)
    series = [one.parameter for name in reader.stations for one in region.station_by_id[name].series]
    units = dict.fromkeys(region.display_units.get(one.quantity, _UNIT[one.quantity]) for one in series)
    if any(one.quantity in ("stage", "discharge") for one in series):
        units |= dict.fromkeys(("ft", "m"))
    return whys[key].format(
        parameters=words["comma"].join(dict.fromkeys(texts.parameters[one.value] for one in series)),
        units=words["comma"].join(texts.units.get(unit, unit) for unit in units),
    )


def _language(language: str) -> str:
    return language if language in _WORDS else "en"


def _words(language: str) -> Mapping[str, str]:
    return _WORDS[_language(language)]


def _mark(region: Region, language: str) -> str:
    texts = phrases(_language(language))
    return {Status.EXERCISE: texts.exercise, Status.TEST: texts.test}.get(region.status, "")
