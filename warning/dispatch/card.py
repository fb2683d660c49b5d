"""The picture card: class in its colour, a pictogram, place, time, and what to do, in the contact's language. For MMS and messengers.

The same for every contact of a language; drawn once. A language whose font or shaping is not there gets the English card.
"""

from __future__ import annotations

import io
import logging
import math
import threading
from collections import OrderedDict

from PIL import Image, ImageDraw

from warning.alerts import message
from warning.alerts.display import class_name, hazard_of, local_time, phrases, place
from warning.dispatch import typeset
from warning.dispatch.look import ground, ink, right_to_left
from warning.errors import Unavailable
from warning.model import Alert, Level, Status
from warning.region import Region, named

log = logging.getLogger(__name__)

SIDE = 1080  # pixels: square, as messengers show it whole
BAND = 470  # height of what stands on the colour of the class
MARGIN = 56
PICTOGRAM = 250
STRIP = 84  # of an exercise
PAPER, DARK, SOFT, STRIPES = "#ffffff", "#16202a", "#55626e", ("#ffe08a", "#ffd45c")
MOST_KEPT = 64


class Cards:
    """Draws them, and keeps the newest."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._turn = threading.Lock()  # a district asks for the same one at once

    def of(self, alert: Alert, language: str, code: str = "") -> bytes:
        """PNG. Blocks for as long as the drawing takes (0.2 s); raises Unavailable where not even the English one can be drawn."""
        key = alert.identifier, phrases(language).language
        with self._turn:
            if key not in self._kept:
                self._kept[key] = self._drawn(alert, key[1], code)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _drawn(self, alert: Alert, language: str, code: str) -> bytes:
        try:
            return card(alert, self._region, language, code)
        except Unavailable as error:
            if language == "en":
                raise
            log.error("the picture card is in English instead of %s: %s", language, error)
            return card(alert, self._region, "en", code)


def card(alert: Alert, region: Region, language: str, code: str = "") -> bytes:
    """PNG of ``SIDE`` x ``SIDE`` pixels; ``code`` confirms it, "": the document's own. Raises Unavailable with what is not installed."""
    typeset.require_shaping()
    typeset.font_file(language)
    level, rtl = alert.level if alert.active else Level.NORMAL, right_to_left(language)
    texts = phrases(language, hazard_of(alert.hazard.quantity))
    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle((0, 0, SIDE, BAND), ground(level))
    top = MARGIN // 2
    mark = {Status.EXERCISE: texts.exercise, Status.TEST: texts.test}.get(alert.status, "").rstrip(" .:۔")
    if mark:
        _strip(canvas, mark, language)
        top += STRIP
    left = MARGIN if rtl else SIDE - MARGIN - PICTOGRAM
    _pictogram(picture, (left, (STRIP if mark else 0) + 60), hazard_of(alert.hazard.quantity), level)
    beside = (2 * MARGIN + PICTOGRAM, SIDE - MARGIN) if rtl else (MARGIN, SIDE - 2 * MARGIN - PICTOGRAM)
    below = typeset.draw(canvas, (beside[0], top, beside[1], top + 80), named(region.names, language), language, 34, ink(level))
    hazard = hazard_of(alert.hazard.quantity)
    typeset.draw(canvas, (beside[0], below, beside[1], BAND - 10), class_name(level, region, language, hazard), language, 92, ink(level))
    _below(canvas, alert, region, language, texts.actions[level])
    foot = f"{alert.identifier}  {code or message.check_code(alert.identifier)}"
    typeset.draw(canvas, (MARGIN, SIDE - 58, SIDE - MARGIN, SIDE - 12), foot, "en", 26, SOFT)
    out = io.BytesIO()
    picture.quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _below(canvas: ImageDraw.ImageDraw, alert: Alert, region: Region, language: str, action: str) -> None:
    """Where, when, what to do."""
    name = place(region.zone_by_id.get(alert.zone), alert.zone, language)
    when = message.arrival_ms(alert) or alert.hazard.observed_ms or alert.sent_ms
    time = local_time(when if alert.active else alert.sent_ms, region, language)
    right = SIDE - MARGIN
    below = typeset.draw(canvas, (MARGIN, BAND + 18, right, BAND + 150), name, language, 62, DARK)
    below = typeset.draw(canvas, (MARGIN, below, right, below + 110), time, language, 50, SOFT)
    canvas.line((MARGIN, below + 10, right, below + 10), "#d9dee3", 4)
    typeset.draw(canvas, (MARGIN, below + 22, right, SIDE - 66), action, language, 104, DARK)


