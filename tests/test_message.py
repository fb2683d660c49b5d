"""The words: reasons in three languages, SMS within two parts, and the shipped regions within their budget."""

from __future__ import annotations

import string
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import pytest
from alert_region import CUSEC, KELANI, REGION, T0, ZONE, H, M, actual, hazard, raised, silent
from hypothesis import given, settings
from hypothesis import strategies as st

from warning import config
from warning.alerts import cap
from warning.alerts.budget import budget_problems, samples
from warning.alerts.display import LANGUAGES, amount, clean, clip, decimal, duration, local_time
from warning.alerts.lifecycle import transition
from warning.alerts.lint import lint
from warning.alerts.message import DRAFT_LANGUAGES, MOST_PARTS, check_code, description, headline, instruction, sms, words
from warning.model import CLASSES, Cause, EventKind, Level, Parameter, Reason, Status

ROOT = Path(__file__).parent.parent
VALUE, LIMIT = 690_000 * CUSEC, 600_000 * CUSEC


def reason(code: str, **values) -> Reason:
    return Reason(code=code, values=values)


ENGLISH = [
    (
        reason("observed_above", value=VALUE, limit=LIMIT, level="EXCEPTIONAL", parameter="outflow", observed_ms=T0),
        "outflow 690,000 cusec at 27 Aug 07:00: at or above the limit of 600,000 cusec for Exceptionally high flood",
    ),
    (reason("observed_below", value=VALUE, limit=LIMIT, observed_ms=T0), "flow 690,000 cusec at 27 Aug 07:00: below 600,000 cusec"),
    (reason("observed_below", value=VALUE, limit=None, observed_ms=T0), "flow 690,000 cusec at 27 Aug 07:00: below every limit"),
    (reason("unconfirmed", value=VALUE, level="HIGH"), "one reading of 690,000 cusec would mean High Flood; it is not confirmed yet"),
    (
        reason("suspect", cause="spike", value=VALUE, observed_ms=T0),
        "a doubtful reading of 690,000 cusec at 27 Aug 07:00 was not used (spike)",
    ),
    (reason("suspect", cause="missing", value=None, observed_ms=T0), "a doubtful reading was not used (missing)"),
    (reason("silent_since", observed_ms=T0), "no good reading from the gauge since 27 Aug 07:00"),
    (reason("silent_since", observed_ms=None), "there has never been a good reading from the gauge"),
    (reason("never_spoke"), "there has never been a good reading from the gauge"),
    (
        reason("trend", rate_per_h=1000 * CUSEC, points=5, horizon_h=3.0),
        "rising by 1,000 cusec an hour over the last 5 readings, carried on for 3 h",
    ),
    (reason("trend", rate_per_h=-1000 * CUSEC, points=5, horizon_h=3.0), "falling by 1,000 cusec an hour over the last 5 readings"),
    (
        reason(
            "wave",
            upstream="CHE-MARALA",
            upstream_value=VALUE,
            upstream_level="EXCEPTIONAL",
            travel_low_h=6.0,
            travel_high_h=12.0,
            arrival_ms=T0 + 9 * H,
        ),
        "a wave from Marala (690,000 cusec, Exceptionally high flood) takes 6 to 12 h and arrives about 27 Aug 16:00",
    ),
    (
        reason(
            "wave", upstream="CHE-MARALA", upstream_value=None, upstream_level="HIGH", travel_low_h=6.0, travel_high_h=12.0, arrival_ms=None
        ),
        "a wave from Marala (High Flood) is on its way",
    ),
    (
        reason("expected", level="HIGH", probability=0.834, arrival_ms=T0, limit=LIMIT),
        "High Flood (from 600,000 cusec) expected about 27 Aug 07:00, probability 83 %",
    ),
    (reason("expected", level="HIGH", probability=1.0, arrival_ms=None, limit=None), "High Flood expected, probability 100 %"),
    (reason("neighbour_confirms", upstream="CHE-KHANKI"), "the gauge at Khanki confirms the reading"),
    (reason("neighbour_confirms", upstream="ELSEWHERE"), "the gauge at ELSEWHERE confirms the reading"),
    (reason("second_reading_confirms"), "a second reading confirms it"),
    (reason("peak", value=VALUE, peak_ms=T0 + H), "peak of about 690,000 cusec expected about 27 Aug 08:00"),
    (reason("out_of_service", parameter="inflow", cause="internal"), "the inflow sensor is out of service (internal error)"),
    (reason("stale_reading", age_h=7.5), "the newest reading is 7.5 h old"),
    (reason("stale_reading", age_h=36.2), "the newest reading is 36 h old"),
    (reason("end_unconfirmed"), "no reading confirms the end, so the warning stays"),
    (reason("breach", place="left bank", width_m=30), "breach (place left bank, width_m 30)"),
    (reason("something_new"), "something_new"),
]


