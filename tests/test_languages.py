"""Ten languages: every zone, class, situation and role of the shipped regions, as an SMS and as a document's texts; `warning words`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hazard_regions import write_hazards
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from warning import config
from warning.alerts import cap, dari, hand_words
from warning.alerts.advice import ADVICE
from warning.alerts.budget import budget_problems, samples
from warning.alerts.display import END, LTR, clip, figure, local_time, name_of, phrases
from warning.alerts.exposed import reason
from warning.alerts.languages import LANGUAGES, UNREVIEWED, WEATHER, language_of, told_in
from warning.alerts.lint import lint
from warning.alerts.message import MOST_PARTS, description, headline, instruction, sms
from warning.alerts.table import sections, variants
from warning.cli import app
from warning.dispatch.attempts import Claimed
from warning.dispatch.channel import Outcome, Sending
from warning.dispatch.courier import Courier
from warning.dispatch.rows import Open
from warning.model import CLASSES, Alert, AlertEvent, DeliveryState, Level, Status, to_json
from warning.region import Contact, Region, Zone

ROOT = Path(__file__).parent.parent
CODE = "ABCDEFG"
ROLES = ("public", "official", "responder", "operator")
ISOLATED = ("ps", "sd", "fa")


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> list[Region]:
    hazards = config.load(write_hazards(tmp_path_factory.mktemp("hazards")))
    return [config.load(ROOT / "config" / "indus"), config.load(ROOT / "config" / "sri-lanka"), hazards]


def longest(region: Region) -> list[Zone]:
    """The zones whose names are the longest in any language, and one of each hazard."""
    by_length = sorted(region.zones, key=lambda zone: -max(map(len, zone.names.values())))
    of_hazard = {zone.hazard: zone for zone in region.zones}
    return list({zone.id: zone for zone in (*by_length[:6], *of_hazard.values())}.values())


def revisions(region: Region, zone: Zone) -> list[Alert]:
    """Of the longest form, an exercise; with what lies there."""
    found = list(samples(zone, region))
    if zone.exposure is None:
        return found
    more = (reason(zone.exposure),)
    return [msgspec.structs.replace(one, hazard=msgspec.structs.replace(one.hazard, reasons=more)) for one in found]


def sound(text: str) -> None:
    """What no text may have, in whatever language."""
    text.encode("utf-16-be")  # raises on a lone surrogate
    assert "{" not in text and "}" not in text and "  " not in text, text
    assert all(letter in "0123456789" for letter in text if letter.isdecimal()), f"two sets of digits: {text}"
    depth = 0
    for letter in text:
        depth += {LTR: 1, "\u2068": 1, END: -1}.get(letter, 0)
        assert 0 <= depth <= 1 and letter not in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066"[:-1], text
    assert depth == 0, text


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_sms(regions: list[Region], language: str) -> None:
    """Two parts, the action first, class and code in it, for every role; GSM-7 where the language has it."""
    for known in regions:
        region = replace(known, reviewed_languages=(language,))
        for zone in longest(region):
            texts = phrases(language, zone.hazard)
            for number, alert in enumerate(revisions(region, zone)):
                for role in ("", ROLES[number % len(ROLES)]):
                    message = sms(alert, region, language, role, code=CODE)
                    assert message.parts <= MOST_PARTS and message.complete, message
                    assert message.text.startswith(texts.exercise + texts.actions[alert.level if alert.active else Level.NORMAL]), message
                    assert message.text.endswith(CODE), message
                    assert language not in ("en", "uz") or message.encoding == "GSM-7", message
                    sound(message.text)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_document(regions: list[Region], language: str) -> None:
    """Headline, instruction and description of every class, and the whole document without a finding."""
    for known in regions:
        region = replace(known, languages=tuple(dict.fromkeys(("en", language))))
        for zone in region.zones[:: max(1, len(region.zones) // 2)]:
            for number, alert in enumerate(revisions(region, zone)):
                for text in (headline(alert, region, language), instruction(alert, region, language), description(alert, region, language)):
                    assert text.startswith(phrases(language).exercise)
                    sound(text)
                assert len(headline(alert, region, language)) < 140
                if number % 7 == 0 and alert.kind.told and alert.active:
                    infos = cap.parse(cap.document(alert, region)).infos
                    assert [one.language for one in infos] == list(region.languages)
                    assert lint(cap.document(alert, region), region) == []


@pytest.mark.parametrize("language", sorted(UNREVIEWED))
def test_the_public_never_reads_a_draft_that_nobody_reviewed(regions: list[Region], language: str) -> None:
    indus, sri_lanka, _ = regions
    stands_in = "ur" if language in ISOLATED else "en"
    alert = next(iter(samples(indus.zones[0], indus)))
    assert sms(alert, indus, language, "public").text == sms(alert, indus, stands_in, "public").text
    assert sms(alert, indus, language, "official").text != sms(alert, indus, stands_in, "official").text
    assert told_in(language, "public", sri_lanka) == "en", "Urdu only where the region speaks it"
    assert told_in(language, "public", replace(indus, reviewed_languages=(language,))) == language
    assert told_in("ur", "public", indus) == "ur" and told_in("si", "public", sri_lanka) == "si"
    [said] = [one for one in budget_problems(replace(indus, languages=("en", language), zones=())) if one.where == "languages"]
    assert "the public is told in another language" in said.what and not said.fatal
    assert budget_problems(replace(indus, languages=("en", language), reviewed_languages=(language,), zones=())) == []


def test_a_language_is_known_by_what_people_call_it() -> None:
    assert [language_of(one) for one in ("prs", "fa-AF", "PS", "zh-Hans", "de", "")] == ["fa", "fa", "ps", "zh", "en", "en"]
    assert phrases("prs").language == "fa" and phrases("de").language == "en"


def test_numbers_and_times_have_the_marks_of_their_language(regions: list[Region]) -> None:
    shown = {language: figure(690_000.5, 1, phrases(language)) for language in LANGUAGES}
    assert shown == dict.fromkeys(LANGUAGES, "690,000.5") | {"ru": "690 000,5", "uz": "690 000,5"}
    at_ms = 1_756_278_000_000  # 27 Aug 2025 07:00 UTC
    said = [local_time(at_ms, regions[0], language) for language in ("ps", "sd", "fa", "ru", "uz", "zh", "ta")]
    assert said == ["27 اګست 12:00", "27 آگسٽ 12:00", "27 اگست 12:00", "27 авг. 12:00", "27-avgust 12:00", "8月27日 12:00", "27 ஆக. 12:00"]


def test_names_in_another_language_are_marked_where_the_text_runs_the_other_way() -> None:
    assert name_of({"en": "Chiniot"}, phrases("ps")) == f"{LTR}Chiniot{END}"
    assert name_of({"en": "Chiniot", "ur": "چنیوٹ"}, phrases("ps")) == "چنیوٹ"
    assert name_of({"en": "Chiniot"}, phrases("ru")) == "Chiniot" == name_of({"en": "Chiniot"}, phrases("ur"))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.text(min_size=1, max_size=30), st.text(max_size=20), st.integers(1, 60))
def test_a_cut_leaves_no_isolate_open(before: str, name: str, after: str, most: int) -> None:
    plain = str.maketrans(dict.fromkeys((LTR, END)))
    text = f"{before.translate(plain)}{LTR}{name.translate(plain)}{END}{after.translate(plain)}"
    cut = clip(text, most)
    assert len(cut) <= most and cut.count(LTR) == cut.count(END) <= 1 and cut.find(LTR) <= max(cut.find(END), -1)


def test_a_table_that_is_not_one_names_its_line() -> None:
    assert sections("a: b\n[c]\nd: e\n f\n") == {"": {"a": "b"}, "c": {"d": "e f"}}
    for broken in ("a b\n", "[c]\nd: e\nd: f\n"):
        with pytest.raises(ValueError, match="line"):
            sections(broken)


def test_what_is_in_brackets_is_left_out_where_it_is_unknown() -> None:
    assert variants("a[ {x}][ {y}] | b") == ("a {x} {y}", "a {x}", "a {y}", "a", "b")


@pytest.mark.parametrize("language", sorted(UNREVIEWED))
def test_instructions_are_whole_sentences_each_used(language: str) -> None:
    """A sentence that no class uses would be reviewed for nothing."""
    from warning.alerts import languages

    advice = sections(languages._TABLES[language])["advice"]
    used = {name for classes in ADVICE.values() for names in classes.values() for name in names.split()}
    assert set(advice) == used
    assert all(text.endswith((".", "。", "۔")) for text in advice.values())
    assert set(WEATHER[language]["heat"].instructions) == {Level.NORMAL, *CLASSES}


def test_the_command_prints_what_people_would_read(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["words", str(ROOT / "config" / "indus"), "--language", "ps", "--level", "HIGH"])
    assert run.exit_code == 0
    assert "د سیند غاړه او ټیټې سیمې پرېږدئ." in run.output and "UCS-2" in run.output and "SMS operator" in run.output
    page = tmp_path / "ps.html"
    run = CliRunner().invoke(app, ["words", str(ROOT / "config" / "indus"), "-l", "ps", "--html", str(page)])
    assert run.exit_code == 0
    assert 'dir="rtl"' in page.read_text("utf-8") and "A draft" in page.read_text("utf-8")


@pytest.mark.parametrize("wrong", [["-l", "xx"], ["-l", "ps", "--level", "HUGE"], ["-l", "ps", "--zone", "NOWHERE"]])
def test_the_command_names_what_is_wrong(wrong: list[str]) -> None:
    run = CliRunner().invoke(app, ["words", str(ROOT / "config" / "indus"), *wrong])
    assert run.exit_code != 0 and run.exception is not None and wrong[-1] in str(run.exception)


def test_an_actual_region_has_no_mark(regions: list[Region]) -> None:
    region = replace(regions[0], status=Status.ACTUAL)
    alert = msgspec.structs.replace(next(iter(samples(region.zones[0], region))), status=Status.ACTUAL)
    for language in LANGUAGES:
        assert sms(alert, region, language, "official").text.startswith(phrases(language).actions[alert.level])


@pytest.mark.parametrize(
    ("role", "language", "reviewed", "want"),
    [("public", "ps", (), "ur"), ("public", "ru", (), "en"), ("public", "ps", ("ps",), "ps"), ("official", "ps", (), "ps")],
)
async def test_by_no_channel_does_the_public_get_an_unreviewed_draft(
    regions: list[Region], role: str, language: str, reviewed: tuple[str, ...], want: str
) -> None:
    """E-mail, voice and card write in ``Sending.language``."""
    region = replace(regions[0], reviewed_languages=reviewed)
    event = AlertEvent(alert=next(iter(samples(region.zones[0], region))), cap="", config="", code="")
    contact = Contact("c", "C", role, language, ("sukkur",), Level.LOW, "+9991", live=False)
    sent: list[Sending] = []

    class Recording:
        name = "voice"

        async def send(self, sending: Sending) -> Outcome:
            sent.append(sending)
            return Outcome(DeliveryState.ACCEPTED)

    async def alert(_: str) -> bytes:
        return to_json(event)

    async def put(entry: object) -> Claimed:
        return Claimed(1)

    async def claimed(entries: Sequence[object]) -> list[Claimed]:
        return [Claimed(1) for _ in entries]

    async def some(ids: object) -> dict[str, Contact]:
        return {"c": contact}

    allowed = SimpleNamespace(allowed=True)
    planner = SimpleNamespace(region=region, overtakes=lambda *_: False, may=lambda *_, **__: allowed)
    ledger, journal = SimpleNamespace(alert=alert), SimpleNamespace(put=put, all=claimed)
    at = {"replay": False, "now_ms": lambda: 0, "wall_ms": lambda: 0, "listen": lambda _: None, "contacts": SimpleNamespace(some=some)}
    courier = Courier(ledger=ledger, journal=journal, planner=planner, channels={"voice": Recording()}, **at)  # type: ignore[arg-type]
    item = Open(1, event.alert.identifier, "chain", Level.LOW, "c", "voice", language, "", 0, 0, 0, 1000)
    for work in await courier.prepare([item]):
        await work
    assert [one.language for one in sent] == [want]


def test_an_end_by_hand_is_told_in_the_language_however_its_code_is_written() -> None:
    for code, own in (("prs-AF", "fa"), ("zh_CN", "zh"), ("ur-PK", "ur"), ("de", "en")):
        assert hand_words.withdrawn(code) == hand_words.WITHDRAWN[own] and hand_words.said(code) == hand_words.SAID[own], code
    assert set(hand_words.WITHDRAWN) == set(hand_words.SAID) == set(LANGUAGES)


def test_no_gauge_is_called_dizzy_in_dari() -> None:
    """«گیج» is a gauge in Urdu; in Persian it is somebody who is dazed, and a cusec's «کیوسک» is a kiosk."""
    assert not {"گیج", "کیوسک"} & set(re.split(r"[^\w\u200c]+", dari.TABLE))
