"""``readers.csv``: people who read gauges and send what they see by SMS or by the form. Optional; no part of the region's digest.

::

    id,name,phone,language,stations,parameter,unit,datum,aliases
    sukkur-1,Barrage clerk Sukkur,+99910000101,ur,IND-SUKKUR,inflow,cusec,,IND-SUKKUR=Sakhar

``parameter`` and ``unit`` are what he means where he does not say it; without them he has to say it. ``phone`` empty: the form only.
``aliases``: other names that he writes for his stations, ``STATION=name|STATION=name``. ``datum`` of his stages; empty: the gauge's zero.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import phonenumbers
from pydantic import Field

from warning import config_units
from warning.config_explain import did_you_mean
from warning.config_schema import Listed, Text, Word, _Model, _parameter
from warning.config_table import Row, read_table
from warning.errors import ConfigError, Problem
from warning.model import Parameter
from warning.region import Region

FILE = "readers.csv"

_BETWEEN = re.compile(r"[\s()./\-\u2010-\u2015\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]")  # of a number as people write it
_E164 = re.compile(r"\+[0-9]{7,15}")


class ReaderRow(_Model):
    """One row of ``readers.csv``."""

    id: Word
    name: Text
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")]
    stations: Listed
    phone: str = ""
    parameter: str = ""
    unit: str = ""
    datum: str = ""
    aliases: Listed = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads gauges. ``aliases``: (station, another name of it). ``parameter`` None, ``unit`` "": he says it each time."""

    id: str
    name: str
    language: str
    stations: tuple[str, ...]
    phone: str = ""  # E.164
    parameter: Parameter | None = None
    unit: str = ""
    datum: str = "gauge_zero"
    aliases: tuple[tuple[str, str], ...] = ()


def load(folder: str | os.PathLike[str], region: Region) -> tuple[Reader, ...]:
    """The readers of a region's folder; none without the file. Raises ConfigError with all that is wrong."""
    readers, problems = read(Path(folder), region)
    if problems:
        raise ConfigError(problems)
    return readers


def read(folder: Path, region: Region) -> tuple[tuple[Reader, ...], list[Problem]]:
    """The same, and what is wrong in place of an error."""
    path = folder / FILE
    problems: list[Problem] = []
    if not path.exists():
        return (), problems
    rows = read_table(path, ReaderRow, problems).rows
    seen: dict[str, str] = {}
    for row in rows:
        problems += _row(row, region)
        for column, value in (("id", row.data.id), ("phone", row.data.phone)):
            if value and seen.setdefault(f"{column} {value}", row.where()) != row.where():
                problems.append(Problem(row.where(column), f"{value} stands twice", f"see {seen[f'{column} {value}']}"))
    return (() if problems else tuple(_reader(row.data) for row in rows)), problems


def _row(row: Row[ReaderRow], region: Region) -> Iterator[Problem]:
    one, known = row.data, region.station_by_id
    if not one.stations:
        yield Problem(row.where("stations"), "reads no station", "write ids of stations.csv, a|b")
    for name in one.stations:
        if name not in known:
            yield Problem(row.where("stations"), f"no station {name!r} in this region", did_you_mean(name, known) or "see stations.csv")
    if one.phone and not _E164.fullmatch(one.phone):
        yield Problem(row.where("phone"), f"{one.phone!r} is no international number", "+ and 7 to 15 digits, such as +99910000101")
    meant: dict[str, str] = {}
    for alias in one.aliases:
        station, equals, name = (each.strip() for each in alias.partition("="))
        if not equals or station not in one.stations or not name:
            yield Problem(row.where("aliases"), f"{alias!r} names none of his stations", "STATION=name|STATION=name")
        elif (other := meant.setdefault(name.casefold(), station)) != station:
            yield Problem(row.where("aliases"), f"{name!r} is two stations", f"a name of its own for {other} and {station}")
    yield from _measure(row, region)


