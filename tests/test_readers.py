"""Gauge readers' SMS: whom it believes, what it answers, and what is remembered; readers.csv."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_house import two_basins
from readers_desk import GUDDU, MINUTE, PHONE, ROOT, SUKKUR, T0, clerk, desk, said
from regions import SERIES, edit, write_region

from warning import config, config_readers
from warning.config_readers import Reader, e164
from warning.errors import ConfigError, InputError, Unavailable
from warning.facts import DeviceHeard, Received
from warning.ingest import sms_in, sms_words
from warning.ingest.reader_memory import Memory
from warning.ingest.sms_grammar import read
from warning.ingest.sms_names import Names
from warning.model import Parameter
from warning.region import Region


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


async def test_taken_answered_and_in_the_log(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        answer = await at.take("Sukkur inflow 554,000 outflow 5,40,000 06:30")
        assert answer == " ".join(
            (
                "EXERCISE.",
                "Sukkur: inflow 554,000 cusec, 2 Sep 06:30. High Flood.",
                "Sukkur: outflow 540,000 cusec, 2 Sep 06:30. High Flood.",
            )
        )
        first, second = at.readings
        assert (first.station, first.parameter, first.value, first.provider) == (
            SUKKUR,
            Parameter.INFLOW,
            pytest.approx(15_687.533),
            "clerk",
        )
        assert (second.parameter, second.time_ms) == (Parameter.OUTFLOW, T0 - 270 * MINUTE)
        assert at.rejected == []
        assert DeviceHeard("clerk", "sms", T0) in at.facts
        assert [(one.accepted, one.status) for one in at.facts if isinstance(one, Received)] == [(2, 202)]


async def test_thousands_or_decimals_of_a_discharge_are_asked_wherever_it_says_that_it_is_one(tmp_path: Path) -> None:
    """Behind the number, or where nothing else is measured; the unit is the region's."""
    units = "\n".join(f"{line},{line.split(',')[2] if line[1] == ',' else 'feed_unit'}" for line in SERIES.splitlines())
    region = config.load(write_region(tmp_path, series=units.replace("D,outflow", "C,outflow")))
    async with desk(region, tmp_path, clerk(stations=("D", "C"), parameter=None, unit="")) as at:
        for text in ("Cedar 250.000 outflow", "Cedar outflow 250.000", "Dogwood 250.000"):
            assert "the number is not clear" in await at.take(text), text
        assert at.readings == [] and [one.reason for one in at.rejected] == ["value_type"] * 3
        for text in ("Dogwood 2.500 lakh", "Cedar 250000 outflow", "Cedar 3.250 level"):
            await at.take(text)
        assert [one.value for one in at.readings] == [pytest.approx(7079.2, abs=0.1)] * 2 + [3.25]


async def test_answered_in_urdu_within_two_sms(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path, clerk(language="ur")) as at:
        answer = await at.take("سکھر آمد ۵۵۴۰۰۰ کیوسک ۰۶:۳۰")
        assert answer == "مشق: سکھر: آمد 554,000 کیوسک، 2 ستمبر 06:30۔ اونچے درجے کا سیلاب۔"
        refused = await at.take("سلام جناب")
        assert refused == "مشق: نہیں لیا گیا: کوئی عدد نہیں۔ یوں لکھیں: سکھر آمد 250000 کیوسک 06:30"
        assert [one.reason for one in at.rejected] == ["field_missing"]
        assert max(sms_words.parts(answer), sms_words.parts(refused)) <= 2


