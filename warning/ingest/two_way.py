"""Keywords by SMS: subscribe, stop, language, status, acknowledge, check, help. Whatever carries them (SMPP, Kannel).

What is done is in SQL before it is answered; without the database nothing is acknowledged, and the centre sends it again. All of it may
come twice. A number gets so many answers a day and no more, for each costs and senders can be forged; a stop counts all the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from warning.errors import InputError, Unavailable
from warning.facts import Listener, nobody
from warning.ingest.reader_memory import DAY_MS, Memory
from warning.ingest.sms_twice import Twice, credible, timed
from warning.people.acknowledged import Acknowledgements
from warning.people.enrolment import ORIGIN, Enrolment
from warning.people.keywords import Command, Place, Places, command, language
from warning.people.replies import Replies, own_name, script_of, spoken
from warning.people.standing import Standing, zones_of
from warning.people.told import SmsJoin
from warning.proof.codes import code_of
from warning.proof.guesses import Guesses
from warning.proof.register import Register
from warning.region import Contact, Region

MOST_ANSWERS = 20  # a day to a contact
MOST_TO_STRANGERS = 5  # a day to a number that is none
MOST_ENROLLED = 5  # times a day by one number
_WHY_NOT = {"old": "stopped", "full": "full", "hour_limit": "later"}  # of ``Enrolment.enter`` -> the answer
MOST_STRANGERS = 5000  # numbers a day that are answered although nobody knows them: by one process

_log = logging.getLogger(__name__)


class TwoWay:
    """``take`` each message first; None: it is no command, and somebody else's. Raises Unavailable: then it must come again."""

    def __init__(
        self,
        region: Region,
        enrolment: Enrolment,
        acknowledgements: Acknowledgements,
        register: Register,
        standing: Standing,
        memory: Memory,
        clock_s: Callable[[], float] = time.monotonic,
        listen: Listener = nobody,
    ) -> None:
        self._region, self._places = region, Places(region)
        self._enrolment, self._acknowledgements, self._register, self._standing = enrolment, acknowledgements, register, standing
        self._memory, self._twice, self._listen = memory, Twice(memory), listen
        self._guesses = Guesses(clock_s)
        self._strangers: dict[str, int] = {}
        self._strangers_day = 0

    async def take(
        self, phone: str, text: str, now_ms: int, *, reader: bool = False, sent_ms: int | None = None, came_ms: int | None = None
    ) -> str | None:
        """The answer, "" for none. ``phone``: E.164. ``reader``: his numbers are readings, and so is "1". ``sent_ms``: by the centre.

        ``came_ms``: when it came here first, if not now.
        """
        found = command(text)
        if found is None or not phone.startswith("+") or (reader and _of_a_reader(found, text)):
            return None
        contacts = await self._enrolment.known(phone)
        if found.kind == "acknowledge" and not contacts:
            return None
        await self._twice.another(phone)
        role = contacts[0].role if contacts else "public"
        replies = Replies(self._region, spoken(contacts, found.languages, self._region), role)
        came_ms = now_ms if came_ms is None else came_ms
        if found.kind == "subscribe":
            at_ms = await self._written_ms(phone, text, came_ms, sent_ms)
            answer = await self._subscribed(found, phone, text, contacts, replies, now_ms, at_ms)
        elif found.kind == "stop":
            answer = await self._stop(phone, replies, credible(sent_ms, came_ms))
        else:
            answer = await self._done(found, phone, contacts, replies, now_ms)
        _log.info("an SMS: %s", found.kind)
        return await self._limited(phone, answer, bool(contacts), now_ms)

    async def delivered(self, phone: str, now_ms: int) -> None:
        """The centre has the answer to what that number wrote last, and our acknowledgement of that."""
        await self._twice.delivered(phone, now_ms)

    async def not_understood(self, phone: str, text: str, now_ms: int) -> str:
        """What one who writes no command is told: how to write one. He was heard elsewhere."""
        contacts = await self._enrolment.known(phone)
        await self._twice.another(phone)
        replies = Replies(self._region, spoken(contacts, (script_of(text, self._region),), self._region))
        return await self._limited(phone, replies.say("help"), bool(contacts), now_ms)

    async def _done(self, found: Command, phone: str, contacts: list[Contact], replies: Replies, now_ms: int) -> str:
        match found.kind:
            case "language":
                return await self._language(found, phone, contacts, replies, now_ms)
            case "status":
                return await self._status(found, contacts, replies, now_ms)
            case "acknowledge":
                await self._acknowledgements.acknowledge(by=phone, how="sms", at_ms=now_ms, phone=phone, code=found.argument.upper())
                return "" if contacts[0].role == "public" else replies.say("noted")  # in a flood the lines belong to the warnings
            case "check":
                return await self._check(found, phone, replies, now_ms)
        return replies.say("help")

    async def _stop(self, phone: str, replies: Replies, at_ms: int) -> str:
        """Confirmed once: who said it already gets no more messages, not even that one. One of before his JOIN ends nothing; he is told."""
        newest = await self._enrolment.newest(phone)
        if newest is not None and not newest.given:
            return ""
        if newest is not None and newest.how == "sms" and newest.at_ms > at_ms:
            return replies.say("back")
        await self._enrolment.stop(phone, at_ms)
        return replies.say("stopped")

    async def _written_ms(self, phone: str, text: str, came_ms: int, sent_ms: int | None) -> int:
        """When a JOIN was written: before his stop, where nobody can know that it was after it."""
        at_ms = await self._twice.written_ms(phone, text, came_ms, sent_ms)
        newest = None if timed(sent_ms, came_ms) else await self._enrolment.newest(phone)
        if newest is None or newest.given:
            return at_ms
        return came_ms if await self._twice.meant(phone, newest.at_ms, came_ms) else min(at_ms, newest.at_ms - 1)

    async def _subscribed(
        self, found: Command, phone: str, text: str, contacts: list[Contact], replies: Replies, now_ms: int, at_ms: int
    ) -> str:
        """What becomes of it is told to whoever watches; only what was taken is the same message when it comes again."""
        outcome, answer = await self._subscribe(found, phone, contacts, replies, now_ms, at_ms)
        if outcome != "entered":
            await self._twice.done(phone, text)
        if outcome == "old":
            await self._twice.asked(phone, now_ms)
        if outcome:
            self._listen(SmsJoin(outcome))
        return answer

    async def _subscribe(
        self, found: Command, phone: str, contacts: list[Contact], replies: Replies, now_ms: int, at_ms: int
    ) -> tuple[str, str]:
        """(one of ``told.JOINS``, "" for a question back; the answer)."""
        if not found.argument:
            return await self._resume(phone, replies, at_ms) if contacts else ("", self._which(replies))
        if any(not contact.id.startswith(f"{ORIGIN}:") for contact in contacts):
            stopped = await self._enrolment.stopped(phone)  # the office cannot take back what he said; he can
            return await self._resume(phone, replies, at_ms) if stopped else ("", replies.say("office"))
        places = self._places.called(found.argument)
        villages = [] if places else await self._enrolment.villages(found.argument)
        place, village = (places[0] if places else None), (villages[0] if villages else None)
        if len(places) + len(villages) != 1 or (place and not place.districts):
            return "", self._which(replies, places or [self._places.districts[one.districts[0]] for one in villages], found.argument)
        if self._enrolment.foreign(phone):
            return "foreign", ""
        if (await self._counts(phone, now_ms)).get("enrolled", 0) >= MOST_ENROLLED:
            return "number_limit", ""
        districts = place.districts if place else village.districts if village else ()
        spoken_in = contacts[0].language if contacts else replies.language
        made = await self._enrolment.enter(phone, districts, spoken_in, at_ms, village)
        if isinstance(made, str):
            return made, replies.say(_WHY_NOT[made])
        await self._counted(phone, "enrolled", MOST_ENROLLED, now_ms)  # who was told to try later, or whom we could not take, may
        return "entered", replies.say("joined", place=place.name(replies.language) if place else village.village if village else "")

    async def _resume(self, phone: str, replies: Replies, at_ms: int) -> tuple[str, str]:
        """Nothing is promised that does not hold: an office may have entered that it wants no messages for that number."""
        if not await self._enrolment.resume(phone, at_ms):
            return "old", replies.say("stopped")
        return "entered", replies.say("back" if any(one.consent for one in await self._enrolment.known(phone)) else "office")

    def _which(self, replies: Replies, places: list[Place] | None = None, typed: str = "") -> str:
        """Asks which place is meant. Nothing is chosen for anybody."""
        meant = places or (self._places.like(typed) if typed else [])
        if meant:
            names = dict.fromkeys(f"{place.name(replies.language)} ({place.id})" for place in meant[:3])
            return replies.say("which_of", names="; ".join(names))
        example = next(iter(self._places.districts.values()), None)
        return replies.say("which", example=example.name(replies.language) if example else "")

    async def _language(self, found: Command, phone: str, contacts: list[Contact], replies: Replies, now_ms: int) -> str:
        wanted = language(found.argument)
        if not wanted:
            return replies.say("which_language", names=replies.languages())
        if not contacts:
            return self._which(Replies(self._region, wanted))
        await self._enrolment.speak(phone, wanted, now_ms)
        told = Replies(self._region, wanted, contacts[0].role)
        return told.say("language", language=own_name(told.language))

    async def _status(self, found: Command, contacts: list[Contact], replies: Replies, now_ms: int) -> str:
        if found.argument:
            places, zones = self._places.called(found.argument), self._places.zones(found.argument)
            villages = [] if zones else await self._enrolment.villages(found.argument)
            if len(villages) == 1:
                name, zones = villages[0].village, zones_of(self._region, villages)
            elif zones:
                name = places[0].name(replies.language)
            else:
                known = self._places.districts
                meant = places or [known[one.districts[0]] for one in villages if one.districts[0] in known]
                return self._which(replies, meant, found.argument)
        else:
            wanted = dict.fromkeys(district for contact in contacts for district in contact.districts)
            places = [self._places.districts[one] for one in wanted if one in self._places.districts]
            if not places:
                return self._which(replies)
            zones, name = zones_of(self._region, contacts), ", ".join(place.name(replies.language) for place in places)
        return await self._in_force(zones, name, replies, now_ms)

    async def _in_force(self, zones: tuple[str, ...], name: str, replies: Replies, now_ms: int) -> str:
        """Never an all-clear: without a warning what is known, and until when it was where it is not."""
        found = await self._standing.of(zones, now_ms)
        status = self._region.status  # what was an exercise before the region became Actual is nobody's warning
        events = [event for event in found.events if event.alert.status is status]
        if events:
            return replies.standing(events, code_of(await self._register.secret(), events[0].alert.identifier))
        return replies.no_warning(name, now_ms) if found.known and zones else replies.not_known(name, found.since_ms)

    async def _check(self, found: Command, phone: str, replies: Replies, now_ms: int) -> str:
        try:
            self._guesses.take(phone)
        except Unavailable:  # too often: silence, for the message must not come again
            return ""
        try:
            answer = await self._register.verify(found.argument, now_ms)
        except InputError as error:
            return replies.say("document_mark" if error.reason == "document_mark" else "no_code")
        shown = answer.by if answer.state == "replaced" else answer.event
        if shown is None:
            return replies.say("unknown")
        return replies.about({"in_force": "genuine"}.get(answer.state, answer.state), shown)

    # --- how much

    async def _limited(self, phone: str, answer: str, known: bool, now_ms: int) -> str:
        if not answer or (not known and (self._enrolment.foreign(phone) or not self._room_for(phone, now_ms))):
            return ""
        return answer if await self._counted(phone, "answers", MOST_ANSWERS if known else MOST_TO_STRANGERS, now_ms) else ""

    def _room_for(self, phone: str, now_ms: int) -> bool:
        if self._strangers_day != now_ms // DAY_MS:
            self._strangers, self._strangers_day = {}, now_ms // DAY_MS
        if phone not in self._strangers and len(self._strangers) >= MOST_STRANGERS:
            return False
        self._strangers[phone] = self._strangers.get(phone, 0) + 1
        return True

    async def _counted(self, phone: str, what: str, most: int, now_ms: int) -> bool:
        """Whether there is one more today; it is taken."""
        counts = await self._counts(phone, now_ms)
        if counts.get(what, 0) >= most:
            return False
        await self._memory.put("keyword", phone, now_ms, {**counts, what: counts.get(what, 0) + 1})
        return True

    async def _counts(self, phone: str, now_ms: int) -> dict[str, int]:
        """What it had today."""
        before = await self._memory.get("keyword", phone)
        return dict(before[1]) if before and before[0] // DAY_MS == now_ms // DAY_MS else {}


def _of_a_reader(found: Command, text: str) -> bool:
    """What a gauge reader most likely means as a reading: anything with a number, but for a code."""
    if found.kind == "check":
        return False
    return any(letter.isdigit() for letter in text)
