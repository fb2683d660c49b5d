"""Commands by SMS that come twice, late, from abroad, or in masses: what a person said last holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keywords_house
import pytest
from keywords_house import OFFICER, VILLAGER, House, house
from readers_desk import PHONE
from test_readers_smpp import bound, said, until

from warning import config
from warning.dispatch import tables as ledger
from warning.errors import ConfigError, Unavailable
from warning.ingest.smpp_session import OK
from warning.ingest.two_way import MOST_ENROLLED
from warning.model import Level
from warning.people import tables as t
from warning.people.imports import merge
from warning.people.told import SmsJoin
from warning.people.vocabulary import REPLIES
from warning.region import Contact, Region, SmsRules

indus = keywords_house.indus
MINUTE = 60_000


def joins(at: House) -> list[str]:
    return [fact.outcome for fact in at.heard if isinstance(fact, SmsJoin)]


async def say(at: House, text: str, phone: str = VILLAGER, sent_ms: int | None = None) -> str:
    return await at.desk.sms.take(phone, text, sent_ms)


async def test_a_join_that_comes_again_after_the_stop_enrols_nobody(indus: Region, tmp_path: Path) -> None:
    """SMPP: the centre's deliver_sm_resp was lost, and no time stands in the message."""
    async with house(indus, tmp_path) as at:
        await say(at, "join Sukkur")
        at.desk.now_ms += MINUTE
        await say(at, "STOP")
        at.desk.now_ms += MINUTE
        assert REPLIES["en"]["stopped"] in await say(at, "join Sukkur")
        assert await at.enrolment.stopped(VILLAGER) and joins(at) == ["entered", "old"]
        at.desk.now_ms += MINUTE
        assert REPLIES["en"]["stopped"] in await say(at, "join Sukkur"), "the line broke again: the answer did not come to the centre"
        await at.desk.sms.delivered(VILLAGER)
        at.desk.now_ms += 5_000
        assert REPLIES["en"]["stopped"] in await say(at, "join Ghotki"), "nobody can have read the answer: another one of before the stop"
        await at.desk.sms.delivered(VILLAGER)
        at.desk.now_ms += MINUTE
        assert "warnings for Sukkur" in await say(at, "join Sukkur"), "asked, and said so again: a new word of his"
        assert not await at.enrolment.stopped(VILLAGER)


@pytest.mark.parametrize("other", ["help", "join Nowhere at all", "the water is coming"])
async def test_the_answer_to_something_else_does_not_say_that_the_centre_knows_we_have_the_join(
    indus: Region, tmp_path: Path, other: str
) -> None:
    """The line broke before the JOIN of before the stop was acknowledged; what he wrote then was answered over the next one."""
    async with house(indus, tmp_path) as at:
        await say(at, "join Sukkur")
        at.desk.now_ms += MINUTE
        await say(at, "STOP")
        at.desk.now_ms += MINUTE
        assert REPLIES["en"]["stopped"] in await say(at, "join Sukkur")
        at.desk.now_ms += MINUTE
        assert await say(at, other)
        await at.desk.sms.delivered(VILLAGER)
        at.desk.now_ms += MINUTE
        assert REPLIES["en"]["stopped"] in await say(at, "join Sukkur"), "once more, for it was never acknowledged"
        assert await at.enrolment.stopped(VILLAGER)
        await at.desk.sms.delivered(VILLAGER)
        at.desk.now_ms += MINUTE
        assert "warnings for Sukkur" in await say(at, "join Sukkur")


@pytest.mark.parametrize(("hours", "taken"), [(1, False), (30, False), (6 * 24, False), (8 * 24, True)])
async def test_a_join_without_a_time_long_after_the_stop_is_asked_about_too(indus: Region, tmp_path: Path, hours: int, taken: bool) -> None:
    """A centre brings an unacknowledged message again when its own timer runs out, hours later; a week later none does."""
    async with house(indus, tmp_path) as at:
        await say(at, "join Sukkur")
        await say(at, "STOP")
        at.desk.now_ms += hours * 60 * MINUTE
        for words in ("join Sukkur", "JOIN"):  # also one that we were never brought before
            await say(at, words)
            assert await at.enrolment.stopped(VILLAGER) is not taken
        if not taken:
            at.desk.now_ms += MINUTE
            day = 24 * 60 * MINUTE
            await say(at, "join Sukkur", sent_ms=at.desk.now_ms - 2 * day)  # a time that no centre gives is none
            assert await at.enrolment.stopped(VILLAGER)