async def test_a_refusal_shows_how_to_write_it_and_the_example_is_taken(indus: Region, tmp_path: Path) -> None:
    for language in ("en", "ur"):
        for station in indus.stations:
            reader = clerk(stations=(station.id,), language=language)
            example = sms_words.example(indus, reader)
            assert said(read(example, Names.of(indus, reader), reader.parameter))[0][0] == station.id, example
            answer = sms_words.refusal(indus, reader, InputError("x", reason="unit_missing", field="unit", fix="y"))
            assert answer.endswith(example) and sms_words.parts(answer) <= 2
    async with desk(indus, tmp_path) as at:
        for text, why in (("kotri 5", "you are not registered for that station"), ("sukkur 54.2", "which unit? cusec, ft, m")):
            assert await at.take(text) == f"EXERCISE. Not taken: {why}. Write: Sukkur inflow 250000 cusec 06:30".replace("m. W", "m. W")
        assert [one.reason for one in at.rejected] == ["station_forbidden", "unit_missing"]
        assert at.rejected[0].record == "kotri 5" and at.rejected[0].provider == "clerk"


async def test_one_good_one_bad_both_told(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        answer = await at.take("sukkur inflow 200000 stage 54 ft")
        assert answer.startswith("EXERCISE. Sukkur: inflow 200,000 cusec, 2 Sep 11:00. Low Flood. Not taken:")
        assert (len(at.readings), [one.reason for one in at.rejected]) == (1, ["parameter_not_at_station"])


async def test_many_readings_still_fit_two_sms(indus: Region, tmp_path: Path) -> None:
    stations = tuple(station.id for station in indus.stations[:6])
    async with desk(indus, tmp_path, clerk(stations=stations, language="ur")) as at:
        answer = await at.take(" ".join(f"{one} inflow {n}00000 outflow {n}00000" for n, one in enumerate(stations, 1)))
        assert len(at.readings) == 12
        assert sms_words.parts(answer) <= 2
        assert "12" in answer


async def test_the_centre_sends_it_again_after_a_crash_and_nothing_is_counted_twice(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        await at.take("Sukkur inflow 300000")
        await at.again()
        await at.take("Sukkur inflow 300000", minutes=20)
        assert [reading.time_ms for reading in at.readings] == [T0, T0], "one identity"
        await at.take("Sukkur inflow 300000", minutes=40)
        assert [reading.time_ms for reading in at.readings][2:] == [T0 + 60 * MINUTE], "an hour later it is another reading"


async def test_the_centres_own_time_counts_as_far_as_it_can_be_right(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        await at.take("Sukkur inflow 300000", sent_ms=T0 - 90 * MINUTE)
        await at.take("Sukkur inflow 301000", sent_ms=T0 + 30 * MINUTE)
        await at.take("Sukkur inflow 302000", sent_ms=0)
        assert [reading.time_ms - T0 for reading in at.readings] == [-90 * MINUTE, 0, 0]


async def test_nothing_is_taken_while_the_log_is_away(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        at.log.away = True
        for text, phone in (("Sukkur inflow 300000", PHONE), ("what", PHONE), ("hello", "+999555000111")):
            with pytest.raises(Unavailable):
                await at.take(text, phone)
        at.log.away = False
        await at.take("Sukkur inflow 300000", minutes=5)
        assert [reading.time_ms for reading in at.readings] == [T0], "of the moment when it was first heard"


async def test_a_message_that_waits_for_the_log_for_hours_is_of_when_it_was_first_heard(indus: Region, tmp_path: Path) -> None:
    """An SMS centre says no time of its own, and asks ever more seldom."""
    async with desk(indus, tmp_path) as at:
        at.log.away = True
        for minutes in (0, 10, 60, 120):
            with pytest.raises(Unavailable):
                await at.take("Sukkur inflow 300000", minutes=minutes)
        at.log.away = False
        await at.again()
        await at.take("Sukkur inflow 300000", minutes=170)
        assert [reading.time_ms for reading in at.readings] == [T0]
        await at.take("Sukkur inflow 300000", minutes=31)
        assert at.readings[1].time_ms == T0 + 391 * MINUTE, "the same words later are another reading"


async def test_a_value_far_off_the_last_is_taken_and_asked_about(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        await at.take("Sukkur inflow 54,200")
        answer = await at.take("Sukkur inflow 542,000", minutes=60)
        assert answer == (
            "EXERCISE. Sukkur: inflow 542,000 cusec, 2 Sep 12:00. Last was 54,200 cusec. If this is right answer YES, else send it again."
        )
        assert len(at.readings) == 2, "taken all the same"
        confirmed = await at.take("Yes", minutes=3)
        assert confirmed == "EXERCISE. Confirmed. Sukkur: inflow 542,000 cusec, 2 Sep 12:03. High Flood."
        assert at.readings[2].time_ms == T0 + 63 * MINUTE and at.readings[2].value == at.readings[1].value
        await at.again()
        await at.take("Yes", minutes=1)
        assert at.readings[3].time_ms == at.readings[2].time_ms, "the same yes, sent again"
        answer = await at.take("Sukkur inflow 540,000", minutes=60)
        assert "YES" not in answer, "the confirmed one is the last now"


async def test_yes_to_nothing_is_told(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        assert "there is nothing to confirm" in await at.take("ok")
        await at.take("Sukkur inflow 9000000")  # beyond what is plausible: asked without a last one
        assert "there is nothing to confirm" in await at.take("ok", minutes=31)
        assert [one.reason for one in at.rejected] == ["nothing_asked", "nothing_asked"]


async def test_each_question_has_its_own_yes(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        assert "YES" in await at.take("Sukkur inflow 9000000")
        await at.take("ok", minutes=1)
        assert "YES" in await at.take("Guddu inflow 9000000", minutes=1)
        await at.take("ok", minutes=1)
        assert [(one.station, one.time_ms - T0) for one in at.readings] == [
            (SUKKUR, 0),
            (SUKKUR, MINUTE),
            (GUDDU, 2 * MINUTE),
            (GUDDU, 3 * MINUTE),
        ]


async def test_an_ok_to_a_later_answer_is_no_yes_to_the_question_before_it(indus: Region, tmp_path: Path) -> None:
    """He mistyped, was asked, sent it right, and says thanks: the wrong value must not come back as one of now."""
    async with desk(indus, tmp_path) as at:
        await at.take("Sukkur inflow 54,200")
        assert "YES" in await at.take("Sukkur inflow 542,000", minutes=60)
        assert "YES" not in await at.take("Sukkur inflow 54,300", minutes=2)
        await at.again()
        assert "there is nothing to confirm" in await at.take("ok", minutes=1)
        assert [round(one.value * 35.3147, -2) for one in at.readings if one.value] == [54_200, 542_000, 54_300]


async def test_a_stranger_gets_one_answer_a_day_and_is_counted(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        other = "+999555000111"
        assert "not registered" in await at.take("SUKKUR 54.2 ft", other)
        assert await at.take("SUKKUR 54.2 ft", other, minutes=5) == ""
        await at.again()
        assert await at.take("hello", other, minutes=5) == "", "also after a restart"
        assert "درج نہیں" in await at.take("سکھر ۵۴", other, minutes=24 * 60)
        assert await at.take("win a prize", "PROMO") == "", "a name is no phone"
        assert at.readings == []
        assert {one.reason for one in at.rejected} == {"unregistered"} and len(at.rejected) == 5
        assert '"text":"SUKKUR 54.2 ft"' in at.rejected[0].record and other in at.rejected[0].record, "it can be replayed"
        [counted] = [content for name, _, content in await at.memory.all("stranger") if name == other]
        assert counted["messages"] == 4


async def test_strangers_cannot_make_us_send_without_end(indus: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms_in, "_MOST_STRANGERS", 5)
    async with desk(indus, tmp_path) as at:
        at.sms = at.made()
        answers = [await at.take("hi", f"+99955500{n:04}") for n in range(20)]
        assert [bool(answer) for answer in answers] == [True] * 5 + [False] * 15
        assert await at.take("hi", "+999555009999", minutes=24 * 60)


async def test_two_machines_do_not_answer_each_other_for_ever(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        answers = [await at.take(f"thank you for your message {n}") for n in range(40)]
        assert sum(map(bool, answers)) == 30
        assert len(at.rejected) == 40, "kept all the same"


async def test_while_the_database_is_away_readers_are_heard_and_strangers_wait(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        await at.memory.close()
        at.memory = Memory(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'x.db'}")
        at.sms = at.made()
        assert "Low Flood" in await at.take("Sukkur inflow 200000")
        await at.take("Sukkur inflow 200000", minutes=5)
        assert [reading.time_ms for reading in at.readings] == [T0, T0]
        assert await at.take("hello", "+999555000111") == "", "who could say whether it was answered today?"


async def test_a_long_message_is_refused_and_kept(indus: Region, tmp_path: Path) -> None:
    async with desk(indus, tmp_path) as at:
        assert "too long" in await at.take("sukkur " * 200)
        assert at.rejected[0].reason == "too_large"


def test_phone_numbers_as_centres_write_them() -> None:
    assert [e164(one, "PK") for one in ("+923001234567", "00923001234567", "03001234567", "923001234567", " +92 300-123 4567 ")] == [
        "+923001234567"
    ] * 5
    assert [e164(one, "PK") for one in ("8333", "PROMO", "")] == ["8333", "PROMO", ""]


# --- readers.csv


def test_readers_are_read(tmp_path: Path) -> None:
    region = two_basins(tmp_path)
    path = Path(region.folder) / "readers.csv"
    assert config_readers.load(region.folder, region) == ()
    path.write_text(
        "id,name,phone,language,stations,parameter,unit,datum,aliases\n"
        "r1,Reader,+99910000101,ur,A|B,stage,ft,,A=Old mill|B=Ferry\n"
        "r2,Form only,,en,D,,,,\n",
        "utf-8",
    )
    first, second = config_readers.load(region.folder, region)
    assert first == Reader(
        "r1", "Reader", "ur", ("A", "B"), PHONE, Parameter.STAGE, "ft", "gauge_zero", (("A", "Old mill"), ("B", "Ferry"))
    )
    assert (second.phone, second.parameter) == ("", None)


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    region = two_basins(tmp_path)
    (Path(region.folder) / "readers.csv").write_text(
        "id,name,phone,language,stations,parameter,unit,datum,aliases\n"
        "r1,Reader,0300123,en,A|X,,,,\n"
        "r1,Reader,+99910000101,en,D,stage,m,,\n"
        "r2,Reader,+99910000101,english,A,stage,cusec,,B=x\n"
        "r3,Reader,,en,A,,ft,msl,\n"
        "r4,Reader,,en,A,depth,,,\n"
        "r5,Reader,,en,A|B,,,,A=Old mill|B=old Mill\n",
        "utf-8",
    )
    with pytest.raises(ConfigError) as told:
        config_readers.load(region.folder, region)
    shown = "\n".join(map(str, told.value.problems))
    for words in (
        "readers.csv:2 (stations): no station 'X'",
        "readers.csv:2 (phone): '0300123' is no international number",
        "readers.csv:3 (id): r1 stands twice",
        "readers.csv:3 (parameter): none of his stations has stage (they have: inflow, outflow",
        "readers.csv:4 (language)",
        "readers.csv:5 (unit): ft of what?",
        "readers.csv:5 (datum): A knows no datum 'msl'",
        "readers.csv:6 (parameter): 'depth' is not a parameter",
        "readers.csv:7 (aliases): 'old Mill' is two stations (a name of its own for A and B)",
    ):
        assert words in shown, shown


def test_a_station_shared_with_elevations(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    assert edit(folder, "region", "country: PK", "country: PK")  # the region as it is
    region = config.load(folder)
    (folder / "readers.csv").write_text("id,name,language,stations\nr1,Reader,en,A\n", "utf-8")
    assert config_readers.load(folder, region)[0].datum == "gauge_zero"
