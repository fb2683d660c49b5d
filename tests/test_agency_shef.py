"""SHEF of the US National Weather Service: what real messages say, and what is made of wrong ones."""

from __future__ import annotations

import re
from typing import Any

import pytest
from agency_said import SHIPPED, WAYS, items, shown, understood

from warning.config_agency import Meaning
from warning.config_sources import Theirs
from warning.errors import InputError
from warning.ingest import shef
from warning.ingest.formats import Item
from warning.ingest.pushed import parsers


def test_shef_a_and_e_with_two_sensors_of_one_stage() -> None:
    """MFBW4 sends HGIRG and HGIR2 for the same times, 0.82 ft apart: never revisions of each other."""
    found = understood("shef", "shef/mixed_AE.txt", {"MFBW4": "A"})
    stages = [part for part in found.parts if isinstance(part.item, InputError) or part.item.parameter == "stage"]
    assert [shown(part) for part in stages] == [
        *(
            ("A", "stage", f"2021-09-{time}:00+00:00", 5.06, "ft", "gauge_zero")
            for time in ("19T23:15", "19T23:30", "19T23:45", "20T00:00")
        ),
        *(["ambiguous"] * 4),
    ]
    chosen = understood("shef", "shef/mixed_AE.txt", {"MFBW4": Theirs("A", parameters={"HGIRG": Meaning()})})
    assert {one[3] for one in items(chosen) if one[1] == "stage"} == {5.88}


def test_shef_b_with_its_own_times_and_lines_that_lost_their_station() -> None:
    found = understood("shef", "shef/RR1LCH.txt", {"BKLT2": Theirs("A", datum="msl", parameters={"HP": Meaning("stage")})})
    right = [shown(part) for part in found.parts if isinstance(part.item, Item)]
    assert [(one[3], one[2][-14:]) for one in right[:2]] == [(167.64, "14:15:00+00:00"), (167.65, "14:30:00+00:00")]
    assert {one[4:] for one in right} == {("ft", "msl")} and len(right) == 16
    wrong = [part for part in found.parts if isinstance(part.item, InputError)]
    assert len(wrong) == 16 and {shown(part) for part in wrong} == {"malformed"}
    assert wrong[0].source == b".B LCH 1110 Z DH1810/HGIRZ/HPIRZ\nDM11101330/43.50/"


def test_shef_forecasts_and_extremes_are_no_readings() -> None:
    """LKWF1's values are XTIDE's predictions (type F); of AESI4 the day's maximum and minimum go with the temperature."""
    assert understood("shef", "shef/E.txt", {"LKWF1": Theirs("A", parameters={"HC": Meaning("stage")})}).parts == []
    found = items(understood("shef", "shef/A.txt", {"AESI4": "A"}))
    assert [one[1:] for one in found] == [
        ("temperature", "2021-09-10T11:00:00+00:00", 53.0, "F", ""),
        ("stage", "2021-09-10T11:00:00+00:00", 9.12, "ft", "gauge_zero"),
    ]


def test_a_shef_message_that_cannot_be_read_is_refused_with_its_text_and_the_next_is_read() -> None:
    text = b".A ABCDE 20210920 Z DH0000/HGIRG x.y\n.A FGHIJ 20210920 Z DH0000/HGIRG 2.20\n.A KLMNO 2021092 Z\n"
    found = understood("shef", text, {"ABCDE": "A", "FGHIJ": "B", "KLMNO": "C"})
    assert [shown(part) if isinstance(part.item, Item) else (part.item.reason, part.source) for part in found.parts] == [
        ("malformed", b".A ABCDE 20210920 Z DH0000/HGIRG x.y"),
        ("B", "stage", "2021-09-20T00:00:00+00:00", 2.2, "ft", "gauge_zero"),
        ("malformed", b".A KLMNO 2021092 Z"),
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in (WAYS / "shef").glob("*.txt") if path.name != "SOURCE.txt"))
def test_every_real_shef_message_is_accounted_for(name: str) -> None:
    """Pushed, so that nothing is left out: every line that begins a message is a reading, a refusal with its text, or both."""
    body = (WAYS / "shef" / name).read_bytes()
    try:
        parts = parsers(SHIPPED)["text/x-shef"](body)
    except InputError as error:
        assert error.reason == "format" and name == "RRMSGX.txt"  # a table for people, without SHEF
        return
    text = b" ".join(part.source for part in parts).decode()
    heads = [line.split("/")[0][:24] for line in body.decode("latin1").splitlines() if re.match(r"\.[ABE]R?\s", line, re.I)]
    assert heads and all(head in text for head in heads)