@pytest.mark.parametrize(("given_", "said"), ENGLISH, ids=[f"{one.code}-{number}" for number, (one, _) in enumerate(ENGLISH)])
def test_reasons_in_english(given_, said):
    assert words(given_, REGION, "en", "discharge") == said


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one not in ("en", "uz")])
@pytest.mark.parametrize("given_", [one for one, _ in ENGLISH[:-2]], ids=lambda one: one.code)
def test_reasons_in_the_other_languages_keep_every_number(given_, language):
    """No English text is left, and each number of the English sentence stands in it."""
    said, english = words(given_, REGION, language, "discharge"), words(given_, REGION, "en", "discharge")
    names = {"Khanki", "Marala", "ELSEWHERE", "High", "Flood"}  # no Sinhala name is configured for these
    assert {token for token in said.replace("(", " ").replace(",", " ").split() if token.isascii() and token.isalpha()} <= names
    numbers = {token.strip("().,:") for token in english.split() if token[:1].isdigit()}
    assert {number for number in numbers if decimal(number, LANGUAGES[language]) not in said} == set()


def test_a_reason_without_its_quantity_uses_the_regions_only_one():
    one = reason("unconfirmed", value=5.0, level="LOW")
    stage_only = replace(REGION, zones=(REGION.zones[2],))
    assert words(one, stage_only, "en") == "one reading of 5.00 m would mean Low flood; it is not confirmed yet"
    assert (
        words(one, REGION, "en") == "one reading of 5.00 would mean Low flood; it is not confirmed yet"
    )  # two quantities: no unit is invented


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_says_all_that_english_says(language):
    own, english = LANGUAGES[language], LANGUAGES["en"]
    for field in fields(own):
        mine, theirs = getattr(own, field.name), getattr(english, field.name)
        if isinstance(theirs, dict):
            assert mine.keys() == theirs.keys(), field.name
    for which, template in english.sentences.items():
        assert placeholders(own.sentences[which]) == placeholders(template), which
    for which, template in english.words.items():
        assert placeholders(own.words[which]) <= placeholders(template), which
    for code, variants in english.reasons.items():
        for one in variants:  # whatever is known of it that English can say, this language can say
            assert any(placeholders(said) <= placeholders(one) for said in own.reasons[code]), (code, one)
        assert set().union(*map(placeholders, own.reasons[code])) <= set().union(*map(placeholders, variants)), code
        assert not placeholders(variants[-1]) or code in ("unconfirmed", "out_of_service", "expected", "peak", "likelihood", "exposure")
    assert set(own.causes) == {cause.value for cause in Cause} and set(own.parameters) == {parameter.value for parameter in Parameter}
    assert set(own.actions) == set(own.instructions) == {Level.NORMAL, *CLASSES}
    assert len(own.months) == 12 and len(set(own.months)) == 12


def test_the_translations_say_that_they_are_drafts():
    assert set(LANGUAGES) - {"en"} == DRAFT_LANGUAGES
    assert all(texts.draft == (language in DRAFT_LANGUAGES) for language, texts in LANGUAGES.items())


# --- values, times, codes


