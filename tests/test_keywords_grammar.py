"""Keywords by SMS in ten languages: the grammar, and the words of answers."""

from __future__ import annotations

import string
from dataclasses import replace

import keywords_house
import pytest
from alert_region import T0
from hypothesis import given, settings
from hypothesis import strategies as st
from keywords_house import event_of

from warning.alerts.languages import LANGUAGES
from warning.model import Level
from warning.people.keywords import Places, command, language
from warning.people.replies import Replies, parts
from warning.people.spelling import folded
from warning.people.vocabulary import KEYWORDS, KINDS, LANGUAGE_NAMES, REPLIES
from warning.region import Region

indus = keywords_house.indus


def test_every_language_has_every_keyword_and_reply() -> None:
    assert set(KEYWORDS) == set(REPLIES) == set(LANGUAGE_NAMES) == set(LANGUAGES)
    fields = {which: {name for _, name, _, _ in string.Formatter().parse(text) if name} for which, text in REPLIES["en"].items()}
    for spoken in LANGUAGES:
        assert set(KEYWORDS[spoken]) == set(KINDS)
        own = {which: {name for _, name, _, _ in string.Formatter().parse(text) if name} for which, text in REPLIES[spoken].items()}
        assert own == fields, spoken


def test_no_word_means_two_things() -> None:
    meant: dict[str, str] = {}
    for kinds in KEYWORDS.values():
        for kind, words in kinds.items():
            for word in words.split():
                key = folded(word.replace("_", ""))
                assert key and meant.setdefault(key, kind) == kind, word
    called: dict[str, str] = {}
    for spoken, names in LANGUAGE_NAMES.items():
        for name in names.split():
            assert called.setdefault(folded(name.replace("_", "")), spoken) == spoken, name


@pytest.mark.parametrize("spoken", sorted(KEYWORDS))
def test_each_word_is_its_command(spoken: str) -> None:
    for kind, words in KEYWORDS[spoken].items():
        for word in words.split():
            typed = word.replace("_", " ")
            for text in (typed, f"  {typed.upper()}. ", typed.lower(), f"\u200f{typed}\u200f"):
                found = command(text)
                assert found is not None and (found.kind, found.argument) == (kind, "") and spoken in found.languages, text


@pytest.mark.parametrize("spoken", sorted(KEYWORDS))
def test_the_answers_name_words_that_work(spoken: str) -> None:
    """Whoever writes what an answer tells him to write is understood."""
    named = {which: REPLIES[spoken][which] for which in ("joined", "stopped", "which", "no_code")}
    for which, kind in (("joined", "stop"), ("stopped", "subscribe"), ("which", "subscribe"), ("no_code", "check")):
        assert KEYWORDS[spoken][kind].split()[0] in named[which], which
    for kind in ("subscribe", "status", "check", "language", "stop"):
        assert KEYWORDS[spoken][kind].split()[0] in REPLIES[spoken]["help"], kind


@pytest.mark.parametrize(
    ("text", "kind", "argument"),
    [
        ("join Sukkur", "subscribe", "Sukkur"),
        ("شامل سکھر", "subscribe", "سکھر"),
        ("订阅苏库尔", "subscribe", "苏库尔"),
        ("to’xtat", "stop", ""),
        ("Toʻxtat iltimos", "stop", None),
        ("STOP sending me this", "stop", None),
        ("بند کریں", "stop", None),
        *(
            (text, "stop", None)
            for text in ("سٹاپ", "بند کردو پلیز", "band kardo", "стоп всё", "Отмена!", "тўхтат", "ТУХТАТ", "td", "退訂")
        ),
        *((text, "stop", None) for text in ("«STOP»", "STOP!!!", "ＳＴＯＰ", "un-subscribe", "Stop all", "قطع کنید")),
        ("обуна Термез", "subscribe", "Термез"),
        ("river Dera Ismail Khan", "status", "Dera Ismail Khan"),
        ("۱", "acknowledge", ""),
        ("1.", "acknowledge", ""),
        ("مل گیا", "acknowledge", ""),
        ("1 abcdefg", "acknowledge", "abcdefg"),
        ("check ABC DEFG", "check", "ABC DEFG"),
        ("LANGUAGE urdu", "language", "urdu"),
    ],
)
def test_commands(text: str, kind: str, argument: str | None) -> None:
    found = command(text)
    assert found is not None and found.kind == kind and argument in (None, found.argument)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 2",
        "10",
        "1 metre of water",
        "54.2 ft",
        "سکھر ۵۴٫۲ فٹ",
        "help me",
        "joining",
        "Sukkur join",
        "بند ٹوٹ گیا",
        "پانی آ گیا",
        "river has come over the embankment at our village",
        "دریا کا پانی گاؤں میں داخل ہو گیا ہے",
        "start the pumps at the bridge of Rohri",
        "x" * 300,
    ],
)
def test_what_is_no_command(text: str) -> None:
    """Above all: «the embankment broke» is not «stop»."""
    assert command(text) is None


_WORDS = st.builds(" ".join, st.lists(st.sampled_from(["1", "۱", "بند", "STOP", "退订", "join", "சேர", "х", "5.5"]), max_size=6))


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(max_size=250),
        _WORDS,
    )
)
def test_any_text_is_a_command_or_none(text: str) -> None:
    found = command(text)
    assert found is None or (found.kind in KINDS and found.languages and len(found.argument) <= 2 * len(text) + 8)


def test_languages_go_by_their_names_and_codes() -> None:
    assert [language(one) for one in ("Urdu", "اردو", "PS", "prs", "O‘zbek", "中文", "தமிழ்", "Klingon", "")] == [
        *("ur", "ur", "ps", "fa", "uz", "zh", "ta", "", "")
    ]


@pytest.mark.parametrize("spoken", sorted(REPLIES))
def test_no_answer_is_over_two_parts(indus: Region, spoken: str) -> None:
    region = replace(indus, reviewed_languages=tuple(LANGUAGES))
    replies = Replies(region, spoken)
    assert replies.language == spoken
    for which, template in REPLIES[spoken].items():
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        for long in names or [""]:
            text = replies.say(which, **{name: "م" * (400 if name == long else 12) for name in names})
            assert parts(text) <= 2 and text.encode("utf-16-be")
    for level in (Level.LOW, Level.EXCEPTIONAL):
        assert parts(replies.about("replaced", event_of(region, region.zones[0].id, level, T0))) <= 2


def test_places_are_districts_first_and_never_guessed(indus: Region) -> None:
    places = Places(indus)
    [sukkur] = places.called("sukkur")
    assert sukkur.districts == ("sukkur",) and sukkur.zones == ("IND-GUDDU",)
    assert places.zones("Sukkur") == ("IND-GUDDU", "IND-SUKKUR"), "the district's, and the barrage's of that name"
    assert [one.id for one in places.called("سکھر")] == ["sukkur"] and [one.id for one in places.called("IND-SUKKUR")] == ["IND-SUKKUR"]
    assert places.called("Sukur") == [] and {one.id for one in places.like("Sukur")} == {"sukkur"}
    assert places.called("") == places.like("x") == []
