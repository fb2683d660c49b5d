"""Keywords by SMS: what becomes of them in SQL, by SMPP and Kannel too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import keywords_house
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from alert_region import T0, H
from channel_postgres import postgres
from ingest_house import deployment
from keywords_house import OFFICER, VILLAGER, House, event_of, house
from readers_desk import PHONE
from test_readers_smpp import bound, said, until

from warning import wiring_readers
from warning.alerts.rules import CallOff
from warning.dispatch import tables as ledger
from warning.errors import Unavailable
from warning.ingest import kannel_in
from warning.ingest.kannel_held import Held
from warning.ingest.kannel_in import KannelIn
from warning.ingest.keys import KeyStore
from warning.ingest.reader_memory import Memory
from warning.ingest.smpp_session import OK, TRY_AGAIN
from warning.ingest.two_way import MOST_ANSWERS, MOST_ENROLLED, MOST_TO_STRANGERS
from warning.model import AlertEvent, EventKind, Level, Status
from warning.people.acknowledged import Acknowledgements
from warning.people.consent import history
from warning.people.directory import Directory
from warning.people.imports import CONFIG, merge
from warning.people.replies import Replies, own_name
from warning.people.standing import InForce
from warning.people.tables import address
from warning.people.vocabulary import REPLIES
from warning.proof.codes import code_of
from warning.proof.decisions import Standing as Decided
from warning.region import Contact, Region

indus = keywords_house.indus


async def test_subscribe_is_told_and_stop_ends_it_for_good(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        assert await at.say("join Sukkur") == "EXERCISE. You will get flood warnings for Sukkur. To end them write STOP."
        [contact] = await at.directory.by_phone(VILLAGER)
        assert (contact.role, contact.districts, contact.language, contact.live) == ("public", ("sukkur",), "en", True)
        event, zone = event_of(indus, "IND-GUDDU", Level.HIGH, at.desk.now_ms), indus.zone_by_id["IND-GUDDU"]
        chunks = [one.id async for chunk in at.directory.concerned(event, zone) for one in chunk]
        assert contact.id in chunks
        assert "Ghotki" in await at.say("شامل Ghotki") and (await at.directory.by_phone(VILLAGER))[0].districts == ("sukkur", "ghotki")
        said = await at.say("STOP")
        assert said.startswith("EXERCISE. You will get no more warnings") and "JOIN" in said
        assert await at.say("stop") == await at.say("بند") == ""  # confirmed once
        assert [one.consent for one in await at.directory.by_phone(VILLAGER)] == [False]
        assert not [one async for chunk in at.directory.concerned(event, zone) for one in chunk if one.phone == VILLAGER]
        again = Contact("v", "V", "public", "en", ("sukkur",), Level.LOW, VILLAGER)
        await merge(at.directory, [again], CONFIG, at.desk.now_ms, by="test")
        assert [one.consent for one in await at.directory.by_phone(VILLAGER)] == [False, False], "a file brings nobody back"
        assert "again" in await at.again("JOIN")
        assert all(one.consent for one in await at.directory.by_phone(VILLAGER))
        words = [(one.given, one.how, one.by) for one in await history(at.directory, [VILLAGER])]
        assert words[0] == (True, "sms", VILLAGER) and (False, "sms", VILLAGER) in words and words[-1][0]
        assert at.desk.rejected == [] and at.desk.readings == []


async def test_a_number_that_never_was_here_can_say_stop(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        assert "no more warnings" in await at.say("stop")
        await merge(at.directory, [Contact("v", "V", "public", "en", ("sukkur",), Level.LOW, VILLAGER)], "file", 1, by="test")
        assert [one.consent for one in await at.directory.by_phone(VILLAGER)] == [False]


async def test_stop_ends_the_places_so_that_there_is_room_for_others(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        for district in [*indus.district_by_id][:5]:
            await at.enrolment.enter(VILLAGER, (district,), "en", at.desk.now_ms)
        sixth = [*indus.district_by_id][5]
        assert "STOP" in await at.say(f"join {sixth}") and len((await at.directory.by_phone(VILLAGER))[0].districts) == 5
        await at.say("stop")
        assert "You will get flood warnings for" in await at.again(f"join {sixth}")
        assert [one.districts for one in await at.directory.by_phone(VILLAGER)] == [(sixth,)], "what was stopped did not begin again"


async def test_a_number_stands_in_no_contacts_id(indus: Region, tmp_path: Path) -> None:
    """Ids stand in logs, receipts and the links of messages."""
    async with house(indus, tmp_path) as at:
        await asyncio.gather(*(at.say(f"join {place}") for place in ("Sukkur", "Ghotki", "Sukkur")))
        [contact] = await at.directory.by_phone(VILLAGER)
        assert VILLAGER[1:] not in contact.id + contact.name and set(contact.districts) == {"sukkur", "ghotki"}


async def test_join_and_its_consent_are_one(indus: Region, tmp_path: Path) -> None:
    """A crash in between leaves neither a word without a contact nor a contact whose stop was lost."""
    async with house(indus, tmp_path) as at:
        await at.say("stop")
        await at.say("join Sukkur")  # asked about
        await at.desk.sms.delivered(VILLAGER)
        at.desk.now_ms += 60_000

        async def dies(*_: object) -> None:
            raise Unavailable("killed", reason="database", retry_after_s=5.0)

        at.enrolment._write = dies  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            await at.say("join Sukkur")
        assert await at.enrolment.stopped(VILLAGER)


async def test_nothing_is_chosen_for_anybody(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        assert "Which place?" in await at.say("join") and "Which place?" in await at.say("join Atlantis")
        assert "(sukkur)" in await at.say("join Sukur"), "asked about, not taken"
        assert await at.directory.by_phone(VILLAGER) == []
        village = {"village": "Goth Ahmed", "lat": 27.7, "lon": 68.9}
        first = replace(Contact("a", "A", "official", "en", ("sukkur",), Level.LOW, "+99910000071"), **village)
        await merge(at.directory, [first], "file", 1, by="test")
        assert "Goth Ahmed" in await at.say("join goth ahmed")
        [made] = await at.directory.by_phone(VILLAGER)
        assert (made.village, made.districts, made.lat) == ("Goth Ahmed", ("sukkur",), 27.7)
        await at.say("join ghotki")
        assert "warnings for Goth Ahmed" in await at.say("join Goth Ahmed", "+923001234565"), "his other district is not the village's"
        await merge(at.directory, [replace(first, id="b", phone="+99910000072", districts=("ghotki",))], "file", 1, by="test")
        assert "Which one" in await at.say("join goth ahmed", "+923001234568"), "two villages of that name"


async def test_who_an_office_entered_is_moved_by_the_office(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        await merge(at.directory, [Contact("o", "O", "official", "ur", ("sukkur",), Level.LOW, OFFICER)], CONFIG, 1, by="test")
        assert await at.say("شامل گھوٹکی", OFFICER) == "مشق: " + REPLIES["ur"]["office"]
        assert await at.say("زبان English", OFFICER) == "EXERCISE. From now on we write to you in English."
        [officer] = await at.directory.by_phone(OFFICER)
        assert (officer.language, officer.districts) == ("en", ("sukkur",))
        await at.say("stop", OFFICER)
        assert "again" in await at.again("join Ghotki", OFFICER), "only he can take back what he said"
        assert [one.consent for one in await at.directory.by_phone(OFFICER)] == [True]
        unwanted = Contact("u", "U", "official", "en", ("sukkur",), Level.LOW, "+99910000043", consent=False)
        await merge(at.directory, [unwanted], "file", 1, by="test")
        assert REPLIES["en"]["office"] in await at.say("join", "+99910000043"), "no promise that does not hold"


async def test_a_draft_language_is_remembered_and_the_public_told_in_urdu(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        await at.say("join Sukkur")
        assert await at.say("LANGUAGE Pashto") == "مشق: " + REPLIES["ur"]["language"].format(language=own_name("ur"))
        assert [one.language for one in await at.directory.by_phone(VILLAGER)] == ["ps"]
        assert await at.say("حالت") == (await at.say("status")) != ""
        reviewed = Replies(replace(indus, reviewed_languages=("ps",)), "ps")
        assert reviewed.say("noted").endswith(REPLIES["ps"]["noted"])


async def test_status_is_what_is_in_force_and_no_warning_is_no_all_clear(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        now = at.desk.now_ms
        nothing = await at.say("status Sukkur")
        assert "Sukkur: no warning in force (2 Sep 11:00)" in nothing and "If you see the water rise, go to high ground" in nothing
        event = event_of(indus, "IND-SUKKUR", Level.HIGH, now - H)
        await at.entered(event)
        approving = replace(indus, alert=replace(indus.alert, approve_from=Level.HIGH, approve_within_s=10 * 3600))
        at.standing._region = approving
        assert await at.say("status Sukkur") == nothing, "what waits for a person is nobody's business"
        await at.entered(event_of(indus, "IND-GUDDU", Level.LOW, now - H))
        assert "Guddu" in await at.say("status Sukkur", "+923001234568") and "High" not in await at.say("status Sukkur", "+923001234568")
        at.standing._region = indus
        text = await at.say("status Sukkur", "+923001234569")
        secret = await at.register.secret()
        assert "High Flood at Sukkur" in text and code_of(secret, event.alert.identifier) in text and text.endswith("Guddu: Low Flood")
        await at.say("join Sukkur", "+923001234570")
        assert "Low Flood at Guddu" in await at.say("status", "+923001234570")
        at.desk.now_ms = event.alert.expires_ms + 1
        await at.follows(at.desk.now_ms, at.desk.now_ms)
        assert "no warning in force" in await at.say("status Sukkur", "+923001234571")


async def test_status_is_not_known_where_nobody_follows_and_says_since_when(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        now = at.desk.now_ms
        for alerts_ms, hazards_ms, said in ((now - 2 * H, now, "9:00"), (now, now - 2 * H, "9:00"), (now + H, now, "11:00")):
            await at.follows(alerts_ms, hazards_ms)
            text = await at.say("status Sukkur")
            assert "NOT KNOWN" in text and said in text and "no warning in force" not in text, said
        await at.ledger.run(ledger.pulses.delete())
        assert "NOT KNOWN" in await at.say("status Sukkur"), "none has followed since"
        await at.entered(event_of(indus, "IND-SUKKUR", Level.HIGH, now - H))
        assert "High Flood at Sukkur" in await at.say("status Sukkur", "+923001234568"), "what was known to hold holds"


async def test_status_of_a_village_is_that_of_its_districts_and_of_the_area_that_it_lies_in(indus: Region, tmp_path: Path) -> None:
    zone = indus.zone_by_id["IND-GUDDU"]
    corners = ((28.0, 69.0), (28.0, 70.0), (29.0, 70.0), (29.0, 69.0))
    region = replace(indus, zones=tuple(replace(one, polygon=corners) if one is zone else one for one in indus.zones))
    away = next(one for each in region.zones for one in each.districts if one not in zone.districts)
    async with house(region, tmp_path) as at:
        head = Contact("h", "Head", "official", "en", (away,), Level.LOW, "+99910000044", village="Bachal Shah", lat=28.5, lon=69.5)
        await merge(at.directory, [head], "file", 1, by="test")
        assert "Bachal Shah: no warning in force" in await at.say("status bachal shah")
        await at.entered(event_of(region, "IND-GUDDU", Level.HIGH, at.desk.now_ms - H))
        assert "High Flood at Guddu" in await at.say("status Bachal Shah")
        assert "High Flood at Guddu" in await at.say("status", "+99910000044"), "he is warned of it, so he is told of it"


async def test_an_exercise_of_before_is_nobodys_warning(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        await at.told(event_of(indus, "IND-SUKKUR", Level.EXCEPTIONAL, at.desk.now_ms - H))
        at.two_way._region = replace(indus, status=Status.ACTUAL)
        assert "no warning in force" in await at.say("status Sukkur")


async def test_a_chain_that_ended_is_not_in_force(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        event = event_of(indus, "IND-SUKKUR", Level.HIGH, at.desk.now_ms - H)
        await at.told(event)
        end = msgspec.structs.replace(event.alert, revision=1, kind=EventKind.CLEAR, level=Level.NORMAL)
        end = msgspec.structs.replace(end, identifier=event.alert.identifier[:-1] + "1")
        await at.told(AlertEvent(alert=end, cap="", config="", code=""))
        assert await at.standing.of(["IND-SUKKUR"], at.desk.now_ms) == InForce(()) == await at.standing.of([], at.desk.now_ms)


async def test_what_a_person_called_off_is_not_in_force(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        event = event_of(indus, "IND-SUKKUR", Level.HIGH, at.desk.now_ms - H)
        await at.entered(event)
        [there] = (await at.standing.of(["IND-SUKKUR"], at.desk.now_ms)).events
        off = CallOff(event.alert.identifier.rpartition(".")[0], Level.HIGH, "Chief", at.desk.now_ms - 1)

        async def standing(now_ms: int) -> Decided:
            return Decided(call_offs=(off,))

        at.standing._decisions.standing = standing  # type: ignore[method-assign]
        assert there == event and await at.standing.of(["IND-SUKKUR"], at.desk.now_ms) == InForce(())


async def test_a_code_is_confirmed_by_sms_and_a_forged_one_named(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        event = event_of(indus, "IND-SUKKUR", Level.HIGH, at.desk.now_ms - H)
        await at.told(event)
        code = code_of(await at.register.secret(), event.alert.identifier)
        assert "This warning is ours: High Flood at Sukkur" in await at.say(f"check {code[:3].lower()} {code[3:]}")
        assert await at.say(f"تصدیق {code}", "+923009999999") == (await at.say(f"تصدیق {code}", "+923009999998"))
        assert "We did NOT send this code" in await at.say("check AAAAAAA")
        assert "CHECK" in await at.say("check") and "CHECK" in await at.say("check this is no code")
        assert "document's mark" in await at.say("check AB2CD")
        assert "NOT" in await at.say("check AAAAAAA", PHONE), "a gauge reader may ask as well"


async def test_an_acknowledgement_is_kept_and_only_offices_are_answered(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        assert "JOIN" in await at.say("1"), "nobody's answer"
        await merge(at.directory, [Contact("o", "O", "official", "ur", ("sukkur",), Level.LOW, OFFICER)], CONFIG, 1, by="test")
        assert await at.say("مل گیا", OFFICER) == "مشق: " + REPLIES["ur"]["noted"]
        await at.say("join Sukkur", "+923001234570")
        assert await at.say("1 abcdefg", "+923001234570") == ""
        kept = [(one.phone, one.code, one.how, one.at_ms) for one in await at.acknowledgements.unsettled()]
        assert kept == [(OFFICER, "", "sms", at.desk.now_ms), ("+923001234570", "ABCDEFG", "sms", at.desk.now_ms)]


async def test_what_a_phone_acknowledges_is_where_the_dispatcher_reads_it(indus: Region, tmp_path: Path) -> None:
    """By the wiring of `warning ingest`, on SQLite, where contacts and ledger are two files."""
    place = deployment("nowhere:1", tmp_path)
    assert not place.database_url
    async with AsyncExitStack() as stack:
        memory = Memory(place.database)
        stack.push_async_callback(memory.close)
        two_way = wiring_readers._two_way(stack, indus, place, memory)
        directory, read = await Directory.open(address(place)), Acknowledgements(address(place))
        stack.push_async_callback(directory.close)
        stack.push_async_callback(read.close)
        await merge(directory, [Contact("o", "O", "official", "en", ("sukkur",), Level.LOW, OFFICER)], CONFIG, 1, by="test")
        assert "Noted" in (await two_way.take(OFFICER, "ack", T0) or "")
        assert [one.phone for one in await read.unsettled()] == [OFFICER]


async def test_a_readers_numbers_stay_readings(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        await merge(at.directory, [Contact("o", "O", "official", "en", ("sukkur",), Level.LOW, PHONE)], CONFIG, 1, by="test")
        await at.say("Sukkur inflow 554,000", PHONE)
        await at.say("river Sukkur 554,100", PHONE)
        assert len(at.desk.readings) == 1 and len(at.desk.rejected) == 1
        assert "Not taken" in await at.say("1", PHONE) and await at.acknowledgements.unsettled() == []
        assert await at.say("ack", PHONE) == "EXERCISE. Noted, thank you."


async def test_a_number_costs_so_much_a_day_and_no_more(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        answers = [await at.say("help") for _ in range(MOST_TO_STRANGERS + 3)]
        assert [bool(one) for one in answers] == [True] * MOST_TO_STRANGERS + [False] * 3
        assert await at.say("stop") == "" and await at.enrolment.stopped(VILLAGER), "a stop counts, answered or not"
        for _ in range(MOST_ENROLLED + 2):
            await at.say("join Sukkur", "+923001234570")
            await at.say("stop", "+923001234570")
        assert await at.enrolment.stopped("+923001234570")
        assert sum([bool(await at.say("help", "+923001234570")) for _ in range(30)]) <= MOST_ANSWERS
        at.desk.now_ms += 24 * H
        assert await at.say("help")


async def test_who_writes_something_else_is_kept_and_told_how(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        assert await at.say("بند ٹوٹ گیا ہے") == "مشق: " + REPLIES["ur"]["help"]
        assert len(at.desk.rejected) == 1 and not await at.enrolment.stopped(VILLAGER)
        assert await at.say("the water is coming") == "", "once a day"
        assert len(at.desk.rejected) == 2


async def test_without_sql_nothing_is_acknowledged(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:

        async def away(*_: object, **__: object) -> None:
            raise Unavailable("the database is away", reason="database", retry_after_s=5.0)

        at.enrolment.known = away  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            await at.say("stop")


async def test_by_smpp_it_is_acknowledged_after_sql_has_it(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, running):
        at = House(desk.region, tmp_path, desk)
        running()._readers = desk.sms
        try:
            await at.ledger.run(ledger.plans.delete())  # the dispatcher has made its tables
            assert await telecom.say(said("check AAAAAAA")) == OK
            await until(lambda: bool(telecom.messages))
            assert "We did NOT send this code" in str(telecom.messages[0]["text"])
            known = at.enrolment.known

            async def away(*_: object) -> list[Contact]:
                raise Unavailable("the database is away", reason="database", retry_after_s=5.0)

            at.enrolment.known = away  # type: ignore[method-assign]
            assert await telecom.say(said("stop")) == TRY_AGAIN
            at.enrolment.known = known  # type: ignore[method-assign]
            assert await telecom.say(said("stop")) == OK and await at.enrolment.stopped(PHONE)
        finally:
            await at.close()


async def test_the_same_in_postgresql(indus: Region, tmp_path: Path) -> None:
    with postgres() as url:
        place = replace(deployment("nowhere:1", tmp_path), database_url=url)
        async with house(indus, tmp_path, place) as at:
            assert "warnings for Sukkur" in await at.say("join Sukkur") and "Ghotki" in await at.say("join Ghotki")
            assert [one.districts for one in await at.directory.by_phone(VILLAGER)] == [("sukkur", "ghotki")]
            await at.told(event_of(indus, "IND-SUKKUR", Level.HIGH, at.desk.now_ms - H))
            assert "High Flood at Sukkur" in await at.say("status Sukkur") and "اردو" in await at.say("language urdu")
            assert "NOT" in await at.say("check AAAAAAA", "+923001234570") and await at.say("1") == ""
            assert [one.phone for one in await at.acknowledgements.unsettled()] == [VILLAGER]
            both = await asyncio.gather(at.say("بند"), at.say("STOP"))
            assert any(both) and [one.consent for one in await at.directory.by_phone(VILLAGER)] == [False]
            await asyncio.gather(*(at.say("join Sukkur", f"+92300123458{number}") for number in range(10)))
            assert len(await at.enrolment.known("+923001234589")) == 1


async def test_by_kannels_route(indus: Region, tmp_path: Path) -> None:
    async with house(indus, tmp_path) as at:
        keys = KeyStore(at.place.database, lambda: at.desk.now_ms)
        _, key = await keys.create("kannel")
        app = web.Application()
        held = Held(at.desk.memory, at.desk.gateway, lambda: at.desk.now_ms)
        app.add_routes(KannelIn(at.desk.sms, at.desk.gateway, keys, held).routes())
        try:
            async with TestClient(TestServer(app, host="127.0.0.1")) as client:
                asked = {"key": key, "from": VILLAGER, "text": "شامل سکھر", "charset": "utf-8"}
                response = await client.get(kannel_in.PATH, params=asked)
                assert (response.status, await response.text()) == (200, "مشق: " + REPLIES["ur"]["joined"].format(place="سکھر"))
                assert response.headers["X-Kannel-Coding"] == "2"
                assert [await (await client.get(kannel_in.PATH, params=asked | {"text": "بند"})).text() != "" for _ in range(2)] == [
                    True,
                    False,
                ]
                for ahead_s, stopped in ((0, True), (7200, True), (7200, False)):  # whose clock is ahead can begin again, when asked
                    at.desk.now_ms += 60_000
                    time_s = str(at.desk.now_ms // 1000 + ahead_s - (0 if ahead_s else 90))  # the first was written before the stop
                    assert (await client.get(kannel_in.PATH, params=asked | {"time": time_s})).status == 200
                    assert await at.enrolment.stopped(VILLAGER) is stopped
        finally:
            await keys.close()
