"""Words on a picture: each script in a font that has it, broken into lines, from the right where it is written so.

Shaping (Nastaliq's slopes, Sinhala's and Tamil's vowels) is HarfBuzz's, by Pillow's Raqm. Words are placed one by one, so that a Latin name
in an Urdu line gets a font that has Latin letters; a run of such words stays in its own order.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageDraw, ImageFont, features

from warning.dispatch.look import right_to_left
from warning.errors import Unavailable

FOLDER = Path(__file__).parent / "fonts"
LATIN = "NotoSans-Bold.ttf"
FONTS: Mapping[str, str] = {
    "ur": "NotoNastaliqUrdu-Bold.ttf",
    "ps": "NotoNaskhArabic-Bold.ttf",
    "sd": "NotoNaskhArabic-Bold.ttf",
    "fa": "NotoNaskhArabic-Bold.ttf",
    "prs": "NotoNaskhArabic-Bold.ttf",
    "si": "NotoSansSinhala-Bold.ttf",
    "ta": "NotoSansTamil-Bold.ttf",
}
ELSEWHERE: Mapping[str, tuple[str, ...]] = {  # 16 MB are not shipped; as Debian's fonts-noto-cjk and others put them
    "zh": (
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
        "/usr/share/fonts/noto-cjk/NotoSansCJK-Bold.ttc",
        "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    )
}
LEADING: Mapping[str, float] = {"ur": 2.1, "si": 1.5, "ta": 1.5}
ASCENT: Mapping[str, float] = {"ur": 0.72}  # of a line's height, above the base line: Nastaliq climbs
LEAST = 18  # pixels; smaller is not read on a phone
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f"


@dataclass(frozen=True, slots=True)
class Run:
    """Words that are drawn at one go."""

    text: str
    font: ImageFont.FreeTypeFont
    rtl: bool
    language: str

    @property
    def width(self) -> float:
        return _length(self.font, self.text, self.rtl, self.language)


def require_shaping() -> None:
    """Raises Unavailable where Pillow cannot shape: letters that do not join are not Urdu."""
    if not (features.check("raqm") and features.check("fribidi")):
        fix = "install libfribidi0 (Debian) beside Pillow's wheel"
        raise Unavailable(f"no picture card: this Pillow has no Raqm with FriBiDi, and Urdu would be wrong; {fix}", reason="unavailable")


def font_file(language: str) -> Path:
    """Raises Unavailable with what to install."""
    base = language.split("-")[0]
    if base not in ELSEWHERE:
        return FOLDER / FONTS.get(base, LATIN)
    found = next((Path(place) for place in ELSEWHERE[base] if Path(place).is_file()), None)
    if found is None:
        raise Unavailable(f"no font for {language}: install fonts-noto-cjk (Debian)", reason="unavailable")
    return found


def leading(language: str) -> float:
    """Distance of lines, in sizes of the font."""
    return LEADING.get(language.split("-")[0], 1.3)


def fit(text: str, language: str, width: int, height: int, most: int) -> tuple[int, list[list[Run]]]:
    """The largest size, up to ``most`` pixels, at which the text fits into the box, and its lines."""
    size = most
    while True:
        lines = broken(text, language, size, width)
        if size <= LEAST or (len(lines) * leading(language) * size <= height and all(_wide(line, size) <= width for line in lines)):
            return size, lines
        size = max(LEAST, size - max(2, size // 10))


def broken(text: str, language: str, size: int, width: int) -> list[list[Run]]:
    """Lines of runs, none wider than ``width`` but where one word is."""
    lines: list[list[Run]] = []
    here: list[str] = []
    for word in _words(text, language):
        if here and _wide(_runs([*here, word], language, size), size) > width:
            lines.append(_runs(here, language, size))
            here = []
        here.append(word)
    return [*lines, _runs(here, language, size)] if here else lines


def draw(canvas: ImageDraw.ImageDraw, box: tuple[int, int, int, int], text: str, language: str, most: int, fill: str) -> int:
    """The text into the box (left, top, right, bottom), at its top and its language's beginning. Returns the bottom of what it drew."""
    left, top, right, bottom = box
    size, lines = fit(text, language, right - left, bottom - top, most)
    step, rtl = leading(language) * size, right_to_left(language)
    for number, line in enumerate(lines):
        x, base = float(right if rtl else left), top + step * (number + ASCENT.get(language.split("-")[0], 0.7))
        for run in line:
            x -= run.width if rtl else 0.0
            canvas.text((x, base), run.text, fill, run.font, anchor="ls", direction="rtl" if run.rtl else "ltr", language=run.language)
            x += -_space(size, language) if rtl else run.width + _space(size, language)
    return round(top + step * len(lines))


def _words(text: str, language: str) -> Iterator[str]:
    for word in text.split():
        if language.split("-")[0] == "zh":  # writes no spaces: it is broken between any two characters
            yield from word
        else:
            yield word


def _runs(words: list[str], language: str, size: int) -> list[Run]:
    own, rtl = _font(str(font_file(language)), size), right_to_left(language)
    runs: list[Run] = []
    foreign: list[str] = []
    for word in words:
        if all(_has(str(font_file(language)), letter) for letter in word):
            runs += _foreign(foreign, size)
            foreign = []
            runs.append(Run(word, own, rtl, language.split("-")[0]))
        else:
            foreign.append(word)
    return runs + _foreign(foreign, size)


def _foreign(words: list[str], size: int) -> list[Run]:
    return [Run(" ".join(words), _font(str(FOLDER / LATIN), round(size * 0.8)), False, "en")] if words else []


def _wide(line: list[Run], size: int) -> float:
    return sum(run.width for run in line) + _space(size, line[0].language if line else "") * max(len(line) - 1, 0)


def _space(size: int, language: str) -> float:
    return 0.0 if language == "zh" else size * 0.27


@functools.lru_cache(maxsize=8192)
def _length(font: ImageFont.FreeTypeFont, text: str, rtl: bool, language: str) -> float:
    """Shaping Nastaliq takes a millisecond a word, and a line is measured again with each word that it gets."""
    return font.getlength(text, direction="rtl" if rtl else "ltr", language=language)


@functools.lru_cache(maxsize=200)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.RAQM)


@functools.lru_cache(maxsize=4096)
def _has(path: str, letter: str) -> bool:
    """Has the font this letter? What it has not looks like what no font has."""
    if letter in INVISIBLE:
        return True
    font = ImageFont.truetype(path, 24, layout_engine=ImageFont.Layout.BASIC)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010fffd"))