def test_a_shef_value_that_its_own_sender_rejects_is_no_reading() -> None:
    head = b".A OAK1 20210920 Z DH00"
    text = head + b"00/HGIRG 99.20R/QR 1.5B\n" + head + b"15/DQR/HGIRG 99.20\n" + head + b"30/HGIRG 2.20E\n"
    parts = parsers(SHIPPED)["text/x-shef"](text)
    assert [shown(part) if isinstance(part.item, InputError) else part.item.value for part in parts] == [*["not_observed"] * 3, 2.2]
    pulled = understood("shef", text, {"OAK1": "A"})
    assert [one[3] for one in items(pulled)] == [2.2] and sum(pulled.others.values()) == 3, "counted"


def test_shef_of_which_the_library_makes_nothing() -> None:
    """Found by mutation: it gives a record without a value."""
    found = understood("shef", b".A KLY_4 20210920 DH0000/TAIRG 33.010919 DH2T315/TAIRG//HMIFEZ/DIH1/\n", {"KLY_4": "A"})
    assert all(isinstance(part.item, InputError) or part.item.value is not None for part in found.parts)


def test_shef_in_small_letters_and_what_the_library_cannot_even_cut_into_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b".a FGHIJ 20210920 Z DH0000/HGIRG 2.20\n.e KLMNO 20210920 Z DH0000/HGIRG/DIH1/1.0/2.0\n"
    found = understood("shef", text, {"FGHIJ": "A", "KLMNO": "B"})
    assert [one[3] for one in items(found)] == [2.2, 1.0, 2.0]

    def broken(self: Any) -> str:
        raise KeyError("a")

    monkeypatch.setattr(shef._parser_class(), "get_next_message", broken)
    with pytest.raises(InputError, match="no SHEF message"):
        understood("shef", b".A FGHIJ 20210920 Z DH0000/HGIRG 2.20\n", {"FGHIJ": "A"})


def test_a_long_shef_table_is_read_in_runs_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library takes time with the square of a table's lines: 20 MB of them would hold a source up for days."""
    rows = "".join(f"SITE{number} {number / 100:.2f}/ {number}\n" for number in range(450))
    text = f".B OAK 20210920 Z DH12/HGIRG\n.B1 /QRIRG\n{rows}.END\n.A TAIL 20210920 Z DH0000/HGIRG 7.00\n".encode()
    found = shef.read(text)
    assert len(found) == 901 and found[-1].station == "TAIL" and not any(one.wrong for one in found)
    monkeypatch.setattr(shef, "_MOST_LINES", 1_000_000)
    assert found == shef.read(text)


def test_a_shef_text_that_takes_too_long_is_refused_from_there_on() -> None:
    text = b"".join(b".A SITE%d 20210920 Z DH0000/HGIRG 1.00\n" % number for number in range(5))
    first, rest = shef.read(text, within_s=0.0)
    assert (first.station, first.wrong) == ("SITE0", None)
    assert rest.wrong is not None and "not read" in str(rest.wrong)
    assert [rest.source.count(b"SITE%d " % number) for number in range(5)] == [0, 1, 1, 1, 1], "it is kept, all of it"