@pytest.mark.parametrize(
    ("value", "quantity", "language", "said"),
    [
        (600_000 * CUSEC, "discharge", "en", "600,000 cusec"),
        (600_000 * CUSEC, "inflow", "ur", "600,000 کیوسک"),
        (5.0, "stage", "en", "5.00 m"),
        (-0.123, "stage", "si", "-0.12 මීටර්"),
        (12.4, "rain", "en", "12 mm"),
        (float("nan"), "stage", "en", "?"),
        (3.0, "?", "en", "3.00"),
    ],
)
def test_values_are_in_the_units_of_the_place(value, quantity, language, said):
    assert amount(value, quantity, REGION, language) == said


def test_small_discharges_in_si_keep_a_decimal():
    metric = replace(REGION, display_units={"discharge": "m3/s", "stage": "furlong"})
    assert [amount(value, "discharge", metric, "en") for value in (12.34, 1234.5)] == ["12.3 m3/s", "1,234 m3/s"]
    assert amount(1.5, "stage", metric, "en") == "1.50 m"  # an unknown unit: SI


def test_times_are_local():
    assert local_time(T0, REGION, "en") == "27 Aug 07:00" and local_time(T0, REGION, "ur") == "27 اگست 07:00"
    assert local_time(T0 + 17 * H, replace(REGION, utc_offset_s=19_800), "en") == "28 Aug 00:30"
    assert [duration(ms, "en") for ms in (-5, 119 * M, 2 * H, 47 * H, 49 * H)] == ["0 min", "119 min", "2 h", "47 h", "2 days"]


def test_the_check_code_is_short_speakable_and_of_its_revision():
    codes = {check_code(f"ews.chenab.CHE-MARALA.20250827T020000Z.{number}") for number in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 5 and not set(code) - set(string.ascii_uppercase + "234567") for code in codes)
    assert check_code("ews.chenab.CHE-MARALA.20250827T020000Z.0") == "BNKIH"  # stays: pages and phones must agree for years


# --- SMS


def test_the_sms_as_it_reads():
    alert = raised(actual(), observed=Level.EXCEPTIONAL)
    english = sms(alert, REGION, "en")
    assert english.text == "Go to high ground NOW. Exceptionally high flood at Marala (27 Aug 07:00). Flow 600,000 cusec. Code BNKIH"
    assert (english.encoding, english.parts, english.units, english.complete) == ("GSM-7", 1, len(english.text), True)
    urdu = sms(alert, REGION, "ur")
    assert urdu.text == "فوراً اونچی جگہ چلے جائیں۔ مرالہ پر انتہائی اونچے درجے کا سیلاب (27 اگست 07:00)۔ بہاؤ 600,000 کیوسک۔ کوڈ BNKIH"
    assert (urdu.encoding, urdu.parts, urdu.units) == ("UCS-2", 2, len(urdu.text))


def test_an_exercise_begins_with_that_word():
    for status, mark in ((Status.EXERCISE, "EXERCISE. "), (Status.TEST, "TEST. "), (Status.ACTUAL, "")):
        alert = msgspec.structs.replace(raised(), status=status)
        texts = [
            sms(alert, REGION, "en").text,
            headline(alert, REGION, "en"),
            description(alert, REGION, "en"),
            instruction(alert, REGION, "en"),
        ]
        assert [text.startswith(mark) for text in texts] == [True] * 4
        assert [text.startswith(("EXERCISE", "TEST")) for text in texts] == [bool(mark)] * 4