async def test_a_join_that_waited_for_our_database_is_older_than_the_stop(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        enter = at.enrolment.enter

        async def away(*_: object) -> Contact:
            raise Unavailable("the database is away", reason="database", retry_after_s=5.0)

        at.enrolment.enter = away  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            await say(at, "join Sukkur")
        at.enrolment.enter = enter  # type: ignore[method-assign]
        at.desk.now_ms += MINUTE
        await say(at, "stop")
        at.desk.now_ms += MINUTE
        assert REPLIES["en"]["stopped"] in await say(at, "join Sukkur")
        assert await at.directory.by_phone(VILLAGER) == []


async def test_a_join_that_we_could_not_take_however_often_is_taken_in_the_end(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        enter = at.enrolment.enter

        async def busy(*_: object) -> Contact:
            raise Unavailable("a long import has the database", reason="database", retry_after_s=5.0)

        at.enrolment.enter = busy  # type: ignore[method-assign,assignment]
        for _ in range(MOST_ENROLLED + 1):  # Kannel asks every ten seconds
            with pytest.raises(Unavailable):
                await say(at, "join Sukkur")
            at.desk.now_ms += 10_000
        at.enrolment.enter = enter  # type: ignore[method-assign]
        assert "warnings for Sukkur" in await say(at, "join Sukkur") and joins(at) == ["entered"]


async def test_by_the_centres_own_time_it_is_old_for_ever_and_the_next_is_new(indus: Region, tmp_path: Path) -> None:
    """Kannel gives it: hours later as well, and in words that nobody heard yet."""
    async with house(indus, tmp_path) as at:
        written = at.desk.now_ms
        await say(at, "join Sukkur", sent_ms=written + MINUTE)
        await say(at, "stop", sent_ms=written + 2 * MINUTE)
        at.desk.now_ms += 5 * 60 * MINUTE
        for _ in range(2):
            await say(at, "join Ghotki", sent_ms=written)
            assert await at.enrolment.stopped(VILLAGER)
        await say(at, "join Ghotki", sent_ms=at.desk.now_ms - 1000)
        assert [one.districts for one in await at.directory.by_phone(VILLAGER)] == [("ghotki",)]
        assert joins(at) == ["entered", "old", "old", "entered"]


async def test_a_join_that_kannel_and_we_held_for_two_days_is_older_than_the_stop(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        written = at.desk.now_ms
        await say(at, "join Sukkur", sent_ms=written)
        at.desk.now_ms += 2880 * MINUTE
        await say(at, "stop")
        assert REPLIES["en"]["stopped"] in await at.desk.sms.take(VILLAGER, "join Ghotki", written, written + 1000)
        assert await at.enrolment.stopped(VILLAGER)


async def test_a_stop_of_before_the_join_silences_nobody_and_he_is_told(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        written = at.desk.now_ms
        await say(at, "stop", sent_ms=written)
        await say(at, "join Sukkur", sent_ms=written + MINUTE)
        assert REPLIES["en"]["back"] in await say(at, "stop", sent_ms=written)
        assert not await at.enrolment.stopped(VILLAGER)
        assert "no more warnings" in await say(at, "stop", sent_ms=written + 2 * MINUTE) and await at.enrolment.stopped(VILLAGER)


async def test_start_again_is_no_older_than_a_stop_of_another_way(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        await merge(at.directory, [Contact("o", "O", "official", "en", ("sukkur",), Level.LOW, OFFICER)], "file", 1, by="test")
        await say(at, "stop", OFFICER, at.desk.now_ms)
        assert REPLIES["en"]["stopped"] in await say(at, "join", OFFICER, at.desk.now_ms - MINUTE)
        assert await at.enrolment.stopped(OFFICER)
        assert "again" in await say(at, "join", OFFICER, at.desk.now_ms + MINUTE) and not await at.enrolment.stopped(OFFICER)


@pytest.mark.parametrize(
    ("phone", "taken"), [("+923001234567", True), ("+93701234567", False), ("+447400123456", False), ("+99910000050", True)]
)
async def test_only_numbers_of_the_regions_countries_join(indus: Region, tmp_path: Path, phone: str, taken: bool) -> None:
    async with house(indus, tmp_path) as at:
        answer = await say(at, "join Sukkur", phone)
        assert bool(answer) == taken == bool(await at.directory.by_phone(phone)) and joins(at) == ["entered" if taken else "foreign"]
        assert bool(await say(at, "status Sukkur", phone)) == taken, "an answer abroad costs, too"
        await say(at, "stop", phone)
        assert await at.enrolment.stopped(phone), "a stop counts from anywhere"


async def test_countries_are_the_regions_choice(indus: Region, tmp_path: Path) -> None:
    async with house(replace(indus, sms=SmsRules(("PK", "AF", "US"))), tmp_path) as at:
        answers = [
            await say(at, "join Sukkur", phone) for phone in ("+923001234567", "+93701234567", "+12015550123", "+14165550123", "8080")
        ]
        assert [bool(one) for one in answers[:4]] == [True, True, True, False], "Canada has the same +1"
        assert joins(at) == ["entered", "entered", "entered", "foreign"]


async def test_so_many_new_numbers_an_hour_and_the_next_is_told_when(indus: Region, tmp_path: Path) -> None:
    async with house(replace(indus, sms=SmsRules(joins_per_hour=3)), tmp_path) as at:
        phones = [f"+9230012345{number:02d}" for number in range(5)]
        answers = [await say(at, "join Sukkur", phone) for phone in phones]
        assert [REPLIES["en"]["later"] in one for one in answers] == [False, False, False, True, True]
        assert "Ghotki" in await say(at, "join Ghotki", phones[0]), "who is in already takes nobody's place"
        assert joins(at) == ["entered"] * 3 + ["hour_limit"] * 2 + ["entered"]
        await at.directory.tables.run(t.joins.update().values(hour=t.joins.c.hour - 1))
        assert "warnings for Sukkur" in await say(at, "join Sukkur", phones[3])


async def test_one_number_joins_so_often_a_day(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        for _ in range(MOST_ENROLLED + 2):
            await say(at, "join Sukkur")
        assert joins(at) == ["entered"] * MOST_ENROLLED + ["number_limit"] * 2


def test_a_country_that_is_none_is_named(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "indus"
    shutil.copytree(Path(__file__).parent.parent / "config" / "indus", folder)
    (folder / "region.yaml").write_text((folder / "region.yaml").read_text() + "\nsms: {countries: [PK, XX], joins_per_hour: 500}\n")
    with pytest.raises(ConfigError, match="XX is no country with telephone numbers"):
        config.load(folder)


async def test_by_smpp_a_join_after_a_stop_counts_when_the_centre_has_our_question(tmp_path: Path) -> None:
    """And with it our acknowledgement of what he wrote: that message does not come again."""
    async with bound(tmp_path) as (telecom, desk, running):
        at = House(desk.region, tmp_path, desk)
        running()._readers = desk.sms
        try:
            await at.ledger.run(ledger.plans.delete())
            for text in ("join Sukkur", "stop"):
                assert await telecom.say(said(text)) == OK
                desk.now_ms += 60_000
            for text, consent in (("join Sukkur", False), ("join Sukkur", True)):
                before = len(telecom.messages)
                assert await telecom.say(said(text)) == OK
                assert [one.consent for one in await at.directory.by_phone(PHONE)] == [consent]
                await until(lambda before=before: len(telecom.messages) > before)
                await until(lambda: not running()._later)
                desk.now_ms += 60_000
        finally:
            await at.close()