def _strip(canvas: ImageDraw.ImageDraw, mark: str, language: str) -> None:
    for number, x in enumerate(range(-STRIP, SIDE + STRIP, 40)):
        canvas.polygon(((x, 0), (x + 40, 0), (x + 40 - STRIP, STRIP), (x - STRIP, STRIP)), STRIPES[number % 2])
    typeset.draw(canvas, (MARGIN, 2, SIDE - MARGIN, STRIP - 2), mark, language, 46 if language != "ur" else 40, "#4a3500")


def _pictogram(picture: Image.Image, at: tuple[int, int], hazard: str, level: Level) -> None:
    """Drawn at four times its size and reduced: smooth edges."""
    big = PICTOGRAM * 4
    mask = Image.new("L", (big, big), 0)
    canvas = ImageDraw.Draw(mask)
    if hazard == "heat":
        _sun(canvas, big)
    elif hazard == "rain":
        _rain(canvas, big, 0.06)
    else:
        _house(canvas, big)
        _waves(canvas, big, level)
    mask = mask.resize((PICTOGRAM, PICTOGRAM), Image.Resampling.LANCZOS)
    picture.paste(Image.new("RGB", mask.size, ink(level)), at, mask)


def _house(canvas: ImageDraw.ImageDraw, big: int) -> None:
    def at(x: float, y: float) -> tuple[float, float]:
        return x * big, y * big

    canvas.polygon((at(0.5, 0.02), at(0.9, 0.36), at(0.1, 0.36)), 255)
    canvas.rectangle((*at(0.2, 0.36), *at(0.8, 0.95)), 255)
    canvas.rectangle((*at(0.42, 0.44), *at(0.58, 0.6)), 0)


def _waves(canvas: ImageDraw.ImageDraw, big: int, level: Level) -> None:
    """The higher the class, the higher the water stands at the house."""
    surface = 0.86 - 0.07 * max(level.rank, 0)
    canvas.rectangle((0, (surface - 0.05) * big, big, big), 0)
    for row in range(6):
        y = surface + row * 0.12
        if y > 0.98:
            break
        upper = [(x * big / 120, (y + 0.028 * math.sin(x / 120 * 6 * math.pi + row)) * big) for x in range(121)]
        lower = [(x, z + 0.055 * big) for x, z in reversed(upper)]
        canvas.polygon((*upper, *lower), 255)


def _rain(canvas: ImageDraw.ImageDraw, big: int, top: float) -> None:
    for x, y, radius in ((0.3, 0.34, 0.2), (0.55, 0.26, 0.24), (0.76, 0.38, 0.17)):
        canvas.ellipse(((x - radius) * big, (y - radius + top) * big, (x + radius) * big, (y + radius + top) * big), 255)
    canvas.rectangle((0.28 * big, 0.4 * big, 0.78 * big, (0.54 + top) * big), 255)
    for x in (0.26, 0.46, 0.66, 0.84):
        for y in (0.68, 0.84):
            canvas.line((x * big, y * big, (x - 0.06) * big, (y + 0.12) * big), 255, round(0.045 * big))


def _sun(canvas: ImageDraw.ImageDraw, big: int) -> None:
    canvas.ellipse((0.28 * big, 0.28 * big, 0.72 * big, 0.72 * big), 255)
    for number in range(12):
        x, y = math.cos(number * math.pi / 6), math.sin(number * math.pi / 6)
        canvas.line(
            ((0.5 + 0.28 * x) * big, (0.5 + 0.28 * y) * big, (0.5 + 0.47 * x) * big, (0.5 + 0.47 * y) * big), 255, round(0.05 * big)
        )