def test_what_each_kind_says():
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + 9 * H)
    said = [headline(alert, actual(), "en")]
    course = [
        (M, hazard(T0 + M, expected=Level.HIGH, arrival_ms=T0 + 6 * H)),
        (2 * M, hazard(T0 + 2 * M, observed=Level.HIGH)),
        (3 * M, hazard(T0 + 3 * M, observed=Level.HIGH, expected=Level.EXCEPTIONAL, arrival_ms=T0 + 5 * H)),
        (H, silent(T0 + H, T0 + 3 * M)),
        (2 * H, hazard(T0 + 2 * H, observed=Level.LOW)),
        (3 * H, hazard(T0 + 3 * H, observed=Level.LOW)),
        (4 * H, hazard(T0 + 4 * H)),
        (5 * H, hazard(T0 + 5 * H)),
    ]
    for after, seen in course:
        moved = transition(alert, seen, ZONE, actual(), T0 + after)
        said += [headline(moved.event, actual(), "en")] if moved.event else []
        alert = moved.alert
    assert [text.removeprefix("EXERCISE. ") for text in said] == [
        "High Flood expected at Marala about 27 Aug 16:00",
        "New time: High Flood expected at Marala about 27 Aug 13:00",
        "High Flood has reached Marala (27 Aug 07:02)",
        "Raised: Exceptionally high flood expected at Marala about 27 Aug 12:00",
        "Exceptionally high flood warning for Marala stays: the gauge is silent (27 Aug 07:03)",
        "Exceptionally high flood warning for Marala stays (27 Aug 09:00)",
        "Lowered: Low flood at Marala (27 Aug 10:00)",
        "Water at Marala is back below the warning level (27 Aug 12:00)",
    ]


def test_a_renewal_that_stands_in_says_what_is():
    alert = raised()
    due = alert.expires_ms - H
    event = transition(alert, hazard(due, observed=Level.HIGH), ZONE, REGION, due).event
    assert event.kind is EventKind.RENEW
    assert "High Flood at Marala (28 Aug 04:30)" in sms(event, REGION, "en").text


def test_an_arrival_that_has_passed_is_not_repeated():
    """Expected 9 h ahead; a day later nothing was seen and nothing better is known: no time of yesterday in any text."""
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + 9 * H)
    due = alert.expires_ms - H
    event = transition(alert, silent(due, None), ZONE, REGION, due).event
    assert (event.kind, event.arrival_ms) == (EventKind.CERTAINTY, T0 + 9 * H)
    for language in ("en", "ur", "si"):
        for text in (sms(event, REGION, language).text, headline(event, REGION, language)):
            assert local_time(T0 + 9 * H, REGION, language) not in text
    assert "High Flood warning for Marala (28 Aug 04:30)." in sms(event, REGION, "en").text
    assert description(event, REGION, "en").count("No reading confirms the end, so the warning stays.") == 1


def test_a_silent_gauge_gives_no_value():
    alert = raised(observed=Level.HIGH)
    event = transition(alert, silent(T0 + H, T0, expected=Level.EXCEPTIONAL, arrival_ms=T0 + 5 * H), ZONE, REGION, T0 + H).event
    event = msgspec.structs.replace(event, hazard=msgspec.structs.replace(event.hazard, value=3.0))
    assert "Flow" not in sms(event, REGION, "en").text


def test_shortening_drops_the_value_then_the_course_then_the_name():
    alert = transition(raised(observed=Level.LOW), hazard(T0 + M, observed=Level.EXCEPTIONAL), ZONE, REGION, T0 + M).event
    seen = []
    for length in range(1, 120):
        region = replace(REGION, zones=(replace(ZONE, names={"en": "x", "ur": "م" * length}), *REGION.zones[1:]))
        message = sms(alert, region, "ur")
        assert message.parts <= MOST_PARTS and message.units <= 134
        assert message.text.startswith("مشق: فوراً اونچی جگہ چلے جائیں۔") and message.text.endswith(check_code(alert.identifier))
        assert "انتہائی اونچے درجے کا سیلاب" in message.text and "27 اگست 07:01" in message.text
        form = ("بہاؤ" in message.text, "درجہ بڑھا" in message.text, message.complete)
        if form not in seen:
            seen.append(form)
    assert seen == [(True, True, True), (False, True, True), (False, False, True), (False, False, False)]


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.one_of(st.characters(), st.sampled_from("\U00010384\U0001f30a€[]{}~^\\|")), min_size=1, max_size=200),
    st.sampled_from(["en", "ur", "si", "xx"]),
    st.sampled_from(CLASSES),
    st.booleans(),
)
def test_no_name_makes_a_message_too_long_or_cuts_a_character(name, language, level, observed):
    region = replace(REGION, zones=(replace(ZONE, names={"en": name}),), class_names={})
    alert = raised(region, region.zones[0], **({"observed": level} if observed else {"expected": level, "arrival_ms": T0 + 5 * H}))
    message = sms(alert, region, language)
    assert 1 <= message.parts <= MOST_PARTS
    data = message.text.encode("utf-16-be")  # raises on a lone surrogate
    if message.encoding == "UCS-2":
        assert message.units == len(data) // 2 <= 134
    else:
        assert message.units <= 306
    assert message.text.endswith(check_code(alert.identifier))
    assert len(headline(alert, region, language)) < 140
    assert lint(cap.document(alert, region), region) == []


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.integers(1, 60))
def test_clip_keeps_letters_and_their_marks_together(text, most):
    text = clean(text)
    cut = clip(text, most)
    assert len(cut) <= most and text.startswith(cut)
    rest = text[len(cut) :]
    if cut and rest and unicodedata.category(rest[0])[0] == "M":
        # only where the marks alone are longer than what is left
        assert all(unicodedata.category(character)[0] == "M" for character in cut[1:])


