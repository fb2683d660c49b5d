"""What is sent again says so, within the budget of an SMS, and every way takes it for a message of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import channel_world as world
from dispatch_house import T0, H
from test_languages import longest

from warning import config
from warning.alerts import hand_words
from warning.alerts.budget import samples
from warning.alerts.languages import LANGUAGES
from warning.alerts.message import DRAFT_LANGUAGES, MOST_PARTS, sms
from warning.dispatch import bounces, voice
from warning.dispatch.channel import Sending
from warning.dispatch.channels import said
from warning.dispatch.letter import letter
from warning.dispatch.sms import reference
from warning.routes import MailRoute


def test_the_mark_costs_no_name_no_part_too_many_and_hardly_ever_gives_way() -> None:
    """In every language, also for the longest name: two parts, no name cut; one message in twenty at most is too full even
    for one word, of the longest name in a draft's long words one in five."""
    known = config.load(Path(__file__).parent.parent / "config" / "indus")
    for language in sorted(LANGUAGES):
        region, bare, number = replace(known, reviewed_languages=(language,)), 0, 0
        for alert in [alert for zone in (*known.zones[::20], *longest(known)[:1]) for alert in samples(zone, known)]:
            plain, said = (sms(alert, region, language, code="ABCDEFG", again=again) for again in (False, True))
            assert said.parts <= MOST_PARTS and said.complete == plain.complete and said.text.endswith("ABCDEFG")
            marks = [mark for short in (False, True) if (mark := hand_words.again(language, short=short)) in said.text]
            assert said == plain if not marks else said.encoding == plain.encoding
            bare, number = bare + (not marks), number + 1
        assert bare * (5 if language in DRAFT_LANGUAGES else 20) <= number, (language, bare, number)


def test_each_way_takes_it_for_a_message_of_its_own(tmp_path: Path) -> None:
    """Another Message-ID in the same thread, by which bounces know it; another call file; parts that no phone joins to the first's."""
    region = world.region(tmp_path)
    first = Sending(7, world.event(region, "A", sent_ms=T0), world.contact(1), "en", 1, H)
    again = replace(first, attempt=2, resent=1)
    retried = replace(again, attempt=3)
    route = MailRoute("relay", "127.0.0.1", "Warning <w@ews.example>")
    mails = [letter(one, region, route, "a@b.example") for one in (first, again, retried)]
    assert len({mail["Message-ID"] for mail in mails}) == 2 and mails[1]["Message-ID"] == mails[2]["Message-ID"]
    assert len({mail["References"] for mail in mails}) == 1
    assert mails[1]["Subject"] == f"{mails[0]['Subject']} (Sent again)"
    for part in ("plain", "html"):
        bodies = [mail.get_body((part,)).get_content() for mail in mails[:2]]
        assert "Sent again." in bodies[1] and "Sent again." not in bodies[0]
    assert bounces.OURS.fullmatch(mails[1]["Message-ID"])
    calls = [voice.file_name(one) for one in (first, again, retried)]
    assert calls[0] != calls[1] == calls[2] and calls[0][:20] == calls[1][:20] and all(map(voice.OURS.fullmatch, calls))
    assert len({reference(one) for one in (first, again)}) == 2 and reference(again) == reference(retried)
    assert said(again, region)[0] == f"{said(first, region)[0]} Sent again."