def _measure(row: Row[ReaderRow], region: Region) -> Iterator[Problem]:
    one, known = row.data, region.station_by_id
    try:
        parameter = _parameter(one.parameter) if one.parameter else None
    except ValueError as error:
        yield Problem(row.where("parameter"), str(error), "or leave it empty")
        return
    has = {series.parameter for name in one.stations if name in known for series in known[name].series}
    if parameter and has and parameter not in has:
        words = ", ".join(sorted(each.value for each in has))
        yield Problem(row.where("parameter"), f"none of his stations has {parameter.value}", f"they have: {words}; or leave it empty")
    if one.unit and parameter is None:
        yield Problem(row.where("unit"), f"{one.unit} of what? The parameter is missing", "write both, or neither")
    elif one.unit and parameter is not None:
        try:
            config_units.factor(one.unit, parameter.quantity)
        except ValueError as error:
            yield Problem(row.where("unit"), str(error), "")
    for name in one.stations if one.datum not in ("", "gauge_zero") else ():
        station = known.get(name)
        if station and (station.zero_elevation_m is None or one.datum != (station.datum if station.datum != "gauge_zero" else "msl")):
            yield Problem(row.where("datum"), f"{name} knows no datum {one.datum!r}", "leave it empty: the stage above the gauge's zero")


def _reader(row: ReaderRow) -> Reader:
    aliases = ((station.strip(), name.strip()) for station, _, name in (alias.partition("=") for alias in row.aliases))
    return Reader(
        row.id,
        row.name,
        row.language,
        row.stations,
        row.phone,
        _parameter(row.parameter) if row.parameter else None,
        row.unit,
        row.datum or "gauge_zero",
        tuple(aliases),
    )


def check(region: Region) -> list[Problem]:
    """What is wrong with the file, for ``warning check``."""
    return read(Path(region.folder), region)[1]


def by_phone(readers: tuple[Reader, ...]) -> Mapping[str, Reader]:
    """E.164 -> reader."""
    return {reader.phone: reader for reader in readers if reader.phone}


def e164(typed: str, country: str) -> str:
    """A number as an SMS centre, a clerk or a spreadsheet writes it (``0092300...``, ``0300...``, ``92300...``, with digits of any script)
    with + and the country's code. Without its 0 it is of the country only where it could be nobody else's: spreadsheets drop it.

    What is no number (a short code, a name) stays as it is.

    >>> [e164(one, "PK") for one in ("0300-1234567", "۰۳۰۰۱۲۳۴۵۶۷", "3001234567", "+92 0300 1234567", "8333", "9.23E+11")]
    ['+923001234567', '+923001234567', '+923001234567', '+923001234567', '8333', '9.23E+11']
    """
    digits = _digits(typed)
    if not re.fullmatch(r"\+[0-9]+|[0-9]{7,}", digits):
        return typed.strip()
    if digits[0] == "+":
        return _canonical(digits)
    if digits.startswith("00"):
        return _canonical("+" + digits[2:])
    own = f"+{phonenumbers.country_code_for_region(country)}{digits.removeprefix('0')}"
    abroad = "+" + digits
    return _canonical(own if digits[0] == "0" or (not _valid(abroad) and _valid(own)) else abroad)


def of_two_countries(typed: str, country: str) -> bool:
    """Without + and 0 it is a number of the country whose 0 a spreadsheet dropped, and one abroad as well: only its owner knows which.

    >>> [of_two_countries(one, "PK") for one in ("3211234567", "03211234567", "+3211234567", "3001234567", "923001234567")]
    [True, False, False, False, False]
    """
    digits = _digits(typed)
    if not re.fullmatch(r"[1-9][0-9]{6,}", digits):
        return False
    return _valid("+" + digits) and _valid(f"+{phonenumbers.country_code_for_region(country)}{digits}")


def _digits(typed: str) -> str:
    """Without what stands between them, of any script."""
    return "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in _BETWEEN.sub("", typed.strip().removeprefix("'")))


def _canonical(number: str) -> str:
    """Without the 0 that some leave after the country's code; what no plan knows stays."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_possible_number(parsed) else number


def _valid(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


def of_countries(phone: str, countries: Collection[str]) -> bool:
    """Whether a number in E.164 is of one of these countries (ISO 3166-1). Several share a code, as +1: then the numbering plan decides.

    >>> [of_countries("+14165550123", ("US",)), of_countries("+14165550123", ("CA",)), of_countries("8080", ("CA",))]
    [False, True, False]
    """
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return False
    if number.country_code not in [phonenumbers.country_code_for_region(each) for each in countries]:
        return False
    given_out = phonenumbers.region_code_for_number(number)
    return given_out is None or given_out in countries  # None: the plan does not know it yet
