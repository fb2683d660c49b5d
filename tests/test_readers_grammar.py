"""What gauge readers write, and what is refused and never guessed."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readers_desk import GUDDU, JASSAR, ROOT, SUKKUR, T0, clerk, said

from warning import config
from warning.errors import InputError
from warning.ingest import sms_in
from warning.ingest.sms_grammar import number, read
from warning.ingest.sms_names import Names, distance, folded
from warning.model import Parameter
from warning.region import Region


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


@pytest.fixture(scope="module")
def names(indus: Region) -> Names:
    return Names.of(indus, clerk(aliases=(("IND-GUDDU", "Lower barrage"),)))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("SUKKUR 54.2 ft", [(SUKKUR, "", 54.2, "ft")]),
        ("sukkur 54,2 feet", [(SUKKUR, "", 54.2, "ft")]),
        ("سکھر ۵۴٫۲ فٹ", [(SUKKUR, "", 54.2, "ft")]),
        ("سکھر ٥٤٫٢ فٹ", [(SUKKUR, "", 54.2, "ft")]),  # Arabic-Indic digits
        ("سكهر ۵۴۔۲ فٹ ۔", [(SUKKUR, "", 54.2, "ft")]),  # Arabic kaf and heh, the full stop as decimal mark
        ("\u200fسکھر\u200f ۵۴٫۲ فٹ", [(SUKKUR, "", 54.2, "ft")]),  # marks of direction
        ("Sukur 54.2ft", [(SUKKUR, "", 54.2, "ft")]),  # misspelt, no blank
        ("ind-sukkur: 54.2 ft.", [(SUKKUR, "", 54.2, "ft")]),
        ("54.2 ft", [("", "", 54.2, "ft")]),
        ("Salam sir, Sukkur level is 54.2 ft", [(SUKKUR, "stage", 54.2, "ft")]),
        ("lower barrage 3 m", [(GUDDU, "", 3.0, "m")]),
        ("sukkur -0.3 m", [(SUKKUR, "", -0.3, "m")]),
        ("sukkur −0.3 m", [(SUKKUR, "", -0.3, "m")]),
        ("sukkur 554,000", [(SUKKUR, "", 554_000.0, "")]),
        ("sukkur 5,54,000", [(SUKKUR, "", 554_000.0, "")]),
        ("sukkur 5.54 lakh cusecs", [(SUKKUR, "", 554_000.0, "cusec")]),
        ("سکھر ۵٫۵۴ لاکھ کیوسک", [(SUKKUR, "", 554_000.0, "cusec")]),
        ("sukkur 554 hazar kusik", [(SUKKUR, "", 554_000.0, "cusec")]),
        ("sukkur inflow 554,000 outflow 540,000", [(SUKKUR, "inflow", 554_000.0, ""), (SUKKUR, "outflow", 540_000.0, "")]),
        ("سکھر آمد ۵۵۴۰۰۰ اخراج ۵۴۰۰۰۰ کیوسک", [(SUKKUR, "inflow", 554_000.0, ""), (SUKKUR, "outflow", 540_000.0, "cusec")]),
        ("sukkur 554000 inflow", [(SUKKUR, "inflow", 554_000.0, "")]),
        ("Sukkur 54.2 ft, Guddu 61 ft", [(SUKKUR, "", 54.2, "ft"), (GUDDU, "", 61.0, "ft")]),
        ("RAV-JASSAR 3 m", [(JASSAR, "", 3.0, "m")]),
        ("jassar 3 m", [(JASSAR, "", 3.0, "m")]),  # another Jassar is not his
        ("sukkur rain 12 milli meter", [(SUKKUR, "rain", 12.0, "mm")]),
        ("sukkur 2500 m³/s", [(SUKKUR, "", 2500.0, "m3/s")]),
    ],
)
def test_what_readers_write(names: Names, text: str, want: object) -> None:
    assert said(read(text, names, Parameter.INFLOW)) == want


@pytest.mark.parametrize(
    ("text", "reason", "field"),
    [
        ("", "field_missing", "value"),
        ("sukkur", "field_missing", "value"),
        ("hello world", "station_unknown", "station"),
        ("kotri 5 ft", "station_forbidden", "station"),
        ("jasar 3 m", "station_unknown", "station"),  # either Jassar
        ("sukkur5 42 ft", "station_unknown", "station"),  # perhaps 542
        ("sukkur 5 furlong", "unit_unknown", "unit"),
        ("sukkur 54.2", "unit_missing", "unit"),  # he sends inflow: nobody writes a tenth of a cusec
        ("sukkur 554.000 cusec", "value_type", "value"),
        ("sukkur 1,234 ft", "value_type", "value"),
        ("sukkur 1.234,5 ft", "value_type", "value"),
        ("sukkur 1.2.3 ft", "value_type", "value"),
        ("sukkur 3 4", "value_type", "value"),
        ("sukkur 06.30 ft", "value_type", "value"),
        ("sukkur 5 ft 4 in", "value_type", "value"),
        ("guddu sukkur 3 ft", "field_missing", "value"),
        ("sukkur inflow outflow 3", "value_type", "value"),
        ("sukkur inflow 3 outflow", "value_type", "value"),
        ("sukkur 3 ft 25:10", "time_format", "time"),
        ("sukkur 3 ft yesterday", "time_format", "time"),
        ("sukkur 3 ft 06:30 07:30", "time_format", "time"),
        ("sukkur 3 ft 13:30 pm", "time_format", "time"),
        ("sukkur 3 ft 2025-09-02", "time_format", "time"),
        ("sukkur 2/9 ft", "malformed", ""),
        ("sukkur 54²", "unit_unknown", "unit"),  # not 542
        ("sukkur " + "9" * 40, "value_type", "value"),
        ("sukkur 1e400 ft", "unit_unknown", "unit"),
        (" ".join(f"sukkur {word} {n}" for n, word in enumerate(["inflow"] * 13)), "value_type", "value"),
    ],
)
def test_what_is_refused_and_never_guessed(names: Names, text: str, reason: str, field: str) -> None:
    with pytest.raises(InputError) as refused:
        print(read(text, names, Parameter.INFLOW))
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.fix


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("sukkur 3 ft 06:30", "2025-09-02T06:30+05:00"),
        ("sukkur 3 ft ۰۶:۳۰", "2025-09-02T06:30+05:00"),
        ("sukkur 3 ft 6:30 am", "2025-09-02T06:30+05:00"),
        ("sukkur 3 ft 12:10 am", "2025-09-02T00:10+05:00"),
        ("18:30 sukkur 3 ft", "2025-09-01T18:30+05:00"),  # not yet today: the last one that has been
        ("sukkur 3 ft 11:04", "2025-09-02T11:04+05:00"),  # a phone's clock that is four minutes ahead
        ("sukkur 3 ft yesterday 06:30", "2025-09-01T06:30+05:00"),
        ("سکھر ۳ فٹ کل ۱۸:۳۰", "2025-09-01T18:30+05:00"),
        ("sukkur 3 ft 2025-08-30 06:30", "2025-08-30T06:30+05:00"),
        ("sukkur 3 ft", "2025-09-02T11:00+05:00"),
    ],
)
def test_when_it_was(names: Names, text: str, want: str) -> None:
    at = sms_in.moment(read(text, names).when, T0, 5 * 3600)
    assert at == datetime.fromisoformat(want)
    assert at.utcoffset() == timedelta(hours=5)


def test_a_date_that_does_not_exist_is_refused(names: Names) -> None:
    with pytest.raises(InputError, match="no date 2025-02-30"):
        sms_in.moment(read("sukkur 3 ft 2025-02-30 06:30", names).when, T0, 0)


def test_yes_alone_is_a_message(names: Names) -> None:
    for text in ("YES", "ok", "ہاں", "جی ہاں", "Ji haan."):
        assert read(text, names) == replace(read("ok", names))
    assert read("sukkur 3 ft ok", names).confirmed


def test_spellings() -> None:
    assert folded("Chak Āmru") == "chakamru"
    assert folded("سکھر") == folded("سكهر")
    assert [distance("sukkur", other, 2) for other in ("sukkur", "sukur", "skukur", "sakkor", "guddu", "sukkurabad")] == [0, 1, 1, 2, 3, 3]


def test_numbers() -> None:
    assert number("12,34,567.5", whole=False) == 1_234_567.5
    assert number("0.5", whole=False) == 0.5
    assert number("554000", whole=True) == 554_000


SAID = "sukkur guddu سکھر گدو jassar 54.2 ۵۴٫۲ 5,54,000 - . , 06:30 yesterday کل inflow آمد cusec ft فٹ lakh ok 2025-09-02 -999 1e9 ٫ ۔ 0"
WORDS = st.sampled_from(SAID.split(" "))
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(WORDS, max_size=14).map(" ".join),
    st.lists(st.one_of(WORDS, st.text(string.printable, max_size=4)), max_size=14).map("".join),
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Nothing but InputError; a value that comes out stands in the text, and so does its station, by some name."""
    region = NAMED[0]
    try:
        message = read(text, region, Parameter.INFLOW)
        at = sms_in.moment(message.when, T0, 5 * 3600)
    except InputError as error:
        assert error.reason.isidentifier() and error.field in ("", "station", "parameter", "value", "unit", "time")
        return
    assert message.readings or message.confirmed
    assert at.tzinfo is not None
    for one in message.readings:
        assert one.value == one.value and abs(one.value) < 1e21
        assert one.station in ("", SUKKUR, GUDDU, JASSAR)
        digits = "".join(letter for letter in one.written if letter.isdigit())
        plain = "".join(str(int(letter)) for letter in text if letter.isdecimal())
        assert digits in plain, "a number that nobody wrote"


NAMED = [Names.of(config.load(ROOT / "config" / "indus"), clerk())]