# --- budget


def test_the_test_region_is_within_its_budget():
    problems = budget_problems(REGION)
    assert [problem.what for problem in problems] == ["the texts in 'ur' are a draft", "the texts in 'si' are a draft"]
    assert not any(problem.fatal for problem in problems)


def test_a_name_that_is_too_long_is_a_problem_of_its_zone_and_language():
    long = replace(ZONE, names={"en": "Marala", "ur": "مرالہ " * 12})
    [problem] = [one for one in budget_problems(replace(REGION, zones=(long, *REGION.zones[1:]))) if one.fatal]
    assert problem.where == "zone CHE-MARALA, ur" and "over 2 parts" in problem.what and "shorten" in problem.fix


def test_english_that_needs_ucs2_is_a_warning():
    [problem] = [
        one for one in budget_problems(replace(REGION, zones=(replace(ZONE, names={"en": "Mārala"}),))) if one.where.startswith("zone")
    ]
    assert not problem.fatal and "ā" in problem.what


def test_a_language_without_texts_is_a_warning_and_english_stands_in():
    region = replace(REGION, languages=("en", "hi"))
    [problem] = budget_problems(region)
    assert not problem.fatal and "'hi'" in problem.what
    assert [info.language for info in cap.parse(cap.document(raised(region), region)).infos] == ["en"]
    assert sms(raised(), region, "hi").text == sms(raised(), region, "en").text


def test_names_missing_in_a_language_are_english():
    assert "Marala" in sms(raised(), REGION, "si").text
    assert "නාගලගම් වීදිය" in sms(raised(zone=REGION.zones[2], observed=Level.MEDIUM), REGION, "si").text
    assert KELANI["en"] in sms(raised(zone=REGION.zones[2], observed=Level.MEDIUM), REGION, "ur").text


@pytest.mark.parametrize("name", ["indus", "sri-lanka"])
def test_the_shipped_regions(name):
    """Every zone, class, kind and language: within two parts, a valid document without findings."""
    region = config.load(ROOT / "config" / name)
    assert [problem for problem in budget_problems(region) if problem.fatal or "draft" not in problem.what] == []
    for zone in region.zones:
        levels = list(zone.limits.values)
        for level in (levels[0], levels[-1]):
            alert = raised(region, zone, observed=level)
            assert lint(cap.document(alert, region), region) == []


@pytest.mark.parametrize("name", ["indus", "sri-lanka"])
def test_the_shipped_regions_most_messages_keep_their_value(name):
    """The value is the first thing to go: it may be missing from the longest messages only."""
    region = config.load(ROOT / "config" / name)
    for language in region.languages:
        messages = [sms(alert, replace(region, status=Status.ACTUAL), language) for zone in region.zones for alert in samples(zone, region)]
        with_value = sum(
            amount(alert.hazard.value, alert.hazard.quantity, region, language) in message.text
            for alert, message in zip((alert for zone in region.zones for alert in samples(zone, region)), messages, strict=True)
        )
        assert with_value / len(messages) > (0.8 if language == "en" else 0.3)
