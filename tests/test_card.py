"""The picture card: what stands on it, in which direction, in letters that join; and what happens where a font is not there."""

from __future__ import annotations

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import channel_world as world
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

from warning import config
from warning.alerts.display import LANGUAGES
from warning.dispatch import typeset
from warning.dispatch.card import BAND, MARGIN, PICTOGRAM, SIDE, Cards, card
from warning.dispatch.look import ground, ink, right_to_left
from warning.errors import Unavailable
from warning.model import EventKind, Level, Status
from warning.region import Region

GUDDU = "IND-GUDDU"


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load("indus")


def drawn(region: Region, language: str, level: Level = Level.EXCEPTIONAL, **changes: object) -> Image.Image:
    event = world.event(region, changes.pop("zone", GUDDU), level=level, sent_ms=1_756_260_000_000, **changes)
    return Image.open(io.BytesIO(card(event.alert, region, language))).convert("RGB")


def dark(picture: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
    """Where ink stands on white: shape (height, width), bool."""
    return np.asarray(picture.crop(box).convert("L")) < 140


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {"zh"}))
def test_every_language_has_its_card_small_enough_for_a_message_and_without_a_box_for_a_letter(indus: Region, language: str) -> None:
    event = world.event(indus, GUDDU, level=Level.VERY_HIGH, sent_ms=1_756_260_000_000)
    png = card(event.alert, indus, language)
    assert png.startswith(b"\x89PNG") and len(png) < 150_000, "an MMS may have 300 KB"
    picture = Image.open(io.BytesIO(png))
    assert picture.size == (SIDE, SIDE)
    if (folder := os.environ.get("WARNING_PICTURES")) and language in ("en", "ur", "si"):
        (Path(folder) / f"card-{language}.png").write_bytes(png)
    below = dark(picture.convert("RGB"), (MARGIN, BAND, SIDE - MARGIN, SIDE - 66))
    rows = np.flatnonzero(below.any(axis=1))
    assert len(rows) > 150, "place, time and action are there"


@pytest.mark.parametrize("level", [Level.LOW, Level.HIGH, Level.EXCEPTIONAL])
def test_the_class_is_its_colour_and_the_words_can_be_read_on_it(indus: Region, level: Level) -> None:
    picture = drawn(indus, "en", level, status=Status.ACTUAL)
    assert picture.getpixel((4, BAND - 4)) == tuple(int(ground(level)[at : at + 2], 16) for at in (1, 3, 5))
    assert contrast(ground(level), ink(level)) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_class_has_contrast_enough() -> None:
    assert all(contrast(ground(level), ink(level)) >= 4.5 for level in Level)


def test_urdu_begins_at_the_right_and_english_at_the_left_and_the_pictogram_stands_opposite(indus: Region) -> None:
    for language in ("ur", "en"):
        picture = drawn(indus, language)
        columns = np.flatnonzero(dark(picture, (0, BAND + 20, SIDE, BAND + 170)).any(axis=0))
        left, right = columns[0], SIDE - columns[-1]
        assert bool(right < left) is right_to_left(language) and min(left, right) < MARGIN + 12
        band = ImageChops.difference(
            picture.crop((0, 100, SIDE, BAND - 20)), Image.new("RGB", (SIDE, BAND - 120), ground(Level.EXCEPTIONAL))
        )
        house = np.asarray(band.convert("L")) > 60
        corner = slice(MARGIN, MARGIN + PICTOGRAM) if right_to_left(language) else slice(SIDE - MARGIN - PICTOGRAM, SIDE - MARGIN)
        assert house[:, corner].mean() > 0.2


def test_urdu_letters_join(indus: Region) -> None:
    """Shaped, a word is narrower than its letters one by one; a picture without shaping would be as wide."""
    size, lines = typeset.fit("انتہائی", "ur", 900, 400, 100)
    alone = sum(typeset._runs([letter], "ur", size)[0].width for letter in "انتہائی")
    assert lines[0][0].width < 0.75 * alone


def test_a_latin_name_in_an_urdu_line_gets_letters_and_keeps_its_order() -> None:
    runs = typeset._runs(["سیلاب", "Guddu", "Barrage", "27"], "ur", 40)
    assert [run.text for run in runs] == ["سیلاب", "Guddu Barrage", "27"]
    assert [run.rtl for run in runs] == [True, False, True]
    assert typeset._has(str(typeset.font_file("ur")), "ے") and not typeset._has(str(typeset.font_file("ur")), "G")


def test_a_long_place_is_made_smaller_and_never_leaves_its_box() -> None:
    for language, text in (("en", "Very long name of a place " * 6), ("ur", "انتہائی اونچے درجے کا سیلاب " * 5), ("en", "X" * 60)):
        picture = Image.new("RGB", (600, 300), "white")
        below = typeset.draw(ImageDraw.Draw(picture), (50, 20, 550, 200), text, language, 90, "black")
        ink_there = dark(picture, (0, 0, 600, 300))
        assert ink_there.any() and below <= 230
        if " " in text:
            assert not ink_there[:, :44].any() and not ink_there[:, 560:].any()


def test_an_exercise_is_marked_and_an_actual_one_is_not(indus: Region) -> None:
    yellow = (255, 212, 92)
    for status, marked in ((Status.EXERCISE, True), (Status.TEST, True), (Status.ACTUAL, False)):
        strip = np.asarray(drawn(indus, "en", status=status).crop((0, 0, SIDE, 60))).reshape(-1, 3).astype(int)
        assert bool((np.abs(strip - yellow).sum(axis=1) < 40).any()) is marked


def test_an_end_is_no_longer_the_colour_of_danger(indus: Region) -> None:
    picture = drawn(indus, "ur", Level.HIGH, kind=EventKind.CLEAR)
    assert picture.getpixel((4, BAND - 4)) == (0x1F, 0x6F, 0xA8)


def test_without_a_font_the_card_is_english_and_the_fix_is_said(
    indus: Region, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(typeset.ELSEWHERE, "ur", ("/nowhere/font.ttc",))
    event = world.event(indus, GUDDU, sent_ms=1_756_260_000_000)
    with pytest.raises(Unavailable, match="install fonts-noto-cjk"):
        card(event.alert, indus, "ur")
    assert Cards(indus).of(event.alert, "ur") == card(event.alert, indus, "en")
    assert "in English instead of ur" in caplog.text


def test_without_shaping_there_is_no_card_at_all(indus: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeset.features, "check", lambda name: name != "fribidi")
    with pytest.raises(Unavailable, match="libfribidi0"):
        Cards(indus).of(world.event(indus, GUDDU, sent_ms=1_756_260_000_000).alert, "en")


def test_a_card_is_drawn_once_for_all_contacts_of_a_language_and_the_newest_are_kept(indus: Region) -> None:
    cards = Cards(indus)
    alert = world.event(indus, GUDDU, sent_ms=1_756_260_000_000).alert
    assert cards.of(alert, "en") is cards.of(alert, "en-GB")
    zone = replace(indus.zone_by_id[GUDDU], names={"en": "Guddu & <b>"})
    assert card(alert, replace(indus, zones=(zone,)), "en").startswith(b"\x89PNG")


def test_a_district_that_asks_for_the_same_card_at_once_has_it_drawn_once(indus: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, cards = [], Cards(indus)
    monkeypatch.setattr(cards, "_drawn", lambda alert, language, code: (time.sleep(0.05), drawn.append(language), b"PNG")[-1])
    event = world.event(indus, GUDDU, sent_ms=1_756_260_000_000)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: cards.of(event.alert, "en"), range(16))) == {b"PNG"}
    assert drawn == ["en"]
