"""Calls: the conformance suite against a spool as Asterisk works it off, the audio of the real espeak-ng, what is taken back."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import channel_world as world
import numpy as np
import pytest
import services
from channel_asterisk import Asterisk
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side

from warning.alerts import message
from warning.dispatch import speech, voice
from warning.dispatch.channel import PartReceipt, Sending
from warning.dispatch.channels import said
from warning.dispatch.routed import Routed, receipts_of
from warning.dispatch.voice import VoiceWay, file_name, under_way
from warning.errors import Unavailable
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.routes import VoiceRoute


def need_espeak() -> None:
    if shutil.which(speech.PROGRAM) is None:
        services.absent("espeak-ng", "make services (Debian package espeak-ng)")


def pbx(folder: Path) -> VoiceRoute:
    outgoing, done, work, sounds = (str(folder / name) for name in ("outgoing", "outgoing_done", "warning", "warning/sounds"))
    return VoiceRoute("pbx", outgoing, done, work, sounds, "PJSIP/{number}@trunk", "Flood warning <8080>")


@pytest.fixture
async def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Side]:
    need_espeak()
    monkeypatch.setattr(voice, "LOOK_S", 0.05)
    asterisk, region, receipts = Asterisk(tmp_path / "spool"), world.region(tmp_path), list[PartReceipt]()
    folder = tmp_path / "spool"
    route = pbx(folder)

    async def keep(one: PartReceipt) -> None:
        receipts.append(one)

    way = VoiceWay(route, lambda sending: said(sending, region), receipts_of("voice", "pbx", keep), timeout_s=3.0)
    channel = Routed("voice", [way], lambda contact: contact.phone, lambda up: None, nobody, well_s=0.0, look_s=0.05)
    await channel.start()
    works = asyncio.create_task(asterisk.run())
    contact = replace(world.contact(1, language="ur"), voice=True)
    made = Side(
        channel,
        region,
        contact,
        reject=lambda: setattr(made, "contact", replace(contact, phone="999")),
        throttle=lambda: busy(folder, route.most_calls),
        silence=lambda: hang(made),
        reset=None,
        heal=lambda: setattr(made, "contact", contact),
        go_away=lambda: moved(folder / "outgoing", folder / "gone"),
        come_back=lambda: moved(folder / "gone", folder / "outgoing"),
        taken=lambda: len(asterisk.known),
        receipts=receipts,
        receipted=True,
        receipts_twice=lambda: twice(asterisk),
        receipts_lost=lambda: setattr(asterisk, "archives", False),
    )

    made.asterisk, made.way, made.folder = asterisk, way, folder
    yield made
    works.cancel()
    await asyncio.gather(works, return_exceptions=True)
    await channel.stop()
    for pipe in made.__dict__.get("pipes", ()):
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))  # the thread that hangs on it goes on, and fails


def twice(asterisk: Asterisk) -> None:
    """From now on; what waits is called before, else the next delivery takes it back."""
    for path in (asterisk.folder / "outgoing").glob("*.call"):
        asterisk.call(path)
    asterisk.once = asterisk.known


def busy(folder: Path, lines: int) -> None:
    """All lines are taken for a moment."""
    for number in range(lines):
        path = folder / "outgoing" / f"other-{number}.call"
        path.write_text("Channel: PJSIP/1@trunk\nApplication: Echo\n")
        os.utime(path, (time.time() + 0.5, time.time() + 0.5))


async def moved(old: Path, new: Path) -> None:
    old.rename(new)


def hang(side: Side) -> None:
    """A file system that does not answer: the file that is to be written is a pipe that nobody reads."""
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    pipe = side.folder / "warning" / file_name(Sending(1, event, side.contact, "ur", 1, world.HOUR_MS))
    (side.folder / "warning").mkdir(exist_ok=True)
    os.mkfifo(pipe)
    side.pipes = [pipe]


async def test_the_words_of_the_call_are_heard_in_the_contacts_language_twice_and_as_telephones_play_them(side: Side) -> None:
    await side.send()
    await world.until(lambda: side.asterisk.heard, what="the call")
    call = side.asterisk.heard[0]
    assert call["Channel"] == f"PJSIP/{side.contact.phone}@trunk" and call["CallerID"] == "Flood warning <8080>"
    assert (call["Application"], call["Archive"], call["MaxRetries"]) == ("Playback", "yes", "2")
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    words, language = said(Sending(1, event, side.contact, "ur", 1, 1), side.region)
    assert language == "ur" and words.startswith("مشق: ") and message.instruction(event.alert, side.region, "ur") in words
    with wave.open(call["Data"] + ".wav") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    assert len(samples) > 8000 * 10 and np.abs(samples).max() > 3000
    half = len(samples) // 2
    assert np.array_equal(samples[:half], samples[half : 2 * half]), "said twice"


async def test_a_language_without_a_voice_is_spoken_in_english_words(side: Side) -> None:
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    words, language = said(Sending(1, event, side.contact, "ps", 1, 1), side.region)
    assert language == "en" and words.startswith("EXERCISE. ")


async def test_a_second_attempt_does_not_call_twice_while_the_first_still_rings(side: Side) -> None:
    side.asterisk.running = False
    first = await side.send()
    again = await side.channel.send(Sending(1, world.event(side.region, "A", sent_ms=side.raised_ms), side.contact, "ur", 2, world.HOUR_MS))
    assert (first.parts[0].message_id, first.state) == (again.parts[0].message_id, State.ACCEPTED)
    assert len(list((side.folder / "outgoing").glob("*.call"))) == 1


async def test_a_newer_revision_takes_the_waiting_call_back_but_not_one_under_way(side: Side) -> None:
    side.asterisk.running = False
    raised = world.now_ms()

    async def send(number: int, revision: int) -> None:
        event = world.event(side.region, "A", revision, sent_ms=raised, raised_ms=raised)
        assert (await side.channel.send(Sending(number, event, side.contact, "ur", 1, world.HOUR_MS))).state is State.ACCEPTED

    def waiting() -> list[str]:
        return sorted(path.name.rsplit("-", 1)[1] for path in (side.folder / "outgoing").glob("*.call"))

    await send(1, 1)
    await send(2, 2)
    assert waiting() == ["2.call"]
    (ringing,) = (side.folder / "outgoing").glob("*.call")
    ringing.write_text(ringing.read_text() + "\nStartRetry: 17 1 (1756260000)\n")
    await send(3, 3)
    assert waiting() == ["2.call", "3.call"], "who is being called now is not cut off"


async def test_a_call_that_is_worth_nothing_any_more_leaves_the_spool(side: Side) -> None:
    side.asterisk.running = False
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    await side.channel.send(Sending(1, event, side.contact, "ur", 1, 50))
    await world.until(lambda: side.receipts, what="its end")
    assert (side.receipts[0].state, side.receipts[0].reason) == (State.FAILED, "expired")
    await world.until(lambda: not list((side.folder / "outgoing").glob("*.call")), what="taken out")


@pytest.mark.parametrize(("outcome", "state"), [("Expired", State.FAILED), ("Failed", State.FAILED), ("Completed", State.DELIVERED)])
async def test_how_it_ended_is_the_receipt_and_its_file_goes_only_when_that_is_durable(side: Side, outcome: str, state: State) -> None:
    broken, keep = [True], side.way._on_receipt

    async def once(one: PartReceipt) -> None:
        if broken[0]:
            raise OSError("the ledger is away")
        await keep(one)

    side.way._on_receipt, side.asterisk.outcome = once, outcome
    sent = await side.send()
    done = side.folder / "outgoing_done"
    await world.until(lambda: list(done.glob("*.call")), what="the archive")
    await asyncio.sleep(0.2)
    assert side.receipts == [] and list(done.glob("*.call"))
    broken[0] = False
    await world.until(lambda: side.receipts, what="the receipt")
    assert (side.receipts[0].message_id, side.receipts[0].state) == (sent.parts[0].message_id, state)
    await world.until(lambda: not list(done.glob("*.call")), what="it is forgotten")


async def test_others_files_are_left_alone(side: Side) -> None:
    other = side.folder / "outgoing_done" / "holiday.call"
    other.write_text("Channel: PJSIP/1@trunk\nStatus: Completed\n")
    await side.send()
    await world.until(lambda: side.receipts, what="our receipt")
    assert other.exists() and len(side.receipts) == 1


async def test_without_espeak_nobody_is_called_and_the_fix_is_said(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "PROGRAM", "espeak-that-is-not-there")
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.WAITING, "unavailable") and "apt-get install espeak-ng" in outcome.detail
    assert side.taken() == 0


async def test_the_same_words_at_once_are_whole_for_everybody(tmp_path: Path) -> None:
    """Four calls are prepared at once, and a district is told the same: no one's file is cut by another's."""
    need_espeak()
    words = "Leave the river bank at once and go to the school on the hill. " * 3
    (tmp_path / "alone").mkdir()
    alone = await speech.say(words, "en", tmp_path / "alone")
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = await asyncio.gather(*(speech.say(words, "en", folder) for _ in range(4)))
        assert {path.read_bytes() for path in made} == {alone.read_bytes()}
        assert [path.suffix for path in folder.iterdir()] == [".wav"], "nothing is left behind"


async def test_words_that_a_call_is_to_play_are_not_among_the_oldest(tmp_path: Path) -> None:
    need_espeak()
    path = await speech.say("Go to high ground.", "en", tmp_path)
    os.utime(path, (time.time() - voice.KEEP_SOUNDS_S + 5,) * 2)
    assert await speech.say("Go to high ground.", "en", tmp_path) == path
    assert path.stat().st_mtime > time.time() - 60


async def test_a_file_that_cannot_be_removed_holds_up_no_other_receipt(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    done = side.folder / "outgoing_done"
    for number in (1, 2):
        (done / f"warning-0123456789ab-{number}.call").write_text("Channel: x\nStatus: Completed\n")
    removed = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith("-1.call"):
            raise PermissionError(13, "Permission denied")
        removed(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    await world.until(lambda: len({one.message_id for one in side.receipts}) == 2, what="both receipts")


async def test_every_language_that_has_a_voice_is_really_spoken(tmp_path: Path) -> None:
    need_espeak()
    for language, words in (("en", "Go to high ground."), ("ur", "فوراً اونچی جگہ چلے جائیں۔"), ("si", "වහාම උස් බිමකට යන්න."), ("ru", "вода")):
        path = await speech.say(words, language, tmp_path)
        assert path.stat().st_size > 2 * 8000 * 2.5, language
        assert await speech.say(words, language, tmp_path) == path
    assert not list(tmp_path.glob("*.raw")) and not list(tmp_path.glob("*.tmp"))
    with pytest.raises(Unavailable):
        await speech.say("x", "en", tmp_path / "nowhere")


def test_resampling_keeps_what_a_telephone_carries_and_drops_what_would_fold_back() -> None:
    at = np.arange(22050) / 22050
    low, high = np.sin(2 * np.pi * 1000 * at), np.sin(2 * np.pi * 6000 * at)
    kept, dropped = speech.resampled(low, 22050, 8000)[200:-200], speech.resampled(high, 22050, 8000)[200:-200]
    assert abs(kept.max() - 1.0) < 0.1 and np.abs(dropped).max() < 0.05 and abs(len(speech.resampled(low, 22050, 8000)) - 8000) <= 1


def test_a_try_that_has_ended_is_not_under_way() -> None:
    assert not under_way("Channel: x\n") and under_way("Channel: x\n\nStartRetry: 1 1 (1)\n")
    assert not under_way("x\n\nStartRetry: 1 1 (1)\n\nEndRetry: 1 1 (1)\n")
